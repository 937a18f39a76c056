"""The account's subscriptions beside the books: what comes in every month, who began and who left.

Monthly recurring revenue is what subscriptions that are paid for (``active`` or ``past_due``, behind their trial) come
to in a year, divided by twelve: prices paid ahead, before discounts, without taxes and without what was used. It is
kept exactly, as a fraction, by currency. A customer has left in a month if it was paying when the month began and no
more when it ended.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from reconciler.entitlements.periods import LENGTH, SECOND
from reconciler.ledger.annex import AnnexStore, Statement
from reconciler.provider.earned import Earnings, Subscribed
from reconciler.service.figures.notes import note
from reconciler.service.figures.tables import first_day, month_of_day

NAME = "subscriptions"
_PAYING = frozenset({"active", "past_due"})
_COLUMNS = "id, tenant, customer, plan, status, currency, yearly, begun, ended"
_SELECT = f"SELECT {_COLUMNS} FROM figure_subscription"  # noqa: S608  names of columns
_PUT = (
    f"INSERT INTO figure_subscription ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "  # noqa: S608  names of columns
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", ")[1:])
)
_TOGETHER = 500


class Recurring(NamedTuple):
    """What comes in every month from a plan, in exact minor units of a currency, and from how many subscriptions.

    ``untold`` are those whose price is in brackets, which are not in the sum.
    """

    plan: str
    currency: str
    month: Fraction
    subscriptions: int
    untold: int


class Churn(NamedTuple):
    """Customers that were paying when a month began, those who began to in it, and those who left in it."""

    month: int
    before: int
    began: int
    left: int


def read_subscriptions(store: AnnexStore, earnings: Earnings) -> int:
    """Read all subscriptions and keep those that changed; return how many did. ProviderError where that cannot be."""
    known = {row[0]: row for row in store.ask(_SELECT)}
    found = list(earnings.subscriptions())
    rows = [_row(each) for each in found]
    changed = [row for row in rows if known.get(row[0]) != row]
    for first in range(0, len(changed), _TOGETHER):
        store.alongside([Statement(_PUT, row) for row in changed[first : first + _TOGETHER]])
    now = store.now()
    said = {"mrr": [_told(each) for each in recurring(found, now // SECOND)]}
    month = month_of_day(now // LENGTH["day"])
    store.alongside([note(NAME, now, said), note(f"mrr:{month}", now, said)])
    return len(changed)


def kept(store: AnnexStore) -> list[Subscribed]:
    """Return the subscriptions as they were read last."""
    return [
        Subscribed(id_, customer, tenant, plan, status, currency, _fraction(yearly), begun, ended)
        for id_, tenant, customer, plan, status, currency, yearly, begun, ended in store.ask(_SELECT)
    ]


def recurring(subscriptions: Iterable[Subscribed], now: int) -> list[Recurring]:
    """Return what comes in every month at an instant in seconds, by plan and currency."""
    found: dict[tuple[str, str], Recurring] = {}
    for each in subscriptions:
        if each.status not in _PAYING or each.begun > now:
            continue
        key = (each.plan, each.currency)
        before = found.get(key, Recurring(*key, Fraction(0), 0, 0))
        found[key] = before._replace(
            month=before.month + (each.yearly or Fraction(0)) / 12,
            subscriptions=before.subscriptions + 1,
            untold=before.untold + (each.yearly is None),
        )
    return [found[key] for key in sorted(found)]


def churn(subscriptions: Iterable[Subscribed], month: int) -> Churn:
    """Return who began and who left in a month since 1970."""
    start, end = (first_day(each) * LENGTH["day"] // SECOND for each in (month, month + 1))
    before, after = set[str](), set[str]()
    for each in subscriptions:
        whose = each.tenant or f"customer {each.customer}"
        for at, paying in ((start, before), (end, after)):
            if each.begun < at and (each.ended is None or each.ended >= at):
                paying.add(whose)
    return Churn(month, len(before), len(after - before), len(before - after))


def recurring_of(said: Mapping[str, Any]) -> list[Recurring]:
    """Return what a note says comes in every month."""
    return [
        Recurring(plan, currency, Fraction(month), subscriptions, untold)
        for plan, currency, month, subscriptions, untold in said["mrr"]
    ]


def _told(each: Recurring) -> list[Any]:
    return [each.plan, each.currency, str(each.month), each.subscriptions, each.untold]


def _row(each: Subscribed) -> tuple[Any, ...]:
    yearly = "" if each.yearly is None else str(each.yearly)
    return each.id, each.tenant, each.customer, each.plan, each.status, each.currency, yearly, each.begun, each.ended


def _fraction(text: str) -> Fraction | None:
    return Fraction(text) if text else None
