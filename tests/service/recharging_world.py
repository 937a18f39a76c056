"""A shop whose tenants' credits are bought by themselves: an account, a ledger on its clock, any number of workers."""

import json
from collections.abc import Callable
from typing import Any

from reconciler.entitlements import Entitlements, Policy
from reconciler.entitlements.compile import compile_catalog
from reconciler.service.work.caps import Caps
from reconciler.service.work.charging import Till
from reconciler.service.work.consent import Consents
from reconciler.service.work.outbox import Outbox
from reconciler.service.work.purchases import Purchase, Purchases
from reconciler.service.work.recharging import Recharged, Recharger
from tests.loop.world import World, catalog_of

FILES: dict[str, Any] = {
    "meters": {"calls": {"name": "Calls"}},
    "tools": {"call": {}},
    "plans": {
        "paid": {
            "name": "Paid",
            "credits": {"default": 1, "included": 0, "auto_recharge": {"below": 10, "pack": "small"}},
        },
        "plain": {"name": "Plain", "credits": {"default": 1, "included": 0}},
    },
    "credit_packs": {
        "small": {"name": "Small", "credits": 100, "bonus": 5, "price": 9.99, "currency_options": {"eur": 9}},
        "old": {"name": "Old", "credits": 1, "price": 5, "status": "legacy"},
    },
    "tenants": {
        name: {"name": name, "email": f"{name}@example.com", "plan": plan, **more}
        for name, plan, more in (
            ("acme", "paid", {}),
            ("beta", "paid", {}),
            ("paris", "paid", {"currency": "eur"}),
            ("plain", "plain", {}),
        )
    },
}
GOOD, DECLINED, SECURE = "pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired"
MARKS = "metadata['address']:'tenants.{}'"
_APPLIED: list[bytes] = []
_CATALOG = catalog_of({"settings": {"namespace": "acme", "currency": "usd", "default_meter": "calls"}, **FILES})
POLICY: Policy = compile_catalog(_CATALOG)


MANY = Caps(monthly=100)


class Killed(BaseException):
    """The process is gone at this point."""


class Shop(World):
    """The account with the files applied, and a runtime over a ledger."""

    def __init__(self, url: str = "sqlite://", caps: Caps = MANY, **options: Any) -> None:
        super().__init__(**options)
        if _APPLIED:
            self.sandbox.state.load(_APPLIED[0])
        else:
            self.apply({"settings": {"namespace": "acme", "currency": "usd", "default_meter": "calls"}, **FILES})
            _APPLIED.append(self.sandbox.state.save())
        self.caps = caps
        self.runtime = self.opened(url)
        store = self.runtime.ledger.store
        self.consents, self.outbox, self.purchases = Consents(store), Outbox(store), Purchases(store)

    def opened(self, url: str) -> Entitlements:
        """Open a runtime of a process of its own."""
        return Entitlements.open(POLICY, url, mode="direct", clock=lambda: self.clock.now * 10**6)

    def recharger(self, runtime: Entitlements | None = None, transport: Any = None, **options: Any) -> Recharger:
        """Return a worker of its own."""
        till = Till(self.gateway(transport=transport, tries=1), _CATALOG)
        return Recharger(runtime or self.runtime, till, self.caps, **options)

    def round(self) -> Recharged:
        """Let a new worker do a round."""
        return self.recharger().round()

    def customer(self, tenant: str) -> str:
        """Return the customer of a tenant."""
        return str(self.dashboard.v1.customers.search({"query": MARKS.format(tenant)}).data[0].id)

    def card(self, tenant: str, card: str | None) -> None:
        """Give a tenant's customer another default card, or none."""
        customer = self.customer(tenant)
        chosen = "" if card is None else self.dashboard.v1.payment_methods.attach(card, {"customer": customer}).id
        self.dashboard.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": chosen}})

    def agreed(self, tenant: str = "acme", cap: int = 100, card: str | None = GOOD, credits_: int = 5) -> None:
        """Let a tenant agree, with a card and few credits."""
        self.consents.give(tenant, enabled=True, monthly_cap=cap, principal="key_1")
        if card is not None:
            self.card(tenant, card)
        if credits_:
            self.runtime.grant(tenant, credits_, key="begin")

    def spend(self, tenant: str = "acme", leave: int = 5) -> None:
        """Spend a tenant's credits, down to so many."""
        while (left := self.runtime.balance(tenant).credits // 10**6) > leave:
            assert self.runtime.consume(tenant, "call", quantity=left - leave)

    def credits(self, tenant: str = "acme") -> int:
        """Return a tenant's credits."""
        return self.runtime.balance(tenant).credits // 10**6

    def intents(self, tenant: str = "acme", status: str | None = "succeeded") -> list[Any]:
        """Return the payments of a tenant's customer as Stripe has them, the oldest first."""
        found = self.dashboard.v1.payment_intents.list({"customer": self.customer(tenant), "limit": 100})
        listed = [each for each in found.auto_paging_iter() if status in (None, each.status)]
        return listed[::-1]

    def listed(self, tenant: str = "acme") -> list[Purchase]:
        """Return a tenant's purchases, the oldest first."""
        return self.purchases.listed(tenant, 1000)[::-1]

    def told(self) -> list[tuple[str, Any]]:
        """Return type and data of every notice."""
        return [(notice.type, json.loads(notice.body)["data"]) for notice in self.outbox.listed(limit=1000)]

    def proved(self, tenant: str = "acme") -> None:
        """Check that every payment is one purchase and one grant, and the other way round."""
        paid = [intent.id for intent in self.intents(tenant)]
        assert [each.payment for each in self.listed(tenant) if each.state == "paid"] == paid
        entries = self.runtime.ledger.store.entries(tenant, 0, 10_000)
        granted = [entry.key for entry in entries if entry.kind == "grant" and str(entry.key).startswith("pi_")]
        assert granted == paid
        assert sum(kind == "credits_recharged" for kind, _ in self.told()) >= len(paid)


class Interrupted:
    """Lets something happen at one step of a worker: before or after a transaction, or a request."""

    def __init__(self, worker: Recharger, step: int, happens: Callable[[], None], *, after: bool) -> None:
        self.left = step
        self.happens = happens
        self.after = after
        self.store = worker._store
        self.till = worker._till
        worker._store = worker._purchases._store = _Steps(self, self.store)  # type: ignore[assignment]
        worker._till = _Steps(self, self.till)  # type: ignore[assignment]
        worker._runtime = _Runtime(self, worker._runtime)  # type: ignore[assignment]

    def step(self, work: Callable[..., Any], *given: Any) -> Any:
        """Do a step, and let happen what happens at it."""
        now, self.left = self.left == 0, self.left - 1
        if now and not self.after:
            self.happens()
        done = work(*given)
        if now and self.after:
            self.happens()
        return done


class _Steps:
    def __init__(self, interrupted: Interrupted, whole: Any) -> None:
        self._interrupted = interrupted
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whole, name)
        if name not in {"alongside", "prepare", "charge"}:
            return found
        return lambda *given: self._interrupted.step(found, *given)


class _Runtime(_Steps):
    @property
    def ledger(self) -> Any:
        """Return the ledger, whose transactions are steps."""
        return _Steps(self._interrupted, self._whole.ledger)
