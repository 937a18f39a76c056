"""What a licensed price charges for a quantity, from a price's canonical values. Pure.

An invoice rounds each of its lines once, so a sum of brackets is that of rounded brackets.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from reconciler.pricing.invoice import half_up
from reconciler.pricing.rating import ZERO, Bracket, Rate, parts, rounded
from reconciler.resources.model import Json, Values

#: Intervals in a year of 365 days, for sums per month of what is due in different intervals.
_IN_A_YEAR = {"day": Fraction(365), "week": Fraction(365, 7), "month": Fraction(12), "year": Fraction(1)}


def lines(values: Values, quantity: int, currency: str) -> tuple[int, ...] | None:
    """Return the amounts of the lines an interval is billed by; None where the price is not sold in the currency.

    Amounts are minor units, before discounts and taxes; what a bracket costs at once has a line of its own.
    """
    amounts = _amounts(values, currency)
    if amounts is None:
        return None
    found = parts(_rate(values, amounts), quantity)
    billed = ((rounded(part.units * part.unit), rounded(part.flat)) for part in found)
    return tuple(amount for both in billed for amount in both if amount)


def charge(values: Values, quantity: int, currency: str) -> int | None:
    """Return what an interval costs in minor units, before discounts and taxes; None where not sold in the currency."""
    billed = lines(values, quantity, currency)
    return None if billed is None else sum(billed)


def per_month(amount: int, recurring: Mapping[str, Json]) -> Fraction:
    """Return what an amount due each interval comes to in a twelfth of a year."""
    return amount * _IN_A_YEAR[str(recurring["interval"])] / (12 * int(recurring["interval_count"]))


def rest_of(before: Sequence[int], after: int, period: tuple[int, int], at: int) -> int:
    """Return what the rest of a paid period comes to if one amount takes the place of billed lines at a time.

    Stripe gives the unused time of each line back and charges the remaining time, each rounded to whole minor units
    (https://docs.stripe.com/billing/subscriptions/prorations).
    """
    start, end = period
    share = Fraction(max(0, end - max(at, start)), end - start)
    return half_up(after * share) - sum(half_up(amount * share) for amount in before)


def _amounts(values: Values, currency: str) -> Mapping[str, Json] | None:
    if values["currency"] == currency:
        return values
    found: Mapping[str, Json] | None = (values.get("currency_options") or {}).get(currency)
    return found


def _rate(values: Values, amounts: Mapping[str, Json]) -> Rate:
    packages = values.get("transform_quantity") or {"divide_by": 1, "round": "up"}
    tiers = amounts.get("tiers") or [{"up_to": "inf", "unit_amount_decimal": amounts["unit_amount_decimal"]}]
    return Rate(
        brackets=tuple(
            Bracket(
                None if tier["up_to"] == "inf" else int(tier["up_to"]),
                Decimal(str(tier.get("unit_amount_decimal", 0))),
                Decimal(str(tier["flat_amount_decimal"])) if "flat_amount_decimal" in tier else ZERO,
            )
            for tier in tiers
        ),
        mode="volume" if values.get("tiers_mode") == "volume" else "graduated",
        package=int(packages["divide_by"]),
        round=packages["round"],
    )
