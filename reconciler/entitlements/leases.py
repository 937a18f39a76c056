"""Lease mode: hot tools of hot tenants are decided by the process itself, out of slices it borrows from the ledger.

Exact as the ledger, but for this: a call may be refused that slices of other processes could still have paid, so they
are called back before that; a key is known to the process that used it at once and to the others when the slice is
settled, so a repeat that reaches another process meanwhile is let through, though never charged twice; and what a
killed process had not yet noted in its journal is not charged.
"""

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from reconciler.entitlements.acts import Acts, Request
from reconciler.entitlements.books import LEASE
from reconciler.entitlements.decision import Decision, Reason
from reconciler.entitlements.periods import SECOND
from reconciler.entitlements.slices import Lent
from reconciler.entitlements.steps import Steps, ask, carry_out
from reconciler.ledger.base import LedgerError, StoreUnavailableError
from reconciler.ledger.forking import watch
from reconciler.ledger.jobs import Outcome
from reconciler.ledger.journal import kind_of, orphans
from reconciler.ledger.lease import LeaseJournal, Slice, unsettled
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
#: How long the end waits for somebody who is borrowing, in seconds.
PATIENCE = 5.0
#: How often journals of processes that are gone are looked for, in seconds.
RECOVER = 5.0
#: Keys a process remembers at least, beside those of slices the ledger does not know yet.
_REMEMBERED = 100_000
_SCARCE = frozenset({Reason.INSUFFICIENT_CREDITS, Reason.QUOTA_EXCEEDED, Reason.RATE_LIMITED})


class Leases:
    """The slices of one process, with one thread that notes what is used, and one that settles and gives back.

    A slice is in ``_slices`` while it may be used, then in ``_unsettled`` until the ledger has said what came of it.
    """

    def __init__(
        self, ledger: Ledger, acts: Acts, answered: Callable[[str, str, Outcome], Decision], journal: Path
    ) -> None:
        self._ledger = ledger
        self._acts = acts
        self._answered = answered
        self._journal_at = journal
        self._kind = kind_of("lease", ledger.store.identity)
        self._reset()
        self._recover()
        self._start()
        watch(self)

    def _reset(self) -> None:
        self._slices: dict[tuple[str, str], Slice] = {}
        self._unsettled: dict[str, tuple[Slice, float]] = {}
        self._heat: dict[tuple[str, str], int] = {}
        self._cool: dict[str, float] = {}
        self._called: dict[str, float] = {}
        self._keys: dict[tuple[str, str], tuple[str, Decision]] = {}
        self._older: dict[tuple[str, str], tuple[str, Decision]] = {}
        self._epoch = 0
        self._turn, self._keying, self._borrowing = threading.Lock(), threading.Lock(), threading.Lock()
        self._stop = threading.Event()
        self._journal: LeaseJournal | None = None
        self._threads: list[threading.Thread] = []

    def _start(self) -> None:
        self._journal = LeaseJournal(self._journal_at, self._kind)
        for work in (self._keep, self._tend):
            thread = threading.Thread(target=work, name=f"ledger-leases{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def consume(self, tenant: str, name: str, key: str | None) -> Decision | None:
        """Decide a plain call out of a slice; ``None`` where there is none, and :meth:`decide` has to."""
        slice_ = self._slices.get((tenant, name))
        if slice_ is None or slice_.until < monotonic():
            return None
        answer: Decision = slice_.answer
        if key is None:
            return answer if slice_.take(None, "") else None
        request = Request(name, key=key)
        with self._keying:
            known = self.known(tenant, request)
            if known is not None:
                return known
            digest = request.digest("consume")
            if not slice_.take(key, digest):
                return None
            if len(self._keys) >= _REMEMBERED:
                self._keys, self._older = {}, self._keys
            self._keys[tenant, key] = (digest, answer)
        return answer

    def known(self, tenant: str, request: Request) -> Decision | None:
        """Return the first answer again, or a conflict, for a key this process has used and the ledger may not know."""
        if request.key is None:
            return None
        named = (tenant, request.key)
        known = self._keys.get(named) or self._older.get(named)
        if known is None:
            return None
        digest, answer = known
        if digest == request.digest("consume"):
            return answer._replace(replayed=True)
        return Decision(False, Reason.KEY_CONFLICT, tenant, request.name, config_digest=answer.config_digest)

    def decide(self, tenant: str, request: Request) -> Steps[Decision]:
        """Decide a call no slice answers: borrow where that is worth it, else ask; call slices back before refusing."""
        name = request.name
        if self._hot(tenant, name):
            yield from self._borrow_alone(tenant, name)
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
        return heat >= HOT and self._cool.get(tenant, 0.0) < monotonic() and self._journal is not None

    def _borrow_alone(self, tenant: str, name: str) -> Steps[None]:
        """Borrow unless somebody in this process is borrowing already."""
        if not self._stop.is_set() and self._borrowing.acquire(blocking=False):
            try:
                yield from self._borrow(tenant, name)
            finally:
                self._borrowing.release()

    def _borrow(self, tenant: str, name: str) -> Steps[None]:
        """Put a new slice in the place of the one there is, which is settled; none after the end, nor by old terms."""
        named, hold, begun, epoch = (tenant, name), f"{LEASE}{uuid.uuid4().hex}", monotonic(), self._epoch
        present = self._slices.get(named)
        heat = max(self._heat.get(named, 0), HOT if present is None else present.used)
        outcome = yield from ask(
            self._acts.lend(tenant, name, most=min(2 * heat, MOST), hold=hold, lasts=int(TERM * SECOND))
        )
        lent: Lent = outcome.value
        if not lent.size:
            self._heat.pop(named, None)
            return
        slice_ = Slice(tenant, name, hold, lent.size, lent.decision, begun + TERM - MARGIN, lent.since)
        before: Slice | None = slice_
        if self._noted(slice_):
            with self._turn:
                if epoch == self._epoch and not self._stop.is_set():
                    before, self._slices[named] = self._slices.get(named), slice_
                    if before is not None:
                        self._unsettled[before.hold] = (before, monotonic())
        if before is not None:
            yield from self._settle(before)

    def _noted(self, slice_: Slice) -> bool:
        """Note a slice before its first call; one that cannot be noted may not be used."""
        journal = self._journal
        try:
            if journal is not None:
                journal.opened(slice_)
        except StoreUnavailableError:
            return False
        return journal is not None

    def _settle(self, slice_: Slice) -> Steps[None]:
        """Tell the ledger what was used of a slice; until it knows, the journal and ``_unsettled`` do.

        The job has the slice's own key: however often it is tried, the slice is booked once.
        """
        named = (slice_.tenant, slice_.name)
        slice_.end()
        with self._turn:
            self._unsettled[slice_.hold] = (slice_, monotonic())
            if self._slices.get(named) is slice_:
                del self._slices[named]
        self._note([slice_])
        yield from ask(self._acts.settle(slice_.tenant, slice_.hold, slice_.used, slice_.keys))
        with self._turn:
            first = self._unsettled.pop(slice_.hold, None) is not None
        if first and self._journal is not None:
            self._journal.settled(slice_)

    def _note(self, slices: list[Slice]) -> bool:
        try:
            if self._journal is not None:
                self._journal.note(slices)
        except StoreUnavailableError:
            return False
        return True

    def _call_back(self, tenant: str) -> Steps[None]:
        """Give back this process's slices of a tenant, and ask the others to, once in a while."""
        own = [each for each in list(self._slices.values()) if each.tenant == tenant]
        for slice_ in own:
            yield from self._settle(slice_)
        now = monotonic()
        if not own and self._called.get(tenant, 0.0) < now - RECALL:
            self._called[tenant] = now
            yield self._acts.recall(tenant)
        self._cool[tenant] = now + COOL

    def _keep(self) -> None:
        """Note what is used, until the runtime is closed; whatever the ledger does meanwhile."""
        while not self._stop.wait(NOTE):
            if not self._note(self._all()):
                self._stop.wait(LOOK)

    def _all(self) -> list[Slice]:
        """Return the slices the ledger does not know to be settled, those in use first."""
        with self._turn:
            return [*self._slices.values(), *(slice_ for slice_, _ in self._unsettled.values())]

    def _tend(self) -> None:
        """Settle, renew, give back and recover, until the runtime is closed; what fails is tried again."""
        recover = monotonic()
        while not self._stop.wait(LOOK):
            self._guarded(self._retry)
            for (tenant, name), slice_ in list(self._slices.items()):
                self._guarded(partial(self._look, tenant, name, slice_))
            if monotonic() >= recover:
                recover = monotonic() + RECOVER
                self._guarded(self._recover)
                self._forget(monotonic())

    def stranded(self) -> int:
        """Return how many calls this process has borrowed and not made: nobody else can make them now."""
        return sum(slice_.left for slice_ in self._all())

    def _forget(self, now: float) -> None:
        """Forget what was said of tenants some time ago, and how often tools were called where those are too many."""
        if len(self._heat) > MOST:
            self._heat.clear()
        for kept, lasts in ((self._cool, 0.0), (self._called, RECALL)):
            for tenant in [tenant for tenant, at in list(kept.items()) if at < now - lasts]:
                kept.pop(tenant, None)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do something so that its failure stops nothing else: the ledger may be away, or refuse one slice."""
        try:
            work()
        except StoreUnavailableError:
            self._stop.wait(LOOK)
        except Exception:
            from logging import getLogger  # noqa: PLC0415  where nothing fails nothing is loaded

            getLogger(__name__).exception("a slice could not be settled; it is tried again")

    def _look(self, tenant: str, name: str, slice_: Slice) -> None:
        """Settle a slice that is old or called back, renewing it where it is still hot."""
        now = monotonic()
        if self._recalled(tenant) > slice_.since:
            self._cool[tenant] = now + COOL
            self._run(self._settle(slice_))
        elif slice_.until - now < TERM - MARGIN - SETTLE:
            self._heat[tenant, name] = slice_.used
            self._run(self._borrow_alone(tenant, name) if slice_.used >= HOT else self._settle(slice_))

    def _retry(self) -> None:
        """Try again what the ledger has not confirmed."""
        late = monotonic() - SETTLE
        for slice_, since in list(self._unsettled.values()):
            if since < late:
                self._guarded(partial(self._run, self._settle(slice_)))

    def _recalled(self, tenant: str) -> int:
        return int(self._ledger.store.read(tenant).facts.get("recall", 0))

    def _run(self, steps: Steps[None]) -> None:
        carry_out(steps, self._ledger)

    def _recover(self) -> None:
        """Settle what processes of this ledger that are gone had noted in their journals."""
        for path, notes in orphans(self._journal_at, self._kind):
            self._guarded(partial(self._take_over, path, notes))

    def _take_over(self, path: Path, notes: list[dict[str, Any]]) -> None:
        for each in unsettled(notes):
            self._ledger.submit(self._acts.settle(each.tenant, each.hold, each.used, each.keys))
        path.unlink(missing_ok=True)

    def before_fork(self) -> None:
        """Go on: the copy takes nothing over."""

    def after_fork(self, *, child: bool) -> None:
        """Begin anew in a child: slices and journal are the parent's. Without a journal nothing is borrowed."""
        if not child or self._stop.is_set():
            return
        self._reset()
        with suppress(StoreUnavailableError):
            self._start()

    def close(self) -> None:
        """Settle every slice and end the threads; what the ledger cannot be told stays in the journal."""
        with self._turn:
            self._stop.set()
        for thread in self._threads:
            thread.join()
        # Who is borrowing meanwhile gives back what it gets, while there is a ledger to give it to.
        if self._borrowing.acquire(timeout=PATIENCE):
            self._borrowing.release()
        try:
            self.settle()
        finally:
            if self._journal is not None:
                self._journal.close()

    def settle(self) -> None:
        """Tell the ledger what was used of all slices, use them no more, and borrow none by what was asked before."""
        with self._turn:
            self._epoch += 1
        slices = self._all()
        for slice_ in slices:
            slice_.end()
        self._note(slices)
        failed: LedgerError | None = None
        for slice_ in slices:
            try:
                self._run(self._settle(slice_))
            except LedgerError as error:
                failed = error
        if failed is not None:
            raise failed
