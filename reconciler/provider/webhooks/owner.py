"""Whose a purchase or subscription is, and what of the files it is about: by what only a secret key can write.

Metadata and owner marks are believed. ``client_reference_id``, e-mail addresses and whatever else a browser can set
are not: anybody could choose another tenant with them.
"""

from collections.abc import Mapping
from typing import Any

from reconciler.config.renames import new_address
from reconciler.provider.customers import TENANTS
from reconciler.provider.payments.shelf import MADE_BY, OURS
from reconciler.resources.mark import read_mark

_LINKS = "payment_links."
_SUBSCRIPTION = ".subscription"
Object = Mapping[str, Any]


class Owner:
    """Reads metadata as one namespace of the files understands it; ``moved`` are addresses that were renamed."""

    def __init__(self, namespace: str, moved: Mapping[str, str]) -> None:
        self.namespace = namespace
        self.moved = moved

    def tenant(self, thing: Object) -> str | None:
        """Return the tenant an object names: as sold by us, as one of the files' subscriptions, links or customers.

        A tenant's name is never followed to a new one: what was granted under the old one would be granted again.
        """
        metadata = thing.get("metadata") or {}
        if metadata.get(MADE_BY) == OURS:
            return (metadata.get("tenant") or None) if metadata.get("namespace") == self.namespace else None
        mark = read_mark(metadata)
        if mark is None or mark.namespace != self.namespace:
            return None
        if mark.address.startswith(_LINKS):
            return metadata.get("tenant") or None
        if mark.address.startswith(TENANTS):
            # Only a subscription's address ends so; a customer's is all name, whatever that ends in.
            ending = "" if thing.get("object") == "customer" else _SUBSCRIPTION
            return mark.address.removeprefix(TENANTS).removesuffix(ending) or None
        return None

    def foreign(self, thing: Object) -> bool:
        """Tell whether an object says that it belongs to another namespace."""
        metadata = thing.get("metadata") or {}
        mark = read_mark(metadata)
        if metadata.get(MADE_BY) == OURS and metadata.get("namespace") != self.namespace:
            return True
        return mark is not None and mark.namespace != self.namespace

    def address(self, thing: Object | None) -> str | None:
        """Return the address a price or product has in the files now, by its mark."""
        mark = read_mark((thing or {}).get("metadata") or {})
        if mark is None or mark.namespace != self.namespace:
            return None
        return new_address(mark.address, self.moved)

    def sells(self, thing: Object) -> str | None:
        """Return the address of what an object was sold as, by the metadata of its purchase."""
        metadata = thing.get("metadata") or {}
        sold = metadata.get("sells")
        return new_address(sold, self.moved) if sold and self.tenant(thing) is not None else None
