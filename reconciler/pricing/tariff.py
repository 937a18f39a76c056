"""What a plan or a tenant pays for what: the files' terms as rates in minor units of one currency."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from reconciler.config.models import BillingPlan, File, Overage, Price, Step, Tenant, UsageLine
from reconciler.config.models.offers import CreditTerms, CurrencyOption, PerCall, ReservedPrice
from reconciler.config.terms import plan_currency, sold, tenant_currency, through_spend
from reconciler.money import to_minor
from reconciler.pricing import calls as per_call
from reconciler.pricing.calls import Blocks, ByTool, CallPrices, CreditCosts
from reconciler.pricing.rating import ZERO, Bracket, Rate, flat


@dataclass(frozen=True, slots=True)
class Licensed:
    """A price paid for each period whatever is used, times a quantity: a plan's, or that of a reservation."""

    address: str
    rate: Rate
    interval: str
    interval_count: int


@dataclass(frozen=True, slots=True)
class Metered:
    """A usage line that sells units; ``spent`` ones are charged together, through the spend meter."""

    address: str
    rate: Rate
    spent: bool


@dataclass(frozen=True, slots=True)
class Tariff:
    """Everything that costs money, in one currency: licensed prices by address, usage by meter, calls, a least charge.

    ``minimum`` in minor units is the least usage charge of a month; zero is none.
    """

    currency: str
    licensed: Mapping[str, Licensed] = field(default_factory=dict)
    default: str | None = None
    usage: Mapping[str, Metered] = field(default_factory=dict)
    calls: CallPrices | None = None
    minimum: Decimal = ZERO
    trial_days: int = 0


def of_plan(file: File, plan_id: str, currency: str | None = None) -> Tariff:
    """Return a plan's tariff in its own currency or in one all its prices have; ``KeyError`` if one has not."""
    plan = file.plans[plan_id]
    chosen = currency or plan_currency(file, plan)
    return Tariff(
        chosen,
        {
            (address := f"plans.{plan_id}.prices.{name}"): Licensed(
                address, _price(file, plan, price, chosen), price.interval, price.interval_count
            )
            for name, price in plan.prices.items()
        },
        f"plans.{plan_id}.prices.{_default(plan)}" if plan.prices else None,
        {
            meter: Metered(f"plans.{plan_id}.usage.{meter}", rate, through_spend(file, plan, line))
            for meter, line in plan.usage.items()
            if (rate := _usage(file, line, plan_currency(file, plan), chosen)) is not None
        },
        call_prices(file, plan.per_call, chosen) if plan.per_call else None,
        to_minor(plan.minimum.per_month, chosen) if plan.minimum else ZERO,
        plan.trial_days or 0,
    )


def of_tenant(file: File, tenant_id: str) -> Tariff:
    """Return a tenant's tariff: its plan's, with the tenant's own usage lines in place of the plan's, and reservations.

    A tenant without a plan has its own lines alone, in its own currency.
    """
    tenant = file.tenants[tenant_id]
    base = of_plan(file, tenant.plan) if tenant.plan else Tariff(tenant_currency(file, tenant))
    own = {meter: _own(file, tenant_id, tenant, meter) for meter in tenant.usage}
    usage = {meter: line for meter, line in base.usage.items() if meter not in own}
    reserved = {
        (address := f"tenants.{tenant_id}.usage.{meter}.reserved_price"): _reserved(file, tenant, terms, address)
        for meter, line in tenant.usage.items()
        if (terms := line.reserved_price)
    }
    chosen = f"plans.{tenant.plan}.prices.{tenant.price}" if tenant.price else base.default
    return Tariff(
        base.currency,
        {**base.licensed, **reserved},
        chosen,
        {**usage, **{meter: line for meter, line in own.items() if line is not None}},
        base.calls,
        base.minimum,
        base.trial_days,
    )


def call_prices(file: File, terms: PerCall, currency: str) -> CallPrices:
    """Return prices per call in minor units, with the blocks the tools' quantities are counted in."""
    steps = terms.discounts.steps if terms.discounts else ()
    return CallPrices(
        ByTool(
            {tool: to_minor(price, currency) for tool, price in terms.tools.items()},
            None if terms.default is None else to_minor(terms.default, currency),
        ),
        ZERO if terms.minimum is None else to_minor(terms.minimum, currency),
        tuple(
            per_call.Step(
                None if step.up_to == "inf" else int(step.up_to),
                step.percent_off,
                None if step.unit_amount is None else to_minor(step.unit_amount, currency),
            )
            for step in steps
        ),
        terms.discounts.scope if terms.discounts else "tool",
        tool_blocks(file),
    )


def credit_costs(file: File, terms: CreditTerms) -> CreditCosts:
    """Return credits per call, with the blocks the tools' quantities are counted in."""
    return CreditCosts(ByTool(terms.tools, terms.default), tool_blocks(file))


def tool_blocks(file: File) -> ByTool[Blocks]:
    """Return the blocks in which a call's quantity is counted, by tool or glob."""
    listed = {
        name: Blocks(tool.quantity.per, tool.quantity.round) if tool.quantity else Blocks()
        for name, tool in file.tools.items()
    }
    return ByTool(listed, Blocks())


def _default(plan: BillingPlan) -> str:
    return plan.default_price or next(iter(plan.prices))


def _price(file: File, plan: BillingPlan, price: Price, currency: str) -> Rate:
    own = price.currency or plan_currency(file, plan)
    if price.tiers:
        return _table(file, price.tiers, own, currency, included=0)
    amount = price.amount if currency == own else _option(price.currency_options[currency])
    rate = flat(ZERO if amount is None else to_minor(amount, currency))
    if price.transform_quantity is None:
        return rate
    return Rate(rate.brackets, package=price.transform_quantity.divide_by, round=price.transform_quantity.round)


def _option(option: Decimal | CurrencyOption) -> Decimal | None:
    return option if isinstance(option, Decimal) else option.unit_amount


def _table(file: File, table: str, own: str, currency: str, *, included: int) -> Rate:
    tier = file.tiers[table]
    steps = tier.steps if currency == (tier.currency or own) else tier.currency_options[currency]
    return Rate(tuple(_bracket(step, currency) for step in steps), tier.mode, included)


def _bracket(step: Step, currency: str) -> Bracket:
    return Bracket(
        None if step.up_to == "inf" else int(step.up_to),
        to_minor(step.unit_amount or ZERO, currency),
        to_minor(step.flat_amount or ZERO, currency),
    )


def _usage(file: File, line: UsageLine, own: str, currency: str) -> Rate | None:
    """Return what units of a line cost; ``None`` where none are sold for money."""
    overage = sold(line)
    if overage is None:
        return None
    if overage.tiers:
        return _table(file, overage.tiers, own, currency, included=line.included)
    return _units(overage, line.included, own, currency)


def _units(overage: Overage, included: int, own: str, currency: str) -> Rate:
    amount = overage.unit_amount if currency == own else overage.currency_options[currency]
    packs = overage.transform_quantity
    return Rate(
        (Bracket(None, ZERO if amount is None else to_minor(amount, currency)),),
        included=included,
        package=packs.divide_by if packs else 1,
        round=packs.round if packs else "up",
    )


def _own(file: File, tenant_id: str, tenant: Tenant, meter: str) -> Metered | None:
    line, currency = tenant.usage[meter], tenant_currency(file, tenant)
    rate = _usage(file, line, currency, currency)
    plan = file.plans[tenant.plan] if tenant.plan else None
    address = f"tenants.{tenant_id}.usage.{meter}"
    return None if rate is None else Metered(address, rate, through_spend(file, plan, line))


def _reserved(file: File, tenant: Tenant, terms: ReservedPrice, address: str) -> Licensed:
    currency = terms.currency or tenant_currency(file, tenant)
    return Licensed(address, flat(to_minor(terms.amount, currency)), terms.interval, terms.interval_count)
