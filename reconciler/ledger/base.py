"""What every store is: the contract of :class:`Store`, errors, and the rows both databases keep."""

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from reconciler.diagnostics.errors import ReconcilerError
from reconciler.ledger.book import Book
from reconciler.ledger.entry import Entry
from reconciler.ledger.jobs import Job, Outcome

#: Returns the present instant in microseconds since 1970, UTC.
Clock = Callable[[], int]


def system_clock() -> int:
    """Return the machine's time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


class LedgerError(ReconcilerError):
    """The ledger cannot do what was asked: wrong address, a schema of another version, a closed ledger."""


class StoreUnavailableError(LedgerError):
    """The database cannot be reached or did not answer in time; whether the last transaction was kept is unknown."""


class RefusedError(LedgerError):
    """The database refuses what an act entered: a key twice, a number it cannot hold. Nothing of it was kept."""


class Balance(NamedTuple):
    """A tenant's columns that can be asked for across tenants; credits in millionths, instants in microseconds."""

    tenant: str
    seq: int
    credits: int
    held: int
    due: int | None
    unsent: int | None


class Export(NamedTuple):
    """Units of one meter and window on their way to the outside: ``pending``, ``streamed``, ``sent`` or ``dead``.

    What is ``streamed`` was taken without being looked at, at the instant ``doubt``; whether it counts is still to be
    learnt.

    ``seq`` is the entry that handed them over; the four together never repeat. ``window`` is the window's start in
    seconds, ``due`` the instant of the next attempt in microseconds, or of the acknowledgement once it is ``sent``.
    ``doubt`` is the instant of the first attempt that may have arrived without our knowing; 0 where none can have.
    ``refused`` is how often it was refused after it had been taken.
    """

    tenant: str
    meter: str
    window: int
    seq: int
    units: int
    state: str = "pending"
    attempts: int = 0
    due: int = 0
    error: str | None = None
    doubt: int = 0
    refused: int = 0


class Store(Protocol):
    """Books in a database, for any thread; StoreUnavailableError from every method where the database is not there."""

    #: What tells this ledger from every other one on the machine, the same in each process that opens it.
    identity: str

    @abstractmethod
    def transact(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run jobs in one durable transaction and return what came of each; nothing is told before it is kept."""

    @abstractmethod
    def read(self, tenant: str) -> Book:
        """Return a tenant's book as it was committed last; an empty one for a tenant the ledger does not know."""

    @abstractmethod
    def now(self) -> int:
        """Return the instant the store judges by, in microseconds."""

    @abstractmethod
    def entry(self, tenant: str, key: str) -> Entry | None:
        """Return the entry written under a key."""

    @abstractmethod
    def entries(self, tenant: str, after: int = 0, limit: int = 1000) -> list[Entry]:
        """Return a tenant's entries above a number, oldest first."""

    @abstractmethod
    def names(self, after: str = "", limit: int = 1000) -> list[str]:
        """Return names of tenants that have entries, behind a name, by name."""

    @abstractmethod
    def balance(self, tenant: str) -> Balance | None:
        """Return the columns of a tenant; ``None`` where nothing was written about it."""

    @abstractmethod
    def balances(self, after: str = "", limit: int = 1000) -> list[Balance]:
        """Return the columns of tenants behind a name, by name."""

    @abstractmethod
    def due(self, now: int, limit: int = 1000) -> list[str]:
        """Return tenants for whom something expires or begins by an instant."""

    @abstractmethod
    def unsent(self, before: int, limit: int = 1000) -> list[str]:
        """Return tenants with units in windows begun before an instant, in seconds, and not handed to the export."""

    @abstractmethod
    def claim(self, now: int, until: int, limit: int = 1000) -> list[Export]:
        """Take pending exports that are due, oldest window first, for an attempt that is in doubt from now on.

        No other worker gets them, nor others of the same tenant and meter, before ``until`` or until they are settled.
        """

    @abstractmethod
    def settle(self, exports: Iterable[Export]) -> None:
        """Write the state, due, error and doubt of claimed exports.

        What was ``sent`` stays so. Anything else than that counts only from who claimed an export last.
        """

    @abstractmethod
    def confirm(self, exports: Iterable[Export]) -> None:
        """Write the state, due, error and doubt of streamed exports, of each that is still as it was read."""

    @abstractmethod
    def recall(self, exports: Iterable[Export]) -> None:
        """Take back that exports were sent, or may have been, since they were refused later; count that.

        Written are state and error, of each that is still as it was read. They may have arrived, long ago.
        """

    @abstractmethod
    def revive(self, tenant: str | None = None) -> int:
        """Make dead exports, of a tenant or all, pending and due again, as doubtful as they were; return how many."""

    @abstractmethod
    def exports(self, tenant: str | None = None, state: str | None = None, since: int = 0) -> Iterator[Export]:
        """Yield exports, of a tenant or all, in a state or all, by tenant, meter, window, number.

        Their windows begin at ``since``, in seconds, or later.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what is held open; closing twice is harmless."""


def apart(transact: Callable[[Sequence[Job]], list[Outcome]], jobs: Sequence[Job]) -> list[Outcome]:
    """Run jobs in one transaction; where the database refuses what they enter, each in one of its own.

    RefusedError is raised by ``transact``, and becomes the outcome of the job whose entry the database refuses.
    """
    try:
        return transact(jobs)
    except RefusedError as error:
        if len(jobs) == 1:
            return [Outcome(error=error)]
        return [outcome for job in jobs for outcome in apart(transact, (job,))]
