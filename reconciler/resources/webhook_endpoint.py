"""Webhook endpoints (https://docs.stripe.com/api/webhook_endpoints): where events are sent, in one API version.

The secret that signs the events is in the answer to the creation only. It is handed over once, and is never a value.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.config.catalog import Catalog
from reconciler.resources.model import Field, Kind, Mode, Removal, Resource, Stage, optional_text
from reconciler.resources.version import API_VERSION


def _disabled(live: Mapping[str, Any]) -> bool:
    return bool(live.get("status") == "disabled")


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield the webhook endpoints of the files; their events come in the version that everything here speaks."""
    for name, webhook in catalog.file.webhooks.items():
        values = {
            "api_version": API_VERSION,
            "url": webhook.url,
            "enabled_events": list(webhook.events),
            "description": webhook.description,
            "disabled": webhook.disabled,
        }
        yield Resource(
            kind=KIND,
            address=f"webhooks.{name}",
            key=None,
            values=KIND.canonical(values),
            metadata=webhook.metadata,
            source=catalog.at("webhooks", name),
        )


KIND = Kind(
    name="webhook_endpoint",
    path="/v1/webhook_endpoints",
    key=None,
    create_stage=Stage.OFFER,
    late_stage=Stage.SWITCH,
    retire_stage=Stage.RETIRE_OFFER,
    removal=Removal.DELETE,
    hands_over="secret",
    desire=desire,
    fields=(
        Field("api_version", Mode.CREATE_ONLY),
        Field("url", Mode.MUTABLE, yaml="url"),
        Field("enabled_events", Mode.MUTABLE, yaml="events", unordered=True),
        Field("description", Mode.MUTABLE, read=optional_text("description"), unset="", yaml="description"),
        Field("disabled", Mode.UPDATE_ONLY, default=False, read=_disabled, yaml="disabled"),
    ),
    unmanaged={"connect": "events of connected accounts belong to platforms, which the files do not describe"},
)
