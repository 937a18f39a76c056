"""Payment methods, tokens and card sources; the cards are those of https://docs.stripe.com/testing."""

import pytest

from reconciler.sandbox.billing import cards

VISA = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}


def test_a_payment_method_is_complete(api, now):
    """Every field of the documented object is there; the number is nowhere."""
    method = api.post("/v1/payment_methods", {"type": "card", "card": VISA})
    assert method == {
        "id": method["id"],
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
        },
        "card": {
            "brand": "visa",
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "unchecked"},
            "country": "US",
            "display_brand": "visa",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": method["card"]["fingerprint"],
            "funding": "credit",
            "generated_from": None,
            "last4": "4242",
            "networks": {"available": ["visa"], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }
    assert api.events(types=["payment_method.attached", "payment_method.updated"]) == []


@pytest.mark.parametrize("card", cards.CARDS, ids=lambda card: card.number)
def test_every_test_card_makes_a_payment_method(card, api):
    """Each number and each name makes a method of its brand, country and funding, with one fingerprint."""
    cvc = "1234" if card.brand == "amex" else "123"
    typed = api.post("/v1/payment_methods", {"type": "card", "card": {**VISA, "number": card.number, "cvc": cvc}})
    assert typed["card"]["last4"] == card.number[-4:]
    for name in card.names:
        form = {"type": "card", "card": {"token": f"tok_{name}"}}
        shown = api.post("/v1/payment_methods", form)["card"]
        assert (shown["brand"], shown["country"], shown["funding"]) == (card.brand, card.country, card.funding)
        assert shown["fingerprint"] == typed["card"]["fingerprint"]


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"number": "4242424242424241"}, "incorrect_number", "card[number]"),
        ({"number": "x"}, "incorrect_number", "card[number]"),
        ({"exp_month": 13}, "invalid_expiry_month", "card[exp_month]"),
        ({"exp_month": 0}, "invalid_expiry_month", "card[exp_month]"),
        ({"exp_year": 2026}, "invalid_expiry_year", "card[exp_year]"),
        ({"exp_year": 95}, "invalid_expiry_year", "card[exp_year]"),
        ({"cvc": "99"}, "invalid_cvc", "card[cvc]"),
        ({"cvc": "1234"}, "invalid_cvc", "card[cvc]"),
    ],
)
def test_invalid_card_data_is_a_card_error(api, change, code, param):
    """Each mistake of https://docs.stripe.com/testing#invalid-data is a 402 with its code; the card itself is taken."""
    api.post("/v1/payment_methods", {"type": "card", "card": VISA})
    error = api.refused("POST", "/v1/payment_methods", {"type": "card", "card": {**VISA, **change}})
    assert (error["status"], error["type"], error["code"], error["param"]) == (402, "card_error", code, param)


def test_real_cards_are_never_taken(api):
    """A number that is valid and no test card is declined as https://docs.stripe.com/declines/codes says."""
    error = api.refused("POST", "/v1/payment_methods", {"type": "card", "card": {**VISA, "number": "4111111111111111"}})
    assert (error["code"], error["decline_code"]) == ("card_declined", "test_mode_live_card")


def test_a_card_expires_at_the_end_of_its_month(open_sandbox, account):
    """The current month is good (the clock says January 2027), the one before is not; two digits are this century."""
    api = account(open_sandbox(clock=1_800_000_000))
    assert api.post("/v1/payment_methods", {"type": "card", "card": {**VISA, "exp_month": 1, "exp_year": 27}})
    form = {"type": "card", "card": {**VISA, "exp_month": 12, "exp_year": 26}}
    assert api.refused("POST", "/v1/payment_methods", form)["code"] == "invalid_expiry_year"


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"type": "sepa_debit", "sepa_debit": {"iban": "x"}}, "sepa_debit"),
        ({"type": "us_bank_account"}, "type"),
        ({"type": "card", "card": VISA, "radar_options": {"session": "x"}}, "radar_options"),
        ({"type": "card", "card": VISA, "boleto": {"tax_id": "1"}}, "boleto"),
        ({"type": "card"}, "card"),
        ({"card": VISA}, "type"),
        ({"type": "card", "card": {"token": "tok_visa", "number": "4242424242424242"}}, "card[token]"),
        ({"type": "card", "card": {"token": "tok_nope"}}, "card[token]"),
        ({"type": "card", "card": {"number": "4242424242424242", "exp_year": 2034}}, "card[exp_month]"),
        ({"type": "card", "card": {**VISA, "networks": {"preferred": "mastercard"}}}, "card[networks][preferred]"),
        ({"type": "card", "card": VISA, "customer": "cus_1"}, "customer"),
    ],
)
def test_a_method_that_is_not_modelled_or_contradictory_is_refused(api, form, param):
    """Cards with one way of naming them are taken (positive control above); everything else names its parameter."""
    error = api.refused("POST", "/v1/payment_methods", form)
    assert (error["status"], error["param"]) == (400, param)


def test_attaching_and_detaching(api, now):
    """A literal becomes a fresh method of the customer; a detached one can never be attached again.

    Observed: liberapay/liberapay.com#2686 (the refusal).
    """
    customer, other = api.customer()["id"], api.customer(payment_method="pm_card_visa")["id"]
    first = api.post("/v1/payment_methods/pm_card_visa/attach", {"customer": customer})
    second = api.post("/v1/payment_methods/pm_card_visa/attach", {"customer": customer})
    assert first["id"] != second["id"]
    assert first["id"].startswith("pm_1")
    assert (first["customer"], first["created"]) == (customer, now)
    listed = [second["id"], first["id"]]
    assert api.ids("/v1/payment_methods", {"customer": customer}) == listed
    assert api.ids(f"/v1/customers/{customer}/payment_methods") == listed
    assert len(api.ids("/v1/payment_methods", {"type": "card"})) == 3
    assert api.ids("/v1/payment_methods", {"customer": customer, "allow_redisplay": "always"}) == []
    detached = api.post(f"/v1/payment_methods/{first['id']}/detach")
    assert detached["customer"] is None
    assert api.ids("/v1/payment_methods", {"customer": customer}) == [second["id"]]
    assert first["id"] not in api.ids("/v1/payment_methods", {"type": "card"})
    for path in ("detach", "attach"):
        form = {"customer": customer} if path == "attach" else {}
        assert api.refused("POST", f"/v1/payment_methods/{first['id']}/{path}", form)["status"] == 400
    assert api.refused("POST", "/v1/payment_methods/pm_card_visa/attach", {})["param"] == "customer"
    assert api.refused("POST", "/v1/payment_methods/pm_nope/attach", {"customer": customer})["status"] == 400
    elsewhere = f"/v1/customers/{other}/payment_methods/{second['id']}"
    assert api.refused("GET", elsewhere)["status"] == 404
    assert api.get(f"/v1/customers/{customer}/payment_methods/{second['id']}") == second
    detachment = api.events(type="payment_method.detached")[0]["data"]
    assert detachment["previous_attributes"] == {"customer": customer}


DECLINED = {
    "visa_chargeDeclined": ("card_declined", "generic_decline"),
    "visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "visa_chargeDeclinedLostCard": ("card_declined", "lost_card"),
    "visa_chargeDeclinedStolenCard": ("card_declined", "stolen_card"),
    "chargeDeclinedExpiredCard": ("expired_card", None),
    "chargeDeclinedIncorrectCvc": ("incorrect_cvc", None),
    "chargeDeclinedProcessingError": ("processing_error", None),
    "visa_chargeDeclinedVelocityLimitExceeded": ("card_declined", "card_velocity_exceeded"),
}


@pytest.mark.parametrize(("name", "codes"), DECLINED.items())
def test_declining_cards_cannot_be_attached(api, name, codes):
    """The bank's refusal is a 402 with the documented codes, the customer has no card; the next test is the control."""
    customer = api.customer()["id"]
    error = api.refused("POST", f"/v1/payment_methods/pm_card_{name}/attach", {"customer": customer})
    assert (error["status"], error["type"]) == (402, "card_error")
    assert (error["code"], error.get("decline_code")) == codes
    assert api.ids(f"/v1/customers/{customer}/payment_methods") == []
    assert api.refused("POST", "/v1/customers", {"payment_method": f"pm_card_{name}"})["status"] == 402
    assert api.ids("/v1/customers") == [customer]


def test_some_declining_cards_can_be_attached(api):
    """4000000000000341 attaches and then fails, as documented."""
    customer = api.customer(payment_method="pm_card_chargeCustomerFail")["id"]
    (method,) = api.ids(f"/v1/customers/{customer}/payment_methods")
    assert api.get(f"/v1/payment_methods/{method}")["card"]["last4"] == "0341"


def test_an_incorrect_code_needs_a_code(api):
    """Without a security code there is none to be incorrect, as documented; with one the card cannot be attached."""
    customer = api.customer()["id"]
    card = {"number": "4000000000000127", "exp_month": 12, "exp_year": 2034}
    with_code, without = (
        api.post("/v1/payment_methods", {"type": "card", "card": {**card, **extra}})["id"]
        for extra in ({"cvc": "123"}, {})
    )
    path = "/v1/payment_methods/{}/attach"
    assert api.refused("POST", path.format(with_code), {"customer": customer})["code"] == "incorrect_cvc"
    assert api.post(path.format(without), {"customer": customer})["card"]["checks"]["cvc_check"] is None
    with_code, without = (api.post("/v1/tokens", {"card": {**card, **extra}})["id"] for extra in ({"cvc": "123"}, {}))
    path = f"/v1/customers/{customer}/sources"
    assert api.refused("POST", path, {"source": with_code})["code"] == "incorrect_cvc"
    assert api.post(path, {"source": without})["cvc_check"] is None


@pytest.mark.parametrize(
    ("name", "line", "zip_code", "cvc"),
    [
        ("visa", "pass", "pass", "pass"),
        ("cvcCheckFail", "pass", "pass", "fail"),
        ("avsZipFail", "pass", "fail", "pass"),
        ("avsLine1Fail", "fail", "pass", "pass"),
        ("avsFail", "fail", "fail", "pass"),
        ("avsUnchecked", "unavailable", "unavailable", "pass"),
    ],
)
def test_the_bank_checks_what_was_given(api, name, line, zip_code, cvc):
    """Code, postal code and address line are checked on attaching, as the test card says."""
    number = cards.by_name(f"pm_card_{name}", "pm_card_").number
    address = {"line1": "1 Main Street", "postal_code": "12345"}
    form = {"type": "card", "card": {**VISA, "number": number}, "billing_details": {"address": address}}
    method = api.post("/v1/payment_methods", form)
    attached = api.post(f"/v1/payment_methods/{method['id']}/attach", {"customer": api.customer()["id"]})
    assert attached["card"]["checks"] == {
        "address_line1_check": line,
        "address_postal_code_check": zip_code,
        "cvc_check": cvc,
    }


def test_only_attached_methods_can_be_changed(api):
    """Billing details, expiry, redisplay and metadata change on an attached method; other methods stay."""
    method = api.post("/v1/payment_methods", {"type": "card", "card": VISA})
    path = f"/v1/payment_methods/{method['id']}"
    change = {"billing_details": {"name": "Jo", "address": {"city": "Rome"}}, "metadata": {"a": "1"}}
    assert api.refused("POST", path, change)["param"] == "payment_method"
    customer = api.customer(payment_method="pm_card_visa")["id"]
    (decoy,) = api.ids(f"/v1/customers/{customer}/payment_methods")
    api.post(f"{path}/attach", {"customer": customer})
    form = {**change, "allow_redisplay": "always", "card": {"exp_month": 1, "exp_year": 2030}}
    changed = api.post(path, form)
    assert changed["billing_details"]["name"] == "Jo"
    assert changed["billing_details"]["address"]["city"] == "Rome"
    assert (changed["card"]["exp_month"], changed["card"]["exp_year"]) == (1, 2030)
    assert api.ids("/v1/payment_methods", {"customer": customer, "allow_redisplay": "always"}) == [method["id"]]
    assert api.get(f"/v1/payment_methods/{decoy}")["metadata"] == {}
    assert api.refused("POST", path, {"card": {"exp_year": 2020}})["code"] == "invalid_expiry_year"
    cleared = api.post(path, {"billing_details": {"name": "", "address": ""}, "metadata": ""})
    assert (cleared["billing_details"]["name"], cleared["billing_details"]["address"]["city"]) == (None, None)
    assert cleared["metadata"] == {}


def test_a_token_is_good_once(api):
    """A token of a typed card is used up by the first method made of it; ``tok_visa`` never is."""
    token = api.post("/v1/tokens", {"card": {**VISA, "name": "Jo", "address_zip": "12345"}})
    assert (token["type"], token["used"], token["card"]["brand"], token["card"]["name"]) == (
        "card",
        False,
        "Visa",
        "Jo",
    )
    form = {"type": "card", "card": {"token": token["id"]}}
    assert api.post("/v1/payment_methods", form)["card"]["exp_year"] == 2034
    assert api.get(f"/v1/tokens/{token['id']}")["used"] is True
    error = api.refused("POST", "/v1/payment_methods", form)
    assert (error["code"], error["param"]) == ("token_already_used", "card[token]")
    for _ in range(2):
        api.post("/v1/payment_methods", {"type": "card", "card": {"token": "tok_visa"}})
    assert api.refused("POST", "/v1/tokens", {"bank_account": {"country": "US", "account_number": "1"}})["code"] == (
        "sandbox_not_modelled"
    )
    assert api.refused("POST", "/v1/tokens")["param"] == "card"
    assert api.refused("POST", "/v1/tokens", {"card": {**VISA, "exp_year": "x"}})["param"] == "card[exp_year]"


def test_sources_have_a_default(api):
    """The first source is the default; deleting it hands that on, a new ``source`` on update replaces it.

    Source: https://docs.stripe.com/api/customers/update.
    """
    customer, decoy = api.customer(source="tok_visa"), api.customer(source="tok_amex")
    path = f"/v1/customers/{customer['id']}"
    first = api.get(path)["default_source"]
    assert first.startswith("card_1")
    second = api.post(f"{path}/sources", {"source": "tok_mastercard", "metadata": {"a": "1"}})
    assert (second["brand"], second["customer"], second["metadata"]) == ("MasterCard", customer["id"], {"a": "1"})
    assert api.get(path)["default_source"] == first
    assert api.ids(f"{path}/sources", {"object": "card"}) == [second["id"], first]
    assert api.ids(f"{path}/sources", {"object": "bank_account"}) == []
    assert api.post(path, {"default_source": second["id"]})["default_source"] == second["id"]
    error = api.refused("POST", path, {"default_source": decoy["default_source"]})
    assert (error["code"], error["param"]) == ("resource_missing", "default_source")
    replaced = api.post(path, {"source": "tok_discover"})["default_source"]
    assert api.ids(f"{path}/sources") == [replaced, first]
    assert api.ok("DELETE", f"{path}/sources/{replaced}") == {"id": replaced, "object": "card", "deleted": True}
    assert api.get(path)["default_source"] == first
    assert api.refused("GET", f"{path}/sources/{decoy['default_source']}")["status"] == 404
    assert api.refused("POST", f"{path}/sources/{first}/verify")["code"] == "sandbox_not_modelled"
    shown = api.get(path, {"expand": ["sources", "default_source"]})
    assert [source["id"] for source in shown["sources"]["data"]] == [first]
    assert shown["default_source"]["object"] == "card"
    types = [event["type"] for event in api.events(types=["customer.source.created", "customer.source.deleted"])]
    assert types.count("customer.source.deleted") == 2


def test_a_source_is_a_payment_method_too(api):
    """It pays, is listed and changed under one id; a card the bank refuses becomes neither."""
    customer = api.customer(source="tok_visa")
    source = customer["default_source"]
    method = api.get(f"/v1/payment_methods/{source}")
    assert (method["customer"], method["card"]["last4"]) == (customer["id"], "4242")
    paid = api.pay(source, customer=customer["id"])
    assert (paid["status"], paid["payment_method"]) == ("succeeded", source)
    path = f"/v1/customers/{customer['id']}/sources/{source}"
    api.post(path, {"exp_month": "1", "exp_year": "2031", "address_zip": "12345", "name": "Jo"})
    changed = api.get(f"/v1/payment_methods/{source}")
    assert (changed["card"]["exp_year"], changed["billing_details"]["address"]["postal_code"]) == (2031, "12345")
    assert api.refused("POST", path, {"exp_year": "x"})["param"] == "exp_year"
    error = api.refused("POST", f"/v1/customers/{customer['id']}/sources", {"source": "tok_chargeDeclined"})
    assert (error["status"], error["code"]) == (402, "card_declined")
    assert api.ids(f"/v1/customers/{customer['id']}/payment_methods") == [source]
    api.post(f"/v1/payment_methods/{source}/detach")
    assert api.ids(f"/v1/customers/{customer['id']}/sources") == []
    assert api.get(f"/v1/customers/{customer['id']}")["default_source"] is None
