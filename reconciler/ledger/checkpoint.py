"""Checkpoints: what the entries up to one add up to, so that those of calls may leave the ledger for an archive.

An entry of kind ``checkpoint`` names the last entry of what was archived, its hash, and digests of the sums, of the
entries that stayed and of the archive. It is chained as any other entry: nobody changes what it says without changing
everything behind it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from reconciler.ledger.annex import AnnexStore
from reconciler.ledger.base import Export
from reconciler.ledger.entry import GENESIS, Entry, encode, seal
from reconciler.ledger.fold import Fold, FoldedLot

KIND = "checkpoint"
#: Digests are added up modulo this: the order they come in does not matter.
_ALL = 1 << 256
_ASK = "SELECT seq, head, at, state FROM checkpoint WHERE tenant = ?"


class Handed(NamedTuple):
    """Exports as a number and the sum of their digests."""

    number: int = 0
    total: int = 0

    def plus(self, meter: str, window: int, seq: int, units: int) -> "Handed":
        """Return it with one export more."""
        digest = hashlib.sha256(encode([meter, window, seq, units]).encode()).digest()
        return Handed(self.number + 1, (self.total + int.from_bytes(digest)) % _ALL)


class Checkpoint(NamedTuple):
    """The entry ``seq`` and its hash; ``at`` is the latest instant up to it, ``state`` what all up to it add up to."""

    seq: int
    head: bytes
    at: int
    state: str

    def fold(self) -> Fold:
        """Return the sums, to go on with from here."""
        fold, found = Fold(), json.loads(self.state)
        fold.seq, fold.head = self.seq, self.head
        for name, values in found["lots"].items():
            fold.lots[name] = lot = FoldedLot()
            lot.granted, lot.remaining, lot.spent, lot.expired, lot.voided = values
        fold.holds = found["holds"]
        for meter, window, units in found["used"]:
            fold.used[meter, window] = units
        return fold

    def handed(self) -> Handed:
        """Return the exports up to here."""
        number, total = json.loads(self.state)["sent"]
        return Handed(number, int(total, 16))

    def answer(self, kept: bytes, archive: bytes, number: int) -> dict[str, Any]:
        """Return what the entry of a checkpoint says."""
        return {
            "seq": self.seq,
            "head": self.head.hex(),
            "at": self.at,
            "state": hashlib.sha256(self.state.encode()).hexdigest(),
            "kept": kept.hex(),
            "archive": archive.hex(),
            "archived": number,
        }


START = Checkpoint(0, GENESIS, 0, encode({"lots": {}, "holds": {}, "used": [], "sent": [0, "0"]}))


def checkpoint_key(seq: int) -> str:
    """Return the key of the entry that names the checkpoint behind an entry."""
    return f"~{KIND}:{seq}"


def checkpoint_of(fold: Fold, at: int, before: Handed) -> Checkpoint:
    """Return the checkpoint behind what was folded; ``before`` are the exports of the checkpoint it began at."""
    handed = before
    for (meter, window, seq), units in sorted(fold.sent.items()):
        handed = handed.plus(meter, window, seq, units)
    state = {
        "lots": {
            name: [lot.granted, lot.remaining, lot.spent, lot.expired, lot.voided]
            for name, lot in sorted(fold.lots.items())
        },
        "holds": {
            name: left
            for name, parts in sorted(fold.holds.items())
            if (left := {lot: amount for lot, amount in parts.items() if amount})
        },
        "used": [[*window, units] for window, units in sorted(fold.used.items()) if units],
        "sent": [handed.number, f"{handed.total:x}"],
    }
    return Checkpoint(fold.seq, fold.head, at, encode(state))


def exported(exports: Iterable[Export], last: int) -> Handed:
    """Return the exports of entries up to a number."""
    handed = Handed()
    for each in exports:
        if each.seq <= last:
            handed = handed.plus(each.meter, each.window, each.seq, each.units)
    return handed


def kept_digest(entries: Iterable[Entry]) -> bytes:
    """Return a digest of entries that stay, whatever stood between them."""
    found = GENESIS
    for entry in entries:
        found = seal(found, entry.tenant, entry.seq, entry.at, entry.kind, entry.key, entry.digest, entry.body)
    return found


def last_checkpoint(store: AnnexStore, tenant: str) -> Checkpoint | None:
    """Return the last checkpoint of a tenant, ``None`` where all its entries are in the ledger."""
    rows = store.ask(_ASK, (tenant,))
    return Checkpoint(rows[0][0], bytes.fromhex(rows[0][1]), *rows[0][2:]) if rows else None


def wrong(checkpoint: Checkpoint, kept: Iterable[Entry], said: Entry | None) -> Iterator[str]:
    """Yield what a checkpoint's own entry contradicts: where it stands, what it adds up to, what stayed before it."""
    if said is None:
        yield "no entry names it"
        return
    try:
        answer = said.answer
        right = checkpoint.answer(kept_digest(kept), bytes.fromhex(answer["archive"]), answer["archived"])
    except (ValueError, TypeError, LookupError):
        yield "its entry cannot be read"
        return
    for name, value in right.items():
        if answer.get(name) != value:
            yield f"its {name} is not what entry {said.seq} says"
