"""The sandbox's own operations over HTTP, below ``/_sandbox``: what no Stripe has.

They take JSON and no key, and concern every account: whoever reaches the loopback may use them. A web page in a browser
on this machine cannot: writing needs ``Content-Type: application/json``, which a page of another origin may send only
after asking, and nothing here answers such a question; the server refuses foreign ``Host`` names.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl, unquote

from reconciler.diagnostics import UsageError
from reconciler.sandbox.auth import key_of
from reconciler.sandbox.core import TEST_KEY, Sandbox
from reconciler.sandbox.errors import ApiError, invalid, no_such, unrecognized_url
from reconciler.sandbox.faults import Fault, parse_all
from reconciler.sandbox.pages import overview
from reconciler.sandbox.wire import Obj, Request, Response

PREFIX = "/_sandbox"
#: Where a whole state is put in, and how large its text may be.
IMPORT, IMPORT_BYTES = f"{PREFIX}/import", 64 * 1024 * 1024
DEFAULT_LIMIT, MAX_LIMIT = 100, 10_000
#: Snapshots are kept in memory.
MAX_SNAPSHOTS = 100

_JSON = {"content-type": "application/json"}
_Args = Mapping[str, Any]


class Control:
    """Answers requests for the sandbox itself, and for the page at ``/`` that shows it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._snapshots: dict[str, bytes] = {}
        self._operations: dict[str, Callable[[_Args], Any]] = {
            "GET /_sandbox": self._help,
            "GET /_sandbox/faults": lambda _: {"faults": sandbox.faults.data()},
            "PUT /_sandbox/faults": self._set_faults,
            "POST /_sandbox/faults": self._add_faults,
            "DELETE /_sandbox/faults": self._clear_faults,
            "GET /_sandbox/settings": lambda _: asdict(sandbox.settings),
            "GET /_sandbox/clock": lambda _: sandbox.clock.data(),
            "POST /_sandbox/clock": self._set_clock,
            "GET /_sandbox/requests": self._requests,
            "GET /_sandbox/deliveries": self._deliveries,
            "POST /_sandbox/deliver": lambda _: {"posted": sandbox.deliver()},
            "POST /_sandbox/events/{id}/resend": self._resend,
            "GET /_sandbox/snapshots": lambda _: {"snapshots": sorted(self._snapshots)},
            "POST /_sandbox/snapshots/{id}": self._save,
            "POST /_sandbox/snapshots/{id}/restore": self._restore,
            "DELETE /_sandbox/snapshots/{id}": self._drop,
            "POST /_sandbox/reset": self._reset,
            "GET /_sandbox/objects/{account}/{kind}/{id}": self._object,
            "GET /_sandbox/export": lambda _: sandbox.state.dump(),
            f"POST {IMPORT}": self._import,
        }
        self._routes = [
            (method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), operation)
            for key, operation in self._operations.items()
            for method, path in [key.split(" ")]
        ]

    def owns(self, path: str) -> bool:
        """Tell whether a path is for the control and not for Stripe's API."""
        path = path.partition("?")[0]
        return path in {"/", PREFIX} or path.startswith(f"{PREFIX}/")

    def handle(self, request: Request) -> Response:
        """Answer a request; refusals are in Stripe's envelope."""
        path, _, query = request.path.partition("?")
        try:
            if (request.method, path) == ("GET", "/"):
                return overview.page(self._sandbox, dict(parse_qsl(query)))
            result = self._operate(request, path, query)
        except ApiError as error:
            return Response(error.status, {**_JSON, **error.headers}, error.body())
        except UsageError as error:
            return Response(400, _JSON, invalid(str(error)).body())
        return Response(200, _JSON, json.dumps(result).encode())

    def _operate(self, request: Request, path: str, query: str) -> Any:
        for method, pattern, operation in self._routes:
            if method == request.method and (match := pattern.fullmatch(path)):
                body = _body(request)
                names = {name: unquote(value) for name, value in match.groupdict().items()}
                given = {**dict(parse_qsl(query)), **body, **names}
                return operation({**given, "key": _key(request)})
        raise unrecognized_url(request.method, path)

    def _help(self, _: _Args) -> Obj:
        return {"operations": list(self._operations)}

    def _set_faults(self, args: _Args) -> Obj:
        faults = parse_all(args)
        self._sandbox.faults.clear()
        return self._armed(faults)

    def _add_faults(self, args: _Args) -> Obj:
        return self._armed(parse_all(args))

    def _armed(self, faults: list[Fault]) -> Obj:
        self._sandbox.faults.add(*faults)
        return {"faults": self._sandbox.faults.data()}

    def _clear_faults(self, _: _Args) -> Obj:
        self._sandbox.faults.clear()
        return {"faults": []}

    def _set_clock(self, args: _Args) -> Obj:
        clock = self._sandbox.clock
        given = [name for name in ("advance", "freeze", "resume") if name in args]
        if len(given) != 1:
            raise invalid("The clock takes one of advance (seconds), freeze (true or a Unix time) and resume (true).")
        value = args[given[0]]
        if given == ["advance"] and type(value) is int:
            clock.advance(value)
        elif given == ["freeze"] and (value is True or type(value) is int):
            clock.freeze(None if value is True else value)
        elif given == ["resume"] and value is True:
            clock.resume()
        else:
            raise invalid(f"The clock cannot take {given[0]}={value!r}.", given[0])
        return clock.data()

    def _requests(self, args: _Args) -> Obj:
        entries = list(self._sandbox.journal)[-_limit(args) :]
        return {"requests": [entry.data() for entry in reversed(entries)]}

    def _deliveries(self, args: _Args) -> Obj:
        filters = {name: str(args[name]) for name in ("event", "endpoint", "status") if name in args}
        return {"deliveries": self._sandbox.deliveries(_limit(args), key=args["key"], **filters)}

    def _resend(self, args: _Args) -> Obj:
        return {"deliveries": self._sandbox.resend(args["id"], args.get("endpoint"), key=args["key"])}

    def _save(self, args: _Args) -> Obj:
        if len(self._snapshots) >= MAX_SNAPSHOTS and args["id"] not in self._snapshots:
            raise invalid(f"At most {MAX_SNAPSHOTS} snapshots are kept; drop one first.")
        self._snapshots[args["id"]] = self._sandbox.state.save()
        return {"snapshots": sorted(self._snapshots)}

    def _restore(self, args: _Args) -> Obj:
        self._sandbox.state.load(self._snapshot(args))
        return {"restored": args["id"]}

    def _drop(self, args: _Args) -> Obj:
        self._snapshot(args)
        del self._snapshots[args["id"]]
        return {"snapshots": sorted(self._snapshots)}

    def _snapshot(self, args: _Args) -> bytes:
        if args["id"] not in self._snapshots:
            raise no_such("snapshot", args["id"], "id", status=404)
        return self._snapshots[args["id"]]

    def _reset(self, _: _Args) -> Obj:
        self._sandbox.state.clear()
        return {"reset": True}

    def _object(self, args: _Args) -> Obj:
        found = self._sandbox.state.find(args["account"], args["kind"], args["id"])
        if found is None:
            raise no_such(args["kind"], args["id"], "id", status=404)
        return found

    def _import(self, args: _Args) -> Obj:
        self._sandbox.state.undump(args)
        return {"imported": True}


def _body(request: Request) -> Obj:
    """Return the JSON object of a request that writes; a list is taken for its ``faults``."""
    if request.method == "GET":
        return {}
    headers = {name.lower(): value for name, value in request.headers.items()}
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "The control of the sandbox takes Content-Type: application/json.")
    try:
        data = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        raise invalid("The body is not JSON.") from None
    if isinstance(data, list):
        return {"faults": data}
    if not isinstance(data, dict):
        raise invalid("The body is not a JSON object.")
    return data


def _key(request: Request) -> str:
    """Return the key whose account is meant: that of the request, or the sandbox's usual one."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return key_of(headers["authorization"]) if "authorization" in headers else TEST_KEY


def _limit(args: _Args) -> int:
    try:
        limit = int(args.get("limit", DEFAULT_LIMIT))
    except (TypeError, ValueError):
        limit = 0
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid(f"limit is a number from 1 to {MAX_LIMIT}.", "limit")
    return limit
