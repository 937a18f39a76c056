"""Scenario m: whatever the language can say about a price comes back from Stripe as no change."""

from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from reconciler.sandbox import Settings

from .conftest import variants
from .world import World, actions

ids = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
names = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=20).filter(
    lambda text: text.strip() == text and not text.lower().startswith(("sk_", "rk_", "pk_", "whsec_", "ek_"))
)
CURRENCIES = {"usd": 2, "eur": 2, "jpy": 0, "kwd": 3}


@st.composite
def amounts(draw: st.DrawFn, currency: str, extra: int = 12, most: int = 90_000) -> str:
    """Draw an amount in major units that the currency can hold with ``extra`` decimals of a minor unit."""
    places = draw(st.integers(0, min(8, CURRENCIES[currency] + extra)))
    return f"{draw(st.integers(0, most))}" + (f".{draw(st.integers(0, 10**places - 1)):0{places}d}" if places else "")


@st.composite
def steps(draw: st.DrawFn, currency: str, bounds: list[int]) -> list[dict[str, Any]]:
    """Draw price brackets with these bounds."""
    rows = [{"up_to": bound, "unit_amount": draw(amounts(currency))} for bound in [*bounds, "inf"]]
    for row in rows:
        if draw(st.booleans()):
            row["flat_amount"] = draw(amounts(currency, extra=0))
    return rows


@st.composite
def tiers(draw: st.DrawFn, currency: str) -> dict[str, Any]:
    """Draw a tier table, sometimes in a second currency as well."""
    bounds = sorted(draw(st.sets(st.integers(1, 10**6), max_size=3)))
    tier = {"mode": draw(st.sampled_from(["graduated", "volume"])), "steps": draw(steps(currency, bounds))}
    if draw(st.booleans()):
        other = draw(st.sampled_from(sorted(set(CURRENCIES) - {currency})))
        tier["currency_options"] = {other: draw(steps(other, bounds))}
    return tier | {"currency": currency}


@st.composite
def prices(draw: st.DrawFn, currency: str) -> dict[str, Any]:
    """Draw a price of any shape."""
    price: dict[str, Any] = {}
    form = draw(st.sampled_from(["flat", "custom", "tiers", "package"]))
    if form == "custom":
        low, preset, high = sorted(draw(st.lists(st.integers(1, 900), min_size=3, max_size=3)))
        price |= {"custom_unit_amount": {"minimum": low, "preset": preset, "maximum": high}, "interval": "once"}
        return price
    price["interval"] = draw(st.sampled_from(["month", "year"]))
    price["interval_count"] = draw(st.integers(1, 3))
    if form == "tiers":
        price["tiers"] = "table"
    else:
        price["amount"] = draw(amounts(currency))
        others = draw(st.sets(st.sampled_from(sorted(set(CURRENCIES) - {currency})), max_size=2))
        if others:
            price["currency_options"] = {other: draw(amounts(other)) for other in sorted(others)}
    if form == "package":
        rounding = draw(st.sampled_from(["up", "down"]))
        price["transform_quantity"] = {"divide_by": draw(st.integers(2, 1000)), "round": rounding}
    for key, values in {
        "nickname": names,
        "tax_behavior": st.sampled_from(["inclusive", "exclusive"]),
        "metadata": st.dictionaries(ids, names, max_size=2),
    }.items():
        if draw(st.booleans()):
            price[key] = draw(values)
    return price


@st.composite
def usage(draw: st.DrawFn, currency: str) -> dict[str, Any]:
    """Draw a usage line with priced overage that one Stripe price can hold."""
    line: dict[str, Any] = {"included": draw(st.integers(0, 10**6))}
    line["overage"] = {"unit_amount": draw(amounts(currency))}
    if draw(st.booleans()) and not line["included"]:
        line["overage"] = {"tiers": "table"}
    return line


@st.composite
def catalogues(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a catalogue with one plan in one currency."""
    currency = draw(st.sampled_from(sorted(CURRENCIES)))
    plan: dict[str, Any] = {"name": draw(names), "currency": currency}
    plan["prices"] = draw(st.dictionaries(ids, prices(currency), max_size=3))
    if draw(st.booleans()):
        plan["usage"] = {"calls": draw(usage(currency))}
    recurring = [name for name, price in plan["prices"].items() if price["interval"] != "once"]
    if recurring and draw(st.booleans()):
        plan["default_price"] = draw(st.sampled_from(recurring))
    return {
        "meters": {"calls": {"name": "Calls"}},
        "tiers": {"table": draw(tiers(currency))},
        "plans": {"pro": plan},
    }


@profile(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(catalogue=catalogues(), variant=st.sampled_from(variants()))
def test_every_price_comes_back_as_it_was(catalogue: dict[str, Any], variant: Settings) -> None:
    """A generated catalogue is applied; the plan after it is empty, under every setting."""
    world = World(variant)
    world.apply(catalogue)
    assert actions(world.plan(catalogue)) == {}


@profile(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=catalogues(), second=catalogues(), variant=st.sampled_from(variants()))
def test_any_catalogue_becomes_any_other(first: dict[str, Any], second: dict[str, Any], variant: Settings) -> None:
    """From any catalogue to any other and back, each apply is complete and each plan after it is empty."""
    world = World(variant)
    for catalogue in (first, second, first):
        world.apply(catalogue)
        assert actions(world.plan(catalogue)) == {}
        held = [price.lookup_key for price in world.prices(active=True)]
        assert len(held) == len(set(held))


def test_the_price_of_a_usage_line_can_be_shown_first(extremes: Settings) -> None:
    """A product whose default price is a metered one is made so, and the next plan is empty."""
    usage = {"calls": {"included": 10, "overage": {"unit_amount": "0.5"}}}
    files = {"meters": {"calls": {"name": "Calls"}}, "plans": {"pro": {"name": "Pro", "usage": usage}}}
    files["plans"]["pro"]["default_price"] = "calls"
    world = World(extremes)
    world.apply(files)
    (price,) = world.prices()
    assert world.dashboard.v1.products.retrieve("acme_plan_pro").default_price == price.id
    assert actions(world.plan(files)) == {}
