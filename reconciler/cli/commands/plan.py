"""``reconciler plan``: what would change, written to stdout and to a plan file."""

from dataclasses import replace
from pathlib import Path

import click

from reconciler.cli.account import connect
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.invocation import same_target
from reconciler.cli.options import (
    MEMORY,
    AccountOptions,
    ConfigOptions,
    account_options,
    allow_option,
    base_option,
    config_options,
    detailed_exitcode,
    format_option,
)
from reconciler.cli.planner import make, save, shown
from reconciler.cli.told import tell_plan


@click.command("plan")
@config_options
@account_options
@format_option("text", "json", "markdown")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Save the plan for apply.")
@base_option
@allow_option
@detailed_exitcode
@common_options
@pass_app
def command(
    app: App,
    config: ConfigOptions,
    account: AccountOptions,
    *,
    form: str,
    out: Path | None,
    base: str | None,
    allow: tuple[str, ...],
    detailed: bool,
) -> int:
    """Show what would change at Stripe; writes nothing there."""
    made = make(app, config, connect(account), allow, base)
    if out is not None:
        save(out, made.plan)
    app.out.data(shown(app, made.plan, made.refusals, form))
    if made.plan.changes:
        app.out.note(f"Next: {same_target('apply', config, _kept(account), out)}")
    changes = made.plan.changes or made.plan.entitlements.changed
    code = Exit.CHANGES if detailed and changes else Exit.OK
    return tell_plan(app, made.plan, made.refusals, made.catalog, code)


def _kept(account: AccountOptions) -> AccountOptions:
    """Name a file for a sandbox that ends with the command: what is applied to it is to be found again."""
    return replace(account, sandbox="sandbox.db") if account.sandbox == MEMORY else account
