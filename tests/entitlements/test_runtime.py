"""The runtime end to end on a ledger in memory: what is decided, what is booked, what happens to a key."""

from decimal import Decimal

import pytest

from reconciler.entitlements import KeyConflictError, Policy, Reason

from .worlds import HandClock, runtime

CREDITS = """
plans:
  pro:
    name: Pro
    credits: {tools: {search: 2, draw: 10}}
credit_packs:
  small: {name: Small, credits: 100, bonus: 10, price: 9.99, expires_after: 30 days}
tenants:
  acme: {name: Acme, plan: pro}
"""


def test_a_call_is_booked_once_for_a_key() -> None:
    """The same call under a key gets the first answer again; another call under it is refused and changes nothing."""
    with runtime(CREDITS) as ent:
        ent.grant("acme", 100, key="g")
        first = ent.consume("acme", "draw", key="k")
        again = ent.consume("acme", "draw", key="k")
        other = ent.consume("acme", "search", key="k")
        assert first.allowed
        assert again == first._replace(replayed=True)
        assert (other.allowed, other.reason) == (False, Reason.KEY_CONFLICT)
        assert ent.balance("acme").credits == 90_000_000


def test_a_decision_is_true_where_the_call_is_allowed() -> None:
    """An answer used as a condition lets nothing through that is refused, although it is a tuple with content."""
    with runtime(CREDITS) as ent:
        assert not ent.consume("acme", "draw")
        ent.grant("acme", 10, key="g")
        assert ent.consume("acme", "draw")


def test_a_reservation_keeps_what_was_used_and_gives_back_the_rest() -> None:
    """Committing ends the hold at what was used; an exception in the block gives back everything."""
    with runtime(CREDITS) as ent:
        ent.grant("acme", 100, key="g")
        with ent.reserve("acme", "search", quantity=10, key="job") as held:
            assert held
            assert (ent.balance("acme").credits, ent.balance("acme").held) == (80_000_000, 20_000_000)
            assert held.commit(3).price == Decimal(6)
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (94_000_000, 0)
        with pytest.raises(RuntimeError, match="tool"), ent.reserve("acme", "draw", key="job-2"):
            raise RuntimeError("tool failed")
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (94_000_000, 0)


def test_a_pack_brings_its_bonus_and_expires() -> None:
    """A pack is granted once for a key, credits and bonus alike, and is unusable from the instant of its expiry on."""
    clock = HandClock("2027-01-01T00:00:00")
    with runtime(CREDITS, clock) as ent:
        assert ent.grant("acme", pack="small", key="cs_1") == 110_000_000
        assert ent.grant("acme", pack="small", key="cs_1") == 110_000_000
        with pytest.raises(KeyConflictError):
            ent.grant("acme", 5, key="cs_1")
        clock.set("2027-01-30T23:59:59")
        assert ent.balance("acme").credits == 110_000_000
        clock.set("2027-01-31T00:00:00")
        assert ent.balance("acme").credits == 0
        assert ent.consume("acme", "search").reason is Reason.INSUFFICIENT_CREDITS


def test_a_policy_survives_its_file() -> None:
    """A compiled policy read back has the same digest and decides the same."""
    with runtime(CREDITS) as ent:
        read = Policy.load(ent.policy.dump())
        assert read.digest == ent.policy.digest
        assert read.content() == ent.policy.content()


def test_tools_are_checked_together_as_if_each_were_the_only_one() -> None:
    """Many checks give what single ones give, and none of them takes from the others."""
    with runtime(CREDITS) as ent:
        ent.grant("acme", 10, key="g")
        answers = ent.check_many("acme", ["search", "draw", "other"])
        assert answers == {name: ent.check("acme", name) for name in ("search", "draw", "other")}
        assert [bool(answer) for answer in answers.values()] == [True, True, False]
