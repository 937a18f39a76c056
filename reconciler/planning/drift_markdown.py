"""Drift as Markdown, for the summary of a job. Pure; no text in it acts as markup."""

from collections.abc import Iterator

from reconciler.diagnostics.markdown import code
from reconciler.planning.change import Change
from reconciler.planning.drift import Drift
from reconciler.planning.plan import Plan

_ROOM = 50_000


def render_drift_markdown(drift: Drift, plan: Plan) -> str:
    """Write what drifted as lists of addresses and fields, at most 60,000 characters."""
    title = f"Drift: {drift_counts(drift)}" if drift.found else "No drift."
    lines = [f"### {title}", "", f"Account {code(plan.target.account)} ({plan.target.mode})", ""]
    room = _ROOM
    for line in _groups(drift):
        room -= len(line) + 1
        if room < 0:
            lines.append("- and more, which the log lists")
            break
        lines.append(line)
    return "\n".join(lines) + "\n"


def drift_counts(drift: Drift) -> str:
    """Count what drifted."""
    return f"{len(drift.edited)} edited at Stripe, {len(drift.missing)} missing there, {len(drift.strays)} doubled."


def _groups(drift: Drift) -> Iterator[str]:
    groups = (
        ("Edited at Stripe", drift.edited),
        ("Missing at Stripe, never applied or deleted there", drift.missing),
        ("Second objects of an address", drift.strays),
    )
    for title, changes in groups:
        if changes:
            yield from (f"**{title} ({len(changes)})**", "", *map(_item, changes), "")


def _item(change: Change) -> str:
    fields = f": {', '.join(map(code, change.fields))}" if change.fields else ""
    return f"- {code(change.address)}{fields}"
