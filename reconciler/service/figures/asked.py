"""What figures say of a stretch of days or months, for reports and pages: sums that stand there, read by their keys."""

from typing import NamedTuple

from reconciler.entitlements.daily import Figures
from reconciler.ledger.annex import AnnexStore

_SUMS = ", ".join(f"SUM({name})" for name in Figures._fields)
_WITHIN = "FROM figure_day WHERE tenant = ? AND day >= ? AND day < ?"
_BY_TOOL = f"SELECT tool, meter, currency, {_SUMS} {_WITHIN} GROUP BY tool, meter, currency"
_BY_DAY = f"SELECT day, meter, currency, {_SUMS} {_WITHIN} GROUP BY day, meter, currency"
_TENANTS = f"""SELECT tenant, tool, meter, currency, {_SUMS} FROM figure_day
  WHERE tenant > ? AND day >= ? AND day < ? GROUP BY tenant, tool, meter, currency
  ORDER BY tenant, tool, meter, currency"""  # noqa: S608  names of columns


class Use(NamedTuple):
    """What a tool, or a day, comes to: its own figures, units by meter, and millionths charged by currency."""

    figures: Figures
    units: dict[str, int]
    money: dict[str, int]


class Revenue(NamedTuple):
    """Minor units of a currency that a part brought in a month since 1970."""

    month: int
    currency: str
    part: str
    amount: int


def nothing() -> Use:
    """Return no use."""
    return Use(Figures(), {}, {})


def by_tool(store: AnnexStore, start: int, end: int, tenant: str = "") -> dict[str, Use]:
    """Return what was used from one day until another, by tool, by a tenant or all; "" is what no tool did."""
    found: dict[str, Use] = {}
    for tool, meter, currency, *sums in store.ask(_BY_TOOL, (tenant, start, end)):
        found[tool] = _plus(found.get(tool), meter, currency, sums)
    return found


def by_day(store: AnnexStore, start: int, end: int, tenant: str = "") -> dict[int, Use]:
    """Return what was used on each day from one until another, by a tenant or all; days without use are left out."""
    found: dict[int, Use] = {}
    for day, meter, currency, *sums in store.ask(_BY_DAY, (tenant, start, end)):
        found[day] = _plus(found.get(day), meter, currency, sums)
    return found


def by_tenant(store: AnnexStore, start: int, end: int) -> dict[tuple[str, str], Use]:
    """Return what was used from one day until another by tenant and tool: a row of every tenant is read."""
    found: dict[tuple[str, str], Use] = {}
    for tenant, tool, meter, currency, *sums in store.ask(_TENANTS, ("", start, end)):
        found[tenant, tool] = _plus(found.get((tenant, tool)), meter, currency, sums)
    return found


def total(uses: dict[str, Use] | dict[int, Use]) -> Use:
    """Add up what tools or days come to."""
    figures, units, money = Figures(), dict[str, int](), dict[str, int]()
    for use in uses.values():
        figures = figures.plus(use.figures)
        for sums, more in ((units, use.units), (money, use.money)):
            for name, number in more.items():
                sums[name] = sums.get(name, 0) + number
    return Use(figures, units, money)


def _plus(before: Use | None, meter: str, currency: str, sums: list[int]) -> Use:
    use = nothing() if before is None else before
    # A database may return a sum as a decimal.
    figures = Figures(*map(int, sums))
    if meter:
        use.units[meter] = use.units.get(meter, 0) + figures.units
    elif currency:
        use.money[currency] = use.money.get(currency, 0) + figures.money
    return use._replace(figures=use.figures.plus(figures))


def revenue(store: AnnexStore, first: int, last: int) -> list[Revenue]:
    """Return what invoices brought from one month to another, both included, by month, currency and part."""
    sql = "SELECT month, currency, part, amount FROM figure_revenue WHERE month >= ? AND month <= ?"
    return [Revenue(*row) for row in sorted(store.ask(sql, (first, last))) if row[3]]


def income(store: AnnexStore, first: int, last: int) -> list[tuple[str, str, int]]:
    """Return tenant, currency and what its invoices brought in some months, the last included; most first."""
    sql = """SELECT tenant, currency, SUM(amount) FROM figure_income
      WHERE month >= ? AND month <= ? GROUP BY tenant, currency"""
    found = [(tenant, currency, int(amount)) for tenant, currency, amount in store.ask(sql, (first, last)) if amount]
    return sorted(found, key=lambda each: (each[1], -each[2], each[0]))


def active(store: AnnexStore, month: int) -> int:
    """Return how many tenants made a call in a month."""
    ((number,),) = store.ask("SELECT COUNT(*) FROM figure_month WHERE month = ? AND calls > 0", (month,))
    return int(number)


def active_in(store: AnnexStore, first: int, last: int) -> int:
    """Return how many tenants made a call in some months, the last included."""
    sql = "SELECT COUNT(DISTINCT tenant) FROM figure_month WHERE month >= ? AND month <= ? AND calls > 0"
    ((number,),) = store.ask(sql, (first, last))
    return int(number)
