"""Everything the service does by itself for one runtime: which tasks there are, how often, and how they fare."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.config.catalog import Catalog
from reconciler.diagnostics import UsageError
from reconciler.entitlements import Entitlements
from reconciler.entitlements.periods import LENGTH
from reconciler.entitlements.remedies import Urls
from reconciler.provider.gateway import Gateway
from reconciler.service.work.caps import Caps
from reconciler.service.work.charging import Till
from reconciler.service.work.consent import Consents
from reconciler.service.work.delivering import Callback, Delivered, Delivery
from reconciler.service.work.outbox import Outbox
from reconciler.service.work.purchases import Purchases
from reconciler.service.work.recharging import Recharged, Recharger
from reconciler.service.work.rounds import Round, Standing, Task, Worker
from reconciler.service.work.sending import Sender
from reconciler.service.work.target import RefusedUrlError, target_of
from reconciler.service.work.watching import LOW, Watch

#: Tenants swept in one go; while there are as many, the next follow at once.
SWEPT = 1000
#: Seconds between two rounds of each task.
INTERVALS: Mapping[str, float] = {"sweep": 5, "watch": 10, "notices": 5, "recharge": 10, "tidy": 3600}
#: The task that buys credits, for who knows that somebody runs low.
RECHARGE = "recharge"
NOTICES = "notices"
#: Seconds between two purchases that are looked for because somebody runs low.
_SOON = 1.0


@dataclass(frozen=True)
class WorkSettings:
    """Where notices go, and whether credits are bought; neither unless it is said.

    ``credits_low`` is the bound in millionths for tenants whose plan names none; ``kept`` how long notices that were
    sent are kept, in microseconds. ``caps`` allow auto-recharge, for tenants who agree to it.
    """

    callback: Callback | None = None
    sender: Sender = field(default_factory=Sender)
    credits_low: int = LOW
    kept: int = 30 * LENGTH["day"]
    caps: Caps | None = None

    def checked(self) -> "WorkSettings":
        """Return the settings; UsageError for a callback URL that no notice may go to, or one without a secret."""
        if self.callback is None:
            return self
        try:
            target_of(self.callback.url, ports=self.sender.ports, development=self.sender.development)
        except RefusedUrlError as error:
            raise UsageError("E1034", str(error)) from None
        if not self.callback.secrets or not all(self.callback.secrets):
            raise UsageError("E1034", "notices are signed: give a secret that only you and the receiver know")
        return self


class Work:
    """The tasks of one runtime; ``catalog`` returns the files of this moment, ``gateway`` is the account, if any."""

    def __init__(
        self,
        runtime: Entitlements,
        settings: WorkSettings,
        *,
        gateway: Gateway | None = None,
        catalog: Callable[[], Catalog | None] = lambda: None,
        urls: Urls = lambda _kind, _id, _tenant: None,
    ) -> None:
        self.settings = settings.checked()
        store = runtime.ledger.store
        self.outbox, self.consents, self.purchases = Outbox(store), Consents(store), Purchases(store)
        self._runtime = runtime
        self._gateway = gateway
        self._catalog = catalog
        self._urls = urls
        self._stop = threading.Event()
        self._worker: Worker | None = None
        self._wanted = float("-inf")

    @property
    def recharges(self) -> bool:
        """Whether the operator lets credits be bought."""
        return self.settings.caps is not None and self._gateway is not None

    def tasks(self) -> Iterator[Task]:
        """Yield what is to be done again and again."""
        yield self._task("sweep", self.sweep)
        if self.settings.callback is not None:
            watch = Watch(self._runtime, low=self.settings.credits_low)
            yield self._task("watch", lambda: self._telling(watch.round()))
            yield self._task(NOTICES, self.deliver)
            yield self._task("tidy", self.tidy)
        if self.recharges:
            yield self._task(RECHARGE, self.recharge)

    def run(
        self, stop: threading.Event, tell: Callable[[Round], None] = lambda _round: None, more: Sequence[Task] = ()
    ) -> None:
        """Do all of it, and what else there is, until told to stop."""
        self._stop = stop
        self._worker = Worker([*self.tasks(), *more], stop=stop, tell=tell)
        self._worker.run()

    def standing(self) -> Mapping[str, Standing]:
        """Return how every task fares; nothing before the work has begun."""
        return {} if self._worker is None else self._worker.standing()

    def low(self) -> None:
        """Say that somebody runs low on credits: what is to be bought is bought within a second, not the interval."""
        if self._worker is None or not self.recharges:
            return
        now = time.monotonic()
        if now - self._wanted >= _SOON:
            self._wanted = now
            self._worker.want(RECHARGE)

    def sweep(self) -> int:
        """Enter what has become due for tenants nobody asks about, and return how many that were."""
        swept = 0
        while not self._stop.is_set():
            some = self._runtime.sweep(SWEPT)
            swept += some
            if some < SWEPT:
                break
        return swept

    def deliver(self) -> Delivered:
        """Send notices that are due."""
        if self.settings.callback is None:
            return Delivered()
        now = self._runtime.ledger.store.now
        return Delivery(self.outbox, self.settings.callback, self.settings.sender, now, stop=self._stop).round()

    def recharge(self) -> Recharged:
        """Buy what is to be bought; without files there is nothing on sale."""
        catalog = self._catalog()
        if catalog is None or self._gateway is None or self.settings.caps is None:
            return Recharged()
        done = Recharger(self._runtime, Till(self._gateway, catalog), self.settings.caps, self._urls).round()
        self._telling(done.paid + done.failed)
        return done

    def tidy(self) -> int:
        """Delete notices that were sent long ago, and return how many."""
        return self.outbox.forget(self._runtime.ledger.store.now() - self.settings.kept)

    def _telling(self, written: int) -> int:
        """Let notices be sent at once where some were written."""
        if written and self._worker is not None:
            self._worker.want(NOTICES)
        return written

    def _task(self, name: str, run: Callable[[], Any]) -> Task:
        return Task(name, INTERVALS[name], run)
