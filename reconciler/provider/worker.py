"""A worker that brings usage to Stripe for as long as it runs: in time for every invoice, or saying what came late.

Units are handed over when their hour or their billing period is over. A subscription's invoice stays a draft for an
hour unless the account says otherwise, and takes in what arrives until then
(https://docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period): an interval well below that is what
makes usage reach it.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from reconciler.diagnostics.errors import ReconcilerError
from reconciler.entitlements import Entitlements
from reconciler.entitlements.periods import SECOND
from reconciler.entitlements.standing import subscription_of
from reconciler.entitlements.terms import Terms
from reconciler.ledger.base import Export
from reconciler.provider.delivery import HOUR, MINUTE
from reconciler.provider.gateway import Gateway
from reconciler.provider.refusals import Refusals
from reconciler.provider.usage import Report, UsageSender

#: Seconds between two rounds: a dozen of them in the hour an invoice stays a draft.
INTERVAL = 300
#: A round that fails is tried again after so many seconds, twice as many after each further failure.
FIRST_PAUSE = 5
#: How long an invoice stays a draft, in microseconds.
DRAFT = HOUR
#: Customers are read again for tenants nobody knows after so long, and all of them after so long.
_UNKNOWN, _KNOWN = 10 * MINUTE, 12 * HOUR


class Round(NamedTuple):
    """What one round did; ``failed`` is why it ended early. ``late`` are exports that came too late for an invoice."""

    report: Report | None
    failed: ReconcilerError | None = None
    late: tuple[Export, ...] = ()


class Directory:
    """Customers of tenants, read from the account when somebody is asked for who is not known yet."""

    def __init__(self, read: Callable[[], Mapping[str, str]], now: Callable[[], int]) -> None:
        self._read = read
        self._now = now
        self._known: Mapping[str, str] = {}
        self._at: int | None = None

    def get(self, tenant: str) -> str | None:
        """Return a tenant's customer, ``None`` where the account has none; an error of reading is raised."""
        age = None if self._at is None else self._now() - self._at
        if age is None or age >= (_KNOWN if tenant in self._known else _UNKNOWN):
            self._known, self._at = self._read(), self._now()
        return self._known.get(tenant)


class UsageWorker:
    """Hands over and sends in rounds until ``stop`` is set; any number of workers share a ledger.

    What one has claimed no other one sends; what a dead one had claimed is taken up when its claim ends. ``tell`` is
    given every round. ``draft`` is how long an invoice of the account stays a draft, in microseconds.
    """

    def __init__(
        self,
        runtime: Entitlements,
        gateway: Gateway,
        customers: Callable[[], Mapping[str, str]],
        *,
        interval: float = INTERVAL,
        draft: int = DRAFT,
        stream: bool | None = None,
        stop: threading.Event | None = None,
        tell: Callable[[Round], None] = lambda _round: None,
    ) -> None:
        if not 0 < interval * SECOND <= draft // 2:
            raise ValueError(f"an interval of {interval:g} s is too long for invoices that are drafts for {draft} µs")
        self._runtime = runtime
        self._gateway = gateway
        self._directory = Directory(customers, runtime.ledger.store.now)
        self._interval = interval
        self._draft = draft
        self._stream = stream
        self._refusals = Refusals(gateway)
        self._stop = stop or threading.Event()
        self._tell = tell

    def run(self) -> None:
        """Work until told to stop: a request under way is finished, and what else was claimed is given back."""
        failures = 0
        while not self._stop.is_set():
            done = self.round()
            self._tell(done)
            failures = failures + 1 if done.failed is not None else 0
            pause = min(FIRST_PAUSE * 2 ** (failures - 1), self._interval) if failures else self._interval
            self._stop.wait(pause)

    def round(self) -> Round:
        """Hand over what is over, send what is due, and return what came of it; what fails is tried the next time."""
        store = self._runtime.ledger.store
        try:
            self._runtime.seal_over()
            sender = UsageSender(
                self._gateway,
                store,
                self._runtime.policy,
                self._directory.get,
                stream=self._stream,
                refusals=self._refusals,
                stop=self._stop,
            )
            report = sender.flush()
        except ReconcilerError as error:
            return Round(None, error)
        return Round(report, late=late(self._runtime, report.sent, self._draft))


def late(runtime: Entitlements, sent: Iterable[Export], draft: int = DRAFT) -> tuple[Export, ...]:
    """Return what was sent when the invoice of its period was a draft no more: Stripe has it, and bills it nowhere."""
    terms: dict[str, Terms] = {}
    found = []
    for export in sent:
        if export.tenant not in terms:
            subscription = subscription_of(runtime.ledger.store.read(export.tenant).facts)
            terms[export.tenant] = Terms(runtime.policy, export.tenant, subscription)
        billed = terms[export.tenant].billed(export.meter)
        if billed is not None and billed.at(export.window * SECOND)[1] + draft < export.due:
            found.append(export)
    return tuple(found)
