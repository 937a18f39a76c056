"""Credit grants: who may have them, what they pay for, and a ledger that always adds up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.sandbox import Sandbox, Settings
from reconciler.sandbox.billing import credits  # noqa: A004  named for what it is; the site module's is not used
from tests.sandbox.conftest import idle

GRANTS, SUMMARY = "/v1/billing/credit_grants", "/v1/billing/credit_balance_summary"
LEDGER = "/v1/billing/credit_balance_transactions"
METERED = {"price_type": "metered"}
DAY = 86_400


@pytest.fixture
def having(open_sandbox, account):
    """Return a factory of accounts in a sandbox with one setting."""
    return lambda **setting: account(open_sandbox(settings=Settings(**setting)))


@pytest.fixture
def ticking(open_sandbox, account):
    """Return an account and the list that holds its time."""
    time = [1_800_000_000]
    return account(open_sandbox(clock=lambda: time[0])), time


def someone(api, **form):
    """Create a customer and return the id."""
    return api.post("/v1/customers", form)["id"]


def asked(customer, value=1000, scope=METERED, **form):
    """Return the form of a grant."""
    amount = {"type": "monetary", "monetary": {"currency": form.pop("currency", "usd"), "value": value}}
    return {"customer": customer, "amount": amount, "applicability_config": {"scope": scope}, **form}


def grant(api, customer, value=1000, scope=METERED, **form):
    """Create a grant."""
    return api.post(GRANTS, asked(customer, value, scope, **form))


def metered(api, name="calls"):
    """Create a price of a meter and return its id."""
    recurring = {"interval": "month", "usage_type": "metered", "meter": api.meter(name)["id"]}
    return api.price(api.product()["id"], recurring=recurring)["id"]


def balance(api, customer, scope=METERED, **form):
    """Return the available and ledger balances of a customer per currency, which must agree."""
    wanted = {"type": "applicability_scope", "applicability_scope": scope}
    found = api.get(SUMMARY, {"customer": customer, "filter": {**wanted, **form}})["balances"]
    available = {each["available_balance"]["monetary"]["currency"]: each["available_balance"] for each in found}
    ledger = {each["ledger_balance"]["monetary"]["currency"]: each["ledger_balance"] for each in found}
    assert available == ledger
    return {code: amount["monetary"]["value"] for code, amount in ledger.items()}


def ledger(api, **form):
    """Return the transactions as (kind, amount), oldest first."""
    found = api.get(LEDGER, {"limit": 100, **form})["data"][::-1]
    return [(each[each["type"]]["type"], each[each["type"]]["amount"]["monetary"]["value"]) for each in found]


def within(api, act, **changes):
    """Act inside a transaction of the account, as another family would, and return what comes of it."""
    with api.sandbox._store.write(api.get("/v1/account")["id"]) as tx:
        call = idle(api.sandbox, tx)
        return act(call.at(changes.get("now", call.now)))


def invoice(customer, end=1_800_000_000, currency="usd", number=1, **form):
    """Return as much of a subscription's invoice as credits look at."""
    parent = {"subscription_details": {"subscription": "sub_1"}, "type": "subscription_details"}
    return {
        "id": f"in_{number}",
        "object": "invoice",
        "customer": customer,
        "currency": currency,
        "parent": parent,
        "period_end": end,
        **form,
    }


def line(price, amount, number=1, discount=0, **form):
    """Return as much of a line of a subscription's item as credits look at."""
    return {
        "id": f"il_{number}",
        "amount": amount,
        "discount_amounts": [{"amount": discount, "discount": "di_1"}] if discount else [],
        "parent": {"subscription_item_details": {"subscription_item": "si_1"}, "type": "subscription_item_details"},
        "pricing": {"price_details": {"price": price, "product": "prod_1"}},
        "pretax_credit_amounts": [],
        **form,
    }


def paid(lines):
    """Return what credits pay of each line."""
    return [sum(each["amount"] for each in entry["pretax_credit_amounts"]) for entry in lines]


def test_a_grant_is_complete(api, now):
    """Every field of the documented object is there, with its documented defaults (docs: api/billing/credit-grant)."""
    customer = someone(api)
    made = grant(api, customer, name="Welcome", metadata={"a": "b"}, category="promotional", expires_at=now + DAY)
    assert made["id"].startswith("credgr_test_")
    assert made == {
        "id": made["id"],
        "object": "billing.credit_grant",
        "amount": {"monetary": {"currency": "usd", "value": 1000}, "type": "monetary"},
        "applicability_config": {"scope": {"price_type": "metered"}},
        "category": "promotional",
        "created": now,
        "customer": customer,
        "customer_account": None,
        "effective_at": now,
        "expires_at": now + DAY,
        "livemode": False,
        "metadata": {"a": "b"},
        "name": "Welcome",
        "priority": 50,
        "test_clock": None,
        "updated": now,
        "voided_at": None,
    }
    assert api.get(f"{GRANTS}/{made['id']}") == made
    assert api.get(f"{GRANTS}/{made['id']}", {"expand": ["customer"]})["customer"]["id"] == customer
    assert grant(api, customer)["category"] == "paid"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"customer": None}, "customer"),
        ({"customer": "cus_nope"}, "customer"),
        ({"customer_account": "acct_1"}, "customer_account"),
        ({"amount": {"type": "monetary"}}, "amount[monetary]"),
        ({"amount": {"type": "custom_pricing_unit"}}, "amount[type]"),
        ({"amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 0}}}, "amount[monetary][value]"),
        ({"amount": {"type": "monetary", "monetary": {"currency": "xyz", "value": 1}}}, "amount[monetary][currency]"),
        ({"applicability_config": {"scope": {}}}, "applicability_config"),
        ({"applicability_config": {"scope": {"prices": [{"id": "x"}]}}}, "applicability_config[scope][prices][0][id]"),
        (
            {"applicability_config": {"scope": {"prices": [{"id": "x"}], **METERED}}},
            "applicability_config[scope][price_type]",
        ),
        ({"applicability_config": {"scope": {"prices": [{"id": "x"}] * 21}}}, "applicability_config[scope][prices]"),
        ({"priority": 101}, "priority"),
        ({"priority": -1}, "priority"),
        ({"name": "x" * 101}, "name"),
        ({"expires_at": 1_800_000_000}, "expires_at"),
        ({"expires_at": 1_800_000_005, "effective_at": 1_800_000_005}, "expires_at"),
        ({"category": "gift"}, "category"),
    ],
)
def test_a_grant_that_stripe_would_not_take_is_refused(api, change, param):
    """The good form makes a grant; the same form with one change is a 400 that names the parameter."""
    form = asked(someone(api), priority=100, name="x" * 100, expires_at=1_800_000_001)
    api.post(GRANTS, form)
    bad = {key: value for key, value in {**form, **change}.items() if value is not None}
    error = api.refused("POST", GRANTS, bad)
    assert (error["status"], error["param"]) == (400, param)
    assert len(api.ids(GRANTS)) == 1


def test_only_prices_of_a_meter_are_in_a_scope(api):
    """A licensed price is refused, a metered one is taken and shown (docs: api/billing/credit-grant)."""
    good, licensed = metered(api), api.price(api.product()["id"], recurring={"interval": "month"})["id"]
    customer = someone(api)
    made = grant(api, customer, scope={"prices": [{"id": good}]})
    assert made["applicability_config"] == {"scope": {"prices": [{"id": good}]}}
    error = api.refused("POST", GRANTS, asked(customer, scope={"prices": [{"id": good}, {"id": licensed}]}))
    assert error["param"] == "applicability_config[scope][prices][1][id]"


@pytest.mark.parametrize("refused", [True, False])
def test_past_effective_at_refused(having, now, refused):
    """A grant effective before now is refused, or is effective with that time; one effective now is taken."""
    api = having(past_effective_at_refused=refused)
    customer = someone(api)
    grant(api, customer, effective_at=now)
    reply = api.send("POST", GRANTS, asked(customer, effective_at=now - 10))
    assert reply.status == (400 if refused else 200)
    assert balance(api, customer) == {"usd": 1000 if refused else 2000}


def test_a_customer_has_at_most_a_hundred_unused_grants(ticking):
    """The 101st is refused until one is used up, voided or expired; pending ones count (docs: billing-credits)."""
    api, time = ticking
    customer = someone(api)
    grants = [
        grant(api, customer, 1, effective_at=time[0] + each % 2, expires_at=time[0] + 1000) for each in range(100)
    ]
    assert api.refused("POST", GRANTS, asked(customer))["status"] == 400
    grant(api, someone(api))
    api.post(f"{GRANTS}/{grants[0]['id']}/void")
    grant(api, customer)
    assert api.refused("POST", GRANTS, asked(customer))["status"] == 400
    time[0] += 1000
    grant(api, customer)


def test_only_the_end_and_the_metadata_change(api, now):
    """The end moves or goes, metadata is merged; everything else is unknown to the update, as Stripe says."""
    made = grant(api, someone(api), expires_at=now + DAY, metadata={"a": "1", "b": "2"})
    path = f"{GRANTS}/{made['id']}"
    changed = api.post(path, {"expires_at": now + 2 * DAY, "metadata": {"a": ""}})
    assert (changed["expires_at"], changed["metadata"]) == (now + 2 * DAY, {"b": "2"})
    assert api.post(path, {"expires_at": ""})["expires_at"] is None
    assert api.refused("POST", path, {"expires_at": now})["param"] == "expires_at"
    for fixed in ({"name": "x"}, {"priority": 1}, {"category": "paid"}, {"effective_at": now + 1}):
        assert api.refused("POST", path, fixed)["code"] == "parameter_unknown"
    assert [each["type"] for each in api.events(type="billing.credit_grant.*")] == [
        "billing.credit_grant.created",
        *["billing.credit_grant.updated"] * 2,
    ]


def test_a_grant_expires_by_request_or_by_time(ticking):
    """What is left is written off once, at the end that was set or that the request sets; another grant stays."""
    api, time = ticking
    customer = someone(api)
    by_time, by_hand = grant(api, customer, 5, expires_at=time[0] + 100), grant(api, customer, 7)
    grant(api, customer, 11)
    time[0] += 99
    assert balance(api, customer) == {"usd": 23}
    time[0] += 1
    assert balance(api, customer) == {"usd": 18}
    expired = api.post(f"{GRANTS}/{by_hand['id']}/expire")
    assert expired["expires_at"] == time[0]
    assert balance(api, customer) == {"usd": 11}
    for over in (by_time, by_hand):
        assert ledger(api, credit_grant=over["id"])[1:] == [("credits_expired", over["amount"]["monetary"]["value"])]
        for verb in ("expire", "void"):
            assert api.refused("POST", f"{GRANTS}/{over['id']}/{verb}")["status"] == 400
        assert api.refused("POST", f"{GRANTS}/{over['id']}", {"expires_at": time[0] + 5})["status"] == 400


def test_a_grant_is_voided_unless_it_was_used(api, now):
    """An unused grant is voided whole; one an invoice has used is not, and can be expired (docs: billing-credits)."""
    customer, price = someone(api), metered(api)
    unused, half = grant(api, customer, 5), grant(api, customer, 8, priority=1)
    within(api, lambda call: credits.apply(call, invoice(customer), [line(price, 3)]))
    voided = api.post(f"{GRANTS}/{unused['id']}/void")
    assert (voided["voided_at"], voided["expires_at"]) == (now, None)
    assert ledger(api, credit_grant=unused["id"]) == [("credits_granted", 5), ("credits_voided", 5)]
    assert api.refused("POST", f"{GRANTS}/{half['id']}/void")["status"] == 400
    api.post(f"{GRANTS}/{half['id']}/expire")
    assert ledger(api, credit_grant=half["id"]) == [
        ("credits_granted", 8),
        ("credits_applied", 3),
        ("credits_expired", 5),
    ]


def test_a_transaction_is_complete(api, now):
    """Every field of the documented object is there, for a credit and for a debit; each is an event."""
    customer, price = someone(api), metered(api)
    made = grant(api, customer, 10, effective_at=now + 5)
    pending, effective = (
        within(api, lambda call: credits.apply(call, invoice(customer, now + 5), [line(price, 3)])),
        None,
    )
    assert paid(pending) == [0]
    effective = within(api, lambda call: credits.apply(call, invoice(customer, now + 5), [line(price, 3)]), now=now + 5)
    debit, credit = api.get(LEDGER, {"customer": customer})["data"]
    amount = {"monetary": {"currency": "usd", "value": 10}, "type": "monetary"}
    assert credit == {
        "id": credit["id"],
        "object": "billing.credit_balance_transaction",
        "created": now,
        "credit": {"amount": amount, "credits_application_invoice_voided": None, "type": "credits_granted"},
        "credit_grant": made["id"],
        "debit": None,
        "effective_at": now + 5,
        "livemode": False,
        "test_clock": None,
        "type": "credit",
    }
    assert debit["debit"] == {
        "amount": {"monetary": {"currency": "usd", "value": 3}, "type": "monetary"},
        "credits_applied": {"invoice": "in_1", "invoice_line_item": "il_1"},
        "type": "credits_applied",
    }
    assert (debit["type"], debit["credit"], debit["effective_at"]) == ("debit", None, now + 5)
    entry = {"amount": 3, "credit_balance_transaction": debit["id"], "type": "credit_balance_transaction"}
    assert effective[0]["pretax_credit_amounts"] == [entry]
    assert api.get(f"{LEDGER}/{debit['id']}") == debit
    grown = api.get(f"{LEDGER}/{debit['id']}", {"expand": ["credit_grant"]})["credit_grant"]
    assert grown["id"] == made["id"]
    assert len(api.events(type="billing.credit_balance_transaction.created")) == 2


def test_lists_are_of_one_customer_or_grant(api):
    """Grants are listed by customer, transactions by customer and grant; those of another one are left out."""
    mine, theirs = someone(api), someone(api)
    first, second, other = grant(api, mine, 1), grant(api, mine, 2), grant(api, theirs, 4)
    assert api.ids(GRANTS, {"customer": mine}) == [second["id"], first["id"]]
    assert api.ids(GRANTS) == [other["id"], second["id"], first["id"]]
    assert ledger(api, customer=mine) == [("credits_granted", 1), ("credits_granted", 2)]
    assert ledger(api, credit_grant=other["id"]) == [("credits_granted", 4)]
    assert ledger(api, customer=mine, credit_grant=other["id"]) == []
    assert api.refused("GET", GRANTS, {"customer_account": "acct_1"})["code"] == "sandbox_not_modelled"


def test_a_summary_has_a_balance_per_currency(api, now):
    """Balances are per currency; pending grants add nothing yet, other customers' never; a grant can be asked for."""
    mine, theirs = someone(api), someone(api)
    one = grant(api, mine, 5)
    grant(api, mine, 7, currency="EUR")
    grant(api, mine, 11, effective_at=now + 100)
    theirs_too = grant(api, theirs, 13)
    assert balance(api, mine) == {"usd": 5, "eur": 7}
    assert balance(api, mine, type="credit_grant", credit_grant=one["id"]) == {"usd": 5}
    assert balance(api, someone(api)) == {}
    path, wanted = SUMMARY, {"type": "credit_grant", "credit_grant": theirs_too["id"]}
    for bad, param in (
        ({"customer": mine, "filter": wanted}, "filter[credit_grant]"),
        ({"customer": mine, "filter": {"type": "credit_grant"}}, "filter[credit_grant]"),
        ({"customer": mine}, "filter"),
        ({"filter": wanted}, "customer"),
        ({"customer": mine, "filter": {"type": "applicability_scope"}}, "filter[applicability_scope]"),
        ({"customer": "cus_nope", "filter": wanted}, "customer"),
    ):
        assert api.refused("GET", path, bad)["param"] == param


@pytest.mark.parametrize("exact", [True, False])
def test_credit_summary_scope_exact(having, exact):
    """A balance by scope counts the grants of that scope, or all that can pay for something of it."""
    api = having(credit_summary_scope_exact=exact)
    customer, price, other = someone(api), metered(api), metered(api, "other")
    grant(api, customer, 1)
    grant(api, customer, 10, scope={"prices": [{"id": price}]})
    grant(api, customer, 100, scope={"prices": [{"id": other}]})
    assert balance(api, customer) == {"usd": 1 if exact else 111}
    assert balance(api, customer, {"prices": [{"id": price}]}) == {"usd": 10 if exact else 11}


def test_grants_pay_in_the_documented_order(api, now):
    """Priority, then the earlier end, promotional, earlier effective, earlier made (docs: "Multiple credit grants")."""
    customer, price = someone(api), metered(api)
    order = [
        {"priority": 0, "expires_at": now + 30},
        {"expires_at": now + 10},
        {"expires_at": now + 20, "category": "promotional"},
        {"expires_at": now + 20},
        {"category": "promotional", "effective_at": now + 1},
        {},
        {"effective_at": now + 1},
        {"priority": 51, "expires_at": now + 5},
    ]
    made = [grant(api, customer, 1, **form)["id"] for form in order[::-1]][::-1]
    made += [grant(api, customer, 1, priority=100)["id"] for _ in range(2)]
    spent = []
    for number in range(len(made)):
        bill, lines = invoice(customer, now + 4, number=number), [line(price, 1, number)]
        assert paid(within(api, lambda call, b=bill, ls=lines: credits.apply(call, b, ls), now=now + 4)) == [1]
        spent.append(api.get(LEDGER, {"limit": 1})["data"][0]["credit_grant"])
    assert spent == made


@pytest.mark.parametrize(
    ("bill", "entry", "form", "expected"),
    [
        ({}, {}, {}, 60),
        ({"currency": "eur"}, {}, {}, 0),
        ({"parent": None}, {}, {}, 0),
        ({}, {"parent": {"invoice_item_details": {}, "type": "invoice_item_details"}}, {}, 0),
        ({}, {"amount": 0}, {}, 0),
        ({}, {"amount": -60}, {}, 0),
        ({}, {"pricing": None}, {}, 0),
        ({}, {"amount": 90}, {}, 80),
        ({}, {"amount": 90, "discount_amounts": [{"amount": 20, "discount": "di_1"}]}, {}, 70),
        ({"period_end": 1_799_999_999}, {}, {}, 0),
        ({}, {}, {"expires_at": 1_800_000_001}, 60),
        ({"period_end": 1_800_000_001}, {}, {"expires_at": 1_800_000_001}, 0),
        ({"period_end": 1_800_000_001}, {}, {"expires_at": 1_800_000_002}, 60),
    ],
)
def test_credits_pay_for_metered_usage_only(api, bill, entry, form, expected):
    """A metered line in the grant's currency and time is paid, less its discounts (docs: billing-credits)."""
    customer, price = someone(api), metered(api)
    grant(api, customer, 80, **form)
    lines = [{**line(price, 60), **entry}]
    shown = within(api, lambda call: credits.preview(call, {**invoice(customer), **bill}, lines))
    done = within(api, lambda call: credits.apply(call, {**invoice(customer), **bill}, lines))
    assert paid(shown) == paid(done) == [expected]
    assert balance(api, customer) == {"usd": 80 - expected}


def test_a_scope_of_prices_pays_for_those_only(api):
    """A grant for one price leaves the other's line alone; a licensed price is never paid; lines are paid in order."""
    customer, price, other = someone(api), metered(api), metered(api, "other")
    licensed = api.price(api.product()["id"], recurring={"interval": "month"})["id"]
    grant(api, customer, 50, scope={"prices": [{"id": price}]}, priority=1)
    grant(api, customer, 25)
    lines = [line(licensed, 40, 1), line(other, 20, 2), line(price, 30, 3), line(price, 30, 4), line(other, 9, 5)]
    done = within(api, lambda call: credits.apply(call, invoice(customer), lines))
    assert paid(done) == [0, 20, 30, 25, 0]
    assert balance(api, customer) == {"usd": 0}
    assert ledger(api)[2:] == [("credits_applied", each) for each in (30, 20, 20, 5)]


def test_a_preview_touches_no_ledger(api):
    """A preview shows the amounts without transactions, and what follows finds everything as it was."""
    customer, price = someone(api), metered(api)
    grant(api, customer, 50)
    shown = within(api, lambda call: credits.preview(call, invoice(customer), [line(price, 30)]))
    entry = {"amount": 30, "credit_balance_transaction": None, "type": "credit_balance_transaction"}
    assert shown[0]["pretax_credit_amounts"] == [entry]
    assert ledger(api) == [("credits_granted", 50)]
    assert balance(api, customer) == {"usd": 50}


def test_voiding_an_invoice_gives_its_credits_back(ticking):
    """What was applied returns to its grants; in an expired one it expires at once (docs: billing-credits)."""
    api, time = ticking
    customer, price = someone(api), metered(api)
    lasting, ending = grant(api, customer, 50), grant(api, customer, 20, expires_at=time[0] + 100)
    bills = [invoice(customer, number=number) for number in (1, 2)]
    for bill in bills:
        within(api, lambda call, b=bill: credits.apply(call, b, [line(price, 30)]))
    assert balance(api, customer) == {"usd": 10}
    time[0] += 100
    within(api, lambda call: credits.reinstate(call, bills[0]))
    assert balance(api, customer) == {"usd": 20}
    assert ledger(api, credit_grant=ending["id"]) == [
        ("credits_granted", 20),
        ("credits_applied", 20),
        ("credits_application_invoice_voided", 20),
        ("credits_expired", 20),
    ]
    back = api.get(LEDGER, {"credit_grant": lasting["id"], "limit": 1})["data"][0]
    details = {"invoice": "in_1", "invoice_line_item": "il_1"}
    assert back["credit"]["credits_application_invoice_voided"] == details
    assert ledger(api, credit_grant=lasting["id"])[-1] == ("credits_application_invoice_voided", 10)


@pytest.fixture
def billed(api, now):
    """Return a function that bills a month of usage to a customer on a test clock, who has a grant of 600."""

    def bill(used):
        clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": now})["id"]
        customer = someone(api, test_clock=clock)
        items = [{"price": metered(api)}, {"price": _licensed(api)}]
        form = {"customer": customer, "items": items, "collection_method": "send_invoice", "days_until_due": 30}
        api.post("/v1/subscriptions", form)
        grant(api, customer, 600)
        payload = {"stripe_customer_id": customer, "value": str(used)}
        api.post("/v1/billing/meter_events", {"event_name": "calls", "payload": payload})
        for days in (31, 32):
            api.post(f"/v1/test_helpers/test_clocks/{clock}/advance", {"frozen_time": now + days * DAY})
        return customer, api.get("/v1/invoices", {"customer": customer})["data"][0]

    return bill


def _licensed(api):
    return api.price(api.product()["id"], recurring={"interval": "month"}, unit_amount=300)["id"]


def test_a_finalized_invoice_has_used_the_credits(api, billed):
    """The usage is paid by credits, the fee of the plan is not; voiding the invoice gives all of it back."""
    customer, done = billed(1)
    assert (done["status"], done["subtotal"], done["total"]) == ("open", 1300, 700)
    lines = {each["amount"]: each for each in done["lines"]["data"]}
    assert {amount: paid([each]) for amount, each in lines.items()} == {300: [0], 1000: [600]}
    assert sum(each["amount"] for each in done["total_pretax_credit_amounts"]) == 600
    assert balance(api, customer) == {"usd": 0}
    used = api.get(LEDGER, {"customer": customer, "expand": ["data.debit.credits_applied.invoice"]})["data"][0]
    assert used["debit"]["credits_applied"]["invoice"]["id"] == done["id"]
    assert used["debit"]["credits_applied"]["invoice_line_item"] == lines[1000]["id"]
    api.post(f"/v1/invoices/{done['id']}/void")
    assert balance(api, customer) == {"usd": 600}
    assert ledger(api, customer=customer)[-1] == ("credits_application_invoice_voided", 600)


def test_negative_usage_is_billed_as_nothing(billed, api):
    """A negative month costs nothing and takes no credits (docs: recording-usage-api, "Usage values")."""
    customer, done = billed(-1)
    assert (done["subtotal"], done["total"]) == (300, 300)
    assert balance(api, customer) == {"usd": 600}


@pytest.mark.parametrize("shows", [True, False])
def test_drafts_show_credits(having, now, shows):
    """A draft shows what it would take, or only once final; balances change when it is (docs: billing-credits).

    A preview shows it either way, and the draft of another customer takes nothing.
    """
    api = having(drafts_show_credits=shows)
    clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": now})["id"]
    customer, decoy = (someone(api, test_clock=clock) for _ in range(2))
    price = metered(api)
    for each in (customer, decoy):
        form = {"items": [{"price": price}], "collection_method": "send_invoice", "days_until_due": 30}
        api.post("/v1/subscriptions", {"customer": each, **form})
        payload = {"stripe_customer_id": each, "value": "1"}
        api.post("/v1/billing/meter_events", {"event_name": "calls", "payload": payload})
    grant(api, customer, 600)
    assert api.post("/v1/invoices/create_preview", {"customer": customer})["total"] == 400
    api.post(f"/v1/test_helpers/test_clocks/{clock}/advance", {"frozen_time": now + 31 * DAY})
    draft, other = (api.get("/v1/invoices", {"customer": each})["data"][0] for each in (customer, decoy))
    assert (draft["status"], draft["total"], other["total"]) == ("draft", 400 if shows else 1000, 1000)
    assert paid(draft["lines"]["data"]) == [600 * shows]
    assert balance(api, customer) == {"usd": 600}
    final = api.post(f"/v1/invoices/{draft['id']}/finalize")
    assert (final["total"], paid(final["lines"]["data"])) == (400, [600])
    assert balance(api, customer) == {"usd": 0}


VALUE = st.integers(1, 40)
GRANT = st.tuples(VALUE, st.integers(0, 2), st.booleans(), st.sampled_from([None, 0, 1]), st.sampled_from([None, 50]))
BILL = st.tuples(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1)), min_size=1, max_size=3), st.booleans())


@settings(max_examples=25)
@given(grants=st.lists(GRANT, min_size=1, max_size=4), bills=st.lists(BILL, min_size=1, max_size=3))
def test_no_credit_is_lost_or_made(grants, bills):
    """Every grant's balance is its transactions' sum and never negative; lines are never overpaid; voiding undoes.

    A line stays unpaid in part only if no grant that covers its price has anything left.
    """
    with Sandbox(clock=1_800_000_000) as sandbox:
        from tests.sandbox.conftest import Api

        api = Api(sandbox)
        customer, prices = someone(api), [metered(api), metered(api, "other")]
        made = []
        for value, priority, promotional, scope, ends in grants:
            wanted = METERED if scope is None else {"prices": [{"id": prices[scope]}]}
            form = {"priority": priority, "category": "promotional" if promotional else "paid"}
            form |= {} if ends is None else {"expires_at": 1_800_000_000 + ends}
            made.append(grant(api, customer, value, wanted, **form)["id"])
        before = _left(api, made)
        for number, (entries, voided) in enumerate(bills):
            bill = invoice(customer, number=number)
            lines = [line(prices[price], amount, index) for index, (amount, price) in enumerate(entries)]
            held = _left(api, made)
            done = within(api, lambda call, b=bill, ls=lines: credits.apply(call, b, ls))
            left = _left(api, made)
            assert sum(held.values()) - sum(left.values()) == sum(paid(done))
            for (amount, price), got in zip(entries, paid(done), strict=True):
                assert 0 <= got <= amount
                able = [left[each] for each, g in zip(made, grants, strict=True) if g[3] in {None, price}]
                assert got == amount or not any(able)
            if voided:
                within(api, lambda call, b=bill: credits.reinstate(call, b))
                assert _left(api, made) == held
        assert all(0 <= now <= before[each] for each, now in _left(api, made).items())


def _left(api, grants):
    """Return the balance of each grant: the sum of its transactions, which its summary must equal."""
    signs = {"credits_granted": 1, "credits_application_invoice_voided": 1}
    left = {each: sum(signs.get(kind, -1) * value for kind, value in ledger(api, credit_grant=each)) for each in grants}
    for each, value in left.items():
        with api.sandbox._store.read(api.get("/v1/account")["id"]) as tx:
            assert tx.find(credits.GRANTS, each).body["_balance"] == value
    return left
