"""Turns at a file: a lock over processes that is waited for until a moment, and no longer.

flock alone waits without end, for instance for a process that was stopped; and whoever tries it again after a pause is
overtaken by those who happen to come when it is free. So who ends a turn rings a bell, a pipe beside the lock, and the
kernel wakes who has waited longest.
"""

import fcntl
import os
import select
import stat
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

#: How long one look at the bell lasts, in seconds: a process that was killed does not ring it.
LOOK = 0.02
#: How long it is waited between two tries where there is no such pipe, in seconds.
PAUSE = 0.001
_RINGS = 65536


class Turns:
    """A turn for one process at a time; its threads agree among themselves. OSError where the files cannot be."""

    def __init__(self, path: str) -> None:
        self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Its name begins with a dot: who copies the file with all that is named like it would wait at a pipe for ever.
        self._bell = _bell(Path(path).with_name(f".{Path(path).name}.bell"))
        self._queue = select.epoll() if self._bell >= 0 else None

    def take(self, seconds: float) -> bool:
        """Begin a turn; false where it was somebody else's all the time. OSError where there are no locks left."""
        if self._free():
            return True
        until = monotonic() + seconds
        if self._queue is None:
            while monotonic() < until and not self._free():
                sleep(PAUSE)
            return self._free()
        # Exclusive waiters are woken one by one, in the order they came.
        self._queue.register(self._bell, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        try:
            return self._wait(self._queue, until)
        finally:
            self._queue.unregister(self._bell)

    def _wait(self, queue: "select.epoll", until: float) -> bool:
        # What rang is read away before the lock is tried: where it is not free then, somebody has yet to ring.
        while not self._free():
            if monotonic() >= until:
                return False
            if queue.poll(LOOK):
                with suppress(BlockingIOError):
                    os.read(self._bell, _RINGS)
        return True

    def _free(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def end(self) -> None:
        """End a turn, and wake who waits."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        if self._bell >= 0:
            with suppress(BlockingIOError):
                os.write(self._bell, b".")

    def close(self) -> None:
        """Close the files; they stay for the others. Closing again is harmless."""
        for file in (self._lock, self._bell):
            if file >= 0:
                os.close(file)
        self._lock = self._bell = -1
        if self._queue is not None:
            self._queue.close()


def _bell(path: Path) -> int:
    """Open a pipe for both ends; -1 where there cannot be one, or a queue at it."""
    if not hasattr(select, "EPOLLEXCLUSIVE"):
        return -1
    with suppress(OSError):
        with suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        file = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        if stat.S_ISFIFO(os.fstat(file).st_mode):
            return file
        os.close(file)
    return -1
