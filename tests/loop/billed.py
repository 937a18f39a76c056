"""Tenants from files to invoice: a catalogue applied, customers subscribed, a ledger that counts, one time for all."""

import itertools
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.ledger.ledger import open_ledger
from reconciler.pricing.subscription import Contract, contract_of
from reconciler.provider.customers import Marked
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.retry import Backoff
from reconciler.provider.usage_verify import UsageVerifier
from reconciler.provider.worker import UsageWorker
from tests.sandbox.conftest import Api

from .world import KEY, NOW, World, catalog_of

SECOND = 1_000_000
HOUR = 3600
#: Customers of one test clock at most (https://docs.stripe.com/billing/testing/test-clocks).
ON_A_CLOCK = 3
PAYING = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}


class Subscriber:
    """One tenant as its customer: what an invoice of it is compared by."""

    def __init__(self, world: "Billed", tenant: str, contract: Contract, clock: str | None) -> None:
        self.api, self.addresses, self.contract, self.tenant = world.api, world.addresses, contract, tenant
        mark = {"managed_by": "reconciler/acme", "address": f"tenants.{tenant}"}
        form = {"metadata": mark, **PAYING} | ({"test_clock": clock} if clock else {})
        self.customer = self.api.post("/v1/customers", form)["id"]
        tariff, ids = contract.tariff, {address: price for price, address in world.addresses.items()}
        items = [
            {"price": ids[address]} | ({"quantity": tariff.quantity} if address == tariff.chosen else {})
            for address in tariff.addresses()
        ]
        order = {"customer": self.customer, "currency": tariff.currency, "items": items}
        self.subscription = self.api.post("/v1/subscriptions", order)["id"] if items else None

    def invoices(self) -> list[Any]:
        """Return the subscription's invoices, oldest first."""
        return self.api.get("/v1/invoices", {"subscription": self.subscription, "limit": 100})["data"][::-1]


class Billed(World):
    """An account on one time with a ledger; ``skew`` is how many seconds the ledger's clock is ahead."""

    def __init__(
        self, sections: Mapping[str, Any], *, clocks: bool = False, ledger: str = "sqlite://", **options: Any
    ) -> None:
        super().__init__(**options)
        # Subscribed by hand below, so that customers can be on test clocks.
        self.apply({**sections, "tenants": {}})
        catalog = catalog_of(sections)
        self.file, self.policy, self.skew = catalog.file, compile_catalog(catalog), 0
        self.now = self.clock.now
        self.api = Api(self.sandbox)
        self.addresses = {price.id: price.metadata["address"] for price in self.prices()}
        self.runtime = Entitlements(self.policy, open_ledger(ledger, "direct", self.micros))
        tenants = list(self.file.tenants)
        self.clocks: list[str] = []
        self.subscribers: dict[str, Subscriber] = {}
        for group in itertools.count(0, ON_A_CLOCK):
            if group >= len(tenants):
                break
            clock = self._test_clock() if clocks else None
            for tenant in tenants[group : group + ON_A_CLOCK]:
                contract = contract_of(self.file, tenant, NOW)
                self.subscribers[tenant] = Subscriber(self, tenant, contract, clock)
                self.runtime.set_subscription(tenant, status="active", period=self.period(0), anchor=NOW)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.runtime.close()
        self.sandbox.close()

    def _test_clock(self) -> str:
        self.clocks.append(self.api.post("/v1/test_helpers/test_clocks", {"frozen_time": self.clock.now})["id"])
        return self.clocks[-1]

    def period(self, number: int) -> tuple[datetime, datetime]:
        """Return a month by its number from the first one on."""
        months = [NOW.replace(year=NOW.year + each // 12, month=each % 12 + 1) for each in (number, number + 1)]
        return months[0], months[1]

    def micros(self) -> int:
        """Return the ledger's time."""
        return (self.now + self.skew) * SECOND

    def go(self, to: datetime | int) -> None:
        """Let time pass, on the test clocks where there are some, for the account's own clock runs beside them."""
        self.now = to if isinstance(to, int) else int(to.timestamp())
        if not self.clocks:
            self.clock.now = self.now
        for clock in self.clocks:
            self.api.post(f"/v1/test_helpers/test_clocks/{clock}/advance", {"frozen_time": self.now})

    def sender_gateway(self, tries: int = 1) -> Gateway:
        """Connect to the account without waiting between tries."""
        connection = Connection(KEY, transport=self.sandbox.http_client(), rates=UNLIMITED)
        return Gateway(connection, backoff=Backoff(tries=tries, sleep=lambda _seconds: None))

    def customers(self) -> dict[str, str]:
        """Return the customers of tenants."""
        return {tenant: each.customer for tenant, each in self.subscribers.items()}

    def worker(self, **options: Any) -> UsageWorker:
        """Return a worker of its own, as after a restart."""
        return UsageWorker(self.runtime, self.sender_gateway(options.pop("tries", 1)), self.customers, **options)

    def verifier(self, marked: Marked | None = None) -> UsageVerifier:
        """Return what compares ledger, meters and invoices."""
        gateway = Gateway(Connection(KEY, transport=self.sandbox.http_client(), rates=UNLIMITED), read_only=True)
        return UsageVerifier(gateway, self.runtime.ledger.store, self.policy, marked or Marked(self.customers(), {}))
