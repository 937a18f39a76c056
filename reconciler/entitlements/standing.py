"""Who a tenant is to the runtime: the plan it has, or why it has none, from the files and its subscription."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from reconciler.entitlements.decision import Reason
from reconciler.entitlements.policy import Plan, Policy, Tenant

#: https://docs.stripe.com/api/subscriptions/object#subscription_object-status: those that entitle at any time.
ENTITLED = frozenset({"active", "trialing"})
STATUSES = ENTITLED | {"past_due", "canceled", "unpaid", "paused", "incomplete", "incomplete_expired"}
_DAY = 86_400_000_000


class Subscription(NamedTuple):
    """What is known of a tenant's subscription; ``since`` is when it came to its status. Instants in microseconds."""

    plan: str | None
    status: str
    start: int | None
    end: int | None
    anchor: int | None
    since: int


class Standing(NamedTuple):
    """A tenant's plan and own terms; ``refused`` where it may call nothing, from ``until`` on if that is set."""

    plan: Plan | None
    tenant: Tenant | None
    refused: Reason | None = None
    until: int | None = None
    source: str = ""


def subscription_of(facts: Mapping[str, Any]) -> Subscription | None:
    """Return the subscription a book keeps."""
    kept = facts.get("subscription")
    return None if kept is None else Subscription(*kept)


def standing(policy: Policy, tenant_id: str, subscription: Subscription | None) -> Standing:
    """Return what a tenant has by the files and its subscription.

    A subscription goes before the files. Failed payments are forgiven for the days of grace; a canceled subscription
    falls back to the default plan, if there is one.
    """
    tenant = policy.tenants.get(tenant_id)
    if subscription is None:
        return _by_files(policy, tenant)
    plan = policy.plans.get(subscription.plan or "") or policy.plans.get(tenant.plan or "" if tenant else "")
    source = plan.source if plan else ""
    if subscription.status in ENTITLED and (plan or tenant):
        return Standing(plan, tenant, source=source)
    if subscription.status == "past_due" and (plan or tenant):
        return Standing(plan, tenant, None, subscription.since + policy.grace_days * _DAY, source)
    default = policy.plans.get(policy.default_plan or "")
    if default and subscription.status in {"canceled", "incomplete_expired"}:
        return Standing(default, tenant, source=default.source)
    return Standing(plan, tenant, Reason.SUBSCRIPTION_INACTIVE, source=source)


def _by_files(policy: Policy, tenant: Tenant | None) -> Standing:
    if tenant is not None:
        return Standing(policy.plans.get(tenant.plan or ""), tenant, source=tenant.source)
    default = policy.plans.get(policy.default_plan or "")
    if default is None:
        return Standing(None, None, Reason.UNKNOWN_TENANT)
    return Standing(default, None, source=default.source)
