"""A connection that ends where the head of a request is larger than any, or too slow: uvicorn would wait for it."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Bytes of a head that is not whole yet, and seconds a whole one may take.
LARGEST, PATIENCE = 128 * 1024, 15.0


class Connection(HttpToolsProtocol):
    """HTTP over one connection; what is read of a head that never ends is bounded in size and time."""

    _head = 0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first head."""
        super().connection_made(transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._whole()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head is too large by now."""
        super().data_received(data)
        if self._late is not None:
            self._head += len(data)
            if self._head > LARGEST:
                self.transport.abort()

    def on_message_begin(self) -> None:
        """Wait for the rest of a head."""
        self._begin()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Be content with a head that is whole."""
        self._whole()
        super().on_headers_complete()

    def _begin(self) -> None:
        self._whole()
        self._head, self._late = 0, self.loop.call_later(PATIENCE, self._abort)

    def _abort(self) -> None:
        self.transport.abort()

    def _whole(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
