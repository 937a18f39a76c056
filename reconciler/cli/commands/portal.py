"""``reconciler portal``: a page on which a tenant looks after its subscription."""

import click

from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.options import AccountOptions, ConfigOptions, account_options, config_options, format_option
from reconciler.cli.payments import desk, tell


@click.command("portal")
@click.argument("tenant")
@click.option("--return-url", metavar="URL", help="Where the customer goes back to; default what the files say.")
@config_options
@account_options
@format_option("text", "json")
@common_options
@pass_app
def command(
    app: App, tenant: str, *, return_url: str | None, config: ConfigOptions, account: AccountOptions, form: str
) -> None:
    """Open a page at Stripe on which TENANT looks after its subscription, invoices and cards."""
    tell(app, desk(app, config, account).portal(tenant, return_url=return_url), form)
