"""The service: what is asked over HTTP, who may ask it, what keeps it observed, and mistakes it does not make."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.routing import Mount

from reconciler.entitlements import Decision, Entitlements, Reason
from reconciler.ledger.ledger import open_ledger
from reconciler.service.identity.keys import TENANT, new_key, well_formed
from reconciler.service.settings import TokenSettings
from tests.provider.payments_world import OK
from tests.service.client import Client
from tests.service.processes import Callers, Serving, files
from tests.service.test_selling import BUY, Shop
from tests.service.world import ACME_KEY, RIVAL_KEY, Served

CALL = {"tool": "big"}
ISSUER = "https://id.example"


@pytest.fixture
def served() -> Iterator[Served]:
    """Serve a small catalogue from memory."""
    world = Served()
    yield world
    world.close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Open a shop at an account of the sandbox."""
    found = Shop()
    yield found
    found.close()


def test_row_0_16_figures_for_prometheus(served: Served) -> None:
    """Answers by what was asked and how it ended, decisions, credits held and what waits; no tenant is named."""
    served.acme.post("/v1/reservations", {"tool": "big", "quantity": 2}, once="job")
    served.acme.post("/v1/consume", {"tool": "big", "quantity": 9}, once="too-much")
    text = served.operator.get("/metrics").body.decode()
    for line in (
        'reconciler_operations_total{action="reserve",resource="entitlements",status="200"} 1.0',
        'reconciler_decisions_total{action="consume",reason="insufficient_credits"} 1.0',
        "reconciler_held_credits 20.0",
        'reconciler_outbox_exports{state="pending"} 0.0',
    ):
        assert line in text
    assert "acme" not in text


def test_row_0_20_headers_for_key_and_credential(served: Served) -> None:
    """Authorization says who calls, Idempotency-Key makes the call once; without the first nobody is told anything."""
    first, again = (served.acme.post("/v1/consume", CALL, once="k").json for _ in range(2))
    assert (first["remaining"], again["remaining"], again["replayed"]) == ("20", "20", True)
    assert served.stranger.post("/v1/consume", CALL, once="k").status == 401


def test_row_1_7_checkout_over_http(shop: Shop) -> None:
    """A checkout over HTTP sells a plan by its id to the credential's own tenant, and leads back to allowed origins."""
    found = shop.acme.post("/v1/checkout", BUY, once="order")
    session = shop.market.session(found.json["id"])
    assert (session.metadata["tenant"], session.amount_total, session.success_url) == ("acme", 999, OK)
    assert shop.acme.post("/v1/checkout", {**BUY, "success_url": "https://evil.example/"}).status == 422


def test_row_1_23_keys_and_tokens() -> None:
    """An API key or a token that an identity provider signed names the tenant; an unsigned token names nobody."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    served = Served(tokens=TokenSettings(ISSUER, "reconciler", pem))
    claims = {"iss": ISSUER, "aud": "reconciler", "exp": int(time.time()) + 60, "tenant": "acme"}
    for credential in (ACME_KEY, jwt.encode(claims, key, "ES256")):
        assert served.stranger.get("/v1/balance", key=credential).json["tenant"] == "acme"
    assert served.stranger.get("/v1/balance", key=jwt.encode(claims, None, "none")).status == 401
    served.close()


def test_row_1_27_what_a_request_may_carry() -> None:
    """A body has a largest size, every change is an entry that names what was done, and it is proven by its hash."""
    served = Served(body_limit=100)
    assert served.acme.post("/v1/consume", {**CALL, "units": {"x" * 100: 1}}).status == 413
    assert served.acme.post("/v1/consume", CALL).status == 200
    entries = served.acme.get("/v1/entries").json["entries"]
    assert [(each["seq"], each["kind"], len(each["hash"])) for each in entries] == [
        (1, "grant", 64),
        (2, "consume", 64),
    ]
    served.close()


def test_row_1_28_health_and_figures(served: Served) -> None:
    """The process says that it lives, whether it can work, and how much it did."""
    served.acme.post("/v1/consume", CALL)
    assert [served.stranger.get(path).json["status"] for path in ("/healthz", "/readyz")] == ["ok", "ok"]
    assert b'reconciler_decisions_total{action="consume",reason="ok"} 1.0' in served.operator.get("/metrics").body


def test_row_1_30_mounted_in_an_app_of_ones_own(served: Served) -> None:
    """The whole service is one ASGI app that works under a prefix of another one."""
    client = Client(Starlette(routes=[Mount("/billing", served.app)]), ACME_KEY)
    assert client.post("/billing/v1/check", CALL).json["allowed"]
    assert client.post("/v1/check", CALL).status == 404
    client.close()


def test_row_2_5_keys_with_prefix_and_checksum() -> None:
    """A key says by its prefix what it is and by its checksum whether it is whole; a mistyped one is told as such."""
    key, served = new_key(TENANT), Served()
    assert key.startswith("rck_tenant_")
    assert (well_formed(key), well_formed(key[:-1] + ("0" if key[-1] != "0" else "1"))) == (True, False)
    assert "mistyped" in served.stranger.get("/v1/balance", key=key[:-2]).json["detail"]
    assert "mistyped" not in served.stranger.get("/v1/balance", key=key).json["detail"]
    served.close()


def test_row_2_8_input_is_validated(served: Served) -> None:
    """What is wrong is refused by its place and no page of another origin may ask; what is right is taken."""
    wrong = served.acme.post("/v1/check", {"tool": "big", "quantity": -1, "more": 1})
    assert [each["pointer"] for each in wrong.json["errors"]] == ["/quantity", "/more"]
    preflight = served.acme.ask("OPTIONS", "/v1/check", headers={"origin": "https://evil.example"})
    assert (preflight.status, [name for name in preflight.headers if "allow-origin" in name]) == (405, [])
    assert served.acme.post("/v1/check", CALL).status == 200


def test_row_2_10_management_over_http(served: Served) -> None:
    """Tenants, books and what is for sale are read over HTTP; what is changed by hand is a grant with a reason."""
    grant = {"tenant": "acme", "credits": 5, "reason": "goodwill"}
    assert served.operator.post("/v1/grants", grant, once="g").json["credits"] == "35"
    assert served.operator.post("/v1/grants", {**grant, "reason": ""}, once="h").status == 422
    listed = served.operator.get("/v1/tenants").json["tenants"]
    assert [each["tenant"] for each in listed] == ["acme", "quiet", "rival"]
    assert served.operator.get("/v1/entries?tenant=acme").json["entries"][-1]["text"].endswith("goodwill.")
    assert served.operator.ask("DELETE", "/v1/tenants").status == 405


def test_row_2_13_a_graceful_end(tmp_path: Path) -> None:
    """A server that is told to end answers what it has begun and takes nothing else; its ledger has every answer."""
    files(tmp_path)
    url = f"sqlite:///{tmp_path / 'usage.db'}"
    with Serving(tmp_path, url, "--log-level", "error") as server:
        callers = Callers(server, 2)
        callers.wait_for(10)
        assert server.end(signal.SIGTERM) == 0
    with open_ledger(url, "read") as ledger:
        found = {entry.key for entry in ledger.store.entries("acme", 0, 10_000) if entry.kind == "consume"}
    assert found == {f"tenant:{key}" for key in callers.join()}


@pytest.mark.parametrize("reason", list(Reason))
def test_row_2_15_statuses_of_reasons(reason: Reason) -> None:
    """Every reason has its HTTP status: to be paid for 402, not allowed 403, too soon 429, unknown for now 503."""
    expected = {
        200: {"ok"},
        402: {"insufficient_credits", "subscription_inactive"},
        403: {"tool_not_in_plan", "feature_required", "unknown_tenant", "unknown_tool"},
        409: {"in_progress"},
        422: {"key_conflict"},
        429: {"quota_exceeded", "rate_limited"},
        503: {"store_unavailable"},
    }
    assert reason.value in expected[reason.http_status]


def test_row_4_3_an_outage_is_remembered(shop: Shop) -> None:
    """Once Stripe did not answer, pages are refused without asking it again, until half a minute later it is asked."""
    shop.market.fault(kind="error", status=500, method="*", every=1)
    assert shop.acme.post("/v1/checkout", BUY).code == "payments_unavailable"
    shop.market.sandbox.faults.clear()
    before = len(shop.market.sandbox.requests)
    assert shop.acme.post("/v1/checkout", BUY).code == "payments_unavailable"
    assert len(shop.market.sandbox.requests) == before
    shop.market.time.now += 30
    assert shop.acme.post("/v1/checkout", BUY).status == 200


def test_mistake_b7_duplicates_at_once(served: Served) -> None:
    """Twenty requests at once under one key are one call, another tenant's same key is its own; no tenant reloads."""

    async def together() -> list[Any]:
        return await asyncio.gather(*(served.acme.asked("POST", "/v1/consume", body=CALL, once="k") for _ in range(20)))

    found = served.acme.run(together())
    assert {each.status for each in found} == {200}
    assert sorted(each.json["replayed"] for each in found) == [False] + [True] * 19
    assert served.acme.get("/v1/balance").json["credits"] == "20"
    assert served.rival.post("/v1/consume", {"tool": "basic"}, once="k").json["replayed"] is False
    assert [each.post("/v1/policy/reload").status for each in (served.rival, served.operator)] == [403, 200]


def test_mistake_b16_a_forged_token() -> None:
    """A token of another key, algorithm or audience is refused, and a private key is never taken for a public one."""
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    served = Served(tokens=TokenSettings(ISSUER, "reconciler", pem))
    good = {"iss": ISSUER, "aud": "reconciler", "exp": int(time.time()) + 60, "tenant": "acme"}
    forged = [
        jwt.encode(good, other, "ES256"),
        jwt.encode(good, "secret" * 8, "HS256"),
        jwt.encode({**good, "aud": "shop"}, key, "ES256"),
        jwt.encode({**good, "exp": 1}, key, "ES256"),
    ]
    assert {served.stranger.get("/v1/balance", key=each).status for each in forged} == {401}
    assert served.stranger.get("/v1/balance", key=jwt.encode(good, key, "ES256")).status == 200
    mailed = jwt.encode({**good, "email": "boss@acme.example", "scope": "operator"}, key, "ES256")
    assert served.stranger.get("/v1/tenants", key=mailed).status == 403
    served.close()


def test_mistake_b17_a_key_is_never_returned(served: Served) -> None:
    """No answer shows a key or its hash; a name that is SQL changes no book and reaches no table."""
    shown = b"".join(
        client.get(path).body
        for client in (served.acme, served.operator)
        for path in ("/v1/balance?tenant=acme", "/v1/entries?tenant=acme", "/v1/tenants", "/v1/catalog", "/metrics")
    )
    assert b'"acme"' in shown
    hashes = [key for tenant in served.runtime.policy.tenants.values() for key in tenant.keys.values()]
    assert not [each for each in (ACME_KEY, RIVAL_KEY, *hashes) if each.encode() in shown]
    assert served.operator.post("/v1/consume", {"tenant": "'; DROP TABLE entry; --", "tool": "x"}).status == 403
    assert served.acme.post("/v1/consume", CALL).status == 200


def test_mistake_b27_a_browser_chooses_nothing(shop: Shop) -> None:
    """Neither tenant, customer, price nor amount can be named in a purchase; ids of the files can."""
    for more in ({"tenant": "paris"}, {"customer": "cus_1"}, {"price": "price_1"}, {"amount": 1}, {"metadata": {}}):
        assert shop.acme.post("/v1/checkout", {**BUY, **more}).status in {403, 404, 422}
    assert shop.market.sessions() == []
    assert shop.acme.post("/v1/checkout", BUY).json["tenant"] == "acme"


def test_mistake_b11_a_service_that_fails_open(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call whose decision breaks is not made: the answer is a failure, and nothing is booked."""
    good: Decision = served.runtime.check("acme", "big")

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(Entitlements, "asking", broken)
        assert served.acme.post("/v1/consume", CALL).status == 500
    assert served.runtime.check("acme", "big") == good
