"""Attachments of features to products (https://docs.stripe.com/api/product-feature): made and deleted, never changed.

An attachment carries no metadata; it is ours when both its ends are.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.config.catalog import Catalog
from reconciler.resources.model import Field, Json, Kind, Mode, Removal, Resource, Stage, live_id, ref


def _feature(live: Mapping[str, Any]) -> Json:
    return live_id("feature", live["entitlement_feature"])


def _product(live: Mapping[str, Any]) -> Json:
    return live_id("product", live["product"])


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield an attachment for every feature a plan that is not a draft grants."""
    for name, plan in catalog.file.plans.items():
        if plan.status == "draft":
            continue
        for index, feature in enumerate(plan.features):
            yield Resource(
                kind=KIND,
                address=f"plans.{name}.features.{feature}",
                key=None,
                values={"product": ref(f"plans.{name}"), "entitlement_feature": ref(f"features.{feature}")},
                source=catalog.at("plans", name, "features", index),
            )


KIND = Kind(
    name="product_feature",
    path="/v1/products/{parent}/features",
    key=None,
    metadata=False,
    parent="product",
    create_stage=Stage.ATTACH,
    retire_stage=Stage.DETACH,
    removal=Removal.DELETE,
    desire=desire,
    fields=(
        Field("product", Mode.CREATE_ONLY, read=_product),
        Field("entitlement_feature", Mode.CREATE_ONLY, read=_feature, yaml="features"),
    ),
)
