"""Credits: a call costs so many, times its blocks; all of them are there, or it is refused."""

from typing import Any, NamedTuple

from reconciler.entitlements.decision import Reason
from reconciler.entitlements.kinds.bounds import Ask, Bound, Payment, Refusal
from reconciler.entitlements.periods import Period
from reconciler.ledger.book import Book


class Credits(NamedTuple):
    """A call's price in millionths of a credit."""

    each: int
    source: str

    @property
    def periods(self) -> tuple[Period, ...]:
        """None: credits come and go with the book."""
        return ()

    def weigh(self, book: Book, _now: int, ask: Ask, *, forced: bool = False) -> Payment | Refusal:
        """Return the payment out of the lots, or the refusal with what is missing; a ``forced`` call was made."""
        each, source = self
        price = each * ask.blocks * ask.times
        left = book.credits - price
        if left < 0 and not forced:
            return Refusal(Reason.INSUFFICIENT_CREDITS, source, "credits", book.credits, None, short=-left)
        bound = tuple.__new__(Bound, (left // price, left, None, "credits", None, source)) if price else None
        return tuple.__new__(Payment, ("credits", price, "credit", price, (), (), None, bound, source, self))

    def snapshot(self, _book: Book, _now: int) -> list[Any]:
        """Return the price of a call."""
        return ["credits", self.each]
