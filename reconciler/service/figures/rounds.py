"""The work of figures beside the requests: added up every so often, and the account read now and then."""

import logging
import threading
from collections.abc import Callable

from reconciler.config.catalog import Catalog
from reconciler.diagnostics import ReconcilerError
from reconciler.entitlements import Entitlements
from reconciler.provider.earned import Earnings
from reconciler.provider.gateway import Gateway
from reconciler.service.figures import drifted, subscriptions
from reconciler.service.figures.invoices import read_invoices
from reconciler.service.figures.notes import note, read_note
from reconciler.service.figures.rollup import roll_up
from reconciler.service.figures.subscriptions import read_subscriptions
from reconciler.service.figures.summary import summarise
from reconciler.service.figures.tables import prepared

log = logging.getLogger("reconciler.service")
#: Under this name the last round is noted.
NAME = "round"
#: Seconds between two rounds, between two readings of what the account earned, and between two looks for drift.
EVERY, ACCOUNT_EVERY, DRIFT_EVERY = 30.0, 900, 3_600
#: Entries, and rows of tenants, that a round deals with, so that it ends.
_ENTRIES, _ROWS = 200_000, 2_000
#: Seconds of rest for each entry that was added up: as long as that takes.
_REST = 40e-6


class Figures:
    """Adds up a ledger's entries, and reads an account where there is one; any number of processes may at once."""

    def __init__(
        self,
        runtime: Entitlements,
        catalog: Callable[[], Catalog | None] = lambda: None,
        gateway: Gateway | None = None,
    ) -> None:
        self.store = prepared(runtime.ledger.store)
        self._runtime = runtime
        self._catalog = catalog
        self._gateway = gateway

    def round(self, rest: Callable[[int], object] = lambda _number: None) -> int:
        """Add up what is new and make rows of tenants anew; return how many entries were added up."""
        done = roll_up(self.store, _ENTRIES, rest)
        summarise(self._runtime, self.store, self._catalog(), _ROWS)
        now = self.store.now()
        self.store.alongside([note(NAME, now, {"entries": done})])
        return done

    def account(self) -> int | None:
        """Read what the account has earned, where that was not done lately; return how many objects changed.

        ``None`` where nothing was read. ProviderError where the account cannot be read.
        """
        catalog, last = self._catalog(), read_note(self.store, subscriptions.NAME)
        if self._gateway is None or catalog is None:
            return None
        if last is not None and self.store.now() - last.at < ACCOUNT_EVERY * 1_000_000:
            return None
        earnings = Earnings(self._gateway, catalog.namespace)
        return read_invoices(self.store, earnings) + read_subscriptions(self.store, earnings)

    def drift(self) -> int | None:
        """Look whether the account is as the files were applied, where that was not done lately; as above."""
        catalog, last = self._catalog(), read_note(self.store, drifted.NAME)
        if self._gateway is None or catalog is None:
            return None
        if last is not None and self.store.now() - last.at < DRIFT_EVERY * 1_000_000:
            return None
        return drifted.read_drift(self.store, catalog, self._gateway)

    def work(self, stopping: threading.Event) -> None:
        """Go on until told to stop; what fails is logged and tried again."""

        def gently() -> int:
            # The interpreter runs one thread at a time, and requests must not wait for figures.
            return self.round(lambda number: stopping.wait(number * _REST))

        while not stopping.is_set():
            for name, part in (("figures", gently), ("account", self.account), ("drift", self.drift)):
                try:
                    part()
                except ReconcilerError as error:
                    log.warning("%s: %s", name, error)
                except Exception:
                    log.exception("%s: a round failed", name)
            stopping.wait(EVERY)
