"""The one place where the sandbox speaks to the network: it posts a webhook, to this machine unless told otherwise."""

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

_READ_AT_MOST = 1 << 16

#: Posts a body to a URL and returns the status of the answer; raises ``OSError`` where there is none.
Post = Callable[[str, Mapping[str, str], bytes], int]


class Network:
    """Posts over HTTP and HTTPS without following redirects.

    A name is resolved once and its addresses are judged before one is connected to, so that no name can lead the
    sandbox to a service of another machine; ``hosts`` names those that may be posted to wherever they are.
    """

    def __init__(self, hosts: frozenset[str], timeout: float) -> None:
        self._hosts = hosts
        self._timeout = timeout

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Post; a host that is neither this machine nor allowed is a ``PermissionError``."""
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        connection.sock = self._connect(host, port)
        try:
            if secure:
                connection.sock = ssl.create_default_context().wrap_socket(connection.sock, server_hostname=host)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body, dict(headers))
            reply = connection.getresponse()
            reply.read(_READ_AT_MOST)
        except http.client.HTTPException as error:
            raise OSError(f"the answer is not HTTP: {error!r}") from error
        finally:
            connection.close()
        return reply.status

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
