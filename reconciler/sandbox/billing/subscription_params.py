"""The parameters of a subscription that are kept as they are given, checked (https://docs.stripe.com/api/subscriptions)."""

from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.billing import methods
from reconciler.sandbox.billing.given_lines import rates
from reconciler.sandbox.billing.periods import advance
from reconciler.sandbox.errors import invalid, missing, not_modelled, out_of_range
from reconciler.sandbox.lists import at_most
from reconciler.sandbox.objects.base import Call, overlay
from reconciler.sandbox.wire import Obj

#: What needs Connect, Stripe Tax or another product that does not exist here.
REFUSED = frozenset(
    {
        "application_fee_percent",
        "billing_schedules",
        "billing_thresholds",
        "customer_account",
        "default_source",
        "on_behalf_of",
        "transfer_data",
    }
)
MAX_CUSTOM_FIELDS = 4
#: A pending item interval of at most one year (https://docs.stripe.com/api/subscriptions/create).
_LONGEST = {"day": 365, "week": 52, "month": 12, "year": 1}
_SELF = {"type": "self"}


def settle(call: Call, subscription: Obj, params: Mapping[str, Any]) -> Obj:
    """Return the subscription with every parameter that is only kept, or refuse it."""
    changed = overlay(subscription, dict(params), ("description", "metadata"))
    if "default_tax_rates" in params:
        changed["default_tax_rates"] = list(rates(call, params["default_tax_rates"], "default_tax_rates"))
    if "default_payment_method" in params:
        changed["default_payment_method"] = _method(call, subscription, params["default_payment_method"])
    if "invoice_settings" in params:
        changed["invoice_settings"] = _invoice_settings(call, changed["invoice_settings"], params["invoice_settings"])
    if "payment_settings" in params:
        changed["payment_settings"] = overlay(
            changed["payment_settings"], params["payment_settings"], changed["payment_settings"]
        )
    if "trial_settings" in params:
        changed["trial_settings"] = _trial_settings(params["trial_settings"]["end_behavior"])
    if "cancellation_details" in params:
        changed["cancellation_details"] = cancellation(call, changed, params["cancellation_details"])
    if "pending_invoice_item_interval" in params:
        changed.update(_pending_interval(call, params["pending_invoice_item_interval"]))
    _no_tax(params.get("automatic_tax"))
    return {**changed, **_collection(call, changed, params)}


def _method(call: Call, subscription: Obj, given: str) -> str:
    row = methods.resolve(call, given, "default_payment_method")
    if row.body["customer"] is None and row.body["id"] != given:
        methods.attach(call, row, subscription["customer"], "default_payment_method")
    elif row.body["customer"] != subscription["customer"]:
        raise methods.not_attached(given, "default_payment_method")
    return str(row.body["id"])


def _invoice_settings(call: Call, held: Obj, given: Mapping[str, Any]) -> Obj:
    if given.get("issuer", _SELF)["type"] != "self":
        raise not_modelled("an `issuer` other than the account itself", "invoice_settings[issuer]")
    at_most(given.get("custom_fields") or (), MAX_CUSTOM_FIELDS, "invoice_settings[custom_fields]")
    for index, tax_id in enumerate(given.get("account_tax_ids") or ()):
        call.refer("tax_id", tax_id, f"invoice_settings[account_tax_ids][{index}]")
    names = ("account_tax_ids", "custom_fields", "description", "footer")
    return {**held, **{name: given[name] for name in names if name in given}}


def _trial_settings(given: Mapping[str, Any]) -> Obj:
    return {
        "end_behavior": {
            "billing_cycle_anchor": given.get("billing_cycle_anchor", "now"),
            "missing_payment_method": given.get("missing_payment_method", "create_invoice"),
        }
    }


def cancellation(call: Call, subscription: Obj, given: Mapping[str, Any]) -> Obj:
    """Return the details of a cancellation with those given laid over them."""
    if "feedback_option" in given:
        call.refer("billing.feedback_option", given["feedback_option"], "cancellation_details[feedback_option]")
    return {**subscription["cancellation_details"], **given}


def _pending_interval(call: Call, given: Mapping[str, Any] | None) -> Obj:
    if given is None:
        return {"pending_invoice_item_interval": None, "next_pending_invoice_item_invoice": None}
    interval, count = given["interval"], given.get("interval_count", 1)
    if not 1 <= count <= _LONGEST[interval]:
        bound = {"least": 1} if count < 1 else {"most": _LONGEST[interval]}
        raise out_of_range("pending_invoice_item_interval[interval_count]", count, **bound)
    return {
        "pending_invoice_item_interval": {"interval": interval, "interval_count": count},
        "next_pending_invoice_item_invoice": advance(call.now, interval, count, 1),
    }


def _no_tax(given: Mapping[str, Any] | None) -> None:
    if given and (given["enabled"] or given.get("liability", _SELF)["type"] != "self"):
        raise not_modelled("tax computed by Stripe (`automatic_tax`)", "automatic_tax[enabled]")


def _collection(call: Call, subscription: Obj, params: Mapping[str, Any]) -> Obj:
    method = params.get("collection_method", subscription["collection_method"])
    days = params.get("days_until_due", subscription["days_until_due"])
    if method == "charge_automatically":
        if "days_until_due" in params:
            raise invalid("`days_until_due` can be set only with `collection_method=send_invoice`.", "days_until_due")
        return {"collection_method": method, "days_until_due": None}
    if days is None and call.settings.send_invoice_needs_days_until_due:
        raise missing("days_until_due")
    if days is not None and days < 0:
        raise out_of_range("days_until_due", days, least=0)
    return {"collection_method": method, "days_until_due": days}


def billing_mode(given: Mapping[str, Any] | None) -> Obj:
    """Return the billing mode: flexible unless classic is asked for; how its prorations show discounts is fixed."""
    given = given or {"type": "flexible"}
    flexible = given.get("flexible")
    if given["type"] == "classic":
        if flexible is not None:
            raise invalid("`billing_mode[flexible]` needs `billing_mode[type]=flexible`.", "billing_mode[flexible]")
        return {"flexible": None, "type": "classic"}
    if (flexible or {}).get("proration_discounts", "included") != "included":
        what = "prorations with itemized discounts"
        raise not_modelled(what, "billing_mode[flexible][proration_discounts]")
    return {"flexible": {"proration_discounts": "included"}, "type": "flexible"}
