"""Customers, their balance, tax ids and cash balance."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.sandbox import Sandbox
from reconciler.sandbox.billing import discounts, payments
from reconciler.sandbox.settings import Settings
from tests.sandbox.conftest import NOW, Api, idle

DEFAULT = "invoice_settings[default_payment_method]"


def test_a_customer_is_complete(api, now):
    """Every field of the documented object is there; lists, balances and taxes only when expanded."""
    customer = api.customer()
    assert customer == {
        "id": customer["id"],
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": customer["invoice_prefix"],
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    assert len(customer["invoice_prefix"]) == 8
    hidden = ["cash_balance", "invoice_credit_balance", "sources", "subscriptions", "tax", "tax_ids"]
    shown = api.get(f"/v1/customers/{customer['id']}", {"expand": hidden})
    assert shown["sources"]["url"] == f"/v1/customers/{customer['id']}/sources"
    assert set(shown) - set(customer) == set(hidden)


FULL = {
    "address": {"city": "Paris", "country": "FR"},
    "business_name": "Acme",
    "description": "x",
    "email": "jo@example.com",
    "individual_name": "Jo",
    "name": "Jo",
    "phone": "1",
    "shipping": {"name": "Jo", "address": {"line1": "1"}},
    "tax_exempt": "reverse",
}


def test_what_is_set_can_be_unset(api):
    """A blank unsets each text and object; the names of business and person are absent again, not null."""
    customer = api.customer(**FULL, metadata={"a": "1", "b": "2"})
    assert customer["address"]["city"] == "Paris"
    assert customer["address"]["line2"] is None
    assert customer["shipping"]["phone"] is None
    assert (customer["business_name"], customer["individual_name"]) == ("Acme", "Jo")
    blank = api.post(f"/v1/customers/{customer['id']}", {**dict.fromkeys(FULL, ""), "metadata": {"a": ""}})
    assert blank["metadata"] == {"b": "2"}
    assert not {"business_name", "individual_name"} & blank.keys()
    assert [blank[name] for name in ("address", "description", "email", "name", "phone", "shipping")] == [None] * 6
    assert blank["tax_exempt"] == "none"


@pytest.mark.parametrize(
    ("good", "bad", "param"),
    [
        ({"email": "x" * 512}, {"email": "x" * 513}, "email"),
        ({"name": "x" * 256}, {"name": "x" * 257}, "name"),
        ({"phone": "1" * 20}, {"phone": "1" * 21}, "phone"),
        ({"business_name": "x" * 150}, {"business_name": "x" * 151}, "business_name"),
        ({"invoice_prefix": "ABC"}, {"invoice_prefix": "AB"}, "invoice_prefix"),
        ({"invoice_prefix": "ABCDEFGH1234"}, {"invoice_prefix": "abc"}, "invoice_prefix"),
        ({"invoice_prefix": "TAKEN1"}, {"invoice_prefix": "TAKEN1"}, "invoice_prefix"),
        ({"next_invoice_sequence": 7}, {"next_invoice_sequence": 0}, "next_invoice_sequence"),
        ({"payment_method": "pm_card_visa"}, {"payment_method": "pm_nope"}, "payment_method"),
        ({"source": "tok_visa"}, {"source": "tok_nope"}, "source"),
        ({"source": "tok_visa"}, {"source": "src_1"}, "source"),
        ({"tax_exempt": "exempt"}, {"tax_exempt": "maybe"}, "tax_exempt"),
        ({"tax": {"ip_address": "1.2.3.4"}}, {"tax": {"validate_location": "immediately"}}, "tax[validate_location]"),
        (
            {"tax_id_data": [{"type": "eu_vat", "value": "DE123456789"}]},
            {"tax_id_data": [{"type": "eu_vat", "value": "1"}]},
            "tax_id_data[0][value]",
        ),
        (
            {"invoice_settings": {"custom_fields": [{"name": "a", "value": "b"}] * 4}},
            {"invoice_settings": {"custom_fields": [{"name": "a", "value": "b"}] * 5}},
            "invoice_settings[custom_fields]",
        ),
        (
            {"invoice_settings": {"rendering_options": {"amount_tax_display": "exclude_tax"}}},
            {"invoice_settings": {"rendering_options": {"template": "inrtem_1"}}},
            "invoice_settings[rendering_options][template]",
        ),
        ({}, {"test_clock": "clock_nope"}, "test_clock"),
        ({}, {"coupon": "A"}, "coupon"),
    ],
)
def test_a_customer_that_stripe_would_not_take_is_refused(api, good, bad, param):
    """The good form makes a customer; the bad one is a 400 that names the parameter, and makes none."""
    api.customer(**good)
    error = api.refused("POST", "/v1/customers", bad)
    assert (error["status"], error["param"]) == (400, param)
    assert len(api.ids("/v1/customers")) == 1


def test_lists_know_email_and_test_clock(api, now):
    """``email`` matches exactly and by case; customers of a test clock are listed for their clock only."""
    clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": now + 50})["id"]
    jo, other = api.customer(email="jo@example.com"), api.customer(email="JO@example.com")
    on_clock = [api.customer(email="jo@example.com", test_clock=clock) for _ in range(3)]
    assert on_clock[0]["created"] == now + 50
    assert api.ids("/v1/customers", {"email": "jo@example.com"}) == [jo["id"]]
    assert api.ids("/v1/customers") == [other["id"], jo["id"]]
    assert api.ids("/v1/customers", {"test_clock": clock}) == [customer["id"] for customer in reversed(on_clock)]
    # https://docs.stripe.com/billing/testing/test-clocks: three customers for each clock.
    assert api.refused("POST", "/v1/customers", {"test_clock": clock})["param"] == "test_clock"


def test_a_deleted_customer_leaves_a_trace(api):
    """It can be retrieved as deleted and nothing else; methods, sources and tax ids go with it, others' stay."""
    gone = api.customer(
        payment_method="pm_card_visa", source="tok_visa", tax_id_data=[{"type": "gb_vat", "value": "GB123456789"}]
    )
    kept = api.customer(payment_method="pm_card_visa", tax_id_data=[{"type": "gb_vat", "value": "GB123456789"}])
    path = f"/v1/customers/{gone['id']}"
    methods, tax_ids = api.ids(f"{path}/payment_methods"), api.ids(f"{path}/tax_ids")
    trace = {"id": gone["id"], "object": "customer", "deleted": True}
    assert api.ok("DELETE", path) == trace
    assert api.get(path) == trace
    for refused in (api.refused("POST", path, {"name": "x"}), api.refused("DELETE", path)):
        assert (refused["status"], refused["code"], refused["param"]) == (404, "resource_missing", "customer")
    for method in methods:
        assert api.get(f"/v1/payment_methods/{method}")["customer"] is None
    assert api.refused("GET", f"/v1/tax_ids/{tax_ids[0]}")["status"] == 404
    assert len(api.ids(f"/v1/customers/{kept['id']}/payment_methods")) == 1
    assert len(api.ids(f"/v1/customers/{kept['id']}/tax_ids")) == 1
    assert api.ids("/v1/customers") == [kept["id"]]
    assert api.events(type="customer.deleted")[0]["data"]["object"]["id"] == gone["id"]


def test_the_default_payment_method_is_an_attached_one(api):
    """One's own attached method is taken, another customer's or a fresh one refused; ``''`` and detaching unset it.

    Observed: flutter-stripe/flutter_stripe#379 (the refusal); stripe/stripe-ruby#1151 (``''``).
    """
    customer, other = (api.customer(payment_method="pm_card_visa")["id"] for _ in range(2))
    mine, theirs = (api.ids(f"/v1/customers/{owner}/payment_methods")[0] for owner in (customer, other))
    path = f"/v1/customers/{customer}"
    for bad in (theirs, "pm_card_visa", "pm_nope"):
        error = api.refused("POST", path, {"invoice_settings": {"default_payment_method": bad}})
        assert (error["code"], error["param"]) == ("resource_missing", DEFAULT)
    settings = api.post(path, {"invoice_settings": {"default_payment_method": mine, "footer": "Bye"}})
    assert settings["invoice_settings"]["default_payment_method"] == mine
    assert api.post(path, {"invoice_settings": {"footer": "Hi"}})["invoice_settings"]["default_payment_method"] == mine
    api.post(f"/v1/payment_methods/{theirs}/detach")
    assert api.get(path)["invoice_settings"]["default_payment_method"] == mine
    emptied = api.post(path, {"invoice_settings": {"default_payment_method": "", "footer": "Hi"}})["invoice_settings"]
    assert (emptied["default_payment_method"], emptied["footer"]) == (None, "Hi")
    assert (
        api.refused("POST", "/v1/customers", {"invoice_settings": {"default_payment_method": ""}})["param"] == DEFAULT
    )
    api.post(path, {"invoice_settings": {"default_payment_method": mine}})
    assert api.post(path, {"invoice_settings": {"default_payment_method": ""}}) == api.get(path)
    assert api.get(path)["invoice_settings"]["default_payment_method"] is None
    api.post(path, {"invoice_settings": {"default_payment_method": mine}})
    api.post(f"/v1/payment_methods/{mine}/detach")
    assert api.get(path)["invoice_settings"] == {
        "custom_fields": None,
        "default_payment_method": None,
        "footer": "Hi",
        "rendering_options": None,
    }


def test_a_card_and_the_default_can_come_with_the_customer(api):
    """The literal that is attached is the default when it is named again in the same request."""
    customer = api.customer(payment_method="pm_card_visa", invoice_settings={"default_payment_method": "pm_card_visa"})
    (method,) = api.ids(f"/v1/customers/{customer['id']}/payment_methods")
    assert customer["invoice_settings"]["default_payment_method"] == method
    error = api.refused("POST", "/v1/customers", {"invoice_settings": {"default_payment_method": "pm_card_visa"}})
    assert error["param"] == DEFAULT


def test_the_balance_is_its_ledger(api):
    """Setting a balance and adding to it are transactions, newest first, each with the balance after it."""
    customer, decoy = api.customer(balance=-500), api.customer(balance=7)
    path = f"/v1/customers/{customer['id']}/balance_transactions"
    made = api.post(path, {"amount": 200, "currency": "usd", "description": "x", "metadata": {"a": "1"}})
    assert made == {
        "id": made["id"],
        "object": "customer_balance_transaction",
        "amount": 200,
        "checkout_session": None,
        "created": made["created"],
        "credit_note": None,
        "currency": "usd",
        "customer": customer["id"],
        "customer_account": None,
        "description": "x",
        "ending_balance": -300,
        "invoice": None,
        "livemode": False,
        "metadata": {"a": "1"},
        "type": "adjustment",
    }
    assert api.post(f"/v1/customers/{customer['id']}", {"balance": 50})["balance"] == 50
    ledger = api.get(path)["data"]
    assert [(entry["type"], entry["amount"], entry["ending_balance"]) for entry in ledger] == [
        ("adjustment", 350, 50),
        ("adjustment", 200, -300),
        ("initial", -500, -500),
    ]
    assert api.get(path, {"invoice": "in_nope"})["data"] == []
    changed = api.post(f"{path}/{made['id']}", {"description": "y", "metadata": {"a": ""}})
    assert (changed["description"], changed["metadata"]) == ("y", {})
    assert api.refused("POST", f"{path}/{made['id']}", {"amount": 1})["code"] == "parameter_unknown"
    elsewhere = f"/v1/customers/{decoy['id']}/balance_transactions/{made['id']}"
    assert api.refused("GET", elsewhere)["status"] == 404
    assert api.get(f"{path}/{made['id']}") == changed


def test_each_currency_has_its_own_balance(api):
    """The first transaction fixes the customer's currency; one in another currency has a balance of its own.

    Source: the parameter's description, https://docs.stripe.com/api/customer_balance_transactions/create.
    """
    customer = api.customer()
    path, expand = f"/v1/customers/{customer['id']}", {"expand": ["invoice_credit_balance"]}
    api.post(f"{path}/balance_transactions", {"amount": -100, "currency": "eur"})
    other = api.post(f"{path}/balance_transactions", {"amount": 30, "currency": "USD"})
    assert (other["currency"], other["ending_balance"]) == ("usd", 30)
    shown = api.get(path, expand)
    assert (shown["currency"], shown["balance"]) == ("eur", -100)
    assert shown["invoice_credit_balance"] == {"eur": -100, "usd": 30}
    assert api.post(path, {"balance": 5})["balance"] == 5
    error = api.refused("POST", f"{path}/balance_transactions", {"amount": 1, "currency": "xyz"})
    assert error["param"] == "currency"


@given(st.lists(st.tuples(st.sampled_from(["usd", "eur", "jpy"]), st.integers(-(10**6), 10**6)), max_size=8))
def test_the_balance_equals_the_sum_of_its_transactions(entries):
    """For any sequence of adjustments, every ending balance and the customer's are sums of what came before."""
    with Sandbox(clock=NOW) as sandbox:
        api, sums = Api(sandbox), {}
        customer = api.customer()["id"]
        path = f"/v1/customers/{customer}"
        for code, amount in entries:
            sums[code] = sums.get(code, 0) + amount
            made = api.post(f"{path}/balance_transactions", {"amount": amount, "currency": code})
            assert made["ending_balance"] == sums[code]
        shown = api.get(path, {"expand": ["invoice_credit_balance"]})
        assert shown["invoice_credit_balance"] == sums
        assert shown["balance"] == (sums[entries[0][0]] if entries else 0)


def test_a_tax_id_is_complete_and_verified_as_test_numbers_say(api, now):
    """The magic numbers of https://docs.stripe.com/billing/customer/tax-ids verify, fail and wait."""
    customer, decoy = api.customer()["id"], api.customer()["id"]
    path = f"/v1/customers/{customer}/tax_ids"
    made = api.post(path, {"type": "eu_vat", "value": "FRAB123456789"})
    assert made == {
        "id": made["id"],
        "object": "tax_id",
        "country": "FR",
        "created": now,
        "customer": customer,
        "customer_account": None,
        "livemode": False,
        "owner": {"customer": customer, "type": "customer"},
        "type": "eu_vat",
        "value": "FRAB123456789",
        "verification": {"status": "pending", "verified_address": None, "verified_name": None},
    }
    for value, status in (("000000000", "verified"), ("111111111", "unverified"), ("222222222", "pending")):
        assert api.post(path, {"type": "eu_vat", "value": value})["verification"]["status"] == status
    assert api.post(path, {"type": "us_ein", "value": "12-3456789"})["verification"]["status"] == "unavailable"
    error = api.refused("POST", path, {"type": "gb_vat", "value": "FR1"})
    assert (error["code"], error["param"]) == ("tax_id_invalid", "value")
    elsewhere = f"/v1/customers/{decoy}/tax_ids"
    assert api.ids(elsewhere) == []
    assert api.refused("GET", f"{elsewhere}/{made['id']}")["status"] == 404
    assert api.ok("DELETE", f"{path}/{made['id']}")["deleted"] is True
    assert made["id"] not in api.ids(path)
    assert [event["type"] for event in api.events(types=["customer.tax_id.created", "customer.tax_id.deleted"])][
        -2:
    ] == ["customer.tax_id.created", "customer.tax_id.deleted"]


def test_tax_ids_have_an_owner(api):
    """The account's own tax ids and a customer's are listed apart; other owners are not modelled."""
    customer = api.customer()["id"]
    own = api.post("/v1/tax_ids", {"type": "us_ein", "value": "12-3456789"})
    theirs = api.post(
        "/v1/tax_ids", {"type": "us_ein", "value": "1", "owner": {"type": "customer", "customer": customer}}
    )
    assert own["owner"] == {"type": "self"}
    assert api.ids("/v1/tax_ids") == [own["id"]]
    assert api.ids("/v1/tax_ids", {"owner": {"type": "customer", "customer": customer}}) == [theirs["id"]]
    assert api.ids(f"/v1/customers/{customer}/tax_ids") == [theirs["id"]]
    form = {"type": "us_ein", "value": "1", "owner": {"type": "application"}}
    assert api.refused("POST", "/v1/tax_ids", form)["code"] == "sandbox_not_modelled"
    form["owner"] = {"type": "customer"}
    assert api.refused("POST", "/v1/tax_ids", form)["param"] == "owner[customer]"
    assert api.ok("DELETE", f"/v1/tax_ids/{own['id']}")["deleted"] is True


def test_the_cash_balance_is_empty_and_knows_how_it_would_be_used(api):
    """Its mode of reconciliation changes for one customer only; bank transfers are not modelled."""
    customer, decoy = api.customer()["id"], api.customer()["id"]
    path = f"/v1/customers/{customer}/cash_balance"
    assert api.get(path)["settings"] == {"reconciliation_mode": "automatic", "using_merchant_default": True}
    changed = api.post(path, {"settings": {"reconciliation_mode": "manual"}})
    assert changed["settings"] == {"reconciliation_mode": "manual", "using_merchant_default": False}
    assert api.get(f"/v1/customers/{decoy}/cash_balance")["settings"]["using_merchant_default"] is True
    assert api.get(f"{path}_transactions")["data"] == []
    assert api.refused("GET", f"{path}_transactions/ccsbtxn_1")["status"] == 404
    form = {"bank_transfer": {"type": "us_bank_transfer"}, "currency": "usd", "funding_type": "bank_transfer"}
    refused = api.refused("POST", f"/v1/customers/{customer}/funding_instructions", form)
    assert refused["code"] == "sandbox_not_modelled"


def test_a_discount_can_be_deleted(api):
    """A customer's own discount is shown and ends, another's stays; without one the deletion is a 404."""
    customer, decoy = api.customer()["id"], api.customer()["id"]
    coupon = api.coupon(duration="forever")["id"]
    with api.sandbox._store.write(api.get("/v1/account")["id"]) as tx:
        call = idle(api.sandbox, tx)
        for owner in (customer, decoy):
            discounts.attach(call, [{"coupon": coupon}], customer=call.refer("customer", owner, "customer"))
    path = f"/v1/customers/{customer}"
    shown = api.get(path)["discount"]
    assert (shown["object"], shown["source"]["coupon"], shown["customer"]) == ("discount", coupon, customer)
    ended = api.ok("DELETE", f"{path}/discount")
    assert (ended["id"], ended["deleted"]) == (shown["id"], True)
    assert not [name for name in ended if name.startswith("_")]
    assert api.get(path)["discount"] is None
    assert api.get(f"/v1/customers/{decoy}")["discount"]["source"]["coupon"] == coupon
    error = api.refused("DELETE", f"{path}/discount")
    assert (error["status"], error["code"]) == (404, "resource_missing")


def test_what_pays_by_default(api):
    """The invoice's method comes first, then the subscription's, the customer's, the customer's default source.

    Source: https://docs.stripe.com/api/subscriptions/create#create_subscription-default_payment_method.
    """
    customer = api.customer(source="tok_visa", payment_method="pm_card_visa")
    path = f"/v1/customers/{customer['id']}"
    newest, source = api.ids(f"{path}/payment_methods")
    if not source.startswith("card_"):
        newest, source = source, newest
    chosen = api.post(path, {"invoice_settings": {"default_payment_method": newest}})
    subscription, invoice = ({"default_payment_method": name, "default_source": None} for name in (source, newest))
    nothing = {"default_payment_method": None, "default_source": None}
    with api.sandbox._store.read(api.get("/v1/account")["id"]) as tx:
        call = idle(api.sandbox, tx)
        found = [
            payments.default_method(call, customer),
            payments.default_method(call, chosen),
            payments.default_method(call, chosen, nothing, nothing),
            payments.default_method(call, chosen, subscription),
            payments.default_method(call, chosen, subscription, invoice),
            payments.default_method(call, {**chosen, "default_source": None, "invoice_settings": nothing}),
            payments.default_method(call, chosen, {**nothing, "default_source": source}),
        ]
    assert found == [source, newest, newest, source, newest, None, source]


def test_attaching_again_is_no_change(open_sandbox, account):
    """Attaching a method to its own customer again changes nothing or is refused; to another it is refused always."""
    for allowed in (True, False):
        settings = replace(Settings(), attaching_again_is_no_change=allowed)
        api = account(open_sandbox(settings=settings))
        customer, other = api.customer(payment_method="pm_card_visa")["id"], api.customer()["id"]
        (method,) = api.ids(f"/v1/customers/{customer}/payment_methods")
        path = f"/v1/payment_methods/{method}/attach"
        assert api.send("POST", path, {"customer": customer}).status == (200 if allowed else 400)
        assert api.refused("POST", path, {"customer": other})["status"] == 400
        assert len(api.events(type="payment_method.attached")) == 1


def test_a_customer_is_delinquent_until_they_pay(api):
    """A failed automatic payment sets ``delinquent``, paying or writing off unsets it; the first bill sets a currency.

    Source: the descriptions of ``delinquent`` and ``currency``, https://docs.stripe.com/api/customers/object.
    """
    for ending in ("pay", "mark_uncollectible"):
        customer, decoy = api.customer(payment_method="pm_card_chargeCustomerFail")["id"], api.customer()["id"]
        (method,) = api.ids(f"/v1/customers/{customer}/payment_methods")
        path = f"/v1/customers/{customer}"
        api.post(path, {"invoice_settings": {"default_payment_method": method}})
        api.post("/v1/invoiceitems", {"customer": customer, "amount": 1000, "currency": "eur"})
        assert (api.get(path)["currency"], api.get(f"/v1/customers/{decoy}")["currency"]) == ("eur", None)
        form = {"customer": customer, "currency": "eur", "pending_invoice_items_behavior": "include"}
        invoice = f"/v1/invoices/{api.post('/v1/invoices', form)['id']}"
        api.post(f"{invoice}/finalize", {"auto_advance": False})
        assert api.refused("POST", f"{invoice}/pay")["code"] == "card_declined"
        assert api.get(path)["delinquent"] is True
        api.post(f"{invoice}/{ending}", {"payment_method": "pm_card_visa"} if ending == "pay" else {})
        assert api.get(path)["delinquent"] is False
        assert api.get(f"/v1/customers/{decoy}")["delinquent"] is False
