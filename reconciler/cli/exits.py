"""Exit codes, the same for every command."""

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code of the process says; a signal is 128 plus its number."""

    OK = 0
    ERROR = 1
    CHANGES = 2
    CONFIG = 3
    GUARD = 4
    REFUSED = 5
    LOCKED = 6
    PARTLY = 7
    USAGE = 64


#: Added to the number of the signal that ended the process: 130 for SIGINT, 143 for SIGTERM.
SIGNALLED = 128


class SignalledError(BaseException):
    """A signal asks the process to end; not an Exception, so that nothing on the way swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.exit_code = SIGNALLED + number
