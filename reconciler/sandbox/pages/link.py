"""The address of a payment link: every visit opens a checkout session of its own (https://docs.stripe.com/payment-links)."""

import re
from collections.abc import Mapping

from reconciler.sandbox.billing import checkout
from reconciler.sandbox.billing.stored import must, rows
from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.objects import checkout_params, payment_link
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.pages.html import notice, redirect
from reconciler.sandbox.pages.visit import EMAIL_LENGTH, Visit
from reconciler.sandbox.wire import Obj, Response

#: What a session takes over from its link as it is.
_COPIED = (
    "allow_promotion_codes",
    "automatic_tax",
    "billing_address_collection",
    "consent_collection",
    "currency",
    "custom_text",
    "customer_creation",
    "metadata",
    "payment_method_collection",
    "phone_number_collection",
    "submit_type",
    "tax_id_collection",
)
#: ``client_reference_id`` in the address: letters, digits, dashes and underscores, else it is dropped without a word
#: (https://docs.stripe.com/payment-links/url-parameters).
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,200}")


def page(visit: Visit) -> Response:
    """Answer a visit of ``/pay/{slug}``: send the customer to a new session's page."""
    call = visit.call
    link = _find(call, visit.name)
    if not payment_link.usable(link):
        text = link["inactive_message"] or "The link has been deactivated. Ask the business that gave it to you."
        return notice("This link is no longer active", text)
    try:
        with call.tx.attempt():
            session = open_session(call, link, visit.sent)
    except ApiError as error:
        return notice("Something is wrong with this link", error.message, status=400)
    return redirect(call.base_url + checkout.PAGE + session["id"])


def _find(call: Call, slug: str) -> Obj:
    for row in rows(call, "payment_link", ("slug", slug)):
        return row.body
    raise ApiError(404, "There is no such payment link.")


def open_session(call: Call, link: Obj, given: Mapping[str, str]) -> Obj:
    """Open a session that sells what the link sells; ``given`` are the parameters of the link's address."""
    family = call.families[checkout.KIND]
    mode = "subscription" if link["_recurring"] else "payment"
    session = call.fill(
        family,
        checkout.new_id(call),
        **{name: link[name] for name in _COPIED},
        custom_fields=[_with_room(each) for each in link["custom_fields"]],
        expires_at=call.now + checkout_params.LONGEST,
        invoice_creation=None if link["_recurring"] else link["invoice_creation"],
        mode=mode,
        payment_link=link["id"],
        payment_method_options={"card": {"request_three_d_secure": "automatic", **_card_options(link)}},
        _payment_intent_data=_given(link["payment_intent_data"]),
        _subscription_data=_given(link["subscription_data"]) if link["_recurring"] else {},
    )
    if "name_collection" in link:
        session["name_collection"] = link["name_collection"]
    session |= _prefilled(given)
    items = [_copy(call, item, session["id"]) for item in _items(call, link)]
    checkout_params.check_items(call, mode, items)
    if code := given.get("prefilled_promo_code", "").strip() if link["allow_promotion_codes"] else "":
        session = _with_code(call, session, items, code)
    return checkout.begin(call, session, items)


def _items(call: Call, link: Obj) -> list[Obj]:
    """Return the link's lines; a price or product that has been archived since cannot be bought any more."""
    items = [row.body for row in rows(call, "item", ("payment_link", link["id"]))]
    for item in items:
        price = must(call, "price", item["price"]).body
        product = must(call, "product", price["product"]).body
        if not (product["active"] and (price["active"] or price["_inline"])):
            raise invalid("What this link sells is not available any more.")
    return items


def _copy(call: Call, item: Obj, session_id: str) -> Obj:
    return {**item, "id": call.new_id("li_1", 23), "_payment_link": None, "_session": session_id}


def _with_room(each: Obj) -> Obj:
    return {**each, each["type"]: {**each[each["type"]], "value": None}}


def _card_options(link: Obj) -> Obj:
    options: Obj = (link["payment_method_options"] or {}).get("card") or {}
    return options


def _given(data: Obj | None) -> Obj:
    return {name: value for name, value in (data or {}).items() if value is not None}


def _prefilled(given: Mapping[str, str]) -> Obj:
    """Return what the link's address says of the customer (https://docs.stripe.com/payment-links/url-parameters)."""
    found: Obj = {}
    reference = given.get("client_reference_id", "")
    if _REFERENCE.fullmatch(reference):
        found["client_reference_id"] = reference
    email = given.get("locked_prefilled_email") or given.get("prefilled_email")
    if email:
        found["customer_details"] = checkout_params.details(email=email[:EMAIL_LENGTH])
        if "locked_prefilled_email" in given:
            found["customer_email"] = email[:EMAIL_LENGTH]
    return found


def _with_code(call: Call, session: Obj, items: list[Obj], text: str) -> Obj:
    """Apply a code from the address; one that does not work is left out."""
    try:
        code = checkout.usable_code(call, None, text)
        return checkout.with_discount(call, session, [{"promotion_code": code}], items)
    except ApiError:
        return session
