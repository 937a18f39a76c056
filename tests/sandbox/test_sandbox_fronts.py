"""Both fronts through the real SDK, and the HTTP server's own duties."""

import asyncio
import http.client
import json
import pkgutil
import socket
import sys
import threading

import pytest
import stripe

from reconciler.diagnostics import ReconcilerError, UsageError
from reconciler.sandbox import Fault, Sandbox
from reconciler.sandbox.form import MAX_BODY_BYTES
from reconciler.sandbox.server import Server, serve

KEY = {"Authorization": "Bearer sk_test_sandbox"}


@pytest.fixture(scope="module", params=["httptools_impl.HttpToolsProtocol", "h11_impl.H11Protocol"])
def served(request):
    """Return a running server, with either parser of requests, and its sandbox."""
    if "httptools" in request.param:
        pytest.importorskip("httptools", reason="the faster parser of requests is not installed")
    with pytest.MonkeyPatch.context() as patch, Sandbox(clock=1_800_000_000) as sandbox:
        parser = pkgutil.resolve_name(f"uvicorn.protocols.http.{request.param}")
        patch.setattr("uvicorn.protocols.http.auto.AutoHTTPProtocol", parser)
        with Server(sandbox) as server:
            yield server.url, sandbox


def over_http(url, **options):
    """Return an SDK client of a server; all four of the SDK's hosts lead to it."""
    bases = dict.fromkeys(("api", "connect", "files", "meter_events"), url)
    return stripe.StripeClient("sk_test_sandbox", base_addresses=bases, **options)


@pytest.fixture(params=["in process", "http"])
def front(request, served):
    """Return an SDK client on either front and the sandbox behind it."""
    url, sandbox = served
    sandbox.faults.clear()
    return (sandbox.client() if request.param == "in process" else over_http(url)), sandbox


def raw(url, method, path, body=b"", headers=KEY, timeout=10):
    """Send one plain HTTP request and return status, headers and body."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=timeout)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


def test_the_sdk_builds_a_catalogue(front):
    """Meter, product, tiered metered price, feature, coupon and code are made and read back through the SDK's types."""
    client, _ = front
    suffix = stripe.__name__ + str(id(client))
    meter = client.v1.billing.meters.create(
        {"display_name": "Calls", "event_name": suffix, "default_aggregation": {"formula": "sum"}}
    )
    product = client.v1.products.create({"name": "Pro", "images": ["https://example.test/a"], "metadata": {"k": "v"}})
    price = client.v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": [{"up_to": 10, "unit_amount": 0}, {"up_to": "inf", "unit_amount_decimal": "0.5"}],
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
            "lookup_key": suffix,
            "expand": ["tiers", "product"],
        }
    )
    assert [(tier.up_to, str(tier.unit_amount_decimal)) for tier in price.tiers] == [(10, "0"), (None, "0.5")]
    assert price.product.metadata.to_dict() == {"k": "v"}
    assert client.v1.prices.list({"lookup_keys": [suffix], "active": True}).data[0].id == price.id
    feature = client.v1.entitlements.features.create({"name": "F", "lookup_key": suffix})
    attached = client.v1.products.features.create(product.id, {"entitlement_feature": feature.id})
    assert client.v1.products.features.list(product.id).data[0].entitlement_feature.lookup_key == suffix
    assert client.v1.products.features.delete(product.id, attached.id).deleted is True
    coupon = client.v1.coupons.create({"amount_off": 100, "currency": "usd"})
    code = client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}})
    assert client.v1.promotion_codes.retrieve(code.id).promotion.coupon == coupon.id
    assert (
        client.v1.tax_rates.create({"display_name": "VAT", "inclusive": True, "percentage": 8.875}).percentage == 8.875
    )
    assert client.v1.accounts.retrieve_current().id.startswith("acct_")
    assert client.v1.events.list({"type": "price.created"}).data[0].data.object["id"] == price.id


@pytest.mark.parametrize(
    ("call", "error", "status", "code"),
    [
        (lambda c: c.v1.prices.retrieve("nope"), stripe.InvalidRequestError, 404, "resource_missing"),
        (
            lambda c: c.v1.products.create({"name": "x", "bogus": 1}),
            stripe.InvalidRequestError,
            400,
            "parameter_unknown",
        ),
        (lambda c: c.raw_request("get", "/v1/nope"), stripe.InvalidRequestError, 404, None),
    ],
)
def test_refusals_are_the_sdks_exceptions(front, call, error, status, code):
    """The envelope makes the SDK raise the class, status and code it raises for Stripe."""
    client, _ = front
    with pytest.raises(error) as refusal:
        call(client)
    assert (refusal.value.http_status, refusal.value.error.code) == (status, code)
    assert refusal.value.request_id.startswith("req_")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind="error", status=429, error_type="invalid_request_error", code="rate_limit"), stripe.RateLimitError),
        (Fault(kind="error", status=500), stripe.APIError),
        (Fault(kind="error", status=409, error_type="idempotency_error"), stripe.APIError),
        (Fault(kind="drop_before"), stripe.APIConnectionError),
        (Fault(kind="drop_after"), stripe.APIConnectionError),
    ],
)
def test_faults_reach_the_sdk(front, fault, error):
    """On both fronts a fault is the exception the SDK raises for the real thing; without it the call succeeds."""
    client, sandbox = front
    sandbox.faults.add(fault)
    with pytest.raises(error) as raised:
        client.v1.products.create({"name": "x"})
    assert type(raised.value) is error
    sandbox.faults.clear()
    assert client.v1.products.create({"name": "x"}).id


def test_the_sdks_retry_finds_the_lost_answer(front, monkeypatch):
    """After a dropped answer the SDK retries with the same key and gets the object made the first time."""
    monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", lambda *_: 0)
    client, sandbox = front
    before = {coupon.id for coupon in client.v1.coupons.list({"limit": 100}).auto_paging_iter()}
    sandbox.faults.add(Fault("POST", "/v1/coupons", kind="drop_after", nth=1))
    options = {"max_network_retries": 2}
    coupon = client.v1.coupons.create({"percent_off": 1}, options)
    after = {coupon.id for coupon in client.v1.coupons.list({"limit": 100}).auto_paging_iter()}
    assert after - before == {coupon.id}


def test_the_sdk_works_asynchronously_in_process(sandbox):
    """``*_async`` methods of the SDK reach the sandbox without a socket."""

    async def many():
        client = sandbox.client()
        return await asyncio.gather(*(client.v1.products.create_async({"name": str(n)}) for n in range(20)))

    assert len({product.id for product in asyncio.run(many())}) == 20


def test_many_threads_share_one_sandbox(front):
    """Concurrent creates all succeed, each with its own id and event."""
    client, sandbox = front
    before = {event.id for event in client.v1.events.list({"type": "coupon.created"}).auto_paging_iter()}
    made = []

    def create():
        made.extend(client.v1.coupons.create({"percent_off": 1}).id for _ in range(10))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = list(client.v1.events.list({"type": "coupon.created", "limit": 100}).auto_paging_iter())
    assert len(set(made)) == 80
    assert {event.data.object["id"] for event in events if event.id not in before} == set(made)
    assert sandbox.requests[-1][2] == 200


def test_both_fronts_answer_alike(open_sandbox):
    """The same request gets the same bytes in process and over HTTP."""
    one, two = open_sandbox(), open_sandbox()
    body = b"name=x&metadata[a]=b"
    with Server(two) as server:
        status, headers, content = raw(server.url, "POST", "/v1/products", body)
        direct = one.http_client().request("post", "https://api.stripe.com/v1/products", KEY, body.decode())
    assert (content, status) == direct[:2]
    assert {name: headers[name] for name in direct[2]} == dict(direct[2])


def test_a_connection_is_kept_alive(served):
    """Several requests share a connection, and a refusal does not end it."""
    url, _ = served
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    sockets = set()
    for path in ("/v1/account", "/v1/nope", "/v1/products"):
        connection.request("GET", path, headers=KEY)
        sockets.add(connection.sock.getsockname())
        assert json.loads(connection.getresponse().read())
    connection.close()
    assert len(sockets) == 1


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:80", 200),
        ("[::1]:1", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ],
)
def test_only_the_loopback_may_be_asked_for(served, host, status):
    """A foreign ``Host`` is refused, so that no web page can rebind its name to the sandbox."""
    assert raw(served[0], "GET", "/v1/account", headers={**KEY, "Host": host})[0] == status


def test_the_server_limits_bodies(served, monkeypatch):
    """One mebibyte passes to the core, more is 413 in Stripe's envelope, whether or not its length is announced."""
    url, sandbox = served
    fits = b"description=" + b"x" * (MAX_BODY_BYTES - 12)
    assert raw(url, "POST", "/v1/products", fits)[0] == 400
    assert json.loads(raw(url, "POST", "/v1/products", fits + b"x")[2])["error"]["message"].startswith("Request body")
    chunks = iter([b"x" * 65536] * 17)
    monkeypatch.setattr(sandbox, "dispatch", None)
    status, _, body = raw(url, "POST", "/v1/products", chunks)
    assert (status, json.loads(body)["error"]["type"]) == (413, "invalid_request_error")


def test_a_whole_state_may_be_larger_than_a_request(open_sandbox):
    """What the control exports it takes back, beyond the mebibyte that other requests may have."""
    with open_sandbox() as sandbox, Server(sandbox) as server:
        for _ in range(100):
            sandbox.client().v1.products.create({"name": "x", "description": "d" * 5_000})
        _, _, exported = raw(server.url, "GET", "/_sandbox/export")
        assert len(exported) > MAX_BODY_BYTES
        json_ = {**KEY, "Content-Type": "application/json"}
        assert raw(server.url, "POST", "/_sandbox/reset", exported, json_)[0] == 413
        assert raw(server.url, "POST", "/_sandbox/reset", headers=json_)[0] == 200
        assert raw(server.url, "POST", "/_sandbox/import", exported, json_)[0] == 200
        assert len(sandbox.client().v1.products.list({"limit": 100}).data) == 100


def test_a_server_that_stops_lets_everyone_go(open_sandbox):
    """Whom a latency fault holds up is not waited for when the server ends; afterwards the fault holds again."""
    with open_sandbox() as sandbox:
        sandbox.faults.add(Fault(kind="latency", seconds=20.0, nth=1), Fault(kind="latency", seconds=0.01, nth=2))
        with Server(sandbox) as server:
            with pytest.raises(TimeoutError):
                raw(server.url, "GET", "/v1/account", timeout=0.5)
            assert sandbox.faults.data()[0]["count"] == 1
        sandbox.client().v1.products.list()
        first, second = [entry.ms for entry in sandbox.journal]
        assert first < 20_000
        assert second >= 10


def test_a_dropped_connection_is_cut_without_a_byte(served):
    """A fault closes the socket before any reply."""
    url, sandbox = served
    sandbox.faults.add(Fault(kind="drop_after", nth=1))
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"GET /v1/account HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk_test_sandbox\r\n\r\n"
        )
        try:
            received = connection.recv(1)
        except ConnectionResetError:
            received = b""
    sandbox.faults.clear()
    assert received == b""


def test_a_failure_of_the_sandbox_is_json(served, monkeypatch, caplog):
    """Even a bug is answered in Stripe's envelope, and logged."""
    url, sandbox = served
    monkeypatch.setattr(sandbox, "_answer", lambda *_: 1 / 0)
    status, headers, body = raw(url, "GET", "/v1/account")
    assert (status, headers["content-type"], json.loads(body)["error"]["type"]) == (
        500,
        "application/json",
        "api_error",
    )
    assert "ZeroDivisionError" in caplog.text


def test_a_server_listens_on_the_loopback_only(sandbox):
    """Other addresses are refused before a socket is opened; a taken port is an error in words."""
    for host in ("0.0.0.0", "::", "example.com"):
        with pytest.raises(UsageError):
            Server(sandbox, host=host)
    with Server(sandbox) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(ReconcilerError, match=str(port)):
            Server(sandbox, port=port)


def test_serve_says_where_it_listens(open_sandbox, monkeypatch):
    """``ready`` gets the address before the server runs; a request sent then is answered once it does."""
    seen = []
    monkeypatch.setattr(Server, "run", lambda self: seen.append(self._socket.close()))
    serve(open_sandbox(), ready=seen.append)
    assert seen[0].startswith("http://127.0.0.1:")
    assert len(seen) == 2


def test_without_the_extra_the_server_says_what_to_install(sandbox, monkeypatch):
    """A missing uvicorn is a clear error with the command that installs it; the in-process front needs none of it."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ReconcilerError) as error:
        Server(sandbox)
    assert error.value.remedy == 'pip install "uvicorn>=0.40,<1"'
    assert sandbox.client().v1.products.create({"name": "x"}).id
