"""Invoices: lines rounded once, discounts, money credits, taxes, and what a change within a period comes to."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.pricing.invoice import Discount, Grant, Line, Tax, discounted, invoice, shared
from reconciler.pricing.periods import intervals, later, share
from reconciler.pricing.proration import prorated, prorations

JANUARY = (datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
MIDDLE = datetime(2027, 1, 16, 12, tzinfo=UTC)


def line(amount, *, metered=False, source="a", product="p", settled=False):
    """Return a line of an amount."""
    exact = Decimal(amount)
    return Line(source, source, Decimal(1), exact, exact, product, metered=metered, settled=settled)


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
        grants=[Grant("g", 3000)],
        taxes=[Tax(Decimal(10))],
    )
    assert (found.discount, found.credit, found.tax, found.total) == (1000, 3000, 600, 6600)


def test_money_credits_pay_metered_lines_only():
    """A credit larger than the metered lines leaves the licensed ones alone, and says how much of it was used."""
    found = invoice("usd", [line(5000), line(700, metered=True)], grants=[Grant("g", 10_000)])
    assert (found.credit, found.total, found.paid) == (700, 5000, {"g": 700})


def test_money_credits_are_used_in_the_documented_order():
    """Priority, then expiry, then promotional ones, then the effective date; equal ones in the order they are given.

    https://docs.stripe.com/billing/subscriptions/usage-based/billing-credits, "Multiple credit grants".
    """
    day = [datetime(2027, 3, number, tzinfo=UTC) for number in range(1, 9)]
    grants = [
        Grant("first given", 1),
        Grant("second given", 1),
        Grant("late", 1, expires=day[7]),
        Grant("early", 1, expires=day[6]),
        Grant("early and free", 1, expires=day[6], promotional=True),
        Grant("begun", 1, expires=day[6], promotional=True, effective=day[1]),
        Grant("urgent", 1, priority=0),
        Grant("last", 1, priority=100, expires=day[5]),
    ]
    order = ["urgent", "early and free", "begun", "early", "late", "first given", "second given", "last"]
    for number in range(len(order) + 1):
        found = invoice("usd", [line(number, metered=True)], grants=grants, at=day[2])
        assert list(found.paid) == order[:number]


def test_money_credits_pay_from_their_effective_date_until_they_expire():
    """At its effective date a grant pays, at its expiry it does not; a grant for some prices leaves a decoy alone."""
    grant = Grant("g", 100, effective=JANUARY[0], expires=JANUARY[1], sources=frozenset("a"))
    usage = [line(50, metered=True), line(50, metered=True, source="b")]
    second = timedelta(seconds=1)
    times = [JANUARY[0] - second, JANUARY[0], JANUARY[1] - second, JANUARY[1]]
    assert [invoice("usd", usage, grants=[grant], at=at).credit for at in times] == [0, 50, 50, 0]


def test_an_inclusive_tax_is_inside():
    """19 % inside 119.00 are 19.00, and the total stays; on top they make 141.61."""
    assert (invoice("eur", [line(11_900)], taxes=[Tax(Decimal(19), inclusive=True)]).tax) == 1900
    assert (invoice("eur", [line(11_900)], taxes=[Tax(Decimal(19), inclusive=True)]).total) == 11_900
    assert (invoice("eur", [line(11_900)], taxes=[Tax(Decimal(19))]).total) == 14_161


def test_a_discount_keeps_to_its_products():
    """A discount of one product leaves a decoy's line alone, and a line with its discounts inside."""
    billed = [line(1000), line(1000, product="q"), line(1000, settled=True)]
    found = invoice("usd", billed, discounts=[Discount(Decimal(50), products=frozenset("p"))])
    assert [each.discount for each in found.lines] == [500, 0, 0]


def test_the_largest_line_takes_the_rest_of_an_amount_off():
    """5.00 off 10.00 and 20.00 are 1.66 and 3.34 (https://docs.stripe.com/billing/subscriptions/prorations)."""
    assert shared(500, [1000, 2000]) == [166, 334]
    assert shared(500, [2000, 1000]) == [334, 166]
    assert shared(1, [5, 5]) == [0, 1]


@given(st.lists(st.integers(0, 10_000), max_size=6), st.integers(0, 70_000))
def test_an_amount_off_is_shared_out_exactly(amounts, off):
    """Shares add up to the amount, none is larger than its line, and all but the largest line's are rounded down."""
    shares, taken = shared(off, amounts), min(off, sum(amounts))
    assert sum(shares) == taken
    assert all(0 <= part <= amount for part, amount in zip(shares, amounts, strict=True))
    fair = [Fraction(taken * amount, sum(amounts)) if amounts and sum(amounts) else 0 for amount in amounts]
    above = [place for place, part in enumerate(shares) if part > fair[place]]
    assert all(part > fair[place] - 1 for place, part in enumerate(shares))
    assert len(above) <= 1 or all(shares[place] == amounts[place] for place in above[:-1])
    assert not above or amounts[above[-1]] == max(amounts) or shares[amounts.index(max(amounts))] == max(amounts)


def test_nothing_given_back_is_discounted():
    """An amount off is shared among what is charged; a percentage is of what is given back too."""
    billed = [line(-1000), line(500)]
    assert [each.discount for each in discounted(billed, [Discount(amount_off=600)])] == [0, 500]
    assert [each.discount for each in discounted(billed, [Discount(Decimal(10))])] == [-100, 50]


def slowly(billed, discounts, grants, taxes):
    """Bill an invoice the long way, in fractions: a cent at a time for credits, and taxes of each line apart."""

    def whole(value):
        size = int(abs(value) + Fraction(1, 2))
        return size if value >= 0 else -size

    left = [whole(Fraction(each.exact)) for each in billed]
    for discount in discounts:
        if discount.percent_off is not None:
            left = [net - whole(net * Fraction(discount.percent_off) / 100) for net in left]
            continue
        taken = min(discount.amount_off, sum(left))
        shares = [int(Fraction(taken * net, sum(left))) if sum(left) else 0 for net in left]
        while sum(shares) < taken:
            open_ = [place for place, part in enumerate(shares) if part < left[place]]
            shares[max(open_, key=lambda place: (left[place], place))] += 1
        left = [net - part for net, part in zip(left, shares, strict=True)]
    credit = 0
    for grant in grants:
        for _ in range(grant.balance):
            payable = [place for place, each in enumerate(billed) if each.metered and left[place] > 0]
            if payable:
                left[payable[0]] -= 1
                credit += 1
    inside = sum(Fraction(tax.percentage) for tax in taxes if tax.inclusive)
    on_top = 0
    for net in left:
        base = Fraction(net) / (1 + inside / 100)
        on_top += sum(whole(base * Fraction(tax.percentage) / 100) for tax in taxes if not tax.inclusive)
    return sum(left) + on_top, credit


@given(
    st.lists(st.tuples(st.decimals(0, 9999, places=3), st.booleans()), min_size=1, max_size=5),
    st.lists(
        st.one_of(
            st.builds(Discount, st.decimals(1, 100, places=2)), st.builds(Discount, amount_off=st.integers(0, 9000))
        ),
        max_size=3,
    ),
    st.lists(st.integers(0, 3000), max_size=2),
    st.lists(st.builds(Tax, st.decimals(0, 30, places=2), st.booleans()), max_size=2),
    st.sampled_from(["usd", "jpy", "kwd"]),
)
def test_an_invoice_adds_up(items, discounts, balances, taxes, currency):
    """The total is the long way's, whatever the decimals of the currency; the sums agree, and none is negative."""
    billed = [line(amount, metered=metered) for amount, metered in items]
    grants = [Grant(str(number), balance) for number, balance in enumerate(balances)]
    found = invoice(currency, billed, discounts=discounts, grants=grants, taxes=taxes)
    assert (found.total, found.credit) == slowly(billed, discounts, grants, taxes)
    assert found.total == found.subtotal - found.discount - found.credit + found.exclusive_tax
    assert found.total >= 0
    assert sum(found.paid.values()) == found.credit
    assert abs(found.subtotal - found.exact) <= Decimal(len(billed)) / 2


moments = st.integers(0, 31 * 86_400).map(lambda seconds: JANUARY[0] + timedelta(seconds=seconds))


@given(st.integers(0, 10**9), moments)
def test_a_credit_and_a_charge_for_the_same_time_cancel(amount, since):
    """What is given back for the rest of a period is what the same rest costs; the whole period costs everything."""
    assert prorated(amount, JANUARY, since) == -prorated(-amount, JANUARY, since)
    assert prorated(amount, JANUARY, JANUARY[0]) == amount
    seconds = int((JANUARY[1] - since).total_seconds())
    assert abs(prorated(amount, JANUARY, since) - Fraction(amount * seconds, 31 * 86_400)) <= Fraction(1, 2)


def test_half_a_month_is_half_the_price():
    """An upgrade from 10.00 to 20.00 in the middle of a period gives 5.00 back and charges 10.00.

    https://docs.stripe.com/billing/subscriptions/prorations
    """
    before, after = [line(1000, source="old")], [line(2000, source="new")]
    found = prorations(before, after, JANUARY, MIDDLE)
    assert [(each.source, each.amount) for each in found] == [("old", -500), ("new", 1000)]
    assert [each.label for each in found] == [
        "Unused time of old, from 2027-01-16",
        "Remaining time of new, from 2027-01-16",
    ]
    assert {each.period for each in found} == {(MIDDLE, JANUARY[1])}


def test_what_stays_is_not_prorated():
    """Neither a price that stays nor usage is touched; a quantity that changes is given back and charged anew."""
    seats = [Line("seats", "seats", Decimal(count), Decimal(300), Decimal(300 * count), "p") for count in (2, 5)]
    stays = [line(700), line(50, metered=True, source="used")]
    found = prorations([*stays, seats[0]], [*stays, seats[1]], JANUARY, MIDDLE)
    assert [each.amount for each in found] == [-300, 750]
    assert prorations(stays, stays, JANUARY, MIDDLE) == []
    assert prorations(stays, [stays[0], line(90, metered=True, source="used")], JANUARY, MIDDLE) == []


def test_prorations_have_their_discounts_inside():
    """Both sides are prorated after their discounts, and a discount of the invoice takes nothing off them again."""
    half = [Discount(Decimal(50))]
    before, after = discounted([line(1000, source="old")], half), discounted([line(2000, source="new")], half)
    found = invoice("usd", prorations(before, after, JANUARY, MIDDLE), discounts=half)
    assert (found.subtotal, found.discount, found.total) == (250, 0, 250)


def test_brackets_of_a_price_are_charged_together():
    """Each line of a price that goes is given back on its own, those of one that comes are one line (observed)."""
    brackets = [line(333, source="seats"), line(333, source="seats")]
    found = prorations(brackets, [], JANUARY, MIDDLE)
    assert [each.amount for each in found] == [-167, -167]
    assert [each.amount for each in prorations([], brackets, JANUARY, MIDDLE)] == [333]


def test_nothing_to_share_is_shared():
    """Weights of zero get nothing."""
    assert shared(5, [0, 0]) == [0, 0]


# --- intervals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "interval", "days"),
    [
        ("2027-01-31", "month", ["2027-02-28", "2027-03-31", "2027-04-30"]),
        ("2027-12-30", "month", ["2028-01-30", "2028-02-29", "2028-03-30"]),
        ("2028-02-29", "year", ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        ("2027-02-27", "week", ["2027-03-06", "2027-03-13"]),
        ("2027-12-31", "day", ["2028-01-01"]),
    ],
)
def test_intervals_keep_the_day_of_their_anchor(start, interval, days):
    """A month without the anchor's day ends early, and the next one has the day again."""
    anchor = datetime.fromisoformat(f"{start}T09:30:15Z")
    assert [f"{later(anchor, interval, step):%Y-%m-%d}" for step in range(1, len(days) + 1)] == days
    assert later(anchor, interval, 1).time() == anchor.time()


@given(moments, st.sampled_from(["day", "week", "month", "year"]), st.integers(1, 6), st.integers(0, 4))
def test_intervals_follow_one_another(anchor, interval, each, number):
    """Each interval begins where the one before ended; those that begin by a time are all there are."""
    until = later(anchor, interval, each * number) + timedelta(seconds=1)
    found = list(intervals(anchor, interval, each, until))
    assert len(found) == number + 1
    assert found[0][0] == anchor
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert sum((share(each, (anchor, found[-1][1])) for each in found), Fraction(0)) == 1
