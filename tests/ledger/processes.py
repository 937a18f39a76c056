"""Processes for the tests of the ledger: copies of this one, and others that are killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Self


def in_child(work: Callable[[], object]) -> Callable[[], bool]:
    """Run work in a copy of this process; return what waits for its end and tells whether it went well."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 3)
        except BaseException:  # noqa: BLE001  a child must not go on as a test
            os._exit(4)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Worker:
    """A process of its own that spends one credit of a tenant after the other, each under a key of its own.

    It tells every key that was answered as charged. ``threads`` of it do the same at once; keys are numbered from
    ``first`` on.
    """

    def __init__(self, url: str, mode: str, name: str, tenant: str = "acme", threads: int = 1, first: int = 0) -> None:
        command = [sys.executable, "-m", "tests.ledger.worker", url, mode, name, tenant, str(threads), str(first)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pipesize=2**20)
        self.told: list[str] = []

    def listen(self, number: int) -> None:
        """Wait for so many answers."""
        assert self._process.stdout is not None
        for _ in range(number):
            line = self._process.stdout.readline()
            assert line.endswith("\n"), "the worker has ended"
            self.told.append(line.strip())

    def kill(self) -> list[str]:
        """End the process as a power failure would, and return every key it has told."""
        self._process.send_signal(signal.SIGKILL)
        assert self._process.stdout is not None
        self.told += [line.strip() for line in self._process.stdout if line.endswith("\n")]
        self._process.wait()
        self._process.stdout.close()
        return self.told

    def wait(self) -> list[str]:
        """Wait until nothing is left to spend, and return every key it has told."""
        assert self._process.stdout is not None
        self.told += [line.strip() for line in self._process.stdout]
        assert self._process.wait() == 0
        self._process.stdout.close()
        return self.told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()
