"""Calendars walked by hand: slow, and knowing nothing of the code they judge."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)


def local(when: datetime, zone: ZoneInfo) -> datetime:
    """Return what the clocks of a zone show."""
    return when.astimezone(zone).replace(tzinfo=None)


@lru_cache(maxsize=100_000)
def begins(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant at which the clocks show a day or a later one, minute by minute, then by the second."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  what a clock shows has no zone
    when = midnight.replace(tzinfo=UTC) - timedelta(hours=26)
    while local(when, zone) < midnight:
        when += timedelta(minutes=1)
    while local(when - SECOND, zone) >= midnight:
        when -= SECOND
    return when


@lru_cache(maxsize=100_000)
def firsts(near: date, per: str, day: int) -> tuple[date, ...]:
    """Walk day by day and return the first days of the periods around a date."""
    reach = {"day": 3, "week": 16, "month": 70, "year": 800}[per]
    days = [near + timedelta(days=step) for step in range(-reach, reach + 1)]
    if per == "day":
        return tuple(days)
    if per == "week":
        return tuple(each for each in days if each.isoweekday() == 1)
    if per == "year":
        return tuple(each for each in days if (each.month, each.day) == (1, 1))
    return tuple(each for each in days if each.day == min(day, monthrange(each.year, each.month)[1]))


def calendar_period(when: datetime, per: str, zone: ZoneInfo, day: int = 1) -> tuple[datetime, datetime]:
    """Return the day, week, month or year an instant lies in, by the clocks."""
    today = local(when, zone).date()
    around = firsts(today, per, day)
    before, after = [each for each in around if each <= today][-2:], [each for each in around if each > today][:3]
    starts = [begins(each, zone) for each in before + after]
    return max(start for start in starts if start <= when), min(start for start in starts if start > when)


def even_period(when: datetime, zone: ZoneInfo, length: int) -> tuple[datetime, datetime]:
    """Walk second by second to where a period of so many seconds begins and where the next does."""

    def boundary(at: datetime) -> bool:
        shown = local(at, zone)
        jump = int((shown - local(at - SECOND, zone) - SECOND).total_seconds())
        return (shown - datetime(1970, 1, 1)) // SECOND % length == 0 or jump % length != 0  # noqa: DTZ001  no zone

    start = when.replace(microsecond=0)
    while not boundary(start):
        start -= SECOND
    end = when.replace(microsecond=0) + SECOND
    while not boundary(end):
        end += SECOND
    return start, end


def anchored_start(anchor: datetime, interval: str, count: int, number: int) -> datetime:
    """Return the ``number``-th boundary after an anchor: walk the calendar, and cut the day to the month's length."""
    if interval in {"day", "week"}:
        return anchor + timedelta(days=number * count * (7 if interval == "week" else 1))
    year, month = anchor.year, anchor.month
    for _ in range(abs(number) * count * (12 if interval == "year" else 1)):
        month += 1 if number > 0 else -1
        year, month = year + (month > 12) - (month < 1), (month - 1) % 12 + 1
    return anchor.replace(year=year, month=month, day=min(anchor.day, monthrange(year, month)[1]))


def anchored_period(when: datetime, anchor: datetime, interval: str, count: int) -> tuple[datetime, datetime]:
    """Walk from the anchor, forwards or backwards, to the period an instant lies in."""
    number = 0
    while anchored_start(anchor, interval, count, number) > when:
        number -= 1
    while anchored_start(anchor, interval, count, number + 1) <= when:
        number += 1
    return anchored_start(anchor, interval, count, number), anchored_start(anchor, interval, count, number + 1)
