"""What one subscription holds together: a plan's price, its usage lines, a tenant's own terms."""

from collections.abc import Iterator, Sequence

from reconciler.config.models import File
from reconciler.config.parts import Part, price_currencies, subscriptions
from reconciler.config.source import Path_
from reconciler.config.terms import default_currency, tenant_currency
from reconciler.config.view import View
from reconciler.config.words import choice
from reconciler.diagnostics import Diagnostic

#: An interval in the unit it can be compared in.
_UNITS = {"day": ("day", 1), "week": ("day", 7), "month": ("month", 1), "year": ("month", 12)}


def one_currency(view: View) -> Iterator[Diagnostic]:
    """E0308, W0301: all parts of a subscription can be sold in one currency, and in every currency one part offers."""
    for parts in subscriptions(view.file):
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
    for parts in subscriptions(view.file):
        timed = [part for part in parts if part.interval is not None]
        if not timed:
            continue
        shortest = min(timed, key=_length)
        for part in timed:
            if not _is_multiple(part, shortest) and _new(part, shortest, parts):
                summary = f"this is billed every {_every(part)}, and {_name(shortest)} every {_every(shortest)}"
                remedy = "each interval of a subscription has to be a multiple of the shortest one"
                yield view.error("E0411", part.path, summary, remedy, (shortest.path, "sold with this"))


def _length(part: Part) -> tuple[int, Path_]:
    days = {"day": 1, "week": 7, "month": 30, "year": 365}
    return days[part.interval or "day"] * part.count, part.path


def _is_multiple(part: Part, shortest: Part) -> bool:
    """Compare days with days and months with months; one day divides everything."""
    if (shortest.interval, shortest.count) == ("day", 1):
        return True
    unit, least = _UNITS[shortest.interval or ""]
    here, most = _UNITS[part.interval or ""]
    return unit == here and most * part.count % (least * shortest.count) == 0


def _every(part: Part) -> str:
    return f"{part.count} {part.interval}s" if part.count > 1 else str(part.interval)


def _narrower(view: View, first: Part, part: Part) -> Iterator[Diagnostic]:
    for here, other in ((first, part), (part, first)):
        missing = other.currencies - here.currencies
        if missing:
            summary = f"{_name(other)} is also sold in {choice(sorted(missing), 'and')}, this is not"
            remedy = "add it to currency_options; without it the plan is not sold in that currency"
            yield view.warning("W0301", here.path, summary, remedy, (other.path, "sold with this"))


def _is_plans(parts: Sequence[Part]) -> bool:
    return all(part.path[0] == "plans" for part in parts)


def _new(part: Part, other: Part, parts: Sequence[Part]) -> bool:
    """Tell whether a tenant's parts say more than those of its plan alone, which are looked at for themselves."""
    return _is_plans(parts) or not _is_plans([part, other])


def _item(file: File, link: str, index: int) -> Iterator[Part]:
    item = file.payment_links[link].items[index]
    path: Path_ = ("payment_links", link, "items", index)
    plan, pack = file.plans.get(item.plan or ""), file.credit_packs.get(item.pack or "")
    tenant = file.tenants.get(item.tenant or "")
    price = plan.prices.get(item.price or plan.default_price or "") if plan else None
    if plan and price:
        yield Part(path, price_currencies(file, price, plan), None)
    elif pack:
        yield Part(path, frozenset({pack.currency or default_currency(file), *pack.currency_options}), None)
    elif tenant and (line := tenant.usage.get(item.reserved or "")) and line.reserved_price:
        yield Part(path, frozenset({line.reserved_price.currency or tenant_currency(file, tenant)}), None)


def _name(part: Part) -> str:
    return ".".join(map(str, part.path))


def _codes(part: Part) -> str:
    return choice(sorted(part.currencies), "and")
