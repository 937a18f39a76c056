"""What a GitHub job is told about a plan, an impact, a drift, an apply: the outputs that later steps branch on.

Elsewhere nothing is told, and none of it is made: the Markdown of a large plan takes a while.
"""

from collections.abc import Sequence

from reconciler.cli.context import App
from reconciler.cli.github import Value, annotate, tell
from reconciler.cli.output import in_github
from reconciler.config.catalog import Catalog
from reconciler.config.words import count
from reconciler.diagnostics import Diagnostic, SourceRange
from reconciler.diagnostics.markdown import code
from reconciler.impact.markdown import impact_markdown
from reconciler.impact.result import Impact
from reconciler.impact.words import summary
from reconciler.planning.change import Action
from reconciler.planning.drift import Drift
from reconciler.planning.drift_markdown import render_drift_markdown
from reconciler.planning.guards import Refusal
from reconciler.planning.markdown import render_markdown
from reconciler.planning.plan import Plan
from reconciler.planning.render import count_line
from reconciler.provider.executor import Report
from reconciler.provider.writes import Status

_COUNTS = {
    "creates": Action.CREATE,
    "updates": Action.UPDATE,
    "replaces": Action.REPLACE,
    "retires": Action.RETIRE,
    "adopts": Action.ADOPT,
}
_SHOWN_FAILURES = 50


def tell_plan(
    app: App, plan: Plan, refusals: Sequence[Refusal], catalog: Catalog, exit_code: int, more: str = ""
) -> int:
    """Tell about a plan, ``more`` behind it, and annotate what guards refuse where the files say it.

    Returns the exit code.
    """
    if not in_github(app.out.environ):
        return exit_code
    annotate(app.out, [_refusal(each, plan, catalog) for each in refusals], catalog.sources.directory)
    outputs = {**_about(plan), "refusals": len(refusals), "summary": count_line(plan)}
    return tell(app.out, exit_code, render_markdown(plan, refusals) + more, outputs)


def tell_drift(app: App, drift: Drift, plan: Plan, exit_code: int) -> int:
    """Tell what drifted. Returns the exit code."""
    if not in_github(app.out.environ):
        return exit_code
    outputs: dict[str, Value] = {
        "changes": drift.found,
        "edited": len(drift.edited),
        "archived": len(drift.archived),
        "deleted": len(drift.deleted),
        "missing": len(drift.missing),
        "strays": len(drift.strays),
        "foreign": sum(drift.foreign.values()),
        "account": plan.target.account,
        "mode": plan.target.mode,
    }
    return tell(app.out, exit_code, render_drift_markdown(drift, plan), outputs)


def tell_impact(app: App, impact: Impact, exit_code: int) -> int:
    """Tell what a change means. Returns the exit code."""
    if not in_github(app.out.environ):
        return exit_code
    outputs: dict[str, Value] = {
        "changes": impact.differs,
        "newly-refused": impact.newly_refused,
        "newly-allowed": impact.newly_allowed,
        "summary": summary(impact),
    }
    return tell(app.out, exit_code, impact_markdown(impact), outputs)


def tell_apply(app: App, plan: Plan, report: Report, exit_code: int) -> int:
    """Tell how far an apply came. Returns the exit code."""
    if not in_github(app.out.environ):
        return exit_code
    applied, already = report.count(Status.APPLIED), report.count(Status.ALREADY)
    done = f"{applied + already}/{count(report.total, 'write')} done"
    lines = [f"### Apply: {report.ending}, {done}", "", _target(plan), ""]
    lines += [
        f"- {each.status}: {each.step.op} {code(each.step.change.address)}: {code(each.message)}"
        for each in [*report.failures, *report.skipped][:_SHOWN_FAILURES]
    ]
    outputs = {**_about(plan), "ending": str(report.ending), "total": report.total, "summary": done}
    outputs |= {"applied": applied, "already": already, "failed": len(report.failures)}
    outputs["skipped"] = len(report.skipped)
    return tell(app.out, exit_code, "\n".join(lines), outputs)


def _target(plan: Plan) -> str:
    return f"Account {code(plan.target.account)} ({plan.target.mode}), plan {code(plan.digest[:16])}"


def _about(plan: Plan) -> dict[str, Value]:
    counts = {name: plan.counts.get(action, 0) for name, action in _COUNTS.items()}
    calls = str(plan.entitlements.changed).lower() if plan.entitlements.known else "unknown"
    return {
        "changes": bool(plan.changes) or plan.entitlements.changed,
        **counts,
        "calls-changed": calls,
        "offline": plan.snapshot is not None,
        "unchanged": plan.unchanged,
        "foreign": sum(plan.foreign.values()),
        "plan-id": plan.id,
        "plan-digest": plan.digest,
        "account": plan.target.account,
        "mode": plan.target.mode,
    }


def _refusal(each: Refusal, plan: Plan, catalog: Catalog) -> Diagnostic:
    source = next((change.source for change in plan.changes if change.address == each.address), None)
    where = _range(source) if source else catalog.at("guards", each.guard)
    if each.address is not None and source is None:  # it left the files, so no line says it any more
        where = None
    return Diagnostic("E1030", f"{each.guard}: {each.message}", where, help=f"allow it once with --allow={each.allow}")


def _range(source: str) -> SourceRange:
    """Read a position as changes carry it, ``file:line:column``."""
    file, line, column = source.rsplit(":", 2)
    return SourceRange(file, int(line), int(column), int(line), int(column) + 1)
