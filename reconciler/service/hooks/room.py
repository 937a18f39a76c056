"""Everything about webhooks of one service: the inbox, who works it off, and who looks for what never came."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from reconciler.entitlements import Entitlements
from reconciler.provider.gateway import Gateway
from reconciler.provider.webhooks.fetch import Source
from reconciler.provider.webhooks.owner import Owner
from reconciler.provider.webhooks.signature import Verifier
from reconciler.service.hooks.catching import Catching
from reconciler.service.hooks.inbox import Inbox
from reconciler.service.hooks.processor import Processor
from reconciler.service.work.rounds import Round, Task, Worker

#: Seconds between two rounds where nothing comes in, between two looks at Stripe's list, and two clearings.
ROUND, LOOK, TIDY = 2.0, 300.0, 3600.0
#: How the tasks are called.
WORK, CATCH_UP, CLEAR = "webhooks", "webhooks-missing", "webhooks-tidy"


class Hooks:
    """Webhooks of one account for one runtime; UsageError where secrets are given and one of them is none.

    Without secrets nothing is received; what is missing is still looked for.
    """

    def __init__(
        self,
        runtime: Entitlements,
        gateway: Gateway,
        *,
        secrets: Sequence[str] = (),
        moved: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        verifier = Verifier(secrets, gateway.mode, clock) if secrets else None
        store = runtime.ledger.store
        source = Source(gateway, Owner(runtime.policy.namespace, moved or {}))
        self.receives = verifier is not None
        self.inbox = Inbox(store, verifier, self._woken)
        self.processor = Processor(runtime, source, self.inbox)
        self.catching = Catching(source, self.inbox, store)
        self._owner = source.owner
        self._wake: Callable[[], None] = lambda: None

    def moved(self, moved: Mapping[str, str]) -> None:
        """Follow other renamed addresses from now on, as after a reload of the files."""
        self._owner.moved = moved

    def tasks(self) -> tuple[Task, ...]:
        """Return what is to be done again and again."""
        return (
            Task(WORK, ROUND, self.processor.round),
            Task(CATCH_UP, LOOK, self.catching.catch_up),
            Task(CLEAR, TIDY, self.inbox.clear),
        )

    def run(self, stop: threading.Event, tell: Callable[[Round], None] = lambda _round: None) -> None:
        """Work events off and look for missing ones until told to stop; what comes in is worked off at once."""
        worker = Worker(self.tasks(), stop=stop, tell=tell)
        self._wake = lambda: worker.want(WORK)
        worker.run()

    def _woken(self) -> None:
        self._wake()
