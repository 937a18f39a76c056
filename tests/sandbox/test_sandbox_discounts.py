"""Coupons and promotion codes."""

import pytest

DAY = 86_400
YEAR = 365 * DAY


def test_a_coupon_is_complete(api, now):
    """Every field of the documented object is there; ``applies_to`` and ``currency_options`` only when expanded."""
    coupon = api.coupon(percent_off=22.5)
    assert len(coupon["id"]) == 8
    assert coupon == {
        "id": coupon["id"],
        "object": "coupon",
        "amount_off": None,
        "created": now,
        "currency": None,
        "duration": "once",
        "duration_in_months": None,
        "livemode": False,
        "max_redemptions": None,
        "metadata": {},
        "name": None,
        "percent_off": 22.5,
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
    }


def test_a_coupon_keeps_its_products_and_currencies(api):
    """Both are shown when expanded; currencies are merged by an update, products are fixed."""
    product = api.product()["id"]
    form = {"amount_off": 500, "currency": "usd", "applies_to": {"products": [product]}}
    coupon = api.post("/v1/coupons", {**form, "currency_options": {"eur": {"amount_off": 400}}})
    path, expand = f"/v1/coupons/{coupon['id']}", {"expand": ["applies_to", "currency_options"]}
    api.post(path, {"currency_options": {"gbp": {"amount_off": 300}}, "name": "Five"})
    shown = api.get(path, expand)
    assert shown["applies_to"] == {"products": [product]}
    assert shown["currency_options"] == {
        code: {"amount_off": n} for code, n in (("usd", 500), ("eur", 400), ("gbp", 300))
    }
    assert api.refused("POST", path, {"applies_to": {"products": [product]}})["code"] == "parameter_unknown"


PERCENT, AMOUNT = {"percent_off": 10}, {"amount_off": 500, "currency": "usd"}


@pytest.mark.parametrize(
    ("good", "change", "param"),
    [
        (PERCENT, {"percent_off": None}, None),
        (PERCENT, AMOUNT, None),
        (AMOUNT, {"currency": None}, "currency"),
        (AMOUNT, {"currency": "xyz"}, "currency"),
        (AMOUNT, {"amount_off": 0}, "amount_off"),
        ({"percent_off": 100}, {"percent_off": "100.01"}, "percent_off"),
        ({"percent_off": "0.01"}, {"percent_off": 0}, "percent_off"),
        (PERCENT, {"currency_options": {"eur": {"amount_off": 1}}}, "currency_options"),
        (AMOUNT, {"currency_options": {"usd": {"amount_off": 1}}}, "currency_options[usd]"),
        (AMOUNT, {"currency_options": {"eur": {"amount_off": 0}}}, "currency_options[eur][amount_off]"),
        ({**PERCENT, "duration": "repeating", "duration_in_months": 3}, {"duration_in_months": None}, "duration"),
        ({**PERCENT, "duration": "repeating", "duration_in_months": 1}, {"duration": "once"}, "duration_in_months"),
        (
            {**PERCENT, "duration": "repeating", "duration_in_months": 1},
            {"duration_in_months": 0},
            "duration_in_months",
        ),
        ({**PERCENT, "max_redemptions": 1}, {"max_redemptions": 0}, "max_redemptions"),
        ({**PERCENT, "redeem_by": 1_800_000_001}, {"redeem_by": 1_800_000_000}, "redeem_by"),
        (
            {**PERCENT, "redeem_by": 1_800_000_000 + 5 * YEAR},
            {"redeem_by": 1_800_000_000 + 5 * YEAR + 3 * DAY},
            "redeem_by",
        ),
        ({**PERCENT, "name": "x" * 40}, {"name": "x" * 41}, "name"),
        (PERCENT, {"applies_to": {"products": ["prod_nope"]}}, "applies_to[products][0]"),
        ({**PERCENT, "id": "A"}, {}, "id"),
    ],
)
def test_a_coupon_that_stripe_would_not_take_is_refused(api, good, change, param):
    """The good form makes a coupon; the same form with one change is a 400 that names the parameter."""
    api.post("/v1/coupons", good)
    bad = {key: value for key, value in {**good, **change}.items() if value is not None}
    error = api.refused("POST", "/v1/coupons", bad)
    assert (error["status"], error["param"]) == (400, param)


def test_a_deleted_coupon_is_gone_and_so_are_its_codes(api):
    """Deleting a coupon removes it and switches off its codes; another coupon's code stays on."""
    gone, kept = api.coupon()["id"], api.coupon()["id"]
    code, decoy = api.code(gone)["id"], api.code(kept)["id"]
    assert api.ok("DELETE", f"/v1/coupons/{gone}") == {"id": gone, "object": "coupon", "deleted": True}
    assert api.refused("GET", f"/v1/coupons/{gone}")["param"] == "coupon"
    assert api.ids("/v1/promotion_codes", {"active": True}) == [decoy]
    assert api.refused("POST", f"/v1/promotion_codes/{code}", {"active": True})["param"] == "active"
    assert api.events(type="coupon.deleted")[0]["data"]["object"]["valid"] is False


def test_a_promotion_code_is_complete(api, now):
    """Every field of the documented object is there; a code is made up of eight capitals where none is given."""
    coupon = api.coupon()["id"]
    code = api.code(coupon)
    assert len(code["code"]) == 8
    assert code["code"].isupper()
    assert code == {
        "id": code["id"],
        "object": "promotion_code",
        "active": True,
        "code": code["code"],
        "created": now,
        "customer": None,
        "customer_account": None,
        "expires_at": None,
        "livemode": False,
        "max_redemptions": None,
        "metadata": {},
        "promotion": {"coupon": coupon, "type": "coupon"},
        "restrictions": {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None},
        "times_redeemed": 0,
    }


def test_an_active_code_is_unique_whatever_its_case(api):
    """The same letters in another case are taken while the code is active and free once it is not."""
    coupon = api.coupon()["id"]
    first = api.code(coupon, code="Summer")
    api.code(coupon, code="Winter")
    form = {"promotion": {"type": "coupon", "coupon": coupon}, "code": "sUMMER"}
    error = api.refused("POST", "/v1/promotion_codes", form)
    assert error["message"] == "An active promotion code with `code: sUMMER` already exists."
    api.post(f"/v1/promotion_codes/{first['id']}", {"active": False})
    second = api.post("/v1/promotion_codes", form)
    assert api.refused("POST", f"/v1/promotion_codes/{first['id']}", {"active": True})["status"] == 400
    api.post(f"/v1/promotion_codes/{second['id']}", {"active": False})
    assert api.post(f"/v1/promotion_codes/{first['id']}", {"active": True})["active"] is True


def test_a_code_is_unique_for_each_customer(api):
    """Two customers may have the same code; one customer may not have it twice, nor beside a code for everyone."""
    with api.sandbox._store.write(api.get("/v1/account")["id"]) as tx:
        for name in ("cus_a", "cus_b"):
            tx.insert("customer", {"id": name, "object": "customer"}, 0, ())
    coupon = api.coupon()["id"]
    form = {"promotion": {"type": "coupon", "coupon": coupon}, "code": "VIP"}
    mine = api.code(coupon, code="VIP", customer="cus_a")
    theirs = api.code(coupon, code="vip", customer="cus_b")
    assert api.refused("POST", "/v1/promotion_codes", {**form, "customer": "cus_a"})["status"] == 400
    assert api.refused("POST", "/v1/promotion_codes", form)["status"] == 400
    assert api.ids("/v1/promotion_codes", {"customer": "cus_a"}) == [mine["id"]]
    for code in (mine, theirs):
        api.post(f"/v1/promotion_codes/{code['id']}", {"active": False})
    api.post("/v1/promotion_codes", form)
    assert api.refused("POST", "/v1/promotion_codes", {**form, "customer": "cus_a"})["status"] == 400
    assert api.refused("POST", "/v1/promotion_codes", {**form, "customer": "cus_nope"})["param"] == "customer"


@pytest.mark.parametrize(
    ("good", "bad", "param"),
    [
        ({"code": "A-b-9"}, {"code": "a b"}, "code"),
        ({"code": "x" * 500}, {"code": "y" * 501}, "code"),
        ({"expires_at": 1_800_000_050}, {"expires_at": 1_800_000_000}, "expires_at"),
        ({"expires_at": 1_800_000_100}, {"expires_at": 1_800_000_101}, "expires_at"),
        ({"max_redemptions": 5}, {"max_redemptions": 6}, "max_redemptions"),
        ({"max_redemptions": 1}, {"max_redemptions": 0}, "max_redemptions"),
        (
            {"restrictions": {"minimum_amount": 1, "minimum_amount_currency": "usd"}},
            {"restrictions": {"minimum_amount": 1}},
            "restrictions[minimum_amount_currency]",
        ),
        ({}, {"restrictions": {"minimum_amount_currency": "usd"}}, "restrictions[minimum_amount]"),
        ({}, {"restrictions": {"minimum_amount": 0, "minimum_amount_currency": "usd"}}, "restrictions[minimum_amount]"),
        ({}, {"promotion": {"type": "coupon"}}, "promotion.coupon"),
        ({}, {"promotion": {"type": "coupon", "coupon": "NOPE"}}, "promotion[coupon]"),
        ({}, {"coupon": "A"}, "coupon"),
    ],
)
def test_a_code_that_stripe_would_not_take_is_refused(api, good, bad, param):
    """The good form makes a code within its coupon's limits; the bad one is a 400 that names the parameter."""
    coupon = api.coupon(redeem_by=1_800_000_100, max_redemptions=5)["id"]
    base = {"promotion": {"type": "coupon", "coupon": coupon}}
    api.post("/v1/promotion_codes", {**base, **good})
    error = api.refused("POST", "/v1/promotion_codes", {**base, **bad})
    assert (error["status"], error["param"]) == (400, param)


def test_a_code_changes_only_what_its_update_knows(api):
    """Restrictions per currency are merged, the rest of a code is fixed; the base currency is refused."""
    restrictions = {"minimum_amount": 100, "minimum_amount_currency": "usd", "first_time_transaction": True}
    code = api.code(api.coupon()["id"], restrictions=restrictions)
    path = f"/v1/promotion_codes/{code['id']}"
    assert code["restrictions"] == restrictions
    change = {"restrictions": {"currency_options": {"eur": {"minimum_amount": 90}}}}
    shown = api.post(path, {**change, "expand": ["restrictions.currency_options"]})["restrictions"]
    assert shown["currency_options"] == {"usd": {"minimum_amount": 100}, "eur": {"minimum_amount": 90}}
    base = {"restrictions": {"currency_options": {"usd": {"minimum_amount": 90}}}}
    assert api.refused("POST", path, base)["param"] == "restrictions[currency_options][usd]"
    for fixed in ({"code": "x"}, {"expires_at": 1}, {"restrictions": {"minimum_amount": 1}}):
        assert api.refused("POST", path, fixed)["code"] == "parameter_unknown"
    plain = api.code(api.coupon()["id"])
    assert api.refused("POST", f"/v1/promotion_codes/{plain['id']}", change)["status"] == 400


def test_coupons_and_codes_end_when_their_time_comes(open_sandbox, account):
    """At ``redeem_by`` a coupon is invalid and its codes off, at ``expires_at`` a code is off; others stay."""
    time = [1_000]
    api = account(open_sandbox(clock=lambda: time[0]))
    ending, lasting = api.coupon(redeem_by=2_000)["id"], api.coupon()["id"]
    of_ending = api.code(ending)["id"]
    short, long = api.code(lasting, code="S", expires_at=1_500)["id"], api.code(lasting, code="L")["id"]
    time[0] = 1_499
    assert set(api.ids("/v1/promotion_codes", {"active": True})) == {of_ending, short, long}
    time[0] = 1_500
    assert set(api.ids("/v1/promotion_codes", {"active": True})) == {of_ending, long}
    assert api.refused("POST", f"/v1/promotion_codes/{short}", {"active": True})["param"] == "active"
    api.code(lasting, code="s")
    time[0] = 2_000
    assert api.get(f"/v1/coupons/{ending}")["valid"] is False
    assert api.get(f"/v1/promotion_codes/{of_ending}")["active"] is False
    assert api.get(f"/v1/coupons/{lasting}")["valid"] is True
    form = {"promotion": {"type": "coupon", "coupon": ending}}
    assert api.refused("POST", "/v1/promotion_codes", form)["param"] == "promotion[coupon]"
