"""Finding a page of a list: walks over ``term``, whose key ends in ``created`` and the insertion number.

So a list is newest first with a tie-breaker, and costs what the page costs and not what the table does: where one term
names the list always; where an object must carry several, unless long lists have hardly an object in common.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar

from reconciler.sandbox.wire import Obj

#: The term every object carries, so that a list without filters is a walk like any other.
EVERYTHING = ("*", "")
#: The field of the term that one object alone carries; it is not stored.
ID = "id"
#: Positions before and after everything.
START, END = (-(1 << 62), 0), (1 << 62, 0)
Term = tuple[str, str]
#: Patterns of SQL's LIKE: one of each list must fit.
Like = Sequence[Sequence[str]]

#: So many objects of the first list are tried, then so many times more in each round.
_TRIED, _MORE = 1_000, 8
_DIGITS = 11

_FROM = "FROM term t CROSS JOIN object o ON o.seq = t.seq"
#: Row values, not two comparisons: only so the primary key leads straight to a position inside one second.
_WITHIN = """t.account = ? AND t.kind = ? AND t.field = ? AND t.value {test}
    AND (t.created, t.seq) > (?, ?) AND (t.created, t.seq) < (?, ?)"""
_CARRIES = """ AND EXISTS (SELECT 1 FROM term x WHERE x.account = t.account AND x.kind = t.kind
    AND x.field = ? AND x.value = ? AND x.created = t.created AND x.seq = t.seq)"""
_HOLDS = " AND json_extract(o.body, ?) BETWEEN ? AND ?"
_IS, _BETWEEN = "= ?", "BETWEEN ? AND ?"
_ONE = """SELECT t.seq, t.created, t.body FROM object t WHERE t.account = ? AND t.kind = ? AND t.id = ?
    AND (t.created, t.seq) > (?, ?) AND (t.created, t.seq) < (?, ?)"""


class Found(NamedTuple):
    """An object as it is read: its number, when it was created, its JSON."""

    seq: int
    created: int
    text: str


class Placed(Protocol):
    """What has a place in a list."""

    @property
    def seq(self) -> int:
        """The insertion number."""
        ...

    @property
    def created(self) -> int:
        """Unix seconds."""
        ...


_Placed = TypeVar("_Placed", bound=Placed)


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list to read: ``limit`` rows strictly between two positions ``(created, seq)``, from one end."""

    limit: int
    above: tuple[int, int] = START
    below: tuple[int, int] = END
    from_oldest: bool = False

    def beyond(self, position: tuple[int, int]) -> "Window":
        """Return what of the window comes after a position."""
        return replace(self, above=position) if self.from_oldest else replace(self, below=position)

    def up_to(self, position: tuple[int, int]) -> "Window":
        """Return what of the window comes before a position."""
        return replace(self, below=position) if self.from_oldest else replace(self, above=position)


@dataclass(frozen=True, slots=True)
class Range:
    """The objects whose ``field``, one of their moments, is a time from ``low`` to ``high``, both included."""

    field: str
    low: int
    high: int

    @property
    def held(self) -> tuple[str, int, int]:
        """Where the time stands in the object's JSON, and its bounds there."""
        return f'$."{self.field}"', self.low, self.high

    @property
    def listed(self) -> tuple[str, str, str]:
        """The field of the terms, and the first and the last value in the range."""
        return self.field, _written(self.low), _written(self.high)


def moments(obj: Obj, fields: Iterable[str]) -> Iterator[Term]:
    """Yield the terms by which an object is listed in ranges of these times; null is in none."""
    for field in fields:
        if obj[field] is not None:
            yield field, _written(obj[field])


def _written(time: int) -> str:
    """Write a time so that the order of texts is that of times."""
    return f"{min(max(time, 0), 10**_DIGITS - 1):0{_DIGITS}}"


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists of one kind of an account's objects."""

    db: sqlite3.Connection
    account: str
    kind: str

    def find(self, terms: Sequence[Term], ranges: Sequence[Range], window: Window, like: Like = ()) -> list[Found]:
        """Return the objects that carry every term and are in every range, from the window's end.

        The first list is tried and the others are looked up for each of its objects; where that does not fill the
        window soon, the others are counted, and one that is short is read instead. Each round goes further.
        """
        first, *others = terms
        rest: list[Term | Range] = [*others, *ranges]
        if first[0] == ID:
            return self._read(f"{_ONE}{_CARRIES * len(others)} LIMIT ?", first[1:], window, others, ())
        if like:
            return self._scan(first, like, window)
        if not rest:
            return self._walk(terms, (), window)
        tried = _TRIED
        while True:
            edge = self._position(first, window, tried)
            found = self._walk(terms, ranges, window.up_to(edge) if edge else window)
            if edge is None or len(found) == window.limit:
                return found
            tried *= _MORE
            if short := self._shortest(rest, window, tried):
                return self._read_first(short, terms, ranges, window)

    def _read_first(
        self, first: Term | Range, terms: Sequence[Term], ranges: Sequence[Range], window: Window
    ) -> list[Found]:
        """Read one of the lists whole if need be, and look the others up."""
        terms, ranges = [each for each in terms if each != first], [each for each in ranges if each != first]
        if isinstance(first, Range):
            return self._collect(first, terms, ranges, window)
        return self._walk([first, *terms], ranges, window)

    def _walk(self, terms: Sequence[Term], ranges: Sequence[Range], window: Window) -> list[Found]:
        """Walk the first term; the others and the ranges are looked up for each object."""
        first, *others = terms
        statement = _statement(_IS, len(others), len(ranges), window.from_oldest)
        return self._read(statement, first, window, others, [each.held for each in ranges])

    def _collect(self, first: Range, terms: Sequence[Term], ranges: Sequence[Range], window: Window) -> list[Found]:
        """Put all that is in a range into order."""
        statement = _statement(_BETWEEN, len(terms), len(ranges), window.from_oldest)
        return self._read(statement, first.listed, window, terms, [each.held for each in ranges])

    def _scan(self, term: Term, like: Like, window: Window) -> list[Found]:
        """Look at every object of a list."""
        tests = "".join(f" AND ({' OR '.join(['o.body LIKE ?'] * len(patterns))})" for patterns in like)
        statement = _statement(_IS, 0, 0, window.from_oldest).replace(" ORDER BY", f"{tests} ORDER BY")
        return self._read(statement, term, window, (), like)

    def _read(
        self,
        statement: str,
        first: tuple[str, ...],
        window: Window,
        terms: Sequence[Term],
        tests: Iterable[Sequence[Any]],
    ) -> list[Found]:
        given = [self.account, self.kind, *first, *window.above, *window.below]
        given += [part for each in (*terms, *tests) for part in each]
        return [Found(*row) for row in self.db.execute(statement, (*given, window.limit))]

    def _position(self, term: Term, window: Window, number: int) -> tuple[int, int] | None:
        """Return the place of the object that comes after so many in a list, ``None`` if there is none."""
        order = "ASC" if window.from_oldest else "DESC"
        position: tuple[int, int] | None = self.db.execute(
            f"SELECT t.created, t.seq FROM term t WHERE {_WITHIN.format(test=_IS)}"  # noqa: S608  constants
            f" ORDER BY t.created {order}, t.seq {order} LIMIT 1 OFFSET ?",
            (self.account, self.kind, *term, *window.above, *window.below, number),
        ).fetchone()
        return position

    def _shortest(self, lists: Sequence[Term | Range], window: Window, below: int) -> Term | Range | None:
        """Return that of several lists which has the fewest objects in a window, if they are fewer than ``below``."""
        shortest = None
        for each in lists:
            if (length := self._count(each, window, below)) < below:
                shortest, below = each, length
        return shortest

    def _count(self, each: Term | Range, window: Window, at_most: int) -> int:
        """Return how many objects of a list are in a window; a long list is not counted whole."""
        test, first = (_BETWEEN, each.listed) if isinstance(each, Range) else (_IS, each)
        row = self.db.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM term t WHERE {_WITHIN.format(test=test)} LIMIT ?)",  # noqa: S608  constants
            (self.account, self.kind, *first, *window.above, *window.below, at_most),
        ).fetchone()
        return int(row[0])


@cache
def _statement(test: str, others: int, held: int, from_oldest: bool) -> str:  # noqa: FBT001  a key of the cache
    order = "ORDER BY t.created DESC, t.seq DESC"
    if from_oldest:
        order = order.replace("DESC", "ASC")
    where = _WITHIN.format(test=test) + _CARRIES * others + _HOLDS * held
    if test == _IS:
        return f"SELECT o.seq, o.created, o.body {_FROM} WHERE {where} {order} LIMIT ?"
    places = f"SELECT t.created, t.seq {_FROM if held else 'FROM term t'} WHERE {where} {order} LIMIT ?"
    return f"SELECT o.seq, o.created, o.body FROM ({places}) t CROSS JOIN object o ON o.seq = t.seq {order}"  # noqa: S608  as above


def newest_first(found: Iterable[_Placed], window: Window) -> list[_Placed]:
    """Return what a window shows of what several walks have found in it, each object once."""
    places = {(each.created, each.seq): each for each in found}
    ordered = [places[place] for place in sorted(places, reverse=True)]
    return ordered[-window.limit :] if window.from_oldest else ordered[: window.limit]
