"""How a subscription stands with its invoices: paid at once or not, past due, unpaid, ended.

Sources: https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses,
https://docs.stripe.com/billing/invoices/subscription, https://docs.stripe.com/billing/revenue-recovery/smart-retries.
"""

from reconciler.sandbox.billing import invoicing, payments
from reconciler.sandbox.billing.stored import must, newest, rows
from reconciler.sandbox.billing.subscription_store import ENDED, current, put
from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: A first payment must succeed within this time (https://docs.stripe.com/billing/subscriptions/overview).
GRACE = 23 * 3600


def settle_now(call: Call, row: Row, behavior: str, *, off_session: bool, asked: bool = True) -> Row:
    """Finalize an invoice and attempt its payment as the payment behavior says; return the invoice as it is then.

    Where there is nothing to pay with, a request that has ``asked`` for it is refused, and otherwise the payment fails.
    """
    invoicing.finalize(call, row)
    row = must(call, "invoice", row.body["id"])
    invoice = row.body
    if invoice["status"] != "open" or invoice["collection_method"] != "charge_automatically":
        return row
    if behavior == "default_incomplete":
        return row
    customer = must(call, "customer", invoice["customer"]).body
    if asked and payments.default_method(call, customer, of_invoice(call, invoice), invoice) is None:
        raise without_method()
    outcome = invoicing.collect(call, row, off_session=off_session)
    if behavior == "error_if_incomplete" and outcome.status != "succeeded":
        raise _incomplete(outcome.error)
    return must(call, "invoice", invoice["id"])


def without_method() -> ApiError:
    """Return the refusal of a charge to a customer who has nothing to pay with (observed)."""
    return invalid(
        "This customer has no attached payment source or default payment method. Please consider adding a default "
        "payment method.",
        code="resource_missing",
    )


def _incomplete(error: ApiError | None) -> ApiError:
    """Return the 402 that undoes everything: the bank's refusal, or that the customer would have to act.

    Source: https://docs.stripe.com/error-codes#subscription-payment-intent-requires-action.
    """
    if error is None:
        code = "subscription_payment_intent_requires_action"
        message = "Payment for this subscription requires additional user action before it can be completed."
        return ApiError(402, message, error_type="card_error", code=code)
    kept = {name: value for name, value in error.extra.items() if name == "decline_code"}
    return ApiError(error.status, error.message, error_type=error.error_type, code=error.code, extra=kept)


def of_invoice(call: Call, invoice: Obj) -> Obj | None:
    """Return the subscription an invoice was made for, as it is stored now."""
    named = invoicing.subscription_of(invoice)
    row = call.tx.find("subscription", named) if named else None
    return row.body if row else None


def judge(call: Call, subscription: Obj) -> None:
    """Set a running subscription's status by its newest invoice that counts.

    Paid or given up makes it active; one whose retries are exhausted ends it as the settings say; one that failed or is
    overdue makes it past due (https://docs.stripe.com/billing/invoices/subscription, "Void an invoice").
    """
    if subscription["status"] not in {"active", "past_due", "unpaid"}:
        return
    for row in newest(call, "invoice", ("subscription", subscription["id"])):
        invoice = row.body
        if invoice["status"] in {"draft", "void"} or invoice["id"] == _aside(subscription):
            continue
        if invoice["status"] in {"paid", "uncollectible"}:
            break
        if is_exhausted(invoice):
            give_up(call, subscription)
            return
        if is_late(call, invoice):
            set_status(call, subscription, "past_due")
            return
    set_status(call, subscription, "active")


def _aside(subscription: Obj) -> str | None:
    """Return the invoice of a pending update, whose failure leaves the subscription as it is."""
    pending = subscription["_pending"]
    return pending["invoice"] if pending else None


def is_late(call: Call, invoice: Obj) -> bool:
    """Tell whether an open invoice should have been paid by now."""
    if invoice["collection_method"] == "send_invoice":
        return invoice["due_date"] is not None and invoice["due_date"] <= call.now
    return bool(invoice["attempted"] or not invoice["auto_advance"])


def is_exhausted(invoice: Obj) -> bool:
    """Tell whether the automatic attempts to collect an invoice have all failed."""
    automatic = invoice["collection_method"] == "charge_automatically" and invoice["auto_advance"]
    return bool(automatic and invoice["attempted"] and invoice["next_payment_attempt"] is None)


def give_up(call: Call, subscription: Obj) -> None:
    """Do what the account's settings say when all retries of a payment have failed."""
    if call.settings.exhausted_retries_cancel:
        end(call, subscription, reason="payment_failed")
    else:
        set_status(call, subscription, "unpaid" if call.settings.exhausted_retries_mark_unpaid else "past_due")


def set_status(call: Call, subscription: Obj, status: str) -> None:
    """Move a subscription to a status."""
    subscription = current(call, subscription)
    if subscription["status"] != status and subscription["status"] not in ENDED:
        put(call, {**subscription, "status": status})


def end(call: Call, subscription: Obj, *, reason: str | None, final: str | None = None) -> Obj:
    """End a subscription for good: status, times, reason, its event.

    Its drafts and open invoices advance no more (https://docs.stripe.com/billing/subscriptions/cancel), but for the
    ``final`` one, which its end has just made.
    """
    family = call.families["subscription"]
    row = must(call, family.kind, subscription["id"])
    details = row.body["cancellation_details"]
    ended = {
        **row.body,
        "canceled_at": row.body["canceled_at"] or call.now,
        "cancellation_details": {**details, "reason": details["reason"] or reason},
        "ended_at": call.now,
        "next_pending_invoice_item_invoice": None,
        "pause_collection": None,
        "pending_update": None,
        "status": "canceled",
        "status_details": None,
        "_pending": None,
        "_resuming": None,
    }
    call.replace(family, row, ended)
    for invoice in rows(call, "invoice", ("subscription", subscription["id"])):
        waits = invoice.body["status"] in {"draft", "open"} and invoice.body["auto_advance"]
        if waits and invoice.body["id"] != final:
            invoicing.stop(call, invoice)
    call.emit(family, "deleted", ended)
    return ended
