"""What a request for a checkout session says (https://docs.stripe.com/api/checkout/sessions/create)."""

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.billing import subscription_items
from reconciler.sandbox.billing.subscription_items import tax_rates
from reconciler.sandbox.errors import ApiError, exclusive, invalid, missing, not_modelled, out_of_range
from reconciler.sandbox.lists import too_many
from reconciler.sandbox.objects import cart_item, selling
from reconciler.sandbox.objects.amounts import currency
from reconciler.sandbox.objects.base import Call, merge_metadata
from reconciler.sandbox.wire import Obj

MAX_PAYMENT_ITEMS = 100
MINUTE, HOUR, DAY = 60, 3600, 86_400
#: Between 30 minutes and 24 hours after creation, which is the default.
SHORTEST, LONGEST = 30 * MINUTE, DAY
TRIAL_NOTICE = 48 * HOUR
_PLAIN = (
    "allow_promotion_codes",
    "allowed_payment_method_types",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "customer",
    "customer_creation",
    "customer_email",
    "excluded_payment_method_types",
    "integration_identifier",
    "locale",
    "mode",
    "origin_context",
    "payment_method_collection",
    "phone_number_collection",
    "submit_type",
    "success_url",
    "wallet_options",
)
#: Parameters that are kept for what the session makes, and not shown.
_KEPT = ("customer_update", "payment_intent_data", "payment_method_data", "setup_intent_data", "subscription_data")
_UNMODELLED_INSIDE: Mapping[str, tuple[str, ...]] = {
    "payment_intent_data": ("application_fee_amount", "on_behalf_of", "transfer_data"),
    "setup_intent_data": ("on_behalf_of",),
    "subscription_data": ("application_fee_percent", "on_behalf_of", "transfer_data"),
}
_CARD_OPTIONS = frozenset({"capture_method", "request_three_d_secure", "restrictions", "setup_future_usage"})


def described(call: Call, session: Obj) -> Obj:
    """Return the session a request describes, without its lines, or refuse it."""
    params = call.params
    if "mode" not in params:
        raise missing("mode")
    mode = params["mode"]
    _check_modelled(params)
    _check_modes(params, mode)
    _check_addresses(params)
    changed = {**session, **{name: params[name] for name in _PLAIN if name in params}}
    changed |= {f"_{name}": params.get(name, {}) for name in _KEPT}
    changed["metadata"] = merge_metadata({}, params.get("metadata", {}))
    changed["custom_fields"] = selling.custom_fields(params.get("custom_fields"), answers=True)
    changed["custom_text"] = selling.custom_text(session["custom_text"], params.get("custom_text"))
    changed["consent_collection"] = selling.consent_collection(params.get("consent_collection"))
    changed |= selling.name_collection(params.get("name_collection"))
    if mode == "payment":
        changed["invoice_creation"] = selling.invoice_creation(
            params.get("invoice_creation", {"enabled": False}), recurring=False
        )
    changed["expires_at"] = _expiry(call, params.get("expires_at"))
    changed["branding_settings"] = _branding(session["branding_settings"], params.get("branding_settings", {}))
    changed["payment_method_options"] = _options(params.get("payment_method_options", {}))
    _check_subscription_data(call, params.get("subscription_data", {}))
    return changed | _customer(call, params) | defaults(mode, changed)


def defaults(mode: str, session: Obj) -> Obj:
    """Return what a session's mode says where the request says nothing (observed)."""
    found: Obj = {}
    if session["customer_creation"] is None and session["customer"] is None:
        found["customer_creation"] = "always" if mode == "subscription" else "if_required"
    if session["payment_method_collection"] is None:
        found["payment_method_collection"] = "always" if mode == "subscription" else "if_required"
    return found


def _check_modelled(params: Obj) -> None:
    selling.check_modelled(params)
    if params.get("ui_mode", "hosted_page") != "hosted_page":
        raise not_modelled(f"the user interface `{params['ui_mode']}`", "ui_mode")
    if params.get("adaptive_pricing", {}).get("enabled"):
        raise not_modelled("adaptive pricing", "adaptive_pricing[enabled]")
    if "card" in params.get("excluded_payment_method_types", ()):
        raise not_modelled("payment methods other than cards", "excluded_payment_method_types")
    if params.get("customer_update", {}).get("shipping") == "auto":
        raise not_modelled("the collection of shipping addresses", "customer_update[shipping]")
    for name, members in _UNMODELLED_INSIDE.items():
        for member in members:
            if member in params.get(name, {}):
                raise not_modelled(f"the parameter `{member}`", f"{name}[{member}]")


def _check_modes(params: Obj, mode: str) -> None:
    """Refuse what belongs to another mode, as the parameters' descriptions do."""
    for names, modes in (
        (("invoice_creation", "payment_intent_data"), {"payment"}),
        (("payment_method_collection", "subscription_data"), {"subscription"}),
        (("setup_intent_data",), {"setup"}),
        (("customer_creation",), {"payment", "setup"}),
        (("allow_promotion_codes", "discounts", "line_items", "submit_type"), {"payment", "subscription"}),
    ):
        selling.only_for(f"in {' or '.join(sorted(modes))} mode", params, names, holds=mode in modes)
    if mode == "setup" and "currency" not in params and "allowed_payment_method_types" not in params:
        raise missing("currency")
    if "discounts" in params and "allow_promotion_codes" in params:
        # Observed.
        raise exclusive("allow_promotion_codes", "discounts")


def _check_addresses(params: Obj) -> None:
    if "success_url" not in params:
        raise missing("success_url")
    for name in ("success_url", "cancel_url"):
        if name in params:
            selling.url(params[name], name)
    if "return_url" in params or "redirect_on_completion" in params:
        name = "return_url" if "return_url" in params else "redirect_on_completion"
        raise invalid(f"`{name}` can be set only for embedded sessions.", name)


def _expiry(call: Call, given: int | None) -> int:
    if given is None:
        return call.now + LONGEST
    if given < call.now + SHORTEST or given > call.now + LONGEST:
        message = "`expires_at` must be between 30 minutes and 24 hours after the session's creation."
        raise invalid(message, "expires_at")
    return given


def _branding(held: Obj, given: Mapping[str, Any]) -> Obj:
    for name in ("icon", "logo"):
        if name in given:
            raise not_modelled("images on pages", f"branding_settings[{name}]")
    return {**held, **{name: value for name, value in given.items() if value is not None}}


def _options(given: Mapping[str, Any]) -> Obj:
    for kind, options in given.items():
        if kind != "card":
            raise not_modelled("payment methods other than cards", f"payment_method_options[{kind}]")
        for name in sorted(set(options) - _CARD_OPTIONS):
            raise not_modelled(f"the parameter `{name}`", f"payment_method_options[card][{name}]")
    if "funding_types_blocked" in given.get("card", {}).get("restrictions", {}):
        param = "payment_method_options[card][restrictions][funding_types_blocked]"
        raise not_modelled("blocked funding types", param)
    return {"card": {"request_three_d_secure": "automatic", **given.get("card", {})}}


def _check_subscription_data(call: Call, data: Obj) -> None:
    at = "subscription_data"
    if "trial_end" in data and "trial_period_days" in data:
        raise exclusive(f"{at}[trial_end]", f"{at}[trial_period_days]")
    selling.check_trial(data.get("trial_period_days"), f"{at}[trial_period_days]")
    if data.get("trial_end", call.now + TRIAL_NOTICE) < call.now + TRIAL_NOTICE:
        raise invalid("`trial_end` has to be at least 48 hours in the future.", f"{at}[trial_end]")
    if data.get("billing_cycle_anchor", call.now + 1) <= call.now:
        raise invalid("`billing_cycle_anchor` must be in the future.", f"{at}[billing_cycle_anchor]")
    if "invoice_settings" in data:
        selling.invoice_settings(data["invoice_settings"])
    tax_rates(call, data.get("default_tax_rates", ()), f"{at}[default_tax_rates]")


def _customer(call: Call, params: Obj) -> Obj:
    """Return what is known of the customer before they have said anything."""
    if "customer" in params and "customer_email" in params:
        # Observed.
        raise exclusive("customer", "customer_email")
    if "customer_update" in params and "customer" not in params:
        raise invalid("`customer_update` can only be used with `customer`.", "customer_update")
    if "customer" in params and "customer_creation" in params:
        raise exclusive("customer", "customer_creation")
    if "customer" in params:
        customer = call.refer("customer", params["customer"], "customer")
        return {"customer_details": details(email=customer["email"])}
    if "customer_email" in params:
        return {"customer_details": details(email=params["customer_email"])}
    return {}


def details(**known: Any) -> Obj:
    """Return the customer details of a session, with what is known of them."""
    nothing = dict.fromkeys(("address", "email", "name", "phone", "tax_exempt", "tax_ids"))
    return {**nothing, "business_name": None, "individual_name": None, **known}


def build_items(call: Call, session: Obj, given: Sequence[Mapping[str, Any]]) -> list[Obj]:
    """Return the session's new lines, all sold in one currency, or refuse them."""
    code = currency(call.params["currency"]) if call.params.get("currency") else None
    items = []
    for index, entry in enumerate(given):
        item = build_item(call, entry, f"line_items[{index}]", currency=code)
        code = item["currency"]
        items.append({**item, "_session": session["id"]})
    check_items(call, session["mode"], items)
    return items


def build_item(call: Call, given: Mapping[str, Any], at: str, *, currency: str | None) -> Obj:
    """Return one new line; a licensed price needs a quantity and a metered one has none."""
    item, _ = cart_item.build(call, given, at, currency=currency)
    if item["quantity"] is None and "quantity" in given:
        raise invalid("`quantity` cannot be set for a metered price.", f"{at}[quantity]")
    if item["quantity"] is not None and "quantity" not in given:
        # Observed.
        raise invalid(f"Quantity is required. Add `quantity` to `{at}`", f"{at}[quantity]", "parameter_missing")
    return {**item, "_tax_rates": tax_rates(call, given.get("tax_rates") or (), f"{at}[tax_rates]")}


def check_items(call: Call, mode: str, items: Sequence[Obj]) -> None:
    """Refuse lines that the mode does not sell, or that cannot be sold together (texts observed)."""
    if not items:
        raise missing("line_items")
    prices = [call.refer("price", item["price"], "line_items") for item in items]
    recurring = [price for price in prices if price["recurring"]]
    if mode == "payment":
        for index, price in enumerate(prices):
            if price["recurring"]:
                message = (
                    "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode "
                    "or use only one-time prices."
                )
                raise invalid(message, f"line_items[{index}]")
        if len(items) > MAX_PAYMENT_ITEMS:
            raise too_many("line_items", MAX_PAYMENT_ITEMS)
    else:
        if not recurring:
            message = "You must provide at least one recurring price in `subscription` mode when using prices."
            raise invalid(message, "line_items")
        if max(len(recurring), len(items) - len(recurring)) > cart_item.MAX_ITEMS:
            raise too_many("line_items", cart_item.MAX_ITEMS)
        _check_intervals(call, recurring)
    cart_item.check_prices(prices, items, "line_items")


def _check_intervals(call: Call, prices: Sequence[Obj]) -> None:
    """Refuse prices that no one subscription can have."""
    mode = call.params.get("subscription_data", {}).get("billing_mode", {"type": "flexible"})
    try:
        subscription_items.check(call, {"billing_mode": mode}, [{"price": price["id"]} for price in prices])
    except ApiError as error:
        error.param = "line_items"
        raise


def patch_items(call: Call, session: Obj, held: Mapping[str, Obj], given: Sequence[Mapping[str, Any]]) -> list[Obj]:
    """Return the lines of an update, in its order: those named by ``id`` changed, the others new; the rest is gone.

    Source: https://docs.stripe.com/api/checkout/sessions/update.
    """
    items = []
    for index, entry in enumerate(given):
        at = f"line_items[{index}]"
        if "id" not in entry:
            items.append({**build_item(call, entry, at, currency=session["currency"]), "_session": session["id"]})
            continue
        if entry["id"] not in held:
            raise invalid(f"No such line item: '{entry['id']}'", f"{at}[id]", "resource_missing")
        items.append(_patched(call, held[entry["id"]], entry, at))
    check_items(call, session["mode"], items)
    return items


def _patched(call: Call, item: Obj, given: Mapping[str, Any], at: str) -> Obj:
    if "price" in given or "price_data" in given:
        fresh = build_item(call, {"quantity": item["quantity"], **given}, at, currency=item["currency"])
        item = {**item, "price": fresh["price"], "description": fresh["description"]}
    quantity = given.get("quantity", item["quantity"])
    if item["quantity"] is None and quantity is not None:
        raise invalid("`quantity` cannot be set for a metered price.", f"{at}[quantity]")
    if quantity is not None and quantity < 1:
        raise out_of_range(f"{at}[quantity]", quantity, least=1)
    adjustable = given.get("adjustable_quantity", item["adjustable_quantity"])
    changed = {
        **item,
        "adjustable_quantity": cart_item.adjustable_quantity(adjustable, at, quantity),
        "quantity": quantity,
    }
    if "tax_rates" in given:
        changed["_tax_rates"] = tax_rates(call, given["tax_rates"] or (), f"{at}[tax_rates]")
    if "metadata" in given:
        changed["metadata"] = merge_metadata(item["metadata"], given["metadata"])
    return changed
