"""Pulling a hand-made account: files that say what is there, and a plan from them that only has to mark it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from reconciler.planning.plan import Plan
from reconciler.planning.pull.proof import WRITTEN, Pulled, pull
from reconciler.provider.adopt import offer_matches
from reconciler.provider.executor import Ending, Executor
from reconciler.provider.propose import propose
from reconciler.provider.pull import read_account
from reconciler.resources import BY_NAME, desire
from reconciler.resources.model import MARK_KEYS
from reconciler.sandbox import Settings

from .accounts import accounts, build, dump
from .conftest import variants
from .recorder import Recorder
from .samples import everything
from .world import NOW, World, catalog_of

FEW = profile(max_examples=8, suppress_health_check=list(HealthCheck))


def pulled_from(world: World) -> Pulled:
    """Read the account without a way to write, and write it down."""
    return pull(read_account(world.gateway(read_only=True)), "acme")


def test_locks_are_not_pulled() -> None:
    """The locks of applies are neither written down nor counted as archived."""
    world = World()
    world.locked(world.plan({"plans": {"bare": {"name": "Bare"}}}))
    account = read_account(world.gateway(read_only=True))
    assert ([live.id for live in account.of("product")], account.archived) == (["acme_plan_bare"], {})


def plan_of(world: World, pulled: Pulled) -> Plan:
    """Plan from the files; there must be no problem."""
    proposal = propose(pulled.catalog, world.gateway(read_only=True), plan_id="0" * 32, now=NOW)
    assert not proposal.problems
    return proposal.plan


def adopt(world: World, pulled: Pulled, *, by_import: bool) -> Recorder:
    """Mark what the files find, by import or by apply; return what was sent."""
    recorder = Recorder(world.sandbox.http_client())
    gateway = world.gateway(transport=recorder)
    plan = plan_of(world, pulled)
    if by_import:
        plan = offer_matches(pulled.catalog, world.gateway(read_only=True), plan_id="1" * 32, now=NOW).plan
    report = Executor(gateway).apply(plan, None if by_import else pulled.catalog)
    assert report.ending is Ending.COMPLETE, [(each.step.label, each.message) for each in report.failures]
    return recorder


def without_marks(found: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what taking it over may change: its mark, and the time of its last change."""
    kept = {name: value for name, value in found.items() if name != "updated"}
    if "metadata" in kept:
        kept["metadata"] = {name: value for name, value in kept["metadata"].items() if name not in MARK_KEYS}
    return kept


def check(world: World, *, by_import: bool) -> Pulled:
    """Pull, plan, adopt and plan again; whatever is not adopted stays as it is to the byte."""
    before = dump(world)
    world.sandbox.requests.clear()
    pulled = pulled_from(world)
    assert world.writes() == []
    assert pulled_from(world).files == pulled.files
    plan = plan_of(world, pulled)
    assert {(str(change.action), change.fields) for change in plan.changes} <= {("adopt", ())}
    assert adopt(world, pulled, by_import=by_import).only_marks()
    assert plan_of(world, pulled).changes == ()
    after = dump(world)
    adopted = {(change.kind.name, change.id) for change in plan.changes}
    assert {key: each for key, each in after.items() if key not in adopted} == {
        key: each for key, each in before.items() if key not in adopted
    }
    assert {key: without_marks(after[key]) for key in adopted} == {key: without_marks(before[key]) for key in adopted}
    return pulled


@FEW
@given(account=accounts(), by_import=st.booleans())
def test_a_plan_from_pulled_files_marks_and_nothing_else(account: dict[str, Any], *, by_import: bool) -> None:
    """Scenario g: whatever a person made, the plan from its files only adopts, and once adopted it is empty."""
    world = World()
    build(world, account)
    check(world, by_import=by_import)


@pytest.mark.soak
@profile(max_examples=150, suppress_health_check=list(HealthCheck))
@given(account=accounts(), settings=st.sampled_from(variants()), by_import=st.booleans())
def test_the_same_whatever_is_unverified(account: dict[str, Any], settings: Settings, *, by_import: bool) -> None:
    """The open points of Stripe make no difference to what pulled files say."""
    world = World(settings)
    build(world, account)
    check(world, by_import=by_import)


def test_every_kind_is_written_down() -> None:
    """A kind that is managed can be pulled, or is told of as left out: whoever adds one says which."""
    left_out = {"payment_link", "portal_configuration", "webhook_endpoint"}
    contracts = {name for name, kind in BY_NAME.items() if kind.contract}
    assert set(BY_NAME) - WRITTEN == left_out | contracts


def test_what_is_not_written_down_is_told_of() -> None:
    """Links, the portal and webhooks of an account stay as they are, each with a line that says so."""
    world = World()
    v1: Any = world.dashboard.v1
    price = v1.prices.create({"currency": "usd", "unit_amount": 500, "product_data": {"name": "Pro"}}).id
    made = [
        v1.payment_links.create({"line_items": [{"price": price, "quantity": 1}]}).id,
        v1.billing_portal.configurations.create({"features": {"invoice_history": {"enabled": True}}}).id,
        v1.webhook_endpoints.create({"url": "https://example.com/in", "enabled_events": ["*"]}).id,
    ]
    left = pull(read_account(world.gateway(read_only=True)), "acme").draft.left.values()
    assert {each.live.id for each in left} >= set(made)


@pytest.mark.soak
def test_a_thousand_objects() -> None:
    """A thousand objects are pulled whole, taken over and planned as a few are."""
    world = World()
    v1: Any = world.dashboard.v1
    for number in range(250):
        product = v1.products.create({"name": f"Plan {number}", "metadata": {"number": str(number)}}).id
        for amount, interval in ((number, "month"), (10 * number, "year"), (number + 1, "week")):
            price = {"product": product, "currency": "usd", "unit_amount": amount, "recurring": {"interval": interval}}
            v1.prices.create(price)
    pulled = check(world, by_import=True)
    assert (len(pulled.draft.live), len(pulled.draft.left)) == (1000, 0)


def test_what_the_language_says_comes_back_from_stripe() -> None:
    """A catalogue that was applied, its marks taken off, is pulled whole: the same amounts under the same keys."""
    world = World()
    sections = everything()
    del sections["tenants"], sections["plans"]["payg"]
    del sections["payment_links"], sections["portal"], sections["webhooks"]
    world.apply(sections)
    v1: Any = world.dashboard.v1
    no_mark = {"metadata": dict.fromkeys(MARK_KEYS, "")}
    homes = {"product": v1.products, "price": v1.prices, "coupon": v1.coupons, "tax_rate": v1.tax_rates}
    homes |= {"promotion_code": v1.promotion_codes, "feature": v1.entitlements.features}
    for kind, object_id in dump(world):
        if kind in homes:
            homes[kind].update(object_id, no_mark)
    account = read_account(world.gateway(read_only=True))
    pulled = pull(account, "other")
    assert pulled.draft.left == {}
    before = {each.key: each for each in desire(catalog_of(sections)) if each.kind.name == "price"}
    after = {each.key: each for each in desire(pulled.catalog) if each.kind.name == "price"}
    assert before.keys() - {"acme.plans.old.prices.monthly"} == after.keys()
    fields = ("unit_amount_decimal", "tiers", "currency_options", "currency", "tax_behavior")
    for key, price in after.items():
        assert {name: price.values.get(name) for name in fields} == {
            name: before[key].values.get(name) for name in fields
        }


def test_a_live_account_is_bound_to_an_environment() -> None:
    """Files made with a live key name the account they are for; those of a test account bind nothing."""
    world = World()
    account = read_account(world.gateway(read_only=True))
    assert "environments.yaml" not in pull(account, "acme").files
    catalog = pull(replace(account, mode="live"), "acme").catalog
    production = catalog.file.environments["production"]
    assert (production.account, production.mode) == (account.id, "live")


def test_an_id_that_no_file_can_name_is_left_out() -> None:
    """A price of old may have any id; where it has no key either, it is left out, and the rest is written."""
    world = World()
    v1: Any = world.dashboard.v1
    product = v1.products.create({"name": "Pro"}).id
    common = {"product": product, "currency": "usd", "unit_amount": 500}
    odd = v1.prices.create({**common, "recurring": {"interval": "month"}}).id
    v1.prices.create({**common, "recurring": {"interval": "year"}})
    account = read_account(world.gateway(read_only=True))
    objects = tuple(replace(live, id="gold, monthly") if live.id == odd else live for live in account.objects)
    pulled = pull(replace(account, objects=objects), "acme")
    assert [(each.live.id, "is not a Stripe id" in each.why) for each in pulled.draft.left.values()] == [
        ("gold, monthly", True)
    ]
    assert list(pulled.catalog.file.plans["pro"].prices) == ["annual"]
