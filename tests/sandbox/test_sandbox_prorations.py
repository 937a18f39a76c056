"""Prorations against Stripe's documented examples, and as a law over random changes.

Source: https://docs.stripe.com/billing/subscriptions/prorations.
"""

from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler.sandbox import Sandbox
from tests.sandbox.billing_world import DAY, World, at, plus
from tests.sandbox.conftest import NOW, Api

APRIL = at(2027, 4, 1)


@pytest.fixture
def world(api):
    """Return a customer with a card on a test clock that stands at the beginning of a month of 30 days."""
    return World(api, APRIL)


def item_of(subscription, index=0):
    """Return the id of an item."""
    return subscription["items"]["data"][index]["id"]


def amounts(lines):
    """Return the amounts of lines or invoice items, lowest first."""
    return sorted(line["amount"] for line in lines)


def test_an_upgrade_in_the_middle_costs_half_the_difference(world):
    """Documented example: from 10 to 20 halfway is -5 for unused time and 10 for what remains."""
    subscription = world.subscribe(world.price(1000))
    world.advance(APRIL + 15 * DAY)
    world.update(subscription, items=[{"id": item_of(subscription), "price": world.price(2000)}])
    credit, debit = sorted(world.pending(), key=lambda item: item["amount"])
    assert (credit["amount"], debit["amount"]) == (-500, 1000)
    period = {"start": APRIL + 15 * DAY, "end": at(2027, 5, 1)}
    assert (credit["period"], debit["period"]) == (period, period)
    assert credit["proration"] is debit["proration"] is True
    assert credit["discountable"] is False
    assert credit["description"] == "Unused time on Pro after 16 Apr 2027"
    assert debit["description"] == "Remaining time on Pro after 16 Apr 2027"
    world.advance(at(2027, 5, 1))
    assert world.invoices()[-1]["total"] == 2500


def test_a_credit_names_the_line_it_gives_back(world):
    """``proration_details`` of a flexible credit names invoice and line of the original debit, a debit nothing."""
    subscription = world.subscribe(world.price(1000))
    line = world.lines()[0]
    world.advance(APRIL + 15 * DAY)
    world.update(subscription, items=[{"id": item_of(subscription), "quantity": 2}])
    credit, debit = sorted(world.pending(), key=lambda item: item["amount"])
    named = credit["proration_details"]["credited_items"]["invoice_line_item_details"]
    assert named == {"invoice": subscription["latest_invoice"], "invoice_line_items": [line["id"]]}
    assert debit["proration_details"]["credited_items"] is None


@pytest.mark.parametrize(("mode", "total", "lines"), [("classic", -334, [-667, 333]), ("flexible", 0, [-333, 333])])
def test_what_was_never_debited_is_credited_in_classic_mode_only(world, mode, total, lines):
    """Documented example: upgraded without prorations on April 11, downgraded with them on April 21."""
    ten, twenty = world.price(1000), world.price(2000)
    subscription = world.subscribe(ten, billing_mode={"type": mode})
    item = item_of(subscription)
    world.advance(at(2027, 4, 11))
    world.update(subscription, items=[{"id": item, "price": twenty}], proration_behavior="none")
    assert len(world.invoices()) == 1
    world.advance(at(2027, 4, 21))
    world.update(subscription, items=[{"id": item, "price": ten}], proration_behavior="always_invoice")
    invoice = world.invoices()[-1]
    assert (invoice["total"], amounts(invoice["lines"]["data"])) == (total, lines)


@pytest.mark.parametrize(("mode", "credit"), [("classic", -250), ("flexible", -417)])
def test_an_amount_off_is_credited_as_it_was_given(api, mode, credit):
    """Documented example: 5 off 10 and 20, the item of 10 removed halfway through February."""
    start = at(2027, 2, 1)
    world = World(api, start)
    coupon = api.post("/v1/coupons", {"amount_off": 500, "currency": "usd", "duration": "forever"})
    ten, twenty = world.price(1000), world.price(2000)
    subscription = world.subscribe(ten, twenty, discounts=[{"coupon": coupon["id"]}], billing_mode={"type": mode})
    assert world.invoices()[0]["total"] == 2500
    world.advance(start + 14 * DAY)
    world.api.ok("DELETE", f"/v1/subscription_items/{item_of(subscription)}")
    assert amounts(world.pending()) == [credit]


@pytest.mark.parametrize("mode", ["classic", "flexible"])
@pytest.mark.parametrize(
    ("coupon", "credit"),
    [
        ({"percent_off": 60, "duration": "once"}, -600),
        ({"amount_off": 1000, "currency": "usd", "duration": "once"}, -1000),
        ({"percent_off": 60, "duration": "repeating", "duration_in_months": 1}, -600),
        ({"percent_off": 60, "duration": "forever"}, -600),
    ],
)
@pytest.mark.parametrize("of", ["subscription", "item"])
def test_no_more_is_credited_than_was_paid(world, mode, coupon, credit, of):
    """Half of 30.00 less the coupon comes back also where that has ended since.

    It is one of "the last discounts used" (https://docs.stripe.com/billing/subscriptions/billing-mode/compare).
    """
    given = [{"coupon": world.api.post("/v1/coupons", coupon)["id"]}]
    item = {"price": world.price(3000, "year"), **({"discounts": given} if of == "item" else {})}
    form = {"discounts": given} if of == "subscription" else {}
    subscription = world.subscribe(item, billing_mode={"type": mode}, **form)
    assert world.invoices()[0]["total"] == -2 * credit
    world.advance(APRIL + 366 * DAY // 2, step=300 * DAY)
    world.api.ok("DELETE", f"/v1/subscriptions/{subscription['id']}", {"prorate": True})
    assert amounts(world.pending()) == [credit]


def test_two_debits_of_one_time_are_credited_one_by_one(world):
    """Two added seats were charged apart, so two credits give them back (billing-mode/compare)."""
    subscription = world.subscribe({"price": world.price(3000), "quantity": 1})
    item = item_of(subscription)
    world.advance(APRIL + 10 * DAY)
    world.update(subscription, items=[{"id": item, "quantity": 2}], proration_behavior="always_invoice")
    world.advance(APRIL + 20 * DAY)
    world.update(subscription, items=[{"id": item, "quantity": 3}], proration_behavior="always_invoice")
    assert amounts(world.invoices()[1]["lines"]["data"]) == [-2000, 4000]
    assert amounts(world.invoices()[2]["lines"]["data"]) == [-2000, 3000]


@pytest.mark.parametrize("behavior", ["create_prorations", "always_invoice", "none"])
def test_prorations_wait_are_invoiced_or_are_not_made(world, behavior):
    """The three behaviours of one change; what waits is on the next invoice, what is invoiced at once is not."""
    subscription = world.subscribe(world.price(1000))
    world.advance(APRIL + 15 * DAY)
    world.update(subscription, items=[{"id": item_of(subscription), "quantity": 2}], proration_behavior=behavior)
    waiting = {"create_prorations": [-500, 1000], "always_invoice": [], "none": []}[behavior]
    assert amounts(world.pending()) == waiting
    assert len(world.invoices()) == (2 if behavior == "always_invoice" else 1)
    if behavior == "always_invoice":
        invoice = world.invoices()[-1]
        assert (invoice["total"], invoice["billing_reason"], invoice["status"]) == (500, "subscription_update", "paid")
    world.advance(at(2027, 5, 1))
    renewal = {"create_prorations": 2500, "always_invoice": 2000, "none": 2000}[behavior]
    assert world.invoices()[-1]["total"] == renewal


def test_a_proration_date_moves_the_boundary(world):
    """Prorations are computed as of the given time; one outside the period is refused."""
    subscription = world.subscribe(world.price(3000))
    world.advance(APRIL + 20 * DAY)
    path = f"/v1/subscriptions/{subscription['id']}"
    form = {"items": [{"id": item_of(subscription), "quantity": 2}]}
    error = world.api.refused("POST", path, {**form, "proration_date": APRIL - 1})
    assert error["param"] == "proration_date"
    world.api.post(path, {**form, "proration_date": APRIL + 10 * DAY})
    assert amounts(world.pending()) == [-2000, 4000]


def test_an_added_item_is_charged_until_the_common_end(world):
    """A new item costs its share of the period; removing it gives the rest back."""
    subscription = world.subscribe(world.price(1000))
    world.advance(APRIL + 10 * DAY)
    changed = world.update(subscription, items=[{"price": world.price(3000)}], proration_behavior="always_invoice")
    added = item_of(changed, 1)
    assert changed["items"]["data"][1]["current_period_end"] == at(2027, 5, 1)
    assert world.invoices()[-1]["total"] == 2000
    world.advance(APRIL + 20 * DAY)
    world.api.ok("DELETE", f"/v1/subscription_items/{added}")
    assert amounts(world.pending()) == [-1000]


def test_usage_is_not_prorated(world):
    """Removing a metered item bills its open usage in flexible mode, and nothing in classic mode (documented)."""
    price, seat = world.metered(10), world.price(3000)
    for mode, waiting in (("flexible", [70]), ("classic", [])):
        fresh = World(world.api, APRIL)
        subscription = fresh.subscribe(seat, price, billing_mode={"type": mode})
        fresh.use(7)
        fresh.advance(APRIL + 10 * DAY)
        metered = item_of(subscription, 1)
        fresh.api.ok("DELETE", f"/v1/subscription_items/{metered}", {"clear_usage": True})
        assert amounts(fresh.pending()) == waiting


def test_a_reset_anchor_invoices_at_once(world):
    """``billing_cycle_anchor=now`` credits the old period and bills a full new one (documented)."""
    subscription = world.subscribe(world.price(3000))
    world.advance(APRIL + 10 * DAY)
    changed = world.update(subscription, billing_cycle_anchor={"type": "now"})
    assert changed["billing_cycle_anchor"] == APRIL + 10 * DAY
    invoice = world.invoices()[-1]
    assert amounts(invoice["lines"]["data"]) == [-2000, 3000]
    assert invoice["total"] == 1000
    item = changed["items"]["data"][0]
    assert item["current_period_end"] == plus(APRIL + 10 * DAY, "month", 1)
    same = world.update(subscription, billing_cycle_anchor={"type": "unchanged"})
    assert same["billing_cycle_anchor"] == APRIL + 10 * DAY


@pytest.mark.parametrize("mode", ["classic", "flexible"])
def test_another_interval_resets_the_anchor_in_classic_mode_only(world, mode):
    """Documented in billing-mode/compare, "Reset the billing cycle anchor"."""
    subscription = world.subscribe(world.price(3000), billing_mode={"type": mode})
    world.advance(APRIL + 10 * DAY)
    yearly = world.price(36500, "year")
    changed = world.update(subscription, items=[{"id": item_of(subscription), "price": yearly}])
    if mode == "classic":
        assert changed["billing_cycle_anchor"] == APRIL + 10 * DAY
        assert amounts(world.invoices()[-1]["lines"]["data"]) == [-2000, 36500]
    else:
        assert changed["billing_cycle_anchor"] == APRIL
        assert changed["items"]["data"][0]["current_period_end"] == plus(APRIL, "year", 1)
        wanted = round(Fraction(36500) * (plus(APRIL, "year", 1) - APRIL - 10 * DAY) / (plus(APRIL, "year", 1) - APRIL))
        assert amounts(world.pending()) == [-2000, wanted]


def test_from_free_to_paid_begins_anew_in_classic_mode(world):
    """The first paid price resets the period at once (docs: billing-cycle); from paid to free does not."""
    free, paid = world.price(0), world.price(1000)
    subscription = world.subscribe(free, billing_mode={"type": "classic"})
    world.advance(APRIL + 10 * DAY)
    changed = world.update(subscription, items=[{"id": item_of(subscription), "price": paid}])
    assert changed["billing_cycle_anchor"] == APRIL + 10 * DAY
    world.advance(APRIL + 20 * DAY)
    back = world.update(subscription, items=[{"id": item_of(subscription), "price": free}])
    assert back["billing_cycle_anchor"] == APRIL + 10 * DAY


def test_an_early_end_gives_the_rest_back(world):
    """``cancel_at`` within the period credits what lies behind it; taking it back charges it again."""
    subscription = world.subscribe(world.price(3000))
    ended = world.update(subscription, cancel_at=APRIL + 10 * DAY)
    assert amounts(world.pending()) == [-2000]
    assert ended["items"]["data"][0]["current_period_end"] == APRIL + 10 * DAY
    world.update(subscription, cancel_at="")
    assert amounts(world.pending()) == [-2000, 2000]
    kept = world.subscribe(world.price(3000))
    world.update(kept, cancel_at=APRIL + 10 * DAY, proration_behavior="none")
    assert amounts(world.pending()) == [-2000, 2000]


def test_the_last_period_is_cut_short(world):
    """``cancel_at`` in a later period bills only the share of it (docs of the parameter)."""
    world.subscribe(world.price(3100), cancel_at=at(2027, 5, 11))
    world.advance(at(2027, 5, 11))
    assert [invoice["total"] for invoice in world.invoices()] == [3100, 1000]


def test_a_trial_ended_early_bills_a_full_period_at_once(world):
    """``trial_end=now`` moves the anchor, warns, and charges in the same request."""
    subscription = world.subscribe(world.price(1000), trial_period_days=20)
    world.advance(APRIL + 5 * DAY)
    changed = world.update(subscription, trial_end="now")
    assert (changed["status"], changed["trial_end"]) == ("active", APRIL + 5 * DAY)
    assert changed["billing_cycle_anchor"] == APRIL + 5 * DAY
    assert [invoice["total"] for invoice in world.invoices()] == [0, 1000]
    assert world.types("customer.subscription.trial_will_end") == ["customer.subscription.trial_will_end"]


def test_a_trial_can_begin_later(world):
    """A trial put on a paid subscription credits the rest of the period; the anchor moves to its end."""
    subscription = world.subscribe(world.price(3000))
    world.advance(APRIL + 10 * DAY)
    end = APRIL + 40 * DAY
    changed = world.update(subscription, trial_end=end, proration_behavior="none")
    assert (changed["status"], changed["trial_end"], changed["billing_cycle_anchor"]) == ("trialing", end, end)
    assert world.invoices()[-1]["total"] == 0
    world.advance(end)
    assert world.lines()[-1]["period"] == {"start": end, "end": plus(end, "month", 1)}


def test_a_change_during_a_trial_costs_nothing(world):
    """Price and quantity change without any line that costs; billing begins with them at the trial's end."""
    subscription = world.subscribe(world.price(1000), trial_period_days=10)
    world.advance(APRIL + 5 * DAY)
    world.update(subscription, items=[{"id": item_of(subscription), "quantity": 4}])
    assert world.pending() == []
    world.advance(APRIL + 10 * DAY)
    assert world.invoices()[-1]["total"] == 4000


@pytest.mark.parametrize("prorate", [True, False])
def test_a_cancellation_credits_unused_time_if_asked_to(world, prorate):
    """``prorate`` credits to the second, ``invoice_now`` puts it on a final invoice, as a balance for the customer."""
    subscription = world.subscribe(world.price(3000))
    world.advance(APRIL + 10 * DAY)
    ended = world.api.ok("DELETE", f"/v1/subscriptions/{subscription['id']}", {"prorate": prorate, "invoice_now": True})
    assert (ended["status"], ended["ended_at"]) == ("canceled", APRIL + 10 * DAY)
    balance = world.api.get(f"/v1/customers/{world.customer}")["balance"]
    assert balance == (-2000 if prorate else 0)
    assert len(world.invoices()) == (2 if prorate else 1)


def test_pending_prorations_go_with_a_plain_cancellation(world):
    """They are removed if it neither prorates nor invoices (docstring of the route); other pending items stay."""
    subscription = world.subscribe(world.price(3000))
    world.advance(APRIL + 10 * DAY)
    world.update(subscription, items=[{"id": item_of(subscription), "quantity": 2}])
    world.api.post("/v1/invoiceitems", {"customer": world.customer, "amount": 70, "currency": "usd"})
    world.api.ok("DELETE", f"/v1/subscriptions/{subscription['id']}")
    assert amounts(world.pending()) == [70]


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 30 * DAY - 1), st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=6
    ),
    mode=st.sampled_from(["classic", "flexible"]),
)
@settings(
    max_examples=12,
    deadline=timedelta(seconds=20),
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
def test_all_prorations_together_are_the_time_weighted_price(steps, mode):
    """Over any changes of price and quantity in one period, what is charged is exact within one unit per line."""
    prices = [999, 1000, 4321, 77]
    with Sandbox(clock=NOW) as sandbox:
        world = World(Api(sandbox), APRIL)
        ids = [world.price(amount) for amount in prices]
        subscription = world.subscribe(ids[0], billing_mode={"type": mode})
        end, item = at(2027, 5, 1), item_of(subscription)
        price, quantity, since, exact = 0, 1, APRIL, Fraction(0)
        for moment, new_price, new_quantity in sorted(steps):
            exact += Fraction(prices[price] * quantity * (APRIL + moment - since), end - APRIL)
            price, quantity, since = new_price, new_quantity, APRIL + moment
            world.advance(since)
            world.update(subscription, items=[{"id": item, "price": ids[price], "quantity": quantity}])
        exact += Fraction(prices[price] * quantity * (end - since), end - APRIL)
        lines = world.pending()
        charged = world.invoices()[0]["total"] + sum(line["amount"] for line in lines)
        assert abs(charged - exact) <= max(1, len(lines))
