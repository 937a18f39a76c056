"""What a tenant becomes at Stripe: a customer with a subscription, and money given to it."""

from collections.abc import Iterator

from reconciler.config.parts import billed_currency, tenant_parts
from reconciler.config.view import View
from reconciler.diagnostics import Diagnostic
from reconciler.diagnostics.visible import quoted


def credits_usable(view: View) -> Iterator[Diagnostic]:
    """E0425, W0407: money credits are in the currency a tenant is billed in, and it has usage that they can pay.

    https://docs.stripe.com/billing/subscriptions/usage-based/billing-credits
    """
    for name, tenant in view.file.tenants.items():
        if not tenant.money_credits or tenant.plan not in (None, *view.file.plans):
            continue
        billed, path = billed_currency(view.file, name), ("tenants", name, "money_credits")
        for index, credit in enumerate(tenant.money_credits):
            if credit.currency not in (None, billed):
                summary = f"tenant {quoted(name)} is billed in {billed}, and credit in {credit.currency} never pays it"
                yield view.error(
                    "E0425", (*path, index, "currency"), summary, f"write {billed}, or remove the currency"
                )
        if tenant.subscription is None:
            summary = f"tenant {quoted(name)} has no subscription, so there is no invoice that money credits could pay"
            yield view.warning("W0407", path, summary, "add subscription: {…}, or remove them")
        elif not any(part.metered for part in tenant_parts(view.file, name)):
            summary = f"tenant {quoted(name)} pays for no usage, and money credits pay nothing else"
            yield view.warning("W0407", path, summary, "sell usage to it, or take a coupon instead")
