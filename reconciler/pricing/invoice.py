"""An invoice, line by line: each line rounded once, then discounts, money credits, taxes, as on Stripe's invoices.

Discounts come off before money credits, credits before taxes (https://docs.stripe.com/billing/subscriptions/usage-based/billing-credits).
Every amount is in minor units of one currency.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from reconciler.money import EXACT
from reconciler.pricing.rating import ZERO, Part, Rate, parts, rounded, total
from reconciler.pricing.tariff import Tariff


@dataclass(frozen=True, slots=True)
class Line:
    """What is billed at one price: ``exact`` before rounding, ``amount`` after it, ``source`` the address in the files.

    Metered lines are those money credits may pay.
    """

    source: str
    quantity: Decimal
    unit: Decimal
    exact: Decimal
    metered: bool = False
    flat: bool = False
    discount: int = 0
    credit: int = 0
    tax: int = 0

    @property
    def amount(self) -> int:
        """The amount in whole minor units."""
        return rounded(self.exact)

    @property
    def net(self) -> int:
        """What is left after discounts and money credits, exclusive taxes apart."""
        return self.amount - self.discount - self.credit


@dataclass(frozen=True, slots=True)
class Discount:
    """A percentage or an amount off the lines of some sources, or of all."""

    percent_off: Decimal | None = None
    amount_off: int = 0
    sources: frozenset[str] | None = None

    def covers(self, line: Line) -> bool:
        """Tell whether a line is discounted."""
        return self.sources is None or line.source in self.sources


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax rate in percent, inside the amounts or on top of them."""

    percentage: Decimal
    inclusive: bool = False


@dataclass(frozen=True, slots=True)
class Invoice:
    """The lines with what came off and on, and their sums in minor units."""

    currency: str
    lines: tuple[Line, ...]
    exclusive_tax: int

    @property
    def exact(self) -> Decimal:
        """The sum of the lines before any rounding, discount, credit or tax."""
        return total(line.exact for line in self.lines)

    @property
    def subtotal(self) -> int:
        """The sum of the rounded lines."""
        return sum(line.amount for line in self.lines)

    @property
    def discount(self) -> int:
        """What discounts take off."""
        return sum(line.discount for line in self.lines)

    @property
    def credit(self) -> int:
        """What money credits pay."""
        return sum(line.credit for line in self.lines)

    @property
    def tax(self) -> int:
        """All taxes, inclusive ones too."""
        return sum(line.tax for line in self.lines)

    @property
    def total(self) -> int:
        """What is due."""
        return sum(line.net for line in self.lines) + self.exclusive_tax


def lines(
    tariff: Tariff,
    *,
    price: str | None = None,
    quantity: int = 1,
    units: Mapping[str, Decimal | int] | None = None,
    calls: Iterable[tuple[str, int]] = (),
    owner: str = "",
) -> tuple[Line, ...]:
    """Return the lines of one period: licensed price and reservations, usage by meter, what calls and minimum come to.

    ``price`` is the address of the plan's price that is paid, the tariff's default without; ``units`` are per meter,
    ``calls`` (tool, number) in the order they were made. ``owner`` names the spend line.
    """
    used = units or {}
    chosen = price or tariff.default
    found = [
        line
        for licensed in tariff.licensed.values()
        if licensed.address == chosen or licensed.address.endswith(".reserved_price")
        for line in _rated(
            licensed.address, licensed.rate, quantity if licensed.address == chosen else 1, metered=False
        )
    ]
    spent = [] if tariff.calls is None else list(tariff.calls.month(calls).values())
    for meter, line in tariff.usage.items():
        if line.spent:
            spent.append(total(part.amount for part in parts(line.rate, used.get(meter, 0))))
        else:
            found += _rated(line.address, line.rate, used.get(meter, 0), metered=True)
    if spent or tariff.minimum:
        charge = max(total(iter(spent)), tariff.minimum)
        found.append(Line(f"{owner}.spend", Decimal(1), charge, charge, metered=True))
    return tuple(found)


def _rated(source: str, rate: Rate, quantity: Decimal | int, *, metered: bool) -> Iterable[Line]:
    for part in parts(rate, quantity):
        yield from _lines(source, part, metered=metered)


def _lines(source: str, part: Part, *, metered: bool) -> Iterable[Line]:
    """Return the units of a bracket, and its flat amount, which is a line of its own."""
    if part.units or not part.flat:
        yield Line(source, part.units, part.unit, EXACT.multiply(part.units, part.unit), metered)
    if part.flat:
        yield Line(source, Decimal(1), part.flat, part.flat, metered, flat=True)


def prorated(amount: Decimal, period: tuple[int, int], since: int) -> int:
    """Return what an amount for a period ``[start, end)`` comes to from ``since`` on, by the second, rounded once."""
    start, end = period
    return _half_up(Fraction(amount) * Fraction(end - since, end - start))


def invoice(
    currency: str,
    billed: Sequence[Line],
    *,
    discounts: Sequence[Discount] = (),
    credit: int = 0,
    taxes: Sequence[Tax] = (),
    trial: bool = False,
) -> Invoice:
    """Return the invoice of some lines; during a ``trial`` nothing is billed."""
    if trial:
        billed = [replace(line, exact=ZERO) for line in billed]
    for discount in discounts:
        billed = _discounted(billed, discount)
    billed = _credited(billed, credit)
    on_top = 0
    taxed = []
    for line in billed:
        amounts = [(tax, _tax(line.net, tax, taxes)) for tax in taxes]
        on_top += sum(amount for tax, amount in amounts if not tax.inclusive)
        taxed.append(replace(line, tax=sum(amount for _, amount in amounts)))
    return Invoice(currency, tuple(taxed), on_top)


def _discounted(billed: Sequence[Line], discount: Discount) -> list[Line]:
    """Take a discount off what is left of the lines it covers: a percentage of each, or an amount shared out."""
    left = [line.net if discount.covers(line) else 0 for line in billed]
    if discount.percent_off is not None:
        offs = [rounded(EXACT.divide(EXACT.multiply(Decimal(net), discount.percent_off), Decimal(100))) for net in left]
    else:
        offs = shared(min(discount.amount_off, sum(left)), left)
    return [replace(line, discount=line.discount + off) for line, off in zip(billed, offs, strict=True)]


def _credited(billed: Sequence[Line], credit: int) -> list[Line]:
    """Pay metered lines with money credits, one after the other."""
    paid = []
    for line in billed:
        part = min(credit, max(line.net, 0)) if line.metered else 0
        credit -= part
        paid.append(replace(line, credit=part))
    return paid


def _tax(net: int, tax: Tax, all_taxes: Sequence[Tax]) -> int:
    inside = sum((Fraction(other.percentage) for other in all_taxes if other.inclusive), Fraction(0))
    base = Fraction(net) / (1 + inside / 100)
    return _half_up(base * Fraction(tax.percentage) / 100)


def _half_up(value: Fraction) -> int:
    """Round halves away from zero, as :func:`rounded` does."""
    size = (abs(value) + Fraction(1, 2)).__floor__()
    return size if value >= 0 else -size


def shared(amount: int, weights: Sequence[int]) -> list[int]:
    """Share an amount out in proportion to weights, in whole units that add up to it: the largest remainders first."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    shares = [Fraction(amount * weight, whole) for weight in weights]
    given = [share.__floor__() for share in shares]
    by_rest = sorted(range(len(weights)), key=lambda place: given[place] - shares[place])
    for place in by_rest[: amount - sum(given)]:
        given[place] += 1
    return given
