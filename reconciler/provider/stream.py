"""Meter events by the hundred: a session and its token, and which exports go this way.

The stream takes everything and looks at it later, so what it took is not sent yet: it is ``streamed`` until Stripe's
summary shows it. Source: https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api.
"""

import hashlib
import threading
import uuid
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus

from reconciler.entitlements.periods import SECOND, instant, micros
from reconciler.entitlements.policy import Meter
from reconciler.ledger.base import Export
from reconciler.provider.gateway import Gateway, RequestFailedError
from reconciler.provider.meter_events import MOST, Event
from reconciler.provider.retry import Failure
from reconciler.resources.model import Values

#: Events of one request.
TOGETHER = 100
#: A token that ends within this is not used any more, in microseconds.
_MARGIN = 60 * SECOND
_SESSION = "/v2/billing/meter_event_session"


def streamable(export: Export, meter: Meter, now: int) -> bool:
    """Tell whether an export can be streamed: one event that adds up, tried for the first time at this instant.

    What the summaries could not tell apart later goes by itself: several events, units taken back, an earlier attempt.
    """
    single = meter.aggregation == "sum" and not meter.window and 0 < export.units <= MOST
    return single and export.doubt == now and not export.refused


class Stream:
    """Sends events with a session's token, and takes a new one in time; safe for many threads."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._lock = threading.Lock()
        self._token: str | None = None
        self._ends = 0

    def send(self, events: Sequence[Event], now: int) -> Failure | None:
        """Send up to a hundred events; ``None`` where Stripe took them, without having looked at them."""
        told = "\n".join(event.identifier for event in events)
        for attempt in range(2):
            key = hashlib.sha256(f"{told}\n{now}\n{attempt}".encode()).hexdigest()
            token: str | None = None
            try:
                token = self._session(now)
                self._gateway.stream([_streamed(event) for event in events], token, key)
            except RequestFailedError as error:
                if attempt or token is None or error.failure.status != HTTPStatus.UNAUTHORIZED:
                    return error.failure
                self._forget(token)
            else:
                return None
        return None

    def _session(self, now: int) -> str:
        with self._lock:
            if self._token is None or now > self._ends - _MARGIN:
                session = self._gateway.post(_SESSION, {}, f"session-{uuid.uuid4().hex}").body
                self._token = str(session["authentication_token"])
                self._ends = micros(datetime.fromisoformat(session["expires_at"]))
            return self._token

    def _forget(self, token: str) -> None:
        """Use a token no more that was refused."""
        with self._lock:
            if self._token == token:
                self._token = None


def _streamed(event: Event) -> Values:
    """Return an event as /v2 has it: the time as text."""
    at = instant(event.params["timestamp"] * SECOND).isoformat(timespec="milliseconds")
    return {**event.params, "timestamp": at.replace("+00:00", "Z")}
