"""Prices per call: by tool or glob, discounts by the number of calls in a month, a least charge."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Generic, Literal, NamedTuple, TypeVar

from reconciler.money import EXACT
from reconciler.pricing.rating import ZERO, Rounding, blocks

Value = TypeVar("Value")
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class ByTool(Generic[Value]):
    """Values by tool name or glob, and one for every other tool.

    A name wins over every glob, a glob with more letters over one with fewer, then the earlier one.
    """

    listed: Mapping[str, Value]
    default: Value | None = None

    def listing(self, tool: str) -> str | None:
        """Return the key that speaks for a tool: its name or the glob that says most about it."""
        if tool in self.listed:
            return tool
        fitting = [pattern for pattern in self.listed if fnmatchcase(tool, pattern)]
        return max(fitting, key=_letters) if fitting else None

    def of(self, tool: str) -> Value | None:
        """Return a tool's value; ``None`` if nothing speaks for it."""
        key = self.listing(tool)
        return self.default if key is None else self.listed[key]


def _letters(pattern: str) -> int:
    return sum(letter not in "*?" for letter in pattern)


@dataclass(frozen=True, slots=True)
class Step:
    """Calls up to number ``up_to`` of a month (``None``: all further ones) cost less.

    ``percent_off`` is taken off the undiscounted price; ``unit`` in minor units replaces the default price.
    """

    up_to: int | None
    percent_off: Decimal | None = None
    unit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a number taken from a call becomes the quantity it is multiplied by: in whole blocks, begun ones or not."""

    per: int = 1
    round: Rounding = "up"

    def count(self, number: Decimal | int) -> Decimal:
        """Return the blocks of a number; nothing is no block."""
        return blocks(Decimal(number), self.per, self.round)


#: Every tool counts whole units.
SINGLE: ByTool[Blocks] = ByTool({}, Blocks())


class Made(NamedTuple):
    """Calls of a tool, one after the other, each of a quantity before it is counted in blocks."""

    tool: str
    calls: int = 1
    quantity: Decimal | int = 1


@dataclass(frozen=True, slots=True)
class CallPrices:
    """Prices of calls in minor units, each times the blocks of the call's quantity.

    ``minimum`` is the least charge of one call, whatever its quantity; a tool priced zero is free all the same.
    """

    prices: ByTool[Decimal]
    minimum: Decimal = ZERO
    steps: tuple[Step, ...] = ()
    scope: Literal["tool", "tenant"] = "tool"
    blocks: ByTool[Blocks] = SINGLE

    def one(self, tool: str, number: int, quantity: Decimal | int = 1) -> Decimal | None:
        """Return the price of a tool's call, ``number`` counting from 1 in its scope; ``None``: not sold."""
        price = self.prices.of(tool)
        return None if price is None else self._charge(tool, price, self._step(number), quantity)

    def many(self, tool: str, before: int, calls: int, quantity: Decimal | int = 1) -> Decimal | None:
        """Return what calls of one quantity cost after ``before`` others of the scope; ``None``: not sold."""
        price = self.prices.of(tool)
        if price is None:
            return None
        amount, number, last = ZERO, before, before + calls
        while number < last:
            step = self._step(number + 1)
            until = last if step is None or step.up_to is None else min(last, step.up_to)
            amount = EXACT.add(amount, EXACT.multiply(until - number, self._charge(tool, price, step, quantity)))
            number = until
        return amount

    def month(self, calls: Iterable[tuple[str, int] | Made]) -> dict[str, Decimal]:
        """Return what the calls of a month cost by tool, in the order they were made; what is not sold is left out."""
        counted: dict[str, int] = {}
        charges: dict[str, Decimal] = {}
        for tool, number, quantity in (Made(*made) for made in calls):
            scope = tool if self.scope == "tool" else ""
            charge = self.many(tool, counted.get(scope, 0), number, quantity)
            if charge is not None:
                counted[scope] = counted.get(scope, 0) + number
                charges[tool] = EXACT.add(charges.get(tool, ZERO), charge)
        return charges

    def _step(self, number: int) -> Step | None:
        return next((step for step in self.steps if step.up_to is None or number <= step.up_to), None)

    def _charge(self, tool: str, price: Decimal, step: Step | None, quantity: Decimal | int) -> Decimal:
        if price == 0:
            return ZERO
        units = (self.blocks.of(tool) or Blocks()).count(quantity)
        return max(EXACT.multiply(units, self.discounted(tool, price, step)), self.minimum)

    def discounted(self, tool: str, price: Decimal, step: Step | None) -> Decimal:
        """Return a tool's price in a step: less a percentage, or the step's own in place of the default price."""
        if step is not None and step.percent_off is not None:
            left = EXACT.subtract(HUNDRED, step.percent_off)
            return EXACT.divide(EXACT.multiply(price, left), HUNDRED)
        if step is not None and step.unit is not None and self.prices.listing(tool) is None:
            return step.unit
        return price


@dataclass(frozen=True, slots=True)
class CreditCosts:
    """Credits of calls, by tool, times the blocks of the call's quantity."""

    costs: ByTool[Decimal]
    blocks: ByTool[Blocks] = SINGLE

    def one(self, tool: str, quantity: Decimal | int = 1) -> Decimal | None:
        """Return the credits of a call of a quantity; ``None``: not sold for credits."""
        cost = self.costs.of(tool)
        return None if cost is None else EXACT.multiply(cost, (self.blocks.of(tool) or Blocks()).count(quantity))
