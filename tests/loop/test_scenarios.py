"""What holds between a catalogue and an account, however the open points of Stripe turn out."""

from decimal import Decimal
from typing import Any

import pytest

from reconciler.diagnostics import PlanRefusedError, ProviderError
from reconciler.planning.change import Reason
from reconciler.provider.executor import Ending
from reconciler.provider.writes import Status
from reconciler.sandbox import Settings

from .samples import everything, monthly, simple
from .world import World, actions


def test_apply_then_plan_is_empty(settings: Settings) -> None:
    """Everything the language can say about Stripe is applied once, and the next plan has no change."""
    world = World(settings)
    report = world.apply(everything())
    assert report.count(Status.APPLIED) == report.total
    assert actions(world.plan(everything())) == {}


def test_second_apply_writes_nothing(settings: Settings) -> None:
    """Scenario a: applying again what is applied sends not one write."""
    world = World(settings)
    world.apply(everything())
    world.sandbox.requests.clear()
    world.apply(everything())
    assert world.writes() == []


def test_price_goes_there_and_back(settings: Settings) -> None:
    """Scenario b: A, B, A, B within one idempotency window leaves one active price with amount B and the key."""
    world = World(settings)
    for amount in ("10", "12", "10", "12"):
        world.apply(simple(amount))
    (active,) = world.prices(active=True)
    assert (active.unit_amount, active.lookup_key) == (1200, "acme.plans.pro.prices.monthly")
    assert world.dashboard.v1.products.retrieve("acme_plan_pro").default_price == active.id


def test_the_same_drift_is_healed_each_time(settings: Settings) -> None:
    """Scenario c: the same edit in the dashboard is seen and healed as often as it is made."""
    world = World(settings)
    world.apply(simple())
    for _ in range(3):
        world.dashboard.v1.products.update("acme_plan_pro", {"name": "Edited"})
        plan = world.plan(simple())
        (change,) = plan.changes
        assert (change.address, change.reason) == ("plans.pro", Reason.DRIFT)
        assert world.run(plan).ending is Ending.COMPLETE
        assert world.dashboard.v1.products.retrieve("acme_plan_pro").name == "Pro"


def test_a_moved_account_refuses_a_saved_plan(settings: Settings) -> None:
    """Scenario f: an object changed after the plan is named, and nothing is written."""
    world = World(settings)
    world.apply(simple())
    plan = world.plan(simple("20"))
    world.dashboard.v1.products.update("acme_plan_pro", {"name": "Edited"})
    world.sandbox.requests.clear()
    with pytest.raises(PlanRefusedError) as caught:
        world.run(plan)
    assert "plans.pro" in " ".join(caught.value.details)
    assert world.writes() == []


def test_an_unmoved_account_takes_the_saved_plan(settings: Settings) -> None:
    """The control of the refusal above: untouched, the same plan applies."""
    world = World(settings)
    world.apply(simple())
    assert world.run(world.plan(simple("20"))).ending is Ending.COMPLETE


def test_a_plan_applied_twice_is_applied_once(settings: Settings) -> None:
    """Applying the same plan file again finds everything done."""
    world = World(settings)
    plan = world.plan(everything())
    world.run(plan)
    world.sandbox.requests.clear()
    again = world.run(plan)
    assert again.ending is Ending.COMPLETE
    assert again.count(Status.ALREADY) == again.total
    assert world.writes() == []


def test_a_purged_catalogue_is_made_again(settings: Settings) -> None:
    """Scenario h: what was deleted at Stripe is created again for real, not replayed from memory."""
    world = World(settings)
    sections = {"plans": {"bare": {"name": "Bare"}}, "coupons": {"c": {"percent_off": "10"}}}
    first = world.plan(sections)
    world.run(first)
    world.dashboard.v1.products.delete("acme_plan_bare")
    world.dashboard.v1.coupons.delete("acme_coupon_c")
    assert actions(world.plan(sections)) == {"plans.bare": "create", "coupons.c": "create"}
    world.apply(sections)
    (product,) = world.dashboard.v1.products.list({"active": True}).data
    (coupon,) = world.dashboard.v1.coupons.list().data
    assert product.metadata["address"] == "plans.bare"
    assert coupon.metadata["address"] == "coupons.c"
    assert actions(world.plan(sections)) == {}


def test_the_same_plan_makes_a_purged_object_again(settings: Settings) -> None:
    """Scenario h and r: a plan applied again after its object was deleted does not believe the stored answer."""
    world = World(settings)
    plan = world.plan({"plans": {"bare": {"name": "Bare"}}})
    world.run(plan)
    world.dashboard.v1.products.delete("acme_plan_bare")
    report = world.run(plan)
    assert report.ending is Ending.COMPLETE
    assert [product.name for product in world.dashboard.v1.products.list().data] == ["Bare"]


def test_a_renamed_plan_keeps_its_objects(settings: Settings) -> None:
    """Scenario i: with a moved entry nothing is created or retired, and the plan after is empty."""
    world = World(settings)
    world.apply(everything())
    renamed = everything()
    renamed["plans"]["professional"] = renamed["plans"].pop("pro")
    renamed["coupons"]["launch"]["applies_to"] = ["plans.professional"]
    renamed["payment_links"]["pro"]["items"][0] = {"plan": "professional"}
    renamed["portal"]["subscription_update"]["plans"][0] = "professional"
    renamed["moved"] = [{"from": "plans.pro", "to": "plans.professional"}]
    plan = world.plan(renamed)
    assert set(actions(plan).values()) == {"update"}
    assert {change.reason for change in plan.changes} == {Reason.MOVED}
    assert world.run(plan).ending is Ending.COMPLETE
    assert actions(world.plan(renamed)) == {}


def test_a_rename_without_moved_replaces(settings: Settings) -> None:
    """The control of the rename above: without the moved entry the old objects retire and new ones are made."""
    world = World(settings)
    world.apply(simple())
    plan = world.plan({"plans": {"gold": simple()["plans"]["pro"]}})
    assert set(actions(plan).values()) == {"create", "retire"}


def test_reads_grow_with_pages(extremes: Settings) -> None:
    """Scenario l: 250 products and 250 prices are read in at most 15 requests, all kinds and the account included."""
    world = World(extremes)
    plans = {f"p{number}": {"name": f"P{number}", "prices": {"m": monthly("5")}} for number in range(250)}
    world.apply({"plans": plans})
    world.sandbox.requests.clear()
    assert actions(world.plan({"plans": plans})) == {}
    assert len(world.sandbox.requests) <= 15


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [
        ("usd", 0.005, "0.5"),
        ("usd", 0.0008, "0.08"),
        ("usd", "0.00000000000001", "0.000000000001"),
        ("usd", 1.10, "110"),
        ("jpy", 100, "100"),
        ("kwd", 1.234, "1234"),
        ("ugx", 100, "10000"),
    ],
)
def test_amounts_arrive_exactly(currency: str, amount: Any, minor: str) -> None:
    """Stripe holds the decimal that the file writes, plain or quoted, in minor units of the currency."""
    price = {"amount": amount, "interval": "month", "currency": currency}
    world = World()
    world.apply({"plans": {"pro": {"name": "Pro", "prices": {"monthly": price}}}})
    (held,) = world.prices(active=True)
    assert held.unit_amount_decimal == Decimal(minor)


def test_the_default_price_moves_first(settings: Settings) -> None:
    """Scenario n: a replaced default price is succeeded before it is archived; Stripe never refuses."""
    world = World(settings)
    world.apply(simple("10"))
    (old,) = world.prices(active=True)
    world.apply(simple("11"))
    (new,) = world.prices(active=True)
    assert world.dashboard.v1.products.retrieve("acme_plan_pro").default_price == new.id
    assert not world.dashboard.v1.prices.retrieve(old.id).active


CLEARED = [
    "description",
    "images",
    "marketing_features",
    "statement_descriptor",
    "tax_code",
    "unit_label",
    "url",
    "metadata",
]


@pytest.mark.parametrize("name", CLEARED)
def test_an_optional_field_that_leaves_is_cleared(extremes: Settings, name: str) -> None:
    """Scenario o: an optional attribute that leaves the files is cleared at Stripe, and the next plan is empty."""
    if name == "statement_descriptor" and not extremes.blank_text_unsets:
        pytest.skip("this setting refuses to clear it, which a test of its own covers")
    world = World(extremes)
    sections = {"plans": {"pro": everything()["plans"]["pro"]}, "features": everything()["features"]}
    sections |= {"meters": everything()["meters"], "tiers": everything()["tiers"]}
    world.apply(sections)
    del sections["plans"]["pro"][name]
    plan = world.plan(sections)
    assert actions(plan) == {"plans.pro": "update"}
    world.run(plan)
    live = world.dashboard.v1.products.retrieve("acme_plan_pro").to_dict()
    if name == "metadata":
        assert "line" not in live["metadata"]
    else:
        assert not live[name]
    assert actions(world.plan(sections)) == {}


def test_metadata_of_others_is_kept(settings: Settings) -> None:
    """Own metadata keys are removed when they leave the files; a key somebody else has set stays."""
    world = World(settings)
    sections = simple()
    sections["plans"]["pro"]["metadata"] = {"mine": "1", "also": "2"}
    world.apply(sections)
    world.dashboard.v1.products.update("acme_plan_pro", {"metadata": {"theirs": "3"}})
    assert actions(world.plan(sections)) == {}
    sections["plans"]["pro"]["metadata"] = {"also": "2"}
    world.apply(sections)
    metadata = world.dashboard.v1.products.retrieve("acme_plan_pro").to_dict()["metadata"]
    assert metadata["theirs"] == "3"
    assert "mine" not in metadata


def test_foreign_objects_stay_as_they_are(settings: Settings) -> None:
    """Scenario p: objects without our mark, and those of another namespace, are counted and stay byte-identical."""
    world = World(settings)
    client = world.dashboard.v1
    product = client.products.create(
        {"name": "Theirs", "metadata": {"managed_by": "reconciler/other", "address": "plans.pro"}}
    )
    client.prices.create({"product": product.id, "currency": "usd", "unit_amount": 100, "lookup_key": "theirs"})
    client.coupons.create({"percent_off": 5})
    client.billing.meters.create(
        {"display_name": "T", "event_name": "theirs", "default_aggregation": {"formula": "sum"}}
    )
    client.entitlements.features.create({"name": "T", "lookup_key": "theirs"})
    client.tax_rates.create({"display_name": "T", "percentage": 5, "inclusive": True})

    def foreign() -> list[Any]:
        lists = (
            client.products,
            client.prices,
            client.coupons,
            client.billing.meters,
            client.entitlements.features,
            client.tax_rates,
        )
        objects = [item.to_dict(for_json=True) for listing in lists for item in listing.list({"limit": 100}).data]
        return [
            item
            for item in objects
            if item.get("metadata", {}).get("managed_by") != "reconciler/acme"
            and not str(item.get("event_name", "")).startswith("acme.")
        ]

    before = foreign()
    assert len(before) == 6
    world.apply(everything())
    plan = world.plan({})
    assert plan.foreign == {"coupon": 1, "feature": 1, "meter": 1, "price": 1, "product": 1, "tax_rate": 1}
    world.run(plan)
    assert foreign() == before


def test_everything_that_leaves_retires_and_stays_retired(settings: Settings) -> None:
    """Emptied files retire every object of ours, and the plan after is empty: retirement is final and quiet."""
    world = World(settings)
    world.apply(everything())
    world.apply({})
    assert actions(world.plan({})) == {}
    assert world.prices(active=True) == []
    assert world.dashboard.v1.products.list({"active": True}).data == []
    assert world.dashboard.v1.billing.meters.list({"status": "active"}).data == []


def test_what_retired_comes_back(settings: Settings) -> None:
    """A catalogue that was emptied and filled again ends as it began, and the plan after is empty."""
    world = World(settings)
    world.apply(everything())
    world.apply({})
    world.apply(everything())
    assert actions(world.plan(everything())) == {}
    assert len(world.prices(active=True)) == 13


def test_planning_cannot_write() -> None:
    """The transport of a plan refuses a write before it is sent."""
    world = World()
    with pytest.raises(ProviderError):
        world.gateway(read_only=True).post("/v1/products", {"name": "x"}, "key")
    assert world.writes() == []


def test_a_writing_gateway_can_write() -> None:
    """The control of the refusal above: the same request goes through the ordinary transport."""
    world = World()
    world.gateway().post("/v1/products", {"name": "x"}, "key")
    assert world.writes() == [("POST", "/v1/products")]


def test_a_replayed_answer_is_not_believed(settings: Settings) -> None:
    """Scenario r: a stored answer for an object that is gone is read back, and the object is made for real."""
    world = World(settings)
    plan = world.plan({"features": {"x": {"name": "X"}}})
    world.run(plan)
    (feature,) = world.dashboard.v1.entitlements.features.list().data
    world.dashboard.v1.entitlements.features.update(feature.id, {"active": False})
    report = world.run(plan)
    assert report.ending is Ending.COMPLETE
    (alive,) = world.dashboard.v1.entitlements.features.list({"archived": False}).data
    assert alive.id != feature.id


def test_a_text_that_cannot_be_cleared_is_reported() -> None:
    """Where Stripe refuses to clear a text, the apply says so in Stripe's words and claims nothing."""
    world = World(Settings(blank_text_unsets=False))
    sections = {"plans": {"pro": {"name": "Pro", "statement_descriptor": "ACME PRO"}}}
    world.apply(sections)
    del sections["plans"]["pro"]["statement_descriptor"]
    report = world.run(world.plan(sections))
    assert report.ending is Ending.NOTHING
    assert "cannot be unset" in report.failures[0].message


def taxed(behavior: str | None) -> dict[str, Any]:
    """Return a plan in two currencies with a tax behavior for the whole catalogue."""
    sections = simple()
    sections["plans"]["pro"]["prices"]["monthly"]["currency_options"] = {"eur": "18.00"}
    settings = {"namespace": "acme", "currency": "usd"} | ({"tax_behavior": behavior} if behavior else {})
    return {"settings": settings, **sections}


def test_a_tax_behavior_reaches_every_currency(settings: Settings) -> None:
    """A tax behavior set later is set in place, in every currency of the price, and the price stays the same object."""
    world = World(settings)
    world.apply(taxed(None))
    (before,) = world.prices(active=True)
    world.apply(taxed("exclusive"))
    (after,) = world.prices(active=True, expand=["data.currency_options"])
    assert after.id == before.id
    assert after.currency_options["eur"].tax_behavior == "exclusive"
    assert actions(world.plan(taxed("exclusive"))) == {}
