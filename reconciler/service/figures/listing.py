"""Lists of tenants by what their rows say, a page at a time: each page begins behind the last row of the one before."""

from collections.abc import Sequence
from typing import NamedTuple

from reconciler.ledger.annex import AnnexStore
from reconciler.service.figures.summary import Summary

_FIELDS = ", ".join(Summary._fields)
#: What rows can be sorted by, and how it is compared; what has no invoice sorts below everything that has.
_SORTS = {
    "tenant": (),
    "plan": ("plan",),
    "share": ("share",),
    "credits": ("credits",),
    "spend": ("currency", "COALESCE(spend, -1)"),
    "active": ("active",),
}
SORTS = frozenset(_SORTS)


class Order(NamedTuple):
    """What tenants are sorted by, and whether the largest comes first; money only within its currency."""

    by: str = "tenant"
    down: bool = False


class Place(NamedTuple):
    """A row's place in an order: what it is sorted by, and its name."""

    tenant: str
    value: str | int | None = None
    currency: str = ""


def place_of(row: Summary, order: Order) -> Place:
    """Return the place of a row."""
    if order.by == "tenant":
        return Place(row.tenant)
    if order.by == "spend":
        return Place(row.tenant, -1 if row.spend is None else row.spend, row.currency)
    value: str | int = getattr(row, order.by)
    return Place(row.tenant, value)


def tenants(
    store: AnnexStore, order: Order, limit: int, query: str = "", after: Place | None = None
) -> tuple[list[Summary], bool]:
    """Return rows behind a place, and whether there are more; ``query`` is part of a name or id, in any case."""
    columns = [*_SORTS[order.by], "tenant"]
    where, values = [], list[str | int]()
    if query:
        where.append("(LOWER(tenant) LIKE ? ESCAPE '!' OR LOWER(name) LIKE ? ESCAPE '!')")
        values += [_like(query)] * 2
    if after is not None:
        known = _values(after, order)
        where.append(f"({', '.join(columns)}) {'<' if order.down else '>'} ({', '.join('?' * len(known))})")
        values += known
    condition = f" WHERE {' AND '.join(where)}" if where else ""
    sorting = ", ".join(f"{column}{' DESC' if order.down else ''}" for column in columns)
    sql = f"SELECT {_FIELDS} FROM figure_tenant{condition} ORDER BY {sorting} LIMIT ?"  # noqa: S608  columns alone
    rows = [Summary(*row) for row in store.ask(sql, (*values, limit + 1))]
    return rows[:limit], len(rows) > limit


def _values(after: Place, order: Order) -> Sequence[str | int]:
    if order.by == "tenant":
        return [after.tenant]
    value = after.value if after.value is not None else ""
    return [after.currency, value, after.tenant] if order.by == "spend" else [value, after.tenant]


def _like(query: str) -> str:
    """Return a pattern that contains a text as it is."""
    text = query.lower()
    for sign in "!%_":
        text = text.replace(sign, f"!{sign}")
    return f"%{text}%"


def tightest(store: AnnexStore, limit: int, least: int) -> list[Summary]:
    """Return the tenants that have used most of their tightest allowance, at least so many ten thousandths of it."""
    sql = f"SELECT {_FIELDS} FROM figure_tenant WHERE share >= ? ORDER BY share DESC, tenant LIMIT ?"  # noqa: S608  columns alone
    return [Summary(*row) for row in store.ask(sql, (least, limit))]


def number_of(store: AnnexStore) -> int:
    """Return how many tenants there are in the files or the ledger."""
    ((number,),) = store.ask("SELECT COUNT(*) FROM figure_tenant")
    return int(number)


def row_of(store: AnnexStore, tenant: str) -> Summary | None:
    """Return a tenant's row."""
    sql = f"SELECT {_FIELDS} FROM figure_tenant WHERE tenant = ?"  # noqa: S608  columns alone
    rows = store.ask(sql, (tenant,))
    return Summary(*rows[0]) if rows else None
