"""Summaries of meter events (https://docs.stripe.com/api/billing/meter-event-summary): computed when asked for."""

from collections.abc import Sequence

from reconciler.sandbox.billing import usage
from reconciler.sandbox.errors import exclusive, invalid, no_such
from reconciler.sandbox.ids import derive
from reconciler.sandbox.lists import limit_of
from reconciler.sandbox.objects.base import Call, Family, Route, json_number
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

_MINUTE = 60
#: The fault that makes summaries lag behind what was sent.
LAG = "summary_lag"


def _list(call: Call) -> Obj:
    """List a customer's usage of a meter, whole or by UTC hours or days, as late as the fault ``summary_lag`` says."""
    params = call.params
    meter = call.row(call.families["billing.meter"]).body
    call.refer("customer", params["customer"], "customer")
    start, end = params["start_time"], params["end_time"]
    step = _check_bounds(start, end, params.get("value_grouping_window"))
    events = usage.counted(call, meter, params["customer"], start, end, call.lag(LAG))
    buckets: dict[int, list[Row]] = {}
    for row in events:
        buckets.setdefault(start + (row.created - start) // step * step, []).append(row)
    starts: Sequence[int] = range(start, end, step)
    if call.settings.summaries_skip_empty_windows:
        starts = sorted(buckets)
    if call.settings.summaries_newest_first:
        starts = starts[::-1]
    shown, more = _page(call, starts, step)
    data = [_summary(call, meter, at, at + step, buckets.get(at, [])) for at in shown]
    return {"object": "list", "url": call.url, "has_more": more, "data": data}


def _check_bounds(start: int, end: int, grouping: str | None) -> int:
    """Return the seconds of one summary; bounds must be whole minutes, or whole hours or days of UTC."""
    unit = usage.WINDOWS[grouping] if grouping else _MINUTE
    name = {"hour": "UTC hour", "day": "UTC day"}.get(grouping or "", "minute")
    for param, value in (("start_time", start), ("end_time", end)):
        if value % unit or not 0 <= value <= usage.EVER[1]:
            raise invalid(f"{param} must be aligned with {name} boundaries.", param)
    if end <= start:
        raise invalid("end_time must be after start_time.", "end_time")
    return unit if grouping else end - start


def _page(call: Call, starts: Sequence[int], step: int) -> tuple[Sequence[int], bool]:
    """Return the portion of the summaries that is asked for, and whether there are more beyond it."""
    params = call.params
    limit = limit_of(call)
    if "starting_after" in params and "ending_before" in params:
        raise exclusive("starting_after", "ending_before")
    if "ending_before" in params:
        before = starts[: _position(call, starts, step, "ending_before")]
        return before[-limit:], len(before) > limit
    after = starts[_position(call, starts, step, "starting_after") + 1 :] if "starting_after" in params else starts
    return after[:limit], len(after) > limit


def _position(call: Call, starts: Sequence[int], step: int, cursor: str) -> int:
    given = call.params[cursor]
    try:
        at = int(given[-16:], 16)
        if given == _id(call, at, at + step):
            return starts.index(at)
    except ValueError:
        pass
    status = 404 if call.settings.unknown_cursor_is_404 else 400
    raise no_such(FAMILY.noun, given, cursor, status=status)


def _id(call: Call, start: int, end: int) -> str:
    """Return an id that says which summary it is, as Stripe's do: they are not stored."""
    return f"mtrusg_test_{derive(call.ids['id'], call.params['customer'], end, length=24)}{start:016x}"


def _summary(call: Call, meter: Obj, start: int, end: int, rows: Sequence[Row]) -> Obj:
    return {
        **FAMILY.template,
        "id": _id(call, start, end),
        "aggregated_value": json_number(usage.total(meter, rows)),
        "end_time": end,
        "meter": meter["id"],
        "start_time": start,
    }


FAMILY = Family(
    kind="billing.meter_event_summary",
    noun="meter event summary",
    emits_events=False,
    template={
        "object": "billing.meter_event_summary",
        "aggregated_value": 0,
        "end_time": 0,
        "livemode": False,
        "meter": "",
        "start_time": 0,
    },
    routes=(
        Route(
            "GET",
            "/v1/billing/meters/{id}/event_summaries",
            "billing.MeterEventSummaryListParams",
            _list,
            lists=True,
        ),
    ),
)
