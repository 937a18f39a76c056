"""Products, meters, features and their attachments, tax rates, the account."""

import pytest


def test_a_product_is_complete(api, now):
    """Every field of the documented object is there with its default, under the chosen id."""
    assert api.product(id="acme_pro") == {
        "id": "acme_pro",
        "object": "product",
        "active": True,
        "created": now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": "Pro",
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "tax_details": None,
        "type": "service",
        "unit_label": None,
        "updated": now,
        "url": None,
    }


def test_everything_a_product_can_say_comes_back(api):
    """All fields are stored as given, changed by an update and unset by ``''`` where the type allows it."""
    said = {
        "description": "d",
        "images": ["https://example.test/i.png"],
        "marketing_features": [{"name": "fast"}],
        "metadata": {"k": "v"},
        "package_dimensions": {"height": 1, "length": 2.5, "weight": 3, "width": 4},
        "shippable": True,
        "statement_descriptor": "ACME PRO",
        "tax_code": "txcd_10103000",
        "tax_details": {"performance_location": "taxloc_x", "tax_code": "txcd_10103000"},
        "unit_label": "seat",
        "url": "https://example.test/pro",
    }
    product = api.product(**said)
    assert {key: product[key] for key in said} == said
    clearable = (
        "description",
        "images",
        "marketing_features",
        "metadata",
        "package_dimensions",
        "tax_code",
        "unit_label",
        "url",
    )
    cleared = api.post(f"/v1/products/{product['id']}", dict.fromkeys(clearable, ""))
    empty = {"images": [], "marketing_features": [], "metadata": {}}
    assert {key: cleared[key] for key in clearable} == {key: empty.get(key) for key in clearable}
    assert cleared["shippable"] is True


@pytest.mark.parametrize(
    ("bad", "param"),
    [
        ({"name": ""}, "name"),
        ({"unit_label": "thirteen char"}, "unit_label"),
        ({"statement_descriptor": "x" * 23}, "statement_descriptor"),
        ({"statement_descriptor": "123"}, "statement_descriptor"),
        ({"statement_descriptor": "ACME <1>"}, "statement_descriptor"),
        ({"images": [f"https://example.test/{n}" for n in range(9)]}, "images"),
        ({"images": ["not a url"]}, "images"),
        ({"marketing_features": [{"name": "x"}] * 16}, "marketing_features"),
        ({"marketing_features": [{"name": "x" * 81}]}, "marketing_features[0][name]"),
        ({"url": "example"}, "url"),
        ({"tax_code": "txcd_1"}, "tax_code"),
        ({"package_dimensions": {"height": 0, "length": 1, "weight": 1, "width": 1}}, "package_dimensions[height]"),
        ({"id": "taken"}, "id"),
        ({"id": "x" * 256}, "id"),
    ],
)
def test_a_product_that_stripe_would_not_take_is_refused(api, bad, param):
    """The longest and most that is allowed is taken; one more, or a wrong kind of text, is a 400 that names it."""
    api.product(
        id="taken",
        unit_label="twelve chars",
        statement_descriptor="x" * 22,
        images=[f"https://example.test/{n}" for n in range(8)],
        marketing_features=[{"name": "x" * 80}] * 15,
    )
    error = api.refused("POST", "/v1/products", {"name": "Pro", **bad})
    assert (error["status"], error["param"]) == (400, param)


def test_a_default_price_is_made_with_the_product_and_can_be_expanded(api):
    """``default_price_data`` makes a price of the product; ``default_price`` is its id, or the price when expanded."""
    data = {"currency": "usd", "unit_amount": 500, "recurring": {"interval": "month"}}
    product = api.product(default_price_data=data, expand=["default_price"])
    assert product["default_price"]["product"] == product["id"]
    assert product["default_price"]["recurring"]["interval"] == "month"
    assert api.get(f"/v1/products/{product['id']}")["default_price"] == product["default_price"]["id"]
    bad = {"name": "x", "id": "x", "default_price_data": {"currency": "usd"}}
    api.refused("POST", "/v1/products", bad)
    assert api.refused("GET", "/v1/products/x")["status"] == 404


def test_a_default_price_belongs_to_the_product_and_is_active(api):
    """Prices of others, archived ones and unknown ones are refused; a good one is set and unset."""
    product, other = api.product()["id"], api.product()["id"]
    good, foreign, archived = api.price(product)["id"], api.price(other)["id"], api.price(product)["id"]
    api.post(f"/v1/prices/{archived}", {"active": False})
    path = f"/v1/products/{product}"
    assert api.post(path, {"default_price": good})["default_price"] == good
    for price in (foreign, archived, "price_nope"):
        assert api.refused("POST", path, {"default_price": price})["param"] == "default_price"
    assert api.post(path, {"default_price": ""})["default_price"] is None


def test_a_product_does_not_take_its_prices_along(api):
    """Deactivating a product leaves its prices active."""
    product = api.product()["id"]
    price = api.price(product)["id"]
    api.post(f"/v1/products/{product}", {"active": False})
    assert api.ids("/v1/prices", {"active": True}) == [price]


def test_a_product_with_prices_cannot_be_deleted(api):
    """A price, archived or not, keeps its product; a product without any is deleted and gone."""
    kept, gone = api.product()["id"], api.product()["id"]
    price = api.price(kept)["id"]
    for _ in range(2):
        error = api.refused("DELETE", f"/v1/products/{kept}")
        assert (error["status"], error["code"]) == (400, None)
        api.post(f"/v1/prices/{price}", {"active": False})
    assert api.ok("DELETE", f"/v1/products/{gone}") == {"id": gone, "object": "product", "deleted": True}
    error = api.refused("GET", f"/v1/products/{gone}")
    assert (error["status"], error["code"], error["param"]) == (404, "resource_missing", "id")
    assert api.ids("/v1/products") == [kept]
    deleted = api.events(type="product.deleted")[0]["data"]["object"]
    assert (deleted["id"], deleted["active"]) == (gone, False)


def test_metadata_is_merged(api):
    """Absent keys stay, ``''`` unsets one, ``metadata=''`` clears all, and the merged result obeys the cap."""
    path = f"/v1/products/{api.product(metadata={'a': '1', 'b': '2'})['id']}"
    assert api.post(path, {"metadata": {"b": "", "c": "3"}})["metadata"] == {"a": "1", "c": "3"}
    assert api.post(path, {"metadata": {f"k{n}": "x" for n in range(48)}})["metadata"].keys() >= {"a", "c", "k47"}
    assert api.refused("POST", path, {"metadata": {"one_more": "x"}})["param"] == "metadata"
    assert api.post(path, {"metadata": ""})["metadata"] == {}


def test_a_meter_is_complete(api, now):
    """Every field of the documented object is there with its default."""
    meter = api.meter()
    assert meter["id"].startswith("mtr_test_")
    assert meter == {
        "id": meter["id"],
        "object": "billing.meter",
        "created": now,
        "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"},
        "default_aggregation": {"formula": "sum"},
        "display_name": "Calls",
        "event_name": "calls",
        "event_time_window": None,
        "livemode": False,
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        "updated": now,
        "value_settings": {"event_payload_key": "value"},
    }


def test_a_meter_is_switched_off_and_on(api, now):
    """Deactivation and reactivation change the status and say when; each happens once."""
    path = f"/v1/billing/meters/{api.meter()['id']}"
    api.refused("POST", f"{path}/reactivate")
    off = api.post(f"{path}/deactivate")
    assert (off["status"], off["status_transitions"]) == ("inactive", {"deactivated_at": now})
    api.refused("POST", f"{path}/deactivate")
    on = api.post(f"{path}/reactivate")
    assert (on["status"], on["status_transitions"]) == ("active", {"deactivated_at": None})
    assert api.post(path, {"display_name": "New"})["display_name"] == "New"
    assert api.refused("POST", path, {"event_name": "x"})["code"] == "parameter_unknown"


def test_an_event_name_has_one_meter(api):
    """A second meter of a name is refused, also after deactivation; another name is free."""
    form = {"display_name": "x", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    meter = api.meter("calls")["id"]
    api.meter("decoy")
    assert api.refused("POST", "/v1/billing/meters", form)["param"] == "event_name"
    api.post(f"/v1/billing/meters/{meter}/deactivate")
    assert api.refused("POST", "/v1/billing/meters", form)["param"] == "event_name"


@pytest.mark.parametrize(
    "bad",
    [
        {"display_name": "x" * 251},
        {"event_name": "x" * 101},
        {"default_aggregation": {"formula": "max"}},
        {"event_time_window": "week"},
        {"customer_mapping": {"type": "by_name", "event_payload_key": "x"}},
        {"value_settings": {"event_payload_key": "x" * 101}},
    ],
)
def test_a_meter_that_stripe_would_not_take_is_refused(api, bad):
    """Lengths and enumerations of a meter are those of its reference."""
    good = {"display_name": "x" * 250, "event_name": "x" * 100, "default_aggregation": {"formula": "last"}}
    assert api.post("/v1/billing/meters", {**good, "event_time_window": "hour"})["event_time_window"] == "hour"
    error = api.refused("POST", "/v1/billing/meters", {**good, "event_name": "other", **bad})
    assert error["param"].startswith(next(iter(bad)))


def test_a_feature_is_complete_and_its_key_unique_among_active(api):
    """A feature has no time and no event; its key is free again once it is archived, its decoy's never matters."""
    feature = api.feature("support")
    assert feature == {
        "id": feature["id"],
        "object": "entitlements.feature",
        "active": True,
        "livemode": False,
        "lookup_key": "support",
        "metadata": {},
        "name": "Support",
    }
    api.feature("decoy")
    form = {"lookup_key": "support", "name": "Again"}
    assert api.refused("POST", "/v1/entitlements/features", form)["param"] == "lookup_key"
    api.post(f"/v1/entitlements/features/{feature['id']}", {"active": False})
    assert api.post("/v1/entitlements/features", form)["id"] != feature["id"]
    assert api.events() == []


def test_an_archived_feature_stays_as_it_is(api):
    """An active feature changes name and metadata; an archived one neither changes nor comes back."""
    path = f"/v1/entitlements/features/{api.feature()['id']}"
    assert api.post(path, {"name": "New", "metadata": {"a": "b"}, "active": True})["name"] == "New"
    api.post(path, {"active": False})
    for change in ({"name": "x"}, {"active": True}, {"metadata": {"a": "c"}}):
        assert api.refused("POST", path, change)["status"] == 400
    assert api.get(path)["metadata"] == {"a": "b"}


def test_a_feature_is_attached_shown_whole_and_detached(api):
    """An attachment shows the feature itself, is listed under its product only, and its deletion leaves the feature."""
    product, decoy, feature = api.product()["id"], api.product()["id"], api.feature()
    path = f"/v1/products/{product}/features"
    attached = api.post(path, {"entitlement_feature": feature["id"]})
    assert attached == {
        "id": attached["id"],
        "object": "product_feature",
        "entitlement_feature": feature,
        "livemode": False,
    }
    api.post(f"/v1/products/{decoy}/features", {"entitlement_feature": feature["id"]})
    listed = api.get(path)
    assert (listed["url"], listed["data"]) == (path, [attached])
    assert api.get(f"{path}/{attached['id']}") == attached
    assert api.refused("GET", f"/v1/products/{decoy}/features/{attached['id']}")["status"] == 404
    assert api.refused("DELETE", f"/v1/products/{decoy}/features/{attached['id']}")["status"] == 404
    assert api.ok("DELETE", f"{path}/{attached['id']}")["deleted"] is True
    assert api.ids(path) == []
    assert len(api.ids(f"/v1/products/{decoy}/features")) == 1
    assert api.post(path, {"entitlement_feature": feature["id"]})["id"] != attached["id"]


def test_only_an_active_feature_is_attached_and_only_once(api):
    """Unknown, archived and already attached features are refused, and so is an unknown product."""
    product, feature, archived = api.product()["id"], api.feature("a")["id"], api.feature("b")["id"]
    api.post(f"/v1/entitlements/features/{archived}", {"active": False})
    path = f"/v1/products/{product}/features"
    api.post(path, {"entitlement_feature": feature})
    for other in (feature, archived, "feat_nope"):
        error = api.refused("POST", path, {"entitlement_feature": other})
        assert (error["status"], error["param"]) == (400, "entitlement_feature")
    assert api.refused("POST", "/v1/products/nope/features", {"entitlement_feature": feature})["status"] == 404


def test_a_tax_rate_is_complete(api, now):
    """Every field of the documented object is there, the read-only ones as observed; whole percentages are integers."""
    form = {"display_name": "VAT", "inclusive": False, "percentage": "8.875", "country": "DE", "tax_type": "vat"}
    rate = api.post("/v1/tax_rates", form)
    assert rate == {
        "id": rate["id"],
        "object": "tax_rate",
        "active": True,
        "country": "DE",
        "created": now,
        "description": None,
        "display_name": "VAT",
        "effective_percentage": 8.875,
        "flat_amount": None,
        "inclusive": False,
        "jurisdiction": None,
        "jurisdiction_level": None,
        "livemode": False,
        "metadata": {},
        "percentage": 8.875,
        "rate_type": "percentage",
        "state": None,
        "tax_type": "vat",
    }
    whole = api.post("/v1/tax_rates", {**form, "percentage": "20.0"})["percentage"]
    assert (whole, type(whole)) == (20, int)
    assert api.post(f"/v1/tax_rates/{rate['id']}", {"active": False})["active"] is False
    assert api.refused("POST", f"/v1/tax_rates/{rate['id']}", {"percentage": 1})["code"] == "parameter_unknown"
    assert api.refused("GET", "/v1/tax_rates/txr_nope")["param"] == "tax_rate"


@pytest.mark.parametrize(
    ("bad", "param"),
    [
        ({"percentage": "100.01"}, "percentage"),
        ({"percentage": -1}, "percentage"),
        ({"percentage": "1.00001"}, "percentage"),
        ({"display_name": "x" * 51}, "display_name"),
        ({"country": "Germany"}, "country"),
        ({"tax_type": "wealth"}, "tax_type"),
    ],
)
def test_a_tax_rate_that_stripe_would_not_take_is_refused(api, bad, param):
    """The limits are taken, anything beyond is a 400 that names the parameter."""
    good = {"display_name": "x" * 50, "inclusive": True, "percentage": 100, "country": "US"}
    api.post("/v1/tax_rates", good)
    assert api.refused("POST", "/v1/tax_rates", {**good, **bad})["param"] == param


def test_every_key_has_its_account(open_sandbox, account):
    """An account belongs to the text after the key's prefix; what one account has, another does not see."""
    sandbox = open_sandbox()
    mine, same, other = (account(sandbox, key) for key in ("sk_test_a", "rk_test_a", "sk_test_b"))
    mine.product(id="p")
    assert mine.get("/v1/account")["id"] == same.get("/v1/account")["id"] != other.get("/v1/account")["id"]
    assert mine.get("/v1/account")["id"].startswith("acct_1")
    assert same.ids("/v1/products") == ["p"]
    assert other.ids("/v1/products") == []
    assert other.events() == []
    other.product(id="p")
