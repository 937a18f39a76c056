"""Objects, their filter terms, unique claims and idempotency rows, as one transaction of a database sees them."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from reconciler.sandbox.walks import END, EVERYTHING, START, Like, Lists, Range, Term, Window, newest_first
from reconciler.sandbox.wire import Obj

__all__ = ("END", "EVERYTHING", "START", "Claim", "Due", "Range", "Row", "Term", "Tx", "View", "Window")

#: How many rows a walk reads at a time at the most.
_CHUNK = 1024
Claim = tuple[str, str]

#: From each queue straight to the next, whatever waits in them. The first test of ``clock`` leads to the place, the
#: other one lets the index be used that has queues only.
_QUEUES = """WITH RECURSIVE queue (clock) AS (
    SELECT * FROM (SELECT clock FROM due WHERE clock >= '~' ORDER BY clock LIMIT 1)
    UNION ALL SELECT (SELECT d.clock FROM due d WHERE d.clock > q.clock AND d.clock >= '~' ORDER BY d.clock LIMIT 1)
    FROM queue q WHERE q.clock IS NOT NULL
) SELECT (SELECT d.account FROM due d WHERE d.clock = q.clock AND d.clock >= '~' AND d.at <= ? LIMIT 1) AS account,
    q.clock FROM queue q WHERE account IS NOT NULL ORDER BY account, q.clock"""


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


class View(Protocol):
    """Objects of a kind that are not stored because they follow from stored ones of another kind."""

    def find(self, tx: "Tx", object_id: str) -> Row | None:
        """Return the object, or ``None``."""
        ...

    def page(self, tx: "Tx", terms: Sequence[Term], window: Window) -> list[Row]:
        """Return the objects that carry every term, newest first."""
        ...


class Tx:
    """One transaction's view of one account; ``base_url`` is where the pages of its objects are served.

    ``views`` has the kinds of which there are objects beside the stored ones.
    """

    def __init__(self, connection: sqlite3.Connection, account: str, base_url: str, views: Mapping[str, View]) -> None:
        self._db = connection
        self.account = account
        self.base_url = base_url
        self._views = views
        self._counters: dict[str, int] | None = None

    def next(self, counter: str) -> int:
        """Return the next number of a counter, starting at 1; :meth:`flush` stores it."""
        if self._counters is None:
            self._counters = dict(self._db.execute("SELECT name, value FROM counter"))
        value = self._counters[counter] = self._counters.get(counter, 0) + 1
        return value

    def flush(self) -> None:
        """Store what the transaction has counted; to be called before it is committed."""
        if self._counters is not None:
            self._db.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?)", self._counters.items())

    def find(self, kind: str, object_id: str) -> Row | None:
        """Return the object, or ``None``."""
        row = self._db.execute(
            "SELECT seq, created, body FROM object WHERE account = ? AND kind = ? AND id = ?",
            (self.account, kind, object_id),
        ).fetchone()
        if row:
            return Row(row[0], row[1], json.loads(row[2]))
        view = self._views.get(kind)
        return view.find(self, object_id) if view else None

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
        """Return the objects that carry every term, newest first; put the most selective term first."""
        return self.pages(kind, [terms], window)

    def pages(
        self,
        kind: str,
        choices: Iterable[Sequence[Term]],
        window: Window,
        ranges: Sequence[Range] = (),
        like: Like = (),
    ) -> list[Row]:
        """Return the objects that carry every term of one of the choices and are in every range, newest first.

        Their JSON is ``like`` one pattern of each list; for that, every object is looked at.
        """
        lists, choices = Lists(self._db, self.account, kind), tuple(choices)
        found = [each for terms in choices for each in lists.find(terms, ranges, window, like)]
        rows = [Row(each.seq, each.created, json.loads(each.text)) for each in newest_first(found, window)]
        if view := self._views.get(kind):
            rows += [row for terms in choices for row in view.page(self, terms, window)]
            return newest_first(rows, window)
        return rows

    def walk(self, kind: str, terms: Sequence[Term], window: Window, like: Like = ()) -> Iterator[Row]:
        """Yield all objects of a window that carry every term, from its end; at first so many as its limit are read."""
        while rows := self.pages(kind, [terms], window, like=like):
            yield from reversed(rows) if window.from_oldest else rows
            last = rows[0] if window.from_oldest else rows[-1]
            window = replace(window.beyond((last.created, last.seq)), limit=min(2 * window.limit, _CHUNK))

    def present(self, kinds: Sequence[str]) -> set[str]:
        """Return those of two kinds of which there are stored objects."""
        rows = self._db.execute(
            "SELECT DISTINCT kind FROM term WHERE account = ? AND kind IN (?, ?) AND field = ? AND value = ?",
            (self.account, *kinds, *EVERYTHING),
        )
        return {kind for (kind,) in rows}

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
        """Return account and clock of every account's queues in which something is due; a clock is one account's."""
        return self._db.execute(_QUEUES, (up_to,)).fetchall()

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
        counted = None if self._counters is None else dict(self._counters)
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO attempt")
            self._counters = counted
            raise
        finally:
            self._db.execute("RELEASE attempt")
