"""The sandbox's own operations: state kept and put back, seeding, the clock, the log, and all of it over HTTP."""

import json
import sqlite3
import threading
from contextlib import closing

import pytest

from reconciler.diagnostics import ReconcilerError, UsageError
from reconciler.sandbox import ConnectionDroppedError, Fault, Request, Sandbox, Settings, Webhooks
from reconciler.sandbox.control import Control
from reconciler.sandbox.journal import Entry
from reconciler.sandbox.seed import seed
from reconciler.sandbox.server import Server

from .test_sandbox_fronts import raw

JSON = {"Content-Type": "application/json"}


class Panel:
    """Operates a sandbox as its control endpoints let one."""

    def __init__(self, sandbox):
        self.control = Control(sandbox)

    def send(self, method, path, data=None, **headers):
        """Return status and JSON of an operation."""
        body = b"" if data is None else json.dumps(data).encode()
        reply = self.control.handle(Request(method, path, {**JSON, **headers}, body))
        return reply.status, json.loads(reply.body)

    def ok(self, method, path, data=None):
        """Return the JSON of an operation that must succeed."""
        status, reply = self.send(method, path, data)
        assert status == 200, reply
        return reply


@pytest.fixture
def panel(sandbox):
    """Return the control of a fresh sandbox."""
    return Panel(sandbox)


def some(api):
    """Make a few objects, and return the bytes of every answer."""
    replies = [
        api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k"),
        api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k"),
        api.send("POST", "/v1/webhook_endpoints", {"url": "http://127.0.0.1:9", "enabled_events": ["*"]}),
        api.send("POST", "/v1/coupons", {"percent_off": 5}),
        api.send("GET", "/v1/events"),
    ]
    return [(reply.status, dict(reply.headers), reply.body) for reply in replies]


@pytest.mark.parametrize("file", [False, True])
@pytest.mark.parametrize("how", ["snapshot", "export"])
def test_what_is_put_back_answers_the_same(open_sandbox, account, tmp_path, file, how):
    """After a restore the same requests get the same bytes, keys and ids included, here and in another sandbox."""
    path = str(tmp_path / "db") if file else ":memory:"
    Sandbox(path).close()
    sandbox = open_sandbox(path, seed=3)
    api = account(sandbox)
    api.product(id="before")
    state = sandbox.state
    kept = state.save() if how == "snapshot" else json.loads(json.dumps(state.dump()))
    back = state.load if how == "snapshot" else state.undump
    first = some(api)
    assert len(api.ids("/v1/products")) == 2
    back(kept)
    assert some(api) == first
    other = open_sandbox(seed=3)
    (other.state.load if how == "snapshot" else other.state.undump)(kept)
    assert some(account(other)) == first


def test_a_restore_does_not_wait_for_ever(api, tmp_path, monkeypatch):
    """While another process holds the database a restore is refused after a while; once it is free, it is done."""
    monkeypatch.setattr("reconciler.sandbox.database.BUSY_SECONDS", 0.05)
    kept = api.sandbox.state.save()
    with (
        Sandbox(str(tmp_path / "db")) as sandbox,
        closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UsageError):
            sandbox.state.load(kept)
        other.execute("ROLLBACK")
        sandbox.state.load(kept)


def test_a_reset_sandbox_is_as_new(open_sandbox, account):
    """After a reset the same requests get the bytes a fresh sandbox gives; nothing of before is left, keys neither."""
    sandbox = open_sandbox(seed=3)
    api = account(sandbox)
    first = some(api)
    account(sandbox, "sk_test_other").product()
    sandbox.state.clear()
    assert sandbox.state.counts() == []
    assert some(api) == first


def test_a_snapshot_is_a_file_the_sandbox_opens(open_sandbox, account, tmp_path):
    """An image written to a file is a database like any other."""
    api = account(open_sandbox())
    api.product(id="kept")
    (tmp_path / "db").write_bytes(api.sandbox.state.save())
    assert account(open_sandbox(str(tmp_path / "db"))).ids("/v1/products") == ["kept"]


def torn(image, older):
    """Yield what can be left of a snapshot: its beginning, with nothing, zeros or an older one behind, or a hole."""
    size = len(image)
    for cut in range(512, size, max(512, size // 512 * 32)):
        yield image[:cut]
        yield image[:cut] + bytes(size - cut)
        yield image[:cut] + older[cut:]
        yield image[:cut] + bytes(512) + image[cut + 512 :]


def test_a_torn_snapshot_is_refused_whole(api, open_sandbox, tmp_path):
    """Neither restored nor opened as a database is what was cut, half written or half overwritten; the state stays."""
    state, path = api.sandbox.state, tmp_path / "db"
    product = api.product(id="kept", description="a" * 4500)["id"]
    older = state.save()
    api.post(f"/v1/products/{product}", {"description": "b" * 4500})
    image = state.save()
    for damaged in (each for each in torn(image, older) if each not in {image, older}):
        with pytest.raises(UsageError, match=r"not the state of this version's sandbox"):
            state.load(damaged)
        path.write_bytes(damaged)
        with pytest.raises(ReconcilerError, match="cannot use"):
            open_sandbox(str(path))
        assert path.read_bytes() == damaged
    assert api.get("/v1/products/kept")["description"] == "b" * 4500
    state.load(older)
    assert api.get("/v1/products/kept")["description"] == "a" * 4500


def test_a_snapshot_that_has_been_in_use_can_be_put_back(api, open_sandbox, account, tmp_path):
    """Opened as a database and changed, a snapshot's file is a state like any other; damaged it is none."""
    api.product(id="first")
    path = tmp_path / "db"
    path.write_bytes(api.sandbox.state.save())
    for name in ("second", "third"):
        with open_sandbox(str(path)) as sandbox:
            account(sandbox).product(id=name)
    image = bytearray(path.read_bytes())
    image[18:20] = b"\x01\x01"
    api.sandbox.state.load(bytes(image))
    assert api.ids("/v1/products") == ["third", "second", "first"]
    with pytest.raises(UsageError):
        api.sandbox.state.load(bytes(image[: len(image) // 2]) + bytes(len(image) // 2))


@pytest.mark.parametrize("image", [b"", b"text" * 1000, b"SQLite format 3\0" + b"x" * 5000])
def test_what_is_no_snapshot_changes_nothing(api, image):
    """A damaged image is refused in words and the state stays; a good one is taken."""
    api.product(id="kept")
    good = api.sandbox.state.save()
    with pytest.raises(UsageError):
        api.sandbox.state.load(image)
    assert api.ids("/v1/products") == ["kept"]
    api.product()
    api.sandbox.state.load(good)
    assert api.ids("/v1/products") == ["kept"]


@pytest.mark.parametrize("damage", ["format", "version", "tables", "row", "kind", "missing"])
def test_what_is_no_export_changes_nothing(api, damage):
    """An export that is none, of another version, or broken within is refused, and the state stays."""
    api.product(id="kept")
    data = api.sandbox.state.dump()
    if damage == "row":
        data["tables"]["object"].append([1])
    elif damage == "kind":
        data = ["x"]
    elif damage == "missing":
        del data["tables"]["due"]
    else:
        data[damage] = "other"
    with pytest.raises(UsageError):
        api.sandbox.state.undump(data)
    assert api.ids("/v1/products") == ["kept"]


FIXTURES = {
    "_meta": {"template_version": 0},
    "fixtures": [
        {"name": "product", "path": "/v1/products", "method": "post", "params": {"name": "${.env:NAME|Pro}"}},
        {
            "name": "price",
            "path": "/v1/prices",
            "method": "post",
            "params": {
                "product": "${product:id}",
                "currency": "usd",
                "billing_scheme": "tiered",
                "tiers_mode": "graduated",
                "recurring": {"interval": "month"},
                "tiers": [{"up_to": 5, "unit_amount": 10}, {"up_to": "inf", "unit_amount_decimal": "0.5"}],
                "metadata": {"of": "${product:name}-${product:metadata.none|1}", "on": True, "off": None},
            },
        },
        {"name": "again", "path": "/v1/prices/${price:id}", "method": "post", "params": {"active": False}},
        {
            "name": "list",
            "path": "/v1/prices",
            "method": "get",
            "params": {"product": "${product:id}", "active": False},
        },
        {
            "name": "refused",
            "path": "/v1/prices",
            "method": "post",
            "params": {},
            "expected_error_type": "invalid_request_error",
        },
    ],
    "env": {"PRICE": "${list:data.0.id}"},
}


def test_a_fixtures_file_is_run(api):
    """Requests run in order, refer to earlier answers and to the environment, and may expect to be refused.

    Source: https://docs.stripe.com/cli/fixtures.
    """
    done = seed(api.sandbox, FIXTURES, environ={"NAME": "Plus"})
    (product,) = api.get("/v1/products")["data"]
    (price,) = api.get("/v1/prices", {"active": False})["data"]
    assert (product["name"], price["product"]) == ("Plus", product["id"])
    assert price["metadata"] == {"of": "Plus-1", "on": "true"}
    assert done.env == {"PRICE": price["id"]}
    assert done.names == ("product", "price", "again", "list", "refused")


def test_a_fixture_can_be_keyed_and_of_an_account(sandbox, account):
    """An idempotency key and headers go with the request; the objects are the given key's account's."""
    make = {"path": "/v1/products", "method": "POST", "params": {"name": "x"}, "idempotency_key": "k"}
    fixtures = [{**make, "name": "one"}, {**make, "name": "two", "headers": {"Sandbox-Fault": "kind=slow"}}]
    seed(sandbox, {"fixtures": fixtures}, key="sk_test_mine")
    assert len(account(sandbox, "sk_test_mine").ids("/v1/products")) == 1
    assert account(sandbox).ids("/v1/products") == []


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        {"fixtures": {}},
        {"fixtures": [1]},
        {"_meta": {"template_version": 1}, "fixtures": []},
        {"fixtures": [], "env": {"A": 1}},
        {"fixtures": [{"name": "a", "path": "/v1/products"}]},
        {"fixtures": [{"name": "a", "path": "/v1/products", "method": "brew"}]},
        {"fixtures": [{"name": "a", "path": "/v1/products", "method": "post", "params": []}]},
        {"fixtures": [{"name": "a", "path": "/v1/products", "method": "post", "context": "x"}]},
        {"fixtures": [{"name": "a", "path": "/v1/products", "method": "post", "params": {}}]},
        {"fixtures": [{"name": "a", "path": "/v1/products/${b:id}", "method": "get"}]},
        {"fixtures": [{"name": "a", "path": "/v1/account", "method": "get"}], "env": {"A": "${a:x.y}"}},
    ],
)
def test_a_file_that_cannot_seed_is_refused(sandbox, data):
    """What is no fixtures file, and what Stripe would refuse, is an error that says why; an empty list is fine."""
    with pytest.raises(UsageError):
        seed(sandbox, data)
    assert seed(sandbox, {"fixtures": []}).names == ()


def test_an_export_seeds(api, open_sandbox, account):
    """What the sandbox writes out it takes as a seed."""
    api.product(id="kept")
    other = open_sandbox()
    assert seed(other, api.sandbox.state.dump()).names == ()
    assert account(other).ids("/v1/products") == ["kept"]


def test_the_clock_can_be_moved_and_stopped(open_sandbox, account):
    """Time goes on from where it was moved or stopped, and everything due in between happens."""
    source = [1000]
    sandbox = open_sandbox(clock=lambda: source[0])
    api = account(sandbox)
    coupon = api.coupon(redeem_by=5000)["id"]
    sandbox.clock.advance(3999)
    assert api.get(f"/v1/coupons/{coupon}")["valid"]
    sandbox.clock.freeze()
    source[0] = 2000
    assert (sandbox.clock(), sandbox.clock.data()["frozen"]) == (4999, True)
    sandbox.clock.advance(1)
    assert not api.get(f"/v1/coupons/{coupon}")["valid"]
    sandbox.clock.resume()
    sandbox.clock.resume()
    source[0] = 2010
    assert sandbox.clock.data() == {"now": 5010, "frozen": False}
    sandbox.clock.freeze(7)
    assert api.product()["created"] == 7
    for bad in (-1, 1 << 50):
        with pytest.raises(UsageError):
            sandbox.clock.advance(bad)
        with pytest.raises(UsageError):
            sandbox.clock.freeze(bad)


def test_every_request_is_a_line_a_person_can_read(open_sandbox, account):
    """The log has time, method, path, status, duration, request id, what the key did, and the error's code."""
    lines = []
    api = account(open_sandbox(clock=0, log=lambda entry: lines.append(entry.line())))
    api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    replay = api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    api.send("GET", "/v1/products/none?expand[]=default_price")
    api.sandbox.faults.add(Fault(kind="drop_before"))
    with pytest.raises(ConnectionDroppedError):
        api.send("GET", "/v1/account")
    first, second, third, fourth = (line.split() for line in lines)
    assert first[:4] == ["1970-01-01T00:00:00Z", "POST", "/v1/products", "200"]
    assert (first[-1], second[-2:]) == ("new", [replay.headers["request-id"], "replayed"])
    assert third[1:4] + third[-1:] == ["GET", "/v1/products/none", "404", "resource_missing"]
    assert fourth[3] == "cut"
    entry = Entry(0, "GET", "/v1/\x1b[31m\n" + "x" * 500, 200, 1.0, "req_1", "", "")
    assert "\x1b" not in entry.line()
    assert "\n" not in entry.line()
    assert len(entry.line()) < 320


def test_faults_are_set_over_http(panel, api):
    """Faults are listed with their counts, added, put in the place of others, and cleared."""
    panel.ok("POST", "/_sandbox/faults", {"faults": [{"kind": "error", "status": 503, "nth": 9}]})
    added = panel.ok("POST", "/_sandbox/faults", [{"kind": "latency"}])["faults"]
    assert [fault["kind"] for fault in added] == ["error", "latency"]
    panel.ok("PUT", "/_sandbox/faults", [{"kind": "rate_limit", "nth": 1}])
    assert [api.send("GET", "/v1/account").status for _ in range(2)] == [429, 200]
    assert panel.ok("GET", "/_sandbox/faults")["faults"] == [{"kind": "rate_limit", "nth": 1, "count": 2}]
    assert panel.ok("DELETE", "/_sandbox/faults") == {"faults": []}
    status, error = panel.send("PUT", "/_sandbox/faults", [{"kind": "explode"}])
    assert (status, "explode" in error["error"]["message"]) == (400, True)


def test_the_clock_is_set_over_http(panel, now):
    """Advance, freeze and resume each take their own value, one at a time."""
    assert panel.ok("GET", "/_sandbox/clock") == {"now": now, "frozen": False}
    assert panel.ok("POST", "/_sandbox/clock", {"advance": 60})["now"] == now + 60
    assert panel.ok("POST", "/_sandbox/clock", {"freeze": True}) == {"now": now + 60, "frozen": True}
    assert panel.ok("POST", "/_sandbox/clock", {"freeze": 5})["now"] == 5
    assert panel.ok("POST", "/_sandbox/clock", {"resume": True}) == {"now": 5, "frozen": False}
    for bad in (
        {},
        {"advance": 1, "resume": True},
        {"advance": "1"},
        {"advance": -1},
        {"resume": False},
        {"freeze": "x"},
    ):
        assert panel.send("POST", "/_sandbox/clock", bad)[0] == 400


def test_settings_and_requests_are_read_over_http(open_sandbox, account):
    """Settings are as the sandbox was started with, requests the latest first."""
    sandbox = open_sandbox(settings=Settings(replay_header=False))
    panel = Panel(sandbox)
    assert panel.ok("GET", "/_sandbox/settings")["replay_header"] is False
    api = account(sandbox)
    api.send("GET", "/v1/account")
    api.send("GET", "/v1/nope")
    logged = panel.ok("GET", "/_sandbox/requests?limit=1")["requests"]
    assert [(entry["path"], entry["status"]) for entry in logged] == [("/v1/nope", 404)]
    assert len(panel.ok("GET", "/_sandbox/requests")["requests"]) == 2
    for bad in ("0", "x", "10001"):
        assert panel.send("GET", f"/_sandbox/requests?limit={bad}")[0] == 400


def test_deliveries_are_seen_and_resent_over_http(open_sandbox, account):
    """Deliveries of the named key's account, or the usual one's, are listed, made at once, and made once more."""
    posts = []
    sandbox = open_sandbox(webhooks=Webhooks(post=lambda *post: posts.append(post) or 200))
    panel, api = Panel(sandbox), account(sandbox)
    api.post("/v1/webhook_endpoints", {"url": "http://127.0.0.1:9", "enabled_events": ["*"]})
    api.product()
    assert [each["status"] for each in panel.ok("GET", "/_sandbox/deliveries")["deliveries"]] == ["pending"]
    assert panel.ok("POST", "/_sandbox/deliver") == {"posted": 1}
    event = api.events()[0]["id"]
    assert len(panel.ok("POST", f"/_sandbox/events/{event}/resend")["deliveries"]) == 1
    assert panel.ok("POST", "/_sandbox/deliver") == {"posted": 1}
    assert len(panel.ok("GET", f"/_sandbox/deliveries?event={event}&status=succeeded")["deliveries"]) == 2
    assert panel.ok("GET", "/_sandbox/deliveries?status=pending")["deliveries"] == []
    other = panel.send("GET", "/_sandbox/deliveries", Authorization="Bearer sk_test_other")
    assert other == (200, {"deliveries": []})
    assert panel.send("POST", "/_sandbox/events/evt_none/resend")[0] == 404
    assert panel.send("POST", f"/_sandbox/events/{event}/resend", {"endpoint": "we_none"})[0] == 400
    assert panel.send("GET", "/_sandbox/deliveries", Authorization="Bearer sk_" + "live_x")[0] == 401


def test_snapshots_are_taken_over_http(panel, api):
    """Named snapshots are taken, listed, put back and dropped; a reset forgets the state and keeps them."""
    api.product(id="kept")
    assert panel.ok("POST", "/_sandbox/snapshots/a") == {"snapshots": ["a"]}
    assert panel.ok("POST", "/_sandbox/reset") == {"reset": True}
    assert api.ids("/v1/products") == []
    assert panel.ok("POST", "/_sandbox/snapshots/a/restore") == {"restored": "a"}
    assert api.ids("/v1/products") == ["kept"]
    exported = panel.ok("GET", "/_sandbox/export")
    api.product()
    assert panel.ok("POST", "/_sandbox/import", exported) == {"imported": True}
    assert api.ids("/v1/products") == ["kept"]
    assert panel.ok("DELETE", "/_sandbox/snapshots/a") == panel.ok("GET", "/_sandbox/snapshots") == {"snapshots": []}
    assert panel.send("POST", "/_sandbox/snapshots/a/restore")[0] == 404
    assert panel.send("POST", "/_sandbox/import", {"format": "x"})[0] == 400


def test_snapshots_are_bounded(panel, monkeypatch):
    """No more snapshots are kept than memory should hold; one of a name that is there takes its place."""
    monkeypatch.setattr("reconciler.sandbox.control.MAX_SNAPSHOTS", 1)
    panel.ok("POST", "/_sandbox/snapshots/a")
    panel.ok("POST", "/_sandbox/snapshots/a")
    assert panel.send("POST", "/_sandbox/snapshots/b")[0] == 400


def test_an_object_is_seen_as_it_is_stored(panel, api, sandbox):
    """An object is read with its account; what is the sandbox's own, such as a secret, is not shown."""
    made = api.post("/v1/webhook_endpoints", {"url": "http://127.0.0.1:9", "enabled_events": ["*"]})
    ((account, _, _),) = sandbox.state.counts()
    shown = panel.ok("GET", f"/_sandbox/objects/{account}/webhook_endpoint/{made['id']}")
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert panel.send("GET", f"/_sandbox/objects/acct_x/webhook_endpoint/{made['id']}")[0] == 404


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
def test_a_web_page_cannot_operate_the_sandbox(sandbox, api, content_type):
    """What a page of another origin can send without asking first is refused: writing takes JSON alone."""
    control = Control(sandbox)
    api.product(id="kept")
    headers = {"Content-Type": content_type} if content_type else {}
    assert control.handle(Request("POST", "/_sandbox/reset", headers)).status == 415
    assert api.ids("/v1/products") == ["kept"]
    fine = Request("POST", "/_sandbox/reset", {"content-type": "application/json; charset=utf-8"})
    assert control.handle(fine).status == 200
    assert api.ids("/v1/products") == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_sandbox/nope", 404),
        ("PATCH", "/_sandbox/faults", 404),
        ("GET", "/_sandbox/", 404),
        ("GET", "/_sandbox", 200),
    ],
)
def test_only_the_operations_are_there(panel, method, path, status):
    """What is no operation is a 404 in Stripe's envelope; the list of them is there."""
    assert panel.send(method, path)[0] == status


@pytest.mark.parametrize("body", [b"{", b"[1", b'"x"', b"7"])
def test_an_operation_takes_an_object(sandbox, body):
    """A body that is no JSON object is a 400."""
    reply = Control(sandbox).handle(Request("POST", "/_sandbox/clock", JSON, body))
    assert reply.status == 400


def test_the_page_shows_what_there_is(panel, api, sandbox):
    """The page at ``/`` lists objects, events, requests and deliveries, escapes them, and runs no script."""
    api.product(name="<script>alert(1)</script>", id="<b>x")
    api.post("/v1/webhook_endpoints", {"url": "http://127.0.0.1:9", "enabled_events": ["*"]})
    api.product(name="y")
    api.send("GET", "/v1/<u>")
    ((account, *_), *_) = sandbox.state.counts()
    reply = panel.control.handle(Request("GET", f"/?account={account}&kind=product"))
    page = reply.body.decode()
    assert reply.status == 200
    for text in ("product.created", "/v1/products", "webhook_delivery", "pending", "&lt;b&gt;x"):
        assert text in page
    assert "<script" not in page
    assert "<b>x" not in page
    assert "<u>" not in page
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert panel.control.handle(Request("GET", "/?account=<i>&kind=<i>")).body.count(b"<i>") == 0


def test_the_server_has_the_control_and_the_page(open_sandbox):
    """Over HTTP the control and the page are there beside Stripe's API, behind the same check of the host."""
    with Server(open_sandbox()) as server:
        assert raw(server.url, "GET", "/")[0] == 200
        assert json.loads(raw(server.url, "GET", "/_sandbox/clock")[2])["frozen"] is False
        assert raw(server.url, "GET", "/v1/account")[0] == 200
        for path in ("/", "/_sandbox/clock"):
            assert raw(server.url, "GET", path, headers={"Host": "evil.example"})[0] == 403
        assert raw(server.url, "POST", "/_sandbox/reset", b"{}", JSON)[0] == 200


def test_state_can_be_put_back_while_requests_run(account, tmp_path):
    """Restores among requests of other threads leave every answer whole: a success, or a refusal in the envelope."""
    with Sandbox(str(tmp_path / "db")) as sandbox:
        kept = sandbox.state.save()
        statuses, stop = [], threading.Event()

        def work():
            api = account(sandbox)
            while not stop.is_set():
                statuses.append(api.send("POST", "/v1/products", {"name": "x"}).status)
                statuses.append(api.send("GET", "/v1/products").status)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            sandbox.state.load(kept)
        stop.set()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200}
        sandbox.state.load(kept)
        assert account(sandbox).ids("/v1/products") == []
