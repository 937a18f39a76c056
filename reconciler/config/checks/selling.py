"""Tenants, links, packs, coupons and the portal: what is sold to whom, and how."""

from collections.abc import Iterator

from reconciler.config.models import PaymentLink
from reconciler.config.models.selling import LinkItem
from reconciler.config.source import Path_
from reconciler.config.terms import Sale, recurring, sales, shown_price
from reconciler.config.view import View
from reconciler.config.words import choice, did_you_mean
from reconciler.diagnostics import Diagnostic
from reconciler.diagnostics.visible import quoted

#: https://docs.stripe.com/api/payment-link/create
MAX_LINES = 20
_FORMS = "{plan, price}, {pack} or {tenant, reserved}"


def tenants_buy(view: View) -> Iterator[Diagnostic]:
    """E0404, E0405, E0406: a tenant has a plan or usage of its own, and it is clear which price it pays."""
    for name, tenant in view.file.tenants.items():
        if tenant.plan is None and not tenant.usage:
            summary = f"tenant {quoted(name)} has neither a plan nor usage of its own"
            yield view.error("E0404", ("tenants", name), summary, "add plan: …, or usage: …")
        plan = view.file.plans.get(tenant.plan or "")
        if plan is None:
            continue
        several = recurring(plan)
        if tenant.price is None and len(several) > 1:
            summary = f"plan {quoted(tenant.plan or '')} has several prices: {', '.join(sorted(several))}"
            yield view.error("E0405", ("tenants", name, "plan"), summary, "say which one the tenant pays: price: …")
        elif tenant.price in plan.prices and tenant.price not in several:
            summary = f"price {quoted(tenant.price or '')} is paid once, a tenant needs a recurring one"
            yield view.error("E0406", ("tenants", name, "price"), summary, "name a price with an interval")


def links_sell(view: View) -> Iterator[Diagnostic]:
    """E0402, E0418: every item of a link is one thing that has a price."""
    for name, link in view.file.payment_links.items():
        for path, item in _items(name, link):
            there = {key for key in ("plan", "price", "pack", "tenant", "reserved") if getattr(item, key) is not None}
            if there not in ({"plan"}, {"plan", "price"}, {"pack"}, {"tenant", "reserved"}):
                said = f"{choice(sorted(there), 'and')} together" if there else "nothing"
                yield view.error("E0418", path, f"an item is {_FORMS}; this one has {said}", f"write one of {_FORMS}")
            else:
                yield from _priced(view, path, item)


def _items(name: str, link: PaymentLink) -> Iterator[tuple[Path_, LinkItem]]:
    return ((("payment_links", name, "items", index), item) for index, item in enumerate(link.items))


def _priced(view: View, path: Path_, item: LinkItem) -> Iterator[Diagnostic]:
    plan = view.file.plans.get(item.plan or "")
    if plan is not None and item.price is not None and item.price not in plan.prices:
        summary = (
            f"plan {quoted(item.plan or '')} has no price {quoted(item.price)}{did_you_mean(item.price, plan.prices)}"
        )
        yield view.error("E0402", (*path, "price"), summary, "name a price of the plan")
    elif plan is not None and item.price is None and shown_price(plan) is None:
        summary = f"plan {quoted(item.plan or '')} has no default price"
        yield view.error("E0402", (*path, "plan"), summary, "add price: …, or default_price to the plan")
    tenant = view.file.tenants.get(item.tenant or "")
    line = tenant.usage.get(item.reserved or "") if tenant else None
    if tenant is not None and (line is None or line.reserved_price is None):
        summary = f"tenant {quoted(item.tenant or '')} has no reserved price for {quoted(item.reserved or '')}"
        remedy = "name a usage line with reserved_price"
        yield view.error(
            "E0402", (*path, "reserved"), summary, remedy, (("tenants", item.tenant or "", "usage"), "its usage")
        )


def links_in_step(view: View) -> Iterator[Diagnostic]:
    """E0424: what a link sells fits on one checkout: one billing interval, and not more lines than Stripe takes.

    https://docs.stripe.com/billing/subscriptions/mixed-interval, https://docs.stripe.com/api/payment-link/create
    """
    for name, link in view.file.payment_links.items():
        found = list(sales(view.file, link))
        timed = [sale for sale in found if sale.every]
        path: Path_ = ("payment_links", name, "items")
        for sale in timed[1:]:
            if sale.every != timed[0].every:
                summary = (
                    f"{sale.address} is billed every {_every(sale)}, and {timed[0].address} every {_every(timed[0])}"
                )
                remedy = "a link sells what is billed in one interval; name another price, or leave one out"
                yield view.error("E0424", (*path, sale.item), summary, remedy)
                break
        lines = {sale.address for sale in found}
        if len(lines) > MAX_LINES:
            summary = f"the link has {len(lines)} lines, with those for usage, and Stripe takes {MAX_LINES}"
            yield view.error("E0424", path, summary, "make two links of it")


def _every(sale: Sale) -> str:
    interval, count = sale.every or ("", 1)
    return f"{count} {interval}s" if count > 1 else interval


def packs_expire_once(view: View) -> Iterator[Diagnostic]:
    """E0419: credits expire at an instant or some time after the purchase, not both."""
    for name, pack in view.file.credit_packs.items():
        if pack.expires is not None and pack.expires_after is not None:
            path = ("credit_packs", name)
            other = ((*path, "expires"), "the other")
            summary = "expires and expires_after exclude each other"
            yield view.error("E0419", (*path, "expires_after"), summary, "remove one of the two", other)


def coupons_consistent(view: View) -> Iterator[Diagnostic]:
    """E0420: duration_in_months belongs to repeating coupons, currencies to amounts."""
    for name, coupon in view.file.coupons.items():
        path = ("coupons", name)
        if coupon.duration == "repeating" and coupon.duration_in_months is None:
            yield view.error(
                "E0420", (*path, "duration"), "a repeating coupon needs duration_in_months", "add duration_in_months: 3"
            )
        if coupon.duration != "repeating" and coupon.duration_in_months is not None:
            summary = "duration_in_months is for repeating coupons"
            yield view.error("E0420", (*path, "duration_in_months"), summary, "write duration: repeating, or remove it")
        for key in ("currency", "currency_options"):
            if coupon.amount_off is None and key in coupon.model_fields_set:
                yield view.error("E0420", (*path, key), f"{key} has no effect on a percentage", f"remove {key}")


def codes_within_coupons(view: View) -> Iterator[Diagnostic]:
    """E0420: a code does not outlive or outnumber its coupon (https://docs.stripe.com/api/promotion_codes/create)."""
    for name, code in view.file.promotion_codes.items():
        coupon = view.file.coupons.get(code.coupon)
        if coupon is None:
            continue
        path, there = ("promotion_codes", name), ("coupons", code.coupon)
        if code.expires_at and coupon.redeem_by and code.expires_at > coupon.redeem_by:
            summary = "the code expires after its coupon can no longer be redeemed"
            remedy = "write a date not after the coupon's redeem_by"
            yield view.error("E0420", (*path, "expires_at"), summary, remedy, ((*there, "redeem_by"), "the coupon"))
        if code.max_redemptions and coupon.max_redemptions and code.max_redemptions > coupon.max_redemptions:
            summary = "the code can be redeemed more often than its coupon"
            remedy = f"write at most {coupon.max_redemptions}"
            where = ((*there, "max_redemptions"), "the coupon")
            yield view.error("E0420", (*path, "max_redemptions"), summary, remedy, where)


def restrictions_consistent(view: View) -> Iterator[Diagnostic]:
    """E0421: the currencies of a restriction belong to a least amount."""
    for name, code in view.file.promotion_codes.items():
        for key in ("currency", "currency_options") if code.restrictions else ():
            if (
                code.restrictions
                and code.restrictions.minimum_amount is None
                and key in code.restrictions.model_fields_set
            ):
                path = ("promotion_codes", name, "restrictions", key)
                yield view.error("E0421", path, f"{key} has no effect without minimum_amount", f"remove {key}")


def portal_changes_possible(view: View) -> Iterator[Diagnostic]:
    """E0406: the portal offers plans that have a recurring price."""
    update = view.file.portal.subscription_update if view.file.portal else None
    for index, name in enumerate(update.plans if update else ()):
        plan = view.file.plans.get(name)
        if plan is not None and not recurring(plan):
            path = ("portal", "subscription_update", "plans", index)
            summary = f"plan {quoted(name)} has no recurring price to change to"
            yield view.error("E0406", path, summary, "add a price with an interval to the plan, or remove it here")


def keys_unique(view: View) -> Iterator[Diagnostic]:
    """E0422: one API key names one tenant."""
    seen: dict[str, Path_] = {}
    for name, tenant in view.file.tenants.items():
        for index, key in enumerate(tenant.api_keys):
            path: Path_ = ("tenants", name, "api_keys", index, "sha256")
            first = seen.setdefault(key.sha256, path)
            if first != path:
                summary = f"the same API key names tenant {quoted(str(first[1]))}"
                yield view.error("E0422", path, summary, "give every tenant keys of its own", (first, "first here"))
