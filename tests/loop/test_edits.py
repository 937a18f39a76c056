"""Scenario m by small steps: one edit of the files changes at Stripe what it says, and nothing else."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from reconciler.provider.executor import Ending
from reconciler.sandbox import Settings

from .conftest import variants
from .edits import EDITS, Sections, edited, on_sale
from .world import World, actions

#: What Stripe notes about an object, and what it calls it: not what it is.
_NOTES = {"id", "created", "updated", "status_transitions", "request"}
PRODUCTS = "features.subscription_update.products"
Held = dict[str, dict[str, Any]]


def held(world: World) -> Held:
    """Return every live object of ours by a name of it, as Stripe answers it."""
    api = world.dashboard.v1
    everything = {"limit": 100}
    alive = {"limit": 100, "active": True}
    marked = [
        *api.products.list(alive).data,
        *api.prices.list({**alive, "expand": ["data.tiers", "data.currency_options"]}).data,
        *api.coupons.list({**everything, "expand": ["data.applies_to", "data.currency_options"]}).data,
        *api.promotion_codes.list({**alive, "expand": ["data.restrictions.currency_options"]}).data,
        *api.tax_rates.list(alive).data,
        *api.entitlements.features.list({**everything, "archived": False}).data,
        *api.payment_links.list({**alive, "expand": ["data.line_items"]}).data,
        *api.billing_portal.configurations.list({**alive, "expand": [f"data.{PRODUCTS}"]}).data,
        *api.webhook_endpoints.list(everything).data,
    ]
    marked = [each for each in marked if "address" in each.metadata]
    found = {each.metadata["address"]: _told(each.to_dict()) for each in marked}
    assert len(found) == len(marked), "two live objects of one address"
    for meter in api.billing.meters.list({**everything, "status": "active"}).data:
        found[meter.event_name.removeprefix("acme.")] = meter.to_dict()
    for product in marked:
        if product.object == "product":
            for attached in api.products.features.list(product.id, everything).data:
                feature = attached.entitlement_feature.metadata["address"]
                found[f"{product.metadata['address']}.{feature}"] = attached.to_dict()
    return found


def _told(each: dict[str, Any]) -> dict[str, Any]:
    """Leave out where a link is found, what its products were called, and the terms of what the portal lacks."""
    if each["object"] == "payment_link":
        del each["url"], each["line_items"]["url"]
        for line in each["line_items"]["data"]:
            del line["description"]
    if each["object"] == "billing_portal.configuration":
        off = {name: {"enabled": False} for name, feature in each["features"].items() if not feature["enabled"]}
        each["features"] |= off
    return each


def meaning(found: Held) -> Held:
    """Return what objects are without what Stripe notes about them: an id becomes the name of what it belongs to."""
    names = {each["id"]: f"@{name}" for name, each in found.items()}
    return {name: _plain(each, names) for name, each in found.items()}


def _plain(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item, names) for key, item in value.items() if key not in _NOTES}
    if isinstance(value, list):
        return [_plain(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def reaches(reach: set[str], address: str) -> bool:
    """Tell whether an edit can reach an address."""
    return any(fnmatchcase(address, pattern) for pattern in reach)


def changes_only_what_it_says(before: Sections, after: Sections, reach: set[str], settings: Settings) -> None:
    """Apply a catalogue, then the same after an edit, and look at everything the account holds."""
    world = World(settings)
    world.apply(before)
    first = held(world)
    plan = world.plan(after)
    assert {address for address in actions(plan) if not reaches(reach, address)} == set()
    assert world.run(plan).ending is Ending.COMPLETE
    assert actions(world.plan(after)) == {}
    second = held(world)
    outside = {name for name in first.keys() | second.keys() if not reaches(reach, name)}
    assert {name: first.get(name) for name in outside} == {name: second.get(name) for name in outside}
    fresh = World(settings)
    if on_sale(after) != after:
        fresh.apply(on_sale(after))
    fresh.apply({name: content for name, content in after.items() if name != "moved"})
    assert meaning(second) == meaning(held(fresh))


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_changes_what_it_says_and_nothing_else(name: str) -> None:
    """After an edit the account holds what a fresh account would, the next plan is empty, the rest is untouched."""
    hold(name, examples=1)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", EDITS)
def test_many_edits_change_what_they_say_and_nothing_else(name: str) -> None:
    """The same, many times over."""
    hold(name, examples=4)


def hold(name: str, examples: int) -> None:
    """Try one edit on catalogues of all sorts, under settings of all sorts; to shrink one that fails takes minutes."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

    @profile(
        max_examples=examples,
        deadline=None,
        suppress_health_check=slow,
        phases=(Phase.explicit, Phase.generate),
    )
    @given(change=edited(name), variant=st.sampled_from(variants()))
    def changes_what_it_says(change: tuple[Sections, Sections, set[str]], variant: Settings) -> None:
        changes_only_what_it_says(*change, variant)

    changes_what_it_says()
