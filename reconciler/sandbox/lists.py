"""Cursor lists: newest first, both cursors, ``created`` bounds, ``has_more`` (https://docs.stripe.com/api/pagination)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from reconciler.sandbox.errors import ApiError, exclusive, invalid, no_such, out_of_range
from reconciler.sandbox.objects.base import Call, Family, flag
from reconciler.sandbox.params import LATEST
from reconciler.sandbox.store import END, EVERYTHING, START, Range, Term, Window
from reconciler.sandbox.wire import Obj

DEFAULT_LIMIT, MAX_LIMIT = 10, 100

#: One filter: the values of a field of which an object must carry one.
Filter = tuple[str, Sequence[str]]


def page(
    call: Call,
    family: Family,
    *filters: Filter,
    oldest: int | None = None,
    oldest_first: bool = False,
    ranges: Mapping[str, Any] | None = None,
) -> Obj:
    """Return the list envelope for the call's paging parameters.

    The first filter is walked, the others are looked up for each object: put the most selective one first. ``oldest``
    leaves out what was created before it; ``oldest_first`` turns the order round, as lists of lines and items have it.
    ``ranges`` has the bounds of fields that are moments of the objects.
    """
    limit = limit_of(call)
    window = _window(call, family, limit + 1, oldest, oldest_first=oldest_first)
    rows = call.tx.pages(
        family.kind, _choices(filters), window, [_ranged(*bounds) for bounds in (ranges or {}).items()]
    )
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


def named_in(call: Call, *kinds: str) -> list[Filter]:
    """Return the filters among the call's parameters that name an object of these kinds, which must exist."""
    params = call.params
    return [(kind, [call.refer(kind, params[kind], kind)["id"]]) for kind in kinds if kind in params]


def limit_of(call: Call) -> int:
    """Return how many objects a page may have, or refuse a number Stripe does not take."""
    limit: int = call.params.get("limit", DEFAULT_LIMIT)
    if limit < 1:
        raise out_of_range("limit", limit, least=1)
    if limit > MAX_LIMIT:
        raise out_of_range("limit", limit, most=MAX_LIMIT)
    return limit


def _ranged(field: str, bounds: Any) -> Range:
    """Return the range of a parameter: a number, or ``gt``, ``gte``, ``lt`` and ``lte``; null is in none."""
    given = _bounds(bounds)
    low = max((value + (name == "gt") for name, value in given.items() if name in {"gt", "gte"}), default=0)
    high = min((value - (name == "lt") for name, value in given.items() if name in {"lt", "lte"}), default=LATEST)
    return Range(field, max(low, 0), min(high, LATEST)) if low <= high else Range(field, 1, 0)


def _choices(filters: Sequence[Filter]) -> Iterator[Sequence[Term]]:
    """Return the combinations of filter values; an object must carry one of them."""
    for terms in product(*([(name, value) for value in dict.fromkeys(values)] for name, values in filters)):
        yield terms or (EVERYTHING,)


def _window(call: Call, family: Family, limit: int, oldest: int | None, *, oldest_first: bool) -> Window:
    above, below = START, END
    for name, value in _bounds(call.params.get("created")).items():
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


def _bounds(value: Any) -> dict[str, int]:
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
