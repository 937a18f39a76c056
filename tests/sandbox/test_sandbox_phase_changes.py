"""What a phase that begins by itself bills, in each billing mode.

Source: https://docs.stripe.com/billing/subscriptions/billing-mode/compare, "Bill for unbilled usage when removing
usage-based items" and "Consolidated invoicing for subscription schedule phase transitions with usage-based items".
"""

import pytest

from reconciler.sandbox import Settings
from tests.sandbox.billing_world import DAY, HOUR, World, at, plus

START = at(2027, 4, 1)
NEXT = plus(START, "month", 1)
HALF = START + 15 * DAY


@pytest.fixture
def world(api):
    """Return a customer with a card on a test clock."""
    return World(api, START)


def change(world, old, new, mode, when=NEXT, **form):
    """Let a phase with half off and one without follow each other while 5 are used in the first and 2 in the second.

    The phases are prices, the second begins at a time. Return what the invoices after the first one have, line by line,
    less discounts; each must be paid.
    """
    coupon = world.api.coupon(percent_off=50, duration="forever")["id"]
    phases = [
        {"items": [{"price": each} for each in old], "discounts": [{"coupon": coupon}], "end_date": when},
        {"items": [{"price": each} for each in new], "end_date": plus(START, "month", 3), **form},
    ]
    schedule = {"customer": world.customer, "start_date": "now", "phases": phases, "billing_mode": {"type": mode}}
    world.api.post("/v1/subscription_schedules", schedule)
    first = world.invoices()
    world.advance(START + DAY)
    world.use(5)
    world.advance(when + DAY)
    world.use(2)
    world.advance(plus(START, "month", 2) + HOUR)
    later = world.invoices()[len(first) :]
    assert {invoice["status"] for invoice in later} == {"paid"}
    return [[_net(line) for line in invoice["lines"]["data"]] for invoice in later]


def _net(line):
    return line["amount"] - sum(each["amount"] for each in line["discount_amounts"])


@pytest.mark.parametrize(("mode", "billed"), [("classic", [[25], [1500]]), ("flexible", [[25, 1500]])])
def test_removed_usage_is_billed_when_a_phase_begins_with_a_period(world, mode, billed):
    """Classic mode makes two invoices, flexible mode one; usage has the discount of its phase, seats of theirs."""
    seats, usage = world.price(1000), world.metered(10)
    assert change(world, [seats, usage], [world.price(1500)], mode) == [*billed, [1500]]


@pytest.mark.parametrize(("mode", "billed"), [("classic", [[25], [1000]]), ("flexible", [[25, 1000]])])
def test_usage_that_goes_on_is_billed_when_a_phase_begins_with_a_period(world, mode, billed):
    """So does an item of usage that both phases have; the usage of the second is billed with its own period."""
    seats, usage = world.price(1000), world.metered(10)
    assert change(world, [seats, usage], [seats, usage], mode) == [*billed, [20, 1000]]


@pytest.mark.parametrize("mode", ["classic", "flexible"])
def test_usage_has_the_price_of_its_phase(world, mode):
    """A phase that prices the same meter otherwise leaves what was used before it at the price of before.

    Without seats there is nothing for a second invoice.
    """
    meter = world.api.meter()["id"]
    recurring = {"usage_type": "metered", "meter": meter}
    cheap, dear = world.price(10, recurring=recurring), world.price(100, recurring=recurring)
    assert change(world, [cheap], [dear], mode) == [[25], [200]]


@pytest.mark.parametrize(
    ("behavior", "mode", "billed"),
    [
        *((behavior, "classic", [[25], [1000]]) for behavior in ("create_prorations", "none", "always_invoice")),
        ("create_prorations", "flexible", [[50, 1000]]),
        ("always_invoice", "flexible", [[50], [1000]]),
        ("none", "flexible", [[1000]]),
    ],
)
def test_removed_usage_is_billed_when_a_phase_begins_within_a_period(world, behavior, mode, billed):
    """In classic mode it has an invoice whatever the phase's behavior is, in flexible mode it follows that.

    A pending item is no line of a subscription item, and takes no discount that is gone by its invoice.
    """
    seats, usage = world.price(1000), world.metered(10)
    found = change(world, [seats, usage], [seats], mode, HALF, proration_behavior=behavior)
    assert found == [*billed, [1000]]


def test_usage_that_goes_on_waits_for_the_end_of_its_period(world):
    """A phase that begins within a period bills nothing of an item that it leaves as it was; all is billed once."""
    seats, usage = world.price(1000), world.metered(10)
    assert change(world, [seats, usage], [seats, usage], "classic", HALF) == [[70, 1000], [0, 1000]]


def test_nothing_used_makes_no_invoice_within_a_period(world):
    """Classic mode bills "unbilled usage": an item removed without any has no invoice."""
    seats, other = world.price(1000), world.metered(10, "mails")
    world.api.meter()
    assert change(world, [seats, other], [seats], "classic", HALF) == [[1000], [1000]]


def test_a_request_bills_no_removed_usage_in_classic_mode(world):
    """An update of a schedule makes "no invoice item or invoice" for what it removes."""
    seats, usage = world.price(1000), world.metered(10)
    subscription = world.subscribe(seats, usage, billing_mode={"type": "classic"})
    schedule = world.api.post("/v1/subscription_schedules", {"from_subscription": subscription["id"]})["id"]
    world.advance(START + DAY)
    world.use(5)
    phases = [{"start_date": START, "items": [{"price": seats}], "end_date": NEXT}]
    world.api.post(f"/v1/subscription_schedules/{schedule}", {"phases": phases})
    world.advance(NEXT + HOUR)
    assert [invoice["total"] for invoice in world.invoices()] == [1000, 1000]


def test_a_trial_that_a_phase_ends_bills_no_usage(world):
    """Usage on trial is free also where a phase takes the item away (docs: trials)."""
    seats, usage = world.price(1000), world.metered(10)
    phases = [
        {"items": [{"price": seats}, {"price": usage}], "end_date": HALF, "trial": True},
        {"items": [{"price": seats}], "end_date": plus(START, "month", 3)},
    ]
    form = {"customer": world.customer, "start_date": "now", "phases": phases, "billing_mode": {"type": "classic"}}
    world.api.post("/v1/subscription_schedules", form)
    world.advance(START + DAY)
    world.use(5)
    world.advance(HALF + HOUR)
    assert [invoice["total"] for invoice in world.invoices()] == [0, 1000]


@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("archived", ["item", "added", "first"])
def test_archived_phase_prices_are_used(open_sandbox, account, used, archived):
    """A phase begins with the prices it was planned with, or waits until they are active again; the decoy does not.

    Of prices archived before they begin the documentation says only that they "can't be added to new invoices or
    subscriptions" (products-prices/manage-prices); a new phase with such a price is refused either way.
    """
    api = account(open_sandbox(settings=Settings(archived_phase_prices_are_used=used)))
    world, decoy = World(api, START), World(api, START)
    old, new, kept = world.price(1000), world.price(2000), world.price(3000)
    once = api.price(world.product, unit_amount=400)["id"]
    begins = HALF if archived == "first" else START
    for each, second in ((world, new), (decoy, kept)):
        added = {"add_invoice_items": [{"price": once}]} if each is world and archived == "added" else {}
        first = [{"items": [{"price": old}], "end_date": NEXT}] if begins == START else []
        phases = [*first, {"items": [{"price": second}], "end_date": plus(START, "month", 3), **added}]
        api.post("/v1/subscription_schedules", {"customer": each.customer, "start_date": begins, "phases": phases})
    gone = once if archived == "added" else new
    api.post(f"/v1/prices/{gone}", {"active": False})
    month = plus(begins, "month", 1) if first else HALF
    for each in (world, decoy):
        each.advance(month + 2 * HOUR)
    assert decoy.invoices()[-1]["total"] == 3000
    begun = 2400 if archived == "added" else 2000
    assert [invoice["total"] for invoice in world.invoices()][-1:] == ([begun] if used else [1000] * bool(first))
    form = {"customer": world.customer, "start_date": "now", "phases": [{"items": [{"price": new}]}]}
    if archived != "added":
        assert api.refused("POST", "/v1/subscription_schedules", form)["param"] == "phases[0][items][0][price]"
    api.post(f"/v1/prices/{gone}", {"active": True})
    world.advance(month + 26 * HOUR)
    held = api.get("/v1/subscriptions", {"customer": world.customer})["data"]
    assert [item["price"]["id"] for each in held for item in each["items"]["data"]] == [new]
