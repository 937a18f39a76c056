"""Which Stripe customer a tenant is, by the owner mark in the customer's metadata."""

from collections.abc import Mapping
from typing import NamedTuple

from reconciler.provider.gateway import Gateway
from reconciler.provider.reads import Reader
from reconciler.resources.mark import read_mark

TENANTS = "tenants."


class Marked(NamedTuple):
    """Customers by tenant; ``doubled`` are tenants marked on several customers, who are none of them."""

    customers: Mapping[str, str]
    doubled: Mapping[str, tuple[str, ...]]


def customers_by_mark(gateway: Gateway, namespace: str) -> Marked:
    """Read every customer of the account and return those marked as tenants of a namespace."""
    found: dict[str, tuple[str, ...]] = {}
    for customer in Reader(gateway).pages("/v1/customers", {}):
        mark = read_mark(customer.get("metadata") or {})
        if mark is not None and mark.namespace == namespace and mark.address.startswith(TENANTS):
            tenant = mark.address.removeprefix(TENANTS)
            found[tenant] = (*found.get(tenant, ()), customer["id"])
    return Marked(
        {tenant: ids[0] for tenant, ids in found.items() if len(ids) == 1},
        {tenant: ids for tenant, ids in found.items() if len(ids) > 1},
    )
