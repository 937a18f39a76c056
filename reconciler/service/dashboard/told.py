"""The first page as data."""

from decimal import Decimal
from typing import Any

from reconciler import money
from reconciler.entitlements.policy import MICRO
from reconciler.service.dashboard import numbers, reading
from reconciler.service.dashboard.overview import DAYS, Overview, ended, recurring_sums, rounded
from reconciler.service.figures.tables import prepared
from reconciler.service.service import Service


def overview_json(service: Service) -> dict[str, Any]:
    """Return what the first page shows, as JSON values."""
    return overview_values(reading.overview(prepared(service.runtime.ledger.store), reading.more_states(service)))


def overview_values(data: Overview) -> dict[str, Any]:
    """Return the values of a first page."""
    now, before = data.use.figures, data.before.figures
    month = numbers.month_of(data.today)
    recurring = None if data.recurring is None else recurring_sums(data.recurring)
    return {
        "days": DAYS,
        "tenants": data.tenants,
        "active_this_month": data.active[0],
        "active_last_month": data.active[1],
        "calls": now.calls,
        "calls_before": before.calls,
        "credits_spent": _micro(now.credits),
        "credits_spent_before": _micro(before.credits),
        "charged": {currency: _micro(amount) for currency, amount in sorted(data.use.money.items())},
        "charged_before": {currency: _micro(amount) for currency, amount in sorted(data.before.money.items())},
        "reservations_ended": ended(data.use),
        "reservations_committed": now.committed,
        "revenue_this_month": _revenue(data, month),
        "revenue_last_month": _revenue(data, month - 1),
        "monthly_recurring_revenue": None
        if recurring is None
        else {currency: _minor(rounded(amount), currency) for currency, amount in recurring.items()},
        "tools": {tool: use.figures.calls for tool, use in sorted(data.tools.items()) if tool and use.figures.calls},
        "tightest": [
            {"tenant": row.tenant, "plan": row.plan, "of": row.bound, "used": row.used, "limit": row.most}
            for row in data.tight
        ],
        "states": [{"name": each.name, "words": each.words, "kind": each.kind} for each in data.states],
    }


def _revenue(data: Overview, month: int) -> dict[str, str] | None:
    if data.invoices_read is None:
        return None
    sums: dict[str, int] = {}
    for each in data.revenue:
        if each.month == month:
            sums[each.currency] = sums.get(each.currency, 0) + each.amount
    return {currency: _minor(amount, currency) for currency, amount in sorted(sums.items())}


def _minor(amount: int, currency: str) -> str:
    return f"{money.to_major(Decimal(amount), currency):.{money.exponent(currency)}f}"


def _micro(amount: int) -> str:
    return money.plain(money.EXACT.divide(Decimal(amount), Decimal(MICRO)))
