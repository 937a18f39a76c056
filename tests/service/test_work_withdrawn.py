"""Credits that are not bought any more: the tenant withdrew while a worker was dead, or the money went back."""

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.entitlements.purchases import Purchase
from reconciler.service.work.recharging import ARRIVED
from tests.service.recharging_world import Killed, Shop


@pytest.fixture
def desk() -> Iterator[Shop]:
    """Lend a shop whose tenant has agreed, has a card, and runs low."""
    found = Shop()
    found.agreed()
    yield found
    found.runtime.close()
    found.sandbox.close()


def killed(desk: Shop, *, after: bool) -> None:
    """Let a worker die just before or after it sends the request it has kept."""
    worker: Any = desk.recharger()
    send = worker._till.charge

    def die(*asked: Any) -> None:
        if after:
            send(*asked)
        raise Killed

    worker._till.charge = die
    with pytest.raises(Killed):
        worker.round()


def withdraw(desk: Shop) -> None:
    """Let the tenant say that nothing is to be bought."""
    desk.consents.give("acme", enabled=False, monthly_cap=0, principal="key_1")


def test_what_was_not_sent_is_not_sent_after_the_consent_is_gone(desk: Shop) -> None:
    """A request that was kept and never sent is dropped, once it cannot be under way any more; nobody is charged."""
    killed(desk, after=False)
    withdraw(desk)
    desk.clock.now += 130
    assert desk.round().open == 1
    desk.clock.now += ARRIVED // 10**6
    assert desk.round().dropped == 1
    assert [each.state for each in desk.listed()] == ["dropped"]
    assert desk.intents(status=None) == []


def test_what_was_paid_is_granted_after_the_consent_is_gone(desk: Shop) -> None:
    """A request that did arrive was paid: its credits come, and nothing is sent again."""
    killed(desk, after=True)
    withdraw(desk)
    desk.clock.now += 130
    assert desk.round().paid == 1
    assert (len(desk.intents()), desk.credits()) == (1, 110)


def test_what_was_not_sent_is_sent_while_the_consent_stands(desk: Shop) -> None:
    """Without a change of mind the next worker sends what the dead one has kept."""
    killed(desk, after=False)
    desk.clock.now += 130
    assert desk.round().paid == 1
    assert (len(desk.intents()), desk.credits()) == (1, 110)


def test_money_that_went_back_is_not_charged_again(desk: Shop) -> None:
    """Whoever had a bought pack refunded or disputes it is not sold the next one before agreeing anew."""
    assert desk.round().paid == 1
    (paid,) = desk.intents()
    store = desk.runtime.ledger.store
    sold = Purchase(paid.id, "acme", paid.created * 10**6, (("small", 1),), paid.amount, paid.amount)
    store.alongside([], [desk.runtime.fulfilling(sold)])
    assert desk.credits() == 5
    desk.clock.now += 3600
    assert desk.round().begun == 0
    desk.consents.give("acme", enabled=True, monthly_cap=9, principal="key_1")
    assert desk.round().paid == 1
