"""What a tenant's running period comes to by now, and where it goes on like this. Pure.

Both are the invoice the period will end with, as ``reconciler invoice`` shows it: what is paid ahead for the next
interval, and what was used. The forecast puts use in proportion to the time that has passed, in whole units, and prices
it; there is none on the first day of a period, when a single call would be thirty.
"""

from datetime import timedelta
from typing import NamedTuple

from reconciler.config.catalog import Catalog
from reconciler.diagnostics import UsageError
from reconciler.entitlements.periods import instant
from reconciler.entitlements.standing import Subscription
from reconciler.entitlements.terms import Terms
from reconciler.entitlements.usage_billed import BilledUse
from reconciler.provider.preview import NoPreview
from reconciler.provider.statement import begun, contract_in, invoice_due

_SOONEST = timedelta(days=1)
_UNASKED = NoPreview("Stripe is not asked for figures")


class Spend(NamedTuple):
    """Minor units of a currency: ``by_now`` and the ``forecast`` of the period's end, ``None`` where there is none."""

    currency: str
    by_now: int
    forecast: int | None


def period_of(terms: Terms, subscription: Subscription | None, now: int) -> tuple[int, int]:
    """Return the billing period an instant lies in, microseconds both."""
    month = terms.recurring().at(now)
    return begun(subscription, month), month[1]


def spend_of(
    catalog: Catalog, terms: Terms, subscription: Subscription | None, used: BilledUse, now: int
) -> Spend | None:
    """Return what a tenant's running period comes to; ``None`` for a tenant that has no invoice, or an unknown price.

    The price of a tenant that is not in the files is known where its plan has one only.
    """
    if not _price_known(catalog, terms):
        return None
    since, until = period_of(terms, subscription, now)
    period, at = (instant(since), instant(until)), instant(now)
    try:
        contract = contract_in(catalog, terms.tenant, subscription, _UNASKED)
        by_now = invoice_due(terms.tenant, contract, used, period)
        if at - period[0] < _SOONEST:
            return Spend(by_now.currency, by_now.total, None)
        forecast = invoice_due(terms.tenant, contract, used.projected(period, at), period)
    except UsageError:
        return None
    return Spend(by_now.currency, by_now.total, forecast.total)


def _price_known(catalog: Catalog, terms: Terms) -> bool:
    if terms.tenant in catalog.file.tenants:
        return True
    plan = catalog.file.plans.get(terms.standing.plan.id) if terms.standing.plan is not None else None
    return plan is not None and len(plan.prices) <= 1
