"""The page of a finalized invoice, where an open one can be paid (https://docs.stripe.com/invoicing/hosted-invoice-page)."""

from decimal import Decimal

from reconciler.sandbox.billing import invoicing, methods, payments
from reconciler.sandbox.billing.charges import money
from reconciler.sandbox.billing.collecting import intent_of
from reconciler.sandbox.billing.lines import of_invoice
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.pages.checkout import challenge_page
from reconciler.sandbox.pages.html import Html, amounts, button, document, form, notice, problems, redirect, tag
from reconciler.sandbox.pages.plans import day
from reconciler.sandbox.pages.visit import Visit, card, card_fields
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj, Response


def page(visit: Visit) -> Response:
    """Answer a visit of ``/i/{invoice}``."""
    row = visit.call.tx.find("invoice", visit.name)
    if row is None:
        raise ApiError(404, "There is no such invoice any more.")
    visit = visit.at(visit.call.on_clock_of(row.body))
    action = visit.action()
    if action is None or row.body["status"] != "open":
        return _show(visit, row.body, [])
    declined, refused = visit.attempt(lambda: _act(visit, row, action))
    problem = declined or refused
    invoice = must(visit.call, "invoice", visit.name).body
    return _show(visit, invoice, [problem]) if problem else redirect(visit.call.url)


def _act(visit: Visit, row: Row, action: str) -> str | None:
    """Pay the invoice, or end its customer's authentication; return what went wrong."""
    call = visit.call
    if action == "authenticate":
        intent_id = intent_of(call, row.body)
        success = visit.sent.get("result") == "success"
        outcome = payments.authenticate(call, intent_id, success) if intent_id else None
    else:
        customer = must(call, "customer", row.body["customer"]).body
        billing = {"email": customer["email"], "name": visit.text("card_name")}
        built = methods.build(call, methods.new_id(call), card(visit))
        built["billing_details"] = methods.billing_details(methods.NO_DETAILS, billing)
        method = call.insert(call.families["payment_method"], built).body["id"]
        outcome = invoicing.collect(call, row, off_session=False, payment_method=method)
    return outcome.error.message if outcome and outcome.error else None


def _show(visit: Visit, invoice: Obj, wrong: list[str]) -> Response:
    call, code = visit.call, invoice["currency"]
    if _waits(call, invoice):
        return challenge_page(visit.token, wrong)
    lines = [row.body for row in of_invoice(call, invoice["id"])]
    rows: list[tuple[str | None, str | None, str | None]] = [
        (line["description"], money(Decimal(line["amount"]), code), None) for line in lines
    ]
    rows.append(("Subtotal", money(Decimal(invoice["subtotal"]), code), None))
    less = [taken["amount"] for taken in invoice["total_discount_amounts"] or ()]
    rows += [("Discount", "\u2212" + money(Decimal(amount), code), "less") for amount in less]
    rows += [("Tax", money(Decimal(tax["amount"]), code), None) for tax in invoice["total_taxes"] or ()]
    rows += [
        ("Total", money(Decimal(invoice["total"]), code), "total"),
        ("Amount paid", money(Decimal(invoice["amount_paid"]), code), None),
        ("Amount due", money(Decimal(invoice["amount_remaining"]), code), "total"),
    ]
    summary = tag(
        "section",
        tag("h1", f"Invoice {invoice['number']}"),
        tag("p", f"{invoice['status'].capitalize()}, {day(invoice['created'])}", class_="soft"),
        tag("p", invoice["customer_name"] or invoice["customer_email"], class_="soft"),
        amounts(rows),
        tag("p", invoice["footer"], class_="soft") if invoice["footer"] else None,
    )
    status = 400 if wrong else 200
    form = _form(visit, invoice, wrong)
    shown = tag("div", summary, form, class_="columns" if form else "narrow")
    return document(f"Invoice {invoice['number']}", shown, status=status)


def _waits(call: Call, invoice: Obj) -> bool:
    intent_id = intent_of(call, invoice) if invoice["status"] == "open" else None
    return bool(intent_id) and must(call, "payment_intent", str(intent_id)).body["status"] == "requires_action"


def _form(visit: Visit, invoice: Obj, wrong: list[str]) -> Html | None:
    if invoice["status"] != "open" or not invoice["amount_remaining"]:
        return None
    label = f"Pay {money(Decimal(invoice['amount_remaining']), invoice['currency'])}"
    body = form(visit.token, "pay", problems(wrong), *card_fields(visit.sent), button(label), novalidate=True)
    return tag("section", body, class_="card", aria_label="Payment details")


def pdf(visit: Visit) -> Response:
    """Answer a visit of ``/i/{invoice}/pdf``: the sandbox makes no PDF files and says where the invoice is."""
    url = visit.call.url.removesuffix("/pdf")
    return notice(
        "No PDF here", "The sandbox makes no PDF files.", tag("p", tag("a", "The invoice as a page", href=url))
    )
