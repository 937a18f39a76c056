"""Eight processes of threads on one ledger, killed at random: no unit is lost, none is spent twice."""

import time
from pathlib import Path
from random import Random

import pytest

from reconciler.ledger.ledger import Mode, open_ledger

from .databases import database
from .deeds import grant
from .processes import Worker
from .test_kills import ALL, proven

#: How long each kind of ledger is worked on, in seconds.
LASTS = 20
POOR = 400
#: Two processes of each name spend under the same keys at once.
NAMES = (("one", "acme"), ("two", "acme"), ("three", "birch"), ("poor", "poor"))


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["direct", "group"])
@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_killed_processes_lose_and_repeat_nothing(tmp_path: Path, kind: str, mode: Mode) -> None:
    """Whatever was answered is there once, granted = spent + remaining, and whoever is poor ends at nothing."""
    random, told = Random(f"{kind} {mode}"), {tenant: set[str]() for _, tenant in NAMES}
    with database(kind, tmp_path) as url, open_ledger(url, "direct") as ledger:
        for tenant in told:
            ledger.submit(grant(tenant, "g", POOR if tenant == "poor" else ALL))
        workers = [(name, tenant, Worker(url, mode, name, tenant, 4)) for name, tenant in NAMES for _ in range(2)]
        until = time.monotonic() + LASTS
        while time.monotonic() < until:
            time.sleep(random.random())
            assert all(balance.credits >= 0 for balance in ledger.store.balances())
            name, tenant, killed = workers.pop(random.randrange(len(workers)))
            answered = killed.kill()
            told[tenant].update(answered)
            first = max((int(key.rpartition("/")[2]) for key in answered), default=5) - 5
            workers.append((name, tenant, Worker(url, mode, name, tenant, 4, max(first, 0))))
        for _, tenant, worker in workers:
            told[tenant].update(worker.kill())
        with Worker(url, mode, "last", "poor", 4) as last:
            told["poor"].update(last.wait())
        for tenant, keys in told.items():
            proven(ledger, sorted(keys), tenant, POOR if tenant == "poor" else ALL)
        assert ledger.store.read("poor").credits == 0
        print(f"{kind}, {mode}: {sum(ledger.store.read(tenant).seq for tenant in told)} entries, {len(told)} tenants")
