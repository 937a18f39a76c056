"""Leases: a process borrows many equal calls at once and decides them by itself; a journal says what it has used.

Gray and Cheriton, *Leases*, SOSP 1989: the term bounds what a dead holder keeps from the others.
"""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reconciler.ledger.journal import JournalFile


class Slice:
    """So many calls of one tool of one tenant that may be made without asking; ``hold`` is what backs them.

    ``until`` is the instant of the monotonic clock from which it may not be used any more; ``since`` when it was
    borrowed, by the store's clock.
    """

    __slots__ = (
        "answer",
        "ended",
        "hold",
        "keys",
        "left",
        "lock",
        "name",
        "noted",
        "noted_keys",
        "since",
        "size",
        "tenant",
        "until",
    )

    def __init__(self, tenant: str, name: str, hold: str, size: int, answer: Any, until: float, since: int) -> None:
        self.tenant = tenant
        self.name = name
        self.hold = hold
        self.size = size
        self.answer = answer
        self.until = until
        self.since = since
        self.left = size
        self.lock = threading.Lock()
        self.keys: list[tuple[str, str]] = []
        self.noted = self.noted_keys = 0
        self.ended = False

    def take(self, key: str | None, digest: str) -> bool:
        """Use one call, under a key or without; false where none is left."""
        with self.lock:
            if self.left <= 0:
                return False
            self.left -= 1
            if key is not None:
                self.keys.append((key, digest))
            return True

    def end(self) -> bool:
        """Let no more calls be used; false where that was so before."""
        with self.lock:
            if self.ended:
                return False
            self.ended = True
            self.size -= self.left
            self.left = 0
            return True

    @property
    def used(self) -> int:
        """The calls that were used."""
        return self.size - self.left


class Unsettled(NamedTuple):
    """What a dead holder's journal says of a slice it did not settle."""

    tenant: str
    name: str
    hold: str
    used: int
    keys: list[tuple[str, str]]


class LeaseJournal:
    """What a process has borrowed and used. With ``sync`` every note is on the disk before it counts as made."""

    def __init__(self, directory: Path, kind: str, *, sync: bool = False) -> None:
        self._sync = sync
        self._file = JournalFile(directory, kind)
        self._open: set[str] = set()
        self._turn = threading.Lock()

    def opened(self, slice_: Slice) -> None:
        """Note a slice before its first call is used."""
        with self._turn:
            note = {"open": slice_.hold, "tenant": slice_.tenant, "name": slice_.name}
            self._file.append([note], sync=self._sync)
            self._open.add(slice_.hold)

    def note(self, slices: Sequence[Slice]) -> None:
        """Note what was used of slices since the last time; what could not be written is noted the next time."""
        with self._turn:
            notes, noted = [], []
            for each in slices:
                with each.lock:
                    used, known = each.used, len(each.keys)
                if (used, known) == (each.noted, each.noted_keys):
                    continue
                fresh = [list(key) for key in each.keys[each.noted_keys : known]]
                notes.append({"used": used, "of": each.hold, "keys": fresh})
                noted.append((each, used, known))
            if notes:
                self._file.append(notes, sync=self._sync)
            for each, used, known in noted:
                each.noted, each.noted_keys = used, known

    def settled(self, slice_: Slice) -> None:
        """Note that the ledger has what was used; a journal with nothing open begins anew."""
        with self._turn:
            self._open.discard(slice_.hold)
            if self._open:
                self._file.append([{"settled": slice_.hold}], sync=self._sync)
            else:
                self._file.clear()

    def close(self) -> None:
        """Remove the journal, or leave it to the next process where something is not settled."""
        if self._open:
            self._file.leave()
        else:
            self._file.remove()


def unsettled(notes: Iterable[dict[str, Any]]) -> list[Unsettled]:
    """Return the slices that notes open and do not settle."""
    found: dict[str, Unsettled] = {}
    for note in notes:
        if "open" in note:
            found[note["open"]] = Unsettled(note["tenant"], note["name"], note["open"], 0, [])
        elif "used" in note and note["of"] in found:
            before = found[note["of"]]
            keys = [*before.keys, *((key, digest) for key, digest in note["keys"])]
            found[note["of"]] = before._replace(used=max(before.used, note["used"], len(keys)), keys=keys)
        elif "settled" in note:
            found.pop(note["settled"], None)
    return list(found.values())
