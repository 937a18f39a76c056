"""What a plan or a tenant pays for what: the files' terms as rates in minor units of one currency."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from reconciler.config.models import BillingPlan, File, Overage, Price, Step, Tenant, UsageLine
from reconciler.config.models.offers import CreditTerms, CurrencyOption, PerCall
from reconciler.config.terms import (
    billing_currencies,
    paid_price,
    plan_currency,
    price_currency,
    recurring,
    shown_price,
    sold,
    spends,
    tenant_currency,
    tenant_plan,
    tenant_spends,
    through_spend,
)
from reconciler.money import to_minor
from reconciler.pricing import calls as per_call
from reconciler.pricing.calls import Blocks, ByTool, CallPrices, CreditCosts
from reconciler.pricing.rating import ZERO, Bracket, Rate, flat


class NotOfferedError(LookupError):
    """Something is not sold in a currency."""


@dataclass(frozen=True, slots=True)
class Licensed:
    """A price paid for each interval whatever is used, times a quantity: a plan's, or that of a reservation.

    ``product`` is the address of what it is a price of, ``name`` what people call it. ``interval`` may be ``once``.
    """

    address: str
    product: str
    name: str
    rate: Rate
    interval: str
    interval_count: int


@dataclass(frozen=True, slots=True)
class Metered:
    """A usage line that sells units; ``spent`` ones are charged together, through the spend meter."""

    address: str
    product: str
    name: str
    rate: Rate
    interval: str
    interval_count: int
    spent: bool


@dataclass(frozen=True, slots=True)
class Spend:
    """What is charged together each month: calls, units that no price alone can sell, and the least charge for all.

    ``minimum`` is the least usage charge in minor units; zero is none.
    """

    address: str
    product: str
    name: str
    calls: CallPrices | None = None
    minimum: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Tariff:
    """Everything that costs money, in one currency: prices, reservations, usage by meter, and what is spent together.

    ``prices`` are the plan's by address; ``chosen`` is the one that is paid, ``quantity`` times.
    """

    currency: str
    prices: Mapping[str, Licensed] = field(default_factory=dict)
    chosen: str | None = None
    quantity: int = 1
    reserved: tuple[Licensed, ...] = ()
    usage: Mapping[str, Metered] = field(default_factory=dict)
    spend: Spend | None = None
    trial_days: int = 0

    def addresses(self) -> tuple[str, ...]:
        """Return the addresses of the prices that one subscription to it has as its items."""
        metered = [line.address for line in self.usage.values() if not line.spent]
        chosen = [self.chosen] if self.chosen else []
        spend = [self.spend.address] if self.spend else []
        return (*chosen, *(each.address for each in self.reserved), *metered, *spend)


def of_plan(file: File, plan_id: str, currency: str | None = None, price: str | None = None) -> Tariff:
    """Return a plan's tariff in its own currency, or in one that is named; ``price`` is the id of the one that is paid.

    Prices without the currency are left out; :class:`NotOfferedError` where the plan cannot be sold in it.
    """
    plan = file.plans[plan_id]
    name = price or shown_price(plan) or next(iter([*recurring(plan), *plan.prices]), None)
    return _of_plan(file, plan_id, name, currency or price_currency(file, plan, name))


def _of_plan(file: File, plan_id: str, name: str | None, code: str) -> Tariff:
    plan = file.plans[plan_id]
    prices = dict(_prices(file, plan_id, plan, code))
    chosen = f"plans.{plan_id}.prices.{name}" if name else None
    if chosen and chosen not in prices:
        raise NotOfferedError(f"{chosen} is not sold in {code}")
    usage = {
        meter: Metered(
            f"plans.{plan_id}.usage.{meter}",
            f"plans.{plan_id}",
            file.meters[meter].name,
            rate,
            line.interval,
            line.interval_count,
            through_spend(file, plan, line),
        )
        for meter, line in plan.usage.items()
        if (rate := _usage(file, line, plan_currency(file, plan), code)) is not None
    }
    spend = _spend(file, plan_id, plan, code) if spends(file, plan) else None
    return Tariff(code, prices, chosen, 1, (), usage, spend, plan.trial_days or 0)


def of_tenant(file: File, tenant_id: str, plan: str | None = None, price: str | None = None) -> Tariff:
    """Return a tenant's tariff: its plan's, with the tenant's own usage lines in place of the plan's, and reservations.

    ``plan`` and ``price`` are what it has subscribed to, where that is not what the files say; a tenant that is not in
    the files has the default plan. KeyError where there is none, or no such plan or recurring price. The tariff is in
    the tenant's currency, else in that of its own usage or of its price, whichever all of it is sold in first.
    """
    tenant = file.tenants.get(tenant_id) or _stranger(file, tenant_id, plan)
    if plan is not None or price is not None:
        tenant = _subscribed(file, tenant, plan or tenant.plan or "", price)
    problems = []
    for code in billing_currencies(file, tenant):
        try:
            return _of_tenant(file, tenant_id, tenant, code)
        except NotOfferedError as problem:
            problems.append(problem)
    raise problems[0]


def _stranger(file: File, tenant_id: str, plan: str | None) -> Tenant:
    given = plan or (file.settings.default_plan if file.settings else None)
    if given is None:
        raise KeyError(tenant_id)
    # Named after its plan: an id in the ledger may be longer than a name in the files.
    return Tenant(name=given, plan=given)


def _subscribed(file: File, tenant: Tenant, plan: str, price: str | None) -> Tenant:
    if plan not in file.plans:
        raise KeyError(plan)
    if price is not None and price not in recurring(file.plans[plan]):
        raise KeyError(price)
    return tenant.model_copy(update={"plan": plan, "price": price})


def _of_tenant(file: File, tenant_id: str, tenant: Tenant, code: str) -> Tariff:
    plan = tenant_plan(file, tenant)
    base = _of_plan(file, tenant.plan, paid_price(plan, tenant), code) if plan and tenant.plan else Tariff(code)
    usage = {meter: line for meter, line in base.usage.items() if meter not in tenant.usage}
    reserved = []
    for meter, terms in tenant.usage.items():
        address, product = f"tenants.{tenant_id}.usage.{meter}", f"meters.{meter}.product"
        name, own = file.meters[meter].name, tenant_currency(file, tenant)
        rate = _usage(file, terms, own, code)
        if rate is not None:
            spent = through_spend(file, plan, terms)
            usage[meter] = Metered(address, product, name, rate, terms.interval, terms.interval_count, spent)
        if price := terms.reserved_price:
            amount = _in(price.amount, price.currency or own, {}, code)
            reserved.append(
                Licensed(
                    f"{address}.reserved_price",
                    product,
                    f"{name}, {terms.included:,} reserved",
                    flat(to_minor(amount, code)),
                    price.interval,
                    price.interval_count,
                )
            )
    spend = base.spend
    if tenant_spends(file, tenant):
        spend = Spend(f"tenants.{tenant_id}.spend", f"meters.spend.{code}.product", "Usage charges")
    sold_as = tenant.subscription
    return replace(
        base,
        quantity=sold_as.quantity if sold_as else 1,
        reserved=tuple(reserved),
        usage=usage,
        spend=spend,
        trial_days=(sold_as.trial_days if sold_as else None) or base.trial_days,
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


def _prices(file: File, plan_id: str, plan: BillingPlan, code: str) -> Iterable[tuple[str, Licensed]]:
    for name, price in plan.prices.items():
        address = f"plans.{plan_id}.prices.{name}"
        try:
            rate = _price(file, price, price.currency or plan_currency(file, plan), code)
        except NotOfferedError:
            continue
        product, label = f"plans.{plan_id}", f"{plan.name}, {name}"
        yield address, Licensed(address, product, label, rate, price.interval, price.interval_count)


def _price(file: File, price: Price, own: str, code: str) -> Rate:
    if price.tiers:
        return _table(file, price.tiers, own, code, included=0)
    rate = flat(to_minor(_in(price.amount, own, price.currency_options, code), code))
    if price.transform_quantity is None:
        return rate
    return Rate(rate.brackets, package=price.transform_quantity.divide_by, round=price.transform_quantity.round)


def _in(amount: Decimal | None, own: str, options: Mapping[str, Decimal | CurrencyOption], code: str) -> Decimal:
    """Return an amount in a currency, its own or one of its options; what customers choose themselves is zero."""
    if code == own:
        return amount or ZERO
    if code not in options:
        raise NotOfferedError(f"this is sold in {own}, not in {code}")
    option = options[code]
    return (option.unit_amount if isinstance(option, CurrencyOption) else option) or ZERO


def _table(file: File, table: str, own: str, code: str, *, included: int) -> Rate:
    tier = file.tiers[table]
    steps = tier.steps if code == own else tier.currency_options.get(code)
    if steps is None:
        raise NotOfferedError(f"tiers.{table} has no amounts in {code}")
    return Rate(tuple(_bracket(step, code) for step in steps), tier.mode, included)


def _bracket(step: Step, code: str) -> Bracket:
    return Bracket(
        None if step.up_to == "inf" else int(step.up_to),
        to_minor(step.unit_amount or ZERO, code),
        to_minor(step.flat_amount or ZERO, code),
    )


def _usage(file: File, line: UsageLine, own: str, code: str) -> Rate | None:
    """Return what units of a line cost; ``None`` where none are sold for money."""
    overage = sold(line)
    if overage is None:
        return None
    if overage.tiers:
        return _table(file, overage.tiers, own, code, included=line.included)
    return _units(overage, line.included, own, code)


def _units(overage: Overage, included: int, own: str, code: str) -> Rate:
    amount = _in(overage.unit_amount, own, overage.currency_options, code)
    packs = overage.transform_quantity
    return Rate(
        (Bracket(None, to_minor(amount, code)),),
        included=included,
        package=packs.divide_by if packs else 1,
        round=packs.round if packs else "up",
    )


def _spend(file: File, plan_id: str, plan: BillingPlan, code: str) -> Spend:
    """Return what a plan charges through its spend price, which has the plan's own currency alone."""
    if code != plan_currency(file, plan):
        raise NotOfferedError(f"plans.{plan_id} is charged in {plan_currency(file, plan)}, not in {code}")
    calls = call_prices(file, plan.per_call, code) if plan.per_call else None
    minimum = to_minor(plan.minimum.per_month, code) if plan.minimum else ZERO
    return Spend(f"plans.{plan_id}.spend", f"plans.{plan_id}", plan.name, calls, minimum)
