"""The end of subscriptions: asked for, planned, by deletion of the customer, or for want of a first payment.

Sources: https://docs.stripe.com/billing/subscriptions/cancel and the docstring of the SDK's cancel method.
"""

from reconciler.sandbox.billing import billables, invoicing, lines, proration, standing
from reconciler.sandbox.billing.stored import items_of, must, rows
from reconciler.sandbox.billing.subscription_store import ENDED, announce, current, invoice, snapshot, write
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

RUNNING = ("active", "past_due", "unpaid")


def cancel(call: Call, subscription: Obj, *, prorate: bool, invoice_now: bool, reason: str | None) -> Obj:
    """End a subscription now: credit unused time, invoice what is open, or drop pending prorations if neither."""
    running = subscription["status"] in RUNNING
    if prorate and running:
        customer = must(call, "customer", subscription["customer"]).body
        for item in items_of(call, subscription):
            for charge in proration.credit(call, subscription, item, (call.now, item["current_period_end"])):
                lines.add_item(call, customer, charge)
    if invoice_now and running:
        _final_invoice(call, subscription, at_once=True)
    elif not prorate and not invoice_now:
        _drop_prorations(call, subscription)
    return standing.end(call, subscription, reason=reason)


def finish(call: Call, subscription: Obj) -> Obj:
    """End a subscription at the time set for it; what was used and what is pending is still billed."""
    final = _final_invoice(call, subscription, at_once=False) if subscription["status"] in RUNNING else None
    return standing.end(call, subscription, reason="cancellation_requested", final=final)


def _final_invoice(call: Call, subscription: Obj, *, at_once: bool) -> str | None:
    """Bill what was used and what waits for the subscription; return the invoice, if that is anything.

    At the end of a period also what was not used has its lines, for usage that is yet to be reported.
    At the end of a period also what waits for any invoice of the customer's is billed: pending items "are always
    charged when the billing period ends for any canceled subscription"
    (https://docs.stripe.com/billing/invoices/subscription).
    """
    used = [
        charge
        for item in items_of(call, subscription)
        for charge in billables.behind(call, subscription, item, call.now)
        if charge.amount or not at_once
    ]
    if not used and not _pending(call, subscription, every=not at_once):
        return None
    before = snapshot(call, subscription)
    reason = "subscription_update" if at_once else "subscription_cycle"
    period = (subscription["_period_start"], call.now)
    row = invoice(call, subscription, used, reason=reason, period=period, auto_advance=not at_once)
    announce(call, before)
    if at_once:
        invoicing.finalize(call, row)
        row = must(call, "invoice", row.body["id"])
        if row.body["status"] == "open" and subscription["collection_method"] == "charge_automatically":
            invoicing.collect(call, row, off_session=True)
    return str(row.body["id"])


def _pending(call: Call, subscription: Obj, *, every: bool) -> bool:
    """Tell whether an item waits for the subscription, or ``every`` one that its next invoice would take."""
    return any(every or row.body["parent"] for row in lines.waiting_for(call, subscription))


def _drop_prorations(call: Call, subscription: Obj) -> None:
    """Remove pending prorations, as the docstring says of a cancellation that neither prorates nor invoices."""
    family = call.families["invoiceitem"]
    for row in lines.waiting_for(call, subscription):
        if row.body["proration"] and row.body["parent"]["subscription_details"]["subscription"] == subscription["id"]:
            call.delete(family, row)


def expire(call: Call, subscription: Obj) -> None:
    """Let a subscription lapse whose first invoice was not paid in time, and void that invoice."""
    before = snapshot(call, subscription)
    write(call, {**subscription, "ended_at": call.now, "status": "incomplete_expired", "_expires_at": None})
    announce(call, before)
    row = call.tx.find("invoice", subscription["latest_invoice"] or "")
    if row and row.body["status"] == "open":
        invoicing.void(call, row)


def with_customer(call: Call, customer: Obj) -> None:
    """End all subscriptions of a customer that is deleted (https://docs.stripe.com/api/customers/delete)."""
    for subscription in _of_customer(call, customer):
        standing.end(call, current(call, subscription), reason="cancellation_requested")


def _of_customer(call: Call, customer: Obj) -> list[Obj]:
    return [
        row.body for row in rows(call, "subscription", ("customer", customer["id"])) if row.body["status"] not in ENDED
    ]
