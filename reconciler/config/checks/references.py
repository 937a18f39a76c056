"""What is referred to exists, is offered where it must be, and is of some use."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from reconciler.config.models import BillingPlan
from reconciler.config.source import Path_
from reconciler.config.terms import allows, is_glob, sold, table_uses, through_spend
from reconciler.config.view import View
from reconciler.config.words import article, did_you_mean, listed
from reconciler.diagnostics import Diagnostic, SourceRange
from reconciler.diagnostics.visible import quoted

_NOUNS = {
    "meters": "meter",
    "features": "feature",
    "tiers": "table of tiers",
    "plans": "plan",
    "credit_packs": "credit pack",
    "tenants": "tenant",
    "coupons": "coupon",
    "tax_rates": "tax rate",
}
#: Which states of a plan or pack a reference accepts: a draft has no object at Stripe, a legacy price is archived.
_ANY = frozenset({"draft", "active", "legacy"})
_MADE = _ANY - {"draft"}
_SOLD = _MADE - {"legacy"}
#: Sections whose entries have a state.
_STATEFUL = {"plans", "credit_packs"}
#: Names that systems list beside the zones: whatever the machine is set to, and none at all.
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})


@dataclass(frozen=True, slots=True)
class _Reference:
    path: Path_
    section: str
    name: str
    states: frozenset[str] = _ANY


#: Where ids stand, ``*`` for any key or item and ``#`` for a key that is the id itself, and the section they are of.
_OWNED = {
    "features.*": "features",
    "usage.#": "meters",
    "usage.*.overage.tiers": "tiers",
    "limits.*.upgrade_to": "plans",
}
_PLACES: Mapping[str, str] = {
    "settings.default_meter": "meters",
    "settings.default_plan": "plans",
    "tools.*.requires.*": "features",
    "tools.*.counts.#": "meters",
    **{f"{section}.*.{place}": named for section in ("plans", "tenants") for place, named in _OWNED.items()},
    "plans.*.prices.*.tiers": "tiers",
    "plans.*.credits.auto_recharge.pack": "credit_packs",
    "tenants.*.plan": "plans",
    "tenants.*.subscription.coupon": "coupons",
    "tenants.*.subscription.tax_rates.*": "tax_rates",
    "promotion_codes.*.coupon": "coupons",
    "payment_links.*.tenant": "tenants",
    "payment_links.*.items.*.plan": "plans",
    "payment_links.*.items.*.pack": "credit_packs",
    "payment_links.*.items.*.tenant": "tenants",
    "portal.subscription_update.plans.*": "plans",
    #: Addresses, which name their section themselves.
    "coupons.*.applies_to.*": "",
}


def settings_present(view: View) -> Iterator[Diagnostic]:
    """E0601: some file has the settings section, because the namespace owns everything."""
    if "settings" not in view.merged.root:
        first = min((where.file for where in view.merged.values.values()), default=None)
        where = SourceRange(first) if first else None
        remedy = "add a file with: settings: {namespace: acme, currency: usd}"
        yield Diagnostic("E0601", "no file has the section settings", where, help=remedy)


def zone_known(view: View) -> Iterator[Diagnostic]:
    """E0423: the time zone is in the IANA database, and means the same on every machine."""
    name = view.settings.timezone
    if name == "UTC":
        return
    known = _zones()
    if name not in known:
        summary = f"there is no time zone {quoted(name)}{did_you_mean(name, known)}"
        yield view.error("E0423", ("settings", "timezone"), summary, "write an IANA name such as Europe/Berlin, or UTC")


@cache
def _zones() -> Collection[str]:
    """Return the names of the IANA database; listing them reads hundreds of files, so UTC alone never pays for it."""
    return available_timezones() - _NO_ZONES


def defined(view: View) -> Iterator[Diagnostic]:
    """E0401: every id that is referred to is defined."""
    for each in _references(view):
        known = view.ids(each.section)
        if each.name not in known:
            noun = _NOUNS[each.section]
            names = listed(known)
            remedy = f"defined in {each.section}: {names}" if names else f"define it in {each.section}"
            yield view.error(
                "E0401", each.path, f"there is no {noun} {quoted(each.name)}{did_you_mean(each.name, known)}", remedy
            )


def offered(view: View) -> Iterator[Diagnostic]:
    """E0403: what must be made or sold at Stripe is not a draft, and not legacy where it must be sold."""
    for each in _references(view):
        target = getattr(view.file, each.section).get(each.name) if each.states != _ANY else None
        if target is not None and target.status not in each.states:
            status = target.status
            noun = _NOUNS[each.section]
            verb = "is a draft" if status == "draft" else "is no longer sold"
            yield view.error(
                "E0403",
                each.path,
                f"{noun} {quoted(each.name)} {verb}",
                f"name {article(noun)} that is active, or change its status",
                ((each.section, each.name, "status"), "its status"),
            )


def prices_defined(view: View) -> Iterator[Diagnostic]:
    """E0402: a price that is named belongs to the plan that is meant."""
    for path, price in _found(view.merged.root, ("plans", "*", "default_price"), ()):
        if not _is_metered(view, str(path[1]), price):
            yield from _price(view, path, price, path[1])
    for path, price in _found(view.merged.root, ("tenants", "*", "price"), ()):
        plan = view.merged.root["tenants"][path[1]].get("plan")
        if plan is None:
            yield view.error("E0402", path, "a price without a plan", "name the plan too, or remove the price")
        else:
            yield from _price(view, path, price, plan)


def _is_metered(view: View, name: str, price: str) -> bool:
    plan = view.file.plans.get(name)
    line = plan.usage.get(price) if plan is not None and price not in plan.prices else None
    return line is not None and sold(line) is not None and not through_spend(view.file, plan, line)


def _price(view: View, path: Path_, price: str, plan: Any) -> Iterator[Diagnostic]:
    target = view.merged.root["plans"].get(plan) if isinstance(plan, str) and plan in view.ids("plans") else None
    known = target.get("prices", {}) if isinstance(target, dict) else None
    if not isinstance(known, dict) or price in known:
        return
    names = listed(known)
    remedy = f"prices of {plan}: {names}" if names else f"add it to plans.{plan}.prices"
    summary = f"plan {quoted(str(plan))} has no price {quoted(price)}{did_you_mean(price, known)}"
    yield view.error("E0402", path, summary, remedy)


def tools_reached(view: View) -> Iterator[Diagnostic]:
    """W0401: a tool that is described is allowed by some plan or tenant."""
    grants = [plan.tools for plan in view.file.plans.values()] + [tenant.tools for tenant in view.file.tenants.values()]
    for tool in view.file.tools if view.complete and view.file.plans else ():
        if not is_glob(tool) and not any(allows(patterns, tool) for patterns in grants):
            yield view.warning(
                "W0401",
                ("tools", tool),
                f"no plan allows tool {quoted(tool)}",
                "add it to the tools of a plan, or remove it",
            )


def features_granted(view: View) -> Iterator[Diagnostic]:
    """W0402: a feature is granted by some plan or tenant."""
    granted = {feature for plan in view.file.plans.values() for feature in plan.features}
    granted |= {feature for tenant in view.file.tenants.values() for feature in tenant.features}
    for feature in view.file.features if view.complete else ():
        if feature not in granted:
            summary = f"no plan and no tenant grants feature {quoted(feature)}"
            yield view.warning(
                "W0402", ("features", feature), summary, "add it to the features of a plan, or remove it"
            )


def tools_allowed(view: View) -> Iterator[Diagnostic]:
    """W0403: a tool with a price or a cost in a plan is allowed by that plan."""
    for name, plan in view.file.plans.items():
        for path, tool in _priced_tools(name, plan):
            if not is_glob(tool) and not allows(plan.tools, tool):
                summary = f"plan {quoted(name)} prices tool {quoted(tool)} but does not allow it"
                remedy = "add it to the plan's tools, or remove the price"
                yield view.warning("W0403", path, summary, remedy, (("plans", name, "tools"), "the tools it allows"))


def _priced_tools(name: str, plan: BillingPlan) -> Iterator[tuple[Path_, str]]:
    for section, terms in (("per_call", plan.per_call), ("credits", plan.credits)):
        for tool in terms.tools if terms else ():
            yield ("plans", name, section, "tools", tool), tool


def tables_used(view: View) -> Iterator[Diagnostic]:
    """W0404: a table of tiers is used by some price or usage line."""
    used = {table for _, table, _ in table_uses(view.file)}
    for table in view.file.tiers if view.complete else ():
        if table not in used:
            summary = f"nothing uses the table of tiers {quoted(table)}"
            yield view.warning("W0404", ("tiers", table), summary, "name it in a price or an overage, or remove it")


def _references(view: View) -> Iterator[_Reference]:
    """Yield every reference that the files write, those of entries with mistakes elsewhere too."""
    for place, section in _PLACES.items():
        for path, name in _found(view.merged.root, place.split("."), ()):
            named, target = (section, name) if section else name.split(".") if name.count(".") == 1 else ("", name)
            if named in _NOUNS:
                yield _Reference(path, named, target, _states(view, path, named))


def _found(value: Any, place: Sequence[str], path: Path_) -> Iterator[tuple[Path_, str]]:
    """Yield the texts at a place below a value, with their paths."""
    if not place:
        if isinstance(value, str):
            yield path, value
        return
    first, *rest = place
    if isinstance(value, list):
        for index, item in enumerate(value) if first == "*" else ():
            yield from _found(item, rest, (*path, index))
    elif isinstance(value, dict):
        if first == "#":
            yield from (((*path, key), key) for key in value)
        for key in value if first == "*" else value.keys() & {first}:
            yield from _found(value[key], rest, (*path, key))


def _states(view: View, path: Path_, named: str) -> frozenset[str]:
    """Return the states that what is named at a path may be in; any, where the entry that names it has mistakes."""
    section, name, last = path[0], str(path[1]), path[-1]
    if named not in _STATEFUL:
        return _ANY
    if section == "plans":
        plan = view.file.plans.get(name)
        return _SOLD if plan and plan.status != "draft" else _ANY
    if section == "payment_links":
        link = view.file.payment_links.get(name)
        return _ANY if link is None else _SOLD if link.active else _MADE
    return _SOLD if last == "upgrade_to" or section == "portal" else _MADE
