"""Entries of a ledger as calls: which tool, how often, which units, paid how; refunds as what they take back."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from reconciler.entitlements.policy import SPEND
from reconciler.ledger.entry import Entry

#: Returns the entry written under a key of the tenant.
Find = Callable[[str], Entry | None]
_METERED = "metered:"
#: Kinds of entries that say a call was made.
CALLS = frozenset({"consume", "commit", "owed", "settle"})
#: Kinds that nothing looks for again once they are old: calls, and what belongs to one. Grants and whatever ends one
#: stay for ever, since their keys keep a payment from being granted twice.
PASSING = CALLS | {"reserve", "release", "lapse", "lease", "recall", "export", "refund", "refunded"}


class Units(NamedTuple):
    """Units of a meter, negative where they are taken back; ``window`` in seconds where they go to the export.

    ``owed`` are not taken back in their window, which is billed for good: they are owed back as money.
    """

    meter: str
    number: int
    window: int | None
    owed: bool = False


class Booked(NamedTuple):
    """What one entry says was called: ``calls`` of a tool, 0 for a refund, whose amounts are negative.

    ``credits`` were taken, ``short`` were not there; ``spent`` is money charged through spend meters, by currency:
    millionths all. ``cost`` in ``unit`` is what the caller was told then, ``None`` where a price is finer.
    """

    entry: Entry
    tool: str
    calls: int
    paid_by: str
    cost: int | None
    unit: str
    credits: int
    short: int
    units: tuple[Units, ...]
    spent: tuple[Units, ...]


def booked(entries: Iterable[Entry], find: Find) -> Iterator[Booked | Entry]:
    """Yield a tenant's calls and refunds in order, and every other entry as it is."""
    refund: Entry | None = None
    for entry in entries:
        if entry.kind in CALLS:
            yield call_of(entry)
        elif entry.kind == "refund":
            refund = entry
        elif entry.kind == "refunded" and refund is not None:
            original = find(entry.answer["of"])
            yield _of(refund, "" if original is None else original.answer[0][0], original, 0, 0)
            refund = None
        else:
            yield entry


def call_of(entry: Entry) -> Booked:
    """Return what an entry of one of the kinds of calls says was called."""
    answer = entry.answer
    if entry.kind == "settle":
        return _of(entry, answer[0][0], entry, answer[3]["calls"], answer[3]["short"])
    return _of(entry, answer[0][0], entry, 1, answer[3] if len(answer) > _PARTS else 0)


#: Places of an answer before what was short: decision, counters, parts of lots.
_PARTS = 3


def _of(entry: Entry, tool: str, original: Entry | None, calls: int, short: int) -> Booked:
    stored: list[Any] = original.answer[0] if original is not None else ["", "", 0, ""]
    taken, found = 0, list[Units]()
    for source, target, amount in entry.transfers:
        if target == "spent":
            taken += amount
        elif source == "spent":
            taken -= amount
        elif source.startswith(_METERED):
            found.append(_units(source, amount, target))
        elif target.startswith(_METERED):
            found.append(_units(target, -amount, source))
    cost = stored[2] if calls else 0
    spent = tuple(each for each in found if each.meter.startswith(SPEND))
    units = tuple(each for each in found if not each.meter.startswith(SPEND))
    return Booked(entry, tool, calls, stored[1], cost, stored[3], taken, short, units, spent)


def _units(source: str, number: int, account: str) -> Units:
    """Return units by the accounts they moved between: the meter's source, and where they are counted."""
    kind, _, rest = account.partition(":")
    window = int(rest.rpartition("@")[2]) if kind in {"used", "owed"} else None
    return Units(source.removeprefix(_METERED), number, window, kind == "owed")
