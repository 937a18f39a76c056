"""The door to invoices for the other rooms: drafts, their finalization, the attempts to collect them, previews."""

from reconciler.sandbox.billing.collecting import collect, finalize, mark_uncollectible, stop, void
from reconciler.sandbox.billing.drafts import draft, preview, recompute, subscription_of
from reconciler.sandbox.billing.lines import add_item

__all__ = [
    "add_item",
    "collect",
    "draft",
    "finalize",
    "mark_uncollectible",
    "preview",
    "recompute",
    "stop",
    "subscription_of",
    "void",
]
