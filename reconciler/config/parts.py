"""What one subscription holds together: a plan's price, its usage lines, a tenant's own terms."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from reconciler.config.models import BillingPlan, File, Overage, Price, Tenant, Tier, UsageLine
from reconciler.config.source import Path_
from reconciler.config.terms import (
    billing_currencies,
    paid_price,
    plan_currency,
    recurring,
    sold,
    spends,
    tenant_currency,
    tenant_plan,
    through_spend,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One price of a subscription: where it stands, the currencies it has, its interval (none for one-time prices).

    ``metered`` ones bill what was used, ``spend`` ones through the spend meter, of which a subscription has one. A path
    may be that of a currency alone, which is no price.
    """

    path: Path_
    currencies: frozenset[str]
    interval: str | None
    count: int = 1
    metered: bool = False
    spend: bool = False


def subscriptions(file: File) -> Iterator[list[Part]]:
    """Yield every way to combine parts: the price and what comes with it, of each plan and of each tenant."""
    for name, plan in file.plans.items():
        yield from _combined(_prices(file, name, plan), _metered(file, name, plan))
    for name, tenant in file.tenants.items():
        chosen = [part for part in _of_plan(file, tenant) if tenant.price in (None, part.path[3])]
        own = list(_own(file, name, tenant))
        if own:
            yield from _combined(chosen, [*_shared(file, tenant), *own])


def tenant_parts(file: File, name: str) -> list[Part]:
    """Return the prices of one tenant's subscription: what it pays of its plan, and what it has of its own."""
    tenant = file.tenants[name]
    plan = tenant_plan(file, tenant)
    paid = paid_price(plan, tenant) if plan else None
    chosen = [part for part in _of_plan(file, tenant) if part.path[3] == paid]
    own = [part for part in _own(file, name, tenant) if part.path[2] != "currency"]
    metered = [*_shared(file, tenant), *own]
    spent = [part for part in metered if part.spend][1:]
    return [part for part in [*chosen, *metered] if part not in spent]


def billed_currency(file: File, name: str) -> str:
    """Return the currency a tenant is billed in: the first it may be billed in that all it pays is sold in."""
    return currency_of(file, file.tenants[name], tenant_parts(file, name))


def currency_of(file: File, tenant: Tenant, parts: Sequence[Part]) -> str:
    """Return the same where the prices are at hand."""
    tried = billing_currencies(file, tenant)
    return next((code for code in tried if all(code in part.currencies for part in parts)), tried[0])


def price_currencies(file: File, price: Price, plan: BillingPlan) -> frozenset[str]:
    """Return the currencies a price of a plan is sold in."""
    return frozenset(
        {price.currency or plan_currency(file, plan), *price.currency_options, *_table_options(file, price.tiers)}
    )


def _combined(prices: Iterable[Part], lines: Iterable[Part]) -> Iterator[list[Part]]:
    along = list(lines)
    firsts = [[part] for part in prices] or [[]]
    yield from ([*first, *along] for first in firsts)


def _of_plan(file: File, tenant: Tenant) -> Iterator[Part]:
    plan = tenant_plan(file, tenant)
    if plan is not None:
        yield from _prices(file, tenant.plan or "", plan)


def _shared(file: File, tenant: Tenant) -> Iterator[Part]:
    """Yield what a tenant's usage is charged by as that of every subscriber of its plan."""
    plan = tenant_plan(file, tenant)
    if plan is not None:
        yield from _metered(file, tenant.plan or "", plan, tenant.usage)


def _prices(file: File, name: str, plan: BillingPlan) -> Iterator[Part]:
    for price_id, price in recurring(plan).items():
        yield Part(
            ("plans", name, "prices", price_id),
            price_currencies(file, price, plan),
            price.interval,
            price.interval_count,
        )


def _metered(file: File, name: str, plan: BillingPlan, replaced: Collection[str] = ()) -> Iterator[Part]:
    currency = plan_currency(file, plan)
    for meter, line in plan.usage.items():
        if meter not in replaced and sold(line) is not None and not through_spend(file, plan, line):
            yield _line(file, ("plans", name, "usage", meter), line, currency)
    if spends(file, plan):
        yield Part(_spend_path(file, name, plan), frozenset({currency}), "month", metered=True, spend=True)


def _spend_path(file: File, name: str, plan: BillingPlan) -> Path_:
    """Return what makes a plan charge through the spend meter, which is monthly and has one currency."""
    if plan.per_call is not None:
        return "plans", name, "per_call"
    if plan.minimum is not None:
        return "plans", name, "minimum"
    return next(
        ("plans", name, "usage", meter) for meter, line in plan.usage.items() if through_spend(file, plan, line)
    )


def _own(file: File, name: str, tenant: Tenant) -> Iterator[Part]:
    """Yield the prices of a tenant's own, and its currency where none of them is sold in it."""
    found = list(_own_prices(file, name, tenant))
    if tenant.currency is not None and not any(tenant.currency in part.currencies for part in found):
        yield Part(("tenants", name, "currency"), frozenset({tenant.currency}), None)
    yield from found


def _own_prices(file: File, name: str, tenant: Tenant) -> Iterator[Part]:
    currency, plan = tenant_currency(file, tenant), tenant_plan(file, tenant)
    for meter, line in tenant.usage.items():
        path = ("tenants", name, "usage", meter)
        if line.reserved_price is not None:
            reserved = line.reserved_price
            yield Part(
                (*path, "reserved_price"),
                frozenset({reserved.currency or currency}),
                reserved.interval,
                reserved.interval_count,
            )
        if through_spend(file, plan, line):
            yield Part(path, frozenset({currency}), "month", metered=True, spend=True)
        elif sold(line) is not None:
            yield _line(file, path, line, currency)


def _line(file: File, path: Path_, line: UsageLine, currency: str) -> Part:
    overage = line.overage
    options = (
        {*overage.currency_options, *_table_options(file, overage.tiers)} if isinstance(overage, Overage) else set()
    )
    return Part(path, frozenset({currency, *options}), line.interval, line.interval_count, metered=True)


def _table_options(file: File, table: str | None) -> Sequence[str]:
    target: Tier | None = file.tiers.get(table or "")
    return tuple(target.currency_options) if target else ()
