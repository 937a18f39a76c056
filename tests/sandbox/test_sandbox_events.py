"""Events for every change, and what replies show with and without ``expand``."""

import json

import pytest


def test_an_event_tells_what_happened(api, now):
    """An event holds the object as shown, the request that made it and its idempotency key."""
    reply = api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    (event,) = api.events()
    assert event == {
        "id": event["id"],
        "object": "event",
        "api_version": reply.headers["stripe-version"],
        "created": now,
        "data": {"object": json.loads(reply.body)},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": reply.headers["request-id"], "idempotency_key": "k"},
        "type": "product.created",
    }
    assert api.get(f"/v1/events/{event['id']}") == event


def test_every_kind_of_change_has_its_event(api):
    """Create, update, delete and the meter's switches are told in order; features and attachments have no events."""
    product, meter, coupon = api.product()["id"], api.meter()["id"], api.coupon()["id"]
    price, code = api.price(product)["id"], api.code(coupon)["id"]
    rate = api.post("/v1/tax_rates", {"display_name": "x", "inclusive": True, "percentage": 1})["id"]
    api.post(f"/v1/products/{product}/features", {"entitlement_feature": api.feature()["id"]})
    api.post(f"/v1/products/{product}", {"name": "y"})
    api.post(f"/v1/prices/{price}", {"nickname": "y"})
    api.post(f"/v1/billing/meters/{meter}", {"display_name": "y"})
    api.post(f"/v1/billing/meters/{meter}/deactivate")
    api.post(f"/v1/billing/meters/{meter}/reactivate")
    api.post(f"/v1/coupons/{coupon}", {"name": "y"})
    api.post(f"/v1/promotion_codes/{code}", {"active": False})
    api.post(f"/v1/tax_rates/{rate}", {"active": False})
    api.ok("DELETE", f"/v1/coupons/{coupon}")
    created = "product billing.meter coupon price promotion_code tax_rate"
    updated = "product price billing.meter"
    expected = [f"{kind}.created" for kind in created.split()] + [f"{kind}.updated" for kind in updated.split()]
    expected += ["billing.meter.deactivated", "billing.meter.reactivated"]
    expected += ["coupon.updated", "promotion_code.updated", "tax_rate.updated", "coupon.deleted"]
    assert [event["type"] for event in api.events()] == expected


def test_an_update_tells_what_was_before(api):
    """Changed fields carry their old value, metadata by key with null for a new key; hidden fields do not appear."""
    product = api.product(metadata={"a": "1", "b": "2"})["id"]
    api.post(f"/v1/products/{product}", {"description": "d", "metadata": {"a": "9", "b": "", "c": "3"}})
    event = api.events(type="product.updated")[0]
    assert event["data"]["previous_attributes"] == {"description": None, "metadata": {"a": "1", "b": "2", "c": None}}
    price = api.price(product, currency_options={"eur": {"unit_amount": 1}})["id"]
    api.post(f"/v1/prices/{price}", {"currency_options": {"eur": {"unit_amount": 2}}, "nickname": "n"})
    data = api.events(type="price.updated")[0]["data"]
    assert data["previous_attributes"] == {"nickname": None}
    assert "currency_options" not in data["object"]


def test_a_change_of_nothing_is_no_event(open_sandbox, account):
    """Saying what is already so leaves ``updated`` alone and tells no one; a real change does both."""
    time = [10]
    api = account(open_sandbox(clock=lambda: time[0]))
    product = api.product()["id"]
    time[0] = 20
    assert api.post(f"/v1/products/{product}", {"name": "Pro"})["updated"] == 10
    assert len(api.events()) == 1
    assert api.post(f"/v1/products/{product}", {"name": "New"})["updated"] == 20
    assert api.events(type="product.updated")[0]["data"]["previous_attributes"] == {"name": "Pro", "updated": 10}


def test_a_refused_change_is_no_event(api):
    """Refusals and dropped transactions leave no event behind."""
    product = api.product()["id"]
    api.refused("POST", f"/v1/products/{product}", {"name": "y", "default_price": "nope"})
    api.refused("POST", "/v1/products", {"name": "x", "id": "x", "default_price_data": {"currency": "usd"}})
    assert [event["type"] for event in api.events()] == ["product.created"]


def test_a_product_with_its_price_tells_the_product_first(api):
    """``product.created`` comes before ``price.created`` and already names the default price."""
    product = api.product(default_price_data={"currency": "usd", "unit_amount": 1})
    first, second = api.events()
    assert (first["type"], second["type"]) == ("product.created", "price.created")
    assert first["data"]["object"]["default_price"] == second["data"]["object"]["id"] == product["default_price"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"type": "product.created"}, ["product.created"]),
        ({"type": "product.*"}, ["product.created", "product.updated"]),
        ({"type": "billing.meter.*"}, ["billing.meter.created"]),
        ({"type": "billing.*"}, ["billing.meter.created"]),
        ({"type": "*"}, ["product.created", "product.updated", "billing.meter.created"]),
        ({"types": ["product.created", "billing.meter.created"]}, ["product.created", "billing.meter.created"]),
        ({"types": ["product.created", "product.*"]}, ["product.created", "product.updated"]),
        ({"type": "price.created"}, []),
        ({"delivery_success": False}, []),
        ({"delivery_success": True, "type": "product.created"}, ["product.created"]),
    ],
)
def test_events_are_found_by_type(api, filters, expected):
    """A type, a group of types and several types select; what matches twice is shown once."""
    product = api.product()["id"]
    api.post(f"/v1/products/{product}", {"name": "y"})
    api.meter()
    assert [event["type"] for event in api.events(**filters)] == expected


def test_events_are_listed_for_thirty_days(open_sandbox, account):
    """An event older than 30 days is not listed any more, a younger one is."""
    time = [0]
    api = account(open_sandbox(clock=lambda: time[0]))
    api.product(id="old")
    time[0] = 30 * 86_400
    api.product(id="new")
    assert len(api.events()) == 2
    time[0] += 1
    assert [event["data"]["object"]["id"] for event in api.events()] == ["new"]


def test_events_cannot_be_written(api):
    """There is no way to create, change or delete an event."""
    api.product()
    event = api.events()[0]["id"]
    for method, path in (("POST", "/v1/events"), ("POST", f"/v1/events/{event}"), ("DELETE", f"/v1/events/{event}")):
        assert api.refused(method, path)["status"] == 404


@pytest.mark.parametrize(
    ("path", "expand"),
    [
        ("/v1/prices/{price}", "product"),
        ("/v1/prices/{price}", "product.default_price"),
        ("/v1/prices/{price}", "product.default_price.product"),
        ("/v1/prices/{price}", "product.default_price.product.default_price"),
        ("/v1/promotion_codes/{code}", "promotion.coupon"),
    ],
)
def test_references_are_expanded_to_four_levels(api, path, expand):
    """Each segment of a path turns an id into its object; without it, it stays an id."""
    product = api.product(default_price_data={"currency": "usd", "unit_amount": 1})
    ids = {"price": product["default_price"], "code": api.code(api.coupon()["id"])["id"]}
    where = path.format(**ids)
    shown, plain = api.get(where, {"expand": [expand]}), api.get(where)
    for segment in expand.split("."):
        shown = shown[segment]
        plain = plain[segment] if isinstance(plain, dict) else plain
    assert isinstance(shown, dict)
    assert isinstance(plain, str)


@pytest.mark.parametrize(
    "expand", ["bogus", "product.bogus", "metadata", "id", "", "data.product", "product.", "tiers.x"]
)
def test_what_cannot_be_expanded_is_refused_before_execution(api, expand):
    """A path that leads nowhere is a 400 naming ``expand``, and nothing is created."""
    product = api.product()["id"]
    form = {"product": product, "currency": "usd", "unit_amount": 1}
    error = api.refused("POST", "/v1/prices", {**form, "expand": [expand]})
    assert error["status"] == 400
    assert error["param"].startswith("expand")
    assert api.ids("/v1/prices") == []
    api.post("/v1/prices", {**form, "expand": ["product"]})


def test_five_levels_are_too_many(api):
    """Four levels are expanded, a fifth is refused; in lists ``data`` counts."""
    product = api.product(default_price_data={"currency": "usd", "unit_amount": 1})
    path = ".".join(["product", "default_price"] * 2)
    assert api.get(f"/v1/prices/{product['default_price']}", {"expand": [path]})
    error = api.refused("GET", f"/v1/prices/{product['default_price']}", {"expand": [f"{path}.product"]})
    assert "4 levels" in error["message"]
    assert api.refused("GET", "/v1/prices", {"expand": [f"data.{path}"]})["param"] == "expand"


def test_lists_are_expanded_through_data(api):
    """Elements are expanded with ``data.``, what they do not have stays away; without ``data.`` the refusal says so."""
    api.price(api.product()["id"])
    shown = api.get("/v1/prices", {"expand": ["data.product", "data.tiers"]})["data"][0]
    assert shown["product"]["object"] == "product"
    assert "tiers" not in shown
    error = api.refused("GET", "/v1/prices", {"expand": ["product"]})
    assert "'data.product'" in error["message"]
