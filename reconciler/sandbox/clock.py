"""The sandbox's own time: the system's, a fixed one or a given function, moved, stopped and skewed on request."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from reconciler.diagnostics import UsageError

_MOST = 1 << 40


class Clock:
    """Unix seconds UTC. What is done to it lasts as long as the process; a file does not remember it.

    ``source`` is a function or a fixed number, ``None`` the system clock; ``skew`` returns the seconds to add to it.
    """

    def __init__(self, source: Callable[[], int] | int | None, skew: Callable[[], int]) -> None:
        self._source = _source(source)
        self._skew = skew
        self._lock = threading.Lock()
        self._offset = 0
        self._frozen: int | None = None

    def __call__(self) -> int:
        """Return the time."""
        with self._lock:
            base = self._source() + self._offset if self._frozen is None else self._frozen
        return base + self._skew()

    def advance(self, seconds: int) -> None:
        """Move the time on; a frozen clock stays frozen, later."""
        if not 0 <= seconds <= _MOST:
            raise UsageError("E1211", f"the clock moves on by a number of seconds, not by {seconds!r}")
        with self._lock:
            if self._frozen is None:
                self._offset += seconds
            else:
                self._frozen += seconds

    def freeze(self, at: int | None = None) -> None:
        """Stop the clock, at a time of its own or now."""
        if at is not None and not 0 <= at <= _MOST:
            raise UsageError("E1211", f"the clock stops at a Unix time in seconds, not at {at!r}")
        with self._lock:
            if at is None:
                at = self._source() + self._offset if self._frozen is None else self._frozen
            self._frozen = at

    def resume(self) -> None:
        """Let a stopped clock go on from where it stands."""
        with self._lock:
            if self._frozen is not None:
                self._offset, self._frozen = self._frozen - self._source(), None

    def data(self) -> dict[str, Any]:
        """Return the time and whether it stands still."""
        return {"now": self(), "frozen": self._frozen is not None}


def _source(source: Callable[[], int] | int | None) -> Callable[[], int]:
    if source is None:
        return lambda: int(time.time())
    return source if callable(source) else partial(int, source)
