"""Quotas: so many calls or units in a period that begins anew, however they are paid."""

from typing import NamedTuple

from reconciler.entitlements.decision import Reason
from reconciler.entitlements.kinds.bounds import CALLS, Ask, Bound, Count, Refusal
from reconciler.entitlements.periods import Period
from reconciler.entitlements.policy import Limit
from reconciler.ledger.book import Book


def counted(book: Book, id: str, period: Period, now: int) -> tuple[int, int, int]:  # noqa: A002  the word for it everywhere
    """Return start and end of the period a counter is in, and its count; a clock that goes back starts nothing anew."""
    start, end = period.at(now)
    held = book.counters.get(id)
    if held is None or held[0] < start:
        return start, end, 0
    if held[0] > start:
        return held[0], period.at(held[0])[1], held[1]
    return start, end, held[1]


class Quota(NamedTuple):
    """At most ``limit.max`` in each period; a call is counted in the period it is made in."""

    id: str
    limit: Limit
    meter: str | None
    period: Period

    def weigh(self, book: Book, now: int, ask: Ask, *, forced: bool = False) -> tuple[Count, Bound] | Refusal:
        """Return what would be counted and what is left, or the refusal with the instant of the reset.

        A ``forced`` call was made already: it is counted, whatever is left.
        """
        number = ask.of(self.meter)
        start, end, used = counted(book, self.id, self.period, now)
        limit = self.limit
        left = limit.max - used - number
        if left < 0 and not forced:
            remaining = max(limit.max - used, 0)
            reason, source = Reason.QUOTA_EXCEEDED, limit.source
            wait = end - now if number <= limit.max else None
            return Refusal(reason, source, limit.of, remaining, limit.max, end, wait, -left, limit.upgrade_to)
        count = tuple.__new__(Count, (self.id, start, number, self.meter or CALLS))
        return count, tuple.__new__(Bound, (left // (number or 1), left, limit.max, limit.of, end, limit.source))
