"""Periods against clocks that are read: an oracle that walks, second by second or day by day, and asks nothing else.

Time zones are those of the IANA database, from 1970 on. A calendar period begins at the first instant at which the
local clock shows its first day or a later one; an hour, where it shows a full hour or is set by part of one.
"""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from reconciler.entitlements.periods import Anchored, Calendar, anchor_of, instant, micros, zone_of

from .calendars import SECOND, anchored_start, calendar_period, even_period

#: Half an hour of daylight saving; no midnight once a year; quarter hours; a day that never was; midnight twice; none.
CURIOUS = (
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/St_Johns",
    "America/Havana",
    "Asia/Beirut",
    "Africa/Cairo",
    "Antarctica/Troll",
    "Asia/Pyongyang",
    "Pacific/Kwajalein",
    "Europe/Berlin",
    "America/New_York",
    "Africa/Casablanca",
    "UTC",
)
ALL = tuple(sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc", "posix"))))
BEGIN, END = datetime(1970, 1, 3, tzinfo=UTC), datetime(2045, 1, 1, tzinfo=UTC)
INSTANTS = st.datetimes(BEGIN.replace(tzinfo=None), END.replace(tzinfo=None)).map(lambda when: when.replace(tzinfo=UTC))


@cache
def changes(zone: str) -> tuple[datetime, ...]:
    """Return the instants at which the clocks of a zone are set, to the second."""
    clock, found, when = ZoneInfo(zone), [], BEGIN
    while when < END:
        later = when + timedelta(days=7)
        if when.astimezone(clock).utcoffset() != later.astimezone(clock).utcoffset():
            low, high = when, later
            while high - low > SECOND:
                middle = low + timedelta(seconds=(high - low) // SECOND // 2)
                same = middle.astimezone(clock).utcoffset() == low.astimezone(clock).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high)
        when = later
    return tuple(found)


@st.composite
def moments(draw: Callable[..., object]) -> tuple[str, datetime]:
    """Draw a zone and an instant, mostly near a change of its clocks or the end of a month."""
    zone = draw(st.sampled_from(CURIOUS) | st.sampled_from(ALL))
    assert isinstance(zone, str)
    near = changes(zone)
    seconds = draw(st.integers(-100_000, 100_000) | st.sampled_from([-3600, -1801, -1800, -1, 0, 1, 1799, 1800, 3600]))
    if near and draw(st.booleans()):
        return zone, draw(st.sampled_from(near)) + timedelta(seconds=seconds)  # type: ignore[operator, arg-type]
    if draw(st.booleans()):
        year, month = draw(st.integers(1971, 2040)), draw(st.integers(1, 12))
        return zone, datetime(year, month, 1, tzinfo=UTC) + timedelta(seconds=seconds)  # type: ignore[arg-type]
    return zone, draw(INSTANTS)  # type: ignore[return-value]


@pytest.mark.parametrize("per", ["day", "week", "month", "year"])
@given(moment=moments(), day=st.sampled_from([1, 1, 15, 28, 29, 30, 31]))
@example(moment=("America/St_Johns", datetime(2006, 10, 29, 2, 45, tzinfo=UTC)), day=29)
@example(moment=("Pacific/Apia", datetime(2011, 12, 30, 10, 0, tzinfo=UTC)), day=31)
@example(moment=("America/Sao_Paulo", datetime(2018, 11, 4, 3, 0, tzinfo=UTC)), day=4)
def test_calendar_periods_are_what_the_clocks_show(moment: tuple[str, datetime], day: int, per: str) -> None:
    """Days, weeks, months and years of any zone begin at the first instant its clocks show them, and never again."""
    name, when = moment
    period = Calendar(per, zone_of(name), day if per == "month" else 1)
    start, end = calendar_period(when, per, ZoneInfo(name), day if per == "month" else 1)
    assert period.at(micros(when)) == (micros(start), micros(end))


@given(moments(), st.sampled_from([("hour", 3600), ("minute", 60), ("second", 1)]))
@example(("Australia/Lord_Howe", datetime(2027, 4, 3, 15, 10, tzinfo=UTC)), ("hour", 3600))
@example(("Australia/Lord_Howe", datetime(2027, 10, 2, 15, 29, 59, tzinfo=UTC)), ("hour", 3600))
def test_hours_begin_with_the_clocks_own(moment: tuple[str, datetime], length: tuple[str, int]) -> None:
    """Hours, minutes and seconds of any zone are those of its clocks, cut where these are set by part of one."""
    name, when = moment
    start, end = even_period(when, ZoneInfo(name), length[1])
    assert Calendar(length[0], zone_of(name)).at(micros(when)) == (micros(start), micros(end))


@given(
    moments(),
    st.sampled_from(["second", "minute", "hour", "day", "week", "month", "year"]),
    st.integers(1, 31),
    st.integers(0, 999_999),
)
def test_calendar_periods_follow_each_other(moment: tuple[str, datetime], per: str, day: int, micro: int) -> None:
    """Every instant lies in one period: the same at its first and last microsecond, the next one right behind it."""
    name, when = moment
    period = Calendar(per, zone_of(name), day)
    now = micros(when) + micro
    start, end = period.at(now)
    assert start <= now < end
    assert Calendar(per, zone_of(name), day).at(start) == (start, end)
    assert period.at(end - 1) == (start, end)
    assert period.at(end)[0] == end
    assert period.at(start - 1)[1] == start
    assert period.at(now) == (start, end)


@pytest.mark.parametrize(
    ("anchor", "interval", "count", "following"),
    [
        ("2027-01-31", "month", 1, ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        ("2028-01-30", "month", 1, ["2028-02-29", "2028-03-30", "2028-04-30"]),
        ("2027-01-29", "month", 1, ["2027-02-28", "2027-03-29", "2027-04-29"]),
        ("2028-02-29", "year", 1, ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        ("2027-11-30", "month", 3, ["2028-02-29", "2028-05-30", "2028-08-30"]),
        ("2027-06-03", "week", 1, ["2027-06-10", "2027-06-17"]),
        ("2028-02-28", "day", 1, ["2028-02-29", "2028-03-01"]),
    ],
)
def test_an_anchor_is_not_moved_by_a_short_month(anchor: str, interval: str, count: int, following: list[str]) -> None:
    """31 January, 28 February, 31 March (https://docs.stripe.com/billing/subscriptions/billing-cycle)."""
    begun = datetime.fromisoformat(anchor).replace(hour=9, minute=30, tzinfo=UTC)
    period, end, found = Anchored(micros(begun), interval, count), micros(begun), []
    for _ in following:
        end = period.at(end)[1]
        found.append(instant(end))
    assert [f"{when:%Y-%m-%d}" for when in found] == following
    assert {f"{when:%H:%M}" for when in found} == {"09:30"}


@given(INSTANTS, st.sampled_from(["day", "week", "month", "year"]), st.integers(1, 13), st.integers(-40, 40), st.data())
def test_anchored_periods_are_counted_from_the_anchor(
    anchor: datetime, interval: str, count: int, number: int, data: st.DataObject
) -> None:
    """The n-th period runs from the n-th boundary to the next, before the anchor too, wherever in it one asks."""
    assume(1971 < anchor.year + number * count * (interval == "year") < 2900)
    start, end = (anchored_start(anchor, interval, count, each) for each in (number, number + 1))
    period = Anchored(micros(anchor), interval, count)
    now = data.draw(st.integers(micros(start), micros(end) - 1))
    for asked in (now, micros(start), micros(end) - 1, now):
        assert period.at(asked) == (micros(start), micros(end))
    assert period.at(micros(end))[0] == micros(end)
    assert period.at(micros(start) - 1)[1] == micros(start)


@given(INSTANTS, st.integers(-30, 30), st.lists(st.integers(0, 3), max_size=4))
@example(datetime(2027, 1, 31, 9, 30, tzinfo=UTC), 1, [0, 0, 0])
@example(datetime(2027, 1, 31, 9, 30, tzinfo=UTC), 3, [0, 0, 0])
@example(datetime(2028, 1, 30, tzinfo=UTC), 1, [0])
def test_months_are_told_by_any_of_their_periods(anchor: datetime, first: int, gaps: list[int]) -> None:
    """From the first period one hears of, whichever it is, every period is the one Stripe bills, whatever is missed."""
    assume(1975 < anchor.year < 2890)
    known, number = None, first
    for gap in (0, *gaps):
        number += gap
        start, end = (micros(anchored_start(anchor, "month", 1, each)) for each in (number, number + 1))
        known = anchor_of(start, end, known)
        for other in range(number - 13, number + 14):
            begun = micros(anchored_start(anchor, "month", 1, other))
            assert Anchored(known).at(begun)[0] == begun


@given(INSTANTS, st.sampled_from([2, 3, 6, 12]), st.integers(1, 24))
def test_a_known_anchor_outlives_short_months(anchor: datetime, months: int, following: int) -> None:
    """Quarters and years of an anchor that was heard of once are counted from it, through months that lack its day."""
    assume(1975 < anchor.year < 2800)
    starts = [micros(anchored_start(anchor, "month", months, number)) for number in range(following + 2)]
    known = micros(anchor)
    for start, end in itertools.pairwise(starts):
        known = anchor_of(start, end, known)
    assert known == micros(anchor)


@pytest.mark.parametrize(
    ("period", "known", "anchor"),
    [
        (("2027-03-15", "2027-04-15"), "2027-01-31", "2027-03-15"),
        (("2027-02-28", "2027-03-28"), "2027-01-31", "2027-02-28"),
        (("2027-02-28", "2027-03-31"), None, "2027-03-31"),
        (("2027-01-10", "2027-01-24"), None, "2027-01-10"),
        (("2027-01-24", "2027-02-24"), "2027-01-10", "2027-01-24"),
        (("2027-01-31", "2027-02-07"), "2027-01-24", "2027-01-31"),
    ],
    ids=["moved", "moved to a last day", "seen at its end", "trial", "after a trial", "weeks"],
)
def test_a_period_that_does_not_fit_has_an_anchor_of_its_own(
    period: tuple[str, str], known: str | None, anchor: str
) -> None:
    """A cycle that was moved is not held to the anchor from before; a trial or weeks are counted from their start."""
    start, end = map(midnight, period)
    assert anchor_of(start, end, known and midnight(known)) == midnight(anchor)


def midnight(day: str) -> int:
    """Return the beginning of a day in UTC, in microseconds."""
    return micros(datetime.fromisoformat(day).replace(tzinfo=UTC))
