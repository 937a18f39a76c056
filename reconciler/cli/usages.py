"""What was used, as text, CSV and JSON, and what a flush did."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from reconciler import money
from reconciler.config.words import count
from reconciler.diagnostics.table import table
from reconciler.diagnostics.visible import visible
from reconciler.entitlements.explain import amount, moment
from reconciler.entitlements.periods import SECOND
from reconciler.entitlements.usage_export import FIELDS
from reconciler.entitlements.usage_report import OwedBack, Row, TenantUsage
from reconciler.ledger.base import Export, Store
from reconciler.provider.usage import Report

#: What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_HEAD = ("tool", "meter", "calls", "units", "included", "beyond", "credits", "money")
_NUMBERS = range(2, 8)


def usage_text(usage: TenantUsage) -> str:
    """Return a tenant's use as a table: a line for each tool and meter, then the sums."""
    plan = f"plan {usage.plan}" if usage.plan else "no plan"
    head = f"{usage.tenant}: {plan}, {moment(usage.start)} to {moment(usage.end)}\n"
    owed = _owed_text(usage.owed)
    if not usage.rows:
        return f"{visible(head.rstrip())}\n  nothing used\n{owed}"
    sums = [_cells(row, "all tools") for row in usage.by_meter()]
    rows = table([_HEAD, *(_cells(row) for row in usage.rows), *sums], _NUMBERS, "  ")
    return f"{visible(head.rstrip())}\n{rows}{owed}"


def _owed_text(owed: Sequence[OwedBack]) -> str:
    """Return what is owed back for refunds, or nothing."""
    if not owed:
        return ""
    rows = [
        (
            moment(each.at),
            each.tool or "(directly)",
            f"{each.units:,} {each.meter}" if each.meter else "(calls)",
            f"{moment(each.start)} to {moment(each.end)}",
            _money(each.money, each.currency) if each.currency else "",
        )
        for each in owed
    ]
    head = ("refunded", "tool", "of", "billed in", "owed back")
    why = "Refunded when it was billed already: give it back with a credit note or a credit grant.\n"
    return table([head, *rows], (4,), "  ") + "  " + why


def _cells(row: Row, tool: str | None = None) -> tuple[str, ...]:
    number = "{:,}".format
    return (
        tool or row.tool or "(directly)",
        row.meter or "(calls)",
        number(row.calls) if not row.meter else "",
        number(row.units) if row.meter else "",
        "" if row.within is None else number(row.within),
        "" if row.beyond is None else number(row.beyond),
        money.plain(Decimal(row.credits).scaleb(-6)) if row.credits else "",
        _money(row.money, row.currency) if row.money else "",
    )


def _money(major: Decimal, currency: str) -> str:
    return money.display(money.to_minor(major, currency), currency)


def csv_text(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield CSV, header first. Text a spreadsheet would take for a formula begins with an apostrophe."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, FIELDS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: harmless(value) for name, value in row.items()})
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def harmless(value: Any) -> Any:
    """Return a cell of CSV as it is, unless it is text that acts; a negative amount is a number."""
    if not isinstance(value, str) or not value.startswith(_FORMULA) or _is_number(value):
        return value
    return f"'{value}"


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdigit() and text.isascii()


def json_text(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield one JSON list, row by row."""
    between = "[\n"
    for row in rows:
        yield between + json.dumps(row)
        between = ",\n"
    yield "[]\n" if between == "[\n" else "\n]\n"


def jsonl_text(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield one JSON object a line."""
    for row in rows:
        yield json.dumps(row) + "\n"


def report_text(report: Report, late: Sequence[Export] = ()) -> str:
    """Return what a flush did: what is sent, what of it too late, and every export that is not, with its reason."""
    events = count(report.taken, "event")
    known = f", and {report.known} that Stripe had already" if report.known else ""
    lines = [f"Sent {count(len(report.sent), 'export')} in {events}{known}.\n"]
    if report.streamed:
        lines.append(f"{count(len(report.streamed), 'export')} streamed; the summaries will tell whether they count.\n")
    if late:
        why = "sent after the invoice of their period was finalized; bill them by invoice items"
        lines += [f"{count(len(late), 'export')} {why}:\n", exports_text(late)]
    if report.waiting:
        lines += [f"{count(len(report.waiting), 'export')} waiting for another try:\n", exports_text(report.waiting)]
    if report.dead:
        lines += [f"{count(len(report.dead), 'dead letter')}, kept until --again:\n", exports_text(report.dead)]
    if report.unread:
        lines.append(f"What Stripe refused after it had taken it could not be read: {visible(report.unread)}\n")
    return "".join(lines)


def left_behind(report: Report, store: Store) -> str:
    """Return what the outbox has beside what a flush has told of; nothing where it has nothing."""
    told = {export[:4] for export in (*report.waiting, *report.dead)}
    told |= {export[:4] for export in report.streamed}
    waiting, dead, streamed = (
        sum(export[:4] not in told for export in store.exports(state=state))
        for state in ("pending", "dead", "streamed")
    )
    parts = [f"{count(waiting, 'export')} waiting for a later try"] if waiting else []
    parts += [f"{count(dead, 'dead letter')} from before, kept until --again"] if dead else []
    parts += [f"{count(streamed, 'export')} streamed and not confirmed yet"] if streamed else []
    return ", ".join(parts)


def exports_text(exports: Iterable[Export]) -> str:
    """Return exports as a table, with state and reason."""
    rows = [
        (each.tenant, each.meter, moment(each.window * SECOND), f"{each.units:,}", each.state, each.error or "")
        for each in exports
    ]
    return table(rows, (3,), "  ")


def report_json(report: Report, late: Sequence[Export] = ()) -> dict[str, Any]:
    """Return what a flush did as JSON values."""
    return {
        "sent": len(report.sent),
        "events": report.taken,
        "known": report.known,
        "streamed": len(report.streamed),
        "late": [export._asdict() for export in late],
        "waiting": [export._asdict() for export in report.waiting],
        "dead": [export._asdict() for export in report.dead],
        "unread": report.unread,
    }


def sums_text(usages: Iterable[TenantUsage]) -> str:
    """Return what all tenants come to, by currency, their credits, and what is owed back."""
    taken, sums, owed, number = 0, dict[str, Decimal](), dict[str, Decimal](), 0
    for usage in usages:
        number += 1
        taken += sum(row.credits for row in usage.rows)
        for each, found in ((usage.rows, sums), (usage.owed, owed)):
            for row in each:
                if row.money:
                    found[row.currency] = money.EXACT.add(found.get(row.currency, Decimal(0)), row.money)
    told = [_money(sums[name], name) for name in sorted(sums)] + ([amount(taken, "credit")] if taken else [])
    back = "".join(f"; owed back {_money(owed[name], name)}" for name in sorted(owed))
    return f"\n{count(number, 'tenant')}: {', '.join(told) or 'nothing to pay'}{back}.\n"
