"""Usage streamed by the hundred: it is sent once Stripe's summary shows it, and asked for where that does not."""

import json
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.entitlements.periods import SECOND
from reconciler.ledger.base import Export
from reconciler.ledger.ledger import open_ledger
from reconciler.provider import usage
from reconciler.provider.confirmation import ASK, _complete
from reconciler.provider.delivery import LOOK
from reconciler.provider.meter_events import MOST
from reconciler.provider.usage import Report
from reconciler.sandbox import Fault, Sandbox, Settings
from reconciler.sandbox.billing import metering
from reconciler.sandbox.server import Server
from reconciler.sandbox.v2 import STREAM
from reconciler.sandbox.wire import Request, Response

from .test_usage_kill import SCRIPT, Deadly
from .test_usage_refused import LATER, broken
from .usage_world import ACCIDENTS, DAY, HOUR, KEY, UsageWorld, file_ledger

SESSION = "/v2/billing/meter_event_session"
MINUTE = 60


def flush(world: UsageWorld, **options: Any) -> Report:
    """Send by the stream."""
    return world.flush(**{"stream": True} | options)


def calls(world: UsageWorld, path: str) -> list[int]:
    """Return the answers to a path, in order."""
    return [status for method, asked, status in world.sandbox.requests if (method, asked) == ("POST", path)]


def strike(world: UsageWorld, path: str = STREAM, **fault: Any) -> None:
    """Let requests go wrong."""
    world.sandbox.faults.add(Fault(method="POST", path=path, **fault))


def use(world: UsageWorld) -> None:
    """Let every tenant use two meters."""
    for number, tenant in enumerate(world.customers):
        world.use(tenant, 3 + number)
        world.use(tenant, 50 + number, "tokens")


def settle(world: UsageWorld, **options: Any) -> None:
    """Let an hour go by in which worker after worker comes, then everything has to be sent, once."""
    for _ in range(12):
        world.clock.pass_by(5 * MINUTE + 1)
        flush(world, **options)
    assert {export.state for export in world.exports()} == {"sent"}, world.exports()
    world.agree()


def test_what_is_streamed_is_sent_once_the_summary_shows_it() -> None:
    """A hundred events go in one request, with one session; they are sent when the summary has been looked at."""
    with UsageWorld(tenants=tuple(f"t{number}" for number in range(52))) as world:
        use(world)
        report = flush(world, patient=True)
        assert (len(report.streamed), report.sent, report.taken) == (104, [], 104)
        assert (calls(world, STREAM), calls(world, SESSION), world.posts()) == ([200, 200], [200], [])
        assert world.states() == {"streamed": 104}
        assert flush(world, patient=True).sent == []
        world.clock.pass_by(LOOK // SECOND)
        report = flush(world, patient=True)
        assert (len(report.sent), report.streamed, world.states()) == (104, [], {"sent": 104})
        assert (len(calls(world, STREAM)), world.posts()) == (2, [])
        world.agree()


def test_many_are_streamed_few_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is said otherwise a flush streams when a claim comes back full, and goes on so until it is done."""
    monkeypatch.setattr(usage, "BATCH", 4)
    with UsageWorld() as world:
        world.use("a", 1)
        assert (len(world.flush().sent), calls(world, STREAM)) == (1, [])
        use(world)
        assert (len(world.flush(patient=True).streamed), calls(world, STREAM)) == (6, [200, 200])
        use(world)
        assert len(world.flush(stream=False).streamed) == 0
        settle(world, stream=None)


def test_what_a_summary_cannot_tell_apart_goes_by_itself() -> None:
    """Units taken back, values beyond fifteen digits, and what was tried before are sent one by one."""
    with UsageWorld() as world:
        assert world.runtime.consume("a", meter="calls", units={"calls": 7}, key="k")
        flush(world)
        world.clock.pass_by(HOUR)
        world.runtime.refund("a", "k", key="r")
        world.use("b", MOST)
        world.use("b", MOST)
        world.use("c", 4)
        report = flush(world, patient=True)
        assert sorted(export.units for export in report.streamed) == [4]
        assert sorted(export.units for export in report.sent) == [-7, 2 * MOST]
        strike(world, kind="drop_after", nth=1)
        world.use("c", 5)
        assert [export.units for export in flush(world).waiting] == [5]
        assert 5 in {export.units for export in flush(world).sent}
        settle(world)


def test_what_may_have_arrived_a_day_ago_is_not_streamed_again() -> None:
    """Where the answer of a stream was lost and Stripe has forgotten the identifiers, the summary is asked first."""
    with UsageWorld() as world:
        strike(world, kind="drop_after", nth=1)
        use(world)
        assert len(flush(world).waiting) == 6
        world.clock.pass_by(26 * HOUR)
        assert len(flush(world).sent) == 6
        assert (len(calls(world, STREAM)), world.posts()) == (1, [])
        world.agree()


@pytest.mark.parametrize("window", ["hour", "day"])
def test_totals_of_windows_are_not_streamed(window: str) -> None:
    """Where the newest event counts, their order does: those go one by one."""
    with UsageWorld(window=window) as world:
        world.policy.meters = {
            name: meter._replace(window={"hour": HOUR, "day": DAY}[window])
            for name, meter in world.policy.meters.items()
        }
        world.use("a", 3)
        assert (len(flush(world).sent), calls(world, STREAM)) == (1, [])


@pytest.mark.parametrize("accident", ACCIDENTS[:4], ids=lambda each: "-".join(map(str, each.values())))
def test_an_accident_of_the_stream_costs_nothing(accident: dict[str, Any]) -> None:
    """Whatever happens to a request of the stream or its answer, every unit counts once in the end."""
    with UsageWorld() as world:
        strike(world, nth=1, **accident)
        use(world)
        flush(world)
        settle(world)


class Sieve(Sandbox):
    """A sandbox whose stream takes events and counts only some of them, without a word."""

    every = 2

    def dispatch(self, request: Request) -> Response:
        """Let events of a stream be lost."""
        if request.path == STREAM and self.every:
            body = json.loads(request.body or b"{}")
            body["events"] = body["events"][:: self.every]
            request = replace(request, body=json.dumps(body).encode())
        return super().dispatch(request)


def test_what_the_stream_loses_is_asked_for_and_sent() -> None:
    """Events that were taken and never appear are sent by themselves after twenty minutes; those that did are not."""
    with UsageWorld(kind=Sieve) as world:
        use(world)
        flush(world, patient=True)
        world.clock.pass_by(ASK // SECOND - MINUTE)
        assert len(flush(world).sent) == 3
        assert world.states() == {"streamed": 3, "sent": 3}
        world.clock.pass_by(MINUTE)
        flush(world)
        flush(world)
        assert (world.states(), world.posts()) == ({"sent": 6}, [200, 200, 200])
        world.agree()


def test_a_summary_that_lags_doubles_nothing() -> None:
    """While the summaries lag behind, the identifiers tell that the events are there, and nothing counts twice."""
    with UsageWorld() as world:
        world.sandbox.faults.add(Fault(kind="summary_lag", seconds=2 * HOUR))
        use(world)
        flush(world)
        for _ in range(6):
            world.clock.pass_by(5 * MINUTE)
            flush(world)
        assert (world.states(), world.posts()) == ({"sent": 6}, [400] * 6)
        world.sandbox.faults.clear()
        world.agree()


@pytest.mark.parametrize("samples", [10, 0], ids=["named", "unnamed"])
def test_what_the_stream_takes_and_refuses_is_found(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A meter that is not active: what was streamed becomes a dead letter, and is sent once its cause is gone."""
    monkeypatch.setattr(metering, "_SAMPLES", samples)
    with UsageWorld(settings=Settings(meter_events_checked_at_once=False)) as world:
        world.dashboard.v1.billing.meters.deactivate(world.meters["tokens"])
        use(world)
        assert len(flush(world, patient=True).streamed) == 6
        for _ in range(8):
            world.clock.pass_by(5 * MINUTE)
            flush(world)
        assert {export.state for export in world.exports() if export.meter == "calls"} == {"sent"}
        if samples:
            assert world.states() == {"sent": 3, "dead": 3}
        world.dashboard.v1.billing.meters.reactivate(world.meters["tokens"])
        world.clock.pass_by(2 * HOUR)
        flush(world)
        world.runtime.ledger.store.revive()
        settle(world)


def test_a_session_is_renewed() -> None:
    """A token is used for less than its fifteen minutes; one that is refused is replaced once."""
    with UsageWorld() as world:
        sender = world.sender(stream=True)

        def again() -> None:
            world.use("a", 3)
            world.clock.pass_by(1)
            world.seal()
            sender.flush()

        again()
        again()
        assert len(calls(world, SESSION)) == 1
        world.clock.pass_by(14 * MINUTE)
        again()
        assert len(calls(world, SESSION)) == 2
        strike(world, kind="unauthorized", nth=1)
        again()
        assert (len(calls(world, SESSION)), calls(world, STREAM)) == (3, [200, 200, 200, 401, 200])
        settle(world)


@pytest.mark.parametrize(
    ("path", "fault"),
    [(SESSION, {"kind": "forbidden"}), (STREAM, {"kind": "error", "status": 404}), (STREAM, {"kind": "unauthorized"})],
    ids=["session", "gone", "token"],
)
def test_a_key_that_may_not_stream_sends_one_by_one(path: str, fault: dict[str, Any]) -> None:
    """Where the stream is closed to the key, the same flush sends everything by itself."""
    with UsageWorld() as world:
        strike(world, path, **fault)
        use(world)
        report = flush(world)
        assert (len(report.sent), report.streamed) == (6, [])
        world.agree()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("pause", [16 * MINUTE, 26 * HOUR], ids=["soon", "after-a-day"])
@pytest.mark.soak
def test_a_worker_killed_in_a_stream_loses_and_doubles_nothing(tmp_path: Path, pause: int, *, after: bool) -> None:
    """Whether Stripe had taken the hundred or not when the worker was killed, the next one finds out."""
    with UsageWorld(ledger=file_ledger(tmp_path), kind=Deadly, settings=Settings()) as world:
        use(world)
        world.clock.pass_by(HOUR)
        world.seal()
        (tmp_path / "policy.json").write_text(world.policy.dump())
        (tmp_path / "customers.json").write_text(json.dumps(world.customers))
        assert isinstance(world.sandbox, Deadly)
        world.sandbox.deadly = STREAM
        with Server(world.sandbox) as server:
            given = [server.url, KEY, world.url, *(str(tmp_path / name) for name in ("policy.json", "customers.json"))]
            script = SCRIPT.replace("patient=False", "patient=False, stream=True")
            victim = subprocess.Popen([sys.executable, "-c", script, *given, str(world.clock.now)])
            world.sandbox.countdown, world.sandbox.after, world.sandbox.victim = 1, after, victim
            victim.wait()
            world.sandbox.victim = None
        assert victim.returncode == -signal.SIGKILL
        world.clock.pass_by(pause)
        settle(world)


@pytest.mark.parametrize("seed", range(2))
def test_storms_of_the_stream_cost_nothing(seed: int) -> None:
    """Accidents, lagging summaries and lost events while hours or days go by: both sides agree to the unit."""
    storm(seed, 10)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(100, 115))
def test_long_storms_of_the_stream_cost_nothing(seed: int) -> None:
    """The same, longer and more often."""
    storm(seed, 30)


def storm(seed: int, rounds: int) -> None:
    """Run one random history and check it."""
    draw = random.Random(seed)
    with UsageWorld(kind=Sieve, seed=seed) as world:
        assert isinstance(world.sandbox, Sieve)
        for accident in ACCIDENTS:
            strike(world, probability=0.06, **accident)
            world.break_with(accident, probability=0.06)
        world.sandbox.faults.add(Fault(kind="summary_lag", seconds=draw.choice((0, 0, 10 * MINUTE, HOUR // 2))))
        for _ in range(rounds):
            world.sandbox.every = draw.choice((0, 0, 2, 3))
            for _ in range(draw.randrange(6)):
                world.use(draw.choice("abc"), draw.choice((1, 7, 1000)), draw.choice(("calls", "tokens")))
            if draw.random() < 0.8:
                flush(world, tries=draw.choice((1, 3)), stream=draw.choice((True, True, False)))
            world.clock.pass_by(draw.choice((1, 60, 20 * 60, HOUR, 5 * HOUR, 30 * HOUR)))
        world.sandbox.faults.clear()
        world.sandbox.every = 0
        for _ in range(10):
            world.clock.pass_by(2 * HOUR)
            flush(world, tries=3)
        assert [export for export in world.exports() if export.state != "sent"] == []
        world.agree()


def test_two_workers_stream_at_once(tmp_path: Path) -> None:
    """Two workers stream and confirm one outbox: each export is in one request of one of them."""
    with UsageWorld(ledger=file_ledger(tmp_path), tenants=tuple("abcdef")) as world:
        for _ in range(2):
            use(world)
            world.clock.pass_by(HOUR)
        world.seal()
        strike(world, kind="latency", seconds=0.01)
        with open_ledger(world.url, "direct", world.clock) as other, ThreadPoolExecutor(2) as pool:
            workers = [world.sender(stream=True), world.sender(stream=True, store=other.store)]
            reports = list(pool.map(lambda worker: worker.flush(), workers))
        assert sum(report.taken for report in reports) == 24
        settle(world)
        assert world.posts() == []


def test_what_is_too_old_or_early_goes_by_itself() -> None:
    """A window of 36 days ago is a dead letter, one of a clock that is six minutes ahead waits: neither is streamed."""
    with UsageWorld() as world:
        world.use("a", 5)
        world.clock.pass_by(36 * DAY)
        (dead,) = flush(world).dead
        assert "older than the 35 days" in str(dead.error)
        world.clock.pass_by(HOUR - world.clock.seconds() % HOUR)
        world.use("b", 6)
        world.sandbox.faults.add(Fault(kind="clock_skew", seconds=-6 * MINUTE))
        (waiting,) = flush(world).waiting
        assert ("in the future" in str(waiting.error), waiting.doubt) == (True, 0)
        world.clock.pass_by(6 * MINUTE)
        assert [export.units for export in flush(world).sent] == [6]
        assert calls(world, STREAM) == []


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("samples", [10, 1, 0])
@pytest.mark.parametrize("seed", range(1000, 1003))
def test_storms_of_the_stream_with_refusals_cost_nothing(
    seed: int, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are lost, summaries late, a meter comes and goes, the dead are revived: both sides agree in the end."""
    monkeypatch.setattr(metering, "_SAMPLES", samples)
    draw, active = random.Random(seed), True
    with UsageWorld(kind=Sieve, settings=LATER, seed=seed) as world:
        assert isinstance(world.sandbox, Sieve)
        for accident in ACCIDENTS:
            strike(world, probability=0.04, **accident)
            world.break_with(accident, probability=0.04)
        world.sandbox.faults.add(Fault(kind="summary_lag", seconds=draw.choice((0, 10 * MINUTE, HOUR // 2))))
        for _ in range(20):
            world.sandbox.every = draw.choice((0, 0, 2))
            for _ in range(draw.randrange(5)):
                world.use(draw.choice("abc"), draw.choice((1, 7, 1000)), draw.choice(("calls", "tokens")))
            flush(world, tries=draw.choice((1, 3)), stream=draw.choice((True, True, False)))
            if draw.random() < 0.4:
                broken(world, "meter", mend=not active)
                active = not active
            if draw.random() < 0.3:
                world.runtime.ledger.store.revive()
            world.clock.pass_by(draw.choice((1, 60, 20 * 60, HOUR, 5 * HOUR, 30 * HOUR)))
        world.sandbox.faults.clear()
        world.sandbox.every = 0
        if not active:
            broken(world, "meter", mend=True)
        for _ in range(12):
            world.clock.pass_by(2 * HOUR)
            flush(world, tries=3)
            world.runtime.ledger.store.revive()
        assert [export for export in world.exports() if export.state != "sent"] == []
        world.agree()


NOW = 10**15


@pytest.mark.parametrize(
    ("beside", "total", "complete"),
    [
        ([("streamed", 5, 1), ("sent", 3, 0)], 8, True),
        ([("streamed", 5, 1), ("sent", 3, 0)], 5, False),
        ([("streamed", 5, 1), ("streamed", 4, 1)], 5, False),
        ([("streamed", 5, 1), ("pending", 4, 0)], 5, True),
        ([("streamed", 5, 1), ("pending", 5, 1)], 5, False),
        ([("streamed", 5, 1), ("dead", 5, 1)], 5, False),
        ([("streamed", 5, 1), ("streamed", 3, 1), ("sent", -5, 0)], 3, False),
        ([("streamed", 5, 1), ("sent", 3, 0)], 8.5, False),
    ],
)
def test_an_hour_is_complete_where_nothing_else_can_make_it_so(
    beside: list[tuple[str, int, int]], total: float, *, complete: bool
) -> None:
    """All acknowledged and streamed units are there, and neither doubt nor units taken back lately explain the sum."""
    exports = [
        Export("a", "calls", 0, number, units, state, due=NOW, doubt=doubt)
        for number, (state, units, doubt) in enumerate(beside)
    ]
    assert _complete(exports, total, NOW) is complete
