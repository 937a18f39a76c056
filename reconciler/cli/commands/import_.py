"""``reconciler import``: existing Stripe objects under management, by owner marks alone."""

import click

from reconciler.cli.adopting import Adopting
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.options import AccountOptions, ConfigOptions, account_options, config_options, format_option
from reconciler.diagnostics import UsageError


@click.command("import")
@click.argument("address", required=False)
@click.argument("object_id", metavar="[ID]", required=False)
@click.option("--match", "matching", is_flag=True, help="Take over everything that the files find by key or imports.")
@config_options
@account_options
@format_option("text", "json")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--auto-approve", is_flag=True, help="Write without asking.")
@common_options
@pass_app
def command(
    app: App,
    address: str | None,
    object_id: str | None,
    config: ConfigOptions,
    account: AccountOptions,
    *,
    matching: bool,
    form: str,
    dry_run: bool,
    auto_approve: bool,
) -> int:
    """Take the existing object ID under management for ADDRESS of the files; only its owner mark is written."""
    if matching == (address is not None) or (address is None) != (object_id is None):
        raise UsageError(
            "E1043",
            "import takes an ADDRESS and an ID, or --match",
            remedy="reconciler import plans.pro prod_1EXAMPLE, or reconciler import --match",
        )
    pick = None if address is None or object_id is None else (address, object_id)
    return Adopting(app, config, account, None).run(pick, form=form, dry_run=dry_run, ask=not auto_approve)
