"""The work of a service as a whole: which tasks there are, and that they do what they are for."""

import threading
from typing import Any

import pytest

from reconciler.diagnostics import UsageError
from reconciler.sandbox import Fault
from reconciler.service.work.caps import Caps
from reconciler.service.work.delivering import Callback
from reconciler.service.work.figures import gauges_of
from reconciler.service.work.outbox import Outbox, notice_of
from reconciler.service.work.room import Work, WorkSettings
from reconciler.service.work.rounds import Round, Task
from reconciler.service.work.sending import Sender

from .receiver import receiver
from .recharging_world import _CATALOG, Shop

LOCAL = Sender(development=True)


def test_tasks_are_those_that_were_asked_for() -> None:
    """Without a callback nobody is told, without caps or an account nothing is bought; sweeping needs neither."""
    shop = Shop()
    callback, caps = Callback("https://hooks.example/", ["s1"]), Caps(monthly=1)

    def names(settings: WorkSettings, **more: Any) -> list[str]:
        return [task.name for task in Work(shop.runtime, settings, **more).tasks()]

    assert names(WorkSettings()) == ["sweep"]
    assert names(WorkSettings(callback=callback)) == ["sweep", "watch", "notices", "tidy"]
    assert names(WorkSettings(caps=caps)) == ["sweep"]
    assert names(WorkSettings(caps=caps), gateway=shop.gateway()) == ["sweep", "recharge"]
    shop.runtime.close()


@pytest.mark.parametrize(
    ("url", "secrets"),
    [("http://hooks.example/", ["s"]), ("https://hooks.example:8443/", ["s"]), ("https://hooks.example/", [])],
)
def test_a_callback_that_cannot_be_is_refused_at_the_start(url: str, secrets: list[str]) -> None:
    """A wrong URL or a missing secret is an error of whoever starts the service, and holds no secret."""
    with pytest.raises(UsageError):
        WorkSettings(callback=Callback(url, secrets)).checked()
    assert WorkSettings(callback=Callback("https://hooks.example/", ["s"])).checked()


def test_what_is_due_happens_to_tenants_nobody_asks_about() -> None:
    """A hold that lapsed is given back, and many tenants are swept in one round."""
    shop = Shop()
    for tenant in ("acme", "beta"):
        shop.runtime.grant(tenant, 5, key="begin")
        shop.runtime.reserve(tenant, "call", key="job", seconds=60)
    work = Work(shop.runtime, WorkSettings())
    assert work.sweep() == 0
    shop.clock.now += 61
    assert work.sweep() == 2
    store = shop.runtime.ledger.store
    assert [(row.tenant, row.held, row.credits) for row in store.balances()] == [
        ("acme", 0, 5 * 10**6),
        ("beta", 0, 5 * 10**6),
    ]
    assert [entry.kind for entry in store.entries("acme")] == ["grant", "reserve", "lapse"]
    shop.runtime.close()


def test_a_worker_does_all_of_it() -> None:
    """Low credits are bought, and the receiver hears of it, by a worker that runs and is stopped."""
    shop = Shop()
    shop.agreed()
    done, stop, told = threading.Event(), threading.Event(), list[Round]()

    def tell(ended: Round) -> None:
        told.append(ended)
        bought = any(b'"type":"credits_recharged"' in request for request in there.requests)
        if bought and {each.name for each in told} >= {"sweep", "watch", "tidy", "recharge", "more"}:
            done.set()

    with receiver(b"HTTP/1.1 204 No Content\r\n\r\n") as there:
        settings = WorkSettings(callback=Callback(there.url(), ["s1"]), sender=LOCAL, caps=Caps(monthly=3))
        work = Work(shop.runtime, settings, gateway=shop.gateway(), catalog=lambda: _CATALOG)
        ends = threading.Thread(
            target=work.run, args=(stop, tell, [Task("more", 0.05, lambda: work._worker.want("notices"))])
        )
        ends.start()
        assert done.wait(20), told
        stop.set()
        ends.join(20)
        assert not ends.is_alive()
    assert [each.error for each in told if each.error is not None] == []
    assert shop.credits() == 110
    assert {name: standing.failures for name, standing in work.standing().items()} == dict.fromkeys(
        ["sweep", "watch", "notices", "tidy", "recharge", "more"], 0
    )
    shop.runtime.close()


def test_figures_tell_what_waits() -> None:
    """Notices by state with the age of the oldest, and open purchases; no label names a tenant."""
    shop = Shop()
    work = Work(shop.runtime, WorkSettings())
    now = shop.clock.now * 10**6
    first, second = (notice_of("acme", "acme", "credits_low", str(number), now, 1, {}) for number in range(2))
    shop.runtime.ledger.alongside([Outbox.put(first, 1), Outbox.put(second, now + 1)])
    work.outbox.settle(work.outbox.claim(1)[0], "away")
    shop.agreed()
    shop.sandbox.faults.add(Fault("POST", "/v1/payment_intents", "drop_before"))
    shop.round()
    found = {(each.name, *each.labels.values()): each.value for each in gauges_of(work, now + 7 * 10**6)}
    assert found == {
        ("reconciler_notices", "pending"): 1,
        ("reconciler_notices_age_seconds", "pending"): 7,
        ("reconciler_notices", "dead"): 1,
        ("reconciler_notices_age_seconds", "dead"): 7,
        ("reconciler_recharges_open",): 1,
    }
    shop.runtime.close()


def test_low_credits_are_bought_soon() -> None:
    """A decision that says so lets the purchase be made at once, and not a round for every such decision."""
    shop = Shop()
    shop.agreed(credits_=15)
    done, stop, rounds = threading.Event(), threading.Event(), list[Round]()

    def tell(ended: Round) -> None:
        if ended.name == "recharge":
            rounds.append(ended)
            done.set()

    work = Work(shop.runtime, WorkSettings(caps=Caps(monthly=3)), gateway=shop.gateway(), catalog=lambda: _CATALOG)
    work.low()
    ends = threading.Thread(target=work.run, args=(stop, tell))
    ends.start()
    assert done.wait(20)
    done.clear()
    assert shop.runtime.consume("acme", "call", quantity=10).recharge == "small"
    for _ in range(100):
        work.low()
    assert done.wait(20)
    stop.set()
    ends.join(20)
    assert (len(rounds), shop.credits()) == (2, 110)
    shop.runtime.close()
