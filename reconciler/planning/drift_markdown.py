"""Drift as Markdown, for the summary of a job. Pure; no text in it acts as markup."""

from collections.abc import Iterator

from reconciler.diagnostics.markdown import code
from reconciler.planning.change import Change
from reconciler.planning.drift import Drift
from reconciler.planning.plan import Plan

_ROOM = 50_000
#: What the groups of a drift are called.
TITLES = {
    "edited": "Edited at Stripe",
    "archived": "Archived at Stripe",
    "deleted": "Deleted at Stripe",
    "missing": "Missing at Stripe, never applied or deleted there",
    "strays": "Second objects of an address",
    "unapplied": "Not applied yet, so no drift",
}


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
    counts = {name: len(changes) for name, changes in drift.groups.items()}
    doubled, unapplied = counts.pop("strays"), counts.pop("unapplied")
    parts = [f"{number} {name}" for name, number in counts.items()] + [f"{doubled} doubled"]
    return ", ".join(parts) + "." + (f" {unapplied} not applied yet." if unapplied else "")


def _groups(drift: Drift) -> Iterator[str]:
    for name, changes in drift.groups.items():
        if changes:
            yield from (f"**{TITLES[name]} ({len(changes)})**", "", *(_item(drift, each) for each in changes), "")


def _item(drift: Drift, change: Change) -> str:
    fields = f": {', '.join(map(code, change.fields))}" if change.fields else ""
    known = drift.of(change)
    return f"- {code(change.address)}{fields}" + (f" ({code(str(known))})" if known else "")
