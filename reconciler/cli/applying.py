"""Carrying out a plan in front of people or programs: events, progress, the last word and the exit code."""

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.cli.context import App, in_a_line
from reconciler.cli.exits import Exit
from reconciler.cli.handed import SecretFile
from reconciler.cli.progress import progress
from reconciler.cli.stopping import Stopper, stoppable
from reconciler.cli.told import tell_apply
from reconciler.config.catalog import Catalog
from reconciler.diagnostics import PartlyAppliedError, ProviderError, ReconcilerError
from reconciler.diagnostics.visible import visible
from reconciler.planning.change import Op, Step, steps
from reconciler.planning.handover import handed_over
from reconciler.planning.lock import TERM
from reconciler.planning.plan import Plan
from reconciler.planning.words import subscribed
from reconciler.provider.apply import Locked
from reconciler.provider.executor import Ending, Report
from reconciler.provider.gateway import Connection
from reconciler.provider.holder import this_run
from reconciler.provider.lock import HeldError
from reconciler.provider.ports import Ports
from reconciler.provider.records import append_record, record_of
from reconciler.provider.writes import Result, Status
from reconciler.resources import desire

_DONE = (Status.APPLIED, Status.ALREADY)
_EVENTS = dict.fromkeys(_DONE, "apply_complete") | {Status.SKIPPED: "apply_skipped"}


def event(app: App, form: str, name: str, **content: Any) -> None:
    """Write one event to programs, in the form ``jsonl`` only; the names are those of ``terraform apply -json``."""
    if form == "jsonl":
        app.out.data(json.dumps({"type": name, **content}) + "\n")


def refused(app: App, form: str, error: ReconcilerError) -> None:
    """Tell programs why an apply ends before it has said anything else about it."""
    details = {"detail": list(error.details), "help": error.remedy, "exit_code": error.exit_code}
    with contextlib.suppress(OSError):  # stderr and the exit code say it all the same
        event(app, form, "diagnostic", severity="error", code=error.code, summary=error.message, **details)


@dataclass(frozen=True)
class Apply:
    """One apply: where to, what, in which form it is reported, how to resume it, and how to free a lock it meets.

    ``secrets`` is where signing secrets go, ``records`` whether a whole apply means that the files are what is applied.
    """

    app: App
    connection: Connection
    plan: Plan
    catalog: Catalog | None
    form: str
    resume: str
    unlock: str
    secrets: SecretFile | None = None
    records: bool = True
    history: Path | None = None

    def run(self) -> int:
        """Apply, report, and return the exit code; PlanRefusedError before the first write if the account has moved.

        A history that cannot be appended to is an OSError before it.
        """
        if self.history is not None:
            self.history.open("ab").close()
        if self.secrets is not None and handed_over(self.plan.changes):
            self.secrets.prepare()
        for change in self.plan.changes:
            self._event("planned_change", address=change.address, action=str(change.action), reason=str(change.reason))
        total = sum(len(steps(change)) for change in self.plan.changes)
        self._event("apply_start", plan=self.plan.id, account=self.plan.target.account, writes=total)
        lock = f"The lock ends by itself within {TERM // 60} minutes; to free it now: {self.unlock}"
        with stoppable(f"{self.resume}\n{lock}") as stopper:
            report = self._apply(total, stopper)
        self._remember(report)
        return self._tell(report, stopper.exit_code)

    def _remember(self, report: Report) -> None:
        """Append what came of it to the history; an apply that is done stays done where that fails."""
        if self.history is None:
            return
        run = this_run(os.environ)
        record = record_of(self.plan, str(report.ending), report.count(Status.APPLIED), datetime.now(UTC), run.name)
        try:
            append_record(self.history, record)
        except OSError as error:
            self.app.out.problem(f"The history was not appended to: {in_a_line(error)}")

    def nothing(self) -> int:
        """Report to programs that a plan made now has no changes; to people the plan has said it."""
        return self._tell(Report(total=0), None)

    def _apply(self, total: int, stopper: Stopper) -> Report:
        ports = Ports.of(self.connection, stopper.stop)
        report = Report(total)
        try:
            with progress(self.app.out, total) as tick:
                locked = Locked(
                    ports,
                    this_run(os.environ),
                    self._watch(tick),
                    stopper.stop,
                    records=self.records,
                    keeper=self.secrets,
                )
                report = locked.apply(self.plan, self.catalog)
        except HeldError as error:
            error.advise(self.unlock)
            raise
        except ProviderError:
            if stopper.signal is None:
                raise
        except OSError as error:  # the terminal went away
            report.cause = report.cause or error
        return report

    def _watch(self, tick: Callable[[], None]) -> Callable[[Result], None]:
        def watch(result: Result) -> None:
            tick()
            name = _EVENTS.get(result.status, "apply_errored")
            self._event(name, **_result(result))

        return watch

    def _event(self, name: str, **content: Any) -> None:
        event(self.app, self.form, name, **content)

    def _tell(self, report: Report, signalled: int | None) -> int:
        """Say what was done, what broke it off, and how to go on; stderr is told also where stdout takes nothing."""
        for result in (*report.skipped, *report.failures):
            self.app.out.problem(_failure(result))
        try:
            self._summary(report, exit_code(report, signalled))
        except OSError as error:
            report.cause = report.cause or error
        if report.cause is not None:
            self.app.traceback(report.cause)
            self.app.out.error(_known(report.cause))
        if report.ending is not Ending.COMPLETE:
            self.app.out.problem(self.resume)
        self._secretless(report)
        return tell_apply(self.app, self.plan, report, exit_code(report, signalled))

    def _summary(self, report: Report, code: int) -> None:
        applied, already = report.count(Status.APPLIED), report.count(Status.ALREADY)
        skipped = len({result.step.change.address for result in report.skipped})
        counts = {"total": report.total, "applied": applied, "already": already, "failed": len(report.failures)}
        counts["skipped"] = len(report.skipped)
        self._event("change_summary", ending=str(report.ending), **counts, recorded=report.recorded, exit_code=code)
        if self.form == "text" and not self.plan.changes and report.recorded:
            self.app.out.data("Written down: these files are what is applied.\n")
        if self.form == "text" and self.plan.changes:
            before = f", {already} of them before" if already else ""
            done = f"{applied + already}/{report.total} writes are done{before}"
            self.app.out.data(f"{_ENDINGS[report.ending]}: {done}.\n")
            if skipped:
                self.app.out.data(f"{subscribed(skipped)} changed meanwhile, left as they are; a new plan sees them.\n")
            made = sorted((each.step.change.address, each.told) for each in report.results if each.told)
            self.app.out.data("".join(f"  {visible(address)}: {visible(told)}\n" for address, told in made))

    def _secretless(self, report: Report) -> None:
        """Say which webhook endpoints are there without a secret in the file, as after a crash, and what to do."""
        if self.secrets is None:
            return
        planned = set(handed_over(self.plan.changes))
        wanted = {each.address for each in desire(self.catalog) if each.kind.hands_over} if self.catalog else set()
        made = {
            each.step.change.address
            for each in report.results
            if each.step.op is Op.CREATE and each.status in (*_DONE, Status.DIFFERS)
        }
        for address in self.secrets.lacking((wanted - planned) | (made & planned)):
            self.app.out.problem(
                f"{address} has no signing secret in {self.secrets.path}, and Stripe shows each one once. Roll it in "
                f"the dashboard and write it there; or take {address} out of the files, apply, and put it back."
            )


_ENDINGS = {
    Ending.COMPLETE: "Applied",
    Ending.PARTLY: "Partly applied",
    Ending.NOTHING: "Nothing was written",
}


def _known(cause: Exception) -> ReconcilerError:
    if isinstance(cause, ReconcilerError):
        return cause
    return ReconcilerError("E1042", f"the apply was broken off by {in_a_line(cause)}")


def exit_code(report: Report, signalled: int | None) -> int:
    """Return what the process ends with: complete is complete, and a signal counts more than what it left undone."""
    if report.ending is Ending.COMPLETE and report.cause is None:
        return Exit.OK
    if signalled is not None:
        return signalled
    if report.ending is Ending.PARTLY or isinstance(report.cause, PartlyAppliedError):
        return Exit.PARTLY
    return Exit.REFUSED if report.count(Status.STALE) else Exit.ERROR


def _result(result: Result) -> dict[str, Any]:
    told = {str(result.step.change.kind.told): result.told} if result.told else {}
    return {
        **_step(result.step),
        **told,
        "id": result.id,
        "status": str(result.status),
        "message": result.message,
        "code": result.code,
        "request_id": result.request_id,
    }


def _step(step: Step) -> dict[str, str]:
    return {"address": step.change.address, "op": str(step.op), "stage": str(step.stage)}


def _failure(result: Result) -> str:
    request = f" (request {result.request_id})" if result.request_id else ""
    return visible(f"{result.status}: {result.step.op} {result.step.change.address}: {result.message}{request}")
