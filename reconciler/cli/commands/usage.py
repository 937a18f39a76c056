"""``reconciler usage``: what was used, for people, for machines, and for Stripe."""

import json
import shlex
from functools import partial
from pathlib import Path

import click

from reconciler.cli.account import connect
from reconciler.cli.books import (
    BookOptions,
    book_options,
    entries_of,
    instant_of,
    month_of,
    names_of,
    open_reading,
    policy_of,
    understood,
    writing,
)
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.customers import customers_of, customers_option
from reconciler.cli.exits import Exit
from reconciler.cli.options import AccountOptions, account_options, format_option
from reconciler.cli.stopping import stoppable
from reconciler.cli.usages import (
    csv_text,
    exports_text,
    json_text,
    jsonl_text,
    left_behind,
    report_json,
    report_text,
    sums_text,
    usage_text,
)
from reconciler.cli.verifying import verify
from reconciler.diagnostics import UsageError
from reconciler.entitlements import Entitlements, Policy
from reconciler.entitlements.periods import SECOND, micros
from reconciler.entitlements.standing import subscription_of
from reconciler.entitlements.usage_export import export_rows
from reconciler.entitlements.usage_report import TenantUsage, current_period, usage_of
from reconciler.ledger.annex import AnnexStore
from reconciler.provider.binding import check_mode
from reconciler.provider.delivery import HOUR
from reconciler.provider.gateway import Gateway
from reconciler.provider.retry import Backoff
from reconciler.provider.usage import UsageSender
from reconciler.provider.worker import INTERVAL, Round, UsageWorker, late

_STATES = ("pending", "dead", "streamed", "sent")


_stream_option = click.option(
    "--stream/--no-stream",
    "stream",
    default=None,
    help="Send by the hundred, and learn later what counts; default where more than a thousand exports are due.",
)


@click.group("usage", no_args_is_help=True)
@common_options
def command() -> None:
    """Report and export what was used, send it to Stripe, and compare both."""


@command.command("report", short_help="Show what tenants have used, in units and money.")
@click.argument("tenants", nargs=-1, metavar="[TENANT]…")
@click.option("--month", metavar="YYYY-MM", help="A month of the calendar; default each tenant's own running month.")
@click.option("--previous", is_flag=True, help="Each tenant's month before the running one.")
@click.option("--from", "since", metavar="INSTANT", help="From this date or instant on; needs --to.")
@click.option("--to", "until", metavar="INSTANT", help="Until before this one.")
@book_options
@format_option("text", "json")
@common_options
@pass_app
def _report(
    app: App,
    tenants: tuple[str, ...],
    *,
    month: str | None,
    previous: bool,
    since: str | None,
    until: str | None,
    books: BookOptions,
    form: str,
) -> None:
    """Show what tenants, all by default, have used: by tool and meter, within and beyond what is included, in money."""
    if sum((month is not None, previous, since is not None or until is not None)) > 1:
        raise UsageError("E1034", "choose one of --month, --previous, and --from with --to")
    policy, _ = policy_of(app, books)
    period = month_of(month, policy.zone) if month else _stretch(since, until, policy.zone)
    with open_reading(app, books) as ledger:
        names = tenants or tuple(names_of(ledger.store))
        found = [_usage(policy, ledger.store, name, period, previous=previous) for name in names]
    if form == "json":
        app.out.data(json.dumps([usage.as_json() for usage in found], indent=2) + "\n")
        return
    app.out.data("\n".join(usage_text(usage) for usage in found) + sums_text(found))


def _usage(
    policy: Policy, store: AnnexStore, tenant: str, period: tuple[int, int] | None, *, previous: bool
) -> TenantUsage:
    subscription = subscription_of(store.read(tenant).facts)
    chosen = period or current_period(policy, tenant, subscription, store.now())
    if previous:
        chosen = current_period(policy, tenant, subscription, chosen[0] - 1)
    return usage_of(policy, tenant, entries_of(store, tenant, chosen[0]), partial(store.entry, tenant), chosen)


@command.command("export", short_help="Write every call and refund, a row for each meter.")
@click.argument("tenants", nargs=-1, metavar="[TENANT]…")
@click.option("--from", "since", metavar="INSTANT", help="From this date or instant on; needs --to.")
@click.option("--to", "until", metavar="INSTANT", help="Until before this one.")
@book_options
@format_option("csv", "json", "jsonl")
@common_options
@pass_app
def _export(
    app: App, tenants: tuple[str, ...], *, since: str | None, until: str | None, books: BookOptions, form: str
) -> None:
    """Write every call and refund of tenants, all by default, a row for each meter, as it stands in the ledger."""
    policy, _ = policy_of(app, books)
    period = _stretch(since, until, policy.zone)
    with open_reading(app, books) as ledger:
        store, first = ledger.store, None if period is None else period[0]
        rows = (
            row
            for tenant in tenants or names_of(store)
            for row in export_rows(entries_of(store, tenant, first), partial(store.entry, tenant), period)
        )
        for text in {"csv": csv_text, "json": json_text, "jsonl": jsonl_text}[form](rows):
            app.out.data(text)


@command.command("outbox", short_help="Show what is on its way to Stripe; writes nothing.")
@click.argument("tenant", required=False)
@click.option("--state", type=click.Choice(_STATES), help="Those in this state; default all that are not sent.")
@book_options
@format_option("text", "json")
@common_options
@pass_app
def _outbox(app: App, tenant: str | None, *, state: str | None, books: BookOptions, form: str) -> None:
    """Show what is on its way to Stripe, and what has become of it. Writes nothing."""
    with open_reading(app, books) as ledger:
        states = (state,) if state else _STATES[:3]
        found = [export for each in states for export in ledger.store.exports(tenant, each)]
    if form == "json":
        app.out.data(json.dumps([export._asdict() for export in found], indent=2) + "\n")
    else:
        app.out.data(exports_text(found) or "Nothing there.\n")


@command.command("flush", short_help="Send what was used to Stripe, each unit once.")
@click.option("--before", metavar="INSTANT", help="Only what was used in hours begun before; default everything.")
@click.option("--again", is_flag=True, help="Try dead letters again, once their cause is gone.")
@customers_option
@_stream_option
@book_options
@account_options
@format_option("text", "json")
@common_options
@pass_app
def _flush(
    app: App,
    *,
    before: str | None,
    again: bool,
    customers: Path | None,
    stream: bool | None,
    books: BookOptions,
    account: AccountOptions,
    form: str,
) -> int:
    """Send what was used to Stripe as meter events, each unit once; may be broken off and run again at any time.

    Exits with 7 where something waits for another try, with 1 where there is a dead letter, old or new. What is sent
    after the invoice of its period was finalized is told; no invoice has it.
    """
    policy, environment = policy_of(app, books)
    connection = connect(account)
    check_mode(connection.mode, environment)
    words = "reconciler usage flush"
    with writing(app, policy, books) as runtime, stoppable(f"Run {shlex.quote(words)} again.") as stopper:
        gateway = Gateway(connection, backoff=Backoff(sleep=stopper.stop.wait))
        known = customers_of(app, policy, customers, connection, environment).customers
        if again:
            runtime.ledger.store.revive()
        _seal(runtime, before)
        store, stop = runtime.ledger.store, stopper.stop
        sender = UsageSender(gateway, store, policy, known.get, patient=False, stream=stream, stop=stop)
        report = sender.flush()
        missed, left = late(runtime, report.sent), left_behind(report, runtime.ledger.store)
        ending = _ending(runtime.ledger.store)
    told = json.dumps(report_json(report, missed), indent=2) + "\n" if form == "json" else report_text(report, missed)
    app.out.data(told)
    if left:
        app.out.note(f"{left}: see reconciler usage outbox.")
    return stopper.exit_code or ending


@command.command("worker", short_help="Send usage to Stripe for as long as it runs.")
@click.option(
    "--interval",
    type=click.FloatRange(1, 36 * 3600),
    default=INTERVAL,
    show_default=True,
    help="Seconds between two rounds; half of the time invoices stay drafts at most.",
)
@click.option(
    "--draft-hours",
    type=click.IntRange(1, 72),
    default=1,
    show_default=True,
    help="How long the account's invoices stay drafts before they are finalized.",
)
@_stream_option
@book_options
@account_options
@format_option("text", "jsonl")
@common_options
@pass_app
def _worker(
    app: App,
    *,
    interval: float,
    draft_hours: int,
    stream: bool | None,
    books: BookOptions,
    account: AccountOptions,
    form: str,
) -> int:
    """Send usage to Stripe in rounds until SIGTERM or SIGINT, each unit once; any number of workers share a ledger.

    An hour's units are sent when the hour is over, those of a billing period as soon as it is: well before its invoice
    is finalized. After a signal the requests under way are finished. Exits with 1 where the outbox has dead letters,
    with 7 where something that was tried waits, and with 0 where all is well.
    """
    policy, environment = policy_of(app, books)
    connection = connect(account)
    check_mode(connection.mode, environment)
    with writing(app, policy, books) as runtime, stoppable("What was claimed is taken up in 15 minutes.") as stopper:
        with understood():
            worker = UsageWorker(
                runtime,
                Gateway(connection, backoff=Backoff(sleep=stopper.stop.wait)),
                lambda: customers_of(app, policy, None, connection, environment).customers,
                interval=interval,
                draft=draft_hours * HOUR,
                stream=stream,
                stop=stopper.stop,
                tell=partial(_tell, app, form),
            )
        worker.run()
        return _ending(runtime.ledger.store)


command.add_command(verify)


def _tell(app: App, form: str, done: Round) -> None:
    """Write what a round did, where it did anything; a failure goes to stderr."""
    if done.failed is not None:
        app.out.error(done.failed)
    elif form == "jsonl" and done.report is not None:
        app.out.data(json.dumps(report_json(done.report, done.late)) + "\n")
    elif done.report is not None and (any(done.report) or done.late):
        app.out.data(report_text(done.report, done.late))


def _ending(store: AnnexStore) -> int:
    """Return the exit code that the state of an outbox asks for, whoever left it so."""
    if any(True for _ in store.exports(state="dead")):
        return Exit.ERROR
    tried = any(export.attempts for export in store.exports(state="pending"))
    return Exit.PARTLY if tried else Exit.OK


def _seal(runtime: Entitlements, before: str | None) -> None:
    """Hand over what was counted, everything by now unless an instant is given."""
    now = runtime.ledger.store.now() // SECOND + 1
    bound = now if before is None else -(-micros(instant_of(before, runtime.policy.zone)) // SECOND)
    while runtime.seal(min(bound, now)):
        continue


def _stretch(since: str | None, until: str | None, zone: str) -> tuple[int, int] | None:
    if since is None and until is None:
        return None
    if since is None or until is None:
        raise UsageError("E1034", "--from and --to go together")
    start, end = (micros(instant_of(text, zone)) for text in (since, until))
    if end <= start:
        raise UsageError("E1034", "--to is not after --from")
    return start, end
