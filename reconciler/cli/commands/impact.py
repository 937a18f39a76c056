"""``reconciler impact``: what a change of the files means in money and refusals, tenant by tenant."""

import click

from reconciler.cli.config import load
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.impacting import AT_HAND, Named, UsageOptions, impact_of, usage_options
from reconciler.cli.impacts import shown
from reconciler.cli.options import ConfigOptions, detailed_exitcode, format_option
from reconciler.cli.revisions import catalog_at
from reconciler.cli.told import tell_impact


@click.command("impact")
@click.argument("base")
@click.argument("head", required=False)
@usage_options
@format_option("text", "json", "markdown", "html", "csv")
@detailed_exitcode
@common_options
@pass_app
def command(
    app: App, base: str, head: str | None, *, config: ConfigOptions, usage: UsageOptions, form: str, detailed: bool
) -> int:
    """Show what a change from BASE to HEAD means in money and refusals, for every tenant; writes nothing.

    Each is a directory or a git revision of the files; HEAD is the files at hand. What was used comes from --usage,
    else from the ledger; it is priced and decided by both.
    """
    old = Named(base, catalog_at(app, base, config))
    new = Named(AT_HAND, load(app, config)[0]) if head is None else Named(head, catalog_at(app, head, config))
    found = impact_of(app, old, new, usage)
    app.out.data(shown(app, found, form))
    return tell_impact(app, found, Exit.CHANGES if detailed and found.differs else Exit.OK)
