"""What can go wrong while something is sold, each with a code of its own.

::

    ProviderError
     └─ PaymentError              1
         ├─ UnavailableError      1   Stripe does not answer; nothing was sent that writes
         ├─ PageError             1   a page was not made, or it is not known whether it was
         └─ StatusTimeoutError    7   a payment was not decided while somebody waited
    UsageError
     └─ NotForSaleError          64   the files do not sell that, or not to this tenant
"""

from reconciler.diagnostics import ProviderError, UsageError


class PaymentError(ProviderError):
    """Selling failed."""


class UnavailableError(PaymentError):
    """Stripe does not answer, so nothing was begun."""

    def __init__(self, why: str) -> None:
        super().__init__("E1401", f"Stripe cannot be reached: {why}", remedy="Nothing was begun; try again later.")


class PageError(PaymentError):
    """A page was not made; ``ambiguous`` says that it may have been, and the same key again finds it.

    ``conflict`` says that the key was used for something else.
    """

    def __init__(
        self, code: str, message: str, *, remedy: str | None = None, ambiguous: bool = False, conflict: bool = False
    ) -> None:
        super().__init__(code, message, remedy=remedy)
        self.ambiguous = ambiguous
        self.conflict = conflict


class StatusTimeoutError(PaymentError):
    """A payment was not decided in time; nothing was changed, and it may still be paid."""

    exit_code = 7


class NotForSaleError(UsageError):
    """The files do not sell what was asked for, or not to this tenant."""
