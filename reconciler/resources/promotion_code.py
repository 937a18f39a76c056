"""Promotion codes (https://docs.stripe.com/api/promotion_codes): a code is unique among the active ones.

A successor with the same code can only be made once the old one is inactive, so here a replacement retires first.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.config.catalog import Catalog
from reconciler.config.models import PromotionCode, Restrictions
from reconciler.resources.coupon import whole
from reconciler.resources.model import Field, Json, Kind, Mode, Removal, Resource, Stage, Values, live_id, ref


def _promotion(live: Mapping[str, Any]) -> Json:
    return {"type": "coupon", "coupon": live_id("coupon", live["promotion"]["coupon"])}


def _restrictions(live: Mapping[str, Any]) -> Json:
    restrictions = live.get("restrictions") or {}
    read: Values = {}
    if restrictions.get("first_time_transaction"):
        read["first_time_transaction"] = True
    base = restrictions.get("minimum_amount_currency")
    if restrictions.get("minimum_amount") is not None:
        read |= {"minimum_amount": restrictions["minimum_amount"], "minimum_amount_currency": base}
    options = restrictions.get("currency_options") or {}
    other = {name: {"minimum_amount": item["minimum_amount"]} for name, item in options.items() if name != base}
    if other:
        read["currency_options"] = other
    return read or None


def _never(_live: Json, _desired: Json) -> bool:
    """Refuse every change in place: Stripe would let new currencies be added and nothing else."""
    return False


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield the promotion codes of the files."""
    for name, code in catalog.file.promotion_codes.items():
        yield Resource(
            kind=KIND,
            address=f"promotion_codes.{name}",
            key=code.code,
            values=KIND.canonical(_values(catalog, code)),
            metadata=code.metadata,
            source=catalog.at("promotion_codes", name),
        )


def _values(catalog: Catalog, code: PromotionCode) -> Values:
    return {
        "code": code.code,
        "active": code.active,
        "promotion": {"type": "coupon", "coupon": ref(f"coupons.{code.coupon}")},
        "expires_at": int(code.expires_at.timestamp()) if code.expires_at else None,
        "max_redemptions": code.max_redemptions,
        "restrictions": _restrict(code.restrictions, catalog.settings.currency) if code.restrictions else None,
    }


def _restrict(restrictions: Restrictions, fallback: str) -> Json:
    values: Values = {"first_time_transaction": True} if restrictions.first_time_transaction else {}
    currency = restrictions.currency or fallback
    if restrictions.minimum_amount is not None:
        values |= {
            "minimum_amount": whole(restrictions.minimum_amount, currency),
            "minimum_amount_currency": currency,
        }
    if restrictions.currency_options:
        values["currency_options"] = {
            name: {"minimum_amount": whole(amount, name)} for name, amount in restrictions.currency_options.items()
        }
    return values or None


KIND = Kind(
    name="promotion_code",
    path="/v1/promotion_codes",
    key="code",
    retire_first=True,
    create_stage=Stage.PROMOTION,
    retire_stage=Stage.PROMOTION_RETIRE,
    removal=Removal.ARCHIVE,
    desire=desire,
    expand=("restrictions.currency_options",),
    fields=(
        Field("code", Mode.CREATE_ONLY, yaml="code"),
        Field("active", Mode.MUTABLE, default=True, yaml="active"),
        Field("promotion", Mode.CREATE_ONLY, read=_promotion, yaml="coupon"),
        Field("expires_at", Mode.CREATE_ONLY, yaml="expires_at"),
        Field("max_redemptions", Mode.CREATE_ONLY, yaml="max_redemptions"),
        Field(
            "restrictions",
            Mode.MUTABLE,
            read=_restrictions,
            in_place=_never,
            yaml="restrictions",
        ),
    ),
    unmanaged={
        "customer": "codes for one customer belong to the contract kinds",
        "customer_account": "codes for one customer belong to the contract kinds",
    },
)
