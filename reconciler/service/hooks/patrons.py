"""Who works on a tenant that has bought something, which of its customers is marked as it, and whose things are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from reconciler.entitlements.periods import SECOND
from reconciler.ledger.annex import AnnexStore, Statement
from reconciler.service.hooks import tables

#: How long a tenant is leased, in microseconds; who is slower keeps nothing.
TERM = 150 * SECOND
_MANY = 500


class Lease(NamedTuple):
    """A tenant that nobody else works on; the ``customer`` that is to be marked as it, and whether it is (0 or 1)."""

    tenant: str
    fence: int
    customer: str | None
    marked: int

    def release(self) -> Statement:
        """Return what gives the tenant back, and keeps nothing where the lease has run out and is somebody else's."""
        return Statement(tables.RELEASE, (self.marked, self.tenant, self.fence), must=True)


class Patrons:
    """Keeps leases of tenants and what is known to be theirs, in the ledger's database."""

    def __init__(self, store: AnnexStore) -> None:
        self._store = store
        store.annex(tables.NAME, tables.STEPS)

    def lease(self, tenants: Iterable[str]) -> list[Lease] | None:
        """Lease tenants, all of them or none: None where somebody works on one of them."""
        taken: list[Lease] = []
        for tenant in sorted(tenants):
            now = self._store.now()
            (rows,) = self._store.alongside([Statement(tables.LEASE, (tenant, now + TERM, now))]).rows
            if not rows:
                self.release(taken)
                return None
            taken.append(Lease(tenant, *rows[0]))
        return taken

    def release(self, leases: Sequence[Lease]) -> None:
        """Give tenants back that nothing was done about; those that are somebody else's by now stay theirs."""
        self._store.alongside([lease.release()._replace(must=False) for lease in leases])

    def choose(self, lease: Lease, customer: str | None) -> Lease:
        """Keep which customer is to be marked as a tenant, before it is; LostClaimError where the lease is lost."""
        self._store.alongside([Statement(tables.CHOOSE, (customer, lease.tenant, lease.fence), must=True)])
        return lease._replace(customer=customer, marked=0)

    def of(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the tenants that sessions, subscriptions and customers were found to be of, by id."""
        found, left = dict[str, str](), sorted(set(ids))
        while left:
            some, left = left[:_MANY], left[_MANY:]
            marks = ", ".join("?" * len(some))
            found |= dict(self._store.ask(f"{tables.KNOWN} ({marks})", some))
        return found

    def things(self, tenant: str, kind: str) -> list[str]:
        """Return the ids of a kind that are known to be a tenant's."""
        return [row[0] for row in self._store.ask(tables.OF_TENANT, (tenant, kind))]


def learnt(kind: str, tenants: Mapping[str, str]) -> list[Statement]:
    """Return what keeps the tenants of things of a kind; the first that was kept stays."""
    return [Statement(tables.LEARN, (each, kind, tenant)) for each, tenant in sorted(tenants.items())]
