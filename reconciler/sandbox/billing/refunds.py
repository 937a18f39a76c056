"""Refunds: money of a charge going back (https://docs.stripe.com/refunds)."""

from decimal import Decimal
from typing import Any

from reconciler.money import display
from reconciler.sandbox.billing import cards, funds
from reconciler.sandbox.billing.limits import check_digits
from reconciler.sandbox.errors import invalid, out_of_range
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: "Some time later" of the cards whose refunds take time (https://docs.stripe.com/testing#refunds).
SETTLING_SECONDS = 3600


def refundable(charge: Obj) -> int:
    """Return how much of a charge can still be refunded."""
    return int(charge["amount_captured"] - charge["_returned"])


def refund(call: Call, row: Row, amount: int | None = None, **fields: Any) -> Obj:
    """Refund a captured charge, all that is left if no amount is given; refuse more than that, and disputed charges."""
    charge = row.body
    left = refundable(charge)
    if charge["status"] != "succeeded" or not charge["captured"]:
        raise invalid(f"Charge {charge['id']} has not been captured; there is nothing to refund.", "charge")
    if charge["disputed"] and not charge["_refundable_while_disputed"]:
        raise invalid(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", "charge", "charge_disputed"
        )
    if left == 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", "charge", "charge_already_refunded")
    wanted = left if amount is None else amount
    if wanted < 1:
        raise out_of_range("amount", wanted, least=1)
    check_digits(wanted, charge["currency"])
    if wanted > left:
        asked, most = (display(Decimal(value), charge["currency"]) for value in (wanted, left))
        raise invalid(f"Refund amount ({asked}) is greater than unrefunded amount on charge ({most})", "amount")
    return _issue(call, row, wanted, fields)


def _issue(call: Call, row: Row, amount: int, fields: Obj) -> Obj:
    """Store the refund and its movement of money, note it on the charge, say both."""
    card = cards.by_number(row.body["_number"])
    slow = card.refund if card else ""
    made = describe(call, row.body, amount, status="pending" if slow == "pending" else "succeeded", **fields)
    moved = funds.move(
        call, "refund", -amount, made, description=f"REFUND FOR CHARGE ({row.body['description'] or ''})"
    )
    made |= {"balance_transaction": moved["id"], "_settles": call.now + SETTLING_SECONDS if slow else None}
    made |= {"_fails": slow == "failed"}
    family = call.families["refund"]
    call.insert(family, made)
    charge = given_back(row.body, amount)
    charge["_returned"] += amount
    call.replace(call.families["charge"], row, charge)
    call.emit(family, "created", made)
    call.emit(call.families["charge"], "refunded", charge, row.body)
    return made


def describe(call: Call, charge: Obj, amount: int, **fields: Any) -> Obj:
    """Return the complete refund of a charge, not stored."""
    shared = ("currency", "customer", "payment_intent", "payment_method", "_clock")
    destination = {
        "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
        "type": "card",
    }
    return call.fill(
        call.families["refund"],
        call.new_id("re_3", 23),
        **{name: charge[name] for name in shared},
        **{"amount": amount, "charge": charge["id"], "destination_details": destination, **fields},
    )


def given_back(charge: Obj, amount: int) -> Obj:
    """Return the charge with that much more, or for a negative amount less, of it refunded."""
    total = charge["amount_refunded"] + amount
    return {**charge, "amount_refunded": total, "refunded": total == charge["amount"]}


def release(call: Call, row: Row, amount: int) -> Obj:
    """Give held money back that was never taken, and return the charge; no money of the account moves.

    Stripe makes a refund of it (solidusio/solidus_stripe#268); by setting it leaves none.
    """
    if not call.settings.release_is_a_refund:
        return row.body
    refund_family, charge_family = call.families["refund"], call.families["charge"]
    destination = {"card": {"type": "reversal"}, "type": "card"}
    made = describe(call, row.body, amount, status="succeeded", destination_details=destination)
    call.insert(refund_family, made)
    charge = given_back(row.body, amount)
    call.replace(charge_family, row, charge)
    call.emit(refund_family, "created", made)
    call.emit(charge_family, "refunded", charge, row.body)
    return charge


def settle(call: Call, row: Row) -> Obj:
    """End the waiting of a refund: it succeeds, or fails and the money comes back to the account."""
    family, made = call.families["refund"], row.body
    if not made["_fails"]:
        done = {**made, "status": "succeeded", "_settles": None}
        call.save(family, row, done)
        return done
    moved = funds.move(call, "refund_failure", made["amount"], made, description="REFUND FAILURE")
    done = {
        **made,
        "failure_balance_transaction": moved["id"],
        "failure_reason": "expired_or_canceled_card",
        "status": "failed",
        "_settles": None,
    }
    call.save(family, row, done, "failed")
    if charge := call.tx.find("charge", made["charge"]):
        changed = given_back(charge.body, -made["amount"])
        changed["_returned"] -= made["amount"]
        call.save(call.families["charge"], charge, changed)
    return done
