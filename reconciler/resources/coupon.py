"""Coupons (https://docs.stripe.com/api/coupons): everything but name, metadata and new currencies is fixed."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from reconciler import money
from reconciler.config.catalog import Catalog
from reconciler.config.models import Coupon
from reconciler.resources.amounts import decimal_text, only_adds
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


def _percent(live: Mapping[str, Any]) -> Json:
    return decimal_text(live.get("percent_off"))


def _options(live: Mapping[str, Any]) -> Json:
    options = live.get("currency_options") or {}
    other = {name: {"amount_off": option["amount_off"]} for name, option in options.items() if name != live["currency"]}
    return other or None


def _applies_to(live: Mapping[str, Any]) -> Json:
    products = (live.get("applies_to") or {}).get("products") or []
    return {"products": [live_id("product", product) for product in products]} if products else None


def whole(amount: Decimal | None, currency: str) -> int | None:
    """Return an amount in whole minor units, as coupons and restrictions hold it."""
    return None if amount is None else int(money.to_minor(amount, currency))


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield the coupons of the files."""
    for name, coupon in catalog.file.coupons.items():
        key = coupon.stripe_id or chosen_id(catalog.namespace, "coupon", name)
        yield Resource(
            kind=KIND,
            address=f"coupons.{name}",
            key=key,
            values=KIND.canonical(_values(coupon, coupon.currency or catalog.settings.currency) | {"id": key}),
            metadata=coupon.metadata,
            source=catalog.at("coupons", name),
            adopts=coupon.stripe_id is not None,
        )


def _values(coupon: Coupon, currency: str) -> Values:
    options = {name: {"amount_off": whole(amount, name)} for name, amount in coupon.currency_options.items()}
    return {
        "name": coupon.name,
        "percent_off": decimal_text(coupon.percent_off),
        "amount_off": whole(coupon.amount_off, currency),
        "currency": currency if coupon.amount_off is not None else None,
        "currency_options": options or None,
        "duration": coupon.duration,
        "duration_in_months": coupon.duration_in_months,
        "max_redemptions": coupon.max_redemptions,
        "redeem_by": int(coupon.redeem_by.timestamp()) if coupon.redeem_by else None,
        "applies_to": {"products": [ref(address) for address in coupon.applies_to]} if coupon.applies_to else None,
    }


KIND = Kind(
    name="coupon",
    path="/v1/coupons",
    key="id",
    chosen_id=True,
    fallback_limit=ID_LIMIT,
    create_stage=Stage.COUPON,
    retire_stage=Stage.RETIRE_COUPON,
    removal=Removal.DELETE,
    desire=desire,
    expand=("applies_to", "currency_options"),
    fields=(
        Field("id", Mode.CREATE_ONLY, yaml="stripe_id"),
        Field("name", Mode.MUTABLE, read=optional_text("name"), unset="", yaml="name"),
        Field("percent_off", Mode.CREATE_ONLY, read=_percent, yaml="percent_off"),
        Field("amount_off", Mode.CREATE_ONLY, yaml="amount_off"),
        Field("currency", Mode.CREATE_ONLY, yaml="currency"),
        Field("currency_options", Mode.MUTABLE, read=_options, in_place=only_adds, yaml="currency_options"),
        Field("duration", Mode.CREATE_ONLY, default="once", yaml="duration"),
        Field("duration_in_months", Mode.CREATE_ONLY, yaml="duration_in_months"),
        Field("max_redemptions", Mode.CREATE_ONLY, yaml="max_redemptions"),
        Field("redeem_by", Mode.CREATE_ONLY, yaml="redeem_by"),
        Field("applies_to", Mode.CREATE_ONLY, read=_applies_to, yaml="applies_to", unordered=True),
    ),
)
