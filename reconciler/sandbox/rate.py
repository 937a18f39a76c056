"""Stripe's request limits: 25/s for each operation; 100/s in live mode and 25/s in a Stripe sandbox for the account.

Meter events have limits of their own in live mode, and one request at a time for each customer and meter.

Source: https://docs.stripe.com/rate-limits. A 429 comes before execution and is never stored under an idempotency key.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from reconciler.diagnostics import UsageError
from reconciler.sandbox.errors import ApiError, rate_limited

Profile = Literal["off", "sandbox", "live"]

PER_OPERATION = 25.0
#: What all searches share (https://docs.stripe.com/search#rate-limits).
PER_SEARCH = 20.0
PER_ACCOUNT = {"sandbox": 25.0, "live": 100.0}
#: What has a limit of its own in live mode and does not count for the account's.
APART = {
    "POST /v1/billing/meter_events": 1_000.0,
    "POST /v2/billing/meter_events": 1_000.0,
    "POST /v2/billing/meter_event_stream": 10_000.0,
}


class Limiter:
    """Token buckets that hold one second's worth, per account and per operation of an account."""

    def __init__(self, profile: Profile, monotonic: Callable[[], float]) -> None:
        if profile not in get_args(Profile):
            raise UsageError("E1208", f"the rate profile is one of {', '.join(get_args(Profile))}, not {profile!r}")
        self._profile = profile
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._busy: set[tuple[str, str]] = set()
        #: Whether there are limits at all.
        self.limits = profile != "off"

    def admit(self, account: str, operation: str) -> None:
        """Take a token from the account's and the operation's bucket; raise Stripe's 429 if either is empty."""
        if self._profile == "off":
            return
        with self._lock:
            if self._profile == "live" and operation in APART:
                self._take((account, operation), APART[operation])
                return
            own = ("search", PER_SEARCH) if operation.endswith("/search") else (operation, PER_OPERATION)
            for name, rate in (("", PER_ACCOUNT[self._profile]), own):
                self._take((account, name), rate)

    @contextmanager
    def alone(self, account: str, subject: str | None, refusal: Callable[[], ApiError]) -> Iterator[None]:
        """Hold what a request is about, if it is named; raise the refusal while another request holds it."""
        if subject is None:
            yield
            return
        with self._lock:
            if (account, subject) in self._busy:
                raise refusal()
            self._busy.add((account, subject))
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard((account, subject))

    def _take(self, bucket: tuple[str, str], rate: float) -> None:
        now = self._monotonic()
        tokens, since = self._buckets.get(bucket, (rate, now))
        tokens = min(rate, tokens + (now - since) * rate)
        if tokens < 1:
            self._buckets[bucket] = (tokens, now)
            raise rate_limited("endpoint-rate" if bucket[1] else "global-rate")
        self._buckets[bucket] = (tokens - 1, now)
