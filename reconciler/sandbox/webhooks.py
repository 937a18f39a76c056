"""Webhooks on their way: what waits is posted, signed as Stripe signs it, and tried again for as long as Stripe would.

Source: https://docs.stripe.com/webhooks. At least once and in no promised order: a process that dies after posting and
before writing that down posts again.
"""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import stripe

from reconciler.diagnostics import UsageError
from reconciler.sandbox import delivery, v2
from reconciler.sandbox.database import Store
from reconciler.sandbox.errors import no_such
from reconciler.sandbox.expand import show
from reconciler.sandbox.faults import Fault, Faults
from reconciler.sandbox.objects.base import Family
from reconciler.sandbox.posting import Network, Post
from reconciler.sandbox.store import Row, Tx
from reconciler.sandbox.wire import Obj

Profile = Literal["sandbox", "live"]
_HOUR = 3600
#: Seconds from each failed attempt to the next. Stripe documents their number and span only: three times over a few
#: hours in a sandbox, up to three days with exponential backoff in live mode.
RETRIES: Mapping[str, tuple[int, ...]] = {
    "sandbox": (600, _HOUR, 2 * _HOUR),
    "live": (300, 900, _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, 24 * _HOUR, 24 * _HOUR),
}
#: Endpoints that a server posts to at once; each gets one delivery at a time.
WORKERS = 8
_POLL_SECONDS = 0.05
_ACKNOWLEDGED = range(200, 300)

_logger = logging.getLogger("reconciler.sandbox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """How webhooks are delivered: hosts beside the loopback that may be posted to, retries, seconds to wait for one.

    ``post`` replaces the network. ``wall`` is the time signatures carry: that of the receiver, who refuses old ones,
    and not the sandbox's, which may be frozen.
    """

    hosts: frozenset[str] = frozenset()
    profile: Profile = "sandbox"
    timeout: float = 10.0
    post: Post | None = None
    wall: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if self.profile not in get_args(Profile):
            raise UsageError(
                "E1210", f"the webhook profile is one of {', '.join(get_args(Profile))}, not {self.profile!r}"
            )


class Deliverer:
    """Posts what waits; one delivery of an endpoint at a time, in the order of the events."""

    def __init__(
        self, store: Store, families: Mapping[str, Family], faults: Faults, now: Callable[[], int], how: Webhooks
    ) -> None:
        self._store = store
        self._families = families
        self._faults = faults
        self._now = now
        self._how = how
        self._network = Network(how.hosts, how.timeout)
        self._post = how.post or self._network
        self._lock = threading.Lock()
        self._busy: set[tuple[str, str]] = set()
        self._stopping = threading.Event()

    def pump(self) -> int:
        """Post everything that is due now and return how many times something was posted."""
        made = 0
        while queues := self._store.queues(self._now()):
            done = sum(self._drain(*queue) for queue in queues)
            if not done and queues == self._store.queues(self._now()):
                break  # another thread is at them
            made += done
        return made

    def deliveries(self, account: str, limit: int, **filters: str) -> list[Obj]:
        """Return the deliveries of an account, newest first; filters are ``event``, ``endpoint`` and ``status``."""
        with self._store.read(account) as tx:
            return delivery.find(tx, limit, **filters)

    def resend(self, account: str, event_id: str, endpoint_id: str | None = None) -> list[Obj]:
        """Let an event wait for one more delivery, to the endpoint named or to all that want it, and return them.

        Resending by hand does not change the retries (https://docs.stripe.com/webhooks#manual-retries).
        """
        with self._store.write(account) as tx:
            rows = [tx.find(kind, event_id) for kind in ("event", "v2.core.event")]
            event = next((row.body for row in rows if row), None)
            if event is None:
                raise no_such("event", event_id, "event", status=404)
            chosen = [each for each in delivery.receivers(tx, event) if endpoint_id in {None, each["id"]}]
            if endpoint_id and not chosen:
                raise no_such("webhook endpoint", endpoint_id, "endpoint")
            return [delivery.enqueue(tx, self._now(), event, each, manual=True) for each in chosen]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Post in the background what is due while the block runs."""
        self._stopping.clear()
        thread = threading.Thread(target=self._run, name="sandbox-webhooks", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._network.hang_up()
            thread.join()
            self._stopping.clear()

    def _run(self) -> None:
        """Give every queue in which something is due to a thread of the pool, each to one at a time."""
        with ThreadPoolExecutor(WORKERS, "sandbox-webhooks") as pool:
            given: dict[tuple[str, str], Future[None]] = {}
            while not self._stopping.wait(_POLL_SECONDS):
                given = {queue: future for queue, future in given.items() if not future.done()}
                for queue in self._queues():
                    if queue not in given:
                        given[queue] = pool.submit(self._work, queue)

    def _queues(self) -> list[tuple[str, str]]:
        try:
            return self._store.queues(self._now())
        except sqlite3.Error:
            return []  # another process holds the database: the next look will do

    def _work(self, queue: tuple[str, str]) -> None:
        try:
            self._drain(*queue)
        except Exception:
            _logger.exception("webhooks could not be delivered")

    def _drain(self, account: str, queue: str) -> int:
        """Post what is due for one endpoint; nothing if another thread is at it."""
        with self._lock:
            if (account, queue) in self._busy:
                return 0
            self._busy.add((account, queue))
        try:
            posted = 0
            while not self._stopping.is_set() and (rows := self._waiting(account, queue)):
                for row, struck in self._next(rows):
                    posted += self._deliver(account, row, struck)
            return posted
        finally:
            with self._lock:
                self._busy.discard((account, queue))

    def _waiting(self, account: str, queue: str) -> list[Row]:
        with self._store.read(account) as tx:
            return tx.waiting(queue, self._now(), 2)

    def _next(self, rows: list[Row]) -> list[tuple[Row, list[Fault]]]:
        """Return the next delivery with the faults that hit it; one to be reordered comes after the one behind it."""
        struck = self._struck(rows[0])
        if not any(fault.kind == "webhook_reorder" for fault in struck):
            return [(rows[0], struck)]
        return [*((row, self._struck(row)) for row in rows[1:]), (rows[0], struck)]

    def _struck(self, row: Row) -> list[Fault]:
        """Count a delivery for the faults: once, at its first attempt."""
        return self._faults.strike_event(row.body["event_type"]) if row.body["due"] == delivery.NOW else []

    def _deliver(self, account: str, row: Row, struck: list[Fault]) -> int:
        """Post one delivery, as often as the faults say, and write down what came of it; return how often."""
        kinds = [fault.kind for fault in struck]
        outcome: Callable[[Tx, Row], None]
        posted = 0
        if "webhook_delay" in kinds:
            seconds = sum(fault.seconds for fault in struck if fault.kind == "webhook_delay")
            outcome = partial(delivery.postpone, at=self._now() + max(1, round(seconds)))
        elif (message := self._message(account, row)) is None:
            outcome = partial(delivery.close, status="canceled")
        elif "webhook_lose" in kinds:
            # Worse than a failure: Stripe believes that it was delivered.
            outcome = partial(delivery.close, status="succeeded", attempt={"at": self._now(), "lost": True})
        else:
            posted = 1 + kinds.count("webhook_duplicate")
            attempt = [self._send(*message) for _ in range(posted)][-1]
            if self._stopping.is_set() and "error" in attempt:
                return posted  # cut here and not by the receiver: it is due as before, for the next to start
            outcome = partial(self._conclude, attempt=attempt)
        with self._store.write(account) as tx:
            found = tx.find(delivery.KIND, row.body["id"])
            if found and found.body["status"] == "pending":
                outcome(tx, found)
        return posted

    def _message(self, account: str, row: Row) -> tuple[str, str, str] | None:
        """Return URL, secret and payload; ``None`` if the endpoint is gone or disabled, which ends the retries."""
        sent = row.body
        with self._store.read(account) as tx:
            endpoint = tx.find(sent["endpoint_kind"], sent["endpoint"])
            event = tx.find(sent["event_kind"], sent["event"])
            if endpoint is None or event is None or endpoint.body["status"] != "enabled":
                return None
            family = self._families[sent["event_kind"]]
            thin = event.body["object"] != "event"
            payload = v2.notification(event.body) if thin else show(tx, self._families, family, event.body)
        return _url(endpoint.body), endpoint.body["_secret"], json.dumps(payload, indent=2)

    def _send(self, url: str, secret: str, payload: str) -> Obj:
        """Post once, signed (https://docs.stripe.com/webhooks#verify-manually); return what is known of the attempt."""
        signed_at = int(self._how.wall()) + self._faults.lag("clock_skew")
        sign = stripe.WebhookSignature.generate_signature_header
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Accept": "*/*; q=0.5, application/xml",
            "Cache-Control": "no-cache",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": sign(payload, secret, signed_at),
        }
        try:
            return {"at": self._now(), "status": self._post(url, headers, payload.encode())}
        except OSError as error:
            return {"at": self._now(), "error": str(error) or type(error).__name__}

    def _conclude(self, tx: Tx, row: Row, attempt: Obj) -> None:
        """Close what was acknowledged or has been tried often enough; let the rest wait for its next attempt."""
        waits = () if row.body["manual"] else RETRIES[self._how.profile]
        failures = len(row.body["attempts"])
        if attempt.get("status") in _ACKNOWLEDGED:
            delivery.close(tx, row, "succeeded", attempt)
        elif failures < len(waits):
            delivery.postpone(tx, row, self._now() + waits[failures], attempt)
        else:
            delivery.close(tx, row, "failed", attempt)


def _url(endpoint: Obj) -> str:
    """Return the address of a webhook endpoint or of an event destination."""
    return str(endpoint.get("url") or endpoint["_url"])
