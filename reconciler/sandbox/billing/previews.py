"""What the next invoice would be (https://docs.stripe.com/api/invoices/create_preview).

A preview does what the requests it previews would do, and then undoes all of it.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from reconciler.sandbox.billing import discounts, drafts, editing, lines
from reconciler.sandbox.billing.balance import currency_of
from reconciler.sandbox.billing.given_lines import Place, described, revised
from reconciler.sandbox.billing.stored import first, must
from reconciler.sandbox.billing.subscribing import upcoming_charges
from reconciler.sandbox.billing.upcoming import none_upcoming
from reconciler.sandbox.errors import invalid, missing, not_modelled
from reconciler.sandbox.objects.amounts import currency as known
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj


class _PreviewedError(Exception):
    """Carries a preview out of the writes that are undone."""

    def __init__(self, invoice: Obj) -> None:
        super().__init__(invoice["id"])
        self.invoice = invoice


def create(call: Call) -> Obj:
    """Handle ``POST /v1/invoices/create_preview``."""
    try:
        with call.tx.attempt():
            _undo(_previewed(call))
    except _PreviewedError as done:
        return done.invoice


def _undo(invoice: Obj) -> NoReturn:
    raise _PreviewedError(invoice)


def _previewed(call: Call) -> Obj:
    params = call.params
    if params.get("automatic_tax", {}).get("enabled"):
        raise not_modelled("tax computed by Stripe", "automatic_tax[enabled]")
    if params.get("issuer", {}).get("type", "self") != "self":
        raise not_modelled("invoices of connected accounts", "issuer[type]")
    customer = _customer(call)
    call = call.on_clock_of(customer)
    following = upcoming_charges(call, customer, params)
    code = _currency(call, customer, following.subscription if following else None)
    for index, entry in enumerate(params.get("invoice_items") or ()):
        _item(call, customer, code, entry, f"invoice_items[{index}]")
    if following is None and first(call, "invoiceitem", ("pending", customer["id"])) is None:
        raise none_upcoming(customer["id"])
    subscription = following.subscription if following else None
    charges = following.charges if following else ()
    return drafts.preview(
        call,
        customer=customer,
        currency=code,
        charges=charges,
        period=following.period if following else (call.now, call.now),
        subscription=subscription,
        collection_method=subscription["collection_method"] if subscription else "charge_automatically",
        discounts=_redeemed(call, customer, code, subscription, sum(charge.amount for charge in charges)),
        default_tax_rates=subscription["default_tax_rates"] if subscription else (),
    )


def _customer(call: Call) -> Obj:
    """Return the customer who is named, or whose subscription or schedule is, as the request says they were."""
    params = call.params
    owners = {"customer": "id", "subscription": "customer", "schedule": "customer"}
    kinds = {"customer": "customer", "subscription": "subscription", "schedule": "subscription_schedule"}
    named = next((name for name in owners if name in params), None)
    if named is None:
        raise missing("customer")
    found = call.refer(kinds[named], params[named], named)
    customer = call.refer("customer", found[owners[named]], "customer")
    details = params.get("customer_details", {})
    for name in ("tax", "tax_ids", "tax_exempt"):
        if details.get(name):
            raise not_modelled("taxes of a customer who is other than stored", f"customer_details[{name}]")
    return {**customer, **{name: details[name] for name in ("address", "shipping") if name in details}}


def _currency(call: Call, customer: Obj, subscription: Obj | None) -> str:
    named = call.params.get("currency")
    code = known(named) if named else None
    if subscription is None:
        return code or currency_of(call, customer)
    own: str = subscription["currency"]
    if code not in {None, own}:
        raise invalid(f"The subscription is billed in {own}, not in {code}.", "currency")
    return own


def _redeemed(call: Call, customer: Obj, currency: str, subscription: Obj | None, amount: int) -> list[str] | None:
    """Return the discounts the preview asks for, ``None`` for those the invoice would have anyway."""
    if "discounts" not in call.params:
        return None
    given = call.params["discounts"]
    of = [subscription["id"]] if subscription else []
    return discounts.attach(call, given, customer=customer, currency=currency, amount=amount, ancestors=of)


def _item(call: Call, customer: Obj, currency: str, given: Mapping[str, Any], at: str) -> None:
    """Store an item that is described as pending, or change the pending one that is named."""
    named = given.get("invoiceitem")
    if named is None:
        item_id = lines.new_item_id(call)
        place = Place(customer=customer, currency=currency, at=at, invoice_item=item_id)
        lines.add_item(call, customer, described(call, given, place), item_id=item_id)
        return
    item = call.refer("invoiceitem", named, f"{at}[invoiceitem]")
    if item["customer"] != customer["id"] or item["invoice"] is not None:
        raise invalid(f"The invoice item {named} is not pending for this customer.", f"{at}[invoiceitem]")
    place = Place(customer=customer, currency=item["currency"], at=at, invoice_item=named)
    charge = revised(call, given, lines.charge_of(item), place)
    editing.revise(call, must(call, "invoiceitem", named), None, charge)
