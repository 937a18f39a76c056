"""Terms of a plan that contradict each other, or that nothing could come of."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from reconciler.config.models import (
    BillingPlan,
    Coupon,
    CustomUnitAmount,
    Guards,
    Overage,
    Portal,
    Price,
    ReservedPrice,
    Tenant,
    TenantUsage,
    Tool,
    UsageLine,
    Webhook,
)
from reconciler.config.models.offers import Limit
from reconciler.config.models.selling import SubscriptionUpdate
from reconciler.config.models.tenants import SubscriptionTerms
from reconciler.config.source import Path_
from reconciler.config.terms import is_glob, recurring
from reconciler.config.view import View
from reconciler.config.words import choice, close
from reconciler.diagnostics import Diagnostic
from reconciler.diagnostics.visible import quoted

_ONE_OF: tuple[tuple[type[Price] | type[Overage] | type[Coupon], tuple[str, ...]], ...] = (
    (Price, ("amount", "tiers", "custom_unit_amount")),
    (Overage, ("unit_amount", "tiers", "credits")),
    (Coupon, ("percent_off", "amount_off")),
)
#: Longest recurring price at Stripe: three years.
_LONGEST = {"day": 1095, "week": 156, "month": 36, "year": 3}
_RATE_PERIODS = ("second", "minute", "hour", "day")
#: Fields that make no difference to who buys.
_LABELS = {"nickname", "metadata", "lookup_key", "on_change"}
_SETS = (
    (BillingPlan, ("features", "tools", "pay")),
    (Tenant, ("features", "tools")),
    (SubscriptionTerms, ("tax_rates",)),
    (Tool, ("requires",)),
    (Coupon, ("applies_to",)),
    (SubscriptionUpdate, ("plans",)),
    (Portal, ("customer_update",)),
    (Webhook, ("events",)),
    (Guards, ("protected",)),
)


def one_amount(view: View) -> Iterator[Diagnostic]:
    """E0317: a price, an overage and a coupon each have exactly one kind of amount."""
    for model, names in _ONE_OF:
        for path, item in view.items(model):
            there = [name for name in names if getattr(item, name) is not None]
            if not there:
                yield view.error("E0317", path, f"one of {choice(names)} is needed", f"add {choice(names)}")
            elif len(there) > 1:
                summary = f"{choice(there, 'and')} exclude each other"
                first, second = (*path, there[0]), (*path, there[1])
                yield view.error("E0317", second, summary, f"keep one of {choice(there)}", (first, "the other"))


def custom_amounts(view: View) -> Iterator[Diagnostic]:
    """E0315: an amount the customer chooses is paid once with its bounds in order, brackets are paid by interval."""
    for path, price in view.each(Price):
        if price.tiers is not None and price.interval == "once":
            summary = "Stripe bills price brackets in recurring prices only"
            yield view.error("E0315", (*path, "interval"), summary, "write an interval, or one amount")
        if price.custom_unit_amount is not None and price.interval != "once":
            summary = "an amount the customer chooses can only be paid once"
            yield view.error("E0315", (*path, "interval"), summary, "write interval: once, or a fixed amount")
    for path, custom in view.each(CustomUnitAmount):
        bounds = [(name, getattr(custom, name)) for name in ("minimum", "preset", "maximum")]
        known = [(name, value) for name, value in bounds if value is not None]
        for (low, least), (high, most) in pairwise(known):
            if least > most:
                summary = f"{low} is above {high}"
                yield view.error(
                    "E0315", (*path, high), summary, "the order is minimum, preset, maximum", ((*path, low), low)
                )


def packages(view: View) -> Iterator[Diagnostic]:
    """E0316: packages are sold at an amount per package, not in tiers, at a chosen amount, or for credits."""
    for path, item in view.items(Price, Overage):
        others = [name for name in ("tiers", "custom_unit_amount", "credits") if getattr(item, name, None) is not None]
        if item.transform_quantity is not None and others:
            here = (*path, "transform_quantity")
            summary = f"packages cannot be combined with {others[0]}"
            yield view.error("E0316", here, summary, "remove one of the two", ((*path, others[0]), "the other"))


def payment_order(view: View) -> Iterator[Diagnostic]:
    """E0407, E0408: a plan with several sources to pay a call from orders all of them, and only them."""
    for name, plan in view.file.plans.items():
        there = {"usage": bool(plan.usage), "credits": plan.credits is not None, "per_call": plan.per_call is not None}
        sources = [source for source, present in there.items() if present]
        if len(sources) > 1 and not plan.pay:
            summary = f"a call could be paid from {choice(sources)}"
            remedy = f"say in which order: pay: [{', '.join(sources)}]"
            yield view.error("E0407", ("plans", name), summary, remedy)
        for index, source in enumerate(plan.pay):
            if not there[source]:
                summary = f"plan {quoted(name)} has no {source} to pay from"
                yield view.error(
                    "E0408", ("plans", name, "pay", index), summary, f"remove it, or add {source} to the plan"
                )
        left_out = [source for source in sources if source not in plan.pay]
        if plan.pay and left_out:
            summary = f"pay leaves out {choice(left_out, 'and')}, which would never be used"
            yield view.error("E0408", ("plans", name, "pay"), summary, "add it, or remove it from the plan")


def intervals_short(view: View) -> Iterator[Diagnostic]:
    """E0412: a recurring price repeats at least every three years."""
    for path, item in view.items(Price, UsageLine, TenantUsage, ReservedPrice):
        longest = _LONGEST.get(item.interval)
        if longest is not None and item.interval_count > longest:
            summary = f"{item.interval_count} {item.interval}s are more than three years"
            yield view.error("E0412", (*path, "interval_count"), summary, f"write at most {longest}")


def trials_possible(view: View) -> Iterator[Diagnostic]:
    """E0413: a trial belongs to a plan with a recurring price."""
    for name, plan in view.file.plans.items():
        if plan.trial_days is not None and not recurring(plan):
            path = ("plans", name, "trial_days")
            yield view.error(
                "E0413", path, "a trial needs a recurring price", "add a price with an interval, or remove it"
            )


def prices_differ(view: View) -> Iterator[Diagnostic]:
    """W0406: no two prices of a plan say the same."""
    for name, plan in view.file.plans.items():
        seen: list[tuple[str, dict[str, Any]]] = []
        for price_id, price in plan.prices.items():
            content = {field: value for field, value in price if field not in _LABELS}
            first = next((other for other, said in seen if said == content), None)
            seen.append((price_id, content))
            if first is not None:
                summary = f"prices {quoted(first)} and {quoted(price_id)} are the same"
                other = (("plans", name, "prices", first), "the first")
                yield view.warning(
                    "W0406", ("plans", name, "prices", price_id), summary, "remove one of the two", other
                )


def listed_once(view: View) -> Iterator[Diagnostic]:
    """E0409: nothing stands twice in a list whose items are a set, and ids and limits in a list are unique."""
    for model, names in _SETS:
        for path, item in view.items(model):
            for name in names:
                yield from _twice(view, (*path, name), getattr(item, name) or ())
    for path, tenant in view.each(Tenant):
        yield from _twice(view, (*path, "credits"), [grant.id for grant in tenant.credits])
        yield from _twice(view, (*path, "money_credits"), [credit.id for credit in tenant.money_credits])
        yield from _twice(view, (*path, "api_keys"), [key.id for key in tenant.api_keys])
    for path, owner in view.items(BillingPlan, Tenant):
        yield from _twice(view, (*path, "limits"), [f"{each.of} per {each.per} ({each.kind})" for each in owner.limits])


def _twice(view: View, path: Path_, items: Sequence[str]) -> Iterator[Diagnostic]:
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        first = seen.setdefault(item, index)
        if first != index:
            summary = f"{quoted(item)} stands twice in {path[-1]}"
            yield view.error("E0409", (*path, index), summary, "remove one of the two", ((*path, first), "the first"))


def limits_sensible(view: View) -> Iterator[Diagnostic]:
    """E0414, E0415: a limit has the keys of its kind, and its upgrade is another plan."""
    for path, limit in view.each(Limit):
        if limit.kind == "rate" and limit.per not in _RATE_PERIODS:
            summary = f"a rate is counted per {choice(_RATE_PERIODS)}, not per {limit.per}"
            yield view.error("E0414", (*path, "per"), summary, "shorten the period, or write kind: quota")
        if limit.kind == "quota" and limit.burst is not None:
            yield view.error("E0414", (*path, "burst"), "a quota has no burst", "remove it, or write kind: rate")
        if limit.resets_on is not None and (limit.kind, limit.per) != ("quota", "month"):
            summary = "only a monthly quota begins anew on a day of the month"
            yield view.error("E0414", (*path, "resets_on"), summary, "remove it, or write per: month and kind: quota")
        if path[0] == "plans" and limit.upgrade_to == path[1]:
            yield view.error("E0415", (*path, "upgrade_to"), "the plan itself is no upgrade", "name another plan")


def limits_meant(view: View) -> Iterator[Diagnostic]:
    """W0405: the target of a limit is not a meter with a typing error; any other word is a tool's name."""
    meters = view.ids("meters")
    for path, limit in view.each(Limit):
        guess = (
            None if limit.of in meters or limit.of in view.file.tools or is_glob(limit.of) else close(limit.of, meters)
        )
        if guess:
            summary = f"{quoted(limit.of)} is taken for a tool; there is a meter {quoted(guess)}"
            yield view.warning("W0405", (*path, "of"), summary, f"write {guess}, or add the tool to tools")
