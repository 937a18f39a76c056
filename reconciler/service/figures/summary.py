"""A row for each tenant with what pages sort and search by, made anew when its book has changed or time has passed."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reconciler.config.catalog import Catalog
from reconciler.entitlements import Entitlements
from reconciler.entitlements.daily import Window
from reconciler.entitlements.periods import LENGTH, SECOND
from reconciler.entitlements.usage_billed import BilledUse
from reconciler.entitlements.views import Allowance
from reconciler.ledger.annex import AnnexStore, Statement
from reconciler.service.figures import tables
from reconciler.service.figures.spend import period_of, spend_of
from reconciler.service.figures.tables import marks

#: Shares are in parts of so many.
WHOLE = 10_000
#: How long a row is good for where nothing happens: its forecast goes down meanwhile.
_LASTS = LENGTH["hour"]
_PAGE = 1_000
_TOGETHER = 200
_COUNTED = frozenset({"included", "quota"})
_WINDOWS = "SELECT meter, opened, units FROM figure_window WHERE tenant = ? AND opened >= ? AND opened < ?"
_LAST = "SELECT MAX(day) FROM figure_day WHERE tenant = ? AND calls > 0"
_STALE = "SELECT tenant FROM figure_tenant WHERE stale <= ? OR revision <> ? ORDER BY stale LIMIT ?"


class Summary(NamedTuple):
    """A tenant's row, as far as its entries were added up: until ``seq``; ``active`` is the day of its last call.

    ``bound`` is the allowance that is used up most: ``used`` of ``most``, ``share`` in ten thousandths. ``spend`` and
    ``forecast`` are minor units of ``currency`` for the period from ``since`` to ``until``, ``None`` where they are not
    known. ``made`` is when the row was made, ``stale`` when it is too old. Below zero is no share and no call.
    """

    tenant: str
    name: str
    plan: str
    status: str
    refused: str
    seq: int
    active: int
    credits: int
    held: int
    bound: str
    used: int
    most: int
    share: int
    currency: str
    spend: int | None
    forecast: int | None
    since: int
    until: int
    made: int
    stale: int
    revision: str


def summarise(runtime: Entitlements, store: AnnexStore, catalog: Catalog | None, most: int = 1_000) -> int:
    """Make about so many rows anew that are not there, not current or old; return how many were made."""
    done, waiting = 0, list[Statement]()
    for tenant in _due(runtime, store, most):
        waiting.append(Statement(tables.PUT_TENANT, summary_of(runtime, store, catalog, tenant)))
        if len(waiting) >= _TOGETHER:
            store.alongside(waiting)
            done, waiting = done + len(waiting), []
    if waiting:
        store.alongside(waiting)
    return done + len(waiting)


def _due(runtime: Entitlements, store: AnnexStore, most: int) -> Iterator[str]:
    """Yield tenants whose rows are to be made, each once."""
    seen: set[str] = set()
    for tenant in _candidates(runtime, store, most):
        if tenant not in seen:
            seen.add(tenant)
            yield tenant
        if len(seen) >= most:
            return


def _candidates(runtime: Entitlements, store: AnnexStore, most: int) -> Iterator[str]:
    after = ""
    while page := store.balances(after, _PAGE):
        known = _known(store, [each.tenant for each in page])
        yield from (each.tenant for each in page if known.get(each.tenant, -1) < each.seq)
        after = page[-1].tenant
    declared = sorted(runtime.policy.tenants)
    for first in range(0, len(declared), _PAGE):
        names = declared[first : first + _PAGE]
        known = _known(store, names)
        yield from (name for name in names if name not in known)
    stale = (store.now(), runtime.policy.config_digest, most)
    yield from (tenant for (tenant,) in store.ask(_STALE, stale))


def _known(store: AnnexStore, names: list[str]) -> dict[str, int]:
    return dict(store.ask(f"SELECT tenant, seq FROM figure_tenant WHERE tenant IN ({marks(names)})", names))  # noqa: S608  places alone


def summary_of(runtime: Entitlements, store: AnnexStore, catalog: Catalog | None, tenant: str) -> Summary:
    """Return a tenant's row as it is now, by its book and the figures that were added up."""
    now, balance = store.now(), runtime.balance(tenant)
    terms = runtime.terms(tenant)
    since, until = period_of(terms, balance.subscription, now)
    used = BilledUse.of_windows(windows_of(store, tenant, since // SECOND, -(-until // SECOND)))
    spend = None if catalog is None else spend_of(catalog, terms, balance.subscription, used, now)
    tightest = max(_shares(balance.allowances), key=lambda each: each[0], default=(-1, None))
    share, bound = tightest
    return Summary(
        tenant,
        _name(catalog, tenant),
        balance.plan or "",
        balance.subscription.status if balance.subscription else "",
        str(balance.refused or ""),
        _mark(store, tenant),
        _active(store, tenant),
        balance.credits,
        balance.held,
        bound.of if bound else "",
        bound.used if bound else 0,
        bound.limit if bound else 0,
        share,
        spend.currency if spend else "",
        spend.by_now if spend else None,
        spend.forecast if spend else None,
        since,
        until,
        now,
        min(now + _LASTS, until),
        runtime.policy.config_digest,
    )


def windows_of(store: AnnexStore, tenant: str, start: int, end: int) -> dict[Window, int]:
    """Return what is billed of a tenant in windows begun between two instants, in seconds."""
    return {Window(meter, opened): units for meter, opened, units in store.ask(_WINDOWS, (tenant, start, end))}


def _shares(allowances: Iterable[Allowance]) -> Iterator[tuple[int, Allowance]]:
    for each in allowances:
        if each.kind in _COUNTED and each.limit > 0:
            yield max(each.used, 0) * WHOLE // each.limit, each


def _name(catalog: Catalog | None, tenant: str) -> str:
    declared = catalog.file.tenants.get(tenant) if catalog is not None else None
    return declared.name if declared is not None else ""


def _mark(store: AnnexStore, tenant: str) -> int:
    found = store.ask("SELECT seq FROM figure_mark WHERE tenant = ?", (tenant,))
    return int(found[0][0]) if found else 0


def _active(store: AnnexStore, tenant: str) -> int:
    ((day,),) = store.ask(_LAST, (tenant,))
    return -1 if day is None else int(day)
