"""A tenant's invoices from the files: what is paid ahead when an interval begins, what was used when one ends.

Each interval of each price is counted from the end of the trial, or from the start where there is none
(https://docs.stripe.com/billing/subscriptions/mixed-interval).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler.config.models import Coupon, File, Tenant
from reconciler.config.models.tenants import MoneyCredit
from reconciler.config.parts import billed_currency
from reconciler.config.terms import default_currency
from reconciler.money import to_minor
from reconciler.pricing.invoice import Discount, Grant, Invoice, Line, Tax, invoice
from reconciler.pricing.lines import Usage, ahead, behind, free, spent
from reconciler.pricing.periods import Period, intervals, later
from reconciler.pricing.rating import rounded
from reconciler.pricing.tariff import Licensed, Metered, Tariff, of_tenant

#: Charges that go through the spend meter are billed every month.
_MONTHLY = ("month", 1)


@dataclass(frozen=True, slots=True)
class Contract:
    """A tenant's subscription: what it pays for what, since when, its coupon, its taxes, and money given to it.

    Without ``since`` it began long ago: there is no trial, of coupons only those that last forever count, and money
    that was given once is spent.
    """

    tariff: Tariff
    since: datetime | None = None
    coupon: Coupon | None = None
    discount: Discount | None = None
    taxes: tuple[Tax, ...] = ()
    grants: tuple[Grant, ...] = ()

    @property
    def anchor(self) -> datetime | None:
        """When its intervals begin: at the end of the trial, or with it."""
        return self.since and self.since + timedelta(days=self.tariff.trial_days)

    def licensed(self) -> list[tuple[Licensed, int]]:
        """Return what is paid ahead, with how often."""
        chosen = self.tariff.prices.get(self.tariff.chosen or "")
        return [*([(chosen, self.tariff.quantity)] if chosen else []), *((each, 1) for each in self.tariff.reserved)]

    def discounts(self, at: datetime, *, first: bool) -> list[Discount]:
        """Return the discounts of the invoice of a time; one that lasts once is of the first, free or not."""
        if self.coupon is None or self.discount is None:
            return []
        months = self.coupon.duration_in_months
        live = {
            "forever": True,
            "once": first,
            "repeating": self.since is not None and months is not None and at < later(self.since, "month", months),
        }
        return [self.discount] if live[self.coupon.duration] else []


def contract_of(
    file: File, tenant_id: str, since: datetime | None = None, plan: str | None = None, price: str | None = None
) -> Contract:
    """Return a tenant's subscription as the files describe it, begun by them or not.

    ``plan`` and ``price`` are what the tenant has subscribed to in place of what the files say, see :func:`of_tenant`.
    """
    tariff, tenant = of_tenant(file, tenant_id, plan, price), file.tenants.get(tenant_id)
    terms = tenant.subscription if tenant else None
    coupon = file.coupons[terms.coupon] if terms and terms.coupon else None
    discount = _discount(file, coupon, tariff.currency) if coupon else None
    taxes = tuple(tax_of(file, rate) for rate in terms.tax_rates) if terms else ()
    grants = _grants(file, tenant_id, tenant, tariff.currency) if tenant and since else ()
    return Contract(tariff, since, coupon, discount, taxes, tuple(grants))


def tax_of(file: File, rate_id: str) -> Tax:
    """Return a tax rate of the files."""
    rate = file.tax_rates[rate_id]
    return Tax(rate.percentage, rate.inclusive, rate.display_name)


def invoice_of(
    file: File,
    tenant_id: str,
    usage: Usage,
    period: Period,
    *,
    since: datetime | None = None,
    plan: str | None = None,
    price: str | None = None,
    taxes: Sequence[Tax] | None = None,
    grants: Sequence[Grant] | None = None,
) -> Invoice:
    """Return all that a period of a tenant costs, see :func:`bill` and for its subscription :func:`contract_of`."""
    return bill(contract_of(file, tenant_id, since, plan, price), usage, period, taxes=taxes, grants=grants)


def bill(
    contract: Contract,
    usage: Usage,
    period: Period,
    *,
    taxes: Sequence[Tax] | None = None,
    grants: Sequence[Grant] | None = None,
) -> Invoice:
    """Return all that a period costs: prices whose intervals begin in it, and what was used in it.

    ``usage`` is that of the intervals that end with or within the period, at most one of each line; ValueError for a
    longer period, and for one that is partly a trial. Of a contract that began long ago each interval begins with it.
    ``taxes`` and ``grants`` are the contract's unless given; what earlier periods took of the grants, the caller knows.
    """
    anchor, (start, end) = contract.anchor or period[0], period
    if start < anchor:
        if end > anchor:
            raise ValueError(f"the trial ends within the period, at {anchor.isoformat()}")
        billed = _trial(contract, usage, period)
    else:
        billed = [
            line
            for price, quantity in contract.licensed()
            for each in _starting(price, anchor, period)[: None if contract.since else 1]
            for line in ahead(price, quantity, contract.tariff.currency, each)
        ]
        billed += _used(contract, anchor, period, usage)
    discounts = contract.discounts(start, first=start == contract.since)
    levied = contract.taxes if taxes is None else taxes
    given = contract.grants if grants is None else grants
    return invoice(contract.tariff.currency, billed, discounts=discounts, grants=given, taxes=levied, at=end)


def invoices_of(
    contract: Contract,
    until: datetime,
    used: Callable[[Period], Usage],
    *,
    taxes: Sequence[Tax] | None = None,
    grants: Sequence[Grant] | None = None,
) -> Iterator[Invoice]:
    """Yield the invoices of a subscription as Stripe makes them, from its start and before ``until``.

    Each bills what is paid ahead for the intervals that begin with it, and behind for those that end, whose usage is
    asked for. Money credits are used up from one to the next. ``taxes`` and ``grants`` are the contract's unless given.
    """
    since, anchor = contract.since, contract.anchor
    if since is None or anchor is None:
        raise ValueError("a subscription that began long ago has no first invoice")
    left = list(contract.grants if grants is None else grants)
    levied = contract.taxes if taxes is None else taxes
    for number, (at, billed) in enumerate(_bills(contract, since, anchor, until, used)):
        discounts = contract.discounts(at, first=number == 0)
        made = invoice(contract.tariff.currency, billed, discounts=discounts, grants=left, taxes=levied, at=at)
        left = [replace(grant, balance=grant.balance - made.paid.get(grant.id, 0)) for grant in left]
        yield made


def _bills(
    contract: Contract, since: datetime, anchor: datetime, until: datetime, used: Callable[[Period], Usage]
) -> Iterator[tuple[datetime, list[Line]]]:
    if since < anchor:
        yield since, _trial(contract, Usage(), (since, anchor))
    currency, starting = contract.tariff.currency, dict[datetime, list[Line]]()
    for price, quantity in contract.licensed():
        for period in intervals(anchor, *_rhythm(price), until):
            starting.setdefault(period[0], []).extend(ahead(price, quantity, currency, period))
    ending: dict[datetime, list[tuple[Metered | None, Period]]] = {}
    for line in _metered(contract.tariff):
        for period in intervals(anchor, *_rhythm(line), until):
            if period[1] < until:
                ending.setdefault(period[1], []).append((line, period))
    for at in sorted({*starting, *ending}):
        behind_ = (each for line, period in ending.get(at, ()) for each in _one(contract, line, period, used(period)))
        yield at, [*starting.get(at, ()), *behind_]


def _used(contract: Contract, anchor: datetime, period: Period, usage: Usage) -> Iterator[Line]:
    """Yield the usage of the intervals that end in a period, after its start."""
    for line in _metered(contract.tariff):
        ends = [each for each in intervals(anchor, *_rhythm(line), period[1]) if period[0] < each[1] <= period[1]]
        if len(ends) > 1:
            name = line.name if line else "usage charges"
            raise ValueError(f"{name}: {len(ends)} billing intervals end in the period, the usage is of one")
        for each in ends:
            yield from _one(contract, line, each, usage)


def _one(contract: Contract, line: Metered | None, period: Period, usage: Usage) -> Iterable[Line]:
    """Return the lines of a usage line for an interval; no line stands for what is spent together."""
    if line is None:
        return spent(contract.tariff, usage, period)
    meter = next(meter for meter, each in contract.tariff.usage.items() if each is line)
    return behind(line, usage.units.get(meter, 0), contract.tariff.currency, period)


def _metered(tariff: Tariff) -> list[Metered | None]:
    lines: list[Metered | None] = [line for line in tariff.usage.values() if not line.spent]
    return [*lines, None] if tariff.spend else lines


def _rhythm(item: Licensed | Metered | None) -> tuple[str, int]:
    return _MONTHLY if item is None else (item.interval, item.interval_count)


def _starting(price: Licensed, anchor: datetime, period: Period) -> list[Period]:
    """Return the intervals of a price that begin in a period."""
    return [each for each in intervals(anchor, *_rhythm(price), period[1]) if each[0] >= period[0]]


def _trial(contract: Contract, usage: Usage, period: Period) -> list[Line]:
    paid = [free(price, quantity, period) for price, quantity in contract.licensed()]
    lines = [(line, usage.units.get(meter, 0)) for meter, line in contract.tariff.usage.items() if not line.spent]
    return [*paid, *(free(line, units, period) for line, units in lines)]


def _discount(file: File, coupon: Coupon, currency: str) -> Discount | None:
    """Return what a coupon takes off in a currency; nothing where it has no amount in it."""
    products = frozenset(coupon.applies_to) or None
    if coupon.percent_off is not None:
        return Discount(coupon.percent_off, products=products)
    own = coupon.currency or default_currency(file)
    amount = coupon.amount_off if currency == own else coupon.currency_options.get(currency)
    return None if amount is None else Discount(amount_off=rounded(to_minor(amount, currency)), products=products)


def _grants(file: File, tenant_id: str, tenant: Tenant, currency: str) -> Iterator[Grant]:
    """Yield the money credits of a tenant in the currency it pays; those in others pay nothing."""
    for credit in tenant.money_credits:
        if (credit.currency or billed_currency(file, tenant_id)) == currency:
            yield _grant(credit, currency)


def _grant(credit: MoneyCredit, currency: str) -> Grant:
    amount, promotional = rounded(to_minor(credit.amount, currency)), credit.category == "promotional"
    return Grant(credit.id, amount, credit.priority, expires=credit.expires, promotional=promotional)
