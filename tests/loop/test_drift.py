"""Scenarios c and h, field by field: whatever is edited or archived in the dashboard is seen, and healed each time."""

from typing import Any

import pytest

from reconciler.planning.drift import select_drift
from reconciler.provider.executor import Ending
from reconciler.sandbox import Settings

from .samples import everything
from .test_edits import Held, held, meaning
from .world import World, actions

#: Fields and what somebody writes into them; ``None`` archives the object, or deletes it where it cannot be archived.
EDITS: dict[str, list[dict[str, Any] | None]] = {
    "meters": [None, {"display_name": "Edited"}],
    "features": [None, {"name": "Edited"}, {"metadata": {"team": "edited"}}],
    "products": [
        None,
        {"name": "Edited"},
        {"description": "Edited"},
        {"images": ["https://example.com/edited.png"]},
        {"marketing_features": [{"name": "Edited"}]},
        {"statement_descriptor": "EDITED"},
        {"tax_code": "txcd_10000000"},
        {"unit_label": "edited"},
        {"url": "https://example.com/edited"},
        {"package_dimensions": {"height": 1, "length": 1, "weight": 1, "width": 1}},
        {"metadata": {"line": "edited"}},
        {"description": ""},
        {"images": ""},
        {"marketing_features": ""},
        {"tax_code": ""},
        {"unit_label": ""},
        {"default_price": ""},
    ],
    "prices": [
        None,
        {"nickname": "Edited"},
        {"metadata": {"term": "edited"}},
        {"lookup_key": "edited"},
        {"tax_behavior": "inclusive"},
        {"currency_options": {"gbp": {"unit_amount": 4000}}},
        {"currency_options": {"eur": {"unit_amount": 4000}}},
    ],
    "coupons": [None, {"name": "Edited"}, {"currency_options": {"gbp": {"amount_off": 400}}}],
    "promotion_codes": [None, {"restrictions": {"currency_options": {"eur": {"minimum_amount": 900}}}}],
    "payment_links": [
        None,
        {"allow_promotion_codes": True},
        {"after_completion": {"type": "hosted_confirmation"}},
        {"subscription_data": {"trial_period_days": 3}},
        {"metadata": {"campaign": "edited"}},
    ],
    "portal": [
        {"business_profile": {"headline": "Edited"}},
        {"business_profile": {"headline": "", "privacy_policy_url": ""}},
        {"default_return_url": ""},
        {"features": {"invoice_history": {"enabled": False}}},
        {"features": {"customer_update": {"enabled": True, "allowed_updates": ["phone"]}}},
        {"features": {"subscription_cancel": {"enabled": True, "mode": "immediately"}}},
        {"features": {"subscription_update": {"enabled": True, "products": ""}}},
        {"features": {"subscription_pause": {"enabled": True}}},
        {"metadata": {"team": "edited"}},
    ],
    "webhook_endpoints": [
        None,
        {"url": "https://example.com/edited"},
        {"enabled_events": ["*"]},
        {"description": "Edited"},
        {"description": ""},
        {"disabled": True},
        {"metadata": {"team": "edited"}},
    ],
    "tax_rates": [None, {"display_name": "Edited"}, {"country": "DE"}, {"jurisdiction": "DE"}, {"tax_type": "vat"}],
}
#: The object of each kind that is edited, by a name of it.
NAMED = {
    "meters": "meters.tokens",
    "features": "features.export",
    "products": "plans.pro",
    "prices": "plans.pro.prices.annual",
    "coupons": "coupons.five",
    "promotion_codes": "promotion_codes.launch20",
    "tax_rates": "tax_rates.vat",
    "payment_links": "payment_links.team",
    "portal": "portal",
    "webhook_endpoints": "webhooks.inbox",
}


def catalogue() -> dict[str, Any]:
    """Return the sample catalogue with a text wherever one may be edited, so that none has to be unset."""
    sections = everything()
    sections["plans"]["pro"]["prices"]["annual"] |= {"nickname": "Annual", "currency_options": {"eur": "459.90"}}
    sections["plans"]["pro"]["package_dimensions"] = {"height": 2, "length": 2, "weight": 2, "width": 2}
    del sections["plans"]["pro"]["prices"]["annual"]["tax_behavior"]
    sections["coupons"]["five"]["name"] = "Five"
    sections["portal"]["subscription_update"]["plans"] = ["team"]  # what is edited has nothing that follows it
    sections["portal"]["metadata"] = sections["webhooks"]["inbox"]["metadata"] = {"team": "data"}
    return sections


def edit(world: World, kind: str, object_id: str, fields: dict[str, Any] | None) -> None:
    """Change an object as somebody in the dashboard would."""
    client = world.dashboard.v1
    homes = {
        "meters": client.billing.meters,
        "features": client.entitlements.features,
        "portal": client.billing_portal.configurations,
    }
    home: Any = homes.get(kind) or getattr(client, kind)
    if fields is not None:
        home.update(object_id, fields)
    elif kind == "meters":
        home.deactivate(object_id)
    elif kind in ("coupons", "webhook_endpoints"):
        home.delete(object_id)
    else:
        home.update(object_id, {"active": False})


def meant(found: Held) -> Held:
    """Return what the account means; the key of a feature is left out, for an archived one may keep it."""
    means = meaning(found)
    for each in means.values():
        feature = each.get("entitlement_feature") or each
        if feature["object"] == "entitlements.feature":
            del feature["lookup_key"]
    return means


def heals_every_edit(kind: str, settings: Settings) -> None:
    """Edit an object in every way, each time after the last edit was healed."""
    world = World(settings)
    world.apply(catalogue())
    found = held(world)
    before = meant(found)
    for fields in [*EDITS[kind], *EDITS[kind][:2]]:
        edit(world, kind, found[NAMED[kind]]["id"], fields)
        plan = world.plan(catalogue())
        drift = select_drift(plan)
        drifted = drift.changes
        assert plan.changes, fields
        assert [change.address for change in plan.changes if change not in drifted] == [], fields
        assert world.run(plan).ending is Ending.COMPLETE, fields
        assert actions(world.plan(catalogue())) == {}, fields
        found = held(world)
        assert meant(found) == before, fields


@pytest.mark.parametrize("kind", EDITS)
def test_every_edit_is_seen_and_healed_each_time(kind: str) -> None:
    """After each edit a plan says that Stripe was changed, its apply brings back what was, and the next is empty."""
    heals_every_edit(kind, Settings())


@pytest.mark.soak
@pytest.mark.parametrize("kind", EDITS)
def test_every_edit_is_healed_under_either_extreme(extremes: Settings, kind: str) -> None:
    """The same holds where every open point of Stripe turns out the other way."""
    heals_every_edit(kind, extremes)
