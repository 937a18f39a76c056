"""How many, how long and how often: limits that Stripe documents, each with the value just inside it."""

import pytest

from tests.sandbox.billing_world import DAY, HOUR, World, at

START = at(2027, 3, 1)


@pytest.fixture
def world(api):
    """Return a customer with a card on a test clock."""
    return World(api, START)


def test_an_event_can_be_retrieved_for_thirty_days(open_sandbox, account, now):
    """An event is there on the thirtieth day and a 404 a second later (the endpoint's description)."""
    time = [now]
    api = account(open_sandbox(clock=lambda: time[0]))
    api.product()
    (event,) = api.events()
    time[0] = now + 30 * DAY
    assert api.get(f"/v1/events/{event['id']}")["id"] == event["id"]
    time[0] += 1
    error = api.refused("GET", f"/v1/events/{event['id']}")
    assert (error["status"], error["code"]) == (404, "resource_missing")


def test_a_clock_has_three_customers_however_they_come(api):
    """One customer put on a new clock leaves room for two (https://docs.stripe.com/billing/testing/test-clocks)."""
    first = api.customer()["id"]
    clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": START, "customer": first})["id"]
    for _ in range(2):
        api.customer(test_clock=clock)
    assert api.refused("POST", "/v1/customers", {"test_clock": clock})["param"] == "test_clock"


def test_a_customer_on_a_clock_has_three_subscriptions(world):
    """The fourth is refused until one has ended (https://docs.stripe.com/billing/testing/test-clocks)."""
    price = world.price()
    subscriptions = [world.subscribe(price) for _ in range(3)]
    assert world.refused(price)["param"] == "customer"
    world.api.ok("DELETE", f"/v1/subscriptions/{subscriptions[0]['id']}")
    assert world.subscribe(price)["status"] == "active"


@pytest.mark.parametrize("count", [3, 4])
def test_a_customer_is_put_on_a_clock_with_three_subscriptions(api, count):
    """A customer who has more cannot be put on a clock; off clocks there may be more than three."""
    customer = api.customer(payment_method="pm_card_visa", invoice_settings={"default_payment_method": "pm_card_visa"})
    price = api.price(api.product()["id"], recurring={"interval": "month"})["id"]
    for _ in range(count):
        api.post("/v1/subscriptions", {"customer": customer["id"], "items": [{"price": price}]})
    reply = api.send("POST", "/v1/test_helpers/test_clocks", {"frozen_time": START, "customer": customer["id"]})
    assert reply.status == (200 if count == 3 else 400)


def test_a_line_has_five_tax_rates(api):
    """A sixth rate is refused on an item and on an invoice (https://docs.stripe.com/tax/tax-rates)."""
    form = {"display_name": "VAT", "percentage": 1, "inclusive": False}
    rates = [api.post("/v1/tax_rates", form)["id"] for _ in range(6)]
    item = {"customer": api.customer()["id"], "amount": 1000}
    assert len(api.post("/v1/invoiceitems", {**item, "tax_rates": rates[:5]})["tax_rates"]) == 5
    assert api.refused("POST", "/v1/invoiceitems", {**item, "tax_rates": rates})["param"] == "tax_rates"
    bill = {"customer": item["customer"], "default_tax_rates": rates}
    assert api.refused("POST", "/v1/invoices", bill)["param"] == "default_tax_rates"


def test_a_trial_has_730_days(world):
    """730 days are taken, 731 are not, though two years of them may be (docs: free trials)."""
    price = world.price()
    assert world.subscribe(price, trial_period_days=730)["status"] == "trialing"
    assert world.refused(price, trial_period_days=731)["param"] == "trial_period_days"
    form = {"line_items": [{"price": price, "quantity": 1}], "subscription_data": {"trial_period_days": 731}}
    assert world.api.refused("POST", "/v1/payment_links", form)["param"] == "subscription_data[trial_period_days]"


@pytest.mark.parametrize("path", ["/v1/payment_links", "/v1/checkout/sessions"])
@pytest.mark.parametrize("other", [("year", 1), ("month", 3)])
def test_what_is_sold_together_has_one_interval(world, path, other):
    """Prices of two intervals, or of two counts of one, are not sold on a page; two of the same cycle are.

    Source: https://docs.stripe.com/billing/subscriptions/mixed-interval (limitations).
    """
    session = {"mode": "subscription", "success_url": "https://example.com"} if "checkout" in path else {}
    monthly, same, different = world.price(), world.price(2000), world.price(9000, *other)
    for second, fits in ((same, True), (different, False)):
        lines = [{"price": price, "quantity": 1} for price in (monthly, second)]
        reply = world.api.send("POST", path, {**session, "line_items": lines})
        assert (reply.status == 200) is fits


@pytest.mark.parametrize(
    ("method", "charges"), [("pm_card_authenticationRequired", 1), ("pm_card_chargeCustomerFail", 4)]
)
def test_a_card_that_is_refused_for_good_is_not_charged_again(world, method, charges):
    """Retries are counted and told of, but only after a soft decline does each make a charge.

    Source: https://docs.stripe.com/billing/revenue-recovery/smart-retries (hard decline codes).
    """
    api = world.api
    world.subscribe(world.price())
    bad = api.post(f"/v1/payment_methods/{method}/attach", {"customer": world.customer})["id"]
    api.post(f"/v1/customers/{world.customer}", {"invoice_settings": {"default_payment_method": bad}})
    world.advance(at(2027, 4, 1) + 16 * DAY + 2 * HOUR)
    renewal = world.invoices()[-1]
    failed = [one for one in api.get("/v1/charges", {"customer": world.customer})["data"] if one["status"] == "failed"]
    assert (renewal["attempt_count"], len(failed)) == (4, charges)
    assert len(api.events(type="invoice.payment_failed")) == 4


def test_another_card_is_charged_at_the_next_retry(world):
    """After a card that was refused for good the customer's new default pays by itself."""
    api = world.api
    world.subscribe(world.price())
    bad = api.post("/v1/payment_methods/pm_card_authenticationRequired/attach", {"customer": world.customer})["id"]
    api.post(f"/v1/customers/{world.customer}", {"invoice_settings": {"default_payment_method": bad}})
    world.advance(at(2027, 4, 2))
    good = api.post("/v1/payment_methods/pm_card_visa/attach", {"customer": world.customer})["id"]
    api.post(f"/v1/customers/{world.customer}", {"invoice_settings": {"default_payment_method": good}})
    world.advance(at(2027, 4, 6))
    assert (world.invoices()[-1]["status"], world.invoices()[-1]["attempt_count"]) == ("paid", 2)
