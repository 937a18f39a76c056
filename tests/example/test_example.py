"""The catalogue in ``billing.d``: it is valid, and it states every known billing model with exactly its figures."""

from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from reconciler.config.catalog import Catalog, inspect
from reconciler.config.models import Overage
from reconciler.config.models.usage import Measured
from reconciler.diagnostics.render import render_text
from reconciler.resources import desire

from .cases import CASES
from .figures import INF, Calls, Figures, Least, Line, Pack, Plan, Units
from .rating import bill, bill_steps, charge
from .reading import after, node, read
from .usages import USAGES, Usage

ROOT = Path(__file__).parents[2]
ROBOTICS = "subscription tenants.robotics.subscription"
DIRECTORY = ROOT / "billing.d"
PARTS = [(case, part, *CASES[case][part]) for case in CASES for part in CASES[case]]
USAGE_ROWS = [(case, usage) for case, usages in USAGES.items() for usage in usages]
#: Plans whose least monthly charge draws every usage line to the spend meter.
WITH_MINIMUM = {address.rpartition(".")[0] for _, _, address, figures in PARTS if isinstance(figures, Least)}
#: A unit of a spend meter is a millionth of the major unit.
SPEND_PLACES = 6


@cache
def catalog(env: str | None = None) -> Catalog:
    """Load the catalogue once per environment; every diagnostic, warnings too, is a failure."""
    loaded, sources, diagnostics = inspect(DIRECTORY, env)
    assert not diagnostics, "\n" + render_text(diagnostics, sources.line)
    assert loaded is not None
    return loaded


@cache
def desired() -> dict[str, dict[str, Any]]:
    """Return the values of every object at Stripe by kind and address: ``price plans.pro.prices.monthly``."""
    return {f"{resource.kind.name} {resource.address}": resource.values for resource in desire(catalog())}


def price(address: str) -> dict[str, Any]:
    """Return the values of a price."""
    return desired()[f"price {address}"]


def parts_of(*kinds: type[Figures]) -> Any:
    """Parametrize over the parts whose figures are of the given kinds, or over all of them."""
    rows = [row for row in PARTS if not kinds or isinstance(row[3], kinds)]
    return pytest.mark.parametrize(
        ("address", "figures"), [pytest.param(*row[2:], id=f"{row[0]}-{row[1]}") for row in rows]
    )


@pytest.mark.parametrize("env", [None, "production"])
def test_the_catalogue_is_valid(env: str | None) -> None:
    """The files are valid without a single error or warning, alone and with the production overlay."""
    assert catalog(env).file.plans


def test_the_overlay_changes_production_only() -> None:
    """Production has no development plan and tighter guards; the base has the one and not the other."""
    base, production = catalog().file, catalog("production").file
    assert set(base.plans) - set(production.plans) == {"toolbox-development"}
    assert base.guards.max_retired_percent == 30
    assert production.guards.max_retired_percent == 10
    assert production.environments["production"].mode == "live"


@pytest.mark.parametrize(
    "path", sorted(DIRECTORY.rglob("*.yaml")), ids=lambda path: path.relative_to(DIRECTORY).as_posix()
)
def test_every_file_names_its_schema(path: Path) -> None:
    """The first line of a file points an editor at a committed schema, the overlay's where it is one."""
    line = path.read_text(encoding="utf-8").splitlines()[0]
    intro, _, target = line.partition("$schema=")
    assert intro == "# yaml-language-server: "
    schema = "overlay" if "env" in path.relative_to(DIRECTORY).parts else "billing"
    assert (path.parent / target).resolve() == ROOT / "schemas" / f"{schema}.schema.json"
    assert (path.parent / target).is_file()


@parts_of()
def test_a_part_has_its_figures(address: str, figures: Figures) -> None:
    """Each part of each model stands at its address with exactly its figures."""
    if isinstance(figures, Calls):
        figures = replace(figures, breaks=after(figures.breaks))
    assert read(catalog(), address) == figures


@parts_of(Plan)
def test_a_flat_price_at_stripe(address: str, figures: Plan) -> None:
    """A plan's monthly price is licensed, holds the figure and belongs to the plan's product; a trial is not on it."""
    values = price(f"{address}.prices.monthly")
    assert values["unit_amount_decimal"] == figures.price
    assert values["currency"] == "usd"
    assert values["recurring"] == {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
    assert values["product"] == {"$ref": address}
    assert desired()[f"product {address}"]["default_price"] == {"$ref": f"{address}.prices.monthly"}
    attached = [key for key in desired() if key.startswith(f"product_feature {address}.features.")]
    assert sorted(attached) == sorted(f"product_feature {address}.features.{name}" for name in figures.features)


@parts_of(Units)
def test_usage_at_stripe(address: str, figures: Units) -> None:
    """Sold units are one metered price whose first bracket is free, bounds shifted behind it; else there is none."""
    if not figures.brackets or ".".join(address.split(".")[:2]) in WITH_MINIMUM:
        assert f"price {address}" not in desired()
        return
    free = [{"up_to": figures.included, "unit_amount_decimal": "0"}] if figures.included else []
    sold = [
        {"up_to": bound if bound == INF else figures.included + bound, "unit_amount_decimal": amount}
        for bound, amount in figures.brackets
    ]
    values, meter = price(address), address.rpartition(".")[2]
    assert values["currency"] == "usd"
    assert values["recurring"]["meter"] == {"$ref": f"meters.{meter}"}
    assert values["recurring"]["usage_type"] == "metered"
    assert (values["billing_scheme"], values["tiers_mode"]) == ("tiered", figures.mode)
    assert values["tiers"] == free + sold


@parts_of(Calls, Least)
def test_spend_at_stripe(address: str, figures: Calls | Least) -> None:
    """Prices per call and minimums are charged on the currency's spend meter, one unit being a millionth."""
    values = price(address.rpartition(".")[0] + ".spend")
    currency = figures.currency if isinstance(figures, Calls) else "usd"
    unit = {"usd": "0.0001", "jpy": "0.000001"}[currency]
    assert values["currency"] == currency
    assert values["recurring"]["meter"] == {"$ref": f"meters.spend.{currency}"}
    if isinstance(figures, Least):
        first, rest = values["tiers"]
        assert first["flat_amount_decimal"] == figures.amount
        assert rest == {"up_to": INF, "unit_amount_decimal": unit}
        assert Decimal(unit) * first["up_to"] == Decimal(figures.amount)
    else:
        assert values["unit_amount_decimal"] == unit


@parts_of(Pack)
def test_a_pack_at_stripe(address: str, figures: Pack) -> None:
    """A pack is a product whose default price is paid once."""
    values = price(f"{address}.price")
    assert (values["unit_amount_decimal"], values["currency"]) == (figures.price, "usd")
    assert "recurring" not in values
    assert desired()[f"product {address}"]["default_price"] == {"$ref": f"{address}.price"}


@pytest.mark.parametrize(("case", "usage"), USAGE_ROWS, ids=lambda value: getattr(value, "total", value))
def test_a_month_costs_exactly_its_total(case: str, usage: Usage) -> None:
    """The prices at Stripe, billed by an evaluator of our own, give the exact total of a known month."""
    assert month(case, usage) == Decimal(usage.total)


def month(case: str, usage: Usage) -> Decimal:
    """Bill a month of a case in minor units, from desired prices; spend is worked out from the files first."""
    total, spent = Decimal(0), dict[str, Decimal]()
    for part, (address, figures) in CASES[case].items():
        if usage.plan is not None and part.split(".")[1] != usage.plan:
            continue
        owner = ".".join(address.split(".")[:2])
        match figures:
            case Plan():
                total += bill(price(f"{address}.prices.monthly"), 1)
            case Calls():
                spent[owner] = charge(node(catalog().file, address), usage.units)
            case Units() if f"price {address}" in desired():
                total += bill(price(address), usage.units.get(address.rpartition(".")[2], 0))
            case Units():
                spent[owner] = unsold(address, figures, usage)
    for owner, amount in spent.items():
        if f"price {owner}.spend" in desired():
            total += bill(price(f"{owner}.spend"), whole(amount.scaleb(SPEND_PLACES)))
    return total


def unsold(address: str, figures: Units, usage: Usage) -> Decimal:
    """Return the charge in major units of a line without a price of its own; a refusing line stays within its units."""
    used = usage.units.get(address.rpartition(".")[2], 0)
    overage = node(catalog().file, address).overage
    if isinstance(overage, Overage):
        return bill_steps(catalog().file.tiers[overage.tiers].steps, used)
    assert used <= figures.included
    return Decimal(0)


def whole(units: Decimal) -> int:
    """Return a number of spend units; a fraction cannot be sent."""
    assert units == units.to_integral_value()
    return int(units)


def test_the_evaluator_tells_the_modes_apart() -> None:
    """Positive control: the modes differ on the same brackets, and a flat amount is due on entry of its own."""
    tiers = [
        {"up_to": 100, "unit_amount_decimal": "10"},
        {"up_to": INF, "unit_amount_decimal": "8", "flat_amount_decimal": "3"},
    ]
    graduated = {"billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": tiers}
    assert [bill(graduated, units) for units in (0, 100, 101)] == [0, 1000, 1011]
    assert [bill(graduated | {"tiers_mode": "volume"}, units) for units in (0, 100, 101)] == [0, 1000, 811]


def test_the_three_plans_need_these_objects() -> None:
    """Three plans are three products, three monthly prices, usage on two meters, and a payment link each."""
    plans = {address for address, figures in CASES["reserved-three-plans"].values() if isinstance(figures, Plan)}
    assert len({f"product {address}" for address in plans} & set(desired())) == 3
    prices = [
        values for key, values in desired().items() if key.startswith("price ") and values["product"]["$ref"] in plans
    ]
    monthly = [values for values in prices if values["recurring"]["usage_type"] == "licensed"]
    metered = [values["recurring"]["meter"]["$ref"] for values in prices if values not in monthly]
    assert len(monthly) == 3
    assert len(metered) == 6
    assert set(metered) == {"meters.vex", "meters.fu"}
    linked = {item.plan for link in catalog().file.payment_links.values() for item in link.items}
    assert {f"plans.{plan}" for plan in linked - {None}} == plans


def test_nothing_priced_stands_in_no_case() -> None:
    """Every plan, pack, table of brackets and own usage of a tenant is claimed by a case, so no figure is unproven."""
    file = catalog().file
    claimed = {address for _, _, address, _ in PARTS}
    owners = {".".join(address.split(".")[:2]) for address in claimed}
    assert {f"plans.{name}" for name in file.plans} <= owners
    assert {f"credit_packs.{name}" for name in file.credit_packs} <= owners
    for name, plan in file.plans.items():
        lines = {f"plans.{name}.usage.{meter}" for meter in plan.usage}
        limits = {f"plans.{name}.limits.{index}" for index in range(len(plan.limits))}
        terms = {f"plans.{name}.{part}" for part in ("per_call", "credits", "minimum") if getattr(plan, part)}
        assert lines | limits | terms <= claimed
    for name, tenant in file.tenants.items():
        assert {f"tenants.{name}.usage.{meter}" for meter in tenant.usage} <= claimed


def test_every_metered_model_has_totals() -> None:
    """Every case that sells usage or calls is billed at least once."""
    selling = {
        case
        for case, _, _, figures in PARTS
        if isinstance(figures, Calls) or (isinstance(figures, Units) and figures.brackets)
    }
    assert selling <= set(USAGES)
    assert set(USAGES) <= set(CASES)


def test_a_reservation_link_costs_the_sum_of_its_lines() -> None:
    """The link for reserved capacity charges both reservations: 75.00 a month."""
    lines = CASES["reserved-payment-link"].values()
    assert sum(int(line.price) * line.quantity for _, line in lines if isinstance(line, Line)) == 7500
    for meter, amount in (("vex", "5000"), ("fu", "2500")):
        values = price(f"tenants.museum.usage.{meter}.reserved_price")
        assert values["unit_amount_decimal"] == amount
        assert values["recurring"]["usage_type"] == "licensed"
        assert values["product"] == {"$ref": f"meters.{meter}.product"}


@pytest.mark.parametrize(
    ("address", "amount", "interval", "euro"),
    [
        ("plans.analysis-pro.prices.monthly", "4999", "month", "4599"),
        ("plans.search-premium.prices.monthly", "999", "month", "899"),
        ("plans.search-premium.prices.annual", "9990", "year", "8990"),
        ("plans.suite-professional.prices.annual", "99000", "year", None),
        ("credit_packs.studio-large.price", "8000", None, "7400"),
        ("plans.analysis-basic.prices.monthly", "1999", "month", None),
    ],
)
def test_annual_and_euro_prices(address: str, amount: str, interval: str | None, euro: str | None) -> None:
    """Prices for a year, and amounts in euro, are at Stripe where the files have them and nowhere else."""
    values = price(address)
    assert values["unit_amount_decimal"] == amount
    assert values.get("recurring", {}).get("interval") == interval
    amounts = {name: option["unit_amount_decimal"] for name, option in values.get("currency_options", {}).items()}
    assert amounts == ({"eur": euro} if euro else {})


def test_overage_is_sold_in_every_currency_of_its_plan() -> None:
    """The plan that is also sold in euro has the brackets of its overage in euro."""
    assert price("plans.analysis-pro.usage.calls")["currency_options"]["eur"]["tiers"] == [
        {"up_to": 5000, "unit_amount_decimal": "0"},
        {"up_to": INF, "unit_amount_decimal": "23"},
    ]


def test_one_exchange_counts_on_two_meters() -> None:
    """A verified exchange is one unit of its own meter, and as many fallback units as its result names."""
    counts = catalog().file.tools["verify-exchange"].counts
    assert counts["vex"] == 1
    assert counts["fu"] == Measured.model_validate({"from": "result.fallback_units"})


def test_trials_are_on_subscriptions_only() -> None:
    """A trial is a term of the plan or of a tenant's subscription; no price at Stripe carries one."""
    assert {plan.trial_days for plan in catalog().file.plans.values()} == {None, 7, 14}
    assert [key for key, values in desired().items() if "trial" in str(values)] == [ROBOTICS]


def test_contracts_are_shown_in_every_form() -> None:
    """The example has each policy of a change, money given and bought, subscriptions with tax, trial, coupon."""
    file = catalog().file
    prices = [price.on_change for plan in file.plans.values() for price in plan.prices.values()]
    lines = [line for tenant in file.tenants.values() for line in tenant.usage.values()]
    overages = [line.overage.on_change for line in lines if isinstance(line.overage, Overage)]
    reserved = [line.reserved_price.on_change for line in lines if line.reserved_price]
    least = [plan.minimum.on_change for plan in file.plans.values() if plan.minimum]
    assert {*prices, *reserved} == {"grandfather", "at_renewal", "now", "now_prorated"}
    assert set(overages) == {"grandfather", "at_renewal"}
    assert least == ["at_renewal"]
    assert {credit.category for tenant in file.tenants.values() for credit in tenant.money_credits} == {
        "paid",
        "promotional",
    }
    sold = [tenant.subscription for tenant in file.tenants.values() if tenant.subscription]
    assert {terms.on_change for terms in sold} == {"now_prorated", "at_renewal"}
    assert all(any(getattr(terms, name) for terms in sold) for name in ("tax_rates", "trial_days", "coupon"))
