"""The catalogue: all files read, merged, typed and checked. Everything above this room works on it alone."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from reconciler import money
from reconciler.config.checks import run_checks
from reconciler.config.merge import Merged, merge, nearest, overlay
from reconciler.config.models import Environment, File, Settings, section
from reconciler.config.renames import new_address
from reconciler.config.source import Path_, Sources, load_directory, load_text
from reconciler.config.structure import check_structure
from reconciler.config.view import View
from reconciler.diagnostics import ConfigError, Diagnostic, Severity, SourceRange, has_errors, sort_diagnostics
from reconciler.diagnostics.visible import visible

_UNKNOWN_ENVIRONMENT = "E0170"
_NO_FILE = SourceRange("", 0, 0, 0, 0)


@dataclass(frozen=True)
class Catalog:
    """A valid configuration: every section typed, every reference resolved, every node with its position."""

    file: File
    sources: Sources
    positions: Mapping[Path_, SourceRange]
    keys: Mapping[Path_, SourceRange]
    environment: tuple[str, Environment] | None
    warnings: tuple[Diagnostic, ...]

    @property
    def settings(self) -> Settings:
        """The settings section, which every valid configuration has."""
        assert self.file.settings is not None  # noqa: S101  files without settings are refused
        return self.file.settings

    @property
    def namespace(self) -> str:
        """Owner of everything these files make at Stripe."""
        return self.settings.namespace

    @cached_property
    def moved(self) -> Mapping[str, str]:
        """Old address to the address it has now, chains followed to their end."""
        steps = {entry.source: entry.target for entry in self.file.moved}
        return {source: new_address(source, steps) for source in steps}

    @cached_property
    def imports(self) -> Mapping[str, str]:
        """Address to the id of the existing object that is taken over for it."""
        return {entry.target: entry.id for entry in self.file.imports}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content: how it is split into files, ordered, commented or quoted does not count."""
        return _digest(self.file)

    def at(self, *path: str | int) -> SourceRange | None:
        """Return where a node is named: its key, or the item of a list; else the nearest node above it."""
        return nearest(self.positions, self.keys, path)


def inspect(directory: Path, env: str | None = None) -> tuple[Catalog | None, Sources, tuple[Diagnostic, ...]]:
    """Read and check a directory; no catalogue where there are errors. All problems are returned."""
    sources = load_directory(directory, env=env)
    catalog, diagnostics = _assemble(sources, env)
    return catalog, sources, diagnostics


def load_catalog(directory: Path, env: str | None = None) -> Catalog:
    """Read and check a directory; ConfigError with every problem where there is an error."""
    catalog, _, diagnostics = inspect(directory, env)
    if catalog is None:
        raise ConfigError(diagnostics)
    return catalog


def catalog_from_text(text: str, file: str = "billing.d/test.yaml") -> tuple[Catalog | None, tuple[Diagnostic, ...]]:
    """Read and check one file's text as if it were the whole directory."""
    name = Path(file)
    return catalog_from_texts({name.name: text}, name.parent)


def catalog_from_texts(
    texts: Mapping[str, str], directory: Path = Path("billing.d")
) -> tuple[Catalog | None, tuple[Diagnostic, ...]]:
    """Read and check texts as if they were the files of a directory, by their names below it."""
    read = [load_text(text, (directory / name).as_posix()) for name, text in sorted(texts.items())]
    documents = tuple(document for document, _ in read if document)
    problems = tuple(problem for _, found in read for problem in found)
    lines = {document.file: document.lines for document in documents}
    return _assemble(Sources(directory, documents, (), problems, lines), None)


def _assemble(sources: Sources, env: str | None) -> tuple[Catalog | None, tuple[Diagnostic, ...]]:
    merged, problems = merge(sources.base)
    if sources.overlay:
        patch, doubled = merge(sources.overlay, removes=True)
        merged, misfits = overlay(merged, patch)
        problems += [*doubled, *misfits]
    structure = check_structure(merged)
    problems += structure.problems
    named = _declared(merged)
    early = [
        _with_declared(each, named)
        for each in sources.diagnostics
        if each.code != _UNKNOWN_ENVIRONMENT or env not in named
    ]
    if _all_read(early, sources):
        problems += _first_causes(run_checks(View(structure.file, merged, structure.broken)), structure.problems)
    diagnostics = tuple(sort_diagnostics([*early, *_first_causes(problems, early)]))
    if has_errors(diagnostics):
        return None, diagnostics
    environment = (env, structure.file.environments.get(env, Environment())) if env is not None else None
    catalog = Catalog(
        file=structure.file,
        sources=sources,
        positions=merged.values,
        keys=merged.keys,
        environment=environment,
        warnings=diagnostics,
    )
    return catalog, diagnostics


def _declared(merged: Merged) -> list[str]:
    """Return the names ``environments`` has: one that only binds an account needs no directory."""
    found = merged.root.get("environments")
    return sorted(map(str, found)) if isinstance(found, dict) else []


def _with_declared(problem: Diagnostic, declared: Sequence[str]) -> Diagnostic:
    if problem.code != _UNKNOWN_ENVIRONMENT:
        return problem
    has = ", ".join(map(visible, declared)) or "nothing"
    return replace(problem, help=f"{problem.help}, `environments:` has {has}")


def _all_read(problems: Sequence[Diagnostic], sources: Sources) -> bool:
    """Tell whether every file became a document; what another file says is unknown otherwise."""
    read = {document.file for document in (*sources.base, *sources.overlay)}
    return all(each.range is not None and each.range.file in read for each in problems)


def _first_causes(problems: Sequence[Diagnostic], early: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Drop what is said about a place whose text could not be read as it stands: it is a consequence."""
    unread = {_start(each) for each in early if each.severity is Severity.ERROR}
    return [each for each in problems if each.range is None or _start(each) not in unread]


def _start(problem: Diagnostic) -> tuple[str, int, int]:
    where = problem.range or _NO_FILE
    return where.file, where.line, where.column


def _digest(file: File) -> str:
    import hashlib  # noqa: PLC0415  not needed to validate

    sections = {name: getattr(file, name) for name in File.model_fields}
    content = json.dumps(
        {name: held and section(name).dump_python(held, by_alias=True) for name, held in sections.items()},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        default=_plain,
    )
    return hashlib.sha256(content.encode()).hexdigest()


def _plain(value: Any) -> str:
    """Write what JSON does not know, in one way only: a decimal without trailing zeros, an instant in UTC."""
    return money.plain(value) if isinstance(value, Decimal) else value.astimezone(UTC).isoformat()
