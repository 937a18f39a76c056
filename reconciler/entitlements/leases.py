"""Lease mode: hot tools of hot tenants are decided by the process itself, out of slices it borrows from the ledger.

Exact as the ledger, but for this: a call may be refused that slices of other processes could still have paid, so they
are called back before that; a key is known to the process that used it at once and to the others when the slice is
settled, so a repeat that reaches another process meanwhile is let through, though never charged twice; and what a
killed process had not yet noted in its journal is not charged.
"""

import os
import threading
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from reconciler.entitlements.acts import Acts, Request
from reconciler.entitlements.books import LEASE
from reconciler.entitlements.decision import Decision, Reason
from reconciler.entitlements.periods import SECOND
from reconciler.entitlements.slices import Lent
from reconciler.entitlements.steps import Steps, ask, carry_out
from reconciler.ledger.base import StoreUnavailableError
from reconciler.ledger.jobs import Outcome
from reconciler.ledger.lease import LeaseJournal, Slice, left_behind
from reconciler.ledger.ledger import Ledger

#: How long the ledger keeps a slice for a holder that says nothing, in seconds.
TERM = 30.0
#: A holder stops using a slice so many seconds before that.
MARGIN = 5.0
#: A slice is settled so many seconds after it was borrowed, at the latest.
SETTLE = 1.0
#: How often the journal is written and calls for slices are looked for, in seconds.
NOTE, LOOK = 0.005, 0.1
#: Calls of one tool and tenant between two settlements from which it is worth borrowing; the most that is borrowed.
HOT, MOST = 16, 32768
#: How long a refusal waits for slices of others to come back, and how long after that none are borrowed, in seconds.
RECALL, COOL = 0.5, 2.0
_REMEMBERED = 100_000
_SCARCE = frozenset({Reason.INSUFFICIENT_CREDITS, Reason.QUOTA_EXCEEDED, Reason.RATE_LIMITED})


class Leases:
    """The slices of one process, with the thread that notes, settles and gives them back."""

    def __init__(
        self, ledger: Ledger, acts: Acts, answered: Callable[[str, str, Outcome], Decision], journal: Path
    ) -> None:
        self._ledger = ledger
        self._acts = acts
        self._answered = answered
        self._journal_at = journal
        self._begin()
        self._recover()
        _ALL.add(self)

    def _begin(self) -> None:
        self._journal = LeaseJournal(self._journal_at)
        self._slices: dict[tuple[str, str], Slice] = {}
        self._heat: dict[tuple[str, str], int] = {}
        self._cool: dict[str, float] = {}
        self._called: dict[str, float] = {}
        self._keys: dict[tuple[str, str], tuple[str, Decision]] = {}
        self._borrowing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="ledger-leases", daemon=True)
        self._thread.start()

    def consume(self, tenant: str, name: str, key: str | None) -> Decision | None:
        """Decide a plain call out of a slice; ``None`` where there is none, and :meth:`decide` has to."""
        slice_ = self._slices.get((tenant, name))
        if slice_ is None or slice_.until < monotonic():
            return None
        answer: Decision = slice_.answer
        if key is None:
            return answer if slice_.take(None, "") else None
        request = Request(name, key=key)
        known = self.known(tenant, request)
        if known is not None:
            return known
        digest = request.digest("consume")
        if not slice_.take(key, digest):
            return None
        if len(self._keys) >= _REMEMBERED:
            self._keys.clear()
        self._keys[tenant, key] = (digest, answer)
        return answer

    def known(self, tenant: str, request: Request) -> Decision | None:
        """Return the first answer again, or a conflict, for a key this process has used and the ledger may not know."""
        known = None if request.key is None else self._keys.get((tenant, request.key))
        if known is None:
            return None
        digest, answer = known
        if digest == request.digest("consume"):
            return answer._replace(replayed=True)
        return Decision(False, Reason.KEY_CONFLICT, tenant, request.name, config_digest=answer.config_digest)

    def decide(self, tenant: str, request: Request) -> Steps[Decision]:
        """Decide a call no slice answers: borrow where that is worth it, else ask; call slices back before refusing."""
        name = request.name
        if self._hot(tenant, name) and self._borrowing.acquire(blocking=False):
            try:
                yield from self._borrow(tenant, name)
            finally:
                self._borrowing.release()
            found = self.consume(tenant, name, request.key)
            if found is not None:
                return found
        patience = monotonic() + RECALL
        while True:
            decision, lent = yield from self._ask(tenant, request)
            if not lent or decision.reason not in _SCARCE or monotonic() > patience:
                return decision
            yield from self._call_back(tenant)
            yield LOOK / 4

    def _ask(self, tenant: str, request: Request) -> Steps[tuple[Decision, bool]]:
        """Let the ledger decide; the second value tells whether some of what it has was lent at that moment."""
        lent: list[bool] = []
        outcome = yield from ask(self._acts.consume(tenant, request, lent))
        return self._answered(tenant, request.name, outcome), any(lent)

    def _hot(self, tenant: str, name: str) -> bool:
        heat = self._heat[tenant, name] = self._heat.get((tenant, name), 0) + 1
        return heat >= HOT and self._cool.get(tenant, 0.0) < monotonic()

    def _borrow(self, tenant: str, name: str) -> Steps[None]:
        hold = f"{LEASE}{uuid.uuid4().hex}"
        begun, before = monotonic(), self._slices.get((tenant, name))
        heat = max(self._heat.get((tenant, name), 0), HOT if before is None else before.used)
        most = min(2 * heat, MOST)
        lent: Lent = (
            yield from ask(self._acts.lend(tenant, name, most=most, hold=hold, lasts=int(TERM * SECOND)))
        ).value
        if not lent.size:
            self._heat.pop((tenant, name), None)
            return
        slice_ = Slice(tenant, name, hold, lent.size, lent.decision, begun + TERM - MARGIN, lent.since)
        self._journal.opened(slice_)
        self._slices[tenant, name] = slice_
        if before is not None:
            yield from self._settle(before)

    def _settle(self, slice_: Slice) -> Steps[None]:
        """Tell the ledger what was used of a slice; until it knows, the journal does."""
        if not slice_.end():
            return
        self._journal.note((slice_,))
        if self._slices.get((slice_.tenant, slice_.name)) is slice_:
            del self._slices[slice_.tenant, slice_.name]
        yield self._acts.settle(slice_.tenant, slice_.hold, slice_.used, slice_.keys)
        self._journal.settled(slice_)

    def _call_back(self, tenant: str) -> Steps[None]:
        """Give back this process's slices of a tenant, and ask the others to, once in a while."""
        own = [each for each in self._slices.values() if each.tenant == tenant]
        for slice_ in own:
            yield from self._settle(slice_)
        now = monotonic()
        if not own and self._called.get(tenant, 0.0) < now - RECALL:
            self._called[tenant] = now
            yield self._acts.recall(tenant)
        self._cool[tenant] = now + COOL

    def _keep(self) -> None:
        """Note, settle and give back, until the runtime is closed."""
        look = monotonic() + LOOK
        while not self._stop.wait(NOTE):
            try:
                self._journal.note([each for each in self._slices.values() if each.left < each.size])
                if monotonic() >= look:
                    look = monotonic() + LOOK
                    self._look()
            except StoreUnavailableError:
                self._stop.wait(LOOK)

    def _look(self) -> None:
        """Settle slices that are old or called back, renewing those that are still hot."""
        now = monotonic()
        recalled = {tenant: self._recalled(tenant) for tenant in {each.tenant for each in list(self._slices.values())}}
        for (tenant, name), slice_ in list(self._slices.items()):
            if recalled[tenant] > slice_.since:
                self._cool[tenant] = now + COOL
                self._run(self._settle(slice_))
            elif slice_.until - now < TERM - MARGIN - SETTLE:
                self._heat[tenant, name] = slice_.used
                self._run(self._borrow(tenant, name) if slice_.used >= HOT else self._settle(slice_))
        if len(self._heat) > MOST:
            self._heat.clear()

    def _recalled(self, tenant: str) -> int:
        return int(self._ledger.store.read(tenant).facts.get("recall", 0))

    def _run(self, steps: Steps[None]) -> None:
        carry_out(steps, self._ledger)

    def _recover(self) -> None:
        """Settle what processes that are gone had noted in their journals."""
        for path, left in left_behind(self._journal_at):
            for each in left:
                self._ledger.submit(self._acts.settle(each.tenant, each.hold, each.used, each.keys))
            path.unlink(missing_ok=True)

    def after_fork(self) -> None:
        """Begin anew in a child: slices and journal are the parent's."""
        self._journal.abandon()
        self._begin()

    def close(self) -> None:
        """Settle every slice and end the thread."""
        self._stop.set()
        self._thread.join()
        try:
            self.settle()
        finally:
            self._journal.close()

    def settle(self, tenant: str | None = None) -> None:
        """Tell the ledger what was used of the slices of a tenant, or of all, and use them no more."""
        for slice_ in [each for each in self._slices.values() if tenant in {None, each.tenant}]:
            self._run(self._settle(slice_))


_ALL: "weakref.WeakSet[Leases]" = weakref.WeakSet()


def _after_fork() -> None:
    for leases in list(_ALL):
        leases.after_fork()


os.register_at_fork(after_in_child=_after_fork)
