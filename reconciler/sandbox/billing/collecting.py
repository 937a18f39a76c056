"""Invoices from finalization to payment: numbered, due, paid, tried again, voided, given up.

Sources: https://docs.stripe.com/invoicing/integration/workflow-transitions,
https://docs.stripe.com/invoicing/integration/automatic-advancement-collection and
https://docs.stripe.com/billing/revenue-recovery/smart-retries.
"""

from collections.abc import Sequence
from typing import Any

from reconciler.sandbox.billing import discounts, payments, retries
from reconciler.sandbox.billing.balance import Kind, adjust, balance
from reconciler.sandbox.billing.credits import apply
from reconciler.sandbox.billing.drafts import computed, copied, customer_of, settled, store_lines, subscription_of
from reconciler.sandbox.billing.payments import Outcome
from reconciler.sandbox.billing.recounting import recounted
from reconciler.sandbox.billing.stored import must, rows
from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: An invoice finalized by hand is charged an hour later, if it advances by itself.
CHARGE_SECONDS = 3_600


def _store(call: Call, row: Row, **changes: Any) -> Row:
    """Change an invoice, record ``invoice.updated``, and return it as it is after everyone has reacted."""
    call.save(call.families["invoice"], row, {**row.body, **changes})
    return must(call, "invoice", row.body["id"])


def _tell(call: Call, row: Row, verb: str) -> Row:
    """Record an event of an invoice, and return it as it is after everyone has reacted."""
    call.emit(call.families["invoice"], verb, row.body)
    return must(call, "invoice", row.body["id"])


def finalize(call: Call, row: Row, *, unpaid: bool = False) -> Obj:
    """Make a draft final and return it: open, or paid where nothing is due.

    Usage is counted anew, credit grants and the customer's balance are used, the number is given, the payment intent is
    opened. What is not to be paid (``unpaid``) uses nothing and stays open whatever is due.
    """
    if row.body["status"] != "draft":
        raise not_draft(row.body)
    family, invoice_id = call.families["invoice"], row.body["id"]
    customer = customer_of(call, row.body)
    held = recounted(call, row.body)
    draft = _unspent(call, {**row.body, **copied(call, customer)}, invoice_id)
    unspent = [_unspent(call, line.body, invoice_id) for line in held]
    final, done = computed(call, draft, unspent, None if unpaid else apply)
    store_lines(call, held, done)
    if unpaid:
        final |= dict.fromkeys(("amount_due", "amount_remaining"), max(final["total"], 0))
    final |= {
        "automatically_finalizes_at": None,
        "effective_at": final["effective_at"] or call.now,
        "ending_balance": final["starting_balance"] if unpaid else _use_balance(call, final),
        "last_finalization_error": None,
        "next_payment_attempt": _first_attempt(call, final),
        "number": final["number"] or _next_number(call, final["customer"]),
        "status": "open",
        "status_transitions": {**final["status_transitions"], "finalized_at": call.now},
    }
    if final["amount_due"] > 0 and not unpaid:
        final["confirmation_secret"] = _open_payment(call, final, customer)
    before = row.body
    call.replace(family, row, final)
    row = _tell(call, must(call, "invoice", invoice_id), "finalized")
    call.emit(family, "updated", row.body, before)
    if not unpaid:
        _spend(call, final, done)
    row = must(call, "invoice", invoice_id)
    return _paid(call, row, 0).body if final["amount_due"] == 0 and not unpaid else row.body


def _unspent(call: Call, obj: Obj, invoice_id: str) -> Obj:
    """Return an invoice or a line without discounts that another invoice has used up since it was drafted."""
    return {**obj, "discounts": discounts.unspent(call, obj["discounts"], invoice_id)}


def _spend(call: Call, invoice: Obj, found: Sequence[Obj]) -> None:
    """Use up the discounts that last for one invoice; by the setting one of nothing, as a trial's, leaves them."""
    if call.settings.free_invoice_uses_up_once or any(line["amount"] for line in found):
        ids = [*invoice["discounts"], *(one for line in found for one in line["discounts"])]
        discounts.spend(call, ids, invoice["id"])


def not_draft(invoice: Obj) -> ApiError:
    """Return the refusal of what only drafts allow (https://docs.stripe.com/error-codes#invoice-not-editable)."""
    return invalid(f"The invoice {invoice['id']} is no longer a draft.", "invoice", "invoice_not_editable")


def _first_attempt(call: Call, invoice: Obj) -> int | None:
    automatic = invoice["auto_advance"] and invoice["collection_method"] == "charge_automatically"
    return call.now + CHARGE_SECONDS if automatic and invoice["amount_due"] else None


def _next_number(call: Call, customer_id: str) -> str:
    """Return the customer's next invoice number: ``<invoice_prefix>-0001``, then 0002."""
    row = must(call, "customer", customer_id)
    number = row.body["next_invoice_sequence"]
    call.replace(call.families["customer"], row, {**row.body, "next_invoice_sequence": number + 1})
    return f"{row.body['invoice_prefix']}-{number:04d}"


def _use_balance(call: Call, invoice: Obj) -> int:
    """Move what the invoice takes from or leaves to the customer's balance, and return the balance after it."""
    code = invoice["currency"]
    before = balance(customer_of(call, invoice), code)
    _, after = settled(invoice["total"], before, code, call.settings)
    if before != after:
        kind: Kind = "invoice_too_small" if after > 0 else "applied_to_invoice"
        adjust(call, invoice["customer"], after - before, code, kind, invoice=invoice["id"])
    return after


def _open_payment(call: Call, invoice: Obj, customer: Obj) -> Obj:
    """Open the intent that pays the invoice, and return the invoice's ``confirmation_secret``."""
    intent = payments.open_intent(
        call,
        customer=customer,
        amount=invoice["amount_due"],
        currency=invoice["currency"],
        description=invoice["description"],
        metadata={},
        off_session_ok=subscription_of(invoice) is not None,
        invoice=invoice["id"],
    )
    family = call.families["invoice_payment"]
    payment = call.fill(
        family,
        call.new_id("inpay_1", 23),
        amount_requested=invoice["amount_due"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        payment={"payment_intent": intent["id"], "type": "payment_intent"},
    )
    call.insert(family, payment)
    return {"client_secret": intent["client_secret"], "type": "payment_intent"}


def intent_of(call: Call, invoice: Obj) -> str | None:
    """Return the payment intent that is to pay the invoice, if one is."""
    open_ones = [row.body for row in rows(call, "invoice_payment", ("invoice", invoice["id"]))]
    return next((one["payment"]["payment_intent"] for one in open_ones if one["status"] == "open"), None)


def collect(
    call: Call, row: Row, *, off_session: bool, payment_method: str | None = None, automatic: bool = False
) -> Outcome:
    """Attempt to collect an open invoice once, with the named method or the one that pays by default.

    ``automatic`` attempts are those of the retry schedule; the first attempt of all starts it.
    """
    invoice = row.body
    intent_id = intent_of(call, invoice)
    if invoice["status"] not in {"open", "uncollectible"} or intent_id is None:
        raise invalid(f"The invoice {invoice['id']} is not open.", "invoice")
    first = invoice["attempt_count"] == 0
    changes: Obj = {"attempted": True}
    if automatic or first:
        count = invoice["attempt_count"] + 1
        changes |= {"attempt_count": count, "next_payment_attempt": retries.next_at(call, invoice, count)}
    row = _store(call, row, **changes)
    customer = customer_of(call, invoice)
    subscription_id = subscription_of(invoice)
    subscription = must(call, "subscription", subscription_id).body if subscription_id else None
    method = payment_method or payments.default_method(call, customer, subscription, invoice)
    message = "There is no payment method to collect this invoice with: give one, or set the customer's default."
    error = ApiError(400, message, param="payment_method", code="invoice_payment_method_missing", keeps_writes=True)
    if method is not None and automatic and (code := retries.refusal(call, intent_id, method)):
        message = f"The card was refused for good ({code}); another payment method is needed."
        error = ApiError(402, message, error_type="card_error", code="card_declined", keeps_writes=True)
    elif method is not None:
        try:
            with call.tx.attempt():
                return payments.confirm(call, intent_id, payment_method=method, off_session=off_session)
        except ApiError as refusal:
            if not automatic:
                raise
            error = refusal
    _tell(call, row, "payment_failed")
    return Outcome("requires_payment_method", must(call, "payment_intent", intent_id).body, error)


def rescheduled(call: Call, before: Obj, changed: Obj) -> Obj:
    """Return an open invoice with its next attempt, after ``auto_advance`` was switched."""
    if changed["auto_advance"] == before["auto_advance"]:
        return changed
    return {**changed, "next_payment_attempt": _first_attempt(call, changed)}


def _paid(call: Call, row: Row, amount: int, *, outside: bool = False, **changes: Any) -> Row:
    """Book a payment of an amount; once nothing remains the invoice is paid.

    A payment ``outside`` of Stripe is no attempt that succeeds (https://docs.stripe.com/api/events/types#invoice.paid).
    """
    invoice = row.body
    remaining = invoice["amount_remaining"] - amount
    changes |= {"amount_paid": invoice["amount_paid"] + amount, "amount_remaining": remaining, "attempted": True}
    if remaining:
        return _store(call, row, **changes)
    transitions = {**invoice["status_transitions"], "paid_at": call.now}
    ended = {"auto_advance": False, "next_payment_attempt": None, "status": "paid", "status_transitions": transitions}
    row = _store(call, row, **changes, **ended)
    row = _tell(call, row, "paid")
    return row if outside else _tell(call, row, "payment_succeeded")


def settle(call: Call, intent: Obj) -> None:
    """React to a payment that succeeded: book it on the invoice it is for."""
    family = call.families["invoice_payment"]
    for row in rows(call, family.kind, ("payment", intent["id"])):
        if row.body["status"] == "open":
            amount = min(intent["amount_received"], row.body["amount_requested"])
            transitions = {**row.body["status_transitions"], "paid_at": call.now}
            changed = {**row.body, "amount_paid": amount, "status": "paid", "status_transitions": transitions}
            call.save(family, row, changed, "paid")
            invoice = must(call, "invoice", row.body["invoice"])
            _paid(call, invoice, amount, **_attempt_counted(invoice.body))


def _attempt_counted(invoice: Obj) -> Obj:
    return {"attempt_count": max(1, invoice["attempt_count"])}


def fail(call: Call, intent: Obj) -> None:
    """React to a payment that failed: say so on the invoice it is for."""
    for payment in rows(call, "invoice_payment", ("payment", intent["id"])):
        row = must(call, "invoice", payment.body["invoice"])
        row = _store(call, row, attempted=True, **_attempt_counted(row.body))
        if (intent["last_payment_error"] or {}).get("code") == "authentication_required":
            row = _tell(call, row, "payment_action_required")
        _tell(call, row, "payment_failed")


def wait(call: Call, intent: Obj) -> None:
    """React to a payment that waits for its customer: say so on the invoice it is for."""
    for payment in rows(call, "invoice_payment", ("payment", intent["id"])):
        _tell(call, must(call, "invoice", payment.body["invoice"]), "payment_action_required")


def pay_elsewhere(call: Call, row: Row) -> Obj:
    """Book that the whole rest of an invoice was paid outside of Stripe."""
    rest = row.body["amount_remaining"]
    _cancel_payment(call, row.body)
    return _paid(call, row, rest, outside=True, amount_paid_off_stripe=rest).body


def lower(call: Call, row: Row, amount: int, **changes: Any) -> None:
    """Lower what is due of an invoice, or raise it again by a negative amount; with nothing left to pay it is paid."""
    invoice = row.body
    names = ("amount_due", "amount_remaining")
    changes |= {name: invoice[name] - amount for name in names if amount}
    row = _store(call, row, **changes)
    if not amount:
        return
    if row.body["amount_remaining"] == 0:
        _cancel_payment(call, row.body)
        _paid(call, row, 0)
        return
    for payment in rows(call, "invoice_payment", ("invoice", invoice["id"])):
        if payment.body["status"] == "open":
            left = row.body["amount_remaining"]
            call.replace(call.families["invoice_payment"], payment, {**payment.body, "amount_requested": left})
            intent = must(call, "payment_intent", payment.body["payment"]["payment_intent"])
            call.replace(call.families["payment_intent"], intent, {**intent.body, "amount": left})


def _cancel_payment(call: Call, invoice: Obj, reason: str = "void_invoice") -> None:
    """End the invoice's open payment and its intent."""
    family = call.families["invoice_payment"]
    for row in rows(call, family.kind, ("invoice", invoice["id"])):
        if row.body["status"] == "open":
            transitions = {**row.body["status_transitions"], "canceled_at": call.now}
            call.replace(family, row, {**row.body, "status": "canceled", "status_transitions": transitions})
            payments.cancel(call, row.body["payment"]["payment_intent"], reason)


def void(call: Call, row: Row) -> Obj:
    """Take an open or uncollectible invoice back: what it used of the customer's balance returns."""
    invoice = row.body
    if invoice["status"] not in {"open", "uncollectible"}:
        raise invalid(f"You can only void an open or uncollectible invoice; this one is {invoice['status']}.")
    _cancel_payment(call, invoice)
    used = invoice["ending_balance"] - invoice["starting_balance"]
    if used:
        kind: Kind = "unapplied_from_invoice"
        adjust(call, invoice["customer"], -used, invoice["currency"], kind, invoice=invoice["id"])
    transitions = {**invoice["status_transitions"], "voided_at": call.now}
    changes = {"auto_advance": False, "next_payment_attempt": None, "status_transitions": transitions}
    return _tell(call, _store(call, row, **changes, status="void"), "voided").body


def mark_uncollectible(call: Call, row: Row, reason: str = "user_forgiven") -> Obj:
    """Give an open invoice up; it can still be paid."""
    invoice = row.body
    if invoice["status"] != "open":
        raise invalid(f"You can only mark an open invoice as uncollectible; this one is {invoice['status']}.")
    transitions = {**invoice["status_transitions"], "marked_uncollectible_at": call.now}
    changes = {"auto_advance": False, "next_payment_attempt": None, "status_transitions": transitions}
    details = {"uncollectible": {"reason": reason}}
    row = _store(call, row, **changes, status="uncollectible", status_details=details)
    return _tell(call, row, "marked_uncollectible").body


def send(call: Call, row: Row) -> Obj:
    """Send an open invoice; the sandbox sends no mail, it records that Stripe would."""
    return _tell(call, row, "sent").body


def stop(call: Call, row: Row) -> Obj:
    """Let an invoice advance no further by itself, as when its subscription ends."""
    return _store(call, row, auto_advance=False, automatically_finalizes_at=None, next_payment_attempt=None).body


def abandon(call: Call, customer: Obj) -> None:
    """React to the deletion of a customer: pending items go, and nothing of theirs is finalized or charged any more."""
    for item in rows(call, "invoiceitem", ("pending", customer["id"])):
        call.delete(call.families["invoiceitem"], item)
    for row in rows(call, "invoice", ("customer", customer["id"])):
        if row.body["status"] in {"draft", "open"}:
            stop(call, row)
        if call.settings.customer_deletion_cancels_payments:
            _cancel_payment(call, row.body, "automatic")


def due_at(invoice: Obj) -> int | None:
    """Return when an invoice next does something by itself: it is finalized, charged, or found overdue."""
    if invoice["status"] == "draft":
        at: int | None = invoice["automatically_finalizes_at"]
        return at
    if invoice["status"] != "open":
        return None
    overdue = None if invoice["_overdue"] else invoice["due_date"]
    return min((at for at in (invoice["next_payment_attempt"], overdue) if at is not None), default=None)


def advance(call: Call, row: Row) -> None:
    """Do what an invoice does by itself at this time."""
    invoice = row.body
    if invoice["status"] == "draft":
        _advance_draft(call, row)
    elif invoice["next_payment_attempt"] is not None and invoice["next_payment_attempt"] <= call.now:
        collect(call, row, off_session=True, automatic=True)
    else:
        call.replace(call.families["invoice"], row, {**invoice, "_overdue": True})
        _tell(call, must(call, "invoice", invoice["id"]), "overdue")


def _advance_draft(call: Call, row: Row) -> None:
    """Finalize a draft, then charge or send it; one that cannot be finalized stays and says why."""
    try:
        with call.tx.attempt():
            invoice = finalize(call, row)
    except ApiError as error:
        problem = {"code": error.code, "message": error.message, "param": error.param, "type": error.error_type}
        shown = {name: value for name, value in problem.items() if value is not None}
        row = _store(call, row, automatically_finalizes_at=None, last_finalization_error=shown)
        _tell(call, row, "finalization_failed")
        return
    row = must(call, "invoice", invoice["id"])
    if row.body["collection_method"] == "send_invoice":
        send(call, row)
    elif row.body["status"] == "open":
        collect(call, row, off_session=True, automatic=True)
