"""What goes in and out of the core: plain values, no framework."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: A JSON object as Stripe sends it.
Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request: upper-case method, path with its query string, headers in any case, form-encoded body."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP reply: status, headers with lower-case names, JSON body.

    Faults break it: ``announced`` is the length of a body whose rest never comes, ``seconds`` how long it trickles.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    announced: int | None = None
    seconds: float = 0.0


class ConnectionDroppedError(Exception):
    """A fault cut the connection: the front hands the client a network error, never a reply."""
