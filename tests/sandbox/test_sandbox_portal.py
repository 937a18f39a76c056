"""The customer portal: configurations, sessions, and what a customer does there."""

import pytest

from tests.sandbox.person import CARD, CHALLENGED, DECLINED, Person

CONFIGURATIONS, SESSIONS = "/v1/billing_portal/configurations", "/v1/billing_portal/sessions"
HOME = "https://example.com/home"
EVERYTHING = {
    "customer_update": {"enabled": True, "allowed_updates": ["email", "name", "address"]},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {
        "enabled": True,
        "cancellation_reason": {"enabled": True, "options": ["unused", "too_expensive"]},
    },
    "subscription_pause": {"enabled": True},
}


@pytest.fixture
def product(api):
    """Return the id of a product."""
    return api.product()["id"]


@pytest.fixture
def monthly(api, product):
    """Return the id of a monthly price of 10.00 usd."""
    return api.price(product, recurring={"interval": "month"})["id"]


@pytest.fixture
def yearly(api, product):
    """Return the id of a yearly price of 100.00 usd of the same product."""
    return api.price(product, recurring={"interval": "year"}, unit_amount=10_000)["id"]


def configured(api, features=None, **form):
    """Create a configuration; without features it shows invoices only."""
    return api.post(CONFIGURATIONS, {"features": features or {"invoice_history": {"enabled": True}}, **form})


def changing(product, *prices, **more):
    """Return the feature that lets customers change to prices of a product."""
    sold = {"product": product, "prices": list(prices), "adjustable_quantity": {"enabled": True, "maximum": 10}}
    allowed = {"enabled": True, "default_allowed_updates": ["price", "quantity", "promotion_code"]}
    return {"subscription_update": {**allowed, "products": [sold], "proration_behavior": "always_invoice", **more}}


def subscribed(api, price, quantity=1, email="ann@example.com"):
    """Return a customer with a card, and their subscription."""
    form = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    customer = api.customer(email=email, **form)["id"]
    items = [{"price": price, "quantity": quantity}]
    return customer, api.post("/v1/subscriptions", {"customer": customer, "items": items})["id"]


def at_portal(api, customer, **form):
    """Return a person at a new portal session of a customer."""
    return Person(api.sandbox).visit(api.post(SESSIONS, {"customer": customer, **form})["url"])


def test_a_configuration_is_complete(api, now):
    """What is not said has the defaults of the documented example; the products are absent until expanded (observed).

    Source: https://docs.stripe.com/api/customer_portal/configurations/create.
    """
    made = configured(api, {"customer_update": {"enabled": True, "allowed_updates": ["email", "tax_id"]}})
    features = made["features"]
    assert features["customer_update"] == {"allowed_updates": ["email", "tax_id"], "enabled": True}
    assert features["payment_method_update"] == {"enabled": False, "payment_method_configuration": None}
    assert features["subscription_cancel"]["cancellation_reason"]["options"][0] == "too_expensive"
    assert (features["subscription_cancel"]["mode"], features["subscription_cancel"]["proration_behavior"]) == (
        "at_period_end",
        "none",
    )
    assert "products" not in features["subscription_update"]
    assert features["subscription_update"]["trial_update_behavior"] == "end_trial"
    assert (made["active"], made["login_page"], made["created"], made["updated"]) == (
        True,
        {"enabled": False, "url": None},
        now,
        now,
    )
    assert len(api.events(type="billing_portal.configuration.created")) == 1


def test_products_are_shown_when_expanded(api, product, monthly, yearly):
    """``features.subscription_update.products`` is expanded in a reply and through lists."""
    made = configured(api, changing(product, monthly, yearly))
    path = "features.subscription_update.products"
    shown = api.get(f"{CONFIGURATIONS}/{made['id']}", {"expand": [path]})["features"]["subscription_update"]["products"]
    adjustable = {"enabled": True, "maximum": 10, "minimum": 1}
    assert shown == [{"adjustable_quantity": adjustable, "prices": [monthly, yearly], "product": product}]
    [listed] = api.get(CONFIGURATIONS, {"expand": [f"data.{path}"]})["data"]
    assert listed["features"]["subscription_update"]["products"] == shown


@pytest.mark.parametrize(
    ("good", "bad", "param"),
    [
        (
            {
                "subscription_cancel": {
                    "enabled": True,
                    "mode": "immediately",
                    "proration_behavior": "create_prorations",
                }
            },
            {"subscription_cancel": {"enabled": True, "proration_behavior": "create_prorations"}},
            "features[subscription_cancel][proration_behavior]",
        ),
        (
            {"subscription_cancel": {"enabled": True, "mode": "immediately"}},
            {"subscription_cancel": {"enabled": True, "mode": "immediately", "proration_behavior": "always_invoice"}},
            "features[subscription_cancel][proration_behavior]",
        ),
        (
            {"subscription_pause": {"duration": {"type": "indefinite"}}},
            {"subscription_pause": {"duration": {"type": "interval_options"}}},
            "features[subscription_pause][duration][interval_options]",
        ),
        (
            {
                "subscription_pause": {
                    "duration": {
                        "type": "interval_options",
                        "interval_options": [{"interval": "year", "interval_count": 3}],
                    }
                }
            },
            {
                "subscription_pause": {
                    "duration": {
                        "type": "interval_options",
                        "interval_options": [{"interval": "year", "interval_count": 4}],
                    }
                }
            },
            "features[subscription_pause][duration][interval_options][0][interval_count]",
        ),
        (
            {"payment_method_update": {"enabled": True}},
            {"payment_method_update": {"enabled": True, "payment_method_configuration": "pmc_1"}},
            "features[payment_method_update][payment_method_configuration]",
        ),
        (
            {"customer_update": {"enabled": True}},
            {"customer_update": {"allowed_updates": ["email"]}},
            "features[customer_update][enabled]",
        ),
    ],
)
def test_features_that_stripe_would_not_take_are_refused(api, good, bad, param):
    """The good features make a configuration, the bad ones are a 400 that names the parameter.

    Source: https://docs.stripe.com/api/customer_portal/configurations/create.
    """
    configured(api, good)
    error = api.refused("POST", CONFIGURATIONS, {"features": bad})
    assert (error["status"], error["param"]) == (400, param)


def test_products_of_a_configuration_are_checked(api, product, monthly, yearly):
    """Prices are the product's own, active, recurring, one per interval (the last observed); ten products fit."""
    at = "features[subscription_update][products][0]"
    once, other = api.price(product)["id"], api.price(api.product()["id"], recurring={"interval": "month"})["id"]
    twin, archived = (api.price(product, recurring={"interval": "month"})["id"] for _ in range(2))
    api.post(f"/v1/prices/{archived}", {"active": False})
    configured(api, changing(product, monthly, yearly))
    for prices, index in (([once], 0), ([other], 0), ([monthly, twin], 1), ([archived], 0), (["price_nope"], 0)):
        error = api.refused("POST", CONFIGURATIONS, {"features": changing(product, *prices)})
        assert error["param"] == f"{at}[prices][{index}]"
    many = []
    for _ in range(11):
        each = api.product()["id"]
        many.append({"product": each, "prices": [api.price(each, recurring={"interval": "day"})["id"]]})
    configured(api, changing(product, products=many[:10]))
    assert api.refused("POST", CONFIGURATIONS, {"features": changing(product, products=many)})["param"] == at[:-3]


def test_the_first_configuration_is_the_default(api):
    """Sessions use it unless they name another; it cannot be deactivated, others can (texts observed).

    Source: lukasaron/terraform-provider-stripe#95 and the reply to a session without any configuration.
    """
    customer = api.customer()["id"]
    error = api.refused("POST", SESSIONS, {"customer": customer})
    assert error["message"].startswith(
        "No configuration provided and your test mode default configuration has not been"
    )
    first, second = configured(api), configured(api)
    assert (first["is_default"], second["is_default"]) == (True, False)
    error = api.refused("POST", f"{CONFIGURATIONS}/{first['id']}", {"active": False})
    assert error["message"] == "You cannot set `active: false` on your default PortalConfiguration."
    assert api.post(SESSIONS, {"customer": customer})["configuration"] == first["id"]
    assert api.post(SESSIONS, {"customer": customer, "configuration": second["id"]})["configuration"] == second["id"]
    api.post(f"{CONFIGURATIONS}/{second['id']}", {"active": False})
    assert (
        api.refused("POST", SESSIONS, {"customer": customer, "configuration": second["id"]})["param"] == "configuration"
    )
    assert api.ids(CONFIGURATIONS, {"active": True}) == api.ids(CONFIGURATIONS, {"is_default": True}) == [first["id"]]
    assert api.ids(CONFIGURATIONS, {"is_default": False}) == [second["id"]]
    assert api.ids(CONFIGURATIONS) == [second["id"], first["id"]]


def test_an_update_keeps_what_it_does_not_name(api, product, monthly, yearly):
    """One member of a feature changes, the others stay; blanks take away; the event says what was."""
    made = configured(api, {**EVERYTHING, **changing(product, monthly, yearly)}, name="A", default_return_url=HOME)
    path = f"{CONFIGURATIONS}/{made['id']}"
    expand = {"expand": ["features.subscription_update.products"]}
    changed = api.post(path, {"features": {"subscription_cancel": {"mode": "immediately"}}, "name": "", **expand})
    cancel = changed["features"]["subscription_cancel"]
    assert (cancel["mode"], cancel["enabled"], cancel["cancellation_reason"]["options"]) == (
        "immediately",
        True,
        ["unused", "too_expensive"],
    )
    assert len(changed["features"]["subscription_update"]["products"]) == 1
    assert (changed["name"], changed["default_return_url"]) == (None, HOME)
    [event] = api.events(type="billing_portal.configuration.updated")
    assert event["data"]["previous_attributes"]["name"] == "A"
    gone = api.post(path, {"features": {"subscription_update": {"products": ""}}, **expand})
    assert gone["features"]["subscription_update"]["products"] == []


def test_a_session_is_complete(api, now):
    """Every documented field is there, the return address is the configuration's unless given, and there is an event.

    Source: https://docs.stripe.com/api/customer_portal/sessions/object.
    """
    configuration, customer = configured(api, default_return_url=HOME)["id"], api.customer()["id"]
    made = api.post(SESSIONS, {"customer": customer})
    assert made["url"].startswith("http://127.0.0.1/p/session/test_")
    shown = {name: made[name] for name in ("configuration", "created", "customer", "flow", "locale", "return_url")}
    assert shown == {
        "configuration": configuration,
        "created": now,
        "customer": customer,
        "flow": None,
        "locale": None,
        "return_url": HOME,
    }
    assert api.post(SESSIONS, {"customer": customer, "return_url": "https://example.com/x"})["return_url"].endswith(
        "/x"
    )
    assert len(api.events(type="billing_portal.session.created")) == 2
    for form, param in (({}, "customer"), ({"customer": "cus_nope"}, "customer"), ({"return_url": "x"}, "return_url")):
        given = {"customer": customer, **form} if form else {}
        assert api.refused("POST", SESSIONS, given)["param"] == param
    assert api.refused("POST", SESSIONS, {"customer": customer, "on_behalf_of": "acct_1"})["param"] == "on_behalf_of"


def test_flows_are_checked(api, monthly):
    """A flow needs its feature, its details and a subscription of the customer.

    Source: https://docs.stripe.com/customer-management/portal-deep-links.
    """
    configured(api, EVERYTHING)
    customer, subscription = subscribed(api, monthly)
    other, _ = subscribed(api, monthly, email="bob@example.com")
    flow = {"type": "subscription_cancel", "subscription_cancel": {"subscription": subscription}}
    assert api.post(SESSIONS, {"customer": customer, "flow_data": flow})["flow"]["type"] == "subscription_cancel"
    at = "flow_data[subscription_cancel]"
    for bad, who, param in (
        ({"type": "subscription_cancel"}, customer, at),
        (flow, other, f"{at}[subscription]"),
        ({**flow, "type": "payment_method_update"}, customer, at),
        (
            {"type": "subscription_update", "subscription_update": {"subscription": subscription}},
            customer,
            "flow_data[type]",
        ),
        ({**flow, "after_completion": {"type": "redirect"}}, customer, "flow_data[after_completion][redirect]"),
    ):
        assert api.refused("POST", SESSIONS, {"customer": who, "flow_data": bad})["param"] == param


def test_a_customer_cancels_with_a_reason_and_keeps_the_plan_after_all(api, monthly):
    """The plan ends with its period, the reason is kept; it can be taken back; another customer's plan is not here."""
    configured(api, EVERYTHING)
    customer, subscription = subscribed(api, monthly)
    _, decoy = subscribed(api, monthly, email="bob@example.com")
    person = at_portal(api, customer)
    assert "Renews on" in person.text
    person.press("subscription_cancel", subscription=subscription, feedback="unused", comment="Bye <b>")
    ended = api.get(f"/v1/subscriptions/{subscription}")
    assert ended["cancel_at"] == ended["items"]["data"][0]["current_period_end"]
    assert ended["cancellation_details"] == {
        "comment": "Bye <b>",
        "feedback": "unused",
        "reason": "cancellation_requested",
    }
    assert "Ends on" in person.text
    person.press("keep")
    assert api.get(f"/v1/subscriptions/{subscription}")["cancel_at"] is None
    form = next(form for form in person.page.forms if form["do"] == "subscription_cancel")
    form["subscription"] = decoy
    assert person.press("subscription_cancel", subscription=decoy).problems == ["There is no such plan."]
    assert api.get(f"/v1/subscriptions/{decoy}")["cancel_at"] is None
    person = at_portal(api, customer)
    assert person.press("subscription_cancel", feedback="other").problems == ["Choose one of the reasons."]


@pytest.mark.parametrize("mode", ["flexible", "classic"])
def test_the_end_of_a_plan_is_set_as_its_billing_mode_has_it(api, monthly, mode):
    """Flexible plans get ``cancel_at``, the end of their period, and no flag; classic ones get the flag; both keep.

    Source: https://docs.stripe.com/billing/subscriptions/billing-mode/compare (cancellations in the customer portal).
    """
    configured(api, EVERYTHING)
    customer = api.customer(payment_method="pm_card_visa", invoice_settings={"default_payment_method": "pm_card_visa"})
    form = {"customer": customer["id"], "items": [{"price": monthly}], "billing_mode": {"type": mode}}
    subscription = api.post("/v1/subscriptions", form)
    person = at_portal(api, customer["id"])
    person.press("subscription_cancel")
    ended = api.get(f"/v1/subscriptions/{subscription['id']}")
    assert ended["cancel_at_period_end"] is (mode == "classic")
    assert ended["cancel_at"] == subscription["items"]["data"][0]["current_period_end"]
    person.press("keep")
    kept = api.get(f"/v1/subscriptions/{subscription['id']}")
    assert (kept["cancel_at_period_end"], kept["cancel_at"]) == (False, None)


def test_a_plan_can_end_at_once(api, monthly):
    """With ``mode=immediately`` the subscription is canceled now, and prorated if the configuration says so."""
    prorated = {"enabled": True, "mode": "immediately", "proration_behavior": "create_prorations"}
    configured(api, {"subscription_cancel": prorated})
    customer, subscription = subscribed(api, monthly)
    person = at_portal(api, customer).press("subscription_cancel")
    assert api.get(f"/v1/subscriptions/{subscription}")["status"] == "canceled"
    assert "You have no plan." in person.text
    [credit] = api.get("/v1/invoiceitems", {"customer": customer})["data"]
    assert (credit["amount"], credit["proration"]) == (-1000, True)


def test_a_customer_changes_plan_quantity_and_code(api, product, monthly, yearly):
    """Price and quantity change as the configuration allows and are invoiced at once; anything else is refused."""
    configured(api, changing(product, monthly, yearly))
    decoy = api.price(product, recurring={"interval": "week"})["id"]
    code = api.code(api.coupon(duration="forever")["id"], code="HELLO")["id"]
    customer, subscription = subscribed(api, monthly)
    person = at_portal(api, customer)
    for typed, problem in (
        ({"price": decoy}, "Choose one of the plans."),
        ({"quantity": "11"}, "Enter the quantity as a whole number from 1 to 10."),
        ({"code": "NOPE"}, "This code is invalid."),
    ):
        assert person.press("subscription_update", **typed).problems == [problem]
    person.press("subscription_update", price=yearly, quantity="3", code="hello")
    changed = api.get(f"/v1/subscriptions/{subscription}", {"expand": ["discounts"]})
    [item] = changed["items"]["data"]
    assert (item["price"]["id"], item["quantity"]) == (yearly, 3)
    assert changed["discounts"][0]["promotion_code"] == code
    assert api.get("/v1/invoices")["data"][0]["billing_reason"] == "subscription_update"


def test_changes_at_the_end_of_a_period_are_refused(api, product, monthly, yearly):
    """A change that the configuration schedules is not modelled and says so; one that it does not is made."""
    conditions = {"schedule_at_period_end": {"conditions": [{"type": "shortening_interval"}]}}
    configured(api, changing(product, monthly, yearly, **conditions))
    customer, subscription = subscribed(api, yearly)
    person = at_portal(api, customer)
    assert "does not model" in person.press("subscription_update", price=monthly).problems[0]
    assert api.get(f"/v1/subscriptions/{subscription}")["items"]["data"][0]["price"]["id"] == yearly
    person.press("subscription_update", price=yearly, quantity="2")
    assert api.get(f"/v1/subscriptions/{subscription}")["items"]["data"][0]["quantity"] == 2


def test_a_customer_pauses_and_resumes(api, monthly, now):
    """Collection pauses for the chosen preset and goes on when resumed."""
    configured(api, EVERYTHING)
    customer, subscription = subscribed(api, monthly)
    person = at_portal(api, customer).press("subscription_pause", duration="0")
    paused = api.get(f"/v1/subscriptions/{subscription}")["pause_collection"]
    assert paused["behavior"] == "void"
    assert 28 * 86_400 <= paused["resumes_at"] - now <= 31 * 86_400
    assert "Paused." in person.text
    person.press("subscription_resume")
    assert api.get(f"/v1/subscriptions/{subscription}")["pause_collection"] is None


def test_a_customer_updates_their_card(api, monthly):
    """A new card is checked with its bank and pays from now on; a declined one changes nothing."""
    configured(api, EVERYTHING)
    customer, _ = subscribed(api, monthly)
    before = api.get(f"/v1/customers/{customer}")["invoice_settings"]["default_payment_method"]
    person = at_portal(api, customer)
    typed = {**CARD, "card_number": DECLINED}
    assert person.press("payment_method_update", **typed).problems == ["Your card was declined."]
    assert api.get(f"/v1/customers/{customer}")["invoice_settings"]["default_payment_method"] == before
    assert len(api.events(type="setup_intent.setup_failed")) == 1
    person.press("payment_method_update", **{**CARD, "card_number": "5555 5555 5555 4444"})
    assert "4444" in person.text
    person.press("payment_method_update", **{**CARD, "card_number": CHALLENGED})
    assert "Is it you?" in person.text
    person.press("authenticate", result="success")
    assert "3184" in person.text
    after = api.get(f"/v1/customers/{customer}")["invoice_settings"]["default_payment_method"]
    assert api.get(f"/v1/payment_methods/{after}")["card"]["last4"] == "3184"


def test_a_customer_updates_their_details(api):
    """The details that may be changed are, those that may not have no field; a wrong one is refused."""
    configured(api, {"customer_update": {"enabled": True, "allowed_updates": ["email"]}})
    customer = api.customer(email="ann@example.com", name="Ann")["id"]
    person = at_portal(api, customer)
    assert {"email"} == person.page.labels & {"email", "name", "phone", "line1"}
    assert person.press("customer_update", email="nonsense").problems
    person.press("customer_update", email="new@example.com", name="Eve")
    after = api.get(f"/v1/customers/{customer}")
    assert (after["email"], after["name"]) == ("new@example.com", "Ann")


def test_what_a_configuration_does_not_allow_is_not_there(api, monthly):
    """Without a feature the page has no form for it, and a form made up is refused."""
    configured(api)
    customer, subscription = subscribed(api, monthly)
    person = at_portal(api, customer)
    assert person.page.forms == []
    assert "Invoice history" in person.text
    allowed = configured(api, EVERYTHING)["id"]
    other = at_portal(api, customer, configuration=allowed)
    api.post(f"{CONFIGURATIONS}/{allowed}", {"features": {"subscription_cancel": {"enabled": False}}})
    assert other.press("subscription_cancel").problems == ["This is not available here."]
    assert api.get(f"/v1/subscriptions/{subscription}")["cancel_at_period_end"] is False


def test_a_flow_shows_one_thing_and_leads_back(api, monthly):
    """A cancellation flow has the cancellation only, and ends at its return address."""
    configured(api, EVERYTHING)
    customer, subscription = subscribed(api, monthly)
    after = {"type": "redirect", "redirect": {"return_url": "https://example.com/bye"}}
    flow = {
        "type": "subscription_cancel",
        "subscription_cancel": {"subscription": subscription},
        "after_completion": after,
    }
    person = at_portal(api, customer, flow_data=flow)
    assert [form["do"] for form in person.page.forms] == ["subscription_cancel"]
    assert person.press("subscription_cancel").location == "https://example.com/bye"
    assert api.get(f"/v1/subscriptions/{subscription}")["cancel_at"] is not None
    api.post(f"/v1/subscriptions/{subscription}", {"cancel_at_period_end": False})
    hosted = {"type": "hosted_confirmation", "hosted_confirmation": {"custom_message": "See you"}}
    person = at_portal(api, customer, flow_data={**flow, "after_completion": hosted})
    assert "See you" in person.press("subscription_cancel").text
    offer = {"type": "coupon_offer", "coupon_offer": {"coupon": api.coupon()["id"]}}
    flow["subscription_cancel"]["retention"] = offer
    error = api.refused("POST", SESSIONS, {"customer": customer, "flow_data": flow})
    assert error["status"] == 400


def test_a_confirmed_change_is_filled_in(api, product, monthly, yearly):
    """A confirmation flow has price and quantity chosen already; pressing its button makes the change.

    Source: https://docs.stripe.com/customer-management/portal-deep-links.
    """
    configured(api, changing(product, monthly, yearly))
    customer, subscription = subscribed(api, monthly)
    [item] = api.ids("/v1/subscription_items", {"subscription": subscription})
    details = {"subscription": subscription, "items": [{"id": item, "price": yearly, "quantity": 4}]}
    flow = {"type": "subscription_update_confirm", "subscription_update_confirm": details}
    person = at_portal(api, customer, flow_data=flow)
    person.press("subscription_update")
    [changed] = api.get(f"/v1/subscriptions/{subscription}")["items"]["data"]
    assert (changed["price"]["id"], changed["quantity"]) == (yearly, 4)
    details["items"] *= 2
    assert api.refused("POST", SESSIONS, {"customer": customer, "flow_data": flow})["param"].endswith("[items]")


def test_portal_sessions_end(open_sandbox, account):
    """A session ends five minutes after it was opened if nobody came, else an hour after the last visit.

    Source: https://docs.stripe.com/customer-management/integrate-customer-portal.
    """
    time = [1_800_000_000]
    api = account(open_sandbox(clock=lambda: time[0]))
    configured(api, default_return_url=HOME)
    customer = api.customer()["id"]
    unused, used = (api.post(SESSIONS, {"customer": customer})["url"] for _ in range(2))
    person = Person(api.sandbox)
    time[0] += 299
    assert "Invoice history" in person.visit(used).text
    time[0] += 1
    assert "expired" in person.visit(unused).text
    assert person.page.links["\u2190 Back"] == HOME
    time[0] += 3_500
    assert "Invoice history" in person.visit(used).text
    time[0] += 3_600
    assert "expired" in person.visit(used).text


def test_customers_log_in_by_email(api):
    """The login page leads a customer to a session of theirs; a stranger is answered alike but gets no link.

    Source: https://docs.stripe.com/customer-management/activate-no-code-customer-portal.
    """
    made = configured(api, login_page={"enabled": True})
    customer = api.customer(email="ann@example.com")["id"]
    api.customer(email="bob@example.com")
    person = Person(api.sandbox).visit(made["login_page"]["url"])
    assert person.press("login", email="nobody@example.com").page.links == {}
    person = Person(api.sandbox).visit(made["login_page"]["url"]).press("login", email="ann@example.com")
    assert "ann@example.com" in Person(api.sandbox).visit(person.page.links["The link leads here."]).text
    assert api.events(type="billing_portal.session.created")[-1]["data"]["object"]["customer"] == customer
    closed = api.post(f"{CONFIGURATIONS}/{made['id']}", {"login_page": {"enabled": False}})
    assert closed["login_page"] == {"enabled": False, "url": None}
    assert Person(api.sandbox).visit(made["login_page"]["url"]).status == 404
