"""Entitlement features (https://docs.stripe.com/api/entitlements/feature).

An archived feature can neither be edited nor revived, and its lookup key is free again, so archived ones are not read.
"""

from collections.abc import Iterator

from reconciler.config.catalog import Catalog
from reconciler.resources.model import Field, Kind, Mode, Removal, Resource, Stage
from reconciler.resources.names import FEATURE_KEY_LIMIT, default_key


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield the features of the files."""
    for name, feature in catalog.file.features.items():
        address = f"features.{name}"
        key = feature.lookup_key or default_key(catalog.namespace, address, FEATURE_KEY_LIMIT)
        yield Resource(
            kind=KIND,
            address=address,
            key=key,
            values=KIND.canonical({"lookup_key": key, "name": feature.name}),
            metadata=feature.metadata,
            source=catalog.at("features", name),
            adopts=feature.lookup_key is not None,
        )


KIND = Kind(
    name="feature",
    path="/v1/entitlements/features",
    key="lookup_key",
    fallback_limit=FEATURE_KEY_LIMIT,
    create_stage=Stage.FOUNDATION,
    retire_stage=Stage.RETIRE_FOUNDATION,
    removal=Removal.ARCHIVE,
    desire=desire,
    fields=(
        Field("active", Mode.UPDATE_ONLY, default=True),
        Field("lookup_key", Mode.CREATE_ONLY, yaml="lookup_key"),
        Field("name", Mode.MUTABLE, yaml="name"),
    ),
)
