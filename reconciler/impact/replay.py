"""What a catalogue lets through of the calls that were made, one after the other, and what those are paid from.

The book is in memory and nothing is entered; the decisions are those of :mod:`reconciler.entitlements`.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from reconciler.entitlements.books import count_in, settle
from reconciler.entitlements.decision import Reason
from reconciler.entitlements.kinds.bounds import Ask
from reconciler.entitlements.terms import DIRECT, Call, Terms, blocks_of
from reconciler.entitlements.weigh import Verdict, weigh
from reconciler.impact.side import Side
from reconciler.impact.used import Granted, Opening, Recorded, Reversed, Subscribed, Used, Voided
from reconciler.ledger.book import Book, Lot
from reconciler.pricing.calls import Made
from reconciler.pricing.lines import Usage


class Replay:
    """One tenant under one catalogue through a month."""

    def __init__(self, side: Side, tenant: str, recorded: Recorded, base: Side) -> None:
        self.side = side
        self._base = base
        self._tenant = side.tenant(tenant)
        self._start = recorded.start
        self.subscription = side.subscription(recorded.subscription)
        self.terms = side.terms(self._tenant, self.subscription)
        self._moves = _moves(self.terms)
        self.book = Book(self._tenant)
        self._lots: dict[str, Sequence[Any]] = {}
        self.units: dict[str, Decimal | int] = {}
        self.made: list[Made] = []
        self.unknown: set[tuple[str, str]] = set()
        self.coarse: set[str] = set()

    def open(self, opening: Opening, counters: Mapping[str, list[int]], cells: Mapping[str, int]) -> None:
        """Begin with a book as it was at the start of the month; counters and cells are those of the calls before."""
        facts: dict[str, Any] = {"granted": opening.granted}
        if opening.month is not None:
            facts["month"] = opening.month
        self._lots = {lot[0]: lot for lot in opening.lots}
        state: dict[str, Any] = {"at": 0, "resets_at": None, "lots": opening.lots, "holds": [], "used": {}}
        state |= {"facts": facts, "counters": counters, "cells": cells}
        self.book = Book.load(self._tenant, 0, b"", json.dumps(state))

    def happen(self, event: Granted | Voided | Reversed | Subscribed) -> None:
        """Let something happen to the book that is no call."""
        if isinstance(event, Subscribed):
            self.subscription = self.side.subscription(event.subscription)
            self.terms = self.side.terms(self._tenant, self.subscription)
            self._moves = _moves(self.terms)
            self.book.remind(None)
            return
        settle(self.book, self.terms, event.at)
        if isinstance(event, Granted):
            self._lots[event.lot[0]] = event.lot
            self.book.grant(Lot(*event.lot))
        elif isinstance(event, Reversed):
            for name, claim in event.lots:
                self._claim(name, claim, event.at)
        else:
            for name in event.lots:
                if (lot := self.book.lots.get(name)) is not None:
                    self.book.write_off(lot, "voided")
        self.book.discard()

    def _claim(self, name: str, claim: int, now: int) -> None:
        """Take a share of a lot back, or give it back to the lot as it was granted."""
        if claim > 0:
            self.book.claim(name, claim)
        elif name in self._lots:
            lot = self.book.lots.get(name)
            if lot is None:
                lot = Lot(*self._lots[name])
                lot.remaining = 0
            self.book.unclaim(lot, -claim, "expired" if lot.expires is not None and lot.expires <= now else "")

    def adopt(self, twin: "Replay") -> None:
        """Take over what another catalogue let through that decides by the same facts."""
        self.units, self.made = twin.units, twin.made

    def call(self, used: Used) -> tuple[int, Reason | None]:
        """Decide equal calls one after the other; return how many are allowed, and why the others are not."""
        now = self._start if used.at is None else used.at
        if self._moves or self.book.due is not None:
            settle(self.book, self.terms, now)
        if not used.tool:
            return self._direct(used, now)
        call = self._terms_of(used.tool, single=used.single)
        blocks = blocks_of(call.tool.quantity, used.quantity)
        if call.plain is not None and not used.units:
            return self._some(call, now, Ask(1, blocks, call.plain.units), used.calls, used)
        allowed, why = 0, None
        for number, units in self._shared(call, used):
            done, reason = self._some(call, now, Ask(1, blocks, units), number, used)
            allowed += done
            why = why or reason
        return allowed, why

    def _direct(self, used: Used, now: int) -> tuple[int, Reason | None]:
        ((meter, number),) = used.units
        if self._keeps_last(meter):
            self.units[meter] = number
            return used.calls, None
        call = self._terms_of(meter, meter=True, single=used.single)
        each = number if used.single else 1
        return self._some(call, now, Ask(1, each, ((meter, each),)), used.calls, used)

    def _keeps_last(self, meter: str) -> bool:
        """Tell whether the service reports a meter's value itself: it is never counted nor refused."""
        found = self.side.file.meters.get(meter)
        return found is not None and found.aggregation == "last"

    def _some(self, call: Call, now: int, ask: Ask, number: int, used: Used) -> tuple[int, Reason | None]:
        """Decide so many equal calls at one instant.

        What cannot be paid from a source, or is refused, stays so for all that follow: so the next number that is paid
        alike is looked for, and not every call.
        """
        done = 0
        while done < number:
            many = left = number - done
            whole = ask if left == 1 else ask.many(left)
            verdict = weigh(call, self.book, now, whole)
            if left > 1 and not _first_pays(call, verdict):
                verdict = weigh(call, self.book, now, ask)
                if verdict.refusal is None:
                    many, verdict = self._alike(call, now, ask, left, verdict)
                    whole = ask.many(many)
            if verdict.refusal is not None:
                return done, verdict.refusal.reason
            self._take(verdict, whole, many, used)
            done += many
        return done, None

    def _alike(self, call: Call, now: int, ask: Ask, most: int, one: Verdict) -> tuple[int, Verdict]:
        """Return the largest number of calls that can be made at once and are all paid as the first one is."""
        payer = one.payment.payer if one.payment else None
        low, high, best = 1, most + 1, one
        while high - low > 1:
            middle = most if high > most else (low + high) // 2
            verdict = weigh(call, self.book, now, ask.many(middle))
            if verdict.refusal is None and (verdict.payment.payer if verdict.payment else None) is payer:
                low, best = middle, verdict
            else:
                high = middle
        return low, best

    def _take(self, verdict: Verdict, ask: Ask, number: int, used: Used) -> None:
        """Change the book by calls that are allowed, and note what an invoice will have of them."""
        count_in(self.book, verdict)
        payment = verdict.payment
        if payment is None:
            return
        if payment.credits:
            self.book.spend(payment.credits)
            self.book.discard()
        if payment.by == "usage":
            for meter, units in ask.units:
                self.units[meter] = self.units.get(meter, 0) + units
        elif payment.by == "per_call":
            self.made.append(Made(used.tool, number, used.quantity))

    def _shared(self, call: Call, used: Used) -> list[tuple[int, tuple[tuple[str, int], ...]]]:
        """Share the units of calls out evenly, one more for the first ones where they are not even: numbers and units.

        A tool that counts a fixed number counts what was recorded as long as the files have the same number as before.
        """
        known = dict(used.units)
        whole: list[tuple[str, int, int]] = []
        for meter, counted in call.meters:
            if isinstance(counted, int) and (meter not in known or self._base.counted(used.tool, meter) != counted):
                whole.append((meter, counted, 0))
                continue
            if meter not in known and counted != DIRECT and self._matters(meter):
                self.unknown.add((used.tool, meter))
            each, rest = divmod(known.get(meter, 0), used.calls)
            whole.append((meter, each, rest))
        bounds = sorted({used.calls, *(rest for _, _, rest in whole if rest)})
        found, before = [], 0
        for bound in bounds:
            units = tuple((meter, each + (before < rest)) for meter, each, rest in whole)
            found.append((bound - before, units))
            before = bound
        return found

    def _matters(self, meter: str) -> bool:
        return meter in self.terms.lines or any(limit.of == meter for limit in self.terms.limits)

    def _terms_of(self, name: str, *, meter: bool = False, single: bool) -> Call:
        """Return the terms of a call; of a sum without what only the instants of its calls could tell."""
        if single:
            return self.terms.call(name, meter=meter)
        call, left_out = self.side.summed(self.terms, name, meter=meter)
        self.coarse |= left_out
        return call

    def usage(self) -> Usage:
        """Return what an invoice of the month is made from."""
        return Usage(self.units, self.made)


def _first_pays(call: Call, verdict: Verdict) -> bool:
    """Tell whether calls are paid from the first source, together and so each of them, or by the plan itself."""
    if verdict.refusal is not None:
        return False
    return verdict.payment is None or verdict.payment.payer is call.payers[0]


def _moves(terms: Terms) -> bool:
    """Tell whether a book can change by itself though nothing in it says when: credits of months and of files."""
    tenant = terms.standing.tenant
    return terms.credit_terms is not None or bool(tenant is not None and tenant.grants)
