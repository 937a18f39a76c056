"""Scenario j: what leaves the files while people are subscribed to it is counted, shown and refused."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import stripe

from reconciler.config.models import Guards
from reconciler.planning.guards import check_guards
from reconciler.planning.markdown import render_markdown
from reconciler.planning.plan import Plan
from reconciler.planning.render import render_text
from reconciler.provider.reads import Reader
from reconciler.provider.subscribers import count_subscribers

from .samples import simple
from .world import World

ADDRESS = "plans.pro.prices.monthly"


def two_plans() -> dict[str, Any]:
    """Return files with a plan to remove and a decoy that stays."""
    sections = simple()
    sections["plans"]["decoy"] = {"name": "Decoy", "prices": {"monthly": {"amount": 5, "interval": "month"}}}
    return sections


def world_with(subscribers: int, others: int = 0) -> World:
    """Make an account with so many subscribers of the plan, and of the decoy; one more of each has canceled."""
    world = World()
    world.apply(two_plans())
    client = world.dashboard.v1
    for address, count in (("plans.pro.prices.monthly", subscribers), ("plans.decoy.prices.monthly", others)):
        (price,) = client.prices.list({"lookup_keys": [f"acme.{address}"]}).data
        made = [subscribe(world, price.id) for _ in range(count + 1)]
        client.subscriptions.cancel(made[0])
    return world


def subscribe(world: World, price: str) -> str:
    """Subscribe a new customer who pays by invoice."""
    client = world.dashboard.v1
    customer = client.customers.create({"email": "a@example.com"})
    params: Any = {"customer": customer.id, "items": [{"price": price}], "collection_method": "send_invoice"}
    return client.subscriptions.create({**params, "days_until_due": 30}).id


def without_pro() -> Mapping[str, Any]:
    """Return the files after the plan has left them."""
    sections = two_plans()
    del sections["plans"]["pro"]
    return sections


def refused(plan: Plan) -> list[str]:
    """Return the words that would allow what the guard refuses."""
    return [each.allow for each in check_guards(plan, Guards()) if each.guard == "subscribers"]


def test_a_removed_plan_with_subscribers_is_refused() -> None:
    """The count is that of live subscriptions of this price alone; the words that allow it name the address."""
    plan = world_with(3, others=2).plan(without_pro())
    assert list(plan.subscribers.values()) == [3]
    assert refused(plan) == [f"subscribers:{ADDRESS}"]
    assert check_guards(plan, Guards(), refused(plan)) == []


def test_a_removed_plan_without_subscribers_passes() -> None:
    """The control: only somebody else's plan has subscribers, and one who has canceled counts no more."""
    plan = world_with(0, others=2).plan(without_pro())
    assert (list(plan.subscribers.values()), refused(plan)) == ([0], [])


@pytest.mark.parametrize("form", [render_text, render_markdown])
def test_subscribers_are_shown(form: Any) -> None:
    """Whoever reads the plan sees how many there are, in the text and among what is dangerous in a comment."""
    world = world_with(3)
    assert "3 subscribers" in form(world.plan(without_pro()))
    assert "subscriber" not in form(world_with(0).plan(without_pro()))


def test_a_replaced_price_keeps_its_subscribers() -> None:
    """A new amount makes a successor; the subscribers of the old price are counted, and nothing is refused."""
    sections = two_plans()
    sections["plans"]["pro"]["prices"]["monthly"]["amount"] = 99
    plan = world_with(2).plan(sections)
    assert (list(plan.subscribers.values()), refused(plan)) == ([2], [])


def test_a_legacy_plan_keeps_its_subscribers() -> None:
    """What is no longer sold but stays in the files is declared: it is counted and not refused."""
    sections = two_plans()
    sections["plans"]["pro"]["status"] = "legacy"
    plan = world_with(2).plan(sections)
    assert (list(plan.subscribers.values()), refused(plan)) == ([2], [])


def test_nothing_is_counted_where_nothing_goes() -> None:
    """A plan without retirements reads no subscriptions."""
    world = world_with(1)
    sections = two_plans()
    sections["plans"]["pro"]["name"] = "Another name"
    world.sandbox.requests.clear()
    assert world.plan(sections).subscribers == {}
    asked = [path for _, path, _ in world.sandbox.requests]
    assert asked
    assert not [path for path in asked if "/subscriptions" in path]


class Forbidden(stripe.HTTPClient):
    """A transport whose key may not read subscriptions."""

    name = "forbidden"

    def __init__(self, inner: stripe.HTTPClient) -> None:
        super().__init__()
        self._inner = inner

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, *, _usage: Any = None) -> Any:
        """Refuse subscriptions as Stripe refuses a restricted key."""
        if "/v1/subscriptions" in url:
            return '{"error": {"type": "invalid_request_error", "message": "no permission"}}', 403, {}
        return self._inner.request(method, url, headers, post_data)

    def close(self) -> None:
        """Close what is underneath."""


def test_what_cannot_be_read_is_refused() -> None:
    """Unknown is not none: without permission to read subscriptions a removal needs to be allowed."""
    world = world_with(1)
    plan = world.plan(without_pro())
    gateway = world.gateway(transport=Forbidden(world.sandbox.http_client()))
    unknown = replace(plan, subscribers=count_subscribers(Reader(gateway), plan.changes))
    assert list(unknown.subscribers.values()) == [None]
    assert refused(unknown) == [f"subscribers:{ADDRESS}"]
    assert "subscribers unknown" in render_text(unknown)
