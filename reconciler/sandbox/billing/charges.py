"""A line of an invoice before there is one: what is charged, for which period, and what may be taken off it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from reconciler.money import exponent, plain, to_major
from reconciler.sandbox.billing.rating import Part, rate
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.wire import Obj

#: Symbols of the currencies that are commonly written with one; others are written with their code.
_SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One line to be: its amount in minor units, negative for a credit, before discounts, grants and taxes.

    ``discounts`` are ids of discounts of this line alone, ``tax_rates`` replace the invoice's default rates when given.
    ``credited_items`` are the lines a credit proration gives back: ``{"invoice": ..., "invoice_line_items": [...]}``.
    ``wide`` are those of the invoice that apply to this line, ``None`` all of them.
    ``invoice_item`` is the invoice item the line comes from; without one the line comes from ``subscription_item``.
    ``usage`` is the time whose usage the line bills, to be counted anew until its invoice is final.
    """

    amount: int
    currency: str
    description: str | None
    period: tuple[int, int]
    quantity: int | Decimal = 1
    unit_amount_decimal: str | None = None
    price: str | None = None
    product: str | None = None
    subscription: str | None = None
    subscription_item: str | None = None
    invoice_item: str | None = None
    proration: bool = False
    credited_items: Obj | None = None
    discountable: bool = True
    discounts: tuple[str, ...] = ()
    wide: tuple[str, ...] | None = None
    tax_rates: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    usage: tuple[int, int] | None = None


def for_price(
    price: Obj,
    quantity: int | Decimal,
    currency: str,
    settings: Settings,
    *,
    name: str,
    period: tuple[int, int],
    subscription: str | None = None,
    subscription_item: str | None = None,
    discounts: tuple[str, ...] = (),
    tax_rates: tuple[str, ...] = (),
    metadata: Mapping[str, str] | None = None,
) -> list[Charge]:
    """Return the lines of a price times a quantity, as Stripe invoices it: one per tier and one per flat fee.

    ``name`` is the product's, for the descriptions.
    """
    return [
        Charge(
            amount=part.amount,
            currency=currency,
            description=describe(part, name, price, currency),
            period=period,
            quantity=part.quantity,
            unit_amount_decimal=part.unit_amount_decimal,
            price=price["id"],
            product=price["product"],
            subscription=subscription,
            subscription_item=subscription_item,
            discounts=discounts,
            tax_rates=tax_rates,
            metadata=dict(metadata or {}),
        )
        for part in rate(price, quantity, currency, settings)
    ]


def describe(part: Part, name: str, price: Obj, currency: str) -> str:
    """Write a line's description as Stripe does: "3 \u00d7 Pro (at $10.00 / month)" (observed)."""
    amount = money(Decimal(part.unit_amount_decimal or 0), currency)
    tier = "" if part.tier is None else f"Tier {part.tier} "
    return f"{plain(Decimal(part.quantity))} \u00d7 {name} ({tier}at {amount}{_every(price)})"


def money(minor: Decimal, currency: str) -> str:
    """Write an amount for people, with the currency's symbol or its code: ``$10.00``, ``$0.005``, ``CHF 3.00``."""
    major = to_major(minor, currency)
    text = plain(major)
    places = max(exponent(currency), len(text.partition(".")[2]))
    sign = "-" if major < 0 else ""
    return f"{sign}{_SYMBOLS.get(currency) or currency.upper() + ' '}{abs(major):.{places}f}"


def _every(price: Obj) -> str:
    recurring = price["recurring"]
    if recurring is None:
        return ""
    count, interval = recurring["interval_count"], recurring["interval"]
    return f" / {interval}" if count == 1 else f" every {count} {interval}s"
