"""The book of one tenant: everything a decision needs, changed only together with the entry that says why.

A book is pure state: no input or output, no clock. Stores load it, run jobs on it and save it with its new entries in
one transaction.
"""

import json
from bisect import insort
from typing import Any

from reconciler.ledger.entry import GENESIS, MAX_AMOUNT, Entry, encode, seal

#: Sorts behind every instant: a lot that never expires is spent last.
NEVER = 2**63
#: Lots are spent by priority first: 0 before 100 (as Stripe orders its credit grants).
PRIORITY = 50


class Lot:
    """Credits that came together: ``granted`` of them, ``remaining`` to spend; unusable from ``expires`` on."""

    __slots__ = ("created", "expires", "granted", "id", "priority", "reason", "remaining")

    def __init__(
        self,
        id: str,  # noqa: A002  the word for it everywhere
        granted: int,
        remaining: int,
        priority: int,
        expires: int | None,
        created: int,
        reason: str,
    ) -> None:
        self.id = id
        self.granted = granted
        self.remaining = remaining
        self.priority = priority
        self.expires = expires
        self.created = created
        self.reason = reason

    def order(self) -> tuple[int, int, int, str]:
        """Return the place in the order of spending: priority, expiry, age, id."""
        return self.priority, NEVER if self.expires is None else self.expires, self.created, self.id

    def __lt__(self, other: "Lot") -> bool:
        return self.order() < other.order()

    def dump(self) -> list[Any]:
        """Return the lot as JSON values, in the order of the constructor."""
        return [self.id, self.granted, self.remaining, self.priority, self.expires, self.created, self.reason]


class Hold:
    """Credits set aside until committed, released or past ``expires``; ``terms`` belong to whoever holds.

    ``parts`` are lot and amount, and where the lot went if it is gone: ``expired`` or ``voided``.
    """

    __slots__ = ("expires", "id", "parts", "terms")

    def __init__(self, id: str, expires: int, parts: list[list[Any]], terms: Any) -> None:  # noqa: A002
        self.id = id
        self.expires = expires
        self.parts = parts
        self.terms = terms

    @property
    def amount(self) -> int:
        """Credits held, in millionths."""
        return sum(part[1] for part in self.parts)

    def dump(self) -> list[Any]:
        """Return the hold as JSON values, in the order of the constructor."""
        return [self.id, self.expires, self.parts, self.terms]


class Book:
    """A tenant's lots, holds, counters, rate cells and unexported units.

    ``counters`` hold ``[start of period, used]``; ``cells`` theoretical arrival times; ``used`` units by meter and
    window; ``claims`` what is still to be taken back of a lot, once it comes back to it; ``facts`` what the rooms above
    keep about a tenant. ``resets_at`` is when something recurring is due next, ``due`` the earliest instant at which
    anything happens by itself: a lot or hold expires, a period begins.
    """

    __slots__ = (
        "_emptied",
        "_transfers",
        "at",
        "cells",
        "claims",
        "counters",
        "credits",
        "due",
        "exports",
        "facts",
        "fresh",
        "head",
        "holds",
        "lots",
        "order",
        "resets_at",
        "seq",
        "tenant",
        "used",
    )

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.seq = 0
        self.at = 0
        self.head = GENESIS
        self.lots: dict[str, Lot] = {}
        self.order: list[Lot] = []
        self.credits = 0
        self.holds: dict[str, Hold] = {}
        self.counters: dict[str, list[int]] = {}
        self.cells: dict[str, int] = {}
        self.used: dict[str, dict[int, int]] = {}
        self.facts: dict[str, Any] = {}
        self.claims: dict[str, int] = {}
        self.resets_at: int | None = None
        self.fresh: list[Entry] = []
        self.exports: list[tuple[str, int, int, int]] = []
        self._transfers: list[str | int] = []
        self._emptied = False
        self.due: int | None = None

    @classmethod
    def load(cls, tenant: str, seq: int, head: bytes, text: str) -> "Book":
        """Read a book that :meth:`dump` wrote."""
        state = json.loads(text)
        book = cls(tenant)
        book.seq, book.head, book.at, book.resets_at = seq, head, state["at"], state["resets_at"]
        book.order = order = sorted([Lot(*values) for values in state["lots"]])
        book.lots = {lot.id: lot for lot in order}
        left = [lot.remaining for lot in order]
        book.credits, book._emptied = sum(left), 0 in left
        book.holds = {values[0]: Hold(*values) for values in state["holds"]}
        book.counters, book.cells, book.facts = state["counters"], state["cells"], state["facts"]
        book.claims = state.get("claims", {})
        book._wake()
        book.used = {
            meter: {int(start): units for start, units in held.items()} for meter, held in state["used"].items()
        }
        return book

    def dump(self) -> str:
        """Write everything but tenant, number and hash, which are columns of their own."""
        return encode(
            {
                "at": self.at,
                "resets_at": self.resets_at,
                "lots": [lot.dump() for lot in self.order],
                "holds": [hold.dump() for hold in self.holds.values()],
                "counters": self.counters,
                "cells": self.cells,
                "used": self.used,
                "facts": self.facts,
                **({"claims": self.claims} if self.claims else {}),
            }
        )

    def copy(self) -> "Book":
        """Return a book of its own with the same content."""
        return Book.load(self.tenant, self.seq, self.head, self.dump())

    @property
    def held(self) -> int:
        """Credits in holds, in millionths."""
        return sum(hold.amount for hold in self.holds.values())

    def remind(self, at: int | None) -> None:
        """Say when something recurring is due next."""
        if at != self.resets_at:
            self.resets_at = at
            self._wake()

    def _wake(self) -> None:
        instants = [lot.expires for lot in self.order if lot.expires is not None]
        instants += [hold.expires for hold in self.holds.values()]
        if self.resets_at is not None:
            instants.append(self.resets_at)
        self.due = min(instants, default=None)

    @property
    def unsent(self) -> int | None:
        """The earliest window, in seconds, with units that were not handed to the export."""
        return min((start for windows in self.used.values() for start in windows), default=None)

    def grant(self, lot: Lot) -> None:
        """Bring credits in as a new lot; ValueError where 64 bits could not hold the sum or the id is taken."""
        if (
            lot.id in self.lots
            or not 0 < lot.granted == lot.remaining
            or self.credits + self.held + lot.granted > MAX_AMOUNT
        ):
            raise ValueError(f"lot {lot.id!r} cannot be granted")
        self._add(lot)
        self._transfers += ["granted", f"lot:{lot.id}", lot.granted]

    def spend(self, amount: int) -> list[list[Any]]:
        """Take credits from the lots in their order and return the parts; the caller has checked that they suffice."""
        return self._take(amount, "spent")

    def hold(self, id: str, amount: int, expires: int, terms: Any) -> Hold:  # noqa: A002
        """Set credits aside, possibly none, under an id that is not held yet."""
        if id in self.holds:
            raise ValueError(f"{id!r} is held already")
        parts = self._take(amount, f"held:{id}") if amount else []
        self.holds[id] = hold = Hold(id, expires, parts, terms)
        self._wake()
        return hold

    def draw(self, hold: Hold, amount: int) -> list[list[Any]]:
        """Spend part of a hold, in the order of its lots, and return the parts; it goes on with the rest."""
        if not 0 <= amount <= hold.amount:
            raise ValueError(f"{hold.id!r} does not hold {amount}")
        parts = []
        for part in hold.parts:
            used = min(part[1], amount)
            if used:
                part[1] -= used
                amount -= used
                self._transfers += [f"held:{hold.id}", "spent", used]
                parts.append([part[0], used])
        return parts

    def drop(self, hold: Hold, spent: int) -> list[list[Any]]:
        """End a hold: spend so much of it, give back the rest, and return what was spent."""
        parts = self.draw(hold, spent)
        for lot, left, *gone in hold.parts:
            if left and gone:
                self._transfers += [f"held:{hold.id}", f"lot:{lot}", left, f"lot:{lot}", gone[0], left]
            elif left:
                self._give(f"held:{hold.id}", lot, left)
        del self.holds[hold.id]
        self._wake()
        return parts

    def give_back(self, lot: Lot, amount: int) -> int:
        """Return spent credits to a lot, and how many of them stay there: what is claimed goes on to ``voided``.

        One that was used up, or is new for this, stands in the book again, empty.
        """
        if lot.id not in self.lots:
            self._add(lot)
        return self._give("spent", lot.id, amount)

    def claim(self, lot_id: str, amount: int) -> int:
        """Take so many credits back out of a lot into ``voided``, as far as they are there; return how many were.

        The rest is taken of what comes back to the lot later, from holds and refunds of calls.
        """
        lot = self.lots.get(lot_id)
        left = min(amount, lot.remaining) if lot is not None else 0
        if lot is not None and left:
            lot.remaining -= left
            self.credits -= left
            self._emptied = self._emptied or not lot.remaining
            self._transfers += [f"lot:{lot_id}", "voided", left]
        if amount > left:
            self.claims[lot_id] = self.claims.get(lot_id, 0) + amount - left
        return left

    def unclaim(self, lot: Lot, amount: int, gone: str = "") -> int:
        """Take so much of a claim back, first what was never taken; return how many credits the lot got of it.

        To a lot that is ``gone`` since, as ``expired`` or ``voided``, they come back only to go the same way.
        """
        waiting = self.claims.pop(lot.id, 0)
        if waiting > amount:
            self.claims[lot.id] = waiting - amount
        back = max(0, amount - waiting)
        if back and gone:
            self._transfers += ["voided", f"lot:{lot.id}", back, f"lot:{lot.id}", gone, back]
            return 0
        if back:
            if lot.id not in self.lots:
                self._add(lot)
            self._give("voided", lot.id, back)
        return back

    def write_off(self, lot: Lot, target: str) -> int:
        """Empty a lot into ``expired`` or ``voided`` and forget it; return what was left.

        What holds have of it may still be spent; what they give back goes the same way as the rest of the lot.
        """
        left = lot.remaining
        if left:
            self._transfers += [f"lot:{lot.id}", target, left]
        for hold in self.holds.values():
            for part in hold.parts:
                if part[0] == lot.id:
                    part[2:] = [target]
        self.credits -= left
        lot.remaining = 0
        self._forget(lot)
        return left

    def use(self, meter: str, window: int, units: int, *, billed: bool = True) -> None:
        """Count units of a meter in a window, or take back so many below zero.

        Those that are not ``billed`` were paid for otherwise: they are counted and settled at once, not exported.
        """
        if billed:
            windows = self.used.setdefault(meter, {})
            windows[window] = total = windows.get(window, 0) + units
            if not -MAX_AMOUNT <= total <= MAX_AMOUNT:
                raise ValueError(f"{total} of {meter!r} in a window are more than 64 bits hold")
        source, target = f"metered:{meter}", f"used:{meter}@{window}" if billed else f"settled:{meter}"
        self._transfers += (source, target, units) if units > 0 else (target, source, -units)

    def owe(self, meter: str, window: int, units: int) -> None:
        """Count units as used no more that were billed for good: what they cost in their window is owed back."""
        source, target = f"owed:{meter}@{window}", f"metered:{meter}"
        self._transfers += [source, target, units] if units > 0 else [target, source, -units]

    def export(self, meter: str, window: int) -> None:
        """Hand the units of a window over; the entry that is written next names them."""
        units = self.used[meter].pop(window)
        if not self.used[meter]:
            del self.used[meter]
        source, target = f"used:{meter}@{window}", f"sent:{meter}@{window}"
        if units:
            self._transfers += [source, target, units] if units > 0 else [target, source, -units]
            self.exports.append((meter, window, self.seq + 1, units))

    def enter(self, kind: str, now: int, answer: Any, key: str | None = None, digest: str = "") -> Entry:
        """Write what happened since the last entry as one entry, with the answer its caller gets."""
        self.seq = seq = self.seq + 1
        self.at = max(self.at, now)
        body = encode([self._transfers, answer])
        self._transfers = []
        if self._emptied and not self.holds:
            self._forget_empty()
        self.head = head = seal(self.head, self.tenant, seq, now, kind, key, digest, body)
        entry = tuple.__new__(Entry, (self.tenant, seq, now, kind, key, digest, body, head))
        self.fresh.append(entry)
        return entry

    def discard(self) -> None:
        """Let what happened since the last entry go without one: for a book that nobody stores."""
        self._transfers = []
        if self._emptied and not self.holds:
            self._forget_empty()

    def saved(self) -> None:
        """Forget the entries and exports a store has written."""
        self.fresh = []
        self.exports = []

    def _add(self, lot: Lot) -> None:
        self.lots[lot.id] = lot
        insort(self.order, lot)
        self.credits += lot.remaining
        if lot.expires is not None:
            self._wake()

    def _forget_empty(self) -> None:
        """Drop lots that are used up; none of them can get credits back but by :meth:`give_back`."""
        self._emptied = False
        for lot in [lot for lot in self.order if not lot.remaining]:
            self._forget(lot)

    def _forget(self, lot: Lot) -> None:
        del self.lots[lot.id]
        self.order.remove(lot)
        if lot.expires is not None:
            self._wake()

    def _take(self, amount: int, target: str) -> list[list[Any]]:
        """Move credits out of the lots, in their order; ValueError, with nothing moved, where they do not suffice."""
        if not 0 < amount <= self.credits:
            raise ValueError(f"{self.tenant!r} does not have {amount}")
        self.credits -= amount
        parts = []
        for lot in self.order:
            part = min(lot.remaining, amount)
            if part:
                lot.remaining -= part
                amount -= part
                parts.append([lot.id, part])
                self._transfers += (f"lot:{lot.id}", target, part)
                if not lot.remaining:
                    self._emptied = True
                if not amount:
                    break
        return parts

    def _give(self, account: str, lot_id: str, amount: int) -> int:
        """Put credits into a lot and return how many stay: what is claimed of it is taken at once."""
        lot = self.lots[lot_id]
        lot.remaining += amount
        self.credits += amount
        self._transfers += [account, f"lot:{lot_id}", amount]
        claimed = self.claims.pop(lot_id, 0)
        return amount - self.claim(lot_id, claimed) if claimed else amount
