"""A ledger's calls and refunds as flat rows, one for each meter of each entry, for spreadsheets and warehouses."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from reconciler import money
from reconciler.entitlements.ledger_calls import Booked, Find, Units, booked
from reconciler.entitlements.periods import SECOND, instant
from reconciler.entitlements.policy import MICRO
from reconciler.ledger.entry import Entry

#: What a row holds, in order. Calls, credits and costs stand in an entry's first row only, so that columns add up.
FIELDS = (
    "tenant",
    "seq",
    "at",
    "kind",
    "key",
    "tool",
    "calls",
    "paid_by",
    "cost",
    "unit",
    "credits",
    "short",
    "meter",
    "units",
    "window",
)


def export_rows(
    entries: Iterable[Entry], find: Find, period: tuple[int, int] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a tenant's rows by :data:`FIELDS`, instants as ISO 8601 in UTC, amounts as exact decimal text.

    ``period`` bounds the instants of the entries: ``start <= at < end``, microseconds.
    """
    for each in booked(entries, find):
        if isinstance(each, Booked) and (period is None or period[0] <= each.entry.at < period[1]):
            yield from _rows(each)


def _rows(call: Booked) -> Iterator[dict[str, Any]]:
    entry = call.entry
    row: dict[str, Any] = dict.fromkeys(FIELDS, "")
    row |= {"tenant": entry.tenant, "seq": entry.seq, "at": _iso(entry.at), "kind": entry.kind, "key": entry.key or ""}
    row |= {"tool": call.tool, "calls": call.calls, "paid_by": call.paid_by, "unit": call.unit}
    row |= {"cost": _exact(call.cost), "credits": _exact(call.credits), "short": _exact(call.short), "units": 0}
    for units in call.units or (Units("", 0, None),):
        window = "" if units.window is None or units.owed else _iso(units.window * SECOND)
        yield {**row, "meter": units.meter, "units": units.number, "window": window}
        row |= {"calls": 0, "cost": "0", "credits": "0", "short": "0"}


def _exact(micro: int | None) -> str:
    return "" if micro is None else money.plain(money.EXACT.divide(Decimal(micro), Decimal(MICRO)))


def _iso(at: int) -> str:
    return instant(at).isoformat().replace("+00:00", "Z")
