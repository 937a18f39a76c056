"""Faults beyond the plain ones: Stripe's own refusals, broken answers, storms, a header for one request, the clock."""

import http.client
import json

import pytest
import stripe

from reconciler.diagnostics import UsageError
from reconciler.sandbox import Fault
from reconciler.sandbox.faults import KINDS, Faults, parse_all
from reconciler.sandbox.server import Server


@pytest.fixture
def server(sandbox):
    """Return the address of a running server."""
    with Server(sandbox) as running:
        yield running.url


def over_http(url, **options):
    """Return an SDK client of a server."""
    bases = dict.fromkeys(("api", "connect", "files", "meter_events"), url)
    return stripe.StripeClient("sk_test_sandbox", base_addresses=bases, **options)


@pytest.fixture(params=["in process", "http"])
def client(request, sandbox):
    """Return an SDK client that does not retry, on either front."""
    if request.param == "in process":
        yield sandbox.client()
        return
    with Server(sandbox) as server:
        yield over_http(server.url)


@pytest.mark.parametrize(
    ("kind", "status", "error_type", "code"),
    [
        ("rate_limit", 429, "invalid_request_error", "rate_limit"),
        ("lock_timeout", 429, "invalid_request_error", "lock_timeout"),
        ("conflict", 409, "idempotency_error", "idempotency_key_in_use"),
        ("unauthorized", 401, "invalid_request_error", None),
        ("forbidden", 403, "invalid_request_error", None),
    ],
)
def test_stripes_own_refusals_come_with_its_bodies(api, kind, status, error_type, code):
    """A refusal by kind has Stripe's status, type and code, writes nothing, and leaves the key free.

    Source: https://docs.stripe.com/rate-limits, https://docs.stripe.com/api/errors.
    """
    api.sandbox.faults.add(Fault("POST", "/v1/products", kind=kind, nth=1))
    error = api.refused("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    assert (error["status"], error["type"], error["code"]) == (status, error_type, code)
    assert api.ids("/v1/products") == []
    again = api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    assert (again.status, "idempotent-replayed" in again.headers) == (200, False)


def test_a_rate_limit_names_its_reason(api):
    """The 429 of the limiter has Stripe's header, that of an object lock has not; either may say whether to retry."""
    api.sandbox.faults.add(Fault(kind="rate_limit", nth=1, should_retry=True), Fault(kind="lock_timeout", nth=2))
    limited, locked = api.send("GET", "/v1/account"), api.send("GET", "/v1/account")
    assert limited.headers["stripe-rate-limited-reason"] == "global-rate"
    assert limited.headers["stripe-should-retry"] == "true"
    assert not {"stripe-rate-limited-reason", "stripe-should-retry"} & set(locked.headers)


@pytest.mark.parametrize("kind", ["html", "invalid_json", "content_type", "cut", "slow"])
def test_a_spoiled_answer_is_of_a_committed_request(client, sandbox, kind):
    """The object was made whatever arrives: a proxy's page, half a body or a cut are errors, a slow answer is none."""
    sandbox.faults.add(Fault("POST", "/v1/products", kind=kind, status=502, seconds=0.05, nth=1))
    if kind in {"slow", "content_type"}:
        assert client.v1.products.create({"name": "x"}).name == "x"
    else:
        expected = stripe.APIConnectionError if kind == "cut" else stripe.APIError
        with pytest.raises(expected):
            client.v1.products.create({"name": "x"})
    assert [product.name for product in client.v1.products.list().data] == ["x"]


def test_a_proxys_page_has_nothing_of_stripes(api):
    """An HTML answer has its own status and type and none of Stripe's headers."""
    api.sandbox.faults.add(Fault(kind="html", status=504))
    reply = api.send("GET", "/v1/account")
    assert (reply.status, list(reply.headers), reply.body[:6]) == (504, ["content-type"], b"<html>")


def test_a_cut_body_is_shorter_than_announced(server, sandbox):
    """Over HTTP the length of the whole is announced, half of it comes, and the connection ends."""
    whole = http.client.HTTPConnection(server.removeprefix("http://"), timeout=10)
    headers = {"Authorization": "Bearer sk_test_sandbox"}
    whole.request("GET", "/v1/account", headers=headers)
    body = whole.getresponse().read()
    sandbox.faults.add(Fault(kind="cut"))
    whole.request("GET", "/v1/account", headers=headers)
    with pytest.raises(http.client.IncompleteRead) as error:
        whole.getresponse().read()
    assert error.value.partial == body[: len(body) // 2]
    whole.close()


def test_a_slow_body_outlasts_a_timeout(server, sandbox):
    """A client that waits for less than the answer takes gives up; the answer itself is whole."""
    sandbox.faults.add(Fault(kind="slow", seconds=3, nth=1))
    impatient = over_http(server, http_client=stripe.RequestsClient(timeout=0.2))
    with pytest.raises(stripe.APIConnectionError):
        impatient.v1.accounts.retrieve_current()
    assert impatient.v1.accounts.retrieve_current().id.startswith("acct_")


def test_a_storm_has_a_beginning_and_an_end(api):
    """``first`` and ``last`` bound the requests that are hit, and ``every`` counts on within them."""
    api.sandbox.faults.add(Fault(kind="rate_limit", first=2, last=5), Fault(kind="error", every=3, first=6))
    statuses = [api.send("GET", "/v1/account").status for _ in range(9)]
    assert statuses == [200, 429, 429, 429, 429, 500, 200, 200, 500]


def test_a_storm_can_last_for_seconds(open_sandbox, account):
    """``since`` and ``until`` count the seconds from when the fault was put in force."""
    now = [100.0]
    api = account(open_sandbox(monotonic=lambda: now[0]))
    api.sandbox.faults.add(Fault(kind="lock_timeout", since=10, until=70))
    statuses = []
    for second in (100, 109.9, 110, 169.9, 170):
        now[0] = second
        statuses.append(api.send("GET", "/v1/account").status)
    assert statuses == [200, 200, 429, 429, 200]


def test_jitter_is_seeded(open_sandbox, account, monkeypatch):
    """Jitter adds up to so many seconds to a latency, the same with the same seed."""
    waited = []
    monkeypatch.setattr("reconciler.sandbox.faults.Faults.hold", lambda _, seconds: waited.append(seconds))
    for seed in (1, 1, 2):
        api = account(open_sandbox(seed=seed))
        api.sandbox.faults.add(Fault(kind="latency", seconds=1, jitter=2))
        for _ in range(20):
            api.get("/v1/account")
    first, same, other = waited[:20], waited[20:40], waited[40:]
    assert first == same != other
    assert all(1 <= seconds < 3 for seconds in waited)
    assert len(set(first)) > 1


@pytest.mark.parametrize(
    "text", ["kind=error,status=503,when=instead", '{"kind": "error", "status": 503, "when": "instead"}']
)
def test_a_request_can_bring_its_own_fault(api, text):
    """The header ``Sandbox-Fault`` strikes its own request and no other."""
    assert api.send("POST", "/v1/products", {"name": "x"}, sandbox_fault=text).status == 503
    assert api.ids("/v1/products") == []
    assert api.product()["name"] == "Pro"


@pytest.mark.parametrize("text", ["x", "kind=explode", "kind=error,status=many", "{", "[1]", "kind=error,bogus=1"])
def test_a_requests_own_fault_must_be_one(api, text):
    """A header that is no fault is a 400, and nothing is done; one that is, is obeyed."""
    assert api.refused("POST", "/v1/products", {"name": "x"}, sandbox_fault=text)["status"] == 400
    assert api.ids("/v1/products") == []
    assert api.send("GET", "/v1/account", sandbox_fault="kind=rate_limit").status == 429


def test_a_skewed_clock_is_the_sandboxes(api, now):
    """Under ``clock_skew`` everything happens so many seconds later, or earlier, as long as it is in force."""
    api.sandbox.faults.add(Fault(kind="clock_skew", seconds=90))
    assert api.product()["created"] == now + 90
    api.sandbox.faults.add(Fault(kind="clock_skew", seconds=-100))
    assert api.product()["created"] == now - 10
    api.sandbox.faults.clear()
    assert api.product()["created"] == now


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "rate_limit", "when": "after"},
        {"kind": "latency", "seconds": -1},
        {"kind": "latency", "seconds": 10**9},
        {"first": 0},
        {"until": "later"},
        {"kind": "slow", "jitter": -1},
        {"path": 7},
        {"event": None, "kind": "webhook_lose"},
        {"probability": True},
        {"status": 1000},
    ],
)
def test_a_fault_of_any_kind_is_checked(bad):
    """Bounds hold for every kind; a clock may be skewed backwards."""
    assert Fault.parse({"kind": "clock_skew", "seconds": -1}).seconds == -1
    with pytest.raises(UsageError):
        Fault.parse(bad)


def test_faults_are_data():
    """A list, or a mapping with ``faults``, is read; what is written is read back the same, for every kind."""
    faults = [Fault(kind=kind) for kind in KINDS] + [Fault("GET", "/v1/*", kind="error", nth=3, status=404)]
    data = [fault.data() for fault in faults]
    assert parse_all(json.loads(json.dumps(data))) == parse_all({"faults": data}) == faults
    assert data[-1] == {"method": "GET", "path": "/v1/*", "kind": "error", "nth": 3, "status": 404}
    for bad in ({}, {"faults": 1}, ["x"], "x", None):
        with pytest.raises(UsageError):
            parse_all(bad)


def test_faults_tell_how_often_they_were_matched():
    """What is in force is listed with its count; what does not match is not counted."""
    faults = Faults(0)
    faults.add(Fault("GET", kind="error", nth=2), Fault(kind="search_lag", seconds=5))
    assert [len(faults.strike(method, "/v1/account")) for method in ("GET", "POST", "GET")] == [0, 0, 1]
    assert [each["count"] for each in faults.data()] == [2, 0]
    assert (faults.lag("search_lag"), faults.lag("summary_lag"), faults.strike_event("a")) == (5, 0, [])


def test_the_sdk_rides_out_a_storm(sandbox, monkeypatch):
    """A client that retries gets through a cut and a server error, and its key is executed once."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)
    sandbox.faults.add(Fault("POST", kind="cut", nth=1), Fault("POST", kind="error", nth=2))
    client = stripe.StripeClient("sk_test_sandbox", http_client=sandbox.http_client(), max_network_retries=3)
    client.v1.products.create({"name": "x"})
    assert [status for method, _, status in sandbox.requests if method == "POST"] == [200, 500, 200]
    assert len(client.v1.products.list().data) == 1
