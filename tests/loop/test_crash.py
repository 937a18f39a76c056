"""Scenario d: an apply that dies at any write is finished by the next, by the same plan or by a new one."""

from typing import Any

import pytest
import stripe

from reconciler.planning.plan import Plan
from reconciler.provider.executor import Ending
from reconciler.sandbox import Settings

from .samples import everything
from .world import World, actions


class CrashError(BaseException):
    """The process is gone: nothing after this line runs."""


class DyingTransport(stripe.HTTPClient):
    """Dies at the n-th write, before it is sent or after it was carried out; reads pass."""

    name = "dying"

    def __init__(self, inner: stripe.HTTPClient, at: int, *, after: bool) -> None:
        super().__init__()
        self.inner, self.at, self.after, self.seen = inner, at, after, 0

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, *, _usage: Any = None) -> Any:
        """Pass a request on unless it is the one to die at."""
        if method.lower() == "get":
            return self.inner.request(method, url, headers, post_data)
        self.seen += 1
        if self.seen < self.at:
            return self.inner.request(method, url, headers, post_data)
        if self.seen == self.at and self.after:
            self.inner.request(method, url, headers, post_data)
        raise CrashError


def changed() -> dict[str, Any]:
    """Return the sample catalogue with every kind of change in it."""
    sections = everything()
    sections["plans"]["pro"]["prices"]["monthly"]["amount"] = "59.99"
    sections["plans"]["pro"]["name"] = "Pro 2"
    sections["plans"]["pro"]["features"] = ["export"]
    sections["coupons"]["five"]["amount_off"] = "6"
    sections["coupons"]["launch"]["percent_off"] = "15"
    sections["tax_rates"]["vat"]["percentage"] = "22"
    del sections["plans"]["packaged"], sections["credit_packs"]["donation"]
    sections["plans"]["payg"]["status"] = "legacy"
    sections["plans"]["next"]["status"] = "active"
    return sections


def die(world: World, plan: Plan, at: int, *, after: bool) -> bool:
    """Apply until death; return whether death came."""
    transport = DyingTransport(world.sandbox.http_client(), at, after=after)
    try:
        world.run(plan, transport=transport, threads=3)
    except CrashError:
        return True
    return False


def settled(world: World) -> None:
    """Check what must hold when all is done: no duplicates, one active price per key, an empty plan."""
    assert actions(world.plan(changed())) == {}
    active = world.prices(active=True)
    assert len({price.lookup_key for price in active}) == len(active)
    products = world.dashboard.v1.products.list({"limit": 100}).data
    assert len({product.metadata["address"] for product in products}) == len(products)
    coupons = world.dashboard.v1.coupons.list({"limit": 100}).data
    assert len({coupon.metadata["address"] for coupon in coupons}) == len(coupons)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("same_plan", [True, False], ids=["same-plan", "new-plan"])
def test_a_death_at_any_write_is_healed(same_plan: bool, after: bool) -> None:
    """Whichever write it dies at, applying the same plan or a new one ends where an uninterrupted run ends."""
    at = 1
    while True:
        world = World()
        world.apply(everything())
        plan = world.plan(changed())
        if not die(world, plan, at, after=after):
            break
        report = world.run(plan if same_plan else world.plan(changed()))
        assert report.ending is Ending.COMPLETE, (at, report.failures)
        settled(world)
        at += 1
    assert at > 20


@pytest.mark.parametrize("at", [2, 9, 17, 22])
def test_deaths_under_every_setting(settings: Settings, at: int) -> None:
    """The same holds however the open points of Stripe turn out."""
    world = World(settings)
    world.apply(everything())
    plan = world.plan(changed())
    assert die(world, plan, at, after=True)
    assert world.run(plan).ending is Ending.COMPLETE
    settled(world)


def test_a_price_is_active_at_every_instant() -> None:
    """Between any two writes of a price change some active price holds the key, and the product has a default."""
    at = 1
    while True:
        world = World()
        world.apply(everything())
        if not die(world, world.plan(changed()), at, after=True):
            break
        (held,) = world.prices(active=True, lookup_keys=["acme.plans.pro.prices.monthly"])
        default = world.dashboard.v1.products.retrieve("acme_plan_pro", {"expand": ["default_price"]}).default_price
        assert held.active
        assert not isinstance(default, str) and default is not None and default.active  # noqa: PT018
        at += 1
