"""Where an apply can die, and one account that is prepared once and copied for every death."""

import itertools
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.planning.plan import Plan
from reconciler.provider.executor import Ending
from reconciler.sandbox import Sandbox, Settings

from .conftest import label
from .samples import everything
from .world import World, actions, catalog_of

#: Plans made while preparing: the one that was applied, and the one to die in.
_PLANS = 2


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
    sections["portal"] |= {"headline": "Your plan", "customer_update": []}
    sections["webhooks"]["inbox"]["disabled"] = True
    sections["webhooks"]["audit"] = {"url": "https://example.com/audit", "events": ["*"], "disabled": True}
    sections["payment_links"]["team"]["allow_promotion_codes"] = True
    del sections["webhooks"]["spare"], sections["payment_links"]["globex"]
    return sections


@dataclass(frozen=True)
class Death:
    """At the n-th write (from 1), before it is sent or after it was carried out; healed by this plan or a new one."""

    at: int
    after: bool
    same_plan: bool


class Prepared:
    """An account with the sample catalogue in it, kept in a file, and the plan from there to the changed one."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.settings = settings
        self._before, self._copy = folder / "before.db", folder / "copy.db"
        world = World(settings, path=str(self._before))
        world.apply(everything())
        self.plan: Plan = world.plan(changed())
        world.sandbox.close()
        self._catalog = catalog_of(changed())
        with self.world() as world:
            assert world.run(self.plan).ending is Ending.COMPLETE
            #: Writes of an apply that nothing disturbs.
            self.writes = len(world.writes())
            settled(world)

    @contextmanager
    def world(self, kind: type[Sandbox] = Sandbox) -> Iterator[World]:
        """Open a copy of the account, as it was before the plan."""
        shutil.copyfile(self._before, self._copy)
        world = World(self.settings, kind=kind, plans=_PLANS, path=str(self._copy))
        world.remember(self.plan, self._catalog)
        try:
            yield world
        finally:
            world.sandbox.close()

    def deaths(self) -> list[Death]:
        """Return every death there is."""
        sides = itertools.product(range(1, self.writes + 1), (False, True), (False, True))
        return [Death(at, after, same_plan) for at, after, same_plan in sides]

    def some_deaths(self, number: int) -> list[Death]:
        """Draw some deaths, the same in every run and others for each setting."""
        return random.Random(label(self.settings)).sample(self.deaths(), number)

    def one_death_a_write(self) -> list[Death]:
        """Draw for every write which side of it to die on, and which plan heals."""
        draw = random.Random(label(self.settings))
        return [Death(at, draw.random() < 0.5, draw.random() < 0.5) for at in range(1, self.writes + 1)]

    def heal(self, world: World, death: Death) -> None:
        """Apply after a death, and check that all is as it is after an apply that nothing disturbs."""
        report = world.run(self.plan if death.same_plan else world.plan(changed()))
        assert report.ending is Ending.COMPLETE, (death, report.failures)
        settled(world)


def settled(world: World) -> None:
    """Check what must hold when all is done: no duplicates, one active price per key, an empty plan."""
    assert actions(world.plan(changed())) == {}
    active = world.prices(active=True)
    assert len({price.lookup_key for price in active}) == len(active)
    products = world.dashboard.v1.products.list({"limit": 100}).data
    assert len({product.metadata["address"] for product in products}) == len(products)
    coupons = world.dashboard.v1.coupons.list({"limit": 100}).data
    assert len({coupon.metadata["address"] for coupon in coupons}) == len(coupons)
    api = world.dashboard.v1
    links, hooks = api.payment_links.list({"active": True}).data, api.webhook_endpoints.list().data
    portals = api.billing_portal.configurations.list().data
    for lives, addresses in (
        (links, {"payment_links.pro", "payment_links.team"}),
        (hooks, {"webhooks.inbox", "webhooks.audit"}),
        (portals, {"portal"}),
    ):
        assert sorted(each.metadata["address"] for each in lives) == sorted(addresses)
