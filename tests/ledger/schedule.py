"""Clients of a database that run one statement at a time, in an order drawn from a seed."""

import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from random import Random
from typing import Any

import psycopg
import pytest

from reconciler.ledger import sqlite, turns
from reconciler.ledger.postgres_link import Connection

_READY, _RUNNING, _ENDED = range(3)


class Schedule:
    """Whoever is about to run a statement waits here for its turn.

    A client that waits in the database for another is passed over until it goes on; ``blocked`` tells which do, by
    the number of their session.
    """

    def __init__(self, seed: int, blocked: Callable[[], set[int]] = set) -> None:
        self.steps = 0
        self._random = Random(seed)
        self._blocked = blocked
        self._states: dict[threading.Thread, int] = {}
        self._sessions: dict[threading.Thread, int] = {}
        self._turn: threading.Thread | None = None
        self._changed = threading.Condition()

    def step(self, session: int = 0) -> None:
        """Wait for the turn of the calling thread, if it is one of the clients."""
        me = threading.current_thread()
        if me not in self._states:
            return
        with self._changed:
            self._sessions[me] = session
            self._states[me] = _READY
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._turn is me, 60)
            self._turn = None
            self._states[me] = _RUNNING
            self._changed.notify_all()

    def run(self, works: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run every work in a client of its own, and return their results, an exception being one."""
        results: list[Any] = [None] * len(works)

        def client(place: int) -> None:
            self.step()
            try:
                results[place] = works[place]()
            except Exception as error:  # noqa: BLE001  the test looks at it
                results[place] = error
            with self._changed:
                self._states[threading.current_thread()] = _ENDED
                self._changed.notify_all()

        clients = [threading.Thread(target=client, args=(place,)) for place in range(len(works))]
        self._states = dict.fromkeys(clients, _RUNNING)
        for each in clients:
            each.start()
        while self._next():
            self.steps += 1
        for each in clients:
            each.join(60)
        return results

    def _next(self) -> bool:
        """Let the next client run its statement; false when all have ended."""
        with self._changed:
            while not self._settled():
                self._changed.wait(0.001)
            ready = [each for each, state in self._states.items() if state == _READY]
            if not ready:
                return False
            self._turn = self._random.choice(ready)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._turn is None, 60)
            return True

    def _settled(self) -> bool:
        """Tell whether nobody runs but clients who wait for others who are ready to go on."""
        running = [each for each, state in self._states.items() if state == _RUNNING]
        if not running:
            return True
        if all(state != _READY for state in self._states.values()):
            return False
        waiting = self._blocked()
        return all(self._sessions.get(each) in waiting for each in running)


def lost_to_others(db: psycopg.Connection) -> Callable[[], set[int]]:
    """Return what asks PostgreSQL which sessions wait for others."""
    question = "SELECT pid FROM pg_locks WHERE NOT granted"
    return lambda: {row[0] for row in db.execute(question).fetchall()}


@contextmanager
def statements(schedule: Schedule, change: Callable[[str], str] = str) -> Iterator[None]:
    """Make every statement of every store a step of a schedule, each as ``change`` writes it anew."""
    with pytest.MonkeyPatch.context() as patch:
        execute = Connection.execute

        def gated(self: Connection, query: Any, *values: Any, **options: Any) -> Any:
            schedule.step(self.info.backend_pid)
            return execute(self, change(query) if isinstance(query, str) else query, *values, **options)

        exchange = Connection.exchange

        def one_by_one(self: Connection, *asked: tuple[str, Sequence[str]]) -> list[list[Any]]:
            found = []
            for statement, values in asked:
                schedule.step(self.info.backend_pid)
                found += exchange(self, (change(statement), values))
            return found

        patch.setattr(Connection, "execute", gated)
        patch.setattr(Connection, "exchange", one_by_one)
        patch.setattr(Connection, "pipeline", lambda _: nullcontext())

        class Gated(sqlite3.Connection):
            def execute(self, query: str, *values: Any) -> sqlite3.Cursor:
                schedule.step()
                return super().execute(change(query), *values)

            def executemany(self, query: str, *values: Any) -> sqlite3.Cursor:
                schedule.step()
                return super().executemany(change(query), *values)

        def connect(store: sqlite.SqliteStore) -> sqlite3.Connection:
            return sqlite3.connect(store._path, 5, isolation_level=None, check_same_thread=False, factory=Gated)

        patch.setattr(sqlite.SqliteStore, "_connect", connect)
        flock = fcntl.flock

        def locked(lock: int, how: int) -> None:
            while True:
                try:
                    return flock(lock, how | fcntl.LOCK_NB)
                except BlockingIOError:
                    schedule.step()
                    time.sleep(0)

        patch.setattr(turns.fcntl, "flock", locked)
        yield
