"""Whether two catalogues decide a tenant's calls by the same facts, whatever they charge: one replay serves both."""

from collections.abc import Iterable
from typing import Any

from reconciler.entitlements.kinds.credits import Credits
from reconciler.entitlements.kinds.per_call import PerCall
from reconciler.entitlements.kinds.usage import Usage
from reconciler.entitlements.terms import Call, Terms
from reconciler.impact.used import Event, Subscribed, Used


class Alike:
    """Compares terms of two catalogues; what was compared once is kept."""

    def __init__(self) -> None:
        self._calls: dict[tuple[Terms, Terms, str, bool], bool] = {}
        self._books: dict[tuple[Terms, Terms], bool] = {}

    def decide(self, before: Terms, after: Terms, events: Iterable[Event]) -> bool:
        """Tell whether everything that happened is decided, counted and paid from the same sources under both."""
        names: set[tuple[str, bool]] = set()
        for event in events:
            if isinstance(event, Used):
                names.add((event.tool or event.units[0][0], not event.tool))
            elif isinstance(event, Subscribed):
                return False
        return self._same_book(before, after) and all(self._same(before, after, *name) for name in names)

    def _same(self, before: Terms, after: Terms, name: str, meter: bool) -> bool:  # noqa: FBT001  a part of a key
        key = (before, after, name, meter)
        if key not in self._calls:
            self._calls[key] = _facts(before.call(name, meter=meter)) == _facts(after.call(name, meter=meter))
        return self._calls[key]

    def _same_book(self, before: Terms, after: Terms) -> bool:
        if (before, after) not in self._books:
            self._books[before, after] = _own(before) == _own(after)
        return self._books[before, after]


def _own(terms: Terms) -> tuple[Any, ...]:
    """Return what a book changes by although nothing is called."""
    credits, tenant = terms.credit_terms, terms.standing.tenant  # noqa: A001  named for what they are
    monthly = (credits.included, credits.rollover) if credits is not None else None
    grants = [grant[:-1] for grant in tenant.grants] if tenant is not None else []
    return terms.policy.zone, terms.standing.refused, terms.standing.until, monthly, grants


def _facts(call: Call) -> tuple[Any, ...]:
    """Return what decides a call, prices and places in files apart."""
    rates = tuple((rate.id, rate.meter, rate.limit[:-1]) for rate in call.rates)
    quotas = tuple((quota.id, quota.meter, quota.limit[:-1]) for quota in call.quotas)
    payers = tuple(_payer(payer) for payer in call.payers)
    return call.refused, call.until, call.tool.quantity, call.meters, rates, quotas, payers


def _payer(payer: object) -> Any:
    if isinstance(payer, PerCall):
        return "per_call"
    if isinstance(payer, Credits):
        return payer.each
    assert isinstance(payer, Usage)  # noqa: S101  there are three kinds
    return tuple(
        (line.meter, "priced") if line.over == "priced" else line[:6] for line in (each.line for each in payer.lines)
    )
