"""Figures for Prometheus, in a registry of the service's own; nothing in them names a tenant."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from reconciler.entitlements import Decision
from reconciler.entitlements.policy import MICRO
from reconciler.service.operations.gauges import Gauges, Look

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
#: Actions by which a call is made.
_MAKES = frozenset({"consume", "commit"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 30)


class Metrics:
    """Counts what the service answers, and asks the other rooms for their figures when somebody looks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # Looking a series up by its labels takes longer than to count.
        self._known: dict[tuple[tuple[str, str] | None, int], tuple[Counter, Histogram]] = {}
        self._operations = Counter(
            "reconciler_operations",
            "Requests answered, by what was asked for and the status of the answer.",
            ("resource", "action", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "reconciler_operation_seconds",
            "How long an answer took.",
            ("resource", "action"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._decisions = Counter(
            "reconciler_decisions",
            "Decisions on calls, by reason.",
            ("action", "reason"),
            registry=self.registry,
        )

        self._charged = Counter(
            "reconciler_charged",
            "What calls cost, in credits or in major units of a currency.",
            ("unit",),
            registry=self.registry,
        )
        self._short = Counter(
            "reconciler_short_calls",
            "Calls that used more than was there, by the reason that would have refused them.",
            ("reason",),
            registry=self.registry,
        )

    def look(self, look: Look) -> None:
        """Ask a room for its figures from now on, at most every 15 seconds."""
        self.registry.register(Gauges(look))

    def answered(self, operation: tuple[str, str] | None, status: int, seconds: float) -> None:
        """Count an answer; what no route was found for is ``other``."""
        known = self._known.get((operation, status))
        if known is None:
            labels = operation or ("other", "other")
            known = self._operations.labels(*labels, str(status)), self._seconds.labels(*labels)
            self._known[operation, status] = known
        known[0].inc()
        known[1].observe(seconds)

    def decided(self, action: str, decision: Decision) -> None:
        """Count a decision, and what the call costs where it was made now."""
        self._decisions.labels(action, decision.reason.value).inc()
        if action in _MAKES and decision.allowed and not decision.replayed:
            if decision.cost and decision.unit:
                self._charged.labels(decision.unit).inc(decision.cost / MICRO)
            if decision.short:
                self._short.labels(decision.reason.value).inc()

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self.registry)
