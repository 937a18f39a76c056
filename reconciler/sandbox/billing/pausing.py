"""Subscriptions that stand still: paused on request or at the end of a trial, and resumed.

Source: https://docs.stripe.com/billing/subscriptions/pause (conditions, behavior, and the table of payment behaviors).
"""

from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.billing import billables, changing, cycles, invoicing, lines, payments, proration, standing
from reconciler.sandbox.billing.charges import Charge
from reconciler.sandbox.billing.stored import items_of, must
from reconciler.sandbox.billing.subscription_store import (
    Snapshot,
    announce,
    current,
    invoice,
    remember,
    snapshot,
    write,
)
from reconciler.sandbox.errors import invalid
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

_YEAR = 365 * 86_400


def pause(call: Call, subscription: Obj, params: Mapping[str, Any]) -> Obj:
    """Pause a running subscription: credit unused time, bill what was used, end its periods now."""
    _check(subscription)
    charges, items = charges_of(call, subscription, params), items_of(call, subscription)
    before = snapshot(call, subscription)
    changed = {**subscription, "pending_update": None, "_pending": None, **_status(call, "pause_requested")}
    stopped = [{**proration.shortened(item, call.now), "current_period_end": call.now} for item in items]
    write(call, changed, stopped)
    _bill(call, changed, charges, at_once=params.get("invoicing_behavior") == "invoice")
    _tell(call, before, "paused")
    return current(call, subscription)


def charges_of(call: Call, subscription: Obj, params: Mapping[str, Any]) -> list[Charge]:
    """Return what a pause credits for unused time and charges for usage."""
    bill = params.get("bill_for", {})
    unused = bill.get("unused_time_from", {"type": "now"})["type"]
    usage = bill.get("outstanding_usage_through", {"type": "now"})["type"]
    charges: list[Charge] = []
    for item in items_of(call, subscription):
        since = {"now": call.now, "item_current_period_start": item["current_period_start"]}.get(unused)
        if since is not None:
            charges += proration.credit(call, subscription, item, (since, item["current_period_end"]))
        if usage == "now":
            charges += [charge for charge in billables.behind(call, subscription, item, call.now) if charge.amount]
    return charges


def _check(subscription: Obj) -> None:
    reasons = {
        "it uses `collection_method=send_invoice`": subscription["collection_method"] == "send_invoice",
        "it uses `billing_mode=classic`": subscription["billing_mode"]["type"] == "classic",
        f"its status is {subscription['status']}": subscription["status"] not in {"active", "past_due", "unpaid"},
        "it has a schedule": subscription["schedule"] is not None,
    }
    for reason, holds in reasons.items():
        if holds:
            raise invalid(f"The subscription cannot be paused: {reason}.")


def _status(call: Call, reason: str) -> Obj:
    details = {"subscription": {"type": reason}, "transitioned_at": call.now, "type": "subscription"}
    return {"status": "paused", "status_details": {"paused": details}}


def _bill(call: Call, subscription: Obj, charges: list[Charge], *, at_once: bool) -> None:
    if not at_once:
        customer = must(call, "customer", subscription["customer"]).body
        for charge in charges:
            lines.add_item(call, customer, charge)
    elif charges:
        period = (subscription["_period_start"], call.now)
        row = invoice(call, subscription, charges, reason="subscription_update", period=period, auto_advance=False)
        standing.settle_now(call, row, "allow_incomplete", off_session=True)


def _tell(call: Call, before: Snapshot, verb: str) -> None:
    announce(call, before)
    call.emit(call.families["subscription"], verb, current(call, before[0]))


def pause_after_trial(call: Call, subscription: Obj) -> None:
    """Pause a subscription whose trial ended without a payment method."""
    before = snapshot(call, subscription)
    write(call, {**subscription, **_status(call, "trial_end_without_payment_method")})
    _tell(call, before, "paused")


def resume(call: Call, subscription: Obj, params: Mapping[str, Any]) -> Obj:
    """Begin to bill a paused subscription again; where that makes an invoice, it is active once that is settled."""
    behavior = params.get("payment_behavior", "resume_on_payment_attempt")
    _check_resumable(call, subscription, behavior)
    state, charges = resumed(call, subscription, params)
    anew = params.get("billing_cycle_anchor", {"type": "now"})["type"] == "now"
    if not charges or (not anew and params.get("proration_behavior", "create_prorations") == "create_prorations"):
        state["items"] = _waiting(call, subscription, state["items"], charges)
        wake(call, {**subscription, "_resuming": {**state, "invoice": None}}, "active")
        return current(call, subscription)
    return _resume_with_invoice(call, subscription, charges, {**state, "behavior": behavior})


def resumed(call: Call, subscription: Obj, params: Mapping[str, Any]) -> tuple[Obj, list[Charge]]:
    """Return the anchor and the items a resumption leads to, and what it charges."""
    anew = params.get("billing_cycle_anchor", {"type": "now"})["type"] == "now"
    running = {**subscription, "status": "active", "status_details": None, "_since": call.now}
    if anew:
        running["billing_cycle_anchor"] = call.now
    fresh = {"_debits": [], "_segments": [], "_used_from": call.now}
    items = [cycles.placed(call, running, {**item, **fresh}, call.now) for item in items_of(call, subscription)]
    charges: list[Charge] = []
    for item in items:
        if anew:
            charges += changing.first_lines(call, running, item)
        elif params.get("proration_behavior") != "none":
            at = params.get("proration_date", call.now)
            charges += proration.debit(call, running, items, item, (at, item["current_period_end"]))
    if not anew:
        # The present period as the anchor lays it, as the documented example of a mixed interval subscription shows.
        items = [{**item, "current_period_start": cycles.whole(call, running, item, call.now)[0]} for item in items]
    anchor = {"billing_cycle_anchor": running["billing_cycle_anchor"]}
    return {"items": items, "since": call.now, "subscription": anchor}, charges


def _waiting(call: Call, subscription: Obj, items: list[Obj], charges: list[Charge]) -> list[Obj]:
    """Let charges wait as invoice items, and return the items that remember them."""
    customer = must(call, "customer", subscription["customer"]).body
    charged = {item["id"]: item for item in items}
    for charge in charges:
        waiting = lines.add_item(call, customer, charge)
        item = charged[str(charge.subscription_item)]
        charged[item["id"]] = proration.charged(item, charge, invoice_item=waiting["id"])
    return list(charged.values())


def _check_resumable(call: Call, subscription: Obj, behavior: str) -> None:
    if subscription["status"] != "paused" or subscription["_resuming"]:
        raise invalid(f"Only a paused subscription can be resumed; this one is {subscription['status']}.")
    if subscription["collection_method"] != "charge_automatically":
        raise invalid("Only subscriptions with `collection_method=charge_automatically` can be resumed.")
    if behavior == "resume_on_payment_success":
        if subscription["billing_mode"]["type"] == "classic":
            raise invalid("`resume_on_payment_success` needs `billing_mode=flexible`.", "payment_behavior")
        customer = must(call, "customer", subscription["customer"]).body
        if payments.default_method(call, customer, subscription) is None:
            raise standing.without_method()


def _resume_with_invoice(call: Call, subscription: Obj, charges: list[Charge], state: Obj) -> Obj:
    """Wait for the resumption invoice: 23 hours for an attempt by the client, a year where Stripe attempts."""
    insists = state["behavior"] == "resume_on_payment_success"
    expires = call.now + (_YEAR if insists else standing.GRACE)
    before = snapshot(call, subscription)
    period = (subscription["_period_start"], call.now)
    row = invoice(call, subscription, charges, reason="subscription_update", period=period, auto_advance=insists)
    shown = {**_EMPTY_UPDATE, **state["subscription"], "expires_at": expires}
    waiting = {**state, "expires_at": expires, "invoice": row.body["id"]}
    write(call, {**current(call, subscription), "pending_update": shown, "_resuming": waiting})
    announce(call, before)
    invoicing.finalize(call, row)
    row = must(call, "invoice", row.body["id"])
    if insists and row.body["status"] == "open":
        invoicing.collect(call, row, off_session=True)
    return current(call, subscription)


_EMPTY_UPDATE: Obj = {
    "billing_cycle_anchor": None,
    "cancel_at_period_end": None,
    "discount": None,
    "discounts": None,
    "metadata": None,
    "subscription_items": None,
    "trial_end": None,
    "trial_from_plan": None,
}


def wake(call: Call, subscription: Obj, status: str) -> None:
    """Let a paused subscription run again in the periods its resumption began."""
    state = subscription["_resuming"]
    before = snapshot(call, subscription)
    debits = {item["id"]: item["_debits"] for item in before[1]}
    items = [{**item, "_debits": debits[item["id"]]} if state["invoice"] else item for item in state["items"]]
    running = {
        **current(call, subscription),
        **state["subscription"],
        "pending_update": None,
        "status": status,
        "status_details": None,
        "_resuming": None,
        "_since": state["since"],
    }
    write(call, running, items)
    if state["invoice"]:
        remember(call, running, {"id": state["invoice"]})
    _tell(call, before, "resumed")


def stay(call: Call, subscription: Obj) -> None:
    """Leave a subscription paused whose resumption invoice was voided."""
    before = snapshot(call, subscription)
    write(call, {**current(call, subscription), "pending_update": None, "_resuming": None})
    announce(call, before)


def lapse(call: Call, subscription: Obj) -> None:
    """Void a resumption invoice that was not settled in time."""
    row = must(call, "invoice", subscription["_resuming"]["invoice"])
    stay(call, subscription)
    if row.body["status"] in {"open", "uncollectible"}:
        invoicing.void(call, must(call, "invoice", row.body["id"]))
