"""Payment links: what they sell, what they refuse, and the session that every visit opens."""

import pytest

from tests.sandbox.person import Person


@pytest.fixture
def price(api):
    """Return the id of a one-time price of 10.00 usd."""
    return api.price(api.product()["id"])["id"]


@pytest.fixture
def monthly(api):
    """Return the id of a monthly price of 10.00 usd."""
    return api.price(api.product()["id"], recurring={"interval": "month"})["id"]


def link(api, price, **form):
    """Create a payment link for one unit of a price."""
    return api.post("/v1/payment_links", {"line_items": [{"price": price, "quantity": 1}], **form})


def test_a_link_is_complete(api, price):
    """Every field of the documented object is there with its default; its lines only when expanded.

    Source: https://docs.stripe.com/api/payment-link/object.
    """
    made = link(api, price)
    slug = made["url"].removeprefix("http://127.0.0.1/pay/test_")
    assert len(slug) == 18
    assert made["after_completion"] == {"hosted_confirmation": {"custom_message": None}, "type": "hosted_confirmation"}
    assert (made["currency"], made["customer_creation"], made["submit_type"]) == ("usd", "if_required", "auto")
    assert made["subscription_data"]["invoice_settings"] == {"issuer": {"type": "self"}}
    nothing = ("application", "consent_collection", "inactive_message", "payment_intent_data", "restrictions")
    assert [made[name] for name in nothing] == [None] * 5
    assert "line_items" not in made
    assert [event["type"] for event in api.events(type="payment_link.created")] == ["payment_link.created"]


def test_lines_are_listed_and_expanded(api, price, monthly):
    """Both ways show the lines of the link in their order, with price, quantity and amounts; another link's are not."""
    decoy = link(api, price)
    lines = [{"price": monthly, "quantity": 2}, {"price": price, "quantity": 3}]
    expand = {"expand": ["line_items.data.price.product"]}
    made = api.post("/v1/payment_links", {"line_items": lines, **expand})
    first, second = made["line_items"]["data"]
    assert (first["price"]["id"], first["quantity"], first["amount_total"]) == (monthly, 2, 2000)
    assert first["price"]["product"]["name"] == second["description"] == "Pro"
    path = f"/v1/payment_links/{made['id']}/line_items"
    assert api.ids(path) == [first["id"], second["id"]]
    assert api.ids(path, {"starting_after": first["id"]}) == [second["id"]]
    assert api.get(path, {"limit": 1})["has_more"] is True
    assert len(api.ids(f"/v1/payment_links/{decoy['id']}/line_items")) == 1
    assert api.refused("GET", "/v1/payment_links/plink_nope/line_items")["status"] == 404


@pytest.mark.parametrize(
    ("good", "change", "param"),
    [
        ({}, {"line_items": None}, "line_items"),
        ({}, {"quantity": 0}, "line_items[0][quantity]"),
        ({}, {"price": "price_nope"}, "line_items[0][price]"),
        ({"currency": "usd"}, {"currency": "eur"}, "line_items[0][price]"),
        ({}, {"currency": "xyz"}, "currency"),
        ({}, {"subscription_data": {"trial_period_days": 3}}, "subscription_data"),
        ({}, {"payment_method_collection": "if_required"}, "payment_method_collection"),
        (
            {"after_completion": {"type": "redirect", "redirect": {"url": "https://example.com/"}}},
            {"after_completion": {"type": "redirect", "redirect": {"url": "javascript:alert(1)"}}},
            "after_completion[redirect][url]",
        ),
        ({}, {"after_completion": {"type": "redirect"}}, "after_completion[redirect]"),
        (
            {"restrictions": {"completed_sessions": {"limit": 1}}},
            {"restrictions": {"completed_sessions": {"limit": 0}}},
            "restrictions[completed_sessions][limit]",
        ),
        (
            {"adjustable_quantity": {"enabled": True, "maximum": 999_999}},
            {"adjustable_quantity": {"enabled": True, "maximum": 1_000_000}},
            "line_items[0][adjustable_quantity][maximum]",
        ),
        ({}, {"application_fee_amount": 1}, "application_fee_amount"),
        ({"automatic_tax": {"enabled": False}}, {"automatic_tax": {"enabled": True}}, "automatic_tax[enabled]"),
        ({"payment_method_types": ["card"]}, {"payment_method_types": ["klarna"]}, "payment_method_types"),
        (
            {},
            {"custom_fields": [{"key": "a b", "label": {"type": "custom", "custom": "L"}, "type": "text"}]},
            "custom_fields[0][key]",
        ),
        (
            {"custom_text": {"submit": {"message": "x" * 1200}}},
            {"custom_text": {"submit": {"message": "x" * 1201}}},
            "custom_text[submit][message]",
        ),
    ],
)
def test_a_link_that_stripe_would_not_make_is_refused(api, price, good, change, param):
    """The good form makes a link; the same form with one change is a 400 that names the parameter.

    Source: https://docs.stripe.com/api/payment-link/create.
    """

    def form(given):
        line = {"price": price, "quantity": 1} | {
            k: v for k, v in given.items() if k in {"quantity", "price", "adjustable_quantity"}
        }
        rest = {k: v for k, v in given.items() if k not in line}
        return {name: value for name, value in {"line_items": [line], **rest}.items() if value is not None}

    api.post("/v1/payment_links", form(good))
    error = api.refused("POST", "/v1/payment_links", form({**good, **change}))
    assert (error["status"], error["param"]) == (400, param)


def test_inactive_prices_and_products_are_not_sold(api):
    """An archived price is refused with the text observed in public issues; so is a price of an archived product."""
    product = api.product()["id"]
    active, archived = api.price(product)["id"], api.price(product)["id"]
    link(api, active)
    api.post(f"/v1/prices/{archived}", {"active": False})
    error = api.refused("POST", "/v1/payment_links", {"line_items": [{"price": archived, "quantity": 1}]})
    assert error["message"] == "The price specified is inactive. This field only accepts active prices."
    assert error["param"] == "line_items[0][price]"
    api.post(f"/v1/products/{product}", {"active": False})
    assert api.refused("POST", "/v1/payment_links", {"line_items": [{"price": active, "quantity": 1}]})["status"] == 400


def test_at_most_twenty_lines_in_one_currency(api, price):
    """Twenty lines are taken and twenty-one are not; a line in another currency is refused unless it has an option."""
    lines = [{"price": price, "quantity": 1}] * 20
    api.post("/v1/payment_links", {"line_items": lines})
    assert api.refused("POST", "/v1/payment_links", {"line_items": [*lines, lines[0]]})["param"] == "line_items"
    product = api.product()["id"]
    euros = api.price(product, currency="eur")["id"]
    both = api.price(product, currency="eur", currency_options={"usd": {"unit_amount": 900}})["id"]
    error = api.refused("POST", "/v1/payment_links", {"line_items": [lines[0], {"price": euros, "quantity": 1}]})
    assert error["param"] == "line_items[1][price]"
    made = api.post(
        "/v1/payment_links", {"line_items": [lines[0], {"price": both, "quantity": 2}], "expand": ["line_items"]}
    )
    assert [line["amount_total"] for line in made["line_items"]["data"]] == [1000, 1800]


def test_price_data_makes_an_inline_price(api, price):
    """It makes a product and a price that is inactive and in no list; a mistake inside is named by its whole path.

    Source: the SDK's docstring of ``GET /v1/prices`` ("excluding inline prices").
    """
    data = {"currency": "usd", "unit_amount": 700, "product_data": {"name": "Box"}}
    line = {"price_data": data, "quantity": 2}
    made = api.post("/v1/payment_links", {"line_items": [line], "expand": ["line_items"]})
    inline = made["line_items"]["data"][0]["price"]
    assert (inline["active"], inline["unit_amount"]) == (False, 700)
    assert api.ids("/v1/prices") == api.ids("/v1/prices", {"active": True}) == [price]
    assert api.ids("/v1/prices", {"active": False}) == []
    bad = {**line, "price_data": {**data, "recurring": {"interval": "year", "interval_count": 4}}}
    param = api.refused("POST", "/v1/payment_links", {"line_items": [bad]})["param"]
    assert param == "line_items[0][price_data][recurring][interval_count]"


def test_lists_filter_by_active(api, price):
    """``active`` keeps the links in that state, and without it all are listed, newest first."""
    first, second = link(api, price)["id"], link(api, price)["id"]
    assert api.post(f"/v1/payment_links/{first}", {"active": False})["active"] is False
    assert api.ids("/v1/payment_links") == [second, first]
    assert api.ids("/v1/payment_links", {"active": True}) == [second]
    assert api.ids("/v1/payment_links", {"active": False}) == [first]


def test_an_update_changes_what_it_names(api, price):
    """Quantities of named lines change, others stay; metadata merges, the subscription's is declared anew.

    Source: https://docs.stripe.com/api/payment-link/update.
    """
    lines = [{"price": price, "quantity": 1}, {"price": price, "quantity": 5}]
    made = api.post("/v1/payment_links", {"line_items": lines, "metadata": {"a": "1"}, "expand": ["line_items"]})
    one, five = (line["id"] for line in made["line_items"]["data"])
    path = f"/v1/payment_links/{made['id']}"
    change = {"line_items": [{"id": one, "quantity": 4}], "metadata": {"b": "2"}, "expand": ["line_items"]}
    changed = api.post(path, change)
    assert [(line["id"], line["quantity"]) for line in changed["line_items"]["data"]] == [(one, 4), (five, 5)]
    assert changed["metadata"] == {"a": "1", "b": "2"}
    assert api.refused("POST", path, {"line_items": [{"id": "li_nope", "quantity": 1}]})["param"] == "line_items[0][id]"
    first = api.post(path, {"payment_intent_data": {"metadata": {"a": "1"}}})
    second = api.post(path, {"payment_intent_data": {"metadata": {"b": "2"}}})
    assert first["payment_intent_data"]["metadata"] == {"a": "1"}
    assert second["payment_intent_data"]["metadata"] == {"b": "2"}
    assert api.refused("POST", path, {"currency": "eur"})["code"] == "parameter_unknown"


def test_every_visit_opens_a_session(api, sandbox, monthly):
    """A visit leads to a new session that takes the link's settings and the address's parameters.

    Source: https://docs.stripe.com/payment-links/url-parameters.
    """
    made = link(
        api, monthly, metadata={"k": "v"}, subscription_data={"trial_period_days": 7}, allow_promotion_codes=True
    )
    code = api.code(api.coupon()["id"], code="HELLO")["id"]
    decoy = Person(sandbox).visit(made["url"])
    person = Person(sandbox).visit(
        f"{made['url']}?client_reference_id=ref-1&prefilled_email=ann@example.com&prefilled_promo_code=hello&utm_source=x"
    )
    assert person.path != decoy.path
    latest, first = api.get("/v1/checkout/sessions", {"payment_link": made["id"]})["data"]
    assert person.path == f"/c/pay/{latest['id']}"
    assert (latest["client_reference_id"], first["client_reference_id"]) == ("ref-1", None)
    assert (latest["mode"], latest["metadata"], latest["amount_total"]) == ("subscription", {"k": "v"}, 0)
    assert latest["customer_details"]["email"] == "ann@example.com"
    assert latest["discounts"] == [{"coupon": None, "promotion_code": code}]
    odd = Person(sandbox).visit(f"{made['url']}?client_reference_id=a%20b&prefilled_promo_code=nope")
    assert odd.status == 200
    assert api.get("/v1/checkout/sessions")["data"][0]["client_reference_id"] is None


def test_a_link_paid_as_often_as_it_may_be_is_deactivated(api, sandbox, price):
    """The last completed session deactivates the link; a session opened before cannot be paid any more.

    Source: https://docs.stripe.com/payment-links/customize ("Limit the number of payments").
    """
    restrictions = {"restrictions": {"completed_sessions": {"limit": 1}}, "inactive_message": "Sold out."}
    made, decoy = link(api, price, **restrictions), link(api, price, **restrictions)
    early, late = Person(sandbox).visit(made["url"]), Person(sandbox).visit(made["url"])
    early.pay()
    assert "Thanks for your payment" in early.text
    after = api.get(f"/v1/payment_links/{made['id']}")
    assert after["restrictions"] == {"completed_sessions": {"count": 1, "limit": 1}}
    assert (after["active"], api.get(f"/v1/payment_links/{decoy['id']}")["active"]) == (False, True)
    assert "Sold out." in Person(sandbox).visit(made["url"]).text
    assert late.pay().problems == ["Sold out."]
    assert len(api.get("/v1/payment_intents")["data"]) == 1
    assert api.events(type="payment_link.updated")[-1]["data"]["previous_attributes"]["active"] is True


def test_a_link_whose_price_was_archived_says_so(api, sandbox):
    """A visitor is told, no session is opened; before, one is."""
    product = api.product()["id"]
    price = api.price(product)["id"]
    made = link(api, price)
    assert Person(sandbox).visit(made["url"]).status == 200
    api.post(f"/v1/prices/{price}", {"active": False})
    person = Person(sandbox).visit(made["url"])
    assert (person.status, "not available" in person.text) == (400, True)
    assert len(api.ids("/v1/checkout/sessions")) == 1
