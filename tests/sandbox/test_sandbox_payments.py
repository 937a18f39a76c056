"""Payment intents: their life, declines, authentication, limits.

Sources: https://docs.stripe.com/payments/paymentintents/lifecycle, https://docs.stripe.com/testing and
https://docs.stripe.com/currencies.
"""

import pytest

from reconciler.sandbox.billing import payments
from tests.sandbox.conftest import idle

PATH = "/v1/payment_intents"
RETURN = {"return_url": "https://example.com/back"}


def types(api, *kinds):
    """Return the types of events about payments, oldest first."""
    prefixes = kinds or ("payment_intent.", "charge.")
    return [event["type"] for event in api.events() if event["type"].startswith(prefixes)]


def test_a_payment_intent_is_complete(api, now):
    """Every field of the documented object is there."""
    intent = api.post(PATH, {"amount": 1000, "currency": "USD"})
    assert intent["client_secret"].startswith(f"{intent['id']}_secret_")
    card = {"installments": None, "mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
    values = {
        "id": intent["id"],
        "object": "payment_intent",
        "amount": 1000,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "capture_method": "automatic_async",
        "client_secret": intent["client_secret"],
        "confirmation_method": "automatic",
        "created": now,
        "currency": "usd",
        "livemode": False,
        "metadata": {},
        "payment_method_options": {"card": card},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
    }
    nulls = """allowed_payment_method_types application application_fee_amount canceled_at cancellation_reason customer
    customer_account description excluded_payment_method_types last_payment_error latest_charge managed_payments
    next_action on_behalf_of payment_method payment_method_configuration_details payment_record processing
    receipt_email review setup_future_usage shipping source statement_descriptor statement_descriptor_suffix
    transfer_data transfer_group""".split()
    assert intent == {**values, **dict.fromkeys(nulls)}


def test_an_intent_lives_from_open_to_paid(api):
    """It waits for a method, then for confirmation, then is paid; the charge and the events say so."""
    intent = api.post(PATH, {"amount": 1000, "currency": "usd", "description": "x", "metadata": {"a": "1"}})
    path = f"{PATH}/{intent['id']}"
    error = api.refused("POST", f"{path}/confirm")
    assert (error["code"], error["payment_intent"]["id"]) == ("payment_intent_unexpected_state", intent["id"])
    ready = api.post(path, {"payment_method": "pm_card_visa"})
    assert ready["status"] == "requires_confirmation"
    assert ready["payment_method"].startswith("pm_1")
    paid = api.post(f"{path}/confirm", {"expand": ["latest_charge.balance_transaction", "payment_method"]})
    charge = paid["latest_charge"]
    assert (paid["status"], paid["amount_received"], paid["next_action"]) == ("succeeded", 1000, None)
    assert paid["payment_method"]["id"] == ready["payment_method"] == charge["payment_method"]
    assert (charge["status"], charge["paid"], charge["captured"]) == ("succeeded", True, True)
    assert (charge["amount_captured"], charge["description"], charge["metadata"]) == (1000, "x", {"a": "1"})
    assert charge["balance_transaction"]["net"] == 1000 - 59
    assert types(api) == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
    for action in ("confirm", "cancel", "capture"):
        assert api.refused("POST", f"{path}/{action}")["code"] == "payment_intent_unexpected_state"


DECLINES = {
    "4000000000000002": ("card_declined", "generic_decline"),
    "4000000000009995": ("card_declined", "insufficient_funds"),
    "4000000000009987": ("card_declined", "lost_card"),
    "4000000000009979": ("card_declined", "stolen_card"),
    "4000000000000069": ("expired_card", None),
    "4000000000000127": ("incorrect_cvc", None),
    "4000000000000119": ("processing_error", None),
    "4000000000006975": ("card_declined", "card_velocity_exceeded"),
    "4000000000000341": ("card_declined", "generic_decline"),
    "4100000000000019": ("card_declined", "fraudulent"),
}


@pytest.mark.parametrize(("number", "codes"), DECLINES.items())
def test_a_declined_card_leaves_its_traces(api, number, codes):
    """The 402 has charge, intent and method in it; the intent and the failed charge stay, and another card can pay."""
    card = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    method = api.post("/v1/payment_methods", {"type": "card", "card": card})["id"]
    form = {"amount": 1000, "currency": "usd", "payment_method": method, "confirm": True}
    error = api.refused("POST", PATH, form)
    assert (error["status"], error["type"]) == (402, "card_error")
    assert (error["code"], error.get("decline_code")) == codes
    assert error["payment_method"]["id"] == method
    intent = api.get(f"{PATH}/{error['payment_intent']['id']}")
    assert intent == error["payment_intent"]
    assert (intent["status"], intent["payment_method"]) == ("requires_payment_method", None)
    assert intent["latest_charge"] == error["charge"] == intent["last_payment_error"]["charge"]
    assert intent["last_payment_error"]["code"] == codes[0]
    charge = api.get(f"/v1/charges/{error['charge']}")
    assert (charge["status"], charge["paid"], charge["failure_code"]) == ("failed", False, codes[0])
    assert charge["balance_transaction"] is None
    assert charge["outcome"]["type"] == ("blocked" if codes[1] == "fraudulent" else "issuer_declined")
    assert types(api) == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]
    again = api.post(f"{PATH}/{intent['id']}/confirm", {"payment_method": "pm_card_visa"})
    assert (again["status"], again["last_payment_error"]) == ("succeeded", None)
    assert len(api.ids("/v1/charges", {"payment_intent": intent["id"]})) == 2


def test_a_decline_is_replayed_under_its_key(api):
    """The same key gives the same 402 and no second charge; another key makes one."""
    form = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_chargeDeclined", "confirm": True}
    first, again, other = (api.refused("POST", PATH, form, idempotency_key=key) for key in ("a", "a", "b"))
    assert again == first
    assert other["charge"] != first["charge"]
    assert len(api.ids("/v1/charges")) == 2


@pytest.mark.parametrize(
    ("amount", "code", "problem"),
    [
        (49, "usd", "amount_too_small"),
        (29, "gbp", "amount_too_small"),
        (49, "jpy", "amount_too_small"),
        (17_499, "huf", "amount_too_small"),
        (0, "usd", "parameter_invalid_integer"),
        (-5, "idr", "parameter_invalid_integer"),
        (1_000_000_000_000, "usd", "amount_too_large"),
        (5_125, "kwd", "parameter_invalid_integer"),
        (550, "isk", "parameter_invalid_integer"),
    ],
)
def test_amounts_have_limits(api, amount, code, problem):
    """Less than the currency's minimum, more than twelve digits and digits that must be 0 are refused by name."""
    error = api.refused("POST", PATH, {"amount": amount, "currency": code})
    assert (error["status"], error["code"], error["param"]) == (400, problem, "amount")


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (50, "usd"),
        (30, "gbp"),
        (50, "jpy"),
        (17_500, "huf"),
        (1, "idr"),
        (999_999_999_999, "usd"),
        (5_120, "kwd"),
        (500, "isk"),
    ],
)
def test_amounts_at_their_limits_are_taken(api, amount, code):
    """The smallest and the largest amount are paid."""
    assert api.pay(amount=amount, currency=code)["amount_received"] == amount


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"currency": "xyz"}, "currency"),
        ({"customer": "cus_nope"}, "customer"),
        ({"payment_method": "pm_nope"}, "payment_method"),
        ({"off_session": True}, "off_session"),
        ({"return_url": "https://example.com"}, "return_url"),
        ({"statement_descriptor": "x"}, "statement_descriptor"),
        ({"statement_descriptor_suffix": "x" * 23}, "statement_descriptor_suffix"),
        ({"application_fee_amount": 1}, "application_fee_amount"),
        ({"transfer_data": {"destination": "acct_1"}}, "transfer_data"),
        ({"payment_method_data": {"type": "link"}}, "payment_method_data"),
        ({"allowed_payment_method_types": ["card", "ideal"]}, "allowed_payment_method_types"),
        ({"payment_method_options": {"ideal": {"setup_future_usage": "none"}}}, "payment_method_options[ideal]"),
        ({"payment_method_options": {"card": {"moto": True}}}, "payment_method_options[card][moto]"),
        ({"confirm": True, "off_session": True, "setup_future_usage": "off_session"}, "off_session"),
        ({"payment_method_types": ["card"]}, "payment_method_types"),
    ],
)
def test_a_payment_that_stripe_or_the_sandbox_does_not_take_is_refused(api, form, param):
    """The plain form makes an intent; each change of it is a 400 that names the parameter, and makes none."""
    plain = {"amount": 1000, "currency": "usd", "allowed_payment_method_types": ["card"]}
    api.post(PATH, plain)
    error = api.refused("POST", PATH, {**plain, **form})
    assert (error["status"], error["param"]) == (400, param)
    assert len(api.ids(PATH)) == 1


def test_a_method_pays_for_its_own_customer_only(api):
    """One's own method pays, another's does not, and a method of nobody pays once.

    Observed: flutter-stripe/flutter_stripe#379 and liberapay/liberapay.com#2686 (the refusals).
    """
    mine, other = (api.customer(payment_method="pm_card_visa")["id"] for _ in range(2))
    (method,) = api.ids(f"/v1/customers/{mine}/payment_methods")
    form = {"amount": 1000, "currency": "usd", "payment_method": method, "confirm": True}
    assert api.pay(method, customer=mine)["status"] == "succeeded"
    assert api.pay(method, customer=mine)["status"] == "succeeded"
    assert api.refused("POST", PATH, {**form, "customer": other})["param"] == "payment_method"
    assert api.refused("POST", PATH, form)["param"] == "payment_method"
    loose = api.post("/v1/payment_methods", {"type": "card", "card": {"token": "tok_visa"}})["id"]
    assert api.pay(loose)["status"] == "succeeded"
    assert api.refused("POST", PATH, {**form, "payment_method": loose})["param"] == "payment_method"
    customer = {"customer": mine}
    assert api.refused("POST", f"/v1/payment_methods/{loose}/attach", customer)["status"] == 400


def test_a_payment_can_keep_its_method_for_later(api):
    """``setup_future_usage`` attaches the method to the customer; without it the method stays nobody's."""
    customer, decoy = api.customer()["id"], api.customer()["id"]
    kept = api.pay(customer=customer, setup_future_usage="off_session")["payment_method"]
    api.pay(customer=decoy)
    assert api.ids(f"/v1/customers/{customer}/payment_methods") == [kept]
    assert api.ids(f"/v1/customers/{decoy}/payment_methods") == []


def test_authentication_ends_well_or_badly(api):
    """The intent waits with a next action; success pays, failure asks for another method and charges nothing."""
    waiting = api.pay("pm_card_authenticationRequired", **RETURN)
    assert (waiting["status"], waiting["latest_charge"]) == ("requires_action", None)
    assert waiting["next_action"]["type"] == "redirect_to_url"
    assert waiting["next_action"]["redirect_to_url"]["return_url"] == RETURN["return_url"]
    assert waiting["id"] in waiting["next_action"]["redirect_to_url"]["url"]
    api.authenticate(waiting["id"])
    paid = api.get(f"{PATH}/{waiting['id']}", {"expand": ["latest_charge"]})
    assert (paid["status"], paid["next_action"]) == ("succeeded", None)
    secure = paid["latest_charge"]["payment_method_details"]["card"]["three_d_secure"]
    assert secure["result"] == "authenticated"
    other = api.pay("pm_card_authenticationRequired")
    assert other["next_action"]["type"] == "use_stripe_sdk"
    api.authenticate(other["id"], success=False)
    failed = api.get(f"{PATH}/{other['id']}")
    assert failed["status"] == "requires_payment_method"
    assert failed["last_payment_error"]["code"] == "payment_intent_authentication_failure"
    assert failed["latest_charge"] is None
    assert types(api, "payment_intent.") == [
        "payment_intent.created",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "payment_intent.created",
        "payment_intent.requires_action",
        "payment_intent.payment_failed",
    ]


@pytest.mark.parametrize(
    ("name", "form", "status"),
    [
        ("authenticationRequired", {}, "requires_action"),
        ("authenticationRequiredOnSetup", {}, "requires_action"),
        ("authenticationRequiredSetupForOffSession", {}, "requires_action"),
        ("authenticationRequiredSetupForOffSession", {"off_session": True}, "succeeded"),
        ("threeDSecure2Required", {}, "requires_action"),
        ("threeDSecureOptional", {}, "succeeded"),
        (
            "threeDSecureOptional",
            {"payment_method_options": {"card": {"request_three_d_secure": "any"}}},
            "requires_action",
        ),
        ("visa", {"payment_method_options": {"card": {"request_three_d_secure": "any"}}}, "succeeded"),
        ("amex", {"payment_method_options": {"card": {"request_three_d_secure": "challenge"}}}, "succeeded"),
    ],
)
def test_each_card_asks_for_authentication_as_documented(api, name, form, status):
    """Whether a payment waits for its customer depends on the card, the session and what was asked for."""
    assert api.pay(f"pm_card_{name}", **form)["status"] == status


@pytest.mark.parametrize(
    ("name", "form", "codes"),
    [
        ("authenticationRequired", {"off_session": True}, ("authentication_required", "authentication_required")),
        (
            "authenticationRequiredOnSetup",
            {"off_session": True},
            ("authentication_required", "authentication_required"),
        ),
        ("authenticationRequired", {"error_on_requires_action": True}, ("authentication_required",) * 2),
        ("threeDSecureRequiredProcessingError", {}, ("card_declined", "generic_decline")),
        (
            "threeDSecureOptionalProcessingError",
            {"payment_method_options": {"card": {"request_three_d_secure": "any"}}},
            ("card_declined", "generic_decline"),
        ),
    ],
)
def test_a_customer_who_is_away_cannot_authenticate(api, name, form, codes):
    """Such a payment is a 402 with a failed charge; off session the code is ``authentication_required`` (observed)."""
    request = {"amount": 1000, "currency": "usd", "payment_method": f"pm_card_{name}", "confirm": True, **form}
    error = api.refused("POST", PATH, request)
    assert (error["status"], error["code"], error["decline_code"]) == (402, *codes)
    assert api.get(f"/v1/charges/{error['charge']}")["status"] == "failed"


def test_a_card_can_be_declined_after_authentication(api):
    """The customer authenticates, then the bank refuses all the same."""
    for name, code in (
        ("threeDSecureRequiredChargeDeclined", "generic_decline"),
        ("authenticationRequiredChargeDeclinedInsufficientFunds", "insufficient_funds"),
    ):
        intent = api.pay(f"pm_card_{name}")
        assert intent["status"] == "requires_action"
        api.authenticate(intent["id"])
        failed = api.get(f"{PATH}/{intent['id']}")
        assert failed["status"] == "requires_payment_method"
        assert failed["last_payment_error"]["decline_code"] == code


def test_manual_confirmation_needs_a_second_one(api):
    """After authentication such an intent waits to be confirmed again, and then asks no more."""
    intent = api.pay("pm_card_authenticationRequired", confirmation_method="manual")
    api.authenticate(intent["id"])
    path = f"{PATH}/{intent['id']}"
    assert api.get(path)["status"] == "requires_confirmation"
    assert api.post(f"{path}/confirm")["status"] == "succeeded"
    other = api.pay("pm_card_authenticationRequired", confirmation_method="manual")
    api.authenticate(other["id"])
    swapped = api.post(f"{PATH}/{other['id']}/confirm", {"payment_method": "pm_card_authenticationRequired"})
    assert swapped["status"] == "requires_action"


def test_an_intent_changes_until_it_is_paid(api):
    """Amount and currency change while it is open, later only what describes it.

    Observed: the text of the refusal.
    """
    intent = api.post(PATH, {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa"})
    path = f"{PATH}/{intent['id']}"
    changed = api.post(path, {"amount": 900, "currency": "eur", "receipt_email": "jo@example.com"})
    assert (changed["amount"], changed["currency"], changed["status"]) == (900, "eur", "requires_confirmation")
    assert api.refused("POST", path, {"amount": 1})["code"] == "amount_too_small"
    api.post(f"{path}/confirm")
    error = api.refused("POST", path, {"amount": 1000})
    assert (error["param"], error["code"]) == ("amount", "payment_intent_unexpected_state")
    later = api.post(path, {"description": "y", "metadata": {"a": "1"}, "receipt_email": ""})
    assert (later["description"], later["metadata"], later["receipt_email"]) == ("y", {"a": "1"}, None)


def test_canceling_ends_an_open_intent(api, now):
    """An intent that waits is canceled with its reason; its charge, if it holds money, lets it go."""
    intent = api.post(PATH, {"amount": 1000, "currency": "usd"})
    gone = api.post(f"{PATH}/{intent['id']}/cancel", {"cancellation_reason": "duplicate"})
    assert (gone["status"], gone["canceled_at"], gone["cancellation_reason"]) == ("canceled", now, "duplicate")
    held = api.pay(capture_method="manual")
    gone = api.post(f"{PATH}/{held['id']}/cancel")
    assert (gone["status"], gone["amount_capturable"], gone["amount_received"]) == ("canceled", 0, 0)
    charge = api.get(f"/v1/charges/{held['latest_charge']}")
    assert (charge["captured"], charge["refunded"], charge["amount_captured"]) == (False, True, 0)
    assert api.get("/v1/balance_transactions")["data"] == []
    assert types(api, "payment_intent.canceled") == ["payment_intent.canceled"] * 2


def test_lists_know_the_customer(api):
    """Only the customer's own intents are listed, newest first."""
    mine, other = api.customer()["id"], api.customer()["id"]
    first, second = (api.post(PATH, {"amount": 100, "currency": "usd", "customer": mine})["id"] for _ in range(2))
    decoy = api.post(PATH, {"amount": 100, "currency": "usd", "customer": other})["id"]
    assert api.ids(PATH, {"customer": mine}) == [second, first]
    assert api.ids(PATH) == [decoy, second, first]


@pytest.mark.parametrize("action", ["apply_customer_balance", "increment_authorization", "verify_microdeposits"])
def test_what_is_not_modelled_says_so(api, action):
    """These requests are refused by name, for intents that exist."""
    intent = api.post(PATH, {"amount": 100, "currency": "usd"})["id"]
    form = {"amount": 200} if action == "increment_authorization" else {}
    assert api.refused("POST", f"{PATH}/{intent}/{action}", form)["code"] == "sandbox_not_modelled"
    lines = api.refused("GET", f"{PATH}/{intent}/amount_details_line_items")
    assert lines["code"] == "sandbox_not_modelled"


def test_an_invoice_ends_its_intent_itself(api):
    """The intent of an invoice is not canceled directly; one of no invoice is (tests above)."""
    customer = api.customer(payment_method="pm_card_visa")
    with api.sandbox._store.write(api.get("/v1/account")["id"]) as tx:
        call = idle(api.sandbox, tx)
        fixed = {"amount": 1000, "currency": "usd", "description": None, "metadata": {"a": "1"}}
        intent = payments.open_intent(call, customer=customer, invoice="in_1", **fixed)
        once = payments.open_intent(call, customer=customer, off_session_ok=False, **fixed)
    shown = api.get(f"{PATH}/{intent['id']}")
    assert (shown["status"], shown["metadata"], shown["setup_future_usage"]) == (
        "requires_payment_method",
        {"a": "1"},
        "off_session",
    )
    assert api.get(f"{PATH}/{once['id']}")["setup_future_usage"] is None
    assert api.refused("POST", f"{PATH}/{intent['id']}/cancel")["code"] == "payment_intent_unexpected_state"
    assert api.post(f"{PATH}/{once['id']}/cancel")["status"] == "canceled"
