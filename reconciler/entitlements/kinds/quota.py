"""Quotas: so many calls or units in a period that begins anew, however they are paid."""

from typing import NamedTuple

from reconciler.entitlements.decision import Reason
from reconciler.entitlements.kinds.bounds import CALLS, Ask, Bound, Count, Refusal
from reconciler.entitlements.periods import Period
from reconciler.entitlements.policy import Limit
from reconciler.ledger.book import Book


def counted(book: Book, id: str, start: int) -> tuple[int, int]:  # noqa: A002  the word for it everywhere
    """Return the start of the period a counter is in and its count; a clock that goes back starts nothing anew."""
    held = book.counters.get(id)
    if held is None or held[0] < start:
        return start, 0
    return held[0], held[1]


class Quota(NamedTuple):
    """At most ``limit.max`` in each period; a call is counted in the period it is made in."""

    id: str
    limit: Limit
    meter: str | None
    period: Period

    def weigh(self, book: Book, now: int, ask: Ask) -> tuple[Count, Bound] | Refusal:
        """Return what would be counted and what is left, or the refusal with the instant of the reset."""
        number = ask.of(self.meter)
        start, end = self.period.at(now)
        start, used = counted(book, self.id, start)
        limit = self.limit
        left = limit.max - used - number
        if left < 0:
            remaining = max(limit.max - used, 0)
            reason, source = Reason.QUOTA_EXCEEDED, limit.source
            wait = end - now if number <= limit.max else None
            return Refusal(reason, source, limit.of, remaining, limit.max, end, wait, -left, limit.upgrade_to)
        count = Count(self.id, start, number, self.meter or CALLS)
        return count, Bound(left // (number or 1), left, limit.max, limit.of, end, limit.source)
