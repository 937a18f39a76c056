"""The runtime beside a service: ``Entitlements.open("billing.d", ledger="sqlite:///usage.db")`` and ask.

From a compiled policy file it needs the standard library alone; YAML is read by a part that is loaded only for it.
"""

from reconciler.entitlements.bookkeeping import KeyConflictError
from reconciler.entitlements.decision import Decision, Reason, Remedy
from reconciler.entitlements.grants import Refunded
from reconciler.entitlements.measure import MeasureError
from reconciler.entitlements.policy import Policy, PolicyError
from reconciler.entitlements.reservation import Reservation
from reconciler.entitlements.runtime import Entitlements
from reconciler.entitlements.standing import Subscription
from reconciler.entitlements.views import Balance
from reconciler.entitlements.why import Explanation

__all__ = [
    "Balance",
    "Decision",
    "Entitlements",
    "Explanation",
    "KeyConflictError",
    "MeasureError",
    "Policy",
    "PolicyError",
    "Reason",
    "Refunded",
    "Remedy",
    "Reservation",
    "Subscription",
]
