"""An account that has sold something: tenants with subscriptions, packs and credit notes, made as a person would."""

import itertools
from typing import Any

from reconciler.entitlements.periods import SECOND
from reconciler.ledger.annex import AnnexStore
from reconciler.ledger.ledger import open_ledger
from reconciler.provider.earned import Earnings
from reconciler.service.figures.tables import prepared
from tests.loop.world import World

PLANS = {
    "pro": {
        "name": "Pro",
        "default_price": "monthly",
        "prices": {
            "monthly": {"amount": "49.99", "interval": "month"},
            "annual": {"amount": "499.90", "interval": "year"},
        },
    },
    "basic": {"name": "Basic", "prices": {"monthly": {"amount": "5.00", "interval": "month"}}},
}
SECTIONS = {
    "meters": {"calls": {"name": "Calls"}},
    "plans": PLANS,
    "credit_packs": {"starter": {"name": "Starter pack", "credits": 100, "price": "9.99"}},
}


class Shop:
    """An account with plans and a pack, its tenants, and a ledger beside it that keeps the same time."""

    def __init__(self, url: str = "sqlite://") -> None:
        self.world = World()
        self.world.locked(self.world.plan(SECTIONS))
        self.gateway = self.world.gateway()
        self._keys = (f"key-{number}" for number in itertools.count())
        store = open_ledger(url, "direct", lambda: self.world.clock() * SECOND).store
        assert isinstance(store, AnnexStore)
        self.store = prepared(store)
        self.requests = 0

    @property
    def earnings(self) -> Earnings:
        """Read the account anew."""
        return Earnings(self.world.gateway(read_only=True), "acme")

    def post(self, path: str, **params: Any) -> dict[str, Any]:
        """Write as a person does."""
        return self.gateway.post(path, params, next(self._keys)).body

    def customer(self, tenant: str, namespace: str = "acme") -> str:
        """Make a customer with a card, marked as a tenant of a namespace, or of nobody."""
        mark = {"managed_by": f"reconciler/{namespace}", "address": f"tenants.{tenant}", "config_digest": "x"}
        card = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
        return str(self.post("/v1/customers", metadata=mark if namespace else {}, **card)["id"])

    def price(self, address: str) -> str:
        """Return the price of an address."""
        (found,) = (each for each in self.world.prices() if each.metadata["address"] == address)
        return str(found.id)

    def subscribe(self, customer: str, price: str, **params: Any) -> dict[str, Any]:
        """Subscribe a customer to a price; its first invoice is paid at once unless it is on trial."""
        items = [{"price": self.price(price), "quantity": params.pop("quantity", 1)}]
        return self.post("/v1/subscriptions", customer=customer, items=items, **params)

    def bill(self, customer: str, *, paid: bool = True, price: str | None = None, **item: Any) -> dict[str, Any]:
        """Bill a customer for one thing."""
        what = {"pricing": {"price": self.price(price)}} if price else {"currency": "usd", **item}
        self.post("/v1/invoiceitems", customer=customer, **what)
        draft = self.post("/v1/invoices", customer=customer, pending_invoice_items_behavior="include")
        return self.post(f"/v1/invoices/{draft['id']}/{'pay' if paid else 'finalize'}")

    def revenue(self) -> dict[tuple[int, str, str], int]:
        """Return what stands as revenue by month, currency and part."""
        rows = self.store.ask("SELECT month, currency, part, amount FROM figure_revenue")
        return {(month, currency, part): amount for month, currency, part, amount in rows if amount}

    def income(self) -> dict[str, int]:
        """Return what stands as revenue by tenant."""
        rows = self.store.ask("SELECT tenant, SUM(amount) FROM figure_income GROUP BY tenant")
        return {tenant: int(amount) for tenant, amount in rows if amount}
