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
from reconciler.planning.drift import select_drift
from reconciler.planning.render import render_drift_json, render_drift_text


@click.command("drift")
@config_options
@account_options
@format_option("text", "json")
@detailed_exitcode
@common_options
@pass_app
def command(app: App, config: ConfigOptions, account: AccountOptions, *, form: str, detailed: bool) -> int:
    """Show what was changed at Stripe since the last apply; writes nothing."""
    plan = make(app, config, connect(account)).plan
    drift = select_drift(plan)
    app.out.data(render_drift_json(drift, plan) if form == "json" else render_drift_text(drift, plan, page(app)))
    if drift.found:
        app.out.note(f"Next: {same_target('plan', config, account)}")
    return tell_drift(app, drift, plan, Exit.CHANGES if detailed and drift.found else Exit.OK)
