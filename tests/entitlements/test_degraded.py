"""While the ledger is away: deny by default, otherwise by the tool's rule, noted, settled later, once."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from reconciler.entitlements import Entitlements, Reason
from reconciler.entitlements.aio import AsyncEntitlements
from reconciler.entitlements.measure import MeasureError
from reconciler.ledger.base import StoreUnavailableError
from reconciler.ledger.jobs import Job, Outcome
from reconciler.ledger.sqlite import SqliteStore
from tests.ledger.processes import in_child

from .audit import audit
from .worlds import policy

TERMS = """
tools:
  open: {on_error: allow}
  some: {on_error: {allow_up_to: 2}}
plans:
  pro: {name: Pro, tools: [open, some, shut], credits: {default: 10}}
tenants:
  acme: {name: Acme, plan: pro}
"""


@pytest.fixture
def ent(tmp_path: Path) -> Iterator[Entitlements]:
    """Give a runtime whose tenant has 100 credits."""
    with Entitlements.open(policy(TERMS), f"sqlite:///{tmp_path}/u.db", mode="direct", journal=tmp_path / "j") as ent:
        ent.grant("acme", 100, key="g")
        yield ent


@contextmanager
def away(*, after: bool = False) -> Iterator[None]:
    """Let every transaction fail, before anything is kept or after everything is."""
    real = SqliteStore.transact

    def transact(self: SqliteStore, jobs: Sequence[Job]) -> list[Outcome]:
        if after:
            real(self, jobs)
        raise StoreUnavailableError("E1103", "the disk is gone")

    def read(_self: SqliteStore, _tenant: str) -> None:
        raise StoreUnavailableError("E1103", "the disk is gone")

    with patch.object(SqliteStore, "transact", transact), patch.object(SqliteStore, "read", read):
        yield


def test_a_call_is_refused_while_the_ledger_is_away(ent: Entitlements) -> None:
    """Without a rule of its own a tool is closed; nothing of the refused call is booked later."""
    with away():
        assert ent.consume("acme", "shut").reason is Reason.STORE_UNAVAILABLE
        assert ent.check("acme", "shut").reason is Reason.STORE_UNAVAILABLE
        assert not ent.reserve("acme", "shut")
    assert ent.degraded.settle() == 0
    assert ent.balance("acme").credits == 100 * 10**6


def test_a_call_let_through_is_booked_later(ent: Entitlements) -> None:
    """What on_error allows is marked as degraded and charged when the ledger is back, once."""
    with away():
        answer = ent.consume("acme", "open", key="k")
        assert (answer.allowed, answer.degraded) == (True, True)
        with pytest.raises(StoreUnavailableError):
            ent.degraded.settle()
    assert ent.degraded.settle() == 1
    assert ent.degraded.settle() == 0
    assert ent.balance("acme").credits == 90 * 10**6
    assert ent.consume("acme", "open", key="k").replayed


def test_so_many_calls_are_let_through(ent: Entitlements) -> None:
    """allow_up_to counts the calls of one outage; the next one counts anew."""
    with away():
        assert [bool(ent.consume("acme", "some")) for _ in range(3)] == [True, True, False]
    ent.degraded.settle()
    with away():
        assert ent.consume("acme", "some")
    ent.degraded.settle()
    assert ent.balance("acme").credits == 70 * 10**6


def test_access_is_refused_all_the_same(ent: Entitlements) -> None:
    """A tool that is not in the plan and a tenant nobody knows get nothing from an outage."""
    with away():
        assert ent.consume("acme", "other").reason is Reason.TOOL_NOT_IN_PLAN
        assert ent.consume("nobody", "open").reason is Reason.UNKNOWN_TENANT


def test_a_commit_that_was_kept_is_not_charged_again(ent: Entitlements) -> None:
    """A call whose transaction was kept but never answered is noted, and settling finds it booked under its key."""
    with away(after=True):
        assert ent.consume("acme", "open", key="k").degraded
    assert ent.balance("acme").credits == 90 * 10**6
    ent.degraded.settle()
    assert ent.balance("acme").credits == 90 * 10**6


def test_more_than_is_there_is_charged_as_far_as_it_goes(ent: Entitlements) -> None:
    """Calls let through beyond the balance leave it at zero, never below, and the ledger says what was short."""
    with away():
        for _ in range(12):
            assert ent.consume("acme", "open")
    ent.degraded.settle()
    assert ent.balance("acme").credits == 0
    owed = [entry for entry in ent.ledger.store.entries("acme") if entry.kind == "owed"]
    assert [entry.answer[3] for entry in owed] == [10 * 10**6, 10 * 10**6]


def test_a_reservation_outlives_the_ledger(ent: Entitlements) -> None:
    """What was reserved before an outage and committed during it is booked afterwards at what was used."""
    held = ent.reserve("acme", "shut", quantity=5, key="job")
    with away():
        final = held.commit(2)
        assert (final.allowed, final.degraded) == (True, True)
    ent.degraded.settle()
    assert (ent.balance("acme").credits, ent.balance("acme").held) == (80 * 10**6, 0)


def test_another_process_settles_what_was_left(tmp_path: Path) -> None:
    """Calls noted by a process that ended before the ledger was back are booked by the next one."""
    url, journal = f"sqlite:///{tmp_path}/u.db", tmp_path / "j"
    with Entitlements.open(policy(TERMS), url, mode="direct", journal=journal) as ent:
        ent.grant("acme", 100, key="g")
        with away():
            assert ent.consume("acme", "open")
    with Entitlements.open(policy(TERMS), url, mode="direct", journal=journal) as ent:
        assert ent.degraded.settle() == 1
        assert ent.balance("acme").credits == 90 * 10**6
    assert list(journal.iterdir()) == []


def test_a_call_without_a_key_is_not_booked_twice(ent: Entitlements) -> None:
    """A call that was kept but never answered, and let through, is booked once though its caller gave no key."""
    with away(after=True):
        assert ent.consume("acme", "open").degraded
    assert ent.degraded.settle() == 1
    assert ent.balance("acme").credits == 90 * 10**6


def test_a_reservation_that_was_kept_unanswered_is_ended(ent: Entitlements) -> None:
    """The hold is found under the key and charged at what was used; committing again gives the same answer."""
    with away(after=True):
        held = ent.reserve("acme", "open", quantity=5, key="job")
        assert held.decision.degraded
    for replayed in (False, True):
        final = held.commit(2)
        assert (final.reason, final.cost, final.degraded, final.replayed) == (Reason.OK, 20 * 10**6, True, replayed)
    assert held.commit(3).reason is Reason.KEY_CONFLICT
    assert (ent.balance("acme").credits, ent.balance("acme").held) == (80 * 10**6, 0)
    assert audit(ent).credits == 80 * 10**6


def test_a_reservation_that_was_kept_unanswered_is_ended_later(ent: Entitlements) -> None:
    """Also where its end is noted: nothing stays held, and it is charged once."""
    with away(after=True):
        held = ent.reserve("acme", "open", quantity=5, key="job")
    with away():
        assert held.commit(2).degraded
    assert ent.degraded.settle() == 1
    assert (ent.balance("acme").credits, ent.balance("acme").held) == (80 * 10**6, 0)


def test_a_reservation_the_ledger_never_heard_of_is_booked(ent: Entitlements) -> None:
    """Committed when the ledger is back it is charged at what was used, once, and says what it cost."""
    with away():
        held = ent.reserve("acme", "open", quantity=5)
    for replayed in (False, True):
        final = held.commit(2)
        assert (final.reason, final.cost, final.degraded, final.replayed) == (Reason.OK, 20 * 10**6, True, replayed)
    assert held.commit(3).reason is Reason.KEY_CONFLICT
    assert ent.balance("acme").credits == 80 * 10**6


def test_two_calls_under_one_key_are_both_booked(ent: Entitlements) -> None:
    """What was let through under a key of another call was made: it is charged under a key of its own, once."""
    ent.consume("acme", "shut", key="k")
    with away():
        assert ent.consume("acme", "open", key="k")
        assert ent.consume("acme", "open", key="k")
        held = ent.reserve("acme", "open", key="k")
    assert ent.degraded.settle() == 2
    assert ent.balance("acme").credits == 80 * 10**6
    assert [held.commit(3).reason, held.commit(4).reason] == [Reason.OK, Reason.KEY_CONFLICT]
    assert ent.balance("acme").credits == 50 * 10**6
    assert audit(ent).credits == 50 * 10**6


def test_what_cannot_be_booked_keeps_nothing_else_back(ent: Entitlements, tmp_path: Path) -> None:
    """It is kept beside with the reason; the calls before and after it are booked, and it is not tried again."""
    done = ent.reserve("acme", "open", key="done")
    with away():
        assert ent.consume("acme", "open")
        assert done.commit(1).degraded
        assert ent.consume("acme", "open")
    ent.release("acme", "done")
    (tmp_path / "j" / f"{ent.degraded._kind}-gone.jsonl").write_text('{"tenant":"acme"}\n', encoding="utf-8")
    assert ent.degraded.settle() == 2
    assert ent.degraded.settle() == 0
    assert ent.balance("acme").credits == 80 * 10**6
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "j").glob("degraded-rejected-*.jsonl")]
    assert sorted(note["why"].split(":")[0] for note in kept) == ["KeyError", "_UnbookableError"]
    assert not list((tmp_path / "j").glob("*-gone*"))


def test_a_number_that_cannot_be_booked_is_not_noted(ent: Entitlements) -> None:
    """Units the call does not count are refused at once, as they are while the ledger is there."""
    held = ent.reserve("acme", "open", key="job")
    with away():
        with pytest.raises(MeasureError):
            held.commit(units={"stray": 1})
        assert held.commit(1).degraded
    assert ent.degraded.settle() == 1


def test_asking_for_settlement_brings_no_more_calls(ent: Entitlements) -> None:
    """The count of allow_up_to ends with the outage, not with an attempt to settle; reservations count as well."""
    with away():
        assert all(ent.reserve("acme", "some") for _ in range(2))
        with pytest.raises(StoreUnavailableError):
            ent.degraded.settle()
        assert not ent.reserve("acme", "some")
    assert ent.degraded.settle() == 0
    with away():
        assert ent.reserve("acme", "some")


def test_another_ledgers_calls_are_left_alone(tmp_path: Path) -> None:
    """Processes of two ledgers share a directory; neither books what the other has let through."""
    journal, urls = tmp_path / "j", [f"sqlite:///{tmp_path}/{name}.db" for name in "ab"]
    with Entitlements.open(policy(TERMS), urls[0], mode="direct", journal=journal) as ent, away():
        assert ent.consume("acme", "open")
    for url, settled in ((urls[1], 0), (urls[0], 1)):
        with Entitlements.open(policy(TERMS), url, mode="direct", journal=journal) as ent:
            assert ent.degraded.settle() == settled


def test_a_copy_of_the_process_settles_nothing_of_the_parent(ent: Entitlements) -> None:
    """A child has calls of its own only, and its end leaves the parent's notes where they are."""
    with away():
        assert ent.consume("acme", "open")

    def work() -> bool:
        settled = ent.degraded.settle()
        with away():
            ent.consume("acme", "open")
        own = ent.degraded.settle()
        ent.degraded.close()
        return (settled, own) == (0, 1)

    assert in_child(work)()
    assert ent.degraded.settle() == 1
    assert ent.balance("acme").credits == 80 * 10**6


def test_a_task_is_charged_once_for_an_answer_that_was_lost(ent: Entitlements) -> None:
    """A call without a key, made in asyncio, kept by the ledger and never answered, is not booked again later."""
    with away(after=True):
        assert asyncio.run(AsyncEntitlements(ent).consume("acme", "open")).degraded
    ent.degraded.settle()
    assert ent.balance("acme").credits == 90 * 10**6
