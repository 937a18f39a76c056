"""Lease mode: decided by the process itself, yet exact; what a killed process noted is settled by the next one."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest

from reconciler.entitlements import Entitlements, Reason
from reconciler.entitlements.acts import Request
from reconciler.entitlements.leases import LOOK, MOST, Leases
from reconciler.entitlements.steps import Steps, carry_out
from reconciler.ledger.base import LedgerError, StoreUnavailableError
from reconciler.ledger.journal import kind_of
from reconciler.ledger.lease import LeaseJournal, Slice, unsettled
from tests.ledger.processes import in_child

from .worlds import policy

TERMS = """
plans:
  pro:
    name: Pro
    credits: {tools: {search: 1, draw: 10}}
  metered:
    name: Metered
    usage: {calls: {included: 1000, overage: deny}}
  rated:
    name: Rated
    limits: [{of: "*", max: 1000, per: hour, kind: rate}]
tenants:
  acme: {name: Acme, plan: pro}
  meter: {name: Meter, plan: metered}
  rate: {name: Rate, plan: rated}
"""


def lease(path: Path) -> Entitlements:
    """Open a runtime in lease mode on a file."""
    return Entitlements.open(policy(TERMS), f"sqlite:///{path}/usage.db", mode="lease", journal=path / "journal")


def direct(path: Path) -> Entitlements:
    """Open the same ledger without leases."""
    return Entitlements.open(policy(TERMS), f"sqlite:///{path}/usage.db", mode="direct")


def test_leases_spend_exactly_what_is_there(tmp_path: Path) -> None:
    """A loop of calls is allowed exactly as often as there are credits, though most never reach the ledger."""
    with lease(tmp_path) as ent:
        ent.grant("acme", 5000, key="g")
        allowed = sum(bool(ent.consume("acme", "search")) for _ in range(5200))
        assert allowed == 5000
        assert ent.consume("acme", "search").reason is Reason.INSUFFICIENT_CREDITS
    with direct(tmp_path) as ent:
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (0, 0)
        assert len(ent.ledger.store.entries("acme", limit=10_000)) < 1000


@pytest.mark.parametrize("tenant", ["meter", "rate"])
def test_leases_keep_quotas_and_rates(tenant: str, tmp_path: Path) -> None:
    """Included units and rates let through what they let through without leases."""
    with lease(tmp_path) as ent:
        assert sum(bool(ent.consume(tenant, "search")) for _ in range(1100)) in {1000, 1001}


def test_a_key_is_charged_once_in_a_lease(tmp_path: Path) -> None:
    """A repeat in the same process gets the first answer, marked; another request under the key is refused."""
    with lease(tmp_path) as ent:
        ent.grant("acme", 1000, key="g")
        for number in range(200):
            ent.consume("acme", "search", key=f"k{number}")
        first = ent.consume("acme", "search", key="twice")
        assert ent.consume("acme", "search", key="twice").replayed
        assert ent.consume("acme", "draw", key="twice").reason is Reason.KEY_CONFLICT
        assert first.allowed
    with direct(tmp_path) as ent:
        assert ent.balance("acme").credits == (1000 - 201) * 10**6
        assert ent.consume("acme", "search", key="twice").replayed
        assert ent.balance("acme").credits == (1000 - 201) * 10**6


def test_a_repeat_in_another_process_is_not_charged_again(tmp_path: Path) -> None:
    """A key that was used through two leases before either was settled is booked once."""
    with lease(tmp_path) as one, lease(tmp_path) as two:
        one.grant("acme", 10_000, key="g")
        for ent in (one, two):
            for _ in range(100):
                ent.consume("acme", "search")
            assert ent.consume("acme", "search", key="same").allowed
    with direct(tmp_path) as ent:
        assert ent.balance("acme").credits == (10_000 - 201) * 10**6


def test_a_refusal_calls_slices_back_first(tmp_path: Path) -> None:
    """What one process holds and does not use is given back before another is refused."""
    with lease(tmp_path) as one, lease(tmp_path) as two:
        one.grant("acme", 400, key="g")
        used = sum(bool(one.consume("acme", "search")) for _ in range(60))
        assert ent_held(one) > 0
        rest = sum(bool(two.consume("acme", "search")) for _ in range(400))
        assert used + rest == 400


def ent_held(ent: Entitlements) -> int:
    """Return the credits a ledger shows as held."""
    return ent.ledger.store.read("acme").held


def test_threads_share_a_lease(tmp_path: Path) -> None:
    """Many threads on one slice use each call of it once."""
    with lease(tmp_path) as ent:
        ent.grant("acme", 3000, key="g")
        counts = [0] * 4

        def work(place: int) -> None:
            while ent.consume("acme", "search"):
                counts[place] += 1

        threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(counts) == 3000


WORKER = """
import sys, time
from pathlib import Path
from tests.entitlements.test_lease import lease
ent = lease(Path(sys.argv[1]))
for number in range(500):
    assert ent.consume("acme", "search", key=f"k{number}")
time.sleep(0.5)
print("used", flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_noted_is_settled(tmp_path: Path) -> None:
    """After kill -9 the next process books what the journal says, once, and what was not used comes back."""
    with direct(tmp_path) as ent:
        ent.grant("acme", 10_000, key="g")
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"used\n"
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    with direct(tmp_path) as ent:
        assert ent.balance("acme").held > 0
    with lease(tmp_path) as ent:
        assert ent.balance("acme").credits == 9500 * 10**6
        assert ent.consume("acme", "search", key="k499").replayed
    with direct(tmp_path) as ent:
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (9500 * 10**6, 0)


def test_a_new_policy_ends_the_old_prices(tmp_path: Path) -> None:
    """Slices lent under the old policy are given back when another is loaded."""
    with lease(tmp_path) as ent:
        ent.grant("acme", 1000, key="g")
        for _ in range(50):
            ent.consume("acme", "search")
        ent.reload(policy(TERMS.replace("search: 1,", "search: 5,")))
        assert ent.consume("acme", "search").cost == 5 * 10**6


def test_a_journal_tells_what_is_not_settled() -> None:
    """Slices that are noted as settled are left out; the last note of a slice counts, its keys add up."""
    notes = [
        {"open": "a", "tenant": "t", "name": "x"},
        {"open": "b", "tenant": "t", "name": "x"},
        {"used": 1, "of": "a", "keys": [["k", "d"]]},
        {"used": 3, "of": "a", "keys": [["l", "d"]]},
        {"used": 2, "of": "b", "keys": []},
        {"settled": "b"},
    ]
    assert unsettled(notes) == [("t", "x", "a", 3, [("k", "d"), ("l", "d")])]


def test_two_threads_with_one_key_are_charged_once(tmp_path: Path) -> None:
    """Threads that try the same keys at the same time use one call for each, and the slice can be settled."""
    with lease(tmp_path) as ent:
        ent.grant("acme", 100_000, key="g")
        for _ in range(50):
            ent.consume("acme", "search")
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:

            def work() -> None:
                for number in range(3000):
                    assert ent.consume("acme", "search", key=f"k{number}")

            threads = [threading.Thread(target=work) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
    with direct(tmp_path) as ent:
        assert (ent.balance("acme").credits, ent.balance("acme").held) == ((100_000 - 3050) * 10**6, 0)


def test_a_key_that_stands_twice_in_a_journal_is_charged_once(tmp_path: Path) -> None:
    """A slice whose notes name a key twice is settled all the same."""
    with lease(tmp_path) as ent:
        ent.grant("acme", 1000, key="g")
        for _ in range(20):
            ent.consume("acme", "search")
        (slice_,) = ent.leases._slices.values()
        digest = Request("search").digest("consume")
        assert slice_.take("same", digest)
        assert slice_.take("same", digest)
    with direct(tmp_path) as ent:
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (979 * 10**6, 0)


def test_a_settlement_that_fails_is_tried_again(tmp_path: Path) -> None:
    """What was used is charged although the ledger was away when it was to be settled, while the process lives."""
    with lease(tmp_path) as ent:
        ent.grant("acme", 1000, key="g")
        for _ in range(60):
            ent.consume("acme", "search")
        real = ent.ledger.store.transact

        def away(_jobs: object) -> None:
            raise StoreUnavailableError("E1103", "the disk is gone")

        with patch.object(ent.ledger.store, "transact", away), pytest.raises(StoreUnavailableError):
            ent.leases.settle()
        assert ent.ledger.store.transact == real
        ent.leases.settle()
        assert ent.ledger.store.read("acme").held == 0
        assert ent.ledger.store.read("acme").credits == 940 * 10**6


def test_two_borrows_at_once_lose_no_slice(tmp_path: Path) -> None:
    """A slice that another borrow has put in the place of one is settled with what was used of it."""
    with lease(tmp_path) as ent:
        ent.grant("acme", 100_000, key="g")
        for _ in range(40):
            ent.consume("acme", "search")
        carry_out(ent.leases._borrow("acme", "search"), ent.ledger)
        for _ in range(10):
            ent.consume("acme", "search")
        carry_out(ent.leases._borrow("acme", "search"), ent.ledger)
        for _ in range(10):
            ent.consume("acme", "search")
    with direct(tmp_path) as ent:
        assert (ent.balance("acme").credits, ent.balance("acme").held) == ((100_000 - 60) * 10**6, 0)


def test_one_failure_does_not_stop_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where a slice cannot be looked after it is said and tried again: once the cause is gone it is settled."""
    with lease(tmp_path) as ent:
        ent.grant("acme", 1000, key="g")
        for _ in range(60):
            ent.consume("acme", "search")
        with patch.object(ent.leases, "_recalled", side_effect=RuntimeError("refused")):
            time.sleep(0.3)
        assert "refused" in caplog.text
        assert all(thread.is_alive() for thread in ent.leases._threads)
        for _ in range(100):
            time.sleep(0.05)
            if not ent.leases._all():
                break
        assert ent.ledger.store.read("acme").credits == 940 * 10**6


def test_nothing_is_lost_when_it_is_closed_while_others_consume(tmp_path: Path) -> None:
    """Every call that was allowed before and while a runtime is closed is charged, and nothing stays held."""
    ent = lease(tmp_path)
    ent.grant("acme", 1_000_000, key="g")
    counts = [0] * 3

    def work(place: int) -> None:
        try:
            while ent.consume("acme", "search"):
                counts[place] += 1
        except LedgerError:
            return

    threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    ent.close()
    for thread in threads:
        thread.join()
    with lease(tmp_path) as ent:
        pass
    with direct(tmp_path) as ent:
        assert ent.balance("acme").held == 0
        assert ent.balance("acme").credits == (1_000_000 - sum(counts)) * 10**6


def test_keys_that_could_not_be_noted_are_noted_the_next_time(tmp_path: Path) -> None:
    """A full disk loses no key of a slice: the next noting has it, and nothing twice."""
    journal = LeaseJournal(tmp_path, "lease")
    slice_ = Slice("acme", "search", "h", 10, None, 0.0, 0)
    journal.opened(slice_)
    assert slice_.take("k", "d")
    with patch("os.write", side_effect=OSError(28, "No space left on device")), pytest.raises(StoreUnavailableError):
        journal.note([slice_])
    for _ in range(3):
        journal.note([slice_])
    assert slice_.take("l", "d")
    journal.note([slice_])
    text = next(tmp_path.glob("lease-*")).read_text()
    assert unsettled(map(json.loads, text.splitlines())) == [("acme", "search", "h", 2, [("k", "d"), ("l", "d")])]
    assert text.count("\n") == 3
    journal.close()


def test_what_is_replaced_is_noted_until_it_is_settled(tmp_path: Path) -> None:
    """Between the slice that takes its place and its settlement a slice is in the journal with all that was used."""
    with lease(tmp_path) as ent:
        ent.grant("acme", 100_000, key="g")
        for _ in range(40):
            ent.consume("acme", "search")
        assert ent.leases is not None
        (before,) = ent.leases._slices.values()
        steps = ent.leases._borrow("acme", "search")
        outcome = ent.ledger.submit(next(steps))
        seen: list[list[str]] = []

        def settle(slice_: Slice) -> Steps[None]:
            seen.append([each.hold for each in ent.leases._all()])  # type: ignore[union-attr]  # it is there
            yield from Leases._settle(ent.leases, slice_)  # type: ignore[arg-type]

        with patch.object(ent.leases, "_settle", settle), suppress(StopIteration):
            steps.send(ent.ledger.submit(steps.send(outcome)))
        assert before.hold in seen[0]


def test_a_journal_that_cannot_be_settled_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is noted wrong is said and left where it is; other journals are settled, and the runtime is there."""
    with direct(tmp_path) as ent:
        ent.grant("acme", 1000, key="g")
        store = ent.ledger.store
        hold = ent.ledger.submit(ent._acts.lend("acme", "search", most=10, hold="~lease:x", lasts=10**9)).value
        kind = kind_of("lease", store.identity)
    assert hold.size == 10
    (tmp_path / "journal").mkdir()
    bad = tmp_path / "journal" / f"{kind}-0.jsonl"
    bad.write_text('{"open": "~lease:y"}\n')
    notes = [{"open": "~lease:x", "tenant": "acme", "name": "search"}, {"used": 4, "of": "~lease:x", "keys": []}]
    good = tmp_path / "journal" / f"{kind}-1.jsonl"
    good.write_text("".join(json.dumps(note) + "\n" for note in notes))
    with lease(tmp_path) as ent:
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (996 * 10**6, 0)
        assert ent.consume("acme", "search")
    assert bad.exists()
    assert not good.exists()
    assert "KeyError" in caplog.text


def test_a_copy_of_the_process_recovers_at_once(tmp_path: Path) -> None:
    """After a fork the child settles what others left behind in its first look, not seconds later."""
    with lease(tmp_path) as ent:
        ent.grant("acme", 1000, key="g")
        lend = ent._acts.lend("acme", "search", most=10, hold="~lease:x", lasts=10**9)
        ent.ledger.submit(lend)
        kind = kind_of("lease", ent.ledger.store.identity)
        time.sleep(3 * LOOK)
        path = tmp_path / "journal" / f"{kind}-0.jsonl"
        path.write_text('{"open":"~lease:x","tenant":"acme","name":"search"}\n{"used":4,"of":"~lease:x","keys":[]}\n')

        def recovered() -> bool:
            until = time.monotonic() + 3
            while path.exists() and time.monotonic() < until:
                time.sleep(0.01)
            return not path.exists()

        with patch("reconciler.entitlements.leases.RECOVER", 3600):
            assert in_child(recovered)()
        assert ent.ledger.store.read("acme").held == 0


def test_tenants_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    """What a process keeps of tenants it called does not grow with their number."""
    with lease(tmp_path) as ent:
        assert ent.leases is not None
        now = time.monotonic()
        ent.leases._heat = dict.fromkeys(((str(number), "search") for number in range(MOST + 1)), 1)
        for number in range(50):
            ent.leases._cool[str(number)] = ent.leases._called[str(number)] = now - 60
        ent.leases._cool["acme"] = now + 60
        ent.leases._forget(now)
        assert (ent.leases._heat, ent.leases._cool, ent.leases._called) == ({}, {"acme": now + 60}, {})
