"""Invoices: lines rounded once, discounts, money credits, taxes; and every known billing model to the decimal."""

from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.config.catalog import load_catalog
from reconciler.pricing.invoice import Discount, Line, Tax, invoice, lines, prorated, shared
from reconciler.pricing.rating import total
from reconciler.pricing.tariff import Tariff, call_prices, credit_costs, of_plan, of_tenant
from tests.example.cases import CASES
from tests.example.figures import Calls, Least, Plan, Subscriber, Units
from tests.example.usages import USAGES

ROOT = Path(__file__).parents[2]
ROWS = [(case, usage) for case, usages in USAGES.items() for usage in usages]


@cache
def file():
    """Load the example catalogue once."""
    return load_catalog(ROOT / "billing.d").file


def owners(case, usage):
    """Return the addresses of the plans and tenants whose terms a known month is charged by."""
    parts = CASES[case].items()
    wanted = [
        address
        for part, (address, figures) in parts
        if isinstance(figures, Plan | Units | Calls | Least | Subscriber)
        and (usage.plan is None or part.split(".")[1] == usage.plan)
    ]
    return list(dict.fromkeys(".".join(address.split(".")[:2]) for address in wanted))


def tariff(owner):
    """Return the tariff of a plan or tenant."""
    section, _, name = owner.partition(".")
    return of_plan(file(), name) if section == "plans" else of_tenant(file(), name)


@pytest.mark.parametrize(("case", "usage"), ROWS, ids=lambda value: getattr(value, "total", value))
def test_a_known_month_costs_exactly_its_total(case, usage):
    """The example's terms, rated and put on an invoice, give the exact total before rounding."""
    found = owners(case, usage)
    tenants = [owner for owner in found if owner.startswith("tenants.")]
    charged = tenants or found
    billed = [
        line
        for owner in charged
        for line in lines(tariff(owner), units=usage.units, calls=usage.units.items(), owner=owner)
    ]
    assert total(line.exact for line in billed if not line.source.endswith(".reserved_price")) == Decimal(usage.total)


def line(amount, *, metered=False, source="a"):
    """Return a line of an amount."""
    return Line(source, Decimal(1), Decimal(amount), Decimal(amount), metered)


def test_a_line_is_rounded_once():
    """Sub-cent units are added up exactly and rounded at the end of their line."""
    found = invoice("usd", [line("2500.8"), line("0.5"), line("0.4")])
    assert (found.exact, found.subtotal, found.total) == (Decimal("2501.7"), 2502, 2502)


def test_discounts_come_before_credits_and_taxes():
    """10 % off 100.00 leaves 90.00; 30.00 of credit pay the metered half; 10 % tax is on the rest."""
    found = invoice(
        "usd",
        [line(5000), line(5000, metered=True)],
        discounts=[Discount(Decimal(10))],
        credit=3000,
        taxes=[Tax(Decimal(10))],
    )
    assert (found.discount, found.credit, found.tax, found.total) == (1000, 3000, 600, 6600)


def test_money_credits_pay_metered_lines_only():
    """A credit larger than the metered lines leaves the licensed ones alone."""
    found = invoice("usd", [line(5000), line(700, metered=True)], credit=10_000)
    assert (found.credit, found.total) == (700, 5000)


def test_an_inclusive_tax_is_inside():
    """19 % inside 119.00 are 19.00, and the total stays; on top they make 141.61."""
    assert (invoice("eur", [line(11_900)], taxes=[Tax(Decimal(19), inclusive=True)]).tax) == 1900
    assert (invoice("eur", [line(11_900)], taxes=[Tax(Decimal(19), inclusive=True)]).total) == 11_900
    assert (invoice("eur", [line(11_900)], taxes=[Tax(Decimal(19))]).total) == 14_161


def test_a_discount_keeps_to_its_sources():
    """A discount of one source leaves a decoy's line alone."""
    found = invoice(
        "usd", [line(1000), line(1000, source="b")], discounts=[Discount(Decimal(50), sources=frozenset("a"))]
    )
    assert [each.discount for each in found.lines] == [500, 0]


def test_a_trial_bills_nothing():
    """The first invoice of a trial has the lines and no money."""
    found = invoice("usd", [line(900)], trial=True, taxes=[Tax(Decimal(20))])
    assert (len(found.lines), found.total) == (1, 0)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=6), st.integers(0, 20_000))
def test_an_amount_off_is_shared_out_exactly(amounts, off):
    """Shares add up to the amount, none is larger than its line, and each is within one unit of its proportion."""
    found = invoice("usd", [line(amount) for amount in amounts], discounts=[Discount(amount_off=off)])
    taken = min(off, sum(amounts))
    assert found.discount == taken
    for each, amount in zip(found.lines, amounts, strict=True):
        assert 0 <= each.discount <= amount
        assert sum(amounts) == 0 or abs(each.discount - Decimal(taken) * amount / sum(amounts)) < 1


@given(
    st.lists(st.tuples(st.decimals(0, 9999, places=3), st.booleans()), min_size=1, max_size=5),
    st.lists(st.decimals(1, 100, places=2), max_size=3),
    st.integers(0, 30_000),
    st.lists(st.tuples(st.decimals(0, 30, places=2), st.booleans()), max_size=2),
)
def test_an_invoice_adds_up(items, percents, credit, rates):
    """Subtotal less discount less credit plus exclusive tax is the total, which is never negative."""
    billed = [line(amount, metered=metered) for amount, metered in items]
    taxes = [Tax(percentage, inclusive) for percentage, inclusive in rates]
    found = invoice("usd", billed, discounts=[Discount(percent) for percent in percents], credit=credit, taxes=taxes)
    assert found.total == found.subtotal - found.discount - found.credit + found.exclusive_tax
    assert found.total >= 0
    assert found.credit <= credit
    assert abs(found.subtotal - found.exact) <= Decimal(len(billed)) / 2


@given(st.integers(0, 10**9), st.integers(0, 30 * 86_400))
def test_a_credit_and_a_charge_for_the_same_time_cancel(amount, since):
    """What is given back for the rest of a period is what the same rest costs; the whole period costs everything."""
    period = (0, 30 * 86_400)
    assert prorated(Decimal(amount), period, since) == -prorated(Decimal(-amount), period, since)
    assert prorated(Decimal(amount), period, 0) == amount


def test_half_a_month_is_half_the_price():
    """15 of 30 days of 10.00 are 5.00 (https://docs.stripe.com/billing/subscriptions/prorations)."""
    assert prorated(Decimal(1000), (0, 30 * 86_400), 15 * 86_400) == 500


def test_nothing_to_share_is_shared():
    """Weights of zero get nothing."""
    assert shared(0, [0, 0]) == [0, 0]


def test_another_currency_has_its_own_amounts(tmp_path):
    """A plan's tariff in an option's currency takes the option's amounts; a currency without option is refused."""
    prices = "{monthly: {amount: 10.00, interval: month, currency_options: {eur: 9.00, jpy: 1500}}}"
    (tmp_path / "a.yaml").write_text(
        f"settings: {{currency: usd, namespace: acme}}\nplans: {{pro: {{name: Pro, prices: {prices}}}}}\n"
    )
    pro = load_catalog(tmp_path).file
    sums = [sum(each.amount for each in lines(of_plan(pro, "pro", code))) for code in ("usd", "eur", "jpy")]
    assert sums == [1000, 900, 1500]
    with pytest.raises(KeyError):
        of_plan(pro, "pro", "gbp")


def test_a_tariff_without_anything_bills_nothing():
    """No prices, no usage: no lines."""
    assert lines(Tariff("usd")) == ()


def test_credit_costs_are_read_from_the_files():
    """Every credit plan of the example prices its own tools; blocks are those of the tools' quantities."""
    plans = {name: plan for name, plan in file().plans.items() if plan.credits}
    assert plans
    for plan in plans.values():
        costs = credit_costs(file(), plan.credits)
        for tool, credits_ in plan.credits.tools.items():
            per = file().tools[tool].quantity.per if tool in file().tools and file().tools[tool].quantity else 1
            assert costs.one(tool, per) == credits_


def test_call_prices_are_read_from_the_files():
    """Every per-call plan of the example gives its listed prices for a first call, free ones free."""
    plans = {name: plan for name, plan in file().plans.items() if plan.per_call}
    assert plans
    for plan in plans.values():
        prices = call_prices(file(), plan.per_call, "usd" if plan.currency is None else plan.currency)
        for tool, price in plan.per_call.tools.items():
            assert prices.one(tool, 1) == (max(price * 100, prices.minimum) if price else 0)
