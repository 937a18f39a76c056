"""Processes for the tests of the ledger: copies of this one, and others that are killed."""

import os
from collections.abc import Callable


def in_child(work: Callable[[], object]) -> Callable[[], bool]:
    """Run work in a copy of this process; return what waits for its end and tells whether it went well."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 3)
        except BaseException:  # noqa: BLE001  a child must not go on as a test
            os._exit(4)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
