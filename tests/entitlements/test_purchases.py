"""Paid checkouts with their refunds and disputes: granted once, taken back as far as they are there, in any order."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.entitlements import Entitlements
from reconciler.entitlements.grants import Refunded
from reconciler.entitlements.packs import bonus_of
from reconciler.entitlements.purchases import Purchase, Reversed, UnknownPackError, share
from reconciler.ledger.verify import verify

from .audit import audit, kinds
from .test_daily import everything, total
from .worlds import HandClock, at, runtime

FILES = """
plans:
  pro: {name: Pro, credits: {default: 1}}
tenants:
  acme: {name: Acme, plan: pro}
credit_packs:
  small: {name: Small, credits: 100, bonus: 10, price: 9.99, expires_after: 30 days}
  plain: {name: Plain, credits: 7, price: 1.00}
"""
MICRO = 1_000_000
BOUGHT = at("2027-01-01T00:00:00")
PAID = 999


def purchase(returned: int = 0, *, packs: tuple[tuple[str, int], ...] = (("small", 1),), key: str = "cs_1") -> Purchase:
    """Return a purchase as it is at some moment."""
    return Purchase(key, "acme", BOUGHT, packs, PAID, returned)


def fulfil(ent: Entitlements, bought: Purchase) -> Reversed:
    """Bring the books to what a purchase is worth."""
    job = ent.fulfilling(bought)
    outcome = ent.ledger.submit(job)
    found: Reversed = outcome.value
    return found


def state(ent: Entitlements) -> tuple[dict[str, int], dict[str, int], int]:
    """Return what lots have, what is still claimed of them, and the balance."""
    book = audit(ent)
    assert verify(ent.ledger.store) == []
    for name in book.claims:
        assert name not in book.lots or not book.lots[name].remaining, "claimed, although it is there"
    return {lot.id: lot.remaining for lot in book.order if lot.remaining}, dict(book.claims), book.credits


def test_a_purchase_is_granted_once_with_what_was_really_bought() -> None:
    """Three packs are three times the credits and the bonus, expire counted from the payment, and come once."""
    clock = HandClock("2027-01-05T00:00:00")
    with runtime(FILES, clock) as ent:
        assert fulfil(ent, purchase(packs=(("small", 3),))) == Reversed(True, 0)
        lots = {lot.id: (lot.remaining, lot.expires) for lot in audit(ent).order}
        until = at("2027-01-31T00:00:00")
        assert lots == {"cs_1": (300 * MICRO, until), bonus_of("cs_1"): (30 * MICRO, until)}
        entries = kinds(ent)
        assert fulfil(ent, purchase(packs=(("small", 3),))) == Reversed(False, 0)
        assert kinds(ent) == entries


def test_a_checkout_of_several_packs_brings_all_of_them() -> None:
    """Each pack is a lot of its own; the lots are the same in whatever order the lines were read."""
    found = []
    for packs in ((("small", 1), ("plain", 2)), (("plain", 2), ("small", 1))):
        with runtime(FILES) as ent:
            fulfil(ent, purchase(packs=packs))
            found.append(state(ent)[0])
    assert found[0] == found[1]
    assert sorted(found[0].values()) == [10 * MICRO, 14 * MICRO, 100 * MICRO]


def test_a_grant_by_hand_under_the_checkouts_key_is_that_grant() -> None:
    """Who granted a pack under the id of its checkout before is not given it twice, and its refund takes that lot."""
    with runtime(FILES) as ent:
        ent.grant("acme", pack="small", key="cs_1")
        assert fulfil(ent, purchase(PAID)) == Reversed(False, 110 * MICRO)
        assert state(ent)[2] == 0


def test_a_pack_nobody_knows_is_an_error_and_changes_nothing() -> None:
    """A pack that the files have no longer is refused by name; what was granted of it before can still be refunded."""
    with runtime(FILES) as ent:
        with pytest.raises(UnknownPackError, match="credit pack gone was paid for"):
            fulfil(ent, purchase(packs=(("small", 1), ("gone", 1))))
        assert kinds(ent) == []
        fulfil(ent, purchase())
        ent.reload(runtime(FILES.replace("small:", "other:")).policy)
        assert fulfil(ent, purchase(PAID)).taken == 110 * MICRO


def test_a_refund_takes_its_share_of_credits_and_bonus() -> None:
    """A third of the money is a third of both lots, to the millionth below; all of it is exactly all."""
    with runtime(FILES) as ent:
        fulfil(ent, purchase())
        fulfil(ent, purchase(333))
        assert state(ent)[0] == {"cs_1": 66_666_667, bonus_of("cs_1"): 6_666_667}
        fulfil(ent, purchase(334))
        fulfil(ent, purchase(PAID))
        assert state(ent) == ({}, {}, 0)
        fulfil(ent, purchase(0))
        assert state(ent)[2] == 110 * MICRO
        assert not audit(ent).facts["reversed"]


def test_a_refund_before_its_grant_ends_like_one_after_it() -> None:
    """A checkout that was refunded before anybody heard of it is granted and taken back in one step."""
    with runtime(FILES) as ent:
        assert fulfil(ent, purchase(PAID)) == Reversed(True, 110 * MICRO)
        assert state(ent) == ({}, {}, 0)


def test_what_was_spent_is_taken_once_it_comes_back() -> None:
    """A full refund takes what is left; of a call refunded or a hold released later nothing comes back to spend."""
    with runtime(FILES.replace("bonus: 10, ", "")) as ent:
        fulfil(ent, purchase())
        ent.consume("acme", "search", quantity=60, key="call")
        held = ent.reserve("acme", "search", quantity=30, key="job")
        assert fulfil(ent, purchase(PAID)).taken == 10 * MICRO
        assert state(ent) == ({}, {"cs_1": 90 * MICRO}, 0)
        held.release()
        assert state(ent) == ({}, {"cs_1": 60 * MICRO}, 0)
        assert ent.refund("acme", "call", key="back", credits=25) == Refunded(0, 0, 25 * MICRO)
        assert state(ent) == ({}, {"cs_1": 35 * MICRO}, 0)
        assert not ent.check("acme", "search")


def test_a_dispute_that_is_won_gives_back_what_it_took() -> None:
    """Credits come back to their lot with its expiry: only those that were taken, and none once it has run out."""
    clock = HandClock()
    with runtime(FILES.replace("bonus: 10, ", ""), clock) as ent:
        fulfil(ent, purchase())
        ent.consume("acme", "search", quantity=60)
        fulfil(ent, purchase(PAID))
        fulfil(ent, purchase(0))
        (lot,) = audit(ent).order
        assert (lot.remaining, lot.expires, lot.granted) == (40 * MICRO, at("2027-01-31T00:00:00"), 100 * MICRO)
        fulfil(ent, purchase(PAID))
        clock.set("2027-02-01T00:00:00")
        assert fulfil(ent, purchase(0)).taken == 0
        assert state(ent) == ({}, {}, 0)


def test_a_grant_that_was_taken_away_by_hand_stays_so() -> None:
    """What a dispute gives back of a lot that an operator has voided meanwhile is voided too."""
    with runtime(FILES) as ent:
        fulfil(ent, purchase())
        fulfil(ent, purchase(500))
        ent.void("acme", "cs_1", key="fraud")
        fulfil(ent, purchase(0))
        assert state(ent)[2] == 0


def test_credits_from_elsewhere_are_never_taken() -> None:
    """A refund takes of its own lot alone, however little that has; other lots and tenants keep theirs."""
    with runtime(FILES) as ent:
        ent.grant("acme", 50, key="gift", expires=datetime(2028, 1, 1, tzinfo=UTC))
        ent.grant("birch", 5, key="cs_1")
        fulfil(ent, purchase())
        ent.consume("acme", "search", quantity=110)
        fulfil(ent, purchase(PAID))
        assert state(ent)[0] == {"gift": 50 * MICRO}
        assert ent.balance("birch").credits == 5 * MICRO


@given(st.integers(1, 10**15), st.integers(1, 10**9), st.lists(st.integers(0, 10**9), max_size=5))
def test_shares_are_whole_only_when_all_went_back(granted: int, paid: int, refunds: list[int]) -> None:
    """A share grows with the money, is never more than the lot, and is all of it where all the money went back."""
    sums = list(itertools.accumulate(refunds))
    shares = [share(granted, paid, returned) for returned in sums]
    assert shares == sorted(shares)
    for returned, taken in zip(sums, shares, strict=True):
        assert 0 <= taken <= granted
        assert taken == granted or returned < paid


deeds = st.lists(
    st.one_of(
        st.tuples(st.just("returned"), st.integers(0, PAID)),
        st.tuples(st.just("consume"), st.integers(1, 40)),
        st.tuples(st.just("back"), st.integers(1, 40)),
        st.tuples(st.just("hold"), st.integers(1, 40)),
        st.tuples(st.just("release"), st.just(0)),
    ),
    max_size=12,
)


def play(ent: Entitlements, done: list[tuple[str, int]]) -> int:
    """Do deeds and return what was consumed for good, in millionths."""
    calls: dict[str, int] = {}
    holds: list[Any] = []
    for number, (what, size) in enumerate(done):
        if what == "returned":
            fulfil(ent, purchase(size))
        elif what == "consume" and ent.consume("acme", "search", quantity=size, key=f"c{number}"):
            calls[f"c{number}"] = size * MICRO
        elif what == "back" and any(calls.values()):
            name = next(name for name, left in calls.items() if left)
            back = min(size * MICRO, calls[name])
            ent.refund("acme", name, key=f"r{number}", credits=back // MICRO)
            calls[name] -= back
        elif what == "hold":
            hold = ent.reserve("acme", "search", quantity=size, key=f"h{number}")
            holds += [hold] if hold.decision else []
        elif what == "release" and holds:
            holds.pop().release()
        state(ent)
    for hold in holds:
        hold.release()
    return sum(calls.values())


@given(deeds, st.integers(0, PAID))
def test_the_end_depends_on_what_was_used_and_returned_alone(done: list[tuple[str, int]], returned: int) -> None:
    """Whatever came in between: left is what was granted, less what was used, less the share; what lacks is claimed."""
    with runtime(FILES.replace("bonus: 10, ", "")) as ent:
        fulfil(ent, purchase())
        used = play(ent, done)
        fulfil(ent, purchase(returned))
        left = 100 * MICRO - used - share(100 * MICRO, PAID, returned)
        lots, claims, balance = state(ent)
        assert balance == sum(lots.values()) == max(0, left)
        assert sum(claims.values()) == max(0, -left)


def test_sums_by_day_close_with_what_was_taken_and_given_back() -> None:
    """What a refund takes is taken away on its day, and what a dispute that is won gives back is so no more."""
    clock = HandClock()
    with runtime(FILES.replace("bonus: 10, ", ""), clock) as ent:
        fulfil(ent, purchase())
        ent.consume("acme", "search", quantity=30)
        for day, returned, voided in ((2, 333, 33_333_333), (3, PAID, 70 * MICRO), (4, 0, 0)):
            clock.set(f"2027-01-{day:02}T00:00:00")
            fulfil(ent, purchase(returned))
            sums = total(everything(ent))
            assert (sums.voided, sums.granted) == (voided, 100 * MICRO)
            assert sums.granted - sums.credits - sums.voided == audit(ent).credits
