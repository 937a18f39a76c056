"""Deleted customers: nothing of theirs is charged any more, and whatever names them still answers.

Source: https://docs.stripe.com/api/customers/delete, "Permanently deletes a customer. It cannot be undone. Also
immediately cancels any active subscriptions on the customer."; of what they have begun to pay it says nothing.
"""

import pytest

from reconciler.sandbox import Settings
from tests.sandbox.billing_world import HOUR, World, at

START = at(2027, 4, 1)
THREE_D_SECURE = "pm_card_authenticationRequired"


@pytest.fixture
def world(api):
    """Return a customer on a test clock whose card always wants authentication."""
    return World(api, START, THREE_D_SECURE)


def delete(world):
    """Delete the world's customer."""
    assert world.api.ok("DELETE", f"/v1/customers/{world.customer}")["deleted"] is True


def paid(api):
    """Return the amounts that have been taken."""
    return [charge["amount"] for charge in api.get("/v1/charges", {"limit": 100})["data"] if charge["paid"]]


def pending(world, **form):
    """Return a payment of the customer that waits for their authentication."""
    return world.api.pay(THREE_D_SECURE, customer=world.customer, **form)["id"]


@pytest.mark.parametrize("cancels", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_customer_deletion_cancels_payments(open_sandbox, account, cancels, kept):
    """A payment that waits for its customer is canceled with them, or fails; another customer's is paid."""
    api = account(open_sandbox(settings=Settings(customer_deletion_cancels_payments=cancels)))
    gone, stays = World(api, START, None), World(api, START, None)
    form = {"setup_future_usage": "off_session"} if kept else {}
    lost, other = pending(gone, **form), pending(stays, **form)
    delete(gone)
    status = api.get(f"/v1/payment_intents/{lost}")["status"]
    assert status == ("canceled" if cancels else "requires_action")
    if not cancels:
        api.authenticate(lost)
        intent = api.get(f"/v1/payment_intents/{lost}")
        assert (intent["status"], intent["amount_received"]) == ("requires_payment_method", 0)
        error = api.refused("POST", f"/v1/payment_intents/{lost}/confirm", {"payment_method": "pm_card_visa"})
        assert (error["status"], error["code"], error["param"]) == (400, "resource_missing", "customer")
    assert paid(api) == []
    api.authenticate(other)
    assert paid(api) == [1000]


@pytest.mark.parametrize("cancels", [True, False])
def test_an_invoice_is_not_paid_after_its_customer_is_gone(open_sandbox, account, cancels):
    """Whose first invoice waits for authentication is not charged when that comes; the invoice can be voided."""
    api = account(open_sandbox(settings=Settings(customer_deletion_cancels_payments=cancels)))
    world = World(api, START, THREE_D_SECURE)
    subscription = world.subscribe(world.price())
    invoice, intent = (world.invoices()[0], api.get("/v1/payment_intents")["data"][0])
    assert (subscription["status"], intent["status"]) == ("incomplete", "requires_action")
    delete(world)
    if not cancels:
        api.authenticate(intent["id"])
    assert paid(api) == []
    assert api.refused("POST", f"/v1/invoices/{invoice['id']}/pay")["status"] == 400
    after = api.get(f"/v1/invoices/{invoice['id']}")
    assert (after["status"], after["amount_paid"]) == ("open", 0)
    assert api.post(f"/v1/invoices/{invoice['id']}/void")["status"] == "void"
    assert api.get(f"/v1/payment_intents/{intent['id']}")["status"] == "canceled"


def test_a_card_is_not_set_up_for_a_deleted_customer(world):
    """A setup that waits for authentication fails, and cannot be confirmed anew."""
    api = world.api
    form = {"customer": world.customer, "payment_method": THREE_D_SECURE, "confirm": True}
    intent = api.post("/v1/setup_intents", form)["id"]
    delete(world)
    api.authenticate(intent)
    assert api.get(f"/v1/setup_intents/{intent}")["status"] == "requires_payment_method"
    error = api.refused("POST", f"/v1/setup_intents/{intent}/confirm", {"payment_method": "pm_card_visa"})
    assert (error["status"], error["param"]) == (400, "customer")


def test_a_detached_card_is_not_charged_after_authentication(world):
    """A method "may not be used again" once it is detached (observed: liberapay/liberapay.com#2686)."""
    api = world.api
    method = api.get(f"/v1/customers/{world.customer}/payment_methods")["data"][0]["id"]
    intent = api.pay(method, customer=world.customer)["id"]
    api.post(f"/v1/payment_methods/{method}/detach")
    with pytest.raises(Exception, match="may not be used again"):
        api.authenticate(intent)
    assert paid(api) == []


def test_what_a_deleted_customer_had_subscribed_to_can_still_be_described(api):
    """A canceled subscription "can only update its cancellation_details and metadata" (``Subscription.status``)."""
    world = World(api, START)
    subscription = world.subscribe(world.price())
    delete(world)
    details = {"comment": "too dear", "feedback": "too_expensive"}
    changed = world.update(subscription, metadata={"seen": "yes"}, cancellation_details=details)
    assert (changed["status"], changed["metadata"]) == ("canceled", {"seen": "yes"})
    assert changed["cancellation_details"] == {**details, "reason": "cancellation_requested"}
    assert world.types("customer.subscription.")[-1] == "customer.subscription.updated"
    error = api.refused("POST", f"/v1/subscriptions/{subscription['id']}", {"cancel_at_period_end": False})
    assert (error["status"], error["param"]) == (400, "cancel_at_period_end")


def test_a_deleted_customer_has_no_next_invoice(api):
    """A preview of theirs, of their subscription or schedule is a 400 that says who is missing.

    As of other missing objects that parameters name: https://docs.stripe.com/error-codes#resource-missing.
    """
    world, other = World(api, START), World(api, START)
    subscription = world.subscribe(world.price())
    later = {"start_date": START + 40 * HOUR, "phases": [{"items": [{"price": world.price()}]}]}
    schedule = api.post("/v1/subscription_schedules", {"customer": world.customer, **later})
    kept = other.subscribe(other.price(700))
    delete(world)
    named = {"customer": world.customer, "subscription": subscription["id"], "schedule": schedule["id"]}
    for name, value in named.items():
        error = api.refused("POST", "/v1/invoices/create_preview", {name: value})
        assert (error["status"], error["code"], error["param"]) == (400, "resource_missing", "customer")
    assert api.post("/v1/invoices/create_preview", {"subscription": kept["id"]})["total"] == 700


def test_a_canceled_subscription_has_no_next_invoice(api):
    """With its customer still there it is the 404 of a preview of nothing (docs: ``invoice_upcoming_none``)."""
    world = World(api, START)
    subscription = world.subscribe(world.price())
    api.ok("DELETE", f"/v1/subscriptions/{subscription['id']}")
    error = api.refused("POST", "/v1/invoices/create_preview", {"subscription": subscription["id"]})
    assert (error["status"], error["code"]) == (404, "invoice_upcoming_none")
