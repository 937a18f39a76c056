"""The lines of an invoice in words and exact amounts: prices paid ahead, units used, calls, a least charge."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from reconciler.money import EXACT, display
from reconciler.pricing.calls import Made
from reconciler.pricing.invoice import Line
from reconciler.pricing.periods import Period
from reconciler.pricing.rating import ZERO, Part, Rate, parts, total
from reconciler.pricing.tariff import Licensed, Metered, Tariff

ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used in a period: units by meter, and calls by tool in the order they were made.

    ``charged`` is what the spend meter was told, by what it was for, in minor units: charges that were booked already
    stand as they are, in place of calls and units priced anew.
    """

    units: Mapping[str, Decimal | int] = field(default_factory=dict)
    calls: Sequence[tuple[str, int] | Made] = ()
    charged: Mapping[str, Decimal] | None = None


def ahead(price: Licensed, quantity: int, currency: str, period: Period | None = None) -> Iterator[Line]:
    """Yield the lines of a price that is paid for a period, each bracket on its own."""
    for sold in _brackets(price.name, price.rate, quantity):
        yield from _lines(price, sold, currency, period)


def behind(line: Metered, units: Decimal | int, currency: str, period: Period | None = None) -> Iterator[Line]:
    """Yield the lines of the units of a period: included ones, which cost nothing, then each bracket on its own."""
    included = line.rate.included
    if included:
        inside = min(max(Decimal(units), ZERO), Decimal(included))
        label = f"{line.name}: {count(inside)} of {included:,} included"
        yield Line(line.address, label, inside, ZERO, ZERO, line.product, period, metered=True)
    for sold in _brackets(line.name, line.rate, units):
        if sold.units or not included:
            yield from _lines(line, sold, currency, period)


def spent(tariff: Tariff, usage: Usage, period: Period | None = None) -> Iterator[Line]:
    """Yield what a month's calls, and units that no price alone can sell, come to together, at least the minimum."""
    spend = tariff.spend
    if spend is None:
        return
    charges, details = _charges(tariff, usage)
    minimum, charge = spend.minimum, total(charges)
    label = f"{spend.name}: usage charges"
    if minimum:
        least = f"{spend.name}: usage charges, at least {display(minimum, tariff.currency)}"
        yield Line(spend.address, least, ONE, minimum, minimum, spend.product, period, metered=True, details=details)
        charge = EXACT.subtract(max(charge, minimum), minimum)
        label, details = f"{spend.name}: usage charges beyond the least charge", ()
    if charge or not minimum:
        yield Line(spend.address, label, ONE, charge, charge, spend.product, period, metered=True, details=details)


def free(item: Licensed | Metered, quantity: Decimal | int, period: Period) -> Line:
    """Return the line of nothing of a price during a trial."""
    label, metered = f"{item.name}: free trial", isinstance(item, Metered)
    return Line(item.address, label, Decimal(quantity), ZERO, ZERO, item.product, period, metered=metered)


def count(number: Decimal) -> str:
    """Write a number for people: ``12,345.5``."""
    return f"{number.normalize(EXACT):,f}"


def _charges(tariff: Tariff, usage: Usage) -> tuple[list[Decimal], tuple[str, ...]]:
    """Return what is charged together, part by part, and each part in words."""
    charges = _anew(tariff, usage) if usage.charged is None else list(usage.charged.items())
    words = tuple(f"{what}, {display(charge, tariff.currency)}" for what, charge in charges)
    return [charge for _, charge in charges], words


def _anew(tariff: Tariff, usage: Usage) -> list[tuple[str, Decimal]]:
    """Price calls and units that are charged together."""
    charges: list[tuple[str, Decimal]] = []
    if tariff.spend and tariff.spend.calls:
        numbers: dict[str, int] = {}
        for made in usage.calls:
            numbers[made[0]] = numbers.get(made[0], 0) + made[1]
        month = tariff.spend.calls.month(usage.calls)
        charges += [(f"{tool}: {numbers[tool]:,} calls", charge) for tool, charge in month.items()]
    for meter, line in tariff.usage.items():
        units = Decimal(usage.units.get(meter, 0))
        if line.spent:
            charges.append(
                (f"{line.name}: {count(units)} units", total(part.amount for part in parts(line.rate, units)))
            )
    return charges


@dataclass(frozen=True, slots=True)
class _Sold:
    """Units of a bracket, what they are called, and what they are multiplied by: packages, where those are sold."""

    what: str
    units: Decimal
    part: Part


def _lines(item: Licensed | Metered, sold: _Sold, currency: str, period: Period | None) -> Iterator[Line]:
    """Yield the units of a bracket, and its flat amount, which is a line of its own."""
    metered, size, part = isinstance(item, Metered), item.rate.package, sold.part
    if part.units or not part.flat:
        exact = EXACT.multiply(part.units, part.unit)
        packages = "package" if part.units == 1 else "packages"
        number = f"{count(part.units)} {packages} of {size:,}" if size > 1 else count(part.units)
        label = f"{sold.what}: {number} at {display(part.unit, currency)}"
        yield Line(item.address, label, sold.units, part.unit, exact, item.product, period, metered=metered)
    if part.flat:
        label = f"{sold.what}: flat amount"
        yield Line(item.address, label, ONE, part.flat, part.flat, item.product, period, metered=metered)


def _brackets(name: str, rate: Rate, quantity: Decimal | int) -> Iterator[_Sold]:
    """Yield the parts of a quantity, each with what it is: of several brackets the numbers of its units."""
    below = Decimal(rate.included)
    if rate.package > 1:
        (part,) = parts(rate, quantity)
        yield _Sold(name, max(EXACT.subtract(Decimal(quantity), below), ZERO), part)
        return
    for part in parts(rate, quantity):
        first, last = EXACT.add(below, 1), EXACT.add(below, part.units)
        if len(rate.brackets) == 1 or rate.mode == "volume" or not part.units:
            yield _Sold(name, part.units, part)
        elif first == last:
            yield _Sold(f"{name}, unit {count(first)}", part.units, part)
        else:
            yield _Sold(f"{name}, units {count(first)} to {count(last)}", part.units, part)
        below = last
