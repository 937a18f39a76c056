"""Signals while writes are under way: the first asks to finish what is in flight, the second ends at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from reconciler.cli.exits import SIGNALLED

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Stopper:
    """Remembers the first signal; ``stop`` is what the writers look at."""

    def __init__(self, farewell: str) -> None:
        self.stop = threading.Event()
        self.signal: int | None = None
        self._farewell = farewell

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal. Writes with ``os.write``, because the stream may be in use where the signal came in."""
        if self.signal is None:
            self.signal = number
            self.stop.set()
            _say("Stopping: the requests under way are finished first. Once more stops at once.")
            return
        _say(f"Stopped at once; what was under way may or may not be done.\n{self._farewell}")
        os._exit(SIGNALLED + number)

    @property
    def exit_code(self) -> int | None:
        """Return the exit code of the signal, None where there was none."""
        return None if self.signal is None else SIGNALLED + self.signal


@contextmanager
def stoppable(farewell: str) -> Iterator[Stopper]:
    """Take over SIGINT, SIGTERM and SIGHUP for a while; ``farewell`` is shown when it ends at once."""
    stopper = Stopper(farewell)
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.signal(number, stopper.handle) for number in numbers}
    try:
        yield stopper
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    os.write(2, f"\n{text}\n".encode("ascii", "backslashreplace"))
