"""A catalogue, an account in the embedded sandbox, and everything between them, for tests of the loop."""

import itertools
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import stripe

from reconciler.config.catalog import Catalog, catalog_from_text
from reconciler.planning.lock import Holder
from reconciler.planning.plan import Plan, serialise
from reconciler.planning.planfile import parse_plan
from reconciler.provider.apply import Locked
from reconciler.provider.executor import Ending, Executor, Report
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.lock import Locks, Seen
from reconciler.provider.ports import Ports
from reconciler.provider.propose import Proposal, propose
from reconciler.provider.retry import Backoff
from reconciler.sandbox import Sandbox, Settings

KEY = "sk_test_sandbox"
NOW = datetime(2027, 1, 1, tzinfo=UTC)
START = int(NOW.timestamp())


class Clock:
    """A clock that only tests move."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def catalog_of(sections: Mapping[str, Any]) -> Catalog:
    """Load a catalogue from plain data; JSON is YAML."""
    content = {"settings": {"namespace": "acme", "currency": "usd"}, **sections}
    catalog, diagnostics = catalog_from_text(json.dumps(content, ensure_ascii=False))
    assert catalog is not None, diagnostics
    return catalog


class Kept(dict[str, str]):
    """Secrets that were handed over, by address."""

    def expect(self, address: str) -> None:
        """Forget what was held for an address."""
        self.pop(address, None)

    def keep(self, address: str, secret: str) -> None:
        """Keep a secret."""
        self[address] = secret


class World:
    """One account and the tools to change it from both sides."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        kind: type[Sandbox] = Sandbox,
        plans: int = 0,
        **options: Any,
    ) -> None:
        """Open an account; ``plans`` is how many plans were made for it before, in a file that ``path`` names."""
        self.clock = Clock()
        self.sandbox = kind(settings=settings or Settings(), clock=self.clock, **options)
        self._ids = (f"{number:032x}" for number in itertools.count(plans + 1))
        self._catalogs: dict[str, Catalog] = {}
        self.secrets = Kept()
        self.dashboard = stripe.StripeClient(KEY, http_client=self.sandbox.http_client())

    def gateway(self, *, read_only: bool = False, transport: Any = None, tries: int = 8) -> Gateway:
        """Connect to the account without waiting between tries."""
        connection = Connection(KEY, transport=transport or self.sandbox.http_client(), rates=UNLIMITED)
        return Gateway(connection, backoff=Backoff(tries=tries, sleep=lambda _seconds: None), read_only=read_only)

    def propose(self, sections: Mapping[str, Any]) -> Proposal:
        """Plan with a transport that cannot write."""
        return propose(catalog_of(sections), self.gateway(read_only=True), plan_id=next(self._ids), now=NOW)

    def plan(self, sections: Mapping[str, Any]) -> Plan:
        """Plan, go through the plan file's text as the real loop does, and return what was read back."""
        proposal = self.propose(sections)
        assert not proposal.problems, proposal.problems
        self.remember(proposal.plan, catalog_of(sections))
        return parse_plan(serialise(proposal.plan).encode())

    def remember(self, plan: Plan, catalog: Catalog) -> None:
        """Keep the files a plan was made from at hand for its apply."""
        self._catalogs[plan.id] = catalog

    def run(self, plan: Plan, **options: Any) -> Report:
        """Apply a plan with the files it was made from at hand; ``catalog=None`` applies it without."""
        transport = options.pop("transport", None)
        catalog = options.pop("catalog", self._catalogs.get(plan.id))
        options.setdefault("keeper", self.secrets)
        return Executor(self.gateway(transport=transport), **options).apply(plan, catalog)

    def locked(
        self, plan: Plan, *, name: str = "somebody", transport: Any = None, elapsed: Any = None, **options: Any
    ) -> Report:
        """Apply a plan under the lock, without waits between tries; seconds are those of the world's clock."""
        connection = Connection(KEY, transport=transport or self.sandbox.http_client(), rates=UNLIMITED)
        ports = Ports.of(connection, sleep=lambda _seconds: None)
        options.setdefault("keeper", self.secrets)
        locked = Locked(ports, Holder(name, "host", 1), elapsed=elapsed or self.clock, **options)
        return locked.apply(plan, self._catalogs.get(plan.id))

    def locks(self) -> Seen:
        """Look at the lock."""
        gateway = self.gateway(read_only=True)
        return Locks(Ports(gateway, gateway, gateway), "acme").look()

    def apply(self, sections: Mapping[str, Any]) -> Report:
        """Plan and apply; the apply must be complete."""
        report = self.run(self.plan(sections))
        assert report.ending is Ending.COMPLETE, [
            (item.step.label, item.status, item.message) for item in report.failures
        ]
        return report

    def writes(self) -> list[tuple[str, str]]:
        """Return the writes the account has seen since the log was cleared."""
        return [(method, path) for method, path, _status in self.sandbox.requests if method != "GET"]

    def prices(self, **filters: Any) -> list[Any]:
        """List prices as the dashboard sees them."""
        return list(self.dashboard.v1.prices.list({"limit": 100, **filters}).auto_paging_iter())


def actions(plan: Plan) -> dict[str, str]:
    """Return address to action."""
    return {change.address: str(change.action) for change in plan.changes}
