"""Refunds and voids: back to the exact lots, never more than the call cost, never out of a voided grant."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from reconciler.entitlements import KeyConflictError
from reconciler.entitlements.grants import Refunded

from .audit import audit, kinds
from .worlds import HandClock, runtime

CREDITS = """
plans:
  pro: {name: Pro, credits: {default: 1}}
tenants:
  acme: {name: Acme, plan: pro}
credit_packs:
  small: {name: Small, credits: 100, bonus: 10, price: 9.99, expires_after: 30 days}
"""
MONEY = """
tiers:
  falling: {mode: volume, steps: [{up_to: 2, unit_amount: 1.00}, {up_to: inf, unit_amount: 0.50}]}
plans:
  calls: {name: Calls, per_call: {default: 1.00}}
  units: {name: Units, usage: {calls: {included: 1, overage: {tiers: falling}}}}
tenants:
  acme: {name: Acme, plan: PLAN}
"""


def day(number: int) -> datetime:
    """Return a day of January 2027."""
    return datetime(2027, 1, number, tzinfo=UTC)


def test_a_refund_goes_back_to_its_lots_last_spent_first() -> None:
    """A call paid from two lots is refunded into both, in parts, and never beyond what it cost."""
    with runtime(CREDITS) as ent:
        ent.grant("acme", 3, key="first", expires=day(20))
        ent.grant("acme", 10, key="second")
        ent.consume("acme", "search", quantity=5, key="call")
        assert ent.refund("acme", "call", key="r1", credits=3) == Refunded(3_000_000, 0, 0)
        assert {lot.id: lot.remaining for lot in audit(ent).order} == {"first": 1_000_000, "second": 10_000_000}
        assert ent.refund("acme", "call", key="r2") == Refunded(2_000_000, 0, 0)
        assert ent.refund("acme", "call", key="r3") == Refunded(0, 0, 0)
        assert audit(ent).credits == 13_000_000
        assert ent.refund("acme", "call", key="r1", credits=3) == Refunded(3_000_000, 0, 0)
        with pytest.raises(KeyConflictError):
            ent.refund("acme", "call", key="r1", credits=4)
        with pytest.raises(LookupError):
            ent.refund("acme", "no call", key="r4")
        assert audit(ent).credits == 13_000_000


@pytest.mark.parametrize("plan", ["calls", "units"])
def test_a_call_paid_with_money_is_taken_back_once(plan: str) -> None:
    """Refunding a call that cost money takes its charge and its units back; refunding it again takes nothing more."""
    with runtime(MONEY.replace("PLAN", plan)) as ent:
        for number in range(4):
            ent.consume("acme", "search", key=f"call-{number}")
        before = {meter: sum(windows.values()) for meter, windows in audit(ent).used.items()}
        ent.consume("acme", "search", key="call-4")
        for number in range(3):
            ent.refund("acme", "call-4", key=f"r{number}")
        after = {meter: sum(windows.values()) for meter, windows in audit(ent).used.items()}
        assert after == before
        assert ent.consume("acme", "search").price == (1 if plan == "calls" else Decimal("0.5"))


def test_a_charge_below_zero_is_taken_back_too() -> None:
    """Where a unit makes the whole volume cheaper its charge is negative, and so is what its refund takes back."""
    with runtime(MONEY.replace("PLAN", "units")) as ent:
        ent.consume("acme", meter="calls", quantity=3)
        assert ent.consume("acme", meter="calls", quantity=1, key="cheaper").price == Decimal("-0.5")
        ent.refund("acme", "cheaper", key="r")
        assert sum(audit(ent).used["spend.usd"].values()) == 2_000_000


def test_a_number_of_credits_of_a_call_paid_with_money_is_none() -> None:
    """Asking for credits back of a call that cost none refunds nothing and leaves its units counted."""
    with runtime(MONEY.replace("PLAN", "calls")) as ent:
        ent.consume("acme", "search", key="call")
        assert ent.refund("acme", "call", key="r", credits=1) == Refunded(0, 0, 0)
        assert sum(audit(ent).used["spend.usd"].values()) == 1_000_000
        ent.refund("acme", "call", key="r2")
        assert sum(audit(ent).used["spend.usd"].values()) == 0


def test_the_refund_that_leaves_nothing_takes_the_units_back() -> None:
    """Units are counted until the last credit of their call is refunded, in one refund or in several."""
    text = CREDITS.replace("credits: {default: 1}", "credits: {default: 2}, limits: [{of: calls, max: 5, per: month}]")
    with runtime(text) as ent:
        ent.grant("acme", 100, key="lot")
        ent.consume("acme", "search", key="call")
        ent.refund("acme", "call", key="r1", credits=1)
        assert ent.balance("acme").allowances[0].used == 1
        ent.refund("acme", "call", key="r2", credits=1)
        assert ent.balance("acme").allowances[0].used == 0
        ent.refund("acme", "call", key="r3")
        assert ent.balance("acme").allowances[0].used == 0
        audit(ent)


def test_what_a_pack_bought_is_granted_once_however_late_it_is_told_again() -> None:
    """A payment told twice, at different times, is one purchase with the expiry of the first."""
    clock = HandClock("2027-01-01T00:00:00")
    with runtime(CREDITS, clock) as ent:
        ent.grant("acme", pack="small", key="cs_1")
        clock.set("2027-01-02T00:00:00")
        assert ent.grant("acme", pack="small", key="cs_1") == 110_000_000
        clock.set("2027-01-31T00:00:00")
        assert ent.grant("acme", pack="small", key="cs_1") == 0
        with pytest.raises(LookupError):
            ent.grant("acme", pack="large", key="cs_2")
        audit(ent)


def test_refunds_of_calls_bring_back_nothing_of_a_voided_grant() -> None:
    """A payment is disputed after some of it was used: refunding those calls must not revive what was taken away."""
    with runtime(CREDITS) as ent:
        ent.grant("acme", pack="small", key="cs_1")
        ent.consume("acme", "search", quantity=50, key="call")
        ent.consume("acme", "search", quantity=50, key="rest")
        ent.consume("acme", "search", quantity=10, key="bonus")
        assert ent.void("acme", "cs_1", key="dispute") == 0
        assert ent.void("acme", "cs_1", key="dispute") == 0
        assert ent.void("acme", "cs_1", key="dispute again") == 0
        assert ent.refund("acme", "call", key="r1", renew_until=day(20)) == Refunded(0, 0, 50_000_000)
        assert ent.refund("acme", "bonus", key="r2") == Refunded(0, 0, 10_000_000)
        assert audit(ent).credits == 0


def test_only_a_grant_can_be_voided() -> None:
    """Taking away what was never granted is an error; the key stays free, so that it may be tried again later."""
    with runtime(CREDITS) as ent:
        with pytest.raises(LookupError):
            ent.void("acme", "cs_1", key="dispute")
        ent.grant("acme", 5, key="cs_1")
        assert ent.void("acme", "cs_1", key="dispute") == 5_000_000
        assert audit(ent).credits == 0


def test_what_expired_is_renewed_or_lost_and_can_be_refunded_again() -> None:
    """Credits of an expired lot become a lot of their own until an instant, which pays and is refunded like any."""
    clock = HandClock("2027-01-01T00:00:00")
    with runtime(CREDITS, clock) as ent:
        ent.grant("acme", 5, key="lot", expires=day(2))
        ent.consume("acme", "search", quantity=5, key="call")
        clock.set("2027-01-02T00:00:00")
        assert ent.refund("acme", "call", key="r1", credits=1) == Refunded(0, 0, 1_000_000)
        assert ent.refund("acme", "call", key="r2", renew_until=day(5)) == Refunded(0, 4_000_000, 0)
        ent.consume("acme", "search", quantity=4, key="again")
        ent.grant("acme", 1, key="other")
        assert ent.consume("acme", "search")
        assert audit(ent).lots == {}
        assert ent.refund("acme", "again", key="r3") == Refunded(4_000_000, 0, 0)
        assert audit(ent).credits == 4_000_000
        clock.set("2027-01-05T00:00:00")
        assert ent.balance("acme").credits == 0
        assert ent.refund("acme", "again", key="r4") == Refunded(0, 0, 0)
        assert "renew" in kinds(ent)
        audit(ent)
