"""Setup intents at work: a card checked with its bank and kept for later, without a payment.

Source: https://docs.stripe.com/payments/setupintents/lifecycle.
"""

from typing import Any

from reconciler.sandbox.billing import cards, methods
from reconciler.sandbox.billing.cards import Card, Decline
from reconciler.sandbox.billing.intents import unexpected, unexpected_state
from reconciler.sandbox.billing.payments import CONFIRMABLE, challenge, secret
from reconciler.sandbox.billing.stored import at_time_of, is_deleted, rewritten
from reconciler.sandbox.errors import ApiError, doc_url, no_such
from reconciler.sandbox.expand import show
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj


def blank(call: Call, **fields: Any) -> Obj:
    """Return a new setup intent, not stored, that waits for a card."""
    intent_id = call.new_id("seti_1", 23)
    return call.fill(call.families["setup_intent"], intent_id, client_secret=secret(call, intent_id), **fields)


def confirm(call: Call, intent_id: str, *, payment_method: str | None, return_url: str | None = None) -> Obj:
    """Check a card, the intent's own if none is named; raise the bank's refusal, its traces kept."""
    call, row = _at_work(call, intent_id)
    intent = row.body
    if intent["status"] not in CONFIRMABLE:
        raise unexpected(call, intent, "confirmed", CONFIRMABLE)
    if is_deleted(call, intent["customer"]):
        raise no_such("customer", intent["customer"], "customer")
    named = payment_method or intent["payment_method"]
    if named is None:
        raise unexpected_state(
            call, intent, "You cannot confirm this SetupIntent because it's missing a payment method."
        )
    method = methods.resolve(call, named, "payment_method")
    methods.usable(method, intent["customer"], "payment_method")
    row = _rewritten(call, row, payment_method=method.body["id"], next_action=None)
    card = methods.card_of(method.body)
    attempt = _attempted(call, row.body, card)
    row = _rewritten(call, row, latest_attempt=attempt["id"])
    if _challenges(card, intent):
        if card.lookup_fails:
            raise _declined(call, row, method.body, cards.GENERIC)
        fields = {"status": "requires_action", "next_action": challenge(call, intent["id"], return_url)}
        row = _rewritten(call, row, **fields)
        call.emit(call.families["setup_intent"], "requires_action", row.body)
        return row.body
    return _set_up(call, row, method)


def _challenges(card: Card, intent: Obj) -> bool:
    """Tell whether the bank wants its customer to authenticate; a card set up elsewhere needs it no more."""
    if card.authentication == "if_asked":
        options = (intent["payment_method_options"] or {}).get("card") or {}
        return options.get("request_three_d_secure", "automatic") not in {None, "automatic"}
    return card.authentication in {"always", "until_set_up"}


def _set_up(call: Call, row: Row, method: Row) -> Obj:
    """Keep the card with its customer, unless the bank refuses it."""
    if decline := methods.refusal_of(method.body):
        raise _declined(call, row, method.body, decline)
    methods.mark(call, method.body["id"], _set_up=True)
    kept = methods.resolve(call, method.body["id"], "payment_method")
    if row.body["customer"] and kept.body["customer"] is None:
        methods.set_customer(call, kept, row.body["customer"])
    _close(call, row.body, "succeeded")
    row = _rewritten(call, row, status="succeeded", next_action=None, last_setup_error=None)
    call.emit(call.families["setup_intent"], "succeeded", row.body)
    return row.body


def authenticate(call: Call, intent_id: str, *, success: bool) -> Obj:
    """End a customer's authentication; a failed one, as that of a deleted customer, leaves it waiting for another."""
    call, row = _at_work(call, intent_id)
    if row.body["status"] != "requires_action":
        raise unexpected(call, row.body, "authenticated", ("requires_action",))
    method = methods.resolve(call, row.body["payment_method"], "payment_method")
    if success and not is_deleted(call, row.body["customer"]):
        return _set_up(call, row, method)
    message = (
        "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    )
    problem: Obj = {"code": "setup_intent_authentication_failure", "message": message}
    return _failed(call, row, method.body, {**problem, "type": "invalid_request_error"}).body


def cancel(call: Call, intent_id: str, reason: str | None) -> Obj:
    """End an intent that has not succeeded."""
    call, row = _at_work(call, intent_id)
    if row.body["status"] not in CONFIRMABLE:
        raise unexpected(call, row.body, "canceled", CONFIRMABLE)
    _close(call, row.body, "abandoned")
    row = _rewritten(call, row, status="canceled", next_action=None, cancellation_reason=reason)
    call.emit(call.families["setup_intent"], "canceled", row.body)
    return row.body


def _declined(call: Call, row: Row, method: Obj, decline: Decline) -> ApiError:
    reason = {"decline_code": decline.reason} if decline.reason else {}
    problem: Obj = {"code": decline.code, **reason, "message": decline.message, "type": "card_error"}
    row = _failed(call, row, method, problem)
    shown = show(call.tx, call.families, call.families["setup_intent"], row.body)
    return methods.card_error(
        decline, kept=True, setup_intent=shown, payment_method=row.body["last_setup_error"]["payment_method"]
    )


def _failed(call: Call, row: Row, method: Obj, problem: Obj) -> Row:
    """Set an intent back, with the reason on it and on its attempt."""
    shown = show(call.tx, call.families, call.families["payment_method"], method)
    problem = {**problem, "doc_url": doc_url(problem["code"]), "payment_method": shown}
    _close(call, row.body, "failed", problem)
    back: Obj = {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    row = _rewritten(call, row, **back, last_setup_error=problem)
    call.emit(call.families["setup_intent"], "setup_failed", row.body)
    return row


def _attempted(call: Call, intent: Obj, card: Card) -> Obj:
    """Store the attempt a confirmation makes."""
    family = call.families["setup_attempt"]
    attempt = call.fill(
        family,
        call.new_id("setatt_1", 23),
        customer=intent["customer"],
        payment_method=intent["payment_method"],
        payment_method_details={"card": _details(card), "type": "card"},
        setup_intent=intent["id"],
        status="requires_action",
        usage=intent["usage"],
    )
    return call.insert(family, attempt).body


def _details(card: Card) -> Obj:
    given = {"brand": card.brand, "country": card.country, "funding": card.funding, "last4": card.last4}
    nothing = ("checks", "exp_month", "exp_year", "fingerprint", "network", "three_d_secure", "wallet")
    return {**dict.fromkeys(nothing), **given}


def _close(call: Call, intent: Obj, status: str, problem: Obj | None = None) -> None:
    """Write down how the latest attempt ended."""
    row = call.tx.find("setup_attempt", intent["latest_attempt"]) if intent["latest_attempt"] else None
    if row and row.body["status"] == "requires_action":
        ended = {**row.body, "status": status, "setup_error": problem}
        call.replace(call.families["setup_attempt"], row, ended)


def _at_work(call: Call, intent_id: str) -> tuple[Call, Row]:
    """Return an intent, and the call at the time of its customer."""
    row = call.tx.find("setup_intent", intent_id)
    if row is None:
        raise no_such("setupintent", intent_id, "intent", status=404)
    return at_time_of(call, row.body["customer"]), row


def _rewritten(call: Call, row: Row, **fields: Any) -> Row:
    """Store an intent's new state without an event of its own."""
    return rewritten(call, "setup_intent", row, **fields)
