"""A lock that this run holds: renewed while it works, given up before its term ends, released on every way out.

No clock of this machine is believed. The account's own clock says when a lock ends; the holder counts the seconds since
just before it sent its last renewal, which end sooner. Stripe cannot fence writes: a request that reaches it more than
a request's timeout after it was sent can still arrive beyond the term.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus

from reconciler.diagnostics import PartlyAppliedError, ProviderError
from reconciler.planning.applied import Applied
from reconciler.planning.lock import TERM, Lock, applied_metadata, contracts_metadata, read_lock, released_metadata
from reconciler.planning.plan import Plan
from reconciler.provider.gateway import CONNECT_TIMEOUT, READ_TIMEOUT, Answer, Gateway, RequestFailedError
from reconciler.provider.ports import Ports

REQUEST_SECONDS = CONNECT_TIMEOUT + READ_TIMEOUT
#: Pause before a renewal that failed is tried again.
AGAIN_SECONDS = 5.0
#: Keys with which a request is tried whose failure Stripe may have stored.
ATTEMPTS = 3
#: Pause between renewals: a third of the term.
RENEWAL_SECONDS = TERM / 3
_RESUME = "Nothing is lost: apply the same plan again."


def running_seconds() -> float:
    """Return seconds that only go forward, those in which the machine slept included where the system counts them."""
    clock = getattr(time, "CLOCK_BOOTTIME", None) or getattr(time, "CLOCK_MONOTONIC", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Lease:
    """One held generation; ``since`` is the count of seconds just before the request that began or renewed it."""

    def __init__(
        self,
        ports: Ports,
        lock: Lock,
        answer: Answer,
        *,
        since: float,
        elapsed: Callable[[], float] = running_seconds,
    ) -> None:
        self.lock = lock
        self.lost: str | None = None
        self.is_released = False
        self._ports = ports
        self._elapsed = elapsed
        self._since = since
        self._offset = answer.at - since  # rather too late a clock than too early: others wait for it
        self._closed = threading.Event()

    def left(self) -> float:
        """Return the seconds that are surely left of the term."""
        return self._since + self.lock.term - self._elapsed()

    @property
    def ends(self) -> float:
        """The second of the account's clock at which the lock ends unless it is renewed."""
        return self._since + self._offset + self.lock.term

    def in_time(self) -> bool:
        """Tell whether a request may still be begun: one that takes as long as it may ends within the term."""
        if self.lost is None and self.left() < REQUEST_SECONDS:
            self._lose("it could not be renewed in time")
        return self.lost is None

    def renew(self) -> bool:
        """Try once to renew and tell whether that worked.

        To fail is no loss until time runs out, but an answer that shows another owner is.
        """
        sent = self._elapsed()
        try:
            answer = self._post(self._ports.once, {"renewed": str(int(sent + self._offset))})
        except RequestFailedError as error:
            if error.failure.status == HTTPStatus.NOT_FOUND:
                self._lose("its product was deleted")
            return False
        except ProviderError:
            return False
        lock = read_lock(answer.body)
        if lock is None or lock.token != self.lock.token:
            self._lose("its product was changed")
        elif lock.released:
            self.is_released = True
            self._lose(f"it was released by {lock.by or 'somebody'}")
        elif self.left() < 0:
            self._lose("it was renewed too late")
        else:
            self._since = sent
        return self._since == sent

    @contextmanager
    def kept(self, stop: threading.Event) -> Iterator[None]:
        """Renew in the background; set ``stop`` when the lock is lost."""
        thread = threading.Thread(target=self._keep, args=(stop,), name="lock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._closed.set()

    def release(self, plan: Plan | None = None) -> str | None:
        """Release, once; a plan that was applied as a whole is written down by the same request.

        Return None, or what kept it from being written.
        """
        self._closed.set()
        applied = None if plan is None or self.lost else self._record(plan)
        if self.is_released:
            return None
        metadata, unwritten = released_metadata(), ""
        if applied is not None and plan is not None:
            metadata |= applied_metadata(applied)
            if plan.contracts or self.lock.contracts:
                metadata |= contracts_metadata(looked_after=plan.contracts)
        for _ in range(ATTEMPTS):
            try:
                self._post(self._ports.sure, metadata)
            except RequestFailedError as error:
                unwritten = error.failure.message
                if not error.failure.ambiguous:
                    break
            except ProviderError as error:
                return error.message
            else:
                self.is_released = True
                return None
        return unwritten

    def loss(self) -> PartlyAppliedError | None:
        """Return the error of a lost lock."""
        if self.lost is None:
            return None
        message = f"the lock was lost while applying: {self.lost}; nothing more was begun"
        return PartlyAppliedError("E0822", message, remedy=_RESUME)

    def _record(self, plan: Plan) -> Applied:
        instant = datetime.fromtimestamp(int(self._elapsed() + self._offset), UTC)
        return Applied(plan.config_digest, plan.policy_digest, plan.digest, instant)

    def _keep(self, stop: threading.Event) -> None:
        pause = RENEWAL_SECONDS
        while self.lost is None and not self._closed.wait(pause):
            pause = RENEWAL_SECONDS if self.renew() else AGAIN_SECONDS
            if self.left() < 2 * REQUEST_SECONDS:
                self._lose("it could not be renewed in time")
        if self.lost is not None:
            stop.set()

    def _post(self, gateway: Gateway, metadata: dict[str, str]) -> Answer:
        key = f"reconciler-lock-{secrets.token_hex(16)}"
        return gateway.post(f"/v1/products/{self.lock.id}", {"metadata": metadata}, key)

    def _lose(self, why: str) -> None:
        self.lost = self.lost or why
