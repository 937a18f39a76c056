"""Every figure known of the billing models of the example, from their YAML to the decimal."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from reconciler.config.catalog import load_catalog
from reconciler.money import to_minor
from reconciler.pricing.calls import Made
from reconciler.pricing.lines import Usage
from reconciler.pricing.rating import total
from reconciler.pricing.subscription import Contract, bill, invoices_of
from reconciler.pricing.tariff import credit_costs, of_plan, of_tenant
from tests.example.cases import CASES
from tests.example.figures import Calls, Costs, Least, Line, Pack, Plan, Subscriber, Units
from tests.example.usages import LINKS, OBJECTS, PACKS, QUANTITIES, TRIALS, USAGES

MONTH = (datetime.fromisoformat("2027-01-01T00:00Z"), datetime.fromisoformat("2027-02-01T00:00Z"))
MONTHS = [(case, usage) for case, usages in USAGES.items() for usage in usages]
COUNTED = [(case, each) for case, found in QUANTITIES.items() for each in found]
BOUGHT = [(case, *pack) for case, packs in PACKS.items() for pack in packs]
TRIED = [(case, *trial) for case, trials in TRIALS.items() for trial in trials]


@cache
def file():
    """Load the example catalogue once."""
    return load_catalog(Path(__file__).parents[2] / "billing.d").file


def address(case, *kinds, part=None):
    """Return the address of the only part of some kinds in a case."""
    found = [
        where for name, (where, figures) in CASES[case].items() if isinstance(figures, kinds) and part in (None, name)
    ]
    assert len(found) == 1
    return found[0].split(".")


def owners(case, usage):
    """Return the addresses of the plans and tenants whose terms a known month is charged by; tenants have a plan's."""
    wanted = [
        where
        for part, (where, figures) in CASES[case].items()
        if isinstance(figures, Plan | Units | Calls | Least | Subscriber)
        and (usage.plan is None or part.split(".")[1] == usage.plan)
    ]
    found = dict.fromkeys(tuple(where.split(".")[:2]) for where in wanted)
    return [owner for owner in found if owner[0] == "tenants"] or list(found)


def used(usage):
    """Return a known month as units by meter and as calls; of a tool that counts its work one call does all of it."""
    tools = file().tools
    calls = [
        Made(tool, 1, number) if tool in tools and tools[tool].quantity else Made(tool, number)
        for tool, number in usage.units.items()
    ]
    return Usage(usage.units, calls)


def test_every_known_figure_is_checked():
    """130 figures are known: 112 months, 7 quantities, 7 packs, 2 trials, a payment link, a set of objects."""
    known = [len(MONTHS), len(COUNTED), len(BOUGHT), len(TRIED), len(LINKS), len(OBJECTS)]
    assert known == [112, 7, 7, 2, 1, 1]
    assert sum(known) == 130


@pytest.mark.parametrize(("case", "usage"), MONTHS, ids=lambda value: getattr(value, "total", value))
def test_a_known_month_costs_exactly_its_total(case, usage):
    """The example's terms, rated and put on an invoice, give the exact total before rounding."""
    lines = []
    for section, name in owners(case, usage):
        tariff = of_plan(file(), name) if section == "plans" else of_tenant(file(), name)
        lines += bill(Contract(tariff), used(usage), MONTH).lines
    assert total(line.exact for line in lines if not line.source.endswith(".reserved_price")) == Decimal(usage.total)


@pytest.mark.parametrize(("case", "quantity"), COUNTED, ids=lambda value: getattr(value, "credits", value))
def test_known_calls_cost_their_credits(case, quantity):
    """Started blocks of a tool's quantity, listed tools and the default add up to the known credits."""
    plan = file().plans[address(case, Costs)[1]]
    costs = credit_costs(file(), plan.credits)
    assert sum(costs.one(tool, number) for tool, number in quantity.calls.items()) == Decimal(quantity.credits)


@pytest.mark.parametrize(("case", "pack", "granted", "amount"), BOUGHT)
def test_a_known_pack_grants_its_credits_for_its_price(case, pack, granted, amount):
    """A pack grants its bonus too, and costs its price."""
    found = file().credit_packs[address(case, Pack, part=f"credits.packs.{pack}")[1]]
    assert found.credits + found.bonus == Decimal(granted)
    assert to_minor(found.price, found.currency or "usd") == Decimal(amount)


@pytest.mark.parametrize(("case", "plan", "begin", "end"), TRIED)
def test_a_known_trial_ends_when_it_should_and_costs_nothing(case, plan, begin, end):
    """The first invoice is at the start of the trial, of nothing, and for the time up to its end; the next is not."""
    start, until = datetime.fromisoformat(begin), datetime.fromisoformat(end)
    contract = Contract(of_plan(file(), address(case, Plan, part=f"plans.{plan}")[1]), start)
    first, second = invoices_of(contract, until + timedelta(days=1), lambda _period: Usage())
    assert (first.at, first.total, contract.anchor, second.at) == (start, 0, until, until)
    assert {line.period for line in first.lines} == {(start, until)}
    assert second.total > 0


@pytest.mark.parametrize(("case", "amount"), LINKS.items())
def test_a_known_payment_link_charges_its_reservations(case, amount):
    """What the link's lines sell are the prices a tenant's tariff has for its reservations."""
    places = [where.split(".") for where, figures in CASES[case].values() if isinstance(figures, Line)]
    items = [file().payment_links[where[1]].items[int(where[3])] for where in places]
    due = Decimal(0)
    for item in items:
        reserved = {each.address: each for each in of_tenant(file(), item.tenant).reserved}
        price = reserved[f"tenants.{item.tenant}.usage.{item.reserved}.reserved_price"]
        assert (price.interval, price.interval_count) == ("month", 1)
        due += price.rate.brackets[0].unit * item.quantity
    assert due == Decimal(amount)


@pytest.mark.parametrize(("case", "wanted"), OBJECTS.items())
def test_a_known_model_needs_its_objects(case, wanted):
    """Its plans are a product and a monthly price each, its tariffs meter on so many meters, its links sell them."""
    plans = {where.split(".")[1] for where, figures in CASES[case].values() if isinstance(figures, Plan)}
    tariffs = [of_plan(file(), plan) for plan in plans]
    monthly = [price for tariff in tariffs for price in tariff.prices.values() if price.interval == "month"]
    links = [link for link in file().payment_links.values() if {item.plan for item in link.items} & plans]
    assert wanted == {
        "plan_products": len({price.product for price in monthly}),
        "monthly_prices": len(monthly),
        "payment_links": len(links),
        "meters": len({meter for tariff in tariffs for meter in tariff.usage}),
    }
