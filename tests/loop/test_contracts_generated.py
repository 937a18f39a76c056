"""Random tenants: ways to collect, trials, own prices, discounts, taxes, credits; after an apply nothing is left."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.sandbox import Settings

from .conftest import label, variants
from .world import World, actions

CATALOGUE: dict[str, Any] = {
    "meters": {"calls": {"name": "Calls"}, "vex": {"name": "Vex"}, "fu": {"name": "Fu"}},
    "tiers": {
        "falling": {
            "mode": "volume",
            "steps": [{"up_to": 10, "unit_amount": "1"}, {"up_to": "inf", "unit_amount": "0.5"}],
        }
    },
    "coupons": {
        "half": {"percent_off": "50", "duration": "once"},
        "ten": {"percent_off": "10", "duration": "forever"},
        "five": {"amount_off": "5", "currency": "usd", "duration": "repeating", "duration_in_months": 3},
    },
    "tax_rates": {
        "vat": {"display_name": "VAT", "percentage": "19", "inclusive": False},
        "gst": {"display_name": "GST", "percentage": "5", "inclusive": True},
    },
    "plans": {
        "pro": {
            "name": "Pro",
            "trial_days": 3,
            "prices": {
                "monthly": {"amount": "49.99", "interval": "month"},
                "annual": {"amount": "499", "interval": "year"},
            },
            "default_price": "monthly",
            "usage": {"calls": {"included": 100, "overage": {"unit_amount": "0.25"}}},
        },
        "team": {"name": "Team", "prices": {"seats": {"amount": "7", "interval": "month"}}},
        "payg": {"name": "Pay", "per_call": {"default": "0.1"}, "minimum": {"per_month": "5"}},
        "free": {"name": "Free", "prices": {"free": {"amount": "0", "interval": "month"}}},
        "bulk": {"name": "Bulk", "usage": {"vex": {"included": 5, "overage": {"tiers": "falling"}}}},
    },
}


def tenant(chance: Random, number: int) -> dict[str, Any]:
    """Draw a tenant."""
    plan = chance.choice(["pro", "pro", "team", "payg", "free", "bulk", None])
    found: dict[str, Any] = {"name": f"Tenant {number}", "email": f"t{number}@example.com"}
    if chance.random() < 0.3:
        found |= {"description": "a note", "metadata": {"crm": str(number)}}
    if plan is not None:
        found["plan"] = plan
    if plan == "pro":
        found["price"] = chance.choice(["monthly", "annual"])
    if plan is None or chance.random() < 0.3:
        line = {"included": chance.choice([0, 10]), "overage": {"unit_amount": chance.choice(["0.5", "0.008"])}}
        reserved = {"reserved_price": {"amount": "12", "interval": "month"}} if chance.random() < 0.5 else {}
        found["usage"] = {"fu": line | reserved}
    if chance.random() < 0.85:
        found["subscription"] = subscription(chance, plan)
    if chance.random() < 0.2:
        found["money_credits"] = [{"id": "hello", "amount": "25", "category": chance.choice(["paid", "promotional"])}]
    return found


def subscription(chance: Random, plan: str | None) -> dict[str, Any]:
    """Draw terms of a subscription."""
    terms: dict[str, Any] = {}
    if chance.random() < 0.5:
        terms |= {"collection": "send_invoice", "days_until_due": chance.choice([1, 30])}
    if plan in ("pro", "team") and chance.random() < 0.5:
        terms["quantity"] = chance.randint(2, 9)
    if chance.random() < 0.3:
        terms["trial_days"] = chance.choice([1, 14])
    if chance.random() < 0.4:
        terms["coupon"] = chance.choice(["half", "ten", "five"])
    if chance.random() < 0.4:
        terms["tax_rates"] = chance.choice([["vat"], ["gst"], ["gst", "vat"]])
    return terms | ({"metadata": {"by": "sales"}} if chance.random() < 0.3 else {})


def sections(seed: int, tenants: int) -> dict[str, Any]:
    """Return the catalogue with random tenants."""
    chance = Random(seed)
    return {**CATALOGUE, "tenants": {f"t{number}": tenant(chance, number) for number in range(tenants)}}


def converges(world: World, files: dict[str, Any]) -> None:
    """Apply, and check that nothing is left to do and that each tenant has one customer and its one subscription."""
    world.apply(files)
    assert actions(world.plan(files)) == {}
    api = world.dashboard.v1
    customers = [each.metadata["address"] for each in api.customers.list({"limit": 100}).auto_paging_iter()]
    assert sorted(customers) == sorted(f"tenants.{name}" for name in files["tenants"])
    running = [each.metadata["address"] for each in api.subscriptions.list({"limit": 100}).auto_paging_iter()]
    wanted = [f"tenants.{name}.subscription" for name, each in files["tenants"].items() if "subscription" in each]
    assert sorted(running) == sorted(wanted)


@given(st.integers(0, 10_000), st.integers(0, 10_000))
@settings(max_examples=6, deadline=None)
def test_random_tenants_converge(first: int, second: int) -> None:
    """What the files say of some tenants is so after one apply, and after a change of all of them, after another."""
    world = World()
    converges(world, sections(first, 8))
    again = sections(second, 8)
    proposal = world.propose(again)
    if not proposal.problems:  # a change of currency, or a credit given anew under its id, is refused as a whole
        world.apply(again)
        assert actions(world.plan(again)) == {}


@pytest.mark.soak
@pytest.mark.parametrize("chosen", variants(), ids=label)
def test_the_same_whatever_is_unverified(chosen: Settings) -> None:
    """No open point of Stripe's makes a difference to what an apply of tenants leaves."""
    converges(World(chosen), sections(7, 20))


@pytest.mark.soak
def test_a_thousand_tenants_converge() -> None:
    """A thousand random tenants are customers and subscribers after one apply, and the next plan is empty."""
    converges(World(), sections(1, 1000))
