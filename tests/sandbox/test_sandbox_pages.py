"""The pages themselves: whose they are, what they let through, how they are served, and a real browser at one."""

import html
import re
from urllib.parse import urlencode, urlsplit

import pytest

from reconciler.sandbox import Request
from reconciler.sandbox.pages.html import Html, document, join, tag
from tests.sandbox.browser import CHROMIUM, Browser
from tests.sandbox.person import CARD, CHALLENGED, Person

EVIL = "<script>alert('\"x&')</script>"


@pytest.fixture
def session(api):
    """Return an open session for 10.00 usd."""
    return opened(api)


def opened(api, **form):
    """Open a session for 10.00 usd."""
    price = api.price(api.product()["id"])["id"]
    base = {
        "mode": "payment",
        "success_url": "https://example.com/done",
        "line_items": [{"price": price, "quantity": 1}],
    }
    return api.post("/v1/checkout/sessions", {**base, **form})


def test_text_is_escaped_and_html_is_not():
    """Elements escape text and attribute values, and nothing twice."""
    inner = tag("b", EVIL, title='"')
    assert inner == f'<b title="&quot;">{html.escape(EVIL)}</b>'
    assert tag("p", inner, None, "") == f"<p>{inner}</p>"
    assert join(["<", Html("<br>")]) == "&lt;<br>"
    assert tag("input", required=True, disabled=False, value=None, aria_label="x", for_="y") == (
        '<input required aria-label="x" for="y">'
    )


def test_nothing_that_is_typed_or_named_becomes_markup(api):
    """Names, descriptions, texts and fields stand on the pages escaped, in the order as in the form and the portal."""
    product = api.product(name=EVIL, description=EVIL)["id"]
    price = api.price(product, recurring={"interval": "month"})["id"]
    field = {"key": "k", "label": {"type": "custom", "custom": EVIL}, "type": "text", "text": {"default_value": EVIL}}
    form = {
        "mode": "subscription",
        "line_items": [{"price": price, "quantity": 1}],
        "custom_fields": [field],
        "custom_text": {"submit": {"message": EVIL}, "after_submit": {"message": EVIL}},
        "branding_settings": {"display_name": EVIL},
        "cancel_url": f"https://example.com/?{EVIL}",
        "allow_promotion_codes": True,
    }
    person = Person(api.sandbox).visit(opened(api, **form)["url"])
    pages = [person.html, person.press("code", code=EVIL).html, person.pay(email=EVIL, card_name=EVIL).html]
    api.post(
        "/v1/billing_portal/configurations",
        {"features": {"invoice_history": {"enabled": True}}, "business_profile": {"headline": EVIL}},
    )
    customer = api.customer(
        name=EVIL, payment_method="pm_card_visa", invoice_settings={"default_payment_method": "pm_card_visa"}
    )["id"]
    api.post("/v1/subscriptions", {"customer": customer, "items": [{"price": price}]})
    portal = api.post("/v1/billing_portal/sessions", {"customer": customer})
    invoice = api.get("/v1/invoices")["data"][0]["hosted_invoice_url"]
    pages += [Person(api.sandbox).visit(url).html for url in (portal["url"], invoice)]
    for page in pages:
        assert "<script" not in page
        assert html.escape(EVIL) in page


def test_every_input_has_a_label(api, session):
    """Each field a person fills in has a label of its own; the summary of errors is announced."""
    fields = [{"key": "k", "label": {"type": "custom", "custom": "K"}, "type": "numeric"}]
    asked = {"custom_fields": fields, "phone_number_collection": {"enabled": True}, "allow_promotion_codes": True}
    for one in (session, opened(api, **asked, billing_address_collection="required")):
        person = Person(api.sandbox).visit(one["url"])
        named = set(re.findall(r'<(?:input|select)(?![^>]*type="hidden")[^>]* name="(\w+)"', person.html))
        assert named <= person.page.labels
        assert len(named) >= 5
    assert 'role="alert"' not in person.html
    assert 'role="alert" aria-labelledby="problems"' in person.pay(email="nonsense").html
    assert "name@example.com" in person.problems[0]


def test_pages_say_that_nothing_is_real(api, session):
    """Every page carries the badge of test mode and loads nothing: no script, no image, no frame."""
    reply = api.sandbox.dispatch(Request("GET", urlsplit(session["url"]).path))
    assert "Test mode" in reply.body.decode()
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert (reply.headers["cache-control"], reply.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert document("x").headers == {name: reply.headers[name] for name in document("x").headers}


@pytest.mark.parametrize("token", [None, "", "0" * 64, "\u00fc" * 64, "\udcff"])
def test_a_form_from_elsewhere_is_refused(api, session, token):
    """A form without the page's token, or with another page's, does nothing; the page's own works."""
    path = urlsplit(session["url"]).path
    form = {"do": "buy", "email": "ann@example.com", **CARD} | ({} if token is None else {"token": token})
    reply = api.sandbox.dispatch(Request("POST", path, {}, urlencode(form, errors="surrogatepass").encode()))
    assert (reply.status, b"expired" in reply.body) == (403, True)
    other = Person(api.sandbox).visit(opened(api)["url"]).page.forms[0]["token"]
    reply = api.sandbox.dispatch(Request("POST", path, {}, urlencode({**form, "token": other}).encode()))
    assert reply.status == 403
    assert api.ids("/v1/charges") == []
    assert Person(api.sandbox).visit(session["url"]).pay().location == "https://example.com/done"


def test_pages_lead_only_where_their_session_says(api, session):
    """No field of a form or of an address changes where a page leads; only the session's addresses are left to."""
    person = Person(api.sandbox).visit(
        f"{session['url']}?success_url=https://evil.example&return_url=https://evil.example"
    )
    person.pay(success_url="https://evil.example", cancel_url="https://evil.example", return_url="https://evil.example")
    assert person.location == "https://example.com/done"


def test_an_address_of_any_language_is_led_to(api):
    """A header holds ASCII only: the rest of the shop's address is percent-encoded, what is so already stays."""
    session = opened(api, success_url="https://example.com/gr\u00fc\u00dfe?a=%20b&id={CHECKOUT_SESSION_ID}#\u65e5")
    person = Person(api.sandbox).visit(session["url"]).pay()
    assert person.location == f"https://example.com/gr%C3%BC%C3%9Fe?a=%20b&id={session['id']}#%E6%97%A5"


def test_pages_belong_to_one_account(api, account, session):
    """A page works on the account it was made in, whoever visits; a name that was never published is a 404 page."""
    other = account(api.sandbox, "sk_test_other")
    Person(api.sandbox).visit(session["url"]).pay()
    assert len(api.ids("/v1/charges")) == 1
    assert other.ids("/v1/charges") == []
    for path in (
        "/c/pay/cs_test_nope",
        "/pay/test_nope",
        "/p/session/test_nope",
        "/i/in_nope",
        "/sandbox/authenticate/pi_x",
    ):
        person = Person(api.sandbox).visit(path)
        assert (person.status, "Page not found" in person.text) == (404, True)


def test_pages_are_read_and_posted_to_only(api, session):
    """Another method is a 405 page, and what is not a page is still Stripe's 404 in JSON."""
    path = urlsplit(session["url"]).path
    assert api.sandbox.dispatch(Request("GET", path)).status == 200
    assert api.sandbox.dispatch(Request("DELETE", path)).status == 405
    assert b"Unrecognized request URL" in api.sandbox.dispatch(Request("GET", "/c/pay/a/b", api.headers)).body


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"card_number": "4242 4242 4242 4241"}, "Your card number is incorrect."),
        ({"card_number": ""}, "Enter your card number."),
        ({"card_expiry": "13/34"}, "Your card's expiration month is invalid."),
        ({"card_expiry": "01/20"}, "Your card's expiration year is invalid."),
        ({"card_expiry": "soon"}, "Enter the card's expiry as month and year, for example 12 / 34."),
        ({"card_cvc": "12"}, "Your card's security code is invalid."),
        ({"card_cvc": ""}, "Enter your card's security code."),
        ({"email": "ann@"}, "Enter an email address like name@example.com."),
    ],
)
def test_mistakes_are_told(api, session, typed, problem):
    """What is typed wrong is said on the page, nothing is charged, and the corrected form is paid.

    Source of the card's texts: https://docs.stripe.com/testing#invalid-data.
    """
    person = Person(api.sandbox).visit(session["url"])
    assert person.pay(**typed).problems == [problem]
    assert api.ids("/v1/charges") == []
    assert person.pay().location == "https://example.com/done"


def test_blocked_brands_are_refused(api):
    """A brand that the session blocks is refused before anything is charged; another brand is paid."""
    options = {"card": {"restrictions": {"brands_blocked": ["visa"]}}}
    session = opened(api, payment_method_options=options)
    person = Person(api.sandbox).visit(session["url"])
    assert "brand" in person.pay().problems[0]
    assert person.pay("5555 5555 5555 4444").location == "https://example.com/done"


def test_the_way_back_is_there(api, session):
    """A session with ``cancel_url`` has a link back, one without has none; leaving changes nothing."""
    back = opened(api, cancel_url="https://example.com/cart")
    assert Person(api.sandbox).visit(back["url"]).page.links["\u2190 Back"] == "https://example.com/cart"
    assert Person(api.sandbox).visit(session["url"]).page.links == {}
    assert api.get(f"/v1/checkout/sessions/{back['id']}")["status"] == "open"


def test_intents_of_the_api_have_a_page_for_the_bank(api):
    """The ``next_action`` of a confirmed intent leads to a page, and that back with the outcome in the address.

    Source: https://docs.stripe.com/payments/3d-secure/authentication-flow.
    """
    back = {"return_url": "https://example.com/back?x=1"}
    for success, status in ((True, "succeeded"), (False, "requires_payment_method")):
        intent = api.pay("pm_card_authenticationRequired", **back)
        person = Person(api.sandbox).visit(intent["next_action"]["redirect_to_url"]["url"])
        person.press("authenticate", result="success" if success else "failure")
        result = "succeeded" if success else "failed"
        secret = f"payment_intent={intent['id']}&payment_intent_client_secret={intent['client_secret']}"
        assert person.location == f"https://example.com/back?x=1&{secret}&redirect_status={result}"
        assert api.get(f"/v1/payment_intents/{intent['id']}")["status"] == status


def test_open_invoices_are_paid_on_their_page(api):
    """A finalized invoice has a page that shows its lines; an open one is paid there, once; a draft has none."""
    customer = api.customer(email="ann@example.com")["id"]
    form = {"customer": customer, "collection_method": "send_invoice", "days_until_due": 3}
    draft = api.post("/v1/invoices", form)
    assert draft["hosted_invoice_url"] is None
    item = {"customer": customer, "invoice": draft["id"], "amount": 700, "currency": "usd", "description": "Work"}
    api.post("/v1/invoiceitems", item)
    final = api.post(f"/v1/invoices/{draft['id']}/finalize")
    person = Person(api.sandbox).visit(final["hosted_invoice_url"])
    assert "Work $7.00" in person.text
    assert person.press("pay", **{**CARD, "card_number": "4000 0000 0000 9995"}).problems
    person.press("pay", **{**CARD, "card_number": CHALLENGED}).press("authenticate", result="success")
    assert api.get(f"/v1/invoices/{draft['id']}")["status"] == "paid"
    assert person.page.forms == []
    assert "no PDF" in Person(api.sandbox).visit(final["invoice_pdf"]).text


def test_a_served_sandbox_has_its_own_addresses(open_sandbox, account):
    """Addresses lead to the server that serves the sandbox, also those of objects made before it was served."""
    server = pytest.importorskip("reconciler.sandbox.server")
    sandbox = open_sandbox(clock=None)
    api = account(sandbox)
    session = opened(api)
    assert session["url"].startswith("http://127.0.0.1/c/pay/")
    with server.Server(sandbox) as served:
        url = api.get(f"/v1/checkout/sessions/{session['id']}")["url"]
        assert url == f"{served.url}/c/pay/{session['id']}"


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_real_browser_buys(open_sandbox, account):
    """Chromium fills the form in, is declined, pays with another card and arrives at the success address.

    The address is that of another page of the sandbox, so that the browser needs no network.
    """
    server = pytest.importorskip("reconciler.sandbox.server")
    sandbox = open_sandbox(clock=None)
    api = account(sandbox)
    with server.Server(sandbox) as served:
        price = api.price(api.product()["id"])["id"]
        target = api.post("/v1/payment_links", {"line_items": [{"price": price, "quantity": 1}]})
        api.post(f"/v1/payment_links/{target['id']}", {"active": False, "inactive_message": "Welcome back"})
        session = opened(api, success_url=target["url"])
        with Browser() as browser:
            browser.go(session["url"])
            assert "TEST MODE" in browser.text().upper()
            card = {"email": "ann@example.com", **CARD, "card_number": "4000000000000002"}
            browser.fill(card)
            browser.submit("buy")
            assert "Your card was declined." in browser.text()
            browser.fill({**card, "card_number": "4242424242424242"})
            browser.submit("buy")
            assert "Welcome back" in browser.text()
        assert served.url in target["url"]
    assert api.get(f"/v1/checkout/sessions/{session['id']}")["payment_status"] == "paid"
