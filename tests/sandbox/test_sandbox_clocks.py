"""Test clocks (https://docs.stripe.com/billing/testing/test-clocks/api-advanced-usage)."""

import pytest

from tests.sandbox.billing_world import DAY, World, at, plus

START = at(2027, 1, 31)
CLOCKS = "/v1/test_helpers/test_clocks"


@pytest.fixture
def world(api):
    """Return a customer on a test clock."""
    return World(api, START)


def test_a_clock_is_complete(api, now):
    """Every field of the documented object is there; the clock stands at its frozen time and lives for 30 days."""
    clock = api.post(CLOCKS, {"frozen_time": START, "name": "Renewals"})
    assert clock == {
        "id": clock["id"],
        "object": "test_helpers.test_clock",
        "created": now,
        "deletes_after": now + 30 * DAY,
        "frozen_time": START,
        "livemode": False,
        "name": "Renewals",
        "status": "ready",
        "status_details": {},
    }
    assert api.get(f"{CLOCKS}/{clock['id']}") == clock
    assert api.refused("GET", f"{CLOCKS}/clock_nope")["param"] == "test_clock"


def test_clocks_are_listed_newest_first(api):
    """The list has every clock."""
    first, second = (api.post(CLOCKS, {"frozen_time": START})["id"] for _ in range(2))
    assert api.ids(CLOCKS) == [second, first]


def test_an_advance_answers_advancing_and_is_ready_at_the_next_request(api):
    """The reply names the target; when anybody looks again the clock is there, with an event for either."""
    clock = api.post(CLOCKS, {"frozen_time": START})["id"]
    reply = api.post(f"{CLOCKS}/{clock}/advance", {"frozen_time": START + DAY})
    assert (reply["status"], reply["frozen_time"]) == ("advancing", START)
    assert reply["status_details"] == {"advancing": {"target_frozen_time": START + DAY}}
    later = api.get(f"{CLOCKS}/{clock}")
    assert (later["status"], later["frozen_time"], later["status_details"]) == ("ready", START + DAY, {})
    types = [event["type"] for event in api.events(type="test_helpers.*")]
    assert types == [f"test_helpers.test_clock.{verb}" for verb in ("created", "advancing", "ready")]


@pytest.mark.parametrize("back", [0, 1])
def test_a_clock_never_goes_back(api, back):
    """A target that is not after the frozen time is refused; one second later is taken."""
    clock = api.post(CLOCKS, {"frozen_time": START})["id"]
    assert api.refused("POST", f"{CLOCKS}/{clock}/advance", {"frozen_time": START - back})["param"] == "frozen_time"
    assert api.post(f"{CLOCKS}/{clock}/advance", {"frozen_time": START + 1})["status"] == "advancing"


def test_a_clock_without_subscriptions_advances_two_years_at_most(api):
    """The limit is two years from the present frozen time (wording observed), to the second."""
    clock = api.post(CLOCKS, {"frozen_time": START})["id"]
    limit = plus(START, "year", 2)
    error = api.refused("POST", f"{CLOCKS}/{clock}/advance", {"frozen_time": limit + 1})
    assert (error["status"], error["param"]) == (400, "frozen_time")
    assert f"up to {limit}" in error["message"]
    api.post(f"{CLOCKS}/{clock}/advance", {"frozen_time": limit})


@pytest.mark.parametrize(("interval", "count"), [("day", 1), ("week", 2), ("month", 1), ("year", 1)])
def test_a_clock_advances_two_intervals_of_its_shortest_subscription(world, interval, count):
    """A longer subscription beside the shortest does not count, one on another clock does not either."""
    decoy = World(world.api, START)
    decoy.subscribe(decoy.price(interval="day"))
    world.subscribe(world.price(interval=interval, count=count))
    world.subscribe(world.price(interval="year", count=2))
    limit = plus(START, interval, 2 * count)
    path = f"{CLOCKS}/{world.clock}/advance"
    assert f"up to {limit}" in world.api.refused("POST", path, {"frozen_time": limit + 1})["message"]
    world.api.post(path, {"frozen_time": limit})


def test_a_canceled_subscription_does_not_limit_its_clock(world):
    """After cancellation the clock moves two years again."""
    subscription = world.subscribe(world.price())
    path, limit = f"{CLOCKS}/{world.clock}/advance", plus(START, "year", 2)
    world.api.refused("POST", path, {"frozen_time": limit})
    world.api.ok("DELETE", f"/v1/subscriptions/{subscription['id']}")
    world.api.post(path, {"frozen_time": limit})


def test_what_is_on_a_clock_lives_at_its_time(world, now):
    """Subscription and invoice are created at the frozen time, those of a customer without clock at the real one."""
    price = world.price()
    subscription = world.subscribe(price)
    free = world.api.post("/v1/customers", {"payment_method": "pm_card_visa"})["id"]
    method = world.api.get(f"/v1/customers/{free}/payment_methods")["data"][0]["id"]
    form = {"customer": free, "items": [{"price": price}], "default_payment_method": method}
    other = world.api.post("/v1/subscriptions", form)
    assert (subscription["test_clock"], subscription["created"]) == (world.clock, START)
    assert (other["test_clock"], other["created"]) == (None, now)
    world.advance(START + 20 * DAY)
    assert world.subscribe(world.price())["created"] == START + 20 * DAY


def test_two_clocks_do_not_move_each_other(api):
    """Advancing one clock renews only what is on it."""
    moved, still = World(api, START), World(api, START)
    for each in (moved, still):
        each.subscribe(each.price())
    moved.advance(plus(START, "month", 1))
    assert (len(moved.invoices()), len(still.invoices())) == (2, 1)


def test_deleting_a_clock_takes_its_customers_and_their_subscriptions(world):
    """They end with it; a customer on another clock stays, and so does their subscription."""
    other = World(world.api, START)
    kept = other.subscribe(other.price())
    gone = world.subscribe(world.price())
    reply = world.api.ok("DELETE", f"{CLOCKS}/{world.clock}")
    assert reply == {"id": world.clock, "object": "test_helpers.test_clock", "deleted": True}
    assert world.api.get(f"/v1/customers/{world.customer}")["deleted"] is True
    assert world.get(gone)["status"] == "canceled"
    assert other.get(kept)["status"] == "active"
    assert world.api.ids(CLOCKS) == [other.clock]


def test_a_clock_deletes_itself_after_30_days(open_sandbox, account):
    """At ``deletes_after`` the clock is gone, a second before it is not."""
    time = [START]
    api = account(open_sandbox(clock=lambda: time[0]))
    clock = api.post(CLOCKS, {"frozen_time": START})["id"]
    time[0] += 30 * DAY - 1
    assert api.ids(CLOCKS) == [clock]
    time[0] += 1
    assert api.ids(CLOCKS) == []


def test_an_existing_customer_moves_onto_a_new_clock_for_good(api, now):
    """``customer`` attaches the customer and the subscription they have; being on a clock already is refused."""
    customer = api.post("/v1/customers", {"payment_method": "pm_card_visa"})["id"]
    method = api.get(f"/v1/customers/{customer}/payment_methods")["data"][0]["id"]
    price = api.price(api.product()["id"], recurring={"interval": "month"})["id"]
    form = {"customer": customer, "items": [{"price": price}], "default_payment_method": method}
    subscription = api.post("/v1/subscriptions", form)["id"]
    clock = api.post(CLOCKS, {"frozen_time": now, "customer": customer})["id"]
    assert api.get(f"/v1/customers/{customer}")["test_clock"] == clock
    api.post(f"{CLOCKS}/{clock}/advance", {"frozen_time": plus(now, "month", 1)})
    shown = api.get(f"/v1/subscriptions/{subscription}")
    assert (shown["test_clock"], shown["items"]["data"][0]["current_period_start"]) == (clock, plus(now, "month", 1))
    assert api.refused("POST", CLOCKS, {"frozen_time": now, "customer": customer})["param"] == "customer"


def test_an_invoice_is_paid_at_the_time_of_its_clock(world):
    """Confirming the intent of an invoice pays it at the clock's time, as paying the invoice does."""
    items = [world.subscribe(world.price(), payment_behavior="default_incomplete") for _ in range(2)]
    by_intent, by_invoice = world.invoices()
    intent = world.api.get("/v1/invoice_payments", {"invoice": by_intent["id"]})["data"][0]["payment"]["payment_intent"]
    world.api.post(f"/v1/payment_intents/{intent}/confirm", {"payment_method": "pm_card_visa"})
    world.api.post(f"/v1/invoices/{by_invoice['id']}/pay")
    assert [invoice["status_transitions"]["paid_at"] for invoice in world.invoices()] == [START, START]
    assert [world.get(item)["status"] for item in items] == ["active", "active"]


def funds(api, **form):
    """Return the statuses of the account's balance transactions."""
    return {move["status"] for move in api.get("/v1/balance_transactions", form)["data"]}


def test_what_a_payment_leads_to_happens_on_the_clock_of_its_customer(world, now):
    """A dispute, a slow refund and a hold wait for the clock; those of others wait for the sandbox's own time."""
    api, form = world.api, {"customer": world.customer}
    disputed = api.pay("pm_card_createDispute", **form)
    slow = api.pay("pm_card_pendingRefund", **form)
    refund = api.post("/v1/refunds", {"payment_intent": slow["id"]})
    held = api.pay(capture_method="manual", customer=world.customer)
    others = api.post("/v1/refunds", {"payment_intent": api.pay("pm_card_pendingRefund")["id"]})
    dispute = api.get("/v1/disputes", {"payment_intent": disputed["id"]})["data"][0]
    assert [made["created"] for made in (disputed, dispute, refund, others)] == [START, START, START, now]
    assert dispute["evidence_details"]["due_by"] == START + 7 * DAY
    assert api.get(f"/v1/refunds/{refund['id']}")["status"] == "pending"
    assert funds(api) == {"pending"}
    world.advance(START + 8 * DAY)
    assert api.get(f"/v1/refunds/{refund['id']}")["status"] == "succeeded"
    assert api.get(f"/v1/refunds/{others['id']}")["status"] == "pending"
    dispute = api.get(f"/v1/disputes/{dispute['id']}")
    assert (dispute["status"], dispute["balance_transactions"][0]["status"]) == ("lost", "available")
    assert api.get(f"/v1/payment_intents/{held['id']}")["canceled_at"] == START + 7 * DAY
    assert funds(api, source=slow["latest_charge"]) == {"available"}
    assert funds(api, source=others["id"]) == {"pending"}


def test_a_discount_moves_onto_the_clock_of_its_customer(api, now):
    """One that was there before ends by the clock; a decoy of a customer without a clock does not."""
    coupon = api.coupon(duration="repeating", duration_in_months=1)["id"]
    price = api.price(api.product()["id"], recurring={"interval": "month"})["id"]
    subscriptions = []
    for _ in range(2):
        customer = api.customer(payment_method="pm_card_visa")["id"]
        method = api.ids(f"/v1/customers/{customer}/payment_methods")[0]
        form = {"items": [{"price": price}], "default_payment_method": method, "discounts": [{"coupon": coupon}]}
        subscriptions.append(api.post("/v1/subscriptions", {"customer": customer, **form})["id"])
    clock = api.post(CLOCKS, {"frozen_time": now, "customer": customer})["id"]
    api.post(f"{CLOCKS}/{clock}/advance", {"frozen_time": plus(now, "month", 1)})
    assert [len(api.get(f"/v1/subscriptions/{each}")["discounts"]) for each in subscriptions] == [1, 0]


def test_a_clock_does_not_run_backwards(api):
    """Whatever is done to a customer on a clock has the clock's time, however late it is asked for.

    An invoice that was due before it was made is overdue when the clock moves next, and a card is detached at the time
    the clock shows (https://docs.stripe.com/billing/testing/test-clocks).
    """
    world = World(api, START)
    method = api.get(f"/v1/customers/{world.customer}/payment_methods")["data"][0]["id"]
    world.advance(START + DAY)
    form = {"customer": world.customer, "collection_method": "send_invoice", "days_until_due": 0}
    invoice = api.post("/v1/invoices", form)["id"]
    api.post("/v1/invoiceitems", {"customer": world.customer, "amount": 500, "currency": "usd", "invoice": invoice})
    world.advance(START + 2 * DAY)
    api.post(f"/v1/invoices/{invoice}/finalize")
    api.post(f"/v1/payment_methods/{method}/detach")
    world.advance(START + 3 * DAY)
    times = {event["type"]: event["created"] for event in api.events()}
    assert [times[name] for name in ("invoice.overdue", "payment_method.detached")] == [START + 2 * DAY] * 2
