"""One POST to a URL that somebody else chose: to the public Internet only, in five seconds, with nothing followed.

The name is looked up once, every address it leads to is judged, and the connection goes to an address that was judged:
a name that leads elsewhere the next moment changes nothing. The certificate is checked against the name. No proxy is
used, whatever the environment says, and no redirect is followed. Of the answer only its status is learnt.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NoReturn

from reconciler.provider.payments.hurry import OutOfTimeError, within
from reconciler.service.work.addresses import loopback, why_not
from reconciler.service.work.target import HTTPS, RefusedUrlError, Target, target_of

#: Seconds for all of it: looking up, connecting, sending and reading.
SECONDS = 5.0
#: Bytes of an answer that are read, its head and its body together.
MOST = 64 * 1024
#: Statuses that say a notice was taken (RFC 9110, 15.3).
_OK = range(200, 300)
#: Looks a host and port up and returns the addresses.
Lookup = Callable[[str, int], Sequence[str]]


class UnsentError(Exception):
    """A notice did not arrive, or nobody knows whether it did; the message says why and holds nothing that is secret.

    ``reached`` tells that the receiver answered, so that another notice may fare better.
    """

    def __init__(self, message: str, *, reached: bool = False) -> None:
        super().__init__(message)
        self.reached = reached


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host in the system's order; OSError where there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@cache
def _trusted() -> ssl.SSLContext:
    """Return what the system trusts; reading it takes longer than a request."""
    return ssl.create_default_context()


@dataclass(frozen=True)
class Sender:
    """Sends what it is given as JSON; ``ports`` beside 443 have to be allowed, ``development`` allows this machine.

    ``lookup``, ``context`` and ``clock`` can be replaced.
    """

    ports: frozenset[int] = frozenset({HTTPS})
    development: bool = False
    seconds: float = SECONDS
    lookup: Lookup = look_up
    context: ssl.SSLContext = field(default_factory=_trusted)
    clock: Callable[[], float] = time.monotonic

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a body and return the status, which is a success; UnsentError for everything else."""
        ends = self.clock() + self.seconds
        try:
            target = target_of(url, ports=self.ports, development=self.development)
        except RefusedUrlError as error:
            raise UnsentError(str(error)) from None
        addresses = self._judged(target, ends)
        status = self._sent(target, addresses, _request(target, body, headers), ends)
        if status not in _OK:
            beside = "; redirects are not followed" if 300 <= status < 400 else ""  # noqa: PLR2004  RFC 9110, 15.4
            raise UnsentError(f"{target.shown} answered {status}{beside}", reached=True)
        return status

    def _judged(self, target: Target, ends: float) -> Sequence[str]:
        """Look the host up, once, and return its addresses, of which every one may be sent to."""
        try:
            found = within(ends - self.clock(), lambda: self.lookup(target.host, target.port))
        except OutOfTimeError:
            _fail(target, f"was not looked up within {self.seconds:g} s")
        except (OSError, UnicodeError):
            _fail(target, "has no address")
        if not found:
            _fail(target, "has no address")
        if self.development and all(map(loopback, found)):
            return found
        for address in found:
            if (what := why_not(address)) is not None:
                _fail(target, f"leads to an address that is {what}")
        # What the flag allowed was meant for this machine, and this is another one.
        if not target.secure or target.port not in self.ports:
            _fail(target, "is not this machine: https and port 443 are needed")
        return found

    def _sent(self, target: Target, addresses: Sequence[str], request: bytes, ends: float) -> int:
        try:
            with self._connected(target, addresses, ends) as link:
                link.settimeout(self._left(ends))
                link.sendall(request)
                return self._status(link, ends)
        except TimeoutError:
            _fail(target, f"did not answer within {self.seconds:g} s")
        except ssl.SSLCertVerificationError as error:
            _fail(target, f"has no valid certificate: {error.verify_message}")
        except http.client.HTTPException:
            _fail(target, "did not answer in HTTP")
        except OSError as error:
            _fail(target, f"cannot be reached: {error.strerror or type(error).__name__}")

    def _connected(self, target: Target, addresses: Sequence[str], ends: float) -> socket.socket:
        """Connect to the first address that answers; the others are tried in the time that is left."""
        failed: OSError | None = None
        for number, address in enumerate(addresses):
            try:
                share = self._left(ends) / (len(addresses) - number)
                plain = socket.create_connection((address, target.port), timeout=share)
            except OSError as error:
                failed = error
                continue
            if not target.secure:
                return plain
            try:
                plain.settimeout(self._left(ends))
                return self.context.wrap_socket(plain, server_hostname=target.host)
            except BaseException:
                plain.close()
                raise
        raise failed or OSError("no address")

    def _status(self, link: socket.socket, ends: float) -> int:
        """Read the answer to its end, its bound or the end of the time, and return its status."""
        answer = http.client.HTTPResponse(_Bounded(link, MOST, lambda: self._left(ends)))  # type: ignore[arg-type]  # no more of a socket is used
        answer.begin()
        # The status has decided already; a receiver that is cut off while it answers would note an error.
        with suppress(OSError, http.client.HTTPException):
            while answer.read(4096):
                pass
        return answer.status

    def _left(self, ends: float) -> float:
        left = ends - self.clock()
        if left <= 0:
            raise TimeoutError
        return left


class _Bounded(io.RawIOBase):
    """What a connection brings: up to so many bytes, each of them waited for only in the time that is left."""

    def __init__(self, link: socket.socket, most: int, left: Callable[[], float]) -> None:
        self._link = link
        self._most = most
        self._left = left

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader, as a socket does."""
        return io.BufferedReader(self, 4096)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there; nothing more once the bound is reached."""
        room = memoryview(buffer)[: self._most]
        if not room:
            return 0
        self._link.settimeout(self._left())
        read = self._link.recv_into(room)
        self._most -= read
        return read


def _request(target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    fields = {
        "Host": target.authority,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        "Accept-Encoding": "identity",
        **headers,
    }
    if any(sign in name + value for name, value in fields.items() for sign in "\r\n\0"):
        raise ValueError("a header cannot hold a line break")
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {target.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def _fail(target: Target, what: str) -> NoReturn:
    raise UnsentError(f"{target.shown} {what}")
