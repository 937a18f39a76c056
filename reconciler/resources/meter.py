"""Billing meters (https://docs.stripe.com/api/billing/meter). Only the display name can change; nothing is deleted.

A meter carries no metadata, so it is recognised by its event name alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.config.catalog import Catalog
from reconciler.config.models import Meter
from reconciler.resources.model import Field, Json, Kind, Mode, Removal, Resource, Stage, Values
from reconciler.resources.names import EVENT_NAME_LIMIT, default_key
from reconciler.resources.spend import spend_currencies, spend_meter_address


def _active(live: Mapping[str, Any]) -> bool:
    return bool(live.get("status", "active") == "active")


def _formula(live: Mapping[str, Any]) -> Json:
    return {"formula": live["default_aggregation"]["formula"]}


def _mapping(live: Mapping[str, Any]) -> Json:
    mapping = live.get("customer_mapping") or {}
    return {"type": mapping.get("type", "by_id"), "event_payload_key": mapping.get("event_payload_key")}


def _value_settings(live: Mapping[str, Any]) -> Json:
    return {"event_payload_key": (live.get("value_settings") or {}).get("event_payload_key", "value")}


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield the meters of the files, and one spend meter per currency that is charged through one."""
    for name, meter in catalog.file.meters.items():
        yield _resource(catalog, f"meters.{name}", meter, ("meters", name))
    for currency in sorted(spend_currencies(catalog.file)):
        spend = Meter(name=f"Spend in {currency.upper()}")
        yield _resource(catalog, spend_meter_address(currency), spend, ("plans",))


def _resource(catalog: Catalog, address: str, meter: Meter, path: tuple[str, ...]) -> Resource:
    namespace = catalog.namespace
    key = meter.event_name or default_key(namespace, address, EVENT_NAME_LIMIT)
    values: Values = {
        "active": True,
        "display_name": meter.name,
        "event_name": key,
        "default_aggregation": {"formula": meter.aggregation},
        "customer_mapping": {"type": "by_id", "event_payload_key": meter.customer_key},
        "value_settings": {"event_payload_key": meter.value_key},
        "event_time_window": meter.event_time_window,
    }
    return Resource(
        kind=KIND,
        address=address,
        key=key,
        values=KIND.canonical(values),
        source=catalog.at(*path),
        adopts=meter.event_name is not None,
    )


KIND = Kind(
    name="meter",
    path="/v1/billing/meters",
    key="event_name",
    metadata=False,
    create_stage=Stage.FOUNDATION,
    retire_stage=Stage.RETIRE_FOUNDATION,
    removal=Removal.DEACTIVATE,
    desire=desire,
    fields=(
        Field("active", Mode.UPDATE_ONLY, default=True, read=_active),
        Field("event_name", Mode.CREATE_ONLY, yaml="event_name"),
        Field("display_name", Mode.MUTABLE, yaml="name"),
        Field("default_aggregation", Mode.CREATE_ONLY, read=_formula, yaml="aggregation"),
        Field(
            "customer_mapping",
            Mode.CREATE_ONLY,
            read=_mapping,
            default={"type": "by_id", "event_payload_key": "stripe_customer_id"},
            yaml="customer_key",
        ),
        Field(
            "value_settings",
            Mode.CREATE_ONLY,
            read=_value_settings,
            default={"event_payload_key": "value"},
            yaml="value_key",
        ),
        Field("event_time_window", Mode.CREATE_ONLY, yaml="event_time_window"),
    ),
)
