"""Tenants as customers and subscribers: what is made, what is charged, what is refused, and what is never done."""

import copy
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config.contracts import subscription_items
from reconciler.config.models import Guards
from reconciler.config.parts import billed_currency
from reconciler.planning.change import Action, Reason
from reconciler.planning.guards import check_guards
from reconciler.planning.plan import serialise
from reconciler.pricing.tariff import of_tenant
from reconciler.provider.executor import Ending

from .world import World, actions, catalog_of

SECTIONS: dict[str, Any] = {
    "meters": {"calls": {"name": "Calls"}, "vex": {"name": "Vex"}},
    "coupons": {
        "half": {"percent_off": "50", "duration": "once"},
        "always": {"percent_off": "10", "duration": "forever"},
    },
    "tax_rates": {"vat": {"display_name": "VAT", "percentage": "19", "inclusive": False}},
    "plans": {
        "pro": {
            "name": "Pro",
            "prices": {"monthly": {"amount": "49.99", "interval": "month"}},
            "usage": {"calls": {"included": 100, "overage": {"unit_amount": "0.25"}}},
        },
        "big": {"name": "Big", "prices": {"monthly": {"amount": "99", "interval": "month"}}},
    },
    "tenants": {
        "acme": {
            "name": "Acme",
            "email": "billing@acme.example",
            "plan": "pro",
            "subscription": {"collection": "send_invoice", "days_until_due": 30, "quantity": 3, "tax_rates": ["vat"]},
        },
        "bee": {"name": "Bee", "plan": "pro", "subscription": {"trial_days": 7, "coupon": "half"}},
        "only": {"name": "Only", "plan": "pro"},
    },
}


def edited(*path_and_value: Any) -> dict[str, Any]:
    """Return the sections with one value changed; None removes."""
    *path, name, value = path_and_value
    sections = copy.deepcopy(SECTIONS)
    place = sections
    for part in path:
        place = place[part]
    if value is None:
        del place[name]
    else:
        place[name] = value
    return sections


def subscription(world: World, tenant: str) -> Any:
    """Return the running subscription of a tenant."""
    found = world.dashboard.v1.subscriptions.list({"limit": 100}).data
    return next(each for each in found if each.metadata["address"] == f"tenants.{tenant}.subscription")


def items(found: Any) -> dict[str, int | None]:
    """Return the quantities of a subscription by the address its prices were made from."""
    return {each["price"]["metadata"]["address"]: each.get("quantity") for each in found.to_dict()["items"]["data"]}


def amounts(found: Any) -> list[str]:
    """Return the amounts of the licensed items, in minor units."""
    return [str(each.price.unit_amount_decimal) for each in found["items"].data if each.price.unit_amount_decimal]


def refused(world: World, sections: Mapping[str, Any], *allowed: str) -> list[str]:
    """Return the guards that refuse a plan."""
    return [each.guard for each in check_guards(world.propose(sections).plan, Guards(max_retired_percent=100), allowed)]


@pytest.fixture
def world() -> World:
    """Return an account in which the sections are applied."""
    world = World()
    world.apply(SECTIONS)
    return world


def test_a_tenant_becomes_a_customer_with_the_subscription_it_declares(world: World) -> None:
    """Name, e-mail, items, collection, trial, discount, taxes are as the files say, and nothing is left."""
    acme, bee = subscription(world, "acme"), subscription(world, "bee")
    customer = world.dashboard.v1.customers.retrieve(acme.customer)
    assert (customer.name, customer.email) == ("Acme", "billing@acme.example")
    assert items(acme) == {"plans.pro.prices.monthly": 3, "plans.pro.usage.calls": None}
    assert (acme.collection_method, acme.days_until_due, acme.status) == ("send_invoice", 30, "active")
    assert [rate.display_name for rate in acme.default_tax_rates] == ["VAT"]
    assert (bee.status, bee.trial_end - bee.trial_start) == ("trialing", 7 * 86_400)
    (first,) = world.dashboard.v1.invoices.list({"subscription": bee.id}).data
    assert len(first.discounts) == 1
    assert actions(world.plan(SECTIONS)) == {}


def test_without_subscription_nothing_is_charged(world: World) -> None:
    """A tenant that declares no subscription is a customer, and neither subscribed nor invoiced."""
    found = world.dashboard.v1.customers.list({"limit": 100}).data
    only = next(each for each in found if each.name == "Only")
    assert world.dashboard.v1.subscriptions.list({"customer": only.id}).data == []
    assert world.dashboard.v1.invoices.list({"customer": only.id}).data == []


def test_what_charges_is_refused_until_it_is_allowed() -> None:
    """Subscriptions and money credits need the guard opened; customers and metadata do not."""
    world = World()
    assert refused(world, SECTIONS) == ["contracts"]
    assert refused(world, SECTIONS, "contracts") == []
    assert (
        refused(world, edited("tenants", {"only": SECTIONS["tenants"]["only"]}) | {"tax_rates": {}, "coupons": {}})
        == []
    )
    world.apply(SECTIONS)
    credit = edited("tenants", "only", "money_credits", [{"id": "hello", "amount": "5"}])
    assert refused(world, credit) == ["contracts"]
    for harmless in (("only", "name", "Other"), ("acme", "metadata", {"crm": "7"})):
        assert refused(world, edited("tenants", *harmless)) == []
    terms = SECTIONS["tenants"]["acme"]["subscription"]
    assert refused(world, edited("tenants", "acme", "subscription", {**terms, "metadata": {"crm": "7"}})) == []
    assert refused(world, edited("tenants", "acme", "subscription", {**terms, "quantity": 4})) == ["contracts"]
    assert refused(world, edited("tenants", "acme", None)) == ["contracts"]


def test_a_tenant_that_leaves_is_cancelled_with_its_period(world: World) -> None:
    """It stays subscribed and a customer until its period ends, and one that comes back before goes on as it was."""
    before = subscription(world, "acme")
    world.apply(edited("tenants", "acme", None))
    left = subscription(world, "acme")
    assert (left.status, left.cancel_at_period_end, items(left)) == ("active", True, items(before))
    assert actions(world.plan(edited("tenants", "acme", None))) == {}
    world.apply(SECTIONS)
    back = subscription(world, "acme")
    assert (back.id, back.cancel_at_period_end) == (before.id, False)
    assert len(world.dashboard.v1.customers.list({"limit": 100}).data) == 3


def test_the_last_tenant_is_looked_after_when_no_files_have_any(world: World) -> None:
    """The account remembers under its lock that there are contracts, so that the last ones to leave are cancelled."""
    world.locked(world.plan(SECTIONS))
    none = {**SECTIONS, "tenants": {}, "coupons": {}, "tax_rates": {}}
    plan = world.plan(none)
    assert {"tenants.acme.subscription", "tenants.bee.subscription"} <= actions(plan).keys()
    assert plan.contracts


def test_nobody_in_the_files_costs_no_read() -> None:
    """An account whose files have no tenants is planned without a look at customers and subscriptions."""
    world = World()
    plans = {name: SECTIONS[name] for name in ("meters", "plans")}
    world.apply(plans)
    world.sandbox.requests.clear()
    world.plan(plans)
    paths = {path for _method, path, _status in world.sandbox.requests}
    assert paths and not any("customers" in path or "subscriptions" in path for path in paths)  # noqa: PT018


def test_what_a_customer_cancelled_is_not_taken_up_again(world: World) -> None:
    """A subscription that somebody lets end is left to end, and begins anew only where that address is allowed."""
    ends = subscription(world, "acme")
    world.dashboard.v1.subscriptions.update(ends.id, {"cancel_at_period_end": True})
    assert actions(world.plan(SECTIONS)) == {}
    world.dashboard.v1.subscriptions.cancel(ends.id)
    plan = world.propose(SECTIONS).plan
    (change,) = plan.changes
    assert (change.action, change.reason) == (Action.CREATE, Reason.ENDED)
    assert refused(world, SECTIONS, "contracts") == ["cancelled"]
    assert refused(world, SECTIONS, "contracts", "cancelled:tenants.acme.subscription") == []


def test_a_discount_that_is_used_up_is_not_given_again(world: World) -> None:
    """A coupon for one invoice is gone after it, and no plan brings it back; another one is given."""
    bee = subscription(world, "bee")
    assert bee.discounts == []
    assert actions(world.plan(SECTIONS)) == {}
    terms = {**SECTIONS["tenants"]["bee"]["subscription"], "coupon": "always"}
    world.apply(edited("tenants", "bee", "subscription", terms))
    (discount,) = subscription(world, "bee").discounts
    given = world.dashboard.v1.subscriptions.retrieve(bee.id, {"expand": ["discounts"]}).discounts[0]
    assert (given.id, given.source.coupon) == (discount, "acme_coupon_always")
    world.dashboard.v1.subscriptions.delete_discount(bee.id)
    assert actions(world.plan(edited("tenants", "bee", "subscription", terms))) == {
        "tenants.bee.subscription": "update"
    }


@pytest.mark.parametrize(
    ("policy", "paid", "lines"),
    [("now_prorated", ["9900"], 2), ("now", ["9900"], 0), ("at_renewal", ["4999"], 0)],
)
def test_a_change_of_plan_reaches_the_tenant_as_it_says(policy: str, paid: list[str], lines: int) -> None:
    """At once with days settled, at once without, or from the renewal; the next period is the new price for all."""
    world = World()
    sections = copy.deepcopy(SECTIONS)
    del sections["plans"]["pro"]["usage"], sections["tenants"]["bee"]
    sections["tenants"]["acme"]["subscription"] |= {"on_change": policy, "tax_rates": []}
    sections |= {"tax_rates": {}, "coupons": {}}
    world.apply(sections)
    found = subscription(world, "acme")
    end = found["items"].data[0].current_period_end
    world.clock.now += 86_400 * 10
    sections["tenants"]["acme"]["plan"] = "big"
    world.apply(sections)
    assert actions(world.plan(sections)) == {}
    assert amounts(subscription(world, "acme")) == paid
    pending = world.dashboard.v1.invoice_items.list({"customer": found.customer, "pending": True}).data
    assert len(pending) == lines
    world.clock.now = end + 3 * 86_400
    assert actions(world.plan(sections)) == {}
    renewed = subscription(world, "acme")
    assert (renewed.id, amounts(renewed), renewed.schedule) == (found.id, ["9900"], None)
    invoices = world.dashboard.v1.invoices.list({"subscription": found.id}).data
    assert [3 * 9900 in [line.amount for line in invoice.lines.data] for invoice in invoices] == [True, False]


@pytest.mark.parametrize("policy", ["grandfather", "at_renewal", "now", "now_prorated"])
def test_a_price_change_reaches_tenants_as_the_price_says(policy: str) -> None:
    """A tenant stays with the predecessor, or is moved at the renewal or at once; new tenants get the successor."""
    world = World()
    world.apply(edited("tenants", "bee", None))
    price = {"amount": "59.99", "interval": "month", "on_change": policy}
    sections = edited("plans", "pro", "prices", "monthly", price)
    terms = {"collection": "send_invoice", "days_until_due": 30}
    sections["tenants"]["new"] = {"name": "New", "email": "new@example.com", "plan": "pro", "subscription": terms}
    del sections["tenants"]["bee"]
    world.apply(sections)
    assert actions(world.plan(sections)) == {}
    acme = subscription(world, "acme")
    moved = policy.startswith("now")
    assert amounts(acme) == (["5999"] if moved else ["4999"])
    assert (acme.schedule is not None) is (policy == "at_renewal")
    assert amounts(subscription(world, "new")) == ["5999"]
    world.clock.now = acme["items"].data[0].current_period_end + 3 * 86_400
    later = subscription(world, "acme")
    assert amounts(later) == (["4999"] if policy == "grandfather" else ["5999"])
    assert items(later) == {"plans.pro.prices.monthly": 3, "plans.pro.usage.calls": None}
    assert [rate.display_name for rate in later.default_tax_rates] == ["VAT"]
    assert actions(world.plan(sections)) == {}


@pytest.mark.parametrize(("said", "moved"), [({}, True), ({"on_change": "grandfather"}, False)])
def test_a_price_of_one_tenant_changes_as_its_subscription_does(said: dict[str, Any], moved: bool) -> None:
    """The only one who pays it pays the successor, with days settled, unless the price says otherwise."""
    world = World()
    line: dict[str, Any] = {"included": 10, "overage": {"unit_amount": "1"}}
    line["reserved_price"] = {"amount": "12", "interval": "month", **said}
    sections = edited("tenants", "acme", "usage", {"vex": line})
    world.apply(sections)
    line["reserved_price"]["amount"] = "20"
    world.apply(sections)
    assert sorted(amounts(subscription(world, "acme"))) == (["2000", "4999"] if moved else ["1200", "4999"])
    assert actions(world.plan(sections)) == {}


def test_a_schedule_of_somebody_else_is_left_alone(world: World) -> None:
    """A subscription whose next items another schedule plans is not moved, and the plan says so."""
    acme = subscription(world, "acme")
    schedules = world.dashboard.v1.subscription_schedules
    made = schedules.create({"from_subscription": acme.id})
    phase = made.to_dict()["phases"][0]
    kept: dict[str, Any] = {
        "items": [{name: each[name] for name in ("price", "quantity") if each.get(name)} for each in phase["items"]],
        "start_date": phase["start_date"],
        "end_date": phase["end_date"],
        "default_tax_rates": [rate["id"] for rate in phase["default_tax_rates"]],
    }
    then = {
        "default_tax_rates": [rate["id"] for rate in phase["default_tax_rates"]],
        "items": [{**each, **({"quantity": 9} if "quantity" in each else {})} for each in kept["items"]],
    }
    schedules.update(made.id, {"phases": [kept, {**then, "duration": {"interval": "month", "interval_count": 1}}]})
    assert actions(world.plan(SECTIONS)) == {}
    (problem,) = world.propose(edited("tenants", "acme", "plan", "big")).problems
    assert (problem.code, made.id in problem.summary) == ("E0711", True)


def test_one_that_waits_for_its_first_payment_stays_as_it_is() -> None:
    """Stripe changes nothing of an incomplete subscription, so a plan does not ask for it and says why."""
    world = World()
    sections = edited("tenants", "bee", "subscription", {})
    world.apply(sections)
    assert subscription(world, "bee").status == "incomplete"
    assert actions(world.plan(sections)) == {}
    sections["tenants"]["bee"]["plan"] = "big"
    (problem,) = world.propose(sections).problems
    assert (problem.code, "waits to be paid" in problem.summary) == ("E0711", True)


def test_a_money_credit_is_given_once(world: World) -> None:
    """It pays metered prices, is not given again when voided, and neither its amount nor its going takes it back."""
    sections = edited("tenants", "acme", "money_credits", [{"id": "hello", "amount": "25.50", "name": "Hello"}])
    world.apply(sections)
    (grant,) = world.dashboard.v1.billing.credit_grants.list().data
    assert (grant.amount.monetary.value, grant.applicability_config.scope.price_type) == (2550, "metered")
    assert actions(world.plan(sections)) == {}
    assert actions(world.plan(SECTIONS)) == {}
    sections["tenants"]["acme"]["money_credits"][0]["amount"] = "30"
    (problem,) = world.propose(sections).problems
    assert problem.code == "E0711"
    sections["tenants"]["acme"]["money_credits"][0]["amount"] = "25.50"
    world.dashboard.v1.billing.credit_grants.void_grant(grant.id)
    assert actions(world.plan(sections)) == {}


def test_two_customers_of_one_tenant_stop_the_plan(world: World) -> None:
    """Nobody can tell which of two marked customers is billed, so nothing is planned until one mark is gone."""
    acme = world.dashboard.v1.customers.retrieve(subscription(world, "acme").customer)
    twin = world.dashboard.v1.customers.create({"name": "Acme", "metadata": acme.metadata.to_dict()})
    told = [problem.summary for problem in world.propose(SECTIONS).problems if problem.code == "E0713"]
    assert [twin.id in summary for summary in told] == [True]


def test_no_personal_data_but_that_of_the_files_is_in_a_plan(world: World) -> None:
    """What somebody wrote into a customer at Stripe stands in a plan as a fingerprint."""
    customer = subscription(world, "acme").customer
    world.dashboard.v1.customers.update(customer, {"email": "secret@person.example", "name": "Jane Person"})
    text = serialise(world.plan(SECTIONS))
    assert "secret@" not in text
    assert "Jane" not in text
    assert "billing@acme.example" in text
    world.apply(SECTIONS)
    assert world.dashboard.v1.customers.retrieve(customer).email == "billing@acme.example"


def test_an_address_that_a_customer_gave_stays_where_the_files_give_none(world: World) -> None:
    """What a customer entered in the portal is where invoices go, unless the files say another address."""
    customers = world.dashboard.v1.customers
    bee = subscription(world, "bee").customer
    customers.update(bee, {"email": "own@bee.example"})
    plan = world.plan(SECTIONS)
    assert actions(plan) == {}
    world.apply(edited("tenants", "bee", "description", "a note"))
    assert customers.retrieve(bee).email == "own@bee.example"
    assert "own@bee" not in serialise(world.plan(SECTIONS))


def test_strangers_are_not_touched(world: World) -> None:
    """Customers and subscriptions of others stay as they are, byte for byte, whatever is applied."""
    api = world.dashboard.v1
    other = api.customers.create({"name": "Other", "email": "billing@acme.example"})
    price = world.prices(lookup_keys=["acme.plans.big.prices.monthly"])[0]
    terms: Any = {"collection_method": "send_invoice", "days_until_due": 3}
    alone = api.subscriptions.create({"customer": other.id, "items": [{"price": price.id}], **terms})
    before = str(api.customers.retrieve(other.id)), str(api.subscriptions.retrieve(alone.id))
    assert world.propose(SECTIONS).strangers == ()
    plan = world.plan(edited("tenants", "acme", "plan", "big"))
    assert world.run(plan).ending is Ending.COMPLETE
    assert before == (str(api.customers.retrieve(other.id)), str(api.subscriptions.retrieve(alone.id)))


def test_a_currency_of_a_running_subscription_stays(world: World) -> None:
    """A tenant cannot change the currency it is billed in while it is subscribed: a second one would charge twice."""
    sections = edited("plans", "pro", "prices", "monthly", {"amount": "49.99", "interval": "month", "currency": "eur"})
    del sections["plans"]["pro"]["usage"]
    codes = [problem.code for problem in world.propose(sections).problems]
    assert codes == ["E0712", "E0712"]


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_items_and_currency_are_those_that_are_priced(data: st.DataObject) -> None:
    """What a subscription is made of is what the tenant's invoice is worked out from, item by item."""
    from random import Random

    from .test_invoices import draw

    catalog = catalog_of(draw(Random(data.draw(st.integers(0, 10_000)))))
    tariff = of_tenant(catalog.file, "acme")
    found = subscription_items(catalog.file, "acme")
    assert sorted(item.address for item in found) == sorted(tariff.addresses())
    assert billed_currency(catalog.file, "acme") == tariff.currency
    assert Decimal(sum(item.quantity or 0 for item in found)) >= 0
