"""From amounts in the files to amounts at Stripe: minor units as decimal text, brackets, packages.

Every function is exact; what Stripe cannot hold was refused when the files were validated.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from reconciler import money
from reconciler.config.models import CurrencyOption, CustomUnitAmount, Overage, Step, Tier, TransformQuantity
from reconciler.resources.model import Json, Values


def minor(amount: Decimal, currency: str) -> str:
    """Write an amount in minor units as plain decimal text: ``0.005`` usd is ``"0.5"``."""
    return money.plain(money.to_minor(amount, currency))


def brackets(steps: Sequence[Step], currency: str, *, included: int = 0) -> list[Json]:
    """Turn price steps into Stripe tiers, shifted behind the included units, which cost nothing."""
    free: list[Json] = [{"up_to": included, "unit_amount_decimal": "0"}] if included else []
    return free + [_bracket(step, currency, included) for step in steps]


def _bracket(step: Step, currency: str, included: int) -> Values:
    tier: Values = {"up_to": step.up_to if step.up_to == "inf" else int(step.up_to) + included}
    tier["unit_amount_decimal"] = minor(step.unit_amount or Decimal(0), currency)
    if step.flat_amount:
        tier["flat_amount_decimal"] = minor(step.flat_amount, currency)
    return tier


def tiered(tier: Tier, currency: str, *, included: int = 0) -> Values:
    """Return the amount fields of a price made from a tier table, other currencies included."""
    values: Values = {
        "billing_scheme": "tiered",
        "tiers_mode": tier.mode,
        "tiers": brackets(tier.steps, currency, included=included),
    }
    options = {
        other: {"tiers": brackets(steps, other, included=included)} for other, steps in tier.currency_options.items()
    }
    return {**values, "currency_options": options} if options else values


def per_unit(amount: Decimal, currency: str, options: Mapping[str, Decimal]) -> Values:
    """Return the amount fields of a price per unit."""
    values: Values = {"unit_amount_decimal": minor(amount, currency)}
    if options:
        values["currency_options"] = {
            other: {"unit_amount_decimal": minor(value, other)} for other, value in options.items()
        }
    return values


def custom(amount: CustomUnitAmount, currency: str) -> Values:
    """Return ``custom_unit_amount`` with whole minor units."""
    bounds = {"minimum": amount.minimum, "maximum": amount.maximum, "preset": amount.preset}
    values: Values = {"enabled": True}
    values.update({name: int(money.to_minor(value, currency)) for name, value in bounds.items() if value is not None})
    return values


def currency_options(options: Mapping[str, Decimal | CurrencyOption]) -> Values:
    """Return ``currency_options`` of a flat price."""
    return {currency: _option(option, currency) for currency, option in options.items()}


def _option(option: Decimal | CurrencyOption, currency: str) -> Values:
    if isinstance(option, Decimal):
        return {"unit_amount_decimal": minor(option, currency)}
    values: Values = {}
    if option.unit_amount is not None:
        values["unit_amount_decimal"] = minor(option.unit_amount, currency)
    if option.custom_unit_amount is not None:
        values["custom_unit_amount"] = custom(option.custom_unit_amount, currency)
    if option.tax_behavior is not None:
        values["tax_behavior"] = option.tax_behavior
    return values


def transform(quantity: TransformQuantity | None) -> Values:
    """Return ``transform_quantity`` where the price is per package."""
    return {} if quantity is None else {"transform_quantity": quantity.model_dump()}


def usage_amounts(overage: Overage, tier: Tier | None, included: int, currency: str) -> Values:
    """Return the amount fields of a metered price: included units free, then the overage."""
    if tier is not None:
        return tiered(tier, currency, included=included)
    amount = Decimal(0) if overage.unit_amount is None else overage.unit_amount
    if not included:
        return {**per_unit(amount, currency, overage.currency_options), **transform(overage.transform_quantity)}
    steps = Tier(
        steps=(Step(up_to="inf", unit_amount=amount),),
        currency_options={
            other: (Step(up_to="inf", unit_amount=value),) for other, value in overage.currency_options.items()
        },
    )
    return tiered(steps, currency, included=included)


def read_brackets(tiers: Any) -> list[Json] | None:
    """Read tiers as Stripe answers them: no bound means ``inf``, a missing amount means zero."""
    if tiers is None:
        return None
    return [_read_bracket(tier) for tier in tiers]


def _read_bracket(tier: Mapping[str, Any]) -> Values:
    read: Values = {
        "up_to": "inf" if tier.get("up_to") is None else tier["up_to"],
        "unit_amount_decimal": decimal_text(tier.get("unit_amount_decimal") or 0),
    }
    flat = decimal_text(tier.get("flat_amount_decimal") or 0)
    return read if flat == "0" else {**read, "flat_amount_decimal": flat}


def read_custom(amount: Mapping[str, Any] | None) -> Values | None:
    """Read ``custom_unit_amount``; Stripe answers without ``enabled`` and with nulls for open bounds."""
    if amount is None:
        return None
    bounds = ("minimum", "maximum", "preset")
    return {"enabled": True, **{name: amount[name] for name in bounds if amount.get(name) is not None}}


def read_currency_options(live: Mapping[str, Any]) -> Values | None:
    """Read ``currency_options`` without the base currency, which Stripe may or may not repeat there."""
    options = {
        currency: _read_option(option)
        for currency, option in (live.get("currency_options") or {}).items()
        if currency != live.get("currency")
    }
    return options or None


def _read_option(option: Mapping[str, Any]) -> Values:
    read: Values = {}
    if option.get("tiers"):
        read["tiers"] = read_brackets(option["tiers"])
    elif option.get("custom_unit_amount"):
        read["custom_unit_amount"] = read_custom(option["custom_unit_amount"])
    else:
        read["unit_amount_decimal"] = decimal_text(option.get("unit_amount_decimal"))
    if option.get("tax_behavior") not in (None, "unspecified"):
        read["tax_behavior"] = option["tax_behavior"]
    return read


def only_adds(live: Json, desired: Json) -> bool:
    """Accept new currencies, and a tax behavior where there was none: an amount is what subscribers pay."""
    wanted = desired or {}
    return all(_settles(option, wanted.get(currency)) for currency, option in (live or {}).items())


def _settles(live: Values, desired: Values | None) -> bool:
    if desired is None or "tax_behavior" in live:
        return live == desired
    return live == {name: value for name, value in desired.items() if name != "tax_behavior"}


def decimal_text(value: Any) -> str | None:
    """Read a number as Stripe writes it (text, int, or a JSON number) as plain decimal text."""
    return None if value is None else money.plain(Decimal(str(value)))
