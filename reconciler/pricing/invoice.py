"""An invoice, line by line: each line rounded once, then discounts, money credits, taxes, as on Stripe's invoices.

Discounts come off before money credits, credits before taxes
(https://docs.stripe.com/billing/subscriptions/usage-based/billing-credits). Amounts are minor units of one currency.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from reconciler.money import EXACT
from reconciler.pricing.periods import Period
from reconciler.pricing.rating import rounded, total

_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Line:
    """What is billed at one price: ``exact`` before rounding, ``amount`` after it.

    ``quantity`` is what was bought or used, ``unit`` the price of one or of a package, in minor units. ``source`` is
    the address of the price in the files, ``product`` that of its product, ``label`` what a person reads, ``details``
    what is in a line that charges several things together. Money credits pay metered lines only; a ``settled`` line,
    as a proration is, has its discounts inside.
    """

    source: str
    label: str
    quantity: Decimal
    unit: Decimal
    exact: Decimal
    product: str = ""
    period: Period | None = None
    metered: bool = False
    settled: bool = False
    details: tuple[str, ...] = ()
    discount: int = 0
    credit: int = 0
    tax: int = 0

    @property
    def amount(self) -> int:
        """The amount in whole minor units, negative for what is given back."""
        return rounded(self.exact)

    @property
    def net(self) -> int:
        """What is left after discounts and money credits, exclusive taxes apart."""
        return self.amount - self.discount - self.credit


@dataclass(frozen=True, slots=True)
class Discount:
    """A percentage or an amount off the lines of some products, or of all."""

    percent_off: Decimal | None = None
    amount_off: int = 0
    products: frozenset[str] | None = None

    def covers(self, line: Line) -> bool:
        """Tell whether a line is discounted."""
        return not line.settled and (self.products is None or line.product in self.products)


@dataclass(frozen=True, slots=True)
class Grant:
    """Money credits that pay metered lines: those of some sources, or of all. Lower priorities are used up first."""

    id: str
    balance: int
    priority: int = 50
    effective: datetime | None = None
    expires: datetime | None = None
    promotional: bool = False
    sources: frozenset[str] | None = None

    def pays(self, line: Line, at: datetime | None) -> bool:
        """Tell whether it may pay a line of an invoice made at a time; without a time its dates do not count."""
        if not line.metered or (self.sources is not None and line.source not in self.sources):
            return False
        begun = self.effective is None or at is None or self.effective <= at
        return begun and (self.expires is None or at is None or at < self.expires)


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax rate in percent, inside the amounts or on top of them."""

    percentage: Decimal
    inclusive: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Invoice:
    """The lines with what came off and on, and their sums in minor units; ``paid`` is what each money credit paid."""

    currency: str
    lines: tuple[Line, ...]
    exclusive_tax: int
    at: datetime | None = None
    paid: Mapping[str, int] = field(default_factory=dict)

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
        """What is due; negative where more is given back than charged."""
        return sum(line.net for line in self.lines) + self.exclusive_tax


def invoice(
    currency: str,
    billed: Iterable[Line],
    *,
    discounts: Sequence[Discount] = (),
    grants: Sequence[Grant] = (),
    taxes: Sequence[Tax] = (),
    at: datetime | None = None,
) -> Invoice:
    """Return the invoice of some lines, made ``at`` a time that decides which money credits can be used."""
    less = discounted(billed, discounts)
    paid, used = _credited(less, grants, at)
    on_top = 0
    taxed = []
    for line in paid:
        amounts = [(tax, _tax(line.net, tax, taxes)) for tax in taxes]
        on_top += sum(amount for tax, amount in amounts if not tax.inclusive)
        taxed.append(replace(line, tax=sum(amount for _, amount in amounts)))
    return Invoice(currency, tuple(taxed), on_top, at, used)


def discounted(billed: Iterable[Line], discounts: Sequence[Discount]) -> list[Line]:
    """Return the lines with their discounts, each on what the ones before left."""
    lines = list(billed)
    for discount in discounts:
        left = [line.net if discount.covers(line) else 0 for line in lines]
        offs = _offs(left, discount)
        lines = [replace(line, discount=line.discount + off) for line, off in zip(lines, offs, strict=True)]
    return lines


def _offs(left: Sequence[int], discount: Discount) -> list[int]:
    """Return what comes off each line: a percentage of each, or an amount shared out."""
    if discount.percent_off is None:
        return shared(discount.amount_off, [max(net, 0) for net in left])
    return [rounded(EXACT.divide(EXACT.multiply(Decimal(net), discount.percent_off), _HUNDRED)) for net in left]


def shared(amount: int, weights: Sequence[int]) -> list[int]:
    """Share an amount, at most the sum of the weights, out in proportion, each share rounded down.

    The largest weight takes the rest, the last of equal ones, and what it cannot hold the next largest: 5.00 off 10.00
    and 20.00 are 1.66 and 3.34 (https://docs.stripe.com/billing/subscriptions/prorations, coupons).
    """
    whole = sum(weights)
    amount = min(amount, whole)
    shares = [amount * weight // whole if whole else 0 for weight in weights]
    rest = amount - sum(shares)
    for place in sorted(range(len(weights)), key=lambda each: (weights[each], each), reverse=True):
        more = min(rest, weights[place] - shares[place])
        shares[place] += more
        rest -= more
    return shares


def _credited(
    billed: Sequence[Line], grants: Sequence[Grant], at: datetime | None
) -> tuple[Sequence[Line], Mapping[str, int]]:
    """Pay metered lines with money credits, grant by grant in the documented order ("Multiple credit grants")."""
    lines, used = list(billed), dict[str, int]()
    for grant in sorted(grants, key=_turn):
        left = grant.balance
        for place, line in enumerate(lines):
            part = min(left, line.net)
            if part > 0 and grant.pays(line, at):
                lines[place] = replace(line, credit=line.credit + part)
                left -= part
        if left != grant.balance:
            used[grant.id] = grant.balance - left
    return lines, used


def _turn(grant: Grant) -> tuple[object, ...]:
    """Order grants by priority, expiry, promotional ones first, effective date; equal ones stay as they are given."""
    never, always = grant.expires is None, grant.effective is None
    stamp = grant.expires.timestamp() if grant.expires else 0
    begun = grant.effective.timestamp() if grant.effective else 0
    return grant.priority, never, stamp, not grant.promotional, not always, begun


def _tax(net: int, tax: Tax, all_taxes: Sequence[Tax]) -> int:
    """Return one tax on a line: inclusive ones are inside, exclusive ones on what is left without those."""
    inside = sum((Fraction(other.percentage) for other in all_taxes if other.inclusive), Fraction(0))
    base = Fraction(net) / (1 + inside / 100)
    return half_up(base * Fraction(tax.percentage) / 100)


def half_up(value: Fraction) -> int:
    """Round halves away from zero, as :func:`rounded` does."""
    size = (abs(value) + Fraction(1, 2)).__floor__()
    return size if value >= 0 else -size
