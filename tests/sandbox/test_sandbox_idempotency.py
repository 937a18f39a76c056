"""``Idempotency-Key``: what is stored, what is replayed, what is refused."""

import json
import threading

import pytest

from reconciler.sandbox import Fault

DAY = 86_400


def test_a_key_executes_once(api):
    """The second request with a key gets the first's status and body, byte for byte, and creates nothing."""
    first = api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    again = api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    assert (first.status, first.body) == (again.status, again.body)
    assert first.headers["original-request"] == first.headers["request-id"] == again.headers["original-request"]
    assert again.headers["request-id"] != first.headers["request-id"]
    assert (again.headers["idempotent-replayed"], "idempotent-replayed" in first.headers) == ("true", False)
    assert (first.headers["idempotency-key"], again.headers["idempotency-key"]) == ("k", "k")
    assert len(api.ids("/v1/products")) == 1
    api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="other")
    api.send("POST", "/v1/products", {"name": "x"})
    api.send("POST", "/v1/products", {"name": "x"})
    assert len(api.ids("/v1/products")) == 4


def test_the_order_of_parameters_does_not_matter(api):
    """The same parameters in another order, or with ``[]`` for indexes, are the same request."""
    one = api.send("POST", "/v1/products", {"name": "x", "metadata": {"a": "1", "b": "2"}}, idempotency_key="k")
    two = api.send("POST", "/v1/products", {"metadata": {"b": "2", "a": "1"}, "name": "x"}, idempotency_key="k")
    assert one.body == two.body


@pytest.mark.parametrize(
    ("path", "form", "words"),
    [
        ("/v1/products", {"name": "y"}, "same parameters"),
        ("/v1/products", {"name": "x", "bogus": "1"}, "same parameters"),
        ("/v1/coupons", {"percent_off": 1}, "same endpoint"),
    ],
)
def test_a_key_belongs_to_its_request(api, path, form, words):
    """Another use of a key is an ``idempotency_error`` and executes nothing; the first request still replays."""
    first = api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    error = api.refused("POST", path, form, idempotency_key="k")
    assert (error["status"], error["type"], error["code"]) == (400, "idempotency_error", None)
    assert words in error["message"]
    assert api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k").body == first.body
    assert (len(api.ids("/v1/products")), api.ids("/v1/coupons")) == (1, [])


def test_a_rules_refusal_is_stored(api):
    """A 400 of a rule replays even after its cause is gone; a new key succeeds."""
    product = api.product()["id"]
    holder = api.price(product, lookup_key="k")["id"]
    form = {"product": product, "currency": "usd", "unit_amount": 1, "lookup_key": "k"}
    refused = api.send("POST", "/v1/prices", form, idempotency_key="a")
    api.post(f"/v1/prices/{api.price(product)['id']}", {"lookup_key": "k", "transfer_lookup_key": True})
    api.post(f"/v1/prices/{api.ids('/v1/prices', {'lookup_keys': ['k']})[0]}", {"active": False})
    replayed = api.send("POST", "/v1/prices", form, idempotency_key="a")
    assert (refused.status, replayed.status, replayed.body) == (400, 400, refused.body)
    assert replayed.headers["idempotent-replayed"] == "true"
    assert api.get(f"/v1/prices/{holder}")["lookup_key"] is None
    fresh = api.send("POST", "/v1/prices", {**form, "lookup_key": "free"}, idempotency_key="b")
    assert fresh.status == 200


def test_a_missing_object_is_stored_too(api):
    """A 404 of a POST is an outcome of execution: the object made afterwards does not change the replay."""
    before = api.send("POST", "/v1/products/p", {"name": "x"}, idempotency_key="k")
    api.product(id="p")
    after = api.send("POST", "/v1/products/p", {"name": "x"}, idempotency_key="k")
    assert (before.status, after.status) == (404, 404)
    assert api.post("/v1/products/p", {"name": "x"})["name"] == "x"


@pytest.mark.parametrize("bad", [{"bogus": 1}, {"name": ""}, {"active": "x"}, {"expand": ["bogus"]}])
def test_a_refusal_before_execution_is_not_stored(api, bad):
    """A malformed request leaves its key free for the corrected one."""
    assert api.refused("POST", "/v1/products", {"name": "x", **bad}, idempotency_key="k")["status"] == 400
    assert api.post("/v1/products", {"name": "x"}, idempotency_key="k")["name"] == "x"


@pytest.mark.parametrize("status", [401, 409, 429, 500, 503])
def test_an_error_before_execution_is_not_stored(api, status):
    """After an early error the same key executes the request."""
    api.sandbox.faults.add(Fault("POST", "/v1/products", kind="error", status=status, nth=1))
    assert api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k").status == status
    assert api.ids("/v1/products") == []
    second = api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    assert (second.status, "idempotent-replayed" in second.headers) == (200, False)


@pytest.mark.parametrize(("when", "made"), [("instead", 0), ("after", 1)])
def test_a_500_once_execution_began_is_stored(api, when, made):
    """The same key gets the same 500 for a day, whether or not the change was made; a new key makes it."""
    api.sandbox.faults.add(Fault("POST", "/v1/products", kind="error", status=500, when=when, nth=1))
    first = api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    again = api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    assert (first.status, again.status, again.body) == (500, 500, first.body)
    assert json.loads(first.body)["error"]["type"] == "api_error"
    assert len(api.ids("/v1/products")) == made
    assert len(api.events()) == made


def test_no_key_means_no_memory(api):
    """401 is not stored, GET and DELETE ignore keys, an empty key is none, and a key may have 255 characters."""
    bad_key = {"Authorization": "Bearer nonsense"}
    good, api.headers = api.headers, bad_key
    assert api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k").status == 401
    api.headers = good
    assert api.post("/v1/products", {"name": "x", "id": "p"}, idempotency_key="k")["id"] == "p"
    assert "idempotency-key" not in api.send("GET", "/v1/products/p", idempotency_key="g").headers
    assert api.send("DELETE", "/v1/products/p", idempotency_key="d").status == 200
    assert api.send("DELETE", "/v1/products/p", idempotency_key="d").status == 404
    for _ in range(2):
        api.post("/v1/products", {"name": "x"}, idempotency_key="")
    assert len(api.ids("/v1/products")) == 2
    api.post("/v1/products", {"name": "x"}, idempotency_key="k" * 255)
    assert api.refused("POST", "/v1/products", {"name": "x"}, idempotency_key="k" * 256)["status"] == 400


def test_a_key_is_forgotten_after_a_day(open_sandbox, account):
    """Within 24 hours a key replays; after that it executes again."""
    time = [0]
    api = account(open_sandbox(clock=lambda: time[0]))
    first = api.post("/v1/products", {"name": "x"}, idempotency_key="k")
    time[0] = DAY
    assert api.post("/v1/products", {"name": "x"}, idempotency_key="k") == first
    time[0] = DAY + 1
    assert api.post("/v1/products", {"name": "x"}, idempotency_key="k") != first


def test_keys_of_accounts_are_apart(open_sandbox, account):
    """The same key in another account is another key."""
    sandbox = open_sandbox()
    for key in ("sk_test_a", "sk_test_b"):
        account(sandbox, key).post("/v1/products", {"name": key}, idempotency_key="k")
    assert account(sandbox, "sk_test_b").get("/v1/products")["data"][0]["name"] == "sk_test_b"


def test_a_key_in_use_is_a_conflict(api):
    """While the first request is under way a second one with its key is 409; other keys pass; afterwards it replays."""
    started, release = threading.Event(), threading.Event()
    strike = api.sandbox.faults.strike

    def held(method, path, *own):
        if path == "/v1/products" and not started.is_set():
            started.set()
            release.wait(10)
        return strike(method, path, *own)

    api.sandbox.faults.strike = held
    first = []
    thread = threading.Thread(
        target=lambda: first.append(api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k"))
    )
    thread.start()
    assert started.wait(10)
    error = api.refused("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    assert (error["status"], error["type"], error["code"]) == (409, "idempotency_error", "idempotency_key_in_use")
    assert api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="other").status == 200
    release.set()
    thread.join()
    assert api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k").body == first[0].body


def test_many_threads_with_one_key_make_one_object(api):
    """Whatever the interleaving, a key executes once: everyone gets the same object or is told it is in use."""
    replies = []

    def post():
        replies.append(api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k"))

    threads = [threading.Thread(target=post) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {reply.status for reply in replies} <= {200, 409}
    assert len({reply.body for reply in replies if reply.status == 200}) == 1
    assert len(api.ids("/v1/products")) == 1
