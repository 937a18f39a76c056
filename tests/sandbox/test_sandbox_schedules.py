"""Subscription schedules (https://docs.stripe.com/billing/subscriptions/subscription-schedules)."""

import pytest

from reconciler.sandbox.settings import Settings
from tests.sandbox.billing_world import DAY, HOUR, World, at, plus

START = at(2027, 4, 1)
PATH = "/v1/subscription_schedules"


@pytest.fixture
def world(api):
    """Return a customer with a card on a test clock."""
    return World(api, START)


def schedule(world, *phases, **form):
    """Create a schedule of the world's customer that starts now."""
    return world.api.post(PATH, {"customer": world.customer, "start_date": "now", "phases": list(phases), **form})


def phase(price, months=1, **form):
    """Return the parameters of a phase with one price."""
    item = {"price": price, **form.pop("item", {})}
    return {"items": [item], "duration": {"interval": "month", "interval_count": months}, **form}


def shown(world, schedule):
    """Return a schedule as it is now."""
    return world.api.get(f"{PATH}/{schedule['id']}")


def subscription_of(world, schedule):
    """Return the subscription of a schedule as it is now."""
    return world.api.get(f"/v1/subscriptions/{shown(world, schedule)['subscription']}")


def test_a_schedule_is_complete(world):
    """Every field of the documented object is there; the subscription has started, its first invoice is a draft."""
    price = world.price()
    made = schedule(world, phase(price, 3), metadata={"a": "b"})
    no_settings = dict.fromkeys(("account_tax_ids", "custom_fields", "days_until_due", "description", "footer"))
    assert made == {
        "id": made["id"],
        "object": "subscription_schedule",
        "application": None,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "canceled_at": None,
        "completed_at": None,
        "created": START,
        "current_phase": {"end_date": plus(START, "month", 3), "start_date": START},
        "customer": world.customer,
        "customer_account": None,
        "default_settings": {
            "application_fee_percent": None,
            "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": None,
            "collection_method": "charge_automatically",
            "default_payment_method": None,
            "description": None,
            "invoice_settings": {**no_settings, "issuer": {"type": "self"}},
            "on_behalf_of": None,
            "transfer_data": None,
        },
        "end_behavior": "release",
        "livemode": False,
        "metadata": {"a": "b"},
        "pause_schedules": [],
        "phases": [
            {
                "add_invoice_items": [],
                "application_fee_percent": None,
                "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
                "billing_cycle_anchor": None,
                "billing_thresholds": None,
                "collection_method": None,
                "currency": "usd",
                "default_payment_method": None,
                "default_tax_rates": [],
                "description": None,
                "discounts": [],
                "end_date": plus(START, "month", 3),
                "invoice_settings": None,
                "items": [
                    {
                        "billing_thresholds": None,
                        "discounts": [],
                        "metadata": {},
                        "price": price,
                        "quantity": 1,
                        "tax_rates": [],
                    }
                ],
                "metadata": {},
                "on_behalf_of": None,
                "proration_behavior": "create_prorations",
                "start_date": START,
                "transfer_data": None,
                "trial_end": None,
            }
        ],
        "released_at": None,
        "released_subscription": None,
        "status": "active",
        "subscription": made["subscription"],
        "test_clock": world.clock,
    }
    subscription = subscription_of(world, made)
    assert (subscription["status"], subscription["schedule"]) == ("active", made["id"])
    assert [invoice["status"] for invoice in world.invoices()] == ["draft"]
    world.advance(START + HOUR)
    assert [invoice["status"] for invoice in world.invoices()] == ["paid"]


def test_a_schedule_can_start_later(world):
    """Until its start there is no subscription; ``scheduled`` finds it and not the one that runs."""
    later = schedule(world, phase(world.price()), start_date=START + 10 * DAY)
    running = schedule(world, phase(world.price()))
    assert (later["status"], later["subscription"], later["current_phase"]) == ("not_started", None, None)
    own = {"customer": world.customer}
    assert world.api.ids(PATH, {**own, "scheduled": True}) == [later["id"]]
    assert world.api.ids(PATH, {**own, "scheduled": False}) == [running["id"]]
    world.advance(START + 10 * DAY)
    started = subscription_of(world, later)
    assert (shown(world, later)["status"], started["start_date"]) == ("active", START + 10 * DAY)


def test_a_schedule_can_start_in_the_past(world):
    """The subscription is backdated to it."""
    begins = plus(START, "month", -1)
    made = schedule(world, phase(world.price(), 3), start_date=begins)
    assert subscription_of(world, made)["start_date"] == begins
    assert world.invoices()[0]["total"] == 2000


def test_phases_follow_each_other(world):
    """At the end of a phase the next price is billed for whole periods, without prorations at a boundary."""
    made = schedule(world, phase(world.price(1000), 2), phase(world.price(2500), 1, item={"quantity": 2}))
    world.advance(plus(START, "month", 2))
    assert shown(world, made)["current_phase"]["start_date"] == plus(START, "month", 2)
    assert [invoice["total"] for invoice in world.invoices()] == [1000, 1000, 5000]
    assert subscription_of(world, made)["items"]["data"][0]["quantity"] == 2
    assert world.pending() == []


@pytest.mark.parametrize(
    ("behavior", "waiting", "count"),
    [("create_prorations", [-500, 1000], 1), ("always_invoice", [], 2), ("none", [], 1)],
)
def test_a_phase_says_how_its_beginning_is_prorated(world, behavior, waiting, count):
    """A phase that begins halfway through a period prorates as its own ``proration_behavior`` says."""
    half = START + 15 * DAY
    first = {"items": [{"price": world.price(1000)}], "end_date": half}
    schedule(world, first, phase(world.price(2000), proration_behavior=behavior))
    world.advance(half)
    assert sorted(item["amount"] for item in world.pending()) == waiting
    assert len(world.invoices()) == count


def test_a_removed_metered_item_is_billed_with_the_renewal(world):
    """One consolidated invoice has the usage of the old phase and the seats of the new one (billing-mode/compare)."""
    made = schedule(
        world,
        {"items": [{"price": world.price(1000)}, {"price": world.metered(10)}], "duration": {"interval": "month"}},
        phase(world.price(1500)),
    )
    world.use(9)
    world.advance(plus(START, "month", 1))
    assert [invoice["total"] for invoice in world.invoices()] == [1000, 1590]
    assert len(subscription_of(world, made)["items"]["data"]) == 1


def test_metadata_of_phases_is_added_changed_and_unset(world):
    """The documented example: ``upsell-products`` goes, ``region`` stays, ``channel`` changes."""
    price = world.price()
    first = phase(price, metadata={"channel": "self-serve", "region": "apac", "upsell-products": "alpha"})
    second = phase(price, metadata={"channel": "sales", "churn-risk": "high", "upsell-products": ""})
    made = schedule(world, first, second)
    assert subscription_of(world, made)["metadata"] == first["metadata"]
    world.advance(plus(START, "month", 1))
    assert subscription_of(world, made)["metadata"] == {"channel": "sales", "churn-risk": "high", "region": "apac"}
    assert shown(world, made)["phases"][1]["metadata"]["upsell-products"] == ""


def test_discounts_belong_to_their_phase(world):
    """A coupon of the first phase is gone in the second; one of both phases is redeemed once."""
    coupon = world.api.coupon(percent_off=50, duration="forever")["id"]
    lasting = world.api.coupon(percent_off=10, duration="forever")["id"]
    off, on = [{"coupon": coupon}], [{"coupon": lasting}]
    price = world.price()
    schedule(world, phase(price, discounts=off), phase(price))
    other = World(world.api, START)
    schedule(other, phase(other.price(), discounts=on), phase(other.price(), discounts=on))
    for each in (world, other):
        each.advance(plus(START, "month", 1))
    assert [invoice["total"] for invoice in world.invoices()] == [500, 1000]
    assert [invoice["total"] for invoice in other.invoices()] == [900, 900]
    assert world.api.get(f"/v1/coupons/{lasting}")["times_redeemed"] == 1


def test_a_phase_can_be_a_trial(world):
    """``trial`` makes the whole phase free; the next one bills from its beginning."""
    price = world.price()
    made = schedule(world, phase(price, trial=True), phase(price, 2))
    assert made["phases"][0]["trial_end"] == plus(START, "month", 1)
    assert subscription_of(world, made)["status"] == "trialing"
    world.advance(plus(START, "month", 1))
    assert subscription_of(world, made)["status"] == "active"
    assert [invoice["total"] for invoice in world.invoices()] == [0, 1000]


def test_a_phase_adds_single_charges(world):
    """``add_invoice_items`` of a phase are on its next invoice, with the phase's own dates where asked for."""
    once = world.api.price(world.product, unit_amount=700)["id"]
    period = {"start": {"type": "phase_start"}, "end": {"type": "phase_end"}}
    price = world.price()
    schedule(world, phase(price), phase(price, 2, add_invoice_items=[{"price": once, "period": period}]))
    world.advance(plus(START, "month", 1))
    invoice = world.invoices()[-1]
    assert invoice["total"] == 1700
    added = next(line for line in invoice["lines"]["data"] if line["amount"] == 700)
    assert added["period"] == {"start": plus(START, "month", 1), "end": plus(START, "month", 3)}


def test_a_phase_can_reset_the_anchor(world):
    """``phase_start`` begins a new period with the phase, ``automatic`` leaves the anchor where it is."""
    half = START + 15 * DAY
    price = world.price(3000)
    for anchor, wanted in (("phase_start", half), ("automatic", START)):
        fresh = World(world.api, START)
        first = {"items": [{"price": price}], "end_date": half}
        made = schedule(fresh, first, phase(price, 2, billing_cycle_anchor=anchor))
        fresh.advance(half)
        assert subscription_of(fresh, made)["billing_cycle_anchor"] == wanted


def test_the_end_is_announced_a_week_before(world):
    """``subscription_schedule.expiring`` comes once, seven days before the last phase ends."""
    schedule(world, phase(world.price(), 2))
    end = plus(START, "month", 2)
    world.advance(end - 7 * DAY - 1)
    assert "subscription_schedule.expiring" not in world.types("subscription_schedule.")
    world.advance(end - 7 * DAY)
    assert world.types("subscription_schedule.")[-1] == "subscription_schedule.expiring"
    world.advance(end + HOUR)
    assert world.types("subscription_schedule.").count("subscription_schedule.expiring") == 1


@pytest.mark.parametrize("released", [True, False])
def test_finished_schedule_is_released(open_sandbox, account, released):
    """After its last phase the subscription goes on alone; the schedule is released, or completed by the setting."""
    world = World(account(open_sandbox(settings=Settings(finished_schedule_is_released=released))), START)
    made = schedule(world, phase(world.price()))
    subscription = made["subscription"]
    world.advance(plus(START, "month", 1))
    done, kept = shown(world, made), world.api.get(f"/v1/subscriptions/{subscription}")
    assert (kept["status"], kept["schedule"]) == ("active", None)
    assert done["status"] == ("released" if released else "completed")
    if released:
        assert (done["released_subscription"], done["subscription"]) == (subscription, None)
    assert world.types("subscription_schedule.")[-1] == f"subscription_schedule.{done['status']}"
    world.advance(plus(START, "month", 2))
    assert len(world.invoices()) == 3


def test_a_schedule_can_end_its_subscription(world):
    """``end_behavior=cancel`` sets the end when the last phase begins, and both are over then."""
    price = world.price()
    made = schedule(world, phase(price), phase(price), end_behavior="cancel")
    assert subscription_of(world, made)["cancel_at"] is None
    world.advance(plus(START, "month", 1))
    end = plus(START, "month", 2)
    assert subscription_of(world, made)["cancel_at"] == end
    world.advance(end)
    assert (shown(world, made)["status"], shown(world, made)["completed_at"]) == ("completed", end)
    assert world.api.get(f"/v1/subscriptions/{made['subscription']}")["status"] == "canceled"
    assert len(world.invoices()) == 2


def test_release_lets_go_and_cancel_ends(world):
    """A released subscription goes on without the end the schedule set; a canceled one is over, its rest credited."""
    price = world.price(3000)
    kept, gone = (schedule(world, phase(price), end_behavior="cancel") for _ in range(2))
    world.advance(START + 10 * DAY)
    released = world.api.post(f"{PATH}/{kept['id']}/release")
    assert (released["status"], released["released_at"]) == ("released", START + 10 * DAY)
    subscription = world.api.get(f"/v1/subscriptions/{kept['subscription']}")
    assert (subscription["cancel_at"], subscription["schedule"]) == (None, None)
    canceled = world.api.post(f"{PATH}/{gone['id']}/cancel")
    assert (canceled["status"], canceled["canceled_at"]) == ("canceled", START + 10 * DAY)
    assert world.api.get(f"/v1/subscriptions/{gone['subscription']}")["status"] == "canceled"
    assert world.invoices()[-1]["total"] == -2000
    for made in (kept, gone):
        for verb in ("release", "cancel"):
            assert world.api.refused("POST", f"{PATH}/{made['id']}/{verb}")["status"] == 400


def test_the_end_a_schedule_set_can_be_kept(world):
    """``preserve_cancel_date`` leaves the end in place."""
    made = schedule(world, phase(world.price()), end_behavior="cancel")
    world.api.post(f"{PATH}/{made['id']}/release", {"preserve_cancel_date": True})
    subscription = world.api.get(f"/v1/subscriptions/{made['subscription']}")
    assert subscription["cancel_at"] == plus(START, "month", 1)


def test_an_unstarted_schedule_can_be_canceled(world):
    """It never starts."""
    made = schedule(world, phase(world.price()), start_date=START + DAY)
    world.api.post(f"{PATH}/{made['id']}/cancel")
    world.advance(START + 2 * DAY)
    assert shown(world, made)["subscription"] is None
    assert world.invoices() == []


def test_a_running_subscription_can_get_a_schedule(world):
    """One phase mirrors its present period; a second schedule, or another parameter beside, is refused."""
    coupon = world.api.coupon(percent_off=10, duration="forever")["id"]
    price = world.price()
    subscription = world.subscribe({"price": price, "quantity": 3}, discounts=[{"coupon": coupon}])
    made = world.api.post(PATH, {"from_subscription": subscription["id"]})
    only = made["phases"][0]
    assert (only["start_date"], only["end_date"]) == (START, plus(START, "month", 1))
    assert (only["items"][0]["price"], only["items"][0]["quantity"]) == (price, 3)
    assert (made["status"], world.get(subscription)["schedule"]) == ("active", made["id"])
    form = {"from_subscription": subscription["id"]}
    assert world.api.refused("POST", PATH, form)["param"] == "from_subscription"
    other = world.subscribe(world.price())["id"]
    assert world.api.refused("POST", PATH, {"from_subscription": other, "end_behavior": "cancel"})["status"] == 400
    path = f"/v1/subscriptions/{subscription['id']}"
    assert world.api.refused("POST", path, {"cancel_at_period_end": True})["param"] == "cancel_at_period_end"
    again = {"phases": [{**phase(price), "start_date": START, "items": [{"price": price, "quantity": 3}]}]}
    entry = {"discounts": [{"discount": subscription["discounts"][0]}]}
    again["phases"][0].update(entry)
    world.api.post(f"{PATH}/{made['id']}", again)
    assert world.get(subscription)["discounts"] == subscription["discounts"]


def test_present_and_future_phases_can_be_changed(world):
    """A change of the present phase changes the subscription at once; the past stays as it was."""
    small, large = world.price(1000), world.price(3000)
    made = schedule(world, phase(small), phase(small, 2), phase(large))
    world.advance(plus(START, "month", 1) + 15 * DAY)
    begins = plus(START, "month", 1)
    present = {**phase(small, 1, item={"quantity": 2}), "start_date": begins}
    changed = world.api.post(f"{PATH}/{made['id']}", {"phases": [present, phase(large)]})
    assert [each["start_date"] for each in changed["phases"]] == [START, begins, plus(begins, "month", 1)]
    assert subscription_of(world, made)["items"]["data"][0]["quantity"] == 2
    assert sorted(item["amount"] for item in world.pending()) == [-516, 1032]
    world.advance(plus(begins, "month", 1))
    assert subscription_of(world, made)["items"]["data"][0]["price"]["id"] == large


def test_a_phase_can_be_ended_now(world):
    """The documented call: the present phase ends now and the next one begins."""
    small, large = world.price(1000), world.price(3000)
    made = schedule(world, phase(small, 3))
    world.advance(START + 15 * DAY)
    ended = {"items": [{"price": small}], "start_date": START, "end_date": "now"}
    begun = {"items": [{"price": large}], "start_date": "now", "end_date": plus(START, "month", 3)}
    world.api.post(f"{PATH}/{made['id']}", {"phases": [ended, begun]})
    assert shown(world, made)["current_phase"]["start_date"] == START + 15 * DAY
    assert sorted(item["amount"] for item in world.pending()) == [-500, 1500]


BAD = [
    ({"phases": []}, "phases"),
    ({"end_behavior": "renew"}, "end_behavior"),
    ({"pause_schedules": [{"pause": {"pause_at": {"type": "now"}}}]}, "pause_schedules"),
    ({"default_settings": {"application_fee_percent": 1}}, "default_settings[application_fee_percent]"),
]


@pytest.mark.parametrize(("form", "param"), BAD)
def test_what_a_schedule_cannot_be(world, form, param):
    """Each form is a 400 that names the parameter; the same without it makes a schedule."""
    good = {"customer": world.customer, "start_date": "now", "phases": [phase(world.price())]}
    bad = {**good, **form}
    assert world.api.refused("POST", PATH, bad)["param"] == param
    world.api.post(PATH, good)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"end_date": START}, "phases[0][end_date]"),
        ({"end_date": START + DAY, "duration": {"interval": "month"}}, "phases[0][end_date]"),
        ({"trial": True, "trial_end": START + DAY}, "phases[0][trial]"),
        ({"trial_end": plus(START, "month", 1) + 1}, "phases[0][trial_end]"),
        ({"trial": True, "billing_cycle_anchor": "phase_start"}, "phases[0][billing_cycle_anchor]"),
        ({"items": [{"price": "price_nope"}]}, "phases[0][items][0][price]"),
        ({"default_tax_rates": ["txr_nope"]}, "phases[0][default_tax_rates][0]"),
        ({"on_behalf_of": "acct_1"}, "phases[0][on_behalf_of]"),
    ],
)
def test_what_a_phase_cannot_be(world, change, param):
    """Each change makes the good phase a 400 that names the parameter."""
    good = phase(world.price())
    bad = {**good, **change}
    if "end_date" in change and "duration" not in change:
        del bad["duration"]
    form = {"customer": world.customer, "start_date": "now", "phases": [bad]}
    assert world.api.refused("POST", PATH, form)["param"] == param
    schedule(world, good)


def test_ten_phases_are_enough(world):
    """The eleventh is refused (documented limit), ten are taken."""
    each = phase(world.price())
    form = {"customer": world.customer, "start_date": "now", "phases": [each] * 11}
    assert world.api.refused("POST", PATH, form)["param"] == "phases"
    assert len(schedule(world, *[each] * 10)["phases"]) == 10


def test_a_subscription_that_ends_takes_its_schedule_along(world):
    """Canceled by request it is canceled, ended for a failed payment it is aborted (docs: event types)."""
    made = schedule(world, phase(world.price(), 12))
    world.api.ok("DELETE", f"/v1/subscriptions/{made['subscription']}")
    assert shown(world, made)["status"] == "canceled"
    assert world.types("subscription_schedule.")[-1] == "subscription_schedule.canceled"
    poor = World(world.api, START, "pm_card_chargeCustomerFail")
    failing = schedule(poor, phase(poor.price(), 12))
    poor.advance(START + 20 * DAY)
    assert shown(poor, failing)["status"] == "canceled"
    assert poor.types("subscription_schedule.")[-1] == "subscription_schedule.aborted"


def test_schedules_are_listed_by_customer_and_time(world):
    """Each filter finds its schedule and not the decoy; those on clocks only show for their customer."""
    other = World(world.api, START)
    decoy = schedule(other, phase(other.price()))["id"]
    gone, kept = schedule(world, phase(world.price()))["id"], schedule(world, phase(world.price()))["id"]
    world.api.post(f"{PATH}/{gone}/cancel")
    own = {"customer": world.customer}
    assert world.api.ids(PATH) == []
    assert world.api.ids(PATH, own) == [kept, gone]
    assert decoy not in world.api.ids(PATH, own)
    assert world.api.ids(PATH, {**own, "canceled_at": START}) == [gone]
    assert world.api.ids(PATH, {**own, "canceled_at": {"gt": START}}) == []
    assert world.api.ids(PATH, {**own, "released_at": {"gte": 0}}) == []
    assert world.api.ids(PATH, {**own, "completed_at": {"gte": 0}}) == []


def test_defaults_stand_in_for_what_a_phase_does_not_say(world):
    """The documented table: the phase wins over the schedule."""
    price = world.price()
    defaults = {
        "collection_method": "send_invoice",
        "description": "Default",
        "invoice_settings": {"days_until_due": 9},
    }
    made = schedule(world, phase(price), phase(price, description="Own"), default_settings=defaults)
    subscription = subscription_of(world, made)
    assert (subscription["collection_method"], subscription["days_until_due"]) == ("send_invoice", 9)
    assert subscription["description"] == "Default"
    world.advance(plus(START, "month", 1))
    assert subscription_of(world, made)["description"] == "Own"
