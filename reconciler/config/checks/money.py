"""Currencies Stripe knows, and amounts it can hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from reconciler import money
from reconciler.config.models import (
    BillingPlan,
    Coupon,
    CreditPack,
    CurrencyOption,
    CustomUnitAmount,
    Overage,
    Price,
    ReservedPrice,
    Restrictions,
    Settings,
    Tenant,
    Tier,
)
from reconciler.config.models.offers import AutoRecharge, CreditTerms, Minimum, PackageDimensions, PerCall, Step
from reconciler.config.models.tenants import CreditGrant, MoneyCredit
from reconciler.config.source import Path_
from reconciler.config.terms import table_currencies
from reconciler.config.view import View
from reconciler.config.words import did_you_mean
from reconciler.diagnostics import Diagnostic
from reconciler.diagnostics.visible import quoted

_CREDIT_DECIMALS = 6
#: https://docs.stripe.com/changelog/2018-07-27/coupons-use-floats-specify-percent-off
_PERCENT_DECIMALS = 2
_SIZE_DECIMALS = 2
_FINE = (
    (CreditTerms, ("default", "included"), _CREDIT_DECIMALS),
    (AutoRecharge, ("below",), _CREDIT_DECIMALS),
    (Overage, ("credits",), _CREDIT_DECIMALS),
    (CreditPack, ("credits", "bonus"), _CREDIT_DECIMALS),
    (CreditGrant, ("amount",), _CREDIT_DECIMALS),
    (Coupon, ("percent_off",), _PERCENT_DECIMALS),
    (PackageDimensions, ("height", "length", "weight", "width"), _SIZE_DECIMALS),
)
#: Minor units in the smallest charge, where that is more than one.
_ZEROS = dict.fromkeys(money.THREE_DECIMAL, 10) | dict.fromkeys(money.WHOLE_MAJOR, 100)
_WITH_OPTIONS = (Price, Tier, Overage, CreditPack, Coupon, Restrictions)
_WITH_CURRENCY = (
    Settings,
    BillingPlan,
    Price,
    Tier,
    ReservedPrice,
    CreditPack,
    Tenant,
    MoneyCredit,
    Coupon,
    Restrictions,
)


class _Kind(Enum):
    """How finely Stripe holds an amount: twelve decimals of a minor unit, or whole minor units."""

    UNIT = "multiplied by a quantity"
    FLAT = "charged as it is, but held like a unit amount"
    WHOLE = "in whole minor units"
    SPEND = "counted in millionths, which the spend rules check"


_CHARGED = frozenset({_Kind.FLAT, _Kind.WHOLE})


@dataclass(frozen=True, slots=True)
class _Amount:
    path: Path_
    value: Decimal
    currency: str
    kind: _Kind


def currencies_known(view: View) -> Iterator[Diagnostic]:
    """E0301: every currency is one Stripe charges in."""
    for path, code in _currencies(view):
        if code not in money.CURRENCIES:
            transposed = [known for known in money.CURRENCIES if sorted(known) == sorted(code)]
            summary = f"Stripe knows no currency {quoted(code)}{did_you_mean(code, transposed)}"
            yield view.error("E0301", path, summary, "write a three-letter code such as usd, eur or jpy")


def amounts_held(view: View) -> Iterator[Diagnostic]:
    """E0302, E0303, E0304: an amount is not finer and not larger than Stripe holds."""
    for each in _amounts(view):
        minor = money.to_minor(each.value, each.currency)
        places = money.decimals(minor)
        written = f"{money.plain(each.value)} {each.currency}"
        smallest = money.display(Decimal(1), each.currency)
        if each.kind is _Kind.WHOLE and places:
            summary = f"{written} is not a whole number of minor units"
            yield view.error("E0303", each.path, summary, f"Stripe holds this amount in steps of {smallest}")
        elif each.kind is not _Kind.SPEND and places > money.MAX_MINOR_DECIMALS:
            summary = f"{written} has {places} decimals of the minor unit, Stripe holds {money.MAX_MINOR_DECIMALS}"
            yield view.error("E0302", each.path, summary, f"the minor unit is {smallest}; write fewer decimals")
        if minor > money.MAX_MINOR_AMOUNT:
            largest = money.display(money.MAX_MINOR_AMOUNT, each.currency)
            yield view.error("E0304", each.path, f"{written} is more than Stripe charges", f"write at most {largest}")


def charges_rounded(view: View) -> Iterator[Diagnostic]:
    """W0302: a charge ends in the zeros Stripe asks for: one of three decimals, or both decimals of isk and ugx."""
    for each in _amounts(view):
        step = _ZEROS.get(each.currency)
        if step and each.kind in _CHARGED and money.to_minor(each.value, each.currency) % step:
            summary = f"{money.plain(each.value)} {each.currency} has digits that must be zero at Stripe"
            smallest = money.display(Decimal(step), each.currency)
            yield view.warning("W0302", each.path, summary, f"it may refuse the charge; write a multiple of {smallest}")


def charges_common(view: View) -> Iterator[Diagnostic]:
    """W0303: a charge is not larger than every way of paying takes."""
    for each in _amounts(view):
        largest = money.LARGER_MINOR_AMOUNT.get(each.currency, money.COMMON_MINOR_AMOUNT)
        minor = money.to_minor(each.value, each.currency)
        if each.kind in _CHARGED and largest < minor <= money.MAX_MINOR_AMOUNT:
            summary = f"{money.plain(each.value)} {each.currency} is more than some ways of paying take"
            remedy = f"up to {money.display(largest, each.currency)} every one takes it; above that, some cards do"
            yield view.warning("W0303", each.path, summary, remedy)


def options_differ(view: View) -> Iterator[Diagnostic]:
    """E0305: a currency option is not the currency of the price itself."""
    tables = table_currencies(view.file)
    for path, item in view.items(*_WITH_OPTIONS):
        own = getattr(item, "currency", None)
        base = tables[str(path[1])] if isinstance(item, Tier) else {own or view.currency(path)}
        for code in item.currency_options:
            if code in base:
                summary = f"{code} is the currency of the amount itself"
                yield view.error("E0305", (*path, "currency_options", code), summary, "remove the option")


def options_fit(view: View) -> Iterator[Diagnostic]:
    """E0306: a price in another currency has the form of the price: per unit, chosen by the customer, or in tiers."""
    for path, overage in view.each(Overage):
        if overage.tiers is not None:
            yield from _in_table(view, path, overage.currency_options)
    for path, price in view.each(Price):
        if price.tiers is not None:
            yield from _in_table(view, path, price.currency_options)
    for path, option in view.each(CurrencyOption):
        price = view.merged.get(path[:-2])
        wanted = "custom_unit_amount" if "custom_unit_amount" in price else "unit_amount"
        other = "unit_amount" if wanted == "custom_unit_amount" else "custom_unit_amount"
        if "tiers" not in price and (getattr(option, wanted) is None or getattr(option, other) is not None):
            summary = f"the option needs {wanted}, as the price itself, and no other amount"
            yield view.error("E0306", path, summary, f"write {path[-1]}: {{{wanted}: …}}")
    for path, price in view.each(Price):
        for code, option in price.currency_options.items():
            if price.custom_unit_amount is not None and isinstance(option, Decimal):
                summary = "the customer chooses the amount of this price, in every currency"
                remedy = f"write {code}: {{custom_unit_amount: {{minimum: …}}}}"
                yield view.error("E0306", (*path, "currency_options", code), summary, remedy)


def _in_table(view: View, path: Path_, options: Mapping[str, object]) -> Iterator[Diagnostic]:
    for code in options:
        summary = "a price in tiers has its other currencies in the table of tiers"
        yield view.error(
            "E0306", (*path, "currency_options", code), summary, "move it into the table's currency_options"
        )


def fine_numbers(view: View) -> Iterator[Diagnostic]:
    """E0314: credits have at most six decimals, a coupon's percentage and sizes at most two."""
    for model, names, most in _FINE:
        for path, item in view.items(model):
            for name in names:
                yield from _fine(view, (*path, name), getattr(item, name), most)
    for path, terms in view.each(CreditTerms):
        for tool, cost in terms.tools.items():
            yield from _fine(view, (*path, "tools", tool), cost, _CREDIT_DECIMALS)


def _fine(view: View, path: Path_, value: Decimal | None, most: int) -> Iterator[Diagnostic]:
    if value is not None and money.decimals(value) > most:
        summary = f"{money.plain(value)} has more than {most} decimals"
        yield view.error("E0314", path, summary, f"write at most {most} digits after the point")


def _currencies(view: View) -> Iterator[tuple[Path_, str]]:
    for path, item in view.items(*_WITH_CURRENCY):
        if item.currency is not None and "currency" in item.model_fields_set:
            yield (*path, "currency"), item.currency
    for path, item in view.items(*_WITH_OPTIONS):
        for code in item.currency_options:
            yield (*path, "currency_options", code), code


def _amounts(view: View) -> Iterator[_Amount]:
    for path, item, name, kind in _single(view):
        value = getattr(item, name)
        if value is not None:
            yield _Amount((*path, name), value, getattr(item, "currency", None) or view.currency(path), kind)
        for code, option in getattr(item, "currency_options", {}).items():
            if isinstance(option, Decimal):
                yield _Amount((*path, "currency_options", code), option, code, kind)
    for path, option in view.each(CurrencyOption):
        if option.unit_amount is not None:
            yield _Amount((*path, "unit_amount"), option.unit_amount, str(path[-1]), _Kind.FLAT)
    for path, custom in view.each(CustomUnitAmount):
        yield from _custom(view, path, custom)
    for path, terms in view.each(PerCall):
        yield from _calls(path, terms, view.currency(path))
    for path, credit in view.each(MoneyCredit):
        currency = credit.currency or view.billed(str(path[1]))
        yield _Amount((*path, "amount"), credit.amount, currency, _Kind.WHOLE)
    tables = table_currencies(view.file)
    for path, table in view.each(Tier):
        for code in sorted(tables[str(path[1])]):
            yield from _steps((*path, "steps"), table.steps, code)
        for code, steps in table.currency_options.items():
            yield from _steps((*path, "currency_options", code), steps, code)


def _single(view: View) -> Iterator[tuple[Path_, object, str, _Kind]]:
    """Yield the models with one amount, its name and kind; other currencies hold the same amount."""
    yield from ((path, item, "amount", _Kind.FLAT) for path, item in view.items(Price, ReservedPrice))
    yield from ((path, item, "price", _Kind.FLAT) for path, item in view.each(CreditPack))
    yield from ((path, item, "unit_amount", _Kind.UNIT) for path, item in view.each(Overage))
    yield from ((path, item, "per_month", _Kind.WHOLE) for path, item in view.each(Minimum))
    yield from ((path, item, "amount_off", _Kind.WHOLE) for path, item in view.each(Coupon))
    yield from ((path, item, "minimum_amount", _Kind.WHOLE) for path, item in view.each(Restrictions))


def _calls(path: Path_, terms: PerCall, currency: str) -> Iterator[_Amount]:
    for name in ("default", "minimum"):
        value = getattr(terms, name)
        if value is not None:
            yield _Amount((*path, name), value, currency, _Kind.SPEND)
    for tool, value in terms.tools.items():
        yield _Amount((*path, "tools", tool), value, currency, _Kind.SPEND)


def _custom(view: View, path: Path_, custom: CustomUnitAmount) -> Iterator[_Amount]:
    inside_option = path[-3] == "currency_options"
    price = view.file.plans[str(path[1])].prices.get(str(path[3])) if path[0] == "plans" else None
    currency = str(path[-2]) if inside_option else (price.currency if price else None) or view.currency(path)
    for name in ("minimum", "maximum", "preset"):
        value = getattr(custom, name)
        if value is not None:
            yield _Amount((*path, name), value, currency, _Kind.WHOLE)


def _steps(path: Path_, steps: tuple[Step, ...], currency: str) -> Iterator[_Amount]:
    for index, step in enumerate(steps):
        if step.unit_amount is not None:
            yield _Amount((*path, index, "unit_amount"), step.unit_amount, currency, _Kind.UNIT)
        if step.flat_amount is not None:
            yield _Amount((*path, index, "flat_amount"), step.flat_amount, currency, _Kind.WHOLE)
