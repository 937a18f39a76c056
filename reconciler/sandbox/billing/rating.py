"""Prices times quantities: exact inside, rounded once per line.

Sources: https://docs.stripe.com/products-prices/pricing-models (per unit, package, volume, graduated) and
https://docs.stripe.com/api/prices/object (``transform_quantity``, ``tiers``, ``currency_options``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from reconciler.sandbox.billing.rounding import exact, rounded
from reconciler.sandbox.errors import invalid
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.wire import Obj


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One line of a rated price: its amount in minor units, of how many units at which price.

    ``tier`` is the number of its tier, the first being 1, or ``None`` where the price has no tiers; a ``flat`` part is
    the tier's flat fee.
    """

    amount: int
    quantity: int | Decimal
    unit_amount_decimal: str
    tier: int | None = None
    flat: bool = False


def rate(price: Obj, quantity: int | Decimal, currency: str, settings: Settings) -> tuple[Part, ...]:
    """Return the lines of a price object times a quantity in the price's currency or one of its options.

    A negative quantity, as meters can total, counts as zero. Without units there is one line of zero.
    """
    amounts = in_currency(price, currency)
    units = max(quantity, 0)
    if price["billing_scheme"] == "tiered":
        tiered = _graduated if price["tiers_mode"] == "graduated" else _volume
        return tuple(tiered(amounts["tiers"], units, settings))
    if amounts["unit_amount_decimal"] is None:
        raise invalid(f"The price {price['id']} has no fixed amount; it can be used in Checkout only.", "price")
    unit = amounts["unit_amount_decimal"]
    total = exact(unit) * exact(_packages(price, units))
    return (Part(amount=rounded(total, settings), quantity=units, unit_amount_decimal=unit),)


def in_currency(price: Obj, currency: str) -> Obj:
    """Return the amounts of a price in a currency: the price itself or one of its options (text observed)."""
    if currency == price["currency"]:
        return price
    option: Obj | None = price["currency_options"].get(currency)
    if option is None:
        raise invalid(
            f"The price specified only supports `{price['currency']}`. This doesn't match the expected currency: "
            f"`{currency}`.",
            "currency",
        )
    return option


def _packages(price: Obj, units: int | Decimal) -> int | Decimal:
    """Return what the unit amount is multiplied by: packages where ``transform_quantity`` divides, units elsewhere."""
    transform = price["transform_quantity"]
    if transform is None:
        return units
    whole = int(units // transform["divide_by"])
    return whole + 1 if units % transform["divide_by"] and transform["round"] == "up" else whole


def _graduated(tiers: Sequence[Obj], units: int | Decimal, settings: Settings) -> list[Part]:
    """Split the units over the tiers they fall in; a tier that is reached bills its flat fee."""
    parts: list[Part] = []
    below: int | Decimal = 0
    for number, tier in enumerate(tiers, start=1):
        within = units if _open(tier) else min(units, tier["up_to"])
        if number == 1 or within > below:
            parts += _tier_parts(tier, within - below, number, settings)
        below = within
    return parts


def _volume(tiers: Sequence[Obj], units: int | Decimal, settings: Settings) -> list[Part]:
    """Bill all units at the price of the tier their total falls in."""
    number, tier = next((n, tier) for n, tier in enumerate(tiers, start=1) if _open(tier) or units <= tier["up_to"])
    return _tier_parts(tier, units, number, settings)


def _open(tier: Obj) -> bool:
    return tier["up_to"] in {None, "inf"}


def _tier_parts(tier: Obj, units: int | Decimal, number: int, settings: Settings) -> list[Part]:
    """Return the units of a tier and its flat fee, and a line of zero where there is neither."""
    unit, flat = tier["unit_amount_decimal"], tier["flat_amount_decimal"]
    bills_flat = flat is not None and (units > 0 or settings.flat_amount_at_zero_usage)
    parts = []
    if unit is not None or not bills_flat:
        total = exact(unit or 0) * exact(units)
        parts.append(
            Part(amount=rounded(total, settings), quantity=units, unit_amount_decimal=unit or "0", tier=number)
        )
    if bills_flat:
        parts.append(Part(amount=int(flat), quantity=1, unit_amount_decimal=flat, tier=number, flat=True))
    return parts
