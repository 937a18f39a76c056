"""The phases of a subscription schedule: from a request's parameters to complete objects with their dates.

Source: https://docs.stripe.com/billing/subscriptions/subscription-schedules and
https://docs.stripe.com/api/subscription_schedules/create.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.sandbox.billing.added_items import at_most_added
from reconciler.sandbox.billing.periods import advance
from reconciler.sandbox.billing.planned_discounts import Place, planned
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.billing.subscription_items import resolve, tax_rates
from reconciler.sandbox.errors import exclusive, invalid, missing, not_modelled, out_of_range
from reconciler.sandbox.lists import too_many
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

MAX_PHASES = 10
_REFUSED = ("application_fee_percent", "billing_thresholds", "on_behalf_of", "transfer_data")
_REFUSED_OF_ITEM = ("billing_thresholds", "current_trial")
_SELF = {"type": "self"}
_KEPT = ("billing_cycle_anchor", "collection_method", "description")

#: Settings of invoices that say nothing; whose invoices they are comes on top.
NO_INVOICE_SETTINGS: Obj = dict.fromkeys(
    ("account_tax_ids", "custom_fields", "days_until_due", "description", "footer")
)
_TEMPLATE: Obj = {
    "add_invoice_items": [],
    "application_fee_percent": None,
    "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
    "billing_cycle_anchor": None,
    "billing_thresholds": None,
    "collection_method": None,
    "currency": "",
    "default_payment_method": None,
    "default_tax_rates": [],
    "description": None,
    "discounts": [],
    "end_date": 0,
    "invoice_settings": None,
    "items": [],
    "metadata": {},
    "on_behalf_of": None,
    "proration_behavior": "create_prorations",
    "start_date": 0,
    "transfer_data": None,
    "trial_end": None,
}


def build(
    call: Call,
    given: Sequence[Mapping[str, Any]],
    begins: int,
    *,
    customer: Obj,
    subscription: str | None = None,
    held: Sequence[Obj] = (),
) -> list[Obj]:
    """Return the phases a request describes, each beginning where the one before ends.

    ``held`` are the schedule's phases so far: their inactive prices and lost discounts may stay.
    """
    if not given:
        raise missing("phases")
    if len(given) > MAX_PHASES:
        raise too_many("phases", MAX_PHASES)
    phases: list[Obj] = []
    known = list(_discounts(held))
    start = begins
    for index, wanted in enumerate(given):
        at = f"phases[{index}]"
        first = wanted.get("start_date", start)
        first = call.now if first == "now" else first
        if index and first != start:
            raise invalid("A phase must start when the one before ends.", f"{at}[start_date]")
        place = Place(customer=customer, currency="", subscription=subscription, known=known, ahead=first > call.now)
        phases.append(_phase(call, wanted, first, at, held, place))
        start = phases[-1]["end_date"]
    return phases


def _discounts(held: Sequence[Obj]) -> Iterator[Obj]:
    """Yield every discount phases name: their own, those of their items and of what they add."""
    for phase in held:
        for each in (phase, *phase["items"], *phase["add_invoice_items"]):
            yield from each["discounts"]


def _phase(call: Call, given: Mapping[str, Any], start: int, at: str, held: Sequence[Obj], place: Place) -> Obj:
    for name in _REFUSED:
        if given.get(name) is not None:
            raise not_modelled(f"the parameter `{at}[{name}]`", f"{at}[{name}]")
    if given.get("automatic_tax", {}).get("enabled"):
        raise not_modelled("tax computed by Stripe (`automatic_tax`)", f"{at}[automatic_tax][enabled]")
    known = {item["price"] for phase in held for item in phase["items"]}
    bare = [_item(call, item, f"{at}[items][{index}]", known) for index, item in enumerate(given["items"])]
    if not bare:
        raise missing(f"{at}[items]")
    end = _end(call, given, bare, start, at)
    place = replace(place, currency=given.get("currency") or must(call, "price", bare[0]["price"]).body["currency"])
    items = [
        {**item, "discounts": planned(call, wanted.get("discounts"), place, f"{at}[items][{index}][discounts]")}
        for index, (item, wanted) in enumerate(zip(bare, given["items"], strict=True))
    ]
    phase = {**_TEMPLATE, **{name: given[name] for name in _KEPT if name in given}}
    phase |= {
        "add_invoice_items": [_added(call, item, f"{at}[add_invoice_items]", place) for item in _additions(given)],
        "currency": place.currency,
        "default_payment_method": _method(call, given, at),
        "default_tax_rates": tax_rates(call, given.get("default_tax_rates"), f"{at}[default_tax_rates]"),
        "discounts": planned(call, given.get("discounts"), place, f"{at}[discounts]", has_amount=True),
        "end_date": end,
        "invoice_settings": invoice_settings(given.get("invoice_settings"), at),
        "items": items,
        "metadata": texts(given.get("metadata")),
        "proration_behavior": given.get("proration_behavior", "create_prorations"),
        "start_date": start,
        "trial_end": _trial_end(given, start, end, at),
    }
    if phase["billing_cycle_anchor"] == "phase_start" and phase["trial_end"]:
        raise invalid(
            "A phase with a trial cannot have `billing_cycle_anchor=phase_start`.", f"{at}[billing_cycle_anchor]"
        )
    return phase


def _end(call: Call, given: Mapping[str, Any], items: Sequence[Obj], start: int, at: str) -> int:
    """Return when a phase ends: at a date, after a duration, or after one billing period of its first price."""
    if "end_date" in given and "duration" in given:
        raise exclusive(f"{at}[end_date]", f"{at}[duration]")
    if "end_date" in given:
        end: int = call.now if given["end_date"] == "now" else given["end_date"]
    elif "duration" in given:
        count = given["duration"].get("interval_count", 1)
        if count < 1:
            raise out_of_range(f"{at}[duration][interval_count]", count, least=1)
        end = advance(start, given["duration"]["interval"], count, 1)
    else:
        recurring = must(call, "price", items[0]["price"]).body["recurring"]
        end = advance(start, recurring["interval"], recurring["interval_count"], 1)
    if end <= start:
        raise invalid("A phase must end after it starts.", f"{at}[end_date]")
    return end


def _trial_end(given: Mapping[str, Any], start: int, end: int, at: str) -> int | None:
    if given.get("trial") and "trial_end" in given:
        raise exclusive(f"{at}[trial]", f"{at}[trial_end]")
    if given.get("trial"):
        return end
    wanted: int | None = given.get("trial_end")
    if wanted is not None and not start < wanted <= end:
        raise invalid("The trial of a phase must end within the phase.", f"{at}[trial_end]")
    return wanted


def _item(call: Call, given: Mapping[str, Any], at: str, known: set[str]) -> Obj:
    for name in _REFUSED_OF_ITEM:
        if given.get(name) is not None:
            raise not_modelled(f"the parameter `{at}[{name}]`", f"{at}[{name}]")
    price = must(call, "price", given["price"]).body if given.get("price") in known else resolve(call, given, at)
    item: Obj = {
        "billing_thresholds": None,
        "discounts": [],
        "metadata": texts(given.get("metadata")),
        "price": price["id"],
        "quantity": given.get("quantity", 1),
        "tax_rates": tax_rates(call, given.get("tax_rates"), f"{at}[tax_rates]"),
    }
    if price["recurring"]["usage_type"] == "metered":
        if "quantity" in given:
            raise invalid("`quantity` cannot be set for a metered price.", f"{at}[quantity]")
        del item["quantity"]
    return item


def _additions(given: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return at_most_added(given.get("add_invoice_items", ()))


def _added(call: Call, given: Mapping[str, Any], at: str, place: Place) -> Obj:
    price = resolve(call, given, at, recurring=False)
    span = given.get("period", {})
    return {
        "discountable": given.get("discountable"),
        "discounts": planned(call, given.get("discounts"), place, f"{at}[discounts]"),
        "metadata": texts(given.get("metadata")),
        "period": {
            "end": {"type": "min_item_period_end", **span.get("end", {})},
            "start": {"type": "max_item_period_start", **span.get("start", {})},
        },
        "price": price["id"],
        "quantity": given.get("quantity", 1),
        "tax_rates": tax_rates(call, given.get("tax_rates"), f"{at}[tax_rates]"),
    }


def _method(call: Call, given: Mapping[str, Any], at: str) -> str | None:
    named: str | None = given.get("default_payment_method")
    if named is not None:
        call.refer("payment_method", named, f"{at}[default_payment_method]")
    return named


def texts(given: Mapping[str, str | None] | None) -> dict[str, str]:
    """Return metadata as a phase keeps it: an empty value unsets its key when the phase is entered."""
    return {key: value or "" for key, value in (given or {}).items()}


def invoice_settings(given: Mapping[str, Any] | None, at: str) -> Obj | None:
    """Return a phase's settings of its invoices; an issuer other than the account is not modelled."""
    if given is None:
        return None
    if given.get("issuer", _SELF)["type"] != "self":
        raise not_modelled("an `issuer` other than the account itself", f"{at}[invoice_settings][issuer]")
    return {**NO_INVOICE_SETTINGS, "issuer": None, **given}


def of_subscription(subscription: Obj, items: Sequence[Obj]) -> Obj:
    """Return the one phase of a schedule that is made from a running subscription: its present period."""
    shown = [
        {
            "billing_thresholds": None,
            "discounts": [{"coupon": None, "discount": one, "promotion_code": None} for one in item["discounts"]],
            "metadata": item["metadata"],
            "price": item["price"],
            **({"quantity": item["quantity"]} if "quantity" in item else {}),
            "tax_rates": item["tax_rates"],
        }
        for item in items
    ]
    trial_end = subscription["trial_end"] if subscription["status"] == "trialing" else None
    return {
        **_TEMPLATE,
        "currency": subscription["currency"],
        "default_tax_rates": subscription["default_tax_rates"],
        "discounts": [{"coupon": None, "discount": one, "promotion_code": None} for one in subscription["discounts"]],
        "end_date": subscription["_period_end"],
        "items": shown,
        "metadata": subscription["metadata"],
        "start_date": subscription["_period_start"],
        "trial_end": trial_end,
    }
