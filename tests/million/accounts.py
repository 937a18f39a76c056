"""Accounts added up from entries: every lot by itself, holds, and units; what cannot be is named."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from .reading import Row, Rows

#: What a lot's credits may become, and what is left of them.
FATES = ("spent", "expired", "voided", "remaining")


class Accounts:
    """One tenant's entries added up; ``lots`` by id, ``holds`` by id and lot, units by meter and window."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._head = bytes(32)
        self._seq = 0
        self.lots: dict[str, dict[str, int]] = {}
        self.holds: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self.units: defaultdict[str, int] = defaultdict(int)
        self.keys: dict[str, Row] = {}

    def enter(self, row: Row) -> Iterator[str]:
        """Add one entry, and yield what is wrong with it."""
        self._seq += 1
        text = f"{self._tenant}\n{row.seq}\n{row.at}\n{row.kind}\n{row.key or ''}\n{row.digest}\n{row.body}"
        self._head = hashlib.sha256(self._head + text.encode()).digest()
        if (row.seq, row.hash) != (self._seq, self._head):
            yield f"entry {row.seq} is not the one that follows {self._seq - 1}"
            self._seq, self._head = row.seq, row.hash
        if row.key is not None:
            if row.key in self.keys:
                yield f"the key {row.key} stands twice"
            self.keys[row.key] = row
        flat = json.loads(row.body)[0]
        for source, target, amount in zip(flat[0::3], flat[1::3], flat[2::3], strict=True):
            if type(amount) is not int or amount <= 0 or not self._moved(source, target, amount):
                yield f"entry {row.seq} moves {amount} from {source} to {target}, which is not there"

    def _moved(self, source: str, target: str, amount: int) -> bool:
        """Move an amount; false where it is not there, or goes where nothing goes."""
        out, _, gave = source.partition(":")
        into, _, got = target.partition(":")
        if out in {"metered", "used", "sent", "settled"}:
            self.units[source] -= amount
            self.units[target] += amount
            return into in {"metered", "used", "sent", "settled"}
        lot = self.lots.setdefault(got, {"granted": 0, "held": 0, **dict.fromkeys(FATES, 0)}) if into == "lot" else {}
        if out == "granted":
            if lot["granted"]:
                return False
            lot["granted"] = lot["remaining"] = amount
            return True
        if out == "lot" and gave in self.lots:
            return self._left(gave, into, got, amount)
        if out == "held":
            return self._given(gave, into, got, amount)
        if out == "spent" and into == "lot" and not lot["granted"]:
            # Renewed: what an expired lot had paid for comes back as another one.
            lot["granted"] = lot["remaining"] = amount
            return True
        if out == "spent" and into == "lot":
            lot["spent"] -= amount
            lot["remaining"] += amount
            return lot["spent"] >= 0
        return False

    def _left(self, gave: str, into: str, hold: str, amount: int) -> bool:
        lot = self.lots[gave]
        lot["remaining"] -= amount
        if into == "held":
            self.holds[hold][gave] = self.holds[hold].get(gave, 0) + amount
        lot[into] = lot.get(into, 0) + amount
        return lot["remaining"] >= 0 and into in {"held", "spent", "expired", "voided"}

    def _given(self, hold: str, into: str, lot: str, amount: int) -> bool:
        """Move out of a hold: back to a lot, or spent, the lots in the order they were set aside."""
        parts = self.holds.get(hold, {})
        taken = lot if into == "lot" else next((name for name, left in parts.items() if left), "")
        if parts.get(taken, 0) < amount:
            return False
        parts[taken] -= amount
        self.lots[taken]["held"] -= amount
        self.lots[taken]["remaining" if into == "lot" else "spent"] += amount
        return into in {"lot", "spent"}

    def closes(self, kept: Rows) -> Iterator[str]:
        """Compare what was added up with the book, its columns and the exports, and yield what differs."""
        book = kept.book
        for name, lot in self.lots.items():
            if lot["granted"] != lot["held"] + sum(lot[fate] for fate in FATES):
                yield f"lot {name} was granted {lot['granted']}, and became {lot}"
        remaining = {name: lot["remaining"] for name, lot in self.lots.items() if lot["remaining"]}
        if remaining != {lot[0]: lot[2] for lot in book["lots"] if lot[2]}:
            yield "the lots of the book are not those of the entries"
        parts = {(hold, lot): left for hold, lots in self.holds.items() for lot, left in lots.items() if left}
        if parts != {(hold[0], part[0]): part[1] for hold in book["holds"] for part in hold[2] if part[1]}:
            yield "the holds of the book are not those of the entries"
        if (kept.credits, kept.held) != (sum(remaining.values()), sum(parts.values())):
            yield "the columns are not the sums of lots and holds"
        if (kept.seq, kept.head) != (self._seq, self._head):
            yield "the book does not end where the entries do"
        yield from self._units_close(kept)

    def _units_close(self, kept: Rows) -> Iterator[str]:
        waiting = {name: units for name, units in self.units.items() if name.startswith("used:") and units}
        used: dict[str, dict[str, int]] = kept.book["used"]
        if waiting != {f"used:{m}@{start}": n for m, starts in used.items() for start, n in starts.items() if n}:
            yield "the units that wait in the book are not those of the entries"
        exported: defaultdict[str, int] = defaultdict(int)
        for meter, window, _, units, _ in kept.exports:
            exported[f"sent:{meter}@{window}"] += units
        handed: dict[str, Any] = {name: units for name, units in self.units.items() if name.startswith("sent:")}
        if {name: units for name, units in exported.items() if units} != {n: u for n, u in handed.items() if u}:
            yield "the units that were exported are not those that were handed over"
