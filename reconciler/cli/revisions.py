"""The files as they were: a catalogue or a policy by a directory, a compiled file, or a git revision."""

import tempfile
from pathlib import Path

from reconciler.cli.config import locate, refuse
from reconciler.cli.context import App
from reconciler.cli.options import ConfigOptions
from reconciler.config.catalog import Catalog, inspect
from reconciler.config.revisions import check_out, is_revision
from reconciler.diagnostics import ReconcilerError
from reconciler.diagnostics.visible import visible
from reconciler.entitlements import Policy
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.policy import read_policy


def catalog_at(app: App, spec: str, config: ConfigOptions) -> Catalog:
    """Return the catalogue of a directory, else of the configuration directory at a git revision.

    Problems of its files are shown and end the command with exit 3; ReconcilerError where there is neither.
    """
    _check_shadow(spec, config)
    if Path(spec).is_dir():
        return _load(app, spec, Path(spec), config.env)
    with tempfile.TemporaryDirectory(prefix="reconciler-") as target:
        directory = check_out(spec, Path.cwd() / locate(config), Path(target))
        return _load(app, spec, directory, config.env)


def _check_shadow(spec: str, config: ConfigOptions) -> None:
    """Refuse a name of both a path and a revision: a change could add the path and so be compared with itself."""
    if Path(spec).exists() and is_revision(spec, config.directory or Path.cwd()):
        raise ReconcilerError(
            "E1052",
            f"{visible(spec)} is both a path here and a revision",
            remedy=f"Write ./{visible(spec)} for the path, or a longer name of the revision.",
        )


def _load(app: App, spec: str, directory: Path, env: str | None) -> Catalog:
    catalog, sources, diagnostics = inspect(directory, env)
    if catalog is None:
        app.out.problem(f"The files at {visible(spec)} are not valid:")
        refuse(app, diagnostics, sources)
    return catalog


def named_at(app: App, spec: str, config: ConfigOptions) -> Policy | Catalog:
    """Return a compiled policy's file as it is, else the catalogue of :func:`catalog_at`."""
    path = Path(spec)
    _check_shadow(spec, config)
    return read_policy(path) if path.is_file() or path.suffix == ".json" else catalog_at(app, spec, config)


def policy_at(app: App, spec: str, config: ConfigOptions) -> Policy:
    """Return a compiled policy's file as it is, else what the catalogue of :func:`catalog_at` compiles to."""
    found = named_at(app, spec, config)
    return found if isinstance(found, Policy) else compile_catalog(found)
