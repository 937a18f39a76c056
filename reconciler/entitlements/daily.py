"""Entries of a ledger added up to figures of a day, a tool and a meter. Pure.

Days are those of UTC, whatever zone the files name: that one may change, and a figure that was added up stays what it
is. An entry counts on the day it was written for, a refund on its own day and not on that of its call.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from reconciler.entitlements.books import LEASE
from reconciler.entitlements.ledger_calls import Booked, Find, booked
from reconciler.entitlements.periods import LENGTH
from reconciler.entitlements.policy import SPEND
from reconciler.ledger.entry import Entry

_DAY = LENGTH["day"]
#: What may become of a reservation, and the column that counts it.
_ENDS = {"commit": "committed", "release": "released", "lapse": "lapsed"}


class Key(NamedTuple):
    """What figures are of: a day since 1970, a tool, a meter or none, a currency or none.

    ``tool`` is empty for units counted directly and for what happens to credits; ``meter`` for the calls themselves,
    ``currency`` for all that is no money.
    """

    day: int
    tool: str
    meter: str = ""
    currency: str = ""


class Figures(NamedTuple):
    """Sums; credits in millionths, ``money`` charged by the call in millionths of the major unit.

    ``calls`` are those that were made, ``refunds`` those taken back, whose units, credits and money are taken off.
    ``credits`` were spent, ``short`` were not there; ``granted``, ``expired`` and ``voided`` came and went otherwise.
    What a dispute had taken and gave back is voided no more.
    ``reserved`` holds were begun, of which so many were ``committed``, ``released`` or ``lapsed``; one that was
    committed after it had lapsed counts as both.
    """

    calls: int = 0
    refunds: int = 0
    units: int = 0
    credits: int = 0
    short: int = 0
    money: int = 0
    granted: int = 0
    expired: int = 0
    voided: int = 0
    reserved: int = 0
    committed: int = 0
    released: int = 0
    lapsed: int = 0

    def plus(self, other: "Figures") -> "Figures":
        """Add figures."""
        return Figures(*map(sum, zip(self, other, strict=True)))


class Window(NamedTuple):
    """Where units are billed: a meter, or a spend meter whose units are money, and the start of a window in seconds."""

    meter: str
    start: int


class Folded(NamedTuple):
    """What entries add up to: figures by day, and what is billed by window, since billing periods end within days."""

    figures: dict[Key, Figures]
    windows: dict[Window, int]


def whole(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return entries up to where they can be cut: a refund is told by the entry behind it."""
    return entries[:-1] if entries and entries[-1].kind == "refund" else entries


def folded(entries: Iterable[Entry], find: Find) -> Folded:
    """Add up a tenant's entries, all of them or a portion that was cut by :func:`whole`."""
    fold = _Fold(find)
    for each in booked(entries, find):
        if isinstance(each, Booked):
            fold.call(each)
            fold.moved(each.entry)
        else:
            fold.moved(each)
            fold.hold(each)
    figures = {key: found for key, found in fold.figures.items() if any(found)}
    return Folded(figures, {window: number for window, number in fold.windows.items() if number})


class _Fold:
    def __init__(self, find: Find) -> None:
        self.figures: dict[Key, Figures] = {}
        self.windows: dict[Window, int] = {}
        self._find = find

    def call(self, call: Booked) -> None:
        """Count a call or a refund: itself, its units, and what was charged for it."""
        day, kind = call.entry.at // _DAY, call.entry.kind
        tool = "" if call.units and all(units.meter == call.tool for units in call.units) else call.tool
        self._add(
            Key(day, tool),
            Figures(
                calls=call.calls,
                refunds=int(kind == "refund"),
                credits=call.credits,
                short=call.short,
                committed=int(kind == "commit"),
            ),
        )
        for units in (*call.units, *call.spent):
            if units.owed:
                continue
            if not units.meter.startswith(SPEND):
                self._add(Key(day, tool, units.meter), Figures(units=units.number))
            else:
                self._add(Key(day, tool, "", units.meter.removeprefix(SPEND)), Figures(money=units.number))
            if units.window is not None:
                window = Window(units.meter, units.window)
                self.windows[window] = self.windows.get(window, 0) + units.number

    def moved(self, entry: Entry) -> None:
        """Count credits that came in, ran out or were taken away, whatever entry they stand in."""
        granted = expired = voided = 0
        for source, target, amount in entry.transfers:
            granted += amount * (source == "granted")
            expired += amount * (target == "expired")
            voided += amount * ((target == "voided") - (source == "voided"))
        if granted or expired or voided:
            self._add(Key(entry.at // _DAY, ""), Figures(granted=granted, expired=expired, voided=voided))

    def hold(self, entry: Entry) -> None:
        """Count a reservation that begins, or ends without a call."""
        day = entry.at // _DAY
        if entry.kind == "reserve":
            self._add(Key(day, entry.answer[0][0]), Figures(reserved=1))
        elif entry.kind in _ENDS:
            hold = entry.answer["hold"]
            if not hold.startswith(LEASE):
                begun = self._find(hold)
                tool = begun.answer[0][0] if begun is not None else ""
                self._add(Key(day, tool), Figures()._replace(**{_ENDS[entry.kind]: 1}))

    def _add(self, key: Key, figures: Figures) -> None:
        before = self.figures.get(key)
        self.figures[key] = figures if before is None else before.plus(figures)
