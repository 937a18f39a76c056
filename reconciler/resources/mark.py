"""Owner marks: which catalogue an object belongs to, and from which address it was made.

Stripe has no owner of an object, so the mark lives in metadata. A removed own metadata key must be unset without
touching keys that others set, so the mark also remembers, as hashes, which keys were ours.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.resources.model import (
    ADDRESS,
    DIGEST,
    FEATURES,
    MANAGED_BY,
    MARK_KEYS,
    OWN_KEYS,
    PREFIX,
    Resource,
    Values,
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What an object says about its owner."""

    namespace: str
    address: str
    digest: str
    own_keys: frozenset[str]
    features: bool

    def owns_key(self, name: str) -> bool:
        """Tell whether a metadata key was written by us."""
        return name in MARK_KEYS or _short(name) in self.own_keys


def _short(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def own_keys(names: Iterable[str]) -> str:
    """Write the own metadata keys as one short value: eight hexadecimal digits each."""
    return ",".join(sorted(_short(name) for name in names))


def read_mark(metadata: Mapping[str, str]) -> Mark | None:
    """Read the mark of a live object; None where it carries none of ours, whatever the namespace."""
    owner = metadata.get(MANAGED_BY, "")
    if not owner.startswith(PREFIX):
        return None
    names = metadata.get(OWN_KEYS, "")
    return Mark(
        namespace=owner.removeprefix(PREFIX),
        address=metadata.get(ADDRESS, ""),
        digest=metadata.get(DIGEST, ""),
        own_keys=frozenset(names.split(",")) if names else frozenset(),
        features=FEATURES in metadata,
    )


def marked(resource: Resource, namespace: str, *, features: bool, values: Values | None = None) -> dict[str, str]:
    """Return the metadata a resource carries at Stripe: its own keys and the mark.

    ``features`` marks a product with attachments, so that only such products need their attachments listed. ``values``
    are those to bind where an object keeps a key of its own.
    """
    digest = resource.digest if values is None else resource.kind.digest(values, resource.metadata)
    mark = {MANAGED_BY: PREFIX + namespace, ADDRESS: resource.address, DIGEST: digest}
    if resource.metadata:
        mark[OWN_KEYS] = own_keys(resource.metadata)
    if features:
        mark[FEATURES] = "attached"
    return {**resource.metadata, **mark}


def owned_metadata(metadata: Mapping[str, str], desired: Iterable[str] = ()) -> dict[str, str]:
    """Select the metadata that is ours to compare: marked keys, keys we wrote, keys the files ask for."""
    mark = read_mark(metadata)
    wanted = set(desired)
    return {
        name: value
        for name, value in metadata.items()
        if name in wanted or name in MARK_KEYS or (mark is not None and mark.owns_key(name))
    }
