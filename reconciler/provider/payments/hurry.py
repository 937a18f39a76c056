"""Patience while somebody looks at a page that loads: at most four tries, 1, 2 and 4 seconds apart, 15 seconds in all.

The time in all holds for a call that hangs too: the work runs in a thread that is left behind, and whatever it would
still write is refused from then on.
"""

import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from reconciler.provider.retry import Backoff, Failure, Waits

STEPS = (1.0, 2.0, 4.0)
BUDGET = 15.0
T = TypeVar("T")


class OutOfTimeError(Exception):
    """Work did not end in the time it was given."""


#: Does work within so many seconds, or raises OutOfTimeError.
Within = Callable[[float, Callable[[], Any]], Any]


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what work returns, or raise what it raises; OutOfTimeError where it takes longer."""
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:  # noqa: BLE001  handed to whoever waits
            done.put((None, error))

    threading.Thread(target=run, daemon=True, name="payments").start()
    try:
        result, error = done.get(timeout=max(seconds, 0.0))
    except queue.Empty:
        raise OutOfTimeError from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # None only where T is


@dataclass
class Hurry(Backoff):
    """How often and how long to try; clock, sleep and randomness can be replaced, and ``jitter`` be turned off.

    With jitter a wait is between half of its step and all of it. No wait is shorter than Stripe asks for, and none is
    begun that would not end in time.
    """

    tries: int = len(STEPS) + 1
    unanswered_reads: int = len(STEPS) + 1
    budget: float = BUDGET
    sleep: Callable[[float], bool | None] = time.sleep
    random: Callable[[], float] = field(default=random.random)
    jitter: bool = True
    clock: Callable[[], float] = time.monotonic
    ends: float = float("inf")

    def begun(self) -> "Hurry":
        """Return the same, with the time in all counted from now on."""
        return replace(self, ends=self.clock() + self.budget)

    def waits(self, *, reading: bool = False) -> Waits:
        """Start counting for one request."""
        return _Hurried(self, reading=reading)


class _Hurried(Waits):
    def __init__(self, policy: Hurry, *, reading: bool) -> None:
        super().__init__(policy, reading=reading)
        self._hurry = policy

    def again(self, failure: Failure) -> bool:
        """Wait before the next try and tell whether there is one."""
        hurry = self._hurry
        self._made += 1
        if not failure.retriable or self._made >= hurry.tries:
            return False
        step = STEPS[min(self._made, len(STEPS)) - 1]
        drawn = step * (1 + hurry.random()) / 2 if hurry.jitter else step
        wait = max(drawn, failure.retry_after or 0.0)
        if hurry.clock() + wait >= hurry.ends:
            return False
        return not hurry.sleep(wait)


class Writing:
    """Whether a write was begun, and whether one may still be: after giving up, none is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = self._over = False

    def may(self) -> bool:
        """Tell whether a write may be sent now; that it may counts as begun."""
        with self._lock:
            self._begun = self._begun or not self._over
            return not self._over

    def give_up(self) -> bool:
        """Let nothing more be written, and tell whether something was begun."""
        with self._lock:
            self._over = True
            return self._begun
