"""From a quantity to exact money: brackets, packages, included units (https://docs.stripe.com/products-prices/pricing-models)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from reconciler.money import EXACT

Rounding = Literal["up", "down"]
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Bracket:
    """Units up to ``up_to``, counted from the first one that is not included, cost ``unit`` each; ``None`` is no bound.

    ``flat`` is due once when the bracket is entered: the first one by any period unless units are included, else by a
    unit. Amounts are minor units.
    """

    up_to: int | None
    unit: Decimal
    flat: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Rate:
    """What units cost after ``included`` free ones.

    ``graduated``: each unit by its own bracket; ``volume``: all units beyond the included ones by the bracket of their
    total. With ``package`` a price is that of a package of so many units, begun ones counting when rounded ``up``.
    """

    brackets: tuple[Bracket, ...]
    mode: Literal["graduated", "volume"] = "graduated"
    included: int = 0
    package: int = 1
    round: Rounding = "up"


@dataclass(frozen=True, slots=True)
class Part:
    """Units of one bracket at one price; ``amount`` in minor units holds the bracket's flat amount too."""

    units: Decimal
    unit: Decimal
    flat: Decimal

    @property
    def amount(self) -> Decimal:
        """The exact amount, before any rounding."""
        return EXACT.add(EXACT.multiply(self.units, self.unit), self.flat)


def flat(amount: Decimal) -> Rate:
    """Return the rate of one price for every unit."""
    return Rate((Bracket(None, amount),))


def parts(rate: Rate, quantity: Decimal | int) -> tuple[Part, ...]:
    """Split a quantity over the brackets it falls in; what a meter totals below zero counts as zero."""
    units = packages(max(EXACT.subtract(Decimal(quantity), rate.included), ZERO), rate.package, rate.round)
    split = _graduated if rate.mode == "graduated" else _volume
    found = tuple(split(rate.brackets, units))
    if rate.included and not units:
        return tuple(replace(part, flat=ZERO) for part in found)
    return found


def cost(rate: Rate, quantity: Decimal | int) -> Decimal:
    """Return the exact price of a quantity in minor units."""
    return total(part.amount for part in parts(rate, quantity))


def packages(units: Decimal, size: int, rounding: Rounding) -> Decimal:
    """Return the packages that units fill, a begun one counted or not; without a size units stay as they are."""
    return units if size == 1 else blocks(units, size, rounding)


def blocks(units: Decimal, size: int, rounding: Rounding) -> Decimal:
    """Return the whole blocks that units fill, a begun one counted or not; also of one unit each."""
    whole, rest = EXACT.divmod(units, size)
    return EXACT.add(whole, 1) if rest and rounding == "up" else whole


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Add amounts exactly."""
    result = ZERO
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result


def rounded(amount: Decimal) -> int:
    """Round to whole minor units, halves away from zero, as an invoice line is rounded once."""
    return int(amount.to_integral_value(ROUND_HALF_UP))


def _graduated(brackets: tuple[Bracket, ...], units: Decimal) -> Iterator[Part]:
    """Split the units; the first bracket is always entered, another one only by a unit."""
    below = ZERO
    for number, bracket in enumerate(brackets):
        until = units if bracket.up_to is None else min(units, Decimal(bracket.up_to))
        inside = EXACT.subtract(until, below)
        if number and inside <= 0:
            return
        yield Part(inside, bracket.unit, bracket.flat)
        below = until


def _volume(brackets: tuple[Bracket, ...], units: Decimal) -> Iterator[Part]:
    for bracket in brackets:
        if bracket.up_to is None or units <= bracket.up_to:
            yield Part(units, bracket.unit, bracket.flat)
            return
