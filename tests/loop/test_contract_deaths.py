"""An apply of contracts that dies at any write: the next one ends as if nothing had happened, and nobody pays twice."""

import copy
from random import Random
from typing import Any

import pytest

from reconciler.provider.executor import Ending
from reconciler.sandbox import Settings

from .conftest import label, variants
from .test_crash import die
from .world import World, actions, catalog_of

INVOICED = {"collection": "send_invoice", "days_until_due": 30}
BEFORE: dict[str, Any] = {
    "meters": {"calls": {"name": "Calls"}},
    "coupons": {"launch": {"percent_off": "12.5", "duration": "repeating", "duration_in_months": 3}},
    "tax_rates": {"vat": {"display_name": "VAT", "percentage": "21", "inclusive": False}},
    "plans": {
        "pro": {
            "name": "Pro",
            "prices": {"monthly": {"amount": "49.99", "interval": "month"}},
            "usage": {"calls": {"included": 100, "overage": {"unit_amount": "0.25"}}},
        }
    },
    "tenants": {
        "globex": {
            "name": "Globex",
            "email": "billing@globex.example",
            "usage": {
                "calls": {"overage": {"unit_amount": "0.1"}, "reserved_price": {"amount": "50", "interval": "month"}}
            },
            "subscription": INVOICED,
            "money_credits": [{"id": "start", "amount": "25"}],
        },
        "initech": {
            "name": "Initech",
            "plan": "pro",
            "subscription": {"trial_days": 7, "quantity": 3, "coupon": "launch", "tax_rates": ["vat"]},
        },
        "leaver": {"name": "Leaver", "plan": "pro", "subscription": {}},
    },
}


def after() -> dict[str, Any]:
    """Return the files with every kind of change of a contract in them."""
    sections = copy.deepcopy(BEFORE)
    sections["plans"]["pro"]["prices"]["monthly"] |= {"amount": "59.99", "on_change": "at_renewal"}
    sections["tax_rates"]["vat"]["percentage"] = "22"
    tenants = sections["tenants"]
    del tenants["leaver"]
    tenants["globex"]["usage"]["calls"]["reserved_price"]["amount"] = "60"
    tenants["globex"]["money_credits"].append({"id": "more", "amount": "5"})
    tenants["initech"]["name"] = "Initech 2"
    tenants["hooli"] = {"name": "Hooli", "plan": "pro", "subscription": {}}
    return sections


class Prepared:
    """An account with the contracts in it, kept as an image, and the plan from there to the changed ones."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        world = World(settings)
        world.apply(BEFORE)
        self._image = world.sandbox.state.save()
        self.plan = world.plan(after())
        self.writes = self._count()

    def world(self) -> World:
        """Return a copy of the account, as it was before the plan."""
        world = World(self._settings, plans=2)
        world.sandbox.state.load(self._image)
        world.remember(self.plan, catalog_of(after()))
        return world

    def _count(self) -> int:
        world = self.world()
        assert world.run(self.plan).ending is Ending.COMPLETE
        settled(world)
        return len(world.writes())


def settled(world: World) -> None:
    """Check that each tenant has one customer, its one subscription and its credits once, and that nothing is left."""
    assert actions(world.plan(after())) == {}
    api = world.dashboard.v1
    customers = [each.metadata["address"] for each in api.customers.list({"limit": 100}).data]
    assert sorted(customers) == [f"tenants.{name}" for name in ("globex", "hooli", "initech", "leaver")]
    everything = api.subscriptions.list({"limit": 100, "status": "all"}).data
    running = {each.metadata["address"]: each for each in everything}
    assert sorted(running) == [f"{name}.subscription" for name in sorted(customers)]
    assert len(everything) == len(running)
    assert [name for name, each in running.items() if each.cancel_at_period_end] == ["tenants.leaver.subscription"]
    assert running["tenants.initech.subscription"].schedule
    given = [each.metadata["address"] for each in api.billing.credit_grants.list({"limit": 100}).data]
    assert sorted(given) == [f"tenants.globex.money_credits.{name}" for name in ("more", "start")]
    paid = api.invoices.list({"limit": 100}).data
    assert len({(each.customer, each.period_start, each.billing_reason) for each in paid}) == len(paid)


def heals(prepared: Prepared, at: int, *, dead_after: bool, same_plan: bool) -> None:
    """Die at a write, and apply the same plan or a new one."""
    world = prepared.world()
    assert die(world, prepared.plan, at, after=dead_after)
    report = world.run(prepared.plan if same_plan else world.plan(after()))
    assert report.ending is Ending.COMPLETE, (at, dead_after, same_plan, report.failures)
    settled(world)


def test_a_death_charges_nobody_twice() -> None:
    """Whichever write it dies at, on either side of it, the same plan or a new one ends as an undisturbed apply."""
    prepared, chance = Prepared(Settings()), Random(1)
    assert prepared.writes > 9
    for at in range(1, prepared.writes + 1, 2):
        heals(prepared, at, dead_after=chance.random() < 0.7, same_plan=chance.random() < 0.5)


@pytest.mark.soak
@pytest.mark.parametrize("settings", variants(), ids=label)
def test_the_same_under_every_setting(settings: Settings) -> None:
    """The same holds however the open points of Stripe turn out: at every write, each time on other sides of it."""
    prepared, chance = Prepared(settings), Random(label(settings))
    for at in range(1, prepared.writes + 1):
        heals(prepared, at, dead_after=chance.random() < 0.5, same_plan=chance.random() < 0.5)
