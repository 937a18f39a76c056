"""Files as programs of a pipeline name them: from the top of the repository, wherever a command runs."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from reconciler.diagnostics import Diagnostic, Related, SourceRange

#: Where GitHub and GitLab say that the repository was cloned to.
_TOPS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")


def prefix(directory: Path, environ: Mapping[str, str], here: Path) -> str:
    """Return what stands before the configuration directory's own name in a path from the repository's top, with ``/``.

    The top is what the pipeline says, else the nearest directory with ``.git``, else where the command runs; empty
    where the directory is in none of them.
    """
    parent = Path(os.path.realpath(directory)).parent
    for top in _tops(parent, environ, here):
        if parent.is_relative_to(top):
            inner = parent.relative_to(top).as_posix()
            return "" if inner == "." else f"{inner}/"
    return ""


def _tops(parent: Path, environ: Mapping[str, str], here: Path) -> Iterator[Path]:
    for name in _TOPS:
        if environ.get(name):
            yield Path(os.path.realpath(environ[name]))
    yield from (folder for folder in (parent, *parent.parents) if (folder / ".git").exists())
    yield Path(os.path.realpath(here))


def placed(diagnostics: Iterable[Diagnostic], before: str) -> list[Diagnostic]:
    """Return the diagnostics with every file named from the repository's top."""
    if not before:
        return list(diagnostics)

    def at(where: SourceRange) -> SourceRange:
        return where._replace(file=f"{before}{where.file}")

    return [
        replace(
            each,
            range=each.range and at(each.range),
            related=tuple(Related(at(other.range), other.note) for other in each.related),
        )
        for each in diagnostics
    ]
