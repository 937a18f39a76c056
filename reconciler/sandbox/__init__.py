"""A Stripe-compatible server that keeps state and behaves like Stripe, for tests, trials and development.

It shares no belief with the rest of the product: what it knows of Stripe comes from the installed SDK's types, from
Stripe's documentation and from observed replies. ``Sandbox.client()`` is a Stripe client in process; ``server.serve``
puts the same core on a loopback port.
"""

from reconciler.sandbox.core import Sandbox
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.webhooks import Webhooks
from reconciler.sandbox.wire import ConnectionDroppedError, Request, Response

__all__ = ["ConnectionDroppedError", "Fault", "Request", "Response", "Sandbox", "Settings", "Webhooks"]
