"""Billing periods: anchors, renewals, trials, usage in arrears; the oracle of dates is the tests' own, by calendar.

Source: https://docs.stripe.com/billing/subscriptions/billing-cycle.
"""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler.sandbox import Sandbox
from tests.sandbox.billing_world import DAY, HOUR, World, at, plus
from tests.sandbox.conftest import NOW, Api

START = at(2027, 3, 10, 12)


@pytest.fixture
def world(api):
    """Return a customer with a card on a test clock."""
    return World(api, START)


def periods(world, amount=None):
    """Return the periods of all billed lines, in order of their beginning."""
    lines = [line for line in world.lines() if amount is None or line["amount"] == amount]
    return sorted((line["period"]["start"], line["period"]["end"]) for line in lines)


@pytest.mark.parametrize(
    ("start", "interval"),
    [
        (at(2027, 1, 29, 8), "month"),
        (at(2027, 1, 30, 23, 59, 59), "month"),
        (at(2027, 1, 31), "month"),
        (at(2027, 12, 31), "month"),
        (at(2028, 2, 29, 6), "year"),
        (at(2027, 12, 31, 23, 59, 59), "week"),
    ],
)
def test_every_boundary_is_counted_from_the_anchor(api, start, interval):
    """The 31st bills on the last day of shorter months, then on the 31st again; February 29th on the 28th."""
    world = World(api, start)
    world.subscribe(world.price(interval=interval))
    steps = {"month": 14, "year": 5, "week": 6}[interval]
    world.advance(plus(start, interval, steps), step=DAY * {"month": 28, "year": 365, "week": 7}[interval])
    wanted = [(plus(start, interval, step), plus(start, interval, step + 1)) for step in range(steps + 1)]
    assert periods(world) == wanted


def test_a_renewal_is_a_draft_for_an_hour_and_then_paid(world):
    """The invoice looks back one period, its line ahead one (docs: billing/invoices/subscription)."""
    subscription = world.subscribe(world.price())
    end = plus(START, "month", 1)
    world.advance(end - 1)
    assert len(world.invoices()) == 1
    world.advance(end)
    draft = world.invoices()[-1]
    assert (draft["status"], draft["billing_reason"], draft["auto_advance"]) == ("draft", "subscription_cycle", True)
    assert (draft["period_start"], draft["period_end"]) == (START, end)
    assert draft["lines"]["data"][0]["period"] == {"start": end, "end": plus(START, "month", 2)}
    assert world.get(subscription)["latest_invoice"] == draft["id"]
    world.advance(end + HOUR)
    assert world.invoices()[-1]["status"] == "paid"
    item = world.get(subscription)["items"]["data"][0]
    assert (item["current_period_start"], item["current_period_end"]) == (end, plus(START, "month", 2))


def test_a_renewal_changes_the_subscription_in_one_event(world):
    """The event of a renewal says which period and which invoice were the latest before."""
    subscription = world.subscribe(world.price())
    world.advance(plus(START, "month", 1))
    event = world.api.events(type="customer.subscription.updated")[-1]
    previous = event["data"]["previous_attributes"]
    assert previous["latest_invoice"] == subscription["latest_invoice"]
    assert previous["items"]["data"][0]["current_period_end"] == plus(START, "month", 1)


def test_a_renewal_is_announced_a_week_before(world):
    """``invoice.upcoming`` carries the invoice that is not there yet; a trialing or ending subscription has its own."""
    world.subscribe({"price": world.price(), "quantity": 2})
    end = plus(START, "month", 1)
    world.advance(end - 7 * DAY - 1)
    assert world.types("invoice.upcoming") == []
    world.advance(end - 7 * DAY)
    (event,) = world.api.events(type="invoice.upcoming")
    assert event["data"]["object"]["amount_due"] == 2000
    world.advance(end + HOUR)
    assert len(world.types("invoice.upcoming")) == 1


def test_a_subscription_that_ends_is_not_announced(world):
    """No renewal, no announcement; the positive control is the same subscription that goes on."""
    price = world.price()
    ending = world.subscribe(price, cancel_at_period_end=True)
    world.advance(plus(START, "month", 1) - DAY)
    assert world.types("invoice.upcoming") == []
    world.update(ending, cancel_at_period_end=False)
    world.advance(plus(START, "month", 1) - HOUR)
    assert len(world.types("invoice.upcoming")) == 1


def test_usage_is_billed_after_its_period_and_seats_before_it(world):
    """One invoice has both: usage of the month that ended, seats of the month that begins."""
    world.subscribe(world.price(500), world.metered(10))
    world.use(7)
    end = plus(START, "month", 1)
    world.advance(end - 1)
    world.use(3)
    world.advance(end)
    world.use(100)
    invoice = world.invoices()[-1]
    lines = {line["amount"]: line["period"] for line in invoice["lines"]["data"]}
    assert lines == {
        100: {"start": START, "end": end},
        500: {"start": end, "end": plus(START, "month", 2)},
    }
    world.advance(plus(START, "month", 2))
    assert {line["amount"] for line in world.invoices()[-1]["lines"]["data"]} == {1000, 500}


def test_a_period_without_usage_has_a_line_of_nothing(world):
    """Invoices of a cycle contain all metered items (billing-mode/compare, zero-amount line items)."""
    world.subscribe(world.metered(10))
    world.advance(plus(START, "month", 1))
    assert [line["amount"] for line in world.lines()] == [0]


def test_usage_is_billed_at_the_price_of_its_time(world):
    """Documented example (billing-mode/compare): 1000 calls at 0.1 and 500 at 0.15 per 100 are 1.75 together."""
    transform = {"divide_by": 100, "round": "up"}
    cheap, dear = world.metered(10), None
    meter = world.api.get(f"/v1/prices/{cheap}")["recurring"]["meter"]
    recurring = {"usage_type": "metered", "meter": meter}
    cheap = world.price(10, recurring=recurring, transform_quantity=transform)
    dear = world.price(15, recurring=recurring, transform_quantity=transform)
    for mode, total in (("flexible", 175), ("classic", 75)):
        fresh = World(world.api, START)
        subscription = fresh.subscribe(cheap, billing_mode={"type": mode})
        fresh.advance(START + 5 * DAY)
        fresh.use(1000)
        fresh.advance(START + 14 * DAY)
        fresh.update(subscription, items=[{"id": subscription["items"]["data"][0]["id"], "price": dear}])
        fresh.advance(START + 19 * DAY)
        fresh.use(500)
        fresh.advance(plus(START, "month", 1))
        assert fresh.invoices()[-1]["total"] == total


def test_items_of_different_lengths_are_billed_when_they_are_due(api):
    """Documented example (mixed-interval): monthly and quarterly together on January 1 and April 1 only."""
    start = at(2024, 1, 1)
    world = World(api, start)
    world.subscribe(world.price(1500), world.price(10000, count=3))
    world.advance(at(2024, 4, 1))
    assert [invoice["total"] for invoice in world.invoices()] == [11500, 1500, 1500, 11500]
    assert periods(world, 10000) == [(start, at(2024, 4, 1)), (at(2024, 4, 1), at(2024, 7, 1))]


@pytest.mark.parametrize(
    ("config", "anchor", "first_end"),
    [
        ({"day_of_month": 31}, at(2027, 3, 31, 12), at(2027, 3, 31, 12)),
        ({"day_of_month": 10}, at(2027, 4, 10, 12), at(2027, 4, 10, 12)),
        ({"day_of_month": 10, "hour": 13, "minute": 30}, at(2027, 3, 10, 13, 30), at(2027, 3, 10, 13, 30)),
        ({"day_of_month": 1, "hour": 0}, at(2027, 4, 1), at(2027, 4, 1)),
        ({"day_of_month": 29, "month": 2}, at(2028, 2, 29, 12), at(2027, 3, 29, 12)),
    ],
)
def test_an_anchor_can_be_given_by_day(world, config, anchor, first_end):
    """The next such time that the month has (documented); the stub until then is prorated to the second."""
    subscription = world.subscribe(world.price(3100), billing_cycle_anchor_config=config)
    assert subscription["billing_cycle_anchor"] == anchor
    assert {
        name: value for name, value in subscription["billing_cycle_anchor_config"].items() if value is not None
    } == config
    (line,) = world.lines()
    assert line["period"] == {"start": START, "end": first_end}
    expected = 3100 * (first_end - START) / (first_end - plus(first_end, "month", -1))
    assert abs(line["amount"] - expected) <= 0.5


def test_a_two_month_anchor_on_the_31st_skips_short_months(api):
    """Documented: from February, every two months on the 31st, the anchor is August 31; February bills first."""
    start = at(2027, 2, 10, 9)
    world = World(api, start)
    subscription = world.subscribe(world.price(count=2), billing_cycle_anchor_config={"day_of_month": 31})
    assert subscription["billing_cycle_anchor"] == at(2027, 8, 31, 9)
    assert subscription["items"]["data"][0]["current_period_end"] == at(2027, 2, 28, 9)


def test_the_time_before_the_anchor_is_free_without_prorations(world):
    """``proration_behavior=none`` makes no invoice until the first full period (documented)."""
    anchor = START + 10 * DAY
    subscription = world.subscribe(world.price(), billing_cycle_anchor=anchor, proration_behavior="none")
    assert (subscription["status"], world.invoices()) == ("active", [])
    world.advance(anchor)
    assert periods(world) == [(anchor, plus(anchor, "month", 1))]


def test_a_backdated_subscription_bills_each_period_it_has_missed(world):
    """Flexible mode has a line per period and takes its anchor from the start (billing-mode/compare)."""
    begins = plus(START, "month", -2)
    subscription = world.subscribe(world.price(), backdate_start_date=begins)
    assert (subscription["start_date"], subscription["billing_cycle_anchor"]) == (begins, begins)
    assert periods(world) == [(plus(begins, "month", step), plus(begins, "month", step + 1)) for step in range(3)]
    assert world.invoices()[0]["total"] == 3000


def test_a_backdated_classic_subscription_has_one_line_for_the_past(world):
    """Classic mode charges the past as one line up to now, and begins its periods now."""
    begins = plus(START, "month", -1)
    subscription = world.subscribe(world.price(3100), backdate_start_date=begins, billing_mode={"type": "classic"})
    assert (subscription["start_date"], subscription["billing_cycle_anchor"]) == (begins, START)
    assert periods(world) == [(begins, START), (START, plus(START, "month", 1))]
    assert sorted(line["amount"] for line in world.lines()) == [3100, 3100]


def test_a_backdated_subscription_can_leave_the_past_free(world):
    """``proration_behavior=none`` bills nothing of what was missed."""
    world.subscribe(world.price(), backdate_start_date=START - 5 * DAY, proration_behavior="none")
    world.advance(plus(START - 5 * DAY, "month", 1))
    assert periods(world) == [(plus(START - 5 * DAY, "month", 1), plus(START - 5 * DAY, "month", 2))]


def test_a_trial_is_free_announced_and_followed_by_full_periods(world):
    """Three days before its end it is announced; then the anchor is the trial's end."""
    subscription = world.subscribe(world.price(), trial_period_days=14)
    end = START + 14 * DAY
    assert (subscription["status"], subscription["trial_start"], subscription["trial_end"]) == ("trialing", START, end)
    assert subscription["billing_cycle_anchor"] == end
    item = subscription["items"]["data"][0]
    assert (item["current_period_start"], item["current_period_end"]) == (START, end)
    (line,) = world.lines()
    assert (line["amount"], line["description"]) == (0, "Free trial for 1 \u00d7 Pro")
    assert world.invoices()[0]["status"] == "paid"
    world.advance(end - 3 * DAY - 1)
    assert world.types("customer.subscription.trial") == []
    world.advance(end - 3 * DAY)
    assert world.types("customer.subscription.trial") == ["customer.subscription.trial_will_end"]
    world.advance(end)
    assert world.get(subscription)["status"] == "active"
    world.advance(plus(end, "month", 1))
    assert periods(world, 1000) == [(plus(end, "month", step), plus(end, "month", step + 1)) for step in range(2)]
    assert len(world.types("customer.subscription.trial")) == 1


def test_a_short_trial_is_announced_at_once(world):
    """With less than three days left the announcement comes with the creation."""
    world.subscribe(world.price(), trial_period_days=2)
    assert world.types("customer.subscription.trial") == ["customer.subscription.trial_will_end"]


def test_usage_during_a_trial_is_free(world):
    """What is used before the trial's end is a line of nothing (billing-mode/compare), what comes after is billed."""
    world.subscribe(world.metered(10), trial_period_days=7)
    world.use(50)
    world.advance(START + 8 * DAY)
    world.use(5)
    world.advance(plus(START + 7 * DAY, "month", 1))
    assert [invoice["total"] for invoice in world.invoices()] == [0, 50]
    assert world.lines()[0]["description"] == "Free trial for 50 \u00d7 Pro"
    assert world.lines()[0]["period"] == {"start": START, "end": START + 7 * DAY}


def test_a_trial_from_the_plan_is_the_prices(world):
    """``trial_from_plan`` takes the price's days; without it they do not count."""
    price = world.price(recurring={"trial_period_days": 5})
    assert world.subscribe(price)["trial_end"] is None
    assert world.subscribe(price, trial_from_plan=True)["trial_end"] == START + 5 * DAY


def test_a_trial_before_an_anchor_is_followed_by_a_stub(api):
    """Documented example: 7 days from the 15th and an anchor on the 1st bill the 22nd to the 1st, then full months."""
    start = at(2027, 3, 15)
    world = World(api, start)
    world.subscribe(world.price(3100), trial_period_days=7, billing_cycle_anchor=at(2027, 4, 1))
    world.advance(at(2027, 4, 1))
    stub, full = (line for line in world.lines() if line["amount"])
    assert (stub["amount"], stub["period"]) == (1000, {"start": at(2027, 3, 22), "end": at(2027, 4, 1)})
    assert (full["amount"], full["period"]) == (3100, {"start": at(2027, 4, 1), "end": at(2027, 5, 1)})


@pytest.mark.parametrize(
    ("behavior", "status"), [("cancel", "canceled"), ("pause", "paused"), ("create_invoice", "active")]
)
def test_a_trial_without_a_payment_method_ends_as_its_settings_say(api, behavior, status):
    """With a method on file the subscription becomes active in each case (docs: subscriptions/trials)."""
    ends = {"end_behavior": {"missing_payment_method": behavior}}
    poor, rich = World(api, START, method=None), World(api, START)
    first, second = (each.subscribe(each.price(), trial_period_days=7, trial_settings=ends) for each in (poor, rich))
    for each in (poor, rich):
        each.advance(START + 7 * DAY)
    assert (poor.get(first)["status"], rich.get(second)["status"]) == (status, "active")
    assert len(poor.invoices()) == (2 if behavior == "create_invoice" else 1)
    if status == "paused":
        details = poor.get(first)["status_details"]["paused"]
        assert details["subscription"]["type"] == "trial_end_without_payment_method"
        assert "customer.subscription.paused" in {event["type"] for event in api.events(type="customer.subscription.*")}


def test_a_customer_without_a_method_is_asked_for_one(api):
    """A trial without a method has a setup intent that goes when it succeeds; with a method there is none."""
    poor, rich = World(api, START, method=None), World(api, START)
    settings = {"save_default_payment_method": "on_subscription"}
    waiting = poor.subscribe(poor.price(), trial_period_days=7, payment_settings=settings)
    assert rich.subscribe(rich.price(), trial_period_days=7)["pending_setup_intent"] is None
    intent = waiting["pending_setup_intent"]
    api.post(f"/v1/setup_intents/{intent}/confirm", {"payment_method": "pm_card_visa"})
    shown = poor.get(waiting)
    assert shown["pending_setup_intent"] is None
    assert shown["default_payment_method"] == api.get(f"/v1/setup_intents/{intent}")["payment_method"]


def test_pending_items_can_be_invoiced_more_often(world):
    """``pending_invoice_item_interval`` invoices what waits for the subscription; without anything, nothing."""
    every = {"interval": "week"}
    subscription = world.subscribe(world.price(), pending_invoice_item_interval=every)
    assert subscription["next_pending_invoice_item_invoice"] == START + 7 * DAY
    world.advance(START + 7 * DAY)
    assert len(world.invoices()) == 1
    form = {"customer": world.customer, "subscription": subscription["id"], "amount": 300, "currency": "usd"}
    world.api.post("/v1/invoiceitems", form)
    world.advance(START + 14 * DAY)
    assert [invoice["total"] for invoice in world.invoices()] == [1000, 300]
    assert world.get(subscription)["next_pending_invoice_item_invoice"] == START + 21 * DAY


def test_time_passes_without_a_test_clock_too(open_sandbox, account):
    """On the sandbox's own clock a renewal happens before anybody looks, and an hour later it is paid."""
    time = [START]
    api = account(open_sandbox(clock=lambda: time[0]))
    customer = api.post("/v1/customers", {"payment_method": "pm_card_visa"})["id"]
    method = api.get(f"/v1/customers/{customer}/payment_methods")["data"][0]["id"]
    price = api.price(api.product()["id"], recurring={"interval": "month"})["id"]
    form = {"customer": customer, "items": [{"price": price}], "default_payment_method": method}
    subscription = api.post("/v1/subscriptions", form)["id"]
    time[0] = plus(START, "month", 2) + HOUR
    assert [invoice["status"] for invoice in api.get("/v1/invoices")["data"]] == ["paid"] * 3
    item = api.get(f"/v1/subscriptions/{subscription}")["items"]["data"][0]
    assert item["current_period_end"] == plus(START, "month", 3)


def test_what_an_item_is_billed_for_is_shown_when_expanded(world):
    """``billed_until`` is the end of the time charged: ahead for seats, behind for usage; absent without expansion."""
    seats, usage = world.price(), world.metered()
    subscription = world.subscribe(seats, usage)
    world.advance(plus(START, "month", 1))
    assert "billed_until" not in world.get(subscription)["items"]["data"][0]
    items = world.get(subscription, expand=["items.data.billed_until"])["items"]["data"]
    ends = {item["price"]["id"]: item["billed_until"] for item in items}
    assert ends == {seats: plus(START, "month", 2), usage: plus(START, "month", 1)}


INTERVALS = st.one_of(
    st.tuples(st.just("day"), st.integers(20, 60)),
    st.tuples(st.just("week"), st.integers(3, 8)),
    st.tuples(st.just("month"), st.integers(1, 4)),
)


@given(
    interval=INTERVALS,
    begin=st.integers(at(2027, 1, 1), at(2028, 12, 31)),
    days=st.integers(30, 300),
    trial=st.integers(0, 40),
    stub=st.fractions(0, 1),
    metered=st.booleans(),
)
@settings(
    phases=(Phase.explicit, Phase.generate),
    max_examples=6,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.too_slow],
)
def test_periods_tile_time_and_each_is_billed_once(interval, begin, days, trial, stub, metered):
    """Over simulated years: no gap, no overlap, every period once, as many invoices as boundaries."""
    name, count = interval
    with Sandbox(clock=NOW) as sandbox:
        world = World(Api(sandbox), begin)
        starts = begin + trial * DAY
        anchor = starts + int(stub * (plus(starts, name, count) - starts))
        form = {"trial_period_days": trial} if trial else {}
        if anchor > starts:
            form["billing_cycle_anchor"] = anchor
        price = world.metered(10, interval=name) if metered and count == 1 else world.price(1000, name, count)
        world.subscribe(price, **form)
        world.advance(begin + days * DAY, step=19 * DAY)
        billed = periods(world)
        ahead = not (metered and count == 1)
        boundaries = {begin, starts} if starts <= world.now else {begin}
        nth = 0
        while (boundary := plus(anchor, name, nth * count)) <= world.now:
            boundaries.add(boundary)
            nth += 1
        ordered = sorted(boundaries)
        following = boundary if starts <= world.now else starts
        expected = list(zip(ordered, [*ordered[1:], following], strict=True))
        free = [(begin, starts)] if trial and starts <= world.now else []
        complete = [*free, *(pair for pair in expected if starts <= pair[0] and pair[1] <= world.now)]
        assert billed == (expected if ahead else complete)
        cycles = [invoice for invoice in world.invoices() if invoice["billing_reason"] == "subscription_cycle"]
        assert len(cycles) == len(boundaries) - 1
