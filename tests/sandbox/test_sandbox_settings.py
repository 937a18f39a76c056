"""Every unverified belief about Stripe, both ways."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from reconciler.diagnostics import UsageError
from reconciler.sandbox import Settings


@pytest.fixture
def having(open_sandbox, account):
    """Return a factory of accounts in a sandbox with one setting."""
    return lambda **setting: account(open_sandbox(settings=Settings(**setting)))


@pytest.mark.parametrize("keeps", [True, False])
def test_archived_price_keeps_key(having, keeps):
    """An archived price blocks its lookup key, or gives it up and comes back without."""
    api = having(archived_price_keeps_key=keeps)
    product = api.product()["id"]
    old = api.price(product, lookup_key="k")["id"]
    archived = api.post(f"/v1/prices/{old}", {"active": False})
    assert archived["lookup_key"] == ("k" if keeps else None)
    form = {"product": product, "currency": "usd", "unit_amount": 1, "lookup_key": "k"}
    assert api.send("POST", "/v1/prices", form).status == (400 if keeps else 200)
    assert len(api.ids("/v1/prices", {"lookup_keys": ["k"]})) == 1


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize(
    ("setting", "header"),
    [("replay_header", "idempotent-replayed"), ("original_request_header", "original-request")],
)
def test_replay_headers(having, setting, header, shown):
    """A replay says so in a header, or does not; the other header is not touched."""
    api = having(**{setting: shown})
    for _ in range(2):
        reply = api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    assert (header in reply.headers) is shown
    assert len({"idempotent-replayed", "original-request"} & set(reply.headers)) == 1 + shown


@pytest.mark.parametrize("reusable", [True, False])
@pytest.mark.parametrize(("path", "form"), [("/v1/products", {"name": "x"}), ("/v1/coupons", {"percent_off": 1})])
def test_deleted_id_reusable(having, reusable, path, form):
    """A chosen id is free after deletion, or gone for good; an id never used is free either way."""
    api = having(deleted_id_reusable=reusable)
    api.post(path, {**form, "id": "a"})
    api.ok("DELETE", f"{path}/a")
    assert api.send("POST", path, {**form, "id": "a"}).status == (200 if reusable else 400)
    assert api.send("POST", path, {**form, "id": "b"}).status == 200


@pytest.mark.parametrize("included", [True, False])
def test_base_currency_in_options(having, included):
    """Expanded options of prices, coupons and codes hold the base currency beside the others, or only the others."""
    api = having(base_currency_in_options=included)
    expected = ["eur", "usd"] if included else ["eur"]
    expand = {"expand": ["currency_options"]}
    price = api.price(api.product()["id"], currency_options={"eur": {"unit_amount": 1}}, **expand)
    assert sorted(price["currency_options"]) == expected
    again = api.post(f"/v1/prices/{price['id']}", {"tax_behavior": "inclusive", **expand})
    assert sorted(again["currency_options"]) == expected
    coupon = api.post(
        "/v1/coupons", {"amount_off": 1, "currency": "usd", "currency_options": {"eur": {"amount_off": 1}}, **expand}
    )
    assert sorted(coupon["currency_options"]) == expected
    restrictions = {
        "minimum_amount": 1,
        "minimum_amount_currency": "usd",
        "currency_options": {"eur": {"minimum_amount": 1}},
    }
    code = api.code(coupon["id"], restrictions=restrictions, expand=["restrictions.currency_options"])
    assert sorted(code["restrictions"]["currency_options"]) == expected


@pytest.mark.parametrize("keeps", [True, False])
def test_inactive_meter_keeps_name(having, keeps):
    """A deactivated meter blocks its event name, or frees it and cannot come back while it is taken."""
    api = having(inactive_meter_keeps_name=keeps)
    meter = api.meter("calls")["id"]
    api.post(f"/v1/billing/meters/{meter}/deactivate")
    form = {"display_name": "x", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    assert api.send("POST", "/v1/billing/meters", form).status == (400 if keeps else 200)
    assert api.send("POST", f"/v1/billing/meters/{meter}/reactivate").status == (200 if keeps else 400)


@pytest.mark.parametrize("unique", [True, False])
def test_unique_attachment(having, unique):
    """A feature is attached to a product once, or as often as asked; to another product either way."""
    api = having(unique_attachment=unique)
    feature, product, other = api.feature()["id"], api.product()["id"], api.product()["id"]
    form = {"entitlement_feature": feature}
    api.post(f"/v1/products/{product}/features", form)
    assert api.send("POST", f"/v1/products/{product}/features", form).status == (400 if unique else 200)
    assert api.send("POST", f"/v1/products/{other}/features", form).status == 200


@pytest.mark.parametrize("allowed", [True, False])
def test_product_delete_with_features(having, allowed):
    """A product with features is deleted with its attachments, or stays until they are detached."""
    api = having(product_delete_with_features=allowed)
    product, kept, feature = api.product()["id"], api.product()["id"], api.feature()["id"]
    attached = api.post(f"/v1/products/{product}/features", {"entitlement_feature": feature})["id"]
    api.post(f"/v1/products/{kept}/features", {"entitlement_feature": feature})
    assert api.send("DELETE", f"/v1/products/{product}").status == (200 if allowed else 400)
    if not allowed:
        api.ok("DELETE", f"/v1/products/{product}/features/{attached}")
        api.ok("DELETE", f"/v1/products/{product}")
    assert len(api.ids(f"/v1/products/{kept}/features")) == 1


@pytest.mark.parametrize("frees", [True, False])
def test_archived_feature_frees_key(having, frees):
    """An archived feature's lookup key can be used again, or never."""
    api = having(archived_feature_frees_key=frees)
    api.post(f"/v1/entitlements/features/{api.feature('a')['id']}", {"active": False})
    form = {"lookup_key": "a", "name": "x"}
    assert api.send("POST", "/v1/entitlements/features", form).status == (200 if frees else 400)


@pytest.mark.parametrize("only", [True, False])
def test_unfiltered_prices_active_only(having, only):
    """Without ``active`` prices are listed active only, or all; with it the setting does not matter."""
    api = having(unfiltered_prices_active_only=only)
    product = api.product()["id"]
    old, new = api.price(product, lookup_key="k")["id"], api.price(product)["id"]
    api.post(f"/v1/prices/{old}", {"active": False})
    assert api.ids("/v1/prices") == ([new] if only else [new, old])
    assert api.ids("/v1/prices", {"lookup_keys": ["k"]}) == ([] if only else [old])
    assert api.ids("/v1/prices", {"lookup_keys": ["k"], "active": False}) == [old]


@pytest.mark.parametrize("is_404", [True, False])
def test_unknown_cursor_is_404(having, is_404):
    """An unknown cursor is ``resource_missing``, with 404 or 400."""
    error = having(unknown_cursor_is_404=is_404).refused("GET", "/v1/products", {"starting_after": "x"})
    assert (error["status"], error["code"]) == (404 if is_404 else 400, "resource_missing")


@pytest.mark.parametrize("unsets", [True, False])
def test_blank_lookup_key_unsets(having, unsets):
    """``lookup_key=''`` frees the key for another price, or is refused as a value that cannot be unset."""
    api = having(blank_lookup_key_unsets=unsets)
    product = api.product()["id"]
    price = api.price(product, lookup_key="k")["id"]
    reply = api.send("POST", f"/v1/prices/{price}", {"lookup_key": ""})
    assert reply.status == (200 if unsets else 400)
    form = {"product": product, "currency": "usd", "unit_amount": 1, "lookup_key": "k"}
    assert api.send("POST", "/v1/prices", form).status == (200 if unsets else 400)


def test_every_setting_is_tried_both_ways():
    """Each field of the settings has a test of its name in this folder."""
    sources = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    tested = set(re.findall(r"^def test_(\w+)", sources, re.MULTILINE)) | {"replay_header", "original_request_header"}
    assert {field.name for field in fields(Settings)} <= tested


def test_settings_are_read_from_texts():
    """Names and truth values are checked, everything unnamed keeps its default."""
    parsed = Settings.parse({"replay_header": "off", "unique_attachment": "TRUE"})
    assert parsed == Settings(replay_header=False)
    for bad in ({"nope": "true"}, {"replay_header": "maybe"}):
        with pytest.raises(UsageError):
            Settings.parse(bad)


@pytest.mark.parametrize("unsets", [True, False])
def test_blank_text_unsets(having, unsets):
    """An optional text typed as plain text is unset by '' on update, or refused (stripe/stripe-java#852)."""
    api = having(blank_text_unsets=unsets)
    product = api.ok("POST", "/v1/products", {"name": "Pro", "statement_descriptor": "ACME PRO"})
    reply = api.send("POST", f"/v1/products/{product['id']}", {"statement_descriptor": ""})
    shown = api.ok("GET", f"/v1/products/{product['id']}")
    assert (reply.status, shown["statement_descriptor"]) == ((200, None) if unsets else (400, "ACME PRO"))


def _with_options(api, **options):
    """Create a price of 5 usd with an option of 4 eur."""
    option = {"unit_amount": 400, **options}
    form = {"product": api.product()["id"], "currency": "usd", "unit_amount": 500, "tax_behavior": "exclusive"}
    price = api.ok("POST", "/v1/prices", form | {"currency_options": {"eur": option}})
    return f"/v1/prices/{price['id']}"


@pytest.mark.parametrize("inherits", [True, False])
def test_option_inherits_tax_behavior(having, inherits):
    """An option without a tax behavior takes the price's, or has none."""
    api = having(option_inherits_tax_behavior=inherits)
    shown = api.ok("GET", _with_options(api), {"expand": ["currency_options"]})
    assert shown["currency_options"]["eur"]["tax_behavior"] == ("exclusive" if inherits else "unspecified")


@pytest.mark.parametrize("merges", [True, False])
def test_currency_options_merge(having, merges):
    """Options of an update are laid over the price's, or take their place."""
    api = having(currency_options_merge=merges, base_currency_in_options=False)
    path = _with_options(api)
    api.ok("POST", path, {"currency_options": {"gbp": {"unit_amount": 300}}})
    shown = api.ok("GET", path, {"expand": ["currency_options"]})
    assert set(shown["currency_options"]) == ({"eur", "gbp"} if merges else {"gbp"})


def test_the_tax_behavior_of_an_option_is_one_way(having):
    """Once an option is inclusive or exclusive it stays so, also when an update leaves it out."""
    api = having()
    path = _with_options(api, tax_behavior="inclusive")
    api.ok("POST", path, {"currency_options": {"eur": {"unit_amount": 400}}})
    error = api.refused("POST", path, {"currency_options": {"eur": {"unit_amount": 400, "tax_behavior": "exclusive"}}})
    assert error["param"] == "currency_options[eur][tax_behavior]"
    shown = api.ok("GET", path, {"expand": ["currency_options"]})
    assert shown["currency_options"]["eur"]["tax_behavior"] == "inclusive"
