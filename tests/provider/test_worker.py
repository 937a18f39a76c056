"""The worker: usage reaches Stripe before an invoice is finalized, whatever fails, and what is late is told."""

import json
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.diagnostics import ProviderError
from reconciler.provider.delivery import HOUR as LEDGER_HOUR
from reconciler.provider.refusals import Refusals
from reconciler.provider.worker import FIRST_PAUSE, INTERVAL, Round, UsageWorker
from reconciler.sandbox import Fault, Settings
from reconciler.sandbox.server import Server

from .test_usage_kill import Deadly
from .usage_world import DAY, EVENTS, HOUR, KEY, UsageWorld, file_ledger

#: A month's period that ends 35 minutes past an hour; the world begins half an hour before.
ENDS = datetime(2027, 1, 1, 1, 5, 0, tzinfo=UTC)
#: A worker of its own process on the clock in a file; it ends when a round had nothing to do.
SCRIPT = """
import json, sys
from pathlib import Path
from reconciler.entitlements import Entitlements
from reconciler.entitlements.policy import read_policy
from reconciler.ledger.ledger import open_ledger
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.retry import Backoff
from reconciler.provider.refusals import Refusals
from reconciler.provider.worker import UsageWorker
base, key, ledger, policy, customers, clock = sys.argv[1:]
books = open_ledger(ledger, "direct", lambda: int(Path(clock).read_text()))
gateway = Gateway(Connection(key, base=base, rates=UNLIMITED), backoff=Backoff(tries=2, sleep=lambda seconds: None))
with Entitlements(read_policy(Path(policy)), books) as runtime:
    UsageWorker(runtime, gateway, lambda: json.loads(Path(customers).read_text())).round()
"""


def worker(world: UsageWorld, told: list[Round] | None = None, **options: Any) -> UsageWorker:
    """Return a worker of a world."""
    said = [] if told is None else told
    return UsageWorker(world.runtime, world.gateway(), lambda: world.customers, tell=said.append, **options)


def subscribed(world: UsageWorld, tenant: str, ends: datetime = ENDS) -> None:
    """Let the ledger know a tenant's subscription whose period ends."""
    period = (ends.replace(year=2026, month=12), ends)
    world.runtime.set_subscription(tenant, status="active", plan="open", period=period, anchor=ends)


def test_units_are_handed_over_when_their_hour_or_their_period_is_over() -> None:
    """A running hour stays; one that a billing period ends is over with it, for that tenant alone."""
    with UsageWorld() as world:
        for tenant in "abc":
            world.use(tenant, 3)
        subscribed(world, "a")
        subscribed(world, "b", ENDS + timedelta(days=3))
        assert world.runtime.seal_over() == 0
        world.clock.pass_by(1800)
        for tenant in "abc":
            world.use(tenant, 4)
        assert world.runtime.seal_over() == 3
        world.clock.pass_by(299)
        assert world.runtime.seal_over() == 0
        world.clock.pass_by(1)
        for tenant in "abc":
            world.use(tenant, 5)
        assert world.runtime.seal_over() == 1
        found = sorted((export.tenant, export.units) for export in world.exports())
        assert found == [("a", 3), ("a", 4), ("b", 3), ("c", 3)]


def test_a_round_after_the_period_is_in_time_for_its_invoice() -> None:
    """One interval after its end the period's units are at Stripe, dated within it, long before the hour of draft."""
    with UsageWorld() as world:
        subscribed(world, "a")
        works = worker(world)
        world.clock.pass_by(33 * 60)
        world.use("a", 7)
        works.round()
        assert world.shown() == {}
        world.clock.pass_by(INTERVAL)
        world.use("a", 2)
        done = works.round()
        assert done.report is not None
        assert [(export.units, export.window) for export in done.report.sent] == [(7, int(ENDS.timestamp()) - 5 * 60)]
        assert (done.late, world.shown()) == ((), {("a", "calls"): 7})


def test_what_comes_after_the_draft_is_told() -> None:
    """A worker that was down for longer than an invoice stays a draft sends everything and names what came late."""
    with UsageWorld() as world:
        subscribed(world, "a")
        subscribed(world, "b", ENDS + timedelta(days=3))
        world.use("a", 7)
        world.use("b", 8)
        world.use("c", 9)
        world.clock.pass_by(35 * 60 + HOUR)
        works = worker(world)
        world.clock.pass_by(1)
        done = works.round()
        assert done.report is not None
        assert len(done.report.sent) == 3
        assert [export.tenant for export in done.late] == ["a"]
    with UsageWorld() as world:
        subscribed(world, "a")
        world.use("a", 7)
        world.clock.pass_by(35 * 60 + HOUR + 1)
        assert worker(world, draft=2 * LEDGER_HOUR).round().late == ()


def test_an_interval_fits_into_the_draft() -> None:
    """An interval of more than half the time that invoices stay drafts is refused; half of it is not."""
    with UsageWorld() as world:
        worker(world, interval=1800)
        with pytest.raises(ValueError, match="too long"):
            worker(world, interval=1801)


def test_customers_that_cannot_be_read_hold_nothing() -> None:
    """Where the account cannot say who its customers are, the round fails, tells it, and gives everything back."""
    with UsageWorld() as world:
        world.use("a", 3)
        world.seal()
        world.clock.pass_by(1)

        def unknown() -> dict[str, str]:
            raise ProviderError("E0905", "no answer came")

        failed = UsageWorker(world.runtime, world.gateway(), unknown).round()
        assert (failed.report, failed.failed and failed.failed.code) == (None, "E0905")
        assert [(export.due <= world.clock.now, export.doubt) for export in world.exports()] == [(True, 0)]
        done = worker(world).round()
        assert done.report is not None
        assert len(done.report.sent) == 1


def test_customers_are_read_when_somebody_is_not_known() -> None:
    """Known customers are not asked for again; a tenant nobody knows is looked for every ten minutes."""
    with UsageWorld(tenants=("a",)) as world:
        reads = []

        def read() -> dict[str, str]:
            reads.append(world.clock.now)
            return dict(world.customers)

        works = UsageWorker(world.runtime, world.gateway(), read)
        for _ in range(3):
            world.use("a", 1)
            world.clock.pass_by(HOUR)
            works.round()
        assert len(reads) == 1
        world.use("b", 1)
        world.clock.pass_by(HOUR)
        works.round()
        works.round()
        assert len(reads) == 2
        world.customers["b"] = world.dashboard.v1.customers.create({}).id
        world.clock.pass_by(2 * HOUR)
        works.round()
        assert (len(reads), world.states()) == (3, {"sent": 4})


class Hands(threading.Event):
    """A stop that is given after some waits, which are noted and pass at once."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.waits: list[float | None] = []
        self._rounds = rounds

    def wait(self, timeout: float | None = None) -> bool:
        """Note a wait."""
        self.waits.append(timeout)
        if len(self.waits) == self._rounds:
            self.set()
        return self.is_set()


def test_a_worker_that_fails_waits_longer_every_time() -> None:
    """Failures are told and tried again after 5, 10, 20 … seconds, never later than the next round would be."""
    with UsageWorld() as world:
        world.use("a", 3)
        world.clock.pass_by(HOUR)
        world.break_with({"kind": "unauthorized"})
        told: list[Round] = []
        stop = Hands(9)
        worker(world, told, stop=stop).run()
        assert stop.waits == [*(FIRST_PAUSE * 2**n for n in range(6)), INTERVAL, INTERVAL, INTERVAL]
        assert {done.failed.code for done in told if done.failed} == {"E0908"}
        world.sandbox.faults.clear()
        stop = Hands(2)
        worker(world, told, stop=stop).run()
        assert (stop.waits, told[-2].failed, world.states()) == ([INTERVAL, INTERVAL], None, {"sent": 1})


@pytest.mark.soak
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_killed_workers_units_are_taken_up_by_the_next(tmp_path: Path, *, after: bool) -> None:
    """Killed between a request and its record, a worker's claim ends after 15 minutes and another one goes on."""
    with UsageWorld(ledger=file_ledger(tmp_path), kind=Deadly) as world:
        (tmp_path / "policy.json").write_text(world.policy.dump())
        (tmp_path / "customers.json").write_text(json.dumps(world.customers))
        for tenant in "abc":
            world.use(tenant, 5)
            world.use(tenant, 7, "tokens")
        world.clock.pass_by(HOUR)
        (tmp_path / "clock").write_text(str(world.clock.now))
        files = [str(tmp_path / name) for name in ("policy.json", "customers.json", "clock")]
        assert isinstance(world.sandbox, Deadly)
        with Server(world.sandbox) as server:
            command = [sys.executable, "-c", SCRIPT, server.url, KEY, world.url, *files]
            victim = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            world.sandbox.countdown, world.sandbox.after, world.sandbox.victim = 3, after, victim
            _, complaint = victim.communicate()
            world.sandbox.victim = None
        assert victim.returncode == -signal.SIGKILL, complaint
        held = worker(world)
        held.round()
        assert world.states()["sent"] < 6
        world.clock.pass_by(16 * 60)
        held.round()
        assert world.states() == {"sent": 6}
        world.agree()


def test_two_workers_share_a_ledger() -> None:
    """Two workers at once send each export once, while answers are slow."""
    with UsageWorld() as world:
        for _ in range(4):
            for tenant in "abc":
                world.use(tenant, 5)
            world.clock.pass_by(HOUR)
        world.sandbox.faults.add(Fault(method="POST", path=EVENTS, kind="latency", seconds=0.005))
        threads = [threading.Thread(target=worker(world).round) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        world.clock.pass_by(DAY)
        worker(world).round()
        assert (world.states(), world.posts()) == ({"sent": 12}, [200] * 12)
        world.agree()


def test_reports_that_are_dealt_with_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker looks into a report again for three hours, then no more; what it was about stays a dead letter."""
    read, looked = Refusals._enter, []

    def counting(self: Refusals, reports: Any, event: Any) -> None:
        looked[-1] += 1
        read(self, reports, event)

    monkeypatch.setattr(Refusals, "_enter", counting)
    with UsageWorld(settings=Settings(meter_events_checked_at_once=False)) as world:
        world.dashboard.v1.billing.meters.deactivate(world.meters["tokens"])
        works = worker(world)
        world.use("a", 3, "tokens")
        for _ in range(8):
            world.clock.pass_by(HOUR)
            looked.append(0)
            works.round()
        assert looked == [0, 1, 1, 1, 1, 0, 0, 0]
        assert world.states() == {"dead": 1}
