"""Reports on the command line: which months, from which ledger, as text and CSV."""

import csv
import io
import re
from collections.abc import Callable

from reconciler.cli.account import connect
from reconciler.cli.books import BookOptions, ledger_of, open_reading, policy_of
from reconciler.cli.config import load
from reconciler.cli.context import App
from reconciler.cli.options import AccountOptions
from reconciler.cli.usages import harmless
from reconciler.diagnostics import UsageError
from reconciler.diagnostics.table import table
from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.periods import LENGTH
from reconciler.ledger.base import LedgerError
from reconciler.ledger.ledger import open_ledger
from reconciler.provider.binding import check_account, check_mode
from reconciler.provider.earned import Earnings
from reconciler.provider.gateway import Gateway
from reconciler.service.figures.invoices import read_invoices
from reconciler.service.figures.reports import REPORTS, Report, Span, month_text
from reconciler.service.figures.rounds import Figures
from reconciler.service.figures.subscriptions import read_subscriptions
from reconciler.service.figures.tables import month_of_day, there

_MONTH = re.compile(r"([1-9][0-9]{3})-(0[1-9]|1[0-2])")
_YEAR = re.compile(r"[1-9][0-9]{3}")
_FIRST, _MONTHS = 1970, 12
_TEXT = frozenset({"by", "name", "currency", "tenant", "tool", "meter", "month"})


def span_of(text: str | None, now: int) -> Span:
    """Return the months that were asked for, the running one where none were; UsageError for what are none."""
    if text is None:
        month = month_of_day(now // LENGTH["day"])
        return Span(month, month)
    first, two, last = text.partition("..")
    found = Span(_months(first, text).first, _months(last if two else first, text).last)
    if found.first > found.last:
        raise _wrong(text)
    return found


def _months(word: str, text: str) -> Span:
    if _YEAR.fullmatch(word) and int(word) >= _FIRST:
        first = (int(word) - _FIRST) * _MONTHS
        return Span(first, first + _MONTHS - 1)
    found = _MONTH.fullmatch(word)
    if found is None or int(found[1]) < _FIRST:
        raise _wrong(text)
    month = (int(found[1]) - _FIRST) * _MONTHS + int(found[2]) - 1
    return Span(month, month)


def _wrong(text: str) -> UsageError:
    return UsageError("E1034", f"{text!r} is no period such as 2027-01, 2027 or 2026-11..2027-01")


def refreshed(app: App, books: BookOptions, account: AccountOptions, *, reads: bool) -> None:
    """Add up what is new, and read what the account has earned; ProviderError where it cannot be read."""
    catalog = None if books.policy is not None else load(app, books.config)[0]
    policy = policy_of(app, books)[0] if catalog is None else compile_catalog(catalog)
    url, _ = ledger_of(books)
    with Entitlements(policy, open_ledger(url, "direct")) as runtime:
        figures = Figures(runtime, lambda: catalog)
        while figures.round():
            pass
        if reads and catalog is not None:
            connection = connect(account)
            check_mode(connection.mode, catalog.environment)
            gateway = Gateway(connection, read_only=True)
            check_account(gateway, catalog.environment)
            earnings = Earnings(gateway, catalog.namespace)
            read_invoices(figures.store, earnings)
            read_subscriptions(figures.store, earnings)


def report_of(app: App, books: BookOptions, name: str, span: Callable[[int], Span]) -> Report:
    """Return a report by the figures there are; LedgerError where none were ever added up."""
    with open_reading(app, books) as ledger:
        if not there(ledger.store):
            raise LedgerError(
                "E1134",
                "no figures were added up beside this ledger yet",
                remedy="Run the report with --refresh, or `reconciler serve`, which adds them up.",
            )
        return REPORTS[name](ledger.store, span(ledger.store.now()))


def report_csv(report: Report) -> str:
    """Return the rows as CSV; nothing in a cell is a formula to a spreadsheet."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, report.columns, lineterminator="\n")
    writer.writeheader()
    for row in report.rows:
        writer.writerow({name: "" if row[name] is None else harmless(row[name]) for name in report.columns})
    return buffer.getvalue()


def report_text(report: Report) -> str:
    """Return the rows as a table."""
    first, last = month_text(report.span.first), month_text(report.span.last)
    head = f"{report.name}, {first}" + (f" to {last}" if last != first else "") + "\n"
    if not report.rows:
        return f"{head}  nothing\n"
    right = [place for place, name in enumerate(report.columns) if name not in _TEXT]
    cells = [[_cell(row[name]) for name in report.columns] for row in report.rows]
    return head + table([[name.replace("_", " ") for name in report.columns], *cells], right, "  ")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)
