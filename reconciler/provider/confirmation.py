"""What was streamed, until Stripe's summaries show it: only then it is sent, and what they do not show is asked for.

All streamed units are above zero, so a summary that has an hour's acknowledged units and all of the streamed ones has
each of them. Where it does not within twenty minutes, whatever the reason, each event is sent once more by itself under
its identifier: Stripe takes it, knows it, or refuses it, and says which.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial

from reconciler.diagnostics import ProviderError
from reconciler.entitlements.policy import Policy
from reconciler.ledger.base import Export, Store
from reconciler.provider.delivery import LOOK, MINUTE
from reconciler.provider.summaries import LAG, Summaries

#: How long after a stream its events are asked for one by one.
ASK = 20 * MINUTE
_HOUR = 3600


class Confirmation:
    """Looks for streamed exports in the summaries, one read for a customer and meter."""

    def __init__(self, store: Store, policy: Policy, summaries: Summaries, stop: threading.Event) -> None:
        self._store = store
        self._policy = policy
        self._summaries = summaries
        self._stop = stop

    def run(self, pool: Executor, customers: Callable[[str], str | None], *, patient: bool) -> Iterator[Export]:
        """Look for what was streamed, where patient not more often than every five minutes; yield what it becomes."""
        now = self._store.now()
        groups: dict[tuple[str | None, str], list[Export]] = {}
        for export in self._store.exports(state="streamed"):
            if export.due <= now or not patient:
                groups.setdefault((customers(export.tenant), export.meter), []).append(export)
        work = [(customer, meter, exports) for (customer, meter), exports in groups.items()]
        for learnt in pool.map(partial(self._look, now), work):
            yield from learnt

    def _look(self, now: int, work: tuple[str | None, str, Sequence[Export]]) -> list[Export]:
        customer, meter, exports = work
        if self._stop.is_set():
            return list(exports)
        found = self._shown(customer, meter, exports)
        learnt = [_learnt(export, now, shown=_hour(export) in found) for export in exports]
        self._store.confirm(learnt)
        return learnt

    def _shown(self, customer: str | None, meter: str, exports: Sequence[Export]) -> set[int]:
        """Return the hours in which Stripe shows everything; none where nobody can be asked."""
        known = self._policy.meters.get(meter)
        if customer is None or known is None:
            return set()
        hours = {_hour(export) for export in exports}
        try:
            totals = self._summaries.hours(known.event_name, customer, min(hours), max(hours))
        except ProviderError:
            return set()
        beside = self._beside({export.tenant for export in exports}, meter, hours)
        return {hour for hour in hours if _complete(beside[hour], totals.get(hour, 0), self._store.now())}

    def _beside(self, tenants: Iterable[str], meter: str, hours: set[int]) -> dict[int, list[Export]]:
        found: dict[int, list[Export]] = {hour: [] for hour in hours}
        for tenant in tenants:
            for export in self._store.exports(tenant, since=min(hours)):
                if export.meter == meter and _hour(export) in found:
                    found[_hour(export)].append(export)
        return found


def _hour(export: Export) -> int:
    return export.window - export.window % _HOUR


def _complete(beside: Sequence[Export], total: float, now: int) -> bool:
    """Tell whether a total is that of all that was acknowledged or streamed, and nothing can make it so by chance.

    Chance would be what may have arrived, and units taken back that the summary may not show yet.
    """
    counted = [export for export in beside if export.state in ("sent", "streamed")]
    maybe = any(export.doubt for export in beside if export not in counted)
    lately = any(export.units < 0 and export.due > now - LAG for export in counted)
    return not maybe and not lately and total == sum(export.units for export in counted)


def _learnt(export: Export, now: int, *, shown: bool) -> Export:
    if shown:
        return export._replace(state="sent", due=export.doubt, doubt=0, error=None)
    if export.doubt + ASK <= now:
        return export._replace(state="pending", due=0, error="streamed, and not in the summary: sent by itself to ask")
    return export._replace(due=now + LOOK)
