"""A client-side token bucket per endpoint and one for all, within Stripe's documented limits.

Stripe allows 25 requests per second per endpoint, and 100 (live) or 25 (test) in all
(https://docs.stripe.com/rate-limits); the bucket stays below, because other programs use the account as well.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests per second: for each endpoint, and in all; those ``apart`` have a rate of their own instead."""

    endpoint: float
    total: float
    apart: Mapping[str, float] = field(default_factory=dict)


TEST = Rates(endpoint=20, total=20)
#: Meter events may come a thousand a second in live mode, requests of their stream ten thousand; elsewhere they count
#: like everything else.
LIVE = Rates(
    endpoint=20, total=80, apart={"post v1/billing/meter_events": 800, "post v2/billing/meter_event_stream": 8000}
)
UNLIMITED = Rates(endpoint=float("inf"), total=float("inf"))


#: How long a bucket saves up while nobody asks; short, so that no second ever sees more than Stripe allows.
BURST_SECONDS = 0.2


class _Bucket:
    """Hands out start times spaced by the rate, and saves a few up while idle."""

    def __init__(self, rate: float, now: float) -> None:
        self._gap = 1 / rate
        self._free = now
        self._burst = BURST_SECONDS

    def take(self, now: float) -> float:
        start = max(self._free, now - self._burst + self._gap)
        self._free = start + self._gap
        return start


class Limiter:
    """Makes callers wait for their turn; safe for many threads, fair in order of arrival."""

    def __init__(
        self,
        rates: Rates,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rates = rates
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._total = _Bucket(rates.total, clock())
        self._endpoints: dict[str, _Bucket] = {}

    def wait(self, endpoint: str) -> float:
        """Wait until a request to the endpoint may start; return the seconds waited."""
        if self._rates is UNLIMITED:
            return 0.0
        with self._lock:
            now = self._clock()
            own = self._rates.apart.get(endpoint)
            bucket = self._endpoints.setdefault(endpoint, _Bucket(own or self._rates.endpoint, now))
            start = bucket.take(now) if own else max(bucket.take(now), self._total.take(now))
        delay = max(0.0, start - now)
        if delay:
            self._sleep(delay)
        return delay
