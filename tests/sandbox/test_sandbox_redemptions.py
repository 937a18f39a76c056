"""Which discounts can be redeemed together and where, how long they last, and when they are used up."""

import pytest

from reconciler.sandbox import Settings
from tests.sandbox.billing_world import DAY, HOUR, World, at

START = at(2027, 3, 1)


@pytest.fixture
def world(api):
    """Return a customer with a card on a test clock."""
    return World(api, START)


@pytest.fixture
def having(open_sandbox, account):
    """Return a factory of customers on a clock in accounts with other settings."""
    return lambda **settings: World(account(open_sandbox(settings=Settings(**settings))), START)


def test_a_coupon_is_applied_once(api):
    """The same coupon twice, or a coupon beside a code of it, is refused; two coupons stack.

    Source: https://docs.stripe.com/billing/subscriptions/coupons (stackable discounts).
    """
    customer, coupon, other = api.customer()["id"], api.coupon()["id"], api.coupon()["id"]
    code = api.code(coupon)["id"]
    for second in ({"coupon": coupon}, {"promotion_code": code}):
        form = {"customer": customer, "discounts": [{"coupon": coupon}, second]}
        error = api.refused("POST", "/v1/invoices", form)
        assert error["param"] == f"discounts[1][{next(iter(second))}]"
    form["discounts"] = [{"coupon": coupon}, {"coupon": other}]
    assert len(api.post("/v1/invoices", form)["discounts"]) == 2
    assert api.get(f"/v1/coupons/{coupon}")["times_redeemed"] == 1


def test_a_discount_is_used_again_by_what_has_it_only(world):
    """A subscription and its invoice use its discount again; another subscription of the same customer does not.

    Source: the parameter's description, "an existing discount on the object (or one of its ancestors)".
    """
    api, price = world.api, world.price()
    mine = world.subscribe(price, discounts=[{"coupon": api.coupon(duration="forever")["id"]}])
    other = world.subscribe(price)
    given = [{"discount": mine["discounts"][0]}]
    path = f"/v1/subscriptions/{other['id']}"
    assert api.refused("POST", path, {"discounts": given})["param"] == "discounts[0][discount]"
    assert world.update(mine, discounts=given)["discounts"] == mine["discounts"]
    form = {"customer": world.customer, "subscription": mine["id"], "discounts": given}
    assert api.post("/v1/invoices", form)["discounts"] == mine["discounts"]
    assert api.refused("POST", "/v1/invoices", {**form, "subscription": other["id"]})["status"] == 400


def test_a_code_with_a_minimum_is_for_whole_orders(api):
    """An invoice takes such a code, an invoice item does not, whatever it costs; a code without a minimum works there.

    Source: https://docs.stripe.com/billing/subscriptions/coupons (restrictions of promotion codes).
    """
    least = {"minimum_amount": 100, "minimum_amount_currency": "usd"}
    code = api.code(api.coupon()["id"], restrictions=least)["id"]
    form = {"customer": api.customer()["id"], "amount": 5000, "discounts": [{"promotion_code": code}]}
    assert api.refused("POST", "/v1/invoiceitems", form)["param"] == "discounts[0][promotion_code]"
    form["discounts"] = [{"promotion_code": api.code(api.coupon()["id"])["id"]}]
    assert len(api.post("/v1/invoiceitems", form)["discounts"]) == 1


@pytest.mark.parametrize("attempt", ["payment", "trial"])
@pytest.mark.parametrize("counts", [True, False])
def test_attempts_are_transactions(having, counts, attempt):
    """A payment that was only begun, or a trial, rules a code for first transactions out, or does not.

    Source: https://docs.stripe.com/billing/subscriptions/coupons ("Initiated a PaymentIntent, even if the payment never
    completed"), against the milder description of ``first_time_transaction``. Another customer's count never.
    """
    world = having(attempts_are_transactions=counts)
    api = world.api
    code = api.code(api.coupon()["id"], restrictions={"first_time_transaction": True})["id"]
    if attempt == "payment":
        api.post("/v1/payment_intents", {"amount": 500, "currency": "usd", "customer": world.customer})
    else:
        assert world.subscribe(world.metered(), trial_period_days=3)["latest_invoice"] is None
    form = {"customer": world.customer, "discounts": [{"promotion_code": code}]}
    fresh = {**form, "customer": api.customer()["id"]}
    if counts:
        assert api.refused("POST", "/v1/invoices", form)["param"] == "discounts[0][promotion_code]"
    else:
        assert api.post("/v1/invoices", form)["discounts"]
    assert api.post("/v1/invoices", fresh)["discounts"]


def test_once_is_used_up_by_the_finalized_invoice(world):
    """The discount of a renewal is there while it is a draft, gone once that is final, and off no later invoice.

    Source: https://docs.stripe.com/billing/subscriptions/coupons (coupon duration).
    """
    subscription = world.subscribe(world.price())
    (discount,) = world.update(subscription, discounts=[{"coupon": world.api.coupon()["id"]}])["discounts"]
    world.advance(at(2027, 4, 1, 0, 30))
    assert world.get(subscription)["discounts"] == [discount]
    world.advance(at(2027, 4, 1, 2))
    assert world.get(subscription)["discounts"] == []
    world.advance(at(2027, 5, 1, 2))
    assert [invoice["total"] for invoice in world.invoices()] == [1000, 900, 1000]


@pytest.mark.parametrize("uses", [True, False])
def test_free_invoice_uses_up_once(having, uses):
    """The invoice of 0 at the start of a trial uses the coupon up, or the first one that costs something does."""
    world = having(free_invoice_uses_up_once=uses)
    subscription = world.subscribe(world.price(), trial_period_days=3, discounts=[{"coupon": world.api.coupon()["id"]}])
    assert bool(world.get(subscription)["discounts"]) is not uses
    world.advance(START + 3 * DAY + 2 * HOUR)
    assert [invoice["total"] for invoice in world.invoices()] == [0, 1000 if uses else 900]
    assert world.get(subscription)["discounts"] == []


def test_one_invoice_gets_what_lasts_for_one(world):
    """Of two drafts with the same discount the one that is finalized first has it, the other no more."""
    api = world.api
    subscription = world.subscribe(world.price())
    given = [{"discount": world.update(subscription, discounts=[{"coupon": api.coupon()["id"]}])["discounts"][0]}]
    drafts = []
    for _ in range(2):
        api.post("/v1/invoiceitems", {"customer": world.customer, "amount": 1000, "subscription": subscription["id"]})
        form = {"customer": world.customer, "subscription": subscription["id"], "discounts": given}
        drafts.append(api.post("/v1/invoices", {**form, "pending_invoice_items_behavior": "include"})["id"])
    assert api.post(f"/v1/invoices/{drafts[1]}/finalize")["total"] == 900
    assert api.post(f"/v1/invoices/{drafts[0]}/finalize")["total"] == 1000


def test_a_backdated_coupon_counts_from_the_beginning(world):
    """Two months from January 1 take half off January and February, not March, and the discount is gone at once.

    Source: https://docs.stripe.com/billing/subscriptions/backdating (backdating and discounts).
    """
    half = world.api.coupon(percent_off=50, duration="repeating", duration_in_months=2)["id"]
    form = {"backdate_start_date": at(2027, 1, 1), "discounts": [{"coupon": half}]}
    subscription = world.subscribe(world.price(), **form)
    taken = {line["period"]["start"]: sum(one["amount"] for one in line["discount_amounts"]) for line in world.lines()}
    assert taken == {at(2027, 1, 1): 500, at(2027, 2, 1): 500, at(2027, 3, 1): 0}
    assert world.get(subscription)["discounts"] == []
    world.advance(at(2027, 4, 1, 2))
    assert [invoice["total"] for invoice in world.invoices()] == [2000, 1000]


def test_a_backdated_coupon_goes_on_for_the_rest_of_its_time(world):
    """Four months from January 1 are off the renewal of April, and not off that of May."""
    half = world.api.coupon(percent_off=50, duration="repeating", duration_in_months=4)["id"]
    form = {"backdate_start_date": at(2027, 1, 1), "discounts": [{"coupon": half}]}
    subscription = world.subscribe(world.price(), **form)
    assert len(subscription["discounts"]) == 1
    world.advance(at(2027, 5, 1, 2))
    assert [invoice["total"] for invoice in world.invoices()] == [1500, 500, 1000]
    assert world.get(subscription)["discounts"] == []
