"""A key that a deleted or archived object keeps taken: the next object is made under a second key, each time anew."""

from typing import Any

import pytest

from reconciler.provider.executor import Ending
from reconciler.sandbox import Fault, Settings

from .test_crash import die
from .world import World, actions

TAKEN = Settings(deleted_id_reusable=False, archived_feature_frees_key=False)
SECTIONS: dict[str, Any] = {
    "features": {"x": {"name": "X"}},
    "coupons": {"c": {"percent_off": "10"}},
    "plans": {"bare": {"name": "Bare", "features": ["x"]}},
}


def removed(world: World) -> None:
    """Remove everything: by the files what they can remove for good, the product in the dashboard."""
    world.apply({})
    client = world.dashboard.v1
    for product in client.products.list({"limit": 100}).data:
        for attachment in client.products.features.list(product.id).data:
            client.products.features.delete(product.id, attachment.id)
        client.products.delete(product.id)


def test_what_leaves_can_return_as_often_as_it_likes() -> None:
    """Five times removed and made again under used-up keys, each time it is made whole and the next plan is empty."""
    world = World(TAKEN)
    ids = set()
    for _ in range(5):
        world.apply(SECTIONS)
        assert actions(world.plan(SECTIONS)) == {}
        (coupon,) = world.dashboard.v1.coupons.list().data
        (product,) = world.dashboard.v1.products.list({"active": True}).data
        (feature,) = world.dashboard.v1.entitlements.features.list({"archived": False}).data
        ids |= {coupon.id, product.id, feature.lookup_key}
        removed(world)
    assert len(ids) == 15


def test_a_replaced_coupon_goes_there_and_back() -> None:
    """A coupon whose terms go there and back uses up an id each time, and gets another each time."""
    world = World(TAKEN)
    for percent in ("10", "20", "10", "20", "10", "20"):
        sections = {"coupons": {"c": {"percent_off": percent}}}
        world.apply(sections)
        (coupon,) = world.dashboard.v1.coupons.list().data
        assert coupon.percent_off == float(percent)
        assert actions(world.plan(sections)) == {}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("same_plan", [True, False], ids=["same-plan", "new-plan"])
def test_a_death_while_keys_are_used_up_is_healed(same_plan: bool, after: bool) -> None:
    """Whichever write it dies at, the next apply ends with one object of each kind."""
    at = 1
    while True:
        world = World(TAKEN)
        world.apply(SECTIONS)
        removed(world)
        plan = world.plan(SECTIONS)
        if not die(world, plan, at, after=after):
            break
        report = world.run(plan if same_plan else world.plan(SECTIONS))
        assert report.ending is Ending.COMPLETE, (at, report.failures)
        assert actions(world.plan(SECTIONS)) == {}
        assert len(world.dashboard.v1.coupons.list().data) == 1
        assert len(world.dashboard.v1.products.list({"active": True}).data) == 1
        assert len(world.dashboard.v1.entitlements.features.list({"archived": False}).data) == 1
        at += 1
    assert at > 6


def test_the_same_plan_finds_a_key_after_a_purge() -> None:
    """A plan whose objects were deleted after it was applied makes them again when it is applied again."""
    world = World(TAKEN)
    plan = world.plan({"coupons": {"c": {"percent_off": "10"}}})
    for _ in range(2):
        assert world.run(plan).ending is Ending.COMPLETE
        (coupon,) = world.dashboard.v1.coupons.list().data
        world.dashboard.v1.coupons.delete(coupon.id)


@pytest.mark.parametrize("name", ["summer", "acme_summer"])
def test_a_key_that_was_named_is_never_another(name: str) -> None:
    """An id the files name is used as it stands: where it is used up, the apply says so and makes nothing else."""
    world = World(TAKEN)
    sections = {"coupons": {"c": {"percent_off": "10", "stripe_id": name}}}
    world.apply(sections)
    world.apply({})
    report = world.run(world.plan(sections))
    assert report.ending is Ending.NOTHING
    assert world.dashboard.v1.coupons.list().data == []


def test_each_key_is_a_request_of_its_own() -> None:
    """A run in which the key is found used up at another attempt than in the run before is not taken for that one."""
    world = World(TAKEN)
    sections = {"coupons": {"c": {"percent_off": "10"}}}
    world.apply(sections)
    world.apply({})
    plan = world.plan(sections)
    for nth in range(1, 9):
        world.sandbox.faults.add(Fault(method="POST", nth=nth, kind="error", status=500, when="before"))
    assert world.run(plan).ending is Ending.COMPLETE
    world.dashboard.v1.coupons.delete(world.dashboard.v1.coupons.list().data[0].id)
    assert world.run(plan).ending is Ending.COMPLETE
