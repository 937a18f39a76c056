"""Runtimes for tests: a policy from a few lines of YAML, a ledger in memory, a clock that is set by hand."""

from collections.abc import Callable
from datetime import UTC, datetime

from reconciler.config.catalog import catalog_from_text
from reconciler.entitlements import Entitlements, Policy
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.periods import micros


def at(text: str) -> int:
    """Return an instant written as ISO 8601, in microseconds."""
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


class HandClock:
    """A clock that shows what it was set to."""

    def __init__(self, text: str = "2027-01-01T00:00:00") -> None:
        self.now = at(text)

    def __call__(self) -> int:
        return self.now

    def set(self, text: str) -> None:
        """Show another instant, later or earlier."""
        self.now = at(text)


def policy(text: str) -> Policy:
    """Compile YAML, which may leave out the settings."""
    settings = "" if "settings:" in text else "settings: {namespace: acme, default_meter: calls}\n"
    meters = "" if "meters:" in text else "meters: {calls: {name: Calls}}\n"
    catalog, problems = catalog_from_text(settings + meters + text)
    assert catalog is not None, problems
    return compile_catalog(catalog)


def runtime(text: str, clock: Callable[[], int] | None = None, url: str = "sqlite://") -> Entitlements:
    """Open a runtime over YAML."""
    return Entitlements.open(policy(text), url, mode="direct", clock=clock or HandClock())
