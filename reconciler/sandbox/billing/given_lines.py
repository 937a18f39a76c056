"""What a request says about an invoice item or a line: the charge it describes, and how it changes one.

Sources: the parameters' descriptions of https://docs.stripe.com/api/invoiceitems/create and
https://docs.stripe.com/api/invoices/add_lines; the text about recurring prices is observed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from reconciler.money import plain
from reconciler.sandbox.billing import discounts
from reconciler.sandbox.billing.balance import currency_of
from reconciler.sandbox.billing.charges import Charge
from reconciler.sandbox.billing.rating import rate
from reconciler.sandbox.billing.rounding import rounded
from reconciler.sandbox.errors import exclusive, invalid, missing, not_modelled, out_of_range
from reconciler.sandbox.lists import too_many
from reconciler.sandbox.objects import inline_price
from reconciler.sandbox.objects.amounts import currency as known
from reconciler.sandbox.objects.base import Call, merge_metadata
from reconciler.sandbox.wire import Obj

#: How many tax rates a line, or an invoice by default, can have (https://docs.stripe.com/tax/tax-rates).
MAX_TAX_RATES = 5
_FORMS = ("amount", "pricing", "price", "price_data", "unit_amount", "unit_amount_decimal")
_QUANTITIES = ("quantity", "quantity_decimal")
_REFUSED = ("tax_amounts", "tax_behavior", "tax_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a described line belongs: its parameters' path, customer, currency, and what owns its discounts."""

    customer: Obj
    currency: str | None
    at: str = ""
    invoice_item: str | None = None
    invoice: str | None = None
    subscription: str | None = None

    def path(self, name: str) -> str:
        """Return the path of one of the line's parameters."""
        head, bracket, rest = name.partition("[")
        return f"{self.at}[{head}]{bracket}{rest}" if self.at else name


def described(call: Call, given: Mapping[str, Any], place: Place) -> Charge:
    """Return the charge of a new line: an amount, a one-time price or a unit amount times a quantity."""
    if not any(given.get(form) is not None for form in _FORMS):
        raise missing(place.path("amount"))
    fresh = Charge(
        amount=0,
        currency=place.currency or "",
        description=None,
        period=(call.now, call.now),
        invoice_item=place.invoice_item,
        subscription=place.subscription,
    )
    priced = _priced(call, given, fresh, place)
    charge = replace(priced, discountable=priced.amount >= 0)
    return _dressed(call, given, charge, place)


def revised(call: Call, given: Mapping[str, Any], charge: Charge, place: Place) -> Charge:
    """Return a charge as a request changes it; a quantity alone is times the price or unit amount it had."""
    if any(given.get(name) is not None for name in (*_FORMS, *_QUANTITIES)):
        charge = _priced(call, given, charge, place)
    return _dressed(call, given, charge, place)


def _priced(call: Call, given: Mapping[str, Any], charge: Charge, place: Place) -> Charge:
    forms = [form for form in _FORMS if given.get(form) is not None]
    if len(forms) > 1:
        raise exclusive(*(place.path(form) for form in forms))
    quantity = _quantity(given, charge, place)
    form = forms[0] if forms else None
    if form == "amount":
        if any(given.get(name) is not None for name in _QUANTITIES):
            raise exclusive(place.path("amount"), place.path("quantity"))
        amount, code = given["amount"], _currency(call, given, charge, place)
        bare = replace(charge, price=None, product=None, quantity=1)
        return replace(bare, amount=amount, currency=code, unit_amount_decimal=str(amount))
    if form in {"unit_amount", "unit_amount_decimal"}:
        return _by_unit(call, given, charge, place, plain(Decimal(given[form])), quantity)
    if form is None and charge.price is None:
        unit = charge.unit_amount_decimal or str(charge.amount)
        return _by_unit(call, given, charge, place, unit, quantity)
    return _by_price(call, given, charge, place, form, quantity)


def _quantity(given: Mapping[str, Any], charge: Charge, place: Place) -> int | Decimal:
    named = [name for name in _QUANTITIES if given.get(name) is not None]
    if len(named) > 1:
        raise exclusive(*(place.path(name) for name in named))
    quantity: int | Decimal = given[named[0]] if named else charge.quantity
    if quantity < 0:
        raise out_of_range(place.path(named[0]), str(quantity), least=0)
    return quantity


def _by_unit(
    call: Call, given: Mapping[str, Any], charge: Charge, place: Place, unit: str, quantity: int | Decimal
) -> Charge:
    amount = rounded(Fraction(Decimal(unit)) * Fraction(quantity), call.settings)
    code = _currency(call, given, charge, place)
    bare = replace(charge, price=None, product=None)
    return replace(bare, amount=amount, currency=code, quantity=quantity, unit_amount_decimal=unit)


def _by_price(
    call: Call, given: Mapping[str, Any], charge: Charge, place: Place, form: str | None, quantity: int | Decimal
) -> Charge:
    price = _price(call, given, charge, place, form)
    if price["recurring"] is not None:
        raise invalid(
            "The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.",
            place.path("pricing[price]"),
        )
    asked = given.get("currency") or charge.currency or None
    code = known(asked, place.path("currency")) if asked else price["currency"]
    part = rate(price, quantity, code, call.settings)[0]
    product = call.tx.find("product", price["product"])
    return replace(
        charge,
        amount=part.amount,
        currency=code,
        description=charge.description or (product.body["name"] if product else None),
        quantity=quantity,
        unit_amount_decimal=part.unit_amount_decimal,
        price=price["id"],
        product=price["product"],
    )


def _price(call: Call, given: Mapping[str, Any], charge: Charge, place: Place, form: str | None) -> Obj:
    """Return the price that is named, brought along, or the one the charge has."""
    if form is None:
        return call.refer("price", charge.price or "", place.path("pricing[price]"))
    if form == "price_data":
        return inline_price.create(call, given["price_data"], place.path("price_data"))
    named = given["price"] if form == "price" else given["pricing"].get("price")
    param = place.path("price" if form == "price" else "pricing[price]")
    if named is None:
        raise missing(param)
    price = call.refer("price", named, param)
    check_active(call, price, given, param)
    return price


def check_active(call: Call, price: Obj, given: Mapping[str, Any], param: str) -> None:
    """Refuse a price that is archived; by the setting, not one that a schedule had ``_planned`` before it was."""
    if not price["active"] and not (given.get("_planned") and call.settings.archived_phase_prices_are_used):
        # Observed.
        raise invalid("The price specified is inactive. This field only accepts active prices.", param)


def _currency(call: Call, given: Mapping[str, Any], charge: Charge, place: Place) -> str:
    """Return the currency asked for, the invoice's, the customer's, or the account's."""
    asked = given.get("currency")
    if asked is not None:
        return known(asked, place.path("currency"))
    return charge.currency or currency_of(call, place.customer)


def _dressed(call: Call, given: Mapping[str, Any], charge: Charge, place: Place) -> Charge:
    """Return the charge with its description, period, discounts, rates and metadata as given."""
    for name in _REFUSED:
        if given.get(name):
            raise not_modelled("taxes that Stripe or others compute", place.path(name))
    if given.get("discountable") and charge.proration:
        raise invalid("A proration cannot be discountable.", place.path("discountable"))
    if "description" in given:
        charge = replace(charge, description=given["description"] or None)
    if given.get("period") is not None:
        charge = replace(charge, period=_period(given["period"], place))
    if "discountable" in given:
        charge = replace(charge, discountable=given["discountable"])
    if "metadata" in given:
        charge = replace(charge, metadata=merge_metadata(charge.metadata, given["metadata"]))
    if "tax_rates" in given:
        charge = replace(charge, tax_rates=rates(call, given["tax_rates"], place.path("tax_rates")))
    if "discounts" in given:
        charge = replace(charge, discounts=_discounts(call, given, charge, place))
    return charge


def _period(given: Mapping[str, int], place: Place) -> tuple[int, int]:
    if given["end"] < given["start"]:
        raise invalid("`period[end]` must not be before `period[start]`.", place.path("period[end]"))
    return given["start"], given["end"]


def rates(call: Call, given: list[str] | None, param: str) -> tuple[str, ...]:
    """Return the tax rates a parameter names, at most five; each must exist and be active."""
    if len(given or ()) > MAX_TAX_RATES:
        raise too_many(param, MAX_TAX_RATES)
    for index, rate_id in enumerate(given or ()):
        if not call.refer("tax_rate", rate_id, f"{param}[{index}]")["active"]:
            raise invalid(f"The tax rate {rate_id} is archived.", f"{param}[{index}]")
    return tuple(dict.fromkeys(given or ()))


def _discounts(call: Call, given: Mapping[str, Any], charge: Charge, place: Place) -> tuple[str, ...]:
    redeemed = discounts.attach(
        call,
        given["discounts"],
        customer=place.customer,
        currency=charge.currency,
        param=place.path("discounts"),
        ancestors=[place.invoice, charge.subscription],
        invoice_item=place.invoice_item,
    )
    return tuple(redeemed)
