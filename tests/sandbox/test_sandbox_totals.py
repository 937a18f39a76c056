"""Discounts, taxes and sums of an invoice's lines, against independent arithmetic."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.sandbox import Settings
from reconciler.sandbox.billing import totals

DEFAULTS = Settings()
AMOUNTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=6)
PERCENTS = st.integers(1, 10_000).map(lambda hundredths: hundredths / 100)


def line(amount, *discounts, product=None, discountable=True, rates=()):
    """Return the parts of a line that computing reads."""
    base = {"currency": "usd", "discountable": discountable, "_product": product, "_tax_rates": list(rates)}
    return {"amount": amount, "discounts": list(discounts), "pretax_credit_amounts": [], "taxes": [], **base}


def percent(number, products=None):
    """Return a coupon of a percentage."""
    only = {"products": products} if products else None
    return {"percent_off": number, "amount_off": None, "currency": None, "currency_options": {}, "applies_to": only}


def amount(off, products=None, **options):
    """Return a coupon of an amount in usd, with options by currency."""
    rest = {"currency": "usd", "currency_options": {code: {"amount_off": value} for code, value in options.items()}}
    return {**percent(None, products), "amount_off": off, **rest}


def rate(name, percentage, *, inclusive=False):
    """Return the parts of a tax rate that computing reads."""
    return {"id": name, "percentage": percentage, "inclusive": inclusive}


def off(lines, of_invoice, coupons, settings=DEFAULTS):
    """Return what each discount takes off each line."""
    done = totals.discounted(lines, of_invoice, coupons, settings)
    return [[taken["amount"] for taken in found["discount_amounts"]] for found in done]


def taxed(lines, rates, exempt="none", settings=DEFAULTS):
    """Return the taxes of each line as ``(amount, taxable amount)``."""
    done = totals.taxed(lines, {own["id"]: own for own in rates}, exempt, settings)
    return [[(tax["amount"], tax["taxable_amount"]) for tax in found["taxes"]] for found in done]


def test_the_order_of_discounts_counts():
    """20 % and then 5.00 off 30.00 leaves 19.00, the other way round 20.00: each takes from what is left.

    Source: https://docs.stripe.com/billing/subscriptions/coupons (stacking).
    """
    coupons = {"p": percent(20), "a": amount(500)}
    assert off([line(3000)], ["p", "a"], coupons) == [[600, 500]]
    assert off([line(3000)], ["a", "p"], coupons) == [[500, 500]]


def test_discounts_of_a_line_come_first():
    """A line's own discounts go before the invoice's, and touch no other line."""
    coupons = {"own": amount(1000), "all": percent(50)}
    assert off([line(3000, "own"), line(3000)], ["all"], coupons) == [[1000, 1000], [1500]]


def test_an_amount_off_is_spread_in_proportion():
    """10.00 off 20.00 and 10.00 is 6.67 and 3.33; nothing goes below zero."""
    coupons = {"a": amount(1000), "big": amount(9999)}
    assert off([line(2000), line(1000)], ["a"], coupons) == [[667], [333]]
    assert off([line(2000), line(1000)], ["big"], coupons) == [[2000], [1000]]


@pytest.mark.parametrize("to_largest", [True, False])
def test_amount_off_rest_to_largest(to_largest):
    """5.00 off 10.00 and 20.00 is 1.66 and 3.34, in either order, or 1.67 and 3.33 by the largest remainders.

    Source: https://docs.stripe.com/billing/subscriptions/prorations (coupons applied to multiple subscription items).
    """
    settings, coupons = Settings(amount_off_rest_to_largest=to_largest), {"a": amount(500)}
    first, second = (166, 334) if to_largest else (167, 333)
    assert off([line(1000), line(2000)], ["a"], coupons, settings) == [[first], [second]]
    assert off([line(2000), line(1000)], ["a"], coupons, settings) == [[second], [first]]
    assert sum(part for (part,) in off([line(3)] * 4, ["a"], {"a": amount(11)}, settings)) == 11


def test_a_backdated_coupon_covers_the_periods_of_its_time():
    """What begins before or after the coupon's time is full price; without a time every line is covered.

    Source: https://docs.stripe.com/billing/subscriptions/backdating (backdating and discounts).
    """
    lines = [{**line(1000), "period": {"start": start, "end": start + 10}} for start in (0, 10, 20, 30)]
    assert off(lines, ["p"], {"p": {**percent(50), "_span": (10, 30)}}) == [[], [500], [500], []]
    assert off(lines, ["p"], {"p": {**percent(50), "_span": (10, None)}}) == [[], [500], [500], [500]]
    assert off(lines, ["p"], {"p": percent(50)}) == [[500], [500], [500], [500]]


def test_coupons_of_products_touch_their_products_only():
    """``applies_to`` leaves every other product's line, and every line without a product, alone."""
    coupons = {"a": amount(1000, ["prod_a"]), "p": percent(10, ["prod_a"])}
    lines = [line(5000, product="prod_b"), line(5000, product="prod_a"), line(5000)]
    assert off(lines, ["a", "p"], coupons) == [[], [1000, 400], []]


def test_what_is_not_discountable_is_left_out():
    """Prorations and other lines that take no discount are not in what an amount is spread over."""
    assert off([line(1000, discountable=False), line(1000)], ["a"], {"a": amount(600)}) == [[], [600]]


def test_an_amount_off_is_that_of_the_currency():
    """An invoice in another currency gets the coupon's option, and nothing where it has none."""
    coupon = amount(1000, eur=700)
    assert off([{**line(5000), "currency": "eur"}], ["a"], {"a": coupon}) == [[700]]
    assert off([{**line(5000), "currency": "gbp"}], ["a"], {"a": coupon}) == [[0]]


@pytest.mark.parametrize("per_line", [True, False])
def test_percent_off_rounds_per_line(per_line):
    """10 % of three times 0.15: 2 on each line, or 4.5 rounded to 5 in all."""
    settings = Settings(percent_off_rounds_per_line=per_line)
    taken = off([line(15)] * 3, ["p"], {"p": percent(10)}, settings)
    assert taken == ([[2], [2], [2]] if per_line else [[2], [2], [1]])


@pytest.mark.parametrize(("amounts", "expected"), [((43, 484), 79), ((100,), 15)])
def test_taxes_are_those_of_the_published_example(amounts, expected):
    """15 % of 0.43 and 4.84 are 0.06 and 0.73 (https://support.stripe.com/questions/rounding-rules-for-stripe-fees)."""
    found = taxed([line(base, rates=["t"]) for base in amounts], [rate("t", 15)])
    assert sum(tax for taxes in found for tax, _ in taxes) == expected


@pytest.mark.parametrize("per_line", [True, False])
def test_tax_rounds_per_line(per_line):
    """10 % of three times 0.15: 2 on each line, or 4.5 rounded to 5 in all, shared out."""
    settings = Settings(tax_rounds_per_line=per_line)
    found = taxed([line(15, rates=["t"])] * 3, [rate("t", 10)], settings=settings)
    amounts = sorted(tax for taxes in found for tax, _ in taxes)
    assert amounts == ([2, 2, 2] if per_line else [1, 2, 2])


def test_inclusive_taxes_are_inside_the_price():
    """20 % inside 12.00 are 2.00 of 10.00; two rates share the inside: 10 % and 10 % of 10.00 (docs: tax rates)."""
    assert taxed([line(1200, rates=["t"])], [rate("t", 20, inclusive=True)]) == [[(200, 1000)]]
    both = [rate("a", 10, inclusive=True), rate("b", 10, inclusive=True)]
    assert taxed([line(1200, rates=["a", "b"])], both) == [[(100, 1000), (100, 1000)]]


@pytest.mark.parametrize("skips", [True, False])
def test_exclusive_tax_skips_inclusive(skips):
    """Beside an inclusive tax an exclusive one is on 10.00 or on 12.00; alone it is on 12.00 either way."""
    settings = Settings(exclusive_tax_skips_inclusive=skips)
    rates = [rate("in", 20, inclusive=True), rate("ex", 10)]
    found = taxed([line(1200, rates=["in", "ex"]), line(1200, rates=["ex"])], rates, settings=settings)
    assert found == [[(200, 1000), (100, 1000) if skips else (120, 1200)], [(120, 1200)]]


@pytest.mark.parametrize("spared", [True, False])
@pytest.mark.parametrize(("status", "reason"), [("exempt", "customer_exempt"), ("reverse", "reverse_charge")])
def test_exempt_customers_pay_no_tax(status, reason, spared):
    """A tax of an exempt customer is zero and says why, or is like anyone's; others pay either way."""
    settings = Settings(exempt_customers_pay_no_tax=spared)
    rates = {"t": rate("t", 10)}
    (tax,) = totals.taxed([line(1000, rates=["t"])], rates, status, settings)[0]["taxes"]
    assert (tax["amount"], tax["taxability_reason"]) == ((0, reason) if spared else (100, "not_available"))
    (tax,) = totals.taxed([line(1000, rates=["t"])], rates, "none", settings)[0]["taxes"]
    assert tax["amount"] == 100


@pytest.mark.parametrize("status", ["exempt", "reverse"])
def test_inclusive_tax_is_taken_out_of_the_price_of_exempt_customers(status):
    """100.00 with 10 % inside is 90.91 for them, and 100.00 for others; an exclusive rate changes nothing.

    Source: https://docs.stripe.com/tax/tax-rates (customer tax exemptions).
    """
    rates = {"in": rate("in", 10, inclusive=True), "ex": rate("ex", 10)}
    for own, exempt, total in (("in", status, 9091), ("in", "none", 10_000), ("ex", status, 10_000)):
        less = totals.discounted([line(10_000, rates=[own])], [], {}, DEFAULTS)
        done = totals.taxed(less, rates, exempt, DEFAULTS)
        sums = totals.sums(done, rates, exempt, DEFAULTS)
        assert (sums["subtotal"], sums["total"]) == (10_000, total)
        assert sums["total_excluding_tax"] == sums["subtotal_excluding_tax"] == (10_000 if own == "ex" else 9091)


def computed(lines, of_invoice, coupons, rates, settings=DEFAULTS):
    """Return the lines and the sums of an invoice."""
    by_id = {own["id"]: own for own in rates}
    done = totals.taxed(totals.discounted(lines, of_invoice, coupons, settings), by_id, "none", settings)
    return done, totals.sums(done, by_id, "none", settings)


def test_sums_say_what_each_field_documents():
    """Item discounts are in the subtotal, invoice discounts and exclusive taxes are not; the total has all of them."""
    rates = [rate("in", 25, inclusive=True), rate("ex", 10)]
    lines = [line(1500, "own", rates=["in"]), line(1000, rates=["ex"])]
    _, sums = computed(lines, ["all"], {"own": amount(250), "all": percent(20)}, rates)
    assert sums["subtotal"] == 1250 + 1000
    assert sums["subtotal_excluding_tax"] == 1000 + 1000
    assert sums["total"] == 1000 + 800 + 80
    assert sums["total_excluding_tax"] == 800 + 800
    assert [part["amount"] for part in sums["total_discount_amounts"]] == [250, 450]
    assert [(tax["amount"], tax["taxable_amount"]) for tax in sums["total_taxes"]] == [(200, 800), (80, 800)]


COUPONS = st.one_of(PERCENTS.map(percent), st.integers(1, 10**6).map(amount))


@given(AMOUNTS, st.lists(COUPONS, max_size=4), st.booleans())
def test_discounts_never_exceed_a_line(amounts, coupons, per_line):
    """Whatever is stacked, no line goes below zero, and no discount is negative."""
    named = {f"d{index}": coupon for index, coupon in enumerate(coupons)}
    settings = Settings(percent_off_rounds_per_line=per_line)
    for own, taken in zip(amounts, off([line(each) for each in amounts], list(named), named, settings), strict=True):
        assert all(part >= 0 for part in taken)
        assert sum(taken) <= own


@given(AMOUNTS, st.integers(1, 10**6))
def test_an_amount_off_is_taken_whole(amounts, value):
    """The shares of an amount off add up to it, or to all there is."""
    taken = off([line(each) for each in amounts], ["a"], {"a": amount(value)})
    assert sum(part for parts in taken for part in parts) == min(value, sum(amounts))


@given(AMOUNTS, st.permutations([500, 300, 20]))
def test_amounts_off_commute(amounts, order):
    """In whatever order amounts are taken off, the same is left."""
    coupons = {str(value): amount(value) for value in order}
    taken = off([line(each) for each in amounts], list(coupons), coupons)
    assert sum(part for parts in taken for part in parts) == min(820, sum(amounts))


@given(st.integers(0, 10**6), st.lists(PERCENTS, min_size=2, max_size=3))
def test_percentages_commute_within_rounding(base, percentages):
    """Percentages in either order leave the same, but for a minor unit per rounding."""
    left = []
    for order in (percentages, percentages[::-1]):
        coupons = {str(index): percent(number) for index, number in enumerate(order)}
        left.append(base - sum(off([line(base)], list(coupons), coupons)[0]))
    assert abs(left[0] - left[1]) <= len(percentages)


RATES = st.lists(st.tuples(st.integers(0, 3000), st.booleans()), max_size=3).map(
    lambda rows: [rate(f"t{index}", number / 100, inclusive=inside) for index, (number, inside) in enumerate(rows)]
)


@given(AMOUNTS, st.lists(COUPONS, max_size=2), RATES, st.booleans())
def test_an_invoice_adds_up(amounts, coupons, rates, per_line):
    """Total = lines - discounts + exclusive taxes, exactly; each tax is within half a unit, per line or in all."""
    settings = Settings(tax_rounds_per_line=per_line)
    named = {f"d{index}": coupon for index, coupon in enumerate(coupons)}
    lines = [line(each, rates=[own["id"] for own in rates]) for each in amounts]
    done, sums = computed(lines, list(named), named, rates, settings)
    nets = [totals.net(each) for each in done]
    taxes = [tax for each in done for tax in each["taxes"]]
    on_top = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    inside = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    assert sums["total"] == sum(nets) + on_top
    assert sums["total_excluding_tax"] == sum(nets) - inside
    assert sum(tax["amount"] for tax in sums["total_taxes"]) == on_top + inside
    assert sums["subtotal"] == sum(amounts)
    share = 1 + sum(Fraction(str(own["percentage"])) for own in rates if own["inclusive"]) / 100
    for index, own in enumerate(rates):
        exact = [Fraction(net) / share * Fraction(str(own["percentage"])) / 100 for net in nets]
        found = [each["taxes"][index]["amount"] for each in done]
        if per_line:
            assert all(abs(got - want) <= Fraction(1, 2) for got, want in zip(found, exact, strict=True))
        else:
            assert abs(sum(found) - sum(exact)) <= Fraction(1, 2)
            assert all(abs(got - want) < 1 for got, want in zip(found, exact, strict=True))
