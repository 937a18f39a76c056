"""From amounts at Stripe to amounts in the files: exact decimals in major units, brackets, packages."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from reconciler import money
from reconciler.config.emit import Plain
from reconciler.resources.model import Values


def major(minor: Any, currency: str) -> Plain:
    """Write minor units as a file does: ``"4999"`` usd is ``49.99``, ``"0.5"`` is ``0.005``, nothing is ``0``.

    >>> major("50000", "usd"), major("0.5", "usd"), major(0, "usd"), major("500", "jpy")
    ('500.00', '0.005', '0', '500')
    """
    value = money.to_major(Decimal(str(minor)), currency)
    if not value:
        return Plain("0")
    places = max(money.exponent(currency), money.decimals(value))
    return Plain(f"{value:.{places}f}")


def number(text: Any) -> Plain:
    """Write a decimal without trailing zeros."""
    return Plain(money.plain(Decimal(str(text))))


def instant(seconds: int) -> Plain:
    """Write seconds since 1970 as a day, or as an instant where it is not the start of one."""
    when = datetime.fromtimestamp(seconds, UTC)
    return Plain(when.strftime("%Y-%m-%d" if when.time() == when.time().min else "%Y-%m-%dT%H:%M:%SZ"))


def steps(tiers: Sequence[Values], currency: str, *, included: int = 0) -> list[dict[str, Any]]:
    """Write Stripe tiers as steps, their bounds counted from behind the included units."""
    return [_step(tier, currency, included) for tier in tiers]


def _step(tier: Values, currency: str, included: int) -> dict[str, Any]:
    bound = tier["up_to"]
    step: dict[str, Any] = {"up_to": bound if bound == "inf" else int(bound) - included}
    flat, unit = tier.get("flat_amount_decimal"), tier["unit_amount_decimal"]
    if unit != "0" or not flat:
        step["unit_amount"] = major(unit, currency)
    if flat:
        step["flat_amount"] = major(flat, currency)
    return step


def included_units(values: Values) -> int:
    """Return how many units cost nothing before the first that has a price, in every currency; 0 where there are none.

    Only a graduated table has such units: by volume, the first bracket tells what a small total costs.
    """
    if values.get("tiers_mode") != "graduated":
        return 0
    tables = [values["tiers"], *(option.get("tiers") for option in (values.get("currency_options") or {}).values())]
    bounds = {_free(table) for table in tables}
    return bounds.pop() if len(bounds) == 1 else 0


def _free(table: Sequence[Values] | None) -> int:
    if not table or len(table) < 2:  # noqa: PLR2004  a free bracket and one behind it
        return 0
    first = table[0]
    free = first["unit_amount_decimal"] == "0" and "flat_amount_decimal" not in first
    return int(first["up_to"]) if free and first["up_to"] != "inf" else 0


def custom(amount: Values, currency: str) -> dict[str, Any]:
    """Write the bounds of an amount that the customer chooses."""
    return {name: major(amount[name], currency) for name in ("minimum", "maximum", "preset") if name in amount}
