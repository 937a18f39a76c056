"""What invoices, payments and discounts do to a subscription: it is activated, past due, resumed, given up.

Sources: https://docs.stripe.com/billing/subscriptions/overview, https://docs.stripe.com/billing/invoices/subscription.
"""

from collections.abc import Callable
from functools import wraps

from reconciler.sandbox.billing import ending, pausing, pending_updates, standing
from reconciler.sandbox.billing.stored import must, rows
from reconciler.sandbox.billing.subscription_store import current, put
from reconciler.sandbox.objects.base import Call, Reaction
from reconciler.sandbox.wire import Obj


def _of_subscription(react: Callable[[Call, Obj, Obj], None]) -> Reaction:
    """Let something react to an invoice of a subscription, at the time of that one and given it; to no other."""

    @wraps(react)
    def reaction(call: Call, invoice: Obj) -> None:
        if subscription := standing.of_invoice(call, invoice):
            react(call.on_clock_of(subscription), invoice, subscription)

    return reaction


@_of_subscription
def on_paid(call: Call, paid: Obj, subscription: Obj) -> None:
    """React to a paid invoice: activate, resume, make a waiting change, or see how the subscription stands."""
    _keep_method(call, subscription, paid)
    subscription = current(call, subscription)
    if subscription["status"] == "incomplete" and paid["id"] == subscription["latest_invoice"]:
        activate(call, subscription)
    elif _waits_for(subscription, "_pending", paid):
        pending_updates.fulfil(call, subscription)
    elif _waits_for(subscription, "_resuming", paid):
        pausing.wake(call, subscription, "active")
    else:
        standing.judge(call, subscription)


def activate(call: Call, subscription: Obj) -> None:
    """Let a subscription begin whose first invoice is paid, or that has none."""
    put(call, {**subscription, "status": "active", "_expires_at": None})


def _waits_for(subscription: Obj, name: str, subject: Obj) -> bool:
    return bool(subscription[name]) and subscription[name]["invoice"] == subject["id"]


def _keep_method(call: Call, subscription: Obj, paid: Obj) -> None:
    """Make what has paid the default, where the payment settings say so."""
    if subscription["payment_settings"]["save_default_payment_method"] != "on_subscription":
        return
    for row in rows(call, "invoice_payment", ("invoice", paid["id"])):
        intent = call.tx.find("payment_intent", row.body["payment"].get("payment_intent") or "")
        charge = call.tx.find("charge", intent.body["latest_charge"] or "") if intent else None
        if row.body["status"] == "paid" and charge and charge.body["payment_method"]:
            put(call, {**subscription, "default_payment_method": charge.body["payment_method"]})


@_of_subscription
def on_failed(call: Call, failed: Obj, subscription: Obj) -> None:
    """React to a payment that failed or waits for the customer, and to an invoice that is overdue."""
    if _waits_for(subscription, "_resuming", failed):
        if subscription["_resuming"]["behavior"] == "resume_on_payment_attempt":
            pausing.wake(call, subscription, "past_due")
        return
    standing.judge(call, subscription)


@_of_subscription
def on_voided(call: Call, voided: Obj, subscription: Obj) -> None:
    """React to a voided invoice: a first one ends what has not begun, a resumption's leaves it paused."""
    if subscription["status"] == "incomplete" and voided["id"] == subscription["latest_invoice"]:
        ending.expire(call, subscription)
    elif _waits_for(subscription, "_resuming", voided):
        pausing.stay(call, subscription)
    elif _waits_for(subscription, "_pending", voided):
        pending_updates.discard(call, subscription)
    else:
        standing.judge(call, subscription)


@_of_subscription
def on_given_up(call: Call, invoice_: Obj, subscription: Obj) -> None:
    """React to an uncollectible invoice: a resumption goes on, and a past due subscription is active again."""
    if _waits_for(subscription, "_resuming", invoice_):
        pausing.wake(call, subscription, "active")
    else:
        standing.judge(call, subscription)


def on_discount_ended(call: Call, discount: Obj) -> None:
    """React to a discount that has ended: whoever has it has it no more."""
    if discount["subscription"] and (row := call.tx.find("subscription", discount["subscription"])):
        kept = [one for one in row.body["discounts"] if one != discount["id"]]
        put(call, {**row.body, "discounts": kept})
    if discount["subscription_item"] and (row := call.tx.find("subscription_item", discount["subscription_item"])):
        item = {**row.body, "discounts": [one for one in row.body["discounts"] if one != discount["id"]]}
        put(call, must(call, "subscription", item["subscription"]).body, [item])


def on_set_up(call: Call, intent: Obj) -> None:
    """React to a setup intent that succeeded: the subscription that asked for it waits no more."""
    for row in rows(call, "subscription", ("pending_setup_intent", intent["id"])):
        changed = {**row.body, "pending_setup_intent": None}
        if changed["payment_settings"]["save_default_payment_method"] == "on_subscription":
            changed["default_payment_method"] = intent["payment_method"]
        put(call, changed)


def on_detached(call: Call, method: Obj) -> None:
    """React to a payment method that is no one's any more: it pays for no subscription either."""
    for row in rows(call, "subscription", ("default_payment_method", method["id"])):
        put(call, {**row.body, "default_payment_method": None})
