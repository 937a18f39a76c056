"""Payment links, the portal and webhook endpoints: what holds of these beyond what holds of every kind."""

from dataclasses import replace
from typing import Any

import pytest

from reconciler.diagnostics import UsageError
from reconciler.planning.category import Category, category, consequence, is_dangerous
from reconciler.planning.change import Reason
from reconciler.planning.diff import diff
from reconciler.planning.words import headline
from reconciler.provider.executor import Ending
from reconciler.provider.reads import Reader
from reconciler.resources import desire

from .samples import everything, monthly
from .world import World, actions, catalog_of

SHOP = "payment_links.shop"


def selling(amount: str = "19", **terms: Any) -> dict[str, Any]:
    """Return a plan with metered usage and a link that sells it."""
    plan = {
        "name": "Pro",
        "default_price": "monthly",
        "prices": {"monthly": monthly(amount)},
        "usage": {"calls": {"overage": {"unit_amount": "1"}}},
        "trial_days": 14,
    }
    return {
        "meters": {"calls": {"name": "Calls"}},
        "plans": {"pro": plan},
        "payment_links": {"shop": {"items": [{"plan": "pro"}], **terms}},
    }


def links(world: World, *, active: bool = True) -> list[Any]:
    """List links as the dashboard sees them."""
    return list(world.dashboard.v1.payment_links.list({"active": active, "expand": ["data.line_items"]}).data)


def test_a_link_sells_the_price_and_what_usage_is_charged_by() -> None:
    """The default price and the metered one are lines, the latter without quantity; the plan's trial is the link's."""
    world = World()
    world.apply(selling())
    (link,) = links(world)
    sold = {line.price.lookup_key: line.quantity for line in link.line_items.data}
    assert sold == {"acme.plans.pro.prices.monthly": 1, "acme.plans.pro.usage.calls": None}
    assert link.subscription_data.trial_period_days == 14


def test_a_link_of_two_plans_has_no_trial() -> None:
    """Two plans become one subscription, and neither's trial is that of the other."""
    files = selling()
    files["plans"]["team"] = {"name": "Team", "prices": {"monthly": monthly("5")}}
    files["payment_links"]["shop"]["items"].append({"plan": "team", "price": "monthly"})
    world = World()
    world.apply(files)
    assert links(world)[0].subscription_data.trial_period_days is None


def test_the_tenant_of_a_link_stands_in_its_metadata() -> None:
    """Stripe copies metadata of a link to the sessions it opens: whoever fulfils them knows whom it is for."""
    world = World()
    world.apply(everything())
    (link,) = [each for each in links(world) if each.metadata["address"] == "payment_links.globex"]
    assert link.metadata["tenant"] == "globex"


def test_lines_that_are_listed_otherwise_are_the_same_link() -> None:
    """The order of items in the files is no change: the address that people have stays."""
    files = everything()
    world = World()
    world.apply(files)
    files["payment_links"]["pro"]["items"].reverse()
    assert actions(world.plan(files)) == {}


def test_more_lines_than_stripe_shows_are_read() -> None:
    """Of a link with more than ten lines all are read, so it is not taken for another."""
    packs = {f"p{number}": {"name": f"P{number}", "credits": 1, "price": "1"} for number in range(15)}
    files = {"credit_packs": packs, "payment_links": {"shop": {"items": [{"pack": name} for name in packs]}}}
    world = World()
    world.apply(files)
    assert actions(world.plan(files)) == {}


def test_a_price_change_makes_another_link_before_the_old_one_goes() -> None:
    """The new link is there before the old one stops, and both before the old price is archived."""
    world = World()
    world.apply(selling())
    (old,) = links(world)
    (price,) = world.prices(active=True, lookup_keys=["acme.plans.pro.prices.monthly"])
    plan = world.plan(selling("20"))
    (change,) = [each for each in plan.changes if each.address == SHOP]
    assert (category(change), is_dangerous(change)) == (Category.IRREVERSIBLE, True)
    assert "old" in str(consequence(change))
    world.sandbox.requests.clear()
    report = world.run(plan)
    paths = [path for _method, path in world.writes()]
    order = [
        paths.index(path) for path in ("/v1/payment_links", f"/v1/payment_links/{old.id}", f"/v1/prices/{price.id}")
    ]
    assert order == sorted(order)
    (new,) = links(world)
    assert new.id != old.id
    assert [each.told for each in report.results if each.told] == [new.url]


def test_a_link_that_is_switched_off_and_on_is_the_same() -> None:
    """Its address works again, and neither switch leaves anything to do."""
    world = World()
    world.apply(selling())
    (before,) = links(world)
    for active in (False, True):
        plan = world.plan(selling(active=active))
        assert actions(plan) == {SHOP: "update"}
        assert world.run(plan).ending is Ending.COMPLETE
        assert actions(world.plan(selling(active=active))) == {}
    (after,) = links(world)
    assert (after.id, after.url) == (before.id, before.url)


def test_a_link_that_is_switched_off_has_no_successor() -> None:
    """Switched off while what it sells changes, it retires; switched on, another link sells what the files say."""
    world = World()
    world.apply(selling())
    plan = world.plan(selling("20", active=False))
    assert actions(plan)[SHOP] == "retire"
    assert world.run(plan).ending is Ending.COMPLETE
    assert actions(world.plan(selling("20", active=False))) == {}
    world.apply(selling("20"))
    (link,) = links(world)
    assert link.line_items.data[0].price.unit_amount == 2000
    assert actions(world.plan(selling("20"))) == {}


def test_a_link_that_never_was_is_not_made_to_be_off() -> None:
    """A link that is off from the start is nothing at Stripe."""
    world = World()
    world.apply(selling(active=False))
    assert links(world) == links(world, active=False) == []


def test_foreign_links_that_are_off_are_not_counted() -> None:
    """Looking for a link of ours that is off leaves those of others as they are, seen and unseen."""
    world = World()
    price = world.dashboard.v1.prices.create({"currency": "usd", "unit_amount": 5, "product_data": {"name": "T"}})
    theirs = world.dashboard.v1.payment_links.create({"line_items": [{"price": price.id, "quantity": 1}]})
    world.dashboard.v1.payment_links.update(theirs.id, {"active": False})
    assert "payment_link" not in world.plan(selling()).foreign


def test_the_words_for_a_link() -> None:
    """A plan names what a link sells, without the prices of usage that come with it."""
    words = {each.address: headline(each.kind, each.values) for each in desire(catalog_of(everything()))}
    assert words["payment_links.pro"] == 'payment link "credit_packs.starter, plans.pro monthly"'
    assert words["payment_links.globex"] == 'payment link "tenants.globex calls"'


def test_the_portal_offers_one_price_of_each_interval() -> None:
    """Of two monthly prices the first in the files is offered, and the yearly one."""
    world = World()
    world.apply(everything())
    expand = {"expand": ["data.features.subscription_update.products"]}
    (portal,) = world.dashboard.v1.billing_portal.configurations.list(expand).data  # type: ignore[arg-type]  # plain data
    offered = {each.product: each.prices for each in portal.features.subscription_update.products}
    keys = {price.id: price.lookup_key for price in world.prices(active=True)}
    assert {keys[price] for price in offered["acme_plan_pro"]} == {
        "acme.plans.pro.prices.monthly",
        "acme.plans.pro.prices.annual",
    }


def test_the_accounts_default_portal_is_released() -> None:
    """Stripe keeps an account's default configuration: out of the files it loses our mark and nothing else."""
    world = World()
    world.apply(everything())
    (before,) = world.dashboard.v1.billing_portal.configurations.list().data
    files = everything()
    del files["portal"]
    plan = world.plan(files)
    (change,) = plan.changes
    assert (change.reason, category(change)) == (Reason.RELEASED, Category.COSMETIC)
    assert world.run(plan).ending is Ending.COMPLETE
    (after,) = world.dashboard.v1.billing_portal.configurations.list().data
    assert (after.id, after.active, dict(after.metadata.to_dict())) == (before.id, True, {})
    assert after.features.to_dict() == before.features.to_dict()
    assert actions(world.plan(files)) == {}
    assert world.plan(files).foreign["portal_configuration"] == 1


def test_a_portal_beside_the_default_is_archived_and_made_again() -> None:
    """One that is not the default is archived; what somebody archived is made anew."""
    world = World()
    client = world.dashboard.v1.billing_portal.configurations
    client.create({"features": {"invoice_history": {"enabled": True}}})
    files = {"portal": {"headline": "Hello"}}
    world.apply(files)
    (ours,) = [each for each in client.list().data if not each.is_default]
    assert [change.reason for change in world.plan({}).changes] == [Reason.REMOVED]
    world.apply({})
    assert not client.retrieve(ours.id).active
    world.apply(files)
    assert actions(world.plan(files)) == {}
    assert len(client.list({"active": True}).data) == 2


HOOK: dict[str, Any] = {"url": "https://example.com/in", "events": ["invoice.paid"]}


def hooked(**terms: Any) -> dict[str, Any]:
    """Return files with one webhook."""
    return {"webhooks": {"inbox": {**HOOK, **terms}}}


def test_a_secret_is_kept_by_its_address() -> None:
    """What is handed over is the secret that signs events, once; an update hands over nothing."""
    world = World()
    world.apply(hooked())
    assert world.secrets.keys() == {"webhooks.inbox"}
    assert world.secrets["webhooks.inbox"].startswith("whsec_")
    world.secrets.clear()
    world.apply(hooked(description="Inbox"))
    assert world.secrets == {}


def test_without_a_place_for_secrets_nothing_is_written() -> None:
    """A plan that makes an endpoint is refused before its first write; once it is made, the same plan goes on."""
    world = World()
    plan = world.plan(hooked() | selling())
    world.sandbox.requests.clear()
    with pytest.raises(UsageError) as caught:
        world.run(plan, keeper=None)
    assert (caught.value.code, caught.value.details) == ("E1048", ("webhooks.inbox",))
    assert world.writes() == []
    assert world.run(plan).ending is Ending.COMPLETE
    assert world.run(plan, keeper=None).ending is Ending.COMPLETE


def test_a_disabled_webhook_is_made_and_then_disabled() -> None:
    """Stripe creates endpoints enabled; one that leaves is deleted as it is, not enabled before."""
    world = World()
    world.apply(hooked(disabled=True))
    (made,) = world.dashboard.v1.webhook_endpoints.list().data
    assert made.status == "disabled"
    plan = world.plan({})
    assert [(category(each), is_dangerous(each)) for each in plan.changes] == [(Category.IRREVERSIBLE, True)]
    world.sandbox.requests.clear()
    world.run(plan)
    assert world.writes() == [("DELETE", f"/v1/webhook_endpoints/{made.id}")]


def test_an_endpoint_of_another_version_is_replaced() -> None:
    """Events come in the version that everything here speaks, which never changes on an endpoint."""
    world = World()
    world.apply(hooked())
    asked = desire(catalog_of(hooked()))
    state = Reader(world.gateway()).state(asked, "acme")
    older = [replace(live, values={**live.values, "api_version": "2024-01-01"}) for live in state.objects]
    (change,) = diff(asked, older, "acme").changes
    assert (str(change.action), change.fields) == ("replace", ("api_version",))
    assert consequence(change) == "new signing secret"
