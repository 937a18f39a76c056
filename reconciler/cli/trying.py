"""The sandbox of ``serve --sandbox``: its pages open in a browser, and its webhooks reach the service."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from reconciler.cli.account import SANDBOX_KEY, check_database
from reconciler.cli.context import App
from reconciler.cli.options import MEMORY
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.sandbox import Sandbox
from reconciler.sandbox.server import Server
from reconciler.service.hooks.routes import PATH

_ENDPOINTS = "/v1/webhook_endpoints"
_MARK = {"made_by": "reconciler serve --sandbox"}


class Trial(NamedTuple):
    """An account at a sandbox, and the secrets its webhooks are signed with."""

    connection: Connection
    secrets: Sequence[str]


@contextmanager
def sandbox_beside(app: App, file: str, here: str | None) -> Iterator[Trial]:
    """Serve the sandbox on a port of its own while the service runs, which it tells of events where it is ``here``."""
    if file != MEMORY:
        check_database(Path(file))
    with Sandbox(file) as sandbox, Server(sandbox) as server:
        app.out.note(f"The sandbox serves {server.url}: nothing that is paid there is money.")
        connection = Connection(SANDBOX_KEY, base=server.url, rates=UNLIMITED, simulated=True)
        yield Trial(connection, () if here is None else (_told(Gateway(connection), here),))


def _told(gateway: Gateway, here: str) -> str:
    """Let the sandbox tell the service of events, and nobody who ran before; return the secret."""
    for each in gateway.get(_ENDPOINTS, {"limit": 100})["data"]:
        if each["metadata"] == _MARK:
            gateway.delete(f"{_ENDPOINTS}/{each['id']}")
    params = {"url": here + PATH, "enabled_events": ["*"], "metadata": _MARK}
    return str(gateway.post(_ENDPOINTS, params, secrets.token_hex(16)).body["secret"])
