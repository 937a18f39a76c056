"""One export on its way to Stripe: looked at if it may be there, sent, and what came of it."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from reconciler.entitlements.periods import SECOND, instant
from reconciler.entitlements.policy import Meter, Policy
from reconciler.ledger.base import Export, Store
from reconciler.provider.gateway import Gateway, RequestFailedError
from reconciler.provider.meter_events import Event, Meaning, events, meaning, unsendable
from reconciler.provider.retry import Failure
from reconciler.provider.stream import Stream, streamable
from reconciler.provider.summaries import Found, Summaries

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: Stripe takes events of the past 35 days, and five minutes ahead of its clock.
OLDEST, AHEAD = 35 * DAY, 5 * MINUTE
#: Identifiers are remembered for 24 hours at least; an hour of that is left to requests under way and unequal clocks.
REMEMBERED = 23 * HOUR


#: A window that began before this is in the past by every clock that is not far off.
SETTLED = 15 * MINUTE
#: How long after a stream its summary is looked at first, and again.
LOOK = 5 * MINUTE
#: An export with the customer of its tenant, where one is known.
Pair = tuple[Export, str | None]


class Delivered(NamedTuple):
    """What became of one export, and how many of its events Stripe took now, or had already."""

    export: Export
    taken: int = 0
    known: int = 0


@dataclass
class Delivery:
    """Delivers what one worker has claimed at an instant, ``now``.

    ``patient`` ones let an export wait longer after every failure; others let the next claim have it. ``refused`` is
    set once the account refuses this key altogether: nothing is begun from then on.
    """

    gateway: Gateway
    store: Store
    policy: Policy
    summaries: Summaries
    now: int
    ends: int
    stop: threading.Event
    patient: bool
    stream: Stream
    refused: Failure | None = None

    def one_by_one(self, stream: Sequence[Pair]) -> list[Delivered]:
        """Deliver what is about one customer and meter, one after the other; behind one that waits the others wait.

        What Stripe may have forgotten comes last, when all else in its hour is settled.
        """
        outcomes: list[Delivered] = []
        due, why = None, None
        for export, customer in sorted(stream, key=lambda pair: self._forgotten(pair[0])):
            if due is None and (self.refused or self.stop.is_set() or self.store.now() > self.ends):
                due, why = self.now, export.error
            outcome = self._one(export, customer) if due is None else Delivered(self._waits(export, due, why))
            self.store.settle([outcome.export])
            outcomes.append(outcome)
            if due is None and outcome.export.state == "pending":
                due, why = outcome.export.due, outcome.export.error
        return outcomes

    def streamable(self, export: Export, customer: str | None) -> bool:
        """Tell whether an export can go by the hundred: Stripe's summary alone can tell later whether it counts.

        What clocks that differ could make too old or too early goes by itself, since a single event says so at once.
        """
        meter = self.policy.meters.get(export.meter)
        in_time = self.now - OLDEST + HOUR <= export.window * SECOND <= self.now - SETTLED
        return meter is not None and customer is not None and in_time and streamable(export, meter, self.now)

    def batch(self, pairs: Sequence[Pair]) -> tuple[list[Delivered], Sequence[Pair]]:
        """Stream exports in one request; return what became of them, or the exports that have to go one by one."""
        if self.refused or self.stop.is_set() or self.store.now() > self.ends:
            outcomes = [Delivered(self._waits(export, self.now, export.error)) for export, _ in pairs]
            self.store.settle([outcome.export for outcome in outcomes])
            return outcomes, ()
        sent = [self._event(export, customer) for export, customer in pairs]
        failure, at = self.stream.send(sent, self.store.now()), self.store.now()
        if failure is None:
            outcomes = [Delivered(_streamed(export, at), 1) for export, _ in pairs]
        elif failure.ambiguous or failure.status == HTTPStatus.TOO_MANY_REQUESTS:
            outcomes = [Delivered(self._again(export, failure, maybe=failure.ambiguous)) for export, _ in pairs]
        else:
            # Nothing of it was taken; alone each learns what is wrong with it, or that it has to go this way.
            return [], pairs
        self.store.settle([outcome.export for outcome in outcomes])
        return outcomes, ()

    def _event(self, export: Export, customer: str | None) -> Event:
        (event,) = events(export, self.policy.meters[export.meter], customer or "", self.policy.namespace)
        return event

    def give_back(self, claimed: Iterable[Export]) -> None:
        """Let others have what was claimed and not begun."""
        self.store.settle([self._waits(export, self.now, export.error) for export in claimed])

    def _forgotten(self, export: Export) -> bool:
        """Tell whether it may have arrived so long ago that Stripe would not know it again."""
        return bool(export.doubt) and export.doubt <= self.now - REMEMBERED

    def _one(self, export: Export, customer: str | None) -> Delivered:
        meter = self.policy.meters.get(export.meter)
        why = unsendable(export, meter)
        if meter is None or why is not None:
            return Delivered(self._dies(export, why or ""))
        if export.window * SECOND > self.now + AHEAD:
            return Delivered(self._waits(export, self._later(AHEAD), "its window begins later than now"))
        if customer is None:
            return Delivered(self._waits(export, self._later(HOUR), "no Stripe customer of the tenant is known"))
        if meter.window:
            return self._send(export, meter, customer, self.summaries.acknowledged(export, meter.window))
        if self._forgotten(export):
            found, reason = self.summaries.look(export, meter.event_name, customer, self.now, REMEMBERED)
            if found is not Found.ABSENT:
                return Delivered(self._looked(export, found, reason))
            export = export._replace(doubt=self.now)
        return self._send(export, meter, customer)

    def _looked(self, export: Export, found: Found, reason: str) -> Export:
        if found is Found.THERE:
            return self._arrived(export)
        if found is Found.UNCLEAR:
            return export._replace(state="dead", error=reason)
        return self._waits(export, self._later(HOUR), reason)

    def _send(self, export: Export, meter: Meter, customer: str, before: int = 0) -> Delivered:
        if export.window * SECOND >= self.now - OLDEST:
            return self._deliver(export, events(export, meter, customer, self.policy.namespace, before))
        if self._sure(export).doubt:
            late = "its window is too old to be sent, and whether it has arrived cannot be looked up yet"
            return Delivered(self._waits(export, export.doubt + REMEMBERED, late))
        begun = instant(export.window * SECOND).date().isoformat()
        return Delivered(self._dies(export, f"its window of {begun} is older than the 35 days Stripe takes"))

    def _deliver(self, export: Export, due: Iterable[Event]) -> Delivered:
        taken = known = 0
        for event in due:
            failure = self._post(event, export.attempts)
            if failure is None:
                taken += 1
                continue
            means = meaning(failure, event.identifier)
            if means is Meaning.THERE:
                known += 1
                continue
            if means is Meaning.STOP:
                self.refused = failure
            maybe = bool(taken or known or failure.ambiguous)
            if means is Meaning.REFUSED and not (failure.param == "timestamp" and self._recent(export)):
                kept = export if maybe else self._sure(export)
                return Delivered(kept._replace(state="dead", error=told(failure)), taken, known)
            return Delivered(self._again(export, failure, maybe=maybe), taken, known)
        return Delivered(self._arrived(export), taken, known)

    def _post(self, event: Event, attempt: int) -> Failure | None:
        """Send one event; every attempt has a key of its own, so that no stored failure outlives it."""
        try:
            self.gateway.post("/v1/billing/meter_events", event.params, f"{event.identifier}-{attempt}")
        except RequestFailedError as error:
            return error.failure
        return None

    def _recent(self, export: Export) -> bool:
        """Tell whether only unequal clocks can make Stripe find a window's beginning too early or too late."""
        return export.window * SECOND > self.now - DAY

    def _arrived(self, export: Export) -> Export:
        return export._replace(state="sent", error=None, doubt=0, due=self.store.now())

    def _dies(self, export: Export, why: str) -> Export:
        return self._sure(export)._replace(state="dead", error=why)

    def _again(self, export: Export, failure: Failure, *, maybe: bool) -> Export:
        kept = export if maybe else self._sure(export)
        pause = min(MINUTE << min(export.attempts - 1, 10), HOUR)
        # A key that may not send says nothing about this export: whoever has a better one need not wait for it.
        due = self.now if self.refused else self._later(pause)
        return kept._replace(due=due, error=told(failure))

    def _waits(self, export: Export, due: int, why: str | None) -> Export:
        return self._sure(export)._replace(due=due, error=why)

    def _later(self, pause: int) -> int:
        return self.now + (pause if self.patient else 1)

    def _sure(self, export: Export) -> Export:
        """Take back the doubt of this attempt, which was not made or not carried out; older doubt stays."""
        return export._replace(doubt=0) if export.doubt == self.now else export


def _streamed(export: Export, at: int) -> Export:
    return export._replace(state="streamed", doubt=at, due=at + LOOK, error="streamed; the summary will tell")


def told(failure: Failure) -> str:
    """Return a failure in Stripe's words, with the id of the request."""
    return f"{failure.message} (request {failure.request_id})" if failure.request_id else failure.message
