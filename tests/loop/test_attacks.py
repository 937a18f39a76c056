"""Ways in which money was once at risk: each was found by attacking the loop, and none works any more."""

import json
from typing import Any

import pytest

from reconciler.diagnostics import PlanRefusedError
from reconciler.planning.plan import Plan, content_digest, seal, serialise
from reconciler.planning.planfile import parse_plan
from reconciler.provider.executor import Ending
from reconciler.provider.writes import Status
from reconciler.resources.model import canonical_json
from reconciler.sandbox import Settings

from .samples import monthly, simple
from .test_crash import die
from .world import World, actions

PRICE = "plans.pro.prices.monthly"
FOREIGN = {"currency": "usd", "unit_amount": 777, "recurring": {"interval": "month"}}


def featured(*features: str) -> dict[str, Any]:
    """Return a plan that grants these features."""
    sections = simple()
    sections["features"] = {"support": {"name": "Support"}, "export": {"name": "Export"}}
    sections["plans"]["pro"]["features"] = list(features)
    return sections


def attached(world: World) -> int:
    """Count what is attached to the plan's product."""
    return len(world.dashboard.v1.products.features.list("acme_plan_pro").data)


@pytest.mark.parametrize("same_plan", [True, False])
def test_a_feature_is_detached_after_a_crash(extremes: Settings, same_plan: bool) -> None:
    """A paid feature that leaves a plan is detached, also when the apply died before it came to that."""
    for at in (1, 2, 3):
        world = World(extremes)
        world.apply(featured("support"))
        plan = world.plan(featured())
        die(world, plan, at, after=True)
        world.run(plan if same_plan else world.plan(featured()))
        assert attached(world) == 0
        assert actions(world.plan(featured())) == {}


def test_a_plan_that_returns_without_its_feature_loses_it() -> None:
    """A plan that left keeps its features for its subscribers; coming back without them, it loses them."""
    world = World()
    world.apply(featured("support"))
    world.apply({"features": featured()["features"]})
    assert attached(world) == 1
    world.apply(featured())
    assert attached(world) == 0


def archive(world: World, name: str) -> None:
    """Archive a feature in the dashboard, where it stays attached to its products."""
    client = world.dashboard.v1.entitlements.features
    (feature,) = (each for each in client.list({"archived": False}).data if each.name == name)
    client.update(feature.id, {"active": False})


@pytest.mark.parametrize("stays", [True, False])
def test_a_feature_archived_at_stripe_is_detached(settings: Settings, stays: bool) -> None:
    """What somebody archived is detached, and one that is made anew takes its place only if the files still say so."""
    world = World(settings)
    world.apply(featured("support", "export"))
    archive(world, "Support")
    world.apply(featured("support", "export") if stays else featured("export"))
    features = world.dashboard.v1.products.features.list("acme_plan_pro").data
    assert all(each.entitlement_feature.active for each in features)
    assert {each.entitlement_feature.name for each in features} == ({"Export", "Support"} if stays else {"Export"})
    assert actions(world.plan(featured("support", "export") if stays else featured("export"))) == {}


def test_a_foreign_feature_stays_attached(settings: Settings) -> None:
    """The control of the removal above: what somebody else attached stays, archived or not."""
    world = World(settings)
    world.apply(featured("support"))
    theirs = world.dashboard.v1.entitlements.features.create({"name": "Theirs", "lookup_key": "theirs"})
    world.dashboard.v1.products.features.create("acme_plan_pro", {"entitlement_feature": theirs.id})
    archive(world, "Theirs")
    world.apply(featured("support"))
    assert attached(world) == 2


def steal(world: World) -> str:
    """Give the plan's lookup key to a price of somebody else; return its id."""
    params = {**FOREIGN, "product": "acme_plan_pro", "lookup_key": f"acme.{PRICE}", "transfer_lookup_key": True}
    return world.dashboard.v1.prices.create(params).id


def test_a_stolen_key_is_not_taken_back_by_a_saved_plan(settings: Settings) -> None:
    """A lookup key that moved to a foreign price after planning stops the apply before its first write."""
    world = World(settings)
    world.apply(simple("10"))
    plan = world.plan(simple("12"))
    foreign = steal(world)
    with pytest.raises(PlanRefusedError):
        world.run(plan)
    assert world.dashboard.v1.prices.retrieve(foreign).lookup_key == f"acme.{PRICE}"


def test_an_unmarked_object_is_not_taken_by_default(settings: Settings) -> None:
    """Objects without an owner mark under our default keys are problems to settle, not ours to change."""
    world = World(settings)
    world.dashboard.v1.products.create({"id": "acme_plan_pro", "name": "Theirs"})
    proposal = world.propose(simple())
    assert [problem.code for problem in proposal.problems] == ["E0701"]
    assert "stripe_id" in str(proposal.problems[0].help)


def test_an_unmarked_object_is_taken_when_it_is_named(settings: Settings) -> None:
    """Naming its key takes an object over as it is: the owner mark is written, and nothing is created or replaced."""
    world = World(settings)
    world.dashboard.v1.products.create({"id": "theirs", "name": "Pro"})
    world.dashboard.v1.prices.create({"product": "theirs", **FOREIGN, "unit_amount": 1900, "lookup_key": "gold"})
    sections = {"plans": {"pro": {"name": "Pro", "stripe_id": "theirs"}}}
    sections["plans"]["pro"]["prices"] = {"monthly": {**monthly("19"), "lookup_key": "gold"}}
    plan = world.plan(sections)
    assert actions(plan) == {"plans.pro": "adopt", PRICE: "adopt"}
    assert world.run(plan).ending is Ending.COMPLETE
    assert actions(world.plan(sections)) == {}


def test_a_crash_and_then_other_files_converge(settings: Settings) -> None:
    """An apply that died in a price change can be followed by a plan for yet another price."""
    world = World(settings)
    world.apply(simple("10"))
    assert die(world, world.plan(simple("11")), 1, after=True)
    assert world.run(world.plan(simple("12"))).ending is Ending.COMPLETE
    (active,) = world.prices(active=True)
    assert active.unit_amount == 1200
    assert actions(world.plan(simple("12"))) == {}


def test_brackets_in_another_currency_do_not_look_changed(settings: Settings) -> None:
    """A plan that relies on a price with brackets in a second currency reads it as it was read while planning."""
    sections = simple()
    rows = [{"up_to": "inf", "unit_amount": "1"}]
    sections["tiers"] = {"table": {"steps": rows, "currency_options": {"eur": rows}}}
    sections["plans"]["pro"]["prices"]["monthly"] = {"tiers": "table", "interval": "month"}
    world = World(settings)
    world.apply(sections)
    sections["plans"]["pro"]["name"] = "Renamed"
    plan = world.plan(sections)
    assert world.run(plan, catalog=None).ending is Ending.COMPLETE


def test_a_legacy_plan_that_never_was_is_not_needed(settings: Settings) -> None:
    """On a fresh account a legacy plan makes nothing, and nothing that would hang on it."""
    world = World(settings)
    sections = {"features": {"s": {"name": "S"}}}
    sections["plans"] = {"old": {"name": "Old", "status": "legacy", "features": ["s"], "prices": {"m": monthly("5")}}}
    world.apply(sections)
    assert world.dashboard.v1.products.list().data == []
    assert actions(world.plan(sections)) == {}


def test_a_product_and_a_coupon_may_share_their_id() -> None:
    """Ids are compared within their kind."""
    sections = {"plans": {"pro": {"name": "Pro", "stripe_id": "same"}}}
    sections["coupons"] = {"c": {"percent_off": "10", "stripe_id": "same"}}
    sections["promotion_codes"] = {"p": {"coupon": "c", "code": "CODE"}}
    world = World()
    world.apply(sections)
    assert actions(world.plan(sections)) == {}


def test_a_named_coupon_is_not_succeeded_in_silence() -> None:
    """A coupon whose id the files name cannot become another coupon under that id; the plan says so."""
    world = World()
    world.apply({"coupons": {"c": {"percent_off": "5", "stripe_id": "C5"}}})
    proposal = world.propose({"coupons": {"c": {"percent_off": "6", "stripe_id": "C5"}}})
    (problem,) = proposal.problems
    assert (problem.code, "taken over" in str(problem)) == ("E0703", False)
    assert "Drop stripe_id" in str(problem.help)


def test_a_paused_code_comes_back_as_itself(settings: Settings) -> None:
    """A promotion code that is paused and resumed stays the same code, so a limit on redemptions keeps counting."""

    def sections(*, active: bool) -> dict[str, Any]:
        code = {"coupon": "c", "code": "CODE", "active": active, "max_redemptions": 5}
        return {"coupons": {"c": {"percent_off": "10"}}, "promotion_codes": {"p": code}}

    world = World(settings)
    ids = set()
    for active in (True, False, True):
        world.apply(sections(active=active))
        (code,) = world.dashboard.v1.promotion_codes.list().data
        assert code.active is active
        assert actions(world.plan(sections(active=active))) == {}
        ids.add(code.id)
    assert len(ids) == 1


def test_removing_a_default_price_is_no_drift() -> None:
    """A change of the files alone is never reported as somebody's edit."""
    world = World()
    world.apply(simple())
    plan = world.plan({"plans": {"pro": {"name": "Pro"}}})
    reasons = [change.reason for change in plan.changes if change.action == "update"]
    assert reasons
    assert all("at Stripe" not in reason for reason in reasons)


def forge(plan: Plan, edit: Any) -> Plan:
    """Rewrite a plan and seal it again, as somebody with the tool but without a key could."""
    content = json.loads(serialise(plan))
    edit(content)
    content["changes"] = len(content["actions"])
    counts: dict[str, int] = {}
    for action in content["actions"]:
        counts[action["action"]] = counts.get(action["action"], 0) + 1
    content["counts"] = dict(sorted(counts.items()))
    content["digest"] = content_digest(content)
    content["seal"] = seal(content, None)
    return parse_plan((canonical_json(content) + "\n").encode())


def retired(content: dict[str, Any], kind: str, object_id: str, address: str, reason: str) -> None:
    """Add a retirement to a plan."""
    content["actions"].append(
        {
            "address": address,
            "kind": kind,
            "action": "retire",
            "reason": reason,
            "fields": [],
            "id": object_id,
            "fingerprint": "0" * 32,
            "source": None,
            "named": False,
            "before": {"values": {}, "metadata": {}},
            "after": None,
        }
    )
    content["actions"].sort(key=lambda action: (action["address"], action["id"] or ""))


FORGERIES = {
    "retire the price": lambda c, ids: retired(c, "price", ids["price"], PRICE, "a second object of the same address"),
    "retire a foreign product": lambda c, ids: retired(
        c, "product", ids["foreign"], "plans.x", "no longer in the files"
    ),
    "nothing at all": lambda c, _ids: c.update(actions=[]),
    "another object": lambda c, ids: c["actions"][0].update(id=ids["foreign"]),
    "another reason": lambda c, _ids: c["actions"][0].update(reason="changed at Stripe"),
    "another field": lambda c, _ids: c["actions"][0].update(fields=["description"]),
    "another past": lambda c, _ids: c["actions"][0]["before"]["values"].update(name="Was"),
    "an update as a replacement": lambda c, _ids: c["actions"][0].update(action="replace"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_plan_writes_nothing(name: str) -> None:
    """Whatever is rewritten and sealed again, with the files at hand not one write is sent."""
    world = World()
    world.apply(simple())
    foreign = world.dashboard.v1.products.create({"name": "Theirs"}).id
    (price,) = world.prices(active=True)
    sections = simple()
    sections["plans"]["pro"]["name"] = "Pro 2"
    plan = world.plan(sections)
    world.sandbox.requests.clear()
    with pytest.raises(PlanRefusedError):
        world.run(forge(plan, lambda content: FORGERIES[name](content, {"foreign": foreign, "price": price.id})))
    assert world.writes() == []
    assert world.run(forge(plan, lambda _content: None)).ending is Ending.COMPLETE


BROKEN = {
    "no past": lambda c: c["actions"][0].update(before=None),
    "no id": lambda c: c["actions"][0].update(id=None),
    "no time zone": lambda c: c.update(expires="2027-02-01T00:00:00"),
    "unknown field": lambda c: c["actions"][0]["before"]["values"].update(bogus=1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_plan_without_its_form_is_refused(name: str) -> None:
    """A plan whose parts do not belong together is refused when it is read, never a bug later."""
    world = World()
    world.apply(simple())
    plan = world.plan(simple() | {"plans": {"pro": {"name": "Other"}}})
    with pytest.raises(PlanRefusedError) as caught:
        forge(plan, BROKEN[name])
    assert caught.value.code == "E0803"


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'"x"', b"<html>", b'{"id": "prod_1"'])
def test_an_answer_that_cannot_be_read_is_uncertain(body: bytes) -> None:
    """An answer cut off or replaced on its way proves nothing; the write is found and not repeated."""
    world = World()
    plan = world.plan({"plans": {"bare": {"name": "Bare"}}})
    inner = world.sandbox.http_client()

    class Garbling(type(inner)):  # type: ignore[misc]  # the transport's own class
        """Carries writes out and hands back something else."""

        def request(self, method: str, *args: Any, **options: Any) -> Any:
            """Garble the answer to a write."""
            answer = inner.request(method, *args, **options)
            return answer if method.lower() == "get" else (body.decode(), 200, answer[2])

    garbling = Garbling.__new__(Garbling)
    garbling.__dict__.update(inner.__dict__)
    report = world.run(plan, transport=garbling)
    assert report.ending is Ending.COMPLETE
    assert [result.status for result in report.results] == [Status.APPLIED]
    assert len(world.dashboard.v1.products.list().data) == 1
