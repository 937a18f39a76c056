"""Invoice items: single charges and credits, pending or on a draft (https://docs.stripe.com/api/invoiceitems)."""

from collections.abc import Iterable

from reconciler.sandbox.billing import editing, lines
from reconciler.sandbox.billing.drafts import customer_of, recompute
from reconciler.sandbox.billing.given_lines import Place, described, revised
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.errors import exclusive, invalid, missing
from reconciler.sandbox.lists import named_in, page
from reconciler.sandbox.objects.base import Call, Family, Route, flag, retrieve
from reconciler.sandbox.store import Row, Term
from reconciler.sandbox.wire import Obj

_TAX = frozenset({"tax_behavior", "tax_code"})


def _create(call: Call) -> Obj:
    params = call.params
    invoice = call.refer("invoice", params["invoice"], "invoice") if "invoice" in params else None
    customer = _customer(call, invoice)
    call = call.on_clock_of(customer)
    if invoice:
        editing.draft_row(call, invoice["id"])
        editing.check_room(call, invoice["id"], 1)
    item_id = lines.new_item_id(call)
    place = Place(
        customer=customer,
        currency=invoice["currency"] if invoice else None,
        invoice_item=item_id,
        invoice=invoice["id"] if invoice else None,
        subscription=_subscription(call, customer),
    )
    charge = described(call, params, place)
    if invoice and charge.currency != invoice["currency"]:
        raise invalid(f"The invoice is in {invoice['currency']}, not in {charge.currency}.", "currency")
    item = lines.add_item(call, customer, charge, invoice=invoice["id"] if invoice else None, item_id=item_id)
    if invoice:
        editing.put_on(call, must(call, "invoice", invoice["id"]), [item])
    return must(call, FAMILY.kind, item_id).body


def _customer(call: Call, invoice: Obj | None) -> Obj:
    params = call.params
    named = params.get("customer")
    if invoice is None:
        if named is None:
            raise missing("customer")
        return call.refer("customer", named, "customer")
    if named is not None and named != invoice["customer"]:
        raise invalid(f"The invoice {invoice['id']} is another customer's.", "invoice")
    return customer_of(call, invoice)


def _subscription(call: Call, customer: Obj) -> str | None:
    params = call.params
    if "subscription" not in params:
        return None
    if "invoice" in params:
        raise exclusive("subscription", "invoice")
    subscription = call.refer("subscription", params["subscription"], "subscription")
    if subscription["customer"] != customer["id"]:
        raise invalid(f"The subscription {subscription['id']} is another customer's.", "subscription")
    return str(subscription["id"])


def _update(call: Call) -> Obj:
    row = _changeable(call)
    customer = customer_of(call, row.body)
    call = call.on_clock_of(customer)
    place = Place(
        customer=customer, currency=row.body["currency"], invoice_item=row.body["id"], invoice=row.body["invoice"]
    )
    charge = revised(call, call.params, lines.charge_of(row.body), place)
    if charge.currency != row.body["currency"]:
        raise invalid(f"The invoice item is in {row.body['currency']}, not in {charge.currency}.", "currency")
    line = lines.of_item(call, row.body)
    editing.revise(call, row, line, charge)
    if line:
        recompute(call, must(call, "invoice", line.body["invoice"]))
    return call.row().body


def _changeable(call: Call) -> Row:
    """Return the item; one on an invoice that is no longer a draft cannot change."""
    row = call.row()
    if row.body["invoice"] is not None:
        editing.draft_row(call, row.body["invoice"])
    return row


def _delete(call: Call) -> Obj:
    row = _changeable(call)
    call = call.on_clock_of(row.body)
    line = lines.of_item(call, row.body)
    reply = call.delete(FAMILY, row)
    if line:
        editing.take_off(call, line)
    return reply


def _list(call: Call) -> Obj:
    filters = named_in(call, "invoice", "customer")
    if "pending" in call.params:
        filters.append(("waits", [flag(call.params["pending"])]))
    return page(call, FAMILY, *filters)


def _terms(obj: Obj) -> Iterable[Term]:
    yield "customer", obj["customer"]
    yield "waits", flag(obj["invoice"] is None)
    if obj["invoice"] is None:
        yield "pending", obj["customer"]
    else:
        yield "invoice", obj["invoice"]


FAMILY = Family(
    kind="invoiceitem",
    noun="invoiceitem",
    missing_param="invoiceitem",
    references={
        "customer": "customer",
        "discounts": "discount",
        "invoice": "invoice",
        "pricing.price_details.price": "price",
        "proration_details.discount_amounts.discount": "discount",
        "test_clock": "test_helpers.test_clock",
    },
    embeds={"tax_rates": "tax_rate"},
    terms=_terms,
    template={
        "object": "invoiceitem",
        "amount": 0,
        "currency": "",
        "customer": "",
        "customer_account": None,
        "date": 0,
        "description": None,
        "discountable": True,
        "discounts": [],
        "frozen_fields": [],
        "invoice": None,
        "invoicing_rules": [],
        "livemode": False,
        "metadata": {},
        "net_amount": None,
        "parent": None,
        "period": {},
        "pricing": None,
        "proration": False,
        "proration_details": {},
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
        "test_clock": None,
        "_was_pending": False,
        "_wide": None,
    },
    routes=(
        Route(
            "POST",
            "/v1/invoiceitems",
            "InvoiceItemCreateParams",
            _create,
            refused=_TAX | {"customer_account"},
        ),
        Route(
            "GET",
            "/v1/invoiceitems",
            "InvoiceItemListParams",
            _list,
            lists=True,
            refused=frozenset({"customer_account"}),
        ),
        Route("GET", "/v1/invoiceitems/{id}", "InvoiceItemRetrieveParams", retrieve),
        Route(
            "POST",
            "/v1/invoiceitems/{id}",
            "InvoiceItemUpdateParams",
            _update,
            blanks=frozenset({"description"}),
            refused=_TAX,
            accepted=frozenset({"invoicing_rules"}),
        ),
        Route("DELETE", "/v1/invoiceitems/{id}", "InvoiceItemDeleteParams", _delete),
    ),
)
