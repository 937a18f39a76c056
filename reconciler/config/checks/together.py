"""What one subscription holds together: a plan's price, its usage lines, a tenant's own terms."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from reconciler.config.models import BillingPlan, File, Overage, Price, Tenant, Tier, UsageLine
from reconciler.config.source import Path_
from reconciler.config.terms import (
    default_currency,
    plan_currency,
    recurring,
    sold,
    spends,
    tenant_currency,
    tenant_plan,
    through_spend,
)
from reconciler.config.view import View
from reconciler.config.words import choice
from reconciler.diagnostics import Diagnostic

#: An interval in the unit it can be compared in.
_UNITS = {"day": ("day", 1), "week": ("day", 7), "month": ("month", 1), "year": ("month", 12)}


@dataclass(frozen=True, slots=True)
class _Part:
    """One price of a subscription: where it stands, the currencies it has, its interval (none for one-time prices)."""

    path: Path_
    currencies: frozenset[str]
    interval: str | None
    count: int = 1


def one_currency(view: View) -> Iterator[Diagnostic]:
    """E0308, W0301: all parts of a subscription can be sold in one currency, and in every currency one part offers."""
    for parts in _subscriptions(view.file):
        for index, part in enumerate(parts[1:], start=1):
            other = next((other for other in parts[:index] if not other.currencies & part.currencies), None)
            if other and _new(part, other, parts):
                summary = f"{_name(other)} is sold in {_codes(other)}, this in {_codes(part)}"
                remedy = "a subscription has one currency; use the same, or add it to currency_options"
                yield view.error("E0308", part.path, summary, remedy, (other.path, "sold with this"))
            elif not other and _is_plans(parts):
                yield from _narrower(view, parts[0], part)
    for name, link in view.file.payment_links.items():
        parts = [part for index, _ in enumerate(link.items) for part in _item(view.file, name, index)]
        for part in parts[1:]:
            if not parts[0].currencies & part.currencies:
                summary = f"the first item is sold in {_codes(parts[0])}, this in {_codes(part)}"
                yield view.error(
                    "E0308", part.path, summary, "a payment has one currency", (parts[0].path, "the first item")
                )


def one_rhythm(view: View) -> Iterator[Diagnostic]:
    """E0411: every interval of a subscription is a multiple of its shortest one.

    https://docs.stripe.com/billing/subscriptions/mixed-interval
    """
    for parts in _subscriptions(view.file):
        timed = [part for part in parts if part.interval is not None]
        if not timed:
            continue
        shortest = min(timed, key=_length)
        for part in timed:
            if not _is_multiple(part, shortest) and _new(part, shortest, parts):
                summary = f"this is billed every {_every(part)}, and {_name(shortest)} every {_every(shortest)}"
                remedy = "each interval of a subscription has to be a multiple of the shortest one"
                yield view.error("E0411", part.path, summary, remedy, (shortest.path, "sold with this"))


def _length(part: _Part) -> tuple[int, Path_]:
    days = {"day": 1, "week": 7, "month": 30, "year": 365}
    return days[part.interval or "day"] * part.count, part.path


def _is_multiple(part: _Part, shortest: _Part) -> bool:
    """Compare days with days and months with months; one day divides everything."""
    if (shortest.interval, shortest.count) == ("day", 1):
        return True
    unit, least = _UNITS[shortest.interval or ""]
    here, most = _UNITS[part.interval or ""]
    return unit == here and most * part.count % (least * shortest.count) == 0


def _every(part: _Part) -> str:
    return f"{part.count} {part.interval}s" if part.count > 1 else str(part.interval)


def _narrower(view: View, first: _Part, part: _Part) -> Iterator[Diagnostic]:
    for here, other in ((first, part), (part, first)):
        missing = other.currencies - here.currencies
        if missing:
            summary = f"{_name(other)} is also sold in {choice(sorted(missing), 'and')}, this is not"
            remedy = "add it to currency_options; without it the plan is not sold in that currency"
            yield view.warning("W0301", here.path, summary, remedy, (other.path, "sold with this"))


def _subscriptions(file: File) -> Iterator[list[_Part]]:
    """Yield every way to combine parts: the price and what comes with it, of each plan and of each tenant."""
    for name, plan in file.plans.items():
        yield from _combined(_prices(file, name, plan), _metered(file, name, plan))
    for name, tenant in file.tenants.items():
        plan_id, target = tenant.plan or "", tenant_plan(file, tenant)
        prices = list(_prices(file, plan_id, target)) if target else []
        chosen = [part for part in prices if tenant.price in (None, part.path[3])]
        own = list(_own(file, name, tenant))
        others = _metered(file, plan_id, target, tenant.usage) if target else ()
        if own:
            yield from _combined(chosen, [*others, *own])


def _combined(prices: Iterable[_Part], lines: Iterable[_Part]) -> Iterator[list[_Part]]:
    along = list(lines)
    firsts = [[part] for part in prices] or [[]]
    yield from ([*first, *along] for first in firsts)


def _is_plans(parts: Sequence[_Part]) -> bool:
    return all(part.path[0] == "plans" for part in parts)


def _new(part: _Part, other: _Part, parts: Sequence[_Part]) -> bool:
    """Tell whether a tenant's parts say more than those of its plan alone, which are looked at for themselves."""
    return _is_plans(parts) or not _is_plans([part, other])


def _prices(file: File, name: str, plan: BillingPlan) -> Iterator[_Part]:
    for price_id, price in recurring(plan).items():
        yield _Part(
            ("plans", name, "prices", price_id),
            _price_currencies(file, price, plan),
            price.interval,
            price.interval_count,
        )


def _price_currencies(file: File, price: Price, plan: BillingPlan) -> frozenset[str]:
    return frozenset(
        {price.currency or plan_currency(file, plan), *price.currency_options, *_table_options(file, price.tiers)}
    )


def _metered(file: File, name: str, plan: BillingPlan, replaced: Collection[str] = ()) -> Iterator[_Part]:
    currency = plan_currency(file, plan)
    for meter, line in plan.usage.items():
        if meter not in replaced and sold(line) is not None and not through_spend(file, plan, line):
            yield _line(file, ("plans", name, "usage", meter), line, currency)
    if spends(file, plan):
        yield _Part(_spend_path(file, name, plan), frozenset({currency}), "month")


def _spend_path(file: File, name: str, plan: BillingPlan) -> Path_:
    """Return what makes a plan charge through the spend meter, which is monthly and has one currency."""
    if plan.per_call is not None:
        return "plans", name, "per_call"
    if plan.minimum is not None:
        return "plans", name, "minimum"
    return next(
        ("plans", name, "usage", meter) for meter, line in plan.usage.items() if through_spend(file, plan, line)
    )


def _own(file: File, name: str, tenant: Tenant) -> Iterator[_Part]:
    currency, plan = tenant_currency(file, tenant), tenant_plan(file, tenant)
    if tenant.currency is not None and not tenant.usage:
        yield _Part(("tenants", name, "currency"), frozenset({currency}), None)
    for meter, line in tenant.usage.items():
        path = ("tenants", name, "usage", meter)
        if line.reserved_price is not None:
            reserved = line.reserved_price
            yield _Part(
                (*path, "reserved_price"),
                frozenset({reserved.currency or currency}),
                reserved.interval,
                reserved.interval_count,
            )
        if through_spend(file, plan, line):
            yield _Part(path, frozenset({currency}), "month")
        elif sold(line) is not None:
            yield _line(file, path, line, currency)


def _line(file: File, path: Path_, line: UsageLine, currency: str) -> _Part:
    overage = line.overage
    options = (
        {*overage.currency_options, *_table_options(file, overage.tiers)} if isinstance(overage, Overage) else set()
    )
    return _Part(path, frozenset({currency, *options}), line.interval, line.interval_count)


def _table_options(file: File, table: str | None) -> Sequence[str]:
    target: Tier | None = file.tiers.get(table or "")
    return tuple(target.currency_options) if target else ()


def _item(file: File, link: str, index: int) -> Iterator[_Part]:
    item = file.payment_links[link].items[index]
    path: Path_ = ("payment_links", link, "items", index)
    plan, pack = file.plans.get(item.plan or ""), file.credit_packs.get(item.pack or "")
    tenant = file.tenants.get(item.tenant or "")
    price = plan.prices.get(item.price or plan.default_price or "") if plan else None
    if plan and price:
        yield _Part(path, _price_currencies(file, price, plan), None)
    elif pack:
        yield _Part(path, frozenset({pack.currency or default_currency(file), *pack.currency_options}), None)
    elif tenant and (line := tenant.usage.get(item.reserved or "")) and line.reserved_price:
        yield _Part(path, frozenset({line.reserved_price.currency or tenant_currency(file, tenant)}), None)


def _name(part: _Part) -> str:
    return ".".join(map(str, part.path))


def _codes(part: _Part) -> str:
    return choice(sorted(part.currencies), "and")
