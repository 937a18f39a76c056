"""Every exception the product raises on purpose, with the exit code the command line gives it.

::

    ReconcilerError            1
     ├─ ConfigError            3   the files are wrong; carries all diagnostics
     ├─ GuardRefusedError      4   a guard or policy said no
     ├─ PlanRefusedError       5   stale, tampered with, expired, or for another account or mode
     ├─ LockedError            6   another apply holds the lock
     ├─ PartlyAppliedError     7   some writes are done, the rest can be resumed
     ├─ ProviderError          1   Stripe refused or could not be reached
     └─ UsageError            64   the command line is wrong
"""

from collections.abc import Sequence

from reconciler.diagnostics.model import Diagnostic


class ReconcilerError(Exception):
    """Something stops the command: stable code, message in plain words, remedy in one sentence."""

    exit_code = 1

    def __init__(self, code: str, message: str, *, remedy: str | None = None, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.details = tuple(details)


class ConfigError(ReconcilerError):
    """The configuration is invalid; ``diagnostics`` holds every problem found, not the first only."""

    exit_code = 3

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("E0001", f"{len(self.diagnostics)} problem(s) in the configuration")


class GuardRefusedError(ReconcilerError):
    """A guard refused the plan; the message names the guard and the flag that allows it once."""

    exit_code = 4


class PlanRefusedError(ReconcilerError):
    """The plan may not be applied: stale, altered, expired, or made for another account, mode or version."""

    exit_code = 5


class LockedError(ReconcilerError):
    """Another apply holds the account's lock; the message names the holder."""

    exit_code = 6


class PartlyAppliedError(ReconcilerError):
    """Some writes happened and some did not; the message says which and how to resume."""

    exit_code = 7


class ProviderError(ReconcilerError):
    """Stripe refused a request or could not be reached; the message carries Stripe's request id where there is one."""


class UsageError(ReconcilerError):
    """The command line cannot be understood."""

    exit_code = 64
