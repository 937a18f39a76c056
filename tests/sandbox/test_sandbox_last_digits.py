"""Currencies in which not every amount can be charged: the last digits must be 0.

Source: https://docs.stripe.com/currencies#special-cases, of ugx: "For invoices where the amount is fractional after
prorations, coupons, or taxes, Stripe automatically rounds that amount to the nearest number evenly divisible by 100. We
credit or debit any difference from rounding to the customer balance"; and of three decimals: "these API calls [Payment
Intents, Refunds, Disputes] require the least-significant (last) digit to be 0".
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.sandbox import Settings
from reconciler.sandbox.billing.drafts import settled
from tests.sandbox.billing_world import HOUR, World, at, plus

START = at(2027, 4, 1)
STEPS = {"kwd": 10, "bhd": 10, "isk": 100, "ugx": 100, "usd": 1, "jpy": 1}


def dues(world):
    """Return what each of the customer's invoices came to and what was taken for it, oldest first."""
    return [(invoice["total"], invoice["amount_paid"], invoice["ending_balance"]) for invoice in world.invoices()]


@pytest.mark.parametrize("nearest", [True, False])
@pytest.mark.parametrize(
    ("currency", "amount", "rounded", "cut"),
    [("kwd", 1237, [1240, 1230, 1240], [1230, 1240, 1240]), ("isk", 1260, [1300, 1200, 1300], [1200, 1300, 1200])],
)
def test_last_digits_round_to_nearest(open_sandbox, account, nearest, currency, amount, rounded, cut):
    """Renewals are paid as near as can be, to the nearest amount or down; what is left over goes on to the next one."""
    world = World(account(open_sandbox(settings=Settings(last_digits_round_to_nearest=nearest))), START)
    world.subscribe(world.price(amount, currency=currency))
    world.advance(plus(START, "month", 2) + HOUR)
    taken = rounded if nearest else cut
    assert dues(world) == [
        (amount, paid, number * amount - sum(taken[:number])) for number, paid in enumerate(taken, start=1)
    ]
    assert [invoice["status"] for invoice in world.invoices()] == ["paid"] * 3
    charged = [charge["amount"] for charge in world.api.get("/v1/charges")["data"]][::-1]
    assert charged == taken


@pytest.mark.parametrize("nearest", [True, False])
def test_an_invoice_in_ugx_is_rounded_to_the_nearest_hundred(open_sandbox, account, nearest):
    """As documented, whatever is set for other currencies: 30 % off 500 leaves 350, of which 400 are charged."""
    world = World(account(open_sandbox(settings=Settings(last_digits_round_to_nearest=nearest))), START)
    coupon = world.api.coupon(percent_off=30, duration="forever")["id"]
    world.subscribe(world.price(500, currency="ugx"), discounts=[{"coupon": coupon}])
    world.advance(plus(START, "month", 1) + HOUR)
    assert dues(world) == [(350, 400, -50), (350, 300, 0)]
    (credit,) = world.api.get(f"/v1/customers/{world.customer}/balance_transactions", {"limit": 1})["data"]
    assert (credit["amount"], credit["ending_balance"]) == (50, 0)


def test_too_little_to_charge_waits(api):
    """What rounds to nothing is paid without a charge and owed with the next invoice."""
    world = World(api, START)
    world.subscribe(world.price(4, currency="kwd"))
    assert dues(world) == [(4, 0, 4)]
    world.advance(plus(START, "month", 1) + HOUR)
    assert dues(world) == [(4, 0, 4), (4, 10, -2)]


def test_an_invoice_that_is_voided_gives_back_what_was_rounded(api):
    """The balance is as it was before."""
    customer = api.customer()["id"]
    api.post("/v1/invoiceitems", {"customer": customer, "amount": 1237, "currency": "kwd"})
    invoice = api.post("/v1/invoices", {"customer": customer, "pending_invoice_items_behavior": "include"})["id"]
    assert api.post(f"/v1/invoices/{invoice}/finalize")["amount_due"] == 1240
    assert api.get(f"/v1/customers/{customer}")["balance"] == -3
    api.post(f"/v1/invoices/{invoice}/void")
    assert api.get(f"/v1/customers/{customer}")["balance"] == 0


@given(
    total=st.integers(-(10**6), 10**6),
    balance=st.integers(-(10**6), 10**6),
    currency=st.sampled_from(sorted(STEPS)),
    nearest=st.booleans(),
)
@settings(max_examples=300)
def test_no_unit_is_lost_in_rounding(total, balance, currency, nearest):
    """What is due can be charged, and with the balance after it is what was owed; at most a step is left over."""
    step = STEPS[currency]
    due, after = settled(total, balance, currency, Settings(last_digits_round_to_nearest=nearest))
    assert due + after == total + balance
    assert due >= 0
    assert due % step == 0
    if due:
        assert -step <= 2 * after < step if nearest or currency == "ugx" else 0 <= after < step


@pytest.mark.parametrize(("currency", "good", "bad"), [("kwd", 120, 123), ("isk", 300, 350), ("usd", 123, None)])
def test_parts_end_in_zeros_too(api, currency, good, bad):
    """Refunds, captures and credit notes of other amounts are refused and change nothing; good ones are taken."""
    paid = api.pay(amount=5000, currency=currency)["id"]
    held = api.pay(amount=5000, currency=currency, capture_method="manual")["id"]
    customer = api.customer()["id"]
    api.post("/v1/invoiceitems", {"customer": customer, "amount": 5000, "currency": currency})
    invoice = api.post("/v1/invoices", {"customer": customer, "pending_invoice_items_behavior": "include"})["id"]
    api.post(f"/v1/invoices/{invoice}/finalize")
    requests = [
        ("/v1/refunds", "amount", {"payment_intent": paid}),
        (f"/v1/payment_intents/{held}/capture", "amount_to_capture", {}),
        ("/v1/credit_notes", "amount", {"invoice": invoice}),
    ]
    for path, name, form in requests:
        if bad:
            error = api.refused("POST", path, {**form, name: bad})
            assert (error["code"], error["param"]) == ("parameter_invalid_integer", name)
        api.post(path, {**form, name: good})
    assert api.get(f"/v1/invoices/{invoice}")["amount_remaining"] == 5000 - good
