"""The outer layer of the app: what is true of every request, whichever route answers it."""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Iterable, MutableMapping
from itertools import count
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from reconciler.service.buying.tokens import PATH
from reconciler.service.identity import SCOPE, Principal
from reconciler.service.limits import App, Receive, Scope, Send, bounded, check_host, place_of, too_large
from reconciler.service.problems import MEDIA_TYPE, ProblemError, slow_down, unauthenticated
from reconciler.service.service import Service

log = logging.getLogger("reconciler.service")
#: Where a route says what it does, as resource and action, for metrics and logs.
OPERATION, REQUEST_ID, SERVICE = "reconciler.operation", "reconciler.request_id", "reconciler.service"
#: Paths below which anybody may ask as often as the load balancer and Stripe do.
_UNPACED = ("/healthz", "/readyz", "/v1/webhooks/stripe")
#: Request ids of this process: asking the system for randomness each time would let other threads in between.
_PROCESS, _NUMBER = secrets.token_hex(8), count(1)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,128}")
#: Who knows the token of a page may open it: no log keeps one.
_TOKEN = re.compile(rf"({PATH}/)[^/]+")
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_CODES = {404: "not_found", 405: "method_not_allowed"}


class _Read(NamedTuple):
    """What the headers of a request say to the outer layer."""

    request_id: str
    authorization: bytes | None
    length: bytes
    host: str
    size: int


class _Reply:
    """Sends a reply with the headers every reply has, and remembers how it began."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = request_id
        self.status = 0
        self.timer: asyncio.Timeout | None = None

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Send a part of the reply."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            given += [pair for pair in _HEADERS if pair[0] not in names]
            given.append((b"x-request-id", self._id.encode()))
            message = {**message, "headers": given}
            if self.timer is not None:
                # A reply that has begun may be long: a report is streamed.
                self.timer.reschedule(None)
        await self._send(message)

    async def problem(self, problem: ProblemError) -> None:
        """Send a problem, unless something was sent before."""
        if self.status:
            return
        self.timer = None
        body = problem.body(self._id)
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in problem.headers.items()]
        await self({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


class Guard:
    """Gives each request an id, a principal, bounds and a time; whatever goes wrong within is answered as a problem."""

    def __init__(self, app: App, service: Service) -> None:
        self._app = app
        self._service = service
        self._settings = service.settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or take part in the life of the server."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start and stop what runs beside the requests; an app that is mounted does so itself."""
        await receive()
        self._service.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._service.stop)
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, timer = time.perf_counter(), asyncio.timeout(self._settings.timeout)
        read = _read(scope["headers"])
        reply = _Reply(send, read.request_id)
        scope[REQUEST_ID], scope[SERVICE] = read.request_id, self._service
        try:
            async with timer:
                reply.timer = timer
                self._check(scope, read)
                await self._admit(scope, read)
                await self._app(scope, bounded(receive, self._settings.body_limit), reply)
        except ProblemError as problem:
            await reply.problem(problem)
        except HTTPException as error:
            await reply.problem(_problem_of(error))
        except ClientDisconnect:
            pass
        except Exception as error:
            if isinstance(error, TimeoutError) and timer.expired():
                detail = "Whether it was done is not known: ask again with the same key."
                await reply.problem(ProblemError(503, "timeout", detail, headers={"Retry-After": "1"}))
            elif reply.status:
                raise
            else:
                log.exception("a request failed", extra={"request_id": read.request_id})
                await reply.problem(ProblemError(500, "internal_error", "The log of the service says why."))
        self._service.metrics.answered(scope.get(OPERATION), reply.status, time.perf_counter() - began)
        if log.isEnabledFor(logging.INFO):
            _tell(scope, read, reply.status, time.perf_counter() - began)

    def _check(self, scope: Scope, read: _Read) -> None:
        settings = self._settings
        if len(scope["headers"]) > settings.header_limit or read.size > settings.header_bytes:
            detail = f"At most {settings.header_limit} headers, {settings.header_bytes} bytes in all."
            raise ProblemError(431, "headers_too_large", detail, headers={"Connection": "close"})
        check_host(read.host, settings.hosts)
        if read.length and (not read.length.isdigit() or int(read.length[:20]) > settings.body_limit):
            raise too_large(settings.body_limit)

    async def _admit(self, scope: Scope, read: _Read) -> None:
        """Find out who asks, and whether it is too soon."""
        found: Principal | ProblemError | None = None
        if read.authorization is not None:
            found = await self._found(read.authorization)
            scope[SCOPE] = found
        if isinstance(found, Principal):
            wait = self._service.principals.wait(found.name, time.monotonic())
        else:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if found is None and path.startswith(_UNPACED):
                return
            wait = self._service.places.wait(place_of(scope, self._settings.proxies), time.monotonic())
        if wait:
            raise slow_down(wait, "Too many requests at once; the limits are per credential, or per address.")

    async def _found(self, authorization: bytes) -> Principal | ProblemError:
        kind, _, secret = authorization.partition(b" ")
        secret = secret.strip()
        if kind.lower() != b"bearer" or not secret or not secret.isascii():
            return unauthenticated("Send a key as `Authorization: Bearer KEY`.")
        credentials, text = self._service.credentials, secret.decode()
        try:
            return credentials.by_key(text) or await credentials.by_token(text)
        except ProblemError as problem:
            return problem


def _read(headers: Iterable[tuple[bytes, bytes]]) -> _Read:
    """Read what concerns the outer layer; of a header that may stand there once only, two are none that is valid."""
    request_id, authorization, length, host, size = b"", None, b"", b"", 0
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"authorization":
            authorization = value if authorization is None else b""
        elif name == b"content-length":
            length = value
        elif name == b"host":
            host = value
        elif name == b"x-request-id":
            request_id = value
    known = request_id.decode() if _REQUEST_ID.fullmatch(request_id) else f"{_PROCESS}{next(_NUMBER):016x}"
    return _Read(known, authorization, length, host.decode("latin-1"), size)


def _problem_of(error: HTTPException) -> ProblemError:
    code = _CODES.get(error.status_code, "invalid_request")
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    return ProblemError(error.status_code, code, headers=headers)


def _tell(scope: Scope, read: _Read, status: int, seconds: float) -> None:
    """Write a line about a request: no address, no query, no body."""
    found = scope.get(SCOPE)
    log.info(
        "request",
        extra={
            "request_id": read.request_id,
            "method": scope["method"],
            "path": _TOKEN.sub(r"\1...", scope["path"]),
            "status": status,
            "ms": round(seconds * 1000, 2),
            "principal": found.name if isinstance(found, Principal) else None,
        },
    )
