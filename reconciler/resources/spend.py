"""What one Stripe price cannot say is charged through a spend meter: its value is the charge itself.

One meter per currency counts charges in millionths of the major unit; its price is what one millionth costs. Prices per
call, monthly minimums, and volume or package prices behind included units go this way.
"""

from collections.abc import Iterator
from decimal import Decimal

from reconciler import money
from reconciler.config.models import BillingPlan, File, Overage, UsageLine
from reconciler.resources.amounts import minor
from reconciler.resources.model import Values

#: One unit of a spend meter, in major units of its currency.
MICRO = Decimal("0.000001")


def spend_meter_address(currency: str) -> str:
    """Return the address of a currency's spend meter."""
    return f"meters.spend.{currency}"


def plan_currency(file: File, plan: BillingPlan) -> str:
    """Return the currency a plan is sold in."""
    assert file.settings is not None  # noqa: S101  a validated catalogue has settings
    return plan.currency or file.settings.currency


def beyond_one_price(file: File, line: UsageLine) -> bool:
    """Tell whether a line's overage cannot be one Stripe price: volume or packages behind included units."""
    if not isinstance(line.overage, Overage) or not line.included:
        return False
    volume = line.overage.tiers is not None and file.tiers[line.overage.tiers].mode == "volume"
    return volume or line.overage.transform_quantity is not None


def is_priced(line: UsageLine) -> bool:
    """Tell whether a line sells units beyond the included ones for money."""
    return isinstance(line.overage, Overage) and line.overage.credits is None


def spends(file: File, plan: BillingPlan) -> bool:
    """Tell whether a plan charges through the spend meter."""
    priced = [line for line in plan.usage.values() if is_priced(line)]
    return plan.per_call is not None or plan.minimum is not None or any(beyond_one_price(file, line) for line in priced)


def through_spend(file: File, plan: BillingPlan, line: UsageLine) -> bool:
    """Tell whether a usage line is charged through the spend meter; a minimum draws every line there."""
    return is_priced(line) and (plan.minimum is not None or beyond_one_price(file, line))


def spend_currencies(file: File) -> set[str]:
    """Return the currencies that need a spend meter."""
    return set(_currencies(file))


def _currencies(file: File) -> Iterator[str]:
    assert file.settings is not None  # noqa: S101  a validated catalogue has settings
    for plan in file.plans.values():
        if plan.status != "draft" and spends(file, plan):
            yield plan_currency(file, plan)
    for tenant in file.tenants.values():
        if any(beyond_one_price(file, line) for line in tenant.usage.values()):
            yield tenant.currency or file.settings.currency


def spend_amounts(currency: str, minimum: Decimal | None) -> Values:
    """Return the amount fields of a spend price; a minimum is the flat amount of the first bracket.

    The first bracket ends where the spend reaches the minimum, so the total is the larger of the two.
    """
    unit = minor(MICRO, currency)
    if not minimum:
        return {"unit_amount_decimal": unit}
    reached = int(minimum / MICRO)
    first = {"up_to": reached, "unit_amount_decimal": "0", "flat_amount_decimal": minor(minimum, currency)}
    rest = {"up_to": "inf", "unit_amount_decimal": unit}
    return {"billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": [first, rest]}


def spend_units(amount: Decimal) -> Decimal:
    """Convert an amount in major units to units of its spend meter; not whole where the meter cannot hold it."""
    return amount.scaleb(6, context=money.EXACT)
