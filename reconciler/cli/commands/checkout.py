"""``reconciler checkout``: a page on which a tenant buys a plan or a pack."""

import click

from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.options import AccountOptions, ConfigOptions, account_options, config_options, format_option
from reconciler.cli.payments import choice_options, desk, tell
from reconciler.provider.payments import Choice


@click.command("checkout")
@click.argument("tenant")
@choice_options
@click.option("--success-url", required=True, metavar="URL", help="Where the customer goes after the purchase.")
@click.option("--cancel-url", metavar="URL", help="Where the customer goes who leaves without buying.")
@click.option("--key", metavar="KEY", help="Open one page for this key, however often it is tried in a day.")
@config_options
@account_options
@format_option("text", "json")
@common_options
@pass_app
def command(
    app: App,
    tenant: str,
    *,
    choice: Choice,
    success_url: str,
    cancel_url: str | None,
    key: str | None,
    config: ConfigOptions,
    account: AccountOptions,
    form: str,
) -> None:
    """Open a page at Stripe on which TENANT buys a plan or a pack of the files, at the prices that were applied."""
    page = desk(app, config, account).checkout(tenant, choice, success_url=success_url, cancel_url=cancel_url, key=key)
    tell(app, page, form)
