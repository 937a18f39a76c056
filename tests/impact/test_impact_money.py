"""The money of an impact is the difference of the invoices that the sandbox makes for the same usage by both files."""

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.impact.compare import Question, compare
from reconciler.impact.result import Impact
from reconciler.impact.side import Side
from reconciler.impact.used import Recorded, Used
from reconciler.pricing.calls import Made
from reconciler.pricing.lines import Usage
from reconciler.pricing.periods import intervals, later
from tests.loop.test_invoices import METERS, Account, draw, used_in
from tests.loop.world import catalog_of

JANUARY = Recorded(1798761600_000_000, 1801440000_000_000)
ASKED = Question("base", "head", "2027-01", "a file")


def events(usage: Usage) -> tuple[Used, ...]:
    """Return a month's usage as rows of sums."""
    units = [Used("", number, 1, ((meter, number),)) for meter, number in usage.units.items() if number]
    made = [Made(*each) for each in usage.calls]
    calls = [Used(each.tool, each.calls) for each in made if each.calls]
    return (*units, *calls)


def weighed(base: dict[str, Any], head: dict[str, Any], usage: Usage) -> Impact:
    """Return the impact of a change on a tenant with a month's usage."""
    sides = Side(catalog_of(base)), Side(catalog_of(head))
    return compare(*sides, {"acme": JANUARY._replace(events=events(usage))}, JANUARY, ASKED)


def lived(sections: dict[str, Any], usage: Usage) -> tuple[int, int]:
    """Live a year of the same usage in every month; return what a month and the year came to at the sandbox.

    The month is the last but one, where invoices come by the month.
    """
    account = Account(sections)
    anchor = account.contract.anchor
    assert anchor
    year = list(intervals(anchor, "month", 1, later(anchor, "year", 1)))
    account.advance(anchor + timedelta(hours=2))
    for start, end in year:
        account.use(usage, start + timedelta(hours=1))
        account.advance(end + timedelta(hours=2))
    first = int(anchor.timestamp())
    totals = [invoice["total"] for invoice in account.invoices() if invoice["period_end"] > first]
    assert len(totals) in {1, len(year)}
    return totals[-2] if len(totals) > 1 else 0, sum(totals)


def files(seed: int, currency: str = "") -> dict[str, Any]:
    """Draw files of one tenant without taxes, whose coupon lasts for ever.

    One that holds once is spent on the first invoice that it reduces, which is in the year where nothing is paid ahead.
    """
    chance = random.Random(seed)
    sections = draw(chance)
    sections["tenants"]["acme"]["subscription"].pop("tax_rates", None)
    for coupon in sections["coupons"].values():
        coupon["duration"] = "forever"
        coupon.pop("duration_in_months", None)
    text = str(sections).replace(sections["plans"]["plan"]["currency"], currency) if currency else str(sections)
    found: dict[str, Any] = eval(text)
    return found


def check(seed: int) -> None:
    """Compare both invoices, and their difference, with those of the sandbox."""
    usage = used_in(random.Random(seed))
    currency = files(seed)["plans"]["plan"]["currency"]
    base, head = files(seed), files(seed + 1_000_000, currency)
    (row,) = weighed(base, head, usage).rows
    sections = (base, head)
    costs = (row.before, row.after)
    billed = [lived(each, usage) for each in sections]
    for each, cost, (month, year) in zip(sections, costs, billed, strict=True):
        assert cost is not None
        assert cost.year == year
        if all(price["interval"] == "month" for price in each["plans"]["plan"].get("prices", {}).values()):
            assert cost.month == month
    assert row.year == billed[1][1] - billed[0][1]


@given(st.integers(0, 10_000))
@settings(max_examples=3, deadline=None)
def test_the_difference_is_that_of_the_sandboxs_invoices(seed: int) -> None:
    """Month and year under both files are, to the minor unit, what the sandbox bills for a year of the usage."""
    check(seed)


@pytest.mark.soak
@pytest.mark.timeout(900)
@given(st.integers(0, 1_000_000))
@settings(max_examples=40, deadline=None)
def test_many_differences_are_those_of_the_sandboxs_invoices(seed: int) -> None:
    """The same holds for many random changes."""
    check(seed)


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_equal_files_make_no_difference(seed: int) -> None:
    """The same files on both sides change nothing for anybody, whatever is used."""
    found = weighed(files(seed), files(seed), used_in(random.Random(seed)))
    assert not found.differs
    assert not found.calls
    assert [row.year for row in found.rows] == [0]


def test_a_coupon_that_held_once_is_spent() -> None:
    """What a coupon took off the first invoice, paid ahead, is no part of a month or a year."""
    coupons = {"off": {"percent_off": "50", "duration": "once"}}
    plans = {"plan": {"name": "Plan", "currency": "usd", "prices": {"base": {"amount": "49", "interval": "month"}}}}
    tenant = {"name": "Tenant", "plan": "plan", "subscription": {"coupon": "off"}}
    sections = {"plans": plans, "coupons": coupons, "tenants": {"acme": tenant}}
    nothing = Usage(dict.fromkeys(METERS, 0))
    (row,) = weighed(sections, sections, nothing).rows
    assert row.after is not None
    assert (row.after.month, row.after.year) == lived(sections, nothing) == (4900, 58800)


def test_a_price_that_is_a_cent_higher_is_found() -> None:
    """One minor unit more a month is twelve a year, for the tenant that pays it and no other."""
    plans = {"pro": {"name": "Pro", "prices": {"m": {"amount": "49", "interval": "month"}}}, "free": {"name": "Free"}}
    tenants = {name: {"name": name, "plan": plan} for name, plan in (("acme", "pro"), ("bakery", "free"))}
    base = {"plans": plans, "tenants": tenants}
    dearer = {"pro": {"name": "Pro", "prices": {"m": {"amount": "49.01", "interval": "month"}}}, "free": plans["free"]}
    sides = Side(catalog_of(base)), Side(catalog_of({**base, "plans": dearer}))
    found = compare(*sides, {}, JANUARY, ASKED)
    assert {row.tenant: (row.month, row.year) for row in found.rows} == {"acme": (1, 12), "bakery": (0, 0)}
    (total,) = found.totals
    assert (total.more, total.less, total.same) == ((1, 1), (0, 0), 1)
