"""A ledger as a service uses it: a store, the way jobs reach it, and books for reading."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

from reconciler.ledger.annex import AnnexStore, Statement, Written
from reconciler.ledger.base import Clock, LedgerError, system_clock
from reconciler.ledger.book import Book
from reconciler.ledger.group import GroupCommit
from reconciler.ledger.jobs import Job, Outcome
from reconciler.ledger.reading import SqliteReader
from reconciler.ledger.sqlite import MEMORY, SqliteStore

Mode = Literal["direct", "group", "read"]
#: How old a book may be that a check reads, in seconds; what this process wrote itself is always in it.
FRESH_FOR = 0.05
#: How the address of a file begins.
FILE = "sqlite:///"
_CACHED = 50_000


class Look:
    """A book for looking at until an instant of the monotonic clock; ``known`` is what its readers worked out of it."""

    __slots__ = ("book", "known", "until")

    def __init__(self, book: Book, until: float) -> None:
        self.book = book
        self.until = until
        self.known: dict[Any, Any] = {}


class Ledger:
    """Runs jobs one by one (``direct``) or many in a transaction (``group``); the outcomes are the same.

    With ``read`` it runs none: what would write is a LedgerError, and the database stays as it is.
    """

    def __init__(self, store: AnnexStore, mode: Mode = "group", fresh_for: float = FRESH_FOR) -> None:
        self.store = store
        self.group = GroupCommit(store) if mode == "group" else None
        self._fresh_for = fresh_for
        self.looks: dict[str, Look] = {}

    def submit(self, job: Job) -> Outcome:
        """Run a job and return its outcome once it is durable; an error of the store is raised."""
        return self.told(job, self.ask(job))

    def ask(self, job: Job) -> Outcome:
        """Run a job and return its outcome, or the error, once it is durable; :meth:`told` has to follow."""
        try:
            return self.group.submit(job) if self.group is not None else self.store.transact((job,))[0]
        except LedgerError as error:
            return Outcome(error=error)

    def told(self, job: Job, outcome: Outcome) -> Outcome:
        """Return an outcome to its caller, who sees it in every book from now on; an error is raised."""
        self.looks.pop(job.tenant, None)
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def alongside(self, statements: Sequence[Statement], jobs: Sequence[Job] = ()) -> Written:
        """Carry out statements and jobs in one durable transaction, which every book shows from then on."""
        try:
            return self.store.alongside(statements, jobs)
        finally:
            for job in jobs:
                self.looks.pop(job.tenant, None)

    def look(self, tenant: str) -> Look:
        """Return a tenant's book for looking at only, at most ``fresh_for`` seconds behind other processes."""
        look = self.looks.get(tenant)
        instant = time.monotonic()
        if look is not None and look.until > instant:
            return look
        if len(self.looks) >= _CACHED:
            self.looks.clear()
        reading = self.looks[tenant] = Look(Book(tenant), 0.0)
        look = Look(self.store.read(tenant), instant + self._fresh_for)
        # A job that was answered meanwhile has taken the mark away: this book may be older than that answer.
        if self.looks.get(tenant) is reading:
            self.looks[tenant] = look
        return look

    def close(self) -> None:
        """Finish what is waiting and close the store."""
        if self.group is not None:
            self.group.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_ledger(url: str, mode: Mode = "group", clock: Clock | None = None, fresh_for: float = FRESH_FOR) -> Ledger:
    """Open ``sqlite:///FILE`` (``sqlite:////`` for an absolute path, ``sqlite://`` in memory) or ``postgresql://…``.

    LedgerError for another address, StoreUnavailableError where the database is not there.
    """
    if mode not in get_args(Mode):
        raise LedgerError("E1105", f"there is no mode {mode!r}", remedy=f"Modes are {', '.join(get_args(Mode))}.")
    return Ledger(_store(url, clock, reading=mode == "read"), mode, fresh_for)


def _store(url: str, clock: Clock | None, *, reading: bool) -> AnnexStore:
    if url == "sqlite://":
        return SqliteStore(MEMORY, clock or system_clock)
    if url.startswith(FILE) and len(url) > len(FILE):
        store = SqliteReader if reading else SqliteStore
        return store(str(Path(url.removeprefix(FILE)).absolute()), clock or system_clock)
    if url.startswith(("postgresql://", "postgres://")):
        return _postgres(url, clock, reading=reading)
    raise LedgerError(
        "E1106",
        "this is not the address of a ledger",
        remedy="Write sqlite:///FILE or postgresql://HOST/DATABASE.",
    )


def _postgres(url: str, clock: Clock | None, *, reading: bool) -> AnnexStore:
    try:
        # The seam: only a process that uses PostgreSQL needs its driver and pays for it.
        from reconciler.ledger.postgres import PostgresStore  # noqa: PLC0415
    except ImportError as error:
        raise LedgerError(
            "E1130",
            f"the driver for PostgreSQL cannot be used: {error}",
            remedy="pip install 'reconciler[postgres]'",
        ) from error
    return PostgresStore(url, clock, reading=reading)
