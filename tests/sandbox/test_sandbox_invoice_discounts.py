"""Coupons and codes on invoices (https://docs.stripe.com/billing/subscriptions/coupons)."""

import pytest

from reconciler.sandbox.billing import discounts

DAY = 86_400


@pytest.fixture
def customer(api):
    """Return the id of a customer."""
    return api.customer()["id"]


def bill(api, customer, amount=10_000, **form):
    """Create a draft with one item."""
    api.post("/v1/invoiceitems", {"customer": customer, "amount": amount})
    return api.post("/v1/invoices", {"customer": customer, "pending_invoice_items_behavior": "include", **form})


def discount(api, customer, **given):
    """Return the first discount of a customer's new draft, whole."""
    return bill(api, customer, discounts=[given], expand=["discounts"])["discounts"][0]


def test_a_discount_says_what_was_redeemed(api, customer, now):
    """A discount names coupon, code, customer and invoice, and begins now; one of a coupon alone has no code."""
    coupon = api.coupon()["id"]
    code = api.code(coupon)["id"]
    found = discount(api, customer, promotion_code=code)
    assert found["source"] == {"coupon": coupon, "type": "coupon"}
    assert (found["promotion_code"], found["customer"], found["start"], found["end"]) == (code, customer, now, None)
    assert found["invoice"] is not None
    assert discount(api, customer, coupon=coupon)["promotion_code"] is None


def test_redemptions_are_counted_and_end_a_coupon(api, customer):
    """Coupon and code count; the last redemption makes both invalid, another coupon stays."""
    coupon, decoy = api.coupon(max_redemptions=2)["id"], api.coupon()["id"]
    code = api.code(coupon)["id"]
    bill(api, customer, discounts=[{"promotion_code": code}])
    shown = api.get(f"/v1/coupons/{coupon}")
    assert (shown["times_redeemed"], shown["valid"]) == (1, True)
    bill(api, customer, discounts=[{"coupon": coupon}])
    shown = api.get(f"/v1/coupons/{coupon}")
    assert (shown["times_redeemed"], shown["valid"]) == (2, False)
    shown = api.get(f"/v1/promotion_codes/{code}")
    assert (shown["times_redeemed"], shown["active"]) == (1, False)
    error = api.refused("POST", "/v1/invoices", {"customer": customer, "discounts": [{"coupon": coupon}]})
    assert (error["code"], error["param"]) == ("coupon_expired", "discounts[0][coupon]")
    assert api.get(f"/v1/coupons/{decoy}")["times_redeemed"] == 0


def test_a_code_ends_by_its_own_count(api, customer):
    """A code with one redemption works once; the coupon goes on."""
    coupon = api.coupon()["id"]
    code = api.code(coupon, max_redemptions=1)["id"]
    bill(api, customer, discounts=[{"promotion_code": code}])
    assert api.get(f"/v1/promotion_codes/{code}")["active"] is False
    form = {"customer": customer, "discounts": [{"promotion_code": code}]}
    assert api.refused("POST", "/v1/invoices", form)["param"] == "discounts[0][promotion_code]"
    assert api.get(f"/v1/coupons/{coupon}")["valid"] is True


def test_a_customers_code_is_for_that_customer(api, customer):
    """Another customer's code is refused, the owner's works."""
    code = api.code(api.coupon()["id"], customer=customer)["id"]
    form = {"customer": api.customer()["id"], "discounts": [{"promotion_code": code}]}
    assert api.refused("POST", "/v1/invoices", form)["param"] == "discounts[0][promotion_code]"
    assert bill(api, customer, discounts=[{"promotion_code": code}])["total"] == 9000


def test_codes_for_the_first_transaction(api, customer):
    """A customer with a final invoice or a payment is refused; drafts and voided invoices do not count.

    Source: https://docs.stripe.com/api/promotion_codes/create, ``first_time_transaction``.
    """
    code = api.code(api.coupon()["id"], restrictions={"first_time_transaction": True})["id"]
    form = [{"promotion_code": code}]
    void = bill(api, customer)["id"]
    api.post(f"/v1/invoices/{void}/finalize")
    api.post(f"/v1/invoices/{void}/void")
    bill(api, customer)
    draft = bill(api, customer, discounts=form)
    assert draft["total"] == 9000
    api.post(f"/v1/invoices/{draft['id']}/finalize")
    error = api.refused("POST", "/v1/invoices", {"customer": customer, "discounts": form})
    assert error["param"] == "discounts[0][promotion_code]"


def test_codes_with_a_minimum(api, customer):
    """A draft of less than the minimum, or in a currency without one, is refused; the minimum itself is enough."""
    restrictions = {"minimum_amount": 5000, "minimum_amount_currency": "usd"}
    code = api.code(api.coupon()["id"], restrictions=restrictions)["id"]
    form = {"discounts": [{"promotion_code": code}]}
    small, enough = bill(api, customer, 4999)["id"], bill(api, customer, 5000)["id"]
    assert api.refused("POST", f"/v1/invoices/{small}", form)["param"] == "discounts[0][promotion_code]"
    assert api.post(f"/v1/invoices/{enough}", form)["total"] == 4500


def test_a_coupon_of_another_currency_is_refused(api, customer):
    """An amount off needs an amount in the invoice's currency; an option has one."""
    plain = api.post("/v1/coupons", {"amount_off": 500, "currency": "eur"})["id"]
    form = {"amount_off": 500, "currency": "eur", "currency_options": {"usd": {"amount_off": 700}}}
    both = api.post("/v1/coupons", form)["id"]
    error = api.refused("POST", "/v1/invoices", {"customer": customer, "discounts": [{"coupon": plain}]})
    assert error["param"] == "discounts[0][coupon]"
    assert bill(api, customer, discounts=[{"coupon": both}])["total"] == 9300


def test_each_discount_is_one_of_three(api, customer):
    """A discount is a coupon, a code or a discount, exactly one of them, and there are at most twenty."""
    coupon = api.coupon()["id"]
    for given in ({}, {"coupon": coupon, "promotion_code": "promo_1"}):
        form = {"customer": customer, "discounts": [{"coupon": coupon}, given or {"coupon": ""}]}
        assert api.refused("POST", "/v1/invoices", form)["status"] == 400
    many = [{"coupon": api.coupon()["id"]} for _ in range(discounts.MAX_DISCOUNTS + 1)]
    form = {"customer": customer, "discounts": many}
    assert api.refused("POST", "/v1/invoices", form)["param"] == "discounts"
    form["discounts"].pop()
    assert len(api.post("/v1/invoices", form)["discounts"]) == 20


def test_discounts_of_an_item_are_in_the_subtotal(api, customer):
    """An item's discount comes first and lowers the subtotal, the invoice's comes after it and does not."""
    half, tenth = api.coupon(percent_off=50)["id"], api.coupon()["id"]
    api.post("/v1/invoiceitems", {"customer": customer, "amount": 4000, "discounts": [{"coupon": half}]})
    invoice = bill(api, customer, 1000, discounts=[{"coupon": tenth}])
    assert (invoice["subtotal"], invoice["total"]) == (3000, 2700)
    assert sorted(part["amount"] for part in invoice["total_discount_amounts"]) == [300, 2000]
    assert [line["amount"] - line["subtotal"] for line in invoice["lines"]["data"]] == [0, 0]


def test_a_discount_can_be_used_again(api, customer):
    """A discount of the object's own is reused without another redemption; another customer's is refused."""
    coupon = api.coupon()["id"]
    draft = bill(api, customer, discounts=[{"coupon": coupon}])
    (found,) = draft["discounts"]
    again = api.post(f"/v1/invoices/{draft['id']}", {"discounts": [{"discount": found}]})
    assert (again["discounts"], again["total"]) == ([found], 9000)
    assert api.get(f"/v1/coupons/{coupon}")["times_redeemed"] == 1
    form = {"customer": api.customer()["id"], "discounts": [{"discount": found}]}
    assert api.refused("POST", "/v1/invoices", form)["param"] == "discounts[0][discount]"


def test_discounts_of_a_draft_can_be_replaced(api, customer):
    """An update replaces the invoice's discounts, ``''`` removes them."""
    invoice = bill(api, customer, discounts=[{"coupon": api.coupon()["id"]}])
    assert invoice["total"] == 9000
    other = api.coupon(percent_off=25)["id"]
    path = f"/v1/invoices/{invoice['id']}"
    assert api.post(path, {"discounts": [{"coupon": other}]})["total"] == 7500
    assert api.post(path, {"description": "x"})["total"] == 7500
    assert api.post(path, {"discounts": ""})["total"] == 10_000


def test_a_coupon_lapses_with_time_and_its_discounts_stay(open_sandbox, account, now):
    """After ``redeem_by`` a coupon is not redeemed; a discount it gave still counts, even once it is deleted."""
    time = [now]
    api = account(open_sandbox(clock=lambda: time[0]))
    customer = api.customer()["id"]
    coupon = api.coupon(redeem_by=now + DAY)["id"]
    invoice = bill(api, customer, discounts=[{"coupon": coupon}])["id"]
    time[0] += 2 * DAY
    form = {"customer": customer, "discounts": [{"coupon": coupon}]}
    assert api.refused("POST", "/v1/invoices", form)["code"] == "coupon_expired"
    api.ok("DELETE", f"/v1/coupons/{coupon}")
    assert api.post(f"/v1/invoices/{invoice}", {"description": "x"})["total"] == 9000


def subscribed(api, now, **coupon):
    """Return clock, customer and subscription of 10.00 a month with a new coupon."""
    clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": now})["id"]
    settings = {"default_payment_method": "pm_card_visa"}
    customer = api.customer(test_clock=clock, payment_method="pm_card_visa", invoice_settings=settings)["id"]
    price = api.price(api.product()["id"], recurring={"interval": "month"})["id"]
    discounts_given = [{"coupon": api.coupon(**coupon)["id"]}]
    form = {"customer": customer, "items": [{"price": price}], "discounts": discounts_given}
    return clock, customer, api.post("/v1/subscriptions", form)["id"]


@pytest.mark.parametrize(
    ("coupon", "totals"),
    [
        ({"duration": "once"}, [900, 1000, 1000, 1000]),
        ({"duration": "repeating", "duration_in_months": 2}, [900, 900, 1000, 1000]),
        ({"duration": "forever"}, [900, 900, 900, 900]),
    ],
)
def test_a_subscriptions_discount_lasts_as_its_coupon_says(api, now, coupon, totals):
    """Once is one invoice, repeating its months, forever all (https://docs.stripe.com/api/coupons/object)."""
    clock, customer, subscription = subscribed(api, now, **coupon)
    for days in (32, 62, 93):
        api.post(f"/v1/test_helpers/test_clocks/{clock}/advance", {"frozen_time": now + days * DAY})
    invoices = api.get("/v1/invoices", {"customer": customer})["data"]
    assert [invoice["total"] for invoice in invoices[::-1]] == totals
    kept = bool(api.get(f"/v1/subscriptions/{subscription}")["discounts"])
    assert kept is (totals[-1] == 900)
    assert len(api.events(type="customer.discount.created")) == 1
    assert len(api.events(type="customer.discount.deleted")) == (0 if kept else 1)


def test_a_spent_discount_is_shown_as_deleted(api, now):
    """The invoice keeps naming a discount that has ended, and its expansion says so."""
    _, customer, _ = subscribed(api, now, duration="once")
    (invoice,) = api.get("/v1/invoices", {"customer": customer, "expand": ["data.discounts"]})["data"]
    assert invoice["discounts"][0]["deleted"] is True
    _, customer, _ = subscribed(api, now, duration="forever")
    (invoice,) = api.get("/v1/invoices", {"customer": customer, "expand": ["data.discounts"]})["data"]
    assert "deleted" not in invoice["discounts"][0]
