"""Webhook endpoints and the delivery of events to them (https://docs.stripe.com/webhooks)."""

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

import pytest
import stripe

from reconciler.diagnostics import UsageError
from reconciler.sandbox import Fault, Webhooks
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.server import Server
from reconciler.sandbox.webhooks import RETRIES

PATH = "/v1/webhook_endpoints"
HOOK = "http://127.0.0.1:9/hook"


class Receiver:
    """Takes the place of the network: remembers what is posted and answers as told."""

    def __init__(self):
        self.posts = []
        self.answer = 200

    def __call__(self, url, headers, body):
        """Answer a post; an answer that is an exception is raised."""
        self.posts.append((url, dict(headers), body))
        answer = self.answer.pop(0) if isinstance(self.answer, list) else self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def events(self):
        """The events that were posted, as JSON."""
        return [json.loads(body) for _, _, body in self.posts]

    @property
    def names(self):
        """The names of the objects the events are about."""
        return [event["data"]["object"]["name"] for event in self.events]


@pytest.fixture
def receiver():
    """Return what posts go to."""
    return Receiver()


@pytest.fixture
def time():
    """Return the sandbox's time, to be moved."""
    return [1_800_000_000]


@pytest.fixture
def hooked(open_sandbox, account, receiver, time):
    """Return an account whose webhooks go to the receiver."""
    return account(open_sandbox(clock=lambda: time[0], webhooks=Webhooks(post=receiver)))


def endpoint(api, *events, **form):
    """Create an endpoint for the events, all of them if none is named."""
    return api.post(PATH, {"url": HOOK, "enabled_events": list(events) or ["*"], **form})


def test_an_endpoint_shows_its_secret_once(api, now):
    """Creating an endpoint answers with everything and the secret; no other answer, and no event, has it."""
    made = endpoint(api, "product.created", "price.created", description="mine", metadata={"a": "b"})
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made == {
        "id": made["id"],
        "object": "webhook_endpoint",
        "api_version": None,
        "application": None,
        "created": now,
        "description": "mine",
        "enabled_events": ["product.created", "price.created"],
        "livemode": False,
        "metadata": {"a": "b"},
        "status": "enabled",
        "url": HOOK,
    }
    assert api.get(f"{PATH}/{made['id']}") == made
    assert api.get(PATH)["data"] == [made]
    assert secret not in json.dumps(api.post(f"{PATH}/{made['id']}", {"description": "x"}))
    assert api.events() == []


def test_an_endpoint_changes_and_goes(api):
    """URL, events, description, metadata and whether it is disabled change; deleted, it is gone."""
    made = endpoint(api)["id"]
    changed = api.post(f"{PATH}/{made}", {"url": "https://example.com/x", "enabled_events": ["price.created"]})
    assert (changed["url"], changed["enabled_events"]) == ("https://example.com/x", ["price.created"])
    assert api.post(f"{PATH}/{made}", {"disabled": True})["status"] == "disabled"
    assert api.post(f"{PATH}/{made}", {"disabled": False, "description": ""})["status"] == "enabled"
    assert api.ok("DELETE", f"{PATH}/{made}") == {"id": made, "object": "webhook_endpoint", "deleted": True}
    assert api.refused("GET", f"{PATH}/{made}")["status"] == 404


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"url": "example.com/hook"}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://a b/"}, "url"),
        ({"url": "http://example.com:99999/"}, "url"),
        ({"url": "http://[::1/"}, "url"),
        ({"enabled_events": ["product.exploded"]}, "enabled_events[0]"),
        ({"api_version": "2020-08-27"}, "api_version"),
        ({"connect": True}, "connect"),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused(api, form, param):
    """An endpoint has a whole http(s) address, events the SDK knows, and the modelled API version."""
    whole = {"url": HOOK, "enabled_events": ["*"]}
    assert api.refused("POST", PATH, {**whole, **form})["param"] == param
    fine = {"api_version": stripe.api_version, "connect": False, "url": "https://example.com:8443/hook?x=1"}
    assert api.post(PATH, {**whole, **fine})["api_version"] == stripe.api_version


def test_an_account_has_sixteen_endpoints(api):
    """The seventeenth endpoint is refused; once one is deleted there is room (https://docs.stripe.com/webhooks)."""
    made = [endpoint(api)["id"] for _ in range(16)]
    assert api.refused("POST", PATH, {"url": HOOK, "enabled_events": ["*"]})["status"] == 400
    api.ok("DELETE", f"{PATH}/{made[0]}")
    assert endpoint(api)["id"] not in made


def test_an_event_is_delivered_to_who_wants_it(hooked, receiver):
    """Endpoints are told of their types only, and disabled ones of nothing; each post verifies with its own secret."""
    wants = endpoint(hooked, "product.created")
    endpoint(hooked, "price.created")
    hooked.post(f"{PATH}/{endpoint(hooked)['id']}", {"disabled": True})
    product = hooked.product()
    assert hooked.events()[0]["pending_webhooks"] == 1
    assert hooked.sandbox.deliver() == 1
    ((url, headers, body),) = receiver.posts
    event = stripe.Webhook.construct_event(body, headers["Stripe-Signature"], wants["secret"])
    assert (url, event.type, event.data.object.id) == (HOOK, "product.created", product["id"])
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, headers["Stripe-Signature"], "whsec_other")
    assert hooked.sandbox.deliver() == 0


def test_the_signature_is_of_the_receivers_time(open_sandbox, account, receiver):
    """A sandbox whose clock stands in the past still signs with the time the receiver compares with."""
    sandbox = open_sandbox(clock=5, webhooks=Webhooks(post=receiver, wall=lambda: 1234.9))
    api = account(sandbox)
    endpoint(api)
    api.product()
    sandbox.deliver()
    assert receiver.posts[0][1]["Stripe-Signature"].startswith("t=1234,v1=")
    assert receiver.events[0]["created"] == 5


def test_an_event_counts_who_waits_for_it(hooked, receiver):
    """``pending_webhooks`` is the number of endpoints not yet told; ``delivery_success`` finds what is behind."""
    endpoint(hooked, url="http://127.0.0.1:9/a")
    endpoint(hooked, url="http://127.0.0.1:9/b")
    product = hooked.product()
    (event,) = hooked.events()
    assert event["pending_webhooks"] == 2
    receiver.answer = [200, 500]
    hooked.sandbox.deliver()
    assert hooked.get(f"/v1/events/{event['id']}")["pending_webhooks"] == 1
    assert [each["id"] for each in hooked.events(delivery_success=False)] == [event["id"]]
    assert hooked.events(delivery_success=True) == []
    assert [each["pending_webhooks"] for each in receiver.events] == [2, 1]
    assert product["id"] == event["data"]["object"]["id"]


def test_a_refused_change_tells_no_one(hooked):
    """What is rolled back leaves no delivery; a success beside it does."""
    endpoint(hooked)
    hooked.refused("POST", "/v1/products", {"name": "x", "id": "x", "default_price_data": {"currency": "usd"}})
    assert hooked.sandbox.deliver() == 0
    hooked.product()
    assert hooked.sandbox.deliver() == 1


@pytest.mark.parametrize("answer", [500, 400, 301, 199, 300, ConnectionRefusedError("refused"), TimeoutError()])
def test_what_is_not_acknowledged_is_tried_again(hooked, receiver, time, answer):
    """Anything but a 2xx, a redirect included, is a failure: three retries over hours, then it is given up.

    Source: https://docs.stripe.com/webhooks#automatic-retries.
    """
    endpoint(hooked)
    receiver.answer = answer
    hooked.product()
    for number, wait in enumerate(RETRIES["sandbox"], 1):
        assert hooked.sandbox.deliver() == 1
        assert hooked.sandbox.deliver() == 0
        time[0] += wait - 1
        assert hooked.sandbox.deliver() == 0
        time[0] += 1
        assert len(hooked.sandbox.deliveries(status="pending")) == 1
        assert len(receiver.posts) == number
    assert hooked.sandbox.deliver() == 1
    assert [each["status"] for each in hooked.sandbox.deliveries()] == ["failed"]
    time[0] += 10**6
    assert hooked.sandbox.deliver() == 0
    assert len(receiver.posts) == 4
    assert len({body for _, _, body in receiver.posts}) == 1


def test_live_retries_last_up_to_three_days():
    """The live profile goes on, ever more slowly, for no more than three days; the sandbox's for a few hours."""
    assert 2 * 86_400 < sum(RETRIES["live"]) <= 3 * 86_400
    assert list(RETRIES["live"]) == sorted(RETRIES["live"])
    assert (len(RETRIES["sandbox"]), sum(RETRIES["sandbox"]) < 6 * 3600) == (3, True)
    with pytest.raises(UsageError):
        Webhooks(profile="fast")


def test_a_retry_that_succeeds_ends_it(hooked, receiver, time):
    """After a failure and a success the event counts no one any more and is not posted again."""
    endpoint(hooked)
    receiver.answer = [503, 204]
    hooked.product()
    hooked.sandbox.deliver()
    time[0] += 600
    assert hooked.sandbox.deliver() == 1
    assert hooked.events()[0]["pending_webhooks"] == 0
    (delivery,) = hooked.sandbox.deliveries()
    assert [attempt.get("status") for attempt in delivery["attempts"]] == [503, 204]
    time[0] += 10**6
    assert hooked.sandbox.deliver() == 0


@pytest.mark.parametrize(("back", "status"), [(True, "succeeded"), (False, "canceled")])
def test_a_disabled_endpoint_ends_its_retries(hooked, receiver, time, back, status):
    """Disabled when a retry is due, an endpoint is not told any more; enabled again before, it is.

    Source: https://docs.stripe.com/webhooks#automatic-retries.
    """
    made = endpoint(hooked)["id"]
    receiver.answer = [500, 200]
    hooked.product()
    hooked.sandbox.deliver()
    hooked.post(f"{PATH}/{made}", {"disabled": True})
    if back:
        hooked.post(f"{PATH}/{made}", {"disabled": False})
    time[0] += 600
    assert hooked.sandbox.deliver() == int(back)
    assert [each["status"] for each in hooked.sandbox.deliveries()] == [status]


def test_a_deleted_endpoint_is_not_posted_to(hooked, receiver):
    """What waits for an endpoint that is gone is canceled; another endpoint's is not."""
    gone = endpoint(hooked)["id"]
    endpoint(hooked, url="http://127.0.0.1:9/other")
    hooked.product()
    hooked.ok("DELETE", f"{PATH}/{gone}")
    hooked.sandbox.deliver()
    assert [url for url, _, _ in receiver.posts] == ["http://127.0.0.1:9/other"]
    assert {each["endpoint"]: each["status"] for each in hooked.sandbox.deliveries()}[gone] == "canceled"


@pytest.mark.parametrize("waits", ["first", "retry", "given up", "told"])
def test_an_event_does_not_count_a_deleted_endpoint(hooked, receiver, time, waits):
    """``pending_webhooks`` are the URLs "you specify" that were not told yet (api/events/object); others still count.

    So is what ``delivery_success`` finds, and an event that is told to the others counts none.
    """
    gone, kept = (endpoint(hooked, url=f"http://127.0.0.1:9/{name}")["id"] for name in "ab")
    hooked.product()
    event = hooked.events()[0]["id"]
    receiver.answer = {"told": [200] + [500] * 9}.get(waits, 500)
    if waits != "first":
        hooked.sandbox.deliver()
    for _ in range(9 if waits == "given up" else 0):
        time[0] += 30 * 3600
        hooked.sandbox.deliver()
    hooked.sandbox.resend(event, gone)
    hooked.ok("DELETE", f"{PATH}/{gone}")
    assert hooked.get(f"/v1/events/{event}")["pending_webhooks"] == 1
    assert {each["status"] for each in hooked.sandbox.deliveries(endpoint=gone)} <= {"canceled", "failed", "succeeded"}
    assert [each["id"] for each in hooked.events(delivery_success=False)] == [event]
    hooked.ok("DELETE", f"{PATH}/{kept}")
    assert hooked.get(f"/v1/events/{event}")["pending_webhooks"] == 0
    assert [each["id"] for each in hooked.events(delivery_success=True)] == [event]


def test_an_event_can_be_resent(hooked, receiver, time):
    """A person can have an event delivered again, to one endpoint or to all; that is tried once.

    It counts only if it reaches an endpoint that was never told. Source: https://docs.stripe.com/webhooks#manual-retries.
    """
    one, two = endpoint(hooked, url="http://127.0.0.1:9/1")["id"], endpoint(hooked, url="http://127.0.0.1:9/2")["id"]
    receiver.answer = [200, 500, 200, 500, 200]
    hooked.product()
    hooked.sandbox.deliver()
    event = hooked.events()[0]["id"]
    for target, pending in ((one, 1), (two, 1), (two, 0)):
        assert [each["endpoint"] for each in hooked.sandbox.resend(event, target)] == [target]
        assert hooked.sandbox.deliver() == 1
        assert hooked.events()[0]["pending_webhooks"] == pending
    time[0] += 600
    receiver.answer = 200
    assert hooked.sandbox.deliver() == 1
    assert len(hooked.sandbox.resend(event)) == 2
    hooked.sandbox.deliver()
    assert hooked.events()[0]["pending_webhooks"] == 0
    for wrong in (("evt_none",), (event, "we_none")):
        with pytest.raises(ApiError):
            hooked.sandbox.resend(*wrong)


def test_deliveries_can_be_filtered(hooked):
    """Deliveries are found by event, endpoint and status, newest first; another account's are not among them."""
    one, two = endpoint(hooked, "product.created")["id"], endpoint(hooked, "price.created")["id"]
    product = hooked.product()["id"]
    hooked.price(product)
    sandbox = hooked.sandbox
    assert [each["endpoint"] for each in sandbox.deliveries()] == [two, one]
    assert [each["event_type"] for each in sandbox.deliveries(endpoint=one)] == ["product.created"]
    sandbox.deliver()
    assert (len(sandbox.deliveries(status="succeeded")), sandbox.deliveries(status="pending")) == (2, [])
    assert len(sandbox.deliveries(1)) == 1
    assert sandbox.deliveries(key="sk_test_other") == []


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("webhook_duplicate", ["a", "b", "b", "c"]),
        ("webhook_reorder", ["a", "c", "b"]),
        ("webhook_lose", ["a", "c"]),
        ("webhook_delay", ["a", "c"]),
    ],
)
def test_webhooks_go_wrong_on_request(hooked, receiver, time, kind, names):
    """Faults post an event twice, after the next one, late or never, by the type of the event; others are untouched."""
    endpoint(hooked)
    hooked.sandbox.faults.add(Fault(kind=kind, event="product.*", nth=2, seconds=30), Fault(kind=kind, event="price.*"))
    for name in "abc":
        hooked.product(name=name)
    hooked.sandbox.deliver()
    assert receiver.names == names
    time[0] += 30
    hooked.sandbox.deliver()
    assert receiver.names == [*names, *(["b"] if kind == "webhook_delay" else [])]
    assert hooked.events(delivery_success=False) == []


def test_a_retry_is_not_counted_by_faults(hooked, receiver, time):
    """A fault of the second event hits the second event, not the first one's retry."""
    endpoint(hooked)
    hooked.sandbox.faults.add(Fault(kind="webhook_lose", nth=2))
    receiver.answer = [500, 200, 200]
    hooked.product(name="a")
    hooked.sandbox.deliver()
    time[0] += 600
    hooked.sandbox.deliver()
    hooked.product(name="lost")
    hooked.product(name="c")
    hooked.sandbox.deliver()
    assert receiver.names == ["a", "a", "c"]


def test_the_last_event_cannot_be_reordered(hooked, receiver):
    """With nothing behind it, a reordered event is posted all the same."""
    endpoint(hooked)
    hooked.sandbox.faults.add(Fault(kind="webhook_reorder"))
    hooked.product(name="only")
    hooked.sandbox.deliver()
    assert receiver.names == ["only"]


@contextmanager
def listening(status=200, location=None):
    """Run a real HTTP receiver on the loopback and yield its address and what it got."""
    got, arrived = [], threading.Semaphore(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, dict(self.headers), body))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            arrived.release()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got, arrived
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_delivers_by_itself(open_sandbox, account):
    """While the sandbox is served, events arrive at a real receiver without being asked for, and verify."""
    sandbox = open_sandbox(clock=None)
    api = account(sandbox)
    with listening() as (url, got, arrived), Server(sandbox):
        secret = endpoint(api, url=f"{url}/hook?x=1")["secret"]
        product = api.product()["id"]
        assert arrived.acquire(timeout=20)
    (path, headers, body) = got[0]
    event = stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret)
    assert (path, event.data.object.id) == ("/hook?x=1", product)
    assert headers["Content-Type"].startswith("application/json")


def test_a_redirect_is_not_followed(open_sandbox, account):
    """A redirect is a failure, and where it leads is never asked."""
    api = account(open_sandbox())
    with listening() as (target, reached, _), listening(302, f"{target}/x") as (url, got, _):
        endpoint(api, url=url)
        api.product()
        api.sandbox.deliver()
    assert (len(got), reached) == (1, [])
    assert api.sandbox.deliveries()[0]["attempts"][0]["status"] == 302


def test_only_this_machine_is_posted_to(open_sandbox, account):
    """An address elsewhere is not connected to, and the delivery says what would allow it; the loopback is.

    192.0.2.1 is reserved for documentation (RFC 5737) and answers no one.
    """
    api = account(open_sandbox())
    endpoint(api, url="http://192.0.2.1/hook")
    with listening() as (url, got, _):
        endpoint(api, url=url.replace("127.0.0.1", "localhost"))
        api.product()
        api.sandbox.deliver()
    there, here = [each["attempts"][0] for each in api.sandbox.deliveries()[::-1]]
    assert "--webhook-host 192.0.2.1" in there["error"]
    assert here["status"] == 200
    assert len(got) == 1


def test_an_allowed_host_is_posted_to(open_sandbox, account, monkeypatch):
    """A host allowed by name is connected to wherever it is; another name of the same address is not."""
    asked = []
    monkeypatch.setattr(
        "reconciler.sandbox.posting.socket.getaddrinfo", lambda _, port, **__: [(0, 0, 0, "", ("192.0.2.1", port))]
    )

    def connect(address, _timeout):
        asked.append(address)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr("reconciler.sandbox.posting.socket.create_connection", connect)
    api = account(open_sandbox(webhooks=Webhooks(hosts=frozenset({"hooks.example.com"}))))
    endpoint(api, url="http://hooks.example.com:8080/")
    endpoint(api, url="http://other.example.com:8080/")
    api.product()
    api.sandbox.deliver()
    assert asked == [("192.0.2.1", 8080)]
    assert [each["attempts"][0]["error"].split()[0] for each in api.sandbox.deliveries()] == [
        "other.example.com",
        "refused",
    ]


def test_an_answer_that_is_not_http_is_a_failure(open_sandbox, account):
    """What answers without speaking HTTP is tried again like any failure."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HELLO\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        api = account(open_sandbox())
        endpoint(api, url=f"http://127.0.0.1:{listener.getsockname()[1]}/")
        api.product()
        api.sandbox.deliver()
        thread.join()
    (delivery,) = api.sandbox.deliveries()
    assert delivery["status"] == "pending"
    assert "not HTTP" in delivery["attempts"][0]["error"]


@pytest.mark.parametrize(("address", "seen"), [("/gr\u00fcn?a=b%20c", ["/gr%C3%BCn?a=b%20c"]), ("/plain", ["/plain"])])
def test_an_address_is_written_as_http_has_it(open_sandbox, account, address, seen):
    """What is not ASCII in the path of an endpoint is percent-encoded, and nothing else."""
    api = account(open_sandbox())
    with listening() as (url, got, _):
        endpoint(api, url=url + address)
        api.product()
        api.sandbox.deliver()
    assert [path for path, _, _ in got] == seen


def test_a_name_that_is_none_is_a_failure(open_sandbox, account):
    """A host that no name server can be asked for is a failed attempt like any other, not the end of deliveries."""
    api = account(open_sandbox())
    endpoint(api, url=f"http://{'a' * 64}.example/")
    api.product()
    assert api.sandbox.deliver() == 1
    (delivery,) = api.sandbox.deliveries()
    assert (delivery["status"], "cannot be posted to" in delivery["attempts"][0]["error"]) == ("pending", True)


@contextmanager
def stalling(first=b""):
    """Yield the address of a receiver that takes a post, answers with ``first`` and then, bit by bit, without end."""
    arrived, over = threading.Event(), threading.Event()

    def answer(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            arrived.set()
            try:
                connection.sendall(first)
                while not over.wait(0.01):
                    connection.sendall(b"x" if first else b"")
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/", arrived
        finally:
            over.set()
            thread.join()


def test_an_answer_has_to_be_whole_in_time(open_sandbox, account):
    """Who answers bit by bit without end has not answered when the time is up."""
    api = account(open_sandbox(webhooks=Webhooks(timeout=0.2)))
    with stalling(b"HTTP/1.1 200 OK\r\nX: ") as (url, _):
        endpoint(api, url=url)
        api.product()
        api.sandbox.deliver()
    assert [each["attempts"][0].get("error") for each in api.sandbox.deliveries()] == ["timed out"]


def test_who_stops_does_not_wait_for_receivers(open_sandbox, account):
    """A post that is cut by the end of the server is no attempt: it is made again by the next who delivers."""
    sandbox = open_sandbox(webhooks=Webhooks(timeout=20))
    api = account(sandbox)
    with stalling() as (url, arrived):
        found = endpoint(api, url=url)["id"]
        api.product()
        with sandbox.webhooks.running():
            assert arrived.wait(20)
            posted = monotonic()
        assert monotonic() - posted < 15
    assert [(each["status"], each["attempts"]) for each in sandbox.deliveries()] == [("pending", [])]
    with listening() as (url, got, _):
        api.post(f"{PATH}/{found}", {"url": url})
        sandbox.deliver()
    assert len(got) == 1


def test_a_bug_while_delivering_is_logged_and_passes(open_sandbox, account, caplog):
    """What goes wrong in the background is logged, and what is due is tried again."""
    posts, done = [], threading.Event()

    def post(url, _headers, _body):
        posts.append(url)
        if len(posts) == 1:
            raise ZeroDivisionError
        done.set()
        return 200

    sandbox = open_sandbox(webhooks=Webhooks(post=post))
    api = account(sandbox)
    endpoint(api)
    api.product()
    with sandbox.webhooks.running():
        assert done.wait(20)
    assert "ZeroDivisionError" in caplog.text


def test_a_slow_endpoint_does_not_hold_up_others(open_sandbox, account):
    """While one endpoint takes its time, the others are told."""
    told, release = threading.Event(), threading.Event()

    def post(url, _headers, _body):
        if url == HOOK:
            release.wait(20)
        else:
            told.set()
        return 200

    sandbox = open_sandbox(webhooks=Webhooks(post=post))
    api = account(sandbox)
    endpoint(api)
    endpoint(api, url="http://127.0.0.1:9/quick")
    api.product()
    with sandbox.webhooks.running():
        assert told.wait(20)
        release.set()
    assert {each["status"] for each in sandbox.deliveries()} == {"succeeded"}


def test_two_deliverers_post_once(open_sandbox, account):
    """An endpoint has one delivery at a time: who comes meanwhile leaves it to the first."""
    counts = []

    def post(_url, _headers, _body):
        counts.append(api.sandbox.deliver())
        return 200

    api = account(open_sandbox(webhooks=Webhooks(post=post)))
    endpoint(api)
    api.product()
    assert api.sandbox.deliver() == 1
    assert counts == [0]
