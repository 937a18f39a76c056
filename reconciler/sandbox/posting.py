"""The one place where the sandbox speaks to the network: it posts a webhook, to this machine unless told otherwise."""

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from string import punctuation
from urllib.parse import quote, urlsplit

_READ_AT_MOST = 1 << 16

#: Posts a body to a URL and returns the status of the answer; raises ``OSError`` where there is none.
Post = Callable[[str, Mapping[str, str], bytes], int]


class _Cuttable:
    """A connection that another thread can end."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class Network:
    """Posts over HTTP and HTTPS without following redirects.

    A name is resolved once and its addresses are judged before one is connected to, so that no name can lead the
    sandbox to a service of another machine; ``hosts`` names those that may be posted to wherever they are.
    """

    def __init__(self, hosts: frozenset[str], timeout: float) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._open: set[_Cuttable] = set()

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Post; a host that is neither this machine nor allowed is a ``PermissionError``."""
        try:
            parts = urlsplit(url)
            secure = parts.scheme == "https"
            host, port = parts.hostname or "", parts.port or (443 if secure else 80)
            path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=punctuation)
            with self._bounded(self._connect(host, port)) as plain:
                connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
                connection.sock = _secured(plain, host) if secure else plain
                with closing(connection):
                    connection.request("POST", path, body, dict(headers))
                    reply = connection.getresponse()
                    reply.read(_READ_AT_MOST)
                    return reply.status
        except http.client.HTTPException as error:
            raise OSError(f"the answer is not HTTP: {error!r}") from error
        except ValueError as error:
            raise OSError(f"{url} cannot be posted to: {error}") from error

    def hang_up(self) -> None:
        """Cut the connections of the posts that are being made; they fail."""
        with self._lock:
            for post in self._open:
                post.cut()

    @contextmanager
    def _bounded(self, connected: socket.socket) -> Iterator[socket.socket]:
        """Bound the time of the whole exchange, and not only of its single steps, as the receiver may trickle."""
        post = _Cuttable(connected.dup())  # TLS takes the other one over
        timer = threading.Timer(self._timeout, post.cut)
        timer.daemon = True
        with self._lock:
            self._open.add(post)
        try:
            timer.start()
            yield connected
        except (OSError, http.client.HTTPException):
            if not post.is_cut:
                raise
        finally:
            timer.cancel()
            with self._lock:
                self._open.discard(post)
                post.socket.close()
        if post.is_cut:  # what was read by then may look like a whole answer
            raise TimeoutError("timed out")

    def _connect(self, host: str, port: int) -> socket.socket:
        addresses = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        if host not in self._hosts:
            addresses = [each for each in addresses if ipaddress.ip_address(each.partition("%")[0]).is_loopback]
        if not addresses:
            raise PermissionError(f"{host} is not this machine; allow it with --webhook-host {host} to have it told")
        for address in addresses[:-1]:
            try:
                return socket.create_connection((address, port), self._timeout)
            except OSError:
                continue
        return socket.create_connection((addresses[-1], port), self._timeout)


def _secured(plain: socket.socket, host: str) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
