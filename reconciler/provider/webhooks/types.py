"""Types of events that mean something here; all others are acknowledged and not worked on."""

from reconciler.provider.webhooks.signature import Notice

#: https://docs.stripe.com/api/events/types. What begins with one of these, behind the ``v1.`` of thin events.
_BEGINNINGS = (
    "checkout.session.completed",
    "checkout.session.async_payment_",
    "charge.refunded",
    "charge.refund.",
    "charge.dispute.",
    "refund.",
    "customer.subscription.",
    "customer.deleted",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.voided",
    "invoice.marked_uncollectible",
)
#: What a look at the account asks for by itself.
SYNC = "sync."
_THIN = "v1."


def matters(notice: Notice) -> bool:
    """Tell whether an event is one to work on: of a type that means something, and of this very account."""
    if notice.account is not None:
        return False
    return notice.type.startswith(SYNC) or notice.type.removeprefix(_THIN).startswith(_BEGINNINGS)
