"""What a tenant's subscription is made of, as the files say it: items, their quantities, the one currency of all."""

from collections.abc import Iterator
from typing import NamedTuple

from reconciler.config.models import BillingPlan, File, Price, Tenant, UsageLine
from reconciler.config.terms import (
    default_currency,
    plan_currency,
    recurring,
    sold,
    spends,
    tenant_currency,
    tenant_plan,
    tenant_spends,
    through_spend,
)


class Item(NamedTuple):
    """One price of a subscription, by address: how many (None: metered), and whom a change of the price reaches."""

    address: str
    quantity: int | None
    on_change: str = "grandfather"


def paid_price(plan: BillingPlan, tenant: Tenant) -> str | None:
    """Return the price a tenant pays: its own choice, the plan's default one, or the first, of those that recur."""
    several = recurring(plan)
    return next((name for name in (tenant.price, plan.default_price, *several) if name in several), None)


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
    for meter, line in tenant.usage.items():
        address = f"tenants.{tenant_id}.usage.{meter}"
        if item := _metered(file, address, line, plan):
            yield item
        if line.reserved_price:
            yield Item(f"{address}.reserved_price", 1, line.reserved_price.on_change)
    if tenant_spends(file, tenant):
        yield Item(f"tenants.{tenant_id}.spend", None)


def _metered(file: File, address: str, line: UsageLine, plan: BillingPlan | None) -> Item | None:
    overage = sold(line)
    if overage is None or through_spend(file, plan, line):
        return None
    return Item(address, None, overage.on_change)


def subscription_currency(file: File, tenant: Tenant) -> str:
    """Return the currency a tenant is billed in: its own, that of its usage, or that of the price it pays."""
    plan = tenant_plan(file, tenant)
    if tenant.currency or plan is None:
        return tenant_currency(file, tenant)
    price = plan.prices.get(paid_price(plan, tenant) or "")
    own = (price.currency if price else None) or plan_currency(file, plan)
    ours = default_currency(file)
    return ours if tenant.usage and price is not None and _sold_in(file, price, own, ours) else own


def _sold_in(file: File, price: Price, own: str, currency: str) -> bool:
    table = file.tiers.get(price.tiers or "")
    return currency == own or currency in (table.currency_options if table else price.currency_options)
