"""Setup intents and their attempts (https://docs.stripe.com/payments/setupintents/lifecycle)."""

import pytest

PATH = "/v1/setup_intents"


def set_up(api, name, **form):
    """Create and confirm a setup intent."""
    return api.post(PATH, {"payment_method": f"pm_card_{name}", "confirm": True, **form})


def test_a_setup_intent_is_complete(api, now):
    """Every field of the documented object is there."""
    intent = api.post(PATH)
    values = {
        "id": intent["id"],
        "object": "setup_intent",
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "client_secret": intent["client_secret"],
        "created": now,
        "livemode": False,
        "metadata": {},
        "payment_method_options": {
            "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
        },
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": "off_session",
    }
    nulls = """allowed_payment_method_types application cancellation_reason customer customer_account description
    excluded_payment_method_types flow_directions last_setup_error latest_attempt managed_payments mandate next_action
    on_behalf_of payment_method payment_method_configuration_details single_use_mandate""".split()
    assert intent == {**values, **dict.fromkeys(nulls)}


def test_a_card_is_set_up_for_its_customer(api):
    """The intent succeeds, the method is the customer's, the attempt says so; another customer gets none."""
    customer, decoy = api.customer()["id"], api.customer()["id"]
    intent = api.post(PATH, {"customer": customer, "usage": "on_session", "metadata": {"a": "1"}})
    path = f"{PATH}/{intent['id']}"
    error = api.refused("POST", f"{path}/confirm")
    assert (error["code"], error["setup_intent"]["id"]) == ("setup_intent_unexpected_state", intent["id"])
    ready = api.post(path, {"payment_method": "pm_card_visa", "description": "x"})
    assert (ready["status"], ready["description"]) == ("requires_confirmation", "x")
    done = api.post(f"{path}/confirm", {"expand": ["latest_attempt", "payment_method"]})
    assert (done["status"], done["payment_method"]["customer"]) == ("succeeded", customer)
    assert (done["latest_attempt"]["status"], done["latest_attempt"]["usage"]) == ("succeeded", "on_session")
    assert api.ids(f"/v1/customers/{customer}/payment_methods") == [ready["payment_method"]]
    assert api.ids(f"/v1/customers/{decoy}/payment_methods") == []
    assert api.ids(PATH, {"customer": decoy}) == []
    assert api.ids(PATH, {"customer": customer}) == api.ids(PATH, {"payment_method": ready["payment_method"]})
    assert api.ids("/v1/setup_attempts", {"setup_intent": intent["id"]}) == [done["latest_attempt"]["id"]]
    assert api.post(path, {"metadata": {"b": "2"}})["metadata"] == {"a": "1", "b": "2"}
    for action, form in (("", {"customer": decoy}), ("/confirm", {}), ("/cancel", {})):
        assert api.refused("POST", f"{path}{action}", form)["code"] == "setup_intent_unexpected_state"
    kinds = ["setup_intent.created", "payment_method.attached", "setup_intent.succeeded"]
    assert [event["type"] for event in api.events(types=kinds)] == kinds


def test_a_declined_card_is_not_set_up(api):
    """The 402 has the intent in it, which keeps the error and can be confirmed with another card."""
    customer = api.customer()["id"]
    form = {"customer": customer, "payment_method": "pm_card_chargeDeclinedLostCard", "confirm": True}
    error = api.refused("POST", PATH, form)
    assert (error["status"], error["code"], error["decline_code"]) == (402, "card_declined", "lost_card")
    intent = api.get(f"{PATH}/{error['setup_intent']['id']}")
    assert (intent["status"], intent["last_setup_error"]["code"]) == ("requires_payment_method", "card_declined")
    (attempt,) = api.get("/v1/setup_attempts", {"setup_intent": intent["id"]})["data"]
    assert (attempt["status"], attempt["setup_error"]["decline_code"]) == ("failed", "lost_card")
    assert api.ids(f"/v1/customers/{customer}/payment_methods") == []
    assert len(api.events(type="setup_intent.setup_failed")) == 1
    again = api.post(f"{PATH}/{intent['id']}/confirm", {"payment_method": "pm_card_visa"})
    assert (again["status"], again["last_setup_error"]) == ("succeeded", None)


def test_setting_up_can_need_authentication(api):
    """Success keeps the card, failure leaves the intent waiting for another one."""
    customer = api.customer()["id"]
    good = set_up(api, "authenticationRequired", customer=customer, return_url="https://example.com/back")
    bad = set_up(api, "threeDSecure2Required", customer=customer)
    assert (good["status"], good["next_action"]["type"]) == ("requires_action", "redirect_to_url")
    assert bad["next_action"]["type"] == "use_stripe_sdk"
    api.authenticate(good["id"])
    api.authenticate(bad["id"], success=False)
    good, bad = (api.get(f"{PATH}/{intent['id']}") for intent in (good, bad))
    assert (good["status"], bad["status"]) == ("succeeded", "requires_payment_method")
    assert bad["last_setup_error"]["code"] == "setup_intent_authentication_failure"
    assert api.ids(f"/v1/customers/{customer}/payment_methods") == [good["payment_method"]]
    assert len(api.events(type="setup_intent.requires_action")) == 2


@pytest.mark.parametrize(
    ("name", "form", "status"),
    [
        ("authenticationRequiredOnSetup", {}, "requires_action"),
        ("authenticationRequiredSetupForOffSession", {}, "succeeded"),
        ("chargeCustomerFail", {}, "succeeded"),
        ("threeDSecureOptional", {}, "succeeded"),
        (
            "threeDSecureOptional",
            {"payment_method_options": {"card": {"request_three_d_secure": "any"}}},
            "requires_action",
        ),
    ],
)
def test_each_card_is_set_up_as_documented(api, name, form, status):
    """What a card asks for depends on the card and on the request (https://docs.stripe.com/testing)."""
    assert set_up(api, name, **form)["status"] == status


def test_a_card_that_is_set_up_pays_off_session(api):
    """4000002500003155 pays without its customer after setup, never before; 4000002760003184 not even then."""
    customer = api.customer()["id"]
    for name, status in (("authenticationRequiredOnSetup", 200), ("authenticationRequired", 402)):
        intent = set_up(api, name, customer=customer)
        form = {"amount": 1000, "currency": "usd", "customer": customer, "confirm": True, "off_session": True}
        fresh = api.refused("POST", "/v1/payment_intents", {**form, "payment_method": f"pm_card_{name}"})
        assert fresh["code"] == "authentication_required"
        api.authenticate(intent["id"])
        form["payment_method"] = intent["payment_method"]
        assert api.send("POST", "/v1/payment_intents", form).status == status


def test_a_payment_sets_a_card_up_too(api):
    """Authenticated once with ``setup_future_usage``, the card pays off session; without it, it does not."""
    customer = api.customer()["id"]
    for usage, status in (({"setup_future_usage": "off_session"}, 200), ({}, 402)):
        method = api.post("/v1/payment_methods/pm_card_authenticationRequiredOnSetup/attach", {"customer": customer})[
            "id"
        ]
        first = api.pay(method, customer=customer, **usage)
        api.authenticate(first["id"])
        form = {"amount": 1000, "currency": "usd", "customer": customer, "payment_method": method}
        form |= {"confirm": True, "off_session": True}
        assert api.send("POST", "/v1/payment_intents", form).status == status


def test_a_setup_can_be_canceled(api):
    """An intent that waits ends with its reason, and its attempt is abandoned."""
    intent = set_up(api, "authenticationRequired")
    gone = api.post(f"{PATH}/{intent['id']}/cancel", {"cancellation_reason": "duplicate"})
    assert (gone["status"], gone["cancellation_reason"], gone["next_action"]) == ("canceled", "duplicate", None)
    assert api.get("/v1/setup_attempts", {"setup_intent": intent["id"]})["data"][0]["status"] == "abandoned"


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"customer": "cus_nope"}, "customer"),
        ({"payment_method": "pm_nope"}, "payment_method"),
        ({"return_url": "https://example.com"}, "return_url"),
        ({"single_use": {"amount": 1, "currency": "usd"}}, "single_use"),
        ({"flow_directions": ["inbound"]}, "flow_directions"),
        ({"allowed_payment_method_types": ["ideal"]}, "allowed_payment_method_types"),
        ({"payment_method_options": {"card": {"moto": True}}}, "payment_method_options[card][moto]"),
        ({"payment_method_options": {"link": {"persistent_token": "x"}}}, "payment_method_options[link]"),
    ],
)
def test_a_setup_that_stripe_or_the_sandbox_does_not_take_is_refused(api, form, param):
    """A plain intent is made; each of these is a 400 that names the parameter, and makes none."""
    api.post(PATH, {"allowed_payment_method_types": ["card"]})
    error = api.refused("POST", PATH, form)
    assert (error["status"], error["param"]) == (400, param)
    assert len(api.ids(PATH)) == 1


def test_what_setups_do_not_model_says_so(api):
    """Micro-deposits and attaching to oneself are refused by name; an unknown intent has no attempts."""
    intent = api.post(PATH)["id"]
    assert api.refused("POST", f"{PATH}/{intent}/verify_microdeposits")["code"] == "sandbox_not_modelled"
    assert api.refused("GET", PATH, {"attach_to_self": True})["param"] == "attach_to_self"
    assert api.refused("GET", "/v1/setup_attempts", {"setup_intent": "seti_nope"})["param"] == "setup_intent"
