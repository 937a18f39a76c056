"""``usage verify``: what the ledger counted beside what Stripe's meters show and its invoices bill."""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import click

from reconciler.cli.account import connect
from reconciler.cli.books import BookOptions, book_options, month_of, names_of, open_reading, policy_of
from reconciler.cli.context import App, common_options, pass_app
from reconciler.cli.customers import customers_of, customers_option
from reconciler.cli.exits import Exit
from reconciler.cli.options import AccountOptions, account_options, format_option
from reconciler.config.words import count
from reconciler.diagnostics.table import table
from reconciler.diagnostics.visible import visible
from reconciler.entitlements.explain import moment
from reconciler.entitlements.periods import SECOND
from reconciler.provider.binding import check_mode
from reconciler.provider.gateway import Gateway
from reconciler.provider.usage_verify import Row, UsageVerifier, Verdict, When, during, previous

_HEAD = ("tenant", "meter", "from", "to", "ledger", "Stripe", "invoiced", "")


@click.command("verify", short_help="Compare ledger, Stripe's meters and invoices; 1 where they differ.")
@click.option("--tenant", "tenants", multiple=True, metavar="TENANT", help="Only this tenant; repeatable.")
@click.option(
    "--period",
    default="previous",
    show_default=True,
    metavar="previous|current|YYYY-MM",
    help="Each tenant's last billing period that is over, the running one, or the one that runs at a month's end.",
)
@click.option("--all", "whole", is_flag=True, help="Show what is equal too; JSON always has it.")
@customers_option
@book_options
@account_options
@format_option("text", "json")
@common_options
@pass_app
def verify(
    app: App,
    *,
    tenants: tuple[str, ...],
    period: str,
    whole: bool,
    customers: Path | None,
    books: BookOptions,
    account: AccountOptions,
    form: str,
) -> int:
    """Compare what the ledger counted, Stripe's meters show and its invoices bill, tenant by tenant. Writes nothing.

    Exits with 1 unless everything is equal: what may still come is not yet, what could not be read is unknown, and
    neither is equal. Units are compared from the outbox on; ledger verify proves those by the entries.
    """
    policy, environment = policy_of(app, books)
    connection = connect(account)
    check_mode(connection.mode, environment)
    marked = customers_of(app, policy, customers, connection, environment)
    with open_reading(app, books) as ledger:
        store = ledger.store
        verifier = UsageVerifier(Gateway(connection, read_only=True), store, policy, marked)
        when = _when(period, store.now() // SECOND, policy.zone)
        found = list(verifier.rows(tenants or tuple(names_of(store)), when))
    if form == "json":
        app.out.data(json.dumps([row.as_json() for row in found], indent=2) + "\n")
    else:
        app.out.data(_text(found, whole=whole))
    return Exit.OK if all(row.verdict is Verdict.EQUAL for row in found) else Exit.ERROR


def _when(period: str, now: int, zone: str) -> When:
    if period == "previous":
        return previous(now)
    return during(now if period == "current" else month_of(period, zone)[1] // SECOND - 1)


def _text(rows: Sequence[Row], *, whole: bool) -> str:
    """Return a table of what is not equal, the reasons below it, and how many are equal."""
    shown = [row for row in rows if whole or row.verdict is not Verdict.EQUAL]
    lines = [table([_HEAD, *map(_cells, shown)], (4, 5, 6))] if shown else []
    for row in shown:
        for reason in row.reasons:
            units = f" ({reason.units:+,})" if reason.units else ""
            lines.append(f"\n{visible(f'{row.tenant} {row.meter}: {reason.why}{units}: {reason.told}')}\n")
            lines.append(f"  = help: {visible(reason.remedy)}\n")
    return "".join([*lines, "\n" if shown else "", _sums(rows)])


def _cells(row: Row) -> tuple[str, ...]:
    instant, number = partial(_instant), "{:,}".format
    return (
        row.tenant,
        row.meter,
        instant(row.start),
        instant(row.end),
        number(row.ledger),
        "?" if row.stripe is None else number(row.stripe),
        "-" if row.invoiced is None else number(row.invoiced),
        row.verdict,
    )


def _instant(seconds: int) -> str:
    return moment(seconds * SECOND)


def _sums(rows: Iterable[Row]) -> str:
    numbers = dict.fromkeys(Verdict, 0)
    for row in rows:
        numbers[row.verdict] += 1
    parts = [f"{number} {verdict}" for verdict, number in numbers.items() if number]
    return f"{count(sum(numbers.values()), 'meter')} of tenants compared: {', '.join(parts) or 'nothing was used'}.\n"
