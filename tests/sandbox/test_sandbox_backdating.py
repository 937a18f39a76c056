"""Backdated subscriptions (https://docs.stripe.com/billing/subscriptions/backdating)."""

import pytest

from reconciler.sandbox.settings import Settings
from tests.sandbox.billing_world import DAY, World, at, plus

START = at(2027, 3, 1)
CLASSIC = {"billing_mode": {"type": "classic"}}


@pytest.fixture
def world(api):
    """Return a customer with a card on a test clock."""
    return World(api, START)


def billed(world):
    """Return the lines of all invoices as periods and amounts, in the order of their periods."""
    return sorted((line["period"]["start"], line["period"]["end"], line["amount"]) for line in world.lines())


@pytest.mark.parametrize(
    ("begins", "amount"), [(at(2027, 2, 15), 1550), (at(2027, 1, 31), 3211), (at(2027, 2, 1), 3100)]
)
def test_classic_time_is_a_share_of_an_imagined_interval(world, begins, amount):
    """The documented example: February 15 to March 1 is 14 of 28 days, exactly half; from January 31 it is 29 of 28."""
    world.subscribe(world.price(3100), backdate_start_date=begins, **CLASSIC)
    assert billed(world) == [(begins, START, amount), (START, plus(START, "month", 1), 3100)]


@pytest.mark.parametrize(("full", "amount"), [(True, 6200), (False, 5900)])
def test_backdated_time_in_full_intervals(open_sandbox, account, full, amount):
    """Two months back are two months, or 59 days of a month of 31."""
    settings = Settings(backdated_time_in_full_intervals=full)
    world = World(account(open_sandbox(settings=settings)), START)
    world.subscribe(world.price(3100), backdate_start_date=at(2027, 1, 1), **CLASSIC)
    assert billed(world)[0] == (at(2027, 1, 1), START, amount)


def test_only_backdated_time_is_free(world):
    """Classic mode bills the period that begins now although ``proration_behavior=none`` spares what was before."""
    begins = START - 5 * DAY
    subscription = world.subscribe(world.price(), backdate_start_date=begins, proration_behavior="none", **CLASSIC)
    assert subscription["start_date"] == begins
    assert billed(world) == [(START, plus(START, "month", 1), 1000)]


@pytest.mark.parametrize("spares", [True, False])
def test_free_backdating_spares_present_period(open_sandbox, account, spares):
    """In flexible mode the period began before: it is free until the next, or its rest is billed."""
    settings = Settings(free_backdating_spares_present_period=spares)
    world = World(account(open_sandbox(settings=settings)), START)
    begins = at(2027, 2, 15)
    world.subscribe(world.price(2800), backdate_start_date=begins, proration_behavior="none")
    assert billed(world) == ([] if spares else [(START, at(2027, 3, 15), 1400)])
    world.advance(at(2027, 3, 15))
    assert billed(world)[-1] == (at(2027, 3, 15), at(2027, 4, 15), 2800)


def test_backdating_makes_no_more_lines_than_an_invoice_has(world):
    """More than 250 lines are refused; 250 are not."""
    price = world.price(100, "day")
    refusal = world.refused(price, backdate_start_date=START - 250 * DAY)
    assert (refusal["status"], refusal["param"]) == (400, "backdate_start_date")
    world.subscribe(price, backdate_start_date=START - 249 * DAY)
    assert world.invoices()[0]["total"] == 250 * 100


def test_an_update_can_be_prorated_from_the_backdated_start(world):
    """In the first period ``proration_date`` may be as early as ``start_date``, period by period; later it may not."""
    cheap, dear = world.price(2800), world.price(5600)
    begins = at(2027, 1, 15)
    subscription = world.subscribe(cheap, backdate_start_date=begins)
    items = [{"id": subscription["items"]["data"][0]["id"], "price": dear}]
    path = f"/v1/subscriptions/{subscription['id']}"
    early = world.api.refused("POST", path, {"items": items, "proration_date": begins - 1})
    assert early["param"] == "proration_date"
    world.update(subscription, items=items, proration_date=begins)
    spans = [(begins, at(2027, 2, 15)), (at(2027, 2, 15), at(2027, 3, 15))]
    waiting = sorted((item["period"]["start"], item["period"]["end"], item["amount"]) for item in world.pending())
    assert waiting == sorted((*span, amount) for span in spans for amount in (-2800, 5600))
    item = world.get(subscription)["items"]["data"][0]
    assert (item["current_period_start"], item["current_period_end"]) == spans[1]
    world.advance(at(2027, 3, 15))
    late = world.api.refused("POST", path, {"items": [{**items[0], "quantity": 2}], "proration_date": START})
    assert late["param"] == "proration_date"


@pytest.mark.parametrize(("mode", "credit"), [("classic", -1250), ("flexible", -532)])
@pytest.mark.parametrize("duration", ["forever", "once"])
def test_a_backdated_discount_is_on_the_credit_too(world, mode, credit, duration):
    """What is given back of a backdated subscription is less its coupon, used up or not.

    In classic mode 25 of 30 days from April 1, in flexible mode 11 of 31 until April 17, of half of 30.00
    (https://docs.stripe.com/billing/subscriptions/backdating, billing-mode/compare).
    """
    world.advance(at(2027, 4, 1), step=31 * DAY)
    coupon = world.api.coupon(percent_off=50, duration=duration)["id"]
    form = {"backdate_start_date": at(2027, 3, 17), "discounts": [{"coupon": coupon}], "billing_mode": {"type": mode}}
    subscription = world.subscribe(world.price(3000), **form)
    world.advance(at(2027, 4, 6))
    item = subscription["items"]["data"][0]["id"]
    world.update(subscription, items=[{"id": item, "quantity": 0}])
    assert min(each["amount"] for each in world.pending()) == credit
