"""Invoices from draft to payment (https://docs.stripe.com/invoicing/integration/workflow-transitions)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.sandbox import Sandbox, Settings
from tests.sandbox.conftest import Api

HOUR, DAY = 3_600, 86_400


@pytest.fixture
def timed(open_sandbox, account, now):
    """Return a factory of accounts whose time a list of one number says."""

    def factory(**settings):
        time = [now]
        return account(open_sandbox(settings=Settings(**settings), clock=lambda: time[0])), time

    return factory


def payer(api, card="pm_card_visa", **form):
    """Create a customer who pays with a card by default."""
    settings = {"default_payment_method": card}
    return api.customer(payment_method=card, invoice_settings=settings, **form)["id"]


def charge(api, customer, amount=5000, **form):
    """Create a pending invoice item."""
    return api.post("/v1/invoiceitems", {"customer": customer, "amount": amount, "currency": "usd", **form})


def draft(api, customer, *amounts, **form):
    """Create a draft of pending items."""
    for amount in amounts:
        charge(api, customer, amount)
    return api.post("/v1/invoices", {"customer": customer, "pending_invoice_items_behavior": "include", **form})


def opened(api, customer, *amounts, **form):
    """Create and finalize an invoice."""
    return api.post(f"/v1/invoices/{draft(api, customer, *amounts, **form)['id']}/finalize")


def types(api, start="invoice"):
    """Return the types of the events that begin so, oldest first."""
    return [event["type"] for event in api.events() if event["type"].startswith(start)]


def test_a_draft_takes_pending_items_when_told(api):
    """``pending_invoice_items_behavior`` includes them, by default they stay; another customer's always do."""
    mine, other = payer(api), payer(api)
    item, decoy = charge(api, mine), charge(api, other)
    empty = api.post("/v1/invoices", {"customer": mine})
    assert (empty["total"], empty["lines"]["data"], empty["status"]) == (0, [], "draft")
    full = draft(api, mine)
    assert [line["parent"]["invoice_item_details"]["invoice_item"] for line in full["lines"]["data"]] == [item["id"]]
    assert api.get(f"/v1/invoiceitems/{item['id']}")["invoice"] == full["id"]
    assert api.ids("/v1/invoiceitems", {"pending": True}) == [decoy["id"]]
    assert draft(api, mine)["total"] == 0


def test_pending_items_stand_newest_first(api):
    """Pending items are listed in reverse order of time (https://docs.stripe.com/api/invoices/object, ``lines``)."""
    customer = payer(api)
    assert [line["amount"] for line in draft(api, customer, 100, 200, 300)["lines"]["data"]] == [300, 200, 100]


def test_only_items_in_the_invoices_currency_are_taken(api):
    """An item in another currency waits for an invoice in it."""
    customer = payer(api)
    charge(api, customer, 700, currency="eur")
    assert draft(api, customer, 500, currency="usd")["total"] == 500
    assert draft(api, customer, currency="eur")["total"] == 700


def test_finalizing_numbers_opens_and_asks_for_money(api, now):
    """A final invoice has a number of the customer's series, a payment, addresses and a secret; a draft none."""
    customer = payer(api)
    prefix = api.get(f"/v1/customers/{customer}")["invoice_prefix"]
    before = draft(api, customer, 5000)
    assert (before["number"], before["hosted_invoice_url"], before["status_transitions"]["finalized_at"]) == (None,) * 3
    path = f"/v1/invoices/{before['id']}/finalize"
    invoice = api.post(path, {"expand": ["payments", "confirmation_secret"]})
    assert (invoice["number"], opened(api, customer, 100)["number"]) == (f"{prefix}-0001", f"{prefix}-0002")
    assert (invoice["status"], invoice["amount_due"], invoice["amount_remaining"]) == ("open", 5000, 5000)
    assert invoice["status_transitions"]["finalized_at"] == invoice["effective_at"] == now
    (payment,) = invoice["payments"]["data"]
    assert (payment["status"], payment["amount_requested"], payment["is_default"]) == ("open", 5000, True)
    secret = invoice["confirmation_secret"]["client_secret"]
    assert secret.startswith(payment["payment"]["payment_intent"])
    assert invoice["hosted_invoice_url"].startswith("http://127.0.0.1")
    assert api.refused("POST", path)["code"] == "invoice_not_editable"


def test_a_paid_invoice_says_so_everywhere(api, now):
    """Paying moves the money to paid, the payment to paid, the events in order."""
    customer = payer(api)
    invoice = opened(api, customer, 5000)
    paid = api.post(f"/v1/invoices/{invoice['id']}/pay", {"expand": ["payments"]})
    assert (paid["status"], paid["amount_paid"], paid["amount_remaining"]) == ("paid", 5000, 0)
    assert (paid["attempted"], paid["attempt_count"], paid["auto_advance"]) == (True, 1, False)
    assert paid["status_transitions"]["paid_at"] == now
    (payment,) = paid["payments"]["data"]
    assert (payment["status"], payment["amount_paid"], payment["status_transitions"]["paid_at"]) == ("paid", 5000, now)
    happened = types(api)
    order = ["invoiceitem.created", "invoice.created", "invoice.finalized", "invoice_payment.paid", "invoice.paid"]
    assert [name for name in happened if name in {*order, "invoice.payment_succeeded"}] == [
        *order,
        "invoice.payment_succeeded",
    ]
    assert api.refused("POST", f"/v1/invoices/{invoice['id']}/pay")["status"] == 400


def test_paying_a_draft_finalizes_it(api):
    """A draft is finalized on the way."""
    customer = payer(api)
    invoice = api.post(f"/v1/invoices/{draft(api, customer, 5000)['id']}/pay")
    assert (invoice["status"], invoice["number"] is not None) == ("paid", True)


def test_a_declined_card_leaves_the_invoice_open(api):
    """The refusal is the card's, its writes stay; another card pays."""
    customer = payer(api, "pm_card_chargeCustomerFail")
    invoice = opened(api, customer, 5000)["id"]
    error = api.refused("POST", f"/v1/invoices/{invoice}/pay")
    assert (error["status"], error["type"], error["code"]) == (402, "card_error", "card_declined")
    failed = api.get(f"/v1/invoices/{invoice}")
    assert (failed["status"], failed["attempted"], failed["attempt_count"]) == ("open", True, 1)
    assert types(api)[-1] == "invoice.payment_failed"
    assert api.get(f"/v1/customers/{customer}")["delinquent"] is True
    other = api.post("/v1/payment_methods/pm_card_visa/attach", {"customer": customer})["id"]
    paid = api.post(f"/v1/invoices/{invoice}/pay", {"payment_method": other})
    assert (paid["status"], paid["attempt_count"]) == ("paid", 1)
    assert api.get(f"/v1/customers/{customer}")["delinquent"] is False


def test_a_customer_without_a_card_cannot_be_charged(api):
    """Without any payment method the attempt fails as a request, and counts."""
    invoice = opened(api, api.customer()["id"], 5000)["id"]
    assert api.refused("POST", f"/v1/invoices/{invoice}/pay")["status"] == 400
    assert api.get(f"/v1/invoices/{invoice}")["attempt_count"] == 1


def test_authentication_is_the_customers(api):
    """With the customer present a card that must be authenticated is a 402 with its own code; then it is paid.

    Source: https://docs.stripe.com/error-codes#invoice-payment-intent-requires-action; type as for subscriptions
    (dotpngn/flutter-stripe-subscription#1).
    """
    customer = payer(api, "pm_card_authenticationRequired")
    invoice = opened(api, customer, 5000)["id"]
    error = api.refused("POST", f"/v1/invoices/{invoice}/pay", {"off_session": False})
    assert (error["status"], error["code"]) == (402, "invoice_payment_intent_requires_action")
    assert "invoice.payment_action_required" in types(api)
    (payment,) = api.get("/v1/invoice_payments", {"invoice": invoice})["data"]
    api.authenticate(payment["payment"]["payment_intent"])
    assert api.get(f"/v1/invoices/{invoice}")["status"] == "paid"


def test_the_payment_intent_pays_the_invoice(api):
    """Whoever confirms the intent, the invoice is paid: that is what the confirmation secret is for."""
    invoice = opened(api, api.customer()["id"], 5000)["id"]
    decoy = opened(api, api.customer()["id"], 5000)["id"]
    (payment,) = api.get("/v1/invoice_payments", {"invoice": invoice})["data"]
    api.post(f"/v1/payment_intents/{payment['payment']['payment_intent']}/confirm", {"payment_method": "pm_card_visa"})
    assert [api.get(f"/v1/invoices/{each}")["status"] for each in (invoice, decoy)] == ["paid", "open"]
    assert [api.get(f"/v1/invoices/{each}")["attempt_count"] for each in (invoice, decoy)] == [1, 0]


def test_paid_elsewhere_is_no_payment_that_succeeded(api):
    """``paid_out_of_band`` charges nothing: ``invoice.paid`` comes, ``invoice.payment_succeeded`` does not.

    Source: https://docs.stripe.com/api/events/types#event_types-invoice.paid.
    """
    customer = payer(api)
    invoice = opened(api, customer, 5000)["id"]
    paid = api.post(f"/v1/invoices/{invoice}/pay", {"paid_out_of_band": True})
    assert (paid["status"], paid["amount_paid"], paid["amount_paid_off_stripe"]) == ("paid", 5000, 5000)
    assert "invoice.payment_succeeded" not in types(api)
    assert api.get("/v1/charges", {"customer": customer})["data"] == []


def test_an_invoice_of_nothing_is_paid_at_once(api):
    """A total of zero is paid at finalization, without payment and without attempt."""
    invoice = opened(api, payer(api))
    assert (invoice["status"], invoice["amount_due"], invoice["attempt_count"]) == ("paid", 0, 0)
    assert types(api)[-1] == "invoice.payment_succeeded"
    assert api.get("/v1/payment_intents")["data"] == []


@pytest.mark.parametrize(
    ("balance", "total", "due", "ending", "kind"),
    [
        (-3000, 5000, 2000, 0, "applied_to_invoice"),
        (-8000, 5000, 0, -3000, "applied_to_invoice"),
        (1000, 5000, 6000, 0, "applied_to_invoice"),
        (0, 49, 0, 49, "invoice_too_small"),
        (0, -700, 0, -700, "applied_to_invoice"),
        (-4980, 5000, 0, 20, "invoice_too_small"),
    ],
)
def test_the_customers_balance_is_used_first(api, balance, total, due, ending, kind):
    """Credit pays, debt is charged along, and what is below the minimum charge waits for the next invoice.

    Source: https://docs.stripe.com/billing/customer/balance; 0.50 is the minimum in usd
    (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).
    """
    customer = payer(api, balance=balance)
    before = draft(api, customer, total)
    assert (before["starting_balance"], before["ending_balance"], before["amount_due"]) == (balance, None, due)
    assert api.get(f"/v1/customers/{customer}")["balance"] == balance
    invoice = api.post(f"/v1/invoices/{before['id']}/finalize")
    assert (invoice["starting_balance"], invoice["ending_balance"]) == (balance, ending)
    assert (invoice["amount_due"], invoice["status"]) == (due, "open" if due else "paid")
    after = api.get(f"/v1/customers/{customer}")
    assert after["balance"] == ending
    (latest, *_) = api.get(f"/v1/customers/{customer}/balance_transactions")["data"]
    assert (latest["type"], latest["amount"], latest["invoice"]) == (kind, ending - balance, invoice["id"])


def test_voiding_gives_the_balance_back(api):
    """A voided invoice returns what it used and cancels its payment; a draft and a paid one cannot be voided."""
    customer = payer(api, balance=-3000)
    invoice = opened(api, customer, 5000)["id"]
    (payment,) = api.get("/v1/invoice_payments", {"invoice": invoice})["data"]
    void = api.post(f"/v1/invoices/{invoice}/void", {"expand": ["payments"]})
    assert (void["status"], void["payments"]["data"][0]["status"]) == ("void", "canceled")
    intent = api.get(f"/v1/payment_intents/{payment['payment']['payment_intent']}")
    assert (intent["status"], intent["cancellation_reason"]) == ("canceled", "void_invoice")
    assert api.get(f"/v1/customers/{customer}")["balance"] == -3000
    (latest, *_) = api.get(f"/v1/customers/{customer}/balance_transactions")["data"]
    assert (latest["type"], latest["amount"]) == ("unapplied_from_invoice", -3000)
    assert types(api)[-1] == "invoice.voided"
    other = draft(api, payer(api), 5000)["id"]
    assert api.refused("POST", f"/v1/invoices/{other}/void")["status"] == 400
    api.post(f"/v1/invoices/{other}/pay")
    assert api.refused("POST", f"/v1/invoices/{other}/void")["status"] == 400
    assert api.refused("POST", f"/v1/invoices/{invoice}/pay")["status"] == 400


def test_an_uncollectible_invoice_can_still_be_paid(api, now):
    """Giving up is for open invoices; payment after it is payment."""
    customer = payer(api)
    path = f"/v1/invoices/{opened(api, customer, 5000)['id']}"
    lost = api.post(f"{path}/mark_uncollectible")
    assert (lost["status"], lost["status_transitions"]["marked_uncollectible_at"]) == ("uncollectible", now)
    assert types(api)[-1] == "invoice.marked_uncollectible"
    assert api.post(f"{path}/pay")["status"] == "paid"
    assert api.refused("POST", f"{path}/mark_uncollectible")["status"] == 400


def test_only_drafts_are_deleted(api):
    """A draft goes with its lines, a final invoice stays."""
    customer = payer(api)
    kept = opened(api, customer, 100)["id"]
    gone = draft(api, customer, 200)["id"]
    assert api.ok("DELETE", f"/v1/invoices/{gone}") == {"id": gone, "object": "invoice", "deleted": True}
    assert api.refused("GET", f"/v1/invoices/{gone}")["status"] == 404
    assert api.refused("DELETE", f"/v1/invoices/{kept}")["status"] == 400
    assert types(api)[-1] == "invoice.deleted"


@pytest.mark.parametrize("frees", [True, False])
def test_deleted_draft_frees_items(open_sandbox, account, frees):
    """Items that were pending are pending again or go with the draft; those made for it go with it either way."""
    api = account(open_sandbox(settings=Settings(deleted_draft_frees_items=frees)))
    customer = payer(api)
    waited = charge(api, customer)["id"]
    invoice = draft(api, customer)["id"]
    charge(api, customer, invoice=invoice)
    api.ok("DELETE", f"/v1/invoices/{invoice}")
    assert api.ids("/v1/invoiceitems") == ([waited] if frees else [])
    assert api.ids("/v1/invoiceitems", {"pending": True}) == ([waited] if frees else [])


def test_an_invoice_by_mail_has_a_due_date(api, now):
    """``send_invoice`` needs a term, ``charge_automatically`` has none; only the former is sent."""
    customer = payer(api)
    form = {"collection_method": "send_invoice"}
    assert api.refused("POST", "/v1/invoices", {"customer": customer, **form})["param"] == "days_until_due"
    error = api.refused("POST", "/v1/invoices", {"customer": customer, "days_until_due": 30})
    assert (error["status"], error["param"]) == (400, "days_until_due")
    mailed = draft(api, customer, 5000, **form, days_until_due=30)
    assert (mailed["due_date"], mailed["next_payment_attempt"]) == (now + 30 * DAY, None)
    assert api.post(f"/v1/invoices/{mailed['id']}/send")["status"] == "open"
    assert types(api)[-1] == "invoice.sent"
    charged = opened(api, customer, 5000)["id"]
    assert api.refused("POST", f"/v1/invoices/{charged}/send")["status"] == 400


def test_a_draft_advances_after_an_hour(timed, now):
    """With ``auto_advance`` a draft is finalized and charged an hour after it was made, without it never.

    Source: https://docs.stripe.com/invoicing/integration/automatic-advancement-collection.
    """
    api, time = timed()
    customer = payer(api)
    moving, still = draft(api, customer, 5000, auto_advance=True), draft(api, customer, 700)
    assert moving["automatically_finalizes_at"] == moving["next_payment_attempt"] == now + HOUR
    assert still["automatically_finalizes_at"] is None
    time[0] += HOUR - 1
    assert api.get(f"/v1/invoices/{moving['id']}")["status"] == "draft"
    time[0] += 1
    done = api.get(f"/v1/invoices/{moving['id']}")
    assert (done["status"], done["automatically_finalizes_at"], done["attempt_count"]) == ("paid", None, 1)
    assert api.get(f"/v1/invoices/{still['id']}")["status"] == "draft"


def test_the_time_of_finalization_can_be_chosen(timed, now):
    """``automatically_finalizes_at`` takes the place of the hour, within five years."""
    api, time = timed()
    customer = payer(api)
    form = {"auto_advance": True, "automatically_finalizes_at": now + 5 * DAY}
    invoice = draft(api, customer, 5000, **form)["id"]
    time[0] += 4 * DAY
    assert api.get(f"/v1/invoices/{invoice}")["status"] == "draft"
    time[0] += DAY
    assert api.get(f"/v1/invoices/{invoice}")["status"] == "paid"
    for bad in (now, now + 6 * 366 * DAY):
        form = {"customer": customer, "automatically_finalizes_at": bad}
        assert api.refused("POST", "/v1/invoices", form)["param"] == "automatically_finalizes_at"


def test_a_final_invoice_is_charged_an_hour_later(timed):
    """Finalized by hand with ``auto_advance``, an invoice is charged by itself after an hour."""
    api, time = timed()
    customer = payer(api)
    invoice = api.post(f"/v1/invoices/{draft(api, customer, 5000)['id']}/finalize", {"auto_advance": True})
    assert (invoice["status"], invoice["next_payment_attempt"]) == ("open", time[0] + HOUR)
    time[0] += HOUR
    assert api.get(f"/v1/invoices/{invoice['id']}")["status"] == "paid"


def test_automatic_collection_can_be_switched(timed):
    """``auto_advance`` on an open invoice starts and stops its attempts."""
    api, time = timed()
    path = f"/v1/invoices/{opened(api, payer(api), 5000)['id']}"
    assert api.post(path, {"auto_advance": True})["next_payment_attempt"] == time[0] + HOUR
    assert api.post(path, {"auto_advance": False})["next_payment_attempt"] is None
    time[0] += 9 * DAY
    assert api.get(path)["status"] == "open"


def test_a_draft_has_its_hour_from_when_it_is_told_to_advance(timed):
    """Switched on after its first hour, a draft is finalized an hour later and not an hour before.

    "When you turn on automatic collection, Stripe does everything ... including automatically finalizing draft invoices
    after one hour" (https://docs.stripe.com/invoicing/integration/automatic-advancement-collection).
    """
    api, time = timed()
    path = f"/v1/invoices/{draft(api, payer(api), 5000)['id']}"
    time[0] += 5 * HOUR
    switched = time[0]
    assert api.post(path, {"auto_advance": True})["automatically_finalizes_at"] == switched + HOUR
    assert api.post(path, {"description": "x"})["automatically_finalizes_at"] == switched + HOUR
    time[0] += HOUR - 1
    assert api.get(path)["status"] == "draft"
    time[0] += 1
    final = api.get(path)
    assert (final["status"], final["status_transitions"]["finalized_at"]) == ("paid", switched + HOUR)


@pytest.mark.parametrize("end", ["pay", "void", "mark_uncollectible"])
@pytest.mark.parametrize("value", [True, False])
def test_a_settled_invoice_does_not_advance(api, end, value):
    """Only a draft or an open one can be told to; of all others it is off (docs: automatic-advancement-collection)."""
    path = f"/v1/invoices/{opened(api, payer(api), 5000)['id']}"
    assert api.post(path, {"auto_advance": value, "metadata": {"a": "b"}})["auto_advance"] is value
    api.post(f"{path}/{end}")
    error = api.refused("POST", path, {"auto_advance": value, "metadata": {"a": "c"}})
    assert (error["status"], error["code"], error["param"]) == (400, "invoice_not_editable", "auto_advance")
    shown = api.post(path, {"metadata": {"c": "d"}})
    assert (shown["auto_advance"], shown["metadata"]) == (False, {"a": "b", "c": "d"})


@pytest.mark.parametrize("retried", [True, False])
def test_failed_payments_are_retried(timed, retried):
    """A failed automatic payment is tried again after 3, 5 and 7 days, or never; each failure is told."""
    api, time = timed(failed_payments_are_retried=retried)
    customer = payer(api, "pm_card_chargeCustomerFail")
    path = f"/v1/invoices/{draft(api, customer, 5000, auto_advance=True)['id']}"
    time[0] += HOUR
    for count, days in enumerate((3, 5, 7) if retried else (), start=1):
        invoice = api.get(path)
        assert (invoice["attempt_count"], invoice["next_payment_attempt"]) == (count, time[0] + days * DAY)
        time[0] += days * DAY
    last = api.get(path)
    assert (last["attempt_count"], last["next_payment_attempt"]) == (4 if retried else 1, None)
    assert types(api).count("invoice.payment_failed") == last["attempt_count"]
    time[0] += 99 * DAY
    assert (api.get(path)["attempt_count"], api.get(path)["status"]) == (last["attempt_count"], "open")


def test_a_retry_with_a_good_card_pays(timed):
    """The next attempt takes the customer's new default."""
    api, time = timed()
    customer = payer(api, "pm_card_chargeCustomerFail")
    path = f"/v1/invoices/{draft(api, customer, 5000, auto_advance=True)['id']}"
    time[0] += HOUR
    assert api.get(path)["status"] == "open"
    good = api.post("/v1/payment_methods/pm_card_visa/attach", {"customer": customer})["id"]
    api.post(f"/v1/customers/{customer}", {"invoice_settings": {"default_payment_method": good}})
    time[0] += 3 * DAY
    assert (api.get(path)["status"], api.get(path)["attempt_count"]) == ("paid", 2)


def test_manual_attempts_leave_the_schedule_alone(timed):
    """After the first attempt only automatic ones count (https://docs.stripe.com/api/invoices/object)."""
    api, time = timed()
    customer = payer(api, "pm_card_chargeCustomerFail")
    path = f"/v1/invoices/{draft(api, customer, 5000, auto_advance=True)['id']}"
    time[0] += HOUR
    first = api.get(path)
    time[0] += DAY
    api.refused("POST", f"{path}/pay")
    again = api.get(path)
    names = ("attempt_count", "next_payment_attempt")
    assert [first[name] for name in names] == [again[name] for name in names]


def test_an_unpaid_invoice_by_mail_becomes_overdue(timed):
    """On its due date an open invoice is told once as overdue, a paid one is not."""
    api, time = timed()
    customer = payer(api)
    form = {"collection_method": "send_invoice", "days_until_due": 10}
    late, paid = (opened(api, customer, 5000, **form)["id"] for _ in range(2))
    api.post(f"/v1/invoices/{paid}/pay")
    time[0] += 30 * DAY
    overdue = [event["data"]["object"]["id"] for event in api.events(type="invoice.overdue")]
    assert overdue == [late]
    assert api.get(f"/v1/invoices/{late}")["due_date"] == time[0] - 20 * DAY
    assert api.get(f"/v1/customers/{customer}")["delinquent"] is True


def test_what_a_final_invoice_shows_of_its_customer_stays(api):
    """Until it is final an invoice copies its customer, afterwards no more."""
    customer = payer(api, name="Old", email="old@example.com")
    first, second = (draft(api, customer, 100)["id"] for _ in range(2))
    api.post(f"/v1/invoices/{first}/finalize")
    api.post(f"/v1/customers/{customer}", {"name": "New"})
    second = api.post(f"/v1/invoices/{second}/finalize")
    assert (api.get(f"/v1/invoices/{first}")["customer_name"], second["customer_name"]) == ("Old", "New")


def test_money_of_a_final_invoice_cannot_change(api):
    """A draft takes every parameter, a final invoice its metadata and what concerns the payment only.

    Source: https://docs.stripe.com/api/invoices/update.
    """
    customer = payer(api)
    path = f"/v1/invoices/{draft(api, customer, 5000)['id']}"
    assert api.post(path, {"description": "Thanks", "metadata": {"a": "1"}})["description"] == "Thanks"
    api.post(f"{path}/finalize")
    for form in ({"description": "x"}, {"collection_method": "send_invoice"}, {"default_tax_rates": ""}):
        error = api.refused("POST", path, form)
        assert (error["code"], error["param"]) == ("invoice_not_editable", next(iter(form)))
    assert api.post(path, {"metadata": {"b": "2"}})["metadata"] == {"a": "1", "b": "2"}


def test_default_tax_rates_are_those_of_lines_without_their_own(api):
    """The invoice's rates tax lines that have none, and follow an update of the draft."""
    customer = payer(api)
    low, high = (
        api.post("/v1/tax_rates", {"display_name": "x", "inclusive": False, "percentage": p})["id"] for p in (7, 20)
    )
    charge(api, customer, 1000, tax_rates=[low])
    invoice = draft(api, customer, 1000, default_tax_rates=[high])
    assert (invoice["total"], [rate["id"] for rate in invoice["default_tax_rates"]]) == (2270, [high])
    assert api.post(f"/v1/invoices/{invoice['id']}", {"default_tax_rates": ""})["total"] == 2070


def test_invoice_numbers_are_unique(api):
    """A chosen number is kept, and another invoice cannot have it."""
    customer = payer(api)
    assert opened(api, customer, 100, number="A-1")["number"] == "A-1"
    error = api.refused("POST", "/v1/invoices", {"customer": customer, "number": "A-1"})
    assert error["param"] == "number"


def test_invoices_are_listed_by_what_they_are(api):
    """Each filter keeps out an invoice that does not match; lines and payments are listed on their own."""
    mine, other = payer(api), payer(api)
    one = opened(api, mine, 100, collection_method="send_invoice", days_until_due=5)["id"]
    two = draft(api, mine, 200)["id"]
    decoy = opened(api, other, 300)["id"]
    assert api.ids("/v1/invoices") == [decoy, two, one]
    assert api.ids("/v1/invoices", {"customer": mine}) == [two, one]
    assert api.ids("/v1/invoices", {"status": "open"}) == [decoy, one]
    assert api.ids("/v1/invoices", {"status": "draft", "customer": other}) == []
    assert api.ids("/v1/invoices", {"collection_method": "send_invoice"}) == [one]
    due = api.get(f"/v1/invoices/{one}")["due_date"]
    assert api.ids("/v1/invoices", {"due_date": {"gte": due}}) == [one]
    assert api.ids("/v1/invoices", {"due_date": {"gt": due}}) == []
    assert [line["amount"] for line in api.get(f"/v1/invoices/{two}/lines")["data"]] == [200]
    assert len(api.ids("/v1/invoice_payments", {"invoice": one})) == 1
    intent = api.get("/v1/invoice_payments", {"invoice": decoy})["data"][0]["payment"]["payment_intent"]
    form = {"payment": {"type": "payment_intent", "payment_intent": intent}}
    assert [each["invoice"] for each in api.get("/v1/invoice_payments", form)["data"]] == [decoy]
    assert api.ids("/v1/invoice_payments", {"status": "paid"}) == []


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"automatic_tax": {"enabled": True}}, "automatic_tax[enabled]"),
        ({"from_invoice": {"action": "revision", "invoice": "in_1"}}, "from_invoice"),
        ({"issuer": {"type": "account", "account": "acct_1"}}, "issuer[type]"),
        ({"rendering": {"template": "inrtem_1"}}, "rendering[template]"),
        ({"payment_settings": {"default_mandate": "m"}}, "payment_settings[default_mandate]"),
        ({"application_fee_amount": 1}, "application_fee_amount"),
    ],
)
def test_what_is_not_modelled_is_refused(api, form, param):
    """A parameter without a model is a 400 that names it; the same request without it works."""
    customer = payer(api)
    error = api.refused("POST", "/v1/invoices", {"customer": customer, **form})
    assert (error["code"], error["param"]) == ("sandbox_not_modelled", param)
    accepted = {
        "automatic_tax": {"enabled": False},
        "issuer": {"type": "self"},
        "rendering": {"pdf": {"page_size": "a4"}},
    }
    assert api.post("/v1/invoices", {"customer": customer, **accepted})["rendering"]["pdf"] == {"page_size": "a4"}


def test_payment_methods_must_be_the_customers(api):
    """An invoice's default payment method belongs to its customer."""
    mine, other = payer(api), payer(api)
    method = api.get(f"/v1/customers/{mine}")["invoice_settings"]["default_payment_method"]
    form = {"default_payment_method": method}
    assert api.refused("POST", "/v1/invoices", {"customer": other, **form})["param"] == "default_payment_method"
    assert api.post("/v1/invoices", {"customer": mine, **form})["default_payment_method"] == method


def test_a_draft_that_cannot_be_final_says_why(timed):
    """An automatic finalization that fails leaves the draft, the reason and an event."""
    api, time = timed()
    customer = payer(api)
    invoice = draft(api, customer, 999_999_999_999, 5000, auto_advance=True)["id"]
    time[0] += HOUR
    stuck = api.get(f"/v1/invoices/{invoice}")
    assert (stuck["status"], stuck["automatically_finalizes_at"]) == ("draft", None)
    assert stuck["last_finalization_error"]["code"] == "amount_too_large"
    assert types(api)[-1] == "invoice.finalization_failed"


def test_a_deleted_customer_is_not_billed(timed):
    """With the customer pending items go and drafts stop; another customer's draft is charged.

    Source: the sandbox's own rule, so that nothing is charged to nobody.
    """
    api, time = timed()
    customer, other = payer(api), payer(api)
    mine, decoy = (draft(api, each, 5000, auto_advance=True)["id"] for each in (customer, other))
    charge(api, customer)
    api.ok("DELETE", f"/v1/customers/{customer}")
    assert api.ids("/v1/invoiceitems", {"pending": True}) == []
    time[0] += HOUR
    assert [api.get(f"/v1/invoices/{each}")["status"] for each in (mine, decoy)] == ["draft", "paid"]
    error = api.refused("POST", f"/v1/invoices/{mine}/finalize")
    assert (error["status"], error["code"]) == (400, "resource_missing")


def test_a_payment_method_that_is_gone_fails_the_attempt(timed):
    """An automatic attempt with a detached card fails like a declined one and is tried again; nothing else breaks."""
    api, time = timed()
    customer = payer(api)
    method = api.get(f"/v1/customers/{customer}")["invoice_settings"]["default_payment_method"]
    path = f"/v1/invoices/{draft(api, customer, 5000, auto_advance=True, default_payment_method=method)['id']}"
    api.post(f"/v1/payment_methods/{method}/detach")
    time[0] += HOUR
    failed = api.get(path)
    assert (failed["status"], failed["attempt_count"]) == ("open", 1)
    assert failed["next_payment_attempt"] == time[0] + 3 * DAY
    assert types(api)[-1] == "invoice.payment_failed"


@given(
    st.lists(st.integers(-3000, 9000), max_size=4),
    st.integers(-6000, 6000),
    st.none() | st.integers(1, 100),
    st.none() | st.tuples(st.integers(1, 30), st.booleans()),
)
@settings(max_examples=40)
def test_a_paid_invoice_balances(amounts, balance, percent, tax):
    """Total + balance before = payment + balance after; the ledger of the balance says the same; nothing remains."""
    with Sandbox(clock=1_800_000_000) as sandbox:
        api = Api(sandbox)
        customer = payer(api, balance=balance)
        form = {}
        if percent:
            form["discounts"] = [{"coupon": api.coupon(percent_off=percent)["id"]}]
        if tax:
            rate = {"display_name": "x", "percentage": tax[0], "inclusive": tax[1]}
            form["default_tax_rates"] = [api.post("/v1/tax_rates", rate)["id"]]
        invoice = opened(api, customer, *amounts, **form)
        if invoice["status"] == "open":
            invoice = api.post(f"/v1/invoices/{invoice['id']}/pay")
        assert (invoice["status"], invoice["amount_remaining"]) == ("paid", 0)
        assert invoice["amount_paid"] == invoice["amount_due"]
        assert invoice["total"] + balance == invoice["amount_paid"] + invoice["ending_balance"]
        assert invoice["amount_paid"] == sum(each["amount"] for each in api.get("/v1/charges")["data"])
        moved = api.get(f"/v1/customers/{customer}/balance_transactions")["data"]
        assert sum(each["amount"] for each in moved) == invoice["ending_balance"]
        assert invoice["subtotal"] == sum(amounts)
        lines = invoice["lines"]["data"]
        assert invoice["total"] == sum(
            line["amount"]
            - sum(each["amount"] for each in line["discount_amounts"])
            + sum(each["amount"] for each in line["taxes"] if each["tax_behavior"] == "exclusive")
            for line in lines
        )
