"""An ASGI client in process: requests go straight to the app, with nothing of HTTP between."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

Pairs = Iterable[tuple[str, str]]


class Reply(NamedTuple):
    """What the app answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem."""
        return str(self.json["code"])


class Client:
    """Asks one app, as whoever the key says; every request runs on a loop of the client's own."""

    def __init__(self, app: Any, key: str | None = None, root: str = "", address: str = "203.0.113.7") -> None:
        self.app, self.key, self.root, self.address = app, key, root, address
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """Close the loop."""
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def get(self, path: str, **more: Any) -> Reply:
        """Ask with GET."""
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Reply:
        """Ask with POST; a body that is no bytes is sent as JSON."""
        return self.ask("POST", path, body=body, **more)

    def ask(self, method: str, path: str, **more: Any) -> Reply:
        """Ask, and return the answer."""
        return self._loop.run_until_complete(self.asked(method, path, **more))

    def run(self, work: Any) -> Any:
        """Run a coroutine on the client's loop."""
        return self._loop.run_until_complete(work)

    async def asked(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        key: str | None = None,
        once: str | None = None,
        headers: Mapping[str, str] | Pairs = (),
        chunks: Iterable[bytes] | None = None,
    ) -> Reply:
        """Ask from within a loop; ``once`` is the idempotency key, ``chunks`` a body without a length."""
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        names = {name.lower() for name, _ in pairs}
        if (secret := key or self.key) and "authorization" not in names:
            pairs.append(("authorization", f"Bearer {secret}"))
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if (body is not None or chunks is not None) and "content-type" not in names:
            pairs.append(("content-type", "application/json"))
        if once is not None:
            pairs.append(("idempotency-key", once))
        if chunks is None and raw and "content-length" not in names:
            pairs.append(("content-length", str(len(raw))))
        parts = list(chunks) if chunks is not None else [raw]
        scope = _scope(method, self.root + path, pairs, self.root, self.address)
        sent: list[Any] = []

        async def receive() -> Any:
            if not parts:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        found = {name.decode().lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], found, b"".join(each.get("body", b"") for each in sent[1:]))


def _scope(method: str, path: str, pairs: Pairs, root: str, address: str) -> dict[str, Any]:
    bare, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(bare),
        "raw_path": bare.encode(),
        "root_path": root,
        "query_string": query.encode(),
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
        "client": (address, 50000),
        "server": ("127.0.0.1", 8080),
    }
