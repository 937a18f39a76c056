"""The invoice of a one-time purchase (https://docs.stripe.com/payments/checkout/receipts#paid-invoices)."""

from dataclasses import replace

from reconciler.sandbox.billing import checkout, drafts, invoicing, lines
from reconciler.sandbox.billing.charges import Charge, for_price
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj


def invoiced(call: Call, session: Obj) -> str:
    """Make and finalize the invoice of a session's order for its customer, and return its id."""
    customer = checkout.customer_of(call, session)
    if customer is None:
        raise LookupError(f"{session['id']} has no customer")
    data, items = session["invoice_creation"]["invoice_data"], checkout.items_of(call, session)
    invoice_id = drafts.new_id(call)
    charges = [_itemized(call, customer, charge, invoice_id) for item in items for charge in _charges(call, item)]
    drafts.draft(
        call,
        customer=customer,
        currency=session["currency"],
        charges=charges,
        billing_reason="manual",
        collection_method="charge_automatically",
        period=(call.now, call.now),
        auto_advance=False,
        discounts=checkout.redeem(call, session, checkout.order_amount(call, items)),
        metadata=data["metadata"],
        description=data["description"],
        include_pending_items=False,
        invoice_id=invoice_id,
        **_shown(data),
    )
    invoicing.finalize(call, must(call, "invoice", invoice_id))
    return invoice_id


def _shown(data: Obj) -> Obj:
    """Return what the invoice shows of ``invoice_data`` where that says something."""
    shown = {name: data[name] for name in ("custom_fields", "footer") if data[name]}
    display = (data["rendering_options"] or {}).get("amount_tax_display")
    if display:
        nothing = dict.fromkeys(("pdf", "template", "template_version"))
        shown["rendering"] = {"amount_tax_display": display, **nothing}
    return shown


def _itemized(call: Call, customer: Obj, charge: Charge, invoice_id: str) -> Charge:
    """Store a line's invoice item and return the line that comes from it."""
    return replace(charge, invoice_item=lines.add_item(call, customer, charge, invoice=invoice_id)["id"])


def _charges(call: Call, item: Obj) -> list[Charge]:
    price = must(call, "price", item["price"]).body
    period = (call.now, call.now)
    if price["custom_unit_amount"] is None:
        return for_price(
            price,
            item["quantity"],
            item["currency"],
            call.settings,
            name=item["description"],
            period=period,
            tax_rates=tuple(item["_tax_rates"]),
            metadata=item["metadata"],
        )
    chosen = Charge(
        amount=item["amount_subtotal"],
        currency=item["currency"],
        description=item["description"],
        period=period,
        unit_amount_decimal=str(item["amount_subtotal"]),
        price=price["id"],
        product=price["product"],
        tax_rates=tuple(item["_tax_rates"]),
        metadata=item["metadata"],
    )
    return [chosen]
