"""Events in every order, late, twice and while the account goes on: the same final state each time."""

import itertools
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import stripe

from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from tests.loop.world import KEY
from tests.sandbox.person import DECLINED

from .hooks_world import MICRO, Hooked

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


def test_all_720_orders_of_a_subscriptions_life_end_alike(world: Hooked) -> None:
    """Six events in each of their orders, each worked off before the next comes: one state, that of the last event."""
    events, gateway = life(world), still(world)
    assert [event["type"] for event in events] == list(LIFE)
    ends = set()
    for order in itertools.permutations(events):
        world.ent.close()
        world.start()
        world.gateway = lambda: gateway  # type: ignore[method-assign]
        processor = world.another()
        for event in order:
            world.receive(event)
            assert processor.round().done == 1
        ends.add(repr(world.state()))
        assert {hook.state for hook in world.inbox.listed()} == {"done"}
    assert len(ends) == 1
    assert world.ent.subscription("self").status == "canceled"  # type: ignore[union-attr]
    assert world.ent.check("self", "any").source.startswith("catalogue.yaml") or world.ent.check("self", "any")
