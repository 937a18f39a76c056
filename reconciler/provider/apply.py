"""One whole apply: take the lock, check and write, write down what was applied, release on every way out."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.config.catalog import Catalog
from reconciler.diagnostics import PartlyAppliedError
from reconciler.planning.lock import Holder, is_recorded
from reconciler.planning.plan import Plan
from reconciler.provider.executor import THREADS, Ending, Executor, Report
from reconciler.provider.gateway import Gateway
from reconciler.provider.lease import Lease, running_seconds
from reconciler.provider.lock import Locks, moment
from reconciler.provider.ports import Ports
from reconciler.provider.writes import Keeper, Result


@dataclass(frozen=True)
class Locked:
    """How to apply under the lock: as whom, by which ways to the account, told by what, stopped by what.

    ``stop`` is set by whoever wants to stop, and here when the lock is lost. ``elapsed`` counts seconds. ``records`` is
    False for a plan that is not all that its files ask for. ``keeper`` is where secrets go that are shown once.
    """

    ports: Ports
    holder: Holder
    progress: Callable[[Result], None] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    threads: int = THREADS
    records: bool = True
    keeper: Keeper | None = None
    elapsed: Callable[[], float] = running_seconds

    def apply(self, plan: Plan, catalog: Catalog | None = None) -> Report:
        """Apply a plan as the only one in its account and namespace; LockedError where another apply is under way.

        A plan without changes from files that were applied already writes nothing, not even a lock. What kept the lock
        or the record of what was applied is the report's ``cause``; PlanRefusedError as :meth:`Executor.apply` has it.
        """
        locks = Locks(self.ports, plan.target.namespace, elapsed=self.elapsed)
        seen = locks.look()
        if not plan.changes and is_recorded(plan, seen.latest.applied if seen.latest else None):
            return self._execute(plan, catalog, self.ports.work)
        lease = locks.take(self.holder, plan.id, seen, contracts=plan.contracts)
        whole = False
        try:
            with lease.kept(self.stop):
                report = self._execute(plan, catalog, self.ports.work.guarded(lease.in_time))
            whole = report.ending is Ending.COMPLETE and report.cause is None
        finally:
            unwritten = lease.release(plan if whole and self.records else None)
        report.cause = report.cause or lease.loss() or _unreleased(lease, unwritten, whole=whole)
        report.recorded = whole and self.records and report.cause is None
        if whole and report.cause is None:
            locks.prune(lease, seen)
        return report

    def _execute(self, plan: Plan, catalog: Catalog | None, gateway: Gateway) -> Report:
        executor = Executor(gateway, progress=self.progress, stop=self.stop, threads=self.threads, keeper=self.keeper)
        return executor.apply(plan, catalog)


def _unreleased(lease: Lease, why: str | None, *, whole: bool) -> PartlyAppliedError | None:
    if why is None:
        return None
    what = "all is applied, but that could not be written down" if whole else "the lock could not be released"
    return PartlyAppliedError(
        "E0824",
        f"{what}: {why}",
        remedy=f"The lock ends at {moment(lease.ends)}; then apply the same plan again.",
    )
