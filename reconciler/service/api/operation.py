"""An operation of the API as data, and the route that carries it out: who may, what is read, what is answered."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import Route

from reconciler.entitlements import KeyConflictError, MeasureError
from reconciler.entitlements.acts import NameRefusedError
from reconciler.ledger.base import LedgerError, RefusedError
from reconciler.ledger.entry import encode
from reconciler.service.api.reading import parse, validated
from reconciler.service.guard import OPERATION
from reconciler.service.identity import Principal, identify, require_operator
from reconciler.service.limits import Receive, Scope, Send
from reconciler.service.problems import ProblemError, forbidden, invalid
from reconciler.service.service import Service

_JSON = re.compile(rb"application/json\s*(;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)
#: Shorter than a key of the ledger by room for what tells whose it is.
_KEY = re.compile(rb"[\x21-\x7e]{1,200}")
IDEMPOTENCY = b"idempotency-key"
#: In the ledger the keys of calls that tenants make themselves begin with this.
TENANTS = "tenant:"


class Asked(NamedTuple):
    """What a handler is given: the validated body and query, the parameters of the path, the idempotency key."""

    service: Service
    principal: Principal
    body: Any
    query: Any
    path: Mapping[str, str]
    key: str | None

    def tenant(self, named: str | None) -> str:
        """Return the tenant that is acted for: a tenant's credential acts for its own only, an operator names one."""
        own = self.principal.tenant
        if own is None:
            if named is None:
                raise invalid("An operator names the tenant.", "/tenant")
            return named
        if named not in (None, own):
            raise forbidden("This credential is another tenant's.")
        return own

    @property
    def keyed(self) -> str:
        """The idempotency key of an operation that requires one."""
        return str(self.key)

    def own(self, key: str) -> str:
        """Return the key in the ledger of a call: a tenant's key never meets one that an operator uses for it."""
        return key if self.principal.tenant is None else f"{TENANTS}{key}"


Handle = Callable[[Asked], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. ``who`` is ``tenant`` (and operators), ``operator``, or ``anyone``.

    ``key`` says whether ``Idempotency-Key`` is ``none``, ``optional`` or ``required``. ``problems`` are the statuses
    beside those that any operation may answer with.
    """

    name: str
    method: str
    path: str
    summary: str
    handle: Handle
    returns: type[BaseModel]
    resource: str
    action: str
    who: str = "tenant"
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    key: str = "none"
    problems: tuple[int, ...] = ()
    description: str = ""
    #: Whether the parameter of the path may hold slashes, as a key may.
    parameters: Mapping[str, str] = field(default_factory=dict)


def routes_of(service: Service, operations: Iterable[Operation]) -> tuple[Route, ...]:
    """Return one route for each path of the operations, in their order."""
    by_path: dict[str, dict[str, Operation]] = {}
    for each in operations:
        by_path.setdefault(each.path, {})[each.method] = each
    return tuple(Route(_pattern(path), _Endpoint(service, found)) for path, found in by_path.items())


def _pattern(path: str) -> str:
    return path.replace("{key}", "{key:path}")


class _Endpoint:
    """Answers the operations of one path."""

    def __init__(self, service: Service, operations: Mapping[str, Operation]) -> None:
        self._service = service
        self._operations = operations
        self._allow = ", ".join(sorted(operations))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        operation = self._operations.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise HTTPException(405, headers={"Allow": self._allow})
        scope[OPERATION] = (operation.resource, operation.action)
        principal = _principal(operation, scope)
        content_type, key = _headers(scope)
        asked = Asked(
            self._service,
            principal,
            None if operation.body is None else validated(operation.body, await _json(receive, content_type)),
            _query(operation, scope["query_string"]),
            scope["path_params"],
            _key(operation, key),
        )
        body = await _carried_out(operation, asked)
        answer = encode(body).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


_ANYONE = Principal("anyone", None, "")


def _principal(operation: Operation, scope: Scope) -> Principal:
    if operation.who == "anyone":
        return _ANYONE
    request = HTTPConnection(scope)
    return require_operator(request) if operation.who == "operator" else identify(request)


async def _carried_out(operation: Operation, asked: Asked) -> Any:
    """Carry an operation out; what the runtime cannot take or find is a problem."""
    try:
        return await operation.handle(asked)
    except (MeasureError, NameRefusedError) as error:
        raise invalid(str(error)) from None
    except KeyConflictError as error:
        raise ProblemError(422, "key_conflict", f"{error.message}.") from None
    except RefusedError as error:
        raise invalid(f"The ledger cannot hold this: {error.message}") from None
    except LedgerError as error:
        detail = "Whether it was done is not known: ask again with the same key."
        raise ProblemError(503, "store_unavailable", detail, headers={"Retry-After": "5"}) from error


def _headers(scope: Scope) -> tuple[bytes, list[bytes]]:
    content_type, keys = b"", []
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value
        elif name == IDEMPOTENCY:
            keys.append(value)
    return content_type, keys


def _key(operation: Operation, given: list[bytes]) -> str | None:
    """Return the key of a request, as it is or in the quotes of a structured field."""
    if not given:
        if operation.key == "required":
            raise invalid("This needs an Idempotency-Key header: it happens once for a key.", status=400)
        return None
    key = given[0]
    if len(key) > 1 and key.startswith(b'"') and key.endswith(b'"'):
        key = key[1:-1]
    if operation.key == "none" or len(given) > 1 or not _KEY.fullmatch(key) or key.startswith(b"~"):
        detail = "Idempotency-Key is 1 to 200 visible ASCII characters, the first not '~', and not for every operation."
        raise invalid(detail, status=400)
    return key.decode()


async def _json(receive: Receive, content_type: bytes) -> Any:
    if not _JSON.fullmatch(content_type):
        raise ProblemError(415, "unsupported_media_type", "Send the body as application/json.")
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400)
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parse(b"".join(chunks))


def _query(operation: Operation, text: bytes) -> Any:
    if not text and operation.query is None:
        return None
    try:
        pairs = parse_qsl(text.decode(), keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise invalid("The query cannot be read.", status=400) from None
    found = dict(pairs)
    if len(found) != len(pairs) or (found and operation.query is None):
        raise invalid("The query has a name twice, or one that means nothing here.", status=400)
    return None if operation.query is None else validated(operation.query, found, "/query")
