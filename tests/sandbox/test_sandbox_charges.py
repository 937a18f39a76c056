"""Charges, captures, refunds, disputes, and what they do to the account's balance.

Sources: https://docs.stripe.com/refunds, https://docs.stripe.com/disputes and https://docs.stripe.com/testing.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.sandbox import Sandbox
from reconciler.sandbox.settings import Settings
from tests.sandbox.conftest import NOW, Api

DAY = 86_400


@pytest.fixture
def timed(open_sandbox, account):
    """Return an account and its clock, a list of one second count."""
    clock = [NOW]
    return account(open_sandbox(clock=lambda: clock[0])), clock


def charge_of(api, intent):
    """Return an intent's latest charge."""
    return api.get(f"/v1/charges/{intent['latest_charge']}")


def moves(api, **form):
    """Return type, amount and fee of the account's balance transactions, oldest first."""
    found = api.get("/v1/balance_transactions", {"limit": 100, **form})["data"][::-1]
    return [(move["type"], move["amount"], move["fee"]) for move in found]


def test_a_charge_is_complete(api, now):
    """Every field of the documented object is there; ``refunds`` only when expanded."""
    intent = api.pay(description="x", statement_descriptor_suffix="BOOK")
    charge = charge_of(api, intent)
    details = charge["payment_method_details"]["card"]
    values = {
        "id": charge["id"],
        "object": "charge",
        "amount": 1000,
        "amount_captured": 1000,
        "amount_refunded": 0,
        "balance_transaction": charge["balance_transaction"],
        "billing_details": charge["billing_details"],
        "calculated_statement_descriptor": "SANDBOX* BOOK",
        "captured": True,
        "created": now,
        "currency": "usd",
        "description": "x",
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "outcome": charge["outcome"],
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": {"card": details, "type": "card"},
        "radar_options": {},
        "refunded": False,
        "statement_descriptor_suffix": "BOOK",
        "status": "succeeded",
    }
    nulls = """application application_fee application_fee_amount authorization_code customer
    failure_balance_transaction failure_code failure_message on_behalf_of receipt_email receipt_number receipt_url
    review shipping source source_transfer statement_descriptor transfer_data transfer_group""".split()
    assert charge == {**values, **dict.fromkeys(nulls)}
    assert (details["brand"], details["last4"], details["amount_authorized"]) == ("visa", "4242", 1000)
    assert charge["outcome"]["network_status"] == "approved_by_network"
    refunds = api.get(f"/v1/charges/{charge['id']}", {"expand": ["refunds"]})["refunds"]
    assert (refunds["data"], refunds["has_more"]) == ([], False)


def test_lists_know_customer_and_intent(api):
    """Only the charges of the customer, of the intent and of the transfer group are listed."""
    customer = api.customer()["id"]
    mine, decoy = api.pay(customer=customer, transfer_group="a"), api.pay(transfer_group="b")
    for form in ({"customer": customer}, {"payment_intent": mine["id"]}, {"transfer_group": "a"}):
        assert api.ids("/v1/charges", form) == [mine["latest_charge"]]
    assert api.ids("/v1/charges") == [decoy["latest_charge"], mine["latest_charge"]]


def test_a_charge_changes_only_what_describes_it(api):
    """Descriptions change, a customer can be set once, a fraud report set and withdrawn."""
    charge, customer = api.pay()["latest_charge"], api.customer()["id"]
    path = f"/v1/charges/{charge}"
    form = {"description": "x", "fraud_details": {"user_report": "safe"}, "customer": customer}
    changed = api.post(path, form)
    assert (changed["description"], changed["customer"]) == ("x", customer)
    assert changed["fraud_details"] == {"user_report": "safe"}
    assert api.refused("POST", path, {"customer": customer})["param"] == "customer"
    assert api.refused("POST", path, {"amount": 1})["code"] == "parameter_unknown"
    assert api.post(path, {"fraud_details": {"user_report": ""}})["fraud_details"] == {}


def test_charges_can_still_be_made_directly(api):
    """A token or a customer's source is charged; a decline is a 402 whose charge stays."""
    direct = api.post("/v1/charges", {"amount": 1000, "currency": "usd", "source": "tok_visa", "metadata": {"a": "1"}})
    assert (direct["status"], direct["payment_intent"], direct["metadata"]) == ("succeeded", None, {"a": "1"})
    assert direct["payment_method"].startswith("card_1")
    customer, bare = api.customer(source="tok_mastercard"), api.customer()
    mine = api.post("/v1/charges", {"amount": 1000, "currency": "usd", "customer": customer["id"]})
    assert mine["payment_method"] == customer["default_source"]
    form = {"amount": 1000, "currency": "usd"}
    assert api.refused("POST", "/v1/charges", {**form, "customer": bare["id"]})["code"] == "missing"
    foreign = {**form, "customer": bare["id"], "source": customer["default_source"]}
    assert api.refused("POST", "/v1/charges", foreign)["param"] == "source"
    assert api.refused("POST", "/v1/charges", form)["code"] == "parameter_missing"
    assert api.refused("POST", "/v1/charges", {"amount": 1000})["param"] == "currency"
    assert api.refused("POST", "/v1/charges", {**form, "source": "tok_visa", "amount": 1})["code"] == "amount_too_small"
    for token, code in (
        ("tok_chargeDeclined", "card_declined"),
        ("tok_threeDSecure2Required", "authentication_required"),
    ):
        error = api.refused("POST", "/v1/charges", {**form, "source": token})
        assert (error["status"], error["code"]) == (402, code)
        assert api.get(f"/v1/charges/{error['charge']}")["status"] == "failed"


def test_direct_charges_can_be_held_and_captured(api):
    """A held charge is captured once, in part, or released by refunding all of it."""
    form = {"amount": 1000, "currency": "usd", "source": "tok_visa", "capture": False}
    held, dropped, by_intent = (
        (api.post("/v1/charges", form)["id"] for _ in range(2)),
        None,
        api.pay(capture_method="manual"),
    )
    held, dropped = held
    captured = api.post(f"/v1/charges/{held}/capture", {"amount": 600})
    assert (captured["captured"], captured["amount_captured"], captured["amount_refunded"]) == (True, 600, 400)
    assert api.refused("POST", f"/v1/charges/{held}/capture")["code"] == "charge_already_captured"
    assert api.refused("POST", f"/v1/charges/{dropped}/capture", {"amount": 1001})["code"] == "amount_too_large"
    assert api.refused("POST", "/v1/refunds", {"charge": dropped, "amount": 1})["param"] == "amount"
    assert api.post("/v1/refunds", {"charge": dropped, "metadata": {"a": "1"}})["metadata"] == {"a": "1"}
    assert api.refused("POST", f"/v1/charges/{dropped}/capture")["code"] == "charge_expired_for_capture"
    error = api.refused("POST", f"/v1/charges/{by_intent['latest_charge']}/capture")
    assert (error["status"], error["param"]) == (400, "charge")
    assert moves(api) == [("charge", 600, 47)]


def test_held_money_is_captured_in_part(api):
    """What is captured is received, the rest goes back; more than is held is refused."""
    held = api.pay(capture_method="manual")
    path = f"/v1/payment_intents/{held['id']}/capture"
    assert (held["status"], held["amount_capturable"], held["amount_received"]) == ("requires_capture", 1000, 0)
    assert charge_of(api, held)["captured"] is False
    assert moves(api) == []
    assert api.refused("POST", path, {"amount_to_capture": 1001})["code"] == "amount_too_large"
    assert api.refused("POST", path, {"amount_to_capture": 0})["param"] == "amount_to_capture"
    done = api.post(path, {"amount_to_capture": 400, "metadata": {"a": "1"}})
    assert (done["status"], done["amount_capturable"], done["amount_received"]) == ("succeeded", 0, 400)
    assert (done["amount"], done["metadata"]) == (1000, {"a": "1"})
    assert charge_of(api, done)["amount_captured"] == 400
    assert moves(api) == [("charge", 400, 42)]
    kinds = ["payment_intent.amount_capturable_updated", "charge.captured", "payment_intent.succeeded"]
    assert [event["type"] for event in api.events(types=kinds)] == kinds
    option = api.pay(payment_method_options={"card": {"capture_method": "manual"}})
    assert option["status"] == "requires_capture"


def test_release_is_a_refund(open_sandbox, account):
    """What a capture leaves is a refund of the charge (solidusio/solidus_stripe#268), or by setting leaves no trace."""
    for is_refund in (True, False):
        api = account(open_sandbox(settings=replace(Settings(), release_is_a_refund=is_refund)))
        held = api.pay(capture_method="manual")
        api.post(f"/v1/payment_intents/{held['id']}/capture", {"amount_to_capture": 400})
        charge = charge_of(api, held)
        assert charge["amount_refunded"] == (600 if is_refund else 0)
        assert len(api.ids("/v1/refunds", {"charge": charge["id"]})) == is_refund
        full = api.post("/v1/refunds", {"charge": charge["id"]})
        assert full["amount"] == 400
        form = {"amount": 1000, "currency": "usd", "source": "tok_visa", "capture": False}
        dropped = api.post("/v1/charges", form)["id"]
        assert api.post("/v1/refunds", {"charge": dropped})["amount"] == 1000


def test_the_bank_holds_money_for_seven_days(timed):
    """After that the intent is canceled and the charge expires; what was captured in time stays."""
    api, clock = timed
    lost, kept = api.pay(capture_method="manual"), api.pay(capture_method="manual")
    direct = api.post("/v1/charges", {"amount": 1000, "currency": "usd", "source": "tok_visa", "capture": False})
    before = charge_of(api, lost)["payment_method_details"]["card"]["capture_before"]
    assert before == NOW + 7 * DAY
    clock[0] = before - 1
    api.post(f"/v1/payment_intents/{kept['id']}/capture")
    clock[0] = before
    gone = api.get(f"/v1/payment_intents/{lost['id']}")
    assert (gone["status"], gone["cancellation_reason"]) == ("canceled", "automatic")
    assert api.get(f"/v1/payment_intents/{kept['id']}")["status"] == "succeeded"
    assert api.get(f"/v1/charges/{direct['id']}")["refunded"] is True
    expired = [event["data"]["object"]["id"] for event in api.events(type="charge.expired")]
    assert expired == [lost["latest_charge"], direct["id"]]


def test_a_refund_is_complete(api, now):
    """Every field of the documented object is there, and the charge knows how much of it went back."""
    intent = api.pay()
    refund = api.post("/v1/refunds", {"charge": intent["latest_charge"], "amount": 300, "reason": "duplicate"})
    values = {
        "id": refund["id"],
        "object": "refund",
        "amount": 300,
        "balance_transaction": refund["balance_transaction"],
        "charge": intent["latest_charge"],
        "created": now,
        "currency": "usd",
        "destination_details": refund["destination_details"],
        "metadata": {},
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "reason": "duplicate",
        "status": "succeeded",
    }
    nulls = "customer customer_account receipt_number source_transfer_reversal transfer_reversal".split()
    assert refund == {**values, **dict.fromkeys(nulls)}
    charge = charge_of(api, intent)
    assert (charge["amount_refunded"], charge["refunded"]) == (300, False)
    assert moves(api) == [("charge", 1000, 59), ("refund", -300, 0)]
    kinds = ["refund.created", "charge.refunded"]
    assert [event["type"] for event in api.events(types=kinds)] == kinds


def test_no_more_than_the_charge_is_refunded(api):
    """Without an amount the rest goes back; more, nothing, and anything after that is refused."""
    intent, decoy = api.pay(), api.pay()
    form = {"payment_intent": intent["id"]}
    api.post("/v1/refunds", {**form, "amount": 300})
    for amount in (701, 0, -1):
        assert api.refused("POST", "/v1/refunds", {**form, "amount": amount})["param"] == "amount"
    rest = api.post("/v1/refunds", {**form, "reason": "fraudulent", "metadata": {"a": "1"}})
    assert rest["amount"] == 700
    charge = charge_of(api, intent)
    assert (charge["refunded"], charge["fraud_details"]) == (True, {"user_report": "fraudulent"})
    assert api.refused("POST", "/v1/refunds", form)["code"] == "charge_already_refunded"
    assert len(api.ids("/v1/refunds", form)) == len(api.ids("/v1/refunds", {"charge": charge["id"]})) == 2
    other = api.post("/v1/refunds", {"payment_intent": decoy["id"]})
    assert len(api.ids("/v1/refunds")) == 3
    assert api.ids("/v1/refunds", {"payment_intent": decoy["id"]}) == [other["id"]]
    path = f"/v1/refunds/{rest['id']}"
    assert api.post(path, {"metadata": {"a": ""}})["metadata"] == {}
    assert api.refused("POST", path, {"amount": 1})["code"] == "parameter_unknown"
    assert api.refused("POST", f"{path}/cancel")["status"] == 400


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({}, None),
        ({"charge": "ch_nope"}, "charge"),
        ({"payment_intent": "pi_nope"}, "payment_intent"),
        ({"charge": "ch_nope", "payment_intent": "pi_nope"}, "charge"),
        ({"charge": "ch_nope", "reverse_transfer": True}, "reverse_transfer"),
    ],
)
def test_a_refund_of_nothing_is_refused(api, form, param):
    """A refund names one charge or one paid intent (the tests above are the control)."""
    error = api.refused("POST", "/v1/refunds", form)
    assert (error["status"], error["param"]) == (400, param)


def test_only_paid_intents_are_refunded(api):
    """An intent that only holds money, and a charge that failed, have nothing to give back."""
    held = api.pay(capture_method="manual")
    assert api.refused("POST", "/v1/refunds", {"payment_intent": held["id"]})["param"] == "payment_intent"
    assert api.refused("POST", "/v1/refunds", {"charge": held["latest_charge"]})["param"] == "charge"
    form = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_chargeDeclined", "confirm": True}
    failed = api.refused("POST", "/v1/payment_intents", form)["charge"]
    assert api.refused("POST", "/v1/refunds", {"charge": failed})["param"] == "charge"


def test_some_refunds_take_time(timed):
    """4000000000007726 is pending and then succeeds, 4000000000005126 succeeds and then fails; others are done."""
    api, clock = timed
    slow, failing, quick = (api.pay(f"pm_card_{name}") for name in ("pendingRefund", "refundFail", "visa"))
    refunds = [api.post("/v1/refunds", {"payment_intent": intent["id"]}) for intent in (slow, failing, quick)]
    assert [refund["status"] for refund in refunds] == ["pending", "succeeded", "succeeded"]
    clock[0] += DAY
    ended = [api.get(f"/v1/refunds/{refund['id']}") for refund in refunds]
    assert [refund["status"] for refund in ended] == ["succeeded", "failed", "succeeded"]
    assert ended[1]["failure_reason"] == "expired_or_canceled_card"
    assert [charge_of(api, intent)["amount_refunded"] for intent in (slow, failing, quick)] == [1000, 0, 1000]
    assert moves(api, type="refund_failure") == [("refund_failure", 1000, 0)]
    kinds = ["refund.updated", "refund.failed"]
    assert [event["type"] for event in api.events(types=kinds)] == kinds
    again = api.post("/v1/refunds", {"payment_intent": failing["id"], "amount": 10})
    assert again["amount"] == 10


def test_a_dispute_is_complete(api, now):
    """The card opens it at once: every field is there, the money and a fee are gone, the charge cannot be refunded."""
    intent, decoy = api.pay("pm_card_createDispute"), api.pay()
    (dispute,) = api.get("/v1/disputes", {"payment_intent": intent["id"]})["data"]
    assert dispute == {
        "id": dispute["id"],
        "object": "dispute",
        "amount": 1000,
        "balance_transactions": dispute["balance_transactions"],
        "charge": intent["latest_charge"],
        "created": now,
        "currency": "usd",
        "enhanced_eligibility_types": [],
        "evidence": dispute["evidence"],
        "evidence_details": {
            "due_by": now + 7 * DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": intent["id"],
        "payment_method_details": {
            "card": {"brand": "visa", "case_type": "chargeback", "network_reason_code": "10.4"},
            "type": "card",
        },
        "reason": "fraudulent",
        "status": "needs_response",
    }
    assert len(dispute["evidence"]) == 28
    assert moves(api, source=dispute["id"]) == [("adjustment", -1000, 1500)]
    assert charge_of(api, intent)["disputed"] is True
    assert api.refused("POST", "/v1/refunds", {"payment_intent": intent["id"]})["code"] == "charge_disputed"
    assert charge_of(api, decoy)["disputed"] is False
    assert api.ids("/v1/disputes", {"charge": decoy["latest_charge"]}) == []
    kinds = ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    assert [event["type"] for event in api.events(types=kinds)] == kinds


@pytest.mark.parametrize(
    ("text", "status", "balance"),
    [
        ("winning_evidence", "won", [("adjustment", -1000, 1500), ("adjustment", 1000, -1500)]),
        ("losing_evidence", "lost", [("adjustment", -1000, 1500)]),
        ("anything else", "under_review", [("adjustment", -1000, 1500)]),
    ],
)
def test_evidence_decides_a_dispute(api, text, status, balance):
    """The texts of https://docs.stripe.com/testing#evidence win and lose it; other evidence waits with the bank."""
    api.pay("pm_card_createDisputeProductNotReceived")
    (dispute,) = api.get("/v1/disputes")["data"]
    assert dispute["reason"] == "product_not_received"
    path = f"/v1/disputes/{dispute['id']}"
    staged = api.post(path, {"evidence": {"uncategorized_text": text}, "submit": False, "metadata": {"a": "1"}})
    assert (staged["status"], staged["evidence_details"]["has_evidence"]) == ("needs_response", True)
    sent = api.post(path, {"submit": True})
    assert (sent["status"], sent["evidence_details"]["submission_count"]) == (status, 1)
    assert moves(api, source=dispute["id"]) == balance
    assert len(api.events(type="charge.dispute.closed")) == (status != "under_review")
    assert api.refused("POST", path, {"metadata": {"b": "1"}})["param"] == "dispute"
    assert api.refused("POST", f"{path}/close")["param"] == "dispute"


def test_a_dispute_is_given_up_or_lapses(timed):
    """Closing it loses it at once, waiting loses it at its deadline; files are not modelled."""
    api, clock = timed
    api.pay("pm_card_createDispute")
    api.pay("pm_card_createDispute")
    waiting, closed = api.ids("/v1/disputes")
    refused = api.refused("POST", f"/v1/disputes/{closed}", {"evidence": {"receipt": "file_1"}})
    assert (refused["code"], refused["param"]) == ("sandbox_not_modelled", "evidence[receipt]")
    assert api.post(f"/v1/disputes/{closed}/close")["status"] == "lost"
    clock[0] += 7 * DAY - 1
    assert api.get(f"/v1/disputes/{waiting}")["status"] == "needs_response"
    clock[0] += 1
    lapsed = api.get(f"/v1/disputes/{waiting}")
    assert (lapsed["status"], lapsed["evidence_details"]["past_due"]) == ("lost", True)


def test_an_inquiry_takes_no_money(api):
    """Its charge can still be refunded; closing it ends it without a loss."""
    intent = api.pay("pm_card_createDisputeInquiry")
    (inquiry,) = api.get("/v1/disputes")["data"]
    assert (inquiry["status"], inquiry["is_charge_refundable"]) == ("warning_needs_response", True)
    assert moves(api) == [("charge", 1000, 59)]
    assert api.post("/v1/refunds", {"payment_intent": intent["id"], "amount": 10})["status"] == "succeeded"
    assert api.post(f"/v1/disputes/{inquiry['id']}/close")["status"] == "warning_closed"


def test_held_money_is_disputed_once_it_is_captured(api):
    """A charge that only holds money has no dispute."""
    held = api.pay("pm_card_createDispute", capture_method="manual")
    assert api.ids("/v1/disputes") == []
    api.post(f"/v1/payment_intents/{held['id']}/capture", {"amount_to_capture": 600})
    assert [dispute["amount"] for dispute in api.get("/v1/disputes")["data"]] == [600]


def test_funds_become_available(timed):
    """Money is pending for two days; a card that bypasses that is available at once. Fees differ by country."""
    api, clock = timed
    waiting = api.pay(expand=["latest_charge.balance_transaction"])["latest_charge"]["balance_transaction"]
    at_once = api.pay("pm_card_bypassPending", expand=["latest_charge.balance_transaction"])
    abroad = api.pay("pm_card_gb", expand=["latest_charge.balance_transaction"])
    in_euro = api.pay(currency="eur", expand=["latest_charge.balance_transaction"])
    assert (waiting["status"], waiting["available_on"]) == ("pending", NOW + 2 * DAY)
    assert at_once["latest_charge"]["balance_transaction"]["status"] == "available"
    assert abroad["latest_charge"]["balance_transaction"]["fee"] == 74
    assert in_euro["latest_charge"]["balance_transaction"]["fee"] == 29
    assert waiting["fee_details"][0]["amount"] == waiting["fee"] == 59
    assert waiting["net"] == 941
    assert len(api.ids("/v1/balance_transactions", {"currency": "eur", "type": "charge"})) == 1
    clock[0] += 2 * DAY
    assert api.get(f"/v1/balance_transactions/{waiting['id']}")["status"] == "available"
    assert api.refused("GET", "/v1/balance_transactions", {"payout": "po_1"})["code"] == "sandbox_not_modelled"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), st.integers(50, 5000), st.booleans()),
        st.tuples(st.just("capture"), st.integers(0, 3), st.integers(1, 6000)),
        st.tuples(st.just("cancel"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("refund"), st.integers(0, 3), st.integers(1, 6000)),
        st.tuples(st.just("decline"), st.integers(50, 5000), st.just(0)),
    ),
    max_size=10,
)


def test_what_waits_lives_by_the_test_clock_of_its_customer(timed):
    """A refund, a dispute, a hold and funds wait for their customer's clock; the account's own moves only a decoy's."""
    api, clock = timed
    frozen = api.post("/v1/test_helpers/test_clocks", {"frozen_time": NOW})["id"]
    on_clock, decoy = api.customer(test_clock=frozen)["id"], api.customer()["id"]

    def states(customer):
        intent, slow, held, disputed = made[customer]
        transaction = charge_of(api, intent)["balance_transaction"]
        return (
            api.get(f"/v1/balance_transactions/{transaction}")["status"],
            api.get("/v1/refunds", {"payment_intent": slow["id"]})["data"][0]["status"],
            api.get(f"/v1/payment_intents/{held['id']}")["status"],
            api.get("/v1/disputes", {"payment_intent": disputed["id"]})["data"][0]["status"],
        )

    made = {}
    for customer in (on_clock, decoy):
        slow = api.pay("pm_card_pendingRefund", customer=customer)
        api.post("/v1/refunds", {"payment_intent": slow["id"]})
        held = api.pay(customer=customer, capture_method="manual")
        made[customer] = (api.pay(customer=customer), slow, held, api.pay("pm_card_createDispute", customer=customer))
    waiting = ("pending", "pending", "requires_capture", "needs_response")
    settled = ("available", "succeeded", "canceled", "lost")
    assert (states(on_clock), states(decoy)) == (waiting, waiting)
    clock[0] += 8 * DAY
    assert (states(on_clock), states(decoy)) == (waiting, settled)
    api.post(f"/v1/test_helpers/test_clocks/{frozen}/advance", {"frozen_time": NOW + 8 * DAY})
    assert states(on_clock) == settled
    ended = api.events(type="charge.dispute.closed")
    assert ended[-1]["created"] == NOW + 7 * DAY


@settings(max_examples=40)
@given(STEPS)
def test_money_adds_up(steps):
    """For any sequence of payments, captures, cancellations, declines and refunds the sums are right.

    What intents received is what their charges captured; no more is refunded than that, refused or not; and the
    account's balance is the sum of both.
    """
    with Sandbox(clock=NOW) as sandbox:
        api, intents = Api(sandbox), []
        for step, first, second in steps:
            if step == "pay":
                method = "manual" if second else "automatic"
                intents.append(api.pay(amount=first, capture_method=method)["id"])
            elif step == "decline":
                form = {"amount": first, "currency": "usd", "payment_method": "pm_card_chargeDeclined", "confirm": True}
                assert api.send("POST", "/v1/payment_intents", form).status == 402
            elif first < len(intents):
                path = f"/v1/payment_intents/{intents[first]}"
                target, form = {
                    "capture": (f"{path}/capture", {"amount_to_capture": second}),
                    "cancel": (f"{path}/cancel", {}),
                    "refund": ("/v1/refunds", {"payment_intent": intents[first], "amount": second}),
                }[step]
                assert api.send("POST", target, form).status in {200, 400}
        received = refunded = 0
        for intent_id in intents:
            intent = api.get(f"/v1/payment_intents/{intent_id}")
            charge = charge_of(api, intent)
            given_back = [
                r["amount"]
                for r in api.get("/v1/refunds", {"charge": charge["id"]})["data"]
                if r["balance_transaction"]
            ]
            assert intent["amount_received"] == charge["amount_captured"] <= intent["amount"]
            assert sum(given_back) <= charge["amount_captured"]
            assert charge["amount_refunded"] <= charge["amount"]
            assert charge["refunded"] == (charge["amount_refunded"] == charge["amount"])
            received += intent["amount_received"]
            refunded += sum(given_back)
        assert sum(amount for _, amount, _ in moves(api)) == received - refunded
