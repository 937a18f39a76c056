"""Prices (https://docs.stripe.com/api/prices): an amount never changes, so a change makes a successor.

The successor takes the lookup key over in the call that creates it; only then is the old price archived.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from reconciler.config.catalog import Catalog
from reconciler.config.models import (
    BillingPlan,
    CreditPack,
    Overage,
    Price,
    ReservedPrice,
    Tenant,
    UsageLine,
)
from reconciler.config.terms import (
    plan_currency,
    sold,
    spends,
    tenant_currency,
    tenant_plan,
    tenant_spends,
    through_spend,
)
from reconciler.resources.amounts import (
    currency_options,
    custom,
    decimal_text,
    only_adds,
    per_unit,
    read_brackets,
    read_currency_options,
    read_custom,
    tiered,
    transform,
    usage_amounts,
)
from reconciler.resources.model import (
    Field,
    Json,
    Kind,
    Mode,
    Removal,
    Resource,
    Stage,
    Values,
    live_id,
    optional_text,
    ref,
)
from reconciler.resources.names import LOOKUP_KEY_LIMIT, default_key
from reconciler.resources.spend import spend_amounts, spend_meter_address, spend_product_address


def _recurring(live: Mapping[str, Any]) -> Json:
    recurring = live.get("recurring")
    if recurring is None:
        return None
    read: Values = {
        "interval": recurring["interval"],
        "interval_count": recurring.get("interval_count") or 1,
        "usage_type": recurring.get("usage_type") or "licensed",
    }
    return {**read, "meter": live_id("meter", recurring["meter"])} if recurring.get("meter") else read


def _unit_amount(live: Mapping[str, Any]) -> Json:
    if live.get("billing_scheme") == "tiered" or live.get("custom_unit_amount") is not None:
        return None
    return decimal_text(live.get("unit_amount_decimal"))


def _tiers(live: Mapping[str, Any]) -> Json:
    return read_brackets(live.get("tiers"))


def _custom(live: Mapping[str, Any]) -> Json:
    return read_custom(live.get("custom_unit_amount"))


def _product(live: Mapping[str, Any]) -> Json:
    return live_id("product", live["product"])


def _was_unspecified(live: Json, _desired: Json) -> bool:
    return live is None


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield the prices of plans, credit packs and tenants; drafts have none."""
    for name, plan in catalog.file.plans.items():
        if plan.status != "draft":
            yield from _plan_prices(catalog, name, plan)
    for name, pack in catalog.file.credit_packs.items():
        if pack.status != "draft":
            yield _pack_price(catalog, name, pack)
    for name, tenant in catalog.file.tenants.items():
        yield from _tenant_prices(catalog, name, tenant)


def _plan_prices(catalog: Catalog, name: str, plan: BillingPlan) -> Iterator[Resource]:
    product, active = f"plans.{name}", plan.status == "active"
    currency = plan_currency(catalog.file, plan)
    for price_id, price in plan.prices.items():
        values = _licensed(catalog, price, price.currency or currency) | {"active": active}
        yield _resource(catalog, ("plans", name, "prices", price_id), product, values, price)
    for meter, line in plan.usage.items():
        if sold(line) is not None and not through_spend(catalog.file, plan, line):
            values = _metered(catalog, line, meter, currency) | {"active": active}
            yield _resource(catalog, ("plans", name, "usage", meter), product, values, line.overage)
    if spends(catalog.file, plan):
        minimum = plan.minimum.per_month if plan.minimum else None
        values = _spend(catalog, currency, minimum) | {"active": active}
        yield _resource(catalog, ("plans", name, "spend"), product, values, None, charge=plan.minimum)


def _pack_price(catalog: Catalog, name: str, pack: CreditPack) -> Resource:
    currency = pack.currency or catalog.settings.currency
    values = _common(catalog, pack, currency) | per_unit(pack.price, currency, {})
    values |= {"currency_options": currency_options(pack.currency_options), "active": pack.status == "active"}
    return _resource(catalog, ("credit_packs", name, "price"), f"credit_packs.{name}", values, pack, metadata={})


def _tenant_prices(catalog: Catalog, name: str, tenant: Tenant) -> Iterator[Resource]:
    file, currency = catalog.file, tenant_currency(catalog.file, tenant)
    for meter, line in tenant.usage.items():
        path, product = ("tenants", name, "usage", meter), f"meters.{meter}.product"
        if sold(line) is not None and not through_spend(file, tenant_plan(file, tenant), line):
            yield _resource(catalog, path, product, _metered(catalog, line, meter, currency), line.overage)
        if line.reserved_price is not None:
            reserved = line.reserved_price
            values = _reserved(catalog, reserved, reserved.currency or currency)
            yield _resource(catalog, (*path, "reserved_price"), product, values, reserved)
    if tenant_spends(file, tenant):
        values = _spend(catalog, currency, None)
        yield _resource(catalog, ("tenants", name, "spend"), spend_product_address(currency), values, None)


def _spend(catalog: Catalog, currency: str, minimum: Decimal | None) -> Values:
    recurring = {
        "interval": "month",
        "interval_count": 1,
        "usage_type": "metered",
        "meter": ref(spend_meter_address(currency)),
    }
    return _common(catalog, None, currency) | spend_amounts(currency, minimum) | {"recurring": recurring}


def _licensed(catalog: Catalog, price: Price, currency: str) -> Values:
    values = _common(catalog, price, currency) | transform(price.transform_quantity)
    if price.tiers is not None:
        values |= tiered(catalog.file.tiers[price.tiers], currency)
    elif price.custom_unit_amount is not None:
        values["custom_unit_amount"] = custom(price.custom_unit_amount, currency)
    elif price.amount is not None:
        values |= per_unit(price.amount, currency, {})
    if price.currency_options:
        values["currency_options"] = currency_options(price.currency_options)
    if price.interval != "once":
        values["recurring"] = {
            "interval": price.interval,
            "interval_count": price.interval_count,
            "usage_type": "licensed",
        }
    return values


def _metered(catalog: Catalog, line: UsageLine, meter: str, currency: str) -> Values:
    overage = sold(line)
    assert overage is not None  # noqa: S101  only lines that are sold come here
    tier = catalog.file.tiers[overage.tiers] if overage.tiers else None
    recurring = {
        "interval": line.interval,
        "interval_count": line.interval_count,
        "usage_type": "metered",
        "meter": ref(f"meters.{meter}"),
    }
    amounts = usage_amounts(overage, tier, line.included, currency)
    return _common(catalog, overage, currency) | amounts | {"recurring": recurring}


def _reserved(catalog: Catalog, price: ReservedPrice, currency: str) -> Values:
    recurring = {"interval": price.interval, "interval_count": price.interval_count, "usage_type": "licensed"}
    return _common(catalog, price, currency) | per_unit(price.amount, currency, {}) | {"recurring": recurring}


def _common(catalog: Catalog, item: Price | Overage | ReservedPrice | CreditPack | None, currency: str) -> Values:
    own = item.tax_behavior if item else None
    return {
        "currency": currency,
        "nickname": item.nickname if item else None,
        "tax_behavior": own or catalog.settings.tax_behavior,
    }


def _resource(
    catalog: Catalog,
    path: tuple[str, ...],
    product: str,
    values: Values,
    item: Any,
    *,
    metadata: Mapping[str, str] | None = None,
    charge: Any = None,
) -> Resource:
    address = ".".join(path)
    override = getattr(item, "lookup_key", None)
    key = override or default_key(catalog.namespace, address, LOOKUP_KEY_LIMIT)
    return Resource(
        kind=KIND,
        address=address,
        key=key,
        values=KIND.canonical(_taxed(values) | {"product": ref(product), "lookup_key": key}),
        metadata=getattr(item, "metadata", {}) if metadata is None else metadata,
        source=catalog.at(*path),
        adopts=override is not None,
        policies={"": getattr(charge or item, "on_change", "grandfather")},
    )


def _taxed(values: Values) -> Values:
    """Give each currency the price's tax behavior: Stripe Tax does not offer a currency without one.

    https://docs.stripe.com/payments/checkout/localize-prices/manual-currency-prices
    """
    behavior, options = values.get("tax_behavior"), values.get("currency_options")
    if not behavior or not options:
        return values
    taxed = {currency: {"tax_behavior": behavior, **option} for currency, option in options.items()}
    return {**values, "currency_options": taxed}


KIND = Kind(
    name="price",
    path="/v1/prices",
    key="lookup_key",
    transfers=True,
    create_stage=Stage.PRICE,
    retire_stage=Stage.RETIRE_PRICE,
    removal=Removal.ARCHIVE,
    desire=desire,
    expand=("tiers", "currency_options"),
    fields=(
        Field("product", Mode.CREATE_ONLY, read=_product),
        Field("active", Mode.MUTABLE, default=True, yaml="status"),
        Field("currency", Mode.CREATE_ONLY, yaml="currency"),
        Field("unit_amount_decimal", Mode.CREATE_ONLY, read=_unit_amount, yaml="amount"),
        Field("custom_unit_amount", Mode.CREATE_ONLY, read=_custom, yaml="custom_unit_amount"),
        Field("billing_scheme", Mode.CREATE_ONLY, default="per_unit"),
        Field("tiers_mode", Mode.CREATE_ONLY, yaml="tiers"),
        Field("tiers", Mode.CREATE_ONLY, read=_tiers, yaml="tiers"),
        Field("transform_quantity", Mode.CREATE_ONLY, yaml="transform_quantity"),
        Field("recurring", Mode.CREATE_ONLY, read=_recurring, yaml="interval"),
        Field(
            "currency_options",
            Mode.MUTABLE,
            read=read_currency_options,
            in_place=only_adds,
            yaml="currency_options",
        ),
        Field("tax_behavior", Mode.MUTABLE, default="unspecified", in_place=_was_unspecified, yaml="tax_behavior"),
        Field("nickname", Mode.MUTABLE, read=optional_text("nickname"), unset="", yaml="nickname"),
        Field("lookup_key", Mode.MUTABLE, yaml="lookup_key"),
    ),
    unmanaged={
        "product_data": "products have addresses of their own",
        "unit_amount": "written as unit_amount_decimal, which holds every amount exactly",
        "transfer_lookup_key": "part of how a key is taken over, not a property of the price",
    },
)
