"""What a schedule plans and time carries out: its discounts, its invoices, and what happens if one is refused.

Sources: https://docs.stripe.com/billing/subscriptions/subscription-schedules,
https://docs.stripe.com/billing/subscriptions/coupons, https://docs.stripe.com/billing/subscriptions/billing-mode/compare.
"""

import pytest

from reconciler.sandbox.objects.base import RETRY_FIRST
from reconciler.sandbox.settings import Settings
from tests.sandbox.billing_world import DAY, HOUR, World, at, plus

START = at(2027, 4, 1)
NEXT = plus(START, "month", 1)
PATH = "/v1/subscription_schedules"


@pytest.fixture
def world(api):
    """Return a customer with a card on a test clock."""
    return World(api, START)


def phase(price, **form):
    """Return the parameters of a phase of one month with one price."""
    item = {"price": price, **form.pop("item", {})}
    return {"items": [item], "duration": {"interval": "month", "interval_count": 1}, **form}


def form(world, *phases, **more):
    """Return the parameters of a schedule that starts now."""
    return {"customer": world.customer, "start_date": "now", "phases": list(phases), **more}


def schedule(world, *phases, **more):
    """Create a schedule that starts now."""
    return world.api.post(PATH, form(world, *phases, **more))


def subscription_of(world, made):
    """Return the subscription of a schedule as it is now."""
    return world.api.get(f"/v1/subscriptions/{made['subscription']}")


@pytest.mark.parametrize(
    ("entry", "param"),
    [
        ({"coupon": "none"}, "coupon"),
        ({"promotion_code": "none"}, "promotion_code"),
        ({"discount": "none"}, "discount"),
    ],
)
@pytest.mark.parametrize("where", ["phase", "item", "added"])
def test_a_phase_names_discounts_that_exist(world, entry, param, where):
    """An unknown one is a 400 at once, also in a phase to come, when created and when updated; a known one is taken."""
    price, single = world.price(), world.api.price(world.product)["id"]
    known = {"coupon": world.api.coupon(duration="forever")["id"]}

    def planned(one):
        places = {
            "phase": {"discounts": [one]},
            "item": {"item": {"discounts": [one]}},
            "added": {"add_invoice_items": [{"price": single, "discounts": [one]}]},
        }
        return [phase(price), phase(price, **places[where])]

    inside = {"phase": "", "item": "[items][0]", "added": "[add_invoice_items]"}[where]
    refusal = world.api.refused("POST", PATH, form(world, *planned(entry)))
    assert (refusal["status"], refusal["code"]) == (400, "resource_missing")
    assert refusal["param"] == f"phases[1]{inside}[discounts][0][{param}]"
    made = schedule(world, *planned(known))
    again = world.api.refused("POST", f"{PATH}/{made['id']}", {"phases": planned(entry)})
    assert again["param"] == refusal["param"]
    world.advance(NEXT)
    assert subscription_of(world, made)["status"] == "active"


def test_a_code_with_a_minimum_is_for_the_present_phase(world):
    """Promotion codes with a minimum amount cannot be planned ahead (coupons, "Restrictions")."""
    price, coupon = world.price(), world.api.coupon(duration="forever")["id"]
    restrictions = {"minimum_amount": 500, "minimum_amount_currency": "usd"}
    code = [{"promotion_code": world.api.code(coupon, restrictions=restrictions)["id"]}]
    refusal = world.api.refused("POST", PATH, form(world, phase(price), phase(price, discounts=code)))
    assert (refusal["status"], refusal["param"]) == (400, "phases[1][discounts][0][promotion_code]")
    made = schedule(world, phase(price, discounts=code), phase(price))
    assert len(subscription_of(world, made)["discounts"]) == 1


@pytest.mark.parametrize("skipped", [True, False])
def test_lost_phase_discounts_are_skipped(open_sandbox, account, skipped):
    """A coupon deleted before its phase is left out, or the phase waits for it; no one else is concerned either way."""
    world = World(account(open_sandbox(settings=Settings(lost_phase_discounts_are_skipped=skipped))), START)
    lost, kept = (world.api.coupon(duration="forever")["id"] for _ in range(2))
    plan = [phase(world.price()), phase(world.price(2000), discounts=[{"coupon": lost}, {"coupon": kept}])]
    made = schedule(world, *plan)
    other = World(world.api, START)
    renewed = other.subscribe(other.price())
    world.api.ok("DELETE", f"/v1/coupons/{lost}")
    world.advance(NEXT + 10 * DAY)
    other.advance(NEXT + 10 * DAY)
    assert len(other.invoices(subscription=renewed["id"])) == 2
    shown = world.api.get(f"{PATH}/{made['id']}")
    assert (shown["current_phase"]["start_date"] == NEXT) is skipped
    if not skipped:
        world.api.post("/v1/coupons", {"id": lost, "percent_off": 10, "duration": "forever"})
        world.advance(NEXT + 12 * DAY)
    subscription = subscription_of(world, made)
    discounts = subscription["discounts"]
    assert len(discounts) == (1 if skipped else 2)
    assert subscription["items"]["data"][0]["price"]["unit_amount"] == 2000


def test_what_is_refused_when_due_is_put_off(open_sandbox, account):
    """It is tried again an hour later, and goes on as soon as nothing is in its way; the sandbox's own rule."""
    world = World(account(open_sandbox(settings=Settings(lost_phase_discounts_are_skipped=False))), START)
    coupon = world.api.coupon(duration="forever")["id"]
    made = schedule(world, phase(world.price()), phase(world.price(2000), discounts=[{"coupon": coupon}]))
    world.api.ok("DELETE", f"/v1/coupons/{coupon}")
    world.advance(NEXT)
    assert world.api.get(f"{PATH}/{made['id']}")["current_phase"]["start_date"] == START
    assert "_put_off" not in world.api.get(f"{PATH}/{made['id']}")
    world.api.post("/v1/coupons", {"id": coupon, "percent_off": 10, "duration": "forever"})
    world.advance(NEXT + RETRY_FIRST - 1)
    assert world.api.get(f"{PATH}/{made['id']}")["current_phase"]["start_date"] == START
    world.advance(NEXT + RETRY_FIRST)
    assert world.api.get(f"{PATH}/{made['id']}")["current_phase"]["start_date"] == NEXT


def test_a_phase_that_bills_at_once_needs_no_payment_method(api):
    """Nobody is there to be refused: the payment fails, and the subscription is past due."""
    poor = World(api, START, None)
    paid = [phase(poor.price()), phase(poor.price(2000), billing_cycle_anchor="phase_start")]
    made = schedule(poor, *paid)
    api.post(f"/v1/invoices/{poor.invoices()[0]['id']}/pay", {"paid_out_of_band": True})
    poor.advance(NEXT)
    assert subscription_of(poor, made)["status"] == "past_due"
    assert poor.invoices()[-1]["status"] == "open"


def test_the_first_invoice_of_a_schedule_is_tried_again(api):
    """It "behaves like a recurring invoice": the subscription is past due until the last retry has failed."""
    poor = World(api, START, "pm_card_chargeCustomerFail")
    made = schedule(poor, phase(poor.price()), phase(poor.price()))
    poor.advance(START + 2 * HOUR)
    invoice = poor.invoices()[0]
    assert (invoice["attempt_count"], invoice["next_payment_attempt"]) == (1, START + HOUR + 3 * DAY)
    assert subscription_of(poor, made)["status"] == "past_due"
    poor.advance(START + 4 * DAY)
    assert poor.invoices()[0]["attempt_count"] == 2


def test_usage_up_to_a_phase_keeps_the_discounts_of_the_phase_before(world):
    """At a renewal that begins a phase usage has the old discounts, what is ahead the new ones; all the new taxes."""
    licensed, metered = world.price(1000), world.metered(10)
    half, tenth = (world.api.coupon(percent_off=percent, duration="forever")["id"] for percent in (50, 10))
    old, new = (
        world.api.post("/v1/tax_rates", {"display_name": "T", "percentage": percent, "inclusive": False})["id"]
        for percent in (10, 20)
    )
    month = {"items": [{"price": licensed}, {"price": metered}], "duration": {"interval": "month"}}
    plan = [
        {**month, "discounts": [{"coupon": half}], "default_tax_rates": [old]},
        {**month, "discounts": [{"coupon": tenth}], "default_tax_rates": [new]},
    ]
    schedule(world, *plan)
    world.use(10)
    world.advance(NEXT + 2 * HOUR)
    taken = {
        line["pricing"]["price_details"]["price"]: (
            line["amount"],
            [each["amount"] for each in line["discount_amounts"]],
            line["taxes"][0]["amount"],
        )
        for line in world.invoices()[-1]["lines"]["data"]
    }
    assert taken == {licensed: (1000, [100], 180), metered: (100, [50], 10)}
    world.use(10)
    world.advance(plus(START, "month", 2) + 2 * HOUR)
    last = {line["amount"]: line["discount_amounts"][0]["amount"] for line in world.invoices()[-1]["lines"]["data"]}
    assert last[100] == 10


def test_usage_of_an_item_that_a_phase_removes_keeps_its_discounts_too(world):
    """The removed item's usage is on the same invoice with the discounts of the phase that ends."""
    metered, licensed = world.metered(10), world.price(1000)
    half = world.api.coupon(percent_off=50, duration="forever")["id"]
    schedule(world, phase(metered, discounts=[{"coupon": half}]), phase(licensed))
    world.use(10)
    world.advance(NEXT + 2 * HOUR)
    assert world.invoices()[-1]["total"] == 1050


def test_a_phase_drops_an_update_that_waits_for_its_payment(world):
    """It is discarded and its invoice voided (pending-updates, "Pending updates and subscription schedules")."""
    cheap, dear = world.price(1000), world.price(300_000)
    days = {"interval": "day", "interval_count": 10}
    made = schedule(world, phase(cheap, duration=days), phase(cheap, metadata={"phase": "2"}))
    world.advance(START + 10 * DAY - 2 * HOUR)
    failing = world.api.post("/v1/payment_methods/pm_card_chargeCustomerFail/attach", {"customer": world.customer})
    settings = {"invoice_settings": {"default_payment_method": failing["id"]}}
    world.api.post(f"/v1/customers/{world.customer}", settings)
    subscription = subscription_of(world, made)
    items = [{"id": subscription["items"]["data"][0]["id"], "price": dear}]
    terms = {"payment_behavior": "pending_if_incomplete", "proration_behavior": "always_invoice"}
    waiting = world.update(subscription, items=items, **terms)
    assert waiting["pending_update"] is not None
    world.advance(START + 10 * DAY)
    after = subscription_of(world, made)
    assert (after["pending_update"], after["metadata"]) == (None, {"phase": "2"})
    assert world.api.get(f"/v1/invoices/{waiting['latest_invoice']}")["status"] == "void"
