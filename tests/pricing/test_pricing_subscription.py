"""A tenant's invoices: every form of terms line by line, trials, coupons, taxes, mixed intervals, grants over time."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from reconciler.config.catalog import catalog_from_text
from reconciler.pricing.calls import Made
from reconciler.pricing.invoice import Grant
from reconciler.pricing.lines import Usage
from reconciler.pricing.periods import intervals
from reconciler.pricing.subscription import Contract, contract_of, invoice_of, invoices_of, tax_of
from reconciler.pricing.tariff import Tariff

PACKAGES = {"unit_amount": "1", "transform_quantity": {"divide_by": 10, "round": "up"}}
CONTENT = {
    "settings": {"namespace": "acme"},
    "meters": {"vex": {"name": "Exchanges"}, "calls": {"name": "Calls"}, "packs": {"name": "Packs"}},
    "tiers": {
        "rising": {"steps": [{"up_to": 5000, "unit_amount": "0.005"}, {"up_to": "inf", "unit_amount": "0.008"}]},
        "seats": {"mode": "volume", "steps": [{"up_to": 10, "unit_amount": "5"}, {"up_to": "inf", "unit_amount": "4"}]},
        "entry": {"steps": [{"up_to": "inf", "unit_amount": "0.1", "flat_amount": "3"}]},
    },
    "plans": {
        "pro": {
            "name": "Pro",
            "trial_days": 14,
            "prices": {
                "monthly": {"amount": "49.99", "interval": "month"},
                "annual": {"amount": "499", "interval": "year"},
            },
            "usage": {"vex": {"included": 10_000, "overage": {"tiers": "rising"}}},
        },
        "team": {"name": "Team", "prices": {"seats": {"tiers": "seats", "interval": "month"}}},
        "payg": {
            "name": "Payg",
            "per_call": {"default": "0.10", "tools": {"ai": "2.5"}},
            "usage": {"packs": {"included": 1, "overage": PACKAGES}},
            "minimum": {"per_month": "5"},
            "pay": ["usage", "per_call"],
        },
        "plain": {
            "name": "Plain",
            "prices": {"m": {"amount": "7", "interval": "month", "currency_options": {"eur": "7", "jpy": "700"}}},
        },
        "calls": {"name": "Calls", "per_call": {"default": "1"}},
        "entry": {"name": "Entry", "usage": {"calls": {"overage": {"tiers": "entry"}}}},
    },
    "coupons": {
        "forever": {"percent_off": "10", "duration": "forever"},
        "first": {"amount_off": "20", "duration": "once"},
        "season": {"percent_off": "50", "duration": "repeating", "duration_in_months": 3},
        "team": {"percent_off": "50", "duration": "forever", "applies_to": ["plans.team"]},
        "both": {"amount_off": "2", "duration": "forever", "currency_options": {"eur": "1"}},
    },
    "tax_rates": {"vat": {"display_name": "VAT", "percentage": "19", "inclusive": False}},
    "tenants": {
        "acme": {"name": "A", "plan": "pro", "price": "monthly"},
        "yearly": {"name": "Y", "plan": "pro", "price": "annual"},
        "seats": {"name": "S", "plan": "team", "subscription": {"quantity": 12, "coupon": "team"}},
        "payg": {"name": "P", "plan": "payg"},
        "entry": {"name": "E", "plan": "entry"},
        "calls": {"name": "C", "plan": "calls"},
        "given": {
            "name": "G",
            "plan": "pro",
            "price": "monthly",
            "subscription": {"tax_rates": ["vat"]},
            "money_credits": [
                {"id": "paid", "amount": "7", "category": "paid", "expires": "2027-06-01"},
                {"id": "gift", "amount": "15"},
                {"id": "first", "amount": "5", "priority": 0},
                {"id": "late", "amount": "1", "expires": "2027-02-01", "currency": "usd"},
            ],
        },
        "months": {"name": "M", "plan": "plain", "subscription": {"coupon": "season"}},
        "euro": {"name": "E", "plan": "plain", "currency": "eur", "subscription": {"coupon": "both"}},
        "yen": {"name": "Y", "plan": "plain", "currency": "jpy", "subscription": {"coupon": "both"}},
        "reserved": {
            "name": "R",
            "usage": {"vex": {"included": 100, "overage": {"unit_amount": "0.01"}, "reserved_price": {"amount": "50"}}},
        },
        **{
            name: {"name": name, "plan": "pro", "price": "monthly", "subscription": {"coupon": name}}
            for name in ("forever", "first", "season")
        },
        "wrong": {"name": "W", "plan": "pro", "price": "monthly", "subscription": {"coupon": "team", "trial_days": 3}},
    },
}  # fmt: skip
JANUARY, MARCH, JULY = (datetime(2027, month, 1, tzinfo=UTC) for month in (1, 3, 7))
MONTH = (JANUARY, datetime(2027, 2, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def file():
    """Load the catalogue once."""
    catalog, diagnostics = catalog_from_text(json.dumps(CONTENT))
    assert catalog is not None, diagnostics
    return catalog.file


def told(found):
    """Return the lines of an invoice as a person reads them."""
    return [f"{line.label} = {line.amount}" for line in found.lines]


@pytest.mark.parametrize(
    ("tenant", "usage", "lines"),
    [
        (
            "acme",
            Usage({"vex": 15_001}),
            [
                "Pro, monthly: 1 at 49.99 usd = 4999",
                "Exchanges: 10,000 of 10,000 included = 0",
                "Exchanges, units 10,001 to 15,000: 5,000 at 0.005 usd = 2500",
                "Exchanges, unit 15,001: 1 at 0.008 usd = 1",
            ],
        ),
        ("acme", Usage(), ["Pro, monthly: 1 at 49.99 usd = 4999", "Exchanges: 0 of 10,000 included = 0"]),
        ("seats", Usage(), ["Team, seats: 12 at 4.00 usd = 4800"]),
        ("entry", Usage(), ["Calls: flat amount = 300"]),
        ("entry", Usage({"calls": 25}), ["Calls: 25 at 0.10 usd = 250", "Calls: flat amount = 300"]),
        ("calls", Usage(), ["Calls: usage charges = 0"]),
        ("calls", Usage(calls=[("search", 3)]), ["Calls: usage charges = 300"]),
        ("payg", Usage(), ["Payg: usage charges, at least 5.00 usd = 500"]),
        (
            "payg",
            Usage({"packs": 12}, [Made("ai", 2), ("search", 3)]),
            ["Payg: usage charges, at least 5.00 usd = 500", "Payg: usage charges beyond the least charge = 230"],
        ),
        (
            "reserved",
            Usage({"vex": 140}),
            [
                "Exchanges, 100 reserved: 1 at 50.00 usd = 5000",
                "Exchanges: 100 of 100 included = 0",
                "Exchanges: 40 at 0.01 usd = 40",
            ],
        ),
    ],
)  # fmt: skip
def test_an_invoice_can_be_read(file, tenant, usage, lines):
    """Each price, bracket, flat amount, included unit and least charge is a line with what, how many and how much."""
    found = invoice_of(file, tenant, usage, MONTH)
    assert told(found) == lines
    assert all(line.period == MONTH for line in found.lines)


def test_what_is_charged_together_is_told_part_by_part(file):
    """The line of the spend price says what each tool and each line came to."""
    found = invoice_of(file, "payg", Usage({"packs": 12}, [Made("ai", 2), ("search", 3), ("ai", 1)]), MONTH)
    assert found.lines[0].details == (
        "ai: 3 calls, 7.50 usd",
        "search: 3 calls, 0.30 usd",
        "Packs: 12 units, 2.00 usd",
    )
    assert found.total == 980


def test_a_subscription_the_files_do_not_know(file):
    """What a tenant has bought elsewhere is billed as that, its coupon in the files still counting."""
    assert invoice_of(file, "forever", Usage(), MONTH, plan="pro", price="annual").total == 44_910
    assert invoice_of(file, "who", Usage(), MONTH, plan="pro", price="annual").total == 49_900


def test_taxes_and_grants_of_a_tenants_invoice(file):
    """Money credits pay the usage only, and the tax rate of the files is on what is left."""
    found = invoice_of(
        file, "acme", Usage({"vex": 15_000}), MONTH, taxes=[tax_of(file, "vat")], grants=[Grant("g", 9999)]
    )
    assert (found.subtotal, found.credit, found.tax, found.total) == (7499, 2500, 950, 5949)


def test_a_discount_is_of_its_products_alone(file):
    """A coupon for a plan halves its seats, and takes nothing off another plan's invoice."""
    assert invoice_of(file, "seats", Usage(), MONTH).total == 2400
    assert invoice_of(file, "wrong", Usage(), MONTH).total == 4999


def lives(file, tenant, until=JULY, **usage):
    """Return the invoices of a subscription that begins in January."""
    return list(invoices_of(contract_of(file, tenant, JANUARY), until, lambda _period: Usage(usage)))


def test_a_trial_is_a_period_of_its_own(file):
    """14 days of nothing, then months from the end of the trial; usage of the trial is never billed."""
    found = lives(file, "acme", MARCH, vex=12_000)
    assert [(f"{each.at:%m-%d}", each.total) for each in found] == [("01-01", 0), ("01-15", 4999), ("02-15", 5999)]
    assert told(found[0]) == ["Pro, monthly: free trial = 0", "Exchanges: free trial = 0"]
    assert contract_of(file, "wrong", JANUARY).anchor == datetime(2027, 1, 4, tzinfo=UTC)


def test_coupons_last_as_they_say(file):
    """Forever, for the first invoice, or for three months from the start: the fourth month is full."""
    totals = {name: [each.total for each in lives(file, name)] for name in ("forever", "first", "season")}
    assert totals["forever"] == [0, *[4499] * 6]
    assert totals["first"] == [0, *[4999] * 6]
    assert totals["season"] == [0, 2499, 2499, 2499, 4999, 4999, 4999]
    assert [each.total for each in lives(file, "months", datetime(2027, 5, 2, tzinfo=UTC))] == [350, 350, 350, 700, 700]


def test_an_amount_off_is_in_the_currency_of_the_invoice(file):
    """A coupon's option counts where the tenant pays in it; in a currency the coupon has no amount in, nothing does."""
    assert [invoice_of(file, name, Usage(), MONTH).total for name in ("euro", "yen")] == [600, 700]


def test_a_coupon_of_one_invoice_is_of_the_first(file):
    """Without a trial an amount off once is off the first invoice, which for usage alone is the one behind it."""
    sold = contract_of(file, "first", JANUARY)
    paid = Contract(Tariff("usd", sold.tariff.prices, sold.tariff.chosen), JANUARY, sold.coupon, sold.discount)
    assert [each.total for each in invoices_of(paid, MARCH, lambda _period: Usage())] == [2999, 4999]
    used = Contract(Tariff("usd", usage=sold.tariff.usage), JANUARY, sold.coupon, sold.discount)
    behind = list(invoices_of(used, JULY, lambda _period: Usage({"vex": 15_000})))
    assert [(f"{each.at:%m}", each.total) for each in behind[:2]] == [("02", 500), ("03", 2500)]


def test_a_yearly_price_with_monthly_usage(file):
    """The year is paid ahead once a year, the usage behind every month, and each line tells the time it is for."""
    found = lives(file, "yearly", datetime(2028, 3, 1, tzinfo=UTC), vex=11_000)
    yearly = [each for each in found if any(line.source.endswith("annual") and line.amount for line in each.lines)]
    assert [f"{each.at:%Y-%m-%d}" for each in yearly] == ["2027-01-15", "2028-01-15"]
    assert [each.total for each in found[1:14]] == [49_900, *[500] * 11, 50_400]
    periods = {(line.source, line.period[1] - line.period[0]) for line in found[13].lines}
    assert {(source, length.days) for source, length in periods} == {
        ("plans.pro.prices.annual", 366),
        ("plans.pro.usage.vex", 31),
    }


def test_grants_are_used_up_from_invoice_to_invoice(file):
    """25.00 of credit pay two months of 10.00 and half of the third."""
    contract = contract_of(file, "acme", JANUARY)
    found = invoices_of(contract, JULY, lambda _period: Usage({"vex": 12_000}), grants=[Grant("g", 2500)])
    assert [each.credit for each in found] == [0, 0, 1000, 1000, 500, 0, 0]


def test_the_files_say_what_is_given_and_what_taxes_there_are(file):
    """A tenant's money credits pay usage by priority and expiry, its tax rates what is left; a caller may differ."""
    contract, used = contract_of(file, "given", JANUARY), lambda _period: Usage({"vex": 12_000})
    found = list(invoices_of(contract, JULY, used))
    gifts = [{"first": 500, "paid": 500}, {"paid": 200, "gift": 800}, {"gift": 700}]
    assert [each.paid for each in found] == [{}, {}, *gifts, {}, {}]
    assert [each.tax for each in found[:3]] == [0, 950, 950]
    assert [each.total for each in found[4:6]] == [6306, 7139]
    plain = list(invoices_of(contract, JULY, used, taxes=(), grants=[Grant("own", 100)]))
    assert [(each.credit, each.tax) for each in plain[2:4]] == [(100, 0), (0, 0)]
    other = invoice_of(file, "given", Usage({"vex": 12_000}), MONTH, grants=[Grant("own", 100)])
    assert (other.credit, other.tax) == (100, 1121)


def test_money_given_once_is_spent_by_a_subscription_that_began_long_ago(file):
    """Without a beginning nobody knows what is left of money credits, so they pay nothing; taxes still are."""
    found = invoice_of(file, "given", Usage({"vex": 12_000}), MONTH)
    assert (found.credit, found.tax) == (0, 1140)
    assert contract_of(file, "given", JANUARY).grants != contract_of(file, "given").grants == ()


def test_all_periods_together_are_all_invoices_together(file):
    """Billing period by period, trial first, comes to what the invoices come to up to the last period's usage."""
    since, until = JANUARY, datetime(2027, 6, 15, tzinfo=UTC)
    contract = contract_of(file, "acme", since)
    usage = Usage({"vex": 12_345})
    invoices = list(invoices_of(contract, until, lambda _period: usage))
    periods = [(since, contract.anchor), *intervals(contract.anchor, "month", 1, until)]
    bills = [invoice_of(file, "acme", usage, period, since=since) for period in periods]
    assert len(bills) == len(invoices) == 6
    last = sum(line.exact for line in bills[-1].lines if line.metered)
    assert sum((each.exact for each in bills), Decimal(0)) == sum((each.exact for each in invoices), last)
    assert [each.total for each in bills] == [0, *[4999 + 1173] * 5]


def test_a_period_of_several_intervals_is_refused(file):
    """Usage without saying of which month cannot be rated by the month, nor a period be half a trial."""
    with pytest.raises(ValueError, match="3 billing intervals end in the period"):
        invoice_of(
            file, "acme", Usage(), (JANUARY, datetime(2027, 4, 1, tzinfo=UTC)), since=datetime(2026, 12, 18, tzinfo=UTC)
        )
    with pytest.raises(ValueError, match="the trial ends within the period, at 2027-01-15"):
        invoice_of(file, "acme", Usage(), MONTH, since=JANUARY)
    with pytest.raises(ValueError, match="has no first invoice"):
        list(invoices_of(contract_of(file, "acme"), JULY, lambda _period: Usage()))
    assert invoice_of(file, "acme", Usage(), (JANUARY, datetime(2027, 1, 15, tzinfo=UTC)), since=JANUARY).total == 0
