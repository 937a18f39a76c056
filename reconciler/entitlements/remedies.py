"""What would unlock a refused call: the cheapest plan that allows it, the cheapest pack that fills the gap, or time."""

from collections.abc import Callable
from functools import lru_cache

from reconciler.entitlements.decision import Decision, Reason, Remedy
from reconciler.entitlements.kinds.bounds import Ask, Refusal
from reconciler.entitlements.policy import Pack, Plan, Policy
from reconciler.entitlements.standing import Subscription
from reconciler.entitlements.terms import DIRECT, Call, Terms
from reconciler.entitlements.weigh import weigh
from reconciler.ledger.book import Book

#: Returns where a tenant buys a plan or pack (``kind``, ``id``, tenant); ``None`` where nobody knows.
Urls = Callable[[str, str, str], str | None]
_WAIT = frozenset({Reason.QUOTA_EXCEEDED, Reason.RATE_LIMITED})
#: Reasons another plan is looked for; of a rate, only the plan it names: it refills sooner than anybody pays.
_SEARCH = frozenset({Reason.QUOTA_EXCEEDED, Reason.TOOL_NOT_IN_PLAN, Reason.FEATURE_REQUIRED})


def with_remedy(
    decision: Decision, refusal: Refusal, call: Call, terms: Terms, book: Book, now: int, ask: Ask, urls: Urls
) -> Decision:
    """Add what would help to a refusal: a plan or pack that is sold first, waiting where that is enough."""
    remedy = None
    if refusal.reason is Reason.INSUFFICIENT_CREDITS:
        pack = cheapest_pack(terms.policy, refusal.short, _currency(terms))
        remedy = pack and Remedy("pack", pack.id, pack.name, urls("pack", pack.id, terms.tenant))
    elif refusal.reason in _SEARCH or refusal.upgrade is not None:
        plan = _upgrade(refusal, call, terms, book, now, ask)
        remedy = plan and Remedy("plan", plan.id, plan.name, urls("plan", plan.id, terms.tenant), refusal.resets_at)
    if remedy is None and refusal.reason in _WAIT and refusal.resets_at is not None and refusal.retry_after is not None:
        remedy = Remedy("wait", at=refusal.resets_at)
    return decision if remedy is None else decision._replace(remedy=remedy)


def _currency(terms: Terms) -> str | None:
    return terms.standing.plan.currency if terms.standing.plan else None


def cheapest_pack(policy: Policy, short: int, currency: str | None) -> Pack | None:
    """Return the cheapest pack on sale that brings so many millionths of a credit; the largest where none is enough."""
    packs = [pack for pack in policy.packs.values() if pack.status == "active"]
    packs = [pack for pack in packs if pack.currency == currency] or packs
    enough = [pack for pack in packs if pack.credits + pack.bonus >= short]
    if enough:
        return min(enough, key=lambda pack: (pack.price, pack.id))
    return max(packs, key=lambda pack: (pack.credits + pack.bonus, pack.id), default=None)


def _upgrade(refusal: Refusal, call: Call, terms: Terms, book: Book, now: int, ask: Ask) -> Plan | None:
    """Return the plan a limit names, else the cheapest on sale under which the tenant, as it stands, could call.

    As it stands: what it has used counts against the other plan too, so that a plan that gives no more is none.
    """
    policy = terms.policy
    named = policy.plans.get(refusal.upgrade or "")
    if named is not None and named.status == "active":
        return named
    if refusal.reason not in _SEARCH:
        return None
    current = terms.standing.plan.id if terms.standing.plan else ""
    meter = bool(call.meters and call.meters[0][1] == DIRECT)
    tenant = terms.tenant if terms.standing.tenant is not None else ""
    for plan in _on_sale(policy):
        if plan.id == current:
            continue
        found = weigh(_terms_under(policy, tenant, plan.id).call(call.name, meter=meter), book, now, ask).refusal
        if found is None or found.reason is Reason.INSUFFICIENT_CREDITS:
            return plan
    return None


@lru_cache(maxsize=16)
def _on_sale(policy: Policy) -> tuple[Plan, ...]:
    """Return the plans that are sold, the cheapest first."""
    sold = [plan for plan in policy.plans.values() if plan.status == "active"]
    return tuple(sorted(sold, key=lambda plan: (plan.price is None, plan.price or 0, plan.id)))


@lru_cache(maxsize=4096)
def _terms_under(policy: Policy, tenant: str, plan: str) -> Terms:
    """Return the terms a tenant would have under a plan, its own from the files laid over."""
    return Terms(policy, tenant, Subscription(plan, "active", None, None, None, 0))
