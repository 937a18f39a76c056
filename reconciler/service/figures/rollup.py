"""Adding entries up to figures: above a mark of each tenant, and together with moving it, so that none counts twice."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from reconciler.entitlements.daily import Figures, Folded, Key, folded, whole
from reconciler.ledger.annex import AnnexStore, LostClaimError, Statement
from reconciler.service.figures import tables
from reconciler.service.figures.tables import marks, month_of_day

#: Entries of a tenant that are read at once, and entries that are written in one transaction.
_PORTION, _TOGETHER = 250, 5_000
_PAGE = 1_000


class _Portion(NamedTuple):
    """Entries of a tenant above its mark, added up."""

    tenant: str
    before: int
    after: int
    found: Folded


def roll_up(store: AnnexStore, most: int = 1 << 60, rest: Callable[[int], object] = lambda _number: None) -> int:
    """Add up what is above the marks, about so many entries at most, and return how many entries it was.

    Whoever else does the same at the same time is not in the way: what one has counted the other leaves alone. ``rest``
    is called after some entries with their number, where other work of the process should come first.
    """
    done, waiting, size = 0, list[_Portion](), 0
    for portion in _portions(store, most):
        waiting.append(portion)
        size += portion.after - portion.before
        rest(portion.after - portion.before)
        if size >= _TOGETHER:
            done += _written(store, waiting)
            waiting, size = [], 0
    return done + _written(store, waiting)


def _portions(store: AnnexStore, most: int) -> Iterator[_Portion]:
    """Yield portions of all tenants that are behind, each tenant's one after the other."""
    for tenant, mark, seq in _behind(store):
        before = mark
        while before < seq and most > 0:
            entries = whole(store.entries(tenant, before, _PORTION))
            if not entries:
                break
            after, most = entries[-1].seq, most - len(entries)
            yield _Portion(tenant, before, after, folded(entries, partial(store.entry, tenant)))
            before = after


def _behind(store: AnnexStore) -> Iterator[tuple[str, int, int]]:
    """Yield tenants with entries above their mark: the mark, and the last entry."""
    after = ""
    while page := store.balances(after, _PAGE):
        names = [each.tenant for each in page]
        known: dict[str, int] = dict(store.ask(tables.MARKS.format(marks(names)), names))
        for each in page:
            if known.get(each.tenant, 0) < each.seq:
                yield each.tenant, known.get(each.tenant, 0), each.seq
        after = names[-1]


def _written(store: AnnexStore, portions: Sequence[_Portion]) -> int:
    """Write portions in one transaction, or each in its own where somebody was there first; return what was counted."""
    if not portions:
        return 0
    try:
        store.alongside(statements(portions))
    except LostClaimError:
        if len(portions) == 1:
            return 0
        return sum(_written(store, (portion,)) for portion in portions)
    return sum(portion.after - portion.before for portion in portions)


def statements(portions: Sequence[_Portion]) -> list[Statement]:
    """Return what writes portions: marks first, then sums, in order, so that no two writers wait for each other."""
    found = []
    for portion in portions:
        if not portion.before:
            found.append(Statement(tables.BEGIN_MARK, (portion.tenant,)))
        move = (portion.after, portion.tenant, portion.before)
        found.append(Statement(tables.MOVE_MARK, move, must=True))
    days: dict[tuple[str, Key], Figures] = {}
    for portion in portions:
        for key, figures in portion.found.figures.items():
            for tenant in (portion.tenant, ""):
                before = days.get((tenant, key))
                days[tenant, key] = figures if before is None else before.plus(figures)
    found += [Statement(tables.ADD_DAY, (tenant, *key, *days[tenant, key])) for tenant, key in sorted(days)]
    months: dict[tuple[int, str], list[int]] = {}
    for (tenant, key), figures in days.items():
        if tenant:
            sums = months.setdefault((month_of_day(key.day), tenant), [0, 0])
            sums[0] += figures.calls
            sums[1] += figures.credits
    found += [Statement(tables.ADD_MONTH, (*key, *sums)) for key, sums in sorted(months.items())]
    windows = [
        (portion.tenant, window.meter, window.start, units)
        for portion in portions
        for window, units in portion.found.windows.items()
    ]
    return [*found, *(Statement(tables.ADD_WINDOW, values) for values in sorted(windows))]
