"""The HTTP front: the same core on a loopback port, for clients in other processes and languages.

Needs the extra ``reconciler[server]``; uvicorn is imported when a server starts, not with this module.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from reconciler.diagnostics import ReconcilerError, UsageError
from reconciler.sandbox.control import IMPORT, IMPORT_BYTES, Control
from reconciler.sandbox.core import Sandbox
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.form import MAX_BODY_BYTES
from reconciler.sandbox.wire import ConnectionDroppedError, Request, Response

if TYPE_CHECKING:
    import uvicorn

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
#: Requests executed at once; further ones wait, so that latency faults do not pile up threads.
WORKERS = 32
#: A slow answer comes in so many parts.
DROPS = 10
#: Names of the connection's abort function in the ASGI scope.
ABORT = "reconciler.abort"

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_logger = logging.getLogger("reconciler.sandbox")


def application(sandbox: Sandbox, pool: ThreadPoolExecutor) -> _App:
    """Return the ASGI application: every path goes to the control or to the core, which run in the pool's threads.

    Where no request has to wait for anything, each is answered at once: going to a thread and back costs more.
    """
    control = Control(sandbox)

    def answer(request: Request) -> Response:
        return control.handle(request) if control.owns(request.path) else sandbox.dispatch(request)

    def is_prompt(request: Request) -> bool:
        return sandbox.is_prompt and "sandbox-fault" not in request.headers and not control.owns(request.path)

    async def app(scope: _Scope, receive: _Receive, send: _Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            _check_host(headers.get("host", ""))
            limit = IMPORT_BYTES if scope["path"] == IMPORT else MAX_BODY_BYTES
            request = _request(scope, headers, await _body(headers, receive, limit))
            if is_prompt(request):
                response = sandbox.dispatch(request)
            else:
                response = await asyncio.get_running_loop().run_in_executor(pool, answer, request)
        except ConnectionDroppedError:
            scope[ABORT]()
            return
        except ApiError as error:
            response = Response(error.status, {"content-type": "application/json"}, error.body())
        except Exception:
            _logger.exception("the sandbox failed")
            failure = ApiError(500, "The sandbox failed; its log says why.", error_type="api_error")
            response = Response(500, {"content-type": "application/json"}, failure.body())
        await _reply(response, send)

    return app


def _check_host(host: str) -> None:
    """Refuse names other than the loopback's, so that no web page can reach the sandbox by rebinding its own name."""
    name = host.rpartition("]")[0].lstrip("[") or host.partition(":")[0]
    if name not in LOOPBACK:
        raise ApiError(403, f"The sandbox answers only requests to {', '.join(sorted(LOOPBACK))}.")


async def _body(headers: dict[str, str], receive: _Receive, limit: int) -> bytes:
    too_large = ApiError(413, f"Request body is larger than {limit} bytes.", headers={"connection": "close"})
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:12]) > limit:
        raise too_large
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionDroppedError
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        more = message.get("more_body", False)
        if size > limit:
            raise too_large
    return b"".join(chunks)


def _request(scope: _Scope, headers: dict[str, str], body: bytes) -> Request:
    query = scope["query_string"].decode("latin-1")
    path = scope["raw_path"].decode("latin-1")
    return Request(scope["method"], f"{path}?{query}" if query else path, headers, body)


async def _reply(response: Response, send: _Send) -> None:
    """Send a reply as it is, or as faults have it: in drops, or cut, which is to return before its end."""
    length = len(response.body) if response.announced is None else response.announced
    headers = {**response.headers, "content-length": str(length)}
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        }
    )
    if response.seconds:
        await _trickle(response, send)
    else:
        await send({"type": "http.response.body", "body": response.body, "more_body": response.announced is not None})


async def _trickle(response: Response, send: _Send) -> None:
    size = max(1, -(-len(response.body) // DROPS))
    for start in range(0, len(response.body), size):
        await asyncio.sleep(response.seconds / DROPS)
        await send({"type": "http.response.body", "body": response.body[start : start + size], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": response.announced is not None})


class _Corked:
    """A transport that writes once per turn of the loop: head and body of a reply leave in one packet."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        data, self._pending = b"".join(self._pending), []
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Server:
    """A sandbox on a loopback port, in a thread of its own; a context manager. ``url`` is its base address."""

    def __init__(self, sandbox: Sandbox, *, host: str = "127.0.0.1", port: int = 0) -> None:
        if host not in LOOPBACK:
            raise UsageError("E1206", f"the sandbox listens on the loopback only, not on {host!r}")
        self._pool = ThreadPoolExecutor(WORKERS, "sandbox")
        self._sandbox = sandbox
        self._server = _uvicorn(application(sandbox, self._pool))
        self._socket = _listen(host, port)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}"
        sandbox.serve_at(self.url)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.run, name="sandbox-server", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        if self._thread:
            self._thread.join()

    def run(self) -> None:
        """Serve in this thread, and deliver webhooks beside it, until interrupted."""
        try:
            with self._sandbox.webhooks.running():
                self._server.run(sockets=[self._socket])
        finally:
            with self._sandbox.faults.released():
                self._pool.shutdown()
            self._socket.close()


def serve(
    sandbox: Sandbox, *, host: str = "127.0.0.1", port: int = 0, ready: Callable[[str], None] = lambda _: None
) -> None:
    """Serve until interrupted; ``ready`` is called with the base address once connections are accepted."""
    server = Server(sandbox, host=host, port=port)
    ready(server.url)
    server.run()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ReconcilerError("E1207", f"the sandbox cannot listen on {host}:{port}: {error}") from error
    return listener


def _uvicorn(app: _App) -> "uvicorn.Server":
    """Return a server whose connections write once per reply and can be cut by the application."""
    try:
        import uvicorn  # noqa: PLC0415  an extra; see the module's docstring
        from uvicorn.protocols.http.auto import AutoHTTPProtocol  # noqa: PLC0415  as above
    except ImportError as error:
        raise ReconcilerError(
            "E1205",
            "the sandbox's HTTP server needs packages that are not installed",
            remedy='pip install "uvicorn>=0.40,<1"',
        ) from error

    parser: Any = AutoHTTPProtocol  # httptools, or h11 where that is not installed

    class Protocol(parser):  # type: ignore[misc]  # it is chosen at run time
        def connection_made(self, transport: Any) -> None:
            async def abortable(scope: _Scope, receive: _Receive, send: _Send) -> None:
                await app({**scope, ABORT: transport.abort}, receive, send)

            super().connection_made(_Corked(transport, self.loop))
            self.app = abortable

    config = uvicorn.Config(
        app,
        http=Protocol,
        loop="asyncio",
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)
