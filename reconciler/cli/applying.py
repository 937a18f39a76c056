"""Carrying out a plan in front of people or programs: events, progress, the last word and the exit code."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reconciler.cli.context import App
from reconciler.cli.exits import Exit
from reconciler.cli.progress import progress
from reconciler.cli.stopping import stoppable
from reconciler.config.catalog import Catalog
from reconciler.diagnostics import PartlyAppliedError, ReconcilerError
from reconciler.diagnostics.visible import visible
from reconciler.planning.change import Step, steps
from reconciler.planning.plan import Plan
from reconciler.provider.executor import Ending, Executor, Report
from reconciler.provider.gateway import Gateway
from reconciler.provider.writes import Result, Status

_DONE = (Status.APPLIED, Status.ALREADY)


@dataclass(frozen=True)
class Apply:
    """One apply: where to, what, in which form it is reported, and what to say to whoever wants to resume it."""

    app: App
    gateway: Gateway
    plan: Plan
    catalog: Catalog | None
    form: str
    resume: str

    def run(self) -> int:
        """Apply, report, and return the exit code; PlanRefusedError before the first write if the account has moved."""
        total = sum(len(steps(change)) for change in self.plan.changes)
        for change in self.plan.changes:
            self._event("planned_change", address=change.address, action=str(change.action), reason=str(change.reason))
        self._event("apply_start", plan=self.plan.id, account=self.plan.target.account, writes=total)
        with stoppable(self.resume) as stopper, progress(self.app.out, total) as tick:
            seen: list[Result] = []
            executor = Executor(self.gateway, progress=self._watch(tick, seen), stop=stopper.stop)
            try:
                report = executor.apply(self.plan, self.catalog)
            except ReconcilerError as error:
                if all(result.status is Status.ALREADY for result in seen):
                    raise
                raise PartlyAppliedError(error.code, error.message, remedy=self.resume) from error
        code = exit_code(report, stopper.exit_code)
        self._summary(report, code)
        return code

    def _watch(self, tick: Callable[[], None], seen: list[Result]) -> Callable[[Result], None]:
        def watch(result: Result) -> None:
            seen.append(result)
            tick()
            name = "apply_complete" if result.status in _DONE else "apply_errored"
            self._event(name, **_result(result))

        return watch

    def _event(self, name: str, **content: Any) -> None:
        if self.form == "jsonl":
            self.app.out.data(json.dumps({"type": name, **content}) + "\n")

    def _summary(self, report: Report, code: int) -> None:
        done = report.count(Status.APPLIED) + report.count(Status.ALREADY)
        self._event(
            "change_summary",
            ending=str(report.ending),
            total=report.total,
            applied=report.count(Status.APPLIED),
            already=report.count(Status.ALREADY),
            failed=len(report.failures),
            exit_code=code,
        )
        for result in report.failures:
            self.app.out.problem(_failure(result))
        if self.form == "text":
            already = report.count(Status.ALREADY)
            before = f", {already} of them before" if already else ""
            self.app.out.data(f"{_ENDINGS[report.ending]}: {done}/{report.total} writes are done{before}.\n")
        if report.ending is not Ending.COMPLETE:
            self.app.out.problem(self.resume)


_ENDINGS = {
    Ending.COMPLETE: "Applied",
    Ending.PARTLY: "Partly applied",
    Ending.NOTHING: "Nothing was written",
}


def exit_code(report: Report, signalled: int | None) -> int:
    """Return what the process ends with: part of a plan counts more than why it stopped."""
    if report.ending is Ending.COMPLETE:
        return Exit.OK
    if report.ending is Ending.PARTLY:
        return Exit.PARTLY
    if signalled is not None:
        return signalled
    return Exit.REFUSED if report.count(Status.STALE) else Exit.ERROR


def _result(result: Result) -> dict[str, Any]:
    return {
        **_step(result.step),
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
