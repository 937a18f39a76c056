"""Customers (https://docs.stripe.com/api/customers)."""

from collections.abc import Iterable
from typing import Any

from reconciler.sandbox.billing import discounts, methods
from reconciler.sandbox.billing.balance import Kind, adjust, balance, currency_of
from reconciler.sandbox.billing.stored import rows
from reconciler.sandbox.errors import ApiError, invalid, no_such
from reconciler.sandbox.expand import show
from reconciler.sandbox.ids import UPPER
from reconciler.sandbox.lists import Filter, page
from reconciler.sandbox.objects import card, tax_id
from reconciler.sandbox.objects.base import Call, Family, Nested, Route
from reconciler.sandbox.objects.customer_fields import described, empty_balance
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import Claim, Row, Term
from reconciler.sandbox.wire import Obj

#: Where a deleted customer is remembered, so that it can still be retrieved.
DELETED = "deleted_customer"
PREFIX = "customer.invoice_prefix"
#: How many customers one test clock can have (https://docs.stripe.com/billing/testing/test-clocks).
MAX_ON_CLOCK = 3


def _create(call: Call) -> Obj:
    params = call.params
    if "test_clock" in params:
        call.refer("test_helpers.test_clock", params["test_clock"], "test_clock")
        _check_room(call, params["test_clock"])
    call = call.on_clock_of({"test_clock": params.get("test_clock")})
    customer = call.fill(
        FAMILY,
        call.new_id("cus_", 14),
        invoice_prefix=call.new_id("", 8, UPPER),
        test_clock=params.get("test_clock"),
    )
    customer["cash_balance"] = empty_balance(customer["id"])
    customer = call.create(FAMILY, described(params, customer))
    _equip(call, customer["id"], "initial")
    return _again(call, customer["id"]).body


def _check_room(call: Call, clock: str) -> None:
    if len(list(rows(call, FAMILY.kind, ("test_clock", clock)))) == MAX_ON_CLOCK:
        raise invalid(f"A test clock can have at most {MAX_ON_CLOCK} customers.", "test_clock")


def _equip(call: Call, customer_id: str, kind: Kind) -> None:
    """Give a customer what the request brings along: cards, tax ids, a balance, a default."""
    params = call.params
    attached = None
    if "payment_method" in params:
        method = methods.resolve(call, params["payment_method"], "payment_method")
        attached = methods.attach(call, method, customer_id, "payment_method")["id"]
    if "source" in params:
        card.replace_default(call, customer_id, params["source"])
    for index, given in enumerate(params.get("tax_id_data", ())):
        tax_id.add(call, given["type"], given["value"], customer_id, f"tax_id_data[{index}][value]")
    if "default_source" in params:
        _default_source(call, customer_id, params["default_source"])
    if "balance" in params:
        _set_balance(call, customer_id, params["balance"], kind)
    given = params.get("invoice_settings", {})
    if "default_payment_method" in given:
        chosen = given["default_payment_method"]
        # The literal of the same request means the card it has just become.
        same = attached is not None and chosen == params["payment_method"]
        _default_method(call, customer_id, attached if same else chosen)


def _default_method(call: Call, customer_id: str, method_id: str | None) -> None:
    """Make an attached method the one invoices are paid with; ``None`` leaves none."""
    param = "invoice_settings[default_payment_method]"
    method = methods.resolve(call, method_id, param).body if method_id else None
    if method and method["customer"] != customer_id:
        raise methods.not_attached(method["id"], param)
    row = _again(call, customer_id)
    settings = {**row.body["invoice_settings"], "default_payment_method": method and method["id"]}
    call.save(FAMILY, row, {**row.body, "invoice_settings": settings})


def _default_source(call: Call, customer_id: str, source: str) -> None:
    found = call.tx.find("card", source)
    if found is None or found.body["customer"] != customer_id:
        raise no_such("source", source, "default_source")
    row = _again(call, customer_id)
    call.save(FAMILY, row, {**row.body, "default_source": source})


def _set_balance(call: Call, customer_id: str, wanted: int, kind: Kind) -> None:
    """Bring the balance in the customer's currency, or the account's, to a value."""
    customer = _again(call, customer_id).body
    code = currency_of(call, customer)
    difference = wanted - balance(customer, code)
    if difference:
        adjust(call, customer_id, difference, code, kind)


def _again(call: Call, customer_id: str) -> Row:
    row = call.tx.find(FAMILY.kind, customer_id)
    if row is None:
        raise no_such(FAMILY.noun, customer_id, FAMILY.missing_param, status=404)
    return row


def _update(call: Call) -> Obj:
    row = call.row()
    call = call.on_clock_of(row.body)
    call.save(FAMILY, row, described(call.params, row.body))
    _equip(call, row.body["id"], "adjustment")
    return _again(call, row.body["id"]).body


def _retrieve(call: Call) -> Obj:
    gone = call.tx.find(DELETED, call.ids["id"])
    return gone.body if gone else call.row().body


def _delete(call: Call) -> Obj:
    row = call.row()
    return call.on_clock_of(row.body).delete(FAMILY, row)


def _remember(call: Call, customer: Obj) -> None:
    """Keep the traces of a deleted customer."""
    gone = {"id": customer["id"], "object": "customer", "deleted": True}
    call.tx.insert(DELETED, gone, call.now, ())


def _delete_discount(call: Call) -> Obj:
    customer = call.row().body
    if customer["discount"] is None:
        raise ApiError(404, f"No active discount for customer: {customer['id']}", code="resource_missing")
    ended = discounts.detach(call.on_clock_of(customer), customer["discount"])
    return show(call.tx, call.families, call.families["discount"], ended)


def _list(call: Call) -> Obj:
    filters: list[Filter] = [("test_clock", [call.params.get("test_clock", "")])]
    if "email" in call.params:
        filters.insert(0, ("email", [call.params["email"]]))
    return page(call, FAMILY, *filters)


def _terms(obj: Obj) -> Iterable[Term]:
    yield "test_clock", obj["test_clock"] or ""
    if obj["email"]:
        yield "email", obj["email"]
    if obj["invoice_settings"]["default_payment_method"]:
        yield "default_payment_method", obj["invoice_settings"]["default_payment_method"]


def _claims(obj: Obj, _: Settings) -> Iterable[Claim]:
    yield PREFIX, obj["invoice_prefix"]


def _collision(claim: Claim, _: str) -> ApiError:
    return invalid(f"The invoice prefix {claim[1]} is another customer's.", "invoice_prefix")


def _changes(call: Call, customer_id: str | None, **fields: Any) -> None:
    row = call.tx.find(FAMILY.kind, customer_id) if customer_id else None
    if row:
        call.save(FAMILY, row, {**row.body, **fields})


def _owes(call: Call, invoice: Obj) -> None:
    if invoice["collection_method"] == "charge_automatically":
        _changes(call, invoice["customer"], delinquent=True)


def _is_late(call: Call, invoice: Obj) -> None:
    _changes(call, invoice["customer"], delinquent=True)


def _owes_no_more(call: Call, invoice: Obj) -> None:
    _changes(call, invoice["customer"], delinquent=False)


def _settles_in(call: Call, billed: Obj) -> None:
    """Fix a customer's currency with the first thing billed to it."""
    row = call.tx.find(FAMILY.kind, billed["customer"])
    if row and row.body["currency"] is None:
        held = balance(row.body, billed["currency"])
        call.save(FAMILY, row, {**row.body, "currency": billed["currency"], "balance": held})


def _is_discounted(call: Call, discount: Obj) -> None:
    if not any(discount[name] for name in ("subscription", "subscription_item")):
        _changes(call, discount["customer"], discount=discount["id"])


def _is_discounted_no_more(call: Call, discount: Obj) -> None:
    row = call.tx.find(FAMILY.kind, discount["customer"]) if discount["customer"] else None
    if row and row.body["discount"] == discount["id"]:
        call.save(FAMILY, row, {**row.body, "discount": None})


def _loses_method(call: Call, method: Obj) -> None:
    """Forget a default payment method that is detached."""
    for row in rows(call, FAMILY.kind, ("default_payment_method", method["id"])):
        settings = {**row.body["invoice_settings"], "default_payment_method": None}
        call.save(FAMILY, row, {**row.body, "invoice_settings": settings})


FAMILY = Family(
    kind="customer",
    noun="customer",
    missing_param="customer",
    hidden=frozenset({"cash_balance", "invoice_credit_balance", "tax"}),
    references={
        "default_source": "card",
        "invoice_settings.default_payment_method": "payment_method",
        "test_clock": "test_helpers.test_clock",
    },
    embeds={"discount": "discount"},
    nested={
        "sources": Nested("card", "customer", "/v1/customers/{id}/sources", hidden=True),
        "subscriptions": Nested("subscription", "current_of", "/v1/customers/{id}/subscriptions", hidden=True),
        "tax_ids": Nested("tax_id", "owner", "/v1/customers/{id}/tax_ids", hidden=True),
    },
    lengths={
        "business_name": 150,
        "email": 512,
        "individual_name": 150,
        "invoice_settings[custom_fields][][name]": 40,
        "invoice_settings[custom_fields][][value]": 140,
        "name": 256,
        "phone": 20,
    },
    terms=_terms,
    claims=_claims,
    collision=_collision,
    reacts={
        "customer.deleted": _remember,
        "customer.discount.created": _is_discounted,
        "customer.discount.deleted": _is_discounted_no_more,
        "customer.subscription.created": _settles_in,
        "invoice.created": _settles_in,
        "invoice.marked_uncollectible": _owes_no_more,
        "invoice.overdue": _is_late,
        "invoice.paid": _owes_no_more,
        "invoice.payment_failed": _owes,
        "invoiceitem.created": _settles_in,
        "payment_method.detached": _loses_method,
    },
    template={
        "object": "customer",
        "address": None,
        "balance": 0,
        "cash_balance": {},
        "created": 0,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_credit_balance": {},
        "invoice_prefix": "",
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax": {"automatic_tax": "not_collecting", "ip_address": None, "location": None, "provider": "stripe"},
        "tax_exempt": "none",
        "test_clock": None,
    },
    routes=(
        Route("POST", "/v1/customers", "CustomerCreateParams", _create, accepted=frozenset({"validate"})),
        Route("GET", "/v1/customers", "CustomerListParams", _list, lists=True),
        Route("GET", "/v1/customers/{id}", "CustomerRetrieveParams", _retrieve),
        Route(
            "POST",
            "/v1/customers/{id}",
            "CustomerUpdateParams",
            _update,
            # stripe/stripe-ruby#1151: the empty string unsets it.
            clears=frozenset({"invoice_settings.default_payment_method"}),
            blanks=frozenset({"description", "email", "name", "phone"}),
            accepted=frozenset({"validate"}),
        ),
        Route("DELETE", "/v1/customers/{id}", "CustomerDeleteParams", _delete),
        Route("DELETE", "/v1/customers/{id}/discount", "CustomerDeleteDiscountParams", _delete_discount),
    ),
)
