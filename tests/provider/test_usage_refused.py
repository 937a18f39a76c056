"""Usage that Stripe takes and refuses later: found by its reports, kept as dead letters, sent anew, never twice."""

import random
import re
from typing import Any

import pytest

from reconciler.sandbox import Fault, Settings
from reconciler.sandbox.billing import metering

from .usage_world import ACCIDENTS, DAY, EVENTS, HOUR, UsageWorld

LATER = Settings(meter_events_checked_at_once=False)


def broken(world: UsageWorld, what: str, *, mend: bool = False) -> None:
    """Break the account so that events of one meter do not count, or mend it."""
    if what == "meter":
        change = world.dashboard.v1.billing.meters
        (change.reactivate if mend else change.deactivate)(world.meters["tokens"])
    elif mend:
        world.customers["a"] = world.dashboard.v1.customers.create({"name": "a"}).id
    else:
        world.dashboard.v1.customers.delete(world.customers["a"])


@pytest.mark.parametrize(("what", "code"), [("meter", "archived_meter"), ("customer", "customer_not_found")])
def test_what_is_refused_later_becomes_a_dead_letter(what: str, code: str) -> None:
    """The next flush moves the units to the dead letters with Stripe's reason; others of the day stay sent."""
    with UsageWorld(settings=LATER) as world:
        broken(world, what)
        world.use("a", 3, "tokens")
        world.use("b", 4)
        assert world.flush().dead == []
        world.clock.pass_by(60)
        (dead,) = world.flush().dead
        assert (dead.tenant, dead.units, dead.meter) == ("a", 3, "tokens")
        assert "Stripe took it and refused it later: " in str(dead.error)
        assert code in str(dead.error)
        assert world.states() == {"sent": 1, "dead": 1}
        assert world.flush().dead == []
        if what == "meter":
            assert world.shown() == {("b", "calls"): 4}


@pytest.mark.parametrize("what", ["meter", "customer"])
def test_what_was_refused_later_is_sent_once_its_cause_is_gone(what: str) -> None:
    """Revived, it is sent under another identifier, since Stripe may remember the first; old reports are over."""
    with UsageWorld(settings=LATER) as world:
        told, send = list[str](), world.sandbox.dispatch

        def listening(request: Any) -> Any:
            told.extend(re.findall(r"identifier=(reconciler-\w+)", (request.body or b"").decode()))
            return send(request)

        world.sandbox.dispatch = listening  # type: ignore[method-assign]
        broken(world, what)
        world.use("a", 3, "tokens")
        world.flush()
        world.flush()
        broken(world, what, mend=True)
        world.runtime.ledger.store.revive()
        assert [export.units for export in world.flush().sent] == [3]
        for _ in range(3):
            world.clock.pass_by(DAY)
            assert world.flush().dead == []
        assert world.states() == {"sent": 1}
        assert len(told) == len(set(told)) == 2
        world.agree()


def test_refused_again_is_dead_again() -> None:
    """Revived before its cause is gone it is refused once more, and found once more."""
    with UsageWorld(settings=LATER) as world:
        broken(world, "meter")
        world.use("a", 3, "tokens")
        for times in (1, 2, 3):
            world.flush()
            assert [export.refused for export in world.flush().dead] == [times]
            world.runtime.ledger.store.revive()


def test_a_customer_that_is_gone_is_said_to_be() -> None:
    """Revived while Stripe cannot be asked whether it arrived, it waits and says why; it is neither lost nor sent."""
    with UsageWorld(settings=LATER) as world:
        broken(world, "customer")
        world.use("a", 3)
        world.flush()
        world.flush()
        world.runtime.ledger.store.revive()
        (waiting,) = world.flush().waiting
        assert re.search("whether it arrived could not be read: .*No such customer", str(waiting.error))
        assert len(world.posts()) == 1


def test_a_lost_answer_that_was_refused_is_not_taken_for_there() -> None:
    """Where the answer was lost and the report comes first, nothing is sent under the old identifier again."""
    with UsageWorld(settings=LATER) as world:
        broken(world, "customer")
        world.break_with({"kind": "drop_after"}, nth=1)
        world.use("a", 3)
        world.flush()
        assert world.states() == {"pending": 1}
        world.clock.pass_by(HOUR)
        assert [export.refused for export in world.flush().dead] == [1]
        assert len(world.posts()) == 1


@pytest.mark.parametrize("window", ["hour", "day"])
def test_totals_of_a_window_are_refused_and_sent_like_sums(window: str) -> None:
    """A total that did not count is found by its attempt, and goes into the window's total when it is sent anew."""
    with UsageWorld(settings=LATER, window=window) as world:
        world.policy.meters = {
            name: meter._replace(window={"hour": HOUR, "day": DAY}[window])
            for name, meter in world.policy.meters.items()
        }
        world.use("a", 2, "tokens")
        world.flush()
        broken(world, "meter")
        world.use("a", 3, "tokens")
        world.flush()
        assert [export.units for export in world.flush().dead] == [3]
        broken(world, "meter", mend=True)
        world.use("a", 4, "tokens")
        world.runtime.ledger.store.revive()
        world.flush()
        assert world.states() == {"sent": 3}
        world.agree()


def test_what_is_not_named_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report names some of its errors: the rest of that time is looked up, sent again where it is not there."""
    monkeypatch.setattr(metering, "_SAMPLES", 0)
    with UsageWorld(settings=LATER) as world:
        broken(world, "meter")
        world.use("a", 3, "tokens")
        world.use("b", 5)
        world.flush()
        broken(world, "meter", mend=True)
        world.clock.pass_by(HOUR)
        report = world.flush()
        assert sorted(export.units for export in report.sent) == [3, 5]
        assert len(world.posts()) == 3
        for _ in range(3):
            world.clock.pass_by(HOUR)
            assert world.flush().sent == []
        world.agree()


def test_what_is_not_named_is_not_looked_for_before_it_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the summaries may be behind, units of an unnamed report's time stay sent: they would be sent twice."""
    monkeypatch.setattr(metering, "_SAMPLES", 0)
    with UsageWorld(settings=LATER) as world:
        world.sandbox.faults.add(Fault(kind="summary_lag", seconds=HOUR // 2))
        broken(world, "meter")
        world.use("a", 3, "tokens")
        world.use("b", 5)
        world.flush()
        broken(world, "meter", mend=True)
        for _ in range(5):
            world.clock.pass_by(60)
            assert world.flush().sent == []
        for _ in range(3):
            world.clock.pass_by(HOUR)
            world.flush()
        assert world.states() == {"sent": 2}
        world.agree()


def test_events_of_a_meter_that_is_not_there_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the account has no meter of the name a report of its own says so; pages of reports are read to the end."""
    monkeypatch.setattr(metering, "METER_NAMES", "none")
    with UsageWorld(settings=LATER) as world:
        for number in range(105):
            world.use("b", number + 1)
            world.flush()
        world.use("a", 3)
        world.flush()
        found = world.flush().dead
        assert {export.tenant for export in found} == {"a"}
        assert "no_meter" in str(found[0].error)
        assert world.states() == {"dead": 106}


@pytest.mark.parametrize(
    "fault",
    [{"kind": "error", "status": 403}, {"kind": "drop_before"}, {"kind": "html"}],
    ids=lambda each: each["kind"],
)
def test_reports_that_cannot_be_read_are_told(fault: dict[str, Any]) -> None:
    """A key that may not read them, or an answer that does not come, holds up nothing and is told; the next reads."""
    with UsageWorld(settings=LATER) as world:
        broken(world, "customer")
        world.use("a", 3)
        world.flush()
        world.sandbox.faults.add(Fault(method="GET", path="/v2/core/events", **fault, nth=1))
        world.use("b", 4)
        report = world.flush()
        assert [export.units for export in report.sent] == [4]
        assert report.unread is not None
        again = world.flush()
        assert (again.unread, [export.units for export in again.dead]) == (None, [3])


def test_nobody_is_asked_about_what_counts() -> None:
    """Without reports a flush reads one page of them and nothing else."""
    with UsageWorld() as world:
        world.use("a", 3)
        world.flush()
        asked = [path for method, path, _ in world.sandbox.requests if method == "GET" and path != EVENTS]
        assert asked == ["/v2/core/events"]


@pytest.mark.parametrize("samples", [10, 0], ids=["named", "unnamed"])
@pytest.mark.parametrize("seed", range(6))
def test_storms_and_refusals_cost_nothing(seed: int, samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are lost and a meter comes and goes while dead letters are revived: in the end both sides agree."""
    storm(seed, samples, monkeypatch, rounds=10)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("samples", [10, 1, 0])
@pytest.mark.parametrize("seed", range(100, 140))
def test_long_storms_and_refusals_cost_nothing(seed: int, samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, longer and more often."""
    storm(seed, samples, monkeypatch, rounds=30)


def storm(seed: int, samples: int, monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
    """Run one random history and check it."""
    monkeypatch.setattr(metering, "_SAMPLES", samples)
    draw, active = random.Random(seed), True
    with UsageWorld(settings=LATER, seed=seed) as world:
        for accident in ACCIDENTS:
            world.break_with(accident, probability=0.05)
        for _ in range(rounds):
            for _ in range(draw.randrange(4)):
                world.use(draw.choice("abc"), draw.choice((1, 7, 1000)), draw.choice(("calls", "tokens")))
            world.flush(tries=draw.choice((1, 3)))
            if draw.random() < 0.4:
                broken(world, "meter", mend=not active)
                active = not active
            if draw.random() < 0.3:
                world.runtime.ledger.store.revive()
            world.clock.pass_by(draw.choice((1, 60, 20 * 60, HOUR, 5 * HOUR, 30 * HOUR)))
        world.sandbox.faults.clear()
        if not active:
            broken(world, "meter", mend=True)
        for _ in range(8):
            world.clock.pass_by(2 * HOUR)
            world.flush(tries=3)
            world.runtime.ledger.store.revive()
        assert [export for export in world.exports() if export.state != "sent"] == []
        world.agree()
