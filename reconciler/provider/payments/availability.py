"""Whether Stripe can be reached: asked with one small read of at most 5 seconds, and believed for 30."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from reconciler.provider.gateway import Gateway, RequestFailedError
from reconciler.provider.payments.hurry import OutOfTimeError, Within, within
from reconciler.provider.retry import Backoff

LIMIT, LASTS = 5.0, 30.0


class Health(NamedTuple):
    """Whether Stripe answered ``at`` an instant of the clock, and why not."""

    available: bool
    at: float
    why: str = ""


class Availability:
    """Asks, remembers, and never has two askers ask at once; for any thread.

    Only silence and Stripe's own failures are unavailability: whoever is refused or told to slow down was answered.
    """

    def __init__(
        self, gateway: Gateway, *, clock: Callable[[], float] = time.monotonic, within: Within = within
    ) -> None:
        self._gateway = gateway.pressed(Backoff(tries=1))
        self._clock = clock
        self._within = within
        self._lock = threading.Lock()
        self._known: Health | None = None

    def look(self) -> Health:
        """Return what is known, asked anew where that is 30 seconds old or nothing is."""
        with self._lock:
            known = self._known
            if known is None or self._clock() - known.at >= LASTS:
                why = self._ask()
                known = self._known = Health(not why, self._clock(), why)
            return known

    def forget(self) -> None:
        """Ask anew next time."""
        with self._lock:
            self._known = None

    def _ask(self) -> str:
        """Return why Stripe is unavailable; nothing where it is not."""
        try:
            self._within(LIMIT, lambda: self._gateway.get("/v1/prices", {"limit": 1}))
        except OutOfTimeError:
            return f"no answer within {LIMIT:g} s"
        except RequestFailedError as error:
            return error.failure.message if error.failure.unanswered else ""
        return ""
