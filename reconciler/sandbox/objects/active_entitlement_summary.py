"""What ``entitlements.active_entitlement_summary.updated`` tells: only ever seen inside its event.

Source: https://docs.stripe.com/billing/entitlements, with an example of the whole event.
"""

from collections.abc import Sequence

from reconciler.sandbox.expand import visible
from reconciler.sandbox.objects.base import Family
from reconciler.sandbox.wire import Obj

#: How many entitlements the summary holds ("Limited entitlements available in summary webhook").
SHOWN = 10


def summary(customer_id: str, entitlements: Sequence[Obj]) -> Obj:
    """Return the summary of what a customer is entitled to, newest first."""
    shown = [visible(each) for each in entitlements[:SHOWN]]
    return {
        **FAMILY.template,
        "customer": customer_id,
        "entitlements": {
            "object": "list",
            "data": shown,
            "has_more": len(entitlements) > SHOWN,
            "url": f"/v1/customer/{customer_id}/entitlements",
        },
    }


FAMILY = Family(
    kind="entitlements.active_entitlement_summary",
    noun="active entitlement summary",
    template={
        "object": "entitlements.active_entitlement_summary",
        "customer": "",
        "entitlements": {},
        "livemode": False,
    },
)
