"""Values of Stripe objects in words: human money beside minor units, brackets, periods. Pure, and safe to show.

Everything that comes from files or from Stripe passes through :func:`reconciler.diagnostics.visible.visible`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from reconciler import money
from reconciler.diagnostics.visible import visible
from reconciler.resources import Kind
from reconciler.resources.model import Json, Values, canonical_json, held, substitute

#: Fields that hold an amount in minor units of the currency that applies where they stand.
AMOUNTS = frozenset(
    ("unit_amount_decimal", "flat_amount_decimal", "amount_off", "minimum_amount", "minimum", "maximum", "preset")
)
#: Fields that hold seconds since 1970.
INSTANTS = frozenset(("redeem_by", "expires_at"))
#: Decimal numbers that Stripe writes as text.
NUMBERS = frozenset(("percent_off", "percentage"))


def amount(minor: Json, currency: str) -> str:
    """Write an amount in both units; one finer than the currency's smallest coin also for a thousand or a million.

    >>> amount("4999", "usd")
    '49.99 usd (4999)'
    >>> amount("0.5", "usd")
    '0.005 usd (0.5), 5.00 usd per 1,000'
    """
    value = Decimal(str(minor))
    both = f"{money.display(value, currency)} ({money.plain(value)})"
    if not money.decimals(value):
        return both
    units = 1_000 if value * 1_000 >= 1 else 1_000_000
    return f"{both}, {money.display(money.EXACT.multiply(value, Decimal(units)), currency)} per {units:,}"


def scalar(path: tuple[str | int, ...], value: Json, currency: str | None) -> str:
    """Write one scalar as it is named: amounts as money, instants as dates, text in quotes."""
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    if name in AMOUNTS and currency in money.CURRENCIES and _is_number(value):
        return amount(value, str(currency))
    if name in INSTANTS and isinstance(value, int):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if name in NUMBERS and _is_number(value):
        return str(value)
    return quote(value) if isinstance(value, str) else json.dumps(value)


def quote(text: str) -> str:
    """Write text in double quotes on one line."""
    return '"' + visible(text).replace('"', '\\"') + '"'


def currency_at(path: tuple[str | int, ...], values: Mapping[str, Json]) -> str | None:
    """Return the currency of an amount at a path: of its currency option, of its restriction, or of the object."""
    if "currency_options" in path[:-1]:
        return str(path[path.index("currency_options") + 1])
    if path[0] == "restrictions":
        held = (values.get("restrictions") or {}).get("minimum_amount_currency")
        return None if held is None else str(held)
    held = values.get("currency")
    return None if held is None else str(held)


def _is_number(value: Json) -> bool:
    try:
        return Decimal(str(value)).is_finite()
    except InvalidOperation:
        return False


def unlike(names: Iterable[str], before: Values, after: Values) -> str:
    """Say of each field what is there, at Stripe, and here, in the files; ids and addresses as they are."""
    return "; ".join(f"{name} is {_single(before.get(name))} there, {_single(after.get(name))} here" for name in names)


def _single(value: Json) -> str:
    plain = substitute(value, lambda each: _referred(each) if isinstance(each, dict) and each else each)
    return plain if isinstance(plain, str) and isinstance(value, dict) else canonical_json(plain)


def _referred(reference: Json) -> str:
    return held(reference)[1] if "$id" in reference else str(reference["$ref"])


def subscribed(count: int | None) -> str:
    """Say how many live subscriptions there are; None is unknown."""
    if count is None:
        return "subscribers unknown"
    return f"{count:,} subscriber{'' if count == 1 else 's'}"


def headline(kind: Kind, values: Values) -> str:
    """Say in a few words what an object is: ``price 49.99 usd per month``, ``product "Pro"``."""
    describe = _HEADLINES.get(kind.name)
    words = describe(values) if describe else ""
    return f"{kind.name.replace('_', ' ')} {words}".rstrip()


def brackets(values: Values) -> Iterator[tuple[str, str]]:
    """Yield the price brackets of an object: which units, and what they cost."""
    first, currency = 1, str(values.get("currency"))
    for tier in values.get("tiers") or []:
        last = tier["up_to"]
        units = f"from {first:,}" if last == "inf" else f"{first:,} to {last:,}"
        yield units, _bracket(tier, currency)
        first = first if last == "inf" else int(last) + 1


def _bracket(tier: Values, currency: str) -> str:
    unit, flat = tier.get("unit_amount_decimal", "0"), tier.get("flat_amount_decimal", "0")
    parts = [] if unit == "0" else [f"{amount(unit, currency)} each" if flat != "0" else amount(unit, currency)]
    parts += [] if flat == "0" else [f"{amount(flat, currency)} flat"]
    return " and ".join(parts) or "free"


def _named(field: str) -> Callable[[Values], str]:
    return lambda values: quote(str(values[field])) if field in values else ""


def _price(values: Values) -> str:
    currency = str(values.get("currency"))
    if values.get("tiers"):
        how = f"{values.get('tiers_mode')} in {currency}"
    elif values.get("custom_unit_amount"):
        how = f"chosen by the customer in {currency}"
    else:
        how = amount(values.get("unit_amount_decimal", "0"), currency)
    package = values.get("transform_quantity")
    if package:
        how += f" per {package['divide_by']:,} units, rounded {package['round']}"
    return how + _period(values.get("recurring"))


def _period(recurring: Values | None) -> str:
    if not recurring:
        return " once"
    every = period(recurring)
    return f", metered {every}" if recurring.get("usage_type") == "metered" else f" {every}"


def period(recurring: Mapping[str, Json]) -> str:
    """Say how often a price is due: ``per month``, ``every 3 months``."""
    count, interval = recurring.get("interval_count", 1), recurring["interval"]
    return f"per {interval}" if count == 1 else f"every {count} {interval}s"


def _coupon(values: Values) -> str:
    if "percent_off" in values:
        off = f"{values['percent_off']} % off"
    else:
        off = f"{amount(values.get('amount_off', 0), str(values.get('currency')))} off"
    duration = values.get("duration", "once")
    return f"{off}, {values['duration_in_months']} months" if "duration_in_months" in values else f"{off}, {duration}"


def _attachment(values: Values) -> str:
    feature = values.get("entitlement_feature") or {}
    return visible(held(feature)[1] if "$id" in feature else str(feature.get("$ref", "")).removeprefix("features."))


def _tax(values: Values) -> str:
    side = "inclusive" if values.get("inclusive") else "exclusive"
    return f"{quote(str(values.get('display_name', '')))} {values.get('percentage', '0')} % {side}"


def _link(values: Values) -> str:
    """Name what a link sells, without the prices of usage that come with a plan: ``"plans.pro monthly"``."""
    prices = [line["price"] for line in values.get("line_items") or []]
    names = [held(price)[1] if "$id" in price else _brief(price["$ref"]) for price in prices]
    return quote(", ".join(filter(None, names)))


def _brief(address: str) -> str:
    section, name, family, *rest = address.split(".")
    if family == "spend" or (family == "usage" and rest[-1] != "reserved_price"):
        return ""
    return " ".join([f"{section}.{name}", *rest[:1]])


def _customer(values: Values) -> str:
    return quote(str(values["name"])) if "name" in values else ""


def _subscription(values: Values) -> str:
    """Name what is subscribed to, without the prices of usage, and how it is collected."""
    items = [(_price_name(each["price"]), each.get("quantity", 1)) for each in values.get("items") or []]
    shown = [f"{name} x {quantity:,}" if quantity > 1 else name for name, quantity in items if name]
    collected = "invoices" if values.get("collection_method") == "send_invoice" else "charged"
    return f"{quote(', '.join(shown) or 'usage alone')}, {collected} in {values.get('currency')}"


def _price_name(price: Json) -> str:
    if "$ref" in price:
        return _brief(price["$ref"])
    _, _, address = str(price.get("$of", "")).partition("/")
    return f"{_brief(address)} as before" if address and _brief(address) else "" if address else held(price)[1]


def _credit(values: Values) -> str:
    monetary = (values.get("amount") or {}).get("monetary") or {}
    return amount(monetary.get("value", 0), str(monetary.get("currency")))


def _portal(values: Values) -> str:
    title = (values.get("business_profile") or {}).get("headline")
    return quote(title) if title else ""


_HEADLINES: Mapping[str, Callable[[Values], str]] = {
    "product": _named("name"),
    "product_feature": _attachment,
    "meter": _named("display_name"),
    "feature": _named("name"),
    "promotion_code": _named("code"),
    "price": _price,
    "coupon": _coupon,
    "tax_rate": _tax,
    "payment_link": _link,
    "portal_configuration": _portal,
    "webhook_endpoint": _named("url"),
    "customer": _customer,
    "subscription": _subscription,
    "credit_grant": _credit,
}
