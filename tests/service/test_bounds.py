"""Bounds of every request: size, shape, pace, time, host; and what no reply lacks."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from reconciler.ledger.base import StoreUnavailableError
from reconciler.service.limits import Buckets, place_of
from reconciler.service.operations.logs import JsonFormatter
from reconciler.service.service import BusyError
from reconciler.service.settings import Pace
from tests.service.client import Client
from tests.service.world import ACME_KEY, FILES, OPERATOR_KEY, RIVAL_KEY, Served

CHECK = b'{"tool":"big"}'


def with_settings(**changes: Any) -> Any:
    """Serve with changed settings."""
    return closing(Served(**changes))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 422),
        (b"null", 422),
        (b'"tool"', 422),
        (b'{"tool":"big"} x', 400),
        (b"{'tool':'big'}", 400),
        (b'\xef\xbb\xbf{"tool":"big"}', 400),
        (b'{"tool":"\xff"}', 400),
        (b'{"tool":"big","tool":"half"}', 400),
        (b'{"tool":"big","units":{"calls":1,"calls":2}}', 400),
        (b'{"tool":"big","quantity":NaN}', 400),
        (b'{"tool":"big","quantity":Infinity}', 400),
        (b'{"tool":"big","quantity":1e400}', 422),
        (b'{"tool":"big","quantity":1.5}', 422),
        (b'{"tool":"big","quantity":"1"}', 422),
        (b'{"tool":"big","quantity":true}', 422),
        (b'{"tool":"big","quantity":-1}', 422),
        (b'{"tool":"big","quantity":1000000000000000}', 422),
        (b'{"tool":"big","quantity":' + b"9" * 5000 + b"}", 400),
        (b'{"tool":"big","quantity":1e99999999999999999999}', 400),
        (b'{"tool":"big","extra":1}', 422),
        (b'{"tool":"big","meter":"calls"}', 422),
        (b'{"tool":""}', 422),
        (b'{"tool":"' + b"x" * 256 + b'"}', 422),
        (b'{"tool":"a\\u0000b"}', 422),
        (b'{"tool":"a\\ud800b"}', 400),
        (b'{"tool":"a\\nb"}', 422),
        (b'{"tool":"a\\u202eb"}', 422),
        (b'{"tool":"big","units":{"nothing":1}}', 422),
        (b'{"tool":"llm"}', 422),
        (b'{"tool":' * 20 + b"1" + b"}" * 20, 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 100_000, 400),
        (b"[" + b"[]," * 5000 + b"[]]", 400),
    ],
    ids=range(35),
)
def test_a_body_that_cannot_be(served: Served, body: bytes, status: int) -> None:
    """Nothing that is no JSON, or not what is asked for, gets further than its refusal; the same path takes a call."""
    found = served.acme.post("/v1/consume", body)
    assert (found.status, found.code) == (status, "invalid_request")
    assert found.headers["content-type"] == "application/problem+json"
    assert served.acme.post("/v1/consume", CHECK).json["remaining"] == "20"


def test_what_is_wrong_is_said_by_its_place(served: Served) -> None:
    """Every value that cannot be is named by its JSON pointer, and none of them is repeated."""
    calls = [{"tool": "big"}, {"tool": "s3cret-word", "quantity": -1}, {"x/y~": 1, "tool": "t"}]
    found = served.acme.post("/v1/check/batch", {"calls": calls})
    assert [each["pointer"] for each in found.json["errors"]] == ["/calls/1/quantity", "/calls/2/x~1y~0"]
    assert b"s3cret-word" not in found.body


@pytest.mark.parametrize(
    "content_type", ["text/plain", "", "application/x-www-form-urlencoded", "application/json; charset=utf-16"]
)
def test_a_body_of_another_type(served: Served, content_type: str) -> None:
    """A body that a web page could send without asking is not taken for JSON; JSON in UTF-8 is."""
    assert served.acme.post("/v1/check", CHECK, headers={"content-type": content_type}).status == 415
    json_type = {"content-type": "Application/JSON; charset=UTF-8"}
    assert served.acme.post("/v1/check", CHECK, headers=json_type).status == 200


def test_a_body_beyond_the_limit() -> None:
    """A body of a byte too many is refused, by its announced length or by what comes; one of the limit is read."""
    padded = json.dumps({"tool": "big", "x": "y" * 4000}).encode()
    with with_settings(body_limit=len(padded)) as served:
        assert served.acme.post("/v1/check", padded).status == 422
        more = padded + b" "
        for found in (
            served.acme.post("/v1/check", more),
            served.acme.post("/v1/check", chunks=[more[:2000], more[2000:]]),
            served.acme.post("/v1/check", CHECK, headers={"content-length": "99999999999999999999999"}),
            served.acme.post("/v1/check", CHECK, headers={"content-length": "-1"}),
            served.acme.post("/v1/check", more, headers={"content-length": "14"}),
        ):
            assert (found.status, found.code, found.headers["connection"]) == (413, "payload_too_large", "close")


def test_headers_beyond_the_limit(served: Served) -> None:
    """Too many headers, or too many bytes of them, are refused before anything is read; ordinary ones are not."""
    many = [(f"x-{number}", "1") for number in range(120)]
    for headers in (many, [("x-long", "y" * 40_000)]):
        assert served.acme.get("/v1/balance", headers=headers).status == 431
    assert served.acme.get("/v1/balance", headers=many[:50]).status == 200


@pytest.mark.parametrize(
    "query",
    ["tenant=acme&tenant=acme", "x=1", "tenant", "tenant=%ff", "tenant=", "tenant=%00", "=", "&&", "tenant=a;b=c"],
)
def test_a_query_that_cannot_be(served: Served, query: str) -> None:
    """A name twice, one that means nothing, or text that is none is refused; a plain name is taken."""
    assert served.operator.get(f"/v1/balance?{query}").status in {400, 422} or query == "tenant=a;b=c"
    assert served.operator.get("/v1/balance?tenant=acme").status == 200


@pytest.mark.parametrize("key", ["", " ", "a b", "~x", "k" * 201, "caf\xe9", "a\x7f"])
def test_an_idempotency_key_that_cannot_be(served: Served, key: str) -> None:
    """A key that a ledger could not keep as it is, or two, are refused; where none belongs one is refused as well."""
    assert served.acme.post("/v1/consume", CHECK, once=key).status == 400
    two = [("idempotency-key", "a"), ("idempotency-key", "a")]
    assert served.acme.post("/v1/consume", CHECK, headers=two).status == 400
    assert served.acme.post("/v1/check", CHECK, once="k").status == 400
    assert served.acme.post("/v1/consume", CHECK, once="k" * 200).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("GET", "/v1/check/"),
        ("POST", "/v1//check"),
        ("POST", "/v1/../v1/nothing"),
        ("GET", "/v1/%2e%2e/metrics"),
        ("GET", "//evil.example/v1/balance"),
        ("GET", "/v1/balance%00"),
        ("GET", "/V1/BALANCE"),
        ("GET", "/v1/reservations/a/commit/b"),
    ],
)
def test_paths_that_lead_nowhere(served: Served, method: str, path: str) -> None:
    """A path that is almost one leads nowhere: nothing is decoded twice, joined, or redirected."""
    found = served.acme.ask(method, path, body=b"{}" if method == "POST" else None)
    assert (found.status, found.code) == (404, "not_found")
    assert "location" not in found.headers
    assert served.acme.get("/v1/balance").status == 200


def test_methods_that_are_not_there(served: Served) -> None:
    """Another method than a path has is 405 and names those it has, for a preflight of a web page too."""
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        found = served.acme.ask(method, "/v1/check", headers={"origin": "https://evil.example"})
        assert (found.status, found.headers["allow"]) == (405, "POST")
        assert not [name for name in found.headers if name.startswith("access-control")]
    assert served.acme.ask("HEAD", "/v1/balance").status == 200


def test_no_reply_allows_another_origin(served: Served) -> None:
    """A web page of another origin may read nothing, and no browser stores, frames or guesses at a reply."""
    for client, path in ((served.acme, "/v1/balance"), (served.stranger, "/v1/balance"), (served.stranger, "/healthz")):
        headers = client.get(path, headers={"origin": "https://evil.example"}).headers
        assert not [name for name in headers if name.startswith("access-control")]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0f8fad5b-d9cb-469f-a165-70867728950e", True),
        ("short", False),
        ("x" * 129, False),
        ('a"b,c:d{e}', False),
        ("evil\r\nset-cookie: a=b", False),
        ("12345678\xe9", False),
    ],
)
def test_request_ids(served: Served, given: str, *, kept: bool) -> None:
    """A well-formed request id is kept and answered, any other is replaced; problems name it too."""
    found = served.stranger.get("/v1/balance", headers={"x-request-id": given})
    shown = found.headers["x-request-id"]
    assert (shown == given) is kept
    assert found.json["instance"] == f"urn:reconciler:request:{shown}"


def test_other_hosts() -> None:
    """Where hosts are named, a request to another one is refused, whatever port it names; without names none is."""
    with with_settings(hosts=frozenset({"api.acme.example", "[::1]"})) as served:
        for host in ("evil.example", "api.acme.example.evil.example", "", "xapi.acme.example"):
            assert served.acme.get("/v1/balance", headers={"host": host}).status == 421
        for host in ("api.acme.example", "API.acme.example:8443", "[::1]:8080"):
            assert served.acme.get("/v1/balance", headers={"host": host}).status == 200


def test_a_pace_for_each_credential() -> None:
    """One more than a credential's burst is 429 and says when to come back; another credential is not in its way."""
    with with_settings(principal_pace=Pace(0.1, 3)) as served:
        statuses = [served.acme.get("/v1/balance") for _ in range(4)]
        assert [each.status for each in statuses] == [200, 200, 200, 429]
        assert (statuses[3].code, int(statuses[3].headers["retry-after"])) == ("rate_limited", 10)
        assert served.rival.get("/v1/balance").status == 200


def test_a_pace_for_each_address() -> None:
    """Guesses at keys are slowed by the address, the same site's of IPv6 together; probes and valid keys are not."""
    with with_settings(address_pace=Pace(0.1, 3)) as served:
        guesses = [served.stranger.get("/v1/balance", key=f"guess{number}") for number in range(4)]
        assert [each.status for each in guesses] == [401, 401, 401, 429]
        assert served.stranger.get("/healthz").status == 200
        assert served.acme.get("/v1/balance").status == 200
        one, other = (Client(served.app, address=f"2001:db8::{each}") for each in "12")
        assert [each.get("/openapi.json").status for each in (one, one, other, other)] == [200, 200, 200, 429]
        one.close()
        other.close()


def test_buckets_refill_and_are_bounded() -> None:
    """A bucket lets its burst through at once and one more each step; so many names are remembered and no more."""
    buckets = Buckets(Pace(2, 4))
    assert [buckets.wait("a", 100.0) for _ in range(4)] == [0] * 4
    assert buckets.wait("a", 100.0) == pytest.approx(0.5)
    assert [buckets.wait("a", 100.5), buckets.wait("a", 100.5) > 0] == [0, True]
    for number in range(120_000):
        buckets.wait(f"n{number}", 200.0)
    assert len(buckets._full) <= 50_000


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a:b", "a:b"),
    ],
)
def test_places(host: str, place: str) -> None:
    """An address stands for itself, one of IPv6 for its network of 64 bits."""
    assert place_of({"client": (host, 1)}) == place
    assert place_of({}) == ""


NETWORKS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("client", "named", "place"),
    [
        ("10.1.1.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.1.1.1", ["198.51.100.1, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        ("10.1.1.1", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        ("fd00::1", ["2001:db8:1:2::9"], "2001:db8:1:2::/64"),
        ("::ffff:10.1.1.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("10.1.1.1", ["203.0.113.7, unknown"], "10.1.1.1"),
        ("10.1.1.1", ["10.2.2.2"], "10.2.2.2"),
        ("10.1.1.1", [], "10.1.1.1"),
        ("203.0.113.9", ["203.0.113.7"], "203.0.113.9"),
    ],
)
def test_places_behind_a_proxy(client: str, named: list[str], place: str) -> None:
    """A trusted proxy says who asked it, others do not; what the asking one wrote itself counts for nothing."""
    headers = [(b"x-forwarded-for", each.encode()) for each in named]
    assert place_of({"client": (client, 1), "headers": headers}, NETWORKS) == place
    assert place_of({"client": (client, 1), "headers": headers}) == place_of({"client": (client, 1)})


def test_one_who_asks_leaves_places_to_others(served: Served) -> None:
    """More than four purchases of one at once are refused, while another's goes through; each place comes back."""
    service, go = served.service, threading.Event()

    async def crowd() -> list[str]:
        waiting = [asyncio.create_task(service.slowly("acme", go.wait)) for _ in range(4)]
        await asyncio.sleep(0)
        found = []
        for who in ("acme", "rival"):
            try:
                found.append(await service.slowly(who, lambda: "done"))
            except BusyError:
                found.append("busy")
        go.set()
        await asyncio.gather(*waiting)
        return [*found, await service.slowly("acme", lambda: "done")]

    assert served.acme.run(crowd()) == ["busy", "done", "done"]


def test_a_request_that_takes_too_long() -> None:
    """A body that never ends is cut with 503 when the time is over; the next request works."""
    with with_settings(timeout=0.05) as served:

        async def trickle() -> Any:
            scope = {"type": "http", "method": "POST", "path": "/v1/check", "query_string": b"", "root_path": ""}
            named = [(b"authorization", f"Bearer {ACME_KEY}".encode()), (b"content-type", b"application/json")]
            sent: list[Any] = []

            async def receive() -> Any:
                await asyncio.sleep(10)

            async def send(message: Any) -> None:
                sent.append(message)

            await served.app({**scope, "headers": named}, receive, send)
            return sent

        start, body = served.acme.run(trickle())
        assert (start["status"], json.loads(body["body"])["code"]) == (503, "timeout")
        assert served.acme.post("/v1/check", CHECK).status == 200


def test_a_ledger_that_is_away(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its ledger the service refuses every call with 503 and is not ready; it lives, and works again after."""

    def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailableError("E1103", "the ledger failed")

    with monkeypatch.context() as patch:
        for name in ("transact", "read", "entry", "balance", "balances", "entries"):
            patch.setattr(served.runtime.ledger.store, name, away)
        for found in (
            served.acme.post("/v1/consume", CHECK),
            served.acme.post("/v1/reservations", CHECK, once="k"),
            served.acme.get("/v1/balance"),
            served.acme.get("/v1/entries"),
            served.operator.get("/v1/tenants"),
            served.operator.post("/v1/grants", {"tenant": "acme", "credits": 1, "reason": "r"}, once="g"),
        ):
            assert (found.status, found.code) == (503, "store_unavailable")
            assert int(found.headers["retry-after"]) > 0
        assert served.acme.post("/v1/check", CHECK).json["reason"] == "store_unavailable"
        assert (served.stranger.get("/readyz").status, served.stranger.get("/healthz").status) == (503, 200)
    assert served.acme.post("/v1/consume", CHECK).json["remaining"] == "20"
    assert served.stranger.get("/readyz").json["status"] == "ok"


def test_a_tool_that_may_be_let_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the ledger a tool whose files say so is let through, marked and noted; it is never reserved."""
    monkeypatch.chdir(tmp_path)
    with with_settings(files={**FILES, "tools": {"vital": {"on_error": "allow"}}}) as served:

        def away(*_: Any, **__: Any) -> Any:
            raise StoreUnavailableError("E1103", "the ledger failed")

        with monkeypatch.context() as patch:
            patch.setattr(served.runtime.ledger.store, "transact", away)
            found = served.acme.post("/v1/consume", {"tool": "vital"}, once="v")
            assert (found.status, found.json["degraded"]) == (200, True)
            assert served.acme.post("/v1/consume", CHECK).status == 503
            assert served.acme.post("/v1/reservations", {"tool": "vital"}, once="r").status == 503


def test_a_bug_shows_nothing_of_itself(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected failure is 500 with the request's id and nothing else; the log has the rest, keys cut out."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"unexpected {ACME_KEY}")

    monkeypatch.setattr(served.service.aio, "check", broken)
    found = served.acme.post("/v1/check", CHECK)
    assert (found.status, found.code) == (500, "internal_error")
    assert b"unexpected" not in found.body
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    line = JsonFormatter().format(record)
    assert json.loads(line)["request_id"] == found.headers["x-request-id"]
    assert "unexpected rck_tenant_***" in line
    assert ACME_KEY not in line


SQL = ["acme' OR '1'='1", "'; DROP TABLE entry; --", 'x" UNION SELECT 1', "acme\\", "%", "?", "$1", "/*"]


@pytest.mark.parametrize("text", SQL)
def test_words_of_sql_are_names(served: Served, text: str) -> None:
    """What looks like SQL in a tenant, tool or key is a name nobody has; the books stay as they were."""
    before = served.acme.get("/v1/balance").json
    assert served.operator.post("/v1/consume", {"tenant": text, "tool": text}).code == "unknown_tenant"
    assert served.acme.post("/v1/check", {"meter": text}).json["reason"] in {"unknown_tool", "tool_not_in_plan"}
    assert served.acme.get("/v1/balance").json == before
    assert served.acme.post("/v1/consume", {"tool": text}, once="k").json["tool"] == text


def everything(served: Served) -> Iterator[Any]:
    """Ask everything there is, well and badly, as everybody."""
    paths = ("/v1/balance", "/v1/entries", "/v1/tenants", "/v1/catalog", "/metrics", "/openapi.json", "/readyz")
    for client in (served.acme, served.operator, served.stranger, served.rival):
        for path in paths:
            yield client.get(path)
        for path in ("/v1/check", "/v1/consume", "/v1/grants", "/v1/checkout", "/nothing"):
            yield client.post(path, CHECK)
            yield client.post(path, f'{{"tool":"{ACME_KEY}"'.encode())


def test_no_secret_in_any_reply_log_or_metric(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Neither keys nor their hashes are in a reply, a log line or a figure, whatever is asked by whomever."""
    caplog.set_level(logging.DEBUG)
    replies = [reply.body + repr(reply.headers).encode() for reply in everything(served)]
    lines = [JsonFormatter().format(record) for record in caplog.records]
    shown = "".join(map(bytes.decode, replies)) + "".join(lines)
    assert "unauthenticated" in shown
    assert '"principal":"tenant:acme:ci"' in shown
    hashes = [each["api_keys"][0]["sha256"] for each in served.files["tenants"].values() if "api_keys" in each]
    for secret in (ACME_KEY, RIVAL_KEY, OPERATOR_KEY, *hashes, *served.settings.operator_keys.values()):
        assert secret not in shown


def test_the_app_is_mounted_under_a_prefix(served: Served) -> None:
    """Under a prefix of another app every path is there, its own and no other's bounds hold, and 404 is a problem."""
    outer = Starlette(routes=[Mount("/billing", served.app)])
    client = Client(outer, ACME_KEY)
    assert client.post("/billing/v1/check", CHECK).json["allowed"]
    assert client.get("/billing/healthz").status == 200
    assert client.get("/billing/v1/nothing").code == "not_found"
    assert client.get("/billing/v1/check").headers["allow"] == "POST"
    assert client.post("/v1/check", CHECK).status == 404
    client.close()
