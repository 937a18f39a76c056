"""What tests of features share: an account at which files were applied, and a person's view of it."""

import json
from functools import cache
from typing import Any

from reconciler.entitlements import Entitlements, Policy
from reconciler.entitlements.compile import compile_catalog
from tests.entitlements.worlds import HandClock
from tests.loop.world import World, catalog_of

METERS = {"calls": {"name": "Calls"}, "vex": {"name": "Verified exchanges"}, "fu": {"name": "Fallback units"}}
PRO = {"name": "Pro", "default_price": "monthly", "prices": {"monthly": {"amount": "49.99", "interval": "month"}}}


def applied(**sections: Any) -> World:
    """Return an account at which these sections were applied."""
    world = World()
    world.apply({"meters": METERS, **sections})
    return world


@cache
def _policy(text: str) -> Policy:
    return compile_catalog(catalog_of(json.loads(text)))


def decided(clock: HandClock | None = None, **sections: Any) -> Entitlements:
    """Return a runtime that decides by these sections, its ledger in memory, its clock at the start of 2027."""
    settings = {"namespace": "acme", "currency": "usd", "default_meter": "calls"}
    policy = _policy(json.dumps({"settings": settings, "meters": METERS, **sections}))
    return Entitlements.open(policy, "sqlite://", mode="direct", clock=clock or HandClock())


def price(world: World, key: str) -> Any:
    """Return the active price with a lookup key, with its tiers and the amounts of all currencies."""
    (found,) = world.dashboard.v1.prices.list(
        {"lookup_keys": [key], "expand": ["data.tiers", "data.currency_options"]}
    ).data
    return found


def steps(found: Any) -> list[tuple[int | None, str]]:
    """Return the brackets of a price: the last unit of each, and what a unit costs."""
    return [(tier.up_to, str(tier.unit_amount_decimal)) for tier in found.tiers]


def keys(world: World) -> set[str]:
    """Return the lookup keys of all active prices."""
    return {each.lookup_key for each in world.prices(active=True)}
