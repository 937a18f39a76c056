"""From rows of a usage file to what each tenant used."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from reconciler.impact.side import Side
from reconciler.impact.used import Recorded, Used


class Row(NamedTuple):
    """A row as it was read, numbers and instants understood; empty texts and ``None`` where nothing was said.

    ``single`` says that ``at`` is an instant and not a day. ``entry`` is what rows of one call have in common, ``kind``
    and ``taken`` (credits) are those of the ledger's entry, all empty unless the rows come from ``usage export``.
    """

    line: int
    tenant: str
    tool: str = ""
    meter: str = ""
    quantity: int | None = None
    calls: int | None = None
    at: int | None = None
    single: bool = False
    entry: str = ""
    kind: str = ""
    taken: str = ""


class Gathered(NamedTuple):
    """What tenants used in a month, and how many rows are of another one."""

    tenants: Mapping[str, Recorded]
    elsewhere: int


def gathered(rows: Iterable[Row], month: Recorded, sides: Sequence[Side]) -> Gathered:
    """Sort rows out by tenant, in the order of their instants; sums without one come first.

    ``month`` says which; a row without an instant is of any month.
    """
    found: dict[str, list[Row]] = {}
    elsewhere = 0
    for row in rows:
        if row.at is None or month.start <= row.at < month.end:
            found.setdefault(row.tenant, []).append(row)
        else:
            elsewhere += 1
    return Gathered({tenant: _recorded(own, month, sides) for tenant, own in found.items()}, elsewhere)


def _recorded(rows: Sequence[Row], month: Recorded, sides: Sequence[Side]) -> Recorded:
    used: list[Used] = []
    exported: dict[str, list[Row]] = {}
    for row in rows:
        if row.entry:
            exported.setdefault(row.entry, []).append(row)
        elif (one := _used(row, sides)) is not None:
            used.append(one)
    used += _calls(exported.values(), sides)
    used.sort(key=lambda each: -1 if each.at is None else each.at)
    assumed = sum(each.calls for each in used if exported and each.tool and priced_by_quantity(each.tool, sides))
    return month._replace(events=tuple(used), assumed=assumed)


def priced_by_quantity(tool: str, sides: Sequence[Side]) -> bool:
    """Tell whether either of the files multiplies what a tool costs by a quantity of its own."""
    return any((found := side.policy.tools.of(tool)) is not None and found.quantity is not None for side in sides)


def _used(row: Row, sides: Sequence[Side]) -> Used | None:
    """Return what a row of somebody's own says: calls, or units of a meter one by one where they are a sum."""
    if not row.tool:
        units = row.quantity or 0
        one = row.single and row.calls in {None, 1}
        calls = 1 if one else units
        return Used("", calls, units if one else 1, ((row.meter, units),), row.at, one) if units else None
    quantity = 1 if row.quantity is None else row.quantity
    calls = 1 if row.calls is None else row.calls
    units_of: tuple[tuple[str, int], ...] = ()
    if row.meter:
        units_of, quantity = ((row.meter, quantity),), 1
    elif row.calls is None and not priced_by_quantity(row.tool, sides):
        calls, quantity = quantity, 1
    return Used(row.tool, calls, quantity, units_of, row.at, row.single and calls == 1) if calls else None


def _calls(entries: Iterable[Sequence[Row]], sides: Sequence[Side]) -> list[Used]:
    """Return the calls of exported entries; one that was refunded whole was not made."""
    made: list[tuple[Used, tuple[object, ...]] | None] = []
    for rows in entries:
        first = rows[0]
        units = tuple((row.meter, row.quantity or 0) for row in rows if row.meter)
        if first.kind == "refund":
            _take_back(made, _marks(first, tuple((meter, -number) for meter, number in units)))
            continue
        calls = sum(row.calls or 0 for row in rows)
        single = first.kind in {"consume", "commit"} and calls == 1
        if [meter for meter, _ in units] == [first.tool] and any(first.tool in side.policy.meters for side in sides):
            number = units[0][1]
            used = Used("", 1 if single else number, number if single else 1, units, first.at, single)
        else:
            used = Used(first.tool, calls, 1, units, first.at, single)
        if used.calls:
            made.append((used, _marks(first, units)))
    return [each[0] for each in made if each is not None]


def _marks(row: Row, units: tuple[tuple[str, int], ...]) -> tuple[object, ...]:
    """Return what a refund and its call have in common."""
    return row.tool, units, row.taken.removeprefix("-")


def _take_back(made: list[tuple[Used, tuple[object, ...]] | None], marks: tuple[object, ...]) -> None:
    """Forget the last call a refund can be of."""
    for place in range(len(made) - 1, -1, -1):
        each = made[place]
        if each is not None and each[1] == marks:
            made[place] = None
            return
