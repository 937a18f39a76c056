"""Auto-recharge: where it is agreed, within the caps, one purchase at a time, each paid and granted once."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.provider.webhooks.fetch import Source
from reconciler.provider.webhooks.owner import Owner
from reconciler.sandbox import Fault
from reconciler.service.work.caps import Attempt, Caps, cool_until, since, why_not
from reconciler.service.work.charging import KEY, REPEATABLE
from reconciler.service.work.recharging import Recharged, granting
from tests.ledger.databases import database

from .recharging_world import DECLINED, GOOD, SECURE, Interrupted, Killed, Shop

MINUTE, HOUR = 60 * 10**6, 3600 * 10**6
NOW = 1_800_000_000_000_000


@pytest.fixture
def shop(url: str) -> Iterator[Shop]:
    """Lend a shop."""
    lent = Shop(url)
    yield lent
    lent.runtime.close()


@pytest.fixture
def desk() -> Iterator[Shop]:
    """Lend a shop whose ledger is in memory."""
    lent = Shop()
    yield lent
    lent.runtime.close()


def _lost(kind: str, which: int = 1) -> Fault:
    return Fault("POST", "/v1/payment_intents", kind, first=which, last=which)


def test_credits_are_bought_below_the_bound(shop: Shop) -> None:
    """The pack of the plan is paid with the default card, granted with its bonus, and told."""
    shop.agreed(credits_=10)
    assert shop.round() == Recharged()
    shop.spend(leave=9)
    assert shop.round() == Recharged(begun=1, paid=1)
    (intent,) = shop.intents()
    assert (intent.amount, intent.currency, intent.metadata["tenant"]) == (999, "usd", "acme")
    assert (intent.metadata["made_by"], intent.metadata["sells"]) == ("reconciler", "credit_packs.small")
    assert shop.credits() == 9 + 105
    lots = {lot.id: lot.granted // 10**6 for lot in shop.runtime.balance("acme").lots}
    assert lots == {"begin": 10, intent.id: 100, f"~bonus:{intent.id}": 5}
    data = {"pack": "small", "credits": "105", "payment": intent.id, "amount": 999, "currency": "usd"}
    assert shop.told() == [("credits_recharged", data)]
    assert shop.round() == Recharged()
    shop.proved()


def test_a_tenant_pays_in_its_own_currency(desk: Shop) -> None:
    """The amount is the price's own in the currency the files name."""
    desk.agreed("paris")
    assert desk.round().paid == 1
    assert [(each.amount, each.currency) for each in desk.intents("paris")] == [(900, "eur")]


def test_nothing_is_bought_without_consent(shop: Shop) -> None:
    """Off by default; off again when it is withdrawn; the decoy beside it has agreed and is bought for."""
    for tenant in ("acme", "beta"):
        shop.card(tenant, GOOD)
        shop.runtime.grant(tenant, 5, key="begin")
    assert shop.round() == Recharged()
    shop.consents.give("beta", enabled=True, monthly_cap=2, principal="key_7")
    assert shop.round() == Recharged(begun=1, paid=1)
    assert (shop.intents("acme"), len(shop.intents("beta"))) == ([], 1)
    shop.consents.give("beta", enabled=False, monthly_cap=0, principal="key_8")
    shop.spend("beta")
    assert shop.round() == Recharged()
    given = [(each.enabled, each.monthly_cap, each.principal, each.turn) for each in shop.consents.history("beta")]
    assert given == [(True, 2, "key_7", 1), (False, 0, "key_8", 2)]
    assert shop.consents.of("acme") is None


@pytest.mark.parametrize(("enabled", "cap"), [(True, 0), (True, -1), (True, 1001), (False, -1)])
def test_a_consent_has_a_cap(desk: Shop, enabled: bool, cap: int) -> None:
    """Who agrees says up to how many packs a month; nothing is kept of what makes no sense."""
    with pytest.raises(ValueError, match="from 1 to 1000"):
        desk.consents.give("acme", enabled=enabled, monthly_cap=cap, principal="key_1")
    assert desk.consents.of("acme") is None


def test_a_plan_without_recharge_buys_nothing(desk: Shop) -> None:
    """Consent is not enough: the plan has to say what is bought, and the tenant has to be entitled to call."""
    desk.agreed("plain")
    desk.agreed("acme")
    desk.runtime.set_subscription("acme", plan="paid", status="unpaid")
    assert desk.round() == Recharged()
    desk.runtime.set_subscription("acme", plan="paid", status="active")
    assert desk.round() == Recharged(begun=1, paid=1)
    assert desk.intents("plain") == []


def test_a_decline_cools_down(shop: Shop) -> None:
    """A card that is declined is not asked again for an hour, then for two; the tenant is told what it can do."""
    shop.agreed(card=DECLINED)
    assert (
        shop.recharger(urls=lambda kind, name, tenant: f"https://x.example/{kind}/{name}/{tenant}").round().failed == 1
    )
    ((kind, data),) = shop.told()
    remedy = {"kind": "pack", "id": "small", "url": "https://x.example/pack/small/acme"}
    assert (kind, data) == (
        "recharge_failed",
        {"pack": "small", "reason": "card_declined", "retry_at": "2027-01-01T01:00:00Z", "remedy": remedy},
    )
    shop.clock.now += 3599
    assert shop.round() == Recharged()
    shop.clock.now += 1
    assert shop.round() == Recharged(begun=1, failed=1)
    shop.card("acme", GOOD)
    shop.clock.now += 7199
    assert shop.round() == Recharged()
    shop.clock.now += 1
    assert shop.round() == Recharged(begun=1, paid=1)
    shop.spend()
    assert shop.round() == Recharged(begun=1, paid=1)
    shop.proved()


def test_a_card_that_wants_its_owner_is_a_failure(desk: Shop) -> None:
    """Nobody is there to authenticate: nothing is charged, and the remedy is the page where it can be bought."""
    desk.agreed(card=SECURE)
    assert desk.round().failed == 1
    ((kind, data),) = desk.told()
    assert (kind, data["reason"], data["remedy"]["kind"]) == ("recharge_failed", "authentication_required", "pack")
    assert desk.intents() == []


@pytest.mark.parametrize("reason", ["no_payment_method", "no_customer"])
def test_who_cannot_pay_is_told(desk: Shop, reason: str) -> None:
    """No default card, or several customers for one tenant: a failure with its reason, and nothing is charged."""
    desk.agreed(card=None if reason == "no_payment_method" else GOOD)
    if reason == "no_customer":
        mark = {"managed_by": "reconciler/acme", "address": "tenants.acme"}
        desk.dashboard.v1.customers.create({"metadata": mark})
    assert desk.round() == Recharged(begun=1, failed=1)
    assert [data["reason"] for _, data in desk.told()] == [reason]
    assert desk.round() == Recharged()


def test_a_month_has_its_cap(shop: Shop) -> None:
    """The smaller of the operator's cap and the tenant's own counts, by the calendar's month in UTC."""
    shop.caps = Caps(monthly=3)
    shop.agreed(cap=2)
    for _ in range(4):
        shop.round()
        shop.spend()
        shop.clock.now += 3600
    assert len(shop.intents()) == 2
    shop.consents.give("acme", enabled=True, monthly_cap=10, principal="key_1")
    for _ in range(3):
        shop.round()
        shop.spend()
        shop.clock.now += 3600
    assert len(shop.intents()) == 3
    shop.clock.now += 31 * 86400
    assert shop.round().paid == 1
    shop.proved()


def test_a_runaway_is_stopped(desk: Shop) -> None:
    """At most three packs in ten minutes, however fast they are spent."""
    desk.agreed()
    for _ in range(60):
        desk.round()
        desk.spend()
        desk.clock.now += 30
    times = [intent.created for intent in desk.intents()]
    assert len(times) == 9
    assert all(later - first >= 600 for first, later in zip(times, times[3:], strict=False))


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_an_answer_that_is_lost_charges_once(shop: Shop, kind: str) -> None:
    """Where nobody knows whether it was paid the same request goes again, with its key; nothing new is begun."""
    shop.agreed()
    shop.sandbox.faults.add(_lost(kind))
    assert shop.round() == Recharged(begun=1, open=1)
    assert shop.round() == Recharged()
    assert shop.credits() == 5
    shop.clock.now += 30
    assert shop.round() == Recharged(paid=1)
    assert (len(shop.intents(status=None)), shop.credits()) == (1, 110)
    shop.proved()


def test_after_a_day_a_payment_is_looked_for(desk: Shop) -> None:
    """A request whose key Stripe may have forgotten is never sent again: its payment is found, or there is none."""
    desk.agreed("acme")
    desk.agreed("beta")
    desk.sandbox.faults.add(_lost("drop_after"))
    desk.sandbox.faults.add(_lost("drop_before", 2))
    assert desk.round() == Recharged(begun=2, open=2)
    before = [len(desk.intents(tenant)) for tenant in ("acme", "beta")]
    assert sorted(before) == [0, 1]
    desk.clock.now += REPEATABLE // 10**6
    assert desk.round() == Recharged(paid=1, failed=1)
    assert [len(desk.intents(tenant, None)) for tenant in ("acme", "beta")] == before
    paid, failed = ("acme", "beta") if before == [1, 0] else ("beta", "acme")
    assert [each.state for each in desk.listed(paid)] == ["paid"]
    assert [(each.state, each.error) for each in desk.listed(failed)] == [("failed", "not_sent")]


def test_what_a_webhook_granted_is_not_granted_again(desk: Shop) -> None:
    """The payment intent's id is the key of the grant: whoever comes second finds it."""
    desk.agreed()
    desk.sandbox.faults.add(_lost("drop_after"))
    assert desk.round().open == 1
    (intent,) = desk.intents()
    sold = _sold(intent)
    desk.runtime.ledger.alongside([], [granting(desk.runtime, sold)])
    assert desk.credits() == 110
    desk.clock.now += 30
    assert desk.round() == Recharged(paid=1)
    assert desk.credits() == 110
    desk.proved()


def test_webhooks_and_worker_mean_the_same_purchase(desk: Shop) -> None:
    """A refund that a webhook tells of takes back what the worker has granted; told of twice it changes nothing."""
    desk.agreed()
    desk.round()
    (intent,) = desk.intents()
    desk.dashboard.v1.refunds.create({"payment_intent": intent.id, "amount": 333})
    source = Source(desk.gateway(), Owner("acme", {}))
    for _ in range(2):
        (read,) = source.session(intent.id)
        sold = source.sold(read, "acme")
        assert sold is not None
        assert sold.purchase is not None
        assert sold.purchase.key == intent.id
        desk.runtime.ledger.submit(desk.runtime.fulfilling(sold.purchase))
    assert desk.credits() == 5 + 105 - 35
    desk.proved()


def _sold(intent: Any) -> Any:
    from reconciler.entitlements.purchases import Purchase

    return Purchase(intent.id, "acme", intent.created * 10**6, (("small", 1),), intent.amount_received)


def test_a_consent_that_is_withdrawn_drops_what_was_not_sent(desk: Shop) -> None:
    """Between beginning and sending there is still time to say no; also credits that came otherwise end it."""
    for happens in (
        lambda: desk.consents.give("acme", enabled=False, monthly_cap=0, principal="key_1"),
        lambda: desk.runtime.grant("acme", 50, key="by hand"),
    ):
        desk.consents.give("acme", enabled=True, monthly_cap=9, principal="key_1")
        worker = desk.recharger()
        desk.agreed() if not desk.listed() else None
        Interrupted(worker, 0, happens, after=True)
        assert worker.round().dropped == 1
    assert desk.intents(status=None) == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(7))
def test_whoever_dies_between_two_steps_charges_once(desk: Shop, step: int, after: bool) -> None:
    """A worker that is killed at any step leaves what another one ends: one payment, one grant, one notice."""

    def die() -> None:
        raise Killed

    desk.agreed()
    worker = desk.recharger()
    Interrupted(worker, step, die, after=after)
    try:
        worker.round()
    except Killed:
        pass
    else:
        assert step >= 6
    for _ in range(3):
        desk.clock.now += 121
        desk.round()
    assert (len(desk.intents(status=None)), desk.credits()) == (1, 110)
    assert [kind for kind, _ in desk.told()] == ["credits_recharged"]
    desk.proved()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("late", [0, 121])
@pytest.mark.parametrize("step", range(6))
def test_a_worker_between_two_steps_of_another_changes_nothing(desk: Shop, step: int, late: int, after: bool) -> None:
    """A second worker may do a whole round between any two steps of the first, also after its claim has lapsed."""
    desk.agreed()

    def other() -> None:
        desk.clock.now += late
        desk.round()

    worker = desk.recharger()
    Interrupted(worker, step, other, after=after)
    worker.round()
    desk.clock.now += 121
    desk.round()
    assert (len(desk.intents(status=None)), desk.credits()) == (1, 110)
    assert [kind for kind, _ in desk.told()] == ["credits_recharged"]
    desk.proved()


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_many_workers_at_once_buy_once(kind: str, tmp_path: Any) -> None:
    """Workers of several processes that see the same low credits begin one purchase among them."""
    with database(kind, tmp_path) as url:
        shop = Shop(url)
        shop.agreed()
        runtimes = [shop.opened(url) for _ in range(4)]
        barrier, failures = threading.Barrier(4), list[BaseException]()

        def work(runtime: Any) -> None:
            try:
                worker = shop.recharger(runtime)
                barrier.wait(10)
                worker.round()
            except BaseException as error:  # noqa: BLE001  told below
                failures.append(error)

        threads = [threading.Thread(target=work, args=(runtime,)) for runtime in runtimes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        shop.clock.now += 121
        shop.round()
        assert (len(shop.intents(status=None)), shop.credits()) == (1, 110)
        shop.proved()
        for runtime in (*runtimes, shop.runtime):
            runtime.close()


DEED = st.one_of(
    st.tuples(st.just("spend")),
    st.tuples(st.just("pass"), st.sampled_from([1, 29, 121, 599, 3600, 90_000])),
    st.tuples(st.just("card"), st.sampled_from([GOOD, GOOD, DECLINED])),
    st.tuples(st.just("round"), st.integers(0, 14), st.booleans(), st.sampled_from(["die", "other", "nothing"])),
    st.tuples(st.just("lose"), st.sampled_from(["drop_before", "drop_after"])),
)


def _do(shop: Shop, deed: tuple[Any, ...]) -> None:
    if deed[0] == "spend":
        shop.spend()
    elif deed[0] == "pass":
        shop.clock.now += deed[1]
    elif deed[0] == "card":
        shop.card("acme", deed[1])
    elif deed[0] == "lose":
        shop.sandbox.faults.add(_lost(deed[1]))
    else:
        _round(shop, *deed[1:])


def _round(shop: Shop, step: int, after: bool, what: str) -> None:
    def happens() -> None:
        if what == "die":
            raise Killed
        if what == "other":
            shop.round()

    worker = shop.recharger()
    Interrupted(worker, step, happens, after=after)
    with suppress(Killed):
        worker.round()


def _lived(deeds: list[tuple[Any, ...]]) -> None:
    shop = Shop(caps=Caps(monthly=6))
    shop.agreed(cap=5)
    for deed in deeds:
        _do(shop, deed)
        assert sum(each.state == "open" for each in shop.listed()) <= 1
    for _ in range(3):
        # Long enough in all that what was not sent before the consent was withdrawn is known not to have been.
        shop.clock.now += 301
        for purchase in shop.listed():
            assert purchase.state in {"open", "paid", "failed", "dropped"}
        shop.consents.give("acme", enabled=False, monthly_cap=0, principal="key_1")
        shop.round()
    assert all(each.state != "open" for each in shop.listed())
    shop.proved()
    paid = [each.started for each in shop.listed() if each.state == "paid"]
    assert all(later - first >= 10 * MINUTE for first, later in zip(paid, paid[3:], strict=False))
    assert len(paid) <= 5 * (1 + len({each // (27 * 24 * HOUR) for each in paid}))
    declined = [each for each in shop.listed() if each.state == "failed"]
    for each in declined:
        assert not any(0 < other.started - (each.ended or 0) < HOUR for other in shop.listed())
    shop.runtime.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(DEED, max_size=14))
def test_whatever_happens_nobody_pays_twice(deeds: list[tuple[Any, ...]]) -> None:
    """Deaths, lost answers, declines and other workers in any order: every payment is one purchase and one grant."""
    _lived(deeds)


@pytest.mark.soak
@settings(max_examples=2000, deadline=None)
@given(st.lists(DEED, max_size=40))
def test_whatever_happens_for_long_nobody_pays_twice(deeds: list[tuple[Any, ...]]) -> None:
    """The same with many more and longer lives."""
    _lived(deeds)


ATTEMPTS = st.lists(
    st.tuples(st.sampled_from(["paid", "failed", "dropped"]), st.integers(0, 40 * 24 * 60)), max_size=12
).map(lambda found: sorted(found, key=lambda each: each[1]))


@given(ATTEMPTS, st.integers(1, 8), st.integers(1, 8))
def test_caps_hold_for_every_history(history: list[tuple[str, int]], monthly: int, consented: int) -> None:
    """Where a purchase may be begun, the burst, both months' caps and the cool-down all have room for it."""
    caps = Caps(monthly=monthly)
    attempts = [
        Attempt(number, state, NOW + at * MINUTE, NOW + at * MINUTE) for number, (state, at) in enumerate(history, 1)
    ]
    now = (attempts[-1].started if attempts else NOW) + 5 * MINUTE
    counted = [each for each in attempts if each.started >= since(now, caps)]
    why = why_not(counted, caps, consented, now)
    paid = [each.started for each in attempts if each.state == "paid"]
    recent = sum(each > now - 10 * MINUTE for each in paid)
    if why is None:
        assert recent < 3
        assert not any(each.state == "failed" and now - each.started < HOUR for each in counted[-1:])
    assert (why == "burst_cap") == (recent >= 3)
    assert why_not([*counted, Attempt(99, "open", now)], caps, consented, now) == "in_flight"


@pytest.mark.parametrize(("failures", "hours"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 24), (30, 24)])
def test_a_cool_down_grows_to_a_day(failures: int, hours: int) -> None:
    """Each further failure in a row doubles it; a purchase that went well ends the row, a dropped one does not."""
    row = [Attempt(number, "failed", NOW, NOW) for number in range(1, failures + 1)]
    assert (
        cool_until([Attempt(0, "paid", NOW), *row, Attempt(99, "dropped", NOW, NOW)], Caps(monthly=1))
        == NOW + hours * HOUR
    )
    assert cool_until([*row, Attempt(99, "paid", NOW, NOW)], Caps(monthly=1)) == 0


def test_the_key_is_kept_before_anything_is_sent(desk: Shop) -> None:
    """What Stripe gets stands in the ledger's database already, key and all."""
    seen = list[Any]()
    desk.agreed()
    worker = desk.recharger()
    whole = worker._till.charge
    worker._till.charge = lambda *given: seen.append(desk.listed()[-1]) or whole(*given)  # type: ignore[method-assign]
    worker.round()
    (intent,) = desk.intents()
    assert seen[0].state == "open"
    assert intent.metadata[KEY] in seen[0].request
