"""Lines of invoices and the invoice items behind them: built from charges, kept in step with each other.

Sources: https://docs.stripe.com/api/invoice-line-item/object, https://docs.stripe.com/api/invoiceitems/object.
"""

from decimal import Decimal
from typing import Any

from reconciler.money import plain
from reconciler.sandbox.billing.charges import Charge
from reconciler.sandbox.billing.stored import rows
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: How many invoice items one invoice can have (https://docs.stripe.com/api/invoiceitems/create).
MAX_ITEMS = 250


def build(call: Call, charge: Charge, invoice_id: str) -> Obj:
    """Return the line of a charge, not stored, with no discount and no tax on it yet."""
    shown = shown_line(charge)
    return call.fill(call.families["line_item"], call.new_id("il_1", 23), **shown, invoice=invoice_id)


def shown_line(charge: Charge) -> Obj:
    """Return what a line shows of its charge."""
    return {
        "amount": charge.amount,
        "currency": charge.currency,
        "description": charge.description,
        "discountable": charge.discountable and not charge.proration,
        "discounts": list(charge.discounts),
        "metadata": dict(charge.metadata),
        "parent": _parent(charge),
        "period": {"end": charge.period[1], "start": charge.period[0]},
        "pricing": _pricing(charge),
        "subscription": charge.subscription,
        "subtotal": charge.amount,
        **quantities(charge.quantity),
        "_item": charge.invoice_item,
        "_own_tax_rates": list(charge.tax_rates),
        "_product": charge.product,
        "_usage": None if charge.usage is None else list(charge.usage),
        "_wide": _wide(charge),
    }


def _wide(charge: Charge) -> list[str] | None:
    return None if charge.wide is None else list(charge.wide)


def quantities(quantity: int | Decimal) -> Obj:
    """Return a quantity as objects show it: cut to an integer, and exact."""
    return {"quantity": int(quantity), "quantity_decimal": plain(Decimal(quantity))}


def _pricing(charge: Charge) -> Obj | None:
    """Return what a line costs per unit, and the price it comes from; an amount alone has none."""
    pricing: Obj = {"type": "price_details", "unit_amount_decimal": charge.unit_amount_decimal}
    if charge.price:
        return {"price_details": {"price": charge.price, "product": charge.product}, **pricing}
    return pricing if charge.unit_amount_decimal is not None else None


def _parent(charge: Charge) -> Obj:
    credited = charge.credited_items if "invoice" in (charge.credited_items or {}) else None
    details: Obj = {
        "invoice_item": charge.invoice_item,
        "proration": charge.proration,
        "proration_details": {"credited_items": credited} if charge.proration else None,
        "subscription": charge.subscription,
    }
    if charge.subscription_item:
        of_item = {**details, "subscription_item": charge.subscription_item}
        kind = "subscription_item_details"
        return {"invoice_item_details": None, "subscription_item_details": of_item, "type": kind}
    return {"invoice_item_details": details, "subscription_item_details": None, "type": "invoice_item_details"}


def new_item_id(call: Call) -> str:
    """Return a fresh id of an invoice item."""
    return call.new_id("ii_1", 23)


def add_item(
    call: Call, customer: Obj, charge: Charge, *, invoice: str | None = None, item_id: str | None = None, **fields: Any
) -> Obj:
    """Store an invoice item, pending unless it is on an ``invoice`` already; the line is not made here.

    This is how a proration waits for the next invoice.
    """
    family = call.families["invoiceitem"]
    item = call.fill(
        family,
        item_id or new_item_id(call),
        **shown_item(charge),
        customer=customer["id"],
        customer_account=customer.get("customer_account"),
        date=call.now,
        invoice=invoice,
        test_clock=customer.get("test_clock"),
        **fields,
    )
    return call.create(family, item)


def shown_item(charge: Charge) -> Obj:
    """Return what an invoice item shows of its charge."""
    discountable = charge.discountable and not charge.proration
    return {
        "amount": charge.amount,
        "currency": charge.currency,
        "description": charge.description,
        "discountable": discountable,
        "discounts": list(charge.discounts),
        "metadata": dict(charge.metadata),
        "net_amount": None if discountable else charge.amount,
        "parent": _item_parent(charge),
        "period": {"end": charge.period[1], "start": charge.period[0]},
        "pricing": _pricing(charge),
        "proration": charge.proration,
        "proration_details": {"credited_items": _credited(charge), "discount_amounts": []},
        "tax_rates": list(charge.tax_rates),
        **quantities(charge.quantity),
        "_wide": _wide(charge),
    }


def _item_parent(charge: Charge) -> Obj | None:
    if charge.subscription is None:
        return None
    details = {"subscription": charge.subscription}
    if charge.subscription_item:
        details["subscription_item"] = charge.subscription_item
    return {"subscription_details": details, "type": "subscription_details"}


def _credited(charge: Charge) -> Obj | None:
    """Return what a credit proration gives back: a pending invoice item, or lines of an invoice."""
    credited = charge.credited_items
    if credited is None:
        return None
    if "invoice_item" in credited:
        return {"invoice_item": credited["invoice_item"], "type": "invoice_item"}
    return {"invoice_line_item_details": credited, "type": "invoice_line_items"}


def charge_of(item: Obj) -> Charge:
    """Return the charge of an invoice item: what its line on an invoice is built from."""
    details = (item["parent"] or {}).get("subscription_details", {})
    credited = item["proration_details"]["credited_items"] or {}
    return Charge(
        **_common(item),
        subscription=details.get("subscription"),
        subscription_item=details.get("subscription_item"),
        invoice_item=item["id"],
        proration=item["proration"],
        credited_items=credited.get("invoice_line_item_details"),
        tax_rates=tuple(item["tax_rates"]),
    )


def charge_of_line(line: Obj) -> Charge:
    """Return the charge a line shows."""
    parent = line["parent"]
    details = parent[parent["type"]]
    return Charge(
        **_common(line),
        subscription=details["subscription"],
        subscription_item=details.get("subscription_item"),
        invoice_item=line["_item"],
        proration=details["proration"],
        credited_items=(details["proration_details"] or {}).get("credited_items"),
        tax_rates=tuple(line["_own_tax_rates"]),
        usage=tuple(line["_usage"]) if line.get("_usage") else None,
    )


def _common(shown: Obj) -> dict[str, Any]:
    """Return what a line and an invoice item show alike."""
    pricing = shown["pricing"] or {}
    from_price = pricing.get("price_details", {})
    exact = Decimal(shown["quantity_decimal"])
    return {
        "amount": shown["amount"],
        "currency": shown["currency"],
        "description": shown["description"],
        "period": (shown["period"]["start"], shown["period"]["end"]),
        "quantity": exact,
        "unit_amount_decimal": pricing.get("unit_amount_decimal"),
        "price": from_price.get("price"),
        "product": from_price.get("product"),
        "discountable": shown["discountable"],
        "discounts": tuple(shown["discounts"]),
        "metadata": shown["metadata"],
        "wide": None if shown.get("_wide") is None else tuple(shown["_wide"]),
    }


def of_invoice(call: Call, invoice_id: str) -> list[Row]:
    """Return the lines of an invoice in their order."""
    return list(rows(call, "line_item", ("invoice", invoice_id)))


def of_item(call: Call, item: Obj) -> Row | None:
    """Return the line an invoice item has on its invoice."""
    if item["invoice"] is None:
        return None
    return next((row for row in of_invoice(call, item["invoice"]) if row.body["_item"] == item["id"]), None)


def waiting_for(call: Call, subscription: Obj) -> list[Row]:
    """Return the pending invoice items that a subscription's next invoice takes: its own, and those of none."""
    return pending(call, subscription["customer"], subscription["currency"], subscription["id"], every=False)


def pending(call: Call, customer_id: str, currency: str, subscription_id: str | None, *, every: bool) -> list[Row]:
    """Return the customer's pending invoice items in a currency, newest first, as many as one invoice takes.

    Those of other subscriptions are left out, unless it is ``every`` item that is wanted.
    """
    waiting = []
    for row in rows(call, "invoiceitem", ("pending", customer_id)):
        of_subscription = (row.body["parent"] or {}).get("subscription_details", {}).get("subscription")
        if row.body["currency"] == currency and (every or of_subscription in {None, subscription_id}):
            waiting.append(row)
    return waiting[:MAX_ITEMS][::-1]
