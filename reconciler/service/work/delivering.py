"""The round that sends notices: a few at a time, the oldest first, until none is due or the receiver is away.

A receiver gets every notice at least once. It gets those of a tenant in the order they happened as long as each try
succeeds; one that has to be tried again may arrive behind a later one, and says by its ``number`` that it is older.
"""

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from reconciler.service.work.outbox import Notice, Outbox
from reconciler.service.work.sending import Sender, UnsentError
from reconciler.service.work.signing import HEADER, sign

#: Notices taken at once: what a hanging receiver makes of them ends before the claim does.
TOGETHER = 10
#: After so many failures one after the other a round ends: the rest waits for the next.
FAILURES = 3
SECOND = 1_000_000
AGENT = "reconciler-notices/1"


class Callback(NamedTuple):
    """Where notices go, and the secrets they are signed with: the newest first, older ones until all receivers know."""

    url: str
    secrets: Sequence[str]

    def __repr__(self) -> str:
        return f"Callback({len(self.secrets)} secrets)"


class Delivered(NamedTuple):
    """What a round came to: notices sent, failed and to be tried again, and given up; why the last one failed."""

    sent: int = 0
    failed: int = 0
    dead: int = 0
    error: str | None = None


class Delivery:
    """Sends the notices of an outbox to a callback; several at once in any number of processes get in no one's way."""

    def __init__(
        self,
        outbox: Outbox,
        callback: Callback,
        sender: Sender,
        now: Callable[[], int],
        *,
        stop: threading.Event | None = None,
    ) -> None:
        self._outbox = outbox
        self._callback = callback
        self._sender = sender
        self._now = now
        self._stop = stop or threading.Event()

    def round(self) -> Delivered:
        """Send what is due, and return what came of it."""
        done, in_a_row = Delivered(), 0
        while claimed := self._outbox.claim(TOGETHER):
            for place, notice in enumerate(claimed):
                if self._stop.is_set() or in_a_row >= FAILURES:
                    self._outbox.give_back(claimed[place:])
                    return done
                error = self._send(notice)
                in_a_row = 0 if error is None else in_a_row + 1
                done = _added(done, self._outbox.settle(notice, error), error)
        return done

    def _send(self, notice: Notice) -> str | None:
        """Send a notice, and return what went wrong."""
        body = notice.body.encode()
        headers = {
            HEADER: sign(body, self._callback.secrets, self._now() // SECOND),
            "Reconciler-Notice-Id": notice.id,
            "User-Agent": AGENT,
        }
        try:
            self._sender.post(self._callback.url, body, headers)
        except UnsentError as error:
            return str(error)
        return None


def _added(done: Delivered, state: str, error: str | None) -> Delivered:
    return Delivered(
        done.sent + (state == "sent"),
        done.failed + (state == "pending"),
        done.dead + (state == "dead"),
        error if error is not None else done.error,
    )
