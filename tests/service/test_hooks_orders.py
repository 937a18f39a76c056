"""Events in every order, late, twice and while the account goes on: the same final state each time."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import stripe

from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.webhooks.fetch import Source
from reconciler.provider.webhooks.owner import Owner
from reconciler.service.hooks.catching import Catching
from reconciler.service.hooks.processor import Processor
from tests.loop.world import KEY

from .hooks_world import Hooked

LIFE = (
    "checkout.session.completed",
    "customer.subscription.created",
    "invoice.paid",
    "invoice.payment_failed",
    "customer.subscription.updated",
    "customer.subscription.deleted",
)


class Remembering(stripe.HTTPClient):
    """A transport that asks an account which stands still for everything once."""

    name = "remembering"

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._inner = inner
        self._known: dict[str, tuple[str, int, Mapping[str, str]]] = {}

    def request(
        self, method: str, url: str, headers: Any, post_data: Any = None, *, _usage: Any = None
    ) -> tuple[str, int, Mapping[str, str]]:
        """Answer a read as it was answered before."""
        if method != "get":
            self._known.clear()
        if method != "get" or url not in self._known:
            self._known[url] = self._inner.request(method, url, headers, post_data)
        return self._known[url]

    def close(self) -> None:
        """Keep the account open: others use it."""


def life(world: Hooked, *, end: bool = True) -> list[dict[str, Any]]:
    """Let a tenant subscribe, fail to pay, and have its subscription end; return what happened, one of each type."""
    session = world.buy(plan="flat")
    customer = session.customer
    happened = world.fresh(*LIFE)
    method = world.stripe.v1.payment_methods.create({"type": "card", "card": {"token": "tok_chargeCustomerFail"}})
    world.stripe.v1.payment_methods.attach(method.id, {"customer": customer})
    (subscription,) = world.stripe.v1.subscriptions.list({"customer": customer}).data
    world.stripe.v1.subscriptions.update(subscription.id, {"default_payment_method": method.id})
    world.fresh()
    world.pass_days(31.1)
    world.stripe.v1.subscriptions.retrieve(subscription.id)
    happened += world.fresh(*LIFE)
    if end:
        world.stripe.v1.subscriptions.cancel(subscription.id)
        happened += world.fresh(*LIFE)
    firsts = {event["type"]: event for event in reversed(happened)}
    return [firsts[name] for name in LIFE if name in firsts]


@pytest.fixture
def world() -> Iterator[Hooked]:
    """Lend an account with an inbox."""
    found = Hooked()
    yield found
    found.close()


def still(world: Hooked) -> Gateway:
    """Connect to the account as it stands, each read asked once."""
    transport = Remembering(world.sandbox.http_client())
    return Gateway(Connection(KEY, transport=transport, rates=UNLIMITED))


def ends(world: Hooked, processor: Processor, left: tuple[Any, ...]) -> Iterator[str]:
    """Yield the state behind every order of the events that are left; what orders have in common is done once."""
    if not left:
        yield repr(world.state())
        return
    store: Any = world.ent.ledger.store
    before = store._db.serialize()
    for event in left:
        world.receive(event)
        assert processor.round().done == 1
        yield from ends(world, processor, tuple(other for other in left if other is not event))
        store._db.deserialize(before)
        store._books.clear()
        world.ent.ledger.looks.clear()


def test_all_720_orders_of_a_subscriptions_life_end_alike(world: Hooked) -> None:
    """Six events in each of their orders, each worked off before the next comes: one state, that of the account."""
    events, gateway = life(world), still(world)
    assert [event["type"] for event in events] == list(LIFE)
    found = list(ends(world, Processor(world.ent, Source(gateway, Owner("acme", {})), world.inbox), tuple(events)))
    assert len(found) == 720
    assert len(set(found)) == 1
    for event in events:
        world.receive(event)
    world.processor.round()
    kept = world.ent.subscription("self")
    assert kept is not None
    assert (repr(world.state()), kept.status) == (found[0], "canceled")
    assert {hook.tenant for hook in world.inbox.listed()} == {"self"}


@pytest.mark.parametrize("seed", range(12))
def test_late_doubled_and_lost_events_end_alike(world: Hooked, seed: int) -> None:
    """Events that come while the account goes on, late, twice, or not at all but in Stripe's list: the same end."""
    draw, waiting = random.Random(seed), list[dict[str, Any]]()
    world.fresh()

    def some() -> None:
        waiting.extend(world.fresh())
        for event in draw.sample(waiting, draw.randint(0, len(waiting))):
            world.receive(event)
            if draw.random() < 0.5:
                waiting.remove(event)
            if draw.random() < 0.5:
                world.another().round()

    session = world.buy(plan="flat")
    some()
    pack = world.buy(pack="starter", quantity=3)
    some()
    world.stripe.v1.refunds.create({"payment_intent": pack.payment_intent, "amount": 999})
    some()
    (subscription,) = world.stripe.v1.subscriptions.list({"customer": session.customer}).data
    world.stripe.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    world.pass_days(20)
    some()
    Catching(world.source(), world.inbox, world.ent.ledger.store).catch_up()
    world.market.clock.now += 600
    world.another().round()
    kept = world.ent.subscription("self")
    assert kept is not None
    assert (kept.plan, kept.status, world.credits()) == ("flat", "active", 220)
    assert {hook.state for hook in world.inbox.listed(limit=1000)} <= {"done", "ignored"}
