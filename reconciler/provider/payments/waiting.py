"""Watching for a payment: every 2 seconds, at most 5 for each look, 30 in all, so at most 15 looks. Changes nothing.

What a payment brings is granted when Stripe's event says that it was made, whether or not somebody watches.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from reconciler.diagnostics import UsageError
from reconciler.diagnostics.visible import quoted
from reconciler.provider.gateway import Connection, Gateway, RequestFailedError
from reconciler.provider.payments.errors import StatusTimeoutError
from reconciler.provider.payments.hurry import OutOfTimeError, Within, within
from reconciler.provider.reads import refused
from reconciler.provider.retry import Backoff

EVERY, LOOK, DEADLINE = 2.0, 5.0, 30.0
LOOKS = 15
_SESSION, _LINK = "cs_", "plink_"
_SETTLED = frozenset({"paid", "expired"})


class Outcome(NamedTuple):
    """How a watch ended: ``paid``, ``expired`` or ``timeout``; ``seen`` is what the last answer said.

    ``seen`` is ``open``, ``processing`` where a bank has still to say, or empty where nothing answered. ``session`` is
    the checkout session that was paid, ``payment_status`` Stripe's word for it.
    """

    id: str
    state: str
    seen: str
    looks: int
    simulated: bool
    livemode: bool | None = None
    session: str | None = None
    payment_status: str | None = None

    @property
    def paid(self) -> bool:
        """Whether it was paid."""
        return self.state == "paid"


class _Seen(NamedTuple):
    state: str
    livemode: bool
    session: str | None = None
    payment_status: str | None = None


@dataclass(frozen=True)
class Watcher:
    """Watches one account; clock and sleep can be replaced."""

    connection: Connection
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], bool | None] = time.sleep
    within: Within = within

    def watch(self, object_id: str) -> Outcome:
        """Return what became of a checkout session or of a link that can be paid once; UsageError for anything else."""
        look = _look_of(object_id)
        gateway = Gateway(self.connection, backoff=Backoff(tries=1), read_only=True)
        ends, looks, seen = self.clock() + DEADLINE, 0, None
        while looks < LOOKS and self.clock() < ends:
            looks, began = looks + 1, self.clock()
            seen = self._seen(gateway, look, object_id, min(LOOK, ends - began)) or seen
            if seen is not None and seen.state in _SETTLED:
                return self._outcome(object_id, seen.state, seen, looks)
            following = min(began + EVERY, ends)
            if following > self.clock() and self.sleep(following - self.clock()):
                break
        return self._outcome(object_id, "timeout", seen, looks)

    def _outcome(self, object_id: str, state: str, seen: _Seen | None, looks: int) -> Outcome:
        if seen is None:
            return Outcome(object_id, state, "", looks, self.connection.simulated)
        found = seen.livemode, seen.session, seen.payment_status
        return Outcome(object_id, state, seen.state, looks, self.connection.simulated, *found)

    def _seen(
        self, gateway: Gateway, look: Callable[[Gateway, str], _Seen], object_id: str, seconds: float
    ) -> _Seen | None:
        """Look once; None where no answer came, which the next look may mend."""
        try:
            found: _Seen = self.within(seconds, lambda: look(gateway, object_id))
        except OutOfTimeError:
            return None
        except RequestFailedError as error:
            if error.failure.retriable:
                return None
            raise refused(error, object_id) from None
        return found


def wait_for_payment(connection: Connection, object_id: str) -> Outcome:
    """Return once it is decided whether something was paid; StatusTimeoutError after 30 seconds."""
    outcome = Watcher(connection).watch(object_id)
    if outcome.state == "timeout":
        raise StatusTimeoutError(
            "E1411", f"{object_id} was not paid within {DEADLINE:g} s", remedy="Nothing was changed; wait again."
        )
    return outcome


def _look_of(object_id: str) -> Callable[[Gateway, str], _Seen]:
    plain = object_id.replace("_", "").isalnum() and object_id.isascii()
    if plain and object_id.startswith(_SESSION):
        return _session
    if plain and object_id.startswith(_LINK):
        return _link
    raise UsageError(
        "E1410",
        f"{quoted(object_id)} is neither a checkout session nor a payment link",
        remedy="Name an id that begins with cs_ or plink_.",
    )


def _session(gateway: Gateway, object_id: str) -> _Seen:
    return _of_session(gateway.get(f"/v1/checkout/sessions/{object_id}"))


def _of_session(session: dict[str, Any]) -> _Seen:
    state, status = session["status"], session["payment_status"]
    if state == "complete":
        state = "processing" if status == "unpaid" else "paid"
    return _Seen(state, session["livemode"], session["id"], status)


def _link(gateway: Gateway, object_id: str) -> _Seen:
    link = gateway.get(f"/v1/payment_links/{object_id}")
    if link["restrictions"] is None:
        raise UsageError(
            "E1410",
            f"{object_id} can be paid by anybody, any number of times, so it is never paid once and for all",
            remedy="Wait for the checkout session that somebody pays in.",
        )
    completed = {"payment_link": object_id, "status": "complete", "limit": 1}
    sessions = gateway.get("/v1/checkout/sessions", completed)["data"]
    if sessions:
        return _of_session(sessions[0])
    return _Seen("open" if link["active"] else "expired", link["livemode"])
