"""The SQLite database of a sandbox: its tables, its connections and its transactions.

One writer at a time (``BEGIN IMMEDIATE``); in a file (WAL) readers run beside it on their own connections and see the
last commit.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from queue import Empty, LifoQueue

from reconciler.diagnostics import ReconcilerError
from reconciler.sandbox.seal import check_size, unopened, unseal
from reconciler.sandbox.store import Tx, View

MEMORY = ":memory:"
SCHEMA_VERSION = 4
#: Marks the file as ours (``PRAGMA application_id``), so that another program's database is never written to.
APPLICATION_ID = 0x52434E53
_STAMPS = {"application_id": APPLICATION_ID, "user_version": SCHEMA_VERSION}
#: A writer of another process is awaited this long; then the request is answered like Stripe's object lock.
BUSY_SECONDS = 10.0
#: The log is put into the file, which waits for the disk, once it has so many pages of 4 KiB.
LOG_PAGES = 4000

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

#: Every table, in the order in which an export has them.
TABLES = ("counter", "object", "term", "due", "claim", "idempotency")


class Store:
    """The database: one writing connection, and in a file a pool of reading ones."""

    def __init__(self, path: str, base_url: str, views: Mapping[str, View]) -> None:
        self._path = path
        self.base_url = base_url
        self._views = views
        #: Whether no other process can have anything to do with it.
        self.is_own = path == MEMORY
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
        self._writer.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        self._writer.execute("PRAGMA temp_store = MEMORY")
        stamps = "".join(f"PRAGMA {name} = {value};" for name, value in _STAMPS.items())
        self._writer.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {stamps} COMMIT;")

    @contextmanager
    def write(self, account: str) -> Iterator[Tx]:
        """Open the one writing transaction; it commits at the end of the block and rolls back if the block raises."""
        with self.whole() as connection:
            connection.execute("BEGIN IMMEDIATE")
            tx = self._tx(connection, account)
            yield tx
            tx.flush()
            connection.execute("COMMIT")

    def _tx(self, connection: sqlite3.Connection, account: str) -> Tx:
        return Tx(connection, account, self.base_url, self._views)

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
        if self.is_own:
            with self._write_lock:
                yield self._tx(self._writer, account)
            return
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self._connect()
        try:
            connection.execute("BEGIN")
            yield self._tx(connection, account)
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
