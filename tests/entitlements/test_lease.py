"""Lease mode: decided by the process itself, yet exact; what a killed process noted is settled by the next one."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reconciler.entitlements import Entitlements, Reason
from reconciler.ledger.lease import unsettled

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
