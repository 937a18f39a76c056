"""Books in one SQLite file: WAL, durable at every commit, one writer at a time over all processes."""

import os
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from reconciler.ledger.annex import AnnexStore, Row, Statement, Written, carried_out, raised
from reconciler.ledger.base import (
    Balance,
    Clock,
    Export,
    LedgerError,
    RefusedError,
    StoreUnavailableError,
    apart,
    system_clock,
)
from reconciler.ledger.book import Book
from reconciler.ledger.entry import Entry
from reconciler.ledger.forking import watch
from reconciler.ledger.jobs import Job, Outcome, RepeatedError, Trust, doubtful, keys_of, run
from reconciler.ledger.sqlite_schema import BY_KEY, CLAIM, COLUMNS, CONFIRM, EXPORTS, MIGRATIONS, RECALL, SETTLE
from reconciler.ledger.turns import Turns

#: How long a call waits for its turn, and a statement for another process, in seconds, before the store counts as
#: unavailable.
PATIENCE = 5.0
#: Books the writer keeps in memory between transactions.
CACHED = 10_000
#: Pages of the write-ahead log from which on it is put into the file.
LOG_PAGES = 4000

#: The path of a ledger that is gone when it is closed; threads of one process share it.
MEMORY = ":memory:"

# Whether the connections are open; resting over a fork; another process's; or closed for good.
_OPEN, _RESTING, _LEFT, _CLOSED = range(4)
_OPEN_LATER = "Open the ledger after the fork."


class SqliteStore(AnnexStore):
    """A ledger in a file, for any number of threads and processes of one machine.

    A lock beside the file lets writers of several processes take turns; SQLite's own waiting starves some of them.
    A copy of the process opens the file anew; a ledger in memory stays with the process that made it.
    """

    def __init__(self, path: str, clock: Clock = system_clock) -> None:
        self._path = path
        self.identity = f"{MEMORY}{uuid.uuid4().hex}" if path == MEMORY else os.path.realpath(path)
        self._clock = clock
        self._state = _CLOSED
        self._turn = threading.RLock()
        self._reading = threading.RLock()
        self._open()
        watch(self)

    def _open(self) -> None:
        self._books: dict[str, Book] = {}
        self._version = -1
        self._trust = Trust()
        self._turns: Turns | None = None
        try:
            self._db, self._reader = self._connections()
            try:
                self._prepare()
            except BaseException:
                self._shut()
                raise
        except (OSError, sqlite3.Error) as error:
            if self._turns is not None:
                self._turns.close()
            raise StoreUnavailableError("E1101", f"the ledger {self._path} cannot be opened: {error}") from error
        self._state = _OPEN

    def _connections(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        """Return the connection that writes and the one that reads; in memory they are one."""
        if self._path == MEMORY:
            db = self._connect()
            return db, db
        self._turns = Turns(self._path)
        return self._connect(), self._connect()

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        with self._locked():
            self._migrate()
        if self._reader is not self._db:
            self._reader.execute("PRAGMA query_only = ON")

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._path, PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=64
        )

    def _migrate(self) -> None:
        (done,) = self._db.execute("PRAGMA user_version").fetchone()
        self._check_version(done)
        for number, script in enumerate(MIGRATIONS[done:], done + 1):
            self._db.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")

    def _check_version(self, found: int) -> None:
        if found > len(MIGRATIONS):
            raise LedgerError(
                "E1102", f"the ledger {self._path} was written by a newer version", remedy="Use that version."
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the only writer of all threads and processes; StoreUnavailableError where it is never our turn."""
        until = monotonic() + PATIENCE
        if not self._turn.acquire(timeout=PATIENCE):
            raise self._busy()
        try:
            self._ready()
            with self._locked(until - monotonic()):
                yield
        finally:
            self._turn.release()

    @contextmanager
    def _locked(self, seconds: float = PATIENCE) -> Iterator[None]:
        turns = self._turns
        if turns is None:
            yield
            return
        try:
            taken = turns.take(seconds)
        except OSError as error:
            raise StoreUnavailableError("E1103", f"the ledger {self._path} cannot be locked: {error}") from error
        if not taken:
            raise self._busy()
        try:
            yield
        finally:
            turns.end()

    def _busy(self) -> StoreUnavailableError:
        what = f"another process or thread has been writing to the ledger {self._path} for {PATIENCE:g} seconds"
        return StoreUnavailableError("E1103", what)

    def _ready(self) -> None:
        """Open the file again after a fork."""
        if self._state == _OPEN:
            return
        if self._state == _RESTING:
            self._open()
        elif self._state == _LEFT:
            raise StoreUnavailableError(
                "E1101", f"the ledger {self._path} belongs to the process this one is a copy of", remedy=_OPEN_LATER
            )
        else:
            raise LedgerError("E1104", "the ledger is closed")

    def before_fork(self) -> None:
        """Close the file, between two transactions."""
        self._turn.acquire()
        self._reading.acquire()
        if self._state == _OPEN and self._path != MEMORY:
            self._shut()
            self._state = _RESTING

    def after_fork(self, *, child: bool) -> None:
        """Let both processes open the file, each for itself, when they need it."""
        if not child:
            self._reading.release()
            self._turn.release()
            return
        self._turn, self._reading = threading.RLock(), threading.RLock()
        if self._state == _OPEN:
            self._state = _LEFT

    def transact(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run jobs in one durable transaction and return what came of each."""
        with self._alone():
            return apart(self._transact, jobs)

    def _transact(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run jobs, at first trusting that their keys are new."""
        if self._trust.given():
            try:
                return self._kept(jobs, trusting=True).outcomes
            except (RepeatedError, RefusedError):
                self._trust.broken()
        return self._kept(jobs, trusting=False).outcomes

    def alongside(self, statements: Sequence[Statement], jobs: Sequence[Job] = ()) -> Written:
        """Carry out statements and jobs in one durable transaction."""
        with self._alone():
            return self._kept(jobs, trusting=False, beside=statements)

    def _kept(self, jobs: Sequence[Job], *, trusting: bool, beside: Sequence[Statement] = ()) -> Written:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            books = self._load(jobs)
            found: dict[str, dict[str, Entry]] = {tenant: {} for tenant in books}
            for tenant, key in keys_of(jobs, trusting=trusting):
                entry = self._entered(tenant, key)
                if entry is not None:
                    found[tenant][key] = entry
            outcomes = run(jobs, books, found, self._clock(), self._again)
            if trusting:
                self._check_new(doubtful(jobs, found))
            if beside:
                raised(outcomes)
            rows = carried_out(beside, self._db.execute)
            self._save(books)
            self._db.execute("COMMIT")
        except BaseException as error:
            self._undo()
            if isinstance(error, sqlite3.IntegrityError | OverflowError):
                raise RefusedError("E1132", f"the ledger {self._path} refuses an entry: {error}") from error
            if isinstance(error, sqlite3.Error):
                raise StoreUnavailableError("E1103", f"the ledger {self._path} failed: {error}") from error
            raise
        for book in books.values():
            book.saved()
        return Written(rows, outcomes)

    def _check_new(self, names: Iterable[tuple[str, str]]) -> None:
        if any(self._entered(tenant, key) is not None for tenant, key in names):
            raise RepeatedError

    def _undo(self) -> None:
        """Forget every book: those of the batch have changed, and the file has not."""
        self._books.clear()
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _load(self, jobs: Sequence[Job]) -> dict[str, Book]:
        """Return the books of the jobs; those in memory are good unless another connection has written since."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version != self._version or len(self._books) > CACHED:
            self._books.clear()
            self._version = version
        books = {}
        for tenant in {job.tenant for job in jobs}:
            books[tenant] = self._books.get(tenant) or self._again(tenant)
        return books

    def _again(self, tenant: str) -> Book:
        self._books[tenant] = book = _book(self._db, tenant)
        return book

    def _entered(self, tenant: str, key: str) -> Entry | None:
        row = self._db.execute(BY_KEY, (tenant, key)).fetchone()
        return Entry(*row) if row else None

    def _save(self, books: Mapping[str, Book]) -> None:
        changed = [book for book in books.values() if book.fresh]
        self._db.executemany(
            "INSERT INTO tenant VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq,"
            " head = excluded.head, book = excluded.book, credits = excluded.credits, held = excluded.held,"
            " due = excluded.due, unsent = excluded.unsent",
            [(b.tenant, b.seq, b.head, b.dump(), b.credits, b.held, b.due, b.unsent) for b in changed],
        )
        # SQLite's driver takes apart a plain tuple in half the time of a named one.
        entries = [(*entry,) for book in changed for entry in book.fresh]
        self._db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", entries)
        self._db.executemany(
            "INSERT INTO export VALUES (?, ?, ?, ?, ?, 'pending', 0, 0, NULL, 0, 0)",
            [(book.tenant, *export) for book in changed for export in book.exports],
        )

    def read(self, tenant: str) -> Book:
        """Return a tenant's book as it was committed last."""
        with self._asking() as db:
            return _book(db, tenant)

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        turn = self._turn if self._path == MEMORY else self._reading
        while True:
            with turn:
                if self._state == _OPEN:
                    try:
                        yield self._reader
                    except sqlite3.Error as error:
                        raise StoreUnavailableError("E1103", f"the ledger {self._path} failed: {error}") from error
                    return
            with self._turn:
                self._ready()

    def _ask(self, question: str, *values: Any) -> list[Any]:
        with self._asking() as db:
            return db.execute(question, values).fetchall()

    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a question about the tables beside the books."""
        return self._ask(sql, *values)

    def now(self) -> int:
        """Return the machine's time, which all processes of a file share."""
        return self._clock()

    def entry(self, tenant: str, key: str) -> Entry | None:
        """Return the entry written under a key."""
        rows = self._ask(BY_KEY, tenant, key)
        return Entry(*rows[0]) if rows else None

    def entries(self, tenant: str, after: int = 0, limit: int = 1000) -> list[Entry]:
        """Return a tenant's entries above a number, oldest first."""
        question = "SELECT * FROM entry WHERE tenant = ? AND seq > ? ORDER BY seq LIMIT ?"
        return [Entry(*row) for row in self._ask(question, tenant, after, limit)]

    def names(self, after: str = "", limit: int = 1000) -> list[str]:
        """Return names of tenants that have entries, behind a name, by name."""
        question = "SELECT DISTINCT tenant FROM entry WHERE tenant > ? ORDER BY tenant LIMIT ?"
        return [row[0] for row in self._ask(question, after, limit)]

    def balance(self, tenant: str) -> Balance | None:
        """Return the columns of a tenant."""
        rows = self._ask(f"{COLUMNS} WHERE tenant = ?", tenant)
        return Balance(*rows[0]) if rows else None

    def balances(self, after: str = "", limit: int = 1000) -> list[Balance]:
        """Return the columns of tenants behind a name, by name."""
        return [Balance(*row) for row in self._ask(f"{COLUMNS} WHERE tenant > ? ORDER BY tenant LIMIT ?", after, limit)]

    def due(self, now: int, limit: int = 1000) -> list[str]:
        """Return tenants for whom something expires or begins by an instant."""
        return [
            row[0] for row in self._ask("SELECT tenant FROM tenant WHERE due <= ? ORDER BY due LIMIT ?", now, limit)
        ]

    def unsent(self, before: int, limit: int = 1000) -> list[str]:
        """Return tenants with units, in windows that began before an instant, not yet handed to the export."""
        question = "SELECT tenant FROM tenant WHERE unsent < ? ORDER BY unsent LIMIT ?"
        return [row[0] for row in self._ask(question, before, limit)]

    def claim(self, now: int, until: int, limit: int = 1000) -> list[Export]:
        """Take pending exports that are due; no other worker gets them or their like before ``until``."""
        with self._alone():
            rows = self._run(CLAIM, (now, until, limit))
        return sorted((Export(*row) for row in rows), key=lambda export: (export.window, export.seq, export))

    def settle(self, exports: Iterable[Export]) -> None:
        """Write the state, due, error and doubt of claimed exports; what was sent stays so."""
        self._change(SETTLE, [(e.state, e.due, e.error, e.doubt, *e[:4], e.attempts) for e in exports])

    def confirm(self, exports: Iterable[Export]) -> None:
        """Write what was learnt of streamed exports."""
        self._change(CONFIRM, [(e.state, e.due, e.error, e.doubt, *e[:4], e.attempts, e.refused) for e in exports])

    def recall(self, exports: Iterable[Export]) -> None:
        """Take back that exports were sent, and write their state and error."""
        self._change(RECALL, [(e.state, e.error, *e[:4], e.attempts, e.refused) for e in exports])

    def _change(self, change: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._alone():
            self._run("BEGIN IMMEDIATE")
            for row in rows:
                self._run(change, row)
            self._run("COMMIT")

    def revive(self, tenant: str | None = None) -> int:
        """Make dead exports pending and due again; return how many."""
        change = "UPDATE export SET state = 'pending', due = 0 WHERE state = 'dead' AND (?1 IS NULL OR tenant = ?1)"
        with self._alone():
            return len(self._run(f"{change} RETURNING 1", (tenant,)))

    def _run(self, question: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self._db.execute(question, values).fetchall()
        except sqlite3.Error as error:
            self._undo()
            raise StoreUnavailableError("E1103", f"the ledger {self._path} failed: {error}") from error

    def exports(self, tenant: str | None = None, state: str | None = None, since: int = 0) -> Iterator[Export]:
        """Yield exports by tenant, meter, window, number, of windows from an instant in seconds on."""
        return iter([Export(*row) for row in self._ask(EXPORTS, tenant, state, since)])

    def close(self) -> None:
        """Close the connections of this process."""
        with self._turn, self._reading:
            if self._state == _OPEN:
                self._shut()
            self._state = _CLOSED

    def _shut(self) -> None:
        self._db.close()
        self._reader.close()
        if self._turns is not None:
            self._turns.close()


def _book(db: sqlite3.Connection, tenant: str) -> Book:
    row = db.execute("SELECT seq, head, book FROM tenant WHERE tenant = ?", (tenant,)).fetchone()
    return Book.load(tenant, *row) if row else Book(tenant)
