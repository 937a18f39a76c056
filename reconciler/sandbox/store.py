"""Objects, their filter terms, unique claims and idempotency rows in one SQLite database.

One writer at a time (``BEGIN IMMEDIATE``); in a file (WAL) readers run beside it on their own connections and see the
last commit. Every list is a walk over ``term``, whose key ends in ``created`` and the insertion number: newest first
with a tie-breaker, and as expensive as the page, not as the table.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, LifoQueue

from reconciler.diagnostics import ReconcilerError
from reconciler.sandbox.seal import check_size, unopened, unseal
from reconciler.sandbox.wire import Obj

MEMORY = ":memory:"
SCHEMA_VERSION = 3
#: Marks the file as ours (``PRAGMA application_id``), so that another program's database is never written to.
APPLICATION_ID = 0x52434E53
_STAMPS = {"application_id": APPLICATION_ID, "user_version": SCHEMA_VERSION}
#: A writer of another process is awaited this long; then the request is answered like Stripe's object lock.
BUSY_SECONDS = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    seq INTEGER PRIMARY KEY, account TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
    created INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (account, kind, id)
);
CREATE TABLE IF NOT EXISTS term (
    account TEXT NOT NULL, kind TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL,
    created INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (account, kind, field, value, created, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS due (
    account TEXT NOT NULL, clock TEXT NOT NULL, at INTEGER NOT NULL, rank INTEGER NOT NULL, seq INTEGER NOT NULL,
    kind TEXT NOT NULL, PRIMARY KEY (account, clock, at, rank, seq)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS queue ON due (clock, at) WHERE clock >= '~';
CREATE TABLE IF NOT EXISTS claim (
    account TEXT NOT NULL, scope TEXT NOT NULL, key TEXT NOT NULL, holder TEXT NOT NULL,
    PRIMARY KEY (account, scope, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idempotency (
    account TEXT NOT NULL, key TEXT NOT NULL, path TEXT NOT NULL, digest TEXT NOT NULL, status INTEGER NOT NULL,
    body BLOB NOT NULL, request_id TEXT NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (account, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idempotency_age ON idempotency (expires);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""

_CARRIES = """ AND EXISTS (SELECT 1 FROM term x WHERE x.account = t.account AND x.kind = t.kind
    AND x.field = ? AND x.value = ? AND x.created = t.created AND x.seq = t.seq)"""

#: Row values, not two comparisons: only so the primary key leads straight to a position inside one second.
_FROM_NEWEST = """SELECT o.seq, o.created, o.body FROM term t CROSS JOIN object o ON o.seq = t.seq
    WHERE t.account = ? AND t.kind = ? AND t.field = ? AND t.value = ?
    AND (t.created, t.seq) > (?, ?) AND (t.created, t.seq) < (?, ?){others}
    ORDER BY t.created DESC, t.seq DESC LIMIT ?"""
_WALK = {False: _FROM_NEWEST, True: _FROM_NEWEST.replace(" DESC", " ASC")}

#: Every table, in the order in which an export has them.
TABLES = ("counter", "object", "term", "due", "claim", "idempotency")

#: The term every object carries, so that a list without filters is a walk like any other.
EVERYTHING = ("*", "")
#: Positions before and after everything.
START, END = (-(1 << 62), 0), (1 << 62, 0)
Term = tuple[str, str]
Claim = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A stored object with its position in every list."""

    seq: int
    created: int
    body: Obj


@dataclass(frozen=True, slots=True)
class Due:
    """When an object's time comes: on which clock (``""`` is the sandbox's own), and who goes first at one instant."""

    clock: str
    at: int
    rank: int


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list to read: ``limit`` rows strictly between two positions ``(created, seq)``, from one end."""

    limit: int
    above: tuple[int, int] = START
    below: tuple[int, int] = END
    from_oldest: bool = False


class Tx:
    """One transaction's view of one account; ``base_url`` is where the pages of its objects are served."""

    def __init__(self, connection: sqlite3.Connection, account: str, base_url: str) -> None:
        self._db = connection
        self.account = account
        self.base_url = base_url

    def next(self, counter: str) -> int:
        """Return the next number of a counter, starting at 1."""
        row = self._db.execute(
            "INSERT INTO counter VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
            (counter,),
        ).fetchone()
        return int(row[0])

    def find(self, kind: str, object_id: str) -> Row | None:
        """Return the object, or ``None``."""
        row = self._db.execute(
            "SELECT seq, created, body FROM object WHERE account = ? AND kind = ? AND id = ?",
            (self.account, kind, object_id),
        ).fetchone()
        return Row(row[0], row[1], json.loads(row[2])) if row else None

    def insert(self, kind: str, obj: Obj, created: int, terms: Iterable[Term]) -> Row:
        """Store a new object under its ``id``, newest in every list it has a term for."""
        seq = self.next("object")
        self._db.execute(
            "INSERT INTO object VALUES (?, ?, ?, ?, ?, ?)",
            (seq, self.account, kind, obj["id"], created, json.dumps(obj)),
        )
        self._add_terms(kind, {EVERYTHING, *terms}, created, seq)
        return Row(seq, created, obj)

    def update(self, kind: str, row: Row, obj: Obj, *, old_terms: Iterable[Term], new_terms: Iterable[Term]) -> None:
        """Replace an object's body and move it between the lists of its changed terms."""
        self._db.execute("UPDATE object SET body = ? WHERE seq = ?", (json.dumps(obj), row.seq))
        before, after = set(old_terms), set(new_terms)
        self._drop_terms(kind, before - after, row)
        self._add_terms(kind, after - before, row.created, row.seq)

    def delete(self, kind: str, row: Row, terms: Iterable[Term]) -> None:
        """Remove an object and its terms."""
        self._db.execute("DELETE FROM object WHERE seq = ?", (row.seq,))
        self._drop_terms(kind, {EVERYTHING, *terms}, row)

    def _add_terms(self, kind: str, terms: Iterable[Term], created: int, seq: int) -> None:
        self._db.executemany(
            "INSERT INTO term VALUES (?, ?, ?, ?, ?, ?)",
            [(self.account, kind, name, value, created, seq) for name, value in terms],
        )

    def _drop_terms(self, kind: str, terms: Iterable[Term], row: Row) -> None:
        self._db.executemany(
            "DELETE FROM term WHERE account = ? AND kind = ? AND field = ? AND value = ? AND created = ? AND seq = ?",
            [(self.account, kind, name, value, row.created, row.seq) for name, value in terms],
        )

    def claim(self, claim: Claim, holder: str) -> str:
        """Take a unique key for an object and return who holds it now: the object itself, or who came first."""
        row = self._db.execute(
            "INSERT INTO claim VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET holder = holder RETURNING holder",
            (self.account, *claim, holder),
        ).fetchone()
        return str(row[0])

    def release(self, claim: Claim, holder: str) -> None:
        """Give a unique key up if the object holds it."""
        self._db.execute(
            "DELETE FROM claim WHERE account = ? AND scope = ? AND key = ? AND holder = ?",
            (self.account, *claim, holder),
        )

    def holder(self, claim: Claim) -> str | None:
        """Return the id of the object that holds a unique key."""
        row = self._db.execute(
            "SELECT holder FROM claim WHERE account = ? AND scope = ? AND key = ?", (self.account, *claim)
        ).fetchone()
        return str(row[0]) if row else None

    def publish(self, page: str) -> None:
        """Let whoever knows the name of a page reach the account it belongs to."""
        self._db.execute("INSERT OR IGNORE INTO claim VALUES ('', 'page', ?, ?)", (page, self.account))

    def publisher(self, page: str) -> str | None:
        """Return the account that a published page belongs to, whichever account this transaction is of."""
        row = self._db.execute(
            "SELECT holder FROM claim WHERE account = '' AND scope = 'page' AND key = ?", (page,)
        ).fetchone()
        return str(row[0]) if row else None

    def page(self, kind: str, terms: Sequence[Term], window: Window) -> list[Row]:
        """Return the objects that carry every term, newest first; the first term is the one walked."""
        first, *others = terms
        rows = self._db.execute(
            _WALK[window.from_oldest].format(others=_CARRIES * len(others)),
            (
                *(self.account, kind, *first, *window.above, *window.below),
                *(part for term in others for part in term),
                window.limit,
            ),
        ).fetchall()
        found = [Row(seq, created, json.loads(body)) for seq, created, body in rows]
        return found[::-1] if window.from_oldest else found

    def wait(self, kind: str, seq: int, due: Due) -> None:
        """Let an object wait for its time."""
        self._db.execute(
            "INSERT INTO due VALUES (?, ?, ?, ?, ?, ?)", (self.account, due.clock, due.at, due.rank, seq, kind)
        )

    def stop_waiting(self, seq: int, due: Due) -> None:
        """Let an object wait no longer."""
        self._db.execute(
            "DELETE FROM due WHERE account = ? AND clock = ? AND at = ? AND rank = ? AND seq = ?",
            (self.account, due.clock, due.at, due.rank, seq),
        )

    def next_due(self, clock: str, up_to: int) -> tuple[str, int, Row] | None:
        """Return kind, time and object of what is due first on a clock, if that is not after ``up_to``."""
        row = self._db.execute(
            "SELECT d.kind, d.at, o.seq, o.created, o.body FROM due d CROSS JOIN object o ON o.seq = d.seq"
            " WHERE d.account = ? AND d.clock = ? AND d.at <= ? ORDER BY d.at, d.rank, d.seq LIMIT 1",
            (self.account, clock, up_to),
        ).fetchone()
        return (row[0], row[1], Row(row[2], row[3], json.loads(row[4]))) if row else None

    def waiting(self, clock: str, up_to: int, limit: int) -> list[Row]:
        """Return the objects that are due first on a clock, not after ``up_to``, ``limit`` at most."""
        rows = self._db.execute(
            "SELECT o.seq, o.created, o.body FROM due d CROSS JOIN object o ON o.seq = d.seq"
            " WHERE d.account = ? AND d.clock = ? AND d.at <= ? ORDER BY d.at, d.rank, d.seq LIMIT ?",
            (self.account, clock, up_to, limit),
        ).fetchall()
        return [Row(seq, created, json.loads(body)) for seq, created, body in rows]

    def queues(self, up_to: int) -> list[tuple[str, str]]:
        """Return account and clock of every account's queues in which something is due."""
        return self._db.execute(
            "SELECT DISTINCT account, clock FROM due WHERE clock >= '~' AND at <= ? ORDER BY account, clock", (up_to,)
        ).fetchall()

    def replay(self, key: str) -> tuple[str, str, int, bytes, str] | None:
        """Return path, digest, status, body and request id of the first request with an idempotency key."""
        row: tuple[str, str, int, bytes, str] | None = self._db.execute(
            "SELECT path, digest, status, body, request_id FROM idempotency WHERE account = ? AND key = ?",
            (self.account, key),
        ).fetchone()
        return row

    def remember(
        self, key: str, path: str, digest: str, status: int, body: bytes, request_id: str, expires: int
    ) -> None:
        """Store the outcome of a request under its idempotency key, for as long as ``expires`` is not past."""
        self._db.execute(
            "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self.account, key, path, digest, status, body, request_id, expires),
        )

    def forget(self, now: int) -> None:
        """Prune the outcomes whose time is past."""
        self._db.execute("DELETE FROM idempotency WHERE expires < ?", (now,))

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Undo everything written inside if the block raises, and keep the transaction open."""
        self._db.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO attempt")
            raise
        finally:
            self._db.execute("RELEASE attempt")


class Store:
    """The database: one writing connection, and in a file a pool of reading ones."""

    def __init__(self, path: str, base_url: str) -> None:
        self._path = path
        self.base_url = base_url
        self._write_lock = threading.Lock()
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue()
        try:
            self._writer = self._connect()
            try:
                self._prepare()
                with self.write("") as tx:
                    #: How often the database has been opened: makes request ids of different runs different.
                    self.boot = tx.next("boot")
            except sqlite3.Error:
                self._writer.close()
                raise
        except sqlite3.Error as error:
            raise ReconcilerError(
                "E1203",
                f"the sandbox cannot use {path} as its database: {error}",
                remedy="name a sandbox database or a new file, in a directory that can be written",
            ) from error

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)

    def _prepare(self) -> None:
        """Create what is missing in an empty or own database; refuse any other or half a one before writing to it."""
        if image := unopened(self._path):
            check_size(image)
        if self._writer.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            check_ours(self._writer)
            if image:
                unseal(self._writer, image)
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = NORMAL")
        stamps = "".join(f"PRAGMA {name} = {value};" for name, value in _STAMPS.items())
        self._writer.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {stamps} COMMIT;")

    @contextmanager
    def write(self, account: str) -> Iterator[Tx]:
        """Open the one writing transaction; it commits at the end of the block and rolls back if the block raises."""
        with self.whole() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield Tx(connection, account, self.base_url)
            connection.execute("COMMIT")

    @contextmanager
    def whole(self) -> Iterator[sqlite3.Connection]:
        """Hold the writing connection, every account's; a transaction that is open at the end is rolled back."""
        with self._write_lock:
            try:
                yield self._writer
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    def queues(self, up_to: int) -> list[tuple[str, str]]:
        """Return account and clock of the queues, clocks named ``~…``, in which something is due."""
        with self.read("") as tx:
            return tx.queues(up_to)

    @contextmanager
    def read(self, account: str) -> Iterator[Tx]:
        """Open a reading transaction on the last committed state."""
        if self._path == MEMORY:
            with self._write_lock:
                yield Tx(self._writer, account, self.base_url)
            return
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self._connect()
        try:
            connection.execute("BEGIN")
            yield Tx(connection, account, self.base_url)
        finally:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            self._idle.put(connection)

    def close(self) -> None:
        """Close every connection; a file is left checkpointed."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()
        self._writer.close()


def check_ours(connection: sqlite3.Connection) -> None:
    """Refuse a database that is not a sandbox's of this version."""
    stamps = tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _STAMPS)
    if stamps != tuple(_STAMPS.values()):
        raise sqlite3.DatabaseError("it belongs to another program or another version of the sandbox")
