"""Bounds of a request: how often it may come, how large it may be, to whom it may be addressed."""

import ipaddress
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from itertools import islice
from typing import Any

from reconciler.service.problems import ProblemError
from reconciler.service.settings import Network, Pace

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
#: Names one process remembers at once.
_MOST = 50_000


class Buckets:
    """A bucket a name, refilled all the time; a name that is not remembered has a full one.

    The generic cell rate algorithm: of each bucket only the instant is kept at which it will be full again.
    """

    def __init__(self, pace: Pace) -> None:
        self._step = 1.0 / pace.per_second
        self._depth = self._step * pace.burst
        self._full: dict[str, float] = {}

    def wait(self, name: str, now: float) -> float:
        """Take one and return 0, or return in how many seconds there will be one."""
        full = max(self._full.get(name, 0.0), now) + self._step
        # A billionth of a second is no wait: sums of steps are not exact.
        if full - now > self._depth + 1e-9:
            return full - now - self._depth
        if len(self._full) >= _MOST and name not in self._full:
            self._forget(now)
        self._full[name] = full
        return 0.0

    def _forget(self, now: float) -> None:
        """Forget the buckets that are full, and where that is not enough the oldest."""
        self._full = {name: full for name, full in self._full.items() if full > now}
        for name in list(islice(self._full, max(0, len(self._full) - _MOST // 2))):
            del self._full[name]


def place_of(scope: Scope, proxies: Collection[Network] = ()) -> str:
    """Return where a request comes from: its address, or the network of 64 bits that one site has in IPv6.

    Of a request that one of our ``proxies`` passes on it is the last address it names that is none of theirs: what
    stands before that one in ``X-Forwarded-For`` anybody may have written.
    """
    client = scope.get("client")
    host = str(client[0]) if client else ""
    if proxies and _within(host, proxies):
        named = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        for hop in reversed(named.decode("latin-1").split(",")):
            address = _address(hop.strip())
            if address is None:
                break
            host = str(address)
            if not _within(host, proxies):
                break
    if ":" not in host:
        return host
    try:
        return str(ipaddress.ip_network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return host


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _within(host: str, networks: Collection[Network]) -> bool:
    address = _address(host.partition("%")[0])
    return address is not None and any(address in network for network in networks)


def check_host(host: str, allowed: frozenset[str]) -> None:
    """Refuse a request to another host than those that are allowed; with none, any is."""
    name = host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    if allowed and name.lower() not in allowed:
        raise ProblemError(421, "misdirected_request", "This service is not known by the host that was asked.")


def bounded(receive: Receive, limit: int) -> Receive:
    """Return what receives a body of so many bytes at most, whatever length it was said to have."""
    size = 0

    async def received() -> MutableMapping[str, Any]:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise too_large(limit)
        return message

    return received


def too_large(limit: int) -> ProblemError:
    """Return the problem of a body beyond the limit; the rest of it is not read."""
    detail = f"A body has at most {limit} bytes."
    return ProblemError(413, "payload_too_large", detail, headers={"Connection": "close"})
