"""The money in a price: one form of amount, tiers, options per currency (https://docs.stripe.com/api/prices/create)."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from reconciler.money import CURRENCIES, MAX_MINOR_AMOUNT, plain
from reconciler.sandbox.errors import exclusive, invalid, missing, out_of_range
from reconciler.sandbox.wire import Obj

AMOUNT_FORMS = ("unit_amount", "unit_amount_decimal", "custom_unit_amount")
_MOST = int(MAX_MINOR_AMOUNT)


def currency(text: str, param: str = "currency") -> str:
    """Return the lower-case code of a currency Stripe knows; upper case is accepted as a value (observed)."""
    code = text.lower()
    if code not in CURRENCIES:
        supported = ", ".join(sorted(CURRENCIES))
        raise invalid(f"Invalid currency: {text}. Stripe currently supports these currencies: {supported}", param)
    return code


def option_currency(text: str, base: str, param: str) -> str:
    """Check a key of ``currency_options``: known, lower case (observed), not the base (stripe/stripe-node#1559)."""
    code = currency(text, param)
    if code != text:
        raise invalid(
            f"Currencies must be lowercase when used as keys in a map. Use `{code}` instead of `{text}`.", param
        )
    if code == base:
        raise invalid(
            f"You are specifying a currency option that matches the top-level currency for this object ({base}).",
            f"{param}[{code}]",
        )
    return code


def whole_and_decimal(params: Mapping[str, Any], name: str, at: str = "") -> tuple[int | None, str | None]:
    """Return ``(name, name_decimal)`` as replies hold them: the integer is null when the amount is fractional."""
    whole, exact = params.get(name), params.get(f"{name}_decimal")
    path = f"{at}[{name}]" if at else name
    if whole is not None and exact is not None:
        raise exclusive(path, f"{at}[{name}_decimal]" if at else f"{name}_decimal")
    value = exact if whole is None else Decimal(whole)
    if value is None:
        return None, None
    if value < 0:
        raise out_of_range(path, whole if exact is None else plain(value), least=0)
    if value > _MOST:
        raise out_of_range(path, whole if exact is None else plain(value), most=_MOST)
    return (int(value) if value == value.to_integral_value() else None), plain(value)


def price_amounts(params: Mapping[str, Any], *, tiered: bool, at: str = "") -> Obj:
    """Return the amount fields of a price or of one currency option: exactly one form, tiers if and only if tiered."""
    given = [name for name in (*AMOUNT_FORMS, "tiers") if params.get(name) is not None]
    if len(given) > 1:
        raise exclusive(*(f"{at}[{name}]" if at else name for name in given))
    if tiered and given != ["tiers"]:
        raise missing(f"{at}[tiers]" if at else "tiers")
    if not tiered and given == ["tiers"]:
        raise invalid("`tiers` can be set only with `billing_scheme=tiered`.", f"{at}[tiers]" if at else "tiers")
    if not given:
        # Observed.
        raise invalid("Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set.", at or None)
    whole, exact = whole_and_decimal(params, "unit_amount", at)
    custom = params.get("custom_unit_amount")
    return {
        "custom_unit_amount": None
        if custom is None
        else _custom_amount(custom, f"{at}[custom_unit_amount]" if at else ""),
        "tiers": _tiers(params["tiers"], f"{at}[tiers]" if at else "tiers") if tiered else None,
        "unit_amount": whole,
        "unit_amount_decimal": exact,
    }


def _custom_amount(custom: Mapping[str, Any], at: str) -> Obj:
    """Return a pay-what-you-want range; ``enabled`` is not in replies (observed)."""
    path = at or "custom_unit_amount"
    if not custom["enabled"]:
        raise invalid("`enabled` must be true.", f"{path}[enabled]")
    bounds = [(name, custom[name]) for name in ("minimum", "preset", "maximum") if name in custom]
    for name, value in bounds:
        if value < 0:
            raise out_of_range(f"{path}[{name}]", value, least=0)
    for (low_name, low), (high_name, high) in pairwise(bounds):
        if low > high:
            raise invalid(f"`{low_name}` must not be greater than `{high_name}`.", f"{path}[{low_name}]")
    return {name: custom.get(name) for name in ("maximum", "minimum", "preset")}


def _tiers(tiers: Sequence[Mapping[str, Any]], at: str) -> list[Obj]:
    """Return the tiers: ascending, the last one open, an amount in each (lukasaron/terraform-provider-stripe#45)."""
    bounds = [tier["up_to"] for tier in tiers]
    for index, bound in enumerate(bounds):
        last = index == len(bounds) - 1
        if (bound == "inf") is not last:
            raise invalid("The last tier, and no other, must have `up_to` set to `inf`.", f"{at}[{index}][up_to]")
        if not last and bound <= (bounds[index - 1] if index else 0):
            raise invalid("Each tier's `up_to` must be greater than that of the tier before.", f"{at}[{index}][up_to]")
    return [_tier(tier, f"{at}[{index}]") for index, tier in enumerate(tiers)]


def _tier(tier: Mapping[str, Any], at: str) -> Obj:
    unit, unit_decimal = whole_and_decimal(tier, "unit_amount", at)
    flat, flat_decimal = whole_and_decimal(tier, "flat_amount", at)
    if unit_decimal is None and flat_decimal is None:
        raise invalid("An entry in the tiers array is missing an amount.", at)
    if flat_decimal is not None and flat is None:
        # "represents an integer in the minor units" (stripe.params.PriceCreateParamsTier).
        raise invalid("`flat_amount_decimal` must be a whole number of minor units.", f"{at}[flat_amount_decimal]")
    return {
        "flat_amount": flat,
        "flat_amount_decimal": flat_decimal,
        "unit_amount": unit,
        "unit_amount_decimal": unit_decimal,
        "up_to": None if tier["up_to"] == "inf" else tier["up_to"],
    }
