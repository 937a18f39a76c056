"""Entries added up: what came into every lot, left it, is held, was counted and handed over, by the entries alone."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from reconciler.ledger.entry import GENESIS, Entry, Transfer


class FoldedLot:
    """A lot by its transfers; ``spent`` is what was not given back of what it paid."""

    __slots__ = ("expired", "granted", "remaining", "spent", "voided")

    def __init__(self) -> None:
        self.granted = self.remaining = self.spent = self.expired = self.voided = 0

    def __repr__(self) -> str:
        return ", ".join(f"{name} {getattr(self, name)}" for name in self.__slots__)


class Fold:
    """Every account of one tenant. ``holds`` are amounts by hold and lot, ``used`` units by meter and window.

    ``sent`` are units by meter, window and the number of the entry that handed them over.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.head = GENESIS
        self.lots: dict[str, FoldedLot] = {}
        self.holds: dict[str, dict[str, int]] = {}
        self.used: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.sent: defaultdict[tuple[str, int, int], int] = defaultdict(int)

    def enter(self, entry: Entry) -> Iterator[str]:
        """Add an entry, and yield what it cannot mean: unknown ways, amounts below one, more than there is."""
        try:
            transfers = entry.transfers
        except (ValueError, TypeError, LookupError):
            yield "its body cannot be read"
            return
        for transfer in transfers:
            what = self._transfer(entry.seq, transfer)
            if what is not None:
                yield f"{transfer.amount} from {transfer.source} to {transfer.target}: {what}"

    def _transfer(self, seq: int, transfer: Transfer) -> str | None:
        source, _, out_of = str(transfer.source).partition(":")
        target, _, into = str(transfer.target).partition(":")
        amount: Any = transfer.amount
        if type(amount) is not int or amount <= 0:
            return "no amount"
        way = self._WAYS.get((source, target))
        if way is None:
            return "no such way"
        try:
            return way(self, seq, out_of, into, amount)
        except ValueError:
            return "no such window"

    def _grant(self, _seq: int, _from: str, lot: str, amount: int) -> str | None:
        if lot in self.lots:
            return "granted before"
        self.lots[lot] = folded = FoldedLot()
        folded.granted = folded.remaining = amount
        return None

    def _spend(self, _seq: int, lot: str, _to: str, amount: int) -> str | None:
        return self._leave(lot, "spent", amount)

    def _expire(self, _seq: int, lot: str, _to: str, amount: int) -> str | None:
        return self._leave(lot, "expired", amount)

    def _void(self, _seq: int, lot: str, _to: str, amount: int) -> str | None:
        return self._leave(lot, "voided", amount)

    def _unvoid(self, _seq: int, _from: str, lot: str, amount: int) -> str | None:
        """Give back what was taken back, as after a dispute that was won."""
        folded = self.lots.get(lot)
        if folded is None or folded.voided < amount:
            return "more than was taken back"
        folded.voided -= amount
        folded.remaining += amount
        return None

    def _leave(self, lot: str, where: str, amount: int) -> str | None:
        folded = self.lots.get(lot)
        if folded is None or folded.remaining < amount:
            return "more than there is"
        folded.remaining -= amount
        setattr(folded, where, getattr(folded, where) + amount)
        return None

    def _return(self, seq: int, _from: str, lot: str, amount: int) -> str | None:
        """Give back what was spent; to a lot nobody has heard of it is a grant."""
        folded = self.lots.get(lot)
        if folded is None:
            return self._grant(seq, "", lot, amount)
        if folded.spent < amount:
            return "more than it has paid"
        folded.spent -= amount
        folded.remaining += amount
        return None

    def _hold(self, _seq: int, lot: str, hold: str, amount: int) -> str | None:
        folded = self.lots.get(lot)
        if folded is None or folded.remaining < amount:
            return "more than there is"
        folded.remaining -= amount
        parts = self.holds.setdefault(hold, {})
        parts[lot] = parts.get(lot, 0) + amount
        return None

    def _draw(self, _seq: int, hold: str, _to: str, amount: int) -> str | None:
        """Spend of a hold, whose lots pay in the order they were set aside, each in transfers of its own."""
        parts = self.holds.get(hold, {})
        lot = next((lot for lot, left in parts.items() if left), None)
        if lot is None or parts[lot] < amount:
            return "more than is held"
        parts[lot] -= amount
        self.lots[lot].spent += amount
        return None

    def _drop(self, _seq: int, hold: str, lot: str, amount: int) -> str | None:
        parts = self.holds.get(hold, {})
        if parts.get(lot, 0) < amount:
            return "more than is held"
        parts[lot] -= amount
        self.lots[lot].remaining += amount
        return None

    def _count(self, _seq: int, _from: str, used: str, amount: int) -> None:
        self.used[_window(used)] += amount

    def _uncount(self, _seq: int, used: str, _to: str, amount: int) -> None:
        self.used[_window(used)] -= amount

    def _settle(self, _seq: int, _from: str, _to: str, _amount: int) -> None:
        """Units that were paid for otherwise, or are owed back as money, end where they are counted."""

    def _send(self, seq: int, used: str, _to: str, amount: int) -> str | None:
        return self._hand_over(seq, used, amount)

    def _unsend(self, seq: int, _from: str, used: str, amount: int) -> str | None:
        return self._hand_over(seq, used, -amount)

    def _hand_over(self, seq: int, used: str, units: int) -> str | None:
        """Hand over a window, all of it."""
        window = _window(used)
        if self.used[window] != units:
            return f"the window has {self.used[window]}"
        self.used[window] = 0
        self.sent[*window, seq] += units
        return None

    _WAYS: ClassVar[dict[tuple[str, str], Callable[["Fold", int, str, str, int], str | None]]] = {
        ("granted", "lot"): _grant,
        ("lot", "spent"): _spend,
        ("lot", "expired"): _expire,
        ("lot", "voided"): _void,
        ("voided", "lot"): _unvoid,
        ("lot", "held"): _hold,
        ("held", "spent"): _draw,
        ("held", "lot"): _drop,
        ("spent", "lot"): _return,
        ("metered", "used"): _count,
        ("used", "metered"): _uncount,
        ("metered", "settled"): _settle,
        ("settled", "metered"): _settle,
        ("owed", "metered"): _settle,
        ("metered", "owed"): _settle,
        ("used", "sent"): _send,
        ("sent", "used"): _unsend,
    }


def _window(name: str) -> tuple[str, int]:
    meter, _, start = name.rpartition("@")
    return meter, int(start)
