"""Scenario d: an apply that dies at any write is finished by the next, by the same plan or by a new one."""

from pathlib import Path
from typing import Any

import pytest
import stripe

from reconciler.planning.plan import Plan
from reconciler.sandbox import Settings

from .conftest import both_ways
from .deaths import Death, Prepared, changed, settled
from .world import World

__all__ = ["changed", "die", "settled"]

every_setting = pytest.mark.parametrize("settings", both_ways())


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


def die(world: World, plan: Plan, at: int, *, after: bool, threads: int = 3) -> bool:
    """Apply until death; return whether death came."""
    transport = DyingTransport(world.sandbox.http_client(), at, after=after)
    try:
        world.run(plan, transport=transport, threads=threads)
    except CrashError:
        return True
    return False


def heals(prepared: Prepared, death: Death) -> None:
    """Die in a copy of the account, and check that it is healed."""
    with prepared.world() as world:
        assert die(world, prepared.plan, death.at, after=death.after), death
        prepared.heal(world, death)


def stays_on_sale(prepared: Prepared, at: int) -> None:
    """Die in a copy of the account, and check that what the plan replaces is on sale still, or again."""
    with prepared.world() as world:
        assert die(world, prepared.plan, at, after=True)
        (held,) = world.prices(active=True, lookup_keys=["acme.plans.pro.prices.monthly"])
        default = world.dashboard.v1.products.retrieve("acme_plan_pro", {"expand": ["default_price"]}).default_price
        assert held.active
        assert not isinstance(default, str) and default is not None and default.active  # noqa: PT018


def test_a_death_at_any_write_is_healed(tmp_path: Path) -> None:
    """Whichever write it dies at, applying the same plan or a new one ends where an undisturbed apply ends."""
    prepared = Prepared(tmp_path, Settings())
    assert prepared.writes > 20
    for death in prepared.one_death_a_write()[::3]:
        heals(prepared, death)


@every_setting
def test_deaths_under_every_setting(tmp_path: Path, settings: Settings) -> None:
    """The same holds however the open points of Stripe turn out."""
    prepared = Prepared(tmp_path, settings)
    for death in prepared.some_deaths(2):
        heals(prepared, death)


@pytest.mark.soak
@pytest.mark.timeout(900)
@every_setting
def test_every_death_under_every_setting(tmp_path: Path, settings: Settings) -> None:
    """The same for every write, for both sides of it, and for either plan."""
    prepared = Prepared(tmp_path, settings)
    for death in prepared.deaths():
        heals(prepared, death)


def test_a_price_is_active_at_every_instant(tmp_path: Path) -> None:
    """Between any two writes of a price change some active price holds the key, and the product has a default."""
    prepared = Prepared(tmp_path, Settings())
    for at in range(1, prepared.writes + 1, 2):
        stays_on_sale(prepared, at)


@pytest.mark.soak
@every_setting
def test_a_price_is_active_at_every_instant_under_every_setting(tmp_path: Path, settings: Settings) -> None:
    """The same holds however the open points of Stripe turn out."""
    prepared = Prepared(tmp_path, settings)
    for at in range(1, prepared.writes + 1):
        stays_on_sale(prepared, at)
