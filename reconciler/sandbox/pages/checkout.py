"""The page of a checkout session: the order, the form, the bank's question, and the way back to the shop.

Stripe's own page is described in https://docs.stripe.com/payments/checkout; this one needs no script.
"""

from urllib.parse import quote

from reconciler.sandbox.billing import checkout, purchase
from reconciler.sandbox.billing.methods import Details
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.errors import invalid
from reconciler.sandbox.objects import payment_link, selling
from reconciler.sandbox.pages import asked, order
from reconciler.sandbox.pages.html import Html, button, document, field, form, notice, problems, redirect, tag
from reconciler.sandbox.pages.visit import Visit, address, address_fields, card, card_fields, email, whole_number
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj, Response

_LABELS = {"book": "Book", "donate": "Donate", "pay": "Pay", "subscribe": "Subscribe"}
_TEST_CARDS = (
    ("4242 4242 4242 4242", "is paid"),
    ("4000 0000 0000 0002", "is declined"),
    ("4000 0000 0000 9995", "has insufficient funds"),
    ("4000 0027 6000 3184", "asks to authenticate"),
)


def page(visit: Visit) -> Response:
    """Answer a visit of ``/c/pay/{session}``."""
    row = checkout.find(visit.call, visit.name)
    action = visit.action()
    session = row.body
    if session["status"] == "expired":
        return notice("This page has expired", "Go back to the shop and start again.", _back(session))
    if session["status"] == "complete":
        # Also a second click on the button: what was paid is not paid again.
        return _done(visit, session) if action else _thanks(visit, session)
    if action is None:
        return _show(visit, session, [session["_problem"]] if session["_problem"] else [])
    done, problem = visit.attempt(lambda: _act(visit, row, action))
    if done is None:
        return _show(visit, checkout.find(visit.call, visit.name).body, [problem or ""])
    if done["_problem"]:
        # Answered without a redirect, so that what was typed is still there.
        return _show(visit, done, [done["_problem"]])
    return _done(visit, done) if done["status"] == "complete" else redirect(visit.call.url)


def _act(visit: Visit, row: Row, action: str) -> Obj:
    """Do what a form asks for, and return the session."""
    call = visit.call
    match action:
        case "code":
            return checkout.apply_code(call, row, visit.sent.get("code", ""))
        case "quantity":
            return _set_quantity(visit, row)
        case "buy":
            return _buy(visit, row)
        case "authenticate":
            return purchase.authenticated(call, row, success=visit.sent.get("result") == "success")
    raise invalid("This page has no such form.")


def _set_quantity(visit: Visit, row: Row) -> Obj:
    items = checkout.items_of(visit.call, row.body)
    item = next((item for item in items if item["id"] == visit.sent.get("item")), None)
    adjustable = (item["adjustable_quantity"] or {"enabled": False}) if item else {"enabled": False}
    if item is None or not adjustable["enabled"]:
        raise invalid("This quantity cannot be changed.")
    least, most = max(adjustable["minimum"], 1), adjustable["maximum"]
    wanted = whole_number(visit, f"quantity_{item['id']}", least, most, f"the quantity of {item['description']}")
    changed = [{**each, "quantity": wanted} if each is item else each for each in items]
    return checkout.reorder(visit.call, row, row.body, changed)


def _buy(visit: Visit, row: Row) -> Obj:
    """Read the form and attempt the purchase."""
    call, session = visit.call, row.body
    link = call.tx.find("payment_link", session["payment_link"]) if session["payment_link"] else None
    if link and not payment_link.usable(link.body):
        raise invalid(link.body["inactive_message"] or "This link is no longer active.")
    if custom := _custom(visit, session):
        item, bounds = custom
        amount = whole_number(visit, "amount", *bounds, "the amount in the currency's smallest unit")
        session = checkout.reorder(call, row, session, [{**item, "_amount": amount}])
    given = card(visit) if needs_card(session) else None
    buyer: Obj = {
        "email": _known_email(visit, session) or email(visit),
        "name": visit.text("card_name"),
        "tax_exempt": "none",
    }
    if session["billing_address_collection"] == "required":
        buyer["address"] = address(visit)
    session = asked.answered(visit, session)
    row = checkout.find(call, session["id"])
    call.replace(call.families[checkout.KIND], row, session)
    return _bought(visit, session, {**asked.buyer(visit, session), **buyer}, given)


def _bought(visit: Visit, session: Obj, buyer: Obj, given: Details | None) -> Obj:
    return purchase.buy(visit.call, checkout.find(visit.call, session["id"]), buyer, given)


def needs_card(session: Obj) -> bool:
    """Tell whether the customer has to give a card: not for free one-time orders, nor where it is only if required."""
    if session["mode"] == "setup" or session["amount_total"] != 0:
        return True
    return bool(session["mode"] == "subscription" and session["payment_method_collection"] == "always")


def _custom(visit: Visit, session: Obj) -> tuple[Obj, tuple[int, int]] | None:
    """Return the line whose amount the customer chooses, and the least and most of it; ``None`` where there is none."""
    for item in checkout.items_of(visit.call, session):
        custom = must(visit.call, "price", item["price"]).body["custom_unit_amount"]
        if custom is not None:
            return item, (custom["minimum"] or 0, custom["maximum"] or 99_999_999)
    return None


def _known_email(visit: Visit, session: Obj) -> str | None:
    customer = checkout.customer_of(visit.call, session)
    return session["customer_email"] or (customer["email"] if customer else None)


def _show(visit: Visit, session: Obj, wrong: list[str]) -> Response:
    """Return the page of an open session: the bank's question if it has one, else order and form."""
    if purchase.waiting(visit.call, session):
        return _challenge(visit, session, wrong)
    ordered = order.show(visit, session) if session["mode"] != "setup" else _setup(session)
    status = 400 if wrong and visit.method == "POST" else 200
    heading = "Save your card" if session["mode"] == "setup" else "Checkout"
    return document(heading, tag("div", ordered, _form(visit, session, wrong), class_="columns"), status=status)


def _setup(session: Obj) -> Html:
    back = session["cancel_url"]
    return tag(
        "section",
        tag("p", tag("a", "\u2190 Back", href=back)) if back else None,
        tag("p", session["branding_settings"]["display_name"], class_="soft"),
        tag("h1", "Save your card for later"),
        tag("p", "Nothing is charged today.", class_="soft"),
    )


def _form(visit: Visit, session: Obj, wrong: list[str]) -> Html:
    values, known = visit.sent, _known_email(visit, session)
    if known:
        contact = tag("p", "Email: ", tag("strong", known))
    else:
        contact = field(
            "Email",
            "email",
            type="email",
            autocomplete="email",
            required=True,
            maxlength=512,
            value=values.get("email"),
        )
    parts: list[Html | None] = [problems(wrong), _group("Contact", contact, *asked.contact_fields(session, values))]
    if custom := _custom(visit, session):
        hint = f"In the smallest unit of {session['currency'].upper()}"
        amount = values.get("amount") or custom[0]["amount_subtotal"] or None
        entry = field("Amount", "amount", hint=hint, inputmode="numeric", required=True, value=amount)
        parts.append(_group("Amount", entry))
    if needs_card(session) or custom:
        parts.append(_group("Card", *card_fields(values)))
    if session["billing_address_collection"] == "required":
        parts.append(_group("Billing address", *address_fields(values)))
    parts += [*asked.custom_fields(session, values), *asked.consents(session)]
    text = session["custom_text"]["submit"]
    parts += [tag("p", text["message"]) if text else None, button(_label(session))]
    after = session["custom_text"]["after_submit"]
    return tag(
        "section",
        form(visit.token, "buy", *parts, novalidate=True),
        tag("p", after["message"], class_="soft") if after else None,
        _hints(),
        class_="card",
        aria_label="Payment details",
    )


def _group(legend: str, *children: Html | None) -> Html:
    return tag("fieldset", tag("legend", legend), *children)


def _label(session: Obj) -> str:
    if session["mode"] == "setup":
        return "Save card"
    wanted = session["submit_type"]
    if session["mode"] == "subscription" and wanted in {None, "auto"}:
        data = session["_subscription_data"]
        return "Start trial" if "trial_end" in data or "trial_period_days" in data else "Subscribe"
    label = _LABELS.get(wanted or "pay", "Pay")
    return f"{label} {order.shown(session['amount_total'], session)}" if session["amount_total"] else "Complete order"


def _hints() -> Html:
    cards = [tag("li", tag("code", number), f" {what}") for number, what in _TEST_CARDS]
    text = tag("p", "Any future date and any security code will do.")
    return tag("details", tag("summary", "Test cards"), tag("ul", *cards), text)


def _challenge(visit: Visit, session: Obj, wrong: list[str]) -> Response:
    """Return the page of the customer's bank."""
    return challenge_page(
        visit.token,
        wrong,
        tag("p", tag("a", "Back to the shop", href=session["cancel_url"])) if session["cancel_url"] else None,
    )


def challenge_page(token: str, wrong: list[str], *more: Html | None) -> Response:
    """Return the page on which the bank of a test card asks its customer whether it is really them."""
    buttons = [
        button("Complete authentication", name="result", value="success"),
        tag("p"),
        button("Fail authentication", name="result", value="failure", class_="bad"),
    ]
    card_ = tag(
        "section",
        tag("h1", "Is it you?"),
        tag("p", "This stands for the page of the customer's bank (3D Secure). Choose how it ends."),
        problems(wrong),
        form(token, "authenticate", *buttons),
        *more,
        class_="card notice",
    )
    return document("Authenticate", card_)


def _done(visit: Visit, session: Obj) -> Response:
    """Send the customer to where the session, or the link it came from, says."""
    url = _after(visit, session)
    return redirect(url.replace(selling.SESSION_ID, quote(session["id"]))) if url else redirect(visit.call.url)


def _after(visit: Visit, session: Obj) -> str | None:
    link = visit.call.tx.find("payment_link", session["payment_link"]) if session["payment_link"] else None
    if link and link.body["after_completion"]["type"] == "redirect":
        return str(link.body["after_completion"]["redirect"]["url"])
    url: str | None = session["success_url"]
    return url


def _thanks(visit: Visit, session: Obj) -> Response:
    """Return the page of a session that is complete."""
    url = _after(visit, session)
    link = visit.call.tx.find("payment_link", session["payment_link"]) if session["payment_link"] else None
    message = link.body["after_completion"].get("hosted_confirmation", {}).get("custom_message") if link else None
    title = "Thanks for your payment" if session["payment_status"] == "paid" else "Thanks, all done"
    onward = (
        tag("a", "Continue", href=url.replace(selling.SESSION_ID, quote(session["id"])), class_="button")
        if url
        else None
    )
    return notice(title, message or "Your order is complete.", onward)


def _back(session: Obj) -> Html | None:
    return tag("p", tag("a", "Back to the shop", href=session["cancel_url"])) if session["cancel_url"] else None
