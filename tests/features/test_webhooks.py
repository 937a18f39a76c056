"""Webhooks: what is paid is granted, in any order, however often and however late one hears of it."""

import json
from collections.abc import Iterator

import pytest

from reconciler.entitlements import Reason
from reconciler.provider.payments import Choice
from reconciler.provider.webhooks.signature import SignatureError
from reconciler.service.hooks.catching import LISTED, Catching
from reconciler.service.hooks.inbox import HOLD
from tests.service.hooks_world import MICRO, SHOP, Hooked
from tests.service.test_hooks_http import HOOK, Room


@pytest.fixture
def hooked() -> Iterator[Hooked]:
    """Lend an account with an inbox."""
    found = Hooked()
    yield found
    found.close()


@pytest.fixture
def room() -> Iterator[Room]:
    """Lend a service with an inbox."""
    found = Room()
    yield found
    found.close()


def _posted(room: Room, **changes: object) -> int:
    """Post the event of a purchase, signed, and return the status."""
    event = next(each for each in room.shop.events() if each["type"] == "checkout.session.completed")
    raw = json.dumps({**event, **changes}).encode()
    return room.stranger.post(HOOK, raw, headers=room.sign(raw)).status


def test_row_1_3_credits_come_by_webhook(hooked: Hooked) -> None:
    """A paid checkout grants its credits under the session's id by the event, never by the way back to the site."""
    session = hooked.buy(pack="starter", quantity=2)
    assert hooked.person.location == "https://shop.example/ok"
    assert hooked.credits() == 0
    hooked.settle()
    assert hooked.credits() == 220
    assert hooked.ent.ledger.store.entry("self", session.id) is not None


def test_row_1_13_the_webhook_endpoint(room: Room) -> None:
    """The raw body is proven and kept before it is acknowledged, and an event has its effect once."""
    room.shop.buy(pack="starter")
    assert [_posted(room), _posted(room)] == [200, 200]
    raw = json.dumps(room.shop.fresh("checkout.session.completed")[0]).encode()
    assert room.stranger.post(HOOK, raw + b" ", headers=room.sign(raw)).status == 400
    assert (room.hooks.processor.round().done, room.hooks.processor.round().done) == (1, 0)
    assert room.runtime.balance("self").credits == 110 * MICRO


def test_row_2_6_the_inbox_is_looked_after(room: Room) -> None:
    """Every event is listed with what became of it; one that could not be decided is dead, and is tried again."""
    (link,) = room.shop.stripe.v1.payment_links.list({"active": True}).data
    room.shop.person.visit(link.url)
    room.shop.person.pay()
    _posted(room)
    room.hooks.processor.round()
    (event,) = room.operator.get("/v1/webhooks?state=dead").json["events"]
    assert "names a tenant" in event["error"]
    assert room.operator.post(f"/v1/webhooks/{event['id']}/replay", {"tenant": "acme"}).status == 200
    assert room.hooks.processor.round().done == 1
    assert room.runtime.balance("acme").credits == 110 * MICRO


def test_row_2_16_the_table_of_webhooks(hooked: Hooked) -> None:
    """Events are kept beside the books and in their transactions, without what a customer typed."""
    hooked.buy(plan="flat")
    hooked.settle()
    rows = hooked.ent.ledger.store.ask("SELECT state, COUNT(*) FROM hook GROUP BY state")
    assert {state for state, _ in rows} == {"done", "ignored"}
    assert "ann@example.com" not in json.dumps(hooked.ent.ledger.store.ask("SELECT * FROM hook"))


def test_row_4_8_every_paid_link_is_found(hooked: Hooked) -> None:
    """However long nothing came in: each link that was paid and granted to nobody is found, and granted once."""
    for tenant in ("self", "other"):
        page = hooked.market.desk.link(tenant, Choice(pack="starter"))
        hooked.person.visit(page.url)
        hooked.person.pay()
    hooked.settle()
    page = hooked.market.desk.link("late", Choice(pack="starter", quantity=3))
    hooked.person.visit(page.url)
    hooked.person.pay()
    assert Catching(hooked.source(), hooked.inbox, hooked.ent.ledger.store).catch_up(full=True).full
    hooked.processor.round()
    assert [hooked.credits(tenant) for tenant in ("self", "other", "late")] == [110, 110, 330]
    assert LISTED < 30 * 86_400


def test_number_webhook_tolerance_300_s(room: Room) -> None:
    """A signature of 299 seconds ago is taken, one of 301 is not; twice it is 200 without another effect."""
    room.shop.buy(pack="starter")
    raw = json.dumps(room.shop.fresh("checkout.session.completed")[0]).encode()
    statuses = [room.stranger.post(HOOK, raw, headers=room.sign(raw, age=age)).status for age in (301, 299, 0)]
    assert statuses == [400, 200, 200]
    with pytest.raises(SignatureError):
        room.hooks.inbox.receive(raw, room.sign(raw, age=301)["Stripe-Signature"])
    room.hooks.processor.round()
    assert room.runtime.balance("self").credits == 110 * MICRO


def test_mistake_b18_webhooks_that_lose_or_double(hooked: Hooked) -> None:
    """Replays, unknown types, a death between claim and effect, a refund before its purchase: all come out right."""
    session = hooked.buy(pack="starter", quantity=2)
    hooked.stripe.v1.refunds.create({"payment_intent": session.payment_intent, "amount": 999})
    for event in reversed(hooked.fresh()):
        hooked.receive(event)
        hooked.receive({**event, "id": f"{event['id']}x", "type": "invented.event"})
    assert hooked.inbox.claim()
    assert hooked.processor.round().done == 0
    hooked.market.clock.now += HOLD // MICRO + 1
    hooked.processor.round()
    assert hooked.credits() == 110
    assert {hook.state for hook in hooked.inbox.listed(limit=1000)} == {"done", "ignored"}


def test_mistake_b19_who_pays_by_an_unknown_price(hooked: Hooked) -> None:
    """Plan by price, by product or by what was sold: trialing entitles, and a price nobody knows drops nobody."""
    session = hooked.buy(plan="pro")
    hooked.settle()
    assert hooked.ent.subscription("self").status == "trialing"  # type: ignore[union-attr]
    (found,) = hooked.stripe.v1.subscriptions.list({"customer": session.customer}).data
    deal = hooked.stripe.v1.prices.create(
        {"currency": "usd", "unit_amount": 1, "recurring": {"interval": "month"}, "product_data": {"name": "Deal"}}
    )
    kept = [{"id": item.id, "deleted": True} for item in found["items"].data]
    hooked.stripe.v1.subscriptions.update(found.id, {"items": [*kept, {"price": deal.id}]})  # type: ignore[list-item]
    hooked.settle()
    assert hooked.ent.subscription("self").plan == "pro"  # type: ignore[union-attr]
    assert hooked.ent.check("self", "any")
    assert hooked.inbox.noted() > 0


def test_mistake_b24_a_redirect_that_brings_goods(hooked: Hooked) -> None:
    """A page that was not paid, and an event that nobody signed, bring nothing, whatever the browser is told."""
    page = hooked.market.buy("self", pack="starter")
    hooked.person.visit(page.url)
    with pytest.raises(SignatureError):
        hooked.inbox.receive(b'{"type": "checkout.session.completed"}', None)
    hooked.settle()
    assert hooked.credits() == 0


def test_mistake_b25_customers_by_unproven_names(hooked: Hooked) -> None:
    """An e-mail address or a reference in a link makes nobody another's customer, and who cancels loses the plan."""
    assert "acme" in SHOP["tenants"]
    page = hooked.market.buy("self", plan="flat")
    hooked.person.visit(f"{page.url}")
    hooked.person.pay(email="a@acme.example")
    hooked.settle()
    assert hooked.ent.subscription("acme") is None
    customer = hooked.market.session(page.id).customer
    (found,) = hooked.stripe.v1.subscriptions.list({"customer": customer}).data
    hooked.stripe.v1.subscriptions.cancel(found.id)
    hooked.settle()
    assert hooked.ent.check("self", "any").limit == 10
    assert hooked.ent.check("acme", "any").reason is not Reason.UNKNOWN_TENANT
