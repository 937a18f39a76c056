"""What a buyer tries, and bad luck: packs beside a plan, money on its way back, a purchase's id as a call's key."""

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.provider.payments import Choice
from reconciler.provider.webhooks.owner import Owner
from reconciler.resources.model import ADDRESS, MANAGED_BY, PREFIX
from reconciler.service.hooks.catching import LISTED, Catching

from .hooks_world import Hooked


@pytest.fixture
def world() -> Iterator[Hooked]:
    """Lend an account with an inbox."""
    found = Hooked()
    yield found
    found.close()


def price(world: Hooked, address: str) -> str:
    """Return the id of a price of the files."""
    return str(world.stripe.v1.prices.list({"lookup_keys": [f"acme.{address}"]}).data[0].id)


def beside_a_plan(world: Hooked) -> Any:
    """Buy a plan and two packs on one page and return the session as it is then."""
    lines = (("plans.pay.prices.monthly", 1), ("credit_packs.starter.price", 2))
    form: dict[str, Any] = {
        "mode": "subscription",
        "customer": world.market.applied("acme"),
        "line_items": [{"price": price(world, address), "quantity": number} for address, number in lines],
        "success_url": "https://x.example",
    }
    made = world.stripe.v1.checkout.sessions.create(form)
    world.person.visit(made.url)
    world.person.pay()
    return world.market.session(made.id)


def payments(world: Hooked, session: Any) -> list[str]:
    """Return what paid the first invoice of a session."""
    made = world.stripe.v1.payment_intents.list({"customer": session.customer})
    return [each.id for each in made.data if each.status == "succeeded"]


def test_packs_beside_a_plan_go_back_with_the_money(world: Hooked) -> None:
    """A page that begins a subscription names no payment: a refund of its first invoice takes the packs back alike."""
    session = beside_a_plan(world)
    assert session.payment_intent is None
    world.settle()
    assert world.credits("acme") == 220
    (payment,) = payments(world, session)
    half = session.amount_total // 2
    world.stripe.v1.refunds.create({"payment_intent": payment, "amount": half})
    world.settle()
    assert world.credits("acme") == 220 - 220 * half // session.amount_total
    world.stripe.v1.refunds.create({"payment_intent": payment})
    world.settle()
    assert world.credits("acme") == 0
    assert world.inbox.listed("dead") == []


def test_a_renewal_that_is_refunded_takes_no_packs(world: Hooked) -> None:
    """Packs were bought with the first invoice; money of a later one is not theirs."""
    session = beside_a_plan(world)
    world.settle()
    world.pass_days(32)
    world.settle()
    later = [each for each in payments(world, session) if world.stripe.v1.payment_intents.retrieve(each).amount == 500]
    assert len(later) == 1
    before = world.credits("acme")
    world.stripe.v1.refunds.create({"payment_intent": later[0]})
    world.settle()
    assert world.credits("acme") == before


def test_packs_beside_a_plan_are_found_after_an_outage(world: Hooked) -> None:
    """A whole look finds them where no event ever came."""
    session = beside_a_plan(world)
    world.market.clock.now += LISTED + 86_400
    assert Catching(world.source(), world.inbox, world.ent.ledger.store).catch_up().full
    world.processor.round()
    assert world.ent.ledger.store.entry("acme", session.id) is not None


@pytest.mark.parametrize(("status", "left"), [("pending", 0), ("requires_action", 0), ("failed", 110)])
def test_money_on_its_way_back_buys_nothing(
    world: Hooked, monkeypatch: pytest.MonkeyPatch, status: str, left: int
) -> None:
    """A refund that a bank takes days for takes the credits when it begins; one that failed gives them back."""
    session = world.buy(pack="starter")
    world.settle()
    world.stripe.v1.refunds.create({"payment_intent": session.payment_intent})
    source = type(world.source())
    real = source.pages

    def slow(self: Any, path: str, params: Any) -> Iterator[Any]:
        found = real(self, path, params)
        yield from ({**each, "status": status} if path == "/v1/refunds" else each for each in found)

    monkeypatch.setattr(source, "pages", slow)
    world.settle()
    assert world.credits() == left


def test_a_line_of_none_brings_none(world: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line whose number the buyer has put to zero brings nothing, whatever else was paid."""
    world.buy(pack="starter")
    source = type(world.source())
    real = source.pages

    def emptied(self: Any, path: str, params: Any) -> Iterator[Any]:
        found = real(self, path, params)
        yield from ({**each, "quantity": 0} if path.endswith("/line_items") else each for each in found)

    monkeypatch.setattr(source, "pages", emptied)
    assert world.settle().dead == 0
    assert world.credits() == 0


def test_a_purchase_whose_id_is_a_calls_key_waits_for_a_person(world: Hooked) -> None:
    """A tenant that used the id of its page as a key of a call is not granted under it, and somebody is told."""
    page = world.market.desk.checkout("self", Choice(pack="starter"), success_url="https://shop.example/ok")
    assert world.ent.consume("self", "anything", key=page.id).allowed
    world.person.visit(page.url)
    world.person.pay()
    assert world.settle().dead == 1
    (hook,) = world.inbox.listed("dead")
    assert "is the key of a call" in str(hook.error)
    world.buy(pack="starter")
    assert world.settle().dead == 0
    assert world.credits() == 110


def test_a_customers_mark_is_all_name() -> None:
    """A tenant whose name ends like the address of a subscription is itself, and nobody else's customer."""
    owner = Owner("acme", {})
    mark = _mark("tenants.victim.subscription")
    assert owner.tenant({"object": "customer", "metadata": mark}) == "victim.subscription"
    assert owner.tenant({"object": "subscription", "metadata": mark}) == "victim"
    assert owner.tenant({"object": "customer", "metadata": _mark("tenants.victim")}) == "victim"


def _mark(address: str) -> dict[str, str]:
    return {MANAGED_BY: f"{PREFIX}acme", ADDRESS: address}
