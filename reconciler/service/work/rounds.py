"""The worker: tasks that are done again and again, each at its own interval, none of which can stop another.

Every task runs in a thread of its own, so that one that waits for somebody delays no other. Any number of processes
may run the same tasks on one ledger: what a task does is claimed or happens once.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

#: A task that fails is tried again after so many seconds, twice as many after each further failure in a row.
FIRST_PAUSE = 1.0
#: And after so many at most, where its own interval is shorter than that.
LONGEST_PAUSE = 300.0


class Task(NamedTuple):
    """What is done every ``interval`` seconds; ``run`` returns what it did, and raises where it could not."""

    name: str
    interval: float
    run: Callable[[], Any]


class Round(NamedTuple):
    """One time a task was done: when it began and ended, in seconds since 1970, and what it returned or raised."""

    name: str
    began: float
    ended: float
    did: Any = None
    error: Exception | None = None


class Standing(NamedTuple):
    """How a task fares: when it last ended and last ended well, failures since then, and the last one's message.

    Instants are seconds since 1970; ``None`` where that never happened. ``interval`` is the task's, in seconds.
    """

    interval: float
    ended: float | None = None
    succeeded: float | None = None
    failures: int = 0
    error: str | None = None


class Worker:
    """Does tasks until ``stop`` is set; ``tell`` is given every round, from the thread of its task."""

    def __init__(
        self,
        tasks: Iterable[Task],
        *,
        stop: threading.Event | None = None,
        tell: Callable[[Round], None] = lambda _round: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tasks = {task.name: task for task in tasks}
        self._stop = stop or threading.Event()
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._standing = {task.name: Standing(task.interval) for task in self._tasks.values()}
        self._wanted = {name: threading.Event() for name in self._tasks}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin; every task is done at once, and then in its interval."""
        for task in self._tasks.values():
            thread = threading.Thread(target=self._work, args=(task,), name=f"work-{task.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self, seconds: float = 30.0) -> bool:
        """Let every task finish what it is at, and tell whether all of them did in so many seconds."""
        self._stop.set()
        for wanted in self._wanted.values():
            wanted.set()
        ends = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(ends - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def run(self) -> None:
        """Work until told to stop."""
        self.start()
        self._stop.wait()
        self.close()

    def want(self, name: str) -> None:
        """Let a task be done now rather than in its interval; no such task is no error."""
        if (wanted := self._wanted.get(name)) is not None:
            wanted.set()

    def standing(self) -> Mapping[str, Standing]:
        """Return how every task fares."""
        with self._lock:
            return dict(self._standing)

    def round(self, name: str) -> Round:
        """Do a task once, here and now; what it raises is in the round."""
        task, began = self._tasks[name], self._clock()
        try:
            done = Round(name, began, self._clock(), task.run())
        except Exception as error:  # noqa: BLE001  told; no failure of one task stops it or another
            done = Round(name, began, self._clock(), error=error)
        done = done._replace(ended=self._clock())
        self._note(done)
        return done

    def _work(self, task: Task) -> None:
        wanted = self._wanted[task.name]
        while not self._stop.is_set():
            wanted.clear()
            self._told(self.round(task.name))
            # A close that came before the clearing would be slept through.
            if not self._stop.is_set():
                wanted.wait(pause(task.interval, self._standing[task.name].failures))

    def _told(self, done: Round) -> None:
        try:
            self._tell(done)
        except Exception as error:  # noqa: BLE001  whoever listens cannot stop the work
            self._note(done._replace(error=error))

    def _note(self, done: Round) -> None:
        with self._lock:
            before = self._standing[done.name]
            if done.error is None:
                after = before._replace(ended=done.ended, succeeded=done.ended, failures=0, error=None)
            else:
                said = f"{type(done.error).__name__}: {done.error}"
                after = before._replace(ended=done.ended, failures=before.failures + 1, error=said)
            self._standing[done.name] = after


def pause(interval: float, failures: int) -> float:
    """Return the seconds until a task is done again after so many failures in a row."""
    if not failures:
        return interval
    return min(FIRST_PAUSE * 2.0 ** min(failures - 1, 16), max(interval, LONGEST_PAUSE))
