"""Books in PostgreSQL: any number of processes on any number of machines, one transaction of two round trips a batch.

The rows of a batch's tenants are locked in the order of their names, so no two batches wait for each other. Keys are
looked up after that, in a statement of its own: what another batch committed while this one waited is seen.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from reconciler.ledger.annex import AnnexStore, Row, Statement, Written, carried_out, raised
from reconciler.ledger.base import Balance, Clock, Export, LedgerError, apart
from reconciler.ledger.book import Book
from reconciler.ledger.entry import Entry
from reconciler.ledger.jobs import Job, Outcome, RepeatedError, Trust, doubtful, keys_of, run
from reconciler.ledger.postgres_arrays import blobs, numbers, texts
from reconciler.ledger.postgres_link import MOST, PATIENCE, Connection, Connections, LostError
from reconciler.ledger.postgres_schema import MIGRATION, MOST_PARTITIONS, check, migrate
from reconciler.ledger.postgres_sql import (
    BALANCE,
    BALANCES,
    BEGIN,
    CLAIM,
    CLAIMING,
    CLOCK,
    COMMIT,
    CONFIRM,
    DUE,
    ENTER,
    ENTRIES,
    ENTRY,
    EXPORT,
    EXPORTS,
    FIND,
    LOAD,
    NAMES,
    PLANNED,
    READ,
    RECALL,
    REVIVE,
    SAVE,
    SETTLE,
    UNSENT,
)

#: Books a process keeps in memory between transactions.
CACHED = 10_000
#: How often a transaction is tried that others got in the way of.
TRIES = 5
#: How long it waits before the second try, in seconds; four times as long before each further one.
PAUSE = 0.002
#: How long the database's clock is reckoned on from one look at it, in seconds.
RECKONED = 30.0

_OWN = {"partitions": (0, MOST_PARTITIONS), "pool": (1, 1000), "timeout": (1, 3600)}
# Another transaction was there first.
_LATE = (errors.UniqueViolation, errors.DeadlockDetected, errors.SerializationFailure)
_WRITE = "Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, the password from a service file or the environment."


class PostgresStore(AnnexStore):
    """A ledger in a database, for any number of threads, processes and machines; judged by the database's clock.

    ``url`` is what PostgreSQL's own programs understand, and may say ``pool``, the connections of this process at
    most, ``timeout``, the seconds a call may take, and ``partitions``, the parts a new ledger's tables are split into
    by tenant. For ``reading`` only, the tables must be there, and whatever writes is a LedgerError.
    """

    def __init__(self, url: str, clock: Clock | None = None, *, reading: bool = False) -> None:
        options, own = _address(url)
        self._patience = own.get("timeout", PATIENCE)
        self._clock = clock
        self._reading = reading
        self._books: dict[str, Book] = {}
        self._trust = Trust()
        self._seen = (0, -RECKONED)
        name = f"postgresql://{options.get('host', '')}/{options.get('dbname', '')}"
        self._connections = Connections(options, name, own.get("pool", MOST), self._patience)
        try:
            with self._lent(MIGRATION) as db:
                if reading:
                    check(db, name)
                else:
                    migrate(db, name, own.get("partitions"))
                self.identity = _identity(db, options)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def _lent(self, seconds: float) -> Iterator[Connection]:
        """Lend a connection; every error of the driver is one of the store."""
        try:
            with self._connections.lent(time.monotonic() + seconds) as db:
                yield db
        except LostError as error:
            raise self._connections.unavailable(error.__cause__) from error.__cause__
        except psycopg.Error as error:
            raise self._connections.unavailable(error) from error

    def transact(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run jobs in one durable transaction and return what came of each."""
        self._writable()
        return apart(lambda jobs: self._tried(jobs).outcomes, jobs)

    def alongside(self, statements: Sequence[Statement], jobs: Sequence[Job] = ()) -> Written:
        """Carry out statements and jobs in one durable transaction."""
        self._writable()
        return self._tried(jobs, statements)

    def _writable(self) -> None:
        if self._reading:
            raise LedgerError("E1109", "the ledger was opened for looking at only")

    def _tried(self, jobs: Sequence[Job], beside: Sequence[Statement] = ()) -> Written:
        """Run jobs, at first trusting that their keys are new.

        They run again where one was not, another transaction came between, or the connection broke before the commit.
        """
        until = time.monotonic() + self._patience
        pause, trusting = PAUSE, not beside and self._trust.given()
        while True:
            try:
                with self._connections.lent(until) as db:
                    return self._transact(db, jobs, beside, trusting=trusting)
            except (LostError, RepeatedError, *_LATE) as error:
                if trusting and isinstance(error, RepeatedError | errors.UniqueViolation):
                    self._trust.broken()
                    trusting = False
                    continue
                if pause > PAUSE * 4**TRIES or time.monotonic() + pause > until:
                    raise self._failed(error) from error
            except (psycopg.Error, OverflowError) as error:
                raise self._failed(error) from error
            time.sleep(pause)
            pause *= 4

    def _failed(self, error: Exception) -> LedgerError:
        if isinstance(error, LostError):
            return self._connections.unavailable(error.__cause__)
        if isinstance(error, psycopg.IntegrityError | psycopg.DataError | OverflowError):
            return self._connections.refused(error)
        return self._connections.unavailable(error)

    def _transact(self, db: Connection, jobs: Sequence[Job], beside: Sequence[Statement], *, trusting: bool) -> Written:
        books, found, now = self._load(db, jobs, keys_of(jobs, trusting=trusting))
        outcomes = run(jobs, books, found, now, lambda tenant: _book(tenant, db.execute(READ, (tenant,)).fetchone()))
        if trusting and (doubt := doubtful(jobs, found)) and len(db.exchange(_find(doubt))[0]) > 1:
            raise RepeatedError
        changed = [book for _, book in sorted(books.items()) if book.fresh]
        if beside:
            raised(outcomes)
        rows = carried_out(beside, lambda sql, values: db.execute(_asked(sql), values))
        if changed or beside:
            self._save(db, changed)
        if len(self._books) > CACHED:
            self._books.clear()
        for tenant, book in books.items():
            book.saved()
            self._books[tenant] = book
        return Written(rows, outcomes)

    def _load(
        self, db: Connection, jobs: Sequence[Job], named: Iterable[tuple[str, str]]
    ) -> tuple[dict[str, Book], dict[str, dict[str, Entry]], int]:
        """Lock the tenants of jobs and return their books, the entries that are there of those named, and the instant.

        A book in memory is taken out of it: no two threads have the same.
        """
        tenants = sorted({job.tenant for job in jobs})
        books = {tenant: self._books.pop(tenant, Book(tenant)) for tenant in tenants}
        heads = blobs([books[tenant].head for tenant in tenants])
        asked = ((BEGIN, ()), (PLANNED, ()), (LOAD, (texts(tenants), heads)), _find(sorted(named)))
        _, _, rows, present = db.exchange(*asked)
        stored = {row[0]: row[1:] for row in rows}
        for tenant in tenants:
            row = stored.get(tenant)
            if row is None or row[2] is not None:
                books[tenant] = _book(tenant, row)
        (now, *_), *entries = present
        found: dict[str, dict[str, Entry]] = {tenant: {} for tenant in tenants}
        for row in entries:
            found[row[1]][row[5]] = Entry(*row[1:])
        return books, found, self._told(now)

    def _told(self, now: int) -> int:
        """Return the instant to judge by, the database's unless a clock was given."""
        if self._clock is not None:
            return self._clock()
        self._seen = (now, time.monotonic())
        return now

    def _save(self, db: Connection, books: Sequence[Book]) -> None:
        """Write books and commit; StoreUnavailableError where nobody can know whether the commit came through."""
        asked = [(ENTER, _entries(books)), (SAVE, _books(books))] if books else []
        if any(book.exports for book in books):
            asked.append((EXPORT, _exports(books)))
        try:
            db.exchange(*asked, (COMMIT, ()))
        except psycopg.Error as error:
            if error.sqlstate is None or db.closed:
                raise self._connections.unavailable(error) from error
            raise

    def read(self, tenant: str) -> Book:
        """Return a tenant's book as it was committed last."""
        rows = self._ask(READ, (tenant,))
        return _book(tenant, rows[0] if rows else None)

    def _ask(self, question: LiteralString, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """Ask in a transaction of its own, a second time where the connection has broken since it was used last."""
        try:
            with self._connections.lent(time.monotonic() + self._patience) as db:
                rows: list[Any] = db.execute(question, values, binary=True).fetchall()
        except LostError:
            with self._lent(self._patience) as db:
                rows = db.execute(question, values, binary=True).fetchall()
        except psycopg.Error as error:
            raise self._connections.unavailable(error) from error
        return rows

    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a question about the tables beside the books."""
        return self._ask(_asked(sql), values)

    def now(self) -> int:
        """Return the database's time, reckoned on from the last look at it, behind by the way of that answer."""
        if self._clock is not None:
            return self._clock()
        at, seen = self._seen
        passed = time.monotonic() - seen
        if passed < RECKONED:
            return at + int(passed * 1_000_000)
        return self._told(self._ask(CLOCK)[0][0])

    def entry(self, tenant: str, key: str) -> Entry | None:
        """Return the entry written under a key."""
        rows = self._ask(ENTRY, (tenant, key))
        return Entry(*rows[0]) if rows else None

    def entries(self, tenant: str, after: int = 0, limit: int = 1000) -> list[Entry]:
        """Return a tenant's entries above a number, oldest first."""
        return [Entry(*row) for row in self._ask(ENTRIES, (tenant, after, limit))]

    def names(self, after: str = "", limit: int = 1000) -> list[str]:
        """Return names of tenants that have entries, behind a name, by name."""
        return [row[0] for row in self._ask(NAMES, (after, limit))]

    def balance(self, tenant: str) -> Balance | None:
        """Return the columns of a tenant."""
        rows = self._ask(BALANCE, (tenant,))
        return Balance(*rows[0]) if rows else None

    def balances(self, after: str = "", limit: int = 1000) -> list[Balance]:
        """Return the columns of tenants behind a name, by name."""
        return [Balance(*row) for row in self._ask(BALANCES, (after, limit))]

    def due(self, now: int, limit: int = 1000) -> list[str]:
        """Return tenants for whom something expires or begins by an instant."""
        return [row[0] for row in self._ask(DUE, (now, limit))]

    def unsent(self, before: int, limit: int = 1000) -> list[str]:
        """Return tenants with units, in windows that began before an instant, not yet handed to the export."""
        return [row[0] for row in self._ask(UNSENT, (before, limit))]

    def claim(self, now: int, until: int, limit: int = 1000) -> list[Export]:
        """Take pending exports that are due; no other worker gets them or their like before ``until``."""
        self._writable()
        with self._lent(self._patience) as db, db.pipeline():
            db.execute("BEGIN")
            db.execute(CLAIMING)
            rows = db.execute(CLAIM, {"now": now, "until": until, "limit": limit}, binary=True)
            db.execute("COMMIT")
        return sorted((Export(*row) for row in rows), key=lambda export: (export.window, export.seq, export))

    def settle(self, exports: Iterable[Export]) -> None:
        """Write the state, due, error and doubt of claimed exports; what was sent stays so."""
        self._change(SETTLE, exports)

    def confirm(self, exports: Iterable[Export]) -> None:
        """Write what was learnt of streamed exports."""
        self._change(CONFIRM, exports)

    def recall(self, exports: Iterable[Export]) -> None:
        """Take back that exports were sent, and write their state and error."""
        self._change(RECALL, exports)

    def _change(self, change: str, exports: Iterable[Export]) -> None:
        self._writable()
        with self._lent(self._patience) as db, db.pipeline():
            db.execute("BEGIN")
            for export in sorted(exports, key=lambda export: export[:4]):
                db.execute(change, export._asdict())
            db.execute("COMMIT")

    def revive(self, tenant: str | None = None) -> int:
        """Make dead exports pending and due again; return how many."""
        self._writable()
        return len(self._ask(REVIVE, {"tenant": tenant}))

    def exports(self, tenant: str | None = None, state: str | None = None, since: int = 0) -> Iterator[Export]:
        """Yield exports by tenant, meter, window, number, of windows from an instant in seconds on."""
        return iter([Export(*row) for row in self._ask(EXPORTS, {"tenant": tenant, "state": state, "since": since})])

    def close(self) -> None:
        """Close the connections of this process."""
        self._connections.close()


def _asked(sql: str) -> Any:
    """Write a statement of both databases as the driver takes it; names compare as bytes, as in SQLite."""
    written = sql.replace("?", "%s")
    if written.lstrip().startswith(("CREATE TABLE", "ALTER TABLE")):
        written = written.replace(" TEXT", ' TEXT COLLATE "C"')
    return written


def _book(tenant: str, row: Sequence[Any] | None) -> Book:
    return Book.load(tenant, *row) if row else Book(tenant)


def _find(named: Sequence[tuple[str, str]]) -> tuple[str, Sequence[str]]:
    return FIND, (texts([tenant for tenant, _ in named]), texts([key for _, key in named]))


def _entries(books: Sequence[Book]) -> list[str]:
    tenant, seq, at, kind, key, digest, body, hashes = zip(
        *[entry for book in books for entry in book.fresh], strict=True
    )
    numbered = (numbers(seq), numbers(at))
    return [texts(tenant), *numbered, texts(kind), texts(key), texts(digest), texts(body), blobs(hashes)]


def _books(books: Sequence[Book]) -> list[str]:
    return [
        texts([book.tenant for book in books]),
        numbers([book.seq for book in books]),
        blobs([book.head for book in books]),
        texts([book.dump() for book in books]),
        numbers([book.credits for book in books]),
        numbers([book.held for book in books]),
        numbers([book.due for book in books]),
        numbers([book.unsent for book in books]),
    ]


def _exports(books: Sequence[Book]) -> list[str]:
    rows = [(book.tenant, *export) for book in books for export in book.exports]
    tenant, meter, window, seq, units = zip(*rows, strict=True)
    return [texts(tenant), texts(meter), numbers(window), numbers(seq), numbers(units)]


def _identity(db: Connection, options: Mapping[str, Any]) -> str:
    """Return which schema of which database a connection writes to, by the host and port the address names."""
    row = db.execute("SELECT current_schema()").fetchone()
    host, port = options.get("host") or db.info.host, options.get("port") or db.info.port
    return f"postgresql://{host}:{port}/{db.info.dbname}/{row[0] if row else ''}"


def _address(url: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Return what an address says to PostgreSQL, and what it says to this ledger."""
    place, _, query = url.partition("?")
    own: dict[str, int] = {}
    rest = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        bounds = _OWN.get(name)
        if bounds is None:
            rest.append(part)
        elif value.isdecimal() and bounds[0] <= int(value) <= bounds[1]:
            own[name] = int(value)
        else:
            raise LedgerError("E1106", f"{name} is a number from {bounds[0]} to {bounds[1]}", remedy=_WRITE)
    try:
        return conninfo_to_dict(f"{place}?{'&'.join(rest)}"), own
    except psycopg.ProgrammingError:
        # What the driver says may quote the password.
        raise LedgerError("E1106", "PostgreSQL cannot read this address", remedy=_WRITE) from None
