"""What payment links and checkout sessions share: what is asked of the customer, and what becomes of the purchase.

Sources: https://docs.stripe.com/api/payment-link/create and https://docs.stripe.com/api/checkout/sessions/create.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.errors import invalid, missing, not_modelled, out_of_range
from reconciler.sandbox.lists import too_many
from reconciler.sandbox.objects.base import merge_metadata
from reconciler.sandbox.objects.product_fields import is_url
from reconciler.sandbox.wire import Obj

MAX_CUSTOM_FIELDS, MAX_OPTIONS, MAX_INVOICE_FIELDS = 3, 200, 4
#: Stands in a redirect for the id of the session that was completed.
SESSION_ID = "{CHECKOUT_SESSION_ID}"
NO_CUSTOM_TEXT: Obj = {
    "after_submit": None,
    "shipping_address": None,
    "submit": None,
    "terms_of_service_acceptance": None,
}
NO_INVOICE: Obj = {
    "enabled": False,
    "invoice_data": {
        "account_tax_ids": None,
        "custom_fields": None,
        "description": None,
        "footer": None,
        "issuer": None,
        "metadata": {},
        "rendering_options": None,
    },
}
#: Longest texts of the parameters both have (OpenAPI ``maxLength``).
LENGTHS: Mapping[str, int] = {
    "custom_fields[][dropdown][default_value]": 100,
    "custom_fields[][dropdown][options][][label]": 100,
    "custom_fields[][dropdown][options][][value]": 100,
    "custom_fields[][key]": 200,
    "custom_fields[][label][custom]": 50,
    "custom_fields[][numeric][default_value]": 255,
    "custom_fields[][text][default_value]": 255,
    "custom_text[after_submit][message]": 1200,
    "custom_text[shipping_address][message]": 1200,
    "custom_text[submit][message]": 1200,
    "custom_text[terms_of_service_acceptance][message]": 1200,
    "invoice_creation[invoice_data][custom_fields][][name]": 40,
    "invoice_creation[invoice_data][custom_fields][][value]": 140,
    "invoice_creation[invoice_data][description]": 1500,
    "line_items[][price_data][product_data][description]": 40000,
    "line_items[][price_data][product_data][unit_label]": 12,
    "payment_intent_data[description]": 1000,
    "payment_intent_data[statement_descriptor]": 22,
    "payment_intent_data[statement_descriptor_suffix]": 22,
    "subscription_data[description]": 500,
    "subscription_data[invoice_settings][custom_fields][][name]": 40,
    "subscription_data[invoice_settings][custom_fields][][value]": 140,
}
#: The longest trial (https://docs.stripe.com/payments/checkout/free-trials).
MAX_TRIAL_DAYS = 730
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]+")
_LONGEST_ANSWER = 255


def check_modelled(params: Obj) -> None:
    """Refuse values, of parameters that are otherwise taken, which need what the sandbox does not model."""
    if params.get("automatic_tax", {}).get("enabled"):
        raise not_modelled("automatic tax", "automatic_tax[enabled]")
    if params.get("tax_id_collection", {}).get("enabled"):
        raise not_modelled("the collection of tax ids", "tax_id_collection[enabled]")
    if params.get("managed_payments", {}).get("enabled"):
        raise not_modelled("managed payments", "managed_payments[enabled]")
    for name in ("payment_method_types", "allowed_payment_method_types"):
        if others := [kind for kind in params.get(name) or () if kind != "card"]:
            raise not_modelled(f"the payment method type `{others[0]}`", name)


def url(value: str, param: str) -> str:
    """Return an address that a browser can be sent to, or refuse it."""
    if not is_url(value):
        raise invalid("Not a valid URL", param, "url_invalid")
    return value


def custom_fields(given: Sequence[Obj] | None, *, answers: bool) -> list[Obj]:
    """Return the custom fields as objects hold them; with ``answers`` each has room for the customer's."""
    given = given or ()
    if len(given) > MAX_CUSTOM_FIELDS:
        raise too_many("custom_fields", MAX_CUSTOM_FIELDS)
    keys = [field["key"] for field in given]
    for index, key in enumerate(keys):
        if not _ALPHANUMERIC.fullmatch(key):
            raise invalid("`key` must be alphanumeric.", f"custom_fields[{index}][key]")
        if key in keys[:index]:
            raise invalid("Each custom field must have a `key` of its own.", f"custom_fields[{index}][key]")
    return [_custom_field(field, f"custom_fields[{index}]", answers=answers) for index, field in enumerate(given)]


def _custom_field(given: Obj, at: str, *, answers: bool) -> Obj:
    kind = given["type"]
    for other in ("dropdown", "numeric", "text"):
        if other in given and other != kind:
            raise invalid(f"`{other}` can be set only with `type={other}`.", f"{at}[{other}]")
    details = _dropdown(given, at) if kind == "dropdown" else _typed(given.get(kind, {}), f"{at}[{kind}]", kind)
    if answers:
        details["value"] = None
    return {
        kind: details,
        "key": given["key"],
        "label": given["label"],
        "optional": given.get("optional", False),
        "type": kind,
    }


def _dropdown(given: Obj, at: str) -> Obj:
    if "dropdown" not in given:
        raise missing(f"{at}[dropdown]")
    options: Sequence[Obj] = given["dropdown"]["options"]
    param = f"{at}[dropdown][options]"
    if len(options) > MAX_OPTIONS:
        raise too_many(param, MAX_OPTIONS)
    values = [option["value"] for option in options]
    for index, value in enumerate(values):
        if not _ALPHANUMERIC.fullmatch(value) or value in values[:index]:
            raise invalid("`value` must be alphanumeric and unique to its option.", f"{param}[{index}][value]")
    default = given["dropdown"].get("default_value")
    if default is not None and default not in values:
        raise invalid("`default_value` must be the `value` of an option.", f"{at}[dropdown][default_value]")
    return {"default_value": default, "options": list(options)}


def _typed(given: Obj, at: str, kind: str) -> Obj:
    least, most = given.get("minimum_length"), given.get("maximum_length")
    for name, value in (("minimum_length", least), ("maximum_length", most)):
        if value is not None and value < 1:
            raise out_of_range(f"{at}[{name}]", value, least=1)
        if value is not None and value > _LONGEST_ANSWER:
            raise out_of_range(f"{at}[{name}]", value, most=_LONGEST_ANSWER)
    if least is not None and most is not None and least > most:
        raise invalid("`minimum_length` must not be greater than `maximum_length`.", f"{at}[minimum_length]")
    default = given.get("default_value")
    if default is not None and kind == "numeric" and not default.isdecimal():
        raise invalid("`default_value` must consist of digits.", f"{at}[default_value]")
    return {"default_value": default, "maximum_length": most, "minimum_length": least}


def custom_text(held: Obj, given: Obj | None) -> Obj:
    """Lay the given texts over those held; a blank one is taken away."""
    return {**held, **(given or {})}


def consent_collection(given: Obj | None) -> Obj | None:
    """Return which consents are asked for."""
    if given is None:
        return None
    return {"payment_method_reuse_agreement": None, "promotions": None, "terms_of_service": None, **given}


def name_collection(given: Obj | None) -> Obj:
    """Return the field that says which names are asked for, or no field at all."""
    if not given:
        return {}
    return {"name_collection": {which: {"optional": False, **asked} for which, asked in given.items()}}


def invoice_creation(given: Obj, *, recurring: bool) -> Obj:
    """Return what becomes of a one-time purchase's invoice; subscriptions have theirs anyway."""
    if recurring and given["enabled"]:
        raise invalid("`invoice_creation` can be enabled only for one-time purchases.", "invoice_creation[enabled]")
    data = given.get("invoice_data", {})
    _check_invoice(data, "invoice_creation[invoice_data]")
    shown = {**NO_INVOICE["invoice_data"], **data}
    shown["metadata"] = merge_metadata({}, data.get("metadata"))
    if data.get("rendering_options"):
        shown["rendering_options"] = {"amount_tax_display": None, "template": None, **data["rendering_options"]}
    return {"enabled": given["enabled"], "invoice_data": shown}


def invoice_settings(given: Obj) -> Obj:
    """Return the settings of a subscription's invoices."""
    _check_invoice(given, "subscription_data[invoice_settings]")
    return {"issuer": {"type": "self"}, **given}


def _check_invoice(data: Obj, at: str) -> None:
    if data.get("issuer", {}).get("type") == "account":
        raise not_modelled("invoices of connected accounts", f"{at}[issuer][type]")
    if data.get("account_tax_ids"):
        raise not_modelled("tax ids of the account", f"{at}[account_tax_ids]")
    if (data.get("rendering_options") or {}).get("template"):
        raise not_modelled("invoice rendering templates", f"{at}[rendering_options][template]")
    if len(data.get("custom_fields") or ()) > MAX_INVOICE_FIELDS:
        raise too_many(f"{at}[custom_fields]", MAX_INVOICE_FIELDS)


def check_trial(days: int | None, param: str) -> None:
    """Refuse a trial of less than a day or of more than 730."""
    if days is not None and days < 1:
        raise out_of_range(param, days, least=1)
    if days is not None and days > MAX_TRIAL_DAYS:
        raise out_of_range(param, days, most=MAX_TRIAL_DAYS)


def only_for(mode: str, params: Mapping[str, Any], names: Sequence[str], *, holds: bool) -> None:
    """Refuse parameters that mean nothing in another mode than theirs."""
    for name in names:
        if name in params and not holds:
            raise invalid(f"`{name}` can be set only {mode}.", name)
