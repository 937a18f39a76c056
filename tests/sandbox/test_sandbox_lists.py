"""Lists: filters with decoys, order, both cursors, expansion, pages while others write."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.sandbox import Sandbox

LISTS = (
    "/v1/products",
    "/v1/prices",
    "/v1/billing/meters",
    "/v1/entitlements/features",
    "/v1/coupons",
    "/v1/promotion_codes",
    "/v1/tax_rates",
    "/v1/events",
)


@pytest.fixture
def stocked(api):
    """Return an account with two of everything, different in every filterable field, and their ids."""
    kept, decoy = (
        api.product(id="kept", url="https://example.test/1", shippable=True),
        api.product(id="decoy", type="good"),
    )
    meter, other_meter = api.meter("a")["id"], api.meter("b")["id"]
    metered = {"interval": "month", "usage_type": "metered", "meter": meter}
    price = api.price("kept", lookup_key="k", recurring=metered)
    other = api.price("decoy", lookup_key="other", currency="eur")
    weekly = api.price("decoy", recurring={"interval": "week", "usage_type": "metered", "meter": other_meter})
    daily = api.price("decoy", recurring={"interval": "day"})
    for price_id in (other, weekly, daily):
        api.post(f"/v1/prices/{price_id['id']}", {"active": False})
    api.post("/v1/products/decoy", {"active": False})
    api.post(f"/v1/billing/meters/{other_meter}/deactivate")
    feature, archived = api.feature("x"), api.feature("y")
    api.post(f"/v1/entitlements/features/{archived['id']}", {"active": False})
    coupon, other_coupon = api.coupon()["id"], api.coupon()["id"]
    code, off = api.code(coupon, code="ONE"), api.code(other_coupon, code="TWO", active=False)
    rate = {"display_name": "x", "percentage": 1}
    tax = api.post("/v1/tax_rates", {**rate, "inclusive": True})
    untax = api.post("/v1/tax_rates", {**rate, "inclusive": False, "active": False})
    api.names = {
        kept["id"]: "kept",
        decoy["id"]: "decoy",
        meter: "meter",
        other_meter: "other_meter",
        price["id"]: "price",
        other["id"]: "other",
        weekly["id"]: "weekly",
        daily["id"]: "daily",
        feature["id"]: "feature",
        archived["id"]: "archived",
        code["id"]: "code",
        off["id"]: "off",
        tax["id"]: "tax",
        untax["id"]: "untax",
        coupon: "coupon",
        other_coupon: "other_coupon",
    }
    api.by_name = {name: object_id for object_id, name in api.names.items()}
    return api


@pytest.mark.parametrize(
    ("path", "filters", "expected"),
    [
        ("/v1/products", {"active": True}, "kept"),
        ("/v1/products", {"active": False}, "decoy"),
        ("/v1/products", {"ids": ["kept", "nope"]}, "kept"),
        ("/v1/products", {"ids": ["decoy", "kept"], "active": True}, "kept"),
        ("/v1/products", {"shippable": True}, "kept"),
        ("/v1/products", {"type": "good"}, "decoy"),
        ("/v1/products", {"url": "https://example.test/1"}, "kept"),
        ("/v1/prices", {"active": True}, "price"),
        ("/v1/prices", {"active": False}, "daily weekly other"),
        ("/v1/prices", {}, "daily weekly other price"),
        ("/v1/prices", {"currency": "eur"}, "other"),
        ("/v1/prices", {"product": "kept"}, "price"),
        ("/v1/prices", {"product": "decoy", "type": "recurring"}, "daily weekly"),
        ("/v1/prices", {"type": "one_time"}, "other"),
        ("/v1/prices", {"recurring": {"interval": "week"}}, "weekly"),
        ("/v1/prices", {"recurring": {"usage_type": "licensed"}}, "daily"),
        ("/v1/prices", {"recurring": {"meter": "meter", "usage_type": "metered"}}, "price"),
        ("/v1/prices", {"lookup_keys": ["k", "nope"]}, "price"),
        ("/v1/prices", {"lookup_keys": ["k", "other"]}, "other price"),
        ("/v1/prices", {"lookup_keys": ["k", "other"], "active": True}, "price"),
        ("/v1/prices", {"lookup_keys": ["nope"]}, ""),
        ("/v1/billing/meters", {"status": "active"}, "meter"),
        ("/v1/billing/meters", {"status": "inactive"}, "other_meter"),
        ("/v1/entitlements/features", {"archived": False}, "feature"),
        ("/v1/entitlements/features", {"archived": True}, "archived"),
        ("/v1/entitlements/features", {}, "feature"),
        ("/v1/entitlements/features", {"lookup_key": "x"}, "feature"),
        ("/v1/coupons", {}, "other_coupon coupon"),
        ("/v1/promotion_codes", {"active": True}, "code"),
        ("/v1/promotion_codes", {"active": False}, "off"),
        ("/v1/promotion_codes", {"code": "one"}, "code"),
        ("/v1/promotion_codes", {"coupon": "other_coupon"}, "off"),
        ("/v1/promotion_codes", {"coupon": "other_coupon", "active": True}, ""),
        ("/v1/tax_rates", {"active": True}, "tax"),
        ("/v1/tax_rates", {"inclusive": False}, "untax"),
    ],
)
def test_a_filter_shows_what_matches_and_nothing_else(stocked, path, filters, expected):
    """Every filter keeps its object and drops the decoy, newest first."""
    resolve = stocked.by_name
    form = {
        key: {k: resolve.get(v, v) for k, v in value.items()}
        if isinstance(value, dict)
        else resolve.get(value, value)
        if isinstance(value, str)
        else value
        for key, value in filters.items()
    }
    assert [stocked.names[object_id] for object_id in stocked.ids(path, form)] == expected.split()


@pytest.mark.parametrize(
    ("path", "filters", "param"),
    [
        ("/v1/prices", {"product": "nope"}, "product"),
        ("/v1/prices", {"lookup_keys": [str(n) for n in range(11)]}, "lookup_keys"),
        ("/v1/promotion_codes", {"coupon": "nope"}, "coupon"),
        ("/v1/promotion_codes", {"customer": "nope"}, "customer"),
        ("/v1/products", {"ids": ["a"], "starting_after": "a"}, "ids"),
        ("/v1/events", {"type": "a", "types": ["b"]}, "type"),
        ("/v1/events", {"types": ["x"] * 21}, "types"),
        ("/v1/billing/meters", {"event_name": "calls"}, "event_name"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(api, path, filters, param):
    """Unknown references, too long arrays, exclusive and absent filters are 400; the bare list is fine."""
    assert api.get(path)["data"] == []
    error = api.refused("GET", path, filters)
    assert (error["status"], error["param"]) == (400, param)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("bad", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"starting_after": "nope"}, "starting_after"),
        ({"ending_before": "nope"}, "ending_before"),
        ({"starting_after": "a", "ending_before": "b"}, "starting_after"),
        ({"expand": ["bogus"]}, "expand"),
        ({"expand": ["data.bogus"]}, "expand"),
        ({"bogus": 1}, "bogus"),
    ],
)
def test_every_list_checks_its_paging(api, path, bad, param):
    """Limits 1 and 100 are taken, 0 and 101, unknown or both cursors and bad expansions are refused."""
    for limit in (1, 100):
        assert api.get(path, {"limit": limit}) == {"object": "list", "url": path, "has_more": False, "data": []}
    error = api.refused("GET", path, bad)
    assert (error["status"], error["param"]) == (400, param)


def test_a_list_shows_ten_by_default_and_says_whether_there_is_more(api):
    """Ten of eleven and ``has_more``; exactly ten and no more."""
    for number in range(10):
        api.product(id=f"p{number:02d}")
    assert (len(api.get("/v1/products")["data"]), api.get("/v1/products")["has_more"]) == (10, False)
    api.product(id="p10")
    first = api.get("/v1/products")
    assert ([item["id"] for item in first["data"]][:2], first["has_more"]) == (["p10", "p09"], True)


def test_both_cursors_walk_the_same_list(api):
    """``starting_after`` goes down from an object, ``ending_before`` up to it; both answer newest first."""
    for number in range(5):
        api.product(id=f"p{number}")
    down = api.get("/v1/products", {"limit": 2, "starting_after": "p3"})
    assert ([item["id"] for item in down["data"]], down["has_more"]) == (["p2", "p1"], True)
    up = api.get("/v1/products", {"limit": 2, "ending_before": "p1"})
    assert ([item["id"] for item in up["data"]], up["has_more"]) == (["p3", "p2"], True)
    top = api.get("/v1/products", {"limit": 2, "ending_before": "p3"})
    assert ([item["id"] for item in top["data"]], top["has_more"]) == (["p4"], False)


def test_created_bounds_a_list(open_sandbox, account):
    """``gt``, ``gte``, ``lt``, ``lte`` and an exact time select by creation time, also together and with a cursor."""
    time = [0]
    api = account(open_sandbox(clock=lambda: time[0]))
    for second in (10, 20, 20, 30):
        time[0] = second
        api.product(id=f"p{second}-{len(api.ids('/v1/products'))}")
    every = api.ids("/v1/products")
    for form, expected in (
        ({"created": 20}, every[1:3]),
        ({"created": {"gt": 20}}, every[:1]),
        ({"created": {"gte": 20}}, every[:3]),
        ({"created": {"lt": 20}}, every[3:]),
        ({"created": {"lte": 20}}, every[1:]),
        ({"created": {"gt": 10, "lt": 30}}, every[1:3]),
        ({"created": {"gte": 20}, "starting_after": every[1]}, every[2:3]),
        ({"created": {"lt": 30}, "ending_before": every[3]}, every[1:3]),
        ({"created": {"gt": 30}}, []),
    ):
        assert api.ids("/v1/products", form) == expected, form


def test_newest_is_first_even_if_the_clock_goes_back(open_sandbox, account):
    """Creation time orders a list, the order of creation breaks ties."""
    time = [100]
    api = account(open_sandbox(clock=lambda: time[0]))
    api.product(id="a")
    api.product(id="b")
    time[0] = 50
    api.product(id="c")
    assert api.ids("/v1/products") == ["b", "a", "c"]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_pages_partition_what_was_there_while_objects_are_added(account, data):
    """Walking page by page shows everything that existed at the start exactly once, whatever is created meanwhile."""
    with Sandbox(clock=data.draw(st.sampled_from([lambda: 5, iter(range(10**9)).__next__]))) as sandbox:
        api = account(sandbox)
        before = [api.product()["id"] for _ in range(data.draw(st.integers(0, 12)))][::-1]
        seen, form = [], {}
        limit = data.draw(st.integers(1, 5))
        while True:
            page = api.get("/v1/products", {"limit": limit, **form})
            seen += [item["id"] for item in page["data"]]
            for _ in range(data.draw(st.integers(0, 2))):
                api.product()
            if not page["has_more"]:
                break
            form = {"starting_after": seen[-1]}
        assert [object_id for object_id in seen if object_id in before] == before
        assert len(seen) == len(set(seen))


def test_the_sdk_pages_through_a_list(sandbox):
    """``auto_paging_iter`` follows the reply's ``url`` and finds 250 objects in three requests."""
    client = sandbox.client()
    for number in range(250):
        client.v1.coupons.create({"percent_off": 1, "id": f"c{number}"})
    sandbox.requests.clear()
    found = [coupon.id for coupon in client.v1.coupons.list({"limit": 100}).auto_paging_iter()]
    assert found == [f"c{number}" for number in reversed(range(250))]
    assert list(sandbox.requests) == [("GET", "/v1/coupons", 200)] * 3


def test_a_reader_neither_waits_for_a_writer_nor_sees_half_of_it(open_sandbox, account, tmp_path):
    """In a file, a read during a write sees what was before; a read that began before a commit does not see it."""
    api = account(open_sandbox(str(tmp_path / "db")))
    own, product = api.get("/v1/account")["id"], api.product(name="before")["id"]
    with api.sandbox._store.write(own) as tx:
        tx.delete("product", tx.find("product", product), ())
        assert api.get(f"/v1/products/{product}")["name"] == "before"
        tx.insert("product", api.get(f"/v1/products/{product}"), 0, ())
    with api.sandbox._store.read(own) as tx:
        assert tx.find("product", product).body["name"] == "before"
        api.post(f"/v1/products/{product}", {"name": "after"})
        assert tx.find("product", product).body["name"] == "before"
    assert api.get(f"/v1/products/{product}")["name"] == "after"


def test_a_walk_never_scans(sandbox, api):
    """Every list is served by the primary key of the terms: no scan, no sorting, whatever the filters."""
    statements = []
    sandbox._store._writer.set_trace_callback(statements.append)
    product = api.product()["id"]
    statements.clear()
    api.get("/v1/prices", {"product": product, "active": True, "created": {"gt": 1}})
    (walk,) = [
        statement
        for statement in statements
        if "FROM term t CROSS JOIN object" in statement and "LIMIT 11" in statement
    ]
    plan = [row[3] for row in sandbox._store._writer.execute(f"EXPLAIN QUERY PLAN {walk}")]
    assert not [step for step in plan if "SCAN" in step or "TEMP B-TREE" in step], plan
    assert any("(created,seq)>" in step and "(created,seq)<" in step for step in plan), plan
