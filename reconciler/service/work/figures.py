"""Figures of the service's own work, for whoever watches it; none of them names a tenant."""

from collections.abc import Iterator

from reconciler.entitlements.policy import MICRO
from reconciler.service.operations.gauges import Gauge
from reconciler.service.work.room import Work

_STATES = ("pending", "dead")


def gauges_of(work: Work, now: int) -> Iterator[Gauge]:
    """Yield how many notices wait or are dead and since when, purchases that are open, and how every task fares.

    ``now`` is the ledger's instant, in microseconds.
    """
    depths = work.outbox.depth()
    for state in _STATES:
        number, oldest = depths.get(state, (0, now))
        age = max(now - oldest, 0) / MICRO
        yield Gauge("reconciler_notices", "Notices that have not arrived.", number, {"state": state})
        yield Gauge("reconciler_notices_age_seconds", "Age of the oldest of them.", age, {"state": state})
    yield Gauge("reconciler_recharges_open", "Purchases that were begun and are not decided.", work.purchases.open())
    for name, standing in work.standing().items():
        failures = "Times a task has failed since it last went well."
        yield Gauge("reconciler_task_failures", failures, standing.failures, {"task": name})
