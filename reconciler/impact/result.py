"""What an impact is: rows of tenants, calls decided otherwise, totals by currency, and what is not known."""

from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from reconciler import money
from reconciler.impact.charges import Cost


class Note(NamedTuple):
    """Something that is not known or not so: a sentence without its full stop, and the names it is about."""

    text: str
    names: tuple[str, ...] = ()

    def shown(self, most: int = 5) -> tuple[str, ...]:
        """Return the first names, and how many more there are."""
        more = len(self.names) - most
        return (*self.names[:most], *([f"and {more:,} more"] if more > 0 else []))

    def __str__(self) -> str:
        return f"{self.text}: {', '.join(self.shown())}." if self.names else f"{self.text}."


class TenantRow(NamedTuple):
    """One tenant under both catalogues; ``None`` where it has no invoice there, and ``why`` says so.

    ``calls`` were recorded; ``refused`` are those of them that each catalogue refuses. ``trial_days`` are those of a
    new subscription. ``on_change`` says whom the change of its flat price reaches, where that differs, and
    ``usage_on_change`` the same of all that is charged for usage.
    """

    tenant: str
    name: str
    plans: tuple[str | None, str | None]
    before: Cost | None
    after: Cost | None
    why: str = ""
    used: bool = False
    calls: int = 0
    refused: tuple[int, int] = (0, 0)
    newly_refused: int = 0
    newly_allowed: int = 0
    trial_days: tuple[int, int] = (0, 0)
    on_change: str = ""
    usage_on_change: tuple[str, ...] = ()

    @property
    def currency(self) -> str | None:
        """The currency of both invoices; ``None`` where there is not one of both."""
        both = {cost.currency for cost in (self.before, self.after) if cost is not None}
        return both.pop() if len(both) == 1 else None

    @property
    def month(self) -> int | None:
        """What is paid more in a month, in minor units, less below zero; ``None`` where two invoices do not compare."""
        if self.before is None or self.after is None or self.before.currency != self.after.currency:
            return None
        return self.after.month - self.before.month

    @property
    def year(self) -> int | None:
        """What is paid more in a year, likewise."""
        if self.before is None or self.after is None or self.before.currency != self.after.currency:
            return None
        return self.after.year - self.before.year

    @property
    def changed(self) -> bool:
        """Whether anything at all is different for the tenant."""
        decided = self.newly_refused or self.newly_allowed or self.trial_days[0] != self.trial_days[1]
        return bool(decided) or self.before != self.after or self.plans[0] != self.plans[1]


class CallRow(NamedTuple):
    """Calls of a tool, or units of a meter where ``meter`` says so, of one tenant that are decided otherwise.

    ``effect`` is ``refused`` or ``allowed``; ``reason`` why they are refused now, or were before.
    """

    tenant: str
    tool: str
    meter: bool
    effect: str
    reason: str
    number: int


class Total(NamedTuple):
    """All invoices in one currency that compare, in minor units; ``more`` pay more than before, ``less`` pay less."""

    currency: str
    month: tuple[int, int]
    year: tuple[int, int]
    tenants: int
    more: tuple[int, int]
    less: tuple[int, int]

    @property
    def same(self) -> int:
        """Tenants that pay what they paid."""
        return self.tenants - self.more[0] - self.less[0]


class Impact(NamedTuple):
    """The whole of it. ``base`` and ``head`` are what the catalogues are called, ``source`` where usage comes from.

    ``rows`` are all tenants, those who pay most more in a year first; ``notes`` say what is not known or not so.
    """

    base: str
    head: str
    month: str
    source: str
    rows: tuple[TenantRow, ...]
    calls: tuple[CallRow, ...]
    notes: tuple[Note, ...]

    @property
    def differs(self) -> bool:
        """Whether anything is different for anybody."""
        return any(row.changed for row in self.rows)

    @property
    def totals(self) -> tuple[Total, ...]:
        """The sums by currency, which are never added to each other."""
        found: dict[str, list[TenantRow]] = {}
        for row in self.rows:
            if row.month is not None:
                found.setdefault(str(row.currency), []).append(row)
        return tuple(_total(currency, found[currency]) for currency in sorted(found))

    @property
    def unpriced(self) -> tuple[TenantRow, ...]:
        """Tenants whose invoices do not compare: with one in one catalogue only, in none, or in another currency."""
        return tuple(row for row in self.rows if row.month is None)

    @property
    def newly_refused(self) -> int:
        """Calls, and units of meters, that only the new catalogue refuses."""
        return sum(row.newly_refused for row in self.rows)

    @property
    def newly_allowed(self) -> int:
        """Calls, and units of meters, that only the new catalogue allows."""
        return sum(row.newly_allowed for row in self.rows)

    def top(self, most: int = 5) -> tuple[TenantRow, ...]:
        """Return those who pay most more, in each currency."""
        found = []
        for total in self.totals:
            rows = (row for row in self.rows if row.currency == total.currency and (row.month or 0) > 0)
            found += list(islice(rows, most))
        return tuple(found)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON values, amounts as decimal text in major units."""
        return {
            **self._head(),
            "tenants": [row_json(row) for row in self.rows],
            "calls": [row._asdict() for row in self.calls],
            "notes": self._told(),
        }

    def brief(self) -> dict[str, Any]:
        """Return as JSON values what a plan has of it: totals, counts, and those who pay most more."""
        return {**self._head(), "top": [row_json(row) for row in self.top()], "notes": self._told()}

    def _head(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "head": self.head,
            "month": self.month,
            "usage": self.source,
            "differs": self.differs,
            "totals": [total_json(total) for total in self.totals],
            "newly_refused": self.newly_refused,
            "newly_allowed": self.newly_allowed,
        }

    def _told(self) -> list[dict[str, Any]]:
        return [{"text": note.text, "about": list(note.names)} for note in self.notes]


def _total(currency: str, rows: Iterable[TenantRow]) -> Total:
    before = after = year_before = year_after = tenants = 0
    more, less = [0, 0], [0, 0]
    for row in rows:
        assert row.before is not None and row.after is not None  # noqa: S101, PT018  only what compares is added up
        tenants += 1
        before, after = before + row.before.month, after + row.after.month
        year_before, year_after = year_before + row.before.year, year_after + row.after.year
        change = row.after.year - row.before.year
        group = more if change > 0 else less
        if change:
            group[0] += 1
            group[1] += row.after.month - row.before.month
    return Total(currency, (before, after), (year_before, year_after), tenants, (more[0], more[1]), (less[0], less[1]))


def major(minor: int, currency: str) -> str:
    """Write whole minor units as a decimal in major units: ``1999`` usd is ``19.99``."""
    return f"{money.to_major(Decimal(minor), currency):.{money.exponent(currency)}f}"


def total_json(total: Total) -> dict[str, Any]:
    """Return a total as JSON values."""
    code = total.currency

    def both(values: tuple[int, int]) -> dict[str, str]:
        before, after = values
        return {
            "before": major(before, code),
            "after": major(after, code),
            "difference": major(after - before, code),
        }

    return {
        "currency": code,
        "tenants": total.tenants,
        "month": both(total.month),
        "year": both(total.year),
        "pay_more": {"tenants": total.more[0], "month": major(total.more[1], code)},
        "pay_less": {"tenants": total.less[0], "month": major(total.less[1], code)},
        "pay_the_same": total.same,
    }


def row_json(row: TenantRow) -> dict[str, Any]:
    """Return a tenant's row as JSON values."""
    return {
        "tenant": row.tenant,
        "name": row.name,
        "plan": dict(zip(("before", "after"), row.plans, strict=True)),
        "before": _cost(row.before),
        "after": _cost(row.after),
        "difference": None
        if row.month is None or row.year is None
        else {"month": major(row.month, str(row.currency)), "year": major(row.year, str(row.currency))},
        "why": row.why,
        "used": row.used,
        "calls": row.calls,
        "refused": dict(zip(("before", "after"), row.refused, strict=True)),
        "newly_refused": row.newly_refused,
        "newly_allowed": row.newly_allowed,
        "trial_days": dict(zip(("before", "after"), row.trial_days, strict=True)),
        "on_change": row.on_change,
        "usage_on_change": list(row.usage_on_change),
    }


def _cost(cost: Cost | None) -> dict[str, str] | None:
    if cost is None:
        return None
    return {
        "currency": cost.currency,
        "month": major(cost.month, cost.currency),
        "year": major(cost.year, cost.currency),
    }
