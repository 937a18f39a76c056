"""The parts of the portal that are about the customer: payment method, details, invoices."""

from collections.abc import Sequence

from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.pages.html import Html, button, field, form, tag
from reconciler.sandbox.pages.plans import day, price_text
from reconciler.sandbox.pages.visit import Visit, address_fields, card_fields
from reconciler.sandbox.wire import Obj

_SHOWN_INVOICES = 24
_NOT_HERE = {"shipping", "tax_id"}


def back(url: str | None) -> Html | None:
    """Return the way back to the shop, if there is one."""
    return tag("p", tag("a", "\u2190 Back", href=url)) if url else None


def payment_method(visit: Visit, features: Obj, method: Obj | None) -> Html:
    """Return what the customer pays with, and the form for another card where it may be changed."""
    text = "No payment method."
    if method:
        shown = method["card"]
        number = f"{shown['brand'].title()} \u2022\u2022\u2022\u2022 {shown['last4']}"
        text = f"{number}, expires {shown['exp_month']:02}/{shown['exp_year']}"
    change = None
    if features["payment_method_update"]["enabled"]:
        body = form(visit.token, "payment_method_update", *card_fields({}), button("Save card"))
        change = tag("details", tag("summary", "Use another card"), body, open=method is None)
    return tag("section", tag("h2", "Payment method"), tag("p", text), change, class_="card")


def customer_details(visit: Visit, customer: Obj, allowed: Sequence[str]) -> Html:
    """Return the form for those details of the customer that may be changed."""
    entries: list[Html] = []
    if "email" in allowed:
        entries.append(field("Email", "email", type="email", required=True, value=customer["email"]))
    if "name" in allowed:
        entries.append(field("Name", "name", autocomplete="name", value=customer["name"]))
    if "phone" in allowed:
        entries.append(field("Phone", "phone", type="tel", autocomplete="tel", value=customer["phone"]))
    if "address" in allowed:
        values = {name: value for name, value in (customer["address"] or {}).items() if value}
        entries += address_fields(values)
    body = form(visit.token, "customer_update", *entries, button("Save details")) if entries else None
    missing = _NOT_HERE & set(allowed)
    note = (
        tag("p", "Tax ids and shipping addresses cannot be edited in the sandbox.", class_="soft") if missing else None
    )
    return tag("section", tag("h2", "Billing details"), body, note, class_="card")


def invoices(call: Call, found: Sequence[Obj]) -> Html:
    """Return the customer's invoices, the newest first, drafts left out."""
    final = [invoice for invoice in reversed(found) if invoice["status"] != "draft"][:_SHOWN_INVOICES]
    rows = [
        tag(
            "tr",
            tag("th", tag("a", day(invoice["created"]), href=f"{call.base_url}/i/{invoice['id']}"), scope="row"),
            tag("td", invoice["status"].capitalize()),
            tag("td", price_text(invoice["total"], invoice["currency"])),
        )
        for invoice in final
    ]
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in ("Date", "Status", "Total"))))
    body = tag("table", head, tag("tbody", *rows)) if rows else tag("p", "No invoices yet.")
    return tag("section", tag("h2", "Invoice history"), body, class_="card")


def legal(profile: Obj) -> Html | None:
    """Return the links to the business's terms and privacy policy, where it has them."""
    links = [
        tag("a", label, href=profile[name])
        for label, name in (("Terms", "terms_of_service_url"), ("Privacy", "privacy_policy_url"))
        if profile[name]
    ]
    return tag("p", *(child for link in links for child in (link, " ")), class_="soft") if links else None
