"""From options to a plan that can be shown, and a plan's text in every form."""

import os
import secrets
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reconciler.cli.config import load, refuse
from reconciler.cli.context import App
from reconciler.cli.files import read_bounded, write_private
from reconciler.cli.options import ConfigOptions
from reconciler.cli.revisions import named_at
from reconciler.config.catalog import Catalog
from reconciler.config.words import count
from reconciler.entitlements import Policy
from reconciler.entitlements.compile import compile_catalog
from reconciler.planning.applied import Applied
from reconciler.planning.guards import Refusal, check_guards
from reconciler.planning.html_report import render_html
from reconciler.planning.live import Live
from reconciler.planning.lock import is_recorded
from reconciler.planning.markdown import render_markdown
from reconciler.planning.plan import Plan, serialise
from reconciler.planning.planfile import MAX_BYTES, parse_plan
from reconciler.planning.render import Page, render_gitlab, render_json, render_text
from reconciler.planning.snapshot import MAX_BYTES as SNAPSHOT_BYTES
from reconciler.planning.snapshot import parse_snapshot
from reconciler.provider.binding import check_account, check_mode
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.lock import moment
from reconciler.provider.propose import Base, propose, propose_offline

#: The forms a plan is shown in.
FORMS = ("text", "json", "markdown", "html", "gitlab")
_RENDERERS = {"json": render_json, "markdown": render_markdown, "html": render_html}
PLAN_KEY = "RECONCILER_PLAN_KEY"


@dataclass(frozen=True)
class Made:
    """A plan with the files it was made from, what guards say about it, and what was last applied as a whole."""

    catalog: Catalog
    plan: Plan
    refusals: Sequence[Refusal]
    applied: Applied | None
    strangers: Sequence[Live] = ()


def make(
    app: App, config: ConfigOptions, connection: Connection, allow: Collection[str] = (), base: str | None = None
) -> Made:
    """Plan with a transport that cannot write; problems are shown and end the command with exit 3.

    ``base`` names what calls are compared with: a directory, a compiled policy or a git revision.
    """
    catalog, sources = load(app, config)
    compared = base_at(app, base, config)
    check_mode(connection.mode, catalog.environment)
    gateway = Gateway(connection, read_only=True)
    check_account(gateway, catalog.environment)
    proposal = propose(catalog, gateway, plan_id=secrets.token_hex(16), now=datetime.now(UTC), base=compared)
    apart = proposal.cost.attachments
    requests = count(gateway.requests - apart, "request")
    attachments = f", and {apart} for attachments" if apart else ""
    app.out.note(f"Read {proposal.live.account} with {requests}{attachments}.")
    if proposal.problems:
        refuse(app, proposal.problems, sources)
    applied = proposal.live.applied
    app.out.note(last_applied(applied, current=is_recorded(proposal.plan, applied)))
    return Made(
        catalog, proposal.plan, check_guards(proposal.plan, catalog.file.guards, allow), applied, proposal.strangers
    )


def last_applied(applied: Applied | None, *, current: bool) -> str:
    """Say when files were last applied as a whole, and whether they are those at hand."""
    if applied is None:
        return "Nothing was applied as a whole yet."
    return f"Last applied {moment(applied.instant.timestamp())}, {'these' if current else 'other'} files."


def make_offline(
    app: App, config: ConfigOptions, file: Path, allow: Collection[str] = (), base: str | None = None
) -> Made:
    """Plan from a snapshot, without key or network."""
    catalog, sources = load(app, config)
    snapshot = parse_snapshot(read_bounded(file, SNAPSHOT_BYTES))
    compared = base_at(app, base, config)
    now = datetime.now(UTC)
    proposal = propose_offline(catalog, snapshot, plan_id=secrets.token_hex(16), now=now, base=compared)
    app.out.note(f"Read the snapshot of {snapshot.target.account}, {count((now - snapshot.taken).days, 'day')} old.")
    if proposal.problems:
        refuse(app, proposal.problems, sources)
    return Made(catalog, proposal.plan, check_guards(proposal.plan, catalog.file.guards, allow), None)


def base_at(app: App, spec: str | None, config: ConfigOptions) -> Base | None:
    """Return the policy that ``--base`` names, with its files' guards; None where it was not given."""
    if spec is None:
        return None
    found = named_at(app, spec, config)
    return Base(spec, found) if isinstance(found, Policy) else Base(spec, compile_catalog(found), found.file.guards)


def page(app: App) -> Page:
    """Return what text on stdout may look like."""
    out = app.out
    return Page(out.width, color=out.colors(sys.stdout), unicode=out.unicode, verbose=app.verbosity > 0)


def shown(app: App, plan: Plan, refusals: Sequence[Refusal], form: str) -> str:
    """Render a plan in a form of :data:`FORMS`."""
    if form == "text":
        return render_text(plan, refusals, page(app))
    return render_gitlab(plan) if form == "gitlab" else _RENDERERS[form](plan, refusals)


def plan_key() -> bytes | None:
    """Return the key plans are sealed with, from RECONCILER_PLAN_KEY; None where it is unset or empty."""
    return os.environ.get(PLAN_KEY, "").encode() or None


def save(path: Path, plan: Plan) -> None:
    """Write a plan file that only its owner can read, whole or not at all."""
    write_private(path, serialise(plan, plan_key()))


def read(path: Path) -> Plan:
    """Read a plan file; PlanRefusedError where anything about it is not as it was written."""
    return parse_plan(read_bounded(path, MAX_BYTES), plan_key())
