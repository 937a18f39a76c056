"""Live objects as planning sees them: canonical values, metadata, owner mark."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reconciler.diagnostics.redact import redact
from reconciler.planning.applied import Applied
from reconciler.resources import Kind
from reconciler.resources.mark import Mark, owned_metadata, read_mark
from reconciler.resources.model import Json, Values, digest
from reconciler.resources.subscription import ENDING, OVER


@dataclass(frozen=True)
class Live:
    """One object as Stripe holds it; ids of other objects stand as ``{"$id": ...}``.

    ``attached`` is the owner mark of the feature that an attachment attaches, which may be archived and not be read.
    ``told`` is what people want to know of an object, such as a link's address; ``kept`` that it cannot be archived.
    ``facts`` are what planning and writing go by though nobody manages it; no fingerprint covers them.
    """

    kind: Kind
    id: str
    values: Values
    metadata: Mapping[str, str] = field(default_factory=dict)
    created: int = 0
    attached: Mark | None = None
    told: str | None = None
    kept: bool = False
    facts: Mapping[str, Json] = field(default_factory=dict)

    @cached_property
    def mark(self) -> Mark | None:
        """The owner mark, None for an object without one."""
        return read_mark(self.metadata)

    @property
    def key(self) -> Json:
        """The natural key, None where the kind has none or the object holds none."""
        return self.values.get(self.kind.key) if self.kind.key else None

    @property
    def active(self) -> bool:
        """Whether the object can be used for something new, or goes on beyond its period."""
        return self.values.get("active", True) is not False and not self.values.get(ENDING) and not self.over

    @property
    def over(self) -> bool:
        """Whether the object is a subscription that will never be billed again."""
        return self.facts.get("status") in OVER

    def is_relic(self, namespace: str) -> bool:
        """Tell whether this is an archived object of a namespace: one that a successor may take the key from."""
        return not self.active and self.mark is not None and self.mark.namespace == namespace

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits over everything of the object that a plan may rely on."""
        return digest([self.kind.name, self.id, self.values, owned_metadata(self.metadata)], 32)


@dataclass(frozen=True)
class LiveState:
    """What an account holds of the managed kinds: only what is alive, and what the files name by key.

    ``applied`` is what was last applied there as a whole, None where nothing was or nobody wrote it down. ``contracts``
    says that customers and subscriptions were read too.
    """

    account: str
    mode: str
    api_version: str
    objects: tuple[Live, ...]
    applied: Applied | None = None
    contracts: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 over the fingerprints, independent of the order in which objects were read."""
        return digest(sorted(live.fingerprint for live in self.objects))


def read_object(kind: Kind, raw: Mapping[str, Any], *, parent: str | None = None) -> Live:
    """Turn an object of Stripe's answer into a live object.

    ``parent`` is the product of an attachment, which Stripe's answer does not name.
    """
    values = {**raw, kind.parent: parent} if kind.parent else raw
    feature = raw.get("entitlement_feature")
    return Live(
        kind=kind,
        id=raw["id"],
        values=_without_secrets(kind.read(values)),
        metadata=_without_secrets(raw.get("metadata") or {}),
        created=int(raw.get("created") or 0),
        attached=read_mark(feature.get("metadata") or {}) if isinstance(feature, Mapping) else None,
        told=raw.get(kind.told) if kind.told else None,
        kept=bool(kind.kept and raw.get(kind.kept)),
        facts=kind.facts(raw) if kind.facts else {},
    )


def _without_secrets(value: Any) -> Any:
    """Hide Stripe secrets that somebody wrote into an object: what is read here stands in plans and in outputs."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _without_secrets(item) for key, item in value.items()}
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value
