"""Usage lines: included units first, then what the line says: refused, sold by the unit, or paid with credits."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from reconciler.entitlements.decision import Reason
from reconciler.entitlements.kinds.bounds import Ask, Bound, Count, Payment, Refusal
from reconciler.entitlements.kinds.quota import counted
from reconciler.entitlements.periods import Period
from reconciler.entitlements.policy import Line, Rate
from reconciler.ledger.book import Book


def cost(rate: Rate | Sequence[Any], units: int) -> int:
    """Return what units beyond the included ones cost, in millionths of the major unit, exactly."""
    mode, package, up, brackets = rate
    number = -(-units // package) if up else units // package
    if mode == "volume":
        for up_to, unit, flat in brackets:
            if up_to is None or number <= up_to:
                return int(number * unit + flat)
    total = below = 0
    for place, (up_to, unit, flat) in enumerate(brackets):
        inside = (number if up_to is None else min(number, up_to)) - below
        if place and inside <= 0:
            break
        total += inside * unit + flat
        below += inside
    return total


def charge(terms: Sequence[Any], before: int, number: int) -> tuple[int, int | None]:
    """Return credits and money of ``number`` units after ``before`` others, by the terms of a snapshot."""
    _meter, included, over, each, rate, _spend = terms
    beyond = max(before + number - included, 0)
    earlier = max(before - included, 0)
    if over == "credits":
        return (beyond - earlier) * each, 0
    if over == "deny" or beyond == earlier:
        return 0, 0
    return 0, None if rate is None else cost(rate, beyond) - (cost(rate, earlier) if earlier else 0)


class Metered(NamedTuple):
    """A line with its counter and the periods it counts in."""

    line: Line
    id: str
    period: Period


class Usage:
    """The lines of a call's meters; meters without a line are counted, not paid."""

    __slots__ = ("_apart", "_terms", "lines", "source")

    def __init__(self, lines: tuple[Metered, ...]) -> None:
        self.lines = lines
        self._terms = [
            (line.meter, line.included, line.over, line.credits, line.rate, line.spend) for line, _, _ in lines
        ]
        self._apart = frozenset(line.meter for line, _, _ in lines if line.spend)
        self.source = lines[0].line.source

    @property
    def periods(self) -> tuple[Period, ...]:
        """The lines' periods."""
        return tuple(line.period for line in self.lines)

    def denied(self, now: int) -> list[list[Any]]:
        """Return the lines that refuse more than they include: counter, units, meter, end of the period."""
        lines = [each for each in self.lines if each.line.over == "deny"]
        return [[name, line.included, line.meter, period.at(now)[1]] for line, name, period in lines]

    def weigh(self, book: Book, now: int, ask: Ask, *, forced: bool = False) -> Payment | Refusal:
        """Return how the lines would pay the whole call, or the refusal of the first that cannot.

        A ``forced`` call was made already: it is not refused.
        """
        counts: list[Count] = []
        spends: list[tuple[str, int]] = []
        owed = 0
        money: int | None = 0
        tightest: Bound | None = None
        for (line, name, period), terms in zip(self.lines, self._terms, strict=True):
            number = ask.of(line.meter)
            start, end, used = counted(book, name, period, now)
            left = line.included - used - number
            if left < 0 and line.over == "deny" and not forced:
                return _exhausted(line, used, number, now, end)
            if left < 0:
                some, price = charge(terms, used, number)
                owed += some
                money = None if money is None or price is None else money + price
                if line.spend and price:
                    spends.append((line.spend, price))
            counts.append(Count(name, start, number, line.meter))
            if left >= 0 and (tightest is None or left // (number or 1) < tightest.calls):
                tightest = Bound(left // (number or 1), left, line.included, line.meter, end, line.source)
        if owed > book.credits and not forced:
            short = owed - book.credits
            return Refusal(Reason.INSUFFICIENT_CREDITS, self.source, "credits", book.credits, None, short=short)
        unit = "credit" if owed else self.lines[0].line.currency
        return Payment(
            "usage", owed or money, unit, owed, tuple(counts), tuple(spends), self._apart, tightest, self.source, self
        )

    def snapshot(self, book: Book, now: int) -> list[Any]:
        """Return the lines' terms and how many units came before in each."""
        before = [counted(book, name, period, now)[2] for _, name, period in self.lines]
        return ["usage", list(zip(before, self._terms, strict=True))]


def _exhausted(line: Line, used: int, number: int, now: int, end: int) -> Refusal:
    left = max(line.included - used, 0)
    wait = end - now if number <= line.included else None
    reason = Reason.QUOTA_EXCEEDED
    return Refusal(reason, line.source, line.meter, left, line.included, end, wait, used + number - line.included)
