"""Packs by webhook: granted once for who bought them, reversed as far as they are there, told where nobody can."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.packs import bonus_of
from reconciler.provider.payments import Choice
from tests.entitlements.audit import kinds
from tests.loop.world import catalog_of

from .hooks_world import SHOP, Hooked

DISPUTED = "4000 0000 0000 0259"


@pytest.fixture
def world() -> Iterator[Hooked]:
    """Lend an account with an inbox."""
    found = Hooked()
    yield found
    found.close()


def refund(world: Hooked, session: Any, amount: int | None = None) -> Any:
    """Give money of a purchase back, all of it unless said."""
    params = {"payment_intent": session.payment_intent, **({} if amount is None else {"amount": amount})}
    return world.stripe.v1.refunds.create(params)


def test_what_was_paid_is_granted_once(world: Hooked) -> None:
    """Three packs bought are three packs of credits and bonus, by the session's id, however often one hears of it."""
    session = world.buy(pack="starter", quantity=3)
    assert world.credits() == 0
    events = world.fresh()
    for event in (*events, *events):
        world.receive(event)
        world.processor.round()
    assert world.credits() == 330
    assert sorted(lot.id for lot in world.ent.balance("self").lots) == sorted([session.id, bonus_of(session.id)])
    assert kinds(world.ent, "self") == ["grant", "grant"]


def test_who_only_opens_a_page_gets_nothing(world: Hooked) -> None:
    """A page that is open, left or expired brings no credits; neither does its success address."""
    page = world.market.buy("self", pack="starter")
    world.person.visit(page.url)
    world.settle()
    world.stripe.v1.checkout.sessions.expire(page.id)
    world.settle()
    assert world.credits() == 0
    assert world.inbox.listed("dead") == []


def test_a_payment_that_is_under_way_is_granted_once_it_came(world: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A completed page whose bank has still to pay brings nothing; the event that it paid does."""
    session = world.buy(pack="starter")
    (event,) = world.fresh("checkout.session.completed")
    source = type(world.source())
    real = source.session

    def unpaid(self: Any, name: str) -> list[Any]:
        return [{**each, "payment_status": "unpaid"} for each in real(self, name)]

    with monkeypatch.context() as patch:
        patch.setattr(source, "session", unpaid)
        world.receive(event)
        assert world.processor.round().done == 1
    assert world.credits() == 0
    world.receive({**event, "id": "evt_later", "type": "checkout.session.async_payment_succeeded"})
    world.processor.round()
    assert world.credits() == 110
    assert session.payment_status == "paid"


def test_a_tenants_own_link_grants_alike(world: Hooked) -> None:
    """Whoever pays by a link that was made for a tenant pays for that tenant."""
    page = world.market.desk.link("paris", Choice(pack="starter"))
    world.person.visit(page.url)
    world.person.pay()
    world.settle()
    assert world.credits("paris") == 110


def test_what_a_browser_can_set_names_nobody(world: Hooked) -> None:
    """A shared link's address may say any tenant: the purchase waits for a person, who says whose it is."""
    link = next(each for each in world.stripe.v1.payment_links.list({"active": True}).data)
    world.person.visit(f"{link.url}?client_reference_id=acme&prefilled_email=a%40acme.example")
    world.person.pay()
    assert world.settle().dead == 1
    (hook,) = world.inbox.listed("dead")
    assert "neither the purchase nor its customer names a tenant" in str(hook.error)
    assert world.credits("acme") == 0
    world.inbox.replay(hook.id, "self")
    assert world.processor.round().done == 1
    assert (world.credits("self"), world.credits("acme")) == (110, 0)


def test_a_purchase_names_its_tenant_whatever_the_browser_says(world: Hooked) -> None:
    """The reference and the address of another tenant change nothing about a page that was opened for one."""
    page = world.market.desk.checkout("self", Choice(pack="starter"), success_url="https://shop.example/ok")
    world.person.visit(page.url)
    world.person.pay(email="a@acme.example")
    world.settle()
    assert (world.credits("self"), world.credits("acme")) == (110, 0)


def test_a_customer_that_is_marked_buys_for_its_tenant(world: Hooked) -> None:
    """A page that others opened for a customer of ours, with our price, is that tenant's purchase."""
    price = world.stripe.v1.prices.list({"lookup_keys": ["acme.credit_packs.starter.price"]}).data[0]
    form: dict[str, Any] = {
        "mode": "payment",
        "line_items": [{"price": price.id, "quantity": 2}],
        "success_url": "https://x.example",
    }
    for more in ({"customer": world.market.applied("acme")}, {"metadata": {"tenant": "acme"}}):
        made = world.stripe.v1.checkout.sessions.create({**form, **more})
        world.person.visit(made.url)
        world.person.pay()
    result = world.settle()
    assert (world.credits("acme"), result.dead) == (220, 1)


def test_others_sales_are_left_alone(world: Hooked) -> None:
    """Purchases of other namespaces, and of prices that are not ours, bring nothing and trouble nobody."""
    mark = {"made_by": "reconciler", "namespace": "other", "tenant": "acme", "sells": "credit_packs.starter"}
    ours = world.stripe.v1.prices.list({"lookup_keys": ["acme.credit_packs.starter.price"]}).data[0].id
    strange = world.stripe.v1.prices.create({"currency": "usd", "unit_amount": 500, "product_data": {"name": "Mug"}}).id
    for price, metadata in ((ours, mark), (strange, {}), (strange, {**mark, "sells": "plans.flat"})):
        made = world.stripe.v1.checkout.sessions.create(
            {
                "mode": "payment",
                "customer": world.market.applied("acme"),
                "line_items": [{"price": price, "quantity": 1}],
                "success_url": "https://x.example",
                "metadata": metadata,
            }
        )
        world.person.visit(made.url)
        world.person.pay()
    assert world.settle().dead == 0
    assert world.credits("acme") == 0
    assert len(world.inbox.listed("done")) == 3


def test_a_pack_that_is_gone_waits_for_a_person(world: Hooked) -> None:
    """Credits nobody can count are paid for: the event is dead and says why, others go on, and a replay grants them."""
    world.buy(pack="starter")
    events = world.fresh("checkout.session.completed")
    packs = {"gone": SHOP["credit_packs"]["gone"]}
    less = {**SHOP, "credit_packs": packs, "payment_links": {}}
    world.ent.reload(compile_catalog(catalog_of(less)))
    world.receive(events[0])
    assert world.processor.round().dead == 1
    (hook,) = world.inbox.listed("dead")
    assert hook.error == "credit pack starter was paid for, and these files do not have it"
    world.ent.reload(world.policy)
    world.inbox.replay(hook.id)
    assert world.processor.round().done == 1
    assert world.credits() == 110


def test_a_call_under_the_id_of_a_purchase_is_no_grant(world: Hooked) -> None:
    """Who used the session's id for a call has paid for nothing by that: the event is dead at once and says so."""
    session = world.buy("acme", pack="starter")
    world.ent.set_subscription("acme", plan="free", status="active")
    assert world.ent.consume("acme", "any", key=session.id)
    assert world.settle().dead == 1
    assert "is the key of a call" in str(world.inbox.listed("dead")[0].error)
    assert world.credits("acme") == 0


def test_refunds_in_every_order_end_alike(world: Hooked) -> None:
    """The purchase and two partial refunds, in each order and one by one: exactly what was paid for is left."""
    session = world.buy(pack="starter", quantity=10)
    refund(world, session, 3330)
    refund(world, session, 1665)
    events = world.fresh("checkout.session.completed", "refund.created")
    states = set()
    for order in itertools.permutations(events):
        world.ent.close()
        world.start()
        for event in order:
            world.receive(event)
            world.processor.round()
        states.add(repr(world.state()))
    assert len(states) == 1
    assert world.credits() == 550


def test_a_full_refund_takes_exactly_all(world: Hooked) -> None:
    """Thirds that do not divide take all of it once the last is given back, and nothing of other purchases."""
    session = world.buy(pack="starter")
    world.settle()
    world.buy(pack="starter")
    for amount in (333, 333, None):
        refund(world, session, amount)
        world.settle()
    assert world.credits() == 110
    assert session.id not in {lot.id for lot in world.ent.balance("self").lots}


def test_a_refund_takes_no_more_than_is_left(world: Hooked) -> None:
    """What was spent stays spent: the balance is zero and not below, and comes to no more when calls are refunded."""
    session = world.buy("acme", pack="starter")
    world.settle()
    world.ent.set_subscription("acme", plan="pay", status="active")
    world.ent.consume("acme", "search", quantity=60, key="call")
    refund(world, session)
    world.settle()
    assert world.credits("acme") == 0
    world.ent.refund("acme", "call", key="back", credits=20)
    assert world.credits("acme") == 0


def test_a_refund_that_failed_gives_back(world: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refund that the bank sent back takes nothing any more; one that is pending has not taken anything yet."""
    session = world.buy(pack="starter")
    made = refund(world, session)
    world.settle()
    assert world.credits() == 0
    source = type(world.source())
    real = source.pages

    def failed(self: Any, path: str, params: Any) -> Any:
        state = {"/v1/refunds": {"status": "failed"}}.get(path, {})
        return ({**each, **state} for each in real(self, path, params))

    monkeypatch.setattr(source, "pages", failed)
    event = next(each for each in world.events() if each["type"] == "refund.created")
    world.receive({**event, "id": "evt_failed", "type": "refund.failed"})
    world.processor.round()
    assert (world.credits(), made.status) == (110, "succeeded")


@pytest.mark.parametrize(("evidence", "left"), [("winning_evidence", 110), ("losing_evidence", 0)])
def test_a_dispute_takes_until_it_is_won(world: Hooked, evidence: str, left: int) -> None:
    """While the money is disputed its credits are gone; won they are back with their expiry, lost they are not."""
    page = world.market.buy("self", pack="starter")
    world.person.visit(page.url)
    world.person.pay(DISPUTED)
    world.settle()
    assert world.credits() == 0
    (dispute,) = world.stripe.v1.disputes.list().data
    world.stripe.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": evidence}, "submit": True})
    world.settle()
    assert world.stripe.v1.disputes.retrieve(dispute.id).status == ("won" if left else "lost")
    assert world.credits() == left


def test_both_databases_keep_effect_and_event_together(url: str) -> None:
    """A purchase, its refund and a second one come to the same on SQLite and PostgreSQL."""
    world = Hooked(url)
    session = world.buy(pack="starter", quantity=2)
    refund(world, session, 999)
    world.buy(plan="flat")
    world.settle()
    assert world.credits() == 110
    assert world.ent.subscription("self") is not None
    assert {hook.state for hook in world.inbox.listed(limit=1000)} == {"done", "ignored"}
    world.close()


def test_a_recharge_that_is_refunded_is_taken_back(world: Hooked) -> None:
    """What was bought without a page is known by its payment: granted once, taken back with its refund."""
    told = {"made_by": "reconciler", "namespace": "acme", "tenant": "acme", "sells": "credit_packs.starter"}
    intents = []
    for metadata in ({**told, "recharge": "1"}, {**told, "recharge": "2", "namespace": "other"}, told):
        form = {
            "amount": 999,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "metadata": metadata,
        }
        form["automatic_payment_methods"] = {"enabled": True, "allow_redirects": "never"}
        intents.append(world.stripe.v1.payment_intents.create(form).id)  # type: ignore[arg-type]
    world.ent.grant("acme", pack="starter", key=intents[0])
    for intent in intents:
        world.stripe.v1.refunds.create({"payment_intent": intent, "amount": 333})
    assert world.settle().dead == 0
    assert {lot.id: lot.remaining for lot in world.ent.balance("acme").lots} == {
        intents[0]: 66_666_667,
        bonus_of(intents[0]): 6_666_667,
    }
