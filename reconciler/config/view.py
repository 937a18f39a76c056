"""What a check sees: the typed sections, every id that is defined, and a way to point at a node."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from reconciler.config.merge import Merged
from reconciler.config.models import File, Settings
from reconciler.config.source import Path_
from reconciler.config.words import pointer
from reconciler.diagnostics import Diagnostic, Related, Severity


@dataclass(frozen=True)
class View:
    """The sound part of a configuration; ``broken`` names the entries whose form is wrong and that are left out."""

    file: File
    merged: Merged
    broken: frozenset[Path_] = frozenset()

    @cached_property
    def settings(self) -> Settings:
        """The settings, or their defaults where the files have none."""
        return self.file.settings or Settings(namespace="none")

    @property
    def complete(self) -> bool:
        """Tell whether every entry could be typed, so that what is not used is known to be unused."""
        return not self.broken

    def ids(self, section: str) -> Collection[str]:
        """Return every id of a section, those of broken entries too."""
        return (self.merged.root.get(section) or {}).keys()

    def error(self, code: str, path: Path_, summary: str, remedy: str, *, related: Path_ | None = None) -> Diagnostic:
        """Report an error at a node; ``related`` is the node that explains it."""
        return self._problem(Severity.ERROR, code, path, summary, remedy, related)

    def warning(self, code: str, path: Path_, summary: str, remedy: str, *, related: Path_ | None = None) -> Diagnostic:
        """Report a warning at a node; ``related`` is the node that explains it."""
        return self._problem(Severity.WARNING, code, path, summary, remedy, related)

    def _problem(
        self, severity: Severity, code: str, path: Path_, summary: str, remedy: str, related: Path_ | None
    ) -> Diagnostic:
        other = self.merged.offending(related) if related else None
        return Diagnostic(
            code=code,
            summary=summary,
            range=self.merged.offending(path),
            severity=severity,
            path=pointer(path),
            help=remedy,
            related=(Related(other, "see here"),) if other else (),
        )
