"""What a tenant's subscription is made of, as the files say it: its items and their quantities."""

from collections.abc import Iterator
from typing import NamedTuple

from reconciler.config.models import BillingPlan, File, Tenant, UsageLine
from reconciler.config.terms import paid_price, sold, spends, tenant_plan, tenant_spends, through_spend


class Item(NamedTuple):
    """One price of a subscription, by address: how many (None: metered), and whom a change of the price reaches."""

    address: str
    quantity: int | None
    on_change: str = "grandfather"


def subscription_items(file: File, tenant_id: str) -> list[Item]:
    """Return the items of a tenant's subscription; its own usage lines stand in place of its plan's."""
    tenant = file.tenants[tenant_id]
    plan = tenant_plan(file, tenant)
    found = list(_of_plan(file, tenant, plan)) if plan else []
    found += _own(file, tenant_id, tenant, plan)
    return found


def _of_plan(file: File, tenant: Tenant, plan: BillingPlan) -> Iterator[Item]:
    name = paid_price(plan, tenant)
    if name is not None:
        quantity = tenant.subscription.quantity if tenant.subscription else 1
        yield Item(f"plans.{tenant.plan}.prices.{name}", quantity, plan.prices[name].on_change)
    for meter, line in plan.usage.items():
        if meter not in tenant.usage and (item := _metered(file, f"plans.{tenant.plan}.usage.{meter}", line, plan)):
            yield item
    if spends(file, plan):
        yield Item(f"plans.{tenant.plan}.spend", None, plan.minimum.on_change if plan.minimum else "grandfather")


def _own(file: File, tenant_id: str, tenant: Tenant, plan: BillingPlan | None) -> Iterator[Item]:
    """Yield a tenant's own prices: where they do not say otherwise they change as its subscription does.

    Nobody but the tenant pays them, so a successor that it is kept from would be a price of nobody.
    """
    own = tenant.subscription.on_change if tenant.subscription else "now_prorated"
    for meter, line in tenant.usage.items():
        address = f"tenants.{tenant_id}.usage.{meter}"
        if item := _metered(file, address, line, plan):
            said = line.overage != "deny" and "on_change" in line.overage.model_fields_set
            yield item if said else item._replace(on_change=own)
        if (reserved := line.reserved_price) is not None:
            said = "on_change" in reserved.model_fields_set
            yield Item(f"{address}.reserved_price", 1, reserved.on_change if said else own)
    if tenant_spends(file, tenant):
        yield Item(f"tenants.{tenant_id}.spend", None)


def _metered(file: File, address: str, line: UsageLine, plan: BillingPlan | None) -> Item | None:
    overage = sold(line)
    if overage is None or through_spend(file, plan, line):
        return None
    return Item(address, None, overage.on_change)
