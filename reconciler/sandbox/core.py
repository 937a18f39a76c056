"""The sandbox: one request in, one reply out, everything between them in one transaction.

Order of a request, as Stripe's: key, version, route, rate limit, idempotency key, parameters (refusals up to here are
not stored), execution, storing the outcome.
"""

import json
import re
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from types import TracebackType
from typing import Self
from urllib.parse import unquote

import stripe

from reconciler.sandbox import events, expand, form, idempotency, params
from reconciler.sandbox.auth import account_of, check_version
from reconciler.sandbox.client import InProcessClient
from reconciler.sandbox.errors import ApiError, invalid, unrecognized_url
from reconciler.sandbox.families import FAMILIES
from reconciler.sandbox.faults import NEVER_STORED, Fault, Faults
from reconciler.sandbox.ids import derive
from reconciler.sandbox.objects.base import OWN_CLOCK, Call, Family, Origin, Route
from reconciler.sandbox.rate import Limiter, Profile
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import MEMORY, Store, Tx
from reconciler.sandbox.version import API_VERSION
from reconciler.sandbox.wire import ConnectionDroppedError, Obj, Request, Response

#: How many requests :attr:`Sandbox.requests` remembers.
LOG_LENGTH = 10_000

#: Logged as the status of a request whose answer never arrived.
DROPPED = 0

#: Called with method, path and status of every request.
RequestLog = Callable[[str, str, int], None]


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a request leads."""

    family: Family
    route: Route
    ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One request on its way through: who asks for what, under which id."""

    request: Request
    path: str
    query: str
    headers: Mapping[str, str]
    request_id: str

    @property
    def key(self) -> str | None:
        """The idempotency key; GET and DELETE have none."""
        return self.headers.get("idempotency-key") if self.request.method == "POST" else None


def _routes() -> list[tuple[str, re.Pattern[str], Family, Route]]:
    return [
        (route.method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.pattern)), family, route)
        for family in FAMILIES.values()
        for route in family.routes
    ]


_ROUTES = _routes()


class Sandbox:
    """A Stripe account server that keeps state: in memory or in a SQLite file, safe for many threads and processes.

    ``clock`` is a function or a fixed number of Unix seconds, ``None`` the system clock. With a fixed clock and the
    same ``seed`` the same requests get byte-identical replies.
    """

    def __init__(
        self,
        path: str = MEMORY,
        *,
        settings: Settings | None = None,
        clock: Callable[[], int] | int | None = None,
        seed: int = 0,
        rate: Profile = "off",
        log: RequestLog | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or Settings()
        self.faults = Faults(seed)
        #: The latest requests as ``(method, path, status)``, oldest first; status 0 is a dropped connection.
        self.requests: deque[tuple[str, str, int]] = deque(maxlen=LOG_LENGTH)
        self._clock = _clock(clock)
        self._seed = seed
        self._log = log
        self._limiter = Limiter(rate, monotonic)
        self._in_flight = idempotency.InFlight()
        self._store = Store(path)
        self._numbers = count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def http_client(self) -> InProcessClient:
        """Return a transport for ``stripe.StripeClient(key, http_client=...)`` that needs no socket."""
        return InProcessClient(self.dispatch)

    def client(self, key: str = "sk_test_sandbox") -> stripe.StripeClient:
        """Return an SDK client of this sandbox; keys with another text have another account."""
        return stripe.StripeClient(key, http_client=self.http_client())

    def dispatch(self, request: Request) -> Response:
        """Answer a request; raise :class:`ConnectionDroppedError` where a fault cuts the connection."""
        path, _, query = request.path.partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        request_id = "req_" + derive(self._seed, "request", self._store.boot, next(self._numbers), length=14)
        exchange = _Exchange(request, path, query, headers, request_id)
        try:
            response = self._answer(exchange)
        except ConnectionDroppedError:
            self._note(request.method, path, DROPPED)
            raise
        except ApiError as error:
            response = _refusal(error)
        except sqlite3.Error as error:
            response = _refusal(_storage_failure(error))
        self._note(request.method, path, response.status)
        return Response(response.status, self._headers(exchange, response), response.body)

    def _note(self, method: str, path: str, status: int) -> None:
        self.requests.append((method, path, status))
        if self._log:
            self._log(method, path, status)

    def _headers(self, exchange: _Exchange, response: Response) -> dict[str, str]:
        key = exchange.key
        return {
            "content-type": "application/json",
            "request-id": exchange.request_id,
            "stripe-version": API_VERSION,
            **({"idempotency-key": key} if key else {}),
            **response.headers,
        }

    def _answer(self, exchange: _Exchange) -> Response:
        request = exchange.request
        account = account_of(exchange.headers)
        check_version(exchange.headers)
        target = _find(request.method, exchange.path)
        self._limiter.admit(account, f"{request.method} {target.route.pattern}")
        with self._in_flight.hold(account, exchange.key):
            struck = self.faults.strike(request.method, exchange.path)
            _before(struck, request.method)
            try:
                response = self._execute(account, exchange, target, struck)
            except ApiError as error:
                response = _refusal(error)
            if any(fault.kind == "drop_after" for fault in struck):
                raise ConnectionDroppedError
            return response

    def _execute(self, account: str, exchange: _Exchange, target: _Target, struck: list[Fault]) -> Response:
        tree = form.decode(exchange.query, _form_body(exchange))
        if exchange.request.method == "GET":
            self._catch_up(account)
            with self._store.read(account) as tx:
                return _reply(self._call(tx, exchange, target, tree), target)
        key = idempotency.key_of(exchange.key, exchange.path, tree)
        now = self._clock()
        with self._store.write(account) as tx:
            self._idle_call(tx).run_due(OWN_CLOCK, now)
            outcome = idempotency.recall(tx, key, now) if key else None
            if outcome:
                return Response(outcome.status, self._keyed_headers(outcome.request_id, replayed=True), outcome.body)
            call = self._call(tx, exchange, target, tree)
            response = self._attempt(call, target, struck)
            if key is None:
                return response
            if response.status not in NEVER_STORED:
                tx.remember(key.text, key.path, key.digest, response.status, response.body, exchange.request_id, now)
            own = self._keyed_headers(exchange.request_id, replayed=False)
            return Response(response.status, {**own, **response.headers}, response.body)

    def _attempt(self, call: Call, target: _Target, struck: list[Fault]) -> Response:
        """Execute; a rule's refusal or an injected error is an outcome too, its writes undone unless it keeps them."""
        injected = [fault for fault in struck if fault.kind == "error" and fault.when != "before"]
        try:
            with call.tx.attempt():
                response = _executed(call, target)
                for fault in injected:
                    if fault.when == "instead":
                        raise fault.error()
        except ApiError as error:
            return _refusal(error)
        return _refusal(injected[0].error()) if injected else response

    def _call(self, tx: Tx, exchange: _Exchange, target: _Target, tree: form.Tree) -> Call:
        """Validate the parameters, the paths to expand included, and gather what a handler needs."""
        family, route = target.family, target.route
        blanks = route.blanks if self.settings.blank_text_unsets else frozenset()
        given = params.read(route.params, tree, family.lengths, route.clears | blanks)
        expand.check(FAMILIES, family, given.get("expand", ()), lists=route.lists)
        return self._bare_call(tx, family, Origin(exchange.request_id, exchange.key), given, target.ids, exchange.path)

    def _bare_call(self, tx: Tx, family: Family, origin: Origin, given: Obj, ids: Mapping[str, str], url: str) -> Call:
        return Call(
            family=family,
            families=FAMILIES,
            tx=tx,
            settings=self.settings,
            now=self._clock(),
            seed=self._seed,
            origin=origin,
            record=events.record,
            params=given,
            ids=ids,
            url=url,
        )

    def _keyed_headers(self, original: str, *, replayed: bool) -> dict[str, str]:
        """Return what Stripe adds to the reply to a POST with a key (observed, and settings)."""
        headers = {"stripe-should-retry": "false"}
        if self.settings.original_request_header:
            headers["original-request"] = original
        if replayed and self.settings.replay_header:
            headers["idempotent-replayed"] = "true"
        return headers

    def _catch_up(self, account: str) -> None:
        """Let happen what time alone does before anyone looks."""
        now = self._clock()
        with self._store.read(account) as tx:
            if tx.next_due(OWN_CLOCK, now) is None:
                return
        with self._store.write(account) as tx:
            self._idle_call(tx).run_due(OWN_CLOCK, now)

    def _idle_call(self, tx: Tx) -> Call:
        """Return a call that no request made."""
        return self._bare_call(tx, FAMILIES["account"], Origin(None, None), {}, {}, "")


def _clock(clock: Callable[[], int] | int | None) -> Callable[[], int]:
    if clock is None:
        return lambda: int(time.time())
    return clock if callable(clock) else partial(int, clock)


def _find(method: str, path: str) -> _Target:
    for route_method, pattern, family, route in _ROUTES:
        if route_method == method and (match := pattern.fullmatch(path)):
            return _Target(family, route, {name: unquote(value) for name, value in match.groupdict().items()})
    raise unrecognized_url(method, path)


def _before(struck: list[Fault], method: str) -> None:
    """Wait, lose the request or refuse it, as the faults say; a GET writes nothing, so all its errors come first."""
    for fault in struck:
        if fault.kind == "latency":
            time.sleep(fault.seconds)
        elif fault.kind == "drop_before":
            raise ConnectionDroppedError
        elif fault.kind == "error" and (fault.when == "before" or method == "GET"):
            raise fault.error()


def _form_body(exchange: _Exchange) -> bytes:
    content_type = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
    if exchange.request.body and content_type not in {"", "application/x-www-form-urlencoded"}:
        raise invalid(f"The v1 API takes application/x-www-form-urlencoded, not {content_type[:64]}.")
    return exchange.request.body


def _reply(call: Call, target: _Target) -> Response:
    """Execute a handler and write its reply as JSON, expanded as asked."""
    result = target.route.handler(call)
    paths = call.params.get("expand", ())
    if target.route.lists:
        inner = [path.removeprefix("data.") for path in paths]
        data = [expand.show(call.tx, FAMILIES, target.family, obj, inner) for obj in result["data"]]
        result = {**result, "data": data}
    elif not result.get("deleted"):
        result = expand.show(call.tx, FAMILIES, target.family, result, paths)
    return Response(200, {}, json.dumps(result).encode())


def _executed(call: Call, target: _Target) -> Response:
    """Execute a handler; a refusal that keeps its writes, such as a declined card's, is a reply like any other."""
    try:
        return _reply(call, target)
    except ApiError as error:
        if not error.keeps_writes:
            raise
        return _refusal(error)


def _refusal(error: ApiError) -> Response:
    return Response(error.status, error.headers, error.body())


def _storage_failure(error: sqlite3.Error) -> ApiError:
    """Return Stripe's object lock for a database another process holds, and an ``api_error`` for any other failure."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
        return ApiError(
            429, "This object cannot be accessed right now because another request holds it.", code="lock_timeout"
        )
    return ApiError(500, f"The sandbox's database failed: {error}", error_type="api_error")
