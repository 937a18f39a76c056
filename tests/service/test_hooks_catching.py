"""What never came is looked for: events of an outage in Stripe's list, and everything where that is too short."""

from collections.abc import Iterator

import pytest

from reconciler.ledger.annex import Statement
from reconciler.provider.gateway import RequestFailedError
from reconciler.provider.payments import Choice
from reconciler.sandbox import Fault
from reconciler.service.hooks.catching import LISTED, OVERLAP, Catching

from .hooks_world import Hooked


@pytest.fixture
def world() -> Iterator[Hooked]:
    """Lend an account with an inbox that was looked through once."""
    found = Hooked()
    catching(found).catch_up()
    found.processor.round()
    found.seen |= {event["id"] for event in found.events()}
    yield found
    found.close()


def catching(world: Hooked) -> Catching:
    """Return what looks the account through."""
    return Catching(world.source(), world.inbox, world.ent.ledger.store)


def asked(world: Hooked, path: str) -> int:
    """Count the requests for a path."""
    return sum(request[1].startswith(path) for request in list(world.sandbox.requests))


def test_a_first_look_finds_everything_there_is() -> None:
    """A service that starts beside an account with customers knows their plans and purchases afterwards."""
    world = Hooked()
    world.buy(plan="flat")
    world.buy(pack="starter")
    found = catching(world).catch_up()
    assert (found.full, found.objects > 2, found.events > 2) == (True, True, True)
    world.processor.round()
    assert world.credits() == 110
    assert world.ent.subscription("self").plan == "flat"  # type: ignore[union-attr]
    assert world.ent.subscription("signed").status == "trialing"  # type: ignore[union-attr]
    world.close()


def test_an_outage_loses_nothing(world: Hooked) -> None:
    """Webhooks that never came are taken from the list, those that came stay as they are, and both once."""
    world.buy(pack="starter")
    came = world.deliver()
    world.pass_days(2)
    world.buy(pack="starter", quantity=2)
    found = catching(world).catch_up()
    assert (found.full, found.objects) == (False, 0)
    assert [hook.attempts for hook in world.inbox.listed("pending") if hook.kind == "checkout.session"] == [0, 0]
    world.processor.round()
    assert world.credits() == 330
    assert catching(world).catch_up() == (0, 0, False)
    assert {world.receive(event).duplicate for event in world.fresh("checkout.session.completed")} == {True}
    assert [world.inbox.show(each.id).attempts for each in came if each.state == "pending"] == [1]


def test_all_pages_are_read(world: Hooked) -> None:
    """However many events there were, the oldest is found; types that mean nothing are left out."""
    world.buy(pack="starter")
    for number in range(250):
        world.stripe.v1.products.create({"name": f"Thing {number}"})
    assert catching(world).catch_up().events == 1
    assert asked(world, "/v1/events") > 3


def test_a_look_begins_before_the_last_one_ended(world: Hooked) -> None:
    """Events that appear in the list late are found by the next look; older ones it does not ask for again."""
    world.buy(pack="starter")
    event = world.fresh("checkout.session.completed")[0]
    world.market.clock.now += OVERLAP - 60
    empty = Catching(world.source(), world.inbox, world.ent.ledger.store)
    assert empty.catch_up().events == 1
    world.ent.ledger.store.alongside([world_forgets(event["id"])])
    assert empty.catch_up().events == 1
    world.market.clock.now += 2 * OVERLAP
    empty.catch_up()
    world.ent.ledger.store.alongside([world_forgets(event["id"])])
    assert empty.catch_up().events == 0


def world_forgets(name: str) -> Statement:
    """Return what takes an event out of the inbox, as if it had never come."""
    return Statement("DELETE FROM hook WHERE id = ?", (name,))


def test_a_look_that_fails_is_made_again(world: Hooked) -> None:
    """Where Stripe cannot be read nothing is noted as looked at."""
    world.buy(pack="starter")
    world.sandbox.faults.add(Fault(path="/v1/events", method="GET", first=2))
    with pytest.raises(RequestFailedError):
        catching(world).catch_up()
    world.sandbox.faults.clear()
    assert catching(world).catch_up().events == 1


def test_after_a_month_everything_is_looked_at(world: Hooked) -> None:
    """Old events are not listed any more: each paid checkout without a grant is found all the same, by page or link."""
    session = world.buy(pack="starter")
    link = world.market.desk.link("other", Choice(pack="starter", quantity=2))
    world.person.visit(link.url)
    world.person.pay()
    refunded = world.buy(pack="starter")
    world.stripe.v1.refunds.create({"payment_intent": refunded.payment_intent})
    world.market.clock.now += LISTED + 5 * 86_400
    found = catching(world).catch_up()
    assert found.full
    assert "checkout.session.completed" not in {hook.type for hook in world.inbox.listed(limit=1000)}
    world.processor.round()
    granted = {hook.object for hook in world.inbox.listed("done") if hook.type == "sync.checkout.session"}
    assert session.id in granted
    store = world.ent.ledger.store
    assert store.entry("self", session.id) is not None
    assert store.entry("self", refunded.id) is not None
    assert store.entry("other", world.stripe.v1.checkout.sessions.list({"payment_link": link.id}).data[0].id)
    assert world.credits("other") == 0  # they lasted for 30 days


def test_a_whole_look_can_be_asked_for_again(world: Hooked) -> None:
    """What was granted is not worked off again; customers are, each time."""
    world.buy(pack="starter")
    world.settle()
    assert [hook for hook in world.inbox.listed(limit=1000) if hook.type == "sync.checkout.session"] == []
    first = catching(world).catch_up(full=True)
    assert {hook.type for hook in world.inbox.listed("pending")} == {"sync.customer"}
    world.processor.round()
    world.buy(plan="flat")
    second = catching(world).catch_up(full=True)
    assert second.objects == first.objects + 1
    world.processor.round()
    assert world.ent.subscription("self").plan == "flat"  # type: ignore[union-attr]
    assert world.credits() == 110
