"""Invoice items and the lines they become (https://docs.stripe.com/api/invoiceitems)."""

import pytest

from reconciler.sandbox.billing import lines


@pytest.fixture
def customer(api):
    """Return the id of a customer with a card."""
    settings = {"default_payment_method": "pm_card_visa"}
    return api.customer(payment_method="pm_card_visa", invoice_settings=settings)["id"]


@pytest.fixture
def invoice(api, customer):
    """Return the id of an empty draft."""
    return api.post("/v1/invoices", {"customer": customer})["id"]


def item(api, **form):
    """Create an invoice item of 10.00 usd unless the form says otherwise."""
    priced = {"amount", "pricing", "price_data", "unit_amount_decimal"} & set(form)
    return api.post("/v1/invoiceitems", {**({} if priced else {"amount": 1000}), **form})


@pytest.mark.parametrize(
    ("form", "amount", "quantity", "unit"),
    [
        ({"amount": 1500}, 1500, "1", "1500"),
        ({"amount": -1500}, -1500, "1", "-1500"),
        ({"unit_amount_decimal": "0.5", "quantity": 3}, 2, "3", "0.5"),
        ({"unit_amount_decimal": "-10", "quantity": 3}, -30, "3", "-10"),
        ({"unit_amount_decimal": "200", "quantity_decimal": "2.5"}, 500, "2.5", "200"),
        ({"unit_amount_decimal": "200", "quantity": 0}, 0, "0", "200"),
    ],
)
def test_an_item_is_an_amount_or_a_unit_amount_times_a_quantity(api, customer, form, amount, quantity, unit):
    """Amounts are exact and rounded once; negative ones are credits, and discounts leave those alone by default."""
    made = item(api, customer=customer, **form)
    assert (made["amount"], made["quantity_decimal"], made["pricing"]["unit_amount_decimal"]) == (
        amount,
        quantity,
        unit,
    )
    assert made["quantity"] == int(float(quantity))
    assert made["discountable"] is (amount >= 0)
    assert made["net_amount"] == (None if amount >= 0 else amount)


def test_an_item_can_be_a_one_time_price(api, customer):
    """A price gives amount, product and description; a recurring or inactive one is refused (texts observed)."""
    product = api.product(name="Setup")["id"]
    price = api.price(product, currency_options={"eur": {"unit_amount": 900}})["id"]
    made = item(api, customer=customer, pricing={"price": price}, quantity=3)
    assert (made["amount"], made["description"]) == (3000, "Setup")
    assert made["pricing"]["price_details"] == {"price": price, "product": product}
    assert item(api, customer=api.customer()["id"], pricing={"price": price}, currency="eur")["amount"] == 900
    monthly = api.price(product, recurring={"interval": "month"})["id"]
    form = {"customer": customer, "pricing": {"price": monthly}}
    assert api.refused("POST", "/v1/invoiceitems", form)["param"] == "pricing[price]"
    api.post(f"/v1/prices/{price}", {"active": False})
    form = {"customer": customer, "pricing": {"price": price}}
    assert api.refused("POST", "/v1/invoiceitems", form)["param"] == "pricing[price]"


def test_a_price_can_come_with_the_item(api, customer):
    """``price_data`` makes a price for this item, listed nowhere as active."""
    product = api.product()["id"]
    data = {"currency": "usd", "product": product, "unit_amount_decimal": "12.5"}
    made = item(api, customer=customer, price_data=data, quantity=2)
    assert made["amount"] == 25
    assert api.ids("/v1/prices", {"active": True}) == []


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({}, "amount"),
        ({"amount": 1, "unit_amount_decimal": "1"}, "amount"),
        ({"amount": 1, "quantity": 2}, "amount"),
        ({"unit_amount_decimal": "1", "quantity": 1, "quantity_decimal": "1"}, "quantity"),
        ({"unit_amount_decimal": "1", "quantity": -1}, "quantity"),
        ({"amount": 1, "period": {"start": 2, "end": 1}}, "period[end]"),
        ({"amount": 1, "tax_rates": ["txr_no"]}, "tax_rates[0]"),
        ({"amount": 1, "tax_behavior": "inclusive"}, "tax_behavior"),
        ({"amount": 1, "currency": "xxx"}, "currency"),
        ({"amount": 1, "discounts": [{"coupon": "no"}]}, "discounts[0][coupon]"),
        ({"amount": 1, "customer": "cus_no"}, "customer"),
    ],
)
def test_items_that_make_no_sense_are_refused(api, customer, form, param):
    """Each mistake is a 400 that names its parameter; without it the item is made."""
    error = api.refused("POST", "/v1/invoiceitems", {"customer": customer, **form})
    assert (error["status"], error["param"]) == (400, param)
    assert api.ids("/v1/invoiceitems") == []
    assert item(api, customer=customer)["amount"] == 1000


def test_an_item_goes_onto_a_draft(api, customer, invoice):
    """With ``invoice`` an item is a line at once, last in order; a final, foreign or other-currency invoice refuses."""
    first = item(api, customer=customer, invoice=invoice, metadata={"a": "1"})
    item(api, invoice=invoice, amount=500)
    held = api.get(f"/v1/invoices/{invoice}")
    assert (held["total"], [line["amount"] for line in held["lines"]["data"]]) == (1500, [1000, 500])
    line = held["lines"]["data"][0]
    assert (line["parent"]["invoice_item_details"]["invoice_item"], line["metadata"]) == (first["id"], {"a": "1"})
    assert (
        api.refused("POST", "/v1/invoiceitems", {"invoice": invoice, "amount": 1, "currency": "eur"})["status"] == 400
    )
    form = {"invoice": invoice, "amount": 1, "customer": api.customer()["id"]}
    assert api.refused("POST", "/v1/invoiceitems", form)["param"] == "invoice"
    api.post(f"/v1/invoices/{invoice}/finalize")
    error = api.refused("POST", "/v1/invoiceitems", {"invoice": invoice, "amount": 1})
    assert error["code"] == "invoice_not_editable"


def test_item_and_line_change_together(api, customer, invoice):
    """What is changed on one shows on the other, and in the invoice's sums."""
    made = item(api, customer=customer, invoice=invoice)["id"]
    api.post(f"/v1/invoiceitems/{made}", {"amount": 700, "description": "less"})
    (line,) = api.get(f"/v1/invoices/{invoice}/lines")["data"]
    assert (line["amount"], line["description"]) == (700, "less")
    changed = api.post(f"/v1/invoices/{invoice}/lines/{line['id']}", {"amount": 900, "metadata": {"k": "v"}})
    assert (changed["id"], changed["amount"]) == (line["id"], 900)
    held = api.get(f"/v1/invoiceitems/{made}")
    assert (held["amount"], held["metadata"], held["description"]) == (900, {"k": "v"}, "less")
    assert api.get(f"/v1/invoices/{invoice}")["total"] == 900
    api.ok("DELETE", f"/v1/invoiceitems/{made}")
    assert api.get(f"/v1/invoices/{invoice}")["lines"]["data"] == []


def test_a_quantity_alone_is_times_the_old_price(api, customer):
    """Changing the quantity keeps what a unit costs, be it a price's or a unit amount."""
    price = api.price(api.product()["id"])["id"]
    for form in ({"pricing": {"price": price}}, {"unit_amount_decimal": "1000"}):
        made = item(api, customer=customer, **form)["id"]
        assert api.post(f"/v1/invoiceitems/{made}", {"quantity": 3})["amount"] == 3000


def test_final_items_do_not_change(api, customer, invoice):
    """On a final invoice an item can be neither changed nor deleted; a pending one can."""
    made, waiting = item(api, customer=customer, invoice=invoice)["id"], item(api, customer=customer)["id"]
    (line,) = api.get(f"/v1/invoices/{invoice}/lines")["data"]
    api.post(f"/v1/invoices/{invoice}/finalize")
    for method, path in (
        ("POST", f"/v1/invoiceitems/{made}"),
        ("DELETE", f"/v1/invoiceitems/{made}"),
        ("POST", f"/v1/invoices/{invoice}/lines/{line['id']}"),
    ):
        assert api.refused(method, path)["code"] == "invoice_not_editable"
    assert api.post(f"/v1/invoiceitems/{waiting}", {"amount": 1})["amount"] == 1
    assert api.ok("DELETE", f"/v1/invoiceitems/{waiting}")["deleted"] is True


def test_lines_are_edited_in_bulk(api, customer, invoice):
    """Lines are added (new and pending), changed and removed (deleted or pending again) together.

    Source: https://docs.stripe.com/invoicing/bulk-update-line-item.
    """
    waiting = item(api, customer=customer, amount=300)["id"]
    form = {"lines": [{"amount": 100, "description": "new"}, {"invoice_item": waiting, "description": "old"}]}
    held = api.post(f"/v1/invoices/{invoice}/add_lines", {**form, "invoice_metadata": {"k": "v"}})
    assert (held["total"], held["metadata"]) == (400, {"k": "v"})
    assert [line["description"] for line in held["lines"]["data"]] == ["new", "old"]
    new, old = (line["id"] for line in held["lines"]["data"])
    again = {"lines": [{"invoice_item": waiting}]}
    error = api.refused("POST", f"/v1/invoices/{invoice}/add_lines", again)
    assert error["param"] == "lines[0][invoice_item]"
    form = {"lines": [{"id": new, "amount": 50}, {"id": old, "amount": 60}]}
    told = len(api.events(type="invoice.updated"))
    assert api.post(f"/v1/invoices/{invoice}/update_lines", form)["total"] == 110
    assert len(api.events(type="invoice.updated")) == told + 1
    form = {"lines": [{"id": new, "behavior": "delete"}, {"id": old, "behavior": "unassign"}]}
    assert api.post(f"/v1/invoices/{invoice}/remove_lines", form)["lines"]["data"] == []
    assert api.ids("/v1/invoiceitems") == [waiting]
    assert api.get(f"/v1/invoiceitems/{waiting}")["invoice"] is None
    error = api.refused("POST", f"/v1/invoices/{invoice}/remove_lines", form)
    assert (error["code"], error["param"]) == ("resource_missing", "lines[0][id]")


def test_an_invoice_has_at_most_250_items(api, customer, invoice, monkeypatch):
    """One more than the limit is refused, the last one is not (https://docs.stripe.com/api/invoiceitems/create)."""
    assert lines.MAX_ITEMS == 250
    monkeypatch.setattr(lines, "MAX_ITEMS", 2)
    for _ in range(2):
        item(api, customer=customer, invoice=invoice)
    assert api.refused("POST", "/v1/invoiceitems", {"invoice": invoice, "amount": 1})["param"] == "invoice"


def test_items_are_listed_by_what_they_are(api, customer, invoice):
    """Each filter keeps out an item that does not match."""
    on, waiting = item(api, customer=customer, invoice=invoice)["id"], item(api, customer=customer)["id"]
    decoy = item(api, customer=api.customer()["id"])["id"]
    assert api.ids("/v1/invoiceitems") == [decoy, waiting, on]
    assert api.ids("/v1/invoiceitems", {"customer": customer}) == [waiting, on]
    assert api.ids("/v1/invoiceitems", {"invoice": invoice}) == [on]
    assert api.ids("/v1/invoiceitems", {"pending": True, "customer": customer}) == [waiting]
    assert api.ids("/v1/invoiceitems", {"pending": False}) == [on]


def test_expansions_lead_from_lines_to_prices(api, invoice):
    """A line's price, its discounts, an item's invoice and tax rates can be seen whole."""
    price = api.price(api.product()["id"])["id"]
    rate = api.post("/v1/tax_rates", {"display_name": "x", "inclusive": False, "percentage": 10})
    discounts = [{"coupon": api.coupon()["id"]}]
    form = {"invoice": invoice, "pricing": {"price": price}, "tax_rates": [rate["id"]], "discounts": discounts}
    made = item(api, **form, expand=["invoice", "discounts", "pricing.price_details.price"])
    assert (made["invoice"]["id"], made["tax_rates"]) == (invoice, [rate])
    assert made["pricing"]["price_details"]["price"]["unit_amount"] == 1000
    assert made["discounts"][0]["invoice_item"] == made["id"]
    shown = api.get(f"/v1/invoices/{invoice}/lines", {"expand": ["data.discounts", "data.pricing.price_details.price"]})
    (line,) = shown["data"]
    assert line["pricing"]["price_details"]["price"]["id"] == price
    assert line["discounts"][0]["source"]["coupon"] == discounts[0]["coupon"]


def test_a_preview_changes_nothing(api, customer):
    """What is pending and what is asked for stand in the preview; afterwards everything is as it was."""
    coupon = api.coupon(percent_off=50, max_redemptions=1)["id"]
    waiting = item(api, customer=customer, amount=1000)["id"]
    events = len(api.events())
    form = {
        "customer": customer,
        "invoice_items": [{"amount": 500, "currency": "usd"}, {"invoiceitem": waiting, "amount": 2000}],
        "discounts": [{"coupon": coupon}],
    }
    preview = api.post("/v1/invoices/create_preview", form)
    assert (preview["subtotal"], preview["total"], preview["billing_reason"]) == (2500, 1250, "upcoming")
    assert preview["id"].startswith("upcoming_in")
    assert (preview["status"], preview["number"]) == ("draft", None)
    assert api.ids("/v1/invoices") == []
    assert api.get(f"/v1/invoiceitems/{waiting}")["amount"] == 1000
    assert api.get(f"/v1/coupons/{coupon}")["times_redeemed"] == 0
    assert len(api.events()) == events


def test_a_preview_of_nothing_is_refused(api, customer):
    """A customer with nothing to bill has no upcoming invoice (https://docs.stripe.com/error-codes)."""
    error = api.refused("POST", "/v1/invoices/create_preview", {"customer": customer})
    assert error["code"] == "invoice_upcoming_none"
    item(api, customer=customer)
    assert api.post("/v1/invoices/create_preview", {"customer": customer})["total"] == 1000


def test_attaching_other_payments_is_not_modelled(api, invoice):
    """The route exists and says that the sandbox does not model it."""
    error = api.refused("POST", f"/v1/invoices/{invoice}/attach_payment", {"payment_intent": "pi_1"})
    assert (error["status"], error["code"]) == (400, "sandbox_not_modelled")


def test_a_subscriptions_next_invoice_is_previewed(api, customer, now):
    """Without changes the renewal, with changes their prorations too, with items those; nothing is kept of it."""
    price = api.price(api.product()["id"], recurring={"interval": "month"})["id"]
    form = {"customer": customer, "items": [{"price": price}]}
    subscription = api.post("/v1/subscriptions", form)
    renewal = api.post("/v1/invoices/create_preview", {"customer": customer})
    assert (renewal["total"], renewal["parent"]["subscription_details"]["subscription"]) == (1000, subscription["id"])
    assert renewal["period_start"] == now
    (held,) = subscription["items"]["data"]
    changed = api.post(
        "/v1/invoices/create_preview",
        {
            "subscription": subscription["id"],
            "subscription_details": {"items": [{"id": held["id"], "quantity": 3}]},
            "invoice_items": [{"amount": 70}],
        },
    )
    assert sorted(line["amount"] for line in changed["lines"]["data"]) == [-1000, 70, 3000, 3000]
    assert api.post("/v1/invoices/create_preview", {"customer": customer})["total"] == 1000
    assert api.ids("/v1/invoiceitems") == []
    assert len(api.ids("/v1/invoices")) == 1


def test_a_preview_that_renames_the_customers_taxes_is_refused(api, customer):
    """Other addresses are shown, other tax registrations are not modelled."""
    item(api, customer=customer)
    form = {"customer": customer, "customer_details": {"address": {"country": "FR"}}}
    assert api.post("/v1/invoices/create_preview", form)["customer_address"]["country"] == "FR"
    form["customer_details"] = {"tax_ids": [{"type": "eu_vat", "value": "FR1"}]}
    error = api.refused("POST", "/v1/invoices/create_preview", form)
    assert (error["code"], error["param"]) == ("sandbox_not_modelled", "customer_details[tax_ids]")
