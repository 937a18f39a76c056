"""Traps others have fallen into, each tried here. Those about concurrency run on schedules drawn from seeds.

Leases, with their crashes, have tests of their own in ``test_lease.py``; what happens without a ledger, in
``test_degraded.py``.
"""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.entitlements import Entitlements, KeyConflictError, Reason
from reconciler.entitlements.acts import Request
from reconciler.ledger.base import StoreUnavailableError
from reconciler.ledger.book import Lot
from reconciler.ledger.sqlite import SqliteStore

from .audit import audit, kinds
from .schedule import Schedule
from .worlds import HandClock, at, policy, runtime

MICRO = 1_000_000
SEEDS = pytest.mark.parametrize("seed", range(6))
PLANS = """
tiers: {falling: {steps: [{up_to: 3, unit_amount: 1.00}, {up_to: inf, unit_amount: 0.50}]}}
plans:
  credits: {name: Credits, credits: {default: 1}}
  month: {name: Month, credits: {default: 1, included: 10, rollover: true}}
  quota: {name: Quota, usage: {calls: {included: 7, overage: deny}}}
  tiers: {name: Tiers, usage: {calls: {included: 0, overage: {tiers: falling}}}, minimum: {per_month: 1.00},
          limits: [{of: calls, max: 6, per: month}]}
  overdraw: {name: Overdraw, usage: {calls: {included: 3, overage: {credits: 2}}}}
  calls: {name: Calls, per_call: {default: 0.25}}
  upper: {name: Upper, credits: {default: 5}}
credit_packs: {small: {name: Small, credits: 5, bonus: 2, price: 1.00, expires_after: 30 days}}
tenants:
  acme: {name: Acme, plan: PLAN}
"""


def plan(name: str) -> str:
    """Return the catalogue with the tenant on a plan."""
    return PLANS.replace("PLAN", name)


def call(ent: Entitlements, key: str | None = None, quantity: int = 1) -> Any:
    """Return the job of a call."""
    return ent._acts.consume("acme", Request("search", quantity=quantity, key=key))


@SEEDS
@pytest.mark.parametrize(("name", "most"), [("credits", 5), ("quota", 7)])
def test_many_calls_see_one_balance(name: str, most: int, seed: int, tmp_path: Path) -> None:
    """With k left and n > k callers, exactly k are let through, however they interleave."""
    with Schedule(plan(name), tmp_path, seed) as schedule:
        ent = schedule.ents[0]
        ent.grant("acme", 5, key="lot")
        found = schedule.run([[call(ent, f"{client}-{number}") for number in range(3)] for client in range(6)])
        assert sum(outcome.value.allowed for answers in found for outcome in answers) == most
        audit(ent)


@SEEDS
def test_a_reservation_priced_otherwise_than_its_commit(seed: int, tmp_path: Path) -> None:
    """Whatever others reserve meanwhile, a commit costs what was reserved, and no more than the cap is let through."""
    with Schedule(plan("tiers"), tmp_path, seed) as schedule:
        ent = schedule.ents[0]
        asked = [Request("search", key=f"k{number}") for number in range(9)]
        found = schedule.run([[ent._acts.reserve("acme", each, 600 * MICRO)] for each in asked])
        held = {each.key: answers[0].value for each, answers in zip(asked, found, strict=True)}
        allowed = [each for each in asked if held[each.key].allowed]
        assert len(allowed) == 6
        ended = schedule.run([[ent._acts.commit("acme", each)] for each in allowed])
        for each, answers in zip(allowed, ended, strict=True):
            assert answers[0].value[0][2] == held[each.key].cost
        assert sum(audit(ent).used["spend.usd"].values()) == 4_500_000
        assert sum(held[each.key].cost for each in allowed) == 4_500_000


@given(st.integers(1, 2**63 - 1))
def test_amounts_that_a_float_would_bend(amount: int) -> None:
    """Every amount up to 2^63-1 goes in, is held against, and comes out to the last digit."""
    with runtime(plan("credits")) as ent:
        exact = Decimal(amount).scaleb(-6)
        assert ent.grant("acme", exact, key="lot") == amount
        assert ent.balance("acme").credits == amount
        if amount > MICRO:
            assert ent.consume("acme", "search").remaining == amount - MICRO
        with pytest.raises(ValueError, match="cannot be granted"):
            ent.grant("acme", Decimal(2**63 - 1).scaleb(-6), key="too much")
        audit(ent)


def test_changes_within_a_minute_are_in_order() -> None:
    """Lots that expire a microsecond apart expire in their order, and a call between the two is paid by the later."""
    clock = HandClock()
    with runtime(plan("credits"), clock) as ent:
        for number in range(3):
            until = datetime(2027, 1, 2, 0, 0, 0, number, tzinfo=UTC)
            ent.grant("acme", 1, key=f"lot-{number}", expires=until)
        clock.now = at("2027-01-02T00:00:00") + 1
        ent.consume("acme", "search", key="call")
        entry = ent.ledger.store.entry("acme", "call")
        assert entry is not None
        assert entry.answer[2] == [["lot-2", MICRO]]
        assert kinds(ent)[3:] == ["expire", "expire", "consume"]


@SEEDS
def test_a_grant_at_the_instant_of_a_reset(seed: int, tmp_path: Path) -> None:
    """Month and grant at the same instant come in once each, whoever is first, and neither ends the other."""
    with Schedule(plan("month"), tmp_path, seed, HandClock("2027-01-31T23:00:00")) as schedule:
        ent = schedule.ents[0]
        ent.consume("acme", "search")
        schedule.clock.set("2027-02-01T00:00:00")
        bought = ent._acts.grant("acme", lambda now: _lots("paid", now), "paid", "digest")
        schedule.run([[bought], [ent._acts.sweep("acme")], [call(ent), ent._acts.sweep("acme")], [bought]])
        assert audit(ent).credits == (9 + 10 + 4 - 1) * MICRO
        assert kinds(ent).count("reset") == 2


def test_balance_and_overage_at_once() -> None:
    """Units beyond the included ones are paid while there are credits; there is never a debt beside a balance."""
    with runtime(plan("overdraw")) as ent:
        ent.grant("acme", 5, key="lot")
        assert [ent.consume("acme", "search").price for _ in range(5)] == [0, 0, 0, 2, 2]
        assert ent.consume("acme", "search").reason is Reason.INSUFFICIENT_CREDITS
        assert audit(ent).credits == MICRO


def test_the_same_request_twice() -> None:
    """Call, grant, pack, refund, void and subscription have one effect for a key."""
    with runtime(plan("credits")) as ent:
        for _ in range(3):
            ent.grant("acme", 10, key="lot")
            ent.grant("acme", pack="small", key="cs_1")
            assert ent.consume("acme", "search", quantity=4, key="call")
            ent.refund("acme", "call", key="back", credits=1)
            ent.void("acme", "cs_1", key="dispute")
            ent.set_subscription("acme", status="active", plan="credits", key="evt_1")
        assert kinds(ent).count("consume") == 1
        assert len(kinds(ent)) == 10
        assert audit(ent).credits == 10 * MICRO


def test_a_repeat_is_the_first_answer_not_an_error() -> None:
    """A repeated call is answered as the first time, after a reload and with nothing left too, marked as such."""
    with runtime(plan("credits")) as ent:
        ent.grant("acme", 3, key="lot")
        first = ent.consume("acme", "search", quantity=3, key="call")
        ent.reload(policy(plan("upper")))
        assert ent.consume("acme", "search", quantity=3, key="call") == first._replace(replayed=True)


def test_the_same_key_for_something_else() -> None:
    """A key that was used is refused for another request of any kind, and nothing changes."""
    with runtime(plan("credits")) as ent:
        ent.grant("acme", 10, key="key")
        before = ent.ledger.store.read("acme").seq
        assert ent.consume("acme", "search", key="key").reason is Reason.KEY_CONFLICT
        assert ent.reserve("acme", "search", key="key").decision.reason is Reason.KEY_CONFLICT
        for act in (
            lambda: ent.grant("acme", 11, key="key"),
            lambda: ent.grant("acme", pack="small", key="key"),
            lambda: ent.void("acme", "key", key="key"),
            lambda: ent.set_subscription("acme", status="active", key="key"),
        ):
            with pytest.raises(KeyConflictError):
                act()
        assert ent.ledger.store.read("acme").seq == before


def test_an_answer_that_was_lost() -> None:
    """A transaction that was kept but never answered is found again under its key, and debited once."""
    with runtime(plan("credits")) as ent:
        ent.grant("acme", 10, key="lot")
        real = SqliteStore.transact

        def lost(self: SqliteStore, jobs: Any) -> Any:
            real(self, jobs)
            raise StoreUnavailableError("E1103", "the answer was lost")

        with patch.object(SqliteStore, "transact", lost):
            assert ent.consume("acme", "search", key="call").reason is Reason.STORE_UNAVAILABLE
        assert ent.consume("acme", "search", key="call").replayed
        assert audit(ent).credits == 9 * MICRO


@SEEDS
def test_one_key_charged_twice_within_a_moment(seed: int, tmp_path: Path) -> None:
    """Two writers that meet the same keys book each once; every caller gets the one answer."""
    with Schedule(plan("credits"), tmp_path, seed) as schedule:
        ent = schedule.ents[0]
        ent.grant("acme", 100, key="lot")
        found = schedule.run([[call(ent, f"k{number}") for number in range(4)] for _ in range(5)])
        fresh = [outcome for answers in found for outcome in answers if outcome.entry is None]
        assert len(fresh) == 4
        assert all(not outcome.conflict for answers in found for outcome in answers)
        assert audit(ent).credits == 96 * MICRO


def test_a_batch_that_repeats_itself() -> None:
    """The ledger itself knows a job again, in the same transaction and in a later one."""
    with runtime(plan("credits")) as ent:
        ent.grant("acme", 10, key="lot")
        job = call(ent, "k")
        first, second = ent.ledger.store.transact([job, job])
        (third,) = ent.ledger.store.transact([job])
        assert first.entry is None
        assert second.entry is not None
        assert third.entry == second.entry
        assert audit(ent).credits == 9 * MICRO


@SEEDS
def test_refunds_that_add_up_to_more_than_the_call(seed: int, tmp_path: Path) -> None:
    """Refunds of one call by several writers together give back what it cost, to the lots it came from."""
    with Schedule(plan("credits"), tmp_path, seed) as schedule:
        one, two = schedule.ents
        one.grant("acme", 3, key="first", expires=datetime(2028, 1, 1, tzinfo=UTC))
        one.grant("acme", 9, key="second")
        one.consume("acme", "search", quantity=7, key="call")
        order = [(one, 3), (two, 3), (one, 3), (two, None)]
        schedule.random.shuffle(order)
        back = [
            ent.refund("acme", "call", key=f"r{number}", credits=amount) for number, (ent, amount) in enumerate(order)
        ]
        assert sum(each.restored for each in back) == 7 * MICRO
        assert {lot.id: lot.remaining for lot in audit(one).order} == {"first": 3 * MICRO, "second": 9 * MICRO}


@SEEDS
def test_an_older_write_over_a_newer_one(seed: int, tmp_path: Path) -> None:
    """Writers that take turns see what the other wrote: no balance is overwritten by one that is older."""
    with Schedule(plan("credits"), tmp_path, seed) as schedule:
        schedule.ents[0].grant("acme", 50, key="lot")
        for number in range(20):
            ent = schedule.random.choice(schedule.ents)
            assert ent.consume("acme", "search").remaining == (49 - number) * MICRO
        audit(schedule.ents[1])


def test_the_unknown_is_refused_everywhere() -> None:
    """A tenant, a tool, a meter or a feature nobody defined is refused by check, call and reservation alike."""
    with runtime(plan("quota")) as ent:
        cases = [
            (("nobody",), {"tool": "search"}, Reason.UNKNOWN_TENANT),
            (("acme",), {"meter": "none"}, Reason.UNKNOWN_TOOL),
        ]
        for (tenant,), asked, reason in cases:
            assert ent.check(tenant, **asked).reason is reason
            assert ent.consume(tenant, **asked).reason is reason
            assert ent.reserve(tenant, **asked).decision.reason is reason
        assert not ent.feature("acme", "no such feature")
    with runtime(
        "plans: {list: {name: List, credits: {tools: {a: 1}}}}\ntenants: {acme: {name: A, plan: list}}"
    ) as ent:
        ent.grant("acme", 10, key="lot")
        assert ent.consume("acme", "b").reason is Reason.TOOL_NOT_IN_PLAN
        assert ent.consume("acme", "a").allowed


@pytest.mark.parametrize("fault", ["transact", "read"])
def test_fail_closed_that_fails_open(fault: str) -> None:
    """Whatever part of the store fails, a call, a check that has to look, and a reservation are refused."""
    with runtime(plan("credits")) as ent:
        ent.grant("acme", 10, key="lot")

        def broken(*_: Any) -> Any:
            raise StoreUnavailableError("E1103", "the disk is gone")

        with patch.object(SqliteStore, fault, broken):
            ent.ledger.looks.clear()
            answers = [ent.check("acme", "search")] if fault == "read" else []
            if fault == "transact":
                answers += [ent.consume("acme", "search"), ent.reserve("acme", "search").decision]
        assert [(each.allowed, each.reason) for each in answers] == [(False, "store_unavailable")] * len(answers)
        assert answers
        assert audit(ent).credits == 10 * MICRO


def test_a_quantity_rounded_on_its_way_out() -> None:
    """What is handed to the export is what was counted, unit by unit, once."""
    clock = HandClock()
    with runtime(plan("quota").replace("overage: deny", "overage: {unit_amount: 0.01}"), clock) as ent:
        for number in (1, 7, 0, 999_983):
            ent.consume("acme", meter="calls", quantity=number)
        clock.set("2027-01-01T01:00:00")
        ent.consume("acme", "search")
        assert ent.seal(clock.now // MICRO) == 1
        assert ent.seal(clock.now // MICRO) == 0
        (export,) = ent.ledger.store.exports("acme")
        assert (export.meter, export.units) == ("calls", 999_991)
        assert sum(audit(ent).used["calls"].values()) == 1


def test_an_expiry_that_is_a_day_and_not_an_instant() -> None:
    """A microsecond before its expiry a credit can be spent, at its expiry it cannot."""
    clock = HandClock()
    with runtime(plan("credits"), clock) as ent:
        ent.grant("acme", 2, key="lot", expires=datetime(2027, 1, 1, 12, 30, 15, 250, tzinfo=UTC))
        clock.now = at("2027-01-01T12:30:15") + 249
        assert ent.consume("acme", "search")
        clock.now += 1
        assert ent.consume("acme", "search").reason is Reason.INSUFFICIENT_CREDITS


@pytest.mark.parametrize("swept", [False, True])
def test_an_expiry_nobody_hears_of(*, swept: bool) -> None:
    """Crossing an expiry is entered once, under one key, at its own instant, whether a sweep or a call comes first."""
    clock = HandClock()
    with runtime(plan("credits"), clock) as ent:
        ent.grant("acme", 2, key="lot", expires=datetime(2027, 1, 2, tzinfo=UTC))
        clock.set("2027-01-05T00:00:00")
        for _ in range(2):
            _ = ent.sweep() if swept else ent.consume("acme", "search")
        entry = ent.ledger.store.entry("acme", "~expired:lot")
        assert entry is not None
        assert (entry.at, entry.answer["credits"]) == (at("2027-01-02T00:00:00"), 2 * MICRO)
        assert kinds(ent) == ["grant", "expire"]


def test_a_recharge_that_buys_by_itself() -> None:
    """The runtime only names the pack that is due; it brings no credits and starts no payment by itself."""
    text = plan("credits").replace("{default: 1}", "{default: 1, auto_recharge: {below: 9, pack: small}}", 1)
    with runtime(text) as ent:
        ent.grant("acme", 10, key="lot")
        assert [ent.consume("acme", "search").recharge for _ in range(3)] == [None, "small", "small"]
        assert audit(ent).credits == 7 * MICRO


def test_a_handler_that_fails_returns_or_dies() -> None:
    """Raising gives everything back, returning charges, dying leaves a hold that lapses at its time."""
    clock = HandClock()
    with runtime(plan("credits"), clock) as ent:
        ent.grant("acme", 10, key="lot")
        with pytest.raises(RuntimeError), ent.reserve("acme", "search", quantity=5, key="raises"):
            raise RuntimeError
        with ent.reserve("acme", "search", quantity=2, key="returns"):
            pass
        ent.reserve("acme", "search", quantity=3, key="dies", seconds=60)
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (5 * MICRO, 3 * MICRO)
        clock.now += 60 * MICRO
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (8 * MICRO, 0)


@pytest.mark.parametrize("place", range(4))
def test_a_transaction_that_breaks_in_the_middle(place: int) -> None:
    """Where a transaction fails before or after its writes, none is kept, and the next finds the books as they were."""
    with runtime(plan("credits")) as ent:
        ent.grant("acme", 10, key="lot")
        store = ent.ledger.store
        real, done = SqliteStore._save, []

        def breaks(self: SqliteStore, books: Any) -> None:
            if place % 2:
                real(self, books)
            done.append(1)
            raise StoreUnavailableError("E1103", "power cut")

        with patch.object(SqliteStore, "_save", breaks):
            act = ent.consume if place < 2 else ent.reserve
            act("acme", "search", key="call")
        assert done
        assert store.entry("acme", "call") is None
        assert audit(ent).credits == 10 * MICRO
        assert ent.consume("acme", "search", key="call").replayed is False


def test_usage_that_comes_after_its_period() -> None:
    """A call reserved in one month and ended in the next leaves the new month's allowance alone, and is counted."""
    clock = HandClock("2027-01-31T23:59:59")
    with runtime(plan("quota"), clock) as ent:
        held = ent.reserve("acme", "search", key="late")
        clock.set("2027-02-01T00:00:01")
        assert ent.consume("acme", "search").remaining == 6
        assert held.commit()
        assert ent.consume("acme", "search").remaining == 5
        assert sum(audit(ent).used["calls"].values()) == 3


def test_reserve_then_downgrade_then_commit() -> None:
    """A hold is ended at the price and by the plan it was made under, whatever the tenant has moved to."""
    with runtime(plan("upper")) as ent:
        ent.grant("acme", 20, key="lot")
        held = ent.reserve("acme", "search", quantity=2, key="job")
        ent.set_subscription("acme", status="active", plan="quota")
        assert held.commit(3).price == 15
        assert audit(ent).credits == 5 * MICRO


@given(
    st.lists(st.integers(-40 * 86_400, 40 * 86_400), min_size=1, max_size=12), st.sampled_from(["UTC", "Asia/Beirut"])
)
def test_a_clock_that_goes_back_never_brings_an_allowance_again(steps: list[int], zone: str) -> None:
    """However the clock wanders, a day lets its calls through once, and only days later than any before bring more."""
    text = f"""
settings: {{namespace: acme, default_meter: calls, timezone: {zone}}}
plans: {{day: {{name: Day, limits: [{{of: calls, max: 2, per: day}}], prices: {{m: {{amount: 1, interval: month}}}}}}}}
tenants: {{acme: {{name: Acme, plan: day}}}}
"""
    clock, latest, allowed = HandClock("2027-03-27T12:00:00"), 0, 0
    with runtime(text, clock) as ent:
        for step in steps:
            clock.now += step * MICRO
            ent.ledger.looks.clear()
            end = ent.check("acme", "search").resets_at
            assert end is not None
            fresh = end > latest
            latest = max(latest, end)
            found = sum(bool(ent.consume("acme", "search")) for _ in range(3))
            assert found == (2 if fresh else 0)
            allowed += found


def test_a_balance_that_lags_behind_its_own_write() -> None:
    """A balance and a check asked for after a write know of it, in the writing process at once."""
    with runtime(plan("credits")) as ent:
        ent.grant("acme", 10, key="lot")
        for number in range(5):
            assert ent.check("acme", "search").remaining == (9 - number) * MICRO
            ent.consume("acme", "search")
            assert ent.balance("acme").credits == (9 - number) * MICRO


def test_plan_pack_and_override_in_one_order() -> None:
    """A tenant's own terms stand in place of the plan's; the plan's order says what pays; packs are spent by expiry."""
    text = """
plans:
  pro: {name: Pro, pay: [usage, credits], usage: {calls: {included: 1, overage: deny}}, credits: {default: 1}}
credit_packs: {small: {name: Small, credits: 2, price: 1.00, expires_after: 30 days}}
tenants:
  acme: {name: Acme, plan: pro, usage: {calls: {included: 3, overage: deny}}}
  other: {name: Other, plan: pro}
"""
    with runtime(text) as ent:
        for tenant in ("acme", "other"):
            ent.grant(tenant, 1, key="own")
            ent.grant(tenant, pack="small", key="cs_1")
        paid = [ent.consume("acme", "search", key=f"k{number}").paid_by for number in range(7)]
        assert paid == ["usage"] * 3 + ["credits"] * 3 + [""]
        assert ent.consume("other", "search").paid_by == "usage"
        assert ent.consume("other", "search").paid_by == "credits"
        entry = ent.ledger.store.entry("acme", "k3")
        assert entry is not None
        assert entry.answer[2] == [["cs_1", MICRO]]


def test_a_check_that_walks_through_all_policies() -> None:
    """A check runs the same number of steps with two tenants and plans as with two thousand."""

    def steps(size: int) -> int:
        tenants = "\n".join(f"  t{number}: {{name: T, plan: p{number % 20}}}" for number in range(size))
        plans = "\n".join(f"  p{number}: {{name: P, credits: {{default: 1, tools: {{a: 2}}}}}}" for number in range(20))
        count = 0

        def counted(_frame: Any, event: str, _arg: Any) -> None:
            nonlocal count
            count += event == "call"

        with runtime(f"plans:\n{plans}\ntenants:\n{tenants}\n") as ent:
            ent.grant("t1", 5, key="lot")
            ent.check("t1", "search", quantity=2)
            sys.setprofile(counted)
            ent.check("t1", "search", quantity=2)
            sys.setprofile(None)
        return count

    assert steps(2) == steps(400)


def _lots(key: str, now: int) -> list[Lot]:
    return [Lot(key, 4 * MICRO, 4 * MICRO, 50, None, now, "")]
