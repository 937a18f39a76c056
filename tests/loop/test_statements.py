"""Statements of drawn catalogues beside the preview of the sandbox: equal, whatever the terms, once all was sent."""

import random
from typing import Any

import pytest

from reconciler.cli.invoices import statement_in
from reconciler.config.catalog import Catalog
from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.periods import instant
from reconciler.ledger.ledger import open_ledger
from reconciler.provider.gateway import Connection
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.preview import Preview
from reconciler.provider.usage import UsageSender

from .test_invoices import draw
from .world import KEY, START, World, catalog_of

DAY = 86_400


class Paid(World):
    """An account in which an apply has made a subscription, and the runtime that was told of it."""

    def __init__(self, sections: dict[str, Any]) -> None:
        super().__init__()
        self.catalog: Catalog = catalog_of(sections)
        self.run(self.plan(sections))
        self.runtime = Entitlements(
            compile_catalog(self.catalog), open_ledger("sqlite://", "direct", lambda: self.clock.now * 10**6)
        )
        (made,) = self.dashboard.v1.subscriptions.list().data
        self.customer = str(made.customer)
        start, end, anchor = (
            instant(each * 10**6)
            for each in (made.start_date, made["items"].data[0].current_period_end, made.billing_cycle_anchor)
        )
        self.runtime.set_subscription("acme", plan="plan", status=made.status, period=(start, end), anchor=anchor)

    def use(self, chance: random.Random) -> None:
        """Use a little of everything, and send all of it."""
        for _ in range(chance.randint(0, 6)):
            if chance.random() < 0.5:
                self.runtime.consume("acme", f"tool-{chance.randint(0, 3)}", quantity=chance.randint(1, 5))
            else:
                self.runtime.consume("acme", meter=chance.choice(["vex", "calls"]), quantity=chance.randint(1, 200))
        self.clock.now += 1
        while self.runtime.seal(self.clock.now + 1):
            pass
        customers = {"acme": self.customer}
        policy, store = self.runtime.policy, self.runtime.ledger.store
        UsageSender(self.gateway(), store, policy, customers.get, patient=False).flush()


def compare(seed: int) -> None:
    """Live through parts of two months, and hold the statements against the previews."""
    chance = random.Random(seed)
    sections = draw(chance)
    tenant = sections["tenants"]["acme"]
    tenant.pop("money_credits", None)
    tenant["email"] = "a@acme.example"
    tenant["subscription"] |= {"collection": "send_invoice", "days_until_due": 30}
    world = Paid(sections)
    for month in range(2):
        world.clock.now += chance.randint(1, 9) * DAY
        world.use(chance)
        connection = Connection(KEY, transport=world.sandbox.http_client(), rates=UNLIMITED)
        found = statement_in(world.catalog, world.runtime.ledger.store, "acme", None, connection)
        assert isinstance(found.stripe, Preview), found.stripe
        yearly = "by the files not due with this period"
        assert {row.reason for row in found.rows} <= {"", yearly}, seed
        if all(row.reason != yearly for row in found.rows):
            assert (found.invoice.total, found.notes) == (found.stripe.total, ()), seed
        world.clock.now = START + (month + 1) * 32 * DAY


@pytest.mark.parametrize("seed", range(4))
def test_a_statement_is_what_stripe_previews(seed: int) -> None:
    """Prices, usage, reservations, calls, minimums, coupons, taxes and trials come to the same on both sides."""
    compare(seed)


@pytest.mark.soak
def test_many_statements_are_what_stripe_previews() -> None:
    """The same for fifty more catalogues."""
    for seed in range(4, 54):
        compare(seed)
