"""The whole state of a sandbox, kept and put back: every object, key, event and counter, of every account.

After a restore the same requests get the same bytes as after the snapshot was taken, if the clock stands where it did.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from reconciler.diagnostics import UsageError
from reconciler.sandbox import database
from reconciler.sandbox.database import SCHEMA_VERSION, TABLES, Store, check_ours
from reconciler.sandbox.expand import INTERNAL
from reconciler.sandbox.seal import check_size, sealed, unseal
from reconciler.sandbox.store import EVERYTHING, Window
from reconciler.sandbox.wire import Obj

#: What an export says it is.
FORMAT = "reconciler-sandbox"
_REQUESTS = "request"
#: The one column of bytes; in JSON they are text.
_BLOB = ("idempotency", "body")


class Numbers:
    """The numbers of requests, from 1; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: How many have been given out.
        self.value = 0

    def next(self) -> int:
        """Return the next number."""
        with self._lock:
            self.value += 1
            return self.value


class State:
    """Keeps, puts back, empties and writes out what a store holds."""

    def __init__(self, store: Store, numbers: Numbers) -> None:
        self._store = store
        self._numbers = numbers

    def save(self) -> bytes:
        """Return an image of the state: a SQLite file, as ``--db`` opens it."""
        with self._store.whole() as connection, closing(sqlite3.connect(":memory:")) as copy:
            self._number(connection)
            connection.backup(copy)
            return sealed(copy)

    def load(self, image: bytes) -> None:
        """Put an image in the place of the state; UsageError if it is no whole one of a sandbox: then nothing changes.

        A snapshot that was cut, damaged or half overwritten is none.
        """
        with closing(sqlite3.connect(":memory:")) as copy, self._replacing() as connection:
            if not image:
                raise ValueError("it is empty")
            check_size(image)
            copy.deserialize(image)
            check_ours(copy)
            unseal(copy, image)
            copy.backup(connection, progress=_patience(), sleep=0.02)

    def clear(self) -> None:
        """Forget everything; the sandbox is as new."""
        self._replace({"counter": [("boot", 1)]})

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON has it, to be read, compared and edited."""
        with self._store.whole() as connection:
            self._number(connection)
            rows = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}  # noqa: S608  a constant
        tables = {table: [[_text(value) for value in row] for row in rows[table]] for table in TABLES}
        return {"format": FORMAT, "version": SCHEMA_VERSION, "tables": tables}

    def undump(self, data: Any) -> None:
        """Put what :meth:`dump` returned in the place of the state; UsageError if it is not that."""
        tables = data.get("tables") if isinstance(data, dict) else None
        if not isinstance(tables, dict) or (data.get("format"), data.get("version")) != (FORMAT, SCHEMA_VERSION):
            raise UsageError("E1212", "this is not an export of this version's sandbox")
        if missing := sorted(set(TABLES) - tables.keys()):
            raise UsageError("E1212", f"this export is not whole: {', '.join(missing)} is missing")
        self._replace(tables)

    def counts(self) -> list[tuple[str, str, int]]:
        """Return account, kind and number of what is held, sorted."""
        with self._store.whole() as connection:
            return connection.execute(
                "SELECT account, kind, count(*) FROM object GROUP BY account, kind ORDER BY account, kind"
            ).fetchall()

    def latest(self, account: str, kind: str, limit: int) -> list[Obj]:
        """Return the newest objects of a kind as they are stored, without what is the sandbox's own."""
        with self._store.read(account) as tx:
            rows = tx.page(kind, [EVERYTHING], Window(limit))
        return [_outer(row.body) for row in rows]

    def find(self, account: str, kind: str, object_id: str) -> Obj | None:
        """Return an object as it is stored, without what is the sandbox's own."""
        with self._store.read(account) as tx:
            row = tx.find(kind, object_id)
        return _outer(row.body) if row else None

    def _replace(self, tables: Mapping[str, Sequence[Sequence[Any]]]) -> None:
        with self._replacing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in TABLES:
                columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
                marks = ", ".join("CAST(? AS BLOB)" if (table, name) == _BLOB else "?" for name in columns)
                connection.execute(f"DELETE FROM {table}")  # noqa: S608  a constant
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", tables.get(table, ()))  # noqa: S608  as above
            connection.execute("COMMIT")

    @contextmanager
    def _replacing(self) -> Iterator[sqlite3.Connection]:
        """Hold the store while its state is replaced, then read anew what is remembered outside of it."""
        try:
            with self._store.whole() as connection:
                yield connection
                self._store.boot = _counter(connection, "boot")
                self._numbers.value = _counter(connection, _REQUESTS)
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise UsageError("E1212", f"this is not the state of this version's sandbox: {error}") from None

    def _number(self, connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR REPLACE INTO counter VALUES (?, ?)", (_REQUESTS, self._numbers.value))


def _patience() -> Callable[[int, int, int], None]:
    """Return a watch on a copy, which would wait for ever for a database that another process holds."""
    until = time.monotonic() + database.BUSY_SECONDS

    def watch(status: int, _remaining: int, _total: int) -> None:
        if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} and time.monotonic() > until:
            raise sqlite3.OperationalError("another process holds the database")

    return watch


def _counter(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _outer(body: Obj) -> Obj:
    return {name: value for name, value in body.items() if not name.startswith(INTERNAL)}
