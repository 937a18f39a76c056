"""Times and durations that no calendar has are refused, not counted with; ordinary ones beside them pass."""

import pytest

FAR = (-1, -(2**40), 2**40, 2**62)


def payer(api):
    """Create a customer who can pay."""
    card = "pm_card_visa"
    form = {"payment_method": card, "invoice_settings": {"default_payment_method": card}}
    return api.post("/v1/customers", form)["id"]


@pytest.mark.parametrize("time", FAR)
def test_a_clock_stands_at_a_time_that_can_be(api, now, time):
    """A test clock starts at no time before 1970 or far beyond any calendar, and at an ordinary one."""
    error = api.refused("POST", "/v1/test_helpers/test_clocks", {"frozen_time": time})
    assert (error["status"], error["param"]) == (400, "frozen_time")
    assert api.post("/v1/test_helpers/test_clocks", {"frozen_time": now})["status"] == "ready"


@pytest.mark.parametrize("time", FAR)
@pytest.mark.parametrize("name", ["backdate_start_date", "cancel_at", "billing_cycle_anchor", "trial_end"])
def test_a_subscription_has_times_that_can_be(api, name, time):
    """Every time of a subscription is refused by its name when it cannot be counted with."""
    price = api.price(api.product()["id"], recurring={"interval": "week"})["id"]
    form = {"customer": payer(api), "items": [{"price": price}]}
    error = api.refused("POST", "/v1/subscriptions", {**form, name: time})
    assert (error["status"], error["param"]) == (400, name)
    assert api.post("/v1/subscriptions", form)["status"] == "active"


@pytest.mark.parametrize("start", FAR)
def test_a_schedule_starts_when_it_can(api, start):
    """A schedule's start is a time that can be counted with."""
    price = api.price(api.product()["id"], recurring={"interval": "month"})["id"]
    phase = {"items": [{"price": price}], "duration": {"interval": "month", "interval_count": 1}}
    form = {"customer": payer(api), "phases": [phase]}
    assert api.refused("POST", "/v1/subscription_schedules", {**form, "start_date": start})["param"] == "start_date"
    assert api.post("/v1/subscription_schedules", {**form, "start_date": "now"})["status"] == "active"


def test_a_duration_ends_before_calendars_do(api):
    """A hundred thousand years of a phase or a million months of a coupon are a refusal, a year is none."""
    price = api.price(api.product()["id"], recurring={"interval": "month"})["id"]
    customer = payer(api)

    def schedule(years):
        phase = {"items": [{"price": price}], "duration": {"interval": "year", "interval_count": years}}
        form = {"customer": customer, "start_date": "now", "phases": [phase]}
        return api.send("POST", "/v1/subscription_schedules", form).status

    assert (schedule(100_000), schedule(1)) == (400, 200)

    def subscribe(months):
        coupon = api.coupon(duration="repeating", duration_in_months=months)["id"]
        form = {"customer": customer, "items": [{"price": price}], "discounts": [{"coupon": coupon}]}
        return api.send("POST", "/v1/subscriptions", form).status

    assert (subscribe(1_000_000), subscribe(12)) == (400, 200)
