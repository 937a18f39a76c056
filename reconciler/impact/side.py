"""One of the two catalogues: a tenant's terms of calls and its contract, worked out once for all that are alike."""

from collections.abc import Mapping
from typing import NamedTuple

from reconciler.config.catalog import Catalog
from reconciler.config.models import Tenant
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.standing import Subscription
from reconciler.entitlements.terms import Terms
from reconciler.impact.sums import Summed, summed
from reconciler.pricing.subscription import Contract, contract_of
from reconciler.pricing.tariff import NotOfferedError

#: Statuses of a subscription that is over: nothing is invoiced for it any more.
_OVER = frozenset({"canceled", "incomplete_expired"})


class Unpriced(NamedTuple):
    """Why a tenant has no invoice under a catalogue; a ``stranger`` has no plan there."""

    why: str
    stranger: bool = False


class Side:
    """A catalogue, compiled, with the terms and contracts that were asked for."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.file = catalog.file
        self.policy = compile_catalog(catalog)
        self._terms: dict[object, Terms] = {}
        self._counts: dict[str, Mapping[str, int | str]] = {}
        self._sums: dict[tuple[Terms, str, bool], Summed] = {}
        self._contracts: dict[object, Contract | Unpriced] = {}

    def tenant(self, tenant: str) -> str:
        """Return the id a tenant has here: the one it moved to, if it did."""
        return _moved(self.catalog, "tenants", tenant)

    def subscription(self, known: Subscription | None) -> Subscription | None:
        """Return a subscription with the id its plan has here."""
        if known is None or known.plan is None:
            return known
        return known._replace(plan=_moved(self.catalog, "plans", known.plan))

    def counted(self, tool: str, meter: str) -> int | str | None:
        """Return how many units of a meter a call of a tool counts, or where the number stands."""
        counts = self._counts.get(tool)
        if counts is None:
            found, default = self.policy.tools.of(tool), self.policy.default_meter
            counts = (found.counts if found else None) or ({default: 1} if default else {})
            self._counts[tool] = counts
        return counts.get(meter)

    def terms(self, tenant: str, subscription: Subscription | None) -> Terms:
        """Return what decides a tenant's calls; tenants without terms of their own share those of their plan."""
        own = self.policy.tenants.get(tenant)
        alone = own is not None and bool(own.features or own.tools or own.limits or own.lines or own.grants)
        key = (tenant if alone else None, own is None, own.plan if own else None, subscription)
        found = self._terms.get(key)
        if found is None:
            found = self._terms[key] = Terms(self.policy, tenant, subscription)
        return found

    def summed(self, terms: Terms, name: str, *, meter: bool) -> Summed:
        """Return what decides a sum of calls."""
        found = self._sums.get((terms, name, meter))
        if found is None:
            found = self._sums[terms, name, meter] = summed(terms.call(name, meter=meter))
        return found

    def contract(self, tenant: str, subscription: Subscription | None) -> Contract | Unpriced:
        """Return what a tenant pays for what, by its subscription or else by the files; why not, where it pays nothing.

        It began long ago: there is no trial, and of coupons only those that last forever count.
        """
        own = self.file.tenants.get(tenant)
        plan = None
        if subscription is not None:
            found = self.terms(tenant, subscription).standing.plan
            plan = found.id if found is not None else None
            if subscription.status in _OVER and (plan is None or plan != self.policy.default_plan):
                return Unpriced("its subscription has ended")
        if own is not None and plan == own.plan:
            plan = None
        key = (tenant if own is not None and own.usage else None, plan, own and _paid(own))
        if key not in self._contracts:
            self._contracts[key] = self._contract(tenant, plan)
        return self._contracts[key]

    def _contract(self, tenant: str, plan: str | None) -> Contract | Unpriced:
        try:
            return contract_of(self.file, tenant, plan=plan)
        except NotOfferedError as problem:
            return Unpriced(str(problem))
        except KeyError:
            return Unpriced("there is no plan for it", stranger=True)


def _paid(tenant: Tenant) -> tuple[object, ...]:
    """Return all that tenants without usage terms of their own are charged by."""
    terms = tenant.subscription
    charged = (terms.quantity, terms.trial_days, terms.coupon) if terms else None
    return tenant.plan, tenant.price, tenant.currency, charged


def _moved(catalog: Catalog, section: str, name: str) -> str:
    return catalog.moved.get(f"{section}.{name}", f"{section}.{name}").removeprefix(f"{section}.")
