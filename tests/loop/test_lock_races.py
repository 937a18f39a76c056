"""Scenario e and F5: two applies at once, and an apply against somebody in the dashboard, request by request."""

import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import stripe

from reconciler.diagnostics import LockedError, PlanRefusedError
from reconciler.planning.lock import TERM
from reconciler.planning.plan import Plan
from reconciler.provider.executor import Ending, Report
from reconciler.sandbox import Settings

from .samples import monthly
from .test_drift import EDITS, NAMED, catalogue, edit
from .test_edits import held
from .turns import Turns, one_by_one
from .world import KEY, World

__all__ = ["one_by_one"]
pytestmark = pytest.mark.usefixtures("one_by_one")
Sections = dict[str, Any]
SETTINGS = [Settings(deleted_id_reusable=True), Settings(deleted_id_reusable=False)]


def sold(amount: str, name: str) -> Sections:
    """Return a catalogue in which everything depends on who wrote it."""
    prices = {"monthly": monthly(amount), "annual": {"amount": f"{amount}0", "interval": "year"}}
    return {
        "plans": {"pro": {"name": name, "default_price": "monthly", "prices": prices}},
        "coupons": {"launch": {"name": name, "percent_off": "10"}},
    }


FIRST, ONE, TWO = sold("10", "Zero"), sold("11", "One"), sold("12", "Two")


def race(seed: int, settings: Settings, *, locked: bool, ticks: int = 0) -> tuple[World, dict[str, Any]]:
    """Let two plans for different files be applied at once to an account that holds a third state.

    ``ticks`` is how often half a minute passes meanwhile.
    """
    world = World(settings)
    world.locked(world.plan(FIRST), threads=1)
    plans = {"one": world.plan(ONE), "two": world.plan(TWO)}

    def applies(name: str, plan: Plan) -> Any:
        if locked:
            return lambda transport: world.locked(plan, name=name, transport=transport, threads=1)
        return lambda transport: world.run(plan, transport=transport, threads=1)

    def passes(_transport: stripe.HTTPClient) -> None:
        for _ in range(ticks):
            turns.wait("time", "", "")
            world.clock.now += 30

    turns = Turns(seed, world.sandbox.http_client, world.clock)
    actors = {name: applies(name, plan) for name, plan in plans.items()}
    results = turns.play({**actors, "time": passes} if ticks else actors)
    results.pop("time", None)
    return world, results


def complete(results: dict[str, Any]) -> list[str]:
    """Name the applies that say all is done."""
    return [
        name
        for name, result in results.items()
        if isinstance(result, Report) and result.ending is Ending.COMPLETE and result.cause is None
    ]


def doubled(world: World) -> bool:
    """Tell whether two living prices are of one address."""
    addresses = [price.metadata["address"] for price in world.prices(active=True)]
    return len(set(addresses)) < len(addresses)


def mixed(world: World, winner: str | None) -> bool:
    """Tell whether the account holds something else than what the winner's files say."""
    proposal = world.propose({"one": ONE, "two": TWO}.get(winner or "", FIRST))
    return bool(proposal.problems or proposal.plan.changes)


def serialises(seed: int, settings: Settings) -> None:
    """Race, and check that one apply won, the other was told why it did not, and nothing is left of the race."""
    world, results = race(seed, settings, locked=True)
    (winner,) = complete(results)
    (other,) = (result for name, result in results.items() if name != winner)
    assert isinstance(other, LockedError | PlanRefusedError), (seed, other)
    assert not doubled(world), seed
    assert not mixed(world, winner), seed
    latest = world.locks().latest
    assert latest is not None, seed
    assert latest.released, seed


def takes_over(seed: int, settings: Settings) -> bool:
    """Race while more than a term passes; tell whether a lock was lost.

    Whoever is stalled stops before its term ends; whoever comes after either finds the account as planned or refuses.
    """
    world, results = race(seed, settings, locked=True, ticks=40)
    winners = complete(results)
    assert len(winners) < 2, (seed, results)
    if winners:
        assert not doubled(world), (seed, results)
        assert not mixed(world, winners[0]), (seed, results)
    world.clock.now += TERM
    final = world.locked(world.plan(FIRST))
    assert (final.ending, final.cause) == (Ending.COMPLETE, None), seed
    assert not doubled(world), seed
    assert not mixed(world, None), seed
    return any(isinstance(result, Report) and result.cause is not None for result in results.values())


@pytest.mark.parametrize("settings", SETTINGS, ids=["reusable", "not reusable"])
def test_two_applies_are_one_after_the_other_or_one_is_refused(settings: Settings) -> None:
    """In whatever order their requests come, one apply is whole and the other ends with 5 or 6; never a mixture."""
    for seed in range(12):
        serialises(seed, settings)


def test_a_stalled_apply_gives_way() -> None:
    """Where a term passes in the middle, no two applies mix, and what was left half done is finished by the next."""
    assert sum(takes_over(seed, Settings()) for seed in range(10))


@pytest.mark.soak
@pytest.mark.parametrize("settings", SETTINGS, ids=["reusable", "not reusable"])
def test_many_races(settings: Settings) -> None:
    """The same for many more orders."""
    for seed in range(120):
        serialises(seed, settings)
        if seed % 4 == 0:
            takes_over(seed, settings)


def test_without_the_lock_the_same_races_corrupt() -> None:
    """The control: without the lock two applies leave two prices of an address, or a mixture, or both say success."""
    spoiled = []
    for seed in range(14):
        world, results = race(seed, Settings(), locked=False)
        winners = complete(results)
        if doubled(world) or mixed(world, winners[0] if len(winners) == 1 else None):
            spoiled.append(seed)
    assert spoiled


def test_a_race_is_the_same_every_time() -> None:
    """One seed is one order of requests."""

    def order() -> list[str]:
        world, _results = race(7, Settings(), locked=True)
        return [path for _method, path, _status in world.sandbox.requests]

    assert order() == order()


#: Every edit of every managed field, and the archiving or deletion of each kind.
ALL = [(kind, fields) for kind, edits in EDITS.items() for fields in edits]


#: Edits of the very field that the apply changes in that object.
WRITTEN: list[Any] = [{"name": "Edited"}, {"nickname": "Edited"}, {"display_name": "Edited"}]


def renamed() -> Sections:
    """Return the catalogue with a change to each object that is edited."""
    sections = catalogue()
    sections["meters"]["tokens"]["name"] = "Renamed"
    sections["features"]["export"]["name"] = "Renamed"
    sections["plans"]["pro"]["name"] = "Renamed"
    sections["plans"]["pro"]["prices"]["annual"]["nickname"] = "Renamed"
    sections["coupons"]["five"]["name"] = "Renamed"
    sections["tax_rates"]["vat"]["display_name"] = "Renamed"
    sections["promotion_codes"]["launch20"]["metadata"] = {"line": "renamed"}
    return sections


class Rush:
    """An account that an apply and an edit in the dashboard reach for at once, prepared once."""

    def __init__(self) -> None:
        self.world = World()
        self.world.locked(self.world.plan(catalogue()))
        self._objects = {kind: held(self.world)[name]["id"] for kind, name in NAMED.items()}
        self._plan = self.world.plan(renamed())
        self._image = self.world.sandbox.state.save()

    def is_lost(self, seed: int | None, kind: str, fields: dict[str, Any] | None) -> bool:
        """Rush; tell whether the edit is gone and nobody was told, neither by this apply nor by the next plan.

        Without a seed the edit comes right between the apply's look at the object and its write.
        """
        world, target = self.world, self._objects[kind]
        world.sandbox.state.load(self._image)
        account = world.sandbox.http_client
        turns = Turns(seed, account) if seed is not None else Between(target, account)

        def edits(transport: stripe.HTTPClient) -> None:
            client = stripe.StripeClient(KEY, http_client=transport)
            edit(SimpleNamespace(dashboard=client), kind, target, fields)  # type: ignore[arg-type]  # all it needs

        def applies(transport: stripe.HTTPClient) -> Report:
            return world.locked(self._plan, transport=transport, threads=1)

        results = turns.play({"apply": applies, "edit": edits})
        assert not isinstance(results["edit"], Exception), results
        latest = world.locks().latest
        assert latest is not None
        assert latest.released
        assert not doubled(world)
        result = results["apply"]
        if not isinstance(result, Report):
            assert isinstance(result, PlanRefusedError), result
            return False
        lost = not result.failures and not world.plan(renamed()).changes
        assert not lost or between_look_and_write(turns, target), (seed, kind, fields, turns.log)
        return lost


class Between(Turns):
    """Lets the edit wait until the apply has looked at the object that it writes next."""

    def __init__(self, target: str, account: Callable[[], stripe.HTTPClient]) -> None:
        super().__init__(0, account)
        self._target = target

    def draw(self, waiting: Sequence[str]) -> str:
        """Give the turn to the edit in that moment alone."""
        looked = self.log[-1:] and self.log[-1][1] == "GET" and self.log[-1][2].endswith(self._target)
        return "edit" if "edit" in waiting and (looked or waiting == ["edit"]) else "apply"


def between_look_and_write(turns: Turns, target: str) -> bool:
    """Tell whether the edit came right between the apply's look at the object and its write of it."""
    at = next(index for index, (who, _method, _path) in enumerate(turns.log) if who == "edit")
    before = next(step for step in reversed(turns.log[:at]) if step[0] == "apply")
    after = next(step for step in turns.log[at:] if step[0] == "apply")
    return before[1:] == ("GET", after[2]) and after[1] == "POST" and after[2].endswith(target)


def test_an_edit_meanwhile_is_told() -> None:
    """An edit of any field at any moment of an apply is refused, reported, or found by the next plan."""
    rush, draw = Rush(), random.Random("edits")
    for seed in range(12):
        rush.is_lost(seed, *draw.choice(ALL))


@pytest.mark.soak
def test_many_edits_meanwhile_are_told() -> None:
    """The same for every edit at several moments."""
    rush = Rush()
    for seed in range(8):
        for kind, fields in ALL:
            rush.is_lost(seed, kind, fields)


def test_only_the_written_field_itself_can_be_lost_in_between() -> None:
    """Right between look and write, where Stripe has no compare-and-set, an edit of another field is still told."""
    rush = Rush()
    lost = [(kind, fields) for kind, fields in ALL if rush.is_lost(None, kind, fields)]
    assert lost == [(kind, fields) for kind, fields in ALL if fields in WRITTEN]
