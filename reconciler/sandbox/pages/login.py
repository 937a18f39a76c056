"""The page on which customers of a portal configuration log in (https://docs.stripe.com/customer-management/activate-no-code-customer-portal).

Stripe mails the link; the sandbox sends no mail and shows it.
"""

from reconciler.sandbox.billing.stored import rows
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.expand import show
from reconciler.sandbox.objects import portal_session
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.pages.html import button, document, field, form, notice, problems, tag
from reconciler.sandbox.pages.visit import Visit, email
from reconciler.sandbox.wire import Obj, Response


def page(visit: Visit) -> Response:
    """Answer a visit of ``/p/login/{slug}``."""
    configuration, action = _find(visit.call, visit.name), visit.action()
    if not configuration["active"]:
        return notice("This page is closed", "The business has closed its customer portal.", status=404)
    if action is None:
        return _form(visit, configuration, [])
    try:
        address = email(visit)
    except ApiError as error:
        return _form(visit, configuration, [error.message])
    found = [row.body for row in rows(visit.call, "customer", ("email", address))]
    link = _open(visit.call, configuration, found[-1]) if found else None
    text = f"If {address} belongs to a customer, they have been sent a link to their portal."
    return notice("Check your email", text, tag("p", "The sandbox sends no mail. ", link) if link else None)


def _find(call: Call, slug: str) -> Obj:
    for row in rows(call, "billing_portal.configuration", ("login", slug)):
        return row.body
    raise ApiError(404, "There is no such page.")


def _open(call: Call, configuration: Obj, customer: Obj) -> str:
    """Open a session of the newest customer with the address, and return the link to it."""
    session = portal_session.open_session(call, customer=customer["id"], configuration=configuration)
    shown = show(call.tx, call.families, portal_session.FAMILY, session)
    return tag("a", "The link leads here.", href=shown["url"])


def _form(visit: Visit, configuration: Obj, wrong: list[str]) -> Response:
    entry = field("Email", "email", type="email", autocomplete="email", required=True, value=visit.sent.get("email"))
    body = form(visit.token, "login", entry, button("Send me a link"), novalidate=True)
    title = configuration["business_profile"]["headline"] or "Manage your plan"
    status = 400 if wrong else 200
    return document(title, tag("section", tag("h1", title), problems(wrong), body, class_="card notice"), status=status)
