"""What would unlock a refused call: the cheapest plan that allows it, the cheapest pack that fills the gap, or time."""

from collections.abc import Callable
from functools import lru_cache

from reconciler.entitlements.decision import Decision, Reason, Remedy
from reconciler.entitlements.kinds.bounds import Ask, Refusal
from reconciler.entitlements.policy import Pack, Plan, Policy
from reconciler.entitlements.standing import Subscription
from reconciler.entitlements.terms import Call, Terms
from reconciler.entitlements.weigh import weigh
from reconciler.ledger.book import Book

#: Returns where a tenant buys a plan or pack (``kind``, ``id``, tenant); ``None`` where nobody knows.
Urls = Callable[[str, str, str], str | None]
_WAIT = frozenset({Reason.QUOTA_EXCEEDED, Reason.RATE_LIMITED})
_PLAN = _WAIT | {Reason.TOOL_NOT_IN_PLAN, Reason.FEATURE_REQUIRED}
#: A new customer of a plan has used nothing; this is the instant that book is looked at.
_FRESH = 1


def with_remedy(decision: Decision, refusal: Refusal, call: Call, terms: Terms, ask: Ask, urls: Urls) -> Decision:
    """Add what would help to a refusal: a plan or pack that is sold first, waiting where that is enough."""
    remedy = None
    if refusal.reason is Reason.INSUFFICIENT_CREDITS:
        pack = cheapest_pack(terms.policy, refusal.short, _currency(terms))
        remedy = pack and Remedy("pack", pack.id, pack.name, urls("pack", pack.id, terms.tenant))
    elif refusal.reason in _PLAN:
        plan = _upgrade(terms, call, ask, refusal.upgrade)
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


def _upgrade(terms: Terms, call: Call, ask: Ask, named: str | None) -> Plan | None:
    """Return the plan a limit names, else the cheapest on sale under which a new customer could make the call."""
    if named is not None and (plan := terms.policy.plans.get(named)) is not None:
        return plan
    current = terms.standing.plan.id if terms.standing.plan else ""
    meter = bool(call.meters and call.meters[0][1] == "")
    return _cheapest(terms.policy, current, call.name, meter, ask)


@lru_cache(maxsize=1024)
def _cheapest(policy: Policy, current: str, name: str, meter: bool, ask: Ask) -> Plan | None:  # noqa: FBT001  part of the key
    active = Subscription(None, "active", None, None, None, 0)
    sold = [plan for plan in policy.plans.values() if plan.status == "active" and plan.id != current]
    for plan in sorted(sold, key=lambda plan: (plan.price is None, plan.price or 0, plan.id)):
        terms = Terms(policy, "", active._replace(plan=plan.id))
        verdict = weigh(terms.call(name, meter=meter), Book(""), _FRESH, ask)
        if verdict.refusal is None or verdict.refusal.reason is Reason.INSUFFICIENT_CREDITS:
            return plan
    return None
