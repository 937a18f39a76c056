"""The tables of figures in the ledger's own database, and the statements that write them.

Days and months are numbers since 1970 in UTC; ``tenant`` is empty where a row is of all tenants together.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from reconciler.entitlements.daily import Figures
from reconciler.entitlements.periods import LENGTH
from reconciler.ledger.annex import AnnexStore

_EPOCH = date(1970, 1, 1)
NAME = "figures"
_SUMS = ", ".join(f"{name} BIGINT NOT NULL" for name in Figures._fields)
STEPS = (
    f"""CREATE TABLE figure_day (
      tenant TEXT NOT NULL, day BIGINT NOT NULL, tool TEXT NOT NULL, meter TEXT NOT NULL, currency TEXT NOT NULL,
      {_SUMS}, PRIMARY KEY (tenant, day, tool, meter, currency))""",
    """CREATE TABLE figure_window (
      tenant TEXT NOT NULL, meter TEXT NOT NULL, opened BIGINT NOT NULL, units BIGINT NOT NULL,
      PRIMARY KEY (tenant, opened, meter))""",
    """CREATE TABLE figure_month (
      month BIGINT NOT NULL, tenant TEXT NOT NULL, calls BIGINT NOT NULL, credits BIGINT NOT NULL,
      PRIMARY KEY (month, tenant))""",
    "CREATE TABLE figure_mark (tenant TEXT PRIMARY KEY, seq BIGINT NOT NULL)",
    """CREATE TABLE figure_tenant (
      tenant TEXT PRIMARY KEY, name TEXT NOT NULL, plan TEXT NOT NULL, status TEXT NOT NULL, refused TEXT NOT NULL,
      seq BIGINT NOT NULL, active BIGINT NOT NULL, credits BIGINT NOT NULL, held BIGINT NOT NULL,
      bound TEXT NOT NULL, used BIGINT NOT NULL, most BIGINT NOT NULL, share BIGINT NOT NULL,
      currency TEXT NOT NULL, spend BIGINT, forecast BIGINT, since BIGINT NOT NULL, until BIGINT NOT NULL,
      made BIGINT NOT NULL, stale BIGINT NOT NULL, revision TEXT NOT NULL)""",
    "CREATE INDEX figure_tenant_share ON figure_tenant (share, tenant)",
    "CREATE INDEX figure_tenant_credits ON figure_tenant (credits, tenant)",
    "CREATE INDEX figure_tenant_spend ON figure_tenant (currency, (COALESCE(spend, -1)), tenant)",
    "CREATE INDEX figure_tenant_active ON figure_tenant (active, tenant)",
    "CREATE INDEX figure_tenant_plan ON figure_tenant (plan, tenant)",
    "CREATE INDEX figure_tenant_stale ON figure_tenant (stale)",
    """CREATE TABLE figure_invoice (
      id TEXT PRIMARY KEY, tenant TEXT NOT NULL, customer TEXT NOT NULL, status TEXT NOT NULL, currency TEXT NOT NULL,
      total BIGINT NOT NULL, net BIGINT NOT NULL, credited BIGINT NOT NULL, created BIGINT NOT NULL,
      month BIGINT NOT NULL, parts TEXT NOT NULL, version BIGINT NOT NULL)""",
    "CREATE INDEX figure_invoice_open ON figure_invoice (status, version)",
    "CREATE INDEX figure_invoice_tenant ON figure_invoice (tenant, created)",
    """CREATE TABLE figure_revenue (
      month BIGINT NOT NULL, currency TEXT NOT NULL, part TEXT NOT NULL, amount BIGINT NOT NULL,
      PRIMARY KEY (month, currency, part))""",
    """CREATE TABLE figure_income (
      month BIGINT NOT NULL, currency TEXT NOT NULL, tenant TEXT NOT NULL, amount BIGINT NOT NULL,
      PRIMARY KEY (month, currency, tenant))""",
    """CREATE TABLE figure_subscription (
      id TEXT PRIMARY KEY, tenant TEXT NOT NULL, customer TEXT NOT NULL, plan TEXT NOT NULL, status TEXT NOT NULL,
      currency TEXT NOT NULL, yearly TEXT NOT NULL, begun BIGINT NOT NULL, ended BIGINT)""",
    "CREATE TABLE figure_note (name TEXT PRIMARY KEY, at BIGINT NOT NULL, said TEXT NOT NULL)",
)
_DAY_KEY = ("tenant", "day", "tool", "meter", "currency")
_ADD = ", ".join(f"{name} = figure_day.{name} + excluded.{name}" for name in Figures._fields)
_PLACES = ", ".join("?" * (len(_DAY_KEY) + len(Figures._fields)))
ADD_DAY = f"INSERT INTO figure_day VALUES ({_PLACES}) ON CONFLICT ({', '.join(_DAY_KEY)}) DO UPDATE SET {_ADD}"  # noqa: S608  names of columns
ADD_WINDOW = (
    "INSERT INTO figure_window (tenant, meter, opened, units) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (tenant, opened, meter) DO UPDATE SET units = figure_window.units + excluded.units"
)
ADD_MONTH = (
    "INSERT INTO figure_month (month, tenant, calls, credits) VALUES (?, ?, ?, ?) ON CONFLICT (month, tenant)"
    " DO UPDATE SET calls = figure_month.calls + excluded.calls, credits = figure_month.credits + excluded.credits"
)
BEGIN_MARK = "INSERT INTO figure_mark VALUES (?, 0) ON CONFLICT (tenant) DO NOTHING"
MOVE_MARK = "UPDATE figure_mark SET seq = ? WHERE tenant = ? AND seq = ?"
MARKS = "SELECT tenant, seq FROM figure_mark WHERE tenant IN ({})"
NOTE = (
    "INSERT INTO figure_note VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at, said = excluded.said"
)
_TENANT = (
    *("tenant", "name", "plan", "status", "refused", "seq", "active", "credits", "held", "bound", "used", "most"),
    *("share", "currency", "spend", "forecast", "since", "until", "made", "stale", "revision"),
)
PUT_TENANT = (
    f"INSERT INTO figure_tenant ({', '.join(_TENANT)}) VALUES ({', '.join('?' * len(_TENANT))}) ON CONFLICT (tenant)"  # noqa: S608  names of columns
    f" DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _TENANT[1:])}"
    " WHERE figure_tenant.seq <= excluded.seq"
)


def prepared(store: AnnexStore) -> AnnexStore:
    """Return a store in which the tables of figures are there; LedgerError where they cannot be made."""
    store.annex(NAME, STEPS)
    return store


def there(store: AnnexStore) -> bool:
    """Tell whether the tables were made, by whoever may write."""
    return bool(store.ask("SELECT version FROM annex WHERE name = ?", (NAME,)))


def month_of_day(day: int) -> int:
    """Return the month a day lies in, both counted from January 1970 in UTC."""
    found = _EPOCH + timedelta(days=day)
    return (found.year - _EPOCH.year) * 12 + found.month - 1


def month_now(now: int) -> int:
    """Return the month an instant in microseconds lies in."""
    return month_of_day(now // LENGTH["day"])


def first_day(month: int) -> int:
    """Return the first day of a month."""
    years, place = divmod(month, 12)
    return (_EPOCH.replace(year=_EPOCH.year + years, month=place + 1) - _EPOCH).days


def marks(values: Sequence[Any]) -> str:
    """Return so many places for values, between commas."""
    return ", ".join("?" * len(values))
