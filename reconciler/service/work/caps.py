"""When credits may be bought for a tenant by itself: caps, cool-down, one at a time. Pure."""

from collections.abc import Sequence
from datetime import UTC
from typing import NamedTuple

from reconciler.entitlements.periods import LENGTH, Calendar

_MONTHS = Calendar("month", UTC)
#: A cool-down that was doubled goes no further than this, in microseconds.
LONGEST_COOL_DOWN = LENGTH["day"]


class Caps(NamedTuple):
    """At most ``burst`` packs in any ``within`` microseconds and ``monthly`` in a month of the calendar in UTC.

    After a failure nothing is bought for ``cool_down`` microseconds, and twice as long after each further one in a row.
    """

    monthly: int
    burst: int = 3
    within: int = 10 * LENGTH["minute"]
    cool_down: int = LENGTH["hour"]


class Attempt(NamedTuple):
    """A purchase made for a tenant: ``open`` until it is known to be ``paid``, ``failed``, or ``dropped`` unsent."""

    number: int
    state: str
    started: int
    ended: int | None = None


#: States in which money was taken, or may be.
_TAKEN = frozenset({"open", "paid"})


def since(now: int, caps: Caps) -> int:
    """Return the instant from which on attempts count for anything."""
    return min(month(now), now - caps.within, now - 7 * LENGTH["day"])


def month(now: int) -> int:
    """Return when the month began, in microseconds."""
    return _MONTHS.at(now)[0]


def why_not(attempts: Sequence[Attempt], caps: Caps, consented: int, now: int) -> str | None:
    """Return why nothing may be bought now, ``None`` where it may; ``consented`` is the tenant's own monthly cap.

    ``attempts`` are those that began at :func:`since` or later, and every open one, in their order.
    """
    if any(attempt.state == "open" for attempt in attempts):
        return "in_flight"
    taken = [attempt.started for attempt in attempts if attempt.state in _TAKEN]
    if sum(started > now - caps.within for started in taken) >= caps.burst:
        return "burst_cap"
    if sum(started >= month(now) for started in taken) >= min(caps.monthly, consented):
        return "monthly_cap"
    if now < cool_until(attempts, caps):
        return "cool_down"
    return None


def cool_until(attempts: Sequence[Attempt], caps: Caps) -> int:
    """Return until when nothing is bought because of failures since the last purchase that went well."""
    row = 0
    ended = 0
    for attempt in attempts:
        if attempt.state == "failed":
            row += 1
            ended = attempt.ended if attempt.ended is not None else attempt.started
        elif attempt.state == "paid":
            row = 0
    if not row:
        return 0
    return ended + min(caps.cool_down << min(row - 1, 16), max(LONGEST_COOL_DOWN, caps.cool_down))
