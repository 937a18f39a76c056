"""The in-process front: a transport for the Stripe SDK that calls the core directly."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import stripe

from reconciler.sandbox.wire import ConnectionDroppedError, Request, Response


class InProcessClient(stripe.HTTPClient):
    """A ``stripe.HTTPClient`` over a dispatch function; a dropped connection is ``stripe.APIConnectionError``."""

    name = "reconciler-sandbox"

    def __init__(self, dispatch: Callable[[Request], Response]) -> None:
        super().__init__()
        self._dispatch = dispatch

    def request(  # type: ignore[override]  # the SDK declares text and returns bytes, as its own clients do
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request; host and scheme of the URL do not matter."""
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        body = post_data.encode() if isinstance(post_data, str) else post_data or b""
        try:
            response = self._dispatch(Request(method.upper(), path, headers or {}, body))
        except ConnectionDroppedError:
            raise _dropped() from None
        time.sleep(response.seconds)
        if response.announced is not None:
            raise _dropped()
        return response.body, response.status, response.headers

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request from a thread, so that latency faults do not stop the loop."""
        return await asyncio.to_thread(self.request, method, url, headers, post_data)

    def sleep_async(self, secs: float) -> Awaitable[None]:
        """Wait between the SDK's retries."""
        return asyncio.sleep(secs)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    async def close_async(self) -> None:
        """Do nothing: there is no connection."""


def _dropped() -> stripe.APIConnectionError:
    return stripe.APIConnectionError("The connection was dropped.", should_retry=True)  # type: ignore[no-untyped-call]  # the SDK leaves it so
