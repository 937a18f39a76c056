"""Rates: the generic cell rate algorithm, exact in integers, one cell per limit (ITU-T I.371; Turner 1986).

Time is counted in microseconds times ``max``, so that ``max`` calls in a period need no fraction.
"""

from typing import NamedTuple

from reconciler.entitlements.decision import Reason
from reconciler.entitlements.kinds.bounds import Ask, Bound, Refusal
from reconciler.entitlements.policy import Limit
from reconciler.ledger.book import Book


class Rate(NamedTuple):
    """At most ``burst`` at one instant, refilled at ``limit.max`` per ``period`` microseconds, for all it is of."""

    id: str
    limit: Limit
    meter: str | None
    period: int

    def weigh(self, book: Book, now: int, ask: Ask) -> tuple[int, Bound] | Refusal:
        """Return the cell's new arrival time and what is left, or the refusal with the time to wait."""
        number = ask.of(self.meter)
        limit, period = self.limit, self.period
        instant, capacity = now * limit.max, limit.burst * period
        arrival = min(max(book.cells.get(self.id, 0), instant), instant + capacity)
        after = arrival + number * period
        over = after - instant - capacity
        if over > 0:
            wait = -(-over // limit.max) if number <= limit.burst else None
            left = (instant + capacity - arrival) // period
            at = None if wait is None else now + wait
            return Refusal(
                Reason.RATE_LIMITED, limit.source, limit.of, left, limit.burst, at, wait, upgrade=limit.upgrade_to
            )
        left = -over // period
        bound = (left // (number or 1), left, limit.burst, limit.of, None, limit.source)
        return after, tuple.__new__(Bound, bound)
