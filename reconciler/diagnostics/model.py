"""A position in a file and a problem found there."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """``error`` stops the command with exit 3; ``warning`` does not."""

    ERROR = "error"
    WARNING = "warning"


class SourceRange(NamedTuple):
    """Where something stands: file as shown to the user, 1-based line and column, end exclusive."""

    file: str
    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Related:
    """A second position that explains the first, such as the earlier definition of a duplicate."""

    range: SourceRange
    note: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem: stable code, one-line summary, position, and what to do about it.

    ``path`` is the JSON pointer of the node inside the merged catalogue; ``help`` is the remedy in one sentence.
    """

    code: str
    summary: str
    range: SourceRange | None = None
    severity: Severity = Severity.ERROR
    path: str = ""
    help: str | None = None
    related: tuple[Related, ...] = ()


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Tell whether any diagnostic is an error rather than a warning."""
    return any(d.severity is Severity.ERROR for d in diagnostics)


def sort_diagnostics(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Order by file, line, column, code, summary, and drop exact repetitions, so that output is deterministic."""
    nowhere = SourceRange("", 0, 0, 0, 0)
    unique = dict.fromkeys(diagnostics)
    return sorted(unique, key=lambda d: (d.range or nowhere, d.code, d.summary))
