"""Prices times quantities against the published models (https://docs.stripe.com/products-prices/pricing-models)."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.sandbox import Settings
from reconciler.sandbox.billing.charges import for_price, money
from reconciler.sandbox.billing.rating import rate
from reconciler.sandbox.billing.rounding import exact, rounded, spread
from reconciler.sandbox.errors import ApiError

DEFAULTS = Settings()
UNIT_AMOUNTS = st.decimals(0, 10_000, places=6, allow_nan=False)
QUANTITIES = st.integers(0, 100_000)


def price(currency="usd", **fields):
    """Return the parts of a price object that rating reads."""
    base = {"billing_scheme": "per_unit", "currency_options": {}, "transform_quantity": None, "tiers_mode": None}
    blank = {"id": "price_1", "product": "prod_1", "tiers": None, "unit_amount_decimal": None, "recurring": None}
    return {**base, **blank, "currency": currency, **fields}


def tiered(mode, *tiers, **fields):
    """Return a tiered price of ``(up_to, unit amount, flat amount)``."""
    rows = [
        {
            "up_to": up_to,
            "unit_amount_decimal": None if unit is None else str(unit),
            "flat_amount_decimal": None if flat is None else str(flat),
        }
        for up_to, unit, flat in tiers
    ]
    return price(billing_scheme="tiered", tiers_mode=mode, tiers=rows, **fields)


def amounts(of, quantity, currency="usd", settings=DEFAULTS):
    """Return the amounts of the lines."""
    return [part.amount for part in rate(of, quantity, currency, settings)]


#: The documentation's font service: 7 USD to 5 projects, 6.50 to 10, 6 above (both tiered models).
PROJECTS = ((5, 700, None), (10, 650, None), (None, 600, None))


@pytest.mark.parametrize(("quantity", "total"), [(1, 700), (5, 3500), (6, 3900), (20, 12000), (25, 15000)])
def test_volume_is_the_documented_table(quantity, total):
    """All units cost the price of the tier the total falls in: 6 projects at 6.50 are 39.00."""
    assert amounts(tiered("volume", *PROJECTS), quantity) == [total]


@pytest.mark.parametrize(("quantity", "lines"), [(1, [700]), (5, [3500]), (6, [3500, 650]), (20, [3500, 3250, 6000])])
def test_graduated_is_the_documented_table(quantity, lines):
    """Each tier's units cost that tier's price, a line per tier: 20 projects are 35.00 + 32.50 + 60.00."""
    assert amounts(tiered("graduated", *PROJECTS), quantity) == lines


def test_flat_fees_come_with_their_tier():
    """A flat fee is a line of its own, in graduated pricing for every tier that is reached, in volume for one."""
    tiers = ((5, 500, 1000), (10, 400, 2000), (None, 300, 3000))
    assert amounts(tiered("graduated", *tiers), 6) == [2500, 1000, 400, 2000]
    assert amounts(tiered("volume", *tiers), 6) == [2400, 2000]
    assert [part.flat for part in rate(tiered("volume", *tiers), 6, "usd", DEFAULTS)] == [False, True]


@pytest.mark.parametrize("billed", [True, False])
@pytest.mark.parametrize("mode", ["graduated", "volume"])
def test_flat_amount_at_zero_usage(mode, billed):
    """The first tier's flat fee is billed without usage, or not; with usage it is either way."""
    settings = Settings(flat_amount_at_zero_usage=billed)
    tiers = tiered(mode, (10, 5, 1000), (None, 4, 2000))
    assert amounts(tiers, 0, settings=settings) == ([0, 1000] if billed else [0])
    assert amounts(tiers, 1, settings=settings) == [5, 1000]
    assert amounts(tiered(mode, (None, None, 700)), 0, settings=settings) == ([700] if billed else [0])


@pytest.mark.parametrize(
    ("quantity", "up", "down"), [(0, 0, 0), (1, 2500, 0), (5, 2500, 2500), (8, 5000, 2500), (10, 5000, 5000)]
)
def test_packages_are_rounded_as_the_price_says(quantity, up, down):
    """8 users in packages of 5 at 25.00 are two packages rounded up, one rounded down."""
    for direction, total in (("up", up), ("down", down)):
        package = price(unit_amount_decimal="2500", transform_quantity={"divide_by": 5, "round": direction})
        assert amounts(package, quantity) == [total]


def test_fractions_of_a_minor_unit_are_rounded_once_per_line():
    """0.05 cents times 30 is 1.5 cents and bills 2; rounding each unit would bill nothing."""
    assert amounts(price(unit_amount_decimal="0.05"), 30) == [2]
    assert amounts(price(unit_amount_decimal="0.05"), 29) == [1]
    two = tiered("graduated", (1, "0.5", None), (None, "0.5", None))
    assert amounts(two, 2) == [1, 1]


@pytest.mark.parametrize("up", [True, False])
def test_halves_round_up(up):
    """A half goes away from zero, or to the even neighbour; anything else to the nearest."""
    settings = Settings(halves_round_up=up)
    halves = [rounded(Fraction(n, 2), settings) for n in (1, 3, 5, -1, -3)]
    assert halves == ([1, 2, 3, -1, -2] if up else [0, 2, 2, 0, -2])
    assert [rounded(Fraction(n, 5), settings) for n in (2, 3, -2, -3)] == [0, 1, 0, -1]


def test_a_negative_total_bills_nothing():
    """A meter's negative period total bills as zero (https://docs.stripe.com/api/billing/meter-event)."""
    assert amounts(price(unit_amount_decimal="10"), -5) == [0]
    assert amounts(tiered("graduated", *PROJECTS), -5) == [0]


@pytest.mark.parametrize(("currency", "shown"), [("jpy", "¥1500"), ("kwd", "KWD 1.500"), ("usd", "$15.00")])
def test_amounts_are_minor_units_of_their_currency(currency, shown):
    """1500 is 1500 yen, 1.5 dinars, 15 dollars; the price does not care."""
    assert amounts(price(currency, unit_amount_decimal="500"), 3, currency) == [1500]
    assert money(Decimal(1500), currency) == shown


def test_currency_options_have_their_own_amounts_and_tiers():
    """A price in another currency takes that option's amounts; a currency without option is refused (observed)."""
    option = {"eur": {"unit_amount_decimal": "900", "tiers": None}}
    flat = price(unit_amount_decimal="1000", currency_options=option)
    assert (amounts(flat, 2), amounts(flat, 2, "eur")) == ([2000], [1800])
    tiers = [{"up_to": None, "unit_amount_decimal": "3", "flat_amount_decimal": None}]
    graduated = tiered("graduated", (None, 5, None), currency_options={"eur": {"tiers": tiers}})
    assert amounts(graduated, 2, "eur") == [6]
    with pytest.raises(ApiError, match="only supports `usd`"):
        rate(flat, 1, "gbp", DEFAULTS)


def test_a_price_the_customer_chooses_cannot_be_rated():
    """A custom unit amount is for Checkout; it is refused, not billed as zero."""
    with pytest.raises(ApiError):
        rate(price(), 1, "usd", DEFAULTS)


#: Reserved capacity at no charge, then two rising or falling prices below a cent.
RESERVED = {"vex": ((10000, 0, None), (15000, "0.5", None), (None, "0.8", None))}
RESERVED["fu"] = ((50000, 0, None), (75000, "0.1", None), (None, "0.08", None))


@pytest.mark.parametrize(
    ("meter", "quantity", "total"),
    [
        *(("vex", quantity, total) for quantity, total in [(10000, 0), (10001, 1), (15000, 2500), (15001, 2501)]),
        *(("vex", quantity, total) for quantity, total in [(20000, 6500), (26000, 11300), (40000, 22500)]),
        *(
            ("fu", quantity, total)
            for quantity, total in [(75000, 2500), (75001, 2500), (100000, 4500), (130000, 6900)]
        ),
    ],
)
def test_included_units_and_overage_are_one_graduated_price(meter, quantity, total):
    """A first tier at zero holds what is included; what follows is exact, whether prices rise or fall."""
    assert sum(amounts(tiered("graduated", *RESERVED[meter]), quantity)) == total


def test_the_open_end_may_read_null_or_inf():
    """Both ways of writing the last tier's end rate alike."""
    for end in (None, "inf"):
        assert amounts(tiered("graduated", (1, 10, None), (end, 5, None)), 3) == [10, 10]


@given(UNIT_AMOUNTS, QUANTITIES)
def test_per_unit_is_within_half_a_unit_of_exact(unit, quantity):
    """A line is off by half a minor unit at most."""
    (amount,) = amounts(price(unit_amount_decimal=str(unit)), quantity)
    assert abs(amount - Fraction(unit) * quantity) <= Fraction(1, 2)


@st.composite
def tier_tables(draw):
    """Return tiers with ascending ends and whole amounts."""
    ends = sorted(draw(st.sets(st.integers(1, 50), max_size=4)))
    return [(end, draw(st.integers(0, 99)), draw(st.none() | st.integers(0, 99))) for end in [*ends, None]]


@given(tier_tables(), st.integers(1, 80))
def test_graduated_is_the_sum_of_its_marginal_prices(tiers, quantity):
    """Unit by unit: the n-th unit costs its tier's price, the first unit of a tier its flat fee too."""
    total, reached = 0, set()
    for unit in range(1, quantity + 1):
        index = next(i for i, (end, _, _) in enumerate(tiers) if end is None or unit <= end)
        total += tiers[index][1] + (0 if index in reached else tiers[index][2] or 0)
        reached.add(index)
    assert sum(amounts(tiered("graduated", *tiers), quantity)) == total


@given(tier_tables(), st.integers(1, 80))
def test_volume_is_one_tier_times_everything(tiers, quantity):
    """Look the tier up, multiply, add its flat fee."""
    _, unit, flat = next(tier for tier in tiers if tier[0] is None or quantity <= tier[0])
    assert sum(amounts(tiered("volume", *tiers), quantity)) == unit * quantity + (flat or 0)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**6), max_size=8))
def test_shares_add_up_to_what_is_shared(part, weights):
    """Sharing out loses and invents nothing, and no share is off by a whole unit."""
    total = min(part, sum(weights))
    shares = spread(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert 0 <= share <= weight
        assert abs(share - Fraction(total * weight, max(1, sum(weights)))) < 1


def test_numbers_from_json_are_what_is_written():
    """8.25 % is 33/400 exactly, whatever its float."""
    assert exact(8.25) / 100 == Fraction(33, 400)
    assert exact("0.1") == Fraction(1, 10)


def test_lines_describe_their_tier():
    """A line says how much, of what, at which price and how often."""
    monthly = {"interval": "month", "interval_count": 1}
    graduated = tiered("graduated", *PROJECTS, recurring=monthly)
    lines = for_price(graduated, 6, "usd", DEFAULTS, name="Fonts", period=(1, 2))
    assert [line.description for line in lines] == [
        "5 \u00d7 Fonts (Tier 1 at $7.00 / month)",
        "1 \u00d7 Fonts (Tier 2 at $6.50 / month)",
    ]
    quarterly = price(unit_amount_decimal="0.5", recurring={"interval": "month", "interval_count": 3})
    (line,) = for_price(quarterly, 10, "usd", DEFAULTS, name="Calls", period=(1, 2))
    assert (line.description, line.amount) == ("10 \u00d7 Calls (at $0.005 every 3 months)", 5)
