"""Finding the objects that belong to another one."""

from collections.abc import Iterator

from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Row, Term, Window
from reconciler.sandbox.wire import Obj

_FEW = 8
_ALL = Window(1 << 31, (-(1 << 62), 0), (1 << 62, 0), from_oldest=True)


def rows(call: Call, kind: str, term: Term) -> Iterator[Row]:
    """Yield all objects of a kind that carry a term, oldest first."""
    yield from reversed(call.tx.page(kind, [term], _ALL))


def newest(call: Call, kind: str, term: Term) -> Iterator[Row]:
    """Yield the objects of a kind that carry a term, newest first, reading a few at a time."""
    below = (1 << 62, 0)
    while found := call.tx.page(kind, [term], Window(_FEW, (-(1 << 62), 0), below)):
        yield from found
        below = (found[-1].created, found[-1].seq)


def must(call: Call, kind: str, object_id: str) -> Row:
    """Return an object that another one names, so that it must exist."""
    row = call.tx.find(kind, object_id)
    if row is None:
        raise RuntimeError(f"{kind} {object_id} is named but not stored")
    return row


def items_of(call: Call, subscription: Obj) -> list[Obj]:
    """Return the items of a subscription, oldest first."""
    return [row.body for row in rows(call, "subscription_item", ("subscription", subscription["id"]))]
