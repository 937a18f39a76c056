"""Group commit: one writer a process takes all waiting callers into one transaction and answers after it is durable.

DeWitt et al., *Implementation Techniques for Main Memory Database Systems*, SIGMOD 1984: one flush for many commits.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import perf_counter, sleep
from typing import Any

from reconciler.ledger.base import LedgerError, Store
from reconciler.ledger.forking import watch
from reconciler.ledger.jobs import Job, Outcome

#: Callers one transaction takes; more only wait longer for each other.
MAX_BATCH = 256
#: How long a batch waits for callers that were answered last, and how long for the next of them, in seconds.
GATHER, QUIET = 0.001, 0.0001


class _Waiting:
    """A caller on a thread of its own, asleep until its outcome is there."""

    __slots__ = ("done", "outcome")

    def __init__(self) -> None:
        self.done = threading.Lock()
        self.done.acquire()
        self.outcome: Outcome | None = None


class GroupCommit:
    """Runs the jobs of any number of threads and tasks through one store, in the order they came.

    A thread that is alone writes by itself: to wake another and be woken by it takes as long as to decide.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._start()
        watch(self)

    def _start(self) -> None:
        # Jobs with their waiters; ``None`` is the end.
        self._queue: SimpleQueue[tuple[Job, Any] | None] = SimpleQueue()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._starting, self._writing = threading.Lock(), threading.Lock()
        # How many callers were answered last: as many are about to come back.
        self._expected = 0

    def before_fork(self) -> None:
        """Go on: what waits is the parent's."""

    def after_fork(self, *, child: bool) -> None:
        """Begin anew in a child: it has no writer thread."""
        if child:
            self._start()

    def submit(self, job: Job) -> Outcome:
        """Run a job and return its outcome; the calling thread sleeps until it is durable, or writes it."""
        alone = self._expected <= 1 and self._queue.empty() and not self._closed
        if alone and self._writing.acquire(blocking=False):
            try:
                return self._outcomes((job,))[0]
            finally:
                self._writing.release()
        waiting = _Waiting()
        self.put(job, waiting)
        waiting.done.acquire()
        assert waiting.outcome is not None  # noqa: S101  released only with an outcome
        return waiting.outcome

    def put(self, job: Job, waiter: Any) -> None:
        """Queue a job for a waiter: one of :meth:`submit`, or a future of an event loop, which goes on meanwhile."""
        if self._closed:
            raise _closed()
        if self._thread is None:
            self._launch()
        self._queue.put((job, waiter))
        if self._closed:
            self._end()

    def _launch(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._write, name="ledger-writer", daemon=True)
                thread.start()
                self._thread = thread

    def _write(self) -> None:
        queue = self._queue
        while (first := queue.get()) is not None:
            if queue.qsize() + 1 < self._expected:
                _gather(queue, self._expected - 1)
            with self._writing:
                batch = _together(queue, first)
                self._expected = len(batch)
                _answer(batch, self._outcomes([job for job, _ in batch]))

    def _outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        try:
            return self._store.transact(jobs)
        except Exception as error:  # noqa: BLE001  every caller is told; the writer lives on
            return [Outcome(error=error)] * len(jobs)

    def close(self) -> None:
        """Finish what is waiting, refuse what comes later."""
        self._closed = True
        self._queue.put(None)
        self._end()

    def _end(self) -> None:
        """Wait for the writer's last batch, and refuse what slipped in behind it."""
        if self._thread is not None:
            self._thread.join()
        with suppress(Empty):
            while True:
                late = self._queue.get_nowait()
                if late is not None:
                    _answer([late], [Outcome(error=_closed())])


def _closed() -> LedgerError:
    return LedgerError("E1104", "the ledger is closed")


def _together(queue: SimpleQueue[tuple[Job, Any] | None], first: tuple[Job, Any]) -> list[tuple[Job, Any]]:
    """Take who waits behind the first into its batch; the end stays in the queue."""
    batch = [first]
    for _ in range(min(queue.qsize(), MAX_BATCH - 1)):
        one = queue.get()
        if one is None:
            queue.put(None)
            break
        batch.append(one)
    return batch


def _gather(queue: SimpleQueue[Any], expected: int) -> None:
    """Wait, a moment at most, while as many callers come back as were answered last.

    Without it the first of them is written alone and the others wait for that.
    """
    seen, until = 0, perf_counter() + GATHER
    quiet = until
    while (now := perf_counter()) < until and seen < expected:
        if (here := queue.qsize()) > seen:
            seen, quiet = here, now + QUIET
        elif now > quiet:
            return
        sleep(0)


def _answer(batch: Sequence[tuple[Job, Any]], outcomes: Sequence[Outcome]) -> None:
    """Wake the callers: threads one by one, each event loop once."""
    loops: dict[Any, list[tuple[Any, Outcome]]] = {}
    for (_, waiter), outcome in zip(batch, outcomes, strict=True):
        if isinstance(waiter, _Waiting):
            waiter.outcome = outcome
            waiter.done.release()
        else:
            loops.setdefault(waiter.get_loop(), []).append((waiter, outcome))
    for loop, answered in loops.items():
        # A loop that was closed meanwhile has nobody left who waits; the writer goes on for the others.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, answered)


def _settle(answered: Sequence[tuple[Any, Outcome]]) -> None:
    for future, outcome in answered:
        if not future.done():
            future.set_result(outcome)
