"""The account's invoices beside the books, and what they add up to: revenue by month, by what was sold, by tenant.

Revenue is what paid invoices came to without taxes, in the month they were paid, less what their credit notes took
back, in that same month. A refund that was made without a credit note is on no invoice: revenue is gross of it. What
was bought without an invoice, as a pack may be, is not in it.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple

from reconciler.entitlements.periods import LENGTH, SECOND
from reconciler.ledger.annex import AnnexStore, LostClaimError, Statement
from reconciler.provider.earned import Earned, Earnings
from reconciler.service.figures.notes import note, read_note
from reconciler.service.figures.tables import month_of_day

#: Under this name the time up to which invoices and credit notes were read is noted.
NAME = "invoices"
#: What was made so many seconds before the last one that was read is read again: lists may lag.
_OVERLAP = 3_600
#: Invoices that may still change and are read again in a round, those first that were not for longest.
_AGAIN = 200
_UNDECIDED = ("draft", "open", "uncollectible")
_COLUMNS = "id, tenant, customer, status, currency, total, net, credited, created, month, parts, version"
_ROW = f"SELECT {_COLUMNS} FROM figure_invoice WHERE id = ?"  # noqa: S608  names of columns
_ADD_REVENUE = (
    "INSERT INTO figure_revenue (month, currency, part, amount) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (month, currency, part) DO UPDATE SET amount = figure_revenue.amount + excluded.amount"
)
_ADD_INCOME = (
    "INSERT INTO figure_income (month, currency, tenant, amount) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (month, currency, tenant) DO UPDATE SET amount = figure_income.amount + excluded.amount"
)
#: The month of what is not paid.
_NOT_PAID = -1
_GONE = "gone"


class InvoiceRow(NamedTuple):
    """An invoice as it was read last, at ``version`` in microseconds; ``parts`` are JSON, ``month`` -1 for not paid."""

    id: str
    tenant: str
    customer: str
    status: str
    currency: str
    total: int
    net: int
    credited: int
    created: int
    month: int
    parts: str
    version: int


def read_invoices(store: AnnexStore, earnings: Earnings) -> int:
    """Read what is new, what may have changed, and what was credited since the last time; return how many changed.

    ProviderError where the account cannot be read; what was read before then is kept.
    """
    known = read_note(store, NAME)
    said = {} if known is None else known.said
    created, credited = int(said.get("created", 0)), int(said.get("credited", 0))
    changed, seen = 0, set[str]()
    newest = created
    for each in earnings.invoices(max(created - _OVERLAP, 0)):
        seen.add(each.id)
        newest = max(newest, each.created)
        changed += _keep(store, each)
    notes = list(earnings.credited(max(credited - _OVERLAP, 0)))
    again = dict.fromkeys([*_undecided(store), *(invoice for _, invoice in notes)])
    for name in again:
        if name not in seen:
            found = earnings.invoice(name)
            changed += _forget(store, name) if found is None else _keep(store, found)
    last = max([credited, *(at for at, _ in notes)])
    store.alongside([note(NAME, store.now(), {"created": newest, "credited": last})])
    return changed


def _undecided(store: AnnexStore) -> list[str]:
    """Return invoices that may still change, those first that were not read for longest."""
    places = ", ".join("?" * len(_UNDECIDED))
    sql = f"SELECT id FROM figure_invoice WHERE status IN ({places}) ORDER BY version LIMIT ?"  # noqa: S608  places alone
    return [name for (name,) in store.ask(sql, (*_UNDECIDED, _AGAIN))]


def _keep(store: AnnexStore, found: Earned) -> bool:
    """Keep an invoice as it is now, and tell whether it was another or none before."""
    month = _NOT_PAID if found.paid is None else month_of_day(found.paid * SECOND // LENGTH["day"])
    credited = found.parts.get("credit notes", 0)
    row = InvoiceRow(
        found.id,
        found.tenant,
        found.customer,
        found.status,
        found.currency,
        found.total,
        found.net,
        -credited,
        found.created,
        month,
        json.dumps(found.parts, sort_keys=True),
        store.now(),
    )
    return _write(store, row)


def _forget(store: AnnexStore, name: str) -> bool:
    """Let a draft that is gone count no more, and never be asked for again."""
    before = _before(store, name)
    return before is not None and _write(store, before._replace(status=_GONE, month=_NOT_PAID, version=store.now()))


def _before(store: AnnexStore, name: str) -> InvoiceRow | None:
    rows = store.ask(_ROW, (name,))
    return InvoiceRow(*rows[0]) if rows else None


def _write(store: AnnexStore, row: InvoiceRow) -> bool:
    """Write an invoice with what it changes of the sums, unless somebody else has written it meanwhile."""
    before = _before(store, row.id)
    if before is None:
        places = ", ".join("?" * len(row))
        sql = f"INSERT INTO figure_invoice ({_COLUMNS}) VALUES ({places}) ON CONFLICT (id) DO NOTHING"  # noqa: S608  places alone
        first = Statement(sql, row, must=True)
    else:
        names = InvoiceRow._fields[1:]
        # An equal version may stand there again; a later one has to differ.
        version = max(row.version, before.version + 1)
        sql = f"UPDATE figure_invoice SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ? AND version = ?"  # noqa: S608  names of columns
        first = Statement(sql, (*row[1:-1], version, row.id, before.version), must=True)
    try:
        store.alongside([first, *_changes(before, row)])
    except LostClaimError:
        return False
    return before is None or before[:-1] != row[:-1]


def _changes(before: InvoiceRow | None, after: InvoiceRow) -> Iterator[Statement]:
    """Yield what changes of the sums: what an invoice adds now, less what it added before."""
    parts: dict[tuple[int, str, str], int] = {}
    income: dict[tuple[int, str, str], int] = {}
    for row, sign in ((before, -1), (after, 1)):
        if row is None or row.month == _NOT_PAID:
            continue
        for part, amount in json.loads(row.parts).items():
            key = (row.month, row.currency, part)
            parts[key] = parts.get(key, 0) + sign * amount
        whose = (row.month, row.currency, row.tenant)
        income[whose] = income.get(whose, 0) + sign * row.net
    for sql, sums in ((_ADD_REVENUE, parts), (_ADD_INCOME, income)):
        yield from (Statement(sql, (*key, amount)) for key, amount in sorted(sums.items()) if amount)
