"""What a tenant becomes at Stripe: a customer with a subscription, and money given to it."""

from collections.abc import Iterator

from reconciler.config.models import Coupon, Tenant
from reconciler.config.parts import Part, subscriptions
from reconciler.config.source import Path_
from reconciler.config.terms import default_currency, paid_price, tenant_plan
from reconciler.config.view import View
from reconciler.diagnostics import Diagnostic
from reconciler.diagnostics.visible import quoted

#: https://docs.stripe.com/api/subscriptions/create, ``items``.
MAX_ITEMS = 20


def subscriptions_possible(view: View) -> Iterator[Diagnostic]:
    """E0417: a subscription has something to bill, and terms of payment that fit how it is collected."""
    for name, tenant in view.file.tenants.items():
        terms, path = tenant.subscription, ("tenants", name, "subscription")
        if terms is None:
            continue
        if terms.collection == "send_invoice":
            yield from _sent(view, path, tenant)
        elif terms.days_until_due is not None:
            summary = "days_until_due is for invoices that are sent"
            remedy = "write collection: send_invoice, or remove it"
            yield view.error("E0417", (*path, "days_until_due"), summary, remedy)
        if _known(view, tenant) and not view.parts(name):
            summary = "there is nothing to bill: no recurring price, and no usage that is sold"
            yield view.error("E0417", path, summary, "add a price to the plan, or remove the subscription")


def _sent(view: View, path: Path_, tenant: Tenant) -> Iterator[Diagnostic]:
    """Yield what is missing for sending invoices; Stripe refuses with "Missing email" where nobody could get them."""
    if tenant.subscription and tenant.subscription.days_until_due is None:
        yield view.error("E0417", path, "an invoice that is sent needs days_until_due", "add days_until_due: 30")
    if tenant.email is None:
        summary = f"invoices are sent to nobody: tenant {quoted(str(path[1]))} has no email"
        yield view.error("E0417", (*path, "collection"), summary, "add email: … to the tenant")


def items_counted(view: View) -> Iterator[Diagnostic]:
    """E0426: a subscription does not have more prices than Stripe takes."""
    seen = set[Path_]()
    for parts in subscriptions(view.file):
        owner = next((part.path[:2] for part in parts if part.path[0] == "tenants"), parts[0].path[:2] if parts else ())
        number = len(_prices(parts))
        if number > MAX_ITEMS and owner not in seen:
            seen.add(owner)
            summary = f"a subscription has {number} prices, with those of usage, and Stripe takes {MAX_ITEMS}"
            yield view.error("E0426", owner, summary, "sell usage of fewer meters, or let calls have prices: per_call")


def _prices(parts: list[Part]) -> list[Part]:
    """Return the prices among parts; everything that goes through the spend meter has one."""
    spent = [part for part in parts if part.spend][1:]
    return [part for part in parts if part.interval is not None and part not in spent]


def quantities_paid(view: View) -> Iterator[Diagnostic]:
    """E0410: the quantity of a subscription is that of a price it has."""
    for name, tenant in view.file.tenants.items():
        terms = tenant.subscription
        if terms is None or "quantity" not in terms.model_fields_set or not _known(view, tenant):
            continue
        plan = tenant_plan(view.file, tenant)
        if plan is None or paid_price(plan, tenant) is None:
            summary = f"quantity has no effect: tenant {quoted(name)} pays no price of a plan"
            yield view.error("E0410", ("tenants", name, "subscription", "quantity"), summary, "remove quantity")


def coupons_apply(view: View) -> Iterator[Diagnostic]:
    """W0408: the coupon of a subscription takes something off what it pays."""
    for name, tenant in view.file.tenants.items():
        coupon_id = tenant.subscription.coupon if tenant.subscription else None
        coupon = view.file.coupons.get(coupon_id or "")
        if coupon is None or not _known(view, tenant):
            continue
        path, where = ("tenants", name, "subscription", "coupon"), (("coupons", coupon_id or ""), "the coupon")
        billed = view.billed(name)
        if not _held(view, coupon, billed):
            summary = f"the coupon has no amount in {billed}, in which tenant {quoted(name)} is billed"
            yield view.warning("W0408", path, summary, f"add {billed} to its currency_options", where)
        elif coupon.applies_to and not _reached(view, name, coupon):
            summary = f"the coupon applies to nothing that tenant {quoted(name)} pays for"
            yield view.warning("W0408", path, summary, "name another coupon, or add the plan to its applies_to", where)


def _held(view: View, coupon: Coupon, currency: str) -> bool:
    own = coupon.currency or default_currency(view.file)
    return coupon.amount_off is None or currency in {own, *coupon.currency_options}


def _reached(view: View, name: str, coupon: Coupon) -> bool:
    """Tell whether a price of the tenant's plan is of a product of the coupon; own usage is of its meter's product."""
    plan = f"plans.{view.file.tenants[name].plan}"
    return plan in coupon.applies_to and any(part.path[0] == "plans" for part in view.parts(name))


def rates_usable(view: View) -> Iterator[Diagnostic]:
    """W0409: the tax rates of a subscription are active."""
    for name, tenant in view.file.tenants.items():
        for index, rate_id in enumerate(tenant.subscription.tax_rates if tenant.subscription else ()):
            rate = view.file.tax_rates.get(rate_id)
            if rate is not None and not rate.active:
                path = ("tenants", name, "subscription", "tax_rates", index)
                summary = f"tax rate {quoted(rate_id)} is not active: no new subscription can have it"
                where = (("tax_rates", rate_id, "active"), "the tax rate")
                yield view.warning("W0409", path, summary, "name the rate that replaced it", where)


def credits_usable(view: View) -> Iterator[Diagnostic]:
    """E0425, W0407: money credits are in the currency a tenant is billed in, and it has usage that they can pay.

    https://docs.stripe.com/billing/subscriptions/usage-based/billing-credits
    """
    for name, tenant in view.file.tenants.items():
        if not tenant.money_credits or not _known(view, tenant):
            continue
        billed, path = view.billed(name), ("tenants", name, "money_credits")
        for index, credit in enumerate(tenant.money_credits):
            if credit.currency not in (None, billed):
                summary = f"tenant {quoted(name)} is billed in {billed}, and credit in {credit.currency} never pays it"
                remedy = f"write {billed}, or remove the currency"
                yield view.error("E0425", (*path, index, "currency"), summary, remedy)
        if tenant.subscription is None:
            summary = f"tenant {quoted(name)} has no subscription, so there is no invoice that money credits could pay"
            yield view.warning("W0407", path, summary, "add subscription: {…}, or remove them")
        elif not any(part.metered for part in view.parts(name)):
            summary = f"tenant {quoted(name)} pays for no usage, and money credits pay nothing else"
            yield view.warning("W0407", path, summary, "sell usage to it, or take a coupon instead")


def _known(view: View, tenant: Tenant) -> bool:
    """Tell whether what the tenant pays is known: a plan that is not defined is told for itself."""
    return tenant.plan in (None, *view.file.plans)
