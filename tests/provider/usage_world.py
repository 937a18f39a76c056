"""A runtime, its ledger, and an account in the embedded sandbox, on one clock: for tests of what is sent."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import stripe

from reconciler.entitlements import Entitlements, Policy
from reconciler.ledger.base import Export
from reconciler.ledger.ledger import open_ledger
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.retry import Backoff
from reconciler.provider.usage import Report, UsageSender
from reconciler.sandbox import Fault, Sandbox, Settings
from tests.entitlements.worlds import at, policy

KEY = "sk_test_sandbox"
SECOND = 1_000_000
HOUR = 3600
DAY = 24 * HOUR
START = "2027-01-01T00:30:00"
FILES = """
settings: {namespace: acme, default_meter: calls, default_plan: open}
meters: {calls: {name: Calls}, tokens: {name: Tokens}}
plans:
  open:
    name: Open
    usage:
      calls: {included: 10, overage: {unit_amount: 0.01}}
      tokens: {included: 0, overage: {unit_amount: 0.001}}
  payg: {name: Pay, per_call: {default: 0.25}}
"""
#: Every way a meter event can go wrong between the two sides, so that the sender may or may not learn of it.
EVENTS = "/v1/billing/meter_events"
ACCIDENTS = (
    {"kind": "drop_before"},
    {"kind": "drop_after"},
    {"kind": "error", "status": 500},
    {"kind": "error", "status": 500, "when": "instead"},
    {"kind": "error", "status": 503, "when": "after"},
    {"kind": "error", "status": 502, "when": "after", "should_retry": False},
    {"kind": "rate_limit"},
    {"kind": "lock_timeout"},
    {"kind": "conflict"},
    {"kind": "html"},
    {"kind": "invalid_json"},
    {"kind": "cut"},
)


class SharedClock:
    """One time for both sides: microseconds for the ledger, seconds for the account."""

    def __init__(self) -> None:
        self.now = at(START)

    def __call__(self) -> int:
        return self.now

    def seconds(self) -> int:
        """Return Unix seconds."""
        return self.now // SECOND

    def pass_by(self, seconds: float) -> None:
        """Let time go by."""
        self.now += int(seconds * SECOND)


class UsageWorld:
    """Tenants that use, an account that counts, and the sender between them."""

    def __init__(
        self,
        text: str = FILES,
        *,
        tenants: tuple[str, ...] = ("a", "b", "c"),
        ledger: str = "sqlite://",
        kind: type[Sandbox] = Sandbox,
        settings: Settings | None = None,
        window: str | None = None,
        **options: Any,
    ) -> None:
        self.clock = SharedClock()
        self.policy: Policy = policy(text)
        self.url = ledger
        self.sandbox = kind(settings=settings or Settings(), clock=self.clock.seconds, **options)
        self.dashboard = stripe.StripeClient(KEY, http_client=self.sandbox.http_client())
        self.meters = {name: self._meter(name, meter, window) for name, meter in self.policy.meters.items()}
        self.customers = {tenant: self.dashboard.v1.customers.create({"name": tenant}).id for tenant in tenants}
        self.runtime = Entitlements(self.policy, open_ledger(ledger, "direct", self.clock))

    def _meter(self, name: str, meter: Any, window: str | None) -> str:
        made = {
            "display_name": name,
            "event_name": meter.event_name,
            "default_aggregation": {"formula": meter.aggregation},
            "customer_mapping": {"type": "by_id", "event_payload_key": meter.customer_key},
            "value_settings": {"event_payload_key": meter.value_key},
        } | ({"event_time_window": window} if window else {})
        return self.dashboard.v1.billing.meters.create(made).id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.runtime.close()
        self.sandbox.close()

    def gateway(self, tries: int = 1) -> Gateway:
        """Connect to the account without waiting between tries."""
        connection = Connection(KEY, transport=self.sandbox.http_client(), rates=UNLIMITED)
        return Gateway(connection, backoff=Backoff(tries=tries, sleep=lambda _seconds: None))

    def sender(self, *, tries: int = 1, store: Any = None, **options: Any) -> UsageSender:
        """Return a worker of its own."""
        customers: Callable[[str], str | None] = self.customers.get
        given = {"patient": False} | options
        return UsageSender(self.gateway(tries), store or self.runtime.ledger.store, self.policy, customers, **given)

    def use(self, tenant: str, units: int, meter: str = "calls") -> None:
        """Let a tenant use units now."""
        assert self.runtime.consume(tenant, meter=meter, units={meter: units})

    def seal(self) -> None:
        """Hand everything counted by now to the export."""
        while self.runtime.seal(self.clock.seconds() + 1):
            pass

    def flush(self, **options: Any) -> Report:
        """Seal and send, once, a second after what came before."""
        self.clock.pass_by(1)
        self.seal()
        return self.sender(**options).flush()

    def break_with(self, *accidents: dict[str, Any], **when: Any) -> None:
        """Let meter events go wrong."""
        self.sandbox.faults.add(*(Fault(method="POST", path=EVENTS, **{**each, **when}) for each in accidents))

    def exports(self) -> list[Export]:
        """Return the whole outbox."""
        return list(self.runtime.ledger.store.exports())

    def states(self) -> Counter[str]:
        """Count the exports by state."""
        return Counter(export.state for export in self.exports())

    def posts(self) -> list[int]:
        """Return the answers to meter events, in order."""
        return [status for method, path, status in self.sandbox.requests if (method, path) == ("POST", EVENTS)]

    def shown(self) -> dict[tuple[str, str], int]:
        """Return what the account shows of every tenant and meter, zero left out."""
        start = self.clock.seconds() - 400 * DAY
        bounds = {"start_time": start - start % 60, "end_time": start - start % 60 + 500 * DAY}
        return _there(
            {
                (tenant, name): sum(
                    int(summary.aggregated_value)
                    for summary in self.dashboard.v1.billing.meters.event_summaries.list(
                        meter, {"customer": customer, **bounds}
                    ).auto_paging_iter()
                )
                for tenant, customer in self.customers.items()
                for name, meter in self.meters.items()
            }
        )

    def counted(self) -> dict[tuple[str, str], int]:
        """Return what the ledger has handed over, by its entries, zero left out."""
        found: Counter[tuple[str, str]] = Counter()
        for tenant in self.customers:
            for entry in self.runtime.ledger.store.entries(tenant, limit=100_000):
                for account, amount in entry.postings():
                    if account.startswith("sent:"):
                        found[tenant, account.removeprefix("sent:").partition("@")[0]] += amount
        return _there(found)

    def agree(self) -> None:
        """Check that the account has exactly what the ledger says."""
        assert self.shown() == self.counted()


def _there(amounts: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return {name: amount for name, amount in amounts.items() if amount}


def file_ledger(folder: Path) -> str:
    """Return the address of a ledger in a folder."""
    return f"sqlite:///{folder / 'usage.db'}"
