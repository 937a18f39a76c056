"""The inbox: kept before it is acknowledged, once, worked off by one at a time, and never lost."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.diagnostics import UsageError
from reconciler.entitlements.periods import SECOND
from reconciler.ledger.base import Store
from reconciler.ledger.ledger import open_ledger
from reconciler.provider.gateway import RequestFailedError
from reconciler.provider.retry import Failure
from reconciler.provider.webhooks.signature import Notice, SignatureError, Verifier
from reconciler.service.hooks import inbox as inboxes
from reconciler.service.hooks.inbox import HOLD, TRIES, Inbox
from tests.ledger.deeds import Hand

from .hooks_world import SECRET, Hooked


@pytest.fixture
def clock() -> Hand:
    """Lend a clock that is set by hand."""
    return Hand()


@pytest.fixture
def store(url: str, clock: Hand) -> Iterator[Store]:
    """Lend an empty ledger, on each database."""
    ledger = open_ledger(url, "direct", clock)
    yield ledger.store
    ledger.close()


@pytest.fixture
def inbox(store: Any) -> Inbox:
    """Lend an empty inbox."""
    return Inbox(store)


def notice(name: str, customer: str | None = "cus_1", kind: str = "customer.subscription.updated") -> Notice:
    """Return an event about a subscription of a customer."""
    return Notice(f"evt_{name}", kind, 1, False, None, None, f"sub_{name}", "subscription", customer)


def test_an_event_is_kept_once(inbox: Inbox, store: Any) -> None:
    """The same event again changes nothing; another process finds what this one kept."""
    assert inbox.add([notice("a"), notice("b", None)]) == ["evt_a", "evt_b"]
    assert inbox.add([notice("a")]) == []
    (one, two) = Inbox(store).listed()
    assert {one.id, two.id} == {"evt_a", "evt_b"}
    assert inbox.show("evt_b").notice == notice("b", None)
    assert inbox.show("evt_b").subject == "sub_b"


def test_what_means_nothing_is_kept_as_ignored(inbox: Inbox) -> None:
    """Unknown types and events of connected accounts are acknowledged, kept, and never worked on; a known one is."""
    inbox.add([notice("a", kind="product.created"), notice("b")._replace(account="acct_1"), notice("c")])
    assert {hook.id: hook.state for hook in inbox.listed()} == {
        "evt_a": "ignored",
        "evt_b": "ignored",
        "evt_c": "pending",
    }
    assert [hook.id for hook in inbox.claim()] == ["evt_c"]
    assert [(each.state, each.events) for each in inbox.depths()] == [("ignored", 2), ("pending", 1)]


@pytest.mark.parametrize("kind", ["v1.customer.subscription.paused", "charge.dispute.closed", "refund.failed"])
def test_thin_and_rare_types_matter_too(inbox: Inbox, kind: str) -> None:
    """Thin events count like the others, and so do disputes and refunds."""
    inbox.add([notice("a", kind=kind)])
    assert inbox.show("evt_a").state == "pending"


def test_a_subject_is_claimed_whole_and_by_one(inbox: Inbox, clock: Hand) -> None:
    """All that waits of one customer is claimed together, nobody else gets it, and others' events are free."""
    inbox.add([notice("a"), notice("b"), notice("other", "cus_2")])
    first = inbox.claim()
    assert {hook.subject for hook in first} in ({"cus_1"}, {"cus_2"})
    second = inbox.claim()
    assert len(first) + len(second) == 3
    assert inbox.claim() == []
    inbox.add([notice("late")])
    assert inbox.claim() == []
    clock.now += HOLD + 1
    assert sorted(hook.id for hook in [*inbox.claim(), *inbox.claim()]) == ["evt_a", "evt_b", "evt_late", "evt_other"]


def test_who_was_too_slow_changes_nothing(inbox: Inbox, store: Any, clock: Hand) -> None:
    """A claim that has run out and was taken over neither ends an event nor puts it off."""
    inbox.add([notice("a")])
    slow = inbox.claim()
    clock.now += HOLD + 1
    fast = inbox.claim()
    assert not inbox.later(slow, "late", counts=True)
    with pytest.raises(inboxes.LostClaimError):
        store.alongside([inboxes.ended(slow[0], "done")])
    store.alongside([inboxes.ended(fast[0], "done", tenant="acme")])
    assert (inbox.show("evt_a").state, inbox.show("evt_a").tenant) == ("done", "acme")


def test_a_replayed_event_is_not_ended_by_who_had_it_before(inbox: Inbox, store: Any, clock: Hand) -> None:
    """A claim is told from every other one, also where its event was put back to the beginning."""
    inbox.add([notice("a")])
    old = inbox.claim()
    clock.now += HOLD + 1
    inbox.replay("evt_a")
    assert inbox.claim()[0].attempts == old[0].attempts == 1
    with pytest.raises(inboxes.LostClaimError):
        store.alongside([inboxes.ended(old[0], "done")])


def test_what_fails_is_tried_again_ever_later_and_then_dead(inbox: Inbox, clock: Hand) -> None:
    """Each failure doubles the pause; after the last one a person has to look, and can have it tried anew."""
    inbox.add([notice("a")])
    pauses = []
    for _ in range(TRIES):
        (hook,) = inbox.claim()
        assert inbox.later([hook], "no such thing", counts=True)
        found = inbox.show("evt_a")
        pauses.append((found.due - clock.now) // SECOND)
        clock.now = max(clock.now, found.due)
    assert pauses[:4] == [5, 10, 20, 40]
    assert (found.state, found.error) == ("dead", "no such thing")
    assert inbox.claim() == []
    assert inbox.replay("evt_a", "acme").state == "pending"
    assert [(hook.attempts, hook.tenant) for hook in inbox.claim()] == [(1, "acme")]


def test_an_outage_kills_no_event(inbox: Inbox, clock: Hand) -> None:
    """However often Stripe cannot be reached, the event waits, at most an hour from try to try."""
    inbox.add([notice("a")])
    for _ in range(3 * TRIES):
        (hook,) = inbox.claim()
        inbox.later([hook], "no answer came", counts=False)
        due = inbox.show("evt_a").due
        assert 0 < due - clock.now <= 3600 * SECOND
        clock.now = due
    assert inbox.show("evt_a").state == "pending"


def test_pages_and_clearing(inbox: Inbox, clock: Hand) -> None:
    """Pages go back in time without a gap; clearing forgets what is over and old, never what waits or is dead."""
    for number in range(5):
        clock.now += SECOND
        inbox.add([notice(str(number), kind="product.created" if number % 2 else "invoice.paid")])
    first = inbox.listed(limit=2)
    assert [hook.id for hook in [*first, *inbox.listed(before=first[-1].received)]] == [
        f"evt_{number}" for number in (4, 3, 2, 1, 0)
    ]
    assert [hook.id for hook in inbox.listed("ignored")] == ["evt_3", "evt_1"]
    assert inbox.clear() == 0
    clock.now += inboxes.KEPT + 1
    assert inbox.clear() == 2
    assert [hook.state for hook in inbox.listed()] == ["pending"] * 3


@pytest.mark.parametrize("act", ["show", "replay"])
def test_an_event_that_never_came_is_named(inbox: Inbox, act: str) -> None:
    """Asking for what is not there is an error that says where to look."""
    with pytest.raises(UsageError, match="no event 'evt_x' is in the inbox"):
        getattr(inbox, act)("evt_x")
    for strange in ("evt\0x", "' OR 1=1 --", "\ud800", "é", ""):
        with pytest.raises(UsageError, match="is in the inbox"):
            getattr(inbox, act)(strange)


def test_nothing_comes_in_without_proof() -> None:
    """A forged webhook leaves no row and wakes nobody; a genuine one does both, and once."""
    world = Hooked()
    world.buy(pack="starter")
    event = world.fresh("checkout.session.completed")[0]
    with pytest.raises(SignatureError):
        world.inbox.receive(json.dumps(event).encode(), "t=1,v1=0")
    with pytest.raises(UsageError):
        Inbox(world.ent.ledger.store).receive(b"", "")
    assert (world.inbox.listed(), world.wakes) == ([], 0)
    assert [world.receive(event).duplicate for _ in range(3)] == [False, True, True]
    assert (len(world.inbox.listed()), world.wakes) == (1, 1)
    assert Verifier([SECRET], "test")
    world.close()


def test_no_payload_rests() -> None:
    """Nothing that a customer typed is in the inbox: neither name nor address nor card."""
    world = Hooked()
    session = world.buy(plan="flat")
    world.settle()
    assert session.customer_details.email == "ann@example.com"
    kept = json.dumps(world.inbox.listed(limit=1000))
    for word in ("ann@example.com", "Ann", "4242", "amount", "metadata"):
        assert word not in kept
    world.close()


def test_stripe_being_away_is_told_and_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """While Stripe does not answer nothing is decided; once it does, the same event is worked off."""
    world = Hooked()
    world.buy(pack="starter")
    world.deliver()

    def away(*_: object) -> None:
        raise RequestFailedError(Failure(None, None, "no answer came"))

    with monkeypatch.context() as patch:
        patch.setattr("reconciler.provider.webhooks.fetch.Source.touched", away)
        assert world.processor.round().later == 1
        assert world.processor.round() == (0, 0, 0, 0)
    assert world.inbox.listed("pending")[0].error == "no answer came"
    world.pass_days(1)
    assert world.processor.round().done == 1
    assert world.credits() == 110
    world.close()
