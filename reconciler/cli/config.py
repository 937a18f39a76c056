"""Finding and loading ``billing.d``."""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import click

from reconciler.cli.context import App
from reconciler.cli.exits import Exit
from reconciler.cli.github import refused
from reconciler.cli.options import ConfigOptions
from reconciler.config.catalog import Catalog, inspect
from reconciler.config.source import Sources
from reconciler.diagnostics import ConfigError, Diagnostic
from reconciler.diagnostics.render import render_text

NAME = "billing.d"
VARIABLE = "RECONCILER_CONFIG"


def find_config(chosen: Path | None, environ: Mapping[str, str], start: Path) -> Path:
    """Return the configuration directory: chosen, RECONCILER_CONFIG, or the nearest upwards within the repository.

    Raises ConfigError where there is none; a directory that was named is not checked here.
    """
    if chosen is not None:
        return chosen
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE])
    for folder in (start, *start.parents):
        if (folder / NAME).is_dir():
            return folder / NAME
        if (folder / ".git").exists():
            break
    raise ConfigError(
        [
            Diagnostic(
                "E0168",
                f"there is no {NAME} here or above",
                help="write a first one with `reconciler init`, or name a directory with --config",
            )
        ]
    )


def locate(options: ConfigOptions) -> Path:
    """Return the configuration directory of this run."""
    return find_config(options.directory, os.environ, Path.cwd())


def load(app: App, options: ConfigOptions) -> tuple[Catalog, Sources]:
    """Load the catalogue; its errors are shown on stderr and end the command with exit 3, its warnings are shown."""
    catalog, sources, diagnostics = inspect(locate(options), options.env)
    if catalog is None:
        refuse(app, diagnostics, sources)
    if diagnostics and not app.out.quiet:
        show(app, diagnostics, sources)
    return catalog, sources


def refuse(app: App, diagnostics: Iterable[Diagnostic], sources: Sources) -> NoReturn:
    """Show diagnostics on stderr and end the command with exit 3."""
    show(app, diagnostics, sources)
    refused(app.out, diagnostics, sources.directory)
    raise click.exceptions.Exit(Exit.CONFIG)


def show(app: App, diagnostics: Iterable[Diagnostic], sources: Sources) -> None:
    """Show diagnostics with their source lines on stderr."""
    color = app.out.colors(sys.stderr)
    app.out.problem(render_text(diagnostics, sources.line, color=color, width=app.out.width))
