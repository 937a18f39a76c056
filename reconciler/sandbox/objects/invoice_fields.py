"""What a request says about an invoice itself (https://docs.stripe.com/api/invoices/create)."""

import re
from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.billing.given_lines import rates
from reconciler.sandbox.billing.methods import NO_ADDRESS
from reconciler.sandbox.errors import exclusive, invalid, missing, not_modelled, out_of_range
from reconciler.sandbox.lists import too_many
from reconciler.sandbox.objects.base import Call, overlay
from reconciler.sandbox.objects.promotion_code import FIVE_YEARS_SECONDS
from reconciler.sandbox.wire import Obj

#: Parameters about Connect, tax registrations, shipping rates and revisions, which the sandbox does not have.
REFUSED = frozenset({"account_tax_ids", "application_fee_amount", "on_behalf_of", "shipping_cost", "transfer_data"})
#: Taken and shown, with nothing else done about them.
ACCEPTED = frozenset(
    {"custom_fields", "footer", "issuer", "payment_settings", "rendering", "shipping_details", "statement_descriptor"}
)
LENGTHS = {
    "number": 26,
    "statement_descriptor": 22,
    **{f"custom_fields[][{name}]": length for name, length in (("name", 40), ("value", 140))},
}
MAX_CUSTOM_FIELDS = 4
#: What still changes on an invoice that is final: nothing about money or how it is collected.
_ALWAYS = {
    *("auto_advance", "default_payment_method", "default_source", "expand", "metadata", "payment_settings"),
    "statement_descriptor",
}
_PLAIN = ("auto_advance", "collection_method", "custom_fields", "description", "effective_at", "footer", "metadata")
_ALSO_PLAIN = ("number", "statement_descriptor")
_LETTER = re.compile(r"[A-Za-z]")


def described(call: Call, invoice: Obj, params: Obj) -> Obj:
    """Return the invoice with everything the parameters say of it, its lines and discounts apart."""
    changed = overlay(invoice, params, (*_PLAIN, *_ALSO_PLAIN))
    _check_texts(params)
    if params.get("automatic_tax", {}).get("enabled"):
        raise not_modelled("tax computed by Stripe", "automatic_tax[enabled]")
    if params.get("issuer", {}).get("type", "self") != "self":
        raise not_modelled("invoices of connected accounts", "issuer[type]")
    if "default_payment_method" in params:
        changed["default_payment_method"] = _own(call, invoice, "payment_method", params, "default_payment_method")
    if "default_source" in params:
        changed["default_source"] = _own(call, invoice, "card", params, "default_source")
    if "default_tax_rates" in params:
        changed["default_tax_rates"] = list(rates(call, params["default_tax_rates"], "default_tax_rates"))
    if "payment_settings" in params:
        changed["payment_settings"] = _payment_settings(invoice["payment_settings"], params["payment_settings"])
    if "rendering" in params:
        changed["rendering"] = _rendering(params["rendering"])
    if "shipping_details" in params:
        changed["shipping_details"] = _shipping(params["shipping_details"])
    return _timed(call, changed, params)


def check_final(invoice: Obj, params: Obj) -> None:
    """Refuse what only a draft, or in the case of ``auto_advance`` only an open invoice too, can change.

    Sources: https://docs.stripe.com/api/invoices/update and
    https://docs.stripe.com/invoicing/integration/automatic-advancement-collection.
    """
    always = _ALWAYS if invoice["status"] == "open" else _ALWAYS - {"auto_advance"}
    for name in sorted(params.keys() - always):
        raise invalid(f"`{name}` cannot be changed: the invoice is {invoice['status']}.", name, "invoice_not_editable")


def _check_texts(params: Obj) -> None:
    if len(params.get("custom_fields") or ()) > MAX_CUSTOM_FIELDS:
        raise too_many("custom_fields", MAX_CUSTOM_FIELDS)
    descriptor = params.get("statement_descriptor")
    if descriptor and not _LETTER.search(descriptor):
        raise invalid("`statement_descriptor` must contain at least one letter.", "statement_descriptor")


def _own(call: Call, invoice: Obj, kind: str, params: Obj, name: str) -> str | None:
    """Return the id of something that must be the customer's own."""
    if params[name] is None:
        return None
    found = call.refer(kind, params[name], name)
    if found["customer"] != invoice["customer"]:
        raise invalid(f"{params[name]} does not belong to the customer of the invoice.", name)
    return str(found["id"])


def _payment_settings(before: Obj, given: Mapping[str, Any]) -> Obj:
    for name in ("default_mandate", "payment_method_options"):
        if given.get(name):
            raise not_modelled("mandates and options of ways of paying", f"payment_settings[{name}]")
    types = given.get("payment_method_types", before["payment_method_types"])
    if types and "card" not in types:
        raise not_modelled("invoices that are not paid by card", "payment_settings[payment_method_types]")
    return {**before, "payment_method_types": types}


def _rendering(given: Mapping[str, Any]) -> Obj:
    for name in ("template", "template_version"):
        if given.get(name):
            raise not_modelled("invoice rendering templates", f"rendering[{name}]")
    return {
        "amount_tax_display": given.get("amount_tax_display"),
        "pdf": {"page_size": given.get("pdf", {}).get("page_size", "auto")},
        "template": None,
        "template_version": None,
    }


def _shipping(given: Mapping[str, Any] | None) -> Obj | None:
    if given is None:
        return None
    address = {**NO_ADDRESS, **given["address"]}
    shown = {"address": address, "carrier": None, "name": given["name"], "phone": given.get("phone")}
    return {**shown, "tracking_number": None}


def _timed(call: Call, invoice: Obj, params: Obj) -> Obj:
    """Return the invoice with its due date and the time of its finalization, which drafts compute from these."""
    sends = invoice["collection_method"] == "send_invoice"
    given = [name for name in ("days_until_due", "due_date") if params.get(name) is not None]
    if len(given) > 1:
        raise exclusive(*given)
    if given and not sends:
        raise invalid(f"`{given[0]}` can be set only with `collection_method=send_invoice`.", given[0])
    changed = dict(invoice)
    if given == ["days_until_due"]:
        if params["days_until_due"] < 0:
            raise out_of_range("days_until_due", params["days_until_due"], least=0)
        changed |= {"_days_until_due": params["days_until_due"], "due_date": None}
    elif given:
        if params["due_date"] <= call.now:
            raise invalid("`due_date` must be in the future.", "due_date")
        changed |= {"_days_until_due": None, "due_date": params["due_date"]}
    elif sends and changed["_days_until_due"] is None and changed["due_date"] is None:
        raise missing("days_until_due")
    if not sends:
        changed |= {"_days_until_due": None, "due_date": None}
    if "automatically_finalizes_at" in params:
        changed["_finalizes_at"] = _finalization(call, params["automatically_finalizes_at"])
    return changed


def _finalization(call: Call, at: int) -> int:
    """Check the time of an automatic finalization: in the future, at most five years ahead."""
    if not call.now < at <= call.now + FIVE_YEARS_SECONDS:
        raise invalid("`automatically_finalizes_at` must be within the next five years.", "automatically_finalizes_at")
    return at
