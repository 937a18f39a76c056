"""Checkout sessions: one purchase of one customer, on a page of the sandbox (https://docs.stripe.com/api/checkout/sessions)."""

from collections.abc import Iterable
from typing import Any

from reconciler.sandbox.billing import checkout, purchase
from reconciler.sandbox.billing.stored import rows as stored
from reconciler.sandbox.errors import invalid
from reconciler.sandbox.lists import filters_in, page
from reconciler.sandbox.objects import checkout_params, selling
from reconciler.sandbox.objects.amounts import currency
from reconciler.sandbox.objects.base import Call, Family, Nested, Route, overlay, retrieve
from reconciler.sandbox.store import Row, Term
from reconciler.sandbox.wire import Obj

_UNMODELLED = frozenset(
    {
        "after_expiration",
        "customer_account",
        "optional_items",
        "payment_method_configuration",
        "permissions",
        "saved_payment_method_options",
        "shipping_address_collection",
        "shipping_options",
    }
)
_WITHOUT_EFFECT = frozenset(
    {
        "adaptive_pricing",
        "allowed_payment_method_types",
        "automatic_tax",
        "excluded_payment_method_types",
        "integration_identifier",
        "locale",
        "managed_payments",
        "origin_context",
        "tax_id_collection",
        "wallet_options",
    }
)
_FILTERS = ("customer", "payment_intent", "payment_link", "subscription")


def _create(call: Call) -> Obj:
    session = call.fill(FAMILY, checkout.new_id(call))
    session = checkout_params.described(call, session)
    if session["mode"] == "setup":
        code = call.params.get("currency")
        return checkout.begin(call, {**session, "currency": currency(code) if code else None}, [])
    items = checkout_params.build_items(call, session, call.params.get("line_items", ()))
    session["currency"] = items[0]["currency"]
    discounts = call.params.get("discounts", [])
    session = checkout.with_discount(call, session, discounts, items)
    return checkout.begin(call, session, items)


def _update(call: Call) -> Obj:
    row, params = call.row(), call.params
    changed = overlay(row.body, params, ("metadata",))
    if "line_items" not in params:
        return call.save(FAMILY, row, changed)
    _check_open(row.body, "updated")
    held = {item.body["id"]: item for item in stored(call, "item", ("session", row.body["id"]))}
    bodies = {item_id: item.body for item_id, item in held.items()}
    items = checkout_params.patch_items(call, row.body, bodies, params["line_items"])
    return checkout.reorder(call, row, changed, items)


def _check_open(session: Obj, done: str) -> None:
    if session["status"] != "open":
        # Observed for expiring.
        raise invalid(
            f'Only Checkout Sessions with a status in ["open"] can be {done}. This Checkout Session has a status of '
            f"`{session['status']}`."
        )


def _expire(call: Call) -> Obj:
    row = call.row()
    _check_open(row.body, "expired")
    return checkout.expire(call, row)


def _due_at(obj: Obj) -> int | None:
    return obj["expires_at"] if obj["status"] == "open" else None


def _lapse(call: Call, row: Row) -> None:
    checkout.expire(call, row)


def _publish_invoice(call: Call, invoice: Obj) -> None:
    """Open the page at an invoice's ``hosted_invoice_url``."""
    call.tx.publish(checkout.INVOICE_PAGE + invoice["id"])


def _list(call: Call) -> Obj:
    params = call.params
    filters = filters_in(params, *_FILTERS)
    if "customer_details" in params:
        filters.append(("email", [params["customer_details"]["email"]]))
    return page(call, FAMILY, *filters, *filters_in(params, "status"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "status", obj["status"]
    for begun in (obj["_invoice"], obj["_subscription"], obj["setup_intent"]):
        if begun:
            yield "begun", begun
    for name in _FILTERS:
        if obj[name]:
            yield name, obj[name]
    if obj["customer_details"] and obj["customer_details"]["email"]:
        yield "email", obj["customer_details"]["email"]


def _addresses(obj: Obj, base_url: str) -> Obj:
    return {"url": base_url + checkout.PAGE + obj["id"] if obj["status"] == "open" else None}


_TEMPLATE: dict[str, Any] = {
    "object": "checkout.session",
    "_customer": None,
    "_customer_update": {},
    "_discount": None,
    "_invoice": None,
    "_payment_intent_data": {},
    "_payment_method_data": {},
    "_problem": None,
    "_setup_intent_data": {},
    "_subscription": None,
    "_subscription_data": {},
    "adaptive_pricing": {"enabled": False},
    "after_expiration": None,
    "allow_promotion_codes": None,
    "allowed_payment_method_types": None,
    "amount_subtotal": None,
    "amount_total": None,
    "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
    "billing_address_collection": None,
    "branding_settings": {
        "background_color": "#ffffff",
        "border_style": "rounded",
        "button_color": "#0074d4",
        "display_name": "Sandbox",
        "font_family": "default",
        "icon": None,
        "logo": None,
    },
    "cancel_url": None,
    "client_reference_id": None,
    "client_secret": None,
    "collected_information": None,
    "consent": None,
    "consent_collection": None,
    "created": 0,
    "currency": None,
    "currency_conversion": None,
    "custom_fields": [],
    "custom_text": selling.NO_CUSTOM_TEXT,
    "customer": None,
    "customer_account": None,
    "customer_creation": None,
    "customer_details": None,
    "customer_email": None,
    "discounts": [],
    "expires_at": 0,
    "integration_identifier": None,
    "invoice": None,
    "invoice_creation": None,
    "livemode": False,
    "locale": None,
    "managed_payments": None,
    "metadata": {},
    "mode": "payment",
    "optional_items": None,
    "origin_context": None,
    "payment_intent": None,
    "payment_link": None,
    "payment_method_collection": None,
    "payment_method_configuration_details": None,
    "payment_method_options": {},
    "payment_method_types": ["card"],
    "payment_status": "unpaid",
    "permissions": None,
    "phone_number_collection": {"enabled": False},
    "recovered_from": None,
    "saved_payment_method_options": None,
    "setup_intent": None,
    "shipping_address_collection": None,
    "shipping_cost": None,
    "shipping_options": [],
    "status": "open",
    "submit_type": None,
    "subscription": None,
    "success_url": None,
    "tax_id_collection": {"enabled": False, "required": "never"},
    "total_details": None,
    "ui_mode": "hosted_page",
    "wallet_options": None,
}

FAMILY = Family(
    kind="checkout.session",
    noun="checkout.session",
    missing_param="session",
    nested={"line_items": Nested("item", "session", "/v1/checkout/sessions/{id}/line_items", hidden=True)},
    references={
        "customer": "customer",
        "discounts.coupon": "coupon",
        "discounts.promotion_code": "promotion_code",
        "invoice": "invoice",
        "payment_intent": "payment_intent",
        "payment_link": "payment_link",
        "setup_intent": "setup_intent",
        "subscription": "subscription",
    },
    hidden=frozenset({"total_details.breakdown"}),
    lengths={**selling.LENGTHS, "client_reference_id": 200, "integration_identifier": 200},
    reacts={
        "invoice.finalized": _publish_invoice,
        "invoice.payment_succeeded": purchase.on_invoice_paid,
        "payment_intent.amount_capturable_updated": purchase.on_paid,
        "payment_intent.succeeded": purchase.on_paid,
        "setup_intent.succeeded": purchase.on_set_up,
    },
    due_at=_due_at,
    when_due=_lapse,
    terms=_terms,
    addresses=_addresses,
    template=_TEMPLATE,
    routes=(
        Route(
            "POST",
            "/v1/checkout/sessions",
            "checkout.SessionCreateParams",
            _create,
            refused=_UNMODELLED,
            accepted=_WITHOUT_EFFECT,
        ),
        Route("GET", "/v1/checkout/sessions", "checkout.SessionListParams", _list, lists=True),
        Route("GET", "/v1/checkout/sessions/{id}", "checkout.SessionRetrieveParams", retrieve),
        Route(
            "POST",
            "/v1/checkout/sessions/{id}",
            "checkout.SessionUpdateParams",
            _update,
            # ``payment_intent_data`` can be updated in embedded sessions only.
            refused=frozenset({"collected_information", "payment_intent_data", "shipping_options"}),
        ),
        Route("POST", "/v1/checkout/sessions/{id}/expire", "checkout.SessionExpireParams", _expire),
    ),
)
