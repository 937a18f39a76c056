"""Exempt customers and prices with tax inside: invoices, previews, checkout and credit notes agree on 90.91."""

import pytest


@pytest.fixture
def inside(api):
    """Return the id of a tax rate of 10 % inside the price."""
    return api.post("/v1/tax_rates", {"display_name": "VAT", "percentage": 10, "inclusive": True})["id"]


def bill(api, customer, rate):
    """Return a draft of one item of 100.00 with a tax rate."""
    api.post("/v1/invoiceitems", {"customer": customer, "amount": 10_000, "tax_rates": [rate]})
    return api.post("/v1/invoices", {"customer": customer, "pending_invoice_items_behavior": "include"})


@pytest.mark.parametrize(("status", "due"), [("none", 10_000), ("exempt", 9091), ("reverse", 9091)])
def test_an_invoice_leaves_the_tax_out(api, inside, status, due):
    """What is due of 100.00 with 10 % inside is 90.91 for exempt customers, and the credit note of all of it is too.

    Source: https://docs.stripe.com/tax/tax-rates (customer tax exemptions).
    """
    customer = api.customer(tax_exempt=status)["id"]
    form = {"customer": customer, "invoice_items": [{"amount": 10_000, "currency": "usd", "tax_rates": [inside]}]}
    assert api.post("/v1/invoices/create_preview", form)["amount_due"] == due
    draft = bill(api, customer, inside)
    final = api.post(f"/v1/invoices/{draft['id']}/finalize")
    assert (draft["total"], final["amount_due"], final["total_excluding_tax"]) == (due, due, 9091)
    line = final["lines"]["data"][0]
    assert (line["amount"], line["taxes"][0]["amount"]) == (10_000, 909 if status == "none" else 0)
    whole = [{"type": "invoice_line_item", "invoice_line_item": line["id"], "quantity": 1}]
    note = api.post("/v1/credit_notes", {"invoice": final["id"], "lines": whole})
    assert (note["total"], note["total_excluding_tax"]) == (due, 9091)
    assert api.get(f"/v1/invoices/{final['id']}")["amount_remaining"] == 0


@pytest.mark.parametrize(("status", "due"), [("none", 10_000), ("exempt", 9091), ("reverse", 9091)])
def test_a_checkout_leaves_the_tax_out(api, inside, status, due):
    """A session's total is what its customer's invoice would be."""
    price = api.price(api.product()["id"], unit_amount=10_000)["id"]
    form = {
        "mode": "payment",
        "customer": api.customer(tax_exempt=status)["id"],
        "line_items": [{"price": price, "quantity": 1, "tax_rates": [inside]}],
        "success_url": "https://example.com/done",
    }
    assert api.post("/v1/checkout/sessions", form)["amount_total"] == due
