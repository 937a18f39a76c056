"""``reconciler balance``: what a tenant has; nothing is written."""

import json

import click

from reconciler.cli.books import BookOptions, book_options, reading, understood
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.options import format_option
from reconciler.diagnostics.table import table
from reconciler.diagnostics.visible import visible
from reconciler.entitlements import Balance
from reconciler.entitlements.explain import amount, moment


@click.command("balance")
@click.argument("tenant")
@book_options
@format_option("text", "json")
@common_options
@pass_app
def command(app: App, tenant: str, *, books: BookOptions, form: str) -> None:
    """Show TENANT's plan, credits by lot, included units and limits. Writes nothing."""
    with reading(app, books) as runtime, understood():
        balance = runtime.balance(tenant)
    app.out.data(json.dumps(balance.as_json(), indent=2) + "\n" if form == "json" else _text(balance))


def _text(balance: Balance) -> str:
    plan = f"plan {balance.plan}" if balance.plan else "no plan"
    status = f", subscription {balance.subscription.status}" if balance.subscription else ""
    refused = f", may call nothing: {balance.refused}" if balance.refused else ""
    held = f", {amount(balance.held, 'credit')} held" if balance.held else ""
    head = f"{balance.tenant}: {plan}{status}{refused}, {amount(balance.credits, 'credit')}{held}"
    lots = [
        (
            lot.id,
            amount(lot.remaining, "credit"),
            f"of {amount(lot.granted, 'credit')}",
            f"until {moment(lot.expires)}" if lot.expires is not None else "for ever",
            lot.reason,
        )
        for lot in balance.lots
    ]
    rooms = [
        (
            each.of,
            each.kind,
            f"{each.used:,}",
            f"of {each.limit:,} used",
            f"until {moment(each.resets_at)}" if each.resets_at is not None else "",
            each.source,
        )
        for each in balance.allowances
    ]
    return f"{visible(head)}\n{table(lots, (1, 2), '  ')}{table(rooms, (2,), '  ')}"
