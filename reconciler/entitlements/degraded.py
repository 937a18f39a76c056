"""While the ledger is away: refuse, or let through what a tool's ``on_error`` allows, noted and settled later."""

import threading
import uuid
from pathlib import Path
from typing import Any

from reconciler.entitlements.acts import Acts, Request, unknown
from reconciler.entitlements.decision import Decision, Reason
from reconciler.entitlements.measure import ask_of
from reconciler.entitlements.terms import Terms
from reconciler.ledger.base import StoreUnavailableError
from reconciler.ledger.journal import JournalFile, kind_of, orphans
from reconciler.ledger.ledger import Ledger

#: ``on_error`` of a tool whose every call is let through.
_ALL = -1


class Degraded:
    """Calls one process lets through by their tools' rule, each on disk before it is answered."""

    def __init__(self, ledger: Ledger, acts: Acts, directory: Path) -> None:
        self._ledger = ledger
        self._acts = acts
        self._directory = directory
        self._kind = kind_of("degraded", ledger.store.identity)
        self._turn = threading.Lock()
        self._file: JournalFile | None = None
        self._notes: list[dict[str, Any]] = []
        self._let_through: dict[str, int] = {}

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

    def note(self, terms: Terms, request: Request, *, held: bool = False) -> Decision:
        """Keep a call that was made for later, ``held`` if it is the end of a reservation; refused if that fails."""
        decision = unknown(terms.tenant, request.name, terms.policy.revision)
        kept = request._replace(key=request.key or uuid.uuid4().hex)
        with self._turn:
            try:
                if self._file is None:
                    self._file = JournalFile(self._directory, self._kind)
                self._file.append([{"tenant": terms.tenant, "held": held, "request": kept}], sync=True)
            except StoreUnavailableError:
                return decision
            self._notes.append({"tenant": terms.tenant, "held": held, "request": kept})
        return decision._replace(allowed=True, reason=Reason.OK, cost=None, degraded=True)

    def settle(self) -> int:
        """Book what was let through, here or by processes that are gone, and return how many calls.

        StoreUnavailableError where the ledger is still not there; nothing is lost then, and nothing booked twice.
        """
        booked = 0
        with self._turn:
            if self._file is not None and self._notes:
                booked += self._book(self._notes)
                self._file.clear()
                self._notes = []
            self._let_through = {}
        for path, notes in orphans(self._directory, self._kind):
            booked += self._book(notes)
            path.unlink(missing_ok=True)
        return booked

    def _book(self, notes: list[dict[str, Any]]) -> int:
        for note in notes:
            request = Request(*note["request"])
            act = self._acts.commit if note["held"] else self._acts.owed
            self._ledger.submit(act(note["tenant"], request))
        return len(notes)

    def close(self) -> None:
        """Leave what is not settled to the next process."""
        with self._turn:
            if self._file is not None:
                (self._file.leave if self._notes else self._file.remove)()
                self._file = None
