"""Billing intervals, counted from an anchor in UTC: the time of day stays, and the day where the month has it.

https://docs.stripe.com/billing/subscriptions/billing-cycle
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import count

#: From an instant, up to but without another one.
Period = tuple[datetime, datetime]

_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "year": 12}
_SECOND = timedelta(seconds=1)


def later(anchor: datetime, interval: str, steps: int) -> datetime:
    """Return the time so many days, weeks, months or years after an anchor."""
    if interval in _DAYS:
        return anchor + timedelta(days=steps * _DAYS[interval])
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + steps * _MONTHS[interval], 12)
    return anchor.replace(year=year, month=month + 1, day=min(anchor.day, monthrange(year, month + 1)[1]))


def intervals(anchor: datetime, interval: str, each: int, until: datetime) -> Iterator[Period]:
    """Yield the periods of so many intervals from the anchor on, those that begin before ``until``."""
    for step in count():
        start = later(anchor, interval, step * each)
        if start >= until:
            return
        yield start, later(anchor, interval, (step + 1) * each)


def share(part: Period, whole: Period) -> Fraction:
    """Return how much of a period a part of it is, by the second."""
    return Fraction((part[1] - part[0]) // _SECOND, (whole[1] - whole[0]) // _SECOND)
