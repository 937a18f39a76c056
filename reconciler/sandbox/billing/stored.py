"""Finding the objects that belong to another one."""

from collections.abc import Iterator
from typing import Any

from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row, Term, Window
from reconciler.sandbox.wire import Obj

_FEW = 8
_ALL = Window(1 << 31, from_oldest=True)
_NEWEST = Window(1)


def rows(call: Call, kind: str, term: Term) -> Iterator[Row]:
    """Yield all objects of a kind that carry a term, oldest first."""
    yield from reversed(call.tx.page(kind, [term], _ALL))


def newest(call: Call, kind: str, term: Term) -> Iterator[Row]:
    """Yield the objects of a kind that carry a term, newest first, reading a few at first."""
    return call.tx.walk(kind, [term], Window(_FEW))


def first(call: Call, kind: str, *terms: Term) -> Row | None:
    """Return the newest object of a kind that carries all the terms, or ``None``."""
    return next(iter(call.tx.page(kind, terms, _NEWEST)), None)


def must(call: Call, kind: str, object_id: str) -> Row:
    """Return an object that another one names, so that it must exist."""
    row = call.tx.find(kind, object_id)
    if row is None:
        raise RuntimeError(f"{kind} {object_id} is named but not stored")
    return row


def items_of(call: Call, subscription: Obj) -> list[Obj]:
    """Return the items of a subscription, oldest first."""
    return [row.body for row in rows(call, "subscription_item", ("subscription", subscription["id"]))]


def rewritten(call: Call, kind: str, row: Row, **fields: Any) -> Row:
    """Store an object with other fields, without an event, and return it as it is then."""
    changed = {**row.body, **fields}
    if changed != row.body:
        call.replace(call.families[kind], row, changed)
    return Row(row.seq, row.created, changed)


def is_deleted(call: Call, customer_id: str | None) -> bool:
    """Tell whether a customer that an object names exists no more."""
    return customer_id is not None and call.tx.find("customer", customer_id) is None


def at_time_of(call: Call, customer_id: str | None) -> Call:
    """Return the call at the time of a customer, which is their test clock's if they have one."""
    row = call.tx.find("customer", customer_id) if customer_id else None
    return call.on_clock_of(row.body) if row else call
