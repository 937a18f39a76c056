"""What can be charged: the smallest and largest amounts of each currency, and their last digits.

Source: https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts. The list is by settlement currency; the
sandbox converts nothing, so a charge settles in its own currency, and one without a minimum of its own has none.
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from reconciler.money import MAX_MINOR_AMOUNT, THREE_DECIMAL, WHOLE_MAJOR, display
from reconciler.sandbox.errors import invalid, out_of_range
from reconciler.sandbox.settings import Settings

#: The smallest charge in minor units.
MINIMUM: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("usd", "aud", "brl", "cad", "chf", "eur", "inr", "nzd", "sgd", "jpy"), 50),
        **dict.fromkeys(("aed", "myr", "pln", "ron"), 200),
        **dict.fromkeys(("nok", "sek"), 300),
        **dict.fromkeys(("mxn", "thb"), 1000),
        "bgn": 100,
        "czk": 1500,
        "dkk": 250,
        "gbp": 30,
        "hkd": 400,
        "huf": 17500,
    }
)


def minimum(currency: str) -> int:
    """Return the smallest amount of a currency that can be charged, in minor units."""
    return MINIMUM.get(currency, 1)


def chargeable(owed: int, currency: str, settings: Settings) -> int:
    """Return what can be charged of what an invoice comes to: all of it, or an amount near it that ends as it must.

    In ugx it is "the nearest number evenly divisible by 100", and the difference goes to the customer's balance
    (https://docs.stripe.com/currencies#special-cases).
    """
    step = _step(currency)
    to_nearest = currency == "ugx" or settings.last_digits_round_to_nearest
    return (owed + (step // 2 if to_nearest else 0)) // step * step


def _step(currency: str) -> int:
    """Return what amounts of a currency must be a multiple of (the same page, also of three-decimal currencies)."""
    return 10 if currency in THREE_DECIMAL else 100 if currency in WHOLE_MAJOR else 1


def check_amount(amount: int, currency: str, param: str = "amount") -> None:
    """Refuse an amount that cannot be charged: ``amount_too_small``, ``amount_too_large``, or digits that must be 0."""
    if amount < 1:
        raise out_of_range(param, amount, least=1)
    if amount < minimum(currency):
        least = display(Decimal(minimum(currency)), currency)
        raise invalid(f"Amount must be at least {least}.", param, "amount_too_small")
    if amount > MAX_MINOR_AMOUNT:
        most = display(MAX_MINOR_AMOUNT, currency)
        raise invalid(f"Amount must be no more than {most}.", param, "amount_too_large")
    check_digits(amount, currency, param)


def check_digits(amount: int, currency: str, param: str = "amount") -> None:
    """Refuse an amount whose last digits can be neither charged nor refunded in its currency."""
    if amount % (step := _step(currency)):
        raise invalid(f"Amounts in {currency} must be evenly divisible by {step}.", param, "parameter_invalid_integer")
