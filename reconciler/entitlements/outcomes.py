"""What would become of one call of a customer who has enough credits and has made so many calls before.

The calls worth looking at are those around the bounds of what they are decided by: the first, the one that uses up
what is included, the one behind it, the first of every further price.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from reconciler import money
from reconciler.entitlements.kinds.bounds import Ask, Payment
from reconciler.entitlements.kinds.credits import Credits
from reconciler.entitlements.kinds.per_call import PerCall
from reconciler.entitlements.measure import ask_of
from reconciler.entitlements.policy import MICRO, Line
from reconciler.entitlements.rates import exact_rate
from reconciler.entitlements.terms import Call, Terms
from reconciler.entitlements.weigh import weigh
from reconciler.ledger.book import Book
from reconciler.pricing.rating import cost

#: The instant calls are decided at; the start of every period that is looked at is not later.
_NOW = 1
_PLENTY = 2**62


class Spot(NamedTuple):
    """Where a call is looked at: its quantity, and how much one counter has counted in its period, the others none."""

    quantity: int = 1
    counter: str = ""
    used: int = 0


class Outcome(NamedTuple):
    """What becomes of a call: allowed or why not, paid by what, and its exact ``cost`` in ``unit``, major units."""

    allowed: bool
    reason: str
    paid_by: str
    cost: Decimal
    unit: str

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return {**self._asdict(), "cost": money.plain(self.cost)}


def outcome(terms: Terms, call: Call, spot: Spot) -> Outcome:
    """Decide a call. What its tool measures on the call counts as one unit."""
    book = Book(terms.tenant)
    book.credits = _PLENTY
    if spot.counter:
        book.counters[spot.counter] = [_NOW, spot.used]
    ask = asked(call, spot.quantity)
    verdict = weigh(call, book, _NOW, ask)
    if verdict.refusal is not None:
        return Outcome(False, verdict.refusal.reason, "", Decimal(0), "")
    payment = verdict.payment
    if payment is None:
        return Outcome(True, "ok", "", Decimal(0), "")
    price = _price(terms, ask, spot, payment)
    return Outcome(True, "ok", payment.by, price, payment.unit if price else "")


def asked(call: Call, quantity: int) -> Ask:
    """Return what a call of a quantity asks for."""
    return ask_of(call, quantity, {meter: 1 for meter, number in call.meters if isinstance(number, str)})


def _price(terms: Terms, ask: Ask, spot: Spot, payment: Payment) -> Decimal:
    """Return the exact price of a call; one that is finer than a millionth is worked out from the rates."""
    if payment.cost is not None:
        return money.EXACT.divide(Decimal(payment.cost), Decimal(MICRO))
    total = Decimal(0)
    for line in _lines(terms, ask):
        before = spot.used if spot.counter == counter_of(line) else 0
        total = money.EXACT.add(total, money.to_major(_marginal(line, before, ask.of(line.meter)), line.currency))
    return total


def _marginal(line: Line, before: int, number: int) -> Decimal:
    rate = exact_rate(line)
    if rate is None:
        return Decimal(0)
    after = cost(rate, before + number)
    return money.EXACT.subtract(after, cost(rate, before)) if before else after


def counter_of(line: Line) -> str:
    """Return the id of the counter a usage line counts with."""
    return f"usage/{line.meter}"


def _lines(terms: Terms, ask: Ask) -> list[Line]:
    return [terms.lines[meter] for meter, _ in ask.units if meter in terms.lines]


def facts(terms: Terms, call: Call) -> tuple[Any, ...]:
    """Return all that a call is decided by, places in files apart: equal facts, equal outcomes."""
    lines = tuple(terms.lines[meter][:-1] for meter, _ in call.meters if meter in terms.lines)
    rates = tuple((rate.id, rate.meter, rate.limit[:-1]) for rate in call.rates)
    quotas = tuple((quota.id, quota.meter, quota.limit[:-1]) for quota in call.quotas)
    payers = tuple(
        (payer.id, payer.steps, payer.least, payer.currency)
        if isinstance(payer, PerCall)
        else payer.each
        if isinstance(payer, Credits)
        else "usage"
        for payer in call.payers
    )
    return call.refused, call.tool.quantity, call.meters, lines, rates, quotas, payers


def spots(*sides: tuple[Terms, Call]) -> list[Spot]:
    """Return where a call is worth looking at under several terms, in order."""
    quantities = {1} | {call.tool.quantity[1] for _, call in sides if call.tool.quantity is not None}
    return sorted({spot for quantity in quantities for side in sides for spot in _around(side, quantity)})


def _around(side: tuple[Terms, Call], quantity: int) -> Iterator[Spot]:
    terms, call = side
    yield Spot(quantity)
    ask = asked(call, quantity)
    for counter, number, edges in _edges(terms, call, ask):
        for edge in edges:
            for used in {edge - number, edge - number + 1, edge, edge + 1}:
                if used > 0:
                    yield Spot(quantity, counter, used)


def _edges(terms: Terms, call: Call, ask: Ask) -> Iterator[tuple[str, int, Iterable[int]]]:
    """Yield every counter of a call, by how much the call moves it, and where it matters."""
    for quota in call.quotas:
        yield quota.id, ask.of(quota.meter), (quota.limit.max,)
    for payer in call.payers:
        if isinstance(payer, PerCall):
            yield payer.id, ask.times, [step.up_to for step in payer.steps if step.up_to is not None]
    for line in _lines(terms, ask):
        yield counter_of(line), ask.of(line.meter), _bounds(line)


def _bounds(line: Line) -> list[int]:
    rate = line.rate or (line.fine and line.fine.rate)
    if not rate:
        return [line.included]
    above = [line.included + up_to * rate.package for up_to, _, _ in rate.brackets if up_to is not None]
    return [line.included, line.included + rate.package, *above]
