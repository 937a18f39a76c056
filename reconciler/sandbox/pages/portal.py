"""The customer portal: plans, payment method, details and invoices of one customer, as the configuration allows.

Source: https://docs.stripe.com/customer-management. Sessions end five minutes after they were opened if nobody has
come, else an hour after the last visit.
"""

from collections.abc import Callable, Mapping, Sequence

from reconciler.sandbox.acting import act
from reconciler.sandbox.billing import methods, setups
from reconciler.sandbox.billing.stored import must, rows
from reconciler.sandbox.errors import invalid
from reconciler.sandbox.objects import portal_session
from reconciler.sandbox.pages import plans, showing
from reconciler.sandbox.pages.html import document, notice, problems, redirect, tag
from reconciler.sandbox.pages.visit import NAME_LENGTH, PHONE_LENGTH, Visit, address, card, email
from reconciler.sandbox.wire import Obj, Response

UNUSED_SECONDS, IDLE_SECONDS = 300, 3_600


def page(visit: Visit) -> Response:
    """Answer a visit of ``/p/session/{slug}``."""
    call, row = visit.call, portal_session.find(visit.call, visit.name)
    action, session = visit.action(), row.body
    if _is_over(session, call.now):
        return notice(
            "This page has expired", "Go back to the shop and open it again.", showing.back(session["return_url"])
        )
    session = {**session, "_seen": call.now}
    call.replace(call.families[portal_session.FAMILY.kind], row, session)
    customer = call.tx.find("customer", session["customer"])
    if customer is None or customer.body.get("deleted"):
        return notice("This customer is no more", "There is nothing to manage here.", status=404)
    visit = visit.at(call.on_clock_of(customer.body))
    if action is None:
        return _show(visit, session, customer.body, [])
    onward, problem = visit.attempt(lambda: _act(visit, session, customer.body, action))
    if problem:
        return _show(visit, session, must(call, "customer", session["customer"]).body, [problem])
    return redirect(onward) if onward else _done(visit, session, action)


def _is_over(session: Obj, now: int) -> bool:
    if session["_seen"] is None:
        return bool(now >= session["created"] + UNUSED_SECONDS)
    return bool(now >= session["_seen"] + IDLE_SECONDS)


def _done(visit: Visit, session: Obj, action: str) -> Response:
    """Lead back to the page, or, once a flow's one thing is done, to where the flow says."""
    flow = session["flow"]
    after: Obj = flow["after_completion"] if flow else {"type": "portal_homepage"}
    if after["type"] == "portal_homepage" or portal_session.FEATURE[flow["type"]] != action:
        return redirect(visit.call.url)
    if after["type"] == "redirect":
        return redirect(after["redirect"]["return_url"])
    message = after["hosted_confirmation"]["custom_message"] or "Your change has been made."
    return notice("Done", message, showing.back(session["return_url"]))


def configuration(visit: Visit, session: Obj) -> Obj:
    """Return the session's configuration as it is now."""
    return must(visit.call, "billing_portal.configuration", session["configuration"]).body


def _show(visit: Visit, session: Obj, customer: Obj, wrong: list[str]) -> Response:
    features, call = configuration(visit, session)["features"], visit.call
    headline = configuration(visit, session)["business_profile"]["headline"]
    flow = session["flow"]
    only = portal_session.FEATURE[flow["type"]] if flow else None
    sections = [plans.section(visit, subscription, features, flow) for subscription in running(visit, customer, flow)]
    if not sections and only in {None, "subscription_cancel", "subscription_pause", "subscription_update"}:
        sections = [tag("section", tag("h2", "Current plan"), tag("p", "You have no plan."), class_="card")]
    if only is None or only == "payment_method_update":
        sections.append(showing.payment_method(visit, features, default_method(visit, customer)))
    if features["customer_update"]["enabled"] and only in {None, "customer_update"}:
        sections.append(showing.customer_details(visit, customer, features["customer_update"]["allowed_updates"]))
    if features["invoice_history"]["enabled"] and only is None:
        invoices = [row.body for row in rows(call, "invoice", ("customer", customer["id"]))]
        sections.append(showing.invoices(call, invoices))
    links = configuration(visit, session)["business_profile"]
    status = 400 if wrong and visit.method == "POST" else 200
    body = tag(
        "div",
        showing.back(session["return_url"]),
        tag("h1", headline or "Manage your plan"),
        tag("p", customer["email"] or customer["name"] or customer["id"], class_="soft"),
        problems(wrong),
        *sections,
        showing.legal(links),
        class_="narrow",
    )
    return document("Your plan", body, status=status)


def running(visit: Visit, customer: Obj, flow: Obj | None = None) -> list[Obj]:
    """Return the customer's subscriptions that have not ended, newest first; in a flow the one it is about."""
    found = [row.body for row in rows(visit.call, "subscription", ("customer", customer["id"]))]
    about = next((flow[name]["subscription"] for name in plans.FLOWS if flow and flow[name]), None)
    if flow and about is None:
        return []
    return [
        each for each in reversed(found) if each["status"] not in portal_session.ENDED and about in {None, each["id"]}
    ]


def default_method(visit: Visit, customer: Obj) -> Obj | None:
    """Return the payment method the customer pays with by default."""
    chosen = customer["invoice_settings"]["default_payment_method"]
    for subscription in running(visit, customer):
        chosen = chosen or subscription["default_payment_method"]
    row = visit.call.tx.find("payment_method", chosen) if chosen else None
    return row.body if row else None


def _act(visit: Visit, session: Obj, customer: Obj, action: str) -> str | None:
    """Do what a form asks for, if the configuration allows it; return where to go if not back to the page."""
    feature = configuration(visit, session)["features"].get(_FEATURES.get(action, ""))
    if feature is None or not feature["enabled"]:
        raise invalid("This is not available here.")
    if action in {"payment_method_update", "customer_update"}:
        return _set_card(visit, customer) if action == "payment_method_update" else _describe(visit, customer, feature)
    subscription = next(
        (each for each in running(visit, customer) if each["id"] == visit.sent.get("subscription")), None
    )
    if subscription is None:
        raise invalid("There is no such plan.")
    _PLAN_ACTIONS[action](visit, subscription, feature)
    return None


_FEATURES: Mapping[str, str] = {
    "customer_update": "customer_update",
    "keep": "subscription_cancel",
    "payment_method_update": "payment_method_update",
    "subscription_cancel": "subscription_cancel",
    "subscription_pause": "subscription_pause",
    "subscription_resume": "subscription_pause",
    "subscription_update": "subscription_update",
}
_PLAN_ACTIONS: Mapping[str, Callable[[Visit, Obj, Obj], None]] = {
    "keep": plans.keep,
    "subscription_cancel": plans.cancel,
    "subscription_pause": plans.pause,
    "subscription_resume": plans.resume,
    "subscription_update": plans.change,
}


def _set_card(visit: Visit, customer: Obj) -> str | None:
    """Check a new card with its bank and make it what everything is paid with."""
    call, details = visit.call, card(visit)
    billing = {"email": customer["email"], "name": visit.text("card_name")}
    built = {
        **methods.build(call, methods.new_id(call), details),
        "billing_details": methods.billing_details(methods.NO_DETAILS, billing),
    }
    method = call.insert(call.families["payment_method"], built).body["id"]
    family, intent_id = call.families["setup_intent"], call.new_id("seti_1", 23)
    secret = call.new_id(f"{intent_id}_secret_", 25)
    call.create(family, call.fill(family, intent_id, client_secret=secret, customer=customer["id"], _portal=True))
    intent = setups.confirm(call, intent_id, payment_method=method, return_url=call.base_url + call.url)
    if intent["status"] == "requires_action":
        return str(intent["next_action"]["redirect_to_url"]["url"])
    return None


def _describe(visit: Visit, customer: Obj, feature: Obj) -> str | None:
    allowed: Sequence[str] = feature["allowed_updates"]
    given: Obj = {}
    if "email" in allowed:
        given["email"] = email(visit)
    for name, length in (("name", NAME_LENGTH), ("phone", PHONE_LENGTH)):
        if name in allowed:
            given[name] = visit.text(name, length)
    if "address" in allowed:
        given["address"] = address(visit)
    act(visit.call, "POST", "/v1/customers/{id}", customer["id"], **given)
    return None
