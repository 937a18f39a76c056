"""The command that serves: its end, its death, new files, several at once, and what it refuses to be."""

import contextlib
import signal
import socket
import sqlite3
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from reconciler.cli.serving import METRICS_KEY, OPERATOR_KEYS, ServeOptions, settings_of
from reconciler.diagnostics import UsageError
from reconciler.ledger.ledger import open_ledger
from reconciler.service import connection
from reconciler.service.api.operation import TENANTS
from reconciler.service.serving import listen, server_of
from tests.cli.support import Shell
from tests.ledger.cluster import cluster
from tests.ledger.databases import database
from tests.service.processes import OPERATOR_KEY, Callers, Serving, files
from tests.service.world import Served

DIGEST = "ab" * 32


def booked(url: str) -> set[str]:
    """Return the keys of all calls the ledger has."""
    with open_ledger(url, "read") as ledger:
        found, after = set(), 0
        while page := ledger.store.entries("acme", after):
            found |= {str(entry.key).removeprefix(TENANTS) for entry in page if entry.kind == "consume"}
            after = page[-1].seq
        return found


def test_the_end_answers_what_is_under_way(tmp_path: Path) -> None:
    """On SIGTERM calls under way are answered, the rest is not taken, and every answered call is in the ledger."""
    files(tmp_path)
    url = f"sqlite:///{tmp_path / 'usage.db'}"
    with Serving(tmp_path, url, "--log-level", "info") as server:
        callers = Callers(server, 4)
        callers.wait_for(40)
        assert server.end() == 0
        told = callers.join()
        assert len(told) >= 40
        assert set(told) == booked(url)
        assert '"message":"request"' in server.log()
        assert '"level":"error"' not in server.log()


def killed(tmp_path: Path, url: str, calls: int) -> None:
    """Kill a server under load, look for every answered call, and let another one go on with the same keys."""
    with Serving(tmp_path, url, "--log-level", "error") as server:
        held = {"tool": "search", "quantity": 10, "seconds": 1}
        assert server.ask("POST", "/v1/reservations", held, once="job")[0] == 200
        ends = time.monotonic() + 1
        callers = Callers(server, 8)
        callers.wait_for(calls)
        server.process.kill()
        told = callers.join()
    assert len(told) >= calls
    assert set(told) <= booked(url)
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(tmp_path / "usage.db")) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Serving(tmp_path, url, "--log-level", "error") as server:
        status, again = server.ask("POST", "/v1/consume", {"tool": "search"}, once=told[-1])
        assert (status, again["replayed"]) == (200, True)
        time.sleep(max(ends - time.monotonic(), 0))
        _, balance = server.ask("GET", "/v1/balance")
        assert (balance["held"], int(balance["credits"])) == ("0", 1_000_000 - len(booked(url)))


def test_a_kill_loses_no_answered_call(tmp_path: Path) -> None:
    """Kill -9 under load: every answered call is in the ledger and found by its key, and no hold outlives its time."""
    files(tmp_path)
    with database("file", tmp_path) as url:
        killed(tmp_path, url, 50)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_many_kills_lose_no_answered_call(tmp_path: Path, kind: str) -> None:
    """Eight kills at eight moments of a longer load lose nothing either."""
    files(tmp_path)
    for number in range(8):
        folder = tmp_path / str(number)
        folder.mkdir()
        files(folder)
        with database(kind, folder) as url:
            killed(folder, url, 30 + 241 * number)


@pytest.mark.soak
def test_the_database_dies_under_load(tmp_path: Path) -> None:
    """PostgreSQL is killed three times under load: what was answered is there, and the server works on by itself."""
    files(tmp_path)
    with cluster() as database_, Serving(tmp_path, database_.url, "--log-level", "error") as server:
        callers = Callers(server, 8)
        for number in range(1, 4):
            callers.wait_for(300 * number)
            database_.kill()
        callers.wait_for(len(callers.told) + 300)
        assert server.end() == 0
        told = callers.join()
        assert len(told) == len(set(told)) >= 1200
        assert set(told) <= booked(database_.url)


def test_new_files_on_a_signal(tmp_path: Path) -> None:
    """On SIGHUP new files decide, by the same process; wrong ones change nothing and are logged problem by problem."""
    files(tmp_path)
    with Serving(tmp_path, f"sqlite:///{tmp_path / 'usage.db'}", "--log-level", "info") as server:

        def cost() -> str:
            return str(server.ask("POST", "/v1/check", {"tool": "search"})[1]["cost"])

        def until(text: str) -> None:
            for _ in range(200):
                if text in server.log():
                    return
                threading.Event().wait(0.05)
            raise AssertionError(server.log())

        assert cost() == "1"
        files(tmp_path, cost=7)
        server.process.send_signal(signal.SIGHUP)
        until("the files were read anew")
        assert cost() == "7"
        with (tmp_path / "billing.d" / "all.yaml").open("a") as file:
            file.write("nonsense: 1\n")
        server.process.send_signal(signal.SIGHUP)
        until("the files were not taken over")
        assert "nonsense" in server.log()
        status, refused = server.ask("POST", "/v1/policy/reload", key=OPERATOR_KEY)
        assert (status, refused["code"], refused["errors"][0]["code"]) == (409, "invalid_files", "E0201")
        assert cost() == "7"
        assert server.end(signal.SIGINT) == 0


def test_heads_that_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that grows and grows is cut, and one that comes drop by drop, or never; others are answered meanwhile."""
    monkeypatch.setattr(connection, "PATIENCE", 0.3)
    served = Served()
    listener = listen("127.0.0.1", 0)
    server = server_of(served.service)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()

    def ask() -> bytes:
        with socket.create_connection(listener.getsockname()) as asking:
            asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return b"".join(iter(partial(asking.recv, 4096), b""))

    def cut(*parts: bytes) -> bool:
        with socket.create_connection(listener.getsockname(), timeout=10) as asking:
            try:
                for part in parts:
                    asking.sendall(part)
                return asking.recv(4096) == b""
            except ConnectionError:
                return True

    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
    assert cut(head, *[b"x: " + b"y" * 60_000 + b"\r\n"] * 50)
    assert cut(head, b"x: ", *[b"y" * 60_000] * 50)
    assert cut()
    assert cut(head)
    assert ask().startswith(b"HTTP/1.1 200")
    server.should_exit = True
    thread.join()
    listener.close()
    served.close()


def test_instances_share_one_ledger(tmp_path: Path) -> None:
    """Two servers on one PostgreSQL allow together what one alone would: forty credits are forty calls."""
    files(tmp_path, granted=40)
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(database("postgres", tmp_path))
        servers = [stack.enter_context(Serving(tmp_path, url, "--log-level", "error")) for _ in range(2)]
        callers = [Callers(server, 3, name) for server, name in zip(servers, "ab", strict=True)]
        told = [callers_.join() for callers_ in callers]
        assert len({*told[0], *told[1]}) == 40
        assert sum(each.refused for each in callers) == 6
        first, second = (server.ask("GET", "/v1/balance")[1]["credits"] for server in servers)
        assert first == second == "0"


def test_others_need_a_way_to_be_told_apart(shell: Shell, tmp_path: Path) -> None:
    """Without any key nobody but this machine is let in; nothing is opened to listen, and keys are the way out."""
    (tmp_path / "billing.d").mkdir(exist_ok=True)
    (tmp_path / "billing.d" / "all.yaml").write_text("settings: {namespace: acme, currency: usd}\n")
    config = ("--config", str(tmp_path / "billing.d"), "--ledger", "sqlite://", "--port", "0", "--no-worker")
    for host in ("0.0.0.0", "::", "203.0.113.7"):
        done = shell("serve", "--host", host, *config)
        assert (done.code, "E1504" in done.err) == (64, True)


def test_an_address_that_is_taken(shell: Shell, tmp_path: Path) -> None:
    """An address that somebody has is an error with its code, not a traceback."""
    files(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = ("--config", str(tmp_path / "billing.d"), "--ledger", "sqlite://", "--no-worker")
        done = shell("serve", *config, "--port", str(taken.getsockname()[1]))
    assert (done.code, "E1505" in done.err) == (1, True)


def test_a_fresh_key_is_shown_once(shell: Shell) -> None:
    """A key is printed alone on stdout; what is told of it beside is its hash, and nothing is kept."""
    for options, word in ((("--operator",), "RECONCILER_OPERATOR_KEYS=new:"), ((), "sha256")):
        done = shell("key", "new", *options)
        key = done.out.strip()
        assert key.startswith("rck_")
        assert key not in done.err
        assert word in done.err
    assert shell("key", "new").out != done.out


def test_settings_from_options_and_environment(tmp_path: Path) -> None:
    """Keys come from the environment and a file together; tokens need all that they are verified by."""
    keys = tmp_path / "keys"
    keys.write_text(f"second:{DIGEST}\n")
    options = ServeOptions(operator_keys=keys, hosts=("API.example",), return_origins=("https://Shop.example/",))
    found = settings_of(options, simulated=False, environ={OPERATOR_KEYS: f"first:{DIGEST}", METRICS_KEY: DIGEST})
    assert (set(found.operator_keys), found.metrics_key) == ({"first", "second"}, DIGEST)
    assert (found.hosts, found.return_origins) == ({"api.example"}, {"https://shop.example"})
    tokens = {"jwt_issuer": "https://id.example", "jwt_audience": "a", "jwt_keys": "https://id.example/jwks.json"}
    whole = settings_of(ServeOptions(**tokens, jwt_operator="scope=ops"), simulated=False, environ={}).tokens
    assert whole is not None
    assert (whole.operator_claim, whole.operator_value) == ("scope", "ops")
    for missing in tokens:
        with pytest.raises(UsageError):
            settings_of(ServeOptions(**{**tokens, missing: None}), simulated=False, environ={})
    for wrong in ("shop.example", "https://shop.example/thanks", "ftp://shop.example", "https://a@shop.example"):
        with pytest.raises(UsageError):
            settings_of(ServeOptions(return_origins=(wrong,)), simulated=False, environ={})
