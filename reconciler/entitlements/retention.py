"""How long calls stay in the ledger, and archiving those that are older.

A call leaves only with the whole of every period it was counted in, so that whatever is still reported is complete.
"""

from collections.abc import Iterator

from reconciler.entitlements.kinds.quota import Quota
from reconciler.entitlements.ledger_calls import PASSING
from reconciler.entitlements.periods import LENGTH, Period
from reconciler.entitlements.policy import Policy
from reconciler.entitlements.standing import subscription_of
from reconciler.entitlements.terms import Terms
from reconciler.ledger.annex import AnnexStore
from reconciler.ledger.archive import Archive
from reconciler.ledger.compaction import Compacted, compact

#: Days that calls stay at least: as long as keys protect them from being made twice, and units may reach Stripe.
LEAST = 40


def archive_old(store: AnnexStore, policy: Policy, tenant: str, days: int, archive: Archive) -> Iterator[Compacted]:
    """Archive a tenant's calls older than so many days, part by part; yield each part.

    ValueError for less than 40 days, ArchiveError where the archive does not fit the ledger.
    """
    if days < LEAST:
        raise ValueError(f"calls stay for at least {LEAST} days, not {days}")
    terms = Terms(policy, tenant, subscription_of(store.read(tenant).facts))
    before = begun(terms, store.now() - days * LENGTH["day"])
    while (done := compact(store, tenant, before, PASSING, archive)).archived:
        yield done


def begun(terms: Terms, at: int) -> int:
    """Return when the first of the tenant's periods began that an instant lies in."""
    return min([at, *(period.at(at)[0] for period in _periods(terms))])


def _periods(terms: Terms) -> Iterator[Period]:
    yield terms.recurring()
    for line in terms.usage_lines(terms.lines):
        yield line.period
    for bound in terms.bounds():
        if isinstance(bound, Quota):
            yield bound.period
