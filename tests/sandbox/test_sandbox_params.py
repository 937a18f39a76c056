"""Decoding of forms and validation of parameters before anything is executed."""

import json
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.sandbox import Request
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.families import FAMILIES
from reconciler.sandbox.form import MAX_BODY_BYTES, decode
from reconciler.sandbox.params import Struct, read, schema

ROUTES = [route for family in FAMILIES.values() for route in family.routes]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a=1", {"a": "1"}),
        ("a[b][0][c]=1", {"a": {"b": {"0": {"c": "1"}}}}),
        ("a[]=1&a[]=2", {"a": {"0": "1", "1": "2"}}),
        ("a[][x]=1&a[][y]=2&a[][x]=3", {"a": {"0": {"x": "1", "y": "2"}, "1": {"x": "3"}}}),
        ("a=1&a=2", {"a": "2"}),
        ("a=", {"a": ""}),
        ("a%5Bb%5D=%C3%A9+x", {"a": {"b": "é x"}}),
        ("", {}),
    ],
)
def test_a_form_is_decoded_as_stripe_reads_it(text, tree):
    """Nested, indexed and bare brackets become the tree the parameters mean."""
    assert decode("", text.encode()) == tree
    assert decode(text, b"") == tree


@pytest.mark.parametrize(
    "text", ["a=1&a[b]=2", "a[b]=2&a=1", "[a]=1", "a[b=1", "a" + "[x]" * 8 + "=1", "a=%ff", "&".join(["a=1"] * 2001)]
)
def test_a_malformed_form_is_a_400(text):
    """Contradictions, broken brackets, too deep nesting, bad bytes and too many fields are refused, never raised."""
    decode("", b"a[b]=2&b[x][x][x]=1")
    with pytest.raises(ApiError) as refusal:
        decode("", text.encode())
    assert refusal.value.status == 400


def test_a_body_may_have_one_mebibyte(api):
    """The largest body is decoded; one byte more is refused with 413 in Stripe's envelope."""
    assert decode("", b"a=" + b"x" * (MAX_BODY_BYTES - 2))
    body = b"name=" + b"x" * MAX_BODY_BYTES
    reply = api.sandbox.dispatch(Request("POST", "/v1/products", api.headers, body))
    assert reply.status == 413
    assert json.loads(reply.body)["error"]["type"] == "invalid_request_error"


def test_json_bodies_are_refused_on_v1(api):
    """A body of another content type is a 400, the same form with the right one a product."""
    wrong = api.send("POST", "/v1/products", {"name": "x"}, content_type="application/json")
    right = api.send("POST", "/v1/products", {"name": "x"}, content_type="application/x-www-form-urlencoded")
    assert (wrong.status, right.status) == (400, 200)


@given(
    st.recursive(
        st.text(max_size=5),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(st.text(alphabet="abcdef", min_size=1, max_size=3), inner, min_size=1, max_size=3)
        ),
        max_leaves=8,
    ).filter(lambda value: isinstance(value, dict))
)
def test_what_a_client_encodes_is_what_is_decoded(data):
    """Decoding an encoded tree gives the tree back, arrays as mappings from index."""

    def fields(value, prefix=""):
        if isinstance(value, str):
            return [(prefix, value)]
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [pair for key, item in items for pair in fields(item, f"{prefix}[{key}]" if prefix else str(key))]

    def tree(value):
        if isinstance(value, str):
            return value
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {str(key): tree(item) for key, item in items}

    pairs = fields(data)
    if all(prefix.count("[") < 8 for prefix, _ in pairs):
        assert decode("", urlencode(pairs).encode()) == tree(data)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.pattern}")
def test_every_route_has_a_parameter_type_in_the_installed_sdk(route):
    """The schema of every endpoint can be built from the SDK's source, and request options are not parameters."""
    members = schema(route.params).members
    assert not {"api_key", "idempotency_key", "stripe_version", "headers"} & set(members)
    assert {name.partition(".")[0] for name in route.clears} <= set(members)


def test_every_documented_length_belongs_to_a_parameter():
    """A family's length limits name text parameters its endpoints have, so that no limit is a typing error."""
    for family in FAMILIES.values():
        structs = [schema(route.params) for route in family.routes]
        for path in family.lengths:
            assert any(_reaches(struct, path.replace("]", "").split("[")) for struct in structs), (family.kind, path)


def _reaches(spec, parts):
    if not parts:
        return True
    if isinstance(spec, Struct):
        return parts[0] in spec.members and _reaches(spec.members[parts[0]].spec, parts[1:])
    return parts[0] == "" and _reaches(spec.item, parts[1:])


@pytest.mark.parametrize(
    ("bad", "param"),
    [
        ({"bogus": 1}, "bogus"),
        ({"recurring": {"interval": "month", "bogus": 1}}, "recurring[bogus]"),
        ({"tiers": [{"up_to": "inf", "bogus": 1}]}, "tiers[0][bogus]"),
        ({"currency_options": {"eur": {"tiers": [{"up_to": "inf", "x": 1}]}}}, "currency_options[eur][tiers][0][x]"),
        ({"api_key": "x"}, "api_key"),
    ],
)
def test_unknown_parameters_are_refused_at_every_depth(api, bad, param):
    """An unknown member is ``parameter_unknown`` with its full path, whatever it is nested in."""
    good = {"product": api.product()["id"], "currency": "usd", "unit_amount": 1}
    api.post("/v1/prices", good)
    error = api.refused("POST", "/v1/prices", {**good, **bad})
    assert (error["status"], error["code"], error["param"]) == (400, "parameter_unknown", param)


@pytest.mark.parametrize(
    "immutable",
    [
        {"currency": "eur"},
        {"unit_amount": 2},
        {"product": "x"},
        {"recurring": {"interval": "day"}},
        {"tiers_mode": "volume"},
    ],
)
def test_what_cannot_change_is_an_unknown_parameter_of_an_update(api, immutable):
    """Immutable fields are absent from the update's type, so they are refused like any other unknown parameter."""
    price = api.price(api.product()["id"])
    api.post(f"/v1/prices/{price['id']}", {"nickname": "ok"})
    error = api.refused("POST", f"/v1/prices/{price['id']}", immutable)
    assert error["code"] == "parameter_unknown"
    assert error["param"] == next(iter(immutable))


@pytest.mark.parametrize(
    ("bad", "code", "param"),
    [
        ({"unit_amount": "abc"}, "parameter_invalid_integer", "unit_amount"),
        ({"unit_amount": "1.5"}, "parameter_invalid_integer", "unit_amount"),
        ({"unit_amount": 1 << 63}, "parameter_invalid_integer", "unit_amount"),
        ({"unit_amount": "9" * 5000}, "parameter_invalid_integer", "unit_amount"),
        ({"unit_amount": ""}, "parameter_invalid_empty", "unit_amount"),
        ({"currency": ""}, "parameter_invalid_empty", "currency"),
        ({"nickname": ""}, "parameter_invalid_empty", "nickname"),
        ({"active": "yes"}, None, "active"),
        ({"active": {"x": 1}}, None, "active"),
        ({"recurring": {"interval": "fortnight"}}, None, "recurring[interval]"),
        ({"recurring": {"interval_count": 1}}, "parameter_missing", "recurring[interval]"),
        ({"recurring": "month"}, None, "recurring"),
        ({"metadata": "x"}, None, "metadata"),
        ({"metadata": ""}, "parameter_invalid_empty", "metadata"),
        ({"tiers": ""}, "parameter_invalid_empty", "tiers"),
        ({"recurring": ""}, "parameter_invalid_empty", "recurring"),
        ({"expand": "product"}, None, "expand"),
        ({"expand": {"x": "product"}}, None, "expand"),
        ({"lookup_key": "x" * 201}, None, "lookup_key"),
        ({"lookup_key": {"a": "b"}}, None, "lookup_key"),
        ({"metadata": {"k" * 41: "v"}}, None, f"metadata[{'k' * 41}]"),
        ({"metadata": {"k": "v" * 501}}, None, "metadata[k]"),
        ({"metadata": {f"k{n}": "v" for n in range(51)}}, None, "metadata"),
        ({"metadata": {"a": {"b": "c"}}}, None, "metadata[a]"),
    ],
)
def test_values_of_the_wrong_type_or_size_are_refused(api, bad, code, param):
    """Every scalar, array, mapping and length is checked, and the refusal names the parameter."""
    good = {"product": api.product()["id"], "currency": "usd", "unit_amount": 1}
    largest = {"lookup_key": "x" * 200, "metadata": {f"{n:040d}": "v" * 500 for n in range(50)}, "expand": ["product"]}
    api.post("/v1/prices", {**good, **largest})
    error = api.refused("POST", "/v1/prices", {**good, **bad})
    assert (error["status"], error["code"], error["param"]) == (400, code, param)


@pytest.mark.parametrize(
    "text", ["1e3", "1E-7", "nan", "inf", "0x1", "1_000", "\u0661", "--1", "1.", "0.0000000000001"]
)
def test_decimals_are_plain_and_have_twelve_places(api, text):
    """Exponents, specials, foreign digits and a thirteenth place are refused; twelve places are kept exactly."""
    product = api.product()["id"]
    kept = api.price(product, unit_amount_decimal="0.000000000001")
    assert kept["unit_amount_decimal"] == "0.000000000001"
    error = api.refused("POST", "/v1/prices", {"product": product, "currency": "usd", "unit_amount_decimal": text})
    assert error["param"] == "unit_amount_decimal"


def test_sdk_booleans_inside_arrays_are_understood():
    """``True`` and ``False``, which the SDK writes inside arrays, are booleans like ``true`` and ``false``."""
    for text, value in (("true", True), ("True", True), ("false", False), ("False", False)):
        assert read("ProductCreateParams", {"name": "x", "active": text}, {}, frozenset())["active"] is value


def test_a_union_takes_a_number_or_a_range():
    """``created`` is a number or a mapping of bounds; members of the mapping are closed."""
    assert read("PriceListParams", {"created": "5"}, {}, frozenset()) == {"created": 5}
    assert read("PriceListParams", {"created": {"gte": "5"}}, {}, frozenset()) == {"created": {"gte": 5}}
    with pytest.raises(ApiError) as refusal:
        read("PriceListParams", {"created": {"ge": "5"}}, {}, frozenset())
    assert (refusal.value.code, refusal.value.param) == ("parameter_unknown", "created[ge]")


def test_up_to_is_a_number_or_inf():
    """A tier's bound is an integer or the word ``inf``, nothing else."""
    form = {"currency": "usd", "tiers": {"0": {"up_to": "5"}, "1": {"up_to": "inf"}}}
    assert [tier["up_to"] for tier in read("PriceCreateParams", form, {}, frozenset())["tiers"]] == [5, "inf"]
    form["tiers"]["1"]["up_to"] = "infinity"
    with pytest.raises(ApiError):
        read("PriceCreateParams", form, {}, frozenset())


def test_array_items_keep_the_order_of_their_indexes():
    """Indexes order an array, not the order of the fields; gaps close."""
    form = {"name": "x", "images": {"10": "c", "2": "b", "0": "a"}}
    assert read("ProductCreateParams", form, {}, frozenset())["images"] == ["a", "b", "c"]


def test_numbers_are_exact():
    """A percentage is read as the decimal it was written as."""
    form = {"display_name": "x", "inclusive": "true", "percentage": "8.875"}
    assert read("TaxRateCreateParams", form, {}, frozenset())["percentage"] == Decimal("8.875")


def test_what_can_only_be_unset_takes_no_value():
    """``invoicing_rules`` of an invoice item's update is typed as ``''`` alone."""
    assert read("InvoiceItemUpdateParams", {"invoicing_rules": ""}, {}, frozenset()) == {"invoicing_rules": None}
    for value in ("x", {"a": "b"}):
        with pytest.raises(ApiError) as refusal:
            read("InvoiceItemUpdateParams", {"invoicing_rules": value}, {}, frozenset())
        assert (refusal.value.status, refusal.value.param) == (400, "invoicing_rules")
