"""Existing objects that are taken over by id: for an address the files have, once."""

from collections.abc import Iterator

from reconciler.config.models import BillingPlan, File, Tenant
from reconciler.config.source import Path_
from reconciler.config.terms import sold, spends, tenant_plan, through_spend
from reconciler.config.view import View
from reconciler.config.words import did_you_mean
from reconciler.diagnostics import Diagnostic
from reconciler.diagnostics.visible import quoted

#: Sections whose entries are objects at Stripe that carry an owner mark, as they stand.
_WHOLE = ("features", "coupons", "promotion_codes", "tax_rates", "payment_links", "webhooks")


def imports_possible(view: View) -> Iterator[Diagnostic]:
    """E0611, E0612: what is taken over is for an address the files have, one object for each, and each object once."""
    known = set(_addresses(view.file)) if view.complete else None
    seen: dict[tuple[str, str], Path_] = {}
    for index, entry in enumerate(view.file.imports):
        path: Path_ = ("imports", index)
        if entry.target.startswith("meters.") and entry.target.count(".") == 1:
            summary = "a meter has no place for an owner mark, so it is not taken over by id"
            yield view.error("E0611", (*path, "to"), summary, "write its event_name into the meter")
        elif known is not None and entry.target not in known:
            summary = f"there is no {quoted(entry.target)} at Stripe that an object could be"
            summary += did_you_mean(entry.target, known)
            yield view.error("E0611", (*path, "to"), summary, "define it, or correct the address")
        family = "coupon" if entry.target.startswith("coupons.") else "id"
        for key, value, unique in (("to", entry.target, "to"), ("id", entry.id, family)):
            first = seen.setdefault((unique, value), (*path, key))
            if first != (*path, key):
                summary = f"{value} stands in two entries"
                yield view.error("E0612", (*path, key), summary, "keep one of the two", (first, "the first"))


def _addresses(file: File) -> Iterator[str]:
    """Yield every address of an object that carries an owner mark, drafts included."""
    if file.portal is not None:
        yield "portal"
    for section in _WHOLE:
        yield from (f"{section}.{name}" for name in getattr(file, section))
    for name, plan in file.plans.items():
        yield from _of_plan(file, f"plans.{name}", plan)
    for name in file.credit_packs:
        yield from (f"credit_packs.{name}", f"credit_packs.{name}.price")
    yield from (f"meters.{name}.product" for name in file.meters)
    for name, tenant in file.tenants.items():
        yield from _of_tenant(file, f"tenants.{name}", tenant)


def _of_plan(file: File, address: str, plan: BillingPlan) -> Iterator[str]:
    yield address
    yield from (f"{address}.prices.{name}" for name in plan.prices)
    for meter, line in plan.usage.items():
        if sold(line) is not None and not through_spend(file, plan, line):
            yield f"{address}.usage.{meter}"
    if spends(file, plan):
        yield f"{address}.spend"


def _of_tenant(file: File, address: str, tenant: Tenant) -> Iterator[str]:
    for meter, line in tenant.usage.items():
        if sold(line) is not None and not through_spend(file, tenant_plan(file, tenant), line):
            yield f"{address}.usage.{meter}"
        if line.reserved_price is not None:
            yield f"{address}.usage.{meter}.reserved_price"
