"""``reconciler drift``: what the account says otherwise than the last apply."""

import click

from reconciler.cli.account import connect
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.invocation import same_target
from reconciler.cli.options import (
    AccountOptions,
    ConfigOptions,
    account_options,
    config_options,
    detailed_exitcode,
    format_option,
)
from reconciler.cli.planner import make, page
from reconciler.cli.told import tell_drift
from reconciler.planning.applied import Applied
from reconciler.planning.drift import is_explained, select_drift
from reconciler.planning.drift_text import render_drift_json, render_drift_text
from reconciler.planning.lock import TERM
from reconciler.provider.gateway import Gateway
from reconciler.provider.history import read_history


@click.command("drift")
@config_options
@account_options
@format_option("text", "json")
@detailed_exitcode
@common_options
@pass_app
def command(app: App, config: ConfigOptions, account: AccountOptions, *, form: str, detailed: bool) -> int:
    """Show what was changed at Stripe since the last apply; writes nothing."""
    connection = connect(account)
    made = make(app, config, connection)
    plan, shown = made.plan, page(app)
    history = None if is_explained(plan) else read_history(Gateway(connection, read_only=True), _since(made.applied))
    drift = select_drift(plan, history, made.applied, made.strangers)
    if form == "json":
        app.out.data(render_drift_json(drift, plan, verbose=shown.verbose))
    else:
        app.out.data(render_drift_text(drift, plan, shown))
    if drift.found:
        app.out.note(f"Next: {same_target('plan', config, account)}")
    return tell_drift(app, drift, plan, Exit.CHANGES if detailed and drift.found else Exit.OK)


def _since(applied: Applied | None) -> int:
    """Return from when on events matter: what was changed before the last apply began is healed."""
    return 0 if applied is None else int(applied.instant.timestamp()) - TERM
