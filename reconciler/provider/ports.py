"""Ways to one account that differ in how long they try, for an apply that may be stopped and must tidy up."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.retry import Backoff

#: For what is tried also after a stop, and must not keep anybody waiting.
_BRIEF = Backoff(tries=3, budget=10.0)
_ONCE = Backoff(tries=1)


@dataclass(frozen=True)
class Ports:
    """Gateways: ``work`` stops trying at a stop, ``sure`` does not and tries briefly, ``once`` never tries again."""

    work: Gateway
    sure: Gateway
    once: Gateway

    @classmethod
    def of(
        cls,
        connection: Connection,
        stop: threading.Event | None = None,
        sleep: Callable[[float], bool | None] | None = None,
    ) -> "Ports":
        """Open them; ``stop`` ends waits between tries, ``sleep`` takes the place of all waits."""
        patient = Backoff() if stop is None else Backoff(sleep=stop.wait)
        waits = (patient, _BRIEF, _ONCE)
        work, sure, once = waits if sleep is None else (replace(each, sleep=sleep) for each in waits)
        return cls(*(Gateway(connection, backoff=each) for each in (work, sure, once)))
