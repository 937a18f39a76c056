"""Payment links: an address that sells the same thing to everyone (https://docs.stripe.com/api/payment-link)."""

from collections.abc import Iterable
from typing import Any

from reconciler.sandbox.billing import cart
from reconciler.sandbox.billing.stored import rows as stored
from reconciler.sandbox.errors import invalid, missing, no_such, out_of_range
from reconciler.sandbox.lists import filters_in, page
from reconciler.sandbox.objects import cart_item, selling
from reconciler.sandbox.objects.amounts import currency
from reconciler.sandbox.objects.base import Call, Family, Nested, Route, flag, merge_metadata, overlay, retrieve
from reconciler.sandbox.store import Row, Term
from reconciler.sandbox.wire import Obj

#: Published below this path is the page that opens a session.
PAGE = "/pay/"

_PLAIN = (
    "active",
    "allow_promotion_codes",
    "billing_address_collection",
    "customer_creation",
    "inactive_message",
    "metadata",
    "payment_method_collection",
    "phone_number_collection",
    "submit_type",
)
_UNMODELLED = frozenset(
    {
        "application_fee_amount",
        "application_fee_percent",
        "on_behalf_of",
        "optional_items",
        "shipping_address_collection",
        "shipping_options",
        "transfer_data",
    }
)
_WITHOUT_EFFECT = frozenset({"automatic_tax", "managed_payments", "payment_method_types", "tax_id_collection"})
_ONE_TIME_ONLY = ("customer_creation", "payment_intent_data")
_RECURRING_ONLY = ("payment_method_collection", "subscription_data")
_PAYMENT_INTENT: Obj = {
    "capture_method": None,
    "description": None,
    "metadata": {},
    "setup_future_usage": None,
    "statement_descriptor": None,
    "statement_descriptor_suffix": None,
    "transfer_group": None,
}
_SUBSCRIPTION: Obj = {
    "description": None,
    "invoice_settings": {"issuer": {"type": "self"}},
    "metadata": {},
    "trial_period_days": None,
    "trial_settings": None,
}


def _create(call: Call) -> Obj:
    params = call.params
    cart_item.at_most(params["line_items"], cart_item.MAX_ITEMS, "line_items")
    link_id, slug = call.new_id("plink_1", 23), call.new_id("test_", 18)
    code = currency(params["currency"]) if "currency" in params else None
    items, prices = [], []
    for index, given in enumerate(params["line_items"]):
        item, price = cart_item.build(call, given, f"line_items[{index}]", currency=code)
        code = item["currency"]
        items.append({**item, "_payment_link": link_id})
        prices.append(price)
    cart_item.check_prices(prices, items, "line_items")
    recurring = any(price["recurring"] for price in prices)
    _check_mode(params, recurring=recurring)
    link = call.fill(FAMILY, link_id, _slug=slug, _recurring=recurring, currency=code)
    link["customer_creation"] = "always" if recurring else "if_required"
    link = _described(call, link)
    for item, price in zip(items, prices, strict=True):
        call.create(cart_item.FAMILY, cart.plain(call, item, price))
    call.tx.publish(PAGE + slug)
    return call.create(FAMILY, link)


def _check_mode(params: Obj, *, recurring: bool) -> None:
    selling.only_for("for one-time purchases", params, _ONE_TIME_ONLY, holds=not recurring)
    selling.only_for("where a line item has a recurring price", params, _RECURRING_ONLY, holds=recurring)


def _described(call: Call, link: Obj) -> Obj:
    """Return the link with what a request sets, or refuse it."""
    params = call.params
    selling.check_modelled(params)
    changed = overlay(link, params, _PLAIN)
    if "after_completion" in params:
        changed["after_completion"] = _after(params["after_completion"])
    if "consent_collection" in params:
        changed["consent_collection"] = selling.consent_collection(params["consent_collection"])
    if "custom_fields" in params:
        changed["custom_fields"] = selling.custom_fields(params["custom_fields"], answers=False)
    changed["custom_text"] = selling.custom_text(link["custom_text"], params.get("custom_text"))
    if "invoice_creation" in params:
        changed["invoice_creation"] = selling.invoice_creation(params["invoice_creation"], recurring=link["_recurring"])
    if "name_collection" in params:
        changed = {name: value for name, value in changed.items() if name != "name_collection"}
        changed |= selling.name_collection(params["name_collection"])
    if "payment_method_options" in params:
        changed["payment_method_options"] = _payment_method_options(params["payment_method_options"])
    if "payment_method_types" in params:
        changed["payment_method_types"] = params["payment_method_types"]
    if "restrictions" in params:
        changed["restrictions"] = _restrictions(link["restrictions"], params["restrictions"])
    return changed | _purchase_data(changed, params)


def _after(given: Obj) -> Obj:
    """Return what the customer sees after the purchase."""
    kind = given["type"]
    if kind == "redirect":
        if "redirect" not in given:
            raise missing("after_completion[redirect]")
        param = "after_completion[redirect][url]"
        return {"redirect": {"url": selling.url(given["redirect"]["url"], param)}, "type": kind}
    if "redirect" in given:
        raise invalid("`redirect` can be set only with `type=redirect`.", "after_completion[redirect]")
    return {"hosted_confirmation": {"custom_message": None, **given.get("hosted_confirmation", {})}, "type": kind}


def _payment_method_options(given: Obj | None) -> Obj | None:
    restrictions = ((given or {}).get("card") or {}).get("restrictions") or {}
    return {"card": {"restrictions": {"brands_blocked": [], **restrictions}}} if given else None


def _restrictions(held: Obj | None, given: Obj | None) -> Obj | None:
    if given is None:
        return None
    limit = given["completed_sessions"]["limit"]
    if limit < 1:
        raise out_of_range("restrictions[completed_sessions][limit]", limit, least=1)
    count = held["completed_sessions"]["count"] if held else 0
    return {"completed_sessions": {"count": count, "limit": limit}}


def _purchase_data(link: Obj, params: Obj) -> Obj:
    """Return what payments and subscriptions made through the link get; their metadata is declarative, not merged.

    Source: https://docs.stripe.com/api/payment-link/update ("Updates will clear prior values").
    """
    data: Obj = {}
    if "payment_intent_data" in params:
        given = params["payment_intent_data"]
        data["payment_intent_data"] = {**_PAYMENT_INTENT, **(link["payment_intent_data"] or {}), **_declared(given)}
    if "subscription_data" in params:
        given = _declared(params["subscription_data"])
        selling.check_trial(given.get("trial_period_days"), "subscription_data[trial_period_days]")
        if "invoice_settings" in given:
            given["invoice_settings"] = selling.invoice_settings(given["invoice_settings"])
        data["subscription_data"] = {**link["subscription_data"], **given}
    return data


def _declared(given: Obj) -> Obj:
    return {**given, "metadata": merge_metadata({}, given["metadata"])} if "metadata" in given else dict(given)


def _update(call: Call) -> Obj:
    row = call.row()
    _check_mode(call.params, recurring=row.body["_recurring"])
    changed = _described(call, row.body)
    if "line_items" in call.params:
        _update_items(call, row.body["id"], call.params["line_items"])
    return call.save(FAMILY, row, changed)


def _update_items(call: Call, link_id: str, patches: list[dict[str, Any]]) -> None:
    """Change quantities of the lines that are named; the others stay."""
    rows = {row.body["id"]: row for row in stored(call, "item", ("payment_link", link_id))}
    for index, patch in enumerate(patches):
        at = f"line_items[{index}]"
        if patch["id"] not in rows:
            raise no_such(cart_item.FAMILY.noun, patch["id"], f"{at}[id]")
        _update_item(call, rows[patch["id"]], patch, at)


def _update_item(call: Call, row: Row, patch: dict[str, Any], at: str) -> None:
    price = call.refer("price", row.body["price"], at)
    quantity = row.body["quantity"] if cart_item.is_metered(price) else patch.get("quantity", row.body["quantity"])
    if quantity is not None and quantity < 1:
        raise out_of_range(f"{at}[quantity]", quantity, least=1)
    adjustable = patch.get("adjustable_quantity", row.body["adjustable_quantity"])
    changed = {
        **row.body,
        "adjustable_quantity": cart_item.adjustable_quantity(adjustable, at, quantity),
        "quantity": quantity,
    }
    cart_item.check_prices([price], [changed], "line_items")
    call.save(cart_item.FAMILY, row, cart.plain(call, changed, price))


def usable(link: Obj) -> bool:
    """Tell whether a visitor of the link can buy: it is active and not paid as often as it may be."""
    sessions = (link["restrictions"] or {}).get("completed_sessions")
    return link["active"] and not (sessions and sessions["count"] >= sessions["limit"])


def _completed(call: Call, session: Obj) -> None:
    """Count a completed session; the link deactivates when it reaches its limit.

    Source: https://docs.stripe.com/payment-links/customize, "Limit the number of payments".
    """
    row = call.tx.find(FAMILY.kind, session["payment_link"]) if session["payment_link"] else None
    if row is None or row.body["restrictions"] is None:
        return
    sessions = row.body["restrictions"]["completed_sessions"]
    sessions = {**sessions, "count": sessions["count"] + 1}
    active = row.body["active"] and sessions["count"] < sessions["limit"]
    call.save(FAMILY, row, {**row.body, "active": active, "restrictions": {"completed_sessions": sessions}})


def _list(call: Call) -> Obj:
    return page(call, FAMILY, *filters_in(call.params, "active"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "active", flag(obj["active"])
    yield "slug", obj["_slug"]


def _addresses(obj: Obj, base_url: str) -> Obj:
    return {"url": base_url + PAGE + obj["_slug"]}


FAMILY = Family(
    kind="payment_link",
    noun="payment_link",
    missing_param="payment_link",
    nested={"line_items": Nested("item", "payment_link", "/v1/payment_links/{id}/line_items", hidden=True)},
    lengths={
        **selling.LENGTHS,
        "after_completion[hosted_confirmation][custom_message]": 500,
        "after_completion[redirect][url]": 2048,
        "inactive_message": 500,
    },
    reacts={"checkout.session.completed": _completed},
    terms=_terms,
    addresses=_addresses,
    template={
        "object": "payment_link",
        "_recurring": False,
        "_slug": "",
        "active": True,
        "after_completion": {"hosted_confirmation": {"custom_message": None}, "type": "hosted_confirmation"},
        "allow_promotion_codes": False,
        "application": None,
        "application_fee_amount": None,
        "application_fee_percent": None,
        "automatic_tax": {"enabled": False, "liability": None},
        "billing_address_collection": "auto",
        "consent_collection": None,
        "currency": "",
        "custom_fields": [],
        "custom_text": selling.NO_CUSTOM_TEXT,
        "customer_creation": "if_required",
        "inactive_message": None,
        "invoice_creation": selling.NO_INVOICE,
        "livemode": False,
        "managed_payments": None,
        "metadata": {},
        "on_behalf_of": None,
        "optional_items": None,
        "payment_intent_data": None,
        "payment_method_collection": "always",
        "payment_method_options": None,
        "payment_method_types": None,
        "phone_number_collection": {"enabled": False},
        "restrictions": None,
        "shipping_address_collection": None,
        "shipping_options": [],
        "submit_type": "auto",
        "subscription_data": _SUBSCRIPTION,
        "tax_id_collection": {"enabled": False, "required": "never"},
        "transfer_data": None,
    },
    routes=(
        Route(
            "POST",
            "/v1/payment_links",
            "PaymentLinkCreateParams",
            _create,
            refused=_UNMODELLED,
            accepted=_WITHOUT_EFFECT,
        ),
        Route("GET", "/v1/payment_links", "PaymentLinkListParams", _list, lists=True),
        Route("GET", "/v1/payment_links/{id}", "PaymentLinkRetrieveParams", retrieve),
        Route(
            "POST",
            "/v1/payment_links/{id}",
            "PaymentLinkUpdateParams",
            _update,
            refused=_UNMODELLED,
            accepted=_WITHOUT_EFFECT - {"managed_payments"},
        ),
    ),
)
