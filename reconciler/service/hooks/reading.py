"""What the events of a subject are about and whose it is; then, under the lease of its tenants, all of it anew."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.entitlements.purchases import Purchase
from reconciler.entitlements.subscriptions import Held, ruling
from reconciler.ledger.annex import Statement
from reconciler.provider.customers import customers_of
from reconciler.provider.webhooks.fetch import Source, Touched
from reconciler.provider.webhooks.marking import mark_customer
from reconciler.provider.webhooks.owner import Object
from reconciler.service.hooks.inbox import Hook
from reconciler.service.hooks.patrons import Lease, Patrons, learnt

SESSION, SUBSCRIPTION, CUSTOMER = "session", "subscription", "customer"


@dataclass
class Work:
    """What events are about and what is to come of it.

    ``owners`` are tenants by kind and id; ``problems`` say of sessions why they cannot be fulfilled, ``notes`` of
    tenants what somebody should know.
    """

    hooks: Sequence[Hook]
    touched: Mapping[str, Touched]
    tenants: set[str] = field(default_factory=set)
    owners: dict[str, dict[str, str]] = field(default_factory=lambda: {SESSION: {}, SUBSCRIPTION: {}, CUSTOMER: {}})
    purchases: dict[str, Purchase] = field(default_factory=dict)
    rulings: dict[str, Held] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def sessions(self) -> dict[str, Object]:
        """Return every session that an event touches, by id."""
        return {each["id"]: each for touched in self.touched.values() for each in touched.sessions}

    def customers(self) -> set[str]:
        """Return every customer that an event touches."""
        return {each for touched in self.touched.values() for each in touched.customers}

    def own(self, kind: str, name: str, tenant: str) -> None:
        """Note whose something is."""
        self.owners[kind].setdefault(name, tenant)
        self.tenants.add(tenant)

    def problem(self, hook: Hook) -> str | None:
        """Return why an event cannot have its effect."""
        sessions = (self.problems.get(each["id"]) for each in self.touched[hook.id].sessions)
        return next((each for each in sessions if each), None)

    def tenant(self, hook: Hook) -> str | None:
        """Return whom an event was found to be about."""
        touched = self.touched[hook.id]
        named = [self.owners[SESSION].get(each["id"]) for each in touched.sessions]
        named += [self.owners[SUBSCRIPTION].get(hook.object or "")]
        named += [self.owners[CUSTOMER].get(each) for each in touched.customers]
        return next((each for each in named if each), None)

    def learnt(self) -> list[Statement]:
        """Return what keeps whose things are."""
        fulfilled = {name: each.tenant for name, each in self.purchases.items()}
        rest = [learnt(kind, self.owners[kind]) for kind in (SUBSCRIPTION, CUSTOMER)]
        return [*learnt(SESSION, fulfilled), *rest[0], *rest[1]]


class Reading:
    """Reads an account for a namespace, and marks customers in it."""

    def __init__(self, source: Source, patrons: Patrons) -> None:
        self._source = source
        self._owner = source.owner
        self._patrons = patrons

    def about(self, hooks: Sequence[Hook]) -> Work:
        """Learn whom events are about, as far as it takes to lease them."""
        work = Work(hooks, {hook.id: self._source.touched(hook.notice) for hook in hooks})
        self._whose_sessions(work)
        ids = [hook.object for hook in hooks if hook.object and hook.kind == SUBSCRIPTION]
        for subscription in self._ours(sorted(work.customers()), ids):
            self._whose(work, subscription)
        for name, tenant in self._patrons.of([*work.customers(), *ids]).items():
            work.own(SUBSCRIPTION if name in ids else CUSTOMER, name, tenant)
        return work

    def _whose_sessions(self, work: Work) -> None:
        """Find whose sessions are: of whom they were before, whom they name, their customer's, whom a person said."""
        sessions = work.sessions()
        known = self._patrons.of(sessions)
        said = {each["id"]: hook.tenant for hook in work.hooks for each in work.touched[hook.id].sessions}
        for name, session in sessions.items():
            tenant = known.get(name) or self._owner.tenant(session)
            if tenant is None and not self._owner.foreign(session):
                tenant = self._of_customer(session.get("customer")) or said[name]
            if tenant is not None:
                work.own(SESSION, name, tenant)
                if session.get("customer"):
                    work.own(CUSTOMER, session["customer"], tenant)

    def _ours(self, customers: Iterable[str], ids: Iterable[str]) -> list[Object]:
        """Return the subscriptions of customers, and those of ids, that are ours or were once."""
        found = self._source.subscriptions(customers, ids)
        known = self._patrons.of(found)
        return [each for name, each in found.items() if name in known or self._source.is_ours(each)]

    def _whose(self, work: Work, subscription: Object) -> str | None:
        """Return whose a subscription is: whom it names, its customer's, of whom it or its customer was before."""
        tenant = self._owner.tenant(subscription)
        if tenant is None and self._owner.foreign(subscription):
            return None
        name, customer = subscription["id"], subscription["customer"]
        if tenant is None:
            known = self._patrons.of([name, customer])
            bought = work.owners[CUSTOMER].get(customer)
            tenant = self._of_customer(customer) or known.get(name) or bought or known.get(customer)
        if tenant is not None:
            work.own(SUBSCRIPTION, name, tenant)
            work.own(CUSTOMER, customer, tenant)
        return tenant

    def _of_customer(self, customer_id: str | None) -> str | None:
        customer = self._source.customer(customer_id) if customer_id else None
        return None if customer is None else self._owner.tenant(customer)

    def read(self, work: Work, leases: Sequence[Lease]) -> list[Lease]:
        """Read what leased tenants have bought and hold, as it is now, and return the leases as they are then."""
        for name in work.sessions():
            for session in self._source.session(name):
                self._sold(work, session, work.owners[SESSION].get(name))
        held = [self._marked(work, lease) for lease in leases]
        for lease in held:
            self._rule(work, lease)
        return held

    def _sold(self, work: Work, session: Object, tenant: str | None) -> None:
        if self._owner.foreign(session):
            return
        sold = self._source.sold(session, tenant)
        if sold is not None and sold.purchase is not None:
            work.purchases[session["id"]] = sold.purchase
        elif sold is not None:
            work.problems[session["id"]] = sold.problem

    def _marked(self, work: Work, lease: Lease) -> Lease:
        """Mark the customer a tenant bought with first as it, unless it has one; a second one stays as it is.

        Which one is kept before it is marked: whoever takes this up after a death marks the same.
        """
        bought = sorted(each for each, whose in work.owners[CUSTOMER].items() if whose == lease.tenant)
        if (
            lease.customer is not None
            and {*bought, *work.customers()}
            and self._source.customer(lease.customer) is None
        ):
            lease = self._patrons.choose(lease, None)
        if lease.customer is None:
            there = customers_of(self._source.gateway, self._owner.namespace, lease.tenant)
            found = [*there, *(each for each in bought if self._source.customer(each) is not None)]
            if not found:
                return lease
            lease = self._patrons.choose(lease, found[0])
        if lease.customer is not None and not lease.marked:
            customer = self._source.customer(lease.customer)
            if customer is not None:
                note = mark_customer(self._source.gateway, self._owner.namespace, lease.tenant, customer)
                work.notes |= {lease.tenant: note} if note else {}
        return lease._replace(marked=1)

    def _rule(self, work: Work, lease: Lease) -> None:
        """Find the subscription that rules a tenant, among those of all its customers."""
        tenant = lease.tenant
        customers = {each for each, whose in work.owners[CUSTOMER].items() if whose == tenant}
        customers |= {*self._patrons.things(tenant, CUSTOMER), *([lease.customer] if lease.customer else [])}
        ids = {each for each, whose in work.owners[SUBSCRIPTION].items() if whose == tenant}
        found = self._ours(sorted(customers), sorted({*ids, *self._patrons.things(tenant, SUBSCRIPTION)}))
        rules = ruling([self._source.held(each) for each in found if self._whose(work, each) == tenant])
        if rules is not None:
            work.rulings[tenant] = rules
