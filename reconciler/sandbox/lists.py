"""Cursor lists: newest first, both cursors, ``created`` bounds, ``has_more`` (https://docs.stripe.com/api/pagination)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from operator import ge, gt, le, lt
from typing import Any

from reconciler.sandbox.errors import ApiError, exclusive, invalid, no_such, out_of_range
from reconciler.sandbox.objects.base import Call, Family, flag
from reconciler.sandbox.store import END, EVERYTHING, START, Row, Term, Window
from reconciler.sandbox.wire import Obj

DEFAULT_LIMIT, MAX_LIMIT = 10, 100
_NO_LIMIT = 1 << 31

#: One filter: the values of a field of which an object must carry one.
Filter = tuple[str, Sequence[str]]


def page(
    call: Call,
    family: Family,
    *filters: Filter,
    oldest: int | None = None,
    oldest_first: bool = False,
    keep: Callable[[Obj], bool] | None = None,
) -> Obj:
    """Return the list envelope for the call's paging parameters.

    The first filter is walked, the others are looked up for each object: put the most selective one first. ``oldest``
    leaves out what was created before it; ``oldest_first`` turns the order round, as lists of lines and items have it.
    ``keep`` looks at each object of the walk: it is for what no term can say, such as a range of dates.
    """
    limit = limit_of(call)
    window = _window(call, family, limit + 1, oldest, oldest_first=oldest_first)
    rows = _walk(call, family, filters, window) if keep is None else _kept(call, family, filters, window, keep)
    kept = rows[-limit:] if window.from_oldest else rows[:limit]
    data = [row.body for row in (kept[::-1] if oldest_first else kept)]
    return {"object": "list", "url": call.url, "has_more": len(rows) > limit, "data": data}


def filters_in(params: Mapping[str, Any], *names: str) -> list[Filter]:
    """Return the filters among these parameters that were given, each under its own name."""
    return [
        (name, [flag(params[name]) if isinstance(params[name], bool) else params[name]])
        for name in names
        if name in params
    ]


def limit_of(call: Call) -> int:
    """Return how many objects a page may have, or refuse a number Stripe does not take."""
    limit: int = call.params.get("limit", DEFAULT_LIMIT)
    if limit < 1:
        raise out_of_range("limit", limit, least=1)
    if limit > MAX_LIMIT:
        raise out_of_range("limit", limit, most=MAX_LIMIT)
    return limit


def _kept(
    call: Call, family: Family, filters: Sequence[Filter], window: Window, keep: Callable[[Obj], bool]
) -> list[Row]:
    """Walk the whole list and take what is wanted from the window's end."""
    rows = [row for row in _walk(call, family, filters, replace(window, limit=_NO_LIMIT)) if keep(row.body)]
    return rows[-window.limit :] if window.from_oldest else rows[: window.limit]


def between(bounds: Any) -> Callable[[int | None], bool]:
    """Return a test of times for a range parameter: a number, or ``gt``, ``gte``, ``lt`` and ``lte``; null fails."""
    given = _created(bounds)
    tests: dict[str, Callable[[int, int], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
    return lambda time: time is not None and all(tests[name](time, value) for name, value in given.items())


def _walk(call: Call, family: Family, filters: Sequence[Filter], window: Window) -> list[Row]:
    """Merge one walk per combination of filter values."""
    choices: list[list[Term]] = [[(name, value) for value in dict.fromkeys(values)] for name, values in filters]
    walks = [call.tx.page(family.kind, terms or (EVERYTHING,), window) for terms in product(*choices)]
    found = {(row.created, row.seq): row for walk in walks for row in walk}
    rows = [found[position] for position in sorted(found, reverse=True)]
    return rows[-window.limit :] if window.from_oldest else rows[: window.limit]


def _window(call: Call, family: Family, limit: int, oldest: int | None, *, oldest_first: bool) -> Window:
    above, below = START, END
    for name, value in _created(call.params.get("created")).items():
        above, below = {
            "gt": (max(above, (value + 1, -1)), below),
            "gte": (max(above, (value, -1)), below),
            "lt": (above, min(below, (value, -1))),
            "lte": (above, min(below, (value + 1, -1))),
        }[name]
    window = Window(limit, above if oldest is None else max(above, (oldest, -1)), below, oldest_first)
    if "starting_after" in call.params and "ending_before" in call.params:
        raise exclusive("starting_after", "ending_before")
    for cursor, upwards in (("starting_after", oldest_first), ("ending_before", not oldest_first)):
        if cursor in call.params:
            position = _position(call, family, cursor)
            if upwards:
                return replace(window, above=max(window.above, position), from_oldest=True)
            return replace(window, below=min(window.below, position), from_oldest=False)
    return window


def _created(value: Any) -> dict[str, int]:
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"gte": value, "lte": value}


def _position(call: Call, family: Family, param: str) -> tuple[int, int]:
    row = call.tx.find(family.kind, call.params[param])
    if row is None:
        status = 404 if call.settings.unknown_cursor_is_404 else 400
        raise no_such(family.noun, call.params[param], param, status=status)
    return row.created, row.seq


def at_most(values: Sequence[str], count: int, param: str) -> Sequence[str]:
    """Return the values of an array filter, or refuse more than Stripe takes."""
    if len(values) > count:
        raise too_many(param, count)
    return values


def too_many(param: str, count: int) -> ApiError:
    """Return the refusal of an array that is too long."""
    return invalid(f"Array parameter {param} can have at most {count} elements.", param)
