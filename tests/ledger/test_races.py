"""Races at every statement, in orders drawn from a seed: where threads would prove nothing."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from reconciler.ledger.base import LedgerError
from reconciler.ledger.jobs import Job, Outcome
from reconciler.ledger.ledger import open_ledger
from reconciler.ledger.verify import Problem, verify

from .conftest import SHARED
from .databases import database, plain, schema, server
from .deeds import grant, spend
from .schedule import Schedule, lost_to_others, statements

CLIENTS = 3
START_WITH = 20
UNLOCK = "FOR UPDATE"


def jobs_of(random: Random, client: int) -> list[list[Job]]:
    """Draw two batches: spending under shared and own keys, tenants that are new, in any order."""
    new = [grant(name, f"g{client}", 5) for name in ("aardvark", "zebra")]
    shared = [spend("acme", 3, "k1"), spend("birch", 2, "k2")]
    own = [spend("acme", 1), spend("birch", 1)]
    return [random.sample([*new, *shared, *own], random.randint(1, 4)) for _ in range(2)]


@contextmanager
def race(url: str, seed: int, change: Callable[[str], str] = str) -> Iterator[tuple[list[Any], list[Problem], Any]]:
    """Let clients with stores of their own race, and lend what they were answered, what does not add up, the store."""
    with ExitStack() as opened:
        blocked: Callable[[], set[int]] = set
        if url.startswith("postgresql"):
            blocked = lost_to_others(opened.enter_context(psycopg.connect(server(), autocommit=True)))
        schedule = Schedule(seed, blocked)
        with statements(schedule, change):
            address = f"{url}&timeout=60" if url.startswith("postgresql") else url
            ledgers = [opened.enter_context(open_ledger(address, "direct")) for _ in range(CLIENTS)]
            random = Random(seed)
            batches = [jobs_of(random, client) for client in range(CLIENTS)]

            def work(client: int) -> list[Outcome]:
                return [outcome for jobs in batches[client] for outcome in ledgers[client].store.transact(jobs)]

            answers = schedule.run([lambda client=client: work(client) for client in range(CLIENTS)])
        assert schedule.steps > 10
        yield answers, verify(ledgers[0].store), ledgers[0].store


def started(url: str) -> None:
    """Give two tenants something to spend."""
    with open_ledger(url, "direct") as ledger:
        ledger.store.transact([grant(name, "g", START_WITH) for name in ("acme", "birch")])


def fair(url: str, seed: int) -> None:
    """Race once, and check that everybody was answered and every unit was charged once."""
    started(url)
    with race(url, seed) as (answers, problems, store):
        assert problems == []
        assert all(isinstance(answer, list) for answer in answers), answers
        outcomes = [outcome for answer in answers for outcome in answer]
        # A lot that one client grants twice is refused by the act itself.
        assert all(isinstance(outcome.error, ValueError | None) for outcome in outcomes)
        done = [entry for name in ("acme", "birch") for entry in store.entries(name) if entry.kind == "consume"]
        fresh = [outcome for outcome in outcomes if outcome.entry is None and outcome.error is None]
        granted = [entry for name in ("aardvark", "zebra") for entry in store.entries(name)]
        assert len(done) + len(granted) == len(fresh)
        left = sum(store.read(name).credits for name in ("acme", "birch"))
        assert left == 2 * START_WITH - sum(entry.transfers[0].amount for entry in done)


@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("seed", range(5))
def test_no_order_of_statements_loses_or_repeats_anything(tmp_path: Path, kind: str, seed: int) -> None:
    """However the statements of three writers interleave, every call is answered and charged once."""
    with database(kind, tmp_path) as url:
        fair(url, seed)


@pytest.mark.soak
@pytest.mark.parametrize("kind", SHARED)
def test_no_order_of_many_statements_loses_or_repeats_anything(tmp_path: Path, kind: str) -> None:
    """The same for many more orders."""
    for seed in range(100, 140):
        (tmp_path / str(seed)).mkdir()
        with database(kind, tmp_path / str(seed)) as url:
            fair(url, seed)


def unlocked(query: str) -> str:
    """Write a statement without the lock it takes."""
    return query.replace(UNLOCK, "").replace("BEGIN IMMEDIATE", "BEGIN")


def test_without_the_lock_the_number_of_an_entry_stops_whoever_is_late() -> None:
    """The second line of defence: with no row locked, nothing is lost or repeated either, only tried again."""
    for seed in range(6):
        with schema() as url:
            started(url)
            with race(url, seed, unlocked) as (_, problems, _store):
                assert problems == []


def test_without_lock_and_numbers_the_race_corrupts() -> None:
    """The races are races: with neither the lock nor the numbers, some order loses what was paid for."""
    for seed in range(20):
        with schema() as url:
            started(url)
            with psycopg.connect(plain(url), autocommit=True) as db:
                db.execute("ALTER TABLE entry DROP CONSTRAINT entry_pkey")
                db.execute("DROP INDEX entry_key")
            with race(url, seed, unlocked) as (_, problems, _store):
                if problems:
                    return
    pytest.fail("no order of statements corrupts anything: the test does not race")


def test_without_the_lock_a_file_refuses_whoever_is_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With neither the lock beside a file nor SQLite's own, some order is refused by SQLite, and none corrupts."""
    monkeypatch.setattr("reconciler.ledger.sqlite.SqliteStore._locked", lambda *_: ExitStack())
    refused = 0
    for seed in range(20):
        (tmp_path / str(seed)).mkdir()
        with database("file", tmp_path / str(seed)) as url:
            started(url)
            with race(url, seed, unlocked) as (answers, problems, _store):
                assert problems == []
                refused += sum(isinstance(answer, LedgerError) for answer in answers)
    assert refused
