"""What a check sees: the typed sections by model, every id that is defined, and a way to point at a node."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeVar

from reconciler.config.merge import Merged
from reconciler.config.models import File, Model, Settings
from reconciler.config.parts import Part, currency_of, tenant_parts
from reconciler.config.source import Path_
from reconciler.config.words import pointer
from reconciler.diagnostics import Diagnostic, Related, Severity

Some = TypeVar("Some", bound=Model)


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
        """Tell whether every entry could be typed, so that what nothing refers to is known to be unused."""
        return not self.broken

    def ids(self, section: str) -> Collection[str]:
        """Return every id of a section, those of broken entries too."""
        return (self.merged.root.get(section) or {}).keys()

    def each(self, *types: type[Some]) -> Iterator[tuple[Path_, Some]]:
        """Yield every instance of exactly these models that the files write, with its path."""
        for kind in types:
            yield from self._models.get(kind, ())

    def items(self, *types: type[Model]) -> Iterator[tuple[Path_, Any]]:
        """Yield the same as ``each``, for models that share fields but no base."""
        return self.each(*types)

    def having(self, field: str) -> Iterator[tuple[Path_, Any]]:
        """Yield every instance of a model that has the field, with its path."""
        for kind, models in self._models.items():
            if field in kind.model_fields:
                yield from models

    def currency(self, path: Path_) -> str:
        """Return the currency of what names none of its own: the plan's, the tenant's, or the default."""
        owner = (getattr(self.file, str(path[0])) or {}).get(path[1]) if path[0] in {"plans", "tenants"} else None
        return (owner.currency if owner else None) or self.settings.currency

    def parts(self, tenant: str) -> list[Part]:
        """Return the prices of a tenant's subscription, worked out once."""
        found = self._parts.get(tenant)
        if found is None:
            found = self._parts[tenant] = tenant_parts(self.file, tenant)
        return found

    def billed(self, tenant: str) -> str:
        """Return the currency a tenant is billed in."""
        return currency_of(self.file, self.file.tenants[tenant], self.parts(tenant))

    @cached_property
    def _parts(self) -> dict[str, list[Part]]:
        return {}

    @cached_property
    def _models(self) -> dict[type[Model], list[tuple[Path_, Any]]]:
        found: dict[type[Model], list[tuple[Path_, Any]]] = {}
        _collect(self.file, (), found)
        return found

    def error(self, code: str, path: Path_, summary: str, remedy: str, *others: tuple[Path_, str]) -> Diagnostic:
        """Report an error at a node; ``others`` are nodes that explain it, each with a note."""
        return self._problem(Severity.ERROR, code, path, summary, remedy, others)

    def warning(self, code: str, path: Path_, summary: str, remedy: str, *others: tuple[Path_, str]) -> Diagnostic:
        """Report a warning at a node; ``others`` are nodes that explain it, each with a note."""
        return self._problem(Severity.WARNING, code, path, summary, remedy, others)

    def _problem(
        self,
        severity: Severity,
        code: str,
        path: Path_,
        summary: str,
        remedy: str,
        others: Sequence[tuple[Path_, str]],
    ) -> Diagnostic:
        places = [(self.merged.offending(other), note) for other, note in others]
        return Diagnostic(
            code=code,
            summary=summary,
            range=self.merged.offending(path),
            severity=severity,
            path=pointer(path),
            help=remedy,
            related=tuple(Related(where, note) for where, note in places if where),
        )


def _collect(value: Any, path: Path_, found: dict[type[Model], list[tuple[Path_, Any]]]) -> None:
    """Add every model at and below a value; only what the files write is visited."""
    if isinstance(value, Model):
        kind = type(value)
        found.setdefault(kind, []).append((path, value))
        written = value.model_fields_set
        for name, key in _fields(kind):
            if name in written:
                _collect(getattr(value, name), (*path, key), found)
    elif isinstance(value, dict):
        for key, item in value.items():
            _collect(item, (*path, key), found)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            _collect(item, (*path, index), found)


@cache
def _fields(kind: type[Model]) -> tuple[tuple[str, str], ...]:
    """Return the fields of a model with the keys that the files write them under."""
    return tuple((name, field.alias or name) for name, field in kind.model_fields.items())
