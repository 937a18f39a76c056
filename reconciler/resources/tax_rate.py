"""Tax rates (https://docs.stripe.com/api/tax_rates): percentage and inclusive are fixed, nothing is deleted.

A tax rate has no natural key, so it is recognised by its owner mark alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.config.catalog import Catalog
from reconciler.resources.amounts import decimal_text
from reconciler.resources.model import Field, Json, Kind, Mode, Removal, Resource, Stage, optional_text


def _percentage(live: Mapping[str, Any]) -> Json:
    return decimal_text(live.get("percentage"))


TEXTS = ("country", "state", "jurisdiction", "description")


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield the tax rates of the files."""
    for name, rate in catalog.file.tax_rates.items():
        values = rate.model_dump(exclude={"metadata", "percentage"}) | {"percentage": decimal_text(rate.percentage)}
        yield Resource(
            kind=KIND,
            address=f"tax_rates.{name}",
            key=None,
            values=KIND.canonical(values),
            metadata=rate.metadata,
            source=catalog.at("tax_rates", name),
        )


KIND = Kind(
    name="tax_rate",
    path="/v1/tax_rates",
    key=None,
    create_stage=Stage.FOUNDATION,
    retire_stage=Stage.RETIRE_FOUNDATION,
    removal=Removal.ARCHIVE,
    desire=desire,
    fields=(
        Field("active", Mode.MUTABLE, default=True, yaml="active"),
        Field("display_name", Mode.MUTABLE, yaml="display_name"),
        Field("percentage", Mode.CREATE_ONLY, read=_percentage, yaml="percentage"),
        Field("inclusive", Mode.CREATE_ONLY, yaml="inclusive"),
        *(Field(name, Mode.MUTABLE, read=optional_text(name), unset="", yaml=name) for name in TEXTS),
        Field("tax_type", Mode.MUTABLE, read=optional_text("tax_type"), yaml="tax_type"),
    ),
)
