"""The outbox on its way to Stripe: every unit of the ledger counted there exactly once, whatever happens in between.

An attempt is on record before it is made. What has surely not arrived is sent again; what may have arrived is sent
again under its identifier for as long as Stripe remembers that, and is looked at after that. What cannot be settled
this way, or was refused after it had been taken, becomes a dead letter with a reason that a person can act on; nothing
is dropped.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import NamedTuple

from reconciler.diagnostics import ProviderError
from reconciler.diagnostics.errors import ReconcilerError
from reconciler.entitlements.policy import Policy
from reconciler.ledger.base import Export, Store
from reconciler.provider.confirmation import Confirmation
from reconciler.provider.delivery import MINUTE, Delivered, Delivery, Pair, told
from reconciler.provider.gateway import Gateway, RequestFailedError
from reconciler.provider.refusals import Refusals, recalled
from reconciler.provider.stream import TOGETHER, Stream
from reconciler.provider.summaries import Summaries

#: Returns the Stripe customer of a tenant; ``None`` where nobody knows one yet.
Customers = Callable[[str], str | None]

#: How long a worker holds what it has claimed, and after how long it begins nothing more of it.
HOLD, ENDS = 15 * MINUTE, 12 * MINUTE
BATCH = 1000
THREADS = 16


class Report(NamedTuple):
    """What a flush did: exports that are sent, dead, or wait for another try; events Stripe took, or had already.

    ``unread`` is why Stripe's reports of what it refused later could not be read: another flush will. ``streamed`` are
    exports that Stripe took without looking at them: sent they are once its summary shows them.
    """

    sent: list[Export]
    dead: list[Export]
    waiting: list[Export]
    taken: int
    known: int
    unread: str | None = None
    streamed: Sequence[Export] = ()


class UsageSender:
    """Sends what is due, any number of workers at once; a customer and meter have one request at a time.

    ``customers`` is asked once a batch for each tenant. ``patient`` workers, that come again and again, let what fails
    wait longer every time; others try everything that is pending and not in another worker's hands. What can be is
    streamed where ``stream`` says so or, unless that says no, where more than a thousand exports are due.
    """

    def __init__(
        self,
        gateway: Gateway,
        store: Store,
        policy: Policy,
        customers: Customers,
        *,
        patient: bool = True,
        stream: bool | None = None,
        refusals: Refusals | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self._gateway = gateway
        self._store = store
        self._policy = policy
        self._customers = customers
        self._patient = patient
        self._stream = stream
        self._bulk = False
        self._refusals = refusals or Refusals(gateway)
        self._session = Stream(gateway)
        self._stop = stop or threading.Event()
        self._summaries = Summaries(gateway, store)

    def flush(self) -> Report:
        """Send everything that is due at this instant, each export once, and confirm what was streamed before.

        ProviderError where the account refuses the key, and what ``customers`` raises; what was claimed is given back
        then, as after a stop.
        """
        done, unread = self._recall()
        since = self._store.now()
        with ThreadPoolExecutor(THREADS, thread_name_prefix="usage") as pool:
            while not self._stop.is_set():
                began = self._store.now()
                claimed = self._store.claim(since, began + HOLD, BATCH)
                if not claimed:
                    break
                self._bulk = self._bulk or len(claimed) == BATCH
                delivery = self._delivery(since, began + ENDS)
                for outcome in self._deliver(pool, delivery, claimed):
                    done[outcome.export[:4]] = outcome
                if delivery.refused is not None:
                    raise ProviderError(
                        "E0908",
                        f"Stripe takes no usage from this key: {told(delivery.refused)}",
                        remedy="Check the key; a restricted one needs write access to billing meter events.",
                    )
            confirmation = Confirmation(self._store, self._policy, self._summaries, self._stop)
            for export in confirmation.run(pool, self._customers, patient=self._patient):
                done[export[:4]] = done.get(export[:4], Delivered(export))._replace(export=export)
        return _report(done.values(), unread)

    def _deliver(self, pool: Executor, delivery: Delivery, claimed: Sequence[Export]) -> Iterator[Delivered]:
        """Send what was claimed: by the hundred where that is wanted and can be, the rest one by one."""
        try:
            known = {tenant: self._customers(tenant) for tenant in {export.tenant for export in claimed}}
        except ReconcilerError:
            delivery.give_back(claimed)
            raise
        pairs: list[Pair] = [(export, known[export.tenant]) for export in claimed]
        if self._bulk if self._stream is None else self._stream:
            many = [pair for pair in pairs if delivery.streamable(*pair)]
            pairs = [pair for pair in pairs if not delivery.streamable(*pair)]
            batches = [many[first : first + TOGETHER] for first in range(0, len(many), TOGETHER)]
            for outcomes, left in pool.map(delivery.batch, batches):
                yield from outcomes
                pairs += left
        for outcomes in pool.map(delivery.one_by_one, _streams(pairs)):
            yield from outcomes

    def _recall(self) -> tuple[dict[tuple[str, str, int, int], Delivered], str | None]:
        """Take back what Stripe refused after it had taken it; return what is dead, or why that cannot be known now."""
        try:
            reports = self._refusals.read()
            found = recalled(self._store, self._policy, reports)
        except RequestFailedError as error:
            return {}, told(error.failure)
        except (KeyError, TypeError, ValueError):
            return {}, "they cannot be understood"
        if found:
            self._store.recall(found)
        self._refusals.dealt_with(reports, self._store.now())
        return {each[:4]: Delivered(each._replace(refused=each.refused + 1, doubt=1, due=0)) for each in found}, None

    def _delivery(self, now: int, ends: int) -> Delivery:
        world = (self._gateway, self._store, self._policy, self._summaries)
        return Delivery(*world, now, ends, self._stop, patient=self._patient, stream=self._session)


def _streams(pairs: Iterable[Pair]) -> list[list[Pair]]:
    """Put together what is about the same customer and meter."""
    streams: dict[tuple[str, str], list[Pair]] = {}
    for export, customer in pairs:
        streams.setdefault((customer or f"of {export.tenant}", export.meter), []).append((export, customer))
    return list(streams.values())


def _report(done: Iterable[Delivered], unread: str | None) -> Report:
    outcomes = list(done)

    def having(state: str) -> list[Export]:
        return [outcome.export for outcome in outcomes if outcome.export.state == state]

    taken, known = sum(outcome.taken for outcome in outcomes), sum(outcome.known for outcome in outcomes)
    return Report(having("sent"), having("dead"), having("pending"), taken, known, unread, having("streamed"))
