"""The billing periods of a subscription's items: where they lie, where the first one is cut short, and the last one.

Sources: https://docs.stripe.com/billing/subscriptions/billing-cycle and
https://docs.stripe.com/billing/subscriptions/mixed-interval#billing-periods-for-mixed-interval-subscriptions.
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction

from reconciler.sandbox.billing.periods import advance, period_containing
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.errors import out_of_range
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

Period = tuple[int, int]
_MONTHS = 12


def recurring(call: Call, item: Obj) -> Obj:
    """Return the ``recurring`` part of an item's price."""
    found: Obj = must(call, "price", item["price"]).body["recurring"]
    return found


def is_metered(call: Call, item: Obj) -> bool:
    """Tell whether an item is billed for its usage, in arrears."""
    return bool(recurring(call, item)["usage_type"] == "metered")


def whole(call: Call, subscription: Obj, item: Obj, at: int) -> Period:
    """Return the full period around a time, as the anchor lays it, whether or not all of it is billed."""
    each = recurring(call, item)
    return period_containing(subscription["billing_cycle_anchor"], each["interval"], each["interval_count"], at)


def billed(call: Call, subscription: Obj, item: Obj, at: int) -> Period:
    """Return the period around a time that is billed: a trial's, or the full one without what lies outside.

    Nothing is billed before the subscription's present run of periods began, nor after the time it is to end.
    """
    trial_end = subscription["trial_end"]
    if subscription["status"] == "trialing" and trial_end is not None and at < trial_end:
        return subscription["_since"], trial_end
    start, end = whole(call, subscription, item, at)
    ends: int | None = subscription["cancel_at"]
    return max(start, subscription["_since"]), (min(end, ends) if ends is not None and ends > at else end)


def placed(call: Call, subscription: Obj, item: Obj, at: int) -> Obj:
    """Return the item in the period around a time."""
    start, end = billed(call, subscription, item, at)
    return {**item, "current_period_start": start, "current_period_end": end}


def spans(call: Call, subscription: Obj, item: Obj, until: int) -> Iterator[Period]:
    """Yield the periods from the beginning of the present run up to the one that holds ``until``, that one included."""
    at = subscription["_since"]
    while at <= until:
        period = billed(call, subscription, item, at)
        yield period
        at = period[1]


def share(part: Period, of: Period) -> Fraction:
    """Return a time as a fraction of a full period."""
    return Fraction(part[1] - part[0], of[1] - of[0])


def intervals(call: Call, item: Obj, span: Period) -> Fraction:
    """Return a time in intervals of an item's price that begin with it, as classic mode counts backdated time.

    Whether the first one measures all of it, or full intervals are counted, is a setting.
    """
    each = recurring(call, item)
    steps = 0
    if call.settings.backdated_time_in_full_intervals:
        while advance(span[0], each["interval"], each["interval_count"], steps + 1) <= span[1]:
            steps += 1
    begun, end = (advance(span[0], each["interval"], each["interval_count"], step) for step in (steps, steps + 1))
    return steps + share((begun, span[1]), (begun, end))


def mirrored(subscription: Obj, items: Sequence[Obj]) -> Obj:
    """Return the subscription with what only its items know and its lists and its time need."""
    return {
        **subscription,
        "_period_start": max(item["current_period_start"] for item in items),
        "_period_end": min(item["current_period_end"] for item in items),
        "_prices": sorted({item["price"] for item in items}),
    }


def anchor_by_config(call: Call, config: Mapping[str, int], count: int, start: int) -> int:
    """Return the next time of the given day, month, hour, minute and second, in a month that has such a day.

    Without a ``month``, months are tried in steps of the price's ``count``
    (https://docs.stripe.com/billing/subscriptions/billing-cycle#use-billing_cycle_anchor_config).
    """
    for name, least, most in _BOUNDS:
        if not least <= config.get(name, least) <= most:
            bound = {"least": least} if config[name] < least else {"most": most}
            raise out_of_range(f"billing_cycle_anchor_config[{name}]", config[name], **bound)
    now = datetime.fromtimestamp(max(start, call.now), UTC)
    clock = {name: config.get(name, getattr(now, name)) for name in ("hour", "minute", "second")}
    first = now.replace(day=1, **clock)
    step = 1 if "month" in config else count
    month = first.year * _MONTHS + first.month - 1
    while True:
        year, index = divmod(month, _MONTHS)
        fits = config["day_of_month"] <= monthrange(year, index + 1)[1]
        if config.get("month", index + 1) == index + 1 and (fits or "month" in config):
            day = min(config["day_of_month"], monthrange(year, index + 1)[1])
            found = first.replace(year=year, month=index + 1, day=day)
            if found > now:
                return int(found.timestamp())
        month += step


_BOUNDS = (("day_of_month", 1, 31), ("month", 1, 12), ("hour", 0, 23), ("minute", 0, 59), ("second", 0, 59))
