"""Stripe's request limits: 25/s for each operation; 100/s in live mode and 25/s in a Stripe sandbox for the account.

Source: https://docs.stripe.com/rate-limits. A 429 comes before execution and is never stored under an idempotency key.
"""

import threading
from collections.abc import Callable
from typing import Literal, get_args

from reconciler.diagnostics import UsageError
from reconciler.sandbox.errors import ApiError

Profile = Literal["off", "sandbox", "live"]

PER_OPERATION = 25.0
PER_ACCOUNT = {"sandbox": 25.0, "live": 100.0}


class Limiter:
    """Token buckets that hold one second's worth, per account and per operation of an account."""

    def __init__(self, profile: Profile, monotonic: Callable[[], float]) -> None:
        if profile not in get_args(Profile):
            raise UsageError("E1208", f"the rate profile is one of {', '.join(get_args(Profile))}, not {profile!r}")
        self._profile = profile
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def admit(self, account: str, operation: str) -> None:
        """Take a token from the account's and the operation's bucket; raise Stripe's 429 if either is empty."""
        if self._profile == "off":
            return
        with self._lock:
            for name, rate in (("", PER_ACCOUNT[self._profile]), (operation, PER_OPERATION)):
                self._take((account, name), rate)

    def _take(self, bucket: tuple[str, str], rate: float) -> None:
        now = self._monotonic()
        tokens, since = self._buckets.get(bucket, (rate, now))
        tokens = min(rate, tokens + (now - since) * rate)
        if tokens < 1:
            self._buckets[bucket] = (tokens, now)
            raise ApiError(
                429,
                "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
                code="rate_limit",
                headers={"stripe-rate-limited-reason": "endpoint-rate" if bucket[1] else "global-rate"},
            )
        self._buckets[bucket] = (tokens - 1, now)
