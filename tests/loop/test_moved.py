"""Renames: objects stay what they are, wherever they go, and whatever was there before them."""

import copy
from typing import Any

import pytest

from reconciler.config.catalog import catalog_from_text
from reconciler.config.renames import new_address
from reconciler.diagnostics import PlanRefusedError
from reconciler.planning.change import Reason
from reconciler.provider.executor import Ending
from reconciler.sandbox import Settings

from .samples import monthly, simple
from .test_crash import die
from .world import World, actions

PRO = simple()["plans"]["pro"]
GOLD_KEY = "acme.plans.gold.prices.monthly"


def gold(amount: str = "19.00") -> dict[str, Any]:
    """Return the plan under its new name."""
    plan = copy.deepcopy(PRO)
    plan["prices"]["monthly"]["amount"] = amount
    return {"plans": {"gold": plan}, "moved": [{"from": "plans.pro", "to": "plans.gold"}]}


def used_before(settings: Settings) -> tuple[World, str]:
    """Return a world where plans.gold was sold once and is archived, and the id of the price of plans.pro."""
    world = World(settings)
    world.apply({"plans": {"pro": PRO, "gold": {**PRO, "name": "Gold"}}})
    world.apply({"plans": {"pro": PRO}})
    (price,) = world.prices(active=True)
    return world, price.id


def test_a_move_onto_a_used_address_keeps_the_price(settings: Settings) -> None:
    """The archived price that was there gives the lookup key up, and the moved one stays the same object."""
    world, price = used_before(settings)
    plan = world.plan(gold())
    assert actions(plan)[GOLD_KEY.removeprefix("acme.")] == "update"
    assert {change.reason for change in plan.changes if change.kind.name == "price"} == {Reason.MOVED}
    assert world.run(plan).ending is Ending.COMPLETE
    (active,) = world.prices(active=True)
    assert (active.id, active.lookup_key) == (price, GOLD_KEY)
    assert actions(world.plan(gold())) == {}


def test_a_move_with_another_amount_onto_a_used_address(settings: Settings) -> None:
    """A price that is renamed and changed at once is succeeded once, and the successor holds the new key."""
    world, price = used_before(settings)
    assert world.run(world.plan(gold("25"))).ending is Ending.COMPLETE
    (active,) = world.prices(active=True)
    assert (active.unit_amount, active.lookup_key) == (2500, GOLD_KEY)
    assert not world.dashboard.v1.prices.retrieve(price).active
    assert actions(world.plan(gold("25"))) == {}


@pytest.mark.parametrize("amount", ["19.00", "25"], ids=["same", "changed"])
@pytest.mark.parametrize("same_plan", [True, False], ids=["same-plan", "new-plan"])
def test_a_death_during_a_move_is_healed(same_plan: bool, amount: str) -> None:
    """Whichever write it dies at, the next apply ends with one active price under the new key."""
    at = 1
    while True:
        world, _price = used_before(Settings())
        plan = world.plan(gold(amount))
        if not die(world, plan, at, after=True):
            break
        assert world.run(plan if same_plan else world.plan(gold(amount))).ending is Ending.COMPLETE
        (active,) = world.prices(active=True)
        assert active.lookup_key == GOLD_KEY
        assert actions(world.plan(gold(amount))) == {}
        at += 1
    assert at > 2


def test_a_key_that_others_hold_is_not_taken_by_a_move() -> None:
    """An archived price of somebody else keeps its key: the move is a problem to settle."""
    world = World()
    world.apply(simple())
    theirs = {"currency": "usd", "unit_amount": 5, "product_data": {"name": "T"}, "lookup_key": GOLD_KEY}
    foreign = world.dashboard.v1.prices.create(theirs).id
    world.dashboard.v1.prices.update(foreign, {"active": False})
    assert [problem.code for problem in world.propose(gold()).problems] == ["E0701"]


@pytest.mark.parametrize("amount", ["19.00", "25"], ids=["same", "changed"])
def test_a_key_that_is_taken_after_planning_is_not_taken_back(amount: str) -> None:
    """A lookup key that went to a foreign price after the move was planned stops the apply before its first write."""
    world, _price = used_before(Settings())
    plan = world.plan(gold(amount))
    theirs = {"currency": "usd", "unit_amount": 5, "product_data": {"name": "T"}, "lookup_key": GOLD_KEY}
    foreign = world.dashboard.v1.prices.create({**theirs, "transfer_lookup_key": True}).id
    world.sandbox.requests.clear()
    with pytest.raises(PlanRefusedError):
        world.run(plan, catalog=None)
    assert world.writes() == []
    assert world.dashboard.v1.prices.retrieve(foreign).lookup_key == GOLD_KEY


NESTED = [
    [("plans.pro", "plans.gold"), ("plans.gold.prices.monthly", "plans.gold.prices.month")],
    [("plans.pro.prices.monthly", "plans.pro.prices.month"), ("plans.pro", "plans.gold")],
    [("plans.pro", "plans.gold"), ("plans.pro.prices.monthly", "plans.gold.prices.month")],
]


@pytest.mark.parametrize("entries", NESTED, ids=["plan first", "price first", "at once"])
def test_a_plan_and_its_price_move_together(settings: Settings, entries: list[tuple[str, str]]) -> None:
    """However the two renames are written, both objects are kept, and the next plan is empty."""
    world = World(settings)
    world.apply({"plans": {"pro": PRO}})
    (before,) = world.prices(active=True)
    sections = {
        "plans": {"gold": {"name": "Pro", "default_price": "month", "prices": {"month": monthly("19.00")}}},
        "moved": [{"from": source, "to": target} for source, target in entries],
    }
    plan = world.plan(sections)
    assert set(actions(plan).values()) == {"update"}
    assert world.run(plan).ending is Ending.COMPLETE
    (after,) = world.prices(active=True)
    assert (after.id, after.lookup_key) == (before.id, "acme.plans.gold.prices.month")
    assert actions(world.plan(sections)) == {}


def codes(*entries: tuple[str, str]) -> list[str]:
    """Return the codes that renames give beside one plan called c with a price called x."""
    moved = ", ".join(f"{{from: {source}, to: {target}}}" for source, target in entries)
    text = "settings: {namespace: acme}\nplans: {c: {name: C, prices: {x: {amount: 1, interval: month}}}}\n"
    return [each.code for each in catalog_from_text(f"{text}moved: [{moved}]\n")[1]]


def test_renames_in_a_circle_are_refused() -> None:
    """Renames that lead back, also by way of what is above, are refused; a chain that ends somewhere is not."""
    circle = [("plans.a", "plans.b"), ("plans.b.prices.x", "plans.a.prices.x")]
    assert "E0609" in codes(*circle)
    assert codes(("plans.a", "plans.b"), ("plans.b", "plans.c")) == []


def test_a_rename_must_end_at_something() -> None:
    """A chain by way of what is above counts as a whole: its end must be there."""
    assert codes(("plans.a.prices.y", "plans.a.prices.x"), ("plans.a", "plans.c")) == []
    assert codes(("plans.a.prices.y", "plans.a.prices.z"), ("plans.a", "plans.c")) == ["E0608"]


def test_following_a_circle_ends() -> None:
    """Unchecked entries in a circle end the search and do not hang."""
    assert new_address("plans.a.x", {"plans.a": "plans.b", "plans.b": "plans.a"}) == "plans.a.x"
