"""Put the sections of all files together, and an environment's overlay over them, without losing a position."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.config.models import File
from reconciler.config.source import Path_, SourceDocument
from reconciler.config.words import did_you_mean, empty_value, pointer, unknown_key, wrong_type
from reconciler.diagnostics import Diagnostic, Related, SourceRange

#: Sections that stand in one file only, and those whose keys are ids.
ONCE = ("settings", "portal", "guards")
#: Sections that are lists: those of all files one after the other.
LISTS = ("moved", "imports")
BY_ID = tuple(name for name in File.model_fields if name not in {*ONCE, *LISTS})

#: Below an id of a section: the maps whose keys are ids too, so that a new one must be called new.
_INNER_IDS = {("plans", "prices"), ("plans", "usage"), ("tenants", "usage")}


@dataclass
class Merged:
    """One tree from many files; every node knows where it stands. Paths are keys and indexes from the root."""

    root: dict[str, Any] = field(default_factory=dict)
    values: dict[Path_, SourceRange] = field(default_factory=dict)
    keys: dict[Path_, SourceRange] = field(default_factory=dict)

    def at(self, *path: str | int) -> SourceRange | None:
        """Return where a node is named: its key, or the item of a list; else the nearest node above it."""
        return nearest(self.values, self.keys, path)

    def offending(self, path: Path_) -> SourceRange | None:
        """Return what to point at: a scalar itself; the key of a mapping or list; else the nearest node above."""
        where = self.values.get(path)
        return where if where and not isinstance(self.get(path), dict | list) else self.at(*path)

    def get(self, path: Path_) -> Any:
        """Return the value at a path; ``None`` where there is none."""
        node: Any = self.root
        for part in path:
            if isinstance(node, dict):
                node = node.get(part)
            elif isinstance(node, list) and isinstance(part, int) and part < len(node):
                node = node[part]
            else:
                return None
        return node


def nearest(values: Mapping[Path_, SourceRange], keys: Mapping[Path_, SourceRange], path: Path_) -> SourceRange | None:
    """Return where a node is named: its key, or the item of a list; else the nearest node above it."""
    for length in range(len(path), 0, -1):
        part = path[:length]
        if where := (values if isinstance(part[-1], int) else keys).get(part):
            return where
    return None


def merge(documents: Sequence[SourceDocument], *, removes: bool = False) -> tuple[Merged, list[Diagnostic]]:
    """Merge the sections of files: ids of all files side by side, lists one after the other.

    Afterwards a section of ids is a mapping, or ``None`` where ``removes`` allows it to be taken away.
    """
    merged = Merged()
    # The last document first: where files share a node, such as a section's own key, the first file's position stays.
    for document in reversed(documents):
        merged.values.update(document.values)
        merged.keys.update(document.keys)
    problems: list[Diagnostic] = []
    for document in documents:
        for section, content in document.root.items():
            path, where = (section,), document.keys[section,]
            if section not in File.model_fields:
                problems.append(unknown_key(path, where, File.model_fields))
            elif content is None and not removes:
                problems.append(empty_value(path, where))
            elif section in LISTS and isinstance(content, list):
                _extend(merged, document, section, content)
            elif section in BY_ID and isinstance(content, dict):
                problems += _add(merged, document, section, content)
            elif section in BY_ID and content is not None:
                problems.append(wrong_type("a mapping with ids as its keys", content, path, where))
            elif section in merged.root:
                summary = f"{section} is defined in two files"
                problems.append(_twice("E0603", path, summary, "keep it in one file", merged, document))
            else:
                merged.root[section] = content
    return merged, problems


def _extend(merged: Merged, document: SourceDocument, section: str, items: list[Any]) -> None:
    """Put one file's list behind those of the files before it."""
    before = merged.root.setdefault(section, [])
    for source, target in ((document.values, merged.values), (document.keys, merged.keys)):
        for path, where in source.items():
            if path[:1] == (section,) and len(path) > 1 and isinstance(path[1], int):
                target[section, path[1] + len(before), *path[2:]] = where
    before.extend(items)


def _add(merged: Merged, document: SourceDocument, section: str, entries: Mapping[str, Any]) -> Iterator[Diagnostic]:
    present = merged.root.setdefault(section, {})
    for name, entry in entries.items():
        if present is not None and name not in present:
            present[name] = entry
            continue
        summary = f"{section}.{name} is defined twice"
        yield _twice("E0602", (section, name), summary, "remove one of the two, or rename it", merged, document)


def _twice(code: str, path: Path_, summary: str, remedy: str, merged: Merged, document: SourceDocument) -> Diagnostic:
    first = merged.keys[path]
    related = (Related(first, "first defined here"),)
    return Diagnostic(code, summary, document.keys[path], path=pointer(path), help=remedy, related=related)


def overlay(base: Merged, patch: Merged) -> tuple[Merged, list[Diagnostic]]:
    """Lay an environment over the base: by key, ``null`` removes, lists replace, a new id says ``new: true``."""
    patching = _Patching(patch)
    root = patching.mapping(base.root, patch.root, (), fresh=False)
    return Merged(root, patching.positions(base.values, patch.values), patching.positions(base.keys, patch.keys)), (
        patching.problems
    )


class _Patching:
    def __init__(self, patch: Merged) -> None:
        self._patch = patch
        self._gone: set[Path_] = set()
        #: Nodes of the patch without a position of their own: merged mappings, removals, the word new.
        self._silent: set[Path_] = {()}
        self.problems: list[Diagnostic] = []

    def mapping(self, base: Mapping[str, Any], patch: Mapping[str, Any], path: Path_, *, fresh: bool) -> dict[str, Any]:
        """Return the base mapping with the patch over it; ``fresh`` where the base has no such mapping."""
        result = dict(base)
        for key, value in patch.items():
            here = (*path, key)
            if key == "new" and _is_entry(path):
                self._silent.add(here)
                self._check_new(value, here, fresh=fresh)
            elif value is None:
                self._silent.add(here)
                self._remove(result, here)
            elif isinstance(value, dict):
                if self._may_stand(base, value, here, fresh=fresh):
                    result[key] = self._inner(base, value, here)
            else:
                self._gone.add(here)
                result[key] = value
        return result

    def _inner(self, base: Mapping[str, Any], value: dict[str, Any], here: Path_) -> dict[str, Any]:
        old = base.get(str(here[-1]))
        if isinstance(old, dict):
            self._silent.add(here)
            return self.mapping(old, value, here, fresh=False)
        self._gone.add(here)
        return self.mapping({}, value, here, fresh=True)

    def _may_stand(self, base: Mapping[str, Any], value: dict[str, Any], here: Path_, *, fresh: bool) -> bool:
        """Tell whether a mapping has its place; an id that the base lacks must be called new, unless all of it is."""
        key = str(here[-1])
        if fresh or key in base or not _is_entry(here) or "new" in value:
            return True
        summary = f"the base files do not define {_dotted(here)}{did_you_mean(key, base)}"
        self._refuse("E0604", here, summary, "write 'new: true' inside it to add it")
        return False

    def _check_new(self, value: Any, here: Path_, *, fresh: bool) -> None:
        if value is not True:
            self._refuse("E0605", here, "new can only be true", "write 'new: true', or remove the line")
        elif not fresh:
            self._refuse(
                "E0605", here, f"{_dotted(here[:-1])} is not new: the base files define it", "remove 'new: true'"
            )

    def _remove(self, result: dict[str, Any], here: Path_) -> None:
        key = str(here[-1])
        if key in result:
            self._gone.add(here)
            del result[key]
            return
        self._refuse(
            "E0606",
            here,
            f"there is no {_dotted(here)} to remove{did_you_mean(key, result)}",
            "remove the line; null takes away what the base files define",
        )

    def _refuse(self, code: str, path: Path_, summary: str, remedy: str) -> None:
        where = self._patch.keys.get(path)
        self.problems.append(Diagnostic(code, summary, where, path=pointer(path), help=remedy))

    def positions(
        self, base: Mapping[Path_, SourceRange], patch: Mapping[Path_, SourceRange]
    ) -> dict[Path_, SourceRange]:
        """Return the positions of the result: the base's where both have a mapping, the patch's where it says more."""
        kept = {
            path: where
            for path, where in base.items()
            if not any(path[:length] in self._gone for length in range(1, len(path) + 1))
        }
        return kept | {path: where for path, where in patch.items() if path not in self._silent}


def _is_entry(path: Path_) -> bool:
    """Tell whether a path is an id with a mapping behind it, in a section or in a map inside a plan or tenant."""
    return (len(path) == 2 and path[0] in BY_ID) or (  # noqa: PLR2004  section and id
        len(path) == 4 and (path[0], path[2]) in _INNER_IDS  # noqa: PLR2004  section, id, map, id
    )


def _dotted(path: Path_) -> str:
    return ".".join(map(str, path))
