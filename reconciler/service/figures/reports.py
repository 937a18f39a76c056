"""Reports of some months, as rows for people and programs: every figure is computed, or said to be unknown.

Money is decimal text in major units of one currency; currencies are never added to each other.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

from reconciler import money
from reconciler.entitlements.periods import LENGTH, instant
from reconciler.entitlements.policy import MICRO
from reconciler.ledger.annex import AnnexStore
from reconciler.service.figures import asked, invoices, subscriptions
from reconciler.service.figures.asked import Use
from reconciler.service.figures.notes import read_note
from reconciler.service.figures.tables import first_day

_UNREAD = "unknown: no invoices were read yet"
_UNSUBSCRIBED = "unknown: no subscriptions were read yet"
_REVENUE = (
    (
        "Invoices count in the month they were paid, without taxes, less credit notes; refunds without a credit note, "
        "and sales without an invoice, are not in them."
    ),
    "By tool is what was charged by the call, as the ledger has it; units of usage lines are on invoices, by plan.",
    "Monthly recurring revenue is that of now: prices paid ahead, a year's by its twelfth, before discounts.",
)
_CUSTOMERS = (
    (
        "Active is who made a call. Paying is who had a subscription behind its trial when the month began; left is "
        "who of them has none when it ends, or now."
    ),
)
_TOOLS = (
    (
        "Success is how many of the reservations that ended were committed; one that was committed after it had lapsed "
        "counts as both."
    ),
)
_USAGE = ("Units and credits of calls that were refunded are taken off on the day of the refund.",)
Row = dict[str, Any]


class Span(NamedTuple):
    """Months since 1970, from the first to the last, both included."""

    first: int
    last: int

    @property
    def days(self) -> tuple[int, int]:
        """The first day, and the day behind the last."""
        return first_day(self.first), first_day(self.last + 1)


class Report(NamedTuple):
    """A report: columns, rows in order, and what one has to know of them; ``unknown`` is what could not be computed."""

    name: str
    span: Span
    columns: tuple[str, ...]
    rows: list[Row]
    notes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "report": self.name,
            "first": month_text(self.span.first),
            "last": month_text(self.span.last),
            "rows": self.rows,
            "notes": list(self.notes),
            "unknown": list(self.unknown),
        }


def month_text(month: int) -> str:
    """Write a month since 1970 as 2027-01."""
    return instant(first_day(month) * LENGTH["day"]).strftime("%Y-%m")


def revenue(store: AnnexStore, span: Span) -> Report:
    """Return revenue by month, plan or pack, tenant and user, charges by tool, and what comes in every month."""
    columns = ("by", "name", "currency", "amount", "number")
    unknown = []
    rows: list[Row] = []
    if read_note(store, invoices.NAME) is None:
        unknown.append(f"revenue by invoices is {_UNREAD}")
    else:
        rows += _by_invoices(store, span)
    uses = asked.by_tool(store, *span.days)
    for tool, use in sorted(uses.items()):
        for currency, amount in sorted(use.money.items()):
            if amount:
                rows.append(_row("tool", tool or "(directly)", currency, _micro(amount), use.figures.calls))
    recurring = read_note(store, subscriptions.NAME)
    if recurring is None:
        unknown.append(f"monthly recurring revenue is {_UNSUBSCRIBED}")
    else:
        rows += _recurring(subscriptions.recurring_of(recurring.said))
    return Report("revenue", span, columns, rows, _REVENUE, tuple(unknown))


def _by_invoices(store: AnnexStore, span: Span) -> Iterator[Row]:
    found = asked.revenue(store, *span)
    sums: dict[tuple[str, str, str], int] = {}
    for each in found:
        for by, name in (("total", "all"), ("month", month_text(each.month)), ("plan", each.part)):
            key = (by, name, each.currency)
            sums[key] = sums.get(key, 0) + each.amount
    order = {"total": 0, "month": 1, "plan": 2}
    for (by, name, currency), amount in sorted(sums.items(), key=lambda each: (order[each[0][0]], each[0])):
        yield _row(by, name, currency, _minor(amount, currency))
    for tenant, currency, amount in asked.income(store, *span):
        yield _row("tenant", tenant or "(no tenant)", currency, _minor(amount, currency))
    users = asked.active_in(store, *span)
    for (by, name, currency), amount in sorted(sums.items()):
        if by == "total" and users:
            share = _rounded(Fraction(amount, users))
            yield _row("user", name, currency, _minor(share, currency), users)


def _recurring(found: list[subscriptions.Recurring]) -> Iterator[Row]:
    sums: dict[str, subscriptions.Recurring] = {}
    for each in found:
        yield _row(
            "mrr", each.plan or "(no plan)", each.currency, _exact(each.month, each.currency), each.subscriptions
        )
        before = sums.get(each.currency, each._replace(month=Fraction(0), subscriptions=0))
        month, number = before.month + each.month, before.subscriptions + each.subscriptions
        sums[each.currency] = before._replace(month=month, subscriptions=number)
    for currency, each in sorted(sums.items()):
        yield _row("mrr", "all", currency, _exact(each.month, currency), each.subscriptions)


def _row(by: str, name: str, currency: str, amount: str, number: int | None = None) -> Row:
    return {"by": by, "name": name, "currency": currency, "amount": amount, "number": number}


def usage(store: AnnexStore, span: Span) -> Report:
    """Return what was used by tenant, tool and meter."""
    columns = ("tenant", "tool", "meter", "calls", "units", "credits", "currency", "charged")
    rows: list[Row] = []
    for (tenant, tool), use in sorted(asked.by_tenant(store, *span.days).items()):
        base = {"tenant": tenant, "tool": tool}
        figures = use.figures
        if figures.calls or figures.credits or use.money:
            money_ = {currency: amount for currency, amount in sorted(use.money.items()) if amount} or {"": 0}
            for place, (currency, amount) in enumerate(money_.items()):
                calls, spent = (figures.calls, _credits(figures.credits)) if not place else (0, "0")
                charged = _micro(amount) if currency else ""
                rows.append(
                    {**base, "meter": "", "calls": calls, "units": None, "credits": spent}
                    | {"currency": currency, "charged": charged}
                )
        for meter, units in sorted(use.units.items()):
            rows.append(
                {**base, "meter": meter, "calls": None, "units": units, "credits": ""} | {"currency": "", "charged": ""}
            )
    return Report("usage", span, columns, rows, _USAGE)


def customers(store: AnnexStore, span: Span) -> Report:
    """Return by month how many tenants made a call, who was paying, who began to, and who left."""
    columns = ("month", "active", "paying", "began", "left", "churn_percent")
    known = read_note(store, subscriptions.NAME)
    kept = subscriptions.kept(store) if known is not None else []
    rows: list[Row] = []
    for month in range(span.first, span.last + 1):
        row: Row = {"month": month_text(month), "active": asked.active(store, month)}
        if known is None:
            row |= dict.fromkeys(columns[2:])
        else:
            found = subscriptions.churn(kept, month)
            rate = _percent(found.left, found.before)
            row |= {"paying": found.before, "began": found.began, "left": found.left, "churn_percent": rate}
        rows.append(row)
    unknown = (f"who pays and who left is {_UNSUBSCRIBED}",) if known is None else ()
    return Report("customers", span, columns, rows, _CUSTOMERS, unknown)


def tools(store: AnnexStore, span: Span) -> Report:
    """Return calls by tool, most first, what they brought, and how many reservations were committed."""
    columns = (
        *("tool", "calls", "share_percent", "refunds", "credits", "charged"),
        *("reserved", "committed", "released", "lapsed", "success_percent"),
    )
    uses = {tool: use for tool, use in asked.by_tool(store, *span.days).items() if tool}
    whole = sum(use.figures.calls for use in uses.values())
    rows = [
        _tool(tool, use, whole)
        for tool, use in sorted(uses.items(), key=lambda each: (-each[1].figures.calls, each[0]))
    ]
    return Report("tools", span, columns, rows, _TOOLS)


def _tool(tool: str, use: Use, whole: int) -> Row:
    figures = use.figures
    ended = figures.committed + figures.released + figures.lapsed
    charged = " ".join(f"{_micro(amount)} {currency}" for currency, amount in sorted(use.money.items()) if amount)
    return {
        "tool": tool,
        "calls": figures.calls,
        "share_percent": _percent(figures.calls, whole),
        "refunds": figures.refunds,
        "credits": _credits(figures.credits),
        "charged": charged,
        "reserved": figures.reserved,
        "committed": figures.committed,
        "released": figures.released,
        "lapsed": figures.lapsed,
        "success_percent": _percent(figures.committed, ended),
    }


#: Every report by its name.
REPORTS: Mapping[str, Callable[[AnnexStore, Span], Report]] = MappingProxyType(
    {"revenue": revenue, "usage": usage, "customers": customers, "tools": tools}
)


def _minor(amount: int, currency: str) -> str:
    return f"{money.to_major(Decimal(amount), currency):.{money.exponent(currency)}f}"


def _micro(amount: int) -> str:
    return money.plain(money.EXACT.divide(Decimal(amount), Decimal(MICRO)))


def _credits(amount: int) -> str:
    return money.plain(money.EXACT.divide(Decimal(amount), Decimal(MICRO)))


def _exact(amount: Fraction, currency: str) -> str:
    """Write minor units that may be a fraction: rounded to the nearest one, halves up."""
    return _minor(_rounded(amount), currency)


def _rounded(amount: Fraction) -> int:
    return (2 * amount.numerator + amount.denominator) // (2 * amount.denominator)


def _percent(part: int, of: int) -> str | None:
    """Write a share in percent with two decimals, rounded down; ``None`` of nothing."""
    if not of:
        return None
    hundredths = part * 10_000 // of
    return f"{hundredths // 100}.{hundredths % 100:02}"
