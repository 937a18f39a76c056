"""Which failed payments of invoices are tried again, and when.

Source: https://docs.stripe.com/billing/revenue-recovery/smart-retries.
"""

from reconciler.sandbox.billing.periods import DAY_SECONDS
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.wire import Obj

#: Days from one automatic attempt to the next; after the last there is none.
RETRY_DAYS = (3, 5, 7)
#: Refusals after which a card is not charged again by itself.
HARD_DECLINES = frozenset(
    {
        "authentication_required",
        "highest_risk_level",
        "incorrect_number",
        "lost_card",
        "pickup_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "stolen_card",
        "transaction_not_allowed",
    }
)


def refusal(call: Call, intent_id: str, method_id: str) -> str | None:
    """Return why a method that has failed before need not be tried again by itself, ``None`` if it may succeed.

    Source: https://docs.stripe.com/billing/revenue-recovery/smart-retries (hard decline codes: retries go on being
    counted, "but no new Charge is created until a new payment method" is there).
    """
    last = must(call, "payment_intent", intent_id).body["last_payment_error"] or {}
    code: str | None = last.get("decline_code") or last.get("code")
    same = (last.get("payment_method") or {}).get("id") == method_id
    return code if same and code in HARD_DECLINES else None


def next_at(call: Call, invoice: Obj, attempts: int) -> int | None:
    """Return when to try again if this attempt fails; what does not advance by itself is never tried again.

    A subscription's first invoice is among that, unless a schedule has started it: such a one "behaves like a recurring
    invoice" (https://docs.stripe.com/billing/subscriptions/subscription-schedules).
    """
    automatic = invoice["auto_advance"] and invoice["collection_method"] == "charge_automatically"
    if not (automatic and call.settings.failed_payments_are_retried and attempts <= len(RETRY_DAYS)):
        return None
    return call.now + RETRY_DAYS[attempts - 1] * DAY_SECONDS
