"""Tables of the rooms above in the ledger's own database: what they note and what the books say change together.

Their SQL is what SQLite and PostgreSQL both take: ``?`` for values (none in literals, nor ``%``), ``BIGINT`` and
``TEXT`` columns, ``ON CONFLICT``, ``RETURNING``; a value whose type nothing else tells is written ``CAST(? AS TEXT)``.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from reconciler.ledger.base import LedgerError, Store
from reconciler.ledger.jobs import Job, Outcome

Row = tuple[Any, ...]
_VERSION = "SELECT version FROM annex WHERE name = ?"


class Statement(NamedTuple):
    """A change of tables beside the books; where it ``must`` touch a row and does not, nothing of it all is kept."""

    sql: str
    values: Sequence[Any] = ()
    must: bool = False


class Written(NamedTuple):
    """What a transaction came to: the rows each statement returned, and the outcome of each job."""

    rows: list[list[Row]]
    outcomes: list[Outcome]


class LostClaimError(LedgerError):
    """A statement that must touch a row touched none: somebody else was there first, and nothing was kept."""


class AnnexStore(Store):
    """A store that keeps other tables beside its books."""

    @abstractmethod
    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return the rows of a question, as they were committed last."""

    @abstractmethod
    def alongside(self, statements: Sequence[Statement], jobs: Sequence[Job] = ()) -> Written:
        """Carry out statements and jobs in one durable transaction, all of it or nothing.

        The error of a job that fails is raised, and LostClaimError where a statement misses what it must touch.
        """

    def annex(self, name: str, steps: Sequence[str]) -> None:
        """Bring the tables of a name to their last version; each step is one statement, and runs once in a ledger.

        LedgerError where a newer version made them, or where they would have to be made and the store only reads.
        """
        while (found := self._annexed(name)) != len(steps):
            if found > len(steps):
                raise LedgerError("E1102", f"{name} in the ledger was written by a newer version", remedy=_USE)
            begin = Statement("INSERT INTO annex VALUES (?, 0) ON CONFLICT (name) DO NOTHING", (name,))
            values = (len(steps), name, found)
            claim = Statement("UPDATE annex SET version = ? WHERE name = ? AND version = ?", values, must=True)
            try:
                self.alongside([begin, claim, *map(Statement, steps[found:])])
            except LostClaimError:
                continue

    def _annexed(self, name: str) -> int:
        rows = self.ask(_VERSION, (name,))
        return int(rows[0][0]) if rows else 0


_USE = "Use that version."


class Cursor(Protocol):
    """What both drivers answer a statement with; see PEP 249."""

    @property
    def description(self) -> Any:
        """Whether the statement returns rows."""

    @property
    def rowcount(self) -> int:
        """How many rows it touched."""

    def fetchall(self) -> list[Any]:
        """Return the rows."""


def carried_out(statements: Sequence[Statement], execute: Callable[[str, Sequence[Any]], Cursor]) -> list[list[Row]]:
    """Run statements and return the rows of each; LostClaimError at the first that misses what it must touch."""
    found = []
    for sql, values, must in statements:
        cursor = execute(sql, values)
        rows = cursor.fetchall() if cursor.description else []
        if must and not (rows or cursor.rowcount > 0):
            raise LostClaimError("E1133", "somebody else has changed in between what this was about")
        found.append(rows)
    return found


def raised(outcomes: Sequence[Outcome]) -> None:
    """Raise the first error of jobs that are kept together or not at all."""
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
