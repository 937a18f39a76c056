"""What the routes of the service share: the runtime, the catalogue, the desk that sells, and who may ask."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

from reconciler.config.catalog import Catalog
from reconciler.entitlements import Entitlements, Policy
from reconciler.entitlements.aio import AsyncEntitlements
from reconciler.provider.gateway import Gateway
from reconciler.provider.payments import Payments
from reconciler.service.buying.tokens import Shop
from reconciler.service.hooks.room import Hooks
from reconciler.service.identity.credentials import Credentials
from reconciler.service.limits import Buckets
from reconciler.service.operations.gauges import gauges_of
from reconciler.service.operations.metrics import Metrics
from reconciler.service.settings import Settings
from reconciler.service.work.room import Work as OwnWork

#: Work beside the requests, in a thread of its own, until the event is set.
Work = Callable[[threading.Event], None]
#: Requests that wait for Stripe at once, and those that wait for their turn beside them.
_SLOW, _WAITING = 16, 48
#: The same of one that asks.
_EACH = 4
Result = TypeVar("Result")


class BusyError(Exception):
    """So many requests wait for Stripe already that one more would only wait."""


class Files(NamedTuple):
    """What the files say: the policy, and where they are YAML the catalogue."""

    policy: Policy
    catalog: Catalog | None = None


class Beat(NamedTuple):
    """When a worker was last seen, by the monotonic clock, and after how many seconds it is missed."""

    at: float
    within: float


class Service:
    """Holds what the app needs; made by ``reconciler serve`` or by whoever mounts the app, and owns no runtime.

    ``read`` returns the files anew for a reload; ``sell`` opens a desk for a catalogue, where there is an account;
    ``shop`` is what the runtime's refusals lead to, ``work`` what is done without being asked.
    """

    def __init__(
        self,
        runtime: Entitlements,
        *,
        settings: Settings | None = None,
        catalog: Catalog | None = None,
        gateway: Gateway | None = None,
        sell: Callable[[Catalog], Payments] | None = None,
        read: Callable[[], Files] | None = None,
        shop: Shop | None = None,
        work: OwnWork | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        self.work = work
        self.hooks = hooks
        self.runtime = runtime
        self.aio = AsyncEntitlements(runtime)
        self.settings = settings or Settings()
        self.catalog = catalog
        self.gateway = gateway
        self._sell, self._read = sell, read
        self.shop = shop
        self.payments = sell(catalog) if sell is not None and catalog is not None else None
        self.credentials = Credentials(runtime, self.settings)
        self.principals = Buckets(self.settings.principal_pace)
        self.places = Buckets(self.settings.address_pace)
        self.metrics = Metrics()
        self.metrics.look(partial(gauges_of, self))
        self.beats: dict[str, Beat] = {}
        self.stopping = threading.Event()
        self._work: list[tuple[str, Work]] = []
        self._threads: list[threading.Thread] = []
        self._reloading = threading.Lock()
        self._slow = ThreadPoolExecutor(_SLOW, "payments")
        self._waiting: Counter[str] = Counter()

    def beside(self, name: str, work: Work) -> None:
        """Let work run beside the requests, from the start of the app to its end."""
        self._work.append((name, work))

    def beat(self, name: str, within: float) -> None:
        """Say that a worker is alive, and within how many seconds it will say so again; ``/readyz`` misses it else."""
        self.beats[name] = Beat(time.monotonic(), within)

    def start(self) -> None:
        """Start what runs beside the requests."""
        for name, work in self._work:
            thread = threading.Thread(target=work, args=(self.stopping,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Let what runs beside the requests finish what it began."""
        self.stopping.set()
        for thread in self._threads:
            thread.join(self.settings.grace)
        self._slow.shutdown(wait=False, cancel_futures=True)

    async def slowly(self, who: str, work: Callable[[], Result]) -> Result:
        """Do work that waits for others in threads of its own, for one who asked.

        BusyError where too much of it waits already, of all or of that one.
        """
        if self._waiting.total() >= _SLOW + _WAITING or self._waiting[who] >= _EACH:
            raise BusyError
        self._waiting[who] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._slow, work)
        finally:
            self._waiting[who] -= 1
            if not self._waiting[who]:
                del self._waiting[who]

    @property
    def can_reload(self) -> bool:
        """Whether the files can be read anew."""
        return self._read is not None

    def reload(self) -> Policy:
        """Read the files anew and decide by them from now on; where they cannot be read the old ones stay.

        ReconcilerError, such as ConfigError with every problem, where that is so.
        """
        if self._read is None:
            raise ValueError("this service was not told where its files are")
        with self._reloading:
            files = self._read()
            payments = self._sell(files.catalog) if self._sell is not None and files.catalog is not None else None
            self.runtime.reload(files.policy)
            self.catalog, self.payments = files.catalog, payments
            if self.hooks is not None and files.catalog is not None:
                self.hooks.moved(files.catalog.moved)
        return files.policy
