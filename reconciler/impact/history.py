"""From a tenant's entries in the ledger to what it used in a month, and to its book as it was when the month began.

A call that was reserved counts when it was reserved, with what it came to. One whose payment was refunded whole was not
made; a part of it that came back is credits that came in. What the ledger learnt later, out of leases or after an
outage, has no instants of its own and is a sum.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.entitlements.acts import quantity_of
from reconciler.entitlements.books import OWN
from reconciler.entitlements.ledger_calls import CALLS, Booked, call_of
from reconciler.entitlements.standing import Subscription
from reconciler.impact.side import Side
from reconciler.impact.used import Event, Granted, Opening, Recorded, Reversed, Subscribed, Used, Voided
from reconciler.ledger.book import PRIORITY
from reconciler.ledger.entry import Entry

#: How far back calls can count in a period that is not over when the month begins.
_YEAR = 366 * 86_400_000_000
_MONTH, _FILE, _COMMIT = f"{OWN}month:", f"{OWN}file:", f"{OWN}commit:"
_GRANTS = frozenset({"grant", "reset", "renew"})


def recorded(side: Side, entries: Iterable[Entry], period: tuple[int, int]) -> Recorded:
    """Return what a tenant used in ``start <= instant < end``, microseconds, by its entries under the old files."""
    history = _History(side, period)
    for entry in entries:
        history.enter(entry)
    return history.recorded()


class _History:
    def __init__(self, side: Side, period: tuple[int, int]) -> None:
        self._meters = side.policy.meters
        self._start, self._end = period
        self._events: list[tuple[int, Event | None]] = []
        self._places: dict[str, int] = {}
        self._lots: dict[str, list[Any]] = {}
        self._month: tuple[int, int] | None = None
        self._granted: list[str] = []
        self._known: Subscription | None = None
        self._refund: Entry | None = None

    def enter(self, entry: Entry) -> None:
        """Take in an entry, in the order of the ledger."""
        if entry.at < self._start:
            self._fill(entry)
        if entry.kind in CALLS:
            self._called(call_of(entry))
        elif entry.kind == "refund":
            self._refund = entry
        elif entry.kind == "refunded":
            self._refunded(entry.answer)
        else:
            self._other(entry)

    def recorded(self) -> Recorded:
        """Return everything there was, sorted out by the beginning of the month."""
        before: list[Event] = []
        within: list[Event] = []
        for at, event in self._events:
            if event is not None and self._start - _YEAR <= at < self._end:
                (within if at >= self._start else before).append(event)
        lots = tuple(tuple(values) for values in self._lots.values() if values[2] > 0)
        opening = Opening(lots, self._month, tuple(self._granted), tuple(before))
        return Recorded(self._start, self._end, tuple(within), self._known, opening)

    def _fill(self, entry: Entry) -> None:
        """Let lots hold what they held after an entry."""
        if entry.kind in _GRANTS:
            values = list(entry.answer)
            values[2] = values[1] if entry.kind == "renew" else 0
            self._lots.setdefault(values[0], values)
        for source, target, amount in entry.transfers:
            for account, change in ((source, -amount), (target, amount)):
                if account.startswith("lot:") and (lot := self._lots.get(account[4:])) is not None:
                    lot[2] += change
        key = entry.key or ""
        if entry.kind == "reset":
            begun, _, included = key.removeprefix(_MONTH).partition(":")
            self._month = (int(begun), int(included))
        elif entry.kind == "grant" and key.startswith(_FILE):
            self._granted.append(key.removeprefix(_FILE))

    def _other(self, entry: Entry) -> None:
        key = entry.key or ""
        if entry.kind == "subscription":
            kept = Subscription(*entry.answer)
            if entry.at < self._start:
                self._known = kept
            self._events.append((entry.at, Subscribed(entry.at, kept)))
        elif entry.kind == "reserve":
            self._places[key] = len(self._events)
            self._events.append((entry.at, None))
        elif entry.kind == "renew" or (entry.kind == "grant" and not key.startswith(OWN)):
            lot, granted, _, *more = entry.answer
            self._events.append((entry.at, Granted(entry.at, (lot, granted, granted, *more))))
        elif entry.kind == "void":
            self._events.append((entry.at, Voided(entry.at, tuple(entry.answer["lots"]))))
        elif entry.kind == "reversal":
            self._events.append((entry.at, Reversed(entry.at, tuple(entry.answer["claims"].items()))))

    def _called(self, call: Booked) -> None:
        entry, key = call.entry, call.entry.key or ""
        hold = key.removeprefix(_COMMIT) if entry.kind == "commit" else None
        place = self._places.get(hold) if hold is not None else None
        if place is None:
            place = len(self._events)
            self._events.append((entry.at, None))
        at, _ = self._events[place]
        single = entry.kind in {"consume", "commit"}
        units = tuple((each.meter, each.number) for each in call.units)
        if call.tool in self._meters and [meter for meter, _ in units] == [call.tool]:
            number = units[0][1]
            used = Used("", 1 if single else number, number if single else 1, units, at, single)
        else:
            used = Used(call.tool, call.calls, quantity_of(entry.digest), units, at, single)
        if used.calls:
            self._events[place] = (at, used)
        self._places[f"{_COMMIT}{hold}" if hold is not None else key] = place
        if hold is not None:
            self._places[hold] = place

    def _refunded(self, answer: Mapping[str, Any]) -> None:
        """Forget a call whose payment came back whole, units too; of another what came back is a grant."""
        place, entry = self._places.get(answer["of"]), self._refund
        if place is not None and answer["uncounted"]:
            self._events[place] = (self._events[place][0], None)
        elif entry is not None and (back := entry.answer["restored"]):
            lot = (f"{OWN}back:{entry.seq}", back, back, PRIORITY, None, entry.at, "refund")
            self._events.append((entry.at, Granted(entry.at, lot)))
