"""Search: the query language, its fields, paging, and an index that is behind.

Source: https://docs.stripe.com/search and https://docs.stripe.com/api/pagination/search.
"""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.sandbox import Fault, Settings
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.families import FAMILIES
from reconciler.sandbox.search import RESOURCES, searchable
from reconciler.sandbox.search_query import parse

FIELDS = {"name": "string", "amount": "numeric", "status": "token", "metadata": "token", "card.*.last4": "token"}


def found(api, query, path="/v1/products/search", **form):
    """Return the names or ids a query finds."""
    return [each.get("name") or each["id"] for each in api.get(path, {"query": query, **form})["data"]]


@pytest.fixture
def shop(api):
    """Return an account with four products that differ in everything that can be searched."""
    api.product(name="Blue Vase", description="glass", metadata={"donation-id": "a-1", "colour": "blue"})
    api.product(name="Red vase", active=False, url="https://example.com/red")
    api.product(name="Stool", shippable=True, metadata={"colour": "RED"})
    api.product(name='The "Sky"', description="it's")
    return api


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('name:"stool"', ["Stool"]),
        ("name:'STOOL'", ["Stool"]),
        ('name~"vase"', ["Red vase", "Blue Vase"]),
        ('-name~"vase"', ['The "Sky"', "Stool"]),
        ('active:"false"', ["Red vase"]),
        ('active:"true" AND name~"VASE"', ["Blue Vase"]),
        ('active:"true" name~"vase"', ["Blue Vase"]),
        ('active:"false" or name:"Stool"', ["Stool", "Red vase"]),
        ('metadata["colour"]:"red"', ["Stool"]),
        ("metadata['colour']:'blue'", ["Blue Vase"]),
        ('-metadata["donation-id"]:null', ["Blue Vase"]),
        ('metadata["colour"]:null', ['The "Sky"', "Red vase"]),
        ("url:NULL", ['The "Sky"', "Stool", "Blue Vase"]),
        ('url:"https://example.com/red"', ["Red vase"]),
        ('shippable:"true"', ["Stool"]),
        ('name:"The \\"Sky\\""', ['The "Sky"']),
        ('description:"it\'s"', ['The "Sky"']),
        ("description:'it\\'s'", ['The "Sky"']),
        ('name:"nothing"', []),
        (' name : "Stool" ', ["Stool"]),
    ],
)
def test_a_query_finds_what_it_says(shop, query, expected):
    """Each operator, join, quote and null of the language finds its objects and leaves the others, newest first."""
    assert found(shop, query) == expected


@pytest.mark.parametrize(
    "query",
    [
        "",
        "stool",
        "name:",
        "name:stool",
        'name:"open',
        'name:"a" AND',
        'AND name:"a"',
        'name:"a" AND AND name:"b"',
        'name:"a" AND active:"true" OR shippable:"true"',
        '(name:"a" OR name:"b")',
        'name:"a",name:"b"',
        'colour:"red"',
        'created>"1"',
        'metadata:"red"',
        'name["a"]:"b"',
        'name~"ab"',
        'active~"true"',
        'name>"abc"',
        "name=1",
        "name~null",
        " ".join(f'name:"{number}"' for number in range(11)),
    ],
)
def test_a_query_that_is_none_is_refused(shop, query):
    """What the language does not have is a 400 on ``query``, an empty text included; ten clauses pass."""
    error = shop.refused("GET", "/v1/products/search", {"query": query})
    assert (error["status"], error["param"]) == (400, "query")
    assert found(shop, " ".join(['name:"Stool"'] * 10)) == ["Stool"]


def test_a_query_is_required(api):
    """Without a query there is no search."""
    assert api.refused("GET", "/v1/products/search")["code"] == "parameter_missing"
    assert api.get("/v1/products/search", {"query": 'name:"x"'})["data"] == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("amount>10", [11]),
        ("amount>=10", [10, 11]),
        ("amount<10", [9]),
        ("amount<=10", [9, 10]),
        ("amount:10", [10]),
        ('amount="10"', [10]),
        ("-amount:10", [9, 11, None]),
        ("amount:null", [None]),
        ("amount>9.5", [10, 11]),
    ],
)
def test_numbers_are_compared(query, expected):
    """A numeric field takes every comparison, quoted or not; an object without the number meets none."""
    parsed = parse(query, "things", FIELDS, {})
    objects = [{"amount": 9}, {"amount": 10}, {"amount": 11}, {"amount": None}]
    assert [obj["amount"] for obj in objects if parsed.holds(obj)] == expected


def test_a_number_must_be_one():
    """Text for a numeric field is refused, an unquoted number for any field is fine."""
    assert parse("card.visa.last4:4242", "things", FIELDS, {}).holds({"card": {"visa": {"last4": "4242"}}})
    with pytest.raises(ApiError):
        parse('amount>"many"', "things", FIELDS, {})


def test_a_field_can_have_a_free_part():
    """``*`` in a field stands for one name, and the query's own name decides which."""
    parsed = parse('card.visa.last4:"1"', "things", FIELDS, {})
    assert parsed.holds({"card": {"visa": {"last4": "1"}}})
    assert not parsed.holds({"card": {"amex": {"last4": "1"}}})
    with pytest.raises(ApiError):
        parse('card.visa.brand:"1"', "things", FIELDS, {})


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.booleans()), min_size=1, max_size=10))
def test_clauses_are_joined_as_logic_has_it(clauses):
    """AND is all, OR is any, a minus is not: for any clauses and any object."""
    texts = [f'{"-" if negated else ""}status:"{value}"' for value, negated, _ in clauses]
    for word, logic in (("AND", all), ("or", any), ("", all)):
        parsed = parse(f" {word} ".join(texts), "things", FIELDS, {})
        for status in "ab":
            assert parsed.holds({"status": status}) is logic((status == value) != neg for value, neg, _ in clauses)


def test_pages_are_the_whole(shop):
    """``next_page`` leads through everything once, whatever is made meanwhile; the last page has none."""
    seen, form = [], {"query": '-name:"Stool"', "limit": 1}
    while True:
        page = shop.get("/v1/products/search", form)
        assert (page["object"], page["url"]) == ("search_result", "/v1/products/search")
        seen += [each["name"] for each in page["data"]]
        shop.product(name="new")
        if not page["has_more"]:
            break
        form["page"] = page["next_page"]
        assert len(seen) < 3
    assert seen == ['The "Sky"', "Red vase", "Blue Vase"]
    assert page["next_page"] is None


@pytest.mark.parametrize("page", ["", "x", "é", base64.urlsafe_b64encode(b"1").decode(), "AAAA"])
def test_a_page_that_is_none_is_refused(shop, page):
    """Only a ``next_page`` of an earlier answer is a page."""
    assert shop.refused("GET", "/v1/products/search", {"query": 'name:"a"', "page": page})["param"] == "page"


def test_the_total_is_counted_when_asked_for(shop):
    """``total_count`` is there when expanded, on every page the same; elements are expanded through ``data``."""
    form = {"query": 'active:"true"', "limit": 1, "expand": ["total_count", "data.default_price"]}
    first = shop.get("/v1/products/search", form)
    second = shop.get("/v1/products/search", {**form, "page": first["next_page"]})
    assert (first["total_count"], second["total_count"], second["has_more"]) == (3, 3, True)
    assert first["data"] != second["data"]
    assert "total_count" not in shop.get("/v1/products/search", {"query": 'active:"true"'})
    assert shop.refused("GET", "/v1/products", {"expand": ["total_count"]})["param"] == "expand"
    for limit in (0, 101):
        assert shop.refused("GET", "/v1/products/search", {**form, "limit": limit})["param"] == "limit"


def test_prices_are_searched_by_their_product_and_key(api):
    """``product``, ``lookup_key``, ``type`` and ``currency`` find prices; another product's are not among them."""
    one, two = api.product()["id"], api.product()["id"]
    monthly = api.price(one, lookup_key="pro", recurring={"interval": "month"})["id"]
    once, other = api.price(one)["id"], api.price(two, currency="eur")["id"]
    path = "/v1/prices/search"
    assert found(api, f'product:"{one}"', path) == [once, monthly]
    assert found(api, 'lookup_key:"pro"', path) == [monthly]
    assert found(api, 'type:"one_time" -currency:"usd"', path) == [other]


def test_searches_share_their_rate(open_sandbox, account):
    """Twenty searches pass in a second, whatever they search; other requests go on."""
    api = account(open_sandbox(rate="live", monotonic=lambda: 0.0))
    paths = ["/v1/products/search", "/v1/prices/search"] * 11
    statuses = [api.send("GET", path, {"query": 'metadata["a"]:"b"'}).status for path in paths]
    assert statuses == [200] * 20 + [429] * 2
    assert api.send("GET", "/v1/products").status == 200


def test_accounts_do_not_find_each_others(sandbox, account):
    """A search sees its own account only."""
    account(sandbox, "sk_test_other").product(name="theirs")
    api = account(sandbox)
    api.product(name="mine")
    assert found(api, '-name:"x"') == ["mine"]


def test_a_lagging_index_finds_what_was(open_sandbox, account):
    """Under ``search_lag`` the new is not found, the changed is found by what it was and shown as it is.

    Source: stripe/stripe-js#663.
    """
    time = [1000]
    api = account(open_sandbox(clock=lambda: time[0]))
    old = api.product(name="old", id="p")["id"]
    gone = api.product(name="old", id="q")["id"]
    time[0] = 1059
    api.post(f"/v1/products/{old}", {"name": "fresh"})
    api.ok("DELETE", f"/v1/products/{gone}")
    api.product(name="old")
    assert found(api, 'name:"fresh"') == ["fresh"]
    api.sandbox.faults.add(Fault(kind="search_lag", seconds=60))
    time[0] = 1060
    assert found(api, 'name:"old"') == ["fresh"]
    assert found(api, 'name:"fresh"') == []
    time[0] = 1119
    assert found(api, 'name:"fresh"') == ["fresh"]
    assert found(api, 'name:"old"') == ["old"]


def test_what_the_sdk_can_search_can_be_searched(sandbox):
    """Every ``search`` of the SDK has its route here as soon as its kind exists, and a kind without one has none."""
    client = sandbox.client()
    for kind, resource in RESOURCES.items():
        assert callable(getattr(client.v1, resource.name).search)
        if kind in FAMILIES:
            assert getattr(client.v1, resource.name).search({"query": 'metadata["a"]:"b"'}).data == []
    for kind, searches in (("tax_rate", 0), ("product", 1)):
        assert sum(route.pattern.endswith("/search") for route in FAMILIES[kind].routes) == searches
    assert searchable(FAMILIES["tax_rate"]) is FAMILIES["tax_rate"]


def test_the_sdk_pages_by_itself(shop):
    """The SDK's auto-paging of search results follows ``next_page``."""
    result = shop.sandbox.client().v1.products.search({"query": '-name:"x"', "limit": 1})
    assert [each.name for each in result.auto_paging_iter()] == ['The "Sky"', "Stool", "Red vase", "Blue Vase"]


def test_a_product_called_search_is_not_the_search(api):
    """The fixed path wins over an id of the same text."""
    api.product(id="search", name="it")
    assert json.loads(api.send("GET", "/v1/products/search").body)["error"]["code"] == "parameter_missing"
    assert api.ids("/v1/products") == ["search"]


@pytest.mark.parametrize("finds", [True, False])
def test_search_finds_test_clock_objects(open_sandbox, account, now, finds):
    """Search finds a customer on a test clock, or leaves them out; one without a clock is found either way."""
    api = account(open_sandbox(settings=Settings(search_finds_test_clock_objects=finds)))
    clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": now})["id"]
    hidden, plain = api.customer(email="a@example.com", test_clock=clock), api.customer(email="a@example.com")
    found = [each["id"] for each in api.get("/v1/customers/search", {"query": 'email:"a@example.com"'})["data"]]
    assert found == [plain["id"], *[hidden["id"]] * finds]
