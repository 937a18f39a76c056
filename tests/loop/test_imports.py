"""The section imports: existing objects are taken over by id, with whatever key they have or lack."""

from typing import Any

import pytest

from reconciler.planning.change import Reason
from reconciler.provider.executor import Ending
from reconciler.sandbox import Settings

from .recorder import Recorder
from .samples import simple
from .world import World, actions

PRICE, PRODUCT = "plans.pro.prices.monthly", "plans.pro"


def hand_made(world: World, **price: Any) -> tuple[str, str]:
    """Make a product with a monthly price as a person does in the dashboard; return their ids."""
    product = world.dashboard.v1.products.create({"name": "Pro", "metadata": {"team": "x"}})
    params = {"product": product.id, "currency": "usd", "unit_amount": 1900, "recurring": {"interval": "month"}}
    made = world.dashboard.v1.prices.create(params | price)  # type: ignore[arg-type]  # plain data
    world.dashboard.v1.products.update(product.id, {"default_price": made.id})
    return product.id, made.id


def named(product: str, price: str, amount: str = "19.00") -> dict[str, Any]:
    """Return files that name the two by id."""
    return simple(amount) | {"imports": [{"to": PRODUCT, "id": product}, {"to": PRICE, "id": price}]}


def test_equal_objects_are_adopted_with_marks_only(settings: Settings) -> None:
    """Named by id, a price without key and its product are marked, nothing else is sent, the next plan is empty."""
    world = World(settings)
    files = named(*hand_made(world))
    plan = world.plan(files)
    assert actions(plan) == {PRODUCT: "adopt", PRICE: "adopt"}
    assert {change.reason for change in plan.changes} == {Reason.IMPORTED}
    recorder = Recorder(world.sandbox.http_client())
    assert world.run(plan, transport=recorder).ending is Ending.COMPLETE
    assert len(recorder.writes) == 2
    assert recorder.only_marks()
    (price,) = world.prices(active=True)
    assert price.lookup_key is None
    assert actions(world.plan(files)) == {}


def test_without_an_entry_the_objects_are_foreign(extremes: Settings) -> None:
    """The control: files that name no id make objects of their own and leave the hand-made ones alone."""
    world = World(extremes)
    hand_made(world)
    assert actions(world.plan(simple())) == {PRODUCT: "create", PRICE: "create"}


def test_an_entry_that_leaves_gives_the_price_its_key(extremes: Settings) -> None:
    """Once the entry is gone, the price is given the key every price of the files has."""
    world = World(extremes)
    files = named(*hand_made(world))
    world.apply(files)
    plan = world.plan(simple())
    assert [(change.address, change.fields) for change in plan.changes] == [(PRICE, ("lookup_key",))]
    world.apply(simple())
    assert actions(world.plan(simple())) == {}


def test_a_successor_is_made_under_the_key_of_its_address(extremes: Settings) -> None:
    """A changed amount replaces the adopted price; its entry is stale then, and the next plan is empty."""
    world = World(extremes)
    product, price = hand_made(world)
    world.apply(named(product, price))
    changed = named(product, price, "25.00")
    plan = world.plan(changed)
    assert actions(plan)[PRICE] == "replace"
    assert {change.reason for change in plan.changes} == {Reason.CONFIG}
    assert world.run(plan).ending is Ending.COMPLETE
    (active,) = world.prices(active=True)
    assert (active.unit_amount, active.lookup_key) == (2500, f"acme.{PRICE}")
    assert not world.dashboard.v1.prices.retrieve(price).active
    assert actions(world.plan(changed)) == {}


def test_an_edit_of_an_adopted_price_is_drift(extremes: Settings) -> None:
    """The mark is bound to the object as it is, without a key, so an edit at Stripe is told from one of the files."""
    world = World(extremes)
    product, price = hand_made(world)
    world.apply(named(product, price))
    world.dashboard.v1.prices.update(price, {"nickname": "edited"})
    (change,) = world.plan(named(product, price)).changes
    assert (change.address, change.reason, change.fields) == (PRICE, Reason.DRIFT, ("nickname",))


def test_another_amount_is_never_taken_over(extremes: Settings) -> None:
    """A price that is not what the files say is not replaced by taking it over; both sides are named."""
    world = World(extremes)
    product, price = hand_made(world)
    (problem,) = world.propose(named(product, price, "25.00")).problems
    assert problem.code == "E0703"
    assert '"1900" there, "2500" here' in problem.summary


def test_a_price_whose_product_is_not_taken_over_says_to_take_that_first(extremes: Settings) -> None:
    """A key finds a price of an unmarked product: the refusal names both plainly, and the command that helps."""
    world = World(extremes)
    product, price = hand_made(world)
    world.dashboard.v1.prices.update(price, {"lookup_key": "gold"})
    files = simple()
    files["plans"]["pro"]["prices"]["monthly"]["lookup_key"] = "gold"
    (problem,) = world.propose(files).problems
    assert problem.code == "E0703"
    assert f"product is {product} there, {PRODUCT} here" in problem.summary
    assert f"`reconciler import {PRODUCT} {product}`" in (problem.help or "")


def test_an_object_of_another_owner_is_refused(extremes: Settings) -> None:
    """An entry does not take what carries another catalogue's mark."""
    world = World(extremes)
    product, price = hand_made(world)
    mark = {"managed_by": "reconciler/other", "address": "plans.theirs"}
    world.dashboard.v1.products.update(product, {"metadata": mark})
    problems = world.propose(named(product, price)).problems
    assert (problems[0].code, product in problems[0].summary) == ("E0701", True)


@pytest.mark.parametrize("fate", ["gone", "archived"])
def test_a_stale_entry_does_no_harm(fate: str, extremes: Settings) -> None:
    """An entry whose object is gone, or archived and superseded, changes nothing."""
    world = World(extremes)
    product, price = hand_made(world)
    world.apply(simple())
    if fate == "archived":
        world.dashboard.v1.products.update(product, {"default_price": ""})
        world.dashboard.v1.prices.update(price, {"active": False})
    entry = price if fate == "archived" else "price_gone"
    files = simple() | {"imports": [{"to": PRICE, "id": entry}]}
    assert actions(world.plan(files)) == {}


def test_a_living_object_beside_the_one_of_the_address_is_a_problem(extremes: Settings) -> None:
    """An entry that asks for a second object at an address is not passed over in silence."""
    world = World(extremes)
    product, _ = hand_made(world)
    world.apply(simple())
    (problem,) = world.propose(simple() | {"imports": [{"to": PRODUCT, "id": product}]}).problems
    assert problem.code == "E0705"


def test_one_object_stands_for_one_address(extremes: Settings) -> None:
    """An object that one entry names by id and a plan by its stripe_id is refused once."""
    world = World(extremes)
    product, _ = hand_made(world)
    plans = {"pro": {"name": "Pro"}, "team": {"name": "Pro", "stripe_id": product}}
    (problem,) = world.propose({"plans": plans, "imports": [{"to": PRODUCT, "id": product}]}).problems
    assert problem.code == "E0705"


def test_what_has_no_natural_key_is_adopted(extremes: Settings) -> None:
    """A tax rate, a coupon under Stripe's own id and a promotion code are taken over by id."""
    world = World(extremes)
    v1 = world.dashboard.v1
    rate = v1.tax_rates.create({"display_name": "VAT", "percentage": 21, "inclusive": False})
    coupon = v1.coupons.create({"percent_off": 10, "duration": "once"})
    code = v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "TEN"})
    files = {
        "tax_rates": {"vat": {"display_name": "VAT", "percentage": "21", "inclusive": False}},
        "coupons": {"ten": {"percent_off": "10"}},
        "promotion_codes": {"ten": {"coupon": "ten", "code": "TEN"}},
        "imports": [
            {"to": "tax_rates.vat", "id": rate.id},
            {"to": "coupons.ten", "id": coupon.id},
            {"to": "promotion_codes.ten", "id": code.id},
        ],
    }
    plan = world.plan(files)
    assert set(actions(plan).values()) == {"adopt"}
    recorder = Recorder(world.sandbox.http_client())
    assert world.run(plan, transport=recorder).ending is Ending.COMPLETE
    assert recorder.only_marks()
    assert actions(world.plan(files)) == {}


def test_what_is_honoured_but_no_longer_sold_is_adopted_archived(extremes: Settings) -> None:
    """An archived product and price without a key, named for a legacy plan, are marked and stay archived."""
    world = World(extremes)
    product, price = hand_made(world)
    world.dashboard.v1.products.update(product, {"default_price": ""})
    world.dashboard.v1.prices.update(price, {"active": False})
    world.dashboard.v1.products.update(product, {"active": False})
    files = named(product, price)
    files["plans"]["pro"]["status"] = "legacy"
    plan = world.plan(files)
    assert actions(plan) == {PRODUCT: "adopt", PRICE: "adopt"}
    recorder = Recorder(world.sandbox.http_client())
    assert world.run(plan, transport=recorder).ending is Ending.COMPLETE
    assert recorder.only_marks()
    assert actions(world.plan(files)) == {}
