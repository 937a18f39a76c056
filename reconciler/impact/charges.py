"""What a contract comes to in a month and in a year, if the usage of every month were that of the one that is known.

A subscription is invoiced month by month; what is due is what its prices cost that begin an interval then, and what was
used in the intervals that end. A price for three months or a year falls due in every third or twelfth month, on the
invoice of that month; units that are counted for longer than a month are taken as so many months' units. Weeks and days
have invoices of their own: 52 weeks, 365 days. The year is the sum of its invoices, and a month the twelfth part of it.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cache
from math import lcm
from typing import NamedTuple

from reconciler.pricing.invoice import Discount, Line, discounted, half_up
from reconciler.pricing.lines import Usage, ahead, behind, spent
from reconciler.pricing.subscription import Contract
from reconciler.pricing.tariff import Licensed, Metered

#: How many intervals a year has where they are no whole number of months.
_IN_A_YEAR = {"week": 52, "day": 365}
#: An interval and how many of it, years as months.
Rhythm = tuple[str, int]
_MONTHLY: Rhythm = ("month", 1)


class Cost(NamedTuple):
    """Whole minor units of the currency, before taxes and money credits."""

    currency: str
    month: int
    year: int


def cost_of(contract: Contract, usage: Usage) -> Cost:
    """Return what a contract that began long ago costs with a month's usage in every month."""
    due = _due(contract, usage)
    discounts = _lasting(contract)
    if due.keys() <= {_MONTHLY}:
        month = _total(due.get(_MONTHLY, ()), discounts)
        return Cost(contract.tariff.currency, month, 12 * month)
    year = _year(due, discounts)
    return Cost(contract.tariff.currency, half_up(year / 12), half_up(year))


def _lasting(contract: Contract) -> list[Discount]:
    """Return the discount of every invoice; what lasts once or for some months is over."""
    return (
        [contract.discount] if contract.discount and contract.coupon and contract.coupon.duration == "forever" else []
    )


def _due(contract: Contract, usage: Usage) -> dict[Rhythm, list[Line]]:
    """Return the lines of one interval of each length."""
    tariff = contract.tariff
    found: dict[Rhythm, list[Line]] = {}
    for price, quantity in contract.licensed():
        rhythm = _rhythm(price)
        found.setdefault(rhythm, []).extend(ahead(price, quantity, tariff.currency))
    for meter, line in tariff.usage.items():
        if not line.spent:
            rhythm = _rhythm(line)
            units = _lasting_units(usage.units.get(meter, 0), rhythm)
            found.setdefault(rhythm, []).extend(behind(line, units, tariff.currency))
    if tariff.spend:
        found.setdefault(_MONTHLY, []).extend(spent(tariff, usage))
    return found


def _rhythm(item: Licensed | Metered) -> Rhythm:
    return ("month", 12 * item.interval_count) if item.interval == "year" else (item.interval, item.interval_count)


def _lasting_units(units: Decimal | int, rhythm: Rhythm) -> Decimal | int:
    """Return a month's units as those of an interval, to the nearest unit."""
    return units if rhythm == _MONTHLY else half_up(Fraction(units) * 12 / _per_year(rhythm))


def _per_year(rhythm: Rhythm) -> Fraction:
    interval, count = rhythm
    return Fraction(_IN_A_YEAR.get(interval, 12), count)


def _year(due: Mapping[Rhythm, Sequence[Line]], discounts: Sequence[Discount]) -> Fraction:
    """Return the sum of a year's invoices, exactly."""
    months = [count for interval, count in due if interval == "month"]

    @cache
    def invoice(together: tuple[int, ...]) -> int:
        return _total([line for count in together for line in due["month", count]], discounts)

    span = lcm(*months)
    dated = sum(invoice(tuple(count for count in months if month % count == 0)) for month in range(span))
    apart = (_per_year(rhythm) * _total(lines, discounts) for rhythm, lines in due.items() if rhythm[0] != "month")
    return Fraction(12 * dated, span) + sum(apart)


def _total(lines: Sequence[Line], discounts: Sequence[Discount]) -> int:
    return sum(line.net for line in (discounted(lines, discounts) if discounts else lines))
