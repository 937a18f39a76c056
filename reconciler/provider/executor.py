"""Applying a plan: first check that the world is as planned, then carry out each write once, in order.

There is no journal. Every write has a key made from the plan and the write, and every object tells by its owner mark
and values whether a write has happened; so the same plan can be applied again after a crash at any point.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

from reconciler.config.catalog import Catalog
from reconciler.diagnostics import PlanRefusedError
from reconciler.planning.change import Op, Step
from reconciler.planning.handover import check_handover
from reconciler.planning.migration import is_subscriber
from reconciler.planning.plan import REMEDY, Plan
from reconciler.provider.gateway import Gateway
from reconciler.provider.preflight import Preflight
from reconciler.provider.reads import Reader
from reconciler.provider.writes import Keeper, Result, Status, Writer

THREADS = 12
_SETTLED = (Status.APPLIED, Status.ALREADY, Status.SKIPPED)
#: So many subscribers may be refused one by one; more, and it is not they who are the cause.
_REFUSALS = 20


class Ending(StrEnum):
    """How an apply ended."""

    COMPLETE = "complete"
    PARTLY = "partly applied"
    NOTHING = "nothing written"


@dataclass
class Report:
    """What an apply did: one result per write, in the order in which they finished.

    ``cause`` is what broke it off, where that was neither Stripe nor the account; ``recorded``, whether it was written
    down in the account that the plan's files are applied.
    """

    total: int
    results: list[Result] = field(default_factory=list)
    cause: Exception | None = None
    recorded: bool = False

    def count(self, status: Status) -> int:
        """Count the writes that ended this way."""
        return sum(result.status is status for result in self.results)

    @property
    def failures(self) -> list[Result]:
        """Writes that did not happen though they were to, or that left something else than planned."""
        return [result for result in self.results if result.status not in _SETTLED]

    @property
    def skipped(self) -> list[Result]:
        """Writes that were left out, because whoever is subscribed changed since the plan was made."""
        return [result for result in self.results if result.status is Status.SKIPPED]

    @property
    def ending(self) -> Ending:
        """Complete if every write is done or left out; otherwise whether this account now holds a part of the plan."""
        done = self.count(Status.APPLIED) + self.count(Status.ALREADY)
        if done + self.count(Status.SKIPPED) == self.total:
            return Ending.COMPLETE
        touched = done + self.count(Status.UNCERTAIN) + self.count(Status.DIFFERS)
        return Ending.PARTLY if touched else Ending.NOTHING


class Executor:
    """Applies one plan to one account; nothing is begun once ``stop`` is set, and what is under way is finished."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        progress: Callable[[Result], None] | None = None,
        stop: threading.Event | None = None,
        threads: int = THREADS,
        keeper: Keeper | None = None,
    ) -> None:
        self._gateway = gateway
        self._reader = Reader(gateway)
        self._progress = progress or (lambda _result: None)
        self._stop = stop or threading.Event()
        self._failed = threading.Event()
        self._refused: set[str] = set()
        self._threads = threads
        self._keeper = keeper
        self._lock = threading.Lock()

    def apply(self, plan: Plan, catalog: Catalog | None = None) -> Report:
        """Check, then write; PlanRefusedError before the first write if anything the plan relies on has moved.

        With the files at hand the plan must also be the one that they and the account yield. Once writing has begun,
        whatever happens ends in the report.
        """
        preflight = Preflight(self._reader, plan, catalog)
        moved = preflight.check()
        if moved:
            raise PlanRefusedError(
                "E0810", "the account is no longer as it was when the plan was made", remedy=REMEDY, details=moved
            )
        if preflight.forged:
            raise PlanRefusedError(
                "E0809", "the plan asks for something else than the files do", remedy=REMEDY, details=preflight.forged
            )
        if self._keeper is None:
            check_handover(step.change for step in preflight.pending if step.op is Op.CREATE)
        report = Report(total=len(preflight.done) + len(preflight.pending) + len(preflight.skipped))
        try:
            for step in preflight.done:
                told = preflight.told.get(step.change.address) if step.op is Op.CREATE else None
                self._record(report, Result(step, Status.ALREADY, told=told))
            for step, why in preflight.skipped:
                self._record(report, Result(step, Status.SKIPPED, why))
            writer = Writer(self._gateway, self._reader, plan, preflight.ids, self._keeper)
            for _stage, group in groupby(sorted(preflight.pending, key=_order), key=lambda step: step.stage):
                self._run(list(group), writer, report)
        except Exception as error:  # noqa: BLE001  whatever it is, what was done has to be told
            self._break_off(report, error)
        return report

    def _run(self, steps: Sequence[Step], writer: Writer, report: Report) -> None:
        with ThreadPoolExecutor(min(self._threads, len(steps)), thread_name_prefix="apply") as pool:
            running = [pool.submit(self._one, step, writer, report) for step in steps]
        for future in running:
            future.result()

    def _one(self, step: Step, writer: Writer, report: Report) -> None:
        if self._stop.is_set() or self._failed.is_set() or step.change.address in self._refused:
            return
        try:
            result = writer.write(step)
        except Exception as error:  # noqa: BLE001  as above
            self._break_off(report, error)
            result = Result(step, Status.UNCERTAIN, "broken off, and it may have happened")
        except BaseException:
            self._failed.set()
            raise
        if self._is_alone(result):
            self._refused.add(step.change.address)
        elif result.status in (Status.FAILED, Status.STALE, Status.UNCERTAIN):
            self._failed.set()
        self._record(report, result)

    def _is_alone(self, result: Result) -> bool:
        """Tell whether Stripe refused to move one subscriber, who then must not keep it from moving the others."""
        refused = result.status is Status.FAILED and is_subscriber(result.step.change)
        return refused and len(self._refused) < _REFUSALS

    def _record(self, report: Report, result: Result) -> None:
        with self._lock:
            report.results.append(result)
            try:
                self._progress(result)
            except Exception as error:  # noqa: BLE001  as above
                self._break_off(report, error)

    def _break_off(self, report: Report, error: Exception) -> None:
        self._failed.set()
        report.cause = report.cause or error


def _order(step: Step) -> tuple[str, str]:
    return (str(step.stage), step.label)
