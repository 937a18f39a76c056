"""``reconciler webhooks``: what came from Stripe, what became of it, once more, and what never came."""

import json
from typing import Any

import click

from reconciler.cli.books import BookOptions, book_options, ledger_option, open_reading
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.exits import Exit
from reconciler.cli.inboxes import inbox_at_work
from reconciler.cli.options import AccountOptions, ConfigOptions, account_options, config_options, format_option
from reconciler.config.words import count
from reconciler.diagnostics.table import table
from reconciler.diagnostics.visible import visible
from reconciler.entitlements.explain import moment
from reconciler.entitlements.periods import SECOND
from reconciler.service.hooks.inbox import STATES, Hook, Inbox, no_such_event
from reconciler.service.hooks.tables import there

_CODES = {"pending": Exit.PARTLY, "dead": Exit.ERROR}


@click.group("webhooks", no_args_is_help=True)
@common_options
def command() -> None:
    """Show the inbox of Stripe's events, work one off again, and look for what never came."""


@command.command("list", short_help="Show events, the newest first; writes nothing.")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many.")
@config_options
@ledger_option
@format_option("text", "json")
@common_options
@pass_app
def _list(app: App, *, state: str | None, limit: int, config: ConfigOptions, ledger: str | None, form: str) -> None:
    """Show events, the newest first: what became of each, whom it was about, and what went wrong or is to be known."""
    with open_reading(app, BookOptions(config, None, ledger)) as books:
        known = there(books.store)
        inbox = Inbox(books.store) if known else None
        found = inbox.listed(state, limit=limit) if inbox else []
        depths = inbox.depths() if inbox else []
    if form == "json":
        sums = {each.state: each.events for each in depths}
        app.out.data(json.dumps({"depths": sums, "events": [_shown(hook) for hook in found]}, indent=2) + "\n")
        return
    app.out.data(table([_row(hook) for hook in found], ()) if found else "No events.\n")
    app.out.note(", ".join(f"{each.events} {each.state}" for each in depths) or "The inbox is empty.")


@command.command("show", short_help="Show one event; writes nothing.")
@click.argument("event")
@config_options
@ledger_option
@format_option("text", "json")
@common_options
@pass_app
def _show(app: App, *, event: str, config: ConfigOptions, ledger: str | None, form: str) -> None:
    """Show what is kept of EVENT: never its content, which is read anew from Stripe."""
    with open_reading(app, BookOptions(config, None, ledger)) as books:
        if not there(books.store):
            raise no_such_event(event)
        _tell(app, Inbox(books.store).show(event), form)


@command.command("replay", short_help="Work one event off again.")
@click.argument("event")
@click.option("--tenant", metavar="TENANT", help="Whose it is, where neither the purchase nor its customer says so.")
@book_options
@account_options
@format_option("text", "json")
@common_options
@pass_app
def _replay(
    app: App, *, event: str, tenant: str | None, books: BookOptions, account: AccountOptions, form: str
) -> Exit:
    """Work EVENT off once more, by what Stripe says of its object now: what was granted is not granted again.

    0: done. 1: dead. 7: still to be done, since Stripe or another worker keeps it waiting.
    """
    with inbox_at_work(app, books, account) as hooks:
        hooks.inbox.replay(event, tenant)
        hooks.processor.round()
        found = hooks.inbox.show(event)
    _tell(app, found, form)
    return _CODES.get(found.state, Exit.OK)


@command.command("sync", short_help="Look for everything that never came.")
@click.option("--full", is_flag=True, help="Look at all subscriptions, checkouts, refunds and disputes.")
@book_options
@account_options
@format_option("text", "json")
@common_options
@pass_app
def _sync(app: App, *, full: bool, books: BookOptions, account: AccountOptions, form: str) -> Exit:
    """Put what is missing into the inbox and work it off: events since the last look, or with --full everything.

    0: all of it is done. 1: some of it is dead. 7: some is still to be done.
    """
    with inbox_at_work(app, books, account) as hooks:
        caught = hooks.catching.catch_up(full=full)
        done = hooks.processor.round()
        depths = {each.state: each.events for each in hooks.inbox.depths()}
    if form == "json":
        found = {**caught._asdict(), **done._asdict(), "depths": depths}
        app.out.data(json.dumps(found, indent=2) + "\n")
    else:
        what = f"{count(caught.events, 'event')} and {count(caught.objects, 'object')} were missing"
        app.out.data(f"{what}; {done.done} done, {done.dead} dead, {done.later} to be tried again.\n")
    return Exit.PARTLY if depths.get("pending") else Exit.ERROR if done.dead else Exit.OK


def _tell(app: App, hook: Hook, form: str) -> None:
    if form == "json":
        app.out.data(json.dumps(_shown(hook), indent=2) + "\n")
        return
    facts = {name: value for name, value in _shown(hook).items() if value not in (None, "")}
    app.out.data("".join(visible(f"{name}: {value}") + "\n" for name, value in facts.items()))


def _shown(hook: Hook) -> dict[str, Any]:
    due = moment(hook.due) if hook.due and hook.state == "pending" else None
    return {
        "id": hook.id,
        "type": hook.type,
        "object": hook.object,
        "customer": hook.customer,
        "tenant": hook.tenant,
        "state": hook.state,
        "attempts": hook.attempts,
        "created": moment(hook.created * SECOND),
        "received": moment(hook.received),
        "due": due,
        "error": hook.error,
        "note": hook.note,
    }


def _row(hook: Hook) -> list[str]:
    said = hook.error or hook.note or ""
    cells = [hook.id, moment(hook.received), hook.type, hook.state, hook.tenant or "", said]
    return [visible(cell) for cell in cells]
