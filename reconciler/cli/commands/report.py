"""``reconciler report``: revenue, usage, customers and tools of some months, from figures beside the ledger."""

import json

import click

from reconciler.cli.account import find_key
from reconciler.cli.books import BookOptions, book_options
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.options import AccountOptions, account_options, format_option
from reconciler.cli.reports import refreshed, report_csv, report_of, report_text, span_of
from reconciler.service.figures.reports import REPORTS


@click.command("report")
@click.argument("name", type=click.Choice(list(REPORTS)), metavar="|".join(REPORTS))
@click.option(
    "--period", metavar="MONTH|YEAR|FROM..TO", help="2027-01, 2027, or 2026-11..2027-01; default the running month."
)
@click.option("--refresh", is_flag=True, help="Add up what is new first, and read the account where there is a key.")
@book_options
@account_options
@format_option("text", "json", "csv")
@common_options
@pass_app
def command(
    app: App, name: str, *, period: str | None, refresh: bool, books: BookOptions, account: AccountOptions, form: str
) -> None:
    """Tell what some months brought: figures that were added up beside the ledger, months and days by UTC.

    A service adds them up by itself; --refresh does so now. What could not be computed is said to be unknown.
    """
    if refresh:
        refreshed(app, books, account, reads=account.sandbox is not None or find_key() is not None)
    report = report_of(app, books, name, lambda now: span_of(period, now))
    if form == "json":
        app.out.data(json.dumps(report.as_json(), indent=2) + "\n")
    else:
        app.out.data(report_csv(report) if form == "csv" else report_text(report))
        for words in (*report.unknown, *(report.notes if form == "text" else ())):
            app.out.note(words)
