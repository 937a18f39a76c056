"""A relay before PostgreSQL that fails on purpose: it can hang, or break a connection before or after a statement."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Relay:
    """Passes bytes on between clients and a server.

    ``before`` and ``after`` are what a client's bytes may contain: where they do, the connection breaks once, with the
    bytes kept from the server, or given to it and its answer kept from the client. ``hangs`` passes nothing on.
    """

    def __init__(self, host: str, port: int) -> None:
        self.before = self.after = b""
        self.hangs = False
        self.broken = 0
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._ends = False
        self._start(self._accept)

    def _start(self, work: object, *values: object) -> None:
        thread = threading.Thread(target=work, args=values, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ends:
            if select.select([self._listener], [], [], 0.05)[0]:
                client, _ = self._listener.accept()
                self._start(self._pass_on, client)

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server, suppress(OSError):
            while not self._ends:
                ready = select.select([] if self.hangs else [client, server], [], [], 0.05)[0]
                if server in ready:
                    if not (answer := server.recv(65536)):
                        return
                    client.sendall(answer)
                if client in ready and self._broke(client.recv(65536), server):
                    return

    def _broke(self, said: bytes, server: socket.socket) -> bool:
        """Give a client's bytes to the server; true where the connection is to end."""
        if not said:
            return True
        if self.before and self.before in said:
            self.before, self.broken = b"", self.broken + 1
            return True
        server.sendall(said)
        if self.after and self.after in said:
            self.after, self.broken = b"", self.broken + 1
            select.select([server], [], [], 5)  # the server has answered: it is done
            return True
        return False

    def close(self) -> None:
        """Break every connection."""
        self._ends = True
        for thread in self._threads:
            thread.join()
        self._listener.close()


@contextmanager
def relayed(url: str) -> Iterator[tuple[str, Relay]]:
    """Lend an address that leads to the same database through a relay, in clear text."""
    parts = urlsplit(url)
    relay = Relay(parts.hostname or "127.0.0.1", parts.port or 5432)
    user = f"{parts.username}{f':{parts.password}' if parts.password else ''}@" if parts.username else ""
    try:
        yield urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{relay.port}")) + "&sslmode=disable", relay
    finally:
        relay.close()
