"""Scenario o for every kind: what leaves the files leaves the account, which is then as if it had never been there."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from reconciler.provider.executor import Ending
from reconciler.sandbox import Settings

from .samples import everything
from .test_edits import held, meaning
from .world import World, actions

#: Optional keys that leave together, by the entry they stand in; the last of a path may be a price.
LEAVING: dict[tuple[str, ...], dict[str, Any]] = {
    ("plans", "pro"): {"package_dimensions": {"height": "2", "length": "2", "weight": "2", "width": "2"}},
    ("plans", "pro", "prices", "annual"): {"nickname": "Annual", "metadata": {"term": "year"}},
    ("plans", "packaged", "usage", "calls", "overage"): {"nickname": "Overage"},
    ("credit_packs", "starter"): {
        "description": "Credits",
        "images": ["https://example.com/pack.png"],
        "metadata": {"line": "packs"},
        "nickname": "Pack",
        "statement_descriptor": "ACME PACK",
        "tax_code": "txcd_10103000",
        "url": "https://example.com/pack",
    },
    ("features", "export"): {"metadata": {"team": "data"}},
    ("coupons", "five"): {"name": "Five", "metadata": {"line": "five"}, "max_redemptions": 100},
    ("promotion_codes", "launch20"): {"metadata": {"line": "launch"}, "expires_at": "2031-01-01"},
    ("plans", "team"): {"trial_days": 14},
    ("payment_links", "team"): {"after_completion_url": "https://example.com/thanks", "metadata": {"campaign": "a"}},
    ("payment_links", "globex"): {"tenant": "globex", "allow_promotion_codes": True},
    ("portal",): {
        "privacy_policy_url": "https://example.com/privacy",
        "return_url": "https://example.com/account",
        "customer_update": ["email"],
        "subscription_cancel": {"mode": "immediately"},
        "subscription_update": {"plans": ["team"]},
        "metadata": {"team": "data"},
    },
    ("webhooks", "inbox"): {"description": "Inbox", "disabled": True, "metadata": {"team": "data"}},
    ("tax_rates", "vat"): {"description": "Dutch", "jurisdiction": "NL", "tax_type": "vat", "metadata": {"a": "b"}},
}


def catalogue(entry: tuple[str, ...], keys: dict[str, Any], *, written: bool) -> dict[str, Any]:
    """Return the sample catalogue with or without these keys in an entry."""
    sections = everything()
    place = sections
    for name in entry:
        place = place[name]
    for key, value in keys.items():
        place.pop(key, None)
        if written:
            place[key] = copy.deepcopy(value)
    return sections


@pytest.mark.parametrize("entry", LEAVING, ids=".".join)
def test_what_leaves_the_files_leaves_the_account(extremes: Settings, entry: tuple[str, ...]) -> None:
    """After optional keys left, the account is as a fresh one without them, and the next plan is empty."""
    settings = replace(extremes, blank_text_unsets=True)  # where a text cannot be unset, the apply says so
    before, after = (catalogue(entry, LEAVING[entry], written=written) for written in (True, False))
    world, fresh = World(settings), World(settings)
    world.apply(before)
    plan = world.plan(after)
    assert actions(plan)
    assert world.run(plan).ending is Ending.COMPLETE
    assert actions(world.plan(after)) == {}
    fresh.apply(after)
    assert meaning(held(world)) == meaning(held(fresh))
