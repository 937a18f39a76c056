"""Credit notes (https://docs.stripe.com/api/credit_notes/create)."""

import pytest

from reconciler.sandbox import Settings


@pytest.fixture
def customer(api):
    """Return the id of a customer with a card."""
    settings = {"default_payment_method": "pm_card_visa"}
    return api.customer(payment_method="pm_card_visa", invoice_settings=settings)["id"]


def bill(api, customer, *items, paid=False, **form):
    """Return a final invoice of items of 20.00 each unless they say otherwise."""
    for item in items or ({},):
        api.post(
            "/v1/invoiceitems",
            {"customer": customer, **({} if "unit_amount_decimal" in item else {"amount": 2000}), **item},
        )
    draft = api.post("/v1/invoices", {"customer": customer, "pending_invoice_items_behavior": "include", **form})
    return api.post(f"/v1/invoices/{draft['id']}/{'pay' if paid else 'finalize'}")


def note(api, invoice, **form):
    """Issue a credit note."""
    return api.post("/v1/credit_notes", {"invoice": invoice["id"], **form})


def refused(api, invoice, **form):
    """Return the parameter that a refused credit note names."""
    error = api.refused("POST", "/v1/credit_notes", {"invoice": invoice["id"], **form})
    assert error["status"] == 400
    return error["param"]


def test_a_note_on_an_open_invoice_lowers_what_is_due(api, customer):
    """Before payment a note lowers due and remaining amount, and the payment that is asked for."""
    invoice = bill(api, customer)
    made = note(api, invoice, amount=500, reason="order_change")
    assert (made["type"], made["pre_payment_amount"], made["post_payment_amount"]) == ("pre_payment", 500, 0)
    assert (made["number"], made["status"]) == (f"{invoice['number']}-CN-01", "issued")
    after = api.get(f"/v1/invoices/{invoice['id']}", {"expand": ["payments"]})
    assert (after["amount_due"], after["amount_remaining"], after["total"]) == (1500, 1500, 2000)
    assert after["pre_payment_credit_notes_amount"] == 500
    assert after["payments"]["data"][0]["amount_requested"] == 1500
    paid = api.post(f"/v1/invoices/{invoice['id']}/pay")
    assert (paid["status"], paid["amount_paid"]) == ("paid", 1500)
    assert [event["type"] for event in api.events() if event["type"].startswith("credit")] == ["credit_note.created"]


def test_a_note_over_everything_pays_the_invoice(api, customer):
    """With nothing left to pay an open invoice is paid and its payment canceled."""
    invoice = bill(api, customer)
    note(api, invoice, amount=2000)
    after = api.get(f"/v1/invoices/{invoice['id']}", {"expand": ["payments"]})
    assert (after["status"], after["amount_due"], after["amount_paid"]) == ("paid", 0, 0)
    assert after["payments"]["data"][0]["status"] == "canceled"


def test_after_payment_the_money_must_go_somewhere(api, customer):
    """Refund, customer balance and what is settled outside add up to the note, or it is refused."""
    invoice = bill(api, customer, paid=True)
    assert refused(api, invoice, amount=1000) == "credit_amount"
    assert refused(api, invoice, amount=1000, refund_amount=400) == "credit_amount"
    parts = {"refund_amount": 400, "credit_amount": 350, "out_of_band_amount": 250}
    made = note(api, invoice, amount=1000, **parts, expand=["refunds.refund", "customer_balance_transaction"])
    assert (made["type"], made["post_payment_amount"], made["out_of_band_amount"]) == ("post_payment", 1000, 250)
    assert [(each["amount_refunded"], each["refund"]["amount"]) for each in made["refunds"]] == [(400, 400)]
    moved = made["customer_balance_transaction"]
    assert (moved["amount"], moved["type"], moved["credit_note"]) == (-350, "credit_note", made["id"])
    after = api.get(f"/v1/invoices/{invoice['id']}")
    assert (after["post_payment_credit_notes_amount"], after["amount_paid"]) == (1000, 2000)
    assert api.get("/v1/charges")["data"][0]["amount_refunded"] == 400


def test_no_more_is_credited_than_was_billed(api, customer):
    """Notes and refunds together end at the total; the last unit is still credited."""
    invoice = bill(api, customer, paid=True)
    note(api, invoice, amount=1200, credit_amount=1200)
    charge = api.get("/v1/charges")["data"][0]["id"]
    refund = api.post("/v1/refunds", {"charge": charge, "amount": 300})["id"]
    assert refused(api, invoice, amount=501, credit_amount=501) == "amount"
    note(api, invoice, amount=500, credit_amount=500)
    assert refused(api, invoice, amount=1, credit_amount=1) == "amount"
    assert refused(api, invoice, amount=0) == "amount"
    assert api.get(f"/v1/refunds/{refund}")["amount"] == 300


def test_an_existing_refund_can_be_linked_once(api, customer):
    """A refund of the invoice's payment settles a note; another invoice's, or the same again, does not."""
    invoice, other = bill(api, customer, paid=True), bill(api, customer, paid=True)
    charges = [charge["id"] for charge in api.get("/v1/charges")["data"]]
    foreign, own = (api.post("/v1/refunds", {"charge": charge, "amount": 500})["id"] for charge in charges)
    assert refused(api, invoice, amount=500, refunds=[{"refund": foreign}]) == "refunds[0][refund]"
    twice = [{"refund": own, "amount_refunded": 250}] * 2
    assert refused(api, invoice, amount=500, refunds=twice) == "refunds[1][refund]"
    made = note(api, invoice, amount=500, refunds=[{"refund": own}])
    assert made["refunds"] == [{"amount_refunded": 500, "refund": own, "type": "refund"}]
    assert refused(api, invoice, amount=500, refunds=[{"refund": own}]) == "refunds[0][refund]"
    assert note(api, other, amount=500, refunds=[{"refund": foreign}])["amount"] == 500


def test_lines_are_credited_with_their_discounts_and_taxes(api, customer):
    """Half a line takes back half its discount and tax; the whole line exactly what it billed, and no more."""
    rate = api.post("/v1/tax_rates", {"display_name": "VAT", "inclusive": False, "percentage": 20})["id"]
    items = ({"unit_amount_decimal": "1000", "quantity": 4, "tax_rates": [rate]}, {"amount": 700})
    invoice = bill(api, customer, *items, discounts=[{"coupon": api.coupon()["id"]}])
    decoy, line = invoice["lines"]["data"]
    assert (line["amount"], decoy["amount"]) == (4000, 700)
    half = {"type": "invoice_line_item", "invoice_line_item": line["id"], "quantity": 2}
    made = note(api, invoice, lines=[half])
    assert (made["subtotal"], made["discount_amount"], made["total_excluding_tax"]) == (2000, 200, 1800)
    assert (made["total_taxes"][0]["amount"], made["total"]) == (360, 2160)
    (shown,) = api.get(f"/v1/credit_notes/{made['id']}/lines")["data"]
    assert (shown["amount"], shown["invoice_line_item"], shown["quantity"]) == (2000, line["id"], 2)
    more = {"type": "invoice_line_item", "invoice_line_item": line["id"], "amount": 2001}
    assert refused(api, invoice, lines=[more]) == "lines[0][amount]"
    rest = {**more, "amount": 2000}
    assert note(api, invoice, lines=[rest])["total"] == 2160
    unknown = {"type": "invoice_line_item", "invoice_line_item": "il_no"}
    assert refused(api, invoice, lines=[unknown]) == "lines[0][invoice_line_item]"


@pytest.mark.parametrize("per_line", [True, False])
def test_whole_lines_take_back_the_invoice(open_sandbox, account, per_line):
    """Crediting every line whole comes to the invoice's total to the last unit, however its taxes were rounded."""
    api = account(open_sandbox(settings=Settings(tax_rounds_per_line=per_line)))
    customer = api.customer()["id"]
    rate = api.post("/v1/tax_rates", {"display_name": "VAT", "inclusive": False, "percentage": 10})["id"]
    invoice = bill(
        api,
        customer,
        {"amount": 150},
        {"amount": 150},
        discounts=[{"coupon": api.coupon()["id"]}],
        default_tax_rates=[rate],
    )
    lines = [{"type": "invoice_line_item", "invoice_line_item": each["id"]} for each in invoice["lines"]["data"]]
    made = note(api, invoice, lines=lines)
    names = ("total", "subtotal", "total_excluding_tax")
    assert [made[name] for name in names] == [invoice[name] for name in names]
    assert [tax["amount"] for tax in made["total_taxes"]] == [tax["amount"] for tax in invoice["total_taxes"]]


def test_a_custom_line_is_a_unit_amount_times_a_quantity(api, customer):
    """A line of one's own has its own description, amount and taxes."""
    rate = api.post("/v1/tax_rates", {"display_name": "VAT", "inclusive": False, "percentage": 10})["id"]
    line = {"type": "custom_line_item", "unit_amount": 250, "quantity": 2, "description": "Sorry", "tax_rates": [rate]}
    made = note(api, bill(api, customer), lines=[line])
    assert (made["subtotal"], made["total"]) == (500, 550)
    (shown,) = made["lines"]["data"]
    assert (shown["description"], shown["unit_amount_decimal"], shown["tax_rates"][0]["id"]) == ("Sorry", "250", rate)


def test_only_final_invoices_are_credited(api, customer):
    """A draft and a voided invoice take no note; amount and lines exclude each other, one is needed."""
    draft = api.post("/v1/invoices", {"customer": customer})
    assert refused(api, draft, amount=1) == "invoice"
    invoice = bill(api, customer)
    assert refused(api, invoice) == "amount"
    assert refused(api, invoice, amount=1, lines=[{"type": "custom_line_item", "unit_amount": 1}]) == "amount"
    api.post(f"/v1/invoices/{invoice['id']}/void")
    assert refused(api, invoice, amount=1) == "invoice"


def test_voiding_a_note_makes_the_amount_due_again(api, customer):
    """While the invoice is open a note can be voided, once; after payment it cannot."""
    invoice = bill(api, customer)
    first, second = note(api, invoice, amount=500)["id"], note(api, invoice, amount=300)["id"]
    void = api.post(f"/v1/credit_notes/{first}/void")
    assert (void["status"], void["voided_at"] is not None) == ("void", True)
    after = api.get(f"/v1/invoices/{invoice['id']}")
    assert (after["amount_due"], after["pre_payment_credit_notes_amount"]) == (1700, 300)
    assert api.refused("POST", f"/v1/credit_notes/{first}/void")["status"] == 400
    api.post(f"/v1/invoices/{invoice['id']}/pay")
    assert api.refused("POST", f"/v1/credit_notes/{second}/void")["status"] == 400
    assert api.events()[-1]["type"] != "credit_note.voided"


def test_a_preview_issues_nothing(api, customer):
    """A preview shows the note and its lines and leaves invoice, lists and events as they are."""
    invoice = bill(api, customer)
    events = len(api.events())
    shown = api.get("/v1/credit_notes/preview", {"invoice": invoice["id"], "amount": 500})
    lines = api.get("/v1/credit_notes/preview/lines", {"invoice": invoice["id"], "amount": 500})["data"]
    assert (shown["total"], shown["lines"]["data"]) == (500, lines)
    assert api.ids("/v1/credit_notes") == []
    assert api.get(f"/v1/invoices/{invoice['id']}")["amount_due"] == 2000
    assert len(api.events()) == events


def test_notes_are_listed_and_described(api, customer):
    """Filters keep out another invoice's note; memo and metadata can change."""
    one, other = bill(api, customer), bill(api, api.customer()["id"])
    made, decoy = note(api, one, amount=1)["id"], note(api, other, amount=1)["id"]
    assert api.ids("/v1/credit_notes") == [decoy, made]
    assert api.ids("/v1/credit_notes", {"invoice": one["id"]}) == [made]
    assert api.ids("/v1/credit_notes", {"customer": other["customer"]}) == [decoy]
    changed = api.post(f"/v1/credit_notes/{made}", {"memo": "m", "metadata": {"a": "1"}})
    assert (changed["memo"], changed["metadata"]) == ("m", {"a": "1"})
    assert api.events()[-1]["type"] == "credit_note.updated"
