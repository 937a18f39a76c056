"""While the ledger is away: refuse, or let through what a tool's ``on_error`` allows, noted and settled later."""

import hashlib
import threading
import uuid
from pathlib import Path
from typing import Any

from reconciler.entitlements.acts import Acts, Request, unknown
from reconciler.entitlements.books import OWN
from reconciler.entitlements.decision import Decision, Reason
from reconciler.entitlements.measure import ask_of
from reconciler.entitlements.steps import Steps, ask, carry_out
from reconciler.entitlements.terms import Terms
from reconciler.ledger.base import LedgerError, RefusedError, StoreUnavailableError
from reconciler.ledger.forking import watch
from reconciler.ledger.jobs import Outcome
from reconciler.ledger.journal import JournalFile, kind_of, orphans
from reconciler.ledger.ledger import Ledger

#: ``on_error`` of a tool whose every call is let through.
_ALL = -1
#: Kinds of entries whose answer begins with the decision of a call.
_CALLS = frozenset({"consume", "owed", "reserve"})


class _UnbookableError(Exception):
    """A note the ledger has no place for."""


class Degraded:
    """Calls one process lets through by their tools' rule, each on disk before it is answered."""

    def __init__(self, ledger: Ledger, acts: Acts, directory: Path) -> None:
        self._ledger = ledger
        self._acts = acts
        self._directory = directory
        self._kind = kind_of("degraded", ledger.store.identity)
        self._rejected_kind = kind_of("degraded-rejected", ledger.store.identity)
        self._begin()
        watch(self)

    def _begin(self) -> None:
        self._turn = threading.Lock()
        self._file: JournalFile | None = None
        self._notes: list[dict[str, Any]] = []
        self._let_through: dict[str, int] = {}

    def before_fork(self) -> None:
        """Go on: the copy takes nothing over."""

    def after_fork(self, *, child: bool) -> None:
        """Begin anew in a child: what was noted is the parent's to settle."""
        if child:
            self._begin()

    def let_through(self, terms: Terms, request: Request) -> Decision:
        """Answer a call without the ledger, and note it where it is let through."""
        decision = self.answer(terms, request)
        return self.note(terms, request) if decision.allowed else decision

    def answer(self, terms: Terms, request: Request) -> Decision:
        """Answer a call without the ledger: what access refuses is refused, the rest is up to the tool's rule."""
        call = terms.call(request.name, meter=request.meter)
        refusal = unknown(terms.tenant, request.name, terms.policy.revision)
        if call.refused is not None:
            return refusal._replace(reason=call.refused, source=call.source)
        ask_of(call, request.quantity, request.units)
        with self._turn:
            before = self._let_through.get(request.name, 0)
            if call.tool.on_error != _ALL and before >= call.tool.on_error:
                return refusal
            self._let_through[request.name] = before + 1
        return refusal._replace(allowed=True, reason=Reason.OK, cost=None, source=call.tool.source, degraded=True)

    def note(self, terms: Terms, request: Request, *, held: bool = False, ends: bool = False) -> Decision:
        """Keep a call that was made for later; refused if that fails, MeasureError where it cannot be counted.

        ``held``: it is the end of a reservation the ledger knows. ``ends``: of one it may never have heard of.
        """
        decision = unknown(terms.tenant, request.name, terms.policy.revision)
        call = terms.call(request.name, meter=request.meter)
        if call.refused is None:
            ask_of(call, request.quantity, request.units)
        kept = request._replace(key=request.key or uuid.uuid4().hex)
        note = {"tenant": terms.tenant, "held": held, "ends": ends, "request": kept}
        with self._turn:
            try:
                if self._file is None:
                    self._file = JournalFile(self._directory, self._kind)
                self._file.append([note], sync=True)
            except StoreUnavailableError:
                return decision
            self._notes.append(note)
        return decision._replace(allowed=True, reason=Reason.OK, cost=None, degraded=True)

    def settle(self) -> int:
        """Book what was let through, here or by processes that are gone, and return how many calls.

        StoreUnavailableError where the ledger is still not there; nothing is lost then, and nothing booked twice. What
        cannot be booked is kept in a file ``degraded-rejected-…`` with the reason, for somebody to look at.
        """
        booked = 0
        with self._turn:
            if self._file is not None and self._notes:
                booked += self._book(self._notes)
                self._file.clear()
                self._notes = []
            elif self._let_through:
                # The outage is over when the ledger says something.
                self._ledger.store.read("")
            self._let_through = {}
        for path, notes in orphans(self._directory, self._kind):
            booked += self._book(notes)
            path.unlink(missing_ok=True)
        return booked

    def _book(self, notes: list[dict[str, Any]]) -> int:
        """Book notes, keep those that cannot be, and return how many were booked."""
        rejected = []
        for note in notes:
            try:
                self._book_one(note)
            except Exception as error:
                if isinstance(error, LedgerError) and not isinstance(error, RefusedError):
                    raise
                rejected.append({**note, "why": f"{type(error).__name__}: {error}"})
        if rejected:
            file = JournalFile(self._directory, self._rejected_kind)
            file.append(rejected, sync=True)
            file.leave()
        return len(notes) - len(rejected)

    def _book_one(self, note: dict[str, Any]) -> None:
        tenant, request = note["tenant"], Request(*note["request"])
        if note["held"]:
            outcome = self._ledger.submit(self._acts.commit(tenant, request))
        else:
            outcome = carry_out(self.owing(tenant, request, ends=note.get("ends", False)), self._ledger)
        if outcome.conflict or (note["held"] and outcome.value is None and outcome.entry is None):
            raise _UnbookableError("its key was used for something else, or its reservation has ended")

    def owing(self, tenant: str, request: Request, *, ends: bool) -> Steps[Outcome]:
        """Book a call that was made without the ledger, in steps; ``ends`` where it is the end of a reservation.

        Where its key stands for a reservation the ledger has kept after all, that is ended; where it stands for another
        call, both were made, and this one is booked under a key of its own. A reservation that is ended again with
        another number stays a conflict.
        """
        outcome = yield from ask(self._acts.owed(tenant, request))
        there = outcome.entry
        if not outcome.conflict or there is None:
            return outcome
        if ends and there.kind in _CALLS and there.answer[0][0] == request.name:
            if there.kind != "reserve":
                return outcome
            outcome = yield from ask(self._acts.commit(tenant, request))
            if outcome.value is not None or outcome.entry is not None:
                return outcome
        what = f"{request.key} {request.name if ends else request.digest('consume')}"
        own = f"{OWN}owed:{hashlib.sha256(what.encode()).hexdigest()}"
        return (yield from ask(self._acts.owed(tenant, request._replace(key=own))))

    def close(self) -> None:
        """Leave what is not settled to the next process."""
        with self._turn:
            if self._file is not None:
                (self._file.leave if self._notes else self._file.remove)()
                self._file = None
