"""Billing periods: UTC calendar arithmetic from an anchor.

A subscription keeps the day of its anchor and bills on the last day of months that are shorter
(https://docs.stripe.com/billing/subscriptions/billing-cycle): an anchor on January 31 bills on February 28 or 29, then
on March 31 again, because every boundary is counted from the anchor and never from the boundary before.
"""

from calendar import monthrange
from datetime import UTC, datetime

from reconciler.sandbox.errors import invalid
from reconciler.sandbox.params import LATEST

DAY_SECONDS = 86_400
_SECONDS = {"day": DAY_SECONDS, "week": 7 * DAY_SECONDS}
_MONTHS = {"month": 1, "year": 12}
_MOST_MONTHS = 12 * 1000


def advance(anchor: int, interval: str, count: int, steps: int) -> int:
    """Return ``anchor`` plus ``steps`` times ``count`` intervals: the time of day kept, the day cut to the month's.

    What leads beyond the times that can be counted with is refused.
    """
    if interval in _SECONDS:
        reached = anchor + steps * count * _SECONDS[interval]
    else:
        months = steps * count * _MONTHS[interval]
        reached = _plus_months(anchor, months) if abs(months) < _MOST_MONTHS else LATEST
    if reached >= LATEST:
        raise invalid(f"{steps * count} {interval}s lead beyond the times that can be counted with.")
    return reached


def period_containing(anchor: int, interval: str, count: int, at: int) -> tuple[int, int]:
    """Return the period ``[start, end)`` with ``start <= at < end``; times before the anchor have periods too."""
    step = _about(anchor, interval, count, at)
    while advance(anchor, interval, count, step) > at:
        step -= 1
    while advance(anchor, interval, count, step + 1) <= at:
        step += 1
    return advance(anchor, interval, count, step), advance(anchor, interval, count, step + 1)


def _plus_months(anchor: int, months: int) -> int:
    start = datetime.fromtimestamp(anchor, UTC)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def _about(anchor: int, interval: str, count: int, at: int) -> int:
    """Return a number of steps that is right or one off."""
    if interval in _SECONDS:
        return (at - anchor) // (count * _SECONDS[interval])
    start, end = datetime.fromtimestamp(anchor, UTC), datetime.fromtimestamp(at, UTC)
    return ((end.year - start.year) * 12 + end.month - start.month) // (count * _MONTHS[interval])
