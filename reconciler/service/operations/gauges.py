"""Figures that are read when somebody looks: what the ledger holds, what waits, what is lent."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from reconciler.diagnostics import ReconcilerError
from reconciler.entitlements.policy import MICRO
from reconciler.ledger.totals import Waiting, totals

if TYPE_CHECKING:
    from reconciler.service.service import Service

log = logging.getLogger("reconciler.service")
#: Figures of the ledger are believed for so many seconds: however often it is asked, it is not read more often.
_KEPT = 15.0
_STATES = ("pending", "streamed", "dead")


class Gauge(NamedTuple):
    """One figure of this moment; its labels have few values, and never name a tenant."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = {}


#: Returns figures of this moment.
Look = Callable[[], Iterable[Gauge]]


class Gauges(Collector):
    """Asks a room for its figures; a room that fails has none, and a log line."""

    def __init__(self, look: Look, kept: float = _KEPT) -> None:
        self._look = look
        self._kept = kept
        self._found: tuple[float, list[Gauge]] | None = None

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: what there will be is known when somebody looks."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the figures as Prometheus takes them."""
        families: dict[str, GaugeMetricFamily] = {}
        for gauge in self._gauges():
            if gauge.name not in families:
                families[gauge.name] = GaugeMetricFamily(gauge.name, gauge.help, labels=tuple(gauge.labels))
            families[gauge.name].add_metric(list(gauge.labels.values()), gauge.value)
        yield from families.values()

    def _gauges(self) -> list[Gauge]:
        now = time.monotonic()
        if self._found is None or now - self._found[0] >= self._kept:
            try:
                self._found = now, list(self._look())
            except ReconcilerError as error:
                log.warning("figures could not be read: %s", error)
                self._found = now, []
        return self._found[1]


def gauges_of(service: "Service") -> Iterator[Gauge]:
    """Yield the figures of ledger and runtime."""
    runtime = service.runtime
    found, now = totals(runtime.ledger.store), runtime.ledger.store.now() / MICRO
    yield Gauge("reconciler_tenants", "Tenants with entries in the ledger.", found.tenants)
    yield Gauge("reconciler_credits", "Credits of all tenants, to be spent.", found.credits / MICRO)
    yield Gauge("reconciler_held_credits", "Credits set aside for calls that are not finished.", found.held / MICRO)
    for state in _STATES:
        waiting = found.exports.get(state, Waiting(0, 0))
        age = max(now - waiting.oldest, 0.0) if waiting.number else 0.0
        label = {"state": state}
        yield Gauge("reconciler_outbox_exports", "Exports that are not with Stripe for sure.", waiting.number, label)
        yield Gauge("reconciler_outbox_age_seconds", "Age of the oldest window among them.", age, label)
    yield from _inbox(service, now)
    for depth in () if service.hooks is None else service.hooks.inbox.depths():
        label = {"state": depth.state}
        yield Gauge("reconciler_inbox_events", "Events of Stripe in the inbox.", depth.events, label)
        age = max(now - depth.oldest / MICRO, 0.0)
        yield Gauge("reconciler_inbox_age_seconds", "Time since the oldest of them came.", age, label)
    lent = 0 if runtime.leases is None else runtime.leases.stranded()
    yield Gauge("reconciler_lease_stranded_calls", "Calls this process has borrowed and not made.", lent)
    info = {"revision": runtime.policy.revision}
    yield Gauge("reconciler_policy_info", "The policy that decides, by the beginning of its digest.", 1, info)


def _inbox(service: "Service", now: float) -> Iterator[Gauge]:
    """Yield the figures of the inbox, where there is one."""
    if service.hooks is None:
        return
    depths = {each.state: each for each in service.hooks.inbox.depths()}
    for state in ("pending", "dead"):
        depth = depths.get(state)
        label = {"state": state}
        age = 0.0 if depth is None else max(now - depth.oldest / MICRO, 0.0)
        yield Gauge("reconciler_inbox_events", "Events that are not done.", depth.events if depth else 0, label)
        yield Gauge("reconciler_inbox_age_seconds", "Age of the oldest among them.", age, label)
    noted = service.hooks.inbox.noted()
    yield Gauge("reconciler_inbox_noted_events", "Events done with a note, as of an unknown price.", noted)
