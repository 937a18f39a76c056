"""The single values in which a change's before and after differ. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deepdiff import DeepDiff

from reconciler.diagnostics.visible import visible
from reconciler.planning.change import Change, State
from reconciler.planning.words import currency_at, quote, scalar
from reconciler.resources.model import ADDRESS, MANAGED_BY, MARK_KEYS, Json, Values, held, substitute

Path = tuple[str | int, ...]
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value that differs, in words; None on the side where there is none."""

    name: str
    before: str | None
    after: str | None


def leaves(change: Change) -> list[Leaf]:
    """Return what differs inside one resource, fields in the order of its table, own metadata after them.

    A field that one side leaves out is there at Stripe's default, if it has one, and that is what is told.
    """
    before, after = _content(change.before), _content(change.after)
    for row in change.kind.fields:
        if row.default is not None and before and after and (row.name in before) != (row.name in after):
            before.setdefault(row.name, row.default)
            after.setdefault(row.name, row.default)
        if row.unordered and row.name in before and row.name in after:
            before[row.name], after[row.name] = _apart(before[row.name], after[row.name])
    order = {row.name: index for index, row in enumerate(change.kind.fields)}
    found = [
        Leaf(_name(path), _words(path, old, before), _words(path, new, after))
        for path, old, new in sorted(_differing(before, after), key=lambda item: _position(item[0], order))
    ]
    return [*found, *_mark(change.before, change.after)]


def _content(state: State | None) -> Values:
    """Return values with references as plain text, and own metadata without the owner mark."""
    if state is None:
        return {}
    values: Values = {name: substitute(value, _plain) for name, value in state.values.items()}
    metadata = {name: value for name, value in state.metadata.items() if name not in MARK_KEYS}
    return {**values, "metadata": metadata} if metadata else values


def _apart(before: Json, after: Json) -> tuple[Json, Json]:
    """Leave out of lists that are sets what both have, so that only what differs is told, one beside the other."""
    if isinstance(before, dict) and isinstance(after, dict):
        both = {name: _apart(before[name], after[name]) for name in before.keys() & after.keys()}
        old, new = ({name: each[side] for name, each in both.items()} for side in (0, 1))
        return {**before, **old}, {**after, **new}
    if not (isinstance(before, list) and isinstance(after, list)):
        return before, after
    gone, added = [each for each in before if each not in after], [each for each in after if each not in before]
    couples = [_apart(*couple) for couple in zip(gone, added, strict=False)]
    number = len(couples)
    return [each for each, _ in couples] + gone[number:], [each for _, each in couples] + added[number:]


class _Reference(str):
    """An address or id; shown without quotes."""

    __slots__ = ()


def _plain(value: Json) -> Json:
    if not isinstance(value, dict) or not value:
        return value
    return _Reference(held(value)[1] if "$id" in value else value["$ref"])


def _differing(before: Values, after: Values) -> Iterator[tuple[Path, Any, Any]]:
    """Yield path, old and new of every scalar that differs; added and removed containers are taken apart."""
    tree = DeepDiff(before, after, view="tree", threshold_to_diff_deeper=0, zip_ordered_iterables=True)
    for kind, levels in tree.items():
        for level in levels:
            path = tuple(level.path(output_format="list"))
            old = _ABSENT if kind.endswith("_added") else level.t1
            new = _ABSENT if kind.endswith("_removed") else level.t2
            yield from _scalars(path, old, new)


def _scalars(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, Any, Any]]:
    flat_old, flat_new = dict(_flat(path, old)), dict(_flat(path, new))
    for each in {**flat_old, **flat_new}:
        yield each, flat_old.get(each, _ABSENT), flat_new.get(each, _ABSENT)


def _flat(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flat((*path, name), item)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _flat((*path, index), item)
    elif value is not _ABSENT:
        yield path, value


def _words(path: Path, value: Any, values: Mapping[str, Json]) -> str | None:
    if value is _ABSENT:
        return None
    if isinstance(value, _Reference):
        return visible(value)
    return scalar(path, value, currency_at(path, values))


def _name(path: Path) -> str:
    """Write a path as ``tiers[0].unit_amount``; amounts are shown in money, so the suffix ``_decimal`` goes."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return visible(text.removesuffix("_decimal"))


def _position(path: Path, order: Mapping[str, int]) -> tuple[int, tuple[tuple[int, str], ...]]:
    """Sort by field of the table, then by index and name."""
    rest = tuple((part, "") if isinstance(part, int) else (-1, part) for part in path[1:])
    return order.get(str(path[0]), len(order)), rest


def _mark(before: State | None, after: State | None) -> Iterator[Leaf]:
    """Yield the owner mark where it is all that tells an object is taken over or moved."""
    if before is None or after is None:
        return
    for name in (MANAGED_BY, ADDRESS):
        old, new = before.metadata.get(name), after.metadata.get(name)
        if old != new:
            yield Leaf(f"metadata.{name}", old and quote(old), new and quote(new))
