"""Periods of time: calendar ones in a zone, and those of a subscription counted from its anchor.

Half-open: ``[start, end)``, in microseconds since 1970, UTC. Local midnights that a change of the clocks skips begin
at the first instant after the gap; those it repeats begin at the first of the two. Months are counted from the
original anchor, so 31 January is followed by 28 February and then by 31 March.
"""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo

SECOND = 1_000_000
#: Periods whose length is always the same, where no calendar matters, in microseconds.
LENGTH = {
    "second": SECOND,
    "minute": 60 * SECOND,
    "hour": 3600 * SECOND,
    "day": 86_400 * SECOND,
    "week": 604_800 * SECOND,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = {"month": 1, "year": 12}


class Period(Protocol):
    """Says in which period an instant lies."""

    def at(self, now: int) -> tuple[int, int]:
        """Return start and end of the period an instant lies in."""


def micros(instant: datetime) -> int:
    """Return an aware instant in microseconds, exactly."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def instant(value: int) -> datetime:
    """Return microseconds as an instant in UTC."""
    return _EPOCH + timedelta(microseconds=value)


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its IANA name."""
    return UTC if name == "UTC" else ZoneInfo(name)


class Calendar:
    """Periods of the calendar in a zone; months and years may begin on a day of the month, clamped to its length.

    The last period that was asked for is kept: most instants lie in it.
    """

    __slots__ = ("_day", "_last", "_per", "_zone")

    def __init__(self, per: str, zone: tzinfo = UTC, day: int = 1) -> None:
        self._per = per
        self._zone = zone
        self._day = day
        self._last = (0, 0)

    def at(self, now: int) -> tuple[int, int]:
        """Return start and end of the period an instant lies in."""
        last = self._last
        if last[0] <= now < last[1]:
            return last
        self._last = found = self._find(now)
        return found

    def _find(self, now: int) -> tuple[int, int]:
        if self._per in {"second", "minute", "hour"}:
            return self._even(now, LENGTH[self._per])
        first = self._first(instant(now).astimezone(self._zone).date())
        start, end = self._midnight(first), self._midnight(self._step(first, 1))
        while now >= end:
            # The clocks were set back over midnight: the old day is read again, the new one has begun.
            first = self._step(first, 1)
            start, end = end, self._midnight(self._step(first, 1))
        return start, end

    def _even(self, now: int, length: int) -> tuple[int, int]:
        """Count from the zone's own offset, so that hours of zones off by half an hour begin with theirs.

        Where the clocks are set by a part of the length, one period ends with the old offset and another begins.
        """
        offset = _offset(now, self._zone)
        start = now - (now + offset) % length
        end = start + length
        if (_offset(start, self._zone) - offset) % length:
            start = _change(start, now, self._zone)
        if (_offset(end - 1, self._zone) - offset) % length:
            end = _change(now, end - 1, self._zone)
        return start, end

    def _first(self, day: date) -> date:
        """Return the first day of the period that a day belongs to."""
        if self._per == "day":
            return day
        if self._per == "week":
            return day - timedelta(days=day.weekday())
        if self._per == "year":
            return date(day.year, 1, 1)
        first = _clamped(day.year, day.month, self._day)
        return first if first <= day else self._step(first, -1)

    def _step(self, first: date, count: int) -> date:
        if self._per == "day":
            return first + timedelta(days=count)
        if self._per == "week":
            return first + timedelta(days=7 * count)
        if self._per == "year":
            return date(first.year + count, 1, 1)
        month = first.year * 12 + first.month - 1 + count
        return _clamped(month // 12, month % 12 + 1, self._day)

    def _midnight(self, day: date) -> int:
        return _local(datetime(day.year, day.month, day.day), self._zone)  # noqa: DTZ001  the zone is put on below


def _clamped(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, monthrange(year, month)[1]))


def _local(naive: datetime, zone: tzinfo) -> int:
    """Return a local time as an instant; in a gap the first instant after it, in an overlap the first of the two."""
    aware = naive.replace(tzinfo=zone, fold=0)
    back = aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    if back == naive:
        return micros(aware)
    return _end_of_gap(naive, zone)


def _end_of_gap(naive: datetime, zone: tzinfo) -> int:
    """Return the instant at which the clocks jumped over a local time; its two readings lie on either side of it."""
    early, late = sorted(micros(naive.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    return _change(early, late, zone)


def _offset(now: int, zone: tzinfo) -> int:
    """Return what a zone's clocks are ahead of UTC, in microseconds."""
    offset = instant(now).astimezone(zone).utcoffset()
    return 0 if offset is None else offset // timedelta(microseconds=1)


def _change(early: int, late: int, zone: tzinfo) -> int:
    """Return the instant of the one change of the clocks between two, the late one already after it; to the second."""
    low, high, before = early // SECOND, late // SECOND, _offset(early, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle * SECOND, zone) == before:
            low = middle
        else:
            high = middle
    return high * SECOND


class Anchored:
    """Periods of so many intervals counted from an anchor, in UTC, as Stripe bills them.

    https://docs.stripe.com/billing/subscriptions/billing-cycle: a day that a month does not have is its last one.
    """

    __slots__ = ("_anchor", "_count", "_interval", "_last")

    def __init__(self, anchor: int, interval: str = "month", count: int = 1) -> None:
        self._anchor = anchor
        self._interval = interval
        self._count = count
        self._last = (0, 0)

    def at(self, now: int) -> tuple[int, int]:
        """Return start and end of the period an instant lies in; before the anchor there are periods too."""
        last = self._last
        if last[0] <= now < last[1]:
            return last
        number = self._guess(now)
        while self._start(number) > now:
            number -= 1
        while self._start(number + 1) <= now:
            number += 1
        self._last = found = (self._start(number), self._start(number + 1))
        return found

    def _guess(self, now: int) -> int:
        if self._interval in LENGTH:
            return (now - self._anchor) // (LENGTH[self._interval] * self._count)
        then, here = instant(self._anchor), instant(now)
        months = (here.year - then.year) * 12 + here.month - then.month
        return months // (_MONTHS[self._interval] * self._count)

    def _start(self, number: int) -> int:
        if self._interval in LENGTH:
            return self._anchor + number * LENGTH[self._interval] * self._count
        anchor = instant(self._anchor)
        month = anchor.year * 12 + anchor.month - 1 + number * _MONTHS[self._interval] * self._count
        day = _clamped(month // 12, month % 12 + 1, anchor.day)
        return micros(anchor.replace(year=day.year, month=day.month, day=day.day))


def anchor_of(start: int, end: int, known: int | None) -> int:
    """Return the anchor of the billing cycle a period is of: the known one where both its ends fit, else its own.

    Of the two ends the one fits that a short month has not moved: 28 February to 31 March is anchored at the end. A
    period that is no whole number of months, as a trial or weeks, is anchored at its start.
    """
    for anchor in (start, end) if known is None else (known, start, end):
        months = Anchored(anchor)
        if months.at(start)[0] == start and months.at(end)[0] == end:
            return anchor
    return start
