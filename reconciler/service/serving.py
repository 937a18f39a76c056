"""The server around the app: uvicorn on one address, signals, and an end that loses nothing."""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn

from reconciler.diagnostics import ConfigError, ReconcilerError
from reconciler.service.app import create_app
from reconciler.service.connection import Connection
from reconciler.service.service import Service

log = logging.getLogger("reconciler.service")
_BACKLOG = 1024


class _Server(uvicorn.Server):
    """Ends on SIGTERM and SIGINT once requests under way are answered; reads the files anew on SIGHUP."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take over the signals of the process while the server runs in its main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        reloads: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = loop.create_task(asyncio.to_thread(reload_files, self._service))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)


def reload_files(service: Service) -> None:
    """Read the files anew, and log what came of it: files that are wrong change nothing."""
    try:
        policy = service.reload()
    except (ReconcilerError, OSError, ValueError) as error:
        found = error.diagnostics if isinstance(error, ConfigError) else ()
        problems = [f"{each.range}: {each.summary}" for each in found] or None
        log.error("the files were not taken over: %s", error, extra={"problems": problems})  # noqa: TRY400  no traceback
    else:
        log.info("the files were read anew", extra={"policy": policy.revision})


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; ReconcilerError where the address cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Named, the protocol makes asyncio switch Nagle's algorithm off; else a reply waits for the client's late ACK.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (OSError, OverflowError, UnicodeError) as error:
        raise ReconcilerError("E1505", f"cannot listen on {host}:{port}: {error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ReconcilerError("E1505", f"cannot listen on {host}:{port}: {error}") from error
    return listener


def serve(service: Service, listener: socket.socket, ready: Callable[[str], None] = lambda _url: None) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is called with the address once connections are taken."""
    server = server_of(service)
    ready(address_of(listener))
    server.run(sockets=[listener])


def address_of(listener: socket.socket) -> str:
    """Return the address a socket listens on, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_of(service: Service) -> uvicorn.Server:
    """Return a server of the app, to be run on a socket."""
    config = uvicorn.Config(
        create_app(service),
        http=Connection,
        loop="asyncio",
        lifespan="on",
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=service.settings.grace,
        backlog=_BACKLOG,
    )
    return _Server(config, service)
