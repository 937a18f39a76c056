"""``reconciler plan``: what would change, written to stdout and to a plan file."""

from dataclasses import replace
from pathlib import Path

import click

from reconciler.cli.account import connect
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.impacting import UsageOptions, usage_options
from reconciler.cli.invocation import same_target
from reconciler.cli.options import (
    MEMORY,
    AccountOptions,
    ConfigOptions,
    account_options,
    allow_option,
    base_option,
    detailed_exitcode,
    format_option,
)
from reconciler.cli.plan_impact import check_asked, plan_impact, with_impact
from reconciler.cli.planner import FORMS, make, make_offline, save, shown
from reconciler.cli.told import tell_plan
from reconciler.diagnostics import UsageError
from reconciler.impact.markdown import impact_section


@click.command("plan")
@usage_options
@account_options
@format_option(*FORMS)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Save the plan for apply.")
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Plan from what `snapshot` recorded, without key or network; such a plan cannot be saved.",
)
@base_option
@click.option("--impact", "weigh", is_flag=True, help="Say what the change from --base means in money and refusals.")
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
    snapshot: Path | None,
    base: str | None,
    weigh: bool,
    usage: UsageOptions,
    allow: tuple[str, ...],
    detailed: bool,
) -> int:
    """Show what would change at Stripe; writes nothing there."""
    if weigh:
        check_asked(base, form)
    if snapshot is not None:
        _refuse_mixed(account, out)
        made = make_offline(app, config, snapshot, allow, base)
    else:
        made = make(app, config, connect(account), allow, base)
    impact = plan_impact(app, base, made.catalog, usage) if weigh and base is not None else None
    if out is not None:
        save(out, made.plan)
    app.out.data(with_impact(app, shown(app, made.plan, made.refusals, form), impact, form))
    if made.plan.changes and snapshot is None:
        app.out.note(f"Next: {same_target('apply', config, _kept(account), out)}")
    changes = made.plan.changes or made.plan.entitlements.changed
    code = Exit.CHANGES if detailed and changes else Exit.OK
    more = impact_section(impact) if impact is not None else ""
    return tell_plan(app, made.plan, made.refusals, made.catalog, code, more)


def _refuse_mixed(account: AccountOptions, out: Path | None) -> None:
    """Refuse what an offline plan cannot have: an account beside the snapshot, and a file to apply."""
    if account != AccountOptions():
        raise UsageError("E1037", "--snapshot stands in for the account, and an account was named too")
    if out is not None:
        raise UsageError(
            "E1038",
            "a plan from a snapshot cannot be saved: what is applied is planned from the account itself",
            remedy="Leave out --out, or plan with a key.",
        )


def _kept(account: AccountOptions) -> AccountOptions:
    """Name a file for a sandbox that ends with the command: what is applied to it is to be found again."""
    return replace(account, sandbox="sandbox.db") if account.sandbox == MEMORY else account
