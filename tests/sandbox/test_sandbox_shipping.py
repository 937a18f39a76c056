"""Shipping rates (https://docs.stripe.com/api/shipping_rates)."""

import pytest

PATH = "/v1/shipping_rates"


def rate(api, **form):
    """Create a shipping rate of 5.00 usd unless the form says otherwise."""
    return api.post(PATH, {"display_name": "Ground", "fixed_amount": {"amount": 500, "currency": "usd"}, **form})


def test_a_shipping_rate_is_complete(api, now):
    """A new rate has every field; its amounts per currency are hidden until expanded, and there is no event."""
    made = rate(api)
    assert made == {
        "id": made["id"],
        "object": "shipping_rate",
        "active": True,
        "created": now,
        "delivery_estimate": None,
        "display_name": "Ground",
        "fixed_amount": {"amount": 500, "currency": "usd"},
        "livemode": False,
        "metadata": {},
        "tax_behavior": "unspecified",
        "tax_code": None,
        "type": "fixed_amount",
    }
    assert made["id"].startswith("shr_1")
    assert api.get(f"{PATH}/{made['id']}") == made
    assert api.events() == []


def test_amounts_per_currency_are_merged(api):
    """An update lays the given currencies over those held; the base currency cannot be one of them."""
    made = rate(api, fixed_amount={"amount": 500, "currency": "USD", "currency_options": {"eur": {"amount": 450}}})
    options = {"eur": {"tax_behavior": "inclusive"}, "gbp": {"amount": 400}}
    form = {"fixed_amount": {"currency_options": options}, "expand": ["fixed_amount.currency_options"]}
    shown = api.post(f"{PATH}/{made['id']}", form)["fixed_amount"]["currency_options"]
    assert shown == {
        "eur": {"amount": 450, "tax_behavior": "inclusive"},
        "gbp": {"amount": 400, "tax_behavior": "unspecified"},
    }
    base = {"fixed_amount": {"currency_options": {"usd": {"amount": 1}}}}
    assert api.refused("POST", f"{PATH}/{made['id']}", base)["param"] == "fixed_amount[currency_options][usd]"
    new = {"fixed_amount": {"currency_options": {"chf": {"tax_behavior": "inclusive"}}}}
    assert api.refused("POST", f"{PATH}/{made['id']}", new)["code"] == "parameter_missing"


def test_what_can_change_changes(api):
    """Activity, metadata and tax behaviour change; the rest cannot be given on update."""
    made = rate(api, metadata={"a": "1"}, tax_code="txcd_92010001")["id"]
    changed = api.post(f"{PATH}/{made}", {"active": False, "metadata": {"b": "2"}, "tax_behavior": "exclusive"})
    assert (changed["active"], changed["metadata"], changed["tax_behavior"]) == (
        False,
        {"a": "1", "b": "2"},
        "exclusive",
    )
    for name in ("display_name", "type", "tax_code"):
        assert api.refused("POST", f"{PATH}/{made}", {name: "x"})["code"] == "parameter_unknown"
    assert api.refused("DELETE", f"{PATH}/{made}")["status"] == 404


def test_an_estimate_has_open_ends(api):
    """A bound that is not given is null; a bound is at least one."""
    made = rate(api, delivery_estimate={"minimum": {"unit": "business_day", "value": 2}})
    assert made["delivery_estimate"] == {"maximum": None, "minimum": {"unit": "business_day", "value": 2}}
    none = {"delivery_estimate": {"maximum": {"unit": "day", "value": 0}}}
    error = api.refused("POST", PATH, {"display_name": "x", "fixed_amount": {"amount": 1, "currency": "usd"}, **none})
    assert error["param"] == "delivery_estimate[maximum][value]"


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"display_name": "x"}, "fixed_amount"),
        ({"fixed_amount": {"amount": 1, "currency": "usd"}}, "display_name"),
        ({"display_name": "x", "fixed_amount": {"amount": -1, "currency": "usd"}}, "fixed_amount[amount]"),
        ({"display_name": "x", "fixed_amount": {"amount": 10**12, "currency": "usd"}}, "fixed_amount[amount]"),
        ({"display_name": "x", "fixed_amount": {"amount": 1, "currency": "zzz"}}, "fixed_amount[currency]"),
        ({"display_name": "x" * 101, "fixed_amount": {"amount": 1, "currency": "usd"}}, "display_name"),
        ({"display_name": "x", "type": "percent", "fixed_amount": {"amount": 1, "currency": "usd"}}, "type"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(api, form, param):
    """A rate needs a name of at most 100 characters and an amount in a known currency; free shipping is fine."""
    assert api.refused("POST", PATH, form)["param"] == param
    assert (
        rate(api, display_name="x" * 100, fixed_amount={"amount": 0, "currency": "usd"})["fixed_amount"]["amount"] == 0
    )


def test_rates_are_listed_by_activity_and_currency(api, now):
    """Filters leave the others out; an option's currency is not the rate's."""
    usd = rate(api)["id"]
    eur = rate(api, fixed_amount={"amount": 1, "currency": "eur", "currency_options": {"usd": {"amount": 1}}})["id"]
    off = rate(api)["id"]
    api.post(f"{PATH}/{off}", {"active": False})
    assert api.ids(PATH) == [off, eur, usd]
    assert api.ids(PATH, {"active": True}) == [eur, usd]
    assert api.ids(PATH, {"active": False}) == [off]
    assert api.ids(PATH, {"currency": "USD"}) == [off, usd]
    assert api.ids(PATH, {"currency": "usd", "active": True}) == [usd]
    assert api.ids(PATH, {"created": {"gt": now}}) == []
