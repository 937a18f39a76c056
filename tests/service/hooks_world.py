"""An account that sells, the runtime of its files, and the inbox between them, on one clock that only tests move."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from stripe import WebhookSignature

from reconciler.config.catalog import Catalog
from reconciler.entitlements import Entitlements, Policy
from reconciler.entitlements.compile import compile_catalog
from reconciler.provider.gateway import Gateway
from reconciler.provider.webhooks.fetch import Source
from reconciler.provider.webhooks.owner import Owner
from reconciler.provider.webhooks.signature import Verifier
from reconciler.sandbox import Sandbox
from reconciler.service.hooks.inbox import Inbox, Receipt
from reconciler.service.hooks.processor import Done, Processor
from tests.entitlements.audit import audit
from tests.loop.world import catalog_of
from tests.provider.payments_world import FILES, Market
from tests.sandbox.person import Person

SECRET = "whsec_" + "t" * 32
MICRO = 1_000_000
SHOP: dict[str, Any] = {
    **FILES,
    "settings": {
        "namespace": "acme",
        "currency": "usd",
        "default_meter": "calls",
        "default_plan": "free",
        "past_due_grace_days": 3,
    },
    "plans": {
        **FILES["plans"],
        "pay": {"name": "Pay", "credits": {"default": 1}, "prices": {"monthly": {"amount": 5, "interval": "month"}}},
    },
    "credit_packs": {
        "starter": {"name": "Starter", "credits": 100, "bonus": 10, "price": 9.99, "expires_after": "30 days"},
        "gone": {"name": "Gone", "credits": 1, "price": 5, "status": "legacy"},
    },
}


@cache
def shop() -> Catalog:
    """Load the files, once."""
    return catalog_of(SHOP)


@cache
def rules() -> Policy:
    """Compile the files, once."""
    return compile_catalog(shop())


#: The account as it is once the files were applied, so that one apply is enough for all tests.
_APPLIED: list[bytes] = []


class Hooked:
    """One account with everything a webhook passes through; ``url`` is the ledger's."""

    def __init__(
        self, url: str = "sqlite://", *, step: Callable[[str], None] = lambda _name: None, ticking: bool = False
    ) -> None:
        #: Whether the ledger goes by the machine's clock.
        self.ticking = ticking
        self.market = _market()
        self.sandbox: Sandbox = self.market.sandbox
        self.stripe = self.market.dashboard
        self.catalog = shop()
        self.policy = rules()
        self.person: Any = Person(self.sandbox)
        self.url = url
        self.seen = {event["id"] for event in self.events()}
        self.wakes = 0
        self.start(step)

    def start(self, step: Callable[[str], None] = lambda _name: None) -> None:
        """Open the runtime, the inbox and a processor, as a process that starts does."""
        clock = None if self.ticking else lambda: self.market.clock.now * MICRO
        self.ent = Entitlements.open(self.policy, self.url, mode="direct", clock=clock)
        self.inbox = Inbox(
            self.ent.ledger.store, Verifier([SECRET], "test", lambda: self.market.clock.now), self._woken
        )
        self.processor = self.another(step)

    def another(self, step: Callable[[str], None] = lambda _name: None) -> Processor:
        """Return one more processor on the same account and ledger."""
        return Processor(self.ent, self.source(), self.inbox, step)

    def compiled(self, sections: Mapping[str, Any]) -> Policy:
        """Compile other files."""
        return compile_catalog(catalog_of(sections))

    def source(self) -> Source:
        """Read the account for the files."""
        return Source(self.gateway(), Owner("acme", self.catalog.moved))

    def gateway(self) -> Gateway:
        """Connect to the account without waiting between tries."""
        return self.market.gateway(tries=2)

    def _woken(self) -> None:
        self.wakes += 1

    def close(self) -> None:
        """Close ledger and sandbox."""
        self.ent.close()
        self.sandbox.close()

    def events(self) -> list[dict[str, Any]]:
        """Return every event of the account, oldest first."""
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            page = self.market.gateway().get("/v1/events", {"limit": 100, **after})
            found += page["data"]
            if not page["has_more"]:
                return found[::-1]
            after = {"starting_after": page["data"][-1]["id"]}

    def fresh(self, *types: str) -> list[dict[str, Any]]:
        """Return events that were not asked for yet, oldest first, of some types or all."""
        found = [event for event in self.events() if event["id"] not in self.seen]
        self.seen |= {event["id"] for event in found}
        return [event for event in found if not types or event["type"] in types]

    def receive(self, event: Mapping[str, Any]) -> Receipt:
        """Let an event come in as Stripe sends it."""
        raw = json.dumps(event)
        signature = WebhookSignature.generate_signature_header(raw, SECRET, self.market.clock.now)
        return self.inbox.receive(raw.encode(), signature)

    def deliver(self) -> list[Receipt]:
        """Let everything new come in, in its order."""
        return [self.receive(event) for event in self.fresh()]

    def settle(self) -> Done:
        """Let everything new come in and work it off."""
        self.deliver()
        return self.processor.round()

    def buy(self, tenant: str = "self", **choice: Any) -> Any:
        """Buy on a page and return the session as it is then."""
        page = self.market.buy(tenant, **choice)
        self.person.visit(page.url)
        self.person.pay()
        return self.market.session(page.id)

    def pass_days(self, days: float) -> None:
        """Let time pass for the account and everything else."""
        self.market.clock.now += int(days * 86_400)

    def credits(self, tenant: str = "self") -> int:
        """Return a tenant's credits, in whole ones, its books proven."""
        audit(self.ent, tenant)
        return self.ent.balance(tenant).credits // MICRO

    def state(self, tenant: str = "self") -> Any:
        """Return what counts of a tenant: subscription, lots, what is still claimed."""
        book = audit(self.ent, tenant)
        lots = {lot.id: (lot.granted, lot.remaining, lot.expires, lot.created) for lot in book.order if lot.remaining}
        return self.ent.subscription(tenant), lots, dict(book.claims), book.facts.get("reversed") or {}


def _market() -> Market:
    market = Market()
    market.catalog = shop()
    if not _APPLIED:
        market.run(market.plan(SHOP))
        _APPLIED.append(market.sandbox.state.save())
    market.sandbox.state.load(_APPLIED[0])
    market.desk = market.open()
    return market
