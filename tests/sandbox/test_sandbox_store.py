"""What survives: restarts, kills, other processes, other programs' files; and the same bytes for the same requests."""

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.diagnostics import ReconcilerError
from reconciler.sandbox import Fault, Request, Sandbox

WRITER = """
import sys
from reconciler.sandbox import Request, Sandbox
sandbox = Sandbox(sys.argv[1])
number = 0
while True:
    number += 1
    headers = {"Authorization": "Bearer sk_test_sandbox", "Idempotency-Key": f"k{sys.argv[2]}-{number}"}
    body = f"name=p&metadata[n]={number}&default_price_data[currency]=usd&default_price_data[unit_amount]={number}"
    reply = sandbox.dispatch(Request("POST", "/v1/products", headers, body.encode()))
    print(number, reply.status, flush=True)
"""


def start_writer(path, name="a"):
    """Start a process that writes products until it is killed, and says so line by line."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, path, name], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )


def everything(api):
    """Return all products, prices and events, oldest first."""
    found = []
    for path in ("/v1/products", "/v1/prices", "/v1/events"):
        items, form = [], {}
        while True:
            page = api.get(path, {"limit": 100, **form})
            items += page["data"]
            if not page["has_more"]:
                break
            form = {"starting_after": items[-1]["id"]}
        found.append(items[::-1])
    return found


def test_a_file_remembers(open_sandbox, account, tmp_path):
    """Objects, keys and counters outlive the process that made them; ids are not used twice."""
    path = str(tmp_path / "db")
    with Sandbox(path, clock=5) as first:
        before = account(first).send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    api = account(open_sandbox(path, clock=5))
    again = api.send("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    assert again.body == before.body
    assert again.headers["original-request"] == before.headers["request-id"] != again.headers["request-id"]
    assert api.product()["id"] != api.ids("/v1/products")[-1]
    assert len(api.events()) == 2


@pytest.mark.parametrize("round_", range(3))
def test_a_kill_leaves_whole_requests(open_sandbox, account, tmp_path, round_):
    """After ``kill -9`` in the middle of writing, every answered request is there, whole, with its events and key."""
    path = str(tmp_path / "db")
    writer = start_writer(path)
    answered = 0
    for line in writer.stdout:
        answered = int(line.split()[0])
        assert line.split()[1] == "200"
        if answered >= 5 + round_ * 7:
            break
    writer.send_signal(signal.SIGKILL)
    answered += sum(1 for _ in writer.stdout)
    writer.stdout.close()
    writer.wait()
    api = account(open_sandbox(path, clock=None))
    products, prices, events = everything(api)
    assert answered <= len(products) <= answered + 1
    assert [product["default_price"] for product in products] == [price["id"] for price in prices]
    assert [event["data"]["object"]["id"] for event in events] == [
        object_["id"] for pair in zip(products, prices, strict=True) for object_ in pair
    ]
    keys = [api.sandbox._store._writer.execute("SELECT count(*) FROM idempotency").fetchone()[0]]
    assert keys == [len(products)]
    assert api.sandbox._store._writer.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_two_processes_share_a_file(open_sandbox, account, tmp_path):
    """While another process writes, this one writes and reads too: nothing is lost and no id is given twice."""
    path = str(tmp_path / "db")
    writer = start_writer(path)
    for line in writer.stdout:
        if int(line.split()[0]) >= 5:
            break
    api = account(open_sandbox(path, clock=None))
    mine = [api.product(name="mine")["id"] for _ in range(20)]
    writer.kill()
    theirs = 5 + sum(1 for _ in writer.stdout)
    writer.stdout.close()
    writer.wait()
    products, _, _ = everything(api)
    ids = [product["id"] for product in products]
    assert len(ids) == len(set(ids))
    assert [product["id"] for product in products if product["name"] == "mine"] == mine
    assert len(ids) - 20 in {theirs, theirs + 1}


def test_a_database_held_by_another_process_is_stripes_lock_timeout(open_sandbox, account, tmp_path, monkeypatch):
    """A writer that waits in vain is told 429 ``lock_timeout``, is not stored, and succeeds once the lock is gone."""
    monkeypatch.setattr("reconciler.sandbox.database.BUSY_SECONDS", 0.05)
    path = str(tmp_path / "db")
    api = account(open_sandbox(path))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    error = api.refused("POST", "/v1/products", {"name": "x"}, idempotency_key="k")
    assert (error["status"], error["code"]) == (429, "lock_timeout")
    assert api.ids("/v1/products") == []
    other.execute("ROLLBACK")
    other.close()
    assert api.post("/v1/products", {"name": "x"}, idempotency_key="k")["name"] == "x"


def test_a_database_held_when_it_is_opened_is_an_error_in_words(tmp_path, monkeypatch):
    """A file another process holds for too long cannot be opened, and opens once it is free."""
    monkeypatch.setattr("reconciler.sandbox.database.BUSY_SECONDS", 0.05)
    path = str(tmp_path / "db")
    Sandbox(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ReconcilerError, match="locked"):
        Sandbox(path)
    other.close()
    Sandbox(path).close()


def test_a_broken_database_is_an_api_error(api):
    """A failure of the storage is answered in Stripe's envelope, with 500."""
    api.sandbox._store._writer.execute("DROP TABLE term")
    assert api.refused("POST", "/v1/products", {"name": "x"})["type"] == "api_error"
    assert api.refused("GET", "/v1/products")["status"] == 500


@pytest.mark.parametrize("content", ["text", "foreign", "directory", "newer"])
def test_another_programs_file_is_refused_untouched(tmp_path, content):
    """What is not a sandbox's database is an error in words, and is left as it was; a new file is made."""
    path = tmp_path / "db"
    if content == "text":
        path.write_text("not a database " * 100)
    elif content == "directory":
        path.mkdir()
    else:
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE users (name TEXT)")
        database.execute(f"PRAGMA user_version = {99 if content == 'newer' else 0}")
        database.commit()
        database.close()
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(ReconcilerError, match="db"):
        Sandbox(str(path))
    assert (path.read_bytes() if path.is_file() else None) == before
    with Sandbox(str(tmp_path / "new")):
        assert (tmp_path / "new").exists()


def script(api):
    """Send a mixed sequence of requests and return every byte of the replies."""
    product = api.product()["id"]
    price = api.price(product, lookup_key="k", recurring={"interval": "month"})["id"]
    requests = [
        ("POST", "/v1/products", {"name": "x"}, {"idempotency_key": "k"}),
        ("POST", "/v1/products", {"name": "x"}, {"idempotency_key": "k"}),
        ("POST", f"/v1/prices/{price}", {"nickname": "n"}, {}),
        ("POST", "/v1/prices", {"product": product, "currency": "usd"}, {}),
        ("POST", "/v1/coupons", {"percent_off": 5}, {}),
        ("GET", "/v1/prices", {"expand": ["data.product"]}, {}),
        ("GET", "/v1/events", {}, {}),
        ("GET", "/v1/nope", {}, {}),
    ]
    replies = [api.send(method, path, form, **headers) for method, path, form, headers in requests]
    return [(reply.status, dict(reply.headers), reply.body) for reply in replies]


def test_the_same_requests_get_the_same_bytes(open_sandbox, account, tmp_path):
    """Seed and clock decide ids, times and replies, in memory and in a file; another seed gives other ids."""
    one, two = script(account(open_sandbox(seed=7))), script(account(open_sandbox(seed=7)))
    file = script(account(open_sandbox(str(tmp_path / "db"), seed=7)))
    assert one == two == file
    assert script(account(open_sandbox(seed=8))) != one


def test_templates_are_never_changed(api):
    """Working with every family leaves the templates of new objects as they were declared."""
    first = api.code(api.coupon()["id"], restrictions={"minimum_amount": 1, "minimum_amount_currency": "usd"})
    assert first["restrictions"]["minimum_amount"] == 1
    assert api.code(api.coupon()["id"])["restrictions"]["minimum_amount"] is None
    product = api.product(metadata={"a": "b"}, images=["https://example.test/x"])
    api.post(f"/v1/products/{product['id']}", {"metadata": {"c": "d"}})
    assert (api.product()["metadata"], api.product()["images"]) == ({}, [])


def test_the_log_is_bounded_and_can_be_hooked(open_sandbox, account, monkeypatch):
    """Every request is logged with its status, to a hook too; only the latest are kept."""
    monkeypatch.setattr("reconciler.sandbox.core.LOG_LENGTH", 3)
    seen = []
    sandbox = open_sandbox(log=seen.append)
    api = account(sandbox)
    for path in ("/v1/a", "/v1/account", "/v1/products?limit=1", "/v1/prices"):
        api.send("GET", path)
    assert list(sandbox.requests) == [
        ("GET", "/v1/account", 200),
        ("GET", "/v1/products", 200),
        ("GET", "/v1/prices", 200),
    ]
    assert (seen[0].method, seen[0].path, seen[0].status) == ("GET", "/v1/a", 404)
    sandbox.requests.clear()
    sandbox.faults.add(Fault(kind="error", status=503))
    sandbox.dispatch(Request("GET", "/v1/account", api.headers))
    assert list(sandbox.requests) == [("GET", "/v1/account", 503)]
