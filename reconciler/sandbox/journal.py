"""The log of requests: what a person reads while a program talks to the sandbox."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.diagnostics.visible import visible
from reconciler.sandbox.wire import Response

#: Logged as the status of a request whose answer never arrived.
DROPPED = 0
_SHOWN_PATH = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One request: when (the sandbox's time), what, and what became of it.

    ``status`` is 0 if the connection was dropped, ``ms`` the time it took, ``idempotency`` one of ``""``, ``"new"`` and
    ``"replayed"``, ``code`` the error's code or type.
    """

    at: int
    method: str
    path: str
    status: int
    ms: float
    request_id: str
    idempotency: str
    code: str

    def line(self) -> str:
        """Return the entry as one line of text, whatever the request's path holds."""
        clock = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        path = visible(self.path[:_SHOWN_PATH])
        status = str(self.status) if self.status else "cut"
        marks = " ".join(mark for mark in (self.idempotency, self.code) if mark)
        return f"{clock} {self.method:<6} {path} {status} {self.ms:.0f}ms {self.request_id} {marks}".rstrip()

    def data(self) -> dict[str, Any]:
        """Return the entry as JSON has it."""
        return asdict(self)


def mark(key: str | None, response: Response) -> str:
    """Tell what an idempotency key did to a request: nothing, a first outcome, or a replay."""
    if not key:
        return ""
    return "replayed" if response.headers.get("original-request", "") not in _own(response) else "new"


def _own(response: Response) -> set[str]:
    return {"", response.headers.get("request-id", "")}


def code_of(response: Response) -> str:
    """Return the code, or else the type, of a refusal; nothing of a success."""
    if response.status < 400:  # noqa: PLR2004  the first status of an error
        return ""
    try:
        error = json.loads(response.body)["error"]
        return str(error.get("code") or error["type"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
