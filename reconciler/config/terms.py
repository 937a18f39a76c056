"""What the terms of the language mean, as far as validation needs it: which lines are sold, through which price."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from reconciler.config.models import BillingPlan, File, Overage, PaymentLink, Price, Tenant, UsageLine
from reconciler.config.models.selling import LinkItem
from reconciler.config.source import Path_


def sold(line: UsageLine) -> Overage | None:
    """Return the overage of a line that sells units beyond the included ones for money."""
    overage = line.overage
    return overage if isinstance(overage, Overage) and overage.credits is None else None


def beyond_one_price(file: File, line: UsageLine) -> bool:
    """Tell whether a line cannot be one Stripe price: volume brackets or packages behind included units."""
    overage = sold(line)
    if overage is None or not line.included:
        return False
    table = file.tiers.get(overage.tiers or "")
    return overage.transform_quantity is not None or (table is not None and table.mode == "volume")


def through_spend(file: File, plan: BillingPlan | None, line: UsageLine) -> bool:
    """Tell whether a line is charged through the spend meter; a plan's minimum draws every line there."""
    drawn = plan is not None and plan.minimum is not None
    return sold(line) is not None and (drawn or beyond_one_price(file, line))


def spends(file: File, plan: BillingPlan) -> bool:
    """Tell whether a plan charges anything through the spend meter."""
    lines = plan.usage.values()
    return plan.per_call is not None or plan.minimum is not None or any(beyond_one_price(file, line) for line in lines)


def shown_price(plan: BillingPlan) -> str | None:
    """Return the default price of a plan where it is one of its prices, and not that of a usage line."""
    return plan.default_price if plan.default_price in plan.prices else None


def tenant_plan(file: File, tenant: Tenant) -> BillingPlan | None:
    """Return the plan of a tenant, if it has one that is defined."""
    return file.plans.get(tenant.plan or "")


def tenant_spends(file: File, tenant: Tenant) -> bool:
    """Tell whether a tenant has a spend price of its own, one for all its lines that need it.

    A spend price bills everything its meter counts of a customer, so beside that of the tenant's plan there is none.
    """
    plan = tenant_plan(file, tenant)
    if plan is not None and spends(file, plan):
        return False
    return any(beyond_one_price(file, line) for line in tenant.usage.values())


def recurring(plan: BillingPlan) -> dict[str, Price]:
    """Return the prices of a plan that a subscription can have."""
    return {name: price for name, price in plan.prices.items() if price.interval != "once"}


def is_glob(pattern: str) -> bool:
    """Tell whether a tool pattern can match several tools."""
    return "*" in pattern or "?" in pattern


def allows(patterns: Collection[str] | None, tool: str) -> bool:
    """Tell whether a list of tool patterns allows a tool; no list allows every tool."""
    return patterns is None or any(fnmatchcase(tool, pattern) for pattern in patterns)


def plan_currency(file: File, plan: BillingPlan) -> str:
    """Return the currency a plan is sold in unless a price says otherwise."""
    return plan.currency or default_currency(file)


def tenant_currency(file: File, tenant: Tenant) -> str:
    """Return the currency of a tenant's own usage."""
    return tenant.currency or default_currency(file)


def paid_price(plan: BillingPlan, tenant: Tenant) -> str | None:
    """Return the price a tenant pays: its own choice, the plan's default one, or the first, of those that recur."""
    several = recurring(plan)
    return next((name for name in (tenant.price, plan.default_price, *several) if name in several), None)


def price_currency(file: File, plan: BillingPlan, price: str | None) -> str:
    """Return the own currency of a price of a plan, or of the plan where there is none."""
    return (plan.prices[price].currency if price else None) or plan_currency(file, plan)


def billing_currencies(file: File, tenant: Tenant) -> list[str]:
    """Return what a tenant may be billed in, best first: its currency, else that of own usage, or of its price."""
    plan = tenant_plan(file, tenant)
    if tenant.currency or plan is None:
        return [tenant_currency(file, tenant)]
    paid = price_currency(file, plan, paid_price(plan, tenant))
    return list(dict.fromkeys([default_currency(file), paid] if tenant.usage else [paid]))


def default_currency(file: File) -> str:
    """Return the currency wherever none is written."""
    return file.settings.currency if file.settings else "usd"


@dataclass(frozen=True, slots=True)
class Line:
    """A usage line with its path, its currency, and the plan it belongs to, or whose subscriber it is of."""

    path: Path_
    terms: UsageLine
    currency: str
    plan: BillingPlan | None


def lines(file: File) -> Iterator[Line]:
    """Yield the usage lines of plans and tenants."""
    for name, plan in file.plans.items():
        for meter, terms in plan.usage.items():
            yield Line(("plans", name, "usage", meter), terms, plan_currency(file, plan), plan)
    for name, tenant in file.tenants.items():
        for meter, terms in tenant.usage.items():
            path = ("tenants", name, "usage", meter)
            yield Line(path, terms, tenant_currency(file, tenant), tenant_plan(file, tenant))


@dataclass(frozen=True, slots=True)
class Sale:
    """A price that a payment link sells: its address, the item it is sold for, how many, and interval with count.

    ``quantity`` is None for what is metered, ``every`` for what is paid once.
    """

    address: str
    item: int
    quantity: int | None
    every: tuple[str, int] | None


def sales(file: File, link: PaymentLink) -> Iterator[Sale]:
    """Yield what a payment link sells: of a plan, beside the price, what its subscribers' usage is charged by."""
    for index, item in enumerate(link.items):
        plan, tenant = file.plans.get(item.plan or ""), file.tenants.get(item.tenant or "")
        if plan is not None:
            yield from _plan_sales(file, plan, item, index)
        elif item.pack is not None:
            yield Sale(f"credit_packs.{item.pack}.price", index, item.quantity, None)
        elif tenant is not None and (line := tenant.usage.get(item.reserved or "")) and line.reserved_price:
            every = (line.reserved_price.interval, line.reserved_price.interval_count)
            address = f"tenants.{item.tenant}.usage.{item.reserved}.reserved_price"
            yield Sale(address, index, item.quantity, every)


def _plan_sales(file: File, plan: BillingPlan, item: LinkItem, index: int) -> Iterator[Sale]:
    name = item.price or plan.default_price or ""
    price = plan.prices.get(name)
    if price is None:
        return
    once = price.interval == "once"
    every = None if once else (price.interval, price.interval_count)
    yield Sale(f"plans.{item.plan}.prices.{name}", index, item.quantity, every)
    if once:
        return
    for meter, line in plan.usage.items():
        if sold(line) is not None and not through_spend(file, plan, line):
            yield Sale(f"plans.{item.plan}.usage.{meter}", index, None, (line.interval, line.interval_count))
    if spends(file, plan):
        yield Sale(f"plans.{item.plan}.spend", index, None, ("month", 1))


def link_trial(file: File, link: PaymentLink) -> int | None:
    """Return the days of trial of what a link sells: its plan's, where all of it that recurs is of one plan."""
    recurring_items = {link.items[sale.item].plan for sale in sales(file, link) if sale.every}
    plan = file.plans.get(recurring_items.pop() or "") if len(recurring_items) == 1 else None
    return plan.trial_days if plan else None


def table_uses(file: File) -> Iterator[tuple[Path_, str, str]]:
    """Yield, for every use of a table of tiers, where it is named, its id, and the currency of the price."""
    for name, plan in file.plans.items():
        for price_id, price in plan.prices.items():
            if price.tiers:
                yield (
                    ("plans", name, "prices", price_id, "tiers"),
                    price.tiers,
                    price.currency or plan_currency(file, plan),
                )
    for line in lines(file):
        if line.terms.overage != "deny" and line.terms.overage.tiers:
            yield (*line.path, "overage", "tiers"), line.terms.overage.tiers, line.currency


def table_currencies(file: File) -> dict[str, set[str]]:
    """Return, by table of tiers, the currencies its amounts are in: its own, or those of the prices that use it."""
    found = {name: {table.currency} if table.currency else set() for name, table in file.tiers.items()}
    for _, name, currency in table_uses(file):
        if name in file.tiers and not file.tiers[name].currency:
            found[name].add(currency)
    return {name: currencies or {default_currency(file)} for name, currencies in found.items()}
