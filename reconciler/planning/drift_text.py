"""Drift for people on a terminal and for programs. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.diagnostics.table import table
from reconciler.planning.change import Change
from reconciler.planning.drift import Drift, strangers_text
from reconciler.planning.drift_markdown import TITLES, drift_counts
from reconciler.planning.plan import Plan, document
from reconciler.planning.render import Page, as_json, changes_text, sentences, target_text


def render_drift_text(drift: Drift, plan: Plan, page: Page | None = None) -> str:
    """Write for people what drifted; before is what Stripe holds, after what the files say."""
    page = page or Page()
    lines = [target_text(plan), ""]
    notes = {key: str(happening) for key, happening in drift.happened.items()}
    for name, changes in drift.groups.items():
        if changes:
            lines += [page.paint("bold", f"{TITLES[name]}:"), *changes_text(changes, page, notes=notes), ""]
    lines += _strangers(drift, page)
    foreign = f"{sum(drift.foreign.values())} foreign untouched."
    last = f"Drift: {drift_counts(drift)} {foreign}" if drift.found else f"No drift. {foreign}"
    lines += [page.paint("bold", line) for line in sentences(last, page)]
    if drift.note:
        lines += sentences(f"History: {drift.note}.", page)
    return "\n".join(lines) + "\n"


def render_drift_json(drift: Drift, plan: Plan, *, verbose: bool = False) -> str:
    """Write as JSON what drifted, each change in the form it has in a plan, with what is known of it."""
    actions = dict(zip(map(id, plan.changes), document(plan)["actions"], strict=True))
    content: dict[str, Any] = {
        "account": plan.target.account,
        "mode": plan.target.mode,
        "namespace": plan.target.namespace,
        "drift": drift.found,
        "counts": {name: len(changes) for name, changes in drift.groups.items()},
        "foreign": dict(drift.foreign),
        "note": drift.note,
        "applied": _applied(drift, plan),
    }
    for name, changes in drift.groups.items():
        content[name] = [{**actions[id(change)], "happened": _happened(drift, change)} for change in changes]
    if verbose:
        rows = strangers_text(drift.strangers)
        content["foreign_objects"] = [{"kind": kind, "id": object_id, "name": name} for kind, object_id, name in rows]
    return as_json(content)


def _applied(drift: Drift, plan: Plan) -> Mapping[str, Any] | None:
    applied = drift.applied
    if applied is None:
        return None
    current = applied.config_digest == plan.config_digest
    return {"instant": applied.instant.isoformat(), "config_digest": applied.config_digest, "current": current}


def _happened(drift: Drift, change: Change) -> Mapping[str, Any] | None:
    known = drift.of(change)
    if known is None:
        return None
    return {"what": known.what, "at": known.at, "request": known.request, "event": known.event}


def _strangers(drift: Drift, page: Page) -> Iterator[str]:
    if page.verbose and drift.strangers:
        yield page.paint("bold", "Objects of others:")
        rows = [(kind.replace("_", " "), object_id, name) for kind, object_id, name in strangers_text(drift.strangers)]
        yield table(rows, indent="  ")
