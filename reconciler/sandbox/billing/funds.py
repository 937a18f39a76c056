"""What payments, refunds and disputes do to the account's own balance, one balance transaction each.

Fees are Stripe's for cards in the United States (https://stripe.com/pricing): 2.9 %, 1.5 % more for a card from
abroad, and 30 cents in usd. Every currency settles in itself.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

Kind = Literal["charge", "refund", "refund_failure", "adjustment"]

DOMESTIC, ABROAD, FIXED_CENTS = Decimal("0.029"), Decimal("0.015"), 30
#: A dispute costs this much in usd (https://docs.stripe.com/disputes/how-disputes-work#dispute-fees).
DISPUTE_FEE_CENTS = 1500
#: Funds are available after two days.
PENDING_SECONDS = 2 * 86_400

_CATEGORIES = {"charge": "charge", "refund": "refund", "refund_failure": "refund_failure", "adjustment": "dispute"}


def card_fee(amount: int, currency: str, country: str) -> int:
    """Return Stripe's fee for a card payment in minor units, the amount itself at most."""
    share = DOMESTIC + (ABROAD if country != "US" else 0)
    fee = int((amount * share).quantize(Decimal(1), ROUND_HALF_UP)) + (FIXED_CENTS if currency == "usd" else 0)
    return min(fee, amount)


def dispute_fee(currency: str) -> int:
    """Return the fee for a dispute in minor units."""
    return DISPUTE_FEE_CENTS if currency == "usd" else 0


def move(
    call: Call, kind: Kind, amount: int, source: Obj, *, fee: int = 0, description: str | None, at_once: bool = False
) -> Obj:
    """Store what ``amount``, negative for money that leaves, does to the balance; return the balance transaction."""
    family = call.families["balance_transaction"]
    detail = {
        "amount": fee,
        "application": None,
        "currency": source["currency"],
        "description": "Stripe processing fees" if kind == "charge" else "Dispute fee",
        "type": "stripe_fee",
    }
    transaction = call.fill(
        family,
        call.new_id("txn_3" if kind == "charge" else "txn_1", 23),
        amount=amount,
        available_on=call.now + (0 if at_once else PENDING_SECONDS),
        currency=source["currency"],
        description=description,
        fee=fee,
        fee_details=[detail] if fee else [],
        net=amount - fee,
        reporting_category=_CATEGORIES[kind] + ("_reversal" if kind == "adjustment" and amount > 0 else ""),
        source=source["id"],
        status="available" if at_once else "pending",
        type=kind,
        _clock=source["_clock"],
    )
    return call.insert(family, transaction).body
