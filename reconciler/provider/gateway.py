"""The port to Stripe, or to a server that speaks its API: one request in, one answer or failure out.

This is the only module that imports ``stripe`` for input and output. The SDK's retries, telemetry and notices are off;
idempotency keys, rates and retries are ours.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

from reconciler.diagnostics import ProviderError, UsageError
from reconciler.diagnostics.redact import redact
from reconciler.provider.limiter import LIVE, TEST, Limiter, Rates
from reconciler.provider.retry import Backoff, Failure
from reconciler.resources.model import Values
from reconciler.resources.version import API_VERSION

os.environ.setdefault("STRIPE_SUPPRESS_NOTICES", "1")
import stripe
from stripe import StripeClient, StripeError

stripe.enable_telemetry = False

CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 30.0
STREAM = "/v2/billing/meter_event_stream"


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: the object, and whether Stripe had stored it for an earlier request with the same key.

    ``replayed`` is None where no header tells, so that the answer proves nothing about what is there now. ``at`` is the
    server's own clock in seconds; only an answer without a date has this machine's.
    """

    body: dict[str, Any]
    request_id: str | None
    replayed: bool | None
    at: float


#: What came back could not be understood, so the request may have been carried out.
UNREADABLE = Failure(None, None, "the answer could not be read")

#: A write that may not be sent any more.
UNSENT = Failure(None, None, "not sent, because the lock is lost", unsent=True)


class RequestFailedError(Exception):
    """A request failed for good; ``failure`` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ReadOnlyClient(stripe.HTTPClient):
    """A transport that refuses to send anything but GET: commands that only look cannot write."""

    name = "read-only"

    def __init__(self, inner: stripe.HTTPClient) -> None:
        super().__init__()
        self._inner = inner

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Pass a GET on; refuse everything else with ProviderError before a byte is sent."""
        if method.lower() != "get":
            raise ProviderError("E0901", f"a read-only command tried to send {method.upper()}")
        return self._inner.request(method, url, headers, post_data)

    def close(self) -> None:
        """Close the transport underneath."""
        self._inner.close()  # type: ignore[no-untyped-call]  # the SDK leaves it unannotated


@dataclass(frozen=True)
class Connection:
    """How to reach an account: a secret key, and where the API is served.

    ``transport`` is an SDK HTTP client such as the embedded sandbox's; ``base`` the URL of a Stripe-compatible server.
    ``simulated`` says that the sandbox was chosen, so that nothing there is money.
    """

    key: str
    base: str | None = None
    transport: stripe.HTTPClient | None = None
    rates: Rates | None = None
    simulated: bool = False

    @property
    def mode(self) -> str:
        """``live`` or ``test``, from the key's prefix."""
        return "live" if "_live_" in self.key else "test"


def check_key(key: str) -> str:
    """Return a secret key without surrounding space; UsageError for anything that is not one."""
    stripped = key.strip()
    if stripped.startswith("pk_"):
        raise UsageError("E0902", "the key is publishable; a secret or restricted key is needed")
    if not stripped.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")) or not stripped.isascii():
        raise UsageError("E0902", "the key does not look like a Stripe secret key (sk_… or rk_…)")
    if any(char.isspace() for char in stripped):
        raise UsageError("E0902", "the key contains white space")
    return stripped


class Gateway:
    """Sends requests within the rates, again where that is safe, and never prints a key."""

    def __init__(self, connection: Connection, *, backoff: Backoff | None = None, read_only: bool = False) -> None:
        self.mode = connection.mode
        rates = connection.rates or (LIVE if connection.mode == "live" else TEST)
        self._limiter = Limiter(rates)
        self._backoff = backoff or Backoff()
        transport = connection.transport or stripe.RequestsClient(timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))
        bases: Any = (
            dict.fromkeys(("api", "connect", "files", "meter_events"), connection.base) if connection.base else {}
        )
        self._client = StripeClient(
            connection.key,
            stripe_version=API_VERSION,
            max_network_retries=0,
            base_addresses=bases,
            http_client=ReadOnlyClient(transport) if read_only else transport,
        )
        self._may_write: Callable[[], bool] = lambda: True
        self.requests = 0

    def guarded(self, may_write: Callable[[], bool]) -> "Gateway":
        """Return the same way to the account, which sends a write only where ``may_write`` says so at that moment."""
        guarded = copy(self)
        guarded._may_write = may_write  # noqa: SLF001  a copy of our own
        return guarded

    def pressed(self, backoff: Backoff) -> "Gateway":
        """Return the same way to the account with another patience."""
        pressed = copy(self)
        pressed._backoff = backoff  # noqa: SLF001  a copy of our own
        return pressed

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Read; RequestFailedError where it fails for good."""
        return self.read(path, params).body

    def read(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Read, and return the whole answer; RequestFailedError as above."""
        return self._send("get", path, dict(params or {}), None)

    def post(self, path: str, params: Values, idempotency_key: str) -> Answer:
        """Write with a key of our own; RequestFailedError where it fails for good."""
        return self._send("post", path, params, idempotency_key)

    def stream(self, events: Sequence[Values], token: str, idempotency_key: str) -> Answer:
        """Send meter events with the token of a session; RequestFailedError where it fails for good.

        They go to the server for meter events, which is another one at Stripe
        (https://docs.stripe.com/api/v2/billing/meter-event-stream).
        """
        apart = {"api_key": token, "base": "meter_events"}
        return self._send("post", STREAM, {"events": list(events)}, idempotency_key, apart)

    def delete(self, path: str) -> Answer:
        """Delete; Stripe ignores idempotency keys here, and deleting twice is deleting once."""
        return self._send("delete", path, {}, None)

    def _send(
        self,
        method: str,
        path: str,
        params: Values,
        idempotency_key: str | None,
        apart: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        waits, doubted = self._backoff.waits(reading=method == "get"), False
        while True:
            self._limiter.wait(f"{method} {_endpoint(path)}")
            if method != "get" and not self._may_write():
                raise RequestFailedError(replace(UNSENT, doubted=doubted))
            self.requests += 1
            try:
                return self._once(method, path, params, idempotency_key, apart)
            except StripeError as error:
                failure = _failure(error)
            except (TypeError, ValueError, KeyError, AttributeError):
                failure = UNREADABLE
            if not waits.again(failure):
                raise RequestFailedError(replace(failure, doubted=doubted))
            doubted = doubted or failure.unanswered

    def _once(
        self, method: str, path: str, params: Values, idempotency_key: str | None, apart: Mapping[str, str]
    ) -> Answer:
        options = {**({"idempotency_key": idempotency_key} if idempotency_key else {}), **apart}
        response = self._client.raw_request(method, path, **params, **options)
        headers, body = response.headers, response.data
        served = headers.get("stripe-version", API_VERSION)
        if served != API_VERSION:
            raise ProviderError("E0907", f"the server speaks API version {served}, and {API_VERSION} was asked for")
        # A page of the v2 API says what it is by where it goes on; the stream has nothing to say.
        known = isinstance(body, dict) and ("object" in body or "next_page_url" in body or path == STREAM)
        if not known:
            raise ValueError("an answer that is no object of Stripe's")
        return Answer(dict(body), headers.get("request-id"), _replayed(headers), _date(headers))


def _endpoint(path: str) -> str:
    """Name the endpoint of a path as Stripe's limits do, ids left out."""
    parts = path.strip("/").split("/")
    fixed = 3 if parts[1] in {"billing", "entitlements", "core"} else 2
    return "/".join(
        [*parts[:fixed], *("{id}" if index == fixed else part for index, part in enumerate(parts[fixed:], fixed))]
    )


def _replayed(headers: Mapping[str, str]) -> bool | None:
    """Tell whether an answer was stored for an earlier request; None where the headers do not say."""
    if headers.get("idempotent-replayed", "").lower() == "true":
        return True
    original = headers.get("original-request")
    return None if original is None else original != headers.get("request-id")


def _date(headers: Mapping[str, str]) -> float:
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        return time.time()


def _failure(error: StripeError) -> Failure:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    body = getattr(error, "error", None)
    code = getattr(body, "code", None) or (getattr(body, "type", None) if error.http_status else None)
    hint = headers.get("stripe-should-retry")
    return Failure(
        status=error.http_status,
        code=code,
        message=_message(error),
        request_id=headers.get("request-id"),
        should_retry=None if hint is None else hint.lower() == "true",
        retry_after=_seconds(headers.get("retry-after")),
        replayed=bool(_replayed(headers)),
        param=getattr(body, "param", None),
    )


def _message(error: StripeError) -> str:
    """Return Stripe's own words, or what kept an answer from coming; never the SDK's advice about its maker."""
    if error.http_status is not None:
        return redact(error.user_message or type(error).__name__)
    cause = error.__cause__ or error.__context__
    return f"no answer came ({type(cause or error).__name__})"


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
