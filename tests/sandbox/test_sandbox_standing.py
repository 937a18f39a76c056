"""How subscriptions stand: first payments, dunning, ends, pauses, updates that wait.

Source: https://docs.stripe.com/billing/subscriptions/overview.
"""

import pytest

from reconciler.sandbox.settings import Settings
from tests.sandbox.billing_world import DAY, HOUR, World, at, plus

START = at(2027, 4, 1)
DECLINING = "pm_card_chargeCustomerFail"


@pytest.fixture
def world(api):
    """Return a customer with a good card on a test clock."""
    return World(api, START)


def swap(world, method):
    """Make another card the customer's default."""
    attached = world.api.post(f"/v1/payment_methods/{method}/attach", {"customer": world.customer})["id"]
    form = {"invoice_settings": {"default_payment_method": attached}}
    world.api.post(f"/v1/customers/{world.customer}", form)


def item_of(subscription):
    """Return the id of the only item."""
    return subscription["items"]["data"][0]["id"]


def test_a_failed_first_payment_leaves_the_subscription_incomplete(api):
    """``allow_incomplete`` keeps it for 23 hours; then it is over and its invoice void."""
    world = World(api, START, DECLINING)
    subscription = world.subscribe(world.price())
    assert subscription["status"] == "incomplete"
    world.advance(START + 23 * HOUR - 1)
    assert world.get(subscription)["status"] == "incomplete"
    world.advance(START + 23 * HOUR)
    ended = world.get(subscription)
    assert (ended["status"], ended["ended_at"]) == ("incomplete_expired", START + 23 * HOUR)
    assert world.invoices()[0]["status"] == "void"


def test_a_late_first_payment_activates(api):
    """Paying the first invoice with another card within 23 hours makes the subscription active."""
    world = World(api, START, DECLINING)
    subscription = world.subscribe(world.price())
    swap(world, "pm_card_visa")
    world.api.post(f"/v1/invoices/{subscription['latest_invoice']}/pay")
    assert world.get(subscription)["status"] == "active"
    world.advance(START + 2 * DAY)
    assert world.get(subscription)["status"] == "active"


def test_voiding_the_first_invoice_ends_what_has_not_begun(api):
    """Documented in billing/invoices/subscription, "Void the first invoice"."""
    world = World(api, START, DECLINING)
    subscription = world.subscribe(world.price())
    world.api.post(f"/v1/invoices/{subscription['latest_invoice']}/void")
    assert world.get(subscription)["status"] == "incomplete_expired"


def test_an_incomplete_subscription_changes_little(api):
    """Metadata can change, items cannot, until the first payment (docstring of ``status``)."""
    world = World(api, START, DECLINING)
    subscription = world.subscribe(world.price())
    path = f"/v1/subscriptions/{subscription['id']}"
    assert world.api.refused("POST", path, {"items": [{"price": world.price()}]})["param"] == "items"
    assert world.update(subscription, metadata={"a": "b"})["metadata"] == {"a": "b"}


def test_default_incomplete_waits_for_the_client(world):
    """Nothing is charged although the card would pay; confirming the invoice's intent activates."""
    subscription = world.subscribe(
        world.price(), payment_behavior="default_incomplete", expand=["latest_invoice.confirmation_secret"]
    )
    assert subscription["status"] == "incomplete"
    invoice = subscription["latest_invoice"]
    assert invoice["status"] == "open"
    intent = invoice["confirmation_secret"]["client_secret"].partition("_secret_")[0]
    method = world.api.get(f"/v1/customers/{world.customer}/payment_methods")["data"][0]["id"]
    world.api.post(f"/v1/payment_intents/{intent}/confirm", {"payment_method": method})
    assert world.get(subscription)["status"] == "active"


def test_error_if_incomplete_leaves_nothing(api):
    """A decline is a 402 with the bank's code, and neither subscription nor invoice exists."""
    world = World(api, START, DECLINING)
    error = world.refused(world.price(), payment_behavior="error_if_incomplete")
    assert (error["status"], error["type"], error["code"]) == (402, "card_error", "card_declined")
    assert world.invoices() == []
    assert api.ids("/v1/subscriptions", {"customer": world.customer, "status": "all"}) == []


def test_error_if_incomplete_does_not_wait_for_authentication(api):
    """A card that needs its owner is a 402 of its own code (docs: error-codes)."""
    world = World(api, START, "pm_card_authenticationRequired")
    error = world.refused(world.price(), payment_behavior="error_if_incomplete")
    assert (error["status"], error["code"]) == (402, "subscription_payment_intent_requires_action")


def test_nothing_to_pay_with_is_refused_unless_that_is_expected(api):
    """Observed; with ``default_incomplete``, a trial or an invoice to be sent there need be no method."""
    world = World(api, START, method=None)
    price = world.price()
    error = world.refused(price)
    assert (error["status"], error["code"]) == (400, "resource_missing")
    assert world.subscribe(price, payment_behavior="default_incomplete")["status"] == "incomplete"
    assert world.subscribe(price, trial_period_days=3)["status"] == "trialing"
    assert world.subscribe(price, collection_method="send_invoice", days_until_due=1)["status"] == "active"


def fail_a_renewal(world):
    """Subscribe, let the card go bad, and bring the clock to the first failed attempt."""
    subscription = world.subscribe(world.price())
    swap(world, DECLINING)
    world.advance(plus(START, "month", 1) + HOUR)
    return subscription


def test_a_failed_renewal_makes_past_due_and_a_payment_active(world):
    """The subscription goes on billing; paying the invoice sets it right."""
    subscription = fail_a_renewal(world)
    assert world.get(subscription)["status"] == "past_due"
    swap(world, "pm_card_visa")
    world.api.post(f"/v1/invoices/{world.invoices()[-1]['id']}/pay")
    assert world.get(subscription)["status"] == "active"


def test_a_retry_that_succeeds_makes_active_again(world):
    """The next automatic attempt with a better card is enough."""
    subscription = fail_a_renewal(world)
    swap(world, "pm_card_visa")
    world.advance(world.invoices()[-1]["next_payment_attempt"])
    assert world.get(subscription)["status"] == "active"


@pytest.mark.parametrize("verb", ["void", "mark_uncollectible"])
def test_giving_the_invoice_up_makes_active_again(world, verb):
    """Documented in billing/invoices/subscription, "Void the most recent invoice"."""
    subscription = fail_a_renewal(world)
    world.api.post(f"/v1/invoices/{world.invoices()[-1]['id']}/{verb}")
    assert world.get(subscription)["status"] == "active"


@pytest.mark.parametrize("cancels", [True, False])
def test_exhausted_retries_cancel(open_sandbox, account, cancels):
    """After the last retry the subscription is canceled for the failed payment, or kept where the setting says so."""
    world = World(account(open_sandbox(settings=Settings(exhausted_retries_cancel=cancels))), START)
    subscription = fail_a_renewal(world)
    world.advance(plus(START, "month", 1) + 16 * DAY)
    shown = world.get(subscription)
    if cancels:
        assert (shown["status"], shown["cancellation_details"]["reason"]) == ("canceled", "payment_failed")
        assert world.types("customer.subscription.deleted") == ["customer.subscription.deleted"]
    else:
        assert shown["status"] == "unpaid"


@pytest.mark.parametrize("marks", [True, False])
def test_exhausted_retries_mark_unpaid(open_sandbox, account, marks):
    """Not canceled, it is unpaid and its new invoices stay drafts, or it stays past due and they do not."""
    chosen = Settings(exhausted_retries_cancel=False, exhausted_retries_mark_unpaid=marks)
    world = World(account(open_sandbox(settings=chosen)), START)
    subscription = fail_a_renewal(world)
    world.advance(plus(START, "month", 2) + 2 * HOUR)
    assert world.get(subscription)["status"] == ("unpaid" if marks else "past_due")
    latest = world.invoices()[-1]
    assert (latest["status"], latest["auto_advance"]) == (("draft", False) if marks else ("open", True))
    if marks:
        swap(world, "pm_card_visa")
        world.api.post(f"/v1/invoices/{world.invoices()[-2]['id']}/pay")
        assert world.get(subscription)["status"] == "active"


def test_an_overdue_invoice_makes_past_due(world):
    """An invoice that was sent and is not paid when it is due; paying it makes active."""
    subscription = world.subscribe(world.price(), collection_method="send_invoice", days_until_due=5)
    world.advance(START + 5 * DAY - 1)
    assert world.get(subscription)["status"] == "active"
    world.advance(START + 5 * DAY + 1)
    assert world.get(subscription)["status"] == "past_due"
    world.api.post(f"/v1/invoices/{world.invoices()[0]['id']}/pay", {"paid_out_of_band": True})
    assert world.get(subscription)["status"] == "active"


def test_a_subscription_ends_with_its_period_when_asked(world):
    """``cancel_at_period_end`` sets the time, can be taken back, and ends without another seat being billed."""
    subscription = world.subscribe(world.price(), world.metered(10))
    marked = world.update(subscription, cancel_at_period_end=True)
    end = plus(START, "month", 1)
    assert (marked["cancel_at"], marked["canceled_at"], marked["status"]) == (end, START, "active")
    back = world.update(subscription, cancel_at_period_end=False)
    assert (back["cancel_at"], back["canceled_at"]) == (None, None)
    world.update(subscription, cancel_at_period_end=True)
    world.use(6)
    world.advance(end)
    ended = world.get(subscription)
    assert (ended["status"], ended["ended_at"], ended["cancel_at_period_end"]) == ("canceled", end, True)
    assert [invoice["total"] for invoice in world.invoices()] == [1000, 60]
    world.advance(end + 40 * DAY)
    assert len(world.invoices()) == 2


@pytest.mark.parametrize(("word", "months"), [("min_period_end", 1), ("max_period_end", 3)])
def test_an_end_can_be_an_items_period_end(world, word, months):
    """The words become times at once (changelog 2025-07-30)."""
    subscription = world.subscribe(world.price(), world.price(500, count=3))
    assert world.update(subscription, cancel_at=word)["cancel_at"] == plus(START, "month", months)


def test_deleting_the_customer_ends_everything_at_once(world):
    """The subscription of another customer goes on."""
    other = World(world.api, START)
    kept, gone = other.subscribe(other.price()), world.subscribe(world.price())
    world.api.ok("DELETE", f"/v1/customers/{world.customer}")
    assert world.get(gone)["status"] == "canceled"
    assert other.get(kept)["status"] == "active"


@pytest.mark.parametrize(
    ("behavior", "status"), [("keep_as_draft", "draft"), ("void", "void"), ("mark_uncollectible", "uncollectible")]
)
def test_paused_collection_sets_invoices_aside(world, behavior, status):
    """The subscription stays active; after ``resumes_at`` invoices are collected again (docs: pause-payment)."""
    subscription = world.subscribe(world.price())
    resumes = plus(START, "month", 1) + DAY
    paused = world.update(subscription, pause_collection={"behavior": behavior, "resumes_at": resumes})
    assert paused["pause_collection"] == {"behavior": behavior, "resumes_at": resumes}
    world.advance(plus(START, "month", 1) + 2 * HOUR)
    assert world.invoices()[-1]["status"] == status
    assert world.get(subscription)["status"] == "active"
    world.advance(plus(START, "month", 2) + 2 * HOUR)
    assert world.get(subscription)["pause_collection"] is None
    assert world.invoices()[-1]["status"] == "paid"


def test_a_pause_credits_what_is_unused_and_stops_invoices(world):
    """Documented in billing/subscriptions/pause: credit and usage wait, periods end now, nothing is billed."""
    subscription = world.subscribe(world.price(3000), world.metered(10))
    world.use(4)
    world.advance(START + 10 * DAY)
    paused = world.api.post(f"/v1/subscriptions/{subscription['id']}/pause")
    assert (paused["status"], paused["status_details"]["paused"]["subscription"]) == (
        "paused",
        {"type": "pause_requested"},
    )
    assert {item["current_period_end"] for item in paused["items"]["data"]} == {START + 10 * DAY}
    assert sorted(item["amount"] for item in world.pending()) == [-2000, 40]
    world.advance(plus(START, "month", 2))
    assert len(world.invoices()) == 1
    assert world.types("customer.subscription.paused") == ["customer.subscription.paused"]


def test_a_pause_can_bill_at_once_or_nothing(world):
    """``invoicing_behavior=invoice`` settles now; ``bill_for`` of ``none`` settles nothing."""
    first, second = world.subscribe(world.price(3000)), world.subscribe(world.price(3000))
    world.advance(START + 10 * DAY)
    world.api.post(f"/v1/subscriptions/{first['id']}/pause", {"invoicing_behavior": "invoice"})
    assert world.invoices()[-1]["total"] == -2000
    nothing = {"unused_time_from": {"type": "none"}, "outstanding_usage_through": {"type": "none"}}
    world.api.post(f"/v1/subscriptions/{second['id']}/pause", {"bill_for": nothing})
    assert world.pending() == []


@pytest.mark.parametrize(
    ("form", "then"),
    [
        ({"billing_mode": {"type": "classic"}}, None),
        ({"collection_method": "send_invoice", "days_until_due": 3}, None),
        ({"trial_period_days": 9}, None),
        ({}, "pause"),
        ({}, "schedule"),
    ],
)
def test_what_cannot_be_paused(world, form, then):
    """The documented conditions; a plain subscription can be paused."""
    subscription = world.subscribe(world.price(), **form)
    path = f"/v1/subscriptions/{subscription['id']}/pause"
    if then == "pause":
        world.api.post(path)
    if then == "schedule":
        world.api.post("/v1/subscription_schedules", {"from_subscription": subscription["id"]})
    assert world.api.refused("POST", path)["status"] == 400
    assert world.api.post(f"/v1/subscriptions/{world.subscribe(world.price())['id']}/pause")["status"] == "paused"


def paused_at(world, days):
    """Return a subscription of 30.00 that has been paused with nothing billed, some days later."""
    subscription = world.subscribe(world.price(3000))
    nothing = {"unused_time_from": {"type": "none"}, "outstanding_usage_through": {"type": "none"}}
    world.api.post(f"/v1/subscriptions/{subscription['id']}/pause", {"bill_for": nothing})
    world.advance(START + days * DAY)
    return subscription


def test_resuming_on_an_attempt_waits_for_the_client(world):
    """The resumption invoice is open and unpaid, the subscription paused until it is paid (documented table)."""
    subscription = paused_at(world, 40)
    path = f"/v1/subscriptions/{subscription['id']}/resume"
    waiting = world.api.post(path)
    assert waiting["status"] == "paused"
    assert waiting["pending_update"]["billing_cycle_anchor"] == START + 40 * DAY
    assert waiting["pending_update"]["expires_at"] == START + 40 * DAY + 23 * HOUR
    invoice = world.invoices()[-1]
    assert (invoice["status"], invoice["total"]) == ("open", 3000)
    world.api.post(f"/v1/invoices/{invoice['id']}/pay")
    shown = world.get(subscription)
    assert (shown["status"], shown["billing_cycle_anchor"], shown["pending_update"]) == (
        "active",
        START + 40 * DAY,
        None,
    )
    assert shown["items"]["data"][0]["current_period_end"] == plus(START + 40 * DAY, "month", 1)
    assert world.types("customer.subscription.resumed") == ["customer.subscription.resumed"]
    world.advance(plus(START + 40 * DAY, "month", 1))
    assert world.invoices()[-1]["total"] == 3000


def test_an_unpaid_resumption_lapses_after_23_hours(world):
    """Its invoice is void and the subscription still paused; an invoice voided by hand does the same."""
    subscription = paused_at(world, 40)
    path = f"/v1/subscriptions/{subscription['id']}/resume"
    world.api.post(path)
    world.advance(world.now + 23 * HOUR)
    assert world.invoices()[-1]["status"] == "void"
    assert (world.get(subscription)["status"], world.get(subscription)["pending_update"]) == ("paused", None)
    world.api.post(path)
    world.api.post(f"/v1/invoices/{world.invoices()[-1]['id']}/void")
    assert world.get(subscription)["status"] == "paused"


def test_a_resumption_can_insist_on_success(world):
    """``resume_on_payment_success`` attempts at once; a decline leaves it paused, and retries go on."""
    subscription = paused_at(world, 40)
    path, form = f"/v1/subscriptions/{subscription['id']}/resume", {"payment_behavior": "resume_on_payment_success"}
    swap(world, DECLINING)
    waiting = world.api.post(path, form)
    assert waiting["status"] == "paused"
    assert world.invoices()[-1]["next_payment_attempt"] is not None
    swap(world, "pm_card_visa")
    world.advance(world.invoices()[-1]["next_payment_attempt"])
    assert world.get(subscription)["status"] == "active"


def test_a_failed_attempt_at_a_resumption_makes_past_due(world):
    """With ``resume_on_payment_attempt`` the attempt alone resumes (documented table)."""
    subscription = paused_at(world, 40)
    world.api.post(f"/v1/subscriptions/{subscription['id']}/resume")
    swap(world, DECLINING)
    world.api.refused("POST", f"/v1/invoices/{world.invoices()[-1]['id']}/pay")
    assert world.get(subscription)["status"] == "past_due"


@pytest.mark.parametrize("behavior", ["create_prorations", "none"])
def test_resuming_with_the_old_anchor_is_active_at_once(world, behavior):
    """The rest of the present period waits as a proration, or is free; the next one is billed in full."""
    subscription = paused_at(world, 45)
    form = {"billing_cycle_anchor": {"type": "unchanged"}, "proration_behavior": behavior}
    shown = world.api.post(f"/v1/subscriptions/{subscription['id']}/resume", form)
    assert (shown["status"], shown["billing_cycle_anchor"]) == ("active", START)
    item = shown["items"]["data"][0]
    assert (item["current_period_start"], item["current_period_end"]) == (at(2027, 5, 1), at(2027, 6, 1))
    rest = round(3000 * 16 / 31)
    assert [each["amount"] for each in world.pending()] == ([rest] if behavior == "create_prorations" else [])
    world.advance(at(2027, 6, 1))
    assert world.invoices()[-1]["total"] == 3000 + (rest if behavior == "create_prorations" else 0)


def test_only_a_paused_subscription_resumes(world):
    """An active one is refused."""
    subscription = world.subscribe(world.price())
    assert world.api.refused("POST", f"/v1/subscriptions/{subscription['id']}/resume")["status"] == 400


def test_migration_leads_to_flexible_mode_only(world):
    """A classic subscription becomes flexible at a known time; a flexible one cannot be migrated."""
    classic = world.subscribe(world.price(), billing_mode={"type": "classic"})
    assert classic["billing_mode"] == {"flexible": None, "type": "classic"}
    path, form = f"/v1/subscriptions/{classic['id']}/migrate", {"billing_mode": {"type": "flexible"}}
    world.advance(START + DAY)
    migrated = world.api.post(path, form)["billing_mode"]
    assert migrated == {"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": START + DAY}
    assert world.api.refused("POST", path, form)["status"] == 400
    itemized = {"billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "itemized"}}}
    other = world.subscribe(world.price(), billing_mode={"type": "classic"})
    error = world.api.refused("POST", f"/v1/subscriptions/{other['id']}/migrate", itemized)
    assert error["code"] == "sandbox_not_modelled"


def upgrade_that_fails(world, **form):
    """Subscribe, let the card go bad, and upgrade only if that is paid."""
    subscription = world.subscribe(world.price(1000))
    swap(world, DECLINING)
    world.advance(START + 15 * DAY)
    form = {"payment_behavior": "pending_if_incomplete", "proration_behavior": "always_invoice", **form}
    changed = world.update(subscription, items=[{"id": item_of(subscription), "price": world.price(2000)}], **form)
    return subscription, changed


def test_an_update_waits_for_its_payment(world):
    """The old price stays, the change is shown as pending; paying its invoice makes it (pending-updates-reference)."""
    subscription, waiting = upgrade_that_fails(world)
    assert waiting["status"] == "active"
    assert waiting["items"]["data"][0]["price"]["unit_amount"] == 1000
    pending = waiting["pending_update"]
    assert pending["expires_at"] == world.now + 23 * HOUR
    assert pending["subscription_items"][0]["price"]["unit_amount"] == 2000
    swap(world, "pm_card_visa")
    world.api.post(f"/v1/invoices/{waiting['latest_invoice']}/pay")
    shown = world.get(subscription)
    assert (shown["items"]["data"][0]["price"]["unit_amount"], shown["pending_update"]) == (2000, None)
    assert world.types("customer.subscription.pending") == ["customer.subscription.pending_update_applied"]
    world.update(subscription, items=[{"id": item_of(subscription), "quantity": 0}])
    assert [item["amount"] for item in world.pending() if item["amount"]] == [-1000]


def test_an_update_that_is_paid_at_once_does_not_wait(world):
    """With a good card the change is made in the request."""
    subscription = world.subscribe(world.price(1000))
    world.advance(START + 15 * DAY)
    form = {"payment_behavior": "pending_if_incomplete", "proration_behavior": "always_invoice"}
    changed = world.update(subscription, items=[{"id": item_of(subscription), "quantity": 2}], **form)
    assert (changed["items"]["data"][0]["quantity"], changed["pending_update"]) == (2, None)
    assert world.invoices()[-1]["total"] == 500


def test_a_waiting_update_expires(world):
    """After 23 hours its invoice is void and nothing has changed."""
    subscription, waiting = upgrade_that_fails(world)
    world.advance(world.now + 23 * HOUR)
    shown = world.get(subscription)
    assert (shown["pending_update"], shown["items"]["data"][0]["price"]["unit_amount"]) == (None, 1000)
    assert world.api.get(f"/v1/invoices/{waiting['latest_invoice']}")["status"] == "void"
    assert world.types("customer.subscription.pending") == ["customer.subscription.pending_update_expired"]


def test_only_some_attributes_can_wait(world):
    """Metadata is not one of them (documented list)."""
    subscription = world.subscribe(world.price(1000))
    path = f"/v1/subscriptions/{subscription['id']}"
    form = {"payment_behavior": "pending_if_incomplete", "metadata": {"a": "b"}}
    assert world.api.refused("POST", path, form)["param"] == "metadata"


def test_a_failed_update_is_past_due_or_undone(world):
    """``allow_incomplete`` keeps the change and is past due, ``error_if_incomplete`` undoes it with a 402."""
    subscription = world.subscribe(world.price(1000))
    swap(world, DECLINING)
    world.advance(START + 15 * DAY)
    form = {"items": [{"id": item_of(subscription), "quantity": 2}], "proration_behavior": "always_invoice"}
    path = f"/v1/subscriptions/{subscription['id']}"
    error = world.api.refused("POST", path, {**form, "payment_behavior": "error_if_incomplete"})
    assert (error["status"], world.get(subscription)["items"]["data"][0]["quantity"]) == (402, 1)
    changed = world.api.post(path, form)
    assert (changed["status"], changed["items"]["data"][0]["quantity"]) == ("past_due", 2)


def test_a_detached_card_pays_for_nothing(world):
    """Detaching it clears the default of the subscription it was for."""
    method = world.api.get(f"/v1/customers/{world.customer}/payment_methods")["data"][0]["id"]
    subscription = world.subscribe(world.price(), default_payment_method=method)
    assert subscription["default_payment_method"] == method
    world.api.post(f"/v1/payment_methods/{method}/detach")
    assert world.get(subscription)["default_payment_method"] is None
