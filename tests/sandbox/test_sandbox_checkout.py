"""Checkout sessions: what they say, what they refuse, what they cost, how they end."""

import json

import hypothesis
import pytest
from hypothesis import given
from hypothesis.strategies import booleans, integers, lists, sampled_from, tuples

from reconciler.sandbox import Sandbox
from reconciler.sandbox.settings import Settings
from tests.sandbox.conftest import Api
from tests.sandbox.person import CHALLENGED, DECLINED, Person

HOUR, DAY = 3_600, 86_400
DONE = "https://example.com/done?session={CHECKOUT_SESSION_ID}"


@pytest.fixture
def product(api):
    """Return the id of a product."""
    return api.product()["id"]


@pytest.fixture
def price(api, product):
    """Return the id of a one-time price of 10.00 usd."""
    return api.price(product)["id"]


@pytest.fixture
def monthly(api, product):
    """Return the id of a monthly price of 10.00 usd."""
    return api.price(product, recurring={"interval": "month"})["id"]


def opened(api, price, quantity=1, **form):
    """Open a session for a price, in payment mode unless the form says otherwise."""
    line = {"price": price, "quantity": quantity}
    form = {"mode": "payment", "success_url": DONE, "line_items": [line], **form}
    return api.post("/v1/checkout/sessions", {name: value for name, value in form.items() if value is not None})


def again(api, session):
    """Return a session as it is now."""
    return api.get(f"/v1/checkout/sessions/{session['id']}")


def visited(api, session):
    """Return a person at the session's page."""
    return Person(api.sandbox).visit(session["url"])


def test_a_session_is_complete(api, price, now):
    """A new session has every documented field, is open for a day, and is no event.

    Source: https://docs.stripe.com/api/checkout/sessions/object.
    """
    before = len(api.events())
    session = opened(api, price, quantity=2)
    assert session["id"].startswith("cs_test_a1")
    assert session["url"] == f"http://127.0.0.1/c/pay/{session['id']}"
    assert (session["status"], session["payment_status"], session["expires_at"]) == ("open", "unpaid", now + DAY)
    assert (session["amount_subtotal"], session["amount_total"], session["currency"]) == (2000, 2000, "usd")
    assert session["total_details"] == {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}
    assert (session["customer_creation"], session["payment_method_collection"]) == ("if_required", "if_required")
    assert len(api.events()) == before


@pytest.mark.parametrize(
    ("good", "change", "param"),
    [
        ({}, {"mode": None}, "mode"),
        ({}, {"success_url": None}, "success_url"),
        ({"cancel_url": "https://example.com/"}, {"cancel_url": "ftp://example.com/"}, "cancel_url"),
        ({}, {"line_items": None}, "line_items"),
        ({}, {"mode": "subscription"}, "line_items"),
        ({"client_reference_id": "x" * 200}, {"client_reference_id": "x" * 201}, "client_reference_id"),
        ({"customer_email": "a@example.com"}, {"customer": "cus_nope"}, "customer"),
        ({"expires_at": 1_800_000_000 + HOUR // 2}, {"expires_at": 1_800_000_000 + HOUR // 2 - 1}, "expires_at"),
        ({"expires_at": 1_800_000_000 + DAY}, {"expires_at": 1_800_000_000 + DAY + 1}, "expires_at"),
        (
            {"customer_creation": "always"},
            {"customer_creation": None, "customer_update": {"name": "auto"}},
            "customer_update",
        ),
        ({"allow_promotion_codes": True}, {"discounts": [{"coupon": "TEN"}]}, "allow_promotion_codes"),
        ({"discounts": [{"coupon": "TEN"}]}, {"discounts": [{"coupon": "NOPE"}]}, "discounts[0][coupon]"),
        ({"discounts": [{"coupon": "TEN"}]}, {"discounts": [{"coupon": "TEN"}] * 2}, "discounts"),
        ({}, {"subscription_data": {"trial_period_days": 1}}, "subscription_data"),
        ({}, {"setup_intent_data": {"description": "x"}}, "setup_intent_data"),
        ({"ui_mode": "hosted_page"}, {"ui_mode": "embedded_page"}, "ui_mode"),
        ({"automatic_tax": {"enabled": False}}, {"automatic_tax": {"enabled": True}}, "automatic_tax[enabled]"),
        ({}, {"after_expiration": {"recovery": {"enabled": True}}}, "after_expiration"),
        ({}, {"payment_intent_data": {"application_fee_amount": 1}}, "payment_intent_data[application_fee_amount]"),
        ({"locale": "de"}, {"locale": "tlh"}, "locale"),
    ],
)
def test_a_session_that_stripe_would_not_open_is_refused(api, price, good, change, param):
    """The good form opens a session; the same form with one change is a 400 that names the parameter.

    Source: https://docs.stripe.com/api/checkout/sessions/create.
    """
    api.coupon(id="TEN")
    opened(api, price, **good)
    form = {"mode": "payment", "success_url": DONE, "line_items": [{"price": price, "quantity": 1}], **good, **change}
    bad = {name: value for name, value in form.items() if value is not None}
    error = api.refused("POST", "/v1/checkout/sessions", bad)
    assert (error["status"], error["param"]) == (400, param)


def test_modes_sell_what_they_are_for(api, price, monthly):
    """Payments refuse recurring prices, subscriptions need one and take one-time prices with it (texts observed)."""
    opened(
        api,
        monthly,
        mode="subscription",
        line_items=[{"price": monthly, "quantity": 1}, {"price": price, "quantity": 1}],
    )
    form = {"mode": "payment", "success_url": DONE, "line_items": [{"price": monthly, "quantity": 1}]}
    assert api.refused("POST", "/v1/checkout/sessions", form)["message"].startswith("You specified `payment` mode but")
    form = {"mode": "subscription", "success_url": DONE, "line_items": [{"price": price, "quantity": 1}]}
    assert "at least one recurring price" in api.refused("POST", "/v1/checkout/sessions", form)["message"]


def test_metered_lines_have_no_quantity(api, product):
    """A metered price is sold without a quantity and costs nothing today; a licensed one needs one (observed)."""
    recurring = {"interval": "month", "usage_type": "metered", "meter": api.meter()["id"]}
    metered = api.price(product, recurring=recurring)["id"]
    licensed = api.price(product, recurring={"interval": "month"})["id"]
    lines = [{"price": licensed, "quantity": 1}, {"price": metered}]
    session = opened(api, licensed, mode="subscription", line_items=lines, expand=["line_items"])
    assert [(line["quantity"], line["amount_total"]) for line in session["line_items"]["data"]] == [
        (1, 1000),
        (None, 0),
    ]
    form = {"mode": "subscription", "success_url": DONE}
    bad = [lines[0], {"price": metered, "quantity": 1}]
    assert (
        api.refused("POST", "/v1/checkout/sessions", {**form, "line_items": bad})["param"] == "line_items[1][quantity]"
    )
    error = api.refused("POST", "/v1/checkout/sessions", {**form, "line_items": [{"price": licensed}]})
    assert error["message"] == "Quantity is required. Add `quantity` to `line_items[0]`"


def test_amounts_are_discounted_then_taxed(api, price):
    """30.00 less 10 % with 20 % on top is 32.40; the lines add up and a coupon is not redeemed by opening."""
    api.coupon(id="TEN")
    rate = api.post("/v1/tax_rates", {"display_name": "VAT", "inclusive": False, "percentage": 20})["id"]
    line = {"price": price, "quantity": 3, "tax_rates": [rate]}
    expand = ["line_items.data.discounts", "line_items.data.taxes", "total_details.breakdown"]
    session = opened(api, price, line_items=[line], discounts=[{"coupon": "TEN"}], expand=expand)
    assert (session["amount_subtotal"], session["amount_total"]) == (3000, 3240)
    details = session["total_details"]
    assert (details["amount_discount"], details["amount_tax"]) == (300, 540)
    assert details["breakdown"]["taxes"][0]["rate"]["id"] == rate
    shown = session["line_items"]["data"][0]
    assert (shown["amount_subtotal"], shown["amount_discount"], shown["amount_tax"], shown["amount_total"]) == (
        3000,
        300,
        540,
        3240,
    )
    assert shown["discounts"][0]["discount"]["source"]["coupon"] == "TEN"
    assert api.get("/v1/coupons/TEN")["times_redeemed"] == 0


def test_a_small_amount_cannot_be_charged(api, product):
    """Fifty cents can be paid, less cannot, nothing at all is free (https://docs.stripe.com/currencies)."""
    prices = [api.price(product, unit_amount=amount)["id"] for amount in (50, 49, 0)]
    assert [opened(api, price)["amount_total"] for price in (prices[0], prices[2])] == [50, 0]
    form = {"mode": "payment", "success_url": DONE, "line_items": [{"price": prices[1], "quantity": 1}]}
    assert api.refused("POST", "/v1/checkout/sessions", form)["code"] == "amount_too_small"


def test_a_payment_completes_the_session(api, price):
    """One card payment: intent, charge, completed session, the way to the success address, one event."""
    session = opened(
        api, price, 2, metadata={"k": "v"}, payment_intent_data={"metadata": {"order": "7"}, "description": "Order"}
    )
    person = visited(api, session).pay()
    assert person.location == DONE.format(CHECKOUT_SESSION_ID=session["id"])
    done = again(api, session)
    assert (done["status"], done["payment_status"], done["url"]) == ("complete", "paid", None)
    assert (done["customer"], done["customer_details"]["email"]) == (None, "ann@example.com")
    intent = api.get(f"/v1/payment_intents/{done['payment_intent']}")
    assert (intent["amount_received"], intent["status"], intent["metadata"]) == (2000, "succeeded", {"order": "7"})
    assert intent["description"] == "Order"
    [event] = api.events(type="checkout.session.completed")
    assert (event["data"]["object"]["id"], event["data"]["object"]["metadata"]) == (session["id"], {"k": "v"})


def test_intents_take_what_the_session_says(api, price):
    """Manual capture leaves the session unpaid until captured; ``setup_future_usage`` keeps the card with the customer.

    Source: https://docs.stripe.com/api/checkout/sessions/create (``payment_intent_data``).
    """
    held = opened(api, price, payment_intent_data={"capture_method": "manual"})
    kept = opened(api, price, payment_intent_data={"setup_future_usage": "off_session"})
    for session in (held, kept):
        visited(api, session).pay()
    done = again(api, held)
    assert (done["status"], done["payment_status"]) == ("complete", "unpaid")
    assert api.get(f"/v1/payment_intents/{done['payment_intent']}")["amount_capturable"] == 1000
    customer = again(api, kept)["customer"]
    assert len(api.ids(f"/v1/customers/{customer}/payment_methods")) == 1


def test_a_customer_is_made_where_one_is_needed(api, price):
    """``always`` makes one, ``if_required`` none, an existing one is used; a free order makes one.

    Sources: https://docs.stripe.com/api/checkout/sessions/create (``customer_creation``) and
    https://docs.stripe.com/payments/checkout/no-cost-orders.
    """
    free = api.price(api.product()["id"], unit_amount=0)["id"]
    held = api.customer(email="bob@example.com")["id"]
    sessions = [
        opened(api, price, customer_creation="always"),
        opened(api, price, customer_creation="if_required"),
        opened(api, price, customer=held),
        opened(api, free),
    ]
    for session in sessions:
        visited(api, session).pay()
    always, never, existing, gratis = [again(api, session) for session in sessions]
    assert api.get(f"/v1/customers/{always['customer']}")["email"] == "ann@example.com"
    assert never["customer"] is None
    assert (existing["customer"], existing["customer_details"]["email"]) == (held, "bob@example.com")
    assert gratis["customer"] is not None
    assert gratis["payment_intent"] is None


@pytest.mark.parametrize("needs_none", [True, False])
def test_free_orders_need_no_payment(open_sandbox, account, needs_none):
    """A session with nothing to pay completes as ``no_payment_required``, or as ``paid`` where the setting says so."""
    api = account(open_sandbox(settings=Settings(free_orders_need_no_payment=needs_none)))
    free = opened(api, api.price(api.product()["id"], unit_amount=0)["id"])
    visited(api, free).pay()
    assert again(api, free)["payment_status"] == ("no_payment_required" if needs_none else "paid")


def test_a_declined_card_leaves_the_session_open(api, price):
    """The person stays on the page with the message and what they typed, and can pay with another card."""
    session = opened(api, price)
    person = visited(api, session).pay(DECLINED, card_name="Ann B.")
    assert person.problems == ["Your card was declined."]
    assert (person.status, person.location) == (400, None)
    assert 'value="Ann B."' in person.html
    assert "0002" not in person.html.replace("4000 0000 0000 0002", "")
    assert again(api, session)["status"] == "open"
    assert person.pay().location == DONE.format(CHECKOUT_SESSION_ID=session["id"])
    types = [event["type"] for event in api.events()]
    assert types.index("charge.failed") < types.index("charge.succeeded") < types.index("checkout.session.completed")
    assert len(api.ids("/v1/payment_intents")) == 1


def test_pressing_twice_charges_once(api, price):
    """The same form sent again, as by a double click, leads to the success address without a second charge."""
    session = opened(api, price)
    one, two = visited(api, session), visited(api, session)
    assert one.pay().location == two.pay().location == DONE.format(CHECKOUT_SESSION_ID=session["id"])
    assert len(api.ids("/v1/charges")) == 1
    assert len(api.events(type="checkout.session.completed")) == 1


@pytest.mark.parametrize("mode", ["payment", "subscription", "setup"])
def test_a_bank_may_ask_its_customer(api, price, monthly, mode):
    """A card with 3D Secure leads to the bank's page; failing leads back to the form, completing to the shop.

    Source: https://docs.stripe.com/testing#regulatory-cards.
    """
    form = {"line_items": None, "currency": "usd", "customer_creation": "always"} if mode == "setup" else {}
    session = opened(api, price if mode == "payment" else monthly, mode=mode, **form)
    person = visited(api, session).pay(CHALLENGED)
    assert "Is it you?" in person.text
    assert "Is it you?" in visited(api, session).text
    person.press("authenticate", result="failure")
    assert "unable to authenticate" in person.problems[0]
    assert again(api, session)["status"] == "open"
    person.pay(CHALLENGED).press("authenticate", result="success")
    assert person.location == DONE.format(CHECKOUT_SESSION_ID=session["id"])
    assert again(api, session)["status"] == "complete"


def test_a_subscription_begins_with_its_first_payment(api, monthly, price):
    """The session makes customer, subscription and a paid invoice with the one-time line on it; the card is kept."""
    lines = [{"price": monthly, "quantity": 2}, {"price": price, "quantity": 1}]
    session = opened(
        api, monthly, mode="subscription", line_items=lines, subscription_data={"metadata": {"plan": "pro"}}
    )
    visited(api, session).pay()
    done = again(api, session)
    assert (done["payment_status"], done["payment_intent"], done["amount_total"]) == ("paid", None, 3000)
    subscription = api.get(f"/v1/subscriptions/{done['subscription']}")
    assert (subscription["status"], subscription["customer"]) == ("active", done["customer"])
    assert subscription["metadata"] == {"plan": "pro"}
    method = api.get(f"/v1/payment_methods/{subscription['default_payment_method']}")
    assert (method["customer"], method["card"]["last4"]) == (done["customer"], "4242")
    invoice = api.get(f"/v1/invoices/{done['invoice']}")
    assert (invoice["status"], invoice["total"], invoice["billing_reason"]) == ("paid", 3000, "subscription_create")
    types = [event["type"] for event in api.events()]
    assert types.index("invoice.paid") < types.index("checkout.session.completed")


def test_a_declined_subscription_is_paid_with_another_card(api, monthly):
    """Until its first invoice is paid the subscription is incomplete; the next card pays that very invoice."""
    session = opened(api, monthly, mode="subscription")
    person = visited(api, session).pay(DECLINED)
    assert person.problems == ["Your card was declined."]
    assert again(api, session)["subscription"] is None
    [waiting] = api.get("/v1/subscriptions", {"status": "incomplete"})["data"]
    person.pay()
    done = again(api, session)
    assert (done["subscription"], done["payment_status"]) == (waiting["id"], "paid")
    assert len(api.ids("/v1/invoices")) == len(api.ids("/v1/customers")) == 1


def test_a_trial_costs_nothing_today(api, monthly, price):
    """A trial's recurring line is free today, its one-time line is not; a card is kept even where nothing is due.

    Source: https://docs.stripe.com/payments/checkout/free-trials.
    """
    data = {"subscription_data": {"trial_period_days": 7}}
    session = opened(api, monthly, mode="subscription", **data)
    lines = [{"price": monthly, "quantity": 1}, {"price": price, "quantity": 1}]
    both = opened(api, monthly, mode="subscription", line_items=lines, **data)
    assert (session["amount_total"], both["amount_total"]) == (0, 1000)
    visited(api, session).pay()
    visited(api, both).pay()
    done = again(api, session)
    subscription = api.get(f"/v1/subscriptions/{done['subscription']}")
    assert (subscription["status"], done["payment_status"]) == ("trialing", "no_payment_required")
    assert subscription["default_payment_method"] is not None
    assert again(api, both)["payment_status"] == "paid"


def test_a_card_is_asked_for_only_if_required(api, monthly):
    """With ``if_required`` a trial begins without a card; with ``always`` the page insists on one."""
    data = {"mode": "subscription", "subscription_data": {"trial_period_days": 7}}
    free = opened(api, monthly, payment_method_collection="if_required", **data)
    strict = opened(api, monthly, payment_method_collection="always", **data)
    assert "card_number" not in visited(api, free).page.labels
    person = visited(api, strict)
    assert "card_number" in person.page.labels
    assert person.press("buy", email="ann@example.com").problems == ["Enter your card number."]
    Person(api.sandbox).visit(free["url"]).press("buy", email="ann@example.com")
    subscription = api.get(f"/v1/subscriptions/{again(api, free)['subscription']}")
    assert (subscription["status"], subscription["default_payment_method"]) == ("trialing", None)


def test_a_setup_keeps_a_card(api):
    """Setup mode charges nothing: its intent succeeds and the card is the customer's."""
    held = api.customer(email="bob@example.com")["id"]
    form = {"mode": "setup", "currency": "usd", "customer": held, "success_url": DONE}
    session = api.post("/v1/checkout/sessions", form)
    assert (session["amount_total"], session["payment_status"]) == (None, "no_payment_required")
    visited(api, session).pay()
    intent = api.get(f"/v1/setup_intents/{session['setup_intent']}")
    assert (intent["status"], intent["customer"]) == ("succeeded", held)
    assert api.get(f"/v1/payment_methods/{intent['payment_method']}")["customer"] == held
    assert api.ids("/v1/charges") == []


def test_invoice_creation_makes_a_paid_invoice(api, price):
    """A one-time purchase with ``invoice_creation`` is paid by an invoice that says what the session says.

    Source: https://docs.stripe.com/payments/checkout/receipts#paid-invoices.
    """
    data = {"description": "Thanks", "metadata": {"k": "v"}, "footer": "Bye"}
    session = opened(api, price, 2, invoice_creation={"enabled": True, "invoice_data": data})
    visited(api, session).pay(DECLINED).pay()
    done = again(api, session)
    invoice = api.get(f"/v1/invoices/{done['invoice']}")
    assert (invoice["status"], invoice["total"], invoice["description"]) == ("paid", 2000, "Thanks")
    assert (invoice["metadata"], invoice["footer"]) == ({"k": "v"}, "Bye")
    assert done["payment_intent"] is not None
    assert len(api.ids("/v1/invoices")) == 1


def test_a_discount_is_redeemed_once_the_session_completes(api, price, monthly):
    """Coupons are counted at completion, on the payment or on the subscription, and not by a declined card."""
    api.coupon(id="TEN")
    for bought, mode in ((price, "payment"), (monthly, "subscription")):
        before = api.get("/v1/coupons/TEN")["times_redeemed"]
        session = opened(api, bought, mode=mode, discounts=[{"coupon": "TEN"}])
        assert session["amount_total"] == 900
        visited(api, session).pay()
        assert api.get("/v1/coupons/TEN")["times_redeemed"] == before + 1
        assert again(api, session)["amount_total"] == 900
    assert api.get("/v1/payment_intents")["data"][0]["amount"] == 900


def test_promotion_codes_are_typed_in(api, price):
    """A code that works lowers the total in any case, a wrong one is refused, and it can be taken away again."""
    code = api.code(api.coupon()["id"], code="HELLO")["id"]
    api.code(api.coupon(percent_off=50)["id"], code="OTHER")
    session = opened(api, price, allow_promotion_codes=True)
    person = visited(api, session)
    assert person.press("code", code="NOPE").problems == ["This code is invalid."]
    person.press("code", code=" hello ")
    assert "Total due today $9.00" in person.text
    assert again(api, session)["discounts"] == [{"coupon": None, "promotion_code": code}]
    person.press("code")
    assert again(api, session)["amount_total"] == 1000
    person.press("code", code="HELLO").pay()
    assert api.get(f"/v1/promotion_codes/{code}")["times_redeemed"] == 1
    plain = visited(api, opened(api, price))
    assert "Promotion code" not in plain.text


def test_codes_for_first_purchases_need_a_known_customer(api, price):
    """A guest cannot use such a code; a session that makes a customer can, and one who has bought before cannot.

    Source: https://docs.stripe.com/api/checkout/sessions/create (``customer_creation``).
    """
    restrictions = {"first_time_transaction": True}
    code = api.code(api.coupon()["id"], code="FIRST", restrictions=restrictions)["id"]
    given = {"discounts": [{"promotion_code": code}]}
    form = {"mode": "payment", "success_url": DONE, "line_items": [{"price": price, "quantity": 1}], **given}
    assert api.refused("POST", "/v1/checkout/sessions", form)["param"] == "discounts[0][promotion_code]"
    session = opened(api, price, customer_creation="always", **given)
    visited(api, session).pay()
    known = again(api, session)["customer"]
    assert api.refused("POST", "/v1/checkout/sessions", {**form, "customer": known})["status"] == 400


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"discounts": [{"coupon": "TEN"}]},
        {"subscription_data": {"billing_cycle_anchor": 1_800_000_000 + 10 * DAY}},
        {"subscription_data": {"billing_cycle_anchor": 1_800_000_000 + 10 * DAY, "proration_behavior": "none"}},
        {"subscription_data": {"billing_cycle_anchor_config": {"day_of_month": 3}}},
        {"subscription_data": {"trial_period_days": 3}, "discounts": [{"coupon": "TEN"}]},
    ],
)
def test_the_page_shows_what_the_first_invoice_charges(api, product, form):
    """The session's total is that of its subscription's first invoice: tiers, taxes, discounts, parts of periods."""
    api.coupon(id="TEN", percent_off=12.5)
    rate = api.post("/v1/tax_rates", {"display_name": "VAT", "inclusive": False, "percentage": 19})["id"]
    tiers = [{"up_to": 2, "unit_amount": 1001}, {"up_to": "inf", "unit_amount": 333, "flat_amount": 77}]
    graduated = api.price(
        product, recurring={"interval": "month"}, billing_scheme="tiered", tiers_mode="graduated", tiers=tiers
    )["id"]
    once = api.price(product, unit_amount=555)["id"]
    lines = [{"price": graduated, "quantity": 7, "tax_rates": [rate]}, {"price": once, "quantity": 1}]
    session = opened(api, graduated, mode="subscription", line_items=lines, **form)
    visited(api, session).pay()
    done = again(api, session)
    invoice = api.get(f"/v1/invoices/{done['invoice']}")
    assert invoice["total"] == done["amount_total"] == session["amount_total"]
    assert done["total_details"]["amount_tax"] == sum(tax["amount"] for tax in invoice["total_taxes"])


@hypothesis.settings(max_examples=15)
@given(
    order=lists(tuples(integers(50, 99_999), integers(1, 9), booleans()), min_size=1, max_size=4),
    percent=integers(1, 99),
    tax=sampled_from(["7", "19", "8.875"]),
)
def test_shown_invoiced_and_charged_are_one_amount(order, percent, tax):
    """Whatever is bought, the total shown is the sum of its lines, the invoice's total and what the card is charged."""
    with Sandbox(clock=1_800_000_000) as sandbox:
        api = Api(sandbox)
        product = api.product()["id"]
        rate = api.post("/v1/tax_rates", {"display_name": "VAT", "inclusive": False, "percentage": tax})["id"]
        lines = []
        for amount, quantity, taxed in order:
            price = api.price(product, unit_amount=amount)["id"]
            lines.append({"price": price, "quantity": quantity, **({"tax_rates": [rate]} if taxed else {})})
        more = {"discounts": [{"coupon": api.coupon(percent_off=percent)["id"]}], "expand": ["line_items"]}
        form = {"mode": "payment", "success_url": DONE, "line_items": lines, "invoice_creation": {"enabled": True}}
        reply = api.send("POST", "/v1/checkout/sessions", {**form, **more})
        hypothesis.assume(reply.status == 200)  # Some orders are too small to be charged.
        session = json.loads(reply.body)
        assert visited(api, session).pay().location
        invoice = api.get(f"/v1/invoices/{again(api, session)['invoice']}")
        charge = api.get("/v1/charges")["data"][0]["amount"]
        shown = sum(line["amount_total"] for line in session["line_items"]["data"])
        assert session["amount_total"] == shown == invoice["total"] == charge


def test_what_is_gone_does_not_stop_the_clock(open_sandbox, account):
    """A session whose customer and subscription went with their test clock is refused and still expires."""
    time = [1_800_000_000]
    api = account(open_sandbox(clock=lambda: time[0]))
    price = api.price(api.product()["id"], recurring={"interval": "month"})["id"]
    clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": time[0]})["id"]
    held = api.customer(email="bob@example.com", test_clock=clock)["id"]
    session = opened(api, price, mode="subscription", customer=held)
    person = visited(api, session).pay(DECLINED)
    api.ok("DELETE", f"/v1/test_helpers/test_clocks/{clock}")
    assert "not exist any more" in person.pay().problems[0]
    time[0] += DAY
    assert again(api, session)["status"] == "expired"


def test_an_exhausted_coupon_refuses_the_payment_before_it(api, price):
    """Of two open sessions with a coupon for one only the first is paid; the other is refused without a charge."""
    api.coupon(id="ONE", max_redemptions=1)
    first, second = (opened(api, price, discounts=[{"coupon": "ONE"}]) for _ in range(2))
    visited(api, first).pay()
    person = visited(api, second).pay()
    assert person.problems == ["Coupon expired: ONE"]
    assert len(api.ids("/v1/charges")) == 1


def test_quantities_can_be_changed_within_their_range(api, price):
    """The page changes an adjustable quantity within its bounds; a line that is not adjustable has no such form."""
    line = {"price": price, "quantity": 2, "adjustable_quantity": {"enabled": True, "minimum": 1, "maximum": 5}}
    session = opened(api, price, line_items=[line, {"price": price, "quantity": 1}])
    [first, second] = api.get(f"/v1/checkout/sessions/{session['id']}/line_items")["data"]
    person = visited(api, session)
    name = f"quantity_{first['id']}"
    person.press("quantity", item=first["id"], **{name: "5"})
    assert again(api, session)["amount_total"] == 6000
    assert "from 1 to 5" in person.press("quantity", item=first["id"], **{name: "6"}).problems[0]
    forms = [form for form in person.page.forms if form["do"] == "quantity"]
    assert [form["item"] for form in forms] == [first["id"]] != [second["id"]]
    person.pay()
    assert api.get("/v1/payment_intents")["data"][0]["amount"] == 6000


def test_the_customer_chooses_the_amount(api, product):
    """A price with ``custom_unit_amount`` is paid as typed, within its bounds, and stands alone.

    Source: https://docs.stripe.com/payments/checkout/pay-what-you-want.
    """
    custom = api.price(product, custom_unit_amount={"enabled": True, "minimum": 100, "preset": 500, "maximum": 900})[
        "id"
    ]
    session = opened(api, custom)
    assert session["amount_total"] == 500
    person = visited(api, session)
    assert "from 100 to 900" in person.pay(amount="99").problems[0]
    person.pay(amount="777")
    assert again(api, session)["amount_total"] == 777
    assert api.get("/v1/payment_intents")["data"][0]["amount_received"] == 777
    lines = [{"price": custom, "quantity": 1}, {"price": api.price(product)["id"], "quantity": 1}]
    form = {"mode": "payment", "success_url": DONE, "line_items": lines}
    assert api.refused("POST", "/v1/checkout/sessions", form)["param"] == "line_items[0][price]"


def test_custom_fields_names_and_consents_are_kept(api, price):
    """What the session asks for is required on the page and stands in the completed session."""
    fields = [
        {"key": "team", "label": {"type": "custom", "custom": "Team"}, "type": "text", "text": {"minimum_length": 3}},
        {
            "key": "size",
            "label": {"type": "custom", "custom": "Size"},
            "type": "dropdown",
            "dropdown": {"options": [{"label": "Small", "value": "s"}, {"label": "Large", "value": "l"}]},
        },
        {"key": "vat", "label": {"type": "custom", "custom": "Number"}, "type": "numeric", "optional": True},
    ]
    asked = {
        "custom_fields": fields,
        "phone_number_collection": {"enabled": True},
        "name_collection": {"business": {"enabled": True}},
        "consent_collection": {"terms_of_service": "required", "promotions": "auto"},
        "billing_address_collection": "required",
    }
    session = opened(api, price, **asked)
    typed = {
        "custom_team": "Blue", "custom_size": "l", "phone": "+1 555 0100", "business_name": "Acme", "terms": "on",
        "line1": "1 Road", "country": "us",
    }  # fmt: skip
    for name, wrong in (
        ("custom_team", "ab"),
        ("custom_size", "x"),
        ("custom_vat", "1a"),
        ("phone", ""),
        ("terms", ""),
    ):
        assert visited(api, session).pay(**{**typed, name: wrong}).problems
    assert api.ids("/v1/charges") == []
    visited(api, session).pay(**typed)
    done = again(api, session)
    assert [field[field["type"]]["value"] for field in done["custom_fields"]] == ["Blue", "l", None]
    assert done["consent"] == {"promotions": "opt_out", "terms_of_service": "accepted"}
    assert done["collected_information"]["business_name"] == "Acme"
    assert done["customer_details"]["phone"] == "+1 555 0100"
    assert done["customer_details"]["address"]["country"] == "US"


def test_sessions_expire(open_sandbox, account):
    """At ``expires_at`` a session is expired with an event; its page says so; before, it is open."""
    time = [1_800_000_000]
    api = account(open_sandbox(clock=lambda: time[0]))
    price = api.price(api.product()["id"])["id"]
    session = opened(api, price, expires_at=time[0] + HOUR, cancel_url="https://example.com/cart")
    longer = opened(api, price)
    visited(api, session).pay(DECLINED)
    time[0] += HOUR - 1
    assert again(api, session)["status"] == "open"
    time[0] += 1
    expired = again(api, session)
    assert (expired["status"], expired["url"]) == ("expired", None)
    assert again(api, longer)["status"] == "open"
    person = visited(api, session)
    assert "expired" in person.text
    assert person.page.links["Back to the shop"] == "https://example.com/cart"
    assert [event["data"]["object"]["id"] for event in api.events(type="checkout.session.expired")] == [session["id"]]
    assert api.get("/v1/payment_intents")["data"][0]["status"] == "canceled"


def test_expiring_takes_back_what_was_begun(api, price):
    """The intent of a payment or setup is canceled and an open invoice voided; a setup's intent needs no attempt.

    Source: https://docs.stripe.com/api/checkout/sessions/object (``payment_intent``, ``setup_intent``).
    """
    setup = {"mode": "setup", "currency": "usd", "success_url": DONE}
    sessions = [opened(api, price), opened(api, price, invoice_creation={"enabled": True})]
    for session in sessions:
        visited(api, session).pay(DECLINED)
    sessions.append(api.post("/v1/checkout/sessions", setup))
    for session in sessions:
        api.post(f"/v1/checkout/sessions/{session['id']}/expire")
    assert {intent["status"] for intent in api.get("/v1/payment_intents")["data"]} == {"canceled"}
    assert [invoice["status"] for invoice in api.get("/v1/invoices")["data"]] == ["void"]
    assert api.get(f"/v1/setup_intents/{sessions[2]['setup_intent']}")["status"] == "canceled"


def test_only_open_sessions_can_be_expired(api, price, monthly):
    """``expire`` ends an open session and what it began, once; a completed one is refused (text observed)."""
    session = opened(api, monthly, mode="subscription")
    visited(api, session).pay(DECLINED)
    path = f"/v1/checkout/sessions/{session['id']}/expire"
    assert api.post(path)["status"] == "expired"
    assert [each["status"] for each in api.get("/v1/subscriptions", {"status": "all"})["data"]] == [
        "incomplete_expired"
    ]
    message = (
        'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of `{}`.'
    )
    assert api.refused("POST", path)["message"] == message.format("expired")
    paid = opened(api, price)
    visited(api, paid).pay()
    error = api.refused("POST", f"/v1/checkout/sessions/{paid['id']}/expire")
    assert error["message"] == message.format("complete")


def test_lists_filter(api, price, monthly):
    """Each filter keeps the sessions that match and leaves the decoy out; without one all are listed."""
    held = api.customer(email="bob@example.com")["id"]
    mine = opened(api, monthly, mode="subscription", customer=held)
    decoy = opened(api, price)
    visited(api, mine).pay()
    done = again(api, mine)
    path = "/v1/checkout/sessions"
    for form in (
        {"customer": held},
        {"subscription": done["subscription"]},
        {"status": "complete"},
        {"customer_details": {"email": "bob@example.com"}},
    ):
        assert api.ids(path, form) == [mine["id"]], form
    assert api.ids(path, {"status": "open"}) == [decoy["id"]]
    assert set(api.ids(path)) == {mine["id"], decoy["id"]}


def test_lines_of_an_open_session_are_retransmitted(api, price):
    """An update keeps, changes, adds and drops lines as they stand in it; a completed session is refused.

    Source: https://docs.stripe.com/api/checkout/sessions/update.
    """
    other = api.price(api.product()["id"], unit_amount=300)["id"]
    session = opened(api, price, line_items=[{"price": price, "quantity": 1}, {"price": price, "quantity": 9}])
    path = f"/v1/checkout/sessions/{session['id']}"
    keep = api.ids(f"{path}/line_items")[0]
    lines = [{"price": other, "quantity": 2}, {"id": keep, "quantity": 3}]
    changed = api.post(path, {"line_items": lines, "metadata": {"k": "v"}, "expand": ["line_items"]})
    assert [line["amount_total"] for line in changed["line_items"]["data"]] == [600, 3000]
    assert (changed["amount_total"], changed["metadata"]) == (3600, {"k": "v"})
    assert api.refused("POST", path, {"line_items": [{"id": "li_nope"}]})["param"] == "line_items[0][id]"
    visited(api, session).pay()
    assert api.refused("POST", path, {"line_items": [{"id": keep, "quantity": 1}]})["status"] == 400
    assert api.post(path, {"metadata": {"k": ""}})["metadata"] == {}


def test_sessions_of_clock_customers_work_on_their_clock(api, monthly):
    """A subscription bought by a customer of a test clock begins at that clock's time."""
    clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": 1_700_000_000})
    held = api.customer(email="bob@example.com", test_clock=clock["id"])["id"]
    session = opened(api, monthly, mode="subscription", customer=held)
    visited(api, session).pay()
    subscription = api.get(f"/v1/subscriptions/{again(api, session)['subscription']}")
    assert (subscription["start_date"], subscription["test_clock"]) == (1_700_000_000, clock["id"])


@pytest.mark.parametrize("kind", ["payment", "held", "invoice", "subscription", "trial", "setup"])
def test_a_session_is_complete_however_its_payment_comes(api, price, monthly, kind):
    """Authenticated outside of the page, what a session asked for completes it; pressing again charges nothing more.

    ``checkout.session.completed`` tells of it once (https://docs.stripe.com/payments/checkout/fulfillment).
    """
    forms = {
        "payment": {},
        "held": {"payment_intent_data": {"capture_method": "manual"}},
        "invoice": {"invoice_creation": {"enabled": True}},
        "subscription": {"mode": "subscription"},
        "trial": {"mode": "subscription", "subscription_data": {"trial_period_days": 7}},
        "setup": {"mode": "setup", "currency": "usd", "line_items": None},
    }
    session = opened(api, monthly if kind in {"subscription", "trial"} else price, **forms[kind])
    decoy = opened(api, price)
    person = visited(api, session).pay(CHALLENGED)
    waiting = [
        intent["id"]
        for path in ("/v1/payment_intents", "/v1/setup_intents")
        for intent in api.get(path)["data"]
        if intent["status"] == "requires_action"
    ]
    assert len(waiting) == 1
    assert again(api, session)["status"] == "open"
    api.authenticate(waiting[0])
    done = again(api, session)
    states = {"held": "unpaid", "trial": "no_payment_required", "setup": "no_payment_required"}
    assert (done["status"], done["payment_status"]) == ("complete", states.get(kind, "paid"))
    person.visit(session["url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))
    charged = [charge for charge in api.get("/v1/charges")["data"] if charge["paid"]]
    assert len(charged) == (kind not in {"trial", "setup"})
    assert [event["data"]["object"]["id"] for event in api.events(type="checkout.session.completed")] == [session["id"]]
    assert again(api, decoy)["status"] == "open"


def test_a_session_whose_invoice_is_paid_elsewhere_is_complete(api, price):
    """Declined on its page and paid through the invoice's, a session is complete with that invoice."""
    session = opened(api, price, invoice_creation={"enabled": True})
    visited(api, session).pay(DECLINED)
    invoice = api.get("/v1/invoices")["data"][0]
    api.post(f"/v1/invoices/{invoice['id']}/pay", {"payment_method": "pm_card_visa"})
    done = again(api, session)
    assert (done["status"], done["payment_status"], done["invoice"]) == ("complete", "paid", invoice["id"])
    assert api.refused("POST", f"/v1/checkout/sessions/{session['id']}/expire")["status"] == 400


def test_a_session_whose_invoice_is_credited_away_is_complete(api, price):
    """With nothing left to pay there is nothing to wait for."""
    session = opened(api, price, invoice_creation={"enabled": True})
    visited(api, session).pay(DECLINED)
    invoice = api.get("/v1/invoices")["data"][0]
    api.post("/v1/credit_notes", {"invoice": invoice["id"], "amount": 1000})
    assert again(api, session)["status"] == "complete"
