"""What a tenant is sold, from the files alone: addresses of prices and how many of each, never an amount. Pure."""

from collections.abc import Collection, Iterator
from typing import NamedTuple, TypeVar

from reconciler.config.catalog import Catalog
from reconciler.config.models import BillingPlan, CreditPack, File, PaymentLink
from reconciler.config.terms import default_currency, link_trial, plan_currency, recurring, sales
from reconciler.diagnostics.visible import quoted
from reconciler.ledger.entry import MAX_NAME
from reconciler.pricing.tariff import NotOfferedError, Tariff, of_tenant
from reconciler.provider.payments.errors import NotForSaleError
from reconciler.resources.model import digest

#: https://docs.stripe.com/api/checkout/sessions/create, "line_items": recurring ones of one subscription.
_MOST_LINES = 20
#: As many as a payment link of the files may sell.
_MOST = 10**6
_NOT_SOLD = "E1405"
Every = tuple[str, int]
T = TypeVar("T")


class Choice(NamedTuple):
    """What is asked for: a plan, at one of its prices or at the one of an interval, or a pack; how many.

    ``quantity`` is None for what the tenant's terms say, else one.
    """

    plan: str | None = None
    price: str | None = None
    interval: str | None = None
    pack: str | None = None
    quantity: int | None = None


class OfferLine(NamedTuple):
    """A price by its address, and how many of it; None of what is metered."""

    address: str
    quantity: int | None


class Offer(NamedTuple):
    """What is sold: ``sells`` is the address of a plan or a pack, ``price`` the id of the plan's price, if it has one.

    ``every`` is the billing interval, None for what is paid once; ``coupon`` and ``tax_rates`` are addresses of what
    the files put on the tenant's subscription. ``currency`` is the one the files say the tenant pays in, if they do and
    it is one of those of the offer.
    """

    sells: str
    price: str | None
    lines: tuple[OfferLine, ...]
    every: Every | None = None
    trial_days: int = 0
    coupon: str | None = None
    tax_rates: tuple[str, ...] = ()
    currency: str | None = None

    @property
    def digest(self) -> str:
        """What tells two offers apart."""
        return digest([self.sells, self.price, self.lines, self.trial_days, self.currency], 16)


def offer_of(catalog: Catalog, tenant: str, choice: Choice) -> Offer:
    """Return what a tenant is sold for a choice; NotForSaleError, with a remedy, where the files do not sell it."""
    if not (0 < len(tenant) <= MAX_NAME and tenant.isprintable()):
        raise _not(f"a tenant's name has 1 to {MAX_NAME} printable characters", "Name the tenant.")
    if choice.quantity is not None and not 1 <= choice.quantity <= _MOST:
        raise _not(f"{choice.quantity} is no number of seats or packs", f"Name one from 1 to {_MOST:,}.")
    if (choice.plan is None) == (choice.pack is None):
        raise _not("either a plan or a pack is sold", "Name a plan, or a pack.")
    if choice.pack is not None:
        if choice.price is not None or choice.interval is not None:
            raise _not("a pack has one price", "Leave price and interval out.")
        return _of_pack(catalog.file, tenant, choice.pack, choice.quantity or 1)
    return _of_plan(catalog.file, tenant, choice.plan or "", choice)


def _of_pack(file: File, tenant: str, name: str, quantity: int) -> Offer:
    pack = _named(file.credit_packs, name, "pack")
    _on_sale(f"pack {quoted(name)}", pack)
    line = OfferLine(f"credit_packs.{name}.price", quantity)
    offered = {pack.currency or default_currency(file), *pack.currency_options}
    return Offer(f"credit_packs.{name}", None, (line,), currency=_currency(file, tenant, offered))


def _currency(file: File, tenant: str, offered: Collection[str]) -> str | None:
    own = file.tenants.get(tenant)
    return own.currency if own is not None and own.currency in offered else None


def _of_plan(file: File, tenant: str, name: str, choice: Choice) -> Offer:
    plan = _named(file.plans, name, "plan")
    _on_sale(f"plan {quoted(name)}", plan)
    price = _price(file, tenant, name, plan, choice)
    if price is not None and (once := plan.prices[price]).interval == "once":
        line = OfferLine(f"plans.{name}.prices.{price}", choice.quantity or 1)
        offered = {once.currency or plan_currency(file, plan), *once.currency_options}
        return Offer(f"plans.{name}", price, (line,), currency=_currency(file, tenant, offered))
    try:
        tariff = of_tenant(file, tenant, name, price)
    except NotOfferedError as problem:
        raise _not(str(problem), "Name a price of the tenant's currency.") from None
    own = file.tenants.get(tenant)
    terms = own.subscription if own is not None else None
    offer = _subscription(name, price, tariff, choice.quantity)
    offer = offer._replace(currency=_currency(file, tenant, {tariff.currency}))
    if terms is None:
        return offer
    rates = tuple(f"tax_rates.{rate}" for rate in terms.tax_rates)
    return offer._replace(coupon=f"coupons.{terms.coupon}" if terms.coupon else None, tax_rates=rates)


def _subscription(name: str, price: str | None, tariff: Tariff, quantity: int | None) -> Offer:
    sold = list(_lines(tariff, quantity))
    if not sold:
        raise _not(f"plan {quoted(name)} costs nothing", f"Give it as `plan: {name}`, or as settings.default_plan.")
    if quantity is not None and quantity != 1 and tariff.chosen is None:
        raise _not(f"plan {quoted(name)} is paid by use, so there is no number of it", "Leave the quantity out.")
    first = sold[0]
    for line, every in sold[1:]:
        if every != first[1]:
            summary = f"{line.address} is billed every {_words(every)}, and {first[0].address} every {_words(first[1])}"
            raise _not(
                f"{summary}: no page of Stripe sells both", "Name a price of the interval that usage is billed in."
            )
    if len(sold) > _MOST_LINES:
        raise _not(f"plan {quoted(name)} has {len(sold)} prices, and Stripe sells {_MOST_LINES} at once", "Split it.")
    return Offer(f"plans.{name}", price, tuple(line for line, _ in sold), first[1], tariff.trial_days)


def _lines(tariff: Tariff, quantity: int | None) -> Iterator[tuple[OfferLine, Every]]:
    chosen = tariff.prices.get(tariff.chosen or "")
    if chosen is not None:
        yield OfferLine(chosen.address, quantity or tariff.quantity), (chosen.interval, chosen.interval_count)
    for each in tariff.reserved:
        yield OfferLine(each.address, 1), (each.interval, each.interval_count)
    for line in tariff.usage.values():
        if not line.spent:
            yield OfferLine(line.address, None), (line.interval, line.interval_count)
    if tariff.spend is not None:
        yield OfferLine(tariff.spend.address, None), ("month", 1)


def _price(file: File, tenant: str, name: str, plan: BillingPlan, choice: Choice) -> str | None:
    """Return the price that is meant: the one that is named, the one of the interval, the tenant's, the default one."""
    if choice.price is not None:
        if choice.price not in plan.prices:
            raise _not(f"plan {quoted(name)} has no price {quoted(choice.price)}", _one_of("price", plan.prices))
        if choice.interval not in (None, plan.prices[choice.price].interval):
            raise _not(f"price {quoted(choice.price)} is not paid every {choice.interval}", "Leave one of the two out.")
        return choice.price
    if choice.interval is not None:
        return _by_interval(name, plan, choice.interval)
    own = file.tenants.get(tenant)
    preferred = [own.price] if own is not None and own.plan == name else []
    several = [*recurring(plan), *plan.prices]
    return next((each for each in (*preferred, plan.default_price, *several) if each in plan.prices), None)


def _by_interval(name: str, plan: BillingPlan, interval: str) -> str:
    fitting = [each for each, price in plan.prices.items() if price.interval == interval and price.interval_count == 1]
    if len(fitting) > 1 and plan.default_price in fitting:
        return plan.default_price
    if len(fitting) != 1:
        summary = (
            f"plan {quoted(name)} has {len(fitting) or 'no'} {'prices' if fitting else 'price'} for one {interval}"
        )
        raise _not(summary, _one_of("price", fitting or plan.prices))
    return fitting[0]


def _named(section: dict[str, T], name: str, what: str) -> T:
    if name not in section:
        raise _not(f"the files have no {what} {quoted(name)}", _one_of(what, section))
    return section[name]


def _on_sale(what: str, item: BillingPlan | CreditPack) -> None:
    if item.status == "draft":
        raise _not(f"{what} is a draft, so it is not at Stripe", "Write `status: active` and apply, or name another.")
    if item.status == "legacy":
        raise _not(f"{what} is honoured for those who have it, and no longer sold", "Name one whose status is active.")


def _words(every: Every) -> str:
    interval, count = every
    return f"{count} {interval}s" if count > 1 else interval


def _one_of(what: str, names: object) -> str:
    known = ", ".join(sorted(names)) if isinstance(names, dict | list) else ""
    return f"Name a {what} of the files: {known}." if known else f"Add a {what} to the files and apply."


def _not(message: str, remedy: str) -> NotForSaleError:
    return NotForSaleError(_NOT_SOLD, message, remedy=remedy)


def declared(file: File, tenant: str, offer: Offer) -> str | None:
    """Return the payment link that the files make for a tenant to sell exactly this offer.

    A link of the files says nothing of a currency, so it is none for whoever has to pay in a certain one. One for
    everybody is none either: who pays with it stands only in its address, where a browser can change it. Nor is
    one with a trial for whoever has none.
    """
    if offer.currency is not None:
        return None
    wanted = sorted((line.address, line.quantity or 1) for line in offer.lines)
    own = (name for name, link in file.payment_links.items() if link.active and link.tenant == tenant)
    links = ((name, file.payment_links[name]) for name in own)
    fitting = (name for name, link in links if offer.trial_days or not link_trial(file, link))
    return next((name for name in fitting if _sold_by(file, file.payment_links[name]) == wanted), None)


def _sold_by(file: File, link: PaymentLink) -> list[tuple[str, int]]:
    lines: dict[str, int] = {}
    for sale in sales(file, link):
        lines[sale.address] = 1 if sale.quantity is None else lines.get(sale.address, 0) + sale.quantity
    return sorted(lines.items())
