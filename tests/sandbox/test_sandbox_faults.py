"""Faults, rate limits, keys and versions: what happens instead of an answer."""

import base64
import json

import pytest
import stripe

from reconciler.diagnostics import UsageError
from reconciler.sandbox import ConnectionDroppedError, Fault, Request


def test_a_request_dropped_before_is_lost(api):
    """The client sees a cut connection and nothing was made; the log has status 0."""
    api.sandbox.faults.add(Fault("POST", "/v1/products", kind="drop_before", nth=1))
    with pytest.raises(ConnectionDroppedError):
        api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    assert api.ids("/v1/products") == []
    assert api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k").status == 200
    assert api.sandbox.requests[0] == ("POST", "/v1/products", 0)


def test_an_answer_dropped_after_is_replayed(api):
    """The object was made, and the retry with the same key gets it; a retry without a key makes a second one."""
    api.sandbox.faults.add(Fault("POST", "/v1/products", kind="drop_after", nth=1))
    with pytest.raises(ConnectionDroppedError):
        api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    (made,) = api.ids("/v1/products")
    retry = api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    assert (json.loads(retry.body)["id"], retry.headers["idempotent-replayed"]) == (made, "true")
    assert retry.headers["original-request"] != retry.headers["request-id"]
    api.post("/v1/products", {"name": "x"})
    assert len(api.ids("/v1/products")) == 2


@pytest.mark.parametrize("form", [{"bogus": 1}, {"name": "x", "id": "taken"}])
def test_a_refusal_can_be_lost_too(api, form):
    """A dropped answer is dropped whether it is a refusal before execution or by a rule."""
    api.product(id="taken")
    api.sandbox.faults.add(Fault("POST", "/v1/products", kind="drop_after", nth=1))
    with pytest.raises(ConnectionDroppedError):
        api.send("POST", "/v1/products", form)
    assert api.refused("POST", "/v1/products", form)["status"] == 400


def test_latency_comes_before_the_answer(api, monkeypatch):
    """A latency fault waits as long as it says, then the request runs as always."""
    waited = []
    monkeypatch.setattr("reconciler.sandbox.faults.Faults.hold", lambda _, seconds: waited.append(seconds))
    api.sandbox.faults.add(Fault("*", "/v1/products*", kind="latency", seconds=2.5))
    api.product()
    api.get("/v1/account")
    assert waited == [2.5]


@pytest.mark.parametrize(("retry", "header"), [(True, "true"), (False, "false"), (None, None)])
def test_an_error_says_whether_to_retry(api, retry, header):
    """``stripe-should-retry`` is what the fault says, or absent."""
    api.sandbox.faults.add(Fault("GET", "/v1/account", kind="error", status=503, should_retry=retry))
    reply = api.send("GET", "/v1/account")
    assert (reply.status, reply.headers.get("stripe-should-retry")) == (503, header)


@pytest.mark.parametrize(
    ("how", "expected"),
    [({"nth": 2}, [False, True, False, False]), ({"every": 2}, [False, True, False, True]), ({}, [True] * 4)],
)
def test_a_fault_counts_its_own_requests(api, how, expected):
    """``nth`` hits once, ``every`` again and again, neither always; other methods and paths are not counted."""
    api.sandbox.faults.add(Fault("GET", "/v1/prices*", kind="error", **how))
    hits = []
    for _ in range(4):
        api.get("/v1/products")
        api.send("POST", "/v1/prices")
        hits.append(api.send("GET", "/v1/prices", {"limit": 1}).status == 500)
    assert hits == expected
    api.sandbox.faults.clear()
    assert api.send("GET", "/v1/prices").status == 200


@pytest.mark.parametrize("when", ["before", "instead", "after"])
def test_a_read_can_fail_too(api, when):
    """A GET and a DELETE are hit like a POST, whenever the error is to come; only a DELETE can take effect first."""
    product = api.product()["id"]
    api.sandbox.faults.add(
        Fault("GET", kind="error", when=when, nth=1), Fault("DELETE", kind="error", when=when, nth=1)
    )
    assert api.send("GET", "/v1/account").status == 500
    assert api.send("DELETE", f"/v1/products/{product}").status == 500
    assert api.ids("/v1/products") == ([] if when == "after" else [product])


def test_probability_is_seeded(open_sandbox, account):
    """The same seed gives the same storm, another seed another one."""

    def storm(seed):
        api = account(open_sandbox(seed=seed))
        api.sandbox.faults.add(Fault(kind="error", probability=0.5))
        return [api.send("GET", "/v1/account").status for _ in range(64)]

    assert storm(1) == storm(1) != storm(2)
    assert set(storm(1)) == {200, 500}


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "explode"},
        {"nth": 1, "every": 2},
        {"status": 429, "when": "after"},
        {"when": "never"},
        {"every": 0},
        {"nth": "3"},
        {"probability": 1.5},
        {"status": 200},
        {"seconds": -1},
        {"bogus": 1},
    ],
)
def test_a_fault_that_cannot_be_is_refused(bad):
    """Faults are checked when they are made, from a mapping too."""
    assert Fault.parse({"method": "POST", "path": "/v1/*", "kind": "error", "nth": 3}).nth == 3
    with pytest.raises(UsageError):
        Fault.parse(bad)


@pytest.mark.parametrize(("profile", "admitted"), [("sandbox", 25), ("live", 25), ("off", 60)])
def test_an_operation_has_its_rate(open_sandbox, account, profile, admitted):
    """25 requests of an operation pass in a second, the next are 429 ``rate_limit``; idle seconds do not add up."""
    time = [0.0]
    api = account(open_sandbox(rate=profile, monotonic=lambda: time[0]))
    replies = [api.send("GET", "/v1/products") for _ in range(60)]
    assert [reply.status for reply in replies] == [200] * admitted + [429] * (60 - admitted)
    time[0] = 1.0
    assert api.send("GET", "/v1/products").status == 200
    time[0] = 60.0
    assert [api.send("GET", "/v1/products").status for _ in range(60)].count(200) == admitted
    for reply in replies[admitted:]:
        error = json.loads(reply.body)["error"]
        assert (error["code"], error["type"]) == ("rate_limit", "invalid_request_error")
        assert "stripe-should-retry" not in reply.headers


@pytest.mark.parametrize(("profile", "others"), [("sandbox", 0), ("live", 25)])
def test_an_account_has_its_rate(open_sandbox, account, profile, others):
    """In a Stripe sandbox all operations share 25 a second, in live mode 100; another account has its own."""
    sandbox = open_sandbox(rate=profile, monotonic=lambda: 0.0)
    api = account(sandbox)
    for _ in range(25):
        api.get("/v1/products")
    statuses = [api.send("GET", "/v1/prices").status for _ in range(25)]
    assert statuses.count(200) == others
    assert account(sandbox, "sk_test_other").send("GET", "/v1/products").status == 200


def test_a_profile_that_cannot_be_is_refused(open_sandbox):
    """Only the three profiles are known."""
    assert open_sandbox(rate="live")
    with pytest.raises(UsageError):
        open_sandbox(rate="fast")


def test_a_rate_limit_is_not_stored(open_sandbox, account):
    """After a 429 the same key executes."""
    time = [0.0]
    api = account(open_sandbox(rate="sandbox", monotonic=lambda: time[0]))
    statuses = [api.send("POST", "/v1/products", {"name": "x"}, idempotency_key=f"k{n}").status for n in range(26)]
    assert statuses[-1] == 429
    time[0] = 2.0
    assert api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k25").status == 200


def _status(api, **headers):
    reply = api.sandbox.dispatch(Request("GET", "/v1/account", headers))
    return reply.status, json.loads(reply.body)


def test_a_test_key_opens_and_nothing_else_does(api):
    """Bearer and Basic test keys are taken; live, missing and malformed ones are 401; a live key is never repeated."""
    basic = base64.b64encode(b"sk_test_sandbox:").decode()
    for good in ("Bearer sk_test_sandbox", "bearer rk_test_sandbox", f"Basic {basic}"):
        assert _status(api, Authorization=good)[0] == 200
    live = "sk_" + "live_" + "x" * 24
    for bad in (
        "",
        "Bearer",
        "Bearer pk_test_x",
        f"Bearer {live}",
        "Bearer rk_" + "live_x",
        "Basic %%%",
        "Token x",
        "Bearer sk_test_é",
    ):
        status, body = _status(api, Authorization=bad)
        assert (status, body["error"]["type"]) == (401, "invalid_request_error")
        assert live not in body["error"]["message"]
    assert _status(api)[0] == 401


def test_only_the_modelled_version_is_spoken(api):
    """The SDK's version, or none, is answered; any other is a 400."""
    key = {"Authorization": "Bearer sk_test_sandbox"}
    assert _status(api, **key, **{"Stripe-Version": stripe.api_version})[0] == 200
    assert _status(api, **key)[0] == 200
    for version in ("2020-08-27", "nonsense", ""):
        assert _status(api, **key, **{"Stripe-Version": version})[0] == 400


def test_another_account_cannot_be_named(api):
    """``Stripe-Account`` may name the key's own account; any other is a 403."""
    key = {"Authorization": "Bearer sk_test_sandbox"}
    own = api.get("/v1/account")["id"]
    assert _status(api, **key, **{"Stripe-Account": own})[0] == 200
    status, body = _status(api, **key, **{"Stripe-Account": "acct_other"})
    assert (status, body["error"]["code"]) == (403, "account_invalid")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/x"),
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/v1/products/"),
        ("GET", "/v1/products/a/b"),
        ("GET", "/v1/products//features"),
        ("PUT", "/v1/products"),
        ("PATCH", "/v1/products/a"),
        ("DELETE", "/v1/products"),
        ("POST", "/v1/account"),
        ("GET", "/v1/products/../account"),
    ],
)
def test_an_unknown_url_is_stripes_404(api, method, path):
    """Unknown methods and paths are a 404 in Stripe's envelope that names both."""
    error = api.refused(method, path)
    assert (error["status"], error["type"], error["code"]) == (404, "invalid_request_error", None)
    assert f"({method}: {path})" in error["message"]


def test_ids_are_unquoted(api):
    """A chosen id with signs in it is found under its quoted form."""
    product = api.product(id="a b/c?é")
    assert api.get(f"/v1/products/{api.url('a b/c?é')}") == product
