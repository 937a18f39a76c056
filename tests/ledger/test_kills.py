"""Processes and databases that die at any moment: whatever was answered is there, and nothing is there twice."""

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from reconciler.ledger.ledger import Ledger, Mode, open_ledger
from reconciler.ledger.verify import verify

from .cluster import cluster
from .conftest import SHARED
from .databases import plain
from .deeds import grant, spend
from .processes import Worker
from .worker import charge

shared = pytest.mark.parametrize("kind", SHARED, indirect=True)
ALL = 10**9


def proven(ledger: Ledger, told: Sequence[str], tenant: str = "acme", granted: int = ALL) -> set[str]:
    """Return the keys that were charged; each once, all that were told among them, nothing else spent."""
    entries, after = [], 0
    while page := ledger.store.entries(tenant, after):
        entries += page
        after = page[-1].seq
    charged = [entry.key for entry in entries if entry.kind == "consume"]
    assert len(set(charged)) == len(charged)
    assert set(told) <= set(charged)
    assert ledger.store.read(tenant).credits == granted - len(charged)
    assert verify(ledger.store) == []
    return {key for key in charged if key is not None}


def over(url: str, name: str) -> None:
    """Wait until a server has done, or given up, what a killed process had asked it for last."""
    question = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    with psycopg.connect(plain(url), autocommit=True) as db:
        while db.execute(question, (name,)).fetchall() != [(0,)]:
            time.sleep(0.01)


@shared
def test_a_process_is_killed_while_it_spends(url: str, mode: Mode) -> None:
    """What a killed process was answered is there once; repeated under its key, nothing is charged again."""
    name = f"reconciler-{os.getpid()}-{mode}"
    address = url if url.startswith("sqlite") else f"{url}&application_name={name}"
    with open_ledger(url, mode) as ledger:
        ledger.submit(grant("acme", "g", ALL))
        told: list[str] = []
        for round_ in range(2):
            with Worker(address, mode, f"w{round_}", threads=4) as worker:
                worker.listen(25)
                told += worker.kill()
            if address != url:
                over(url, name)
            charged = proven(ledger, told)
            for key in charged:
                assert ledger.submit(spend("acme", 1, key)).entry is not None
            assert proven(ledger, told) == charged


@pytest.mark.parametrize("kind", ["postgres", pytest.param("partitions", marks=pytest.mark.soak)], indirect=True)
def test_sessions_are_ended_while_they_spend(url: str, mode: Mode) -> None:
    """The server ends sessions at any moment; callers ask again with their keys, and every call is charged once."""
    named = f"{url}&application_name=reconciler-{os.getpid()}-{mode}"
    with open_ledger(named, mode) as ledger, psycopg.connect(plain(url), autocommit=True) as other:
        ledger.submit(grant("acme", "g", ALL))
        done = threading.Event()

        def end() -> int:
            ended = 0
            while not done.is_set():
                ended += other.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s",
                    (f"reconciler-{os.getpid()}-{mode}",),
                ).fetchall()[0][0]
                done.wait(0.01)
            return ended

        with ThreadPoolExecutor(5) as threads:
            ending = threads.submit(end)
            keys = [f"k{number}" for number in range(240)]
            charged = list(threads.map(lambda key: charge(ledger, "acme", key), keys))
            done.set()
            assert ending.result() > 3
        assert all(charged)
        assert proven(ledger, keys) == set(keys)


def test_the_database_is_killed_while_they_spend(mode: Mode) -> None:
    """After crashes of the whole server every answered call is there once, and callers go on when it is back."""
    with cluster() as server, open_ledger(server.url, mode) as ledger:
        ledger.submit(grant("acme", "g", ALL))
        with Worker(server.url, mode, "one", threads=3) as one, Worker(server.url, mode, "two", threads=3) as two:
            for crash in (server.kill_session, server.crash):
                one.listen(20)
                two.listen(20)
                crash()
                if not server.running():
                    server.start()
            one.listen(20)
            two.listen(20)
            told = one.kill() + two.kill()
        assert len(proven(ledger, told)) >= len(told) >= 120
