"""``reconciler notices``: what the service tells a callback URL, and what became of it."""

import json
from typing import Any

import click

from reconciler.cli.books import BookOptions, ledger_of, ledger_option, open_reading
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.options import ConfigOptions, config_options, format_option
from reconciler.config.words import count
from reconciler.diagnostics import UsageError
from reconciler.diagnostics.table import table
from reconciler.diagnostics.visible import visible
from reconciler.entitlements.explain import moment
from reconciler.ledger.ledger import open_ledger
from reconciler.service.work.outbox import Notice, Outbox
from reconciler.service.work.tables import there
from reconciler.service.work.words import stamp


@click.group("notices", no_args_is_help=True)
@common_options
def command() -> None:
    """Show the notices of a ledger, and send dead ones again."""


@command.command("list", short_help="Show notices, the oldest first; writes nothing.")
@click.option("--state", type=click.Choice(["pending", "sent", "dead"]), help="Only those in this state.")
@click.option("--tenant", metavar="TENANT", help="Only those about this tenant.")
@click.option("--after", default="", metavar="ID", help="Only those behind the notice with this id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many.")
@config_options
@ledger_option
@format_option("text", "json")
@common_options
@pass_app
def _list(
    app: App,
    *,
    state: str | None,
    tenant: str | None,
    after: str,
    limit: int,
    config: ConfigOptions,
    ledger: str | None,
    form: str,
) -> None:
    """Show notices, the oldest first: whether they were sent, how often that was tried, and what went wrong last."""
    with open_reading(app, BookOptions(config, None, ledger)) as books:
        found = Outbox(books.store).listed(state, tenant, after, limit) if there(books.store) else []
    if form == "json":
        app.out.data(json.dumps([_shown(notice) for notice in found], indent=2) + "\n")
    elif found:
        app.out.data(table([_row(notice) for notice in found], ()))
    else:
        app.out.data("No notices.\n")


@command.command("retry", short_help="Send dead notices again.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "every", is_flag=True, help="All that are dead.")
@config_options
@ledger_option
@common_options
@pass_app
def _retry(app: App, *, ids: tuple[str, ...], every: bool, config: ConfigOptions, ledger: str | None) -> None:
    """Let dead notices be tried for another three days, by the worker of the service."""
    if bool(ids) == every:
        raise UsageError("E1034", "name the notices to try again, or --all of them")
    books, number = BookOptions(config, None, ledger), 0
    with open_reading(app, books) as looked_at:
        found = there(looked_at.store)
    if found:
        with open_ledger(ledger_of(books)[0], "direct") as opened:
            number = Outbox(opened.store).retry(None if every else ids)
    app.out.data(f"{count(number, 'dead notice')} will be tried again.\n")


def _shown(notice: Notice) -> dict[str, Any]:
    return {
        "id": notice.id,
        "tenant": notice.tenant,
        "type": notice.type,
        "created": stamp(notice.created),
        "state": notice.state,
        "attempts": notice.attempts,
        "due": stamp(notice.due) if notice.state == "pending" else None,
        "ended": None if notice.ended is None else stamp(notice.ended),
        "error": notice.error,
        "data": json.loads(notice.body)["data"],
    }


def _row(notice: Notice) -> tuple[str, ...]:
    tries = count(notice.attempts, "attempt") if notice.state != "sent" else ""
    said = visible(notice.error or "") if notice.state != "sent" else ""
    return notice.id, moment(notice.created), visible(notice.tenant), notice.type, notice.state, tries, said
