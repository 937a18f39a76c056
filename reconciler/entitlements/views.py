"""What a tenant has, for people and dashboards: lots, holds, included units, limits."""

from typing import Any, NamedTuple

from reconciler.entitlements.kinds.quota import Quota, counted
from reconciler.entitlements.kinds.rate import Rate
from reconciler.entitlements.standing import Subscription
from reconciler.entitlements.terms import Terms
from reconciler.ledger.book import Book


class LotView(NamedTuple):
    """One lot, amounts in millionths of a credit, instants in microseconds."""

    id: str
    granted: int
    remaining: int
    priority: int
    expires: int | None
    reason: str


class Allowance(NamedTuple):
    """``used`` of ``limit`` in a period that ends at ``resets_at``; of a rate, which has none, what is not refilled."""

    of: str
    kind: str
    used: int
    limit: int
    resets_at: int | None
    source: str


class Balance(NamedTuple):
    """A tenant's position: plan, subscription, ``credits`` to spend and ``held``, lots in the order of spending."""

    tenant: str
    plan: str | None
    subscription: Subscription | None
    refused: str | None
    credits: int
    held: int
    lots: tuple[LotView, ...]
    allowances: tuple[Allowance, ...]
    seq: int

    def as_json(self) -> dict[str, Any]:
        """Return the balance as JSON values."""
        found = self._asdict()
        found["subscription"] = self.subscription and self.subscription._asdict()
        found["lots"] = [lot._asdict() for lot in self.lots]
        found["allowances"] = [allowance._asdict() for allowance in self.allowances]
        return found


def balance_of(book: Book, terms: Terms, now: int) -> Balance:
    """Return a tenant's position by a settled book."""
    standing = terms.standing
    return Balance(
        book.tenant,
        standing.plan.id if standing.plan else None,
        terms.subscription,
        terms.inactive(now),
        book.credits,
        book.held,
        tuple(LotView(lot.id, lot.granted, lot.remaining, lot.priority, lot.expires, lot.reason) for lot in book.order),
        (*_lines(book, terms, now), *_limits(book, terms, now)),
        book.seq,
    )


def _lines(book: Book, terms: Terms, now: int) -> list[Allowance]:
    found = []
    for line, id, period in terms.usage_lines(terms.lines):  # noqa: A001  the word for it everywhere
        _, end, used = counted(book, id, period, now)
        found.append(Allowance(line.meter, "included", used, line.included, end, line.source))
    return found


def _limits(book: Book, terms: Terms, now: int) -> list[Allowance]:
    found = []
    for bound in terms.bounds():
        limit = bound.limit
        if isinstance(bound, Quota):
            _, end, used = counted(book, bound.id, bound.period, now)
            found.append(Allowance(limit.of, "quota", used, limit.max, end, limit.source))
        elif isinstance(bound, Rate):
            pending = max(book.cells.get(bound.id, 0) - now * limit.max, 0)
            used = min(-(-pending // bound.period), limit.burst)
            found.append(Allowance(limit.of, "rate", used, limit.burst, None, limit.source))
    return found
