"""Prices: shapes, the amount forms, tiers, currencies, lookup keys, default prices."""

import pytest

PLAIN = {"currency": "usd", "unit_amount": 1000}
TIERS = [{"up_to": 5, "unit_amount": 500}, {"up_to": "inf", "unit_amount_decimal": "0.5"}]
TIERED = {
    "currency": "usd",
    "billing_scheme": "tiered",
    "tiers_mode": "graduated",
    "recurring": {"interval": "month"},
    "tiers": TIERS,
}


def test_a_one_time_price_is_complete(api, now):
    """Every field of the documented object is there with its default; expand-only fields are absent, not null."""
    product = api.product()["id"]
    price = api.price(product)
    assert price["id"].startswith("price_1")
    assert price == {
        "id": price["id"],
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": now,
        "currency": "usd",
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product,
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": 1000,
        "unit_amount_decimal": "1000",
    }


def test_a_recurring_price_gets_its_defaults(api):
    """Interval count, usage type, meter and trial are filled in and the type is computed."""
    price = api.price(api.product()["id"], recurring={"interval": "month"})
    assert price["type"] == "recurring"
    assert price["recurring"] == {
        "interval": "month",
        "interval_count": 1,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


@pytest.mark.parametrize(
    ("given", "whole", "exact"),
    [("0.5", None, "0.5"), ("100", 100, "100"), ("100.0", 100, "100"), ("0", 0, "0"), ("0.50", None, "0.5")],
)
def test_a_decimal_amount_is_text_and_null_as_an_integer_when_fractional(api, given, whole, exact):
    """``unit_amount`` is null for a fractional amount; ``unit_amount_decimal`` is always plain text."""
    price = api.price(api.product()["id"], unit_amount_decimal=given)
    assert (price["unit_amount"], price["unit_amount_decimal"]) == (whole, exact)


def test_a_tiered_price_keeps_its_tiers_for_those_who_expand_them(api):
    """Tiers are shown complete when expanded, the open end as null; the price itself has no amount."""
    price = api.post("/v1/prices", {"product": api.product()["id"], **TIERED})
    assert "tiers" not in price
    assert (price["unit_amount"], price["unit_amount_decimal"], price["tiers_mode"]) == (None, None, "graduated")
    shown = api.get(f"/v1/prices/{price['id']}", {"expand": ["tiers"]})
    empty = {"flat_amount": None, "flat_amount_decimal": None}
    assert shown["tiers"] == [
        {**empty, "unit_amount": 500, "unit_amount_decimal": "500", "up_to": 5},
        {**empty, "unit_amount": None, "unit_amount_decimal": "0.5", "up_to": None},
    ]


def test_the_tiers_of_a_currency_have_an_expansion_of_their_own(api):
    """``currency_options`` shows no tiers, ``currency_options.tiers`` is ignored, the currency's own path works."""
    options = {"currency_options": {"eur": {"tiers": TIERS}}}
    price = api.post("/v1/prices", {"product": api.product()["id"], **TIERED, **options})
    path = f"/v1/prices/{price['id']}"
    assert "tiers" not in api.get(path, {"expand": ["currency_options"]})["currency_options"]["eur"]
    ignored = api.get(path, {"expand": ["currency_options", "currency_options.tiers"]})
    assert "tiers" not in ignored["currency_options"]["eur"]
    shown = api.get(path, {"expand": ["currency_options", "currency_options.eur.tiers"]})["currency_options"]
    assert len(shown["eur"]["tiers"]) == 2
    assert "tiers" not in shown["usd"]


def test_pay_what_you_want_keeps_the_range_only(api):
    """``enabled`` does not come back and the amount is null, as observed."""
    price = api.price(api.product()["id"], custom_unit_amount={"enabled": True, "minimum": 100, "maximum": 900})
    assert price["custom_unit_amount"] == {"maximum": 900, "minimum": 100, "preset": None}
    assert price["unit_amount"] is None


REFUSALS = {
    "no amount": (PLAIN, {"unit_amount": None}, None),
    "two amounts": (PLAIN, {"unit_amount_decimal": "1"}, "unit_amount"),
    "amount and tiers": (TIERED, {"unit_amount": 1}, "unit_amount"),
    "negative amount": (PLAIN, {"unit_amount": -1}, "unit_amount"),
    "amount too large": ({**PLAIN, "unit_amount": 999_999_999_999}, {"unit_amount": 1_000_000_000_000}, "unit_amount"),
    "unknown currency": (PLAIN, {"currency": "xyz"}, "currency"),
    "no currency": (PLAIN, {"currency": None}, "currency"),
    "both products": (PLAIN, {"product_data": {"name": "x"}}, "product"),
    "no product": (PLAIN, {"product": None}, None),
    "unknown product": (PLAIN, {"product": "prod_nope"}, "product"),
    "tiers without scheme": (TIERED, {"billing_scheme": None, "tiers_mode": None}, "tiers"),
    "mode without scheme": (PLAIN, {"tiers_mode": "volume"}, "tiers_mode"),
    "scheme without tiers": (TIERED, {"tiers": None}, "tiers"),
    "scheme without mode": (TIERED, {"tiers_mode": None}, "tiers_mode"),
    "one-time tiers": (TIERED, {"recurring": None}, "interval"),
    "tiers and packages": (TIERED, {"transform_quantity": {"divide_by": 2, "round": "up"}}, "tiers"),
    "last tier closed": (TIERED, {"tiers": [{"up_to": 5, "unit_amount": 1}]}, "tiers[0][up_to]"),
    "open tier first": (TIERED, {"tiers": [TIERS[1], TIERS[1]]}, "tiers[0][up_to]"),
    "tiers not ascending": (TIERED, {"tiers": [TIERS[0], TIERS[0], TIERS[1]]}, "tiers[1][up_to]"),
    "tier up to zero": (TIERED, {"tiers": [{"up_to": 0, "unit_amount": 1}, TIERS[1]]}, "tiers[0][up_to]"),
    "tier without amount": (TIERED, {"tiers": [{"up_to": "inf"}]}, "tiers[0]"),
    "tier with two amounts": (
        TIERED,
        {"tiers": [{"up_to": "inf", "unit_amount": 1, "unit_amount_decimal": "1"}]},
        "tiers[0][unit_amount]",
    ),
    "fractional flat amount": (
        TIERED,
        {"tiers": [{"up_to": "inf", "flat_amount_decimal": "0.5"}]},
        "tiers[0][flat_amount_decimal]",
    ),
    "package of nothing": (
        {**PLAIN, "transform_quantity": {"divide_by": 1, "round": "up"}},
        {"transform_quantity": {"divide_by": 0, "round": "up"}},
        "transform_quantity[divide_by]",
    ),
    "recurring pay what you want": (
        {"currency": "usd", "custom_unit_amount": {"enabled": True}},
        {"recurring": {"interval": "month"}},
        "custom_unit_amount",
    ),
    "disabled pay what you want": (
        {"currency": "usd", "custom_unit_amount": {"enabled": True}},
        {"custom_unit_amount": {"enabled": False}},
        "custom_unit_amount[enabled]",
    ),
    "reversed range": (
        {"currency": "usd", "custom_unit_amount": {"enabled": True, "minimum": 5, "maximum": 5}},
        {"custom_unit_amount": {"enabled": True, "minimum": 6, "maximum": 5}},
        "custom_unit_amount[minimum]",
    ),
    "four years": (
        {**PLAIN, "recurring": {"interval": "year", "interval_count": 3}},
        {"recurring": {"interval": "year", "interval_count": 4}},
        "recurring[interval_count]",
    ),
    "no months": (
        {**PLAIN, "recurring": {"interval": "month", "interval_count": 36}},
        {"recurring": {"interval": "month", "interval_count": 0}},
        "recurring[interval_count]",
    ),
    "metered without meter": (
        {**PLAIN, "recurring": {"interval": "month", "usage_type": "licensed"}},
        {"recurring": {"interval": "month", "usage_type": "metered"}},
        None,
    ),
    "unknown meter": (
        {**PLAIN, "recurring": {"interval": "month"}},
        {"recurring": {"interval": "month", "usage_type": "metered", "meter": "mtr_x"}},
        "recurring[meter]",
    ),
    "base currency option": (
        {**PLAIN, "currency_options": {"eur": {"unit_amount": 1}}},
        {"currency_options": {"usd": {"unit_amount": 1}}},
        "currency_options[usd]",
    ),
    "upper case option": (PLAIN, {"currency_options": {"EUR": {"unit_amount": 1}}}, "currency_options"),
    "option without amount": (
        PLAIN,
        {"currency_options": {"eur": {"tax_behavior": "inclusive"}}},
        "currency_options[eur]",
    ),
    "untiered option": (TIERED, {"currency_options": {"eur": {"unit_amount": 1}}}, "currency_options[eur][tiers]"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_price_that_stripe_would_not_take_is_refused(api, name):
    """The good form makes a price; the form with one change is a 400 that names the parameter and makes none."""
    good, change, param = REFUSALS[name]
    product = api.product()["id"]
    api.post("/v1/prices", {"product": product, **good})
    bad = {key: value for key, value in {"product": product, **good, **change}.items() if value is not None}
    error = api.refused("POST", "/v1/prices", bad)
    assert (error["status"], error["param"]) == (400, param)
    assert len(api.ids("/v1/prices")) == 1


def test_a_metered_price_needs_an_active_meter(api):
    """An active meter backs a price; after deactivation it backs no new one."""
    product, meter = api.product()["id"], api.meter()["id"]
    recurring = {"interval": "month", "usage_type": "metered", "meter": meter}
    assert api.price(product, recurring=recurring)["recurring"]["meter"] == meter
    api.post(f"/v1/billing/meters/{meter}/deactivate")
    form = {"product": product, **PLAIN, "recurring": recurring}
    assert api.refused("POST", "/v1/prices", form)["param"] == "recurring[meter]"
    licensed = {"product": product, **PLAIN, "recurring": {**recurring, "usage_type": "licensed"}}
    assert api.refused("POST", "/v1/prices", licensed)["param"] == "recurring[meter]"


def test_an_upper_case_currency_is_taken_and_lowered(api):
    """Stripe takes ``USD`` as a value and answers ``usd``."""
    assert api.price(api.product()["id"], currency="USD")["currency"] == "usd"


def test_a_price_can_bring_its_product(api):
    """``product_data`` makes the product in the same request, under its chosen id."""
    form = {**PLAIN, "product_data": {"id": "inline", "name": "Inline", "metadata": {"a": "b"}}}
    assert api.post("/v1/prices", form)["product"] == "inline"
    assert api.get("/v1/products/inline")["metadata"] == {"a": "b"}
    assert api.refused("POST", "/v1/prices", form)["code"] == "resource_already_exists"
    assert len(api.ids("/v1/prices")) == 1


def test_a_lookup_key_has_one_holder(api):
    """A second price cannot take the key, nor can an update; another key is free."""
    product = api.product()["id"]
    holder = api.price(product, lookup_key="k")
    error = api.refused("POST", "/v1/prices", {"product": product, **PLAIN, "lookup_key": "k"})
    assert (error["status"], error["param"]) == (400, "lookup_key")
    assert f"A price (`{holder['id']}`) already uses that lookup key." in error["message"]
    other = api.price(product, lookup_key="decoy")
    assert api.refused("POST", f"/v1/prices/{other['id']}", {"lookup_key": "k"})["param"] == "lookup_key"
    assert api.post(f"/v1/prices/{holder['id']}", {"lookup_key": "k"})["lookup_key"] == "k"


@pytest.mark.parametrize("by", ["create", "update"])
def test_a_lookup_key_can_be_transferred(api, by):
    """The key moves at once, even from an archived holder, which keeps everything else; the decoy keeps its own."""
    product = api.product()["id"]
    holder, decoy = api.price(product, lookup_key="k"), api.price(product, lookup_key="decoy")
    api.post(f"/v1/prices/{holder['id']}", {"active": False})
    transfer = {"lookup_key": "k", "transfer_lookup_key": True}
    if by == "create":
        taker = api.price(product, **transfer)
    else:
        taker = api.post(f"/v1/prices/{api.price(product)['id']}", transfer)
    assert taker["lookup_key"] == "k"
    left = api.get(f"/v1/prices/{holder['id']}")
    assert left == {**holder, "active": False, "lookup_key": None}
    assert api.ids("/v1/prices", {"lookup_keys": ["k"]}) == [taker["id"]]
    assert api.get(f"/v1/prices/{decoy['id']}")["lookup_key"] == "decoy"
    moved = [event for event in api.events(type="price.updated") if event["data"]["object"]["id"] == holder["id"]]
    assert moved[-1]["data"]["previous_attributes"] == {"lookup_key": "k"}


def test_a_refused_create_gives_the_transferred_key_back(api):
    """Transfer and create are one transaction: a price that is refused takes no key."""
    product = api.product()["id"]
    holder = api.price(product, lookup_key="k")
    form = {"product": product, "currency": "usd", "unit_amount": -1, "lookup_key": "k", "transfer_lookup_key": True}
    api.refused("POST", "/v1/prices", form)
    api.refused("POST", f"/v1/prices/{holder['id']}", {"currency_options": {"usd": {"unit_amount": 1}}})
    assert api.get(f"/v1/prices/{holder['id']}")["lookup_key"] == "k"


def test_tax_behavior_is_decided_once(api):
    """``unspecified`` can become anything, the rest stays; saying the same again is no change."""
    price = api.price(api.product()["id"])
    path = f"/v1/prices/{price['id']}"
    assert api.post(path, {"tax_behavior": "inclusive"})["tax_behavior"] == "inclusive"
    assert api.post(path, {"tax_behavior": "inclusive"})["tax_behavior"] == "inclusive"
    assert api.refused("POST", path, {"tax_behavior": "exclusive"})["param"] == "tax_behavior"
    assert api.refused("POST", path, {"tax_behavior": "unspecified"})["param"] == "tax_behavior"


def test_currency_options_are_merged_by_currency(api):
    """An update adds or replaces a currency and leaves the others; ``''`` clears them."""
    price = api.price(api.product()["id"], currency_options={"eur": {"unit_amount": 900}})
    path, expand = f"/v1/prices/{price['id']}", {"expand": ["currency_options"]}
    added = api.post(path, {"currency_options": {"gbp": {"unit_amount_decimal": "800.5"}}, **expand})
    assert {code: option["unit_amount_decimal"] for code, option in added["currency_options"].items()} == {
        "usd": "1000",
        "eur": "900",
        "gbp": "800.5",
    }
    cleared = api.post(path, {"currency_options": "", **expand})
    assert list(cleared["currency_options"]) == ["usd"]
    error = api.refused("POST", path, {"currency_options": {"usd": {"unit_amount": 1}}})
    assert error["param"] == "currency_options[usd]"


def test_a_default_price_cannot_be_archived(api):
    """The default price stays active until the product has none or another; other prices archive freely."""
    product = api.product(default_price_data={"currency": "usd", "unit_amount": 500})
    default, other = product["default_price"], api.price(product["id"])["id"]
    error = api.refused("POST", f"/v1/prices/{default}", {"active": False})
    assert "default price" in error["message"]
    api.post(f"/v1/prices/{other}", {"active": False})
    api.post(f"/v1/products/{product['id']}", {"default_price": ""})
    assert api.post(f"/v1/prices/{default}", {"active": False})["active"] is False
    assert api.post(f"/v1/prices/{default}", {"active": True})["active"] is True


def test_prices_cannot_be_deleted(api):
    """There is no DELETE for prices: the URL is not recognized."""
    price = api.price(api.product()["id"])
    error = api.refused("DELETE", f"/v1/prices/{price['id']}")
    assert (error["status"], error["code"]) == (404, None)
    assert error["message"].startswith(f"Unrecognized request URL (DELETE: /v1/prices/{price['id']})")
