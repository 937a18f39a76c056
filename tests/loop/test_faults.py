"""Answers that get lost, failures that Stripe remembers, limits and conflicts: each write still happens once."""

from collections.abc import Iterable
from typing import Any

import pytest

from reconciler.provider.executor import Ending
from reconciler.provider.writes import Status
from reconciler.sandbox import Fault

from .samples import everything, simple
from .test_crash import changed, settled
from .world import World, actions

WRITES = 31
#: Every way in which a single request can go wrong and still be worth another try.
PASSING: dict[str, dict[str, Any]] = {
    "lost before": {"kind": "drop_before"},
    "lost after": {"kind": "drop_after"},
    "500 before": {"kind": "error", "status": 500, "when": "before"},
    "500 instead, remembered": {"kind": "error", "status": 500, "when": "instead"},
    "500 after, remembered": {"kind": "error", "status": 500, "when": "after"},
    "503 before": {"kind": "error", "status": 503, "when": "before"},
    "429": {"kind": "error", "status": 429, "code": "rate_limit", "when": "before"},
    "429 lock": {"kind": "error", "status": 429, "code": "lock_timeout", "when": "before"},
    "409": {"kind": "error", "status": 409, "when": "before"},
}


@pytest.mark.parametrize("name", PASSING)
def test_a_write_survives_a_fault(name: str) -> None:
    """At whatever write it strikes, the apply is complete, nothing is doubled and the next plan is empty."""
    survive(name, range(1 + len(name) % 7, WRITES, 15))


@pytest.mark.soak
@pytest.mark.parametrize("name", PASSING)
def test_many_writes_survive_a_fault(name: str) -> None:
    """The same for every other write, odd ones or even ones by the fault."""
    survive(name, range(1 + len(name) % 2, WRITES, 2))


def survive(name: str, writes: Iterable[int]) -> None:
    """Strike each of these writes in a world of its own, and check what must hold after."""
    for nth in writes:
        world = World()
        world.apply(everything())
        plan = world.plan(changed())
        world.sandbox.faults.add(Fault(method="POST", nth=nth, **PASSING[name]))
        report = world.run(plan, threads=1)
        world.sandbox.faults.clear()
        assert report.ending is Ending.COMPLETE, (nth, [(item.step.label, item.message) for item in report.failures])
        settled(world)


def test_a_storm_of_limits_passes() -> None:
    """When a third of all writes are limited, everything is still written once (one thread: chance is seeded)."""
    world = World()
    world.sandbox.faults.add(Fault(method="POST", probability=0.35, kind="error", status=429, when="before"))
    assert world.run(world.plan(everything()), threads=1).ending is Ending.COMPLETE
    world.sandbox.faults.clear()
    assert actions(world.plan(everything())) == {}


@pytest.mark.parametrize(("status", "code"), [(401, None), (403, None), (400, "parameter_unknown")])
def test_a_refusal_ends_the_apply(status: int, code: str | None) -> None:
    """A definitive refusal in the middle stops what has not begun, and the same plan is finished once it is lifted."""
    world = World()
    plan = world.plan(everything())
    world.sandbox.faults.add(
        Fault(method="POST", path="/v1/prices", nth=2, kind="error", status=status, code=code, when="before")
    )
    report = world.run(plan, threads=1)
    assert report.ending is Ending.PARTLY
    assert [item.status for item in report.failures] == [Status.FAILED]
    world.sandbox.faults.clear()
    assert world.run(plan).ending is Ending.COMPLETE
    assert actions(world.plan(everything())) == {}


def test_a_refusal_of_the_first_write_leaves_nothing() -> None:
    """When nothing was written, the apply says so."""
    world = World()
    plan = world.plan(simple())
    world.sandbox.faults.add(Fault(method="POST", kind="error", status=403, every=1, when="before"))
    assert world.run(plan).ending is Ending.NOTHING


def test_a_resumed_apply_that_fails_is_still_partial() -> None:
    """Parts that an earlier run wrote count: the account does hold a part of the plan."""
    world = World()
    plan = world.plan(simple())
    world.sandbox.faults.add(Fault(method="POST", path="/v1/prices", kind="error", status=403, every=1, when="before"))
    assert world.run(plan).ending is Ending.PARTLY
    assert world.run(plan).ending is Ending.PARTLY


def test_an_answer_that_never_comes_is_uncertain() -> None:
    """When no write is ever answered, the apply claims neither that it failed nor that it happened."""
    world = World()
    plan = world.plan(simple())
    world.sandbox.faults.add(Fault(method="POST", kind="drop_before", every=1))
    report = world.run(plan)
    assert [item.status for item in report.failures] == [Status.UNCERTAIN]
    world.sandbox.faults.clear()
    assert world.run(plan).ending is Ending.COMPLETE
