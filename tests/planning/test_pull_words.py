"""Amounts, brackets, ids and metadata of pulled files."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import money
from reconciler.config.catalog import catalog_from_texts
from reconciler.config.emit import emit
from reconciler.config.ids import short, slug, unique
from reconciler.planning.live import Live
from reconciler.planning.pull.amounts import included_units, instant, major, steps
from reconciler.planning.pull.fit import oddity, own_metadata
from reconciler.planning.pull.names import is_made_up, period, shared_prefix
from reconciler.resources import BY_NAME, desire

minors = st.builds(
    lambda whole, fraction: money.plain(Decimal(f"{whole}.{fraction}" if fraction else whole)),
    st.integers(0, 99_999_999).map(str),
    st.text("0123456789", max_size=12),
)


@settings(max_examples=60)
@given(minors, st.sampled_from(["usd", "jpy", "kwd"]))
def test_an_amount_comes_back_to_the_last_digit(minor: str, currency: str) -> None:
    """Minor units, written into a file, read by the models and turned into a price, are the same minor units."""
    settings = {"namespace": "acme", "currency": currency}
    prices = {"monthly": {"amount": major(minor, currency), "interval": "month"}}
    catalog, diagnostics = catalog_from_texts(
        {"a.yaml": emit({"settings": settings, "plans": {"pro": {"name": "Pro", "prices": prices}}})}
    )
    assert catalog is not None, diagnostics
    (price,) = (each for each in desire(catalog) if each.kind.name == "price")
    assert price.values["unit_amount_decimal"] == minor


def tier(up_to: Any, unit: str, flat: str | None = None) -> dict[str, Any]:
    """Return a tier as a price holds it."""
    return {"up_to": up_to, "unit_amount_decimal": unit} | ({"flat_amount_decimal": flat} if flat else {})


@pytest.mark.parametrize(
    ("tiers", "included"),
    [
        ([tier(5000, "0"), tier("inf", "25")], 5000),
        ([tier(5000, "0"), tier(9000, "2"), tier("inf", "1")], 5000),
        ([tier(5000, "1"), tier("inf", "25")], 0),
        ([tier(5000, "0", "100"), tier("inf", "25")], 0),
        ([tier("inf", "0")], 0),
    ],
)
def test_included_units_are_a_free_first_bracket(tiers: list[dict[str, Any]], included: int) -> None:
    """Units are included where the first of several brackets costs nothing at all."""
    assert included_units({"tiers_mode": "graduated", "tiers": tiers}) == included
    assert included_units({"tiers_mode": "volume", "tiers": tiers}) == 0


def test_included_units_are_the_same_in_every_currency() -> None:
    """Where another currency begins to cost elsewhere, nothing is included."""
    tiers, other = [tier(10, "0"), tier("inf", "5")], [tier(20, "0"), tier("inf", "5")]
    price = {"tiers_mode": "graduated", "tiers": tiers, "currency_options": {"eur": {"tiers": tiers}}}
    assert included_units(price) == 10
    assert included_units(price | {"currency_options": {"eur": {"tiers": other}}}) == 0


def test_bounds_count_from_behind_the_included_units() -> None:
    """A bound at unit 9000 is 4000 behind 5000 included ones; an amount of nothing beside a flat one is not said."""
    assert steps([tier(9000, "0", "150"), tier("inf", "0.5")], "usd", included=5000) == [
        {"up_to": 4000, "flat_amount": "1.50"},
        {"up_to": "inf", "unit_amount": "0.005"},
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pro Plan", "pro-plan"),
        ("1,000 credits", "1000-credits"),
        ("Café & Bar", "cafe-and-bar"),
        ("日本", ""),
    ],
)
def test_an_id_is_made_of_the_letters_people_see(text: str, expected: str) -> None:
    """Words are joined by dashes, accents dropped, and what has no letters here gives no id."""
    assert slug(text) == expected


@settings(max_examples=40)
@given(st.text(max_size=80), st.sets(st.sampled_from(["pro", "pro-2", "plan"])))
def test_an_id_is_valid_and_free(text: str, taken: set[str]) -> None:
    """Whatever a thing is called, it gets an id the language accepts and nothing else has."""
    name = unique([short(text, "plan"), slug(text)], taken, "plan")
    assert name not in taken
    content = {"settings": {"namespace": "acme"}, "features": {name: {"name": "X"}}}
    catalog, diagnostics = catalog_from_texts({"a.yaml": emit(content)})
    assert catalog is not None, diagnostics


def test_what_stripe_made_up_is_told_from_what_people_chose() -> None:
    """Random ids are not written into files, chosen ones are."""
    assert is_made_up("product", "prod_NWjs8kKbJWmuuc")
    assert is_made_up("coupon", "1icShAYa")
    assert not is_made_up("product", "acme_pro")
    assert not is_made_up("coupon", "LAUNCH20")


def test_periods_have_names() -> None:
    """Common periods have the word people use, others say how often."""
    every = [("month", 1), ("month", 3), ("year", 1), ("year", 2)]
    words = [period({"interval": interval, "interval_count": times}) for interval, times in every]
    assert [*words, period(None)] == ["monthly", "quarterly", "annual", "every-2-years", "once"]


def test_an_instant_is_a_day_where_it_is_the_start_of_one() -> None:
    """Midnight in UTC is written as a day, any other instant to the second."""
    assert (instant(1_924_992_000), instant(1_924_992_001)) == ("2031-01-01", "2031-01-01T00:00:01Z")


def test_metadata_about_people_and_secrets_stays_at_stripe() -> None:
    """Addresses, telephone numbers, ids of customers and masked secrets are not written; plain facts are."""
    metadata = {
        "line": "core",
        "max_users": "10",
        "owner": "Jane",
        "support": "jane@example.com",
        "tel": "+49 30 1234567",
        "first": "cus_NffrFeUfNV2Hib",
        "hook": "whsec_***",
        "a[b]": "x",
    }
    kept, others = own_metadata(Live(BY_NAME["product"], "prod_1", {"id": "prod_1"}, metadata))
    assert kept == {"line": "core", "max_users": "10"}
    assert sorted(others) == ["a[b]", "first", "hook", "owner", "support", "tel"]


def test_what_no_field_can_hold_is_odd() -> None:
    """A code for one customer and an old good are left out; the same without are not."""
    assert oddity("promotion_code", {"customer": "cus_1"})
    assert oddity("product", {"type": "good"})
    assert oddity("promotion_code", {"customer": None}) is None
    assert oddity("product", {"type": "service"}) is None


@pytest.mark.parametrize(
    ("keys", "prefix"),
    [
        (["acme.features.a", "acme.features.b", "acme.features.ab"], "acme.features."),
        (["acme_x", "acme_y", "acme_z"], "acme_"),
        (["seats", "seat", "seat-x"], ""),
        (["acme.a", "acme.b"], ""),
        ([], ""),
    ],
)
def test_what_many_keys_begin_with_is_no_part_of_an_id(keys: list[str], prefix: str) -> None:
    """A prefix ends at a separator, and two keys may begin alike by chance."""
    assert shared_prefix(keys) == prefix
