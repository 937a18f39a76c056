"""``reconciler invoice``: what a tenant will be billed, by the files and the ledger, beside what Stripe says."""

import click

from reconciler.cli.books import BookOptions, ledger_option
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.invoices import statement_json, statement_of, statement_text
from reconciler.cli.options import AccountOptions, ConfigOptions, account_options, config_options, format_option


@click.command("invoice")
@click.argument("tenant")
@click.option(
    "--period", metavar="YYYY-MM", help="The billing month that begins in a month of the calendar; default the running."
)
@ledger_option
@config_options
@account_options
@format_option("text", "json")
@common_options
@pass_app
def command(
    app: App,
    tenant: str,
    *,
    period: str | None,
    ledger: str | None,
    config: ConfigOptions,
    account: AccountOptions,
    form: str,
) -> None:
    """Show TENANT's invoice line by line as it is by now, by files and ledger, beside Stripe's own preview.

    Where Stripe cannot be asked it is said so. Writes nothing.
    """
    statement = statement_of(app, tenant, period, BookOptions(config, None, ledger), account)
    app.out.data(statement_json(statement) if form == "json" else statement_text(statement, app.out.width))
