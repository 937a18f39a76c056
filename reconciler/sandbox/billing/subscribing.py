"""The door to subscriptions for the other rooms: how they start, and what their next invoice will be."""

from reconciler.sandbox.billing.starting import customer_of, start
from reconciler.sandbox.billing.upcoming import Upcoming, upcoming_charges

__all__ = ["Upcoming", "customer_of", "start", "upcoming_charges"]
