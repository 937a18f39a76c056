"""From the files to rates: which price is paid, in which currency, and what goes together."""

import json
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from reconciler.config.catalog import catalog_from_text, load_catalog
from reconciler.pricing.rating import cost
from reconciler.pricing.tariff import NotOfferedError, call_prices, credit_costs, of_plan, of_tenant
from reconciler.resources import desire

ROOT = Path(__file__).parents[2]
UNIT = {"unit_amount": "1"}


def catalog_of(**sections):
    """Load a catalogue from plain data; JSON is YAML."""
    content = {"settings": {"namespace": "acme"}, "meters": {"calls": {"name": "Calls"}, "tokens": {"name": "Tokens"}}}
    catalog, diagnostics = catalog_from_text(json.dumps(content | sections))
    assert catalog is not None, diagnostics
    return catalog


def file_of(**sections):
    """Return the file of a catalogue."""
    return catalog_of(**sections).file


@cache
def example():
    """Load the example catalogue once."""
    return load_catalog(ROOT / "billing.d").file


def monthly(amount="10", **more):
    """Return a monthly price."""
    return {"amount": amount, "interval": "month", **more}


def test_another_currency_has_its_own_amounts():
    """A plan's tariff in an option's currency has the option's amounts, with that currency's minor units."""
    options = {"currency_options": {"eur": "9.00", "jpy": "1500", "kwd": "3.125"}}
    pro = file_of(plans={"pro": {"name": "Pro", "prices": {"monthly": monthly("10.00", **options)}}})
    rates = {
        code: of_plan(pro, "pro", code).prices["plans.pro.prices.monthly"].rate for code in ("usd", "eur", "jpy", "kwd")
    }
    assert {code: cost(rate, 2) for code, rate in rates.items()} == {"usd": 2000, "eur": 1800, "jpy": 3000, "kwd": 6250}
    with pytest.raises(NotOfferedError):
        of_plan(pro, "pro", "gbp")


def test_prices_in_other_currencies_do_not_hinder():
    """A plan with prices in two currencies is sold in the one of the price that is paid."""
    prices = {"monthly": monthly("10"), "euro": monthly("8", currency="eur")}
    file = file_of(
        plans={"pro": {"name": "Pro", "prices": prices}},
        tenants={
            "acme": {"name": "A", "plan": "pro", "price": "euro"},
            "globex": {"name": "G", "plan": "pro", "price": "monthly"},
        },
    )
    found = [of_tenant(file, name) for name in ("acme", "globex")]
    assert [(tariff.currency, tariff.chosen) for tariff in found] == [
        ("eur", "plans.pro.prices.euro"),
        ("usd", "plans.pro.prices.monthly"),
    ]
    assert [list(tariff.prices) for tariff in found] == [["plans.pro.prices.euro"], ["plans.pro.prices.monthly"]]


def test_a_tenant_pays_the_price_that_recurs():
    """A setup fee that stands first is not what a subscriber pays each month; a plan sold once has its one price."""
    prices = {"setup": {"amount": "99", "interval": "once"}, "monthly": monthly()}
    file = file_of(
        plans={
            "pro": {"name": "Pro", "prices": prices},
            "gift": {"name": "Gift", "prices": {"setup": prices["setup"]}},
        },
        tenants={"acme": {"name": "A", "plan": "pro"}, "globex": {"name": "G", "plan": "gift"}},
    )
    assert of_tenant(file, "acme").chosen == of_plan(file, "pro").chosen == "plans.pro.prices.monthly"
    assert of_plan(file, "gift").chosen == "plans.gift.prices.setup"
    assert of_tenant(file, "globex").chosen is None


def test_a_tenant_pays_what_it_has_subscribed_to():
    """A plan that was bought counts before that of the files, own usage stays; strangers have the default plan."""
    file = file_of(
        settings={"namespace": "acme", "default_plan": "free"},
        plans={
            "free": {"name": "Free", "usage": {"calls": {"overage": UNIT}}},
            "pro": {"name": "Pro", "default_price": "b", "prices": {"a": monthly("1"), "b": monthly("2")}},
        },
        tenants={"acme": {"name": "A", "plan": "free", "usage": {"tokens": {"overage": UNIT}}}},
    )
    assert of_tenant(file, "acme").addresses() == ("plans.free.usage.calls", "tenants.acme.usage.tokens")
    assert of_tenant(file, "acme", "pro", "a").addresses() == ("plans.pro.prices.a", "tenants.acme.usage.tokens")
    assert of_tenant(file, "acme", "pro").chosen == of_tenant(file, "who", "pro").chosen == "plans.pro.prices.b"
    assert of_tenant(file, "who").addresses() == ("plans.free.usage.calls",)
    refused = file_of(plans={"pro": {"name": "Pro", "prices": {"m": monthly()}}})
    assert of_tenant(refused, "who", "pro").chosen == "plans.pro.prices.m"
    for plan, price in ((None, None), ("gone", None), ("pro", "gone")):
        with pytest.raises(KeyError):
            of_tenant(refused, "who", plan, price)


def test_a_tenant_is_charged_in_its_currency():
    """Its own currency wins, also over the plan's; without one its usage is in the default, if the plan has that."""
    price, sold = (
        monthly("10", currency_options={"eur": "9"}),
        {"overage": {"unit_amount": "2", "currency_options": {"eur": "1"}}},
    )
    line = {"calls": {"overage": UNIT}}
    file = file_of(
        plans={
            "pro": {"name": "Pro", "prices": {"m": price}, "usage": {"tokens": sold}},
            "euro": {"name": "Euro", "currency": "eur", "prices": {"m": monthly("7", currency_options={"usd": "8"})}},
        },
        tenants={
            "a": {"name": "A", "plan": "pro", "currency": "eur"},
            "b": {"name": "B", "plan": "pro", "currency": "eur", "usage": line},
            "c": {"name": "C", "plan": "pro"},
            "d": {"name": "D", "plan": "euro"},
            "e": {"name": "E", "plan": "euro", "usage": line},
            "f": {"name": "F", "currency": "jpy", "usage": line},
        },
    )
    found = {name: of_tenant(file, name) for name in "abcdef"}
    assert {name: tariff.currency for name, tariff in found.items()} == {
        "a": "eur", "b": "eur", "c": "usd", "d": "eur", "e": "usd", "f": "jpy",
    }  # fmt: skip
    assert [cost(found[name].usage["tokens"].rate, 1) for name in "abc"] == [100, 100, 200]
    assert cost(found["f"].usage["calls"].rate, 1) == 1


def test_own_usage_takes_the_place_of_the_plans():
    """A tenant's line for a meter replaces the plan's and leaves the decoy; a line that refuses sells nothing."""
    plan = {"name": "Pro", "usage": {"calls": {"overage": UNIT}, "tokens": {"overage": UNIT}}}
    own = {"calls": {"included": 10, "overage": {"unit_amount": "0.5"}, "reserved_price": {"amount": "5"}}}
    file = file_of(
        plans={"pro": plan},
        tenants={
            "acme": {"name": "A", "plan": "pro", "usage": own},
            "globex": {"name": "G", "plan": "pro", "usage": {"calls": {"overage": "deny"}}},
        },
    )
    acme = of_tenant(file, "acme")
    assert {meter: line.address for meter, line in acme.usage.items()} == {
        "tokens": "plans.pro.usage.tokens",
        "calls": "tenants.acme.usage.calls",
    }
    assert [(each.address, each.product, cost(each.rate, 1)) for each in acme.reserved] == [
        ("tenants.acme.usage.calls.reserved_price", "meters.calls.product", 500)
    ]
    assert list(of_tenant(file, "globex").usage) == ["tokens"]


SPENT = {"included": 10, "overage": {"unit_amount": "5", "transform_quantity": {"divide_by": 100, "round": "up"}}}


def spend_of(file, tenant):
    """Return the address of a tenant's spend price, and which meters are charged through it."""
    tariff = of_tenant(file, tenant)
    return tariff.spend and tariff.spend.address, sorted(meter for meter, line in tariff.usage.items() if line.spent)


def test_one_spend_price_bills_all_that_is_spent():
    """A tenant's spent lines share a price; that of its plan bills them too, and a minimum draws every line to it.

    The spend meter counts all charges of a customer: a second price on it would bill them a second time.
    """
    both = {"calls": SPENT, "tokens": SPENT}
    catalog = catalog_of(
        plans={
            "flat": {"name": "Flat", "prices": {"m": monthly()}},
            "least": {"name": "Least", "minimum": {"per_month": "5"}},
            "payg": {"name": "Payg", "per_call": {"default": "1"}},
        },
        tenants={
            "alone": {"name": "A", "usage": both},
            "flat": {"name": "F", "plan": "flat", "usage": both},
            "least": {"name": "L", "plan": "least", "usage": {"calls": {"overage": UNIT}, "tokens": SPENT}},
            "payg": {"name": "P", "plan": "payg", "usage": {"calls": {"overage": UNIT}, "tokens": SPENT}},
            "plain": {"name": "O", "usage": {"calls": {"overage": UNIT}}},
        },
    )
    assert {name: spend_of(catalog.file, name) for name in catalog.file.tenants} == {
        "alone": ("tenants.alone.spend", ["calls", "tokens"]),
        "flat": ("tenants.flat.spend", ["calls", "tokens"]),
        "least": ("plans.least.spend", ["calls", "tokens"]),
        "payg": ("plans.payg.spend", ["tokens"]),
        "plain": (None, []),
    }
    prices = {each.address: each.values for each in desire(catalog) if each.kind.name == "price"}
    for tenant in catalog.file.tenants:
        items = of_tenant(catalog.file, tenant).addresses()
        assert set(items) <= set(prices)
        meters = [prices[item]["recurring"]["meter"]["$ref"] for item in items if "meter" in prices[item]["recurring"]]
        assert len(set(meters)) == len(meters)
    products = {each.address for each in desire(catalog) if each.kind.name == "product"}
    assert {prices[f"tenants.{name}.spend"]["product"]["$ref"] for name in ("alone", "flat")} == {
        "meters.spend.usd.product"
    }
    assert {"meters.spend.usd.product", "meters.calls.product"} <= products
    assert "meters.tokens.product" not in products


def test_every_price_of_a_tariff_is_at_stripe():
    """The items of every tenant's and plan's subscription are prices that are made there, with the same products."""
    catalog = load_catalog(ROOT / "billing.d")
    prices = {each.address: each.values for each in desire(catalog) if each.kind.name == "price"}
    tariffs = [of_tenant(catalog.file, name) for name in catalog.file.tenants]
    tariffs += [of_plan(catalog.file, name) for name, plan in catalog.file.plans.items() if plan.status != "draft"]
    assert any(tariff.spend for tariff in tariffs)
    for tariff in tariffs:
        assert set(tariff.addresses()) <= set(prices)
        items = [*tariff.prices.values(), *tariff.reserved, *(line for line in tariff.usage.values() if not line.spent)]
        for item in [*items, *([tariff.spend] if tariff.spend else [])]:
            assert prices[item.address]["product"]["$ref"] == item.product


def test_credit_costs_are_read_from_the_files():
    """Every credit plan of the example prices its own tools; blocks are those of the tools' quantities."""
    plans = {name: plan for name, plan in example().plans.items() if plan.credits}
    assert plans
    for plan in plans.values():
        costs = credit_costs(example(), plan.credits)
        for tool, credits_ in plan.credits.tools.items():
            per = (
                example().tools[tool].quantity.per if tool in example().tools and example().tools[tool].quantity else 1
            )
            assert costs.one(tool, per) == credits_


def test_call_prices_are_read_from_the_files():
    """Every per-call plan of the example gives its listed prices for a first call, free ones free."""
    plans = {name: plan for name, plan in example().plans.items() if plan.per_call}
    assert plans
    for plan in plans.values():
        prices = call_prices(example(), plan.per_call, "usd" if plan.currency is None else plan.currency)
        for tool, price in plan.per_call.tools.items():
            assert prices.one(tool, 1) == (max(price * 100, prices.minimum) if price else 0)


def test_a_glob_of_tools_says_how_their_quantity_counts():
    """Calls of a tool are counted in the blocks of the entry that speaks for it, for money and for credits."""
    file = file_of(
        tools={"csv-*": {"quantity": {"from": "argument.rows", "per": 1000}}, "csv-head": {"title": "Head"}},
        plans={
            "payg": {"name": "Payg", "per_call": {"default": "0.10"}},
            "credits": {"name": "Credits", "credits": {"default": "2"}},
        },
    )
    prices = of_plan(file, "payg").spend.calls
    costs = credit_costs(file, file.plans["credits"].credits)
    tools = ("csv-sum", "csv-head", "other")
    assert [prices.one(tool, 1, 1500) for tool in tools] == [20, 15_000, 15_000]
    assert [costs.one(tool, 1500) for tool in tools] == [4, 3000, 3000]


def test_custom_amounts_and_refused_units_cost_nothing_by_themselves():
    """What the customer chooses is not known from the files, and units that are refused are never sold."""
    donation = {"custom_unit_amount": {"minimum": "5"}, "interval": "once"}
    file = file_of(plans={"gift": {"name": "Gift", "prices": {"d": donation}, "usage": {"calls": {"included": 5}}}})
    tariff = of_plan(file, "gift")
    assert [cost(price.rate, 1) for price in tariff.prices.values()] == [Decimal(0)]
    assert (tariff.usage, tariff.spend, tariff.addresses()) == ({}, None, ("plans.gift.prices.d",))
