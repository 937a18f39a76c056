"""Usage of a meter by a customer, exactly: which events count, and what they come to.

Source: https://docs.stripe.com/billing/subscriptions/usage-based/meters/configure.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Context, Decimal

from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row, Term, Window
from reconciler.sandbox.wire import Obj

EVENTS = "billing.meter_event"
WINDOWS = {"hour": 3600, "day": 86_400}
#: Beyond every time an event can have.
EVER = (-(1 << 60), 1 << 60)

_CHUNK = 5_000
#: Wide enough for sums of values of 15 digits whatever their exponents and number.
_EXACT = Context(prec=80)


def term(meter_id: str, customer_id: str) -> Term:
    """Return the term under which the events of a customer for a meter are found, by their timestamps."""
    return "usage", f"{meter_id} {customer_id}"


def used(call: Call, meter_id: str, customer_id: str, start: int, end: int) -> Decimal:
    """Return what a customer used in ``start <= timestamp < end``, by the meter's formula; it may be negative.

    Cancelled events do not count; a line of an invoice bills no less than 0 (:func:`billable`).
    """
    meter = call.refer("billing.meter", meter_id, "meter")
    return total(meter, counted(call, meter, customer_id, start, end))


def billable(call: Call, meter_id: str, customer_id: str, start: int, end: int) -> Decimal:
    """Return the usage an invoice bills: 0 where the total is negative (recording-usage-api, "Usage values")."""
    return max(Decimal(0), used(call, meter_id, customer_id, start, end))


def counted(call: Call, meter: Obj, customer_id: str, start: int, end: int, lag: int = 0) -> list[Row]:
    """Return the events that count, oldest first; what was sent or cancelled in the last ``lag`` seconds is not seen.

    A meter of pre-aggregated events counts in each UTC hour or day only the one received last.
    """
    step = WINDOWS.get(meter["event_time_window"] or "", 0)
    first, last = (start - start % step, end + -end % step) if step else (start, end)
    seen_by = call.own_now - lag
    rows: Iterable[Row] = (row for row in _between(call, meter, customer_id, first, last) if _counts(row.body, seen_by))
    if step:
        newest: dict[int, Row] = {}
        for row in rows:
            rival = newest.setdefault(row.created // step, row)
            if row.seq > rival.seq:
                newest[row.created // step] = row
        rows = (newest[key] for key in sorted(newest))
    return [row for row in rows if start <= row.created < end]


def _counts(event: Obj, seen_by: int) -> bool:
    cancelled = event["_cancelled"]
    return event["_received"] <= seen_by and (cancelled is None or cancelled > seen_by)


def _between(call: Call, meter: Obj, customer_id: str, start: int, end: int) -> Iterator[Row]:
    """Read the stored events of a stretch of time in portions, oldest first."""
    return call.tx.walk(
        EVENTS, [term(meter["id"], customer_id)], Window(_CHUNK, (start, -1), (end, -1), from_oldest=True)
    )


def total(meter: Obj, rows: Sequence[Row]) -> Decimal:
    """Return what events come to: their sum, their number or the value of the latest; 0 without any."""
    match meter["default_aggregation"]["formula"]:
        case "count":
            return Decimal(len(rows))
        case "last":
            latest = max(rows, key=lambda row: (row.created, row.body["_micros"], row.seq), default=None)
            return Decimal(latest.body["_value"]) if latest else Decimal(0)
    result = Decimal(0)
    for row in rows:
        result = _EXACT.add(result, Decimal(row.body["_value"]))
    return result
