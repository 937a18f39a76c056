"""A million operations on both stores in the three modes, by processes that are killed: everything is there once."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

import pytest

from reconciler.entitlements import Entitlements
from reconciler.ledger.verify import verify

from .audit import problems
from .databases import database
from .reading import rows
from .told import told
from .worker import Hand, Mode, Run, export, opened, work
from .world import HOUR, Log, Shared

PROCESSES = 8
#: How many operations are done on each kind of ledger in each mode.
OPERATIONS: dict[tuple[str, Mode], int] = {
    ("file", "direct"): 20_000,
    ("file", "group"): 120_000,
    ("file", "lease"): 600_000,
    ("postgres", "direct"): 10_000,
    ("postgres", "group"): 50_000,
    ("postgres", "lease"): 220_000,
}
assert sum(OPERATIONS.values()) >= 1_000_000
#: Processes are copies of one that has loaded everything and has no threads.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.million.worker"])


class Crowd:
    """The processes of a run: killed, stopped and replaced at random moments, as the database is."""

    def __init__(self, run: Run, random: Random, strike: Callable[[Random], None] | None) -> None:
        self.kills = self.strikes = self._started = 0
        self._run, self._random, self._strike = run, random, strike
        self._shared = Shared(run.home / "shared")
        self._read: dict[Path, int] = {}
        self._answers = 0
        self._processes = [self._start() for _ in range(PROCESSES)]

    def _start(self) -> BaseProcess:
        self._started += 1
        process = _FORKS.Process(target=work, args=(self._run, f"p{self._started}"), daemon=True)
        process.start()
        return process

    def until(self, operations: int) -> None:
        """Let them work until so many operations are done; then end them, most in order, some not."""
        while self._done() < operations:
            time.sleep(self._random.uniform(0.1, 0.7))
            # A clock that goes back, and one that goes on for hours.
            self._shared.move(self._random.choice((-2_000_000, 0, HOUR, self._random.randrange(8 * HOUR))))
            self._kill()
            if self._strike is not None and self._random.random() < 0.06:
                self._strike(self._random)
                self.strikes += 1
        for process in self._processes[:2]:
            process.kill()
        self._shared.end()
        for process in self._processes:
            process.join(60)
            assert not process.is_alive(), "a process does not end"

    def _done(self) -> int:
        """Count the answers that were told."""
        for path in self._run.home.glob("*.told"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                self._answers += sum(line[0] != b"-"[0] for line in file)
                self._read[path] = file.tell()
        return self._answers

    def _kill(self) -> None:
        """Kill a process, or stop it for a while, as a machine that is overloaded does."""
        chosen = self._random.randrange(PROCESSES)
        process = self._processes[chosen]
        assert process.is_alive(), f"a process has ended by itself: {process.exitcode}"
        assert process.pid is not None
        if self._random.random() < 0.3:
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(self._random.uniform(0.01, 0.2))
            os.kill(process.pid, signal.SIGCONT)
            return
        process.kill()
        process.join()
        self.kills += 1
        self._processes[chosen] = self._start()


def begin(run: Run) -> None:
    """Give the tenants something to spend."""
    with opened(run._replace(mode="direct"), Shared(run.home / "shared")) as ent:
        ent.grant("rich", 10**9, key="first")
        ent.grant("poor", 100, key="first")


def rest(run: Run) -> list[object]:
    """Let the ledger come to rest: recover, book what is noted, let what is due happen, send what waits; verify it."""
    shared = Shared(run.home / "shared")
    with opened(run, shared):
        pass
    shared.move(500 * HOUR)
    with opened(run._replace(mode="direct"), shared) as ent, Log(run.home / "rest.told") as log:
        ent.degraded.settle()
        _settled(ent)
        hand = Hand(ent, log, shared, "rest", 0)
        ent.seal(2**40)
        while export(hand, patience=0) or _pending(ent):
            shared.move(2 * HOUR)
        (run.home / "rest.ended").touch()
        return list(verify(ent.ledger.store))


def _settled(ent: Entitlements) -> None:
    while ent.sweep():
        pass


def _pending(ent: Entitlements) -> bool:
    return next(ent.ledger.store.exports(state="pending"), None) is not None


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "mode"), OPERATIONS)
def test_a_million_operations_lose_and_repeat_nothing(
    tmp_path: Path, kind: str, mode: Mode, record_property: Callable[[str, object], None]
) -> None:
    """Balances are never negative, every lot adds up, a key charges once, every unit is exported once; as told."""
    random, begun = Random(f"{kind} {mode}"), time.monotonic()
    with database(kind, tmp_path) as (url, strike):
        run = Run(url, mode, tmp_path)
        begin(run)
        crowd = Crowd(run, random, strike)
        crowd.until(OPERATIONS[kind, mode])
        assert rest(run) == []
        found, answered = rows(url), told(tmp_path, lease=mode == "lease")
        wrong = list(problems(found, answered, lease=mode == "lease"))
    assert wrong == []
    assert answered.operations >= OPERATIONS[kind, mode]
    assert crowd.kills
    assert answered.lost * 100 < answered.operations, "too much of what was told was not noted"
    entries = sum(len(each.entries) for each in found.values())
    record_property(
        "counts",
        f"{kind}, {mode}: {answered.operations:,} operations, {entries:,} entries, {crowd.kills} processes and "
        f"{crowd.strikes} databases killed, {answered.lost} calls in doubt, {time.monotonic() - begun:.0f} s",
    )
