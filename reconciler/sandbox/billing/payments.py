"""Payment intents at work: opened, confirmed, authenticated, captured, canceled.

Sources: https://docs.stripe.com/payments/paymentintents/lifecycle and https://docs.stripe.com/testing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from reconciler.sandbox.billing import cards, charging, methods
from reconciler.sandbox.billing.cards import Card, Decline
from reconciler.sandbox.billing.intents import unexpected, unexpected_state
from reconciler.sandbox.billing.limits import check_amount, check_digits
from reconciler.sandbox.billing.stored import at_time_of, is_deleted, must, rewritten, rows
from reconciler.sandbox.errors import ApiError, doc_url, invalid, no_such, out_of_range
from reconciler.sandbox.expand import show
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

Status = Literal[
    "succeeded", "requires_capture", "requires_payment_method", "requires_action", "requires_confirmation", "canceled"
]

#: Published below this path is the page on which a customer authenticates.
CHALLENGE = "/sandbox/authenticate/"
#: The statuses of intents, also of setup intents, whose customer has still to do something.
CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action", "processing")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: the intent's status, the intent, and for a refusal the error, ready to raise."""

    status: Status
    intent: Obj
    error: ApiError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a payment is attempted.

    ``off_session`` says that the customer is not there to authenticate, ``insist`` that they are asked to, ``one_go``
    that a payment which needs them fails instead; ``authenticated`` that they have done so.
    """

    off_session: bool = False
    insist: bool = False
    one_go: bool = False
    authenticated: bool = False
    return_url: str | None = None


def default_method(
    call: Call, customer: Obj, subscription: Obj | None = None, invoice: Obj | None = None
) -> str | None:
    """Return what pays by default: the invoice's method, the subscription's, the customer's, the customer's source.

    Source: https://docs.stripe.com/api/subscriptions/create#create_subscription-default_payment_method.
    """
    chosen = [holder.get(name) for holder in (invoice, subscription) if holder for name in _DEFAULTS]
    chosen += [customer["invoice_settings"]["default_payment_method"], customer["default_source"]]
    return next((name for name in chosen if name and call.tx.find("payment_method", name)), None)


_DEFAULTS = ("default_payment_method", "default_source")


def open_intent(
    call: Call,
    *,
    customer: Obj | None,
    amount: int,
    currency: str,
    description: str | None,
    metadata: Mapping[str, str],
    off_session_ok: bool = True,
    invoice: str | None = None,
) -> Obj:
    """Store a payment intent that waits for a payment method.

    ``off_session_ok`` sets the method that pays up for later payments; ``invoice`` is kept as ``_invoice``.
    """
    check_amount(amount, currency)
    family = call.families["payment_intent"]
    intent_id = new_id(call)
    intent = call.fill(
        family,
        intent_id,
        amount=amount,
        client_secret=secret(call, intent_id),
        currency=currency,
        customer=customer["id"] if customer else None,
        description=description,
        metadata=dict(metadata),
        setup_future_usage="off_session" if customer and off_session_ok else None,
        _invoice=invoice,
    )
    return call.create(family, intent)


def new_id(call: Call) -> str:
    """Return a fresh id of a payment intent."""
    return call.new_id("pi_3", 23)


def secret(call: Call, intent_id: str) -> str:
    """Return a fresh client secret of an intent."""
    return call.new_id(f"{intent_id}_secret_", 25)


def confirm(
    call: Call, intent_id: str, *, payment_method: str | None, off_session: bool, terms: Terms | None = None
) -> Outcome:
    """Attempt the payment with a method, the intent's own if none is named; a decline is an outcome with an error.

    An intent in another state, and a method that is another customer's or spent, are refused as requests. ``terms``
    adds where the customer is sent back to and whether the payment must end in one go.
    """
    call, row = _at_work(call, intent_id)
    intent = row.body
    if intent["status"] not in CONFIRMABLE:
        raise unexpected(call, intent, "confirmed", CONFIRMABLE)
    if is_deleted(call, intent["customer"]):
        raise no_such("customer", intent["customer"], "customer")
    named = payment_method or intent["payment_method"]
    if named is None:
        return Outcome("requires_payment_method", intent, _without_method(call, intent))
    method = methods.resolve(call, named, "payment_method")
    methods.usable(method, intent["customer"], "payment_method")
    authenticated = intent["_authenticated"] and intent["payment_method"] == method.body["id"]
    row = _rewritten(call, row, payment_method=method.body["id"], next_action=None, _authenticated=False)
    terms = replace(terms or Terms(), off_session=off_session, insist=_insists(intent), authenticated=authenticated)
    return _attempt(call, row, method.body, terms)


def _insists(intent: Obj) -> bool:
    asked: str = _card_options(intent).get("request_three_d_secure", "automatic")
    return asked != "automatic"


def _card_options(intent: Obj) -> Obj:
    return (intent["payment_method_options"] or {}).get("card") or {}


def _without_method(call: Call, intent: Obj) -> ApiError:
    message = (
        "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
        "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment "
        "method or ConfirmationToken."
    )
    return unexpected_state(call, intent, message)


def refuse_descriptor(params: Mapping[str, Any]) -> None:
    """Refuse a statement descriptor for a card, as the parameter's description does."""
    if "statement_descriptor" in params:
        message = "`statement_descriptor` cannot be used for cards; set `statement_descriptor_suffix` instead."
        raise invalid(message, "statement_descriptor")


def needs_customer(card: Card, method: Obj, terms: Terms) -> bool:
    """Tell whether the bank wants its customer to authenticate before this payment."""
    if terms.authenticated:
        return False
    match card.authentication:
        case "always":
            return True
        case "until_set_up":
            return not (terms.off_session and method["_set_up"])
        case "on_session":
            return not terms.off_session
        case "if_asked":
            return terms.insist
    return False


def _attempt(call: Call, row: Row, method: Obj, terms: Terms) -> Outcome:
    card = methods.card_of(method)
    if needs_customer(card, method, terms):
        if terms.off_session or terms.one_go:
            return _declined(call, row, method, cards.AUTHENTICATION)
        if card.lookup_fails:
            return _declined(call, row, method, cards.GENERIC)
        return _challenge(call, row, terms)
    if decline := methods.decline_of(method):
        return _declined(call, row, method, decline)
    return _paid(call, row, method, terms)


def _challenge(call: Call, row: Row, terms: Terms) -> Outcome:
    """Let the customer authenticate: by redirection if they can be sent back, else through Stripe's own scripts."""
    action = challenge(call, row.body["id"], terms.return_url)
    fields = {"status": "requires_action", "next_action": action, "_return_url": terms.return_url}
    row = _rewritten(call, row, **fields)
    call.emit(call.families["payment_intent"], "requires_action", row.body)
    return Outcome("requires_action", row.body)


def challenge(call: Call, intent_id: str, return_url: str | None) -> Obj:
    """Return the ``next_action`` of an intent whose customer must authenticate."""
    url = CHALLENGE + intent_id
    call.tx.publish(url)
    if return_url is not None:
        return {"redirect_to_url": {"return_url": return_url, "url": url}, "type": "redirect_to_url"}
    return {"type": "use_stripe_sdk", "use_stripe_sdk": {"stripe_js": url, "type": "three_d_secure_redirect"}}


def addresses(intent: Obj, base_url: str) -> Obj:
    """Return an intent's ``next_action`` as its customer can reach it."""
    action = intent["next_action"]
    if action is None:
        return {}
    kind = action["type"]
    link = "url" if kind == "redirect_to_url" else "stripe_js"
    return {"next_action": {**action, kind: {**action[kind], link: base_url + action[kind][link]}}}


def _declined(call: Call, row: Row, method: Obj, decline: Decline) -> Outcome:
    """Record the failed charge, set the intent back, and say so."""
    charge = charging.fail(call, method, decline, **charging.charge_fields(row.body))
    shown = show(call.tx, call.families, call.families["payment_method"], method)
    problem = {
        "charge": charge["id"],
        "code": decline.code,
        **({"decline_code": decline.reason} if decline.reason else {}),
        "doc_url": doc_url(decline.code),
        "message": decline.message,
        "payment_method": shown,
        "type": "card_error",
    }
    row = _failed(call, row, problem, latest_charge=charge["id"])
    intent = show(call.tx, call.families, call.families["payment_intent"], row.body)
    error = methods.card_error(decline, kept=True, charge=charge["id"], payment_intent=intent, payment_method=shown)
    return Outcome("requires_payment_method", row.body, error)


def _failed(call: Call, row: Row, problem: Obj, **fields: Any) -> Row:
    back: Obj = {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    row = _rewritten(call, row, **back, last_payment_error=problem, **fields)
    call.emit(call.families["payment_intent"], "payment_failed", row.body)
    return row


def _paid(call: Call, row: Row, method: Obj, terms: Terms) -> Outcome:
    intent, family = row.body, call.families["payment_intent"]
    held = _holds(intent)
    _keep(call, intent, method, authenticated=terms.authenticated)
    fields = charging.charge_fields(intent)
    charge = charging.succeed(call, method, capture=not held, authenticated=terms.authenticated, **fields)
    amount = intent["amount"]
    done: Obj = {"latest_charge": charge["id"], "next_action": None, "last_payment_error": None}
    if held:
        row = _rewritten(call, row, **done, status="requires_capture", amount_capturable=amount)
        call.emit(family, "amount_capturable_updated", row.body)
        return Outcome("requires_capture", row.body)
    row = _rewritten(call, row, **done, status="succeeded", amount_received=amount)
    call.emit(family, "succeeded", row.body)
    return Outcome("succeeded", row.body)


def _holds(intent: Obj) -> bool:
    """Tell whether a payment is authorised now and captured later."""
    return "manual" in {intent["capture_method"], _card_options(intent).get("capture_method")}


def _keep(call: Call, intent: Obj, method: Obj, *, authenticated: bool) -> None:
    """Save a method that is to be used again with the customer; one that is nobody's cannot be used twice."""
    card = methods.checked(method)
    lasting = intent["setup_future_usage"] is not None
    methods.mark(call, method["id"], card=card, _set_up=method["_set_up"] or (lasting and authenticated))
    row = call.tx.find("payment_method", method["id"])
    if lasting and intent["customer"] and row and row.body["customer"] is None:
        methods.set_customer(call, row, intent["customer"])
    else:
        _spend(call, method)


def _spend(call: Call, method: Obj) -> None:
    if method["customer"] is None:
        methods.mark(call, method["id"], _spent=True)


def authenticate(call: Call, intent_id: str, success: bool) -> Outcome:  # noqa: FBT001  the agreed signature
    """End a customer's authentication; a failed one leaves the intent waiting for another method.

    That of a customer who has been deleted since always fails, so that they are not charged.
    """
    call, row = _at_work(call, intent_id)
    intent = row.body
    if intent["status"] != "requires_action":
        raise unexpected(call, intent, "authenticated", ("requires_action",))
    found = methods.resolve(call, intent["payment_method"], "payment_method")
    method = found.body
    if not success or is_deleted(call, intent["customer"]):
        return _unauthenticated(call, row, method)
    methods.usable(found, intent["customer"], "payment_method")
    if intent["confirmation_method"] == "manual":
        row = _rewritten(call, row, status="requires_confirmation", next_action=None, _authenticated=True)
        return Outcome("requires_confirmation", row.body)
    return _attempt(call, row, method, Terms(authenticated=True))


def _unauthenticated(call: Call, row: Row, method: Obj) -> Outcome:
    message = (
        "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    )
    code = "payment_intent_authentication_failure"
    shown = show(call.tx, call.families, call.families["payment_method"], method)
    problem: Obj = {"code": code, "doc_url": doc_url(code), "message": message, "payment_method": shown}
    row = _failed(call, row, {**problem, "type": "invalid_request_error"})
    return Outcome("requires_payment_method", row.body, ApiError(400, message, code=code, keeps_writes=True))


def capture(call: Call, intent_id: str, amount: int | None = None) -> Obj:
    """Take what a payment holds, all of it if no amount is given; the rest goes back."""
    call, row = _at_work(call, intent_id)
    intent = row.body
    if intent["status"] != "requires_capture":
        raise unexpected(call, intent, "captured", ("requires_capture",))
    wanted = intent["amount_capturable"] if amount is None else amount
    if wanted < 1:
        raise out_of_range("amount_to_capture", wanted, least=1)
    if wanted > intent["amount_capturable"]:
        message = "The amount to capture is greater than the amount that is held."
        raise invalid(message, "amount_to_capture", "amount_too_large")
    check_digits(wanted, intent["currency"], "amount_to_capture")
    charging.capture(call, _charge(call, intent), wanted)
    row = _rewritten(call, row, status="succeeded", amount_capturable=0, amount_received=wanted)
    call.emit(call.families["payment_intent"], "succeeded", row.body)
    return row.body


def cancel(call: Call, intent_id: str, reason: str | None, *, expired: bool = False) -> Obj:
    """End an intent that has not been paid; what it holds goes back (exercism/website#7062)."""
    call, row = _at_work(call, intent_id)
    intent, family = row.body, call.families["payment_intent"]
    if intent["status"] not in CANCELABLE:
        message = (
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a PaymentIntent "
            f"with one of the following statuses may be canceled: {', '.join(CANCELABLE)}."
        )
        raise unexpected_state(call, intent, message)
    if intent["status"] == "requires_capture":
        charging.let_go(call, _charge(call, intent), expired=expired)
    fields: Obj = {"status": "canceled", "amount_capturable": 0, "next_action": None}
    row = _rewritten(call, row, **fields, canceled_at=call.now, cancellation_reason=reason)
    call.emit(family, "canceled", row.body)
    return row.body


def abandon(call: Call, customer: Obj) -> None:
    """React to the deletion of a customer: by the setting, what they have not paid yet is canceled.

    The payments of invoices end with those.
    """
    if not call.settings.customer_deletion_cancels_payments:
        return
    for row in rows(call, "payment_intent", ("customer", customer["id"])):
        if row.body["status"] in CONFIRMABLE and row.body["_invoice"] is None:
            cancel(call, row.body["id"], "automatic")


def _at_work(call: Call, intent_id: str) -> tuple[Call, Row]:
    """Return an intent, and the call at the time of its customer."""
    row = call.tx.find("payment_intent", intent_id)
    if row is None:
        raise no_such("payment_intent", intent_id, "intent", status=404)
    return at_time_of(call, row.body["customer"]), row


def _charge(call: Call, intent: Obj) -> Row:
    return must(call, "charge", intent["latest_charge"])


def _rewritten(call: Call, row: Row, **fields: Any) -> Row:
    """Store an intent's new state without an event of its own."""
    return rewritten(call, "payment_intent", row, **fields)
