"""Usage reported while its invoice is a draft.

Source: https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period, "All invoices have a default
finalization grace period of 1 hour. During the finalization grace period, you can continue to report usage for the
previous billing period. During finalization, Stripe updates the invoice to reflect the latest quantity".
"""

import pytest

from tests.sandbox.billing_world import DAY, HOUR, World, at, plus

START = at(2027, 3, 10, 12)
END = plus(START, "month", 1)
TIERS = [{"up_to": 10, "unit_amount": 5}, {"up_to": 20, "unit_amount": 3}, {"up_to": "inf", "unit_amount": 1}]


@pytest.fixture
def world(api):
    """Return a customer with a card on a test clock."""
    return World(api, START)


def shown(invoice):
    """Return quantity and amount of an invoice's lines, and its total."""
    return [(line["quantity"], line["amount"]) for line in invoice["lines"]["data"]], invoice["total"]


def test_late_usage_is_billed_with_the_period_it_is_of(world):
    """The draft has it once it is final, and no other invoice has; usage of the new period waits for its own."""
    world.subscribe(world.metered(10))
    world.advance(END)
    draft = world.invoices()[-1]
    assert (draft["status"], shown(draft)) == ("draft", ([(0, 0)], 0))
    world.use(7, END - 60)
    world.use(100, END)
    assert shown(world.invoices()[-1]) == ([(0, 0)], 0)
    world.advance(END + HOUR)
    final = world.invoices()[-1]
    assert (final["id"], final["status"], final["amount_paid"]) == (draft["id"], "paid", 70)
    assert shown(final) == ([(7, 70)], 70)
    assert [line["id"] for line in final["lines"]["data"]] == [line["id"] for line in draft["lines"]["data"]]
    assert final["lines"]["data"][0]["description"].startswith("7 ")
    world.advance(plus(START, "month", 2) + HOUR)
    assert [shown(invoice) for invoice in world.invoices()] == [([(7, 70)], 70), ([(100, 1000)], 1000)]


def test_usage_after_finalization_is_too_late(world):
    """What is reported once the invoice is final is on neither this invoice nor the next (same page)."""
    world.subscribe(world.metered(10))
    world.advance(END + HOUR)
    world.use(7, END - 60)
    world.advance(plus(START, "month", 2) + HOUR)
    assert [invoice["total"] for invoice in world.invoices()] == [0, 0]


def test_usage_taken_back_in_time_is_not_billed(world):
    """An event cancelled while the invoice is a draft is off it when that becomes final."""
    world.subscribe(world.metered(10))
    world.advance(START + DAY)
    payload = {"stripe_customer_id": world.customer, "value": "7"}
    for identifier in ("kept", "taken back"):
        form = {"event_name": "calls", "identifier": identifier, "payload": payload, "timestamp": START + DAY}
        world.api.post("/v1/billing/meter_events", form)
    world.advance(END)
    assert shown(world.invoices()[-1]) == ([(14, 140)], 140)
    form = {"event_name": "calls", "type": "cancel", "cancel": {"identifier": "taken back"}}
    world.api.post("/v1/billing/meter_event_adjustments", form)
    world.advance(END + HOUR)
    assert shown(world.invoices()[-1]) == ([(7, 70)], 70)


@pytest.mark.parametrize(("before", "late"), [(2, 23), (15, 10), (25, -20), (25, 5)])
@pytest.mark.parametrize("mode", ["graduated", "volume"])
def test_late_usage_can_reach_another_tier(world, mode, before, late):
    """Lines come and go with the tiers; the seats beside them keep their line, discount and place."""
    meter = world.api.meter()["id"]
    recurring = {"usage_type": "metered", "meter": meter}
    tiered = {"tiers": TIERS, "tiers_mode": mode, "billing_scheme": "tiered"}
    usage, seats, other = world.price(None, recurring=recurring, **tiered), world.price(2000), World(world.api, START)
    coupon = world.api.coupon(percent_off=50)["id"]
    for each in (world, other):
        each.subscribe({"price": usage, "discounts": [{"coupon": coupon}]}, seats)
    world.advance(START + DAY)
    world.use(before)
    world.advance(END)
    world.use(late, START + 2 * DAY)
    world.advance(END + HOUR)
    other.advance(START + 2 * DAY)
    other.use(before, START + DAY)
    other.use(late)
    other.advance(END + HOUR)
    ours, theirs = world.invoices()[-1], other.invoices()[-1]
    assert shown(ours) == shown(theirs)
    names = ("description", "period", "pricing", "subtotal")
    assert [[line[name] for name in names] for line in ours["lines"]["data"]] == [
        [line[name] for name in names] for line in theirs["lines"]["data"]
    ]


def test_an_amount_set_by_hand_stays(world):
    """A line of usage whose amount a request has set is no count any more; the one beside it still is."""
    world.subscribe(world.metered(10), world.metered(20, "mails"))
    world.advance(END)
    draft = world.invoices()[-1]
    mails, calls = draft["lines"]["data"]
    world.api.post(f"/v1/invoices/{draft['id']}/lines/{calls['id']}", {"amount": 500})
    world.use(3, END - 60)
    world.use(4, END - 60, "mails")
    world.advance(END + HOUR)
    assert [line["amount"] for line in world.invoices()[-1]["lines"]["data"]] == [80, 500]
    assert mails["amount"] == 0


def test_the_last_usage_of_an_ended_subscription_has_its_hour_too(world):
    """Also without any usage by then, the end of the last period makes a draft, on which late usage is billed.

    Invoices of a cycle have all items of usage, those of nothing too
    (https://docs.stripe.com/billing/subscriptions/billing-mode/compare).
    """
    subscription = world.subscribe(world.metered(10), world.metered(20, "mails"))
    world.update(subscription, cancel_at_period_end=True)
    world.use(1, event_name="mails")
    world.advance(END)
    assert world.get(subscription)["status"] == "canceled"
    world.use(7, END - 60)
    world.advance(END + HOUR)
    assert shown(world.invoices()[-1]) == ([(1, 20), (7, 70)], 90)
    assert world.invoices()[-1]["status"] == "paid"


def test_credits_pay_for_late_usage(world):
    """A grant is used for what the invoice finally comes to."""
    world.api.post(
        "/v1/billing/credit_grants",
        {
            "customer": world.customer,
            "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 100}},
            "applicability_config": {"scope": {"price_type": "metered"}},
        },
    )
    world.subscribe(world.metered(10))
    world.advance(END)
    world.use(17, END - 60)
    world.advance(END + HOUR)
    invoice = world.invoices()[-1]
    assert (invoice["subtotal"], invoice["total"]) == (170, 70)
