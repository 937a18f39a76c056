"""What a plan calls things that leave: attachments by their feature, meters by what happens to their events."""

from typing import Any

import pytest

from reconciler.planning.change import Reason
from reconciler.planning.drift import select_drift
from reconciler.planning.guards import check_guards
from reconciler.provider.executor import Ending
from reconciler.sandbox import Settings

from .samples import simple
from .world import World, actions, catalog_of

ATTACHED = "plans.pro.features.support"


def featured(*features: str) -> dict[str, Any]:
    """Return a plan that grants these features, which are all there are."""
    sections = simple()
    sections["features"] = {name: {"name": name.title()} for name in features}
    sections["plans"]["pro"]["features"] = list(features)
    return sections


def test_an_attachment_that_leaves_with_its_feature_is_named_by_it(settings: Settings) -> None:
    """The plan names it by the feature's address, not by an id, and the apply removes both."""
    world = World(settings)
    world.apply(featured("support", "export"))
    plan = world.plan(featured("export"))
    assert actions(plan)[ATTACHED] == actions(plan)["features.support"] == "retire"
    assert world.run(plan).ending is Ending.COMPLETE
    assert actions(world.plan(featured("export"))) == {}


def test_an_attachment_of_a_doubled_feature_moves(settings: Settings) -> None:
    """Where the attached feature is a second object of its address, the other is attached and the second one leaves."""
    world = World(settings)
    world.apply(featured("support"))
    client = world.dashboard.v1
    (attachment,) = client.products.features.list("acme_plan_pro").data
    mark = {"managed_by": "reconciler/acme", "address": "features.support"}
    twin = client.entitlements.features.create({"name": "Support", "lookup_key": "twin", "metadata": mark})
    client.products.features.delete("acme_plan_pro", attachment.id)
    client.products.features.create("acme_plan_pro", {"entitlement_feature": twin.id})
    plan = world.plan(featured("support"))
    made, left = (change for change in plan.changes if change.address == ATTACHED)
    assert (made.action, left.action, left.reason) == ("create", "retire", Reason.STRAY)
    assert world.run(plan).ending is Ending.COMPLETE
    assert actions(world.plan(featured("support"))) == {}


def metered(event_name: str | None) -> dict[str, Any]:
    """Return a plan with a metered price on a meter with this event name, or on one of our own."""
    meter = {"name": "Calls"} | ({"event_name": event_name} if event_name else {})
    usage = {"calls": {"overage": {"unit_amount": "1"}}}
    return {"meters": {"calls": meter}, "plans": {"pro": {"name": "Pro", "usage": usage}}}


def adopted() -> World:
    """Return a world whose meter was there before the files took it over."""
    world = World()
    params = {"display_name": "Calls", "event_name": "theirs", "default_aggregation": {"formula": "sum"}}
    world.dashboard.v1.billing.meters.create(params)  # type: ignore[arg-type]  # plain data
    world.apply(metered("theirs"))
    return world


@pytest.mark.parametrize(
    ("before", "after", "address"),
    [("theirs", None, "theirs"), ("theirs", "others", "theirs"), (None, "others", "meters.calls")],
    ids=["name dropped", "name changed", "name given"],
)
def test_a_meter_whose_name_changes_is_guarded(before: str | None, after: str | None, address: str) -> None:
    """A meter left behind by its name is deactivated only when that is allowed, and then the next plan is empty."""
    world = adopted() if before else World()
    world.apply(metered(before))
    plan = world.plan(metered(after))
    (refusal,) = check_guards(plan, catalog_of(metered(after)).file.guards)
    assert refusal.allow == f"event_name:{address}"
    assert not select_drift(plan).edited
    assert not select_drift(plan).strays
    assert world.run(plan).ending is Ending.COMPLETE
    assert actions(world.plan(metered(after))) == {}


def test_a_meter_that_leaves_under_our_own_name_is_not_guarded() -> None:
    """The control of the guard: a meter of ours that left the files retires as everything does."""
    world = World()
    world.apply(metered(None))
    plan = world.plan({})
    assert actions(plan)["meters.calls"] == "retire"
    assert check_guards(plan, catalog_of({}).file.guards) == []
