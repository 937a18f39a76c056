"""Products (https://docs.stripe.com/api/products): one per plan, per credit pack, and per meter a tenant pays for."""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.config.catalog import Catalog
from reconciler.config.models import BillingPlan, CreditPack, File
from reconciler.config.models.offers import ProductCommon
from reconciler.config.terms import sold, tenant_plan, through_spend
from reconciler.diagnostics import SourceRange
from reconciler.resources.amounts import decimal_text
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
from reconciler.resources.names import ID_LIMIT, chosen_id
from reconciler.resources.spend import spend_currencies_of_tenants, spend_product_address

SIDES = ("height", "length", "weight", "width")


def _dimensions(live: Mapping[str, Any]) -> Json:
    sides = live.get("package_dimensions")
    return None if sides is None else {side: decimal_text(sides[side]) for side in SIDES}


def _names(live: Mapping[str, Any]) -> Json:
    return [{"name": item["name"]} for item in live.get("marketing_features") or []]


def _shippable(live: Mapping[str, Any]) -> Json:
    return live.get("shippable") or None


def _tax_details(live: Mapping[str, Any]) -> Json:
    details = live.get("tax_details") or {}
    known = {name: details[name] for name in ("performance_location", "tax_code") if details.get(name)}
    return known or None


def _default_price(live: Mapping[str, Any]) -> Json:
    return live_id("price", live.get("default_price"))


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield a product per plan that is not a draft, per credit pack, and per meter that tenants pay for themselves.

    Tenants that have a spend price have a product for it too, one for all in a currency.
    """
    for name, plan in catalog.file.plans.items():
        if plan.status != "draft":
            yield _sold(catalog, "plans", "plan", name, plan)
    for name, pack in catalog.file.credit_packs.items():
        if pack.status != "draft":
            yield _sold(catalog, "credit_packs", "pack", name, pack)
    for name in sorted(metered_for_tenants(catalog.file)):
        meter = catalog.file.meters[name]
        key = chosen_id(catalog.namespace, "meter", name)
        yield _metered(f"meters.{name}.product", key, meter.name, meter.unit, catalog.at("meters", name))
    for currency in sorted(spend_currencies_of_tenants(catalog.file)):
        key = chosen_id(catalog.namespace, "spend", currency)
        yield _metered(spend_product_address(currency), key, "Usage charges", None, catalog.at("tenants"))


def metered_for_tenants(file: File) -> set[str]:
    """Return the meters for which some tenant has a price of its own."""
    return {
        meter
        for tenant in file.tenants.values()
        for meter, line in tenant.usage.items()
        if line.reserved_price is not None
        or (sold(line) is not None and not through_spend(file, tenant_plan(file, tenant), line))
    }


def _sold(catalog: Catalog, section: str, family: str, name: str, item: BillingPlan | CreditPack) -> Resource:
    key = item.stripe_id or chosen_id(catalog.namespace, family, name)
    values = _common(item) | {
        "id": key,
        "active": item.status == "active",
        "default_price": _default(item, section, name),
    }
    return Resource(
        kind=KIND,
        address=f"{section}.{name}",
        key=key,
        values=KIND.canonical(values),
        metadata=item.metadata,
        source=catalog.at(section, name),
        adopts=item.stripe_id is not None,
    )


def _default(item: BillingPlan | CreditPack, section: str, name: str) -> Json:
    if item.status != "active":
        return None
    if isinstance(item, CreditPack):
        return ref(f"{section}.{name}.price")
    if not item.default_price:
        return None
    where = "prices" if item.default_price in item.prices else "usage"
    return ref(f"{section}.{name}.{where}.{item.default_price}")


def _common(item: ProductCommon) -> Values:
    dimensions, tax = item.package_dimensions, item.tax_details
    return {
        "name": item.name,
        "description": item.description,
        "images": list(item.images),
        "marketing_features": [{"name": text} for text in item.marketing_features],
        "statement_descriptor": item.statement_descriptor,
        "tax_code": item.tax_code,
        "tax_details": tax.model_dump(exclude_none=True) if tax else None,
        "unit_label": item.unit_label,
        "url": item.url,
        "shippable": item.shippable or None,
        "package_dimensions": {side: decimal_text(getattr(dimensions, side)) for side in SIDES} if dimensions else None,
    }


def _metered(address: str, key: str, name: str, unit: str | None, source: SourceRange | None) -> Resource:
    values = KIND.canonical({"id": key, "name": name, "unit_label": unit})
    return Resource(kind=KIND, address=address, key=key, values=values, source=source)


KIND = Kind(
    name="product",
    path="/v1/products",
    key="id",
    chosen_id=True,
    fallback_limit=ID_LIMIT,
    create_stage=Stage.PRODUCT,
    retire_stage=Stage.RETIRE_PRODUCT,
    removal=Removal.ARCHIVE,
    desire=desire,
    fields=(
        Field("id", Mode.CREATE_ONLY, yaml="stripe_id"),
        Field("active", Mode.MUTABLE, default=True, yaml="status"),
        Field("name", Mode.MUTABLE, yaml="name"),
        Field("description", Mode.MUTABLE, unset="", yaml="description"),
        Field("images", Mode.MUTABLE, default=[], unset="", yaml="images"),
        Field("marketing_features", Mode.MUTABLE, default=[], read=_names, unset="", yaml="marketing_features"),
        Field(
            "statement_descriptor",
            Mode.MUTABLE,
            read=optional_text("statement_descriptor"),
            unset="",
            yaml="statement_descriptor",
        ),
        Field("tax_code", Mode.MUTABLE, unset="", yaml="tax_code"),
        Field("tax_details", Mode.MUTABLE, read=_tax_details, unset="", yaml="tax_details"),
        Field("unit_label", Mode.MUTABLE, unset="", yaml="unit_label"),
        Field("url", Mode.MUTABLE, unset="", yaml="url"),
        Field("shippable", Mode.MUTABLE, read=_shippable, unset=False, yaml="shippable"),
        Field("package_dimensions", Mode.MUTABLE, read=_dimensions, unset="", yaml="package_dimensions"),
        Field("default_price", Mode.UPDATE_ONLY, read=_default_price, unset="", yaml="default_price"),
    ),
    unmanaged={
        "type": "products of type good cannot be subscribed to; service is Stripe's default",
        "default_price_data": "prices have addresses of their own",
    },
)
