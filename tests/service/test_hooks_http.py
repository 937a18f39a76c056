"""Webhooks over HTTP: what Stripe posts, what operators see, and a whole life over real sockets."""

import json
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from stripe import WebhookSignature

from reconciler.cli.hooking import SECRETS, secrets_of
from reconciler.diagnostics import UsageError
from reconciler.ledger.base import StoreUnavailableError
from reconciler.sandbox.server import Server
from reconciler.service.hooks.room import Hooks
from reconciler.service.operations.gauges import gauges_of
from reconciler.service.service import Service
from reconciler.service.serving import listen, server_of
from tests.service.world import Served

from .hooks_world import SECRET, SHOP, Hooked

HOOK = "/v1/webhooks/stripe"


class Room(Served):
    """A service with an inbox, beside an account that sells."""

    def __init__(self, secrets: tuple[str, ...] = (SECRET,)) -> None:
        super().__init__(files=SHOP)
        self.shop = Hooked()
        self.clock.now = self.shop.market.clock.now * 1_000_000
        clock = self.shop.market.clock
        self.service.hooks = self.hooks = Hooks(self.runtime, self.shop.gateway(), secrets=secrets, clock=clock)

    def sign(self, raw: bytes, secret: str = SECRET, age: int = 0) -> dict[str, str]:
        """Return the header Stripe sends with a body."""
        at = self.shop.market.clock.now - age
        return {"Stripe-Signature": WebhookSignature.generate_signature_header(raw.decode(), secret, at)}

    def close(self) -> None:
        """Close everything."""
        self.shop.close()
        super().close()


@pytest.fixture
def room() -> Iterator[Room]:
    """Lend a service with an inbox."""
    found = Room()
    yield found
    found.close()


def body(room: Room) -> bytes:
    """Return the body of a webhook about a purchase."""
    room.shop.buy(pack="starter")
    return json.dumps(room.shop.fresh("checkout.session.completed")[0], indent=2).encode()


def test_a_webhook_is_kept_and_acknowledged(room: Room) -> None:
    """It needs no credential; twice it is acknowledged twice and kept once, and brings its credits once."""
    raw = body(room)
    for duplicate in (False, True):
        reply = room.stranger.post(HOOK, raw, headers=room.sign(raw))
        assert (reply.status, reply.json["duplicate"], reply.json["state"]) == (200, duplicate, "pending")
    assert room.hooks.processor.round().done == 1
    assert room.runtime.balance("self").credits == 110_000_000


def test_a_type_nobody_knows_is_acknowledged(room: Room) -> None:
    """What comes new with Stripe is 200 and ignored, so that it does not come again for three days."""
    raw = json.dumps({**json.loads(body(room)), "id": "evt_new", "type": "invented.thing"}).encode()
    reply = room.stranger.post(HOOK, raw, headers=room.sign(raw))
    assert (reply.status, reply.json["state"]) == (200, "ignored")
    assert room.hooks.processor.round() == (0, 0, 0, 0)


def test_what_is_not_proven_is_refused(room: Room) -> None:
    """No signature, another secret, another body, two headers, 301 seconds: 400 and no row; 299 seconds are fine."""
    raw = body(room)
    right = room.sign(raw)["Stripe-Signature"]
    for headers in (
        [],
        [("Stripe-Signature", "")],
        [("Stripe-Signature", right), ("Stripe-Signature", right)],
        list(room.sign(raw, "whsec_other00000").items()),
        list(room.sign(raw + b" ").items()),
        list(room.sign(raw, age=301).items()),
    ):
        reply = room.stranger.post(HOOK, raw, headers=headers)
        assert (reply.status, reply.code) == (400, "invalid_webhook")
        assert SECRET not in reply.body.decode()
    assert room.hooks.inbox.listed() == []
    assert room.stranger.post(HOOK, raw, headers=room.sign(raw, age=299)).status == 200


def test_a_body_that_is_too_large_is_not_read(room: Room) -> None:
    """413 by its length, or once it is too long; one that fits is taken."""
    raw = body(room)
    big = raw + b" " * (1 << 20)
    assert room.stranger.post(HOOK, big, headers=room.sign(big)).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    reply = room.stranger.ask("POST", HOOK, chunks=[raw, b" " * (1 << 20)], headers=room.sign(raw))
    assert reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert room.stranger.post(HOOK, raw, headers=room.sign(raw)).status == 200


def test_what_cannot_be_kept_has_to_come_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the ledger a webhook is 503, so that Stripe sends it again; then it is taken."""
    raw = body(room)

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("E1103", "the ledger failed")

    with monkeypatch.context() as patch:
        patch.setattr(room.runtime.ledger.store, "alongside", away)
        reply = room.stranger.post(HOOK, raw, headers=room.sign(raw))
        assert (reply.status, reply.code) == (503, "store_unavailable")
    assert room.stranger.post(HOOK, raw, headers=room.sign(raw)).json["duplicate"] is False


def test_a_service_is_not_started_with_an_empty_secret(room: Room) -> None:
    """A variable that is set and empty, or has an empty secret beside a good one, is an error; one not set is none."""
    assert [secrets_of({}), secrets_of({SECRETS: f"{SECRET}, whsec_b"})] == [(), [SECRET, "whsec_b"]]
    for text in ("", " ", f"{SECRET},"):
        with pytest.raises(UsageError):
            Hooks(room.runtime, room.shop.gateway(), secrets=secrets_of({SECRETS: text}))


def test_without_a_secret_nothing_is_taken() -> None:
    """A service without a secret has no webhooks, and one with an empty one does not start."""
    room = Room(secrets=())
    raw = body(room)
    assert room.stranger.post(HOOK, raw, headers=room.sign(raw)).status == 404
    for secrets in (("",), (SECRET, "")):
        with pytest.raises(UsageError):
            Hooks(room.runtime, room.shop.gateway(), secrets=secrets)
    room.close()


def test_operators_look_after_the_inbox(room: Room) -> None:
    """They list, show and replay; a tenant is refused, a stranger unknown, and no answer has a body of Stripe's."""
    raw = body(room)
    room.stranger.post(HOOK, raw, headers=room.sign(raw))
    room.hooks.processor.round()
    page = room.operator.get("/v1/webhooks?state=done").json
    (event,) = page["events"]
    assert (event["type"], event["tenant"], page["depths"][0]["events"]) == ("checkout.session.completed", "self", 1)
    assert room.operator.get(f"/v1/webhooks/{event['id']}").json == event
    assert room.operator.get("/v1/webhooks/evt_x").status == 404
    again = room.operator.post(f"/v1/webhooks/{event['id']}/replay", {"tenant": "self"})
    assert (again.status, again.json["state"]) == (200, "pending")
    assert room.hooks.processor.round().done == 1
    assert room.runtime.balance("self").credits == 110_000_000
    for client, status in ((room.acme, 401), (room.stranger, 401)):
        for reply in (
            client.get("/v1/webhooks"),
            client.get(f"/v1/webhooks/{event['id']}"),
            client.post(f"/v1/webhooks/{event['id']}/replay", {}),
        ):
            assert reply.status == status


def test_metrics_tell_depth_and_age(room: Room) -> None:
    """What waits and what is dead is counted with its age, and names nobody; without an inbox there is nothing."""
    raw = body(room)
    room.stranger.post(HOOK, raw, headers=room.sign(raw))
    room.clock.now += 90 * 1_000_000
    found = {(each.name, *each.labels.values()): each.value for each in gauges_of(room.service)}
    assert found["reconciler_inbox_events", "pending"] == 1
    assert found["reconciler_inbox_age_seconds", "pending"] == 90
    assert (found["reconciler_inbox_events", "dead"], found["reconciler_inbox_noted_events",]) == (0, 0)
    room.service.hooks = None
    assert not any("inbox" in each.name for each in gauges_of(room.service))


def test_an_address_that_is_no_page_is_refused(room: Room) -> None:
    """A state nobody has, a limit beyond a thousand, a name that means nothing."""
    for query in ("state=lost", "limit=1001", "limit=0", "before=-1", "x=1", "before=99999999999999999999"):
        assert room.operator.get(f"/v1/webhooks?{query}").status in (400, 422), query
    assert room.operator.get("/v1/webhooks?limit=5&before=9").json["events"] == []


def test_a_purchase_over_real_sockets() -> None:
    """Stripe's server posts a signed event to ours, which grants it: neither knows that the other is in one process."""
    shop = Hooked()
    gateway = shop.gateway()
    clock = time.time
    listener = listen("127.0.0.1", 0)
    made: Any = shop.stripe.v1.webhook_endpoints.create(
        {"url": f"http://127.0.0.1:{listener.getsockname()[1]}{HOOK}", "enabled_events": ["*"]}
    )
    hooks = Hooks(shop.ent, gateway, secrets=[made.secret], clock=clock)
    service = Service(shop.ent, hooks=hooks)
    stop = threading.Event()
    service.beside("webhooks", hooks.run)
    server = server_of(service)
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    serving.start()
    try:
        with Server(shop.sandbox, port=0):
            shop.buy(pack="starter", quantity=2)
            shop.buy(plan="flat")
            ends = time.monotonic() + 10
            while time.monotonic() < ends and not (shop.ent.subscription("self") and shop.credits() == 220):
                stop.wait(0.05)
    finally:
        server.should_exit = True
        serving.join(10)
    assert shop.credits() == 220
    assert shop.ent.subscription("self").plan == "flat"  # type: ignore[union-attr]
    assert {hook.state for hook in hooks.inbox.listed(limit=1000)} <= {"done", "ignored", "pending"}
    shop.close()
