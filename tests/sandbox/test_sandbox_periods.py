"""Billing periods against the calendar (https://docs.stripe.com/billing/subscriptions/billing-cycle)."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.sandbox.billing.periods import advance, period_containing

ANCHORS = st.datetimes(datetime(1999, 1, 1), datetime(2060, 1, 1)).map(  # noqa: DTZ001  Hypothesis wants naive bounds
    lambda time: int(time.replace(microsecond=0, tzinfo=UTC).timestamp())
)
INTERVALS = st.sampled_from(["day", "week", "month", "year"])


def stamp(text):
    """Return Unix seconds of an ISO time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def day(seconds):
    """Return the date of Unix seconds in UTC."""
    return datetime.fromtimestamp(seconds, UTC).date()


def months_later(start, months):
    """Walk the calendar one month at a time: the oracle."""
    year, month = start.year, start.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return date(year, month, min(start.day, monthrange(year, month)[1]))


@pytest.mark.parametrize(
    ("anchor", "interval", "count", "expected"),
    [
        ("2027-01-31", "month", 1, ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        ("2028-01-30", "month", 1, ["2028-02-29", "2028-03-30", "2028-04-30"]),
        ("2028-02-29", "year", 1, ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        ("2027-11-30", "month", 3, ["2028-02-29", "2028-05-30", "2028-08-30"]),
        ("2027-12-30", "week", 2, ["2028-01-13", "2028-01-27"]),
        ("2028-02-28", "day", 1, ["2028-02-29", "2028-03-01"]),
    ],
)
def test_short_months_do_not_move_the_anchor(anchor, interval, count, expected):
    """Every boundary is counted from the anchor: a short month cuts one boundary, not those after it."""
    found = [advance(stamp(anchor), interval, count, steps) for steps in range(1, len(expected) + 1)]
    assert [str(day(at)) for at in found] == expected


@given(ANCHORS, st.integers(0, 60))
def test_months_are_the_calendars(anchor, months):
    """A number of months later is what walking the calendar says, at the same time of day."""
    later = advance(anchor, "month", 1, months)
    assert day(later) == months_later(day(anchor), months)
    assert later % 86_400 == anchor % 86_400


@given(ANCHORS, st.integers(0, 200), st.integers(1, 9))
def test_days_and_weeks_have_one_length(anchor, steps, count):
    """UTC has no clock changes: a day is 86 400 seconds, a week seven of them."""
    assert advance(anchor, "day", count, steps) == anchor + 86_400 * count * steps
    assert day(advance(anchor, "week", count, steps)) == day(anchor) + timedelta(weeks=count * steps)


@given(ANCHORS, INTERVALS, st.integers(1, 9), st.integers(-40, 40), st.integers(-40, 40))
def test_boundaries_are_in_order(anchor, interval, count, one, other):
    """More steps are later, and a year is twelve months."""
    earlier, later = sorted((one, other))
    assert advance(anchor, interval, count, earlier) <= advance(anchor, interval, count, later)
    assert advance(anchor, "year", 1, one) == advance(anchor, "month", 12, one)


@given(ANCHORS, INTERVALS, st.integers(1, 36), st.integers(-(10**9), 2 * 10**9))
def test_periods_tile_time(anchor, interval, count, distance):
    """Every time lies in exactly one period, the next period begins where it ends."""
    at = anchor + distance
    start, end = period_containing(anchor, interval, count, at)
    assert start <= at < end
    assert period_containing(anchor, interval, count, start) == (start, end)
    assert period_containing(anchor, interval, count, end)[0] == end
    assert period_containing(anchor, interval, count, end - 1) == (start, end)
