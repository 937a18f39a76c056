"""What one Stripe price cannot say is charged through a spend meter: its value is the charge itself.

One meter per currency counts charges in millionths of the major unit; its price is what one millionth costs. Prices per
call, monthly minimums, and volume or package prices behind included units go this way.
"""

from collections.abc import Iterator
from decimal import Decimal

from reconciler.config.models import File
from reconciler.config.terms import plan_currency, spends, tenant_currency, tenant_spends
from reconciler.resources.amounts import minor
from reconciler.resources.model import Values

#: One unit of a spend meter, in major units of its currency.
MICRO = Decimal("0.000001")


def spend_meter_address(currency: str) -> str:
    """Return the address of a currency's spend meter."""
    return f"meters.spend.{currency}"


def spend_product_address(currency: str) -> str:
    """Return the address of the product behind the tenants' own spend prices in a currency."""
    return f"{spend_meter_address(currency)}.product"


def spend_currencies(file: File) -> set[str]:
    """Return the currencies that need a spend meter."""
    return set(_of_plans(file)) | spend_currencies_of_tenants(file)


def spend_currencies_of_tenants(file: File) -> set[str]:
    """Return the currencies in which some tenant has a spend price of its own."""
    return {tenant_currency(file, tenant) for tenant in file.tenants.values() if tenant_spends(file, tenant)}


def _of_plans(file: File) -> Iterator[str]:
    for plan in file.plans.values():
        if plan.status != "draft" and spends(file, plan):
            yield plan_currency(file, plan)


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
