"""Finding the customer of a tenant by the owner mark."""

import stripe

from reconciler.provider.customers import customers_by_mark
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.sandbox import Sandbox

KEY = "sk_test_sandbox"


def test_customers_are_found_by_their_mark() -> None:
    """The mark says which tenant a customer is; other namespaces, addresses, no mark, and e-mails say nothing."""
    with Sandbox() as sandbox:
        client = stripe.StripeClient(KEY, http_client=sandbox.http_client())

        def made(owner: str | None, address: str = "tenants.acme") -> str:
            mark = {"managed_by": owner, "address": address} if owner else {}
            return client.v1.customers.create({"email": "a@acme.example", "metadata": mark}).id

        made(None)
        made("reconciler/other")
        made("reconciler/ours", "plans.acme")
        acme = made("reconciler/ours")
        others = [made("reconciler/ours", f"tenants.t{number}") for number in range(120)]
        doubled = (made("reconciler/ours", "tenants.two.in one"), made("reconciler/ours", "tenants.two.in one"))
        gateway = Gateway(Connection(KEY, transport=sandbox.http_client(), rates=UNLIMITED), read_only=True)
        found = customers_by_mark(gateway, "ours")
        assert found.customers == {"acme": acme} | {f"t{number}": each for number, each in enumerate(others)}
        assert {tenant: set(ids) for tenant, ids in found.doubled.items()} == {"two.in one": set(doubled)}
