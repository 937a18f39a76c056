"""Which Stripe customer a tenant is, by the owner mark in the customer's metadata."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from reconciler.provider.gateway import Gateway, RequestFailedError
from reconciler.provider.reads import PAGE, Reader
from reconciler.resources.mark import read_mark
from reconciler.resources.model import ADDRESS, MANAGED_BY, PREFIX

TENANTS = "tenants."
#: What can stand between the quotation marks of a search as it is.
_PLAIN = re.compile(r"[A-Za-z0-9._@:/ -]+")
#: How long search may lag behind what was written: https://docs.stripe.com/api/customers/search.
_LAG = 3600
#: How Stripe says that it does not search here.
_NO_SEARCH = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


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


def customers_of(gateway: Gateway, namespace: str, tenant: str) -> tuple[str, ...]:
    """Return the customers marked as one tenant, by id; more than one is a mistake somebody has to mend.

    Found by search, and, because search lags, among the customers of the last hour; the whole list is read where Stripe
    searches nothing, as in India, or for a name that no query can hold. The mark decides, never an e-mail address.
    """
    if not _PLAIN.fullmatch(tenant):
        found = Reader(gateway).pages("/v1/customers", {})
    else:
        clauses = {MANAGED_BY: PREFIX + namespace, ADDRESS: TENANTS + tenant}
        query = " AND ".join(f"metadata['{name}']:'{value}'" for name, value in clauses.items())
        try:
            answer = gateway.read("/v1/customers/search", {"query": query, "limit": PAGE})
        except RequestFailedError as error:
            if error.failure.ambiguous or error.failure.status not in _NO_SEARCH:
                raise
            found = Reader(gateway).pages("/v1/customers", {})
        else:
            recent = Reader(gateway).pages("/v1/customers", {"created": {"gte": int(answer.at) - _LAG}})
            found = iter([*answer.body["data"], *recent])
    return tuple(sorted(set(_marked_as(found, namespace, tenant))))


def _marked_as(customers: Iterable[Mapping[str, Any]], namespace: str, tenant: str) -> Iterable[str]:
    for customer in customers:
        mark = read_mark(customer.get("metadata") or {})
        if mark is not None and (mark.namespace, mark.address) == (namespace, TENANTS + tenant):
            yield customer["id"]
