"""When a failed request may be sent again, and how long to wait.

The SDK does not retry 429 and ignores Retry-After, so its own retries are off and this policy is the only one. Waits
are drawn with full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

FIRST_WAIT = 0.5
LONGEST_WAIT = 20.0
RETRIED_STATUS = frozenset({HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that did not succeed. ``status`` is None where no answer came.

    ``doubted``: an earlier try of it failed in a way that leaves open whether it was carried out. ``unsent``: this try
    was not made at all.
    """

    status: int | None
    code: str | None
    message: str
    request_id: str | None = None
    should_retry: bool | None = None
    retry_after: float | None = None
    replayed: bool = False
    param: str | None = None
    doubted: bool = False
    unsent: bool = False

    @property
    def server_error(self) -> bool:
        """Whether the server failed while it worked on the request."""
        return self.status is not None and self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def unanswered(self) -> bool:
        """Whether nothing was learnt: no answer, one that cannot be read, or the server's own failure.

        Every refusal of Stripe's says of what type it is; a page of somebody on the way, or half an answer, does not.
        """
        if self.unsent:
            return False
        return self.status is None or self.status < HTTPStatus.BAD_REQUEST or self.server_error or self.code is None

    @property
    def ambiguous(self) -> bool:
        """Whether the request may have been carried out although it failed, at this try or an earlier one."""
        return self.unanswered or self.doubted

    @property
    def retriable(self) -> bool:
        """Whether sending the same request with the same key again can help."""
        if self.should_retry is not None:
            return self.should_retry
        if self.code == "idempotency_error":
            return False
        return self.unanswered or self.status in RETRIED_STATUS


@dataclass
class Backoff:
    """How often and how long to wait; sleep and randomness can be replaced.

    A read that nobody answers is given up after ``unanswered_reads`` tries: nothing is lost, and somebody is waiting.
    ``sleep`` returns True where it was told to stop, as ``threading.Event.wait`` does, and nothing is tried again then.
    """

    tries: int = 8
    unanswered_reads: int = 4
    budget: float = 120.0
    sleep: Callable[[float], bool | None] = time.sleep
    random: Callable[[], float] = field(default=random.random)

    def waits(self, *, reading: bool = False) -> "Waits":
        """Start counting for one request."""
        return Waits(self, reading=reading)


class Waits:
    """The waits of one request: at most ``tries - 1`` of them, ``budget`` seconds in all."""

    def __init__(self, policy: Backoff, *, reading: bool) -> None:
        self._policy = policy
        self._unanswered = min(policy.tries, policy.unanswered_reads) if reading else policy.tries
        self._made = 0
        self._spent = 0.0

    def again(self, failure: Failure) -> bool:
        """Wait before the next try and tell whether there is one."""
        self._made += 1
        tries = self._unanswered if failure.status is None else self._policy.tries
        if not failure.retriable or self._made >= tries:
            return False
        ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (self._made - 1))
        wait = max(ceiling * self._policy.random(), failure.retry_after or 0.0)
        if self._spent + wait > self._policy.budget:
            return False
        self._spent += wait
        return not self._policy.sleep(wait)
