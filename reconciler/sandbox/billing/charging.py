"""Charges: every attempt to take money from a card leaves one (https://docs.stripe.com/api/charges/object)."""

from typing import Any

from reconciler.sandbox.billing import cards, funds, refunds
from reconciler.sandbox.billing.cards import Card, Decline
from reconciler.sandbox.billing.methods import card_of, checked
from reconciler.sandbox.billing.stored import rewritten
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: How long a bank holds what was authorised (https://docs.stripe.com/payments/place-a-hold-on-a-payment-method).
HOLD_SECONDS = 7 * 86_400
#: What a customer reads on the statement where no suffix was chosen.
DESCRIPTOR = "SANDBOX"

#: The advice and the network's code that Stripe sends with a decline, as observed where the bank gives no reason.
_ADVICE = {"generic_decline": ("try_again_later", "01"), "insufficient_funds": ("try_again_later", "51")}
_SHARED = ("amount", "currency", "customer", "description", "metadata", "receipt_email", "shipping", "transfer_group")


def charge_fields(intent: Obj) -> Obj:
    """Return what a charge takes over from its payment intent."""
    shared = {name: intent[name] for name in (*_SHARED, "statement_descriptor_suffix")}
    return {**shared, "payment_intent": intent["id"], "_invoice": intent["_invoice"]}


def succeed(call: Call, method: Obj, *, capture: bool, authenticated: bool = False, **fields: Any) -> Obj:
    """Store a charge the bank approved, captured or held, and say so; ``charge_fields`` or the like are its content."""
    family, card = call.families["charge"], card_of(method)
    charge = {
        **_describe(call, method, fields, authenticated=authenticated),
        "captured": capture,
        "outcome": _outcome(card, None),
        "paid": True,
        "status": "succeeded",
        "_expires": None if capture else call.now + HOLD_SECONDS,
    }
    if not capture:
        charge["payment_method_details"]["card"]["capture_before"] = charge["_expires"]
    charge = _collected(call, charge, charge["amount"]) if capture else charge
    call.insert(family, charge)
    call.emit(family, "succeeded", charge)
    return charge


def fail(call: Call, method: Obj, decline: Decline, **fields: Any) -> Obj:
    """Store a charge the bank or fraud prevention refused, and say so."""
    family = call.families["charge"]
    charge = {
        **_describe(call, method, fields, authenticated=False),
        "failure_code": decline.code,
        "failure_message": decline.message,
        "outcome": _outcome(card_of(method), decline),
        "status": "failed",
    }
    call.insert(family, charge)
    call.emit(family, "failed", charge)
    return charge


def _describe(call: Call, method: Obj, fields: Obj, *, authenticated: bool) -> Obj:
    suffix = fields.get("statement_descriptor_suffix")
    charge = call.fill(call.families["charge"], call.new_id("ch_3", 23), **fields)
    customer = call.tx.find("customer", charge["customer"]) if charge["customer"] else None
    return {
        **charge,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": f"{DESCRIPTOR}* {suffix}"[:22] if suffix else DESCRIPTOR,
        "_clock": customer.body["test_clock"] if customer else None,
        "payment_method": method["id"],
        "payment_method_details": {
            "card": _details(method, charge["amount"], authenticated=authenticated),
            "type": "card",
        },
        "_number": method["_number"],
    }


def _details(method: Obj, amount: int, *, authenticated: bool) -> Obj:
    """Return the card as it was at the time of the charge."""
    card = checked(method)
    taken = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    unavailable = {"status": "unavailable"}
    return {
        **{name: card[name] for name in taken},
        "amount_authorized": amount,
        "authorization_code": None,
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": unavailable,
        "installments": None,
        "mandate": None,
        "multicapture": unavailable,
        "network": card["brand"],
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {"maximum_amount_capturable": amount, **unavailable},
        "regulated_status": card["regulated_status"],
        "three_d_secure": _three_d_secure() if authenticated else None,
        "wallet": None,
    }


def _three_d_secure() -> Obj:
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": None,
        "version": "2.2.0",
    }


def _outcome(card: Card, decline: Decline | None) -> Obj:
    """Return what bank and fraud prevention said, as observed."""
    nothing = {"advice_code": None, "network_advice_code": None, "network_decline_code": None, "reason": None}
    risk = {"risk_level": card.risk}
    if decline is None:
        approved = {"network_status": "approved_by_network", "seller_message": "Payment complete."}
        return {**nothing, **risk, **approved, "type": "authorized"}
    if card.blocked:
        blocked = {"reason": "highest_risk_level", "seller_message": "Stripe blocked this payment as too risky."}
        return {**nothing, **risk, **blocked, "network_status": "not_sent_to_network", "type": "blocked"}
    reason = decline.reason or decline.code
    message = f"The bank returned the decline code `{reason}`."
    if decline == cards.GENERIC:
        message = "The bank did not return any further details with this decline."
    advice, network = _ADVICE.get(reason, (None, None))
    refused = {"network_status": "declined_by_network", "reason": reason, "seller_message": message}
    return {
        **nothing,
        **risk,
        **refused,
        "advice_code": advice,
        "network_decline_code": network,
        "type": "issuer_declined",
    }


def _collected(call: Call, charge: Obj, amount: int) -> Obj:
    """Return a charge whose money has been taken, with the balance transaction that says so."""
    card = cards.by_number(charge["_number"])
    country = card.country if card else "US"
    transaction = funds.move(
        call,
        "charge",
        amount,
        charge,
        fee=funds.card_fee(amount, charge["currency"], country),
        description=charge["description"],
        at_once=bool(card and card.bypasses_pending),
    )
    return {
        **charge,
        "amount_captured": amount,
        "balance_transaction": transaction["id"],
        "captured": True,
        "_expires": None,
    }


def capture(call: Call, row: Row, amount: int) -> Obj:
    """Take held money; what is not taken goes back to the customer."""
    family = call.families["charge"]
    captured = _collected(call, row.body, amount)
    row = rewritten(call, family.kind, row, **captured)
    rest = captured["amount"] - amount
    if rest:
        captured = refunds.release(call, row, rest)
    call.emit(family, "captured", captured)
    return captured


def let_go(call: Call, row: Row, *, expired: bool = False) -> Obj:
    """Give all of a held charge back; ``expired`` if the bank did so by itself."""
    family = call.families["charge"]
    row = rewritten(call, family.kind, row, _expires=None)
    released = refunds.release(call, row, row.body["amount"])
    if expired:
        call.emit(family, "expired", released)
    return released
