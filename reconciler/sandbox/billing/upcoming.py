"""What the next invoice of a subscription would have on it (https://docs.stripe.com/api/invoices/create_preview).

Everything here writes as the real requests do: it is for the inside of a transaction that is undone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.sandbox.billing import (
    added_items,
    billables,
    changing,
    lifecycle,
    lines,
    pausing,
    proration,
    scheduling,
    starting,
    updating,
)
from reconciler.sandbox.billing.charges import Charge
from reconciler.sandbox.billing.cycles import Period
from reconciler.sandbox.billing.stored import items_of, must, rows
from reconciler.sandbox.billing.subscription_store import ENDED, current
from reconciler.sandbox.errors import ApiError, invalid, missing, not_modelled
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

_OF_UPDATE = (
    "billing_cycle_anchor",
    "cancel_at",
    "cancel_at_period_end",
    "default_tax_rates",
    "items",
    "metadata",
    "proration_behavior",
    "proration_date",
    "trial_end",
)
_OF_NEW = ("billing_mode", "cancel_at", "cancel_at_period_end", "default_tax_rates", "items", "metadata", "trial_end")
_ONLY_NEW = ("billing_mode", "start_date")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """The next invoice before there is one: whose it is, its lines besides pending invoice items, its period."""

    subscription: Obj
    charges: Sequence[Charge]
    period: Period


def upcoming_charges(call: Call, customer: Obj, params: Mapping[str, Any]) -> Upcoming | None:
    """Return what an invoice preview is to show for validated ``InvoiceCreatePreviewParams``.

    ``None`` where the request is not about a subscription and the customer has none. Prorations are left behind as
    pending invoice items. Raises 404 ``invoice_upcoming_none`` where there will be no invoice.
    """
    call = call.on_clock_of(customer)
    details = params.get("subscription_details", {})
    if "schedule_details" in params:
        raise not_modelled("previews of changes to schedules", "schedule_details")
    if "billing_schedules" in details:
        raise not_modelled("billing schedules", "subscription_details[billing_schedules]")
    if "schedule" in params:
        return _of_schedule(call, call.refer("subscription_schedule", params["schedule"], "schedule"))
    subscription = _chosen(call, customer, params)
    if subscription is None:
        return _of_new(call, customer, details) if details.get("items") else None
    for name in _ONLY_NEW:
        if name in details:
            param = f"subscription_details[{name}]"
            raise invalid(f"`{name}` is for previews of new subscriptions.", param)
    if details.get("cancel_now"):
        return _of_end(call, subscription, details)
    if "pause" in details:
        return _of_pause(call, subscription, details["pause"])
    if details.get("resume_at") == "now":
        return _of_resumption(call, subscription, details)
    return _of_change(call, subscription, details)


def _chosen(call: Call, customer: Obj, params: Mapping[str, Any]) -> Obj | None:
    """Return the subscription that is named, or else the one of the customer that bills next."""
    if "subscription" in params:
        found = call.refer("subscription", params["subscription"], "subscription")
        if found["customer"] != customer["id"]:
            raise invalid(f"The subscription {found['id']} is another customer's.", "subscription")
        return found
    if "subscription_details" in params:
        return None
    own = [row.body for row in rows(call, "subscription", ("customer", customer["id"]))]
    running = [each for each in own if each["status"] not in ENDED]
    return min(running, key=lambda each: int(each["_period_end"]), default=None)


def none_upcoming(customer: str) -> ApiError:
    """Return the 404 of a preview of nothing (https://docs.stripe.com/error-codes#invoice-upcoming-none)."""
    return ApiError(404, f"No upcoming invoices for customer: {customer}", code="invoice_upcoming_none")


def _of_new(call: Call, customer: Obj, details: Mapping[str, Any]) -> Upcoming:
    params = {name: details[name] for name in _OF_NEW if name in details}
    if "start_date" in details:
        if details["start_date"] > call.now:
            call = call.at(details["start_date"])
        else:
            params["backdate_start_date"] = details["start_date"]
    anchor = details.get("billing_cycle_anchor", {})
    if anchor.get("type") == "timestamp":
        if "timestamp" not in anchor:
            raise missing("subscription_details[billing_cycle_anchor][timestamp]")
        params["billing_cycle_anchor"] = anchor["timestamp"]
    if "proration_behavior" in details:
        params["proration_behavior"] = details["proration_behavior"]
    subscription, charges = starting.opened(call, customer, params)
    return Upcoming(subscription=subscription, charges=charges, period=(call.now, call.now))


def _of_change(call: Call, subscription: Obj, details: Mapping[str, Any]) -> Upcoming:
    params = {name: details[name] for name in _OF_UPDATE if name in details}
    if params:
        if params.get("billing_cycle_anchor", {}).get("type") == "timestamp":
            raise invalid("An existing subscription's anchor is `now` or `unchanged`.", "subscription_details")
        updating.check(subscription, params)
        planned = updating.prepare(call, subscription, params).plan
        changing.apply(call, planned)
        subscription = current(call, subscription)
        if planned.immediate:
            period = (subscription["_period_start"], call.now)
            return Upcoming(subscription=subscription, charges=planned.charges, period=period)
    return _of_renewal(call, subscription)


def _of_renewal(call: Call, subscription: Obj) -> Upcoming:
    """Return the lines of the next renewal, or of the final invoice where the subscription ends first."""
    if subscription["status"] not in {"trialing", "active", "past_due", "unpaid"}:
        raise none_upcoming(subscription["customer"])
    end, last = subscription["_period_end"], subscription["cancel_at"]
    items = items_of(call, subscription)
    period = (subscription["_period_start"], end)
    if last is None or last > end:
        charges = lifecycle.coming(call.at(end), subscription, items)
        return Upcoming(subscription=subscription, charges=charges, period=period)
    if subscription["status"] == "trialing":
        raise none_upcoming(subscription["customer"])
    used = [charge for item in items for charge in billables.behind(call, subscription, item, last)]
    if not used and not lines.waiting_for(call, subscription):
        raise none_upcoming(subscription["customer"])
    return Upcoming(subscription=subscription, charges=used, period=(period[0], last))


def _used(call: Call, subscription: Obj, item: Obj, until: int) -> list[Charge]:
    return [charge for charge in billables.behind(call, subscription, item, until) if charge.amount]


def _of_end(call: Call, subscription: Obj, details: Mapping[str, Any]) -> Upcoming:
    """Return the final invoice of a subscription that is canceled now, its unused time credited."""
    at = details.get("proration_date", call.now)
    charges: list[Charge] = []
    for item in items_of(call, subscription):
        if details.get("proration_behavior") != "none":
            charges += proration.credit(call, subscription, item, (at, item["current_period_end"]))
        charges += _used(call, subscription, item, call.now)
    if not charges and not lines.waiting_for(call, subscription):
        raise none_upcoming(subscription["customer"])
    return Upcoming(subscription=subscription, charges=charges, period=(subscription["_period_start"], call.now))


def _of_pause(call: Call, subscription: Obj, params: Mapping[str, Any]) -> Upcoming:
    """Return the invoice of a pause, which there is only where the pause is to be invoiced."""
    charges = pausing.charges_of(call, subscription, params)
    if not charges or params.get("invoicing_behavior") != "invoice":
        raise none_upcoming(subscription["customer"])
    return Upcoming(subscription=subscription, charges=charges, period=(subscription["_period_start"], call.now))


def _of_resumption(call: Call, subscription: Obj, details: Mapping[str, Any]) -> Upcoming:
    _, charges = pausing.resumed(call, subscription, details)
    if not charges:
        raise none_upcoming(subscription["customer"])
    return Upcoming(subscription=subscription, charges=charges, period=(subscription["_period_start"], call.now))


def _of_schedule(call: Call, schedule: Obj) -> Upcoming:
    """Return the next invoice of a schedule: its first, or its subscription's with the phase that begins by then."""
    customer = must(call, "customer", schedule["customer"]).body
    if schedule["status"] == "not_started":
        at = call.at(schedule["phases"][0]["start_date"])
        first = scheduling.without_lost(at, schedule, schedule["phases"][0])
        params = scheduling.creation(schedule, first, at.now)
        subscription, charges = starting.opened(at, customer, params)
        return Upcoming(subscription=subscription, charges=charges, period=(at.now, at.now))
    if schedule["status"] != "active":
        raise none_upcoming(schedule["customer"])
    subscription = must(call, "subscription", schedule["subscription"]).body
    ends, following = schedule["current_phase"]["end_date"], None
    if ends <= subscription["_period_end"]:
        following = scheduling.phase_at(schedule, ends)
    if following is not None:
        at = call.at(ends)
        following = scheduling.without_lost(at, schedule, following)
        subscription = scheduling.noted(at, subscription)
        params = scheduling.changes(at, schedule, subscription, following, following["proration_behavior"])
        planned = updating.prepare(at, subscription, params).plan
        changing.apply(at, planned)
        period = (subscription["_period_start"], ends)
        subscription = current(call, subscription)
        added_items.add(at, subscription, customer, scheduling.additions(following))
        if planned.immediate:
            return Upcoming(subscription=subscription, charges=planned.charges, period=period)
    return _of_renewal(call, subscription)
