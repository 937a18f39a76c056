"""Marking the customer a tenant bought with, so that its next purchase and the portal find it.

It is the owner mark of an apply, without a digest. A plan leaves customers that are in no file alone, and takes
one that the files come to name for theirs.
"""

from reconciler.provider.customers import TENANTS
from reconciler.provider.gateway import Gateway
from reconciler.provider.webhooks.fetch import CUSTOMERS
from reconciler.provider.webhooks.owner import Object
from reconciler.resources.mark import read_mark
from reconciler.resources.model import ADDRESS, MANAGED_BY, PREFIX, digest


def mark_customer(gateway: Gateway, namespace: str, tenant: str, customer: Object) -> str:
    """Mark a customer as a tenant; return what to note where it is marked as something else, which stays."""
    mark = read_mark(customer.get("metadata") or {})
    if mark is not None:
        ours = (mark.namespace, mark.address) == (namespace, TENANTS + tenant)
        return "" if ours else f"customer {customer['id']} is marked as {mark.address} of {mark.namespace} already"
    metadata = {MANAGED_BY: PREFIX + namespace, ADDRESS: TENANTS + tenant}
    key = f"reconciler-{digest(['mark', namespace, tenant, customer['id']])}"
    gateway.post(f"{CUSTOMERS}/{customer['id']}", {"metadata": metadata}, key)
    return ""
