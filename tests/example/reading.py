"""Read figures back from the loaded files, in the vocabulary of the known cases."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from reconciler.config.catalog import Catalog
from reconciler.config.models import BillingPlan, CreditPack, File, Overage, Step, Tenant, UsageLine
from reconciler.config.models.offers import CreditTerms, DiscountStep, Minimum, PerCall
from reconciler.config.models.offers import Limit as LimitModel
from reconciler.config.models.selling import LinkItem
from reconciler.config.models.usage import Quantity

from .figures import INF, Block, Break, Calls, Costs, Figures, Least, Limit, Line, Pack, Plan, Subscriber, Units

MINOR_DIGITS = {"usd": 2, "jpy": 0}


def minor(amount: Decimal, currency: str = "usd") -> str:
    """Write an amount in minor units, plain: ``0.0008`` usd is ``"0.08"``."""
    text = f"{amount.scaleb(MINOR_DIGITS[currency]):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def node(file: File, address: str) -> Any:
    """Return what stands at an address such as ``plans.pro.limits.0`` in the files."""
    here: Any = file
    for name in address.split("."):
        if isinstance(here, Mapping):
            here = here[name]
        else:
            here = here[int(name)] if isinstance(here, tuple) else getattr(here, name)
    return here


def read(catalog: Catalog, address: str) -> Figures:
    """Return the figures at an address."""
    file = catalog.file
    match node(file, address):
        case BillingPlan() as plan:
            price = minor(plan.prices["monthly"].amount) if plan.prices else ""
            return Plan(price, plan.trial_days, plan.features, plan.tools)
        case UsageLine() as line:
            return units(file, line)
        case LimitModel() as limit:
            return Limit(**limit.model_dump())
        case PerCall() as terms:
            return calls(terms, node(file, address.removesuffix(".per_call")).currency or "usd")
        case Minimum() as minimum:
            return Least(minor(minimum.per_month))
        case CreditPack() as pack:
            return Pack(int(pack.credits), minor(pack.price), int(pack.bonus), pack.expires_after)
        case CreditTerms() as terms:
            return costs(terms)
        case Quantity() as quantity:
            return Block(quantity.source, quantity.per, quantity.round)
        case Tenant() as tenant:
            return Subscriber(tenant.plan)
        case LinkItem() as item:
            return Line(link_price(file, item), item.quantity)
    raise AssertionError(f"nothing known stands at {address}")


def units(file: File, line: UsageLine) -> Units:
    """Read a usage line; a table of brackets is looked up."""
    if not isinstance(line.overage, Overage):
        assert line.per == "month"
        return Units(line.included, resets_on=line.resets_on)
    table = file.tiers[line.overage.tiers] if line.overage.tiers else None
    steps = table.steps if table else (Step(up_to=INF, unit_amount=line.overage.unit_amount),)
    mode = table.mode if table else "graduated"
    return Units(line.included, tuple((step.up_to, minor(step.unit_amount)) for step in steps), mode)


def calls(terms: PerCall, currency: str) -> Calls:
    """Read prices per call; bounds of discounts are read as "after"."""
    steps = terms.discounts.steps if terms.discounts else ()
    if steps:
        assert (steps[0].percent_off, steps[0].unit_amount, steps[-1].up_to) == (None, None, INF)
    return Calls(
        {tool: minor(price, currency) for tool, price in terms.tools.items()},
        None if terms.default is None else minor(terms.default, currency),
        None if terms.minimum is None else minor(terms.minimum, currency),
        tuple(("after", int(before.up_to), _terms(step)) for before, step in pairwise(steps)),
        currency,
        terms.discounts.scope if terms.discounts else "tool",
    )


def _terms(step: DiscountStep) -> str:
    return minor(step.unit_amount) if step.percent_off is None else f"{step.percent_off}%"


def after(breaks: tuple[Break, ...]) -> tuple[Break, ...]:
    """Say every break as "after": from call N is after call N - 1."""
    return tuple(("after", calls - 1 if word == "from" else calls, terms) for word, calls, terms in breaks)


def costs(terms: CreditTerms) -> Costs:
    """Read credits per call."""
    recharge = terms.auto_recharge
    return Costs(
        {tool: int(cost) for tool, cost in terms.tools.items()},
        None if terms.default is None else int(terms.default),
        (int(recharge.below), recharge.pack) if recharge else None,
    )


def link_price(file: File, item: LinkItem) -> str:
    """Return the monthly price a line of a payment link charges."""
    if item.plan is not None:
        plan = file.plans[item.plan]
        return minor(plan.prices[item.price or plan.default_price].amount)
    reserved = file.tenants[item.tenant].usage[item.reserved].reserved_price
    assert reserved.interval == "month"
    return minor(reserved.amount)
