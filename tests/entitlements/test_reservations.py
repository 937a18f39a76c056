"""Reservations: what is held, what a commit charges, and what becomes of holds whose lots, plans or periods go away."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from reconciler.entitlements import Reason
from reconciler.entitlements.measure import MeasureError

from .audit import audit, kinds
from .worlds import HandClock, policy, runtime

JANUARY = datetime(2027, 1, 2, tzinfo=UTC)
CREDITS = """
plans:
  pro: {name: Pro, credits: {default: 1}}
tenants:
  acme: {name: Acme, plan: pro}
"""
USAGE = """
tiers:
  falling: {mode: volume, steps: [{up_to: 10, unit_amount: 1.00}, {up_to: inf, unit_amount: 0.50}]}
plans:
  deny: {name: Deny, usage: {calls: {included: 5, overage: deny}}}
  priced: {name: Priced, usage: {calls: {included: 5, overage: {unit_amount: 0.10}}}}
  volume: {name: Volume, usage: {calls: {included: 5, overage: {tiers: falling}}}}
  flat: {name: Flat, prices: {monthly: {amount: 9, interval: month}}}
tenants:
  acme: {name: Acme, plan: PLAN}
"""


@pytest.mark.parametrize("plan", ["deny", "priced", "volume", "flat"])
def test_every_kind_of_plan_can_reserve(plan: str) -> None:
    """Units are held in their counter whatever pays them, released whole, and counted once when committed."""
    with runtime(USAGE.replace("PLAN", plan)) as ent:
        assert ent.reserve("acme", "search", key="one").release()
        assert audit(ent).used == {}
        held = ent.reserve("acme", "search", key="two")
        assert held
        assert held.commit()
        used = audit(ent).used
        assert [sum(windows.values()) for windows in used.values()] == ([] if plan == "volume" else [1])


def test_a_lot_that_expires_while_it_is_held_can_still_be_spent() -> None:
    """What was reserved before the expiry is charged after it; what is given back has expired with the lot."""
    clock = HandClock("2027-01-01T00:00:00")
    with runtime(CREDITS, clock) as ent:
        ent.grant("acme", 10, key="lot", expires=JANUARY)
        held = ent.reserve("acme", "search", quantity=5, key="job", seconds=86_400 * 3)
        clock.set("2027-01-02T00:00:00")
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (0, 5_000_000)
        assert held.commit(3).price == 3
        assert ent.balance("acme").held == 0
        assert audit(ent).credits == 0
        assert kinds(ent) == ["grant", "reserve", "expire", "commit"]


@pytest.mark.parametrize("end", ["release", "lapse"])
def test_what_an_ended_hold_gives_back_to_an_expired_lot_has_expired(end: str) -> None:
    """Release and lapse of a hold on a lot that is gone bring nothing back, and never fail."""
    clock = HandClock("2027-01-01T00:00:00")
    with runtime(CREDITS, clock) as ent:
        ent.grant("acme", 10, key="lot", expires=JANUARY)
        ent.grant("acme", 1, key="other")
        held = ent.reserve("acme", "search", quantity=5, key="job", seconds=86_400 * 3)
        clock.set("2027-01-03T00:00:00")
        assert ent.sweep() == 1
        if end == "release":
            assert held.release()
        clock.set("2027-01-05T00:00:00")
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (1_000_000, 0)
        ent.sweep()
        assert audit(ent).credits == 1_000_000


def test_a_voided_lot_does_not_come_back_from_a_hold() -> None:
    """A grant is taken away while a call holds some of it: the call may finish, the rest is voided as well."""
    with runtime(CREDITS) as ent:
        ent.grant("acme", 10, key="lot")
        held = ent.reserve("acme", "search", quantity=6, key="job")
        assert ent.void("acme", "lot", key="dispute") == 4_000_000
        assert held.commit(1)
        assert audit(ent).credits == 0


def test_a_commit_of_more_takes_what_is_there_and_writes_down_the_rest() -> None:
    """Beyond what was reserved a commit is paid from what is left; what is short stands in the entry, never below 0."""
    with runtime(CREDITS) as ent:
        ent.grant("acme", 10, key="lot")
        held = ent.reserve("acme", "search", quantity=5, key="job")
        decision = held.commit(12)
        assert (decision.cost, decision.remaining) == (12_000_000, 0)
        entry = ent.ledger.store.entry("acme", "~commit:job")
        assert entry is not None
        assert entry.answer[3] == 2_000_000
        assert audit(ent).credits == 0


def test_a_late_commit_is_charged_as_far_as_possible() -> None:
    """After the hold has lapsed its credits are free again; a commit then still charges, and says what was short."""
    clock = HandClock("2027-01-01T00:00:00")
    with runtime(CREDITS, clock) as ent:
        ent.grant("acme", 10, key="lot")
        held = ent.reserve("acme", "search", quantity=5, key="job", seconds=60)
        clock.set("2027-01-01T00:01:00")
        assert ent.balance("acme").credits == 10_000_000
        assert ent.consume("acme", "other", quantity=8)
        assert held.commit().allowed
        assert held.commit().replayed
        assert kinds(ent) == ["grant", "reserve", "lapse", "consume", "commit"]
        assert audit(ent).credits == 0
        entry = ent.ledger.store.entry("acme", "~commit:job")
        assert entry is not None
        assert entry.answer[3] == 3_000_000


def test_a_hold_lasts_exactly_its_time() -> None:
    """One microsecond before its end a hold holds; at its end it has lapsed."""
    clock = HandClock("2027-01-01T00:00:00")
    with runtime(CREDITS, clock) as ent:
        ent.grant("acme", 10, key="lot")
        ent.reserve("acme", "search", key="job", seconds=60)
        clock.now += 60_000_000 - 1
        assert ent.balance("acme").held == 1_000_000
        clock.now += 1
        assert ent.balance("acme").held == 0


def test_a_released_hold_cannot_be_committed() -> None:
    """Once released nothing is charged, and a committed hold gives nothing back."""
    with runtime(CREDITS) as ent:
        ent.grant("acme", 10, key="lot")
        held = ent.reserve("acme", "search", key="job")
        assert held.release()
        assert not held.release()
        assert held.commit().reason is Reason.KEY_CONFLICT
        done = ent.reserve("acme", "search", key="job-2")
        assert done.commit()
        assert not done.release()
        assert audit(ent).credits == 9_000_000


def test_a_commit_is_measured_as_it_was_reserved() -> None:
    """A policy that counts the tool otherwise in between changes neither price nor meters of a reserved call."""
    before = "tools: {parse: {quantity: {from: argument.rows, per: 1000}}}\n" + CREDITS
    after = "tools: {parse: {quantity: {from: argument.rows, per: 10}}}\n" + CREDITS
    with runtime(before) as ent:
        ent.grant("acme", 10, key="lot")
        held = ent.reserve("acme", "parse", quantity=2000, key="job")
        assert held.decision.price == 2
        ent.reload(policy(after))
        assert held.commit(1500).price == 2
        assert audit(ent).credits == 8_000_000
        assert ent.check("acme", "parse", quantity=1500).reason is Reason.INSUFFICIENT_CREDITS


def test_auto_recharge_is_told_by_the_commit() -> None:
    """What a commit leaves decides whether a pack is to be bought, not what the reservation left."""
    text = """
plans:
  pro: {name: Pro, credits: {default: 1, auto_recharge: {below: 5, pack: small}}}
credit_packs: {small: {name: Small, credits: 100, price: 9.99}}
tenants: {acme: {name: Acme, plan: pro}}
"""
    with runtime(text) as ent:
        ent.grant("acme", 10, key="lot")
        held = ent.reserve("acme", "search", quantity=6, key="job")
        assert held.decision.recharge == "small"
        assert held.commit(5).recharge is None
        less = ent.reserve("acme", "search", key="job-2")
        assert less.decision.recharge == "small"
        assert less.commit(0).recharge is None


def test_units_that_the_call_does_not_count_are_refused() -> None:
    """A meter misspelt in the units of a call is an error, nothing is dropped in silence."""
    with runtime("tools: {draw: {counts: {calls: {from: result.n}}}}\n" + USAGE.replace("PLAN", "priced")) as ent:
        assert ent.consume("acme", "draw", units={"calls": 2})
        with pytest.raises(MeasureError, match="cals"):
            ent.consume("acme", "draw", units={"calls": 2, "cals": 1})
        assert ent.consume("acme", meter="calls", quantity=3).cost == 0
        assert ent.consume("acme", meter="calls", units={"calls": 2}).price == Decimal("0.20")


def test_a_refusal_is_told_before_a_missing_number() -> None:
    """A tenant that may not call a tool is refused although the numbers it is counted by are missing."""
    text = "tools: {draw: {counts: {calls: {from: result.n}}}}\n" + USAGE.replace("PLAN", "priced")
    with runtime(text) as ent:
        assert ent.consume("nobody", "draw").reason is Reason.UNKNOWN_TENANT
        with pytest.raises(MeasureError, match=r"result\.n"):
            ent.consume("acme", "draw")
        assert ent.check_many("acme", ["draw", "search"])["draw"].remaining == 4
