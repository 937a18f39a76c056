"""What a request says of a customer: names, addresses, settings (https://docs.stripe.com/api/customers/create)."""

import re
from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.billing.methods import NO_ADDRESS
from reconciler.sandbox.errors import invalid, not_modelled, out_of_range
from reconciler.sandbox.objects.base import overlay
from reconciler.sandbox.wire import Obj

MAX_CUSTOM_FIELDS = 4

_PREFIX = re.compile(r"[A-Z0-9]{3,12}")
_PLAIN = ("description", "email", "metadata", "name", "phone", "preferred_locales")
#: Absent until they are set, unlike every other field.
_ABSENT = ("business_name", "individual_name")


def described(params: Obj, customer: Obj) -> Obj:
    """Return the customer with what the request says of it."""
    changed = overlay(customer, params, _PLAIN)
    for name in _ABSENT:
        if name in params:
            changed.pop(name, None)
            changed |= {name: params[name]} if params[name] is not None else {}
    if "address" in params:
        changed["address"] = _address(params["address"])
    if "shipping" in params:
        changed["shipping"] = _shipping(params["shipping"])
    if "tax_exempt" in params:
        changed["tax_exempt"] = params["tax_exempt"] or "none"
    if "tax" in params:
        changed["tax"] = _tax(customer["tax"], params["tax"])
    changed["invoice_settings"] = _invoice_settings(customer["invoice_settings"], params.get("invoice_settings", {}))
    mode = params.get("cash_balance", {}).get("settings", {}).get("reconciliation_mode")
    if mode is not None:
        changed["cash_balance"] = reconciled(customer["cash_balance"], mode)
    return _numbered(changed, customer, params)


def _address(given: Mapping[str, Any] | None) -> Obj | None:
    return None if given is None else {**NO_ADDRESS, **given}


def _shipping(given: Mapping[str, Any] | None) -> Obj | None:
    return None if given is None else {"phone": None, **given, "address": _address(given["address"])}


def _tax(tax: Obj, given: Mapping[str, Any]) -> Obj:
    if given.get("validate_location", "deferred") == "immediately":
        raise not_modelled("the location of customers for taxes", "tax[validate_location]")
    return {**tax, "ip_address": given.get("ip_address", tax["ip_address"])}


def _invoice_settings(before: Obj, given: Mapping[str, Any]) -> Obj:
    """Return the settings with those given; the default payment method is dealt with once it is attached."""
    settings = {**before, **{name: given[name] for name in ("custom_fields", "footer") if name in given}}
    if len(settings["custom_fields"] or ()) > MAX_CUSTOM_FIELDS:
        raise invalid(f"At most {MAX_CUSTOM_FIELDS} custom fields are allowed.", "invoice_settings[custom_fields]")
    if "rendering_options" in given:
        options = given["rendering_options"]
        if options and "template" in options:
            raise not_modelled("invoice rendering templates", "invoice_settings[rendering_options][template]")
        display = options["amount_tax_display"] if options and "amount_tax_display" in options else None
        settings["rendering_options"] = None if options is None else {"amount_tax_display": display, "template": None}
    return settings


def _numbered(changed: Obj, before: Obj, params: Obj) -> Obj:
    """Return the customer with its way of numbering invoices."""
    numbered = overlay(changed, params, ("invoice_prefix", "next_invoice_sequence"))
    if not _PREFIX.fullmatch(numbered["invoice_prefix"]):
        raise invalid("`invoice_prefix` must be 3 to 12 capital letters or digits.", "invoice_prefix")
    number, least = numbered["next_invoice_sequence"], before["next_invoice_sequence"]
    if number < least:
        raise out_of_range("next_invoice_sequence", number, least=least)
    return numbered


def empty_balance(customer_id: str) -> Obj:
    """Return the cash balance of a customer, who cannot transfer any money here."""
    return {
        "object": "cash_balance",
        "available": None,
        "customer": customer_id,
        "customer_account": None,
        "livemode": False,
        "settings": {"reconciliation_mode": "automatic", "using_merchant_default": True},
    }


def reconciled(balance: Obj, mode: str) -> Obj:
    """Return a cash balance with another way of using it."""
    by_default = mode == "merchant_default"
    settings = {"reconciliation_mode": "automatic" if by_default else mode, "using_merchant_default": by_default}
    return {**balance, "settings": settings}
