"""Subscriptions that have ended or stand still: nothing more is charged, and what can still be changed.

Sources: https://docs.stripe.com/billing/subscriptions/cancel, https://docs.stripe.com/billing/subscriptions/pause-payment,
https://docs.stripe.com/billing/subscriptions/trials/free-trials.
"""

import pytest

from tests.sandbox.billing_world import DAY, HOUR, World, at, plus

START = at(2027, 4, 1)
NEXT = plus(START, "month", 1)


@pytest.fixture
def world(api):
    """Return a customer with a card on a test clock."""
    return World(api, START)


@pytest.fixture
def paused(world):
    """Return a subscription that its trial has left paused."""
    bare = World(world.api, START, None)
    end = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = bare.subscribe(bare.price(), trial_period_days=7, trial_settings=end)
    bare.advance(START + 10 * DAY)
    assert bare.get(subscription)["status"] == "paused"
    return bare, subscription


def wait(world, amount=700):
    """Let an invoice item of no subscription wait for the customer's next invoice."""
    form = {"customer": world.customer, "amount": amount, "currency": "usd"}
    return world.api.post("/v1/invoiceitems", form)["id"]


def test_a_canceled_customer_is_not_charged(world):
    """A renewal in its draft hour advances no more, that of another subscription does (cancel, "invoice items")."""
    gone, kept = world.subscribe(world.price()), world.subscribe(world.price())
    world.advance(NEXT + HOUR // 2)
    world.api.ok("DELETE", f"/v1/subscriptions/{gone['id']}")
    world.advance(NEXT + 2 * HOUR)
    left, paid = (world.invoices(subscription=each["id"])[-1] for each in (gone, kept))
    assert (left["status"], left["auto_advance"], left["automatically_finalizes_at"]) == ("draft", False, None)
    assert paid["status"] == "paid"


def test_the_final_invoice_is_collected(world):
    """What was used is billed at the planned end although the subscription is over then."""
    subscription = world.subscribe(world.metered(10), cancel_at_period_end=True)
    world.use(5)
    world.advance(NEXT + 2 * HOUR)
    assert world.get(subscription)["status"] == "canceled"
    assert [(invoice["total"], invoice["status"]) for invoice in world.invoices()] == [(50, "paid")]


def test_what_waits_for_the_customer_is_billed_at_the_end(world):
    """Any pending item makes a final invoice at the end of the period, not at an immediate cancellation.

    Source: https://docs.stripe.com/billing/invoices/subscription, "always charged when the billing period ends".
    """
    ends, goes = world.subscribe(world.price()), world.subscribe(world.price())
    world.update(ends, cancel_at_period_end=True)
    wait(world)
    world.api.ok("DELETE", f"/v1/subscriptions/{goes['id']}", {"invoice_now": True})
    assert len(world.pending()) == 1
    world.advance(NEXT + 2 * HOUR)
    assert world.pending() == []
    final = world.invoices(subscription=ends["id"])[-1]
    assert (final["total"], final["status"]) == (700, "paid")


def test_voided_invoices_use_no_credit(world):
    """While collection is paused with ``void`` the customer's balance stays; given up invoices use it."""
    world.api.post(f"/v1/customers/{world.customer}/balance_transactions", {"amount": -5000, "currency": "usd"})
    subscription = world.subscribe(world.price(1000), trial_end=START + 5 * DAY)
    world.update(subscription, pause_collection={"behavior": "void"})
    world.advance(START + 6 * DAY)
    voided = world.invoices()[-1]
    assert (voided["status"], voided["amount_due"], voided["ending_balance"]) == ("void", 1000, -5000)
    assert world.api.get(f"/v1/customers/{world.customer}")["balance"] == -5000
    world.update(subscription, pause_collection={"behavior": "mark_uncollectible"})
    world.advance(plus(START + 5 * DAY, "month", 1))
    assert world.invoices()[-1]["status"] == "paid"
    assert world.api.get(f"/v1/customers/{world.customer}")["balance"] == -4000


def test_voided_invoices_use_no_credit_grants(world):
    """A grant for metered use is as large as before."""
    config = {"applicability_config": {"scope": {"price_type": "metered"}}, "category": "paid"}
    amount = {"amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 500}}}
    grant = world.api.post("/v1/billing/credit_grants", {"customer": world.customer, **config, **amount})["id"]
    subscription = world.subscribe(world.metered(10))
    world.update(subscription, pause_collection={"behavior": "void"})
    world.use(20)
    world.advance(NEXT + 2 * HOUR)
    voided = world.invoices()[-1]
    assert (voided["status"], voided["total"]) == ("void", 200)
    transactions = world.api.get("/v1/billing/credit_balance_transactions", {"customer": world.customer})["data"]
    assert [each["credit_grant"] for each in transactions] == [grant]


@pytest.mark.parametrize(("behavior", "told"), [("void", 0), ("keep_as_draft", 0), (None, 1)])
def test_no_upcoming_invoice_is_announced_while_collection_is_paused(world, behavior, told):
    """Stripe "won't send any upcoming invoice emails or webhooks" (pause-payment)."""
    subscription = world.subscribe(world.price())
    if behavior:
        world.update(subscription, pause_collection={"behavior": behavior})
    world.advance(NEXT)
    assert len(world.types("invoice.upcoming")) == told


def test_a_paused_subscription_can_be_updated(paused):
    """Its metadata and its items change without prorations and without an invoice; a card lets it resume."""
    world, subscription = paused
    invoices = len(world.invoices())
    item = subscription["items"]["data"][0]["id"]
    world.update(subscription, metadata={"a": "b"}, items=[{"id": item, "quantity": 3}, {"price": world.price(500)}])
    world.update(subscription, proration_behavior="always_invoice", items=[{"id": item, "price": world.price(5000)}])
    changed = world.update(subscription, billing_cycle_anchor={"type": "now"})
    assert (changed["status"], changed["metadata"]) == ("paused", {"a": "b"})
    assert changed["billing_cycle_anchor"] == START + 10 * DAY
    assert (world.pending(), len(world.invoices())) == ([], invoices)
    method = world.api.post("/v1/payment_methods/pm_card_visa/attach", {"customer": world.customer})["id"]
    world.update(subscription, default_payment_method=method)
    resumed = world.api.post(f"/v1/subscriptions/{subscription['id']}/resume")
    world.api.post(f"/v1/invoices/{resumed['latest_invoice']}/pay")
    assert world.get(subscription)["status"] == "active"
    assert world.invoices()[-1]["total"] == 5500


@pytest.mark.parametrize("trial", [{"trial_end": START + 30 * DAY}, {"trial_from_plan": True}])
def test_a_paused_subscription_takes_no_trial(paused, world, trial):
    """For "you must resume the subscription before configuring a trial" (free-trials); one that runs takes it."""
    bare, subscription = paused
    refusal = bare.api.refused("POST", f"/v1/subscriptions/{subscription['id']}", trial)
    assert (refusal["status"], refusal["param"]) == (400, next(iter(trial)))
    running = world.subscribe(world.price())
    assert world.update(running, **trial)["status"] in {"trialing", "active"}


def test_a_canceled_subscription_keeps_its_metadata_up_to_date(world):
    """Also long after its period (cancel: it "can still update its metadata")."""
    subscription = world.subscribe(world.price())
    world.api.ok("DELETE", f"/v1/subscriptions/{subscription['id']}")
    world.advance(NEXT + DAY)
    assert world.update(subscription, metadata={"a": "b"})["metadata"] == {"a": "b"}


def test_a_proration_date_lies_in_the_period(world):
    """One outside is refused; one inside counts from there."""
    subscription = world.subscribe(world.price(3000))
    items = [{"id": subscription["items"]["data"][0]["id"], "quantity": 2}]
    path = f"/v1/subscriptions/{subscription['id']}"
    for outside in (START - 1, NEXT + 1):
        refusal = world.api.refused("POST", path, {"items": items, "proration_date": outside})
        assert (refusal["status"], refusal["param"]) == (400, "proration_date")
    world.update(subscription, items=items, proration_date=START + 15 * DAY)
    assert [item["amount"] for item in world.pending()] == [-1500, 3000]
