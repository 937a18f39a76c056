"""Prices per call, by the number of the call in its month; the charge goes through the spend meter of its currency."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from reconciler.entitlements.kinds.bounds import CALLS, Ask, Count, Payment
from reconciler.entitlements.kinds.quota import counted
from reconciler.entitlements.periods import Period
from reconciler.entitlements.policy import Step
from reconciler.ledger.book import Book


def charge(steps: Sequence[Step] | Sequence[Sequence[Any]], least: int, before: int, calls: int, blocks: int) -> int:
    """Return what calls of so many blocks each cost after ``before`` others, in millionths of the major unit.

    A call costs ``least`` at least; a free tool has no steps.
    """
    total, at, last = 0, before, before + calls
    for up_to, price in steps:
        until = last if up_to is None else min(last, up_to)
        if until > at:
            total += (until - at) * max(price * blocks, least)
            at = until
    return total


class PerCall(NamedTuple):
    """The price steps of a tool with the counter of its scope."""

    id: str
    steps: tuple[Step, ...]
    least: int
    period: Period
    currency: str
    spend: str
    source: str

    @property
    def periods(self) -> tuple[Period, ...]:
        """The month in which calls are numbered."""
        return (self.period,)

    def weigh(self, book: Book, now: int, ask: Ask, *, forced: bool = False) -> Payment:  # noqa: ARG002  never refused
        """Return the charge of the call; money is never short here, it is invoiced."""
        start, _, before = counted(book, self.id, self.period, now)
        price = charge(self.steps, self.least, before, ask.times, ask.blocks)
        count = Count(self.id, start, ask.times, CALLS)
        spends = ((self.spend, price),) if price else ()
        return Payment("per_call", price, self.currency, 0, (count,), spends, None, None, self.source, self)

    def snapshot(self, book: Book, now: int) -> list[Any]:
        """Return the steps and how many calls came before."""
        _, _, before = counted(book, self.id, self.period, now)
        return ["per_call", self.steps, self.least, before, self.spend]
