"""What is referred to exists, is offered where it must be, and is of some use."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from zoneinfo import available_timezones

from reconciler.config.models import BillingPlan, Tenant
from reconciler.config.source import Path_
from reconciler.config.terms import allows, is_glob, table_uses
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
}
#: Which states of a plan or pack a reference accepts: a draft has no object at Stripe, a legacy price is archived.
_ANY = frozenset({"draft", "active", "legacy"})
_MADE = _ANY - {"draft"}
_SOLD = _MADE - {"legacy"}
#: Names that systems list beside the zones: whatever the machine is set to, and none at all.
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})


@dataclass(frozen=True, slots=True)
class _Reference:
    path: Path_
    section: str
    name: str
    states: frozenset[str] = _ANY


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
    for name, plan in view.file.plans.items():
        if plan.default_price is not None:
            yield from _price(view, ("plans", name, "default_price"), plan.default_price, name)
    for name, tenant in view.file.tenants.items():
        if tenant.price is None:
            continue
        path = ("tenants", name, "price")
        if tenant.plan is None:
            yield view.error("E0402", path, "a price without a plan", "name the plan too, or remove the price")
        else:
            yield from _price(view, path, tenant.price, tenant.plan)


def _price(view: View, path: Path_, price: str, plan: str) -> Iterator[Diagnostic]:
    target = view.file.plans.get(plan)
    if target is None or price in target.prices:
        return
    names = listed(target.prices)
    remedy = f"prices of {plan}: {names}" if names else f"add it to plans.{plan}.prices"
    summary = f"plan {quoted(plan)} has no price {quoted(price)}{did_you_mean(price, target.prices)}"
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
    file = view.file
    if file.settings and file.settings.default_meter:
        yield _Reference(("settings", "default_meter"), "meters", file.settings.default_meter)
    if file.settings and file.settings.default_plan:
        yield _Reference(("settings", "default_plan"), "plans", file.settings.default_plan, _MADE)
    for name, tool in file.tools.items():
        yield from _listed(("tools", name, "requires"), "features", tool.requires)
        yield from (_Reference(("tools", name, "counts", meter), "meters", meter) for meter in tool.counts)
    for name, plan in file.plans.items():
        states = _ANY if plan.status == "draft" else _SOLD
        yield from _of_owner(("plans", name), plan, states)
        recharge = plan.credits.auto_recharge if plan.credits else None
        if recharge:
            where = ("plans", name, "credits", "auto_recharge", "pack")
            yield _Reference(where, "credit_packs", recharge.pack, states)
    for name, tenant in file.tenants.items():
        yield from _of_owner(("tenants", name), tenant, _SOLD)
        if tenant.plan:
            yield _Reference(("tenants", name, "plan"), "plans", tenant.plan, _MADE)
        if tenant.subscription and tenant.subscription.coupon:
            yield _Reference(("tenants", name, "subscription", "coupon"), "coupons", tenant.subscription.coupon)
    yield from (_Reference(path, "tiers", table) for path, table, _ in table_uses(file))
    yield from _of_sales(view)


def _of_owner(path: Path_, owner: BillingPlan | Tenant, states: frozenset[str]) -> Iterator[_Reference]:
    """Yield what plans and tenants have in common; ``states`` holds for the plans of an upgrade."""
    yield from _listed((*path, "features"), "features", owner.features)
    yield from (_Reference((*path, "usage", meter), "meters", meter) for meter in owner.usage)
    for index, limit in enumerate(owner.limits):
        if limit.upgrade_to:
            yield _Reference((*path, "limits", index, "upgrade_to"), "plans", limit.upgrade_to, states)


def _of_sales(view: View) -> Iterator[_Reference]:
    for name, coupon in view.file.coupons.items():
        for index, address in enumerate(coupon.applies_to):
            section, target = address.split(".")
            yield _Reference(("coupons", name, "applies_to", index), section, target, _MADE)
    for name, code in view.file.promotion_codes.items():
        yield _Reference(("promotion_codes", name, "coupon"), "coupons", code.coupon)
    for name, link in view.file.payment_links.items():
        states = _SOLD if link.active else _MADE
        if link.tenant:
            yield _Reference(("payment_links", name, "tenant"), "tenants", link.tenant)
        for index, item in enumerate(link.items):
            forms = (("plan", "plans", states), ("pack", "credit_packs", states), ("tenant", "tenants", _ANY))
            for key, section, accepted in forms:
                target = getattr(item, key)
                if target:
                    yield _Reference(("payment_links", name, "items", index, key), section, target, accepted)
    update = view.file.portal.subscription_update if view.file.portal else None
    if update:
        yield from _listed(("portal", "subscription_update", "plans"), "plans", update.plans, _SOLD)


def _listed(path: Path_, section: str, names: tuple[str, ...], states: frozenset[str] = _ANY) -> Iterator[_Reference]:
    return (_Reference((*path, index), section, name, states) for index, name in enumerate(names))
