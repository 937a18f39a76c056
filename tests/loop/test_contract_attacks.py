"""Ways to charge a tenant twice, for nothing asked, or not at all, each of which is stopped."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.diagnostics import PlanRefusedError
from reconciler.planning.change import Action, Reason, State
from reconciler.provider.executor import Ending
from reconciler.sandbox import Settings

from .recorder import Recorder
from .test_contracts import SECTIONS, amounts, edited, items, refused, subscription
from .world import World, actions


def renamed(section: str, old: str, new: str) -> dict[str, Any]:
    """Return the sections with a name changed and the entry that tells of it."""
    sections = copy.deepcopy(SECTIONS)
    sections[section][new] = sections[section].pop(old)
    return sections | {"moved": [{"from": f"{section}.{old}", "to": f"{section}.{new}"}]}


def joined(sections: dict[str, Any], name: str, like: str = "") -> dict[str, Any]:
    """Return the sections with one more tenant, on the terms of another one."""
    terms = sections["tenants"].get(like) or SECTIONS["tenants"]["acme"]
    return {**sections, "tenants": {**sections["tenants"], name: {**terms, "name": name.title()}}}


@pytest.fixture
def world() -> World:
    """Return an account in which the sections are applied."""
    world = World()
    world.apply(SECTIONS)
    return world


def test_what_is_allowed_to_begin_anew_begins(world: World) -> None:
    """A cancelled subscription that is like the one asked for is not mistaken for one that an apply has made."""
    ended = subscription(world, "acme")
    world.dashboard.v1.subscriptions.cancel(ended.id)
    plan = world.plan(SECTIONS)
    world.run(plan)
    begun = subscription(world, "acme")
    assert (begun.id != ended.id, begun.status) == (True, "active")
    world.run(plan)
    assert len(world.dashboard.v1.subscriptions.list({"customer": begun.customer}).data) == 1


def test_a_renamed_plan_leaves_who_is_grandfathered_where_they_are() -> None:
    """The archived price still tells of its old address; that is no reason to pay the successor."""
    world = World()
    sections = edited("tenants", "bee", None)
    world.apply(sections)
    sections["plans"]["pro"]["prices"]["monthly"]["amount"] = "59.99"
    world.apply(sections)
    sections["plans"]["pro2"] = sections["plans"].pop("pro")
    for tenant in sections["tenants"].values():
        tenant["plan"] = "pro2"
    sections["moved"] = [{"from": "plans.pro", "to": "plans.pro2"}]
    assert refused(world, sections) == []
    world.apply(sections)
    assert amounts(subscription(world, "acme")) == ["4999"]
    assert actions(world.plan(sections)) == {}
    sections["tenants"]["acme"]["subscription"]["quantity"] = 4
    world.apply(sections)
    assert amounts(subscription(world, "acme")) == ["4999"]


def test_a_renamed_tenant_whose_subscription_is_cancelled_is_not_begun_anew(world: World) -> None:
    """What was cancelled under the old name is asked about under the new one."""
    world.dashboard.v1.subscriptions.cancel(subscription(world, "acme").id)
    sections = renamed("tenants", "acme", "zed")
    assert refused(world, sections, "contracts") == ["cancelled"]
    assert refused(world, sections, "contracts", "cancelled:tenants.zed.subscription") == []


@pytest.mark.parametrize("name", ["acme", "zed"])
def test_a_deleted_customer_is_not_made_again_unasked(world: World, name: str) -> None:
    """Whoever deleted a customer at Stripe wanted its subscription to end; a stranger's deletion is nothing to us."""
    sections = SECTIONS if name == "acme" else renamed("tenants", "acme", name)
    mark = {"managed_by": "reconciler/other", "address": "tenants.new"}
    stranger = world.dashboard.v1.customers.create({"metadata": mark})
    world.dashboard.v1.customers.delete(stranger.id)
    world.dashboard.v1.customers.delete(subscription(world, "acme").customer)
    assert refused(world, sections, "contracts") == ["cancelled"]
    assert refused(world, sections, "contracts", f"cancelled:tenants.{name}.subscription") == []
    added = joined(sections, "new")
    begun = [change for change in world.propose(added).plan.changes if change.kind.name == "subscription"]
    assert {change.address: change.reason for change in begun} == {
        f"tenants.{name}.subscription": Reason.ENDED,
        "tenants.new.subscription": Reason.NEW,
    }


def test_who_begins_anew_gets_no_second_trial(world: World) -> None:
    """The trial of a subscription that was cancelled is not given again; a new tenant gets it."""
    terms = {**SECTIONS["tenants"]["acme"]["subscription"], "trial_days": 14}
    sections = edited("tenants", "acme", "subscription", terms)
    world.dashboard.v1.subscriptions.cancel(subscription(world, "acme").id)
    added = joined(sections, "new", "acme")
    world.apply(added)
    assert subscription(world, "acme").status == "active"
    assert subscription(world, "new").status == "trialing"
    assert actions(world.plan(added)) == {}


def test_a_renamed_coupon_is_not_given_again(world: World) -> None:
    """Who has used a coupon up under its old name has used it up under its new one."""
    sections = renamed("coupons", "half", "halved")
    sections["tenants"]["bee"]["subscription"]["coupon"] = "halved"
    world.apply(sections)
    assert subscription(world, "bee").discounts == []
    assert actions(world.plan(sections)) == {}


def test_a_subscription_that_lost_its_mark_is_not_made_again_unasked(world: World) -> None:
    """A customer who has one that is not in the files gets a second one only where that address is allowed."""
    found = subscription(world, "acme")
    world.dashboard.v1.subscriptions.update(found.id, {"metadata": {"managed_by": ""}})
    (change,) = world.propose(SECTIONS).plan.changes
    assert (change.action, change.reason) == (Action.CREATE, Reason.BESIDE)
    assert refused(world, SECTIONS, "contracts") == ["beside"]
    assert refused(world, SECTIONS, "contracts", "beside:tenants.acme.subscription") == []
    world.dashboard.v1.subscriptions.update(found.id, {"cancel_at_period_end": True})
    assert refused(world, SECTIONS, "contracts") == ["beside"]
    world.dashboard.v1.subscriptions.cancel(found.id)
    assert refused(world, SECTIONS, "contracts") == []


def test_a_credit_that_lost_its_mark_is_not_given_again_unasked(world: World) -> None:
    """The same amount is given beside it only where that is allowed; another one is another credit."""
    sections = edited("tenants", "acme", "money_credits", [{"id": "hello", "amount": "25"}])
    world.apply(sections)
    (grant,) = world.dashboard.v1.billing.credit_grants.list().data
    world.dashboard.v1.billing.credit_grants.update(grant.id, {"metadata": {"managed_by": ""}})
    assert refused(world, sections, "contracts") == ["beside"]
    sections["tenants"]["acme"]["money_credits"][0]["amount"] = "26"
    assert refused(world, sections, "contracts") == []


def test_who_cancels_while_a_schedule_of_ours_runs_stays_cancelled() -> None:
    """Stripe has that said by the schedule, and no later price takes it back."""
    world = World()
    sections = edited("tenants", "bee", None)
    price = sections["plans"]["pro"]["prices"]["monthly"]
    price["on_change"] = "at_renewal"
    world.apply(sections)
    price["amount"] = "59.99"
    world.apply(sections)
    schedule = subscription(world, "acme").schedule
    world.dashboard.v1.subscription_schedules.update(schedule, {"end_behavior": "cancel"})
    price["amount"] = "69.99"
    assert actions(world.plan(sections)) == {"plans.pro.prices.monthly": "replace"}
    world.apply(sections)
    assert world.dashboard.v1.subscription_schedules.retrieve(schedule).end_behavior == "cancel"
    sections["tenants"].pop("acme")
    assert actions(world.plan(sections)) == {}


def test_a_tenant_that_leaves_takes_no_schedule_of_somebody_else_along(world: World) -> None:
    """What another schedule plans is not called off; the plan names it, and one that plans nothing is no matter."""
    schedules = world.dashboard.v1.subscription_schedules
    made = schedules.create({"from_subscription": subscription(world, "acme").id})
    gone = edited("tenants", "acme", None)
    assert world.propose(gone).problems == ()
    schedules.update(made.id, {"end_behavior": "cancel"})
    (problem,) = world.propose(gone).problems
    assert (problem.code, made.id in problem.summary) == ("E0711", True)


def test_a_forged_change_of_a_subscription_that_looks_begun_is_refused(world: World) -> None:
    """A schedule that never was counts as released already; what is left to do must still be what the files ask."""
    terms = {**SECTIONS["tenants"]["acme"]["subscription"], "quantity": 4}
    plan = world.plan(edited("tenants", "acme", "subscription", terms))
    (change,) = plan.changes
    assert change.before is not None
    assert change.after is not None
    many = [each | ({"quantity": 900} if "quantity" in each else {}) for each in change.after.values["items"]]
    forged = replace(
        change,
        before=State({**change.before.values, "scheduled": True}, change.before.metadata),
        after=State({**change.after.values, "items": many}, change.after.metadata),
        fingerprint="0" * 32,
    )
    with pytest.raises(PlanRefusedError) as refusal:
        world.run(replace(plan, changes=(forged,)))
    assert refusal.value.code == "E0809"
    assert world.run(plan).ending is Ending.COMPLETE
    assert items(subscription(world, "acme"))["plans.pro.prices.monthly"] == 4


def test_many_subscriptions_end_at_once_only_where_that_is_allowed() -> None:
    """Five of them, beside however large a catalogue, need a word of their own; four do not."""
    world = World()
    plans = {"plans": {"pro": {"name": "Pro", "prices": {"monthly": {"amount": "49.99", "interval": "month"}}}}}
    terms: dict[str, Any] = {
        "name": "T",
        "email": "a@b.example",
        "plan": "pro",
        "subscription": {"collection": "send_invoice"},
    }
    terms["subscription"] |= {"days_until_due": 3}
    tenants = {f"t{number}": terms for number in range(6)}
    world.apply(plans | {"tenants": tenants})
    assert refused(world, plans | {"tenants": {"t0": terms}}, "contracts") == ["ending"]
    assert refused(world, plans | {"tenants": {"t0": terms}}, "contracts", "ending") == []
    assert refused(world, plans | {"tenants": {"t0": terms, "t1": terms}}, "contracts") == []


def waiting() -> tuple[World, dict[str, Any]]:
    """Return an account whose only subscriber waits for a new price at the renewal."""
    world, sections = World(), edited("tenants", "bee", None)
    price = sections["plans"]["pro"]["prices"]["monthly"]
    price["on_change"] = "at_renewal"
    world.apply(sections)
    price["amount"] = "59.99"
    world.apply(sections)
    return world, sections


@pytest.mark.parametrize(("own", "now"), [("now_prorated", 5), ("at_renewal", 3)])
def test_a_quantity_goes_by_its_own_policy_while_a_price_waits(own: str, now: int) -> None:
    """More seats are had and paid when the subscription says, whatever the price says, and the schedule keeps them."""
    world, sections = waiting()
    sections["tenants"]["acme"]["subscription"] |= {"quantity": 5, "on_change": own}
    world.apply(sections)
    found = subscription(world, "acme")
    assert (items(found)["plans.pro.prices.monthly"], amounts(found)) == (now, ["4999"])
    assert actions(world.plan(sections)) == {}
    pending = world.dashboard.v1.invoice_items.list({"customer": found.customer, "pending": True}).data
    assert len(pending) == (2 if own == "now_prorated" else 0)
    world.clock.now = found["items"].data[0].current_period_end + 3 * 86_400
    later = subscription(world, "acme")
    assert (items(later)["plans.pro.prices.monthly"], amounts(later)) == (5, ["5999"])
    assert actions(world.plan(sections)) == {}


def test_a_tenant_renamed_while_a_price_waits_keeps_its_new_name() -> None:
    """The schedule brings no old owner mark back at the renewal, by which the subscription would be made again."""
    world, sections = waiting()
    sections["tenants"]["zed"] = sections["tenants"].pop("acme")
    world.apply(sections | {"moved": [{"from": "tenants.acme", "to": "tenants.zed"}]})
    world.clock.now += 35 * 86_400
    assert amounts(subscription(world, "zed")) == ["5999"]
    assert actions(world.plan(sections)) == {}


class Edited(Recorder):
    """Loses the answer to the first subscription made, whose customer then wants another quantity; counts them."""

    world: World
    made = 0

    def request(self, method: str, url: str, *args: Any, **options: Any) -> tuple[str, int, Mapping[str, str]]:
        """Pass a request on; the first creation is edited before anybody hears of it."""
        answer = super().request(method, url, *args, **options)
        if method.lower() != "post" or not url.endswith("/v1/subscriptions"):
            return answer
        self.made += 1
        if self.made > 1:
            return answer
        found = subscription(self.world, "acme")
        licensed = next(each for each in found["items"].data if each.price.unit_amount_decimal)
        self.world.dashboard.v1.subscription_items.update(licensed.id, {"quantity": 7})
        return '{"error": {"type": "api_error", "message": "lost"}}', 500, answer[2]


@pytest.mark.parametrize("replayed", [True, False])
def test_a_subscription_edited_before_its_answer_came_is_not_made_twice(replayed: bool) -> None:
    """What carries the mark of its address is there, though it is no longer as it was asked for."""
    world = World(Settings(replay_header=replayed))
    transport = Edited(world.sandbox.http_client())
    transport.world = world
    world.run(world.plan(edited("tenants", "bee", None)), transport=transport)
    assert len(world.dashboard.v1.subscriptions.list({"limit": 100}).data) == 1
