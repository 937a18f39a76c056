"""Rates: every bracket form against a unit-by-unit oracle, and the rules of calls, credits and rounding."""

import subprocess
import sys
from collections import Counter
from decimal import ROUND_DOWN, Decimal, localcontext
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.pricing.calls import Blocks, ByTool, CallPrices, CreditCosts, Made, Step
from reconciler.pricing.rating import Bracket, Rate, cost, packages, parts, rounded

amounts = st.decimals(0, 1000, places=4)


@st.composite
def rates(draw, modes=("graduated", "volume")):
    """Draw a rate of up to four brackets."""
    bounds = sorted(draw(st.sets(st.integers(1, 60), max_size=3)))
    flats = st.sampled_from([Decimal(0), Decimal(0), Decimal(7)])
    brackets = tuple(Bracket(bound, draw(amounts), draw(flats)) for bound in [*bounds, None])
    return Rate(brackets, draw(st.sampled_from(modes)), draw(st.integers(0, 20)))


def bracket_of(rate, unit):
    """Return the bracket that holds a billable unit, the first being 1."""
    return next(bracket for bracket in rate.brackets if bracket.up_to is None or unit <= bracket.up_to)


def slowly(rate, quantity):
    """Price a quantity one unit after the other."""
    billable = max(quantity - rate.included, 0)
    if rate.mode == "volume":
        bracket = bracket_of(rate, billable)
        return bracket.unit * billable + (0 if rate.included and not billable else bracket.flat)
    entered = {id(bracket_of(rate, unit)): bracket_of(rate, unit) for unit in range(1, billable + 1)}
    if not rate.included:
        entered[id(rate.brackets[0])] = rate.brackets[0]
    return sum((bracket_of(rate, unit).unit for unit in range(1, billable + 1)), Decimal(0)) + sum(
        bracket.flat for bracket in entered.values()
    )


@given(rates(), st.integers(0, 120))
def test_a_quantity_costs_the_sum_of_its_units(rate, quantity):
    """Both modes, flat amounts and included units agree with pricing one unit after the other."""
    assert cost(rate, quantity) == slowly(rate, quantity)


@given(rates(), st.integers(-50, 120))
def test_the_parts_are_the_billable_units(rate, quantity):
    """Parts add up to the units beyond the included ones; a total below zero counts as zero."""
    assert sum(part.units for part in parts(rate, quantity)) == max(quantity - rate.included, 0)


@given(rates(modes=("graduated",)), st.integers(0, 100), st.integers(0, 20))
def test_more_units_never_cost_less_where_each_has_its_price(rate, quantity, more):
    """Graduated prices rise with use; volume prices need not, which the next test shows."""
    assert cost(rate, quantity + more) >= cost(rate, quantity)


def test_one_unit_more_can_cost_less_by_volume():
    """By volume the total decides the price of every unit: 100 at 10 are 1000, 101 at 8 are 808."""
    rate = Rate((Bracket(100, Decimal(10)), Bracket(None, Decimal(8))), "volume")
    assert [cost(rate, units) for units in (0, 100, 101)] == [0, 1000, 808]


def test_included_units_enter_no_bracket():
    """Behind included units a flat amount is due from the first unit beyond them; without any, it always is."""
    brackets = (Bracket(None, Decimal(2), flat=Decimal(7)),)
    assert [cost(Rate(brackets, included=10), units) for units in (0, 10, 11)] == [0, 0, 9]
    assert [cost(Rate(brackets, "volume", 10), units) for units in (0, 10, 11)] == [0, 0, 9]
    assert [cost(Rate(brackets), units) for units in (0, 1)] == [7, 9]


@given(rates(), st.integers(0, 10**15), st.integers(1, 3))
def test_the_decimal_context_of_the_program_changes_nothing(rate, quantity, digits):
    """A program that computes with few digits, or rounds down, is charged the same."""
    free = cost(rate, quantity), CALLS.many("other", 3, quantity % 1000, 7)
    with localcontext(prec=digits, rounding=ROUND_DOWN):
        assert (cost(rate, quantity), CALLS.many("other", 3, quantity % 1000, 7)) == free
        assert rounded(Decimal("123456789.5")) == 123_456_790


@pytest.mark.parametrize(
    ("units", "up", "down"), [(0, 0, 0), (1, 1, 0), (999, 1, 0), (1000, 1, 1), (1001, 2, 1), (2500, 3, 2)]
)
def test_packages(units, up, down):
    """A begun package counts when rounded up and does not when rounded down."""
    assert packages(Decimal(units), 1000, "up") == up
    assert packages(Decimal(units), 1000, "down") == down
    assert cost(Rate((Bracket(None, Decimal(5)),), package=1000, round="up"), units) == 5 * up


@pytest.mark.parametrize(("amount", "whole"), [("0.5", 1), ("0.49", 0), ("2.5", 3), ("-0.5", -1), ("-0.4", 0)])
def test_halves_are_rounded_away_from_zero(amount, whole):
    """A line of half a cent is a cent, and a credit of half a cent gives a cent back."""
    assert rounded(Decimal(amount)) == whole


CALLS = CallPrices(
    ByTool({"expensive": Decimal(500), "free": Decimal(0), "search-*": Decimal(40)}, Decimal(100)),
    minimum=Decimal(25),
    steps=(Step(100), Step(500, percent_off=Decimal(10)), Step(None, percent_off=Decimal(80))),
)


@pytest.mark.parametrize(
    ("tool", "number", "price"),
    [
        ("expensive", 1, "500"),
        ("expensive", 100, "500"),
        ("expensive", 101, "450"),
        ("other", 501, "25"),
        ("search-web", 1, "40"),
        ("free", 1, "0"),
    ],
)
def test_the_price_of_a_call(tool, number, price):
    """Listed, globbed and default prices, less the step's percentage, but never below the least charge unless free."""
    assert CALLS.one(tool, number) == Decimal(price)


@given(st.integers(0, 700), st.integers(0, 700), st.sampled_from(["expensive", "free", "search-x", "other"]))
def test_many_calls_cost_what_they_cost_one_by_one(before, calls, tool):
    """Pricing a run of calls at once equals the sum of the single calls."""
    single = sum((CALLS.one(tool, number) for number in range(before + 1, before + calls + 1)), Decimal(0))
    assert CALLS.many(tool, before, calls) == single


def test_the_scope_of_a_discount():
    """By tool each tool counts its own calls; by tenant all calls count together, free ones too."""
    month = [("a", 100), ("free", 1), ("b", 1)]
    by_tool = CallPrices(ByTool({"free": Decimal(0)}, Decimal(100)), steps=CALLS.steps)
    by_tenant = CallPrices(by_tool.prices, steps=CALLS.steps, scope="tenant")
    assert by_tool.month(month) == {"a": 10_000, "free": 0, "b": 100}
    assert by_tenant.month(month) == {"a": 10_000, "free": 0, "b": 90}


def test_a_replaced_price_is_the_default_tools_alone():
    """A step's own amount stands in for the default price, never for a listed one."""
    prices = CallPrices(ByTool({"a": Decimal(50)}, Decimal(10)), steps=(Step(1), Step(None, unit=Decimal(8))))
    assert [prices.one("x", 1), prices.one("x", 2), prices.one("a", 2)] == [10, 8, 50]


def test_an_unlisted_tool_without_default_is_not_sold():
    """There is no price, which is not a price of zero; a listed zero is."""
    prices = CallPrices(ByTool({"free": Decimal(0)}))
    assert (prices.one("free", 1), prices.one("x", 1), prices.many("x", 0, 3)) == (0, None, None)
    assert prices.month([("x", 3), ("free", 1)]) == {"free": 0}


def test_who_speaks_for_a_tool():
    """A name wins over globs, the glob that says more over one that says less, then the earlier one."""
    values = ByTool({"*": 1, "search-*": 2, "search-web": 3, "?earch-x": 4, "search-?": 5}, 0)
    assert [values.of(tool) for tool in ("search-web", "search-deep", "search-x", "other")] == [3, 2, 2, 1]
    assert ByTool({"a-*": 1}, 0).of("b") == 0


def test_credits_of_a_call():
    """Credits are multiplied by the started blocks of the call's quantity."""
    blocks = ByTool({"csv": Blocks(1000), "csv-*": Blocks(10)}, Blocks())
    costs = CreditCosts(ByTool({"csv": Decimal(10)}, Decimal(1)), blocks)
    assert [costs.one("csv", rows) for rows in (0, 1, 1000, 1001, 2500)] == [0, 10, 10, 20, 30]
    assert [costs.one(tool, 11) for tool in ("csv-rows", "other")] == [2, 11]
    assert costs.one("other", Decimal("1.5")) == 2
    assert CreditCosts(ByTool({}, None)).one("other") is None


def test_the_least_charge_is_of_a_call_whatever_its_quantity():
    """A call's price times its blocks is lifted to the least charge once; free tools are free at any quantity."""
    prices = CallPrices(
        ByTool({"word": Decimal(1), "row": Decimal(10), "free": Decimal(0)}),
        minimum=Decimal(25),
        blocks=ByTool({"row": Blocks(1000)}, Blocks()),
    )
    assert [prices.one("word", 1, words) for words in (0, 24, 25, 1234)] == [25, 25, 25, 1234]
    assert [prices.one("row", 1, rows) for rows in (1, 2001)] == [25, 30]
    assert prices.one("free", 1, 1000) == 0
    assert prices.month([Made("word", 2, 100), Made("word", 3)]) == {"word": 275}


TOOLS = ("a", "b", "free", "b-x", "c")


@st.composite
def call_prices(draw):
    """Draw prices of calls with globs, discounts of both kinds, least charges and blocks."""
    whole = st.integers(0, 400).map(Decimal)
    listed = {"a": draw(whole), "b*": draw(whole), "free": Decimal(0)}
    bounds = [*sorted(draw(st.sets(st.integers(1, 30), max_size=3))), None]
    offs = st.one_of(
        st.just({}), st.builds(dict, percent_off=st.integers(1, 100).map(Decimal)), st.builds(dict, unit=whole)
    )
    return CallPrices(
        ByTool(listed, draw(st.one_of(st.none(), whole))),
        draw(st.sampled_from([Decimal(0), Decimal(25)])),
        tuple(Step(bound, **draw(offs)) for bound in bounds),
        draw(st.sampled_from(["tool", "tenant"])),
        ByTool({"b-*": Blocks(10, draw(st.sampled_from(["up", "down"])))}, Blocks()),
    )


def slow_month(prices, made):
    """Charge a month one call at a time, in fractions, from the rules as they are written."""
    seen, charges = Counter(), Counter()
    for tool, calls, quantity in made:
        key = tool if tool in prices.prices.listed else "b*" if tool.startswith("b") else None
        price = prices.prices.listed[key] if key else prices.prices.default
        for _ in range(calls if price is not None else 0):
            seen[tool] += 1
            seen["all"] += 1
            number = seen[tool if prices.scope == "tool" else "all"]
            step = next(step for step in prices.steps if step.up_to is None or number <= step.up_to)
            unit = Fraction(step.unit if step.unit is not None and key is None else price)
            blocks = prices.blocks.listed["b-*"] if tool == "b-x" else Blocks()
            rounding = ceil if blocks.round == "up" else floor
            charge = unit * (100 - Fraction(step.percent_off or 0)) / 100 * rounding(Fraction(quantity, blocks.per))
            charges[tool] += 0 if price == 0 else max(charge, Fraction(prices.minimum))
    return charges


@given(
    call_prices(),
    st.lists(st.builds(Made, st.sampled_from(TOOLS), st.integers(0, 25), st.integers(0, 40)), max_size=8),
)
def test_a_month_of_calls_costs_what_its_calls_cost(prices, made):
    """Runs of calls with quantities, globs, discounts and least charges agree with an oracle that counts each call."""
    assert {tool: Fraction(charge) for tool, charge in prices.month(made).items() if charge} == {
        tool: charge for tool, charge in slow_month(prices, made).items() if charge
    }


@pytest.mark.parametrize("module", ["rating", "calls", "invoice", "proration"])
def test_rating_is_light(module):
    """What a service rates calls with brings neither the models of the files nor what reads them."""
    heavy = "pydantic yaml jsonschema stripe deepdiff rich click asyncio".split()
    script = f"import sys, reconciler.pricing.{module}; print(sorted(set(sys.modules) & set({heavy})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    control = script.replace(module, "tariff")
    assert (
        "pydantic" in subprocess.run([sys.executable, "-c", control], capture_output=True, check=True).stdout.decode()
    )
