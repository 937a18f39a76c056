"""A transport that remembers what is sent, for tests of what a command writes."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import stripe

from reconciler.resources.model import MARK_KEYS


class Recorder(stripe.HTTPClient):
    """Passes requests on and keeps every write: method, path and the fields of its body."""

    name = "recorder"

    def __init__(self, inner: stripe.HTTPClient) -> None:
        super().__init__()
        self._inner = inner
        self.writes: list[tuple[str, str, dict[str, str]]] = []

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Note a request that is not a GET, and pass all of them on."""
        if method.lower() != "get":
            fields = dict(parse_qsl(post_data or "", keep_blank_values=True))
            self.writes.append((method.upper(), "/" + url.split("/", 3)[3].split("?", maxsplit=1)[0], fields))
        return self._inner.request(method, url, headers, post_data)

    def close(self) -> None:
        """Close the transport underneath."""

    def only_marks(self) -> bool:
        """Tell whether every write was an update of nothing but keys of the owner mark."""
        allowed = {f"metadata[{name}]" for name in MARK_KEYS}
        bodies = [{name for name in fields if not name.startswith("expand[")} for _, _, fields in self.writes]
        return all(method == "POST" for method, _, _ in self.writes) and all(body <= allowed for body in bodies)
