"""A second opinion on prices: what Stripe would bill for a quantity, worked out from a price's values alone.

Written from Stripe's description of tiers (https://docs.stripe.com/products-prices/pricing-models), sharing nothing
with the code under test. Amounts are in the unit of the price, exact.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from reconciler.config.models import Step
from reconciler.config.models.offers import Discounts, DiscountStep, PerCall

INFINITE = Decimal("Infinity")


def bill(price: Mapping[str, Any], quantity: int) -> Decimal:
    """Return what a quantity costs; a flat amount is due once its bracket is entered, the first one always."""
    if price.get("billing_scheme") != "tiered":
        return Decimal(price["unit_amount_decimal"]) * quantity
    if price["tiers_mode"] == "volume":
        return _volume(price["tiers"], quantity)
    return _graduated(price["tiers"], quantity)


def bill_steps(steps: Sequence[Step], quantity: int) -> Decimal:
    """Return what a quantity costs by a graduated table of the files, in major units."""
    tiers = [{"up_to": step.up_to, "unit_amount_decimal": str(step.unit_amount)} for step in steps]
    return _graduated(tiers, quantity)


def _bound(tier: Mapping[str, Any]) -> Decimal:
    return INFINITE if tier["up_to"] == "inf" else Decimal(tier["up_to"])


def _volume(tiers: Sequence[Mapping[str, Any]], quantity: int) -> Decimal:
    tier = next(tier for tier in tiers if quantity <= _bound(tier))
    return Decimal(tier["unit_amount_decimal"]) * quantity + Decimal(tier.get("flat_amount_decimal", 0))


def _graduated(tiers: Sequence[Mapping[str, Any]], quantity: int) -> Decimal:
    total, below = Decimal(0), Decimal(0)
    for tier in tiers:
        inside = min(Decimal(quantity), _bound(tier)) - below
        total += Decimal(tier["unit_amount_decimal"]) * inside + Decimal(tier.get("flat_amount_decimal", 0))
        below = _bound(tier)
        if quantity <= below:
            return total
    raise AssertionError("the last tier has a bound")


def charge(terms: PerCall, calls: Mapping[str, int]) -> Decimal:
    """Return what a month of calls costs in major units, one call after the other."""
    seen: Counter[str] = Counter()
    total = Decimal(0)
    for tool, number in calls.items():
        for _ in range(number):
            counted = "all" if terms.discounts and terms.discounts.scope == "tenant" else tool
            seen[counted] += 1
            total += _call(terms, tool, seen[counted])
    return total


def _call(terms: PerCall, tool: str, nth: int) -> Decimal:
    listed = terms.tools.get(tool)
    if listed == 0:
        return Decimal(0)
    price = terms.default if listed is None else listed
    assert price is not None, f"{tool} is refused"
    step = _step(terms.discounts, nth)
    if step is not None and step.percent_off is not None:
        price = price * (100 - step.percent_off) / 100
    elif step is not None and step.unit_amount is not None and listed is None:
        price = step.unit_amount
    return max(price, terms.minimum or Decimal(0))


def _step(discounts: Discounts | None, nth: int) -> DiscountStep | None:
    if discounts is None:
        return None
    return next(step for step in discounts.steps if step.up_to == "inf" or nth <= int(step.up_to))
