"""The vocabulary of resources: field tables, desired resources, references, owner marks.

A value is *canonical*: JSON, decimals as plain text, fields at Stripe's default left out. Desired and live resources
are compared in this form only, so that no normalisation of Stripe's ever shows up as a change.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reconciler.diagnostics import SourceRange

Json = Any
Values = dict[str, Json]

MANAGED_BY = "managed_by"
ADDRESS = "address"
DIGEST = "config_digest"
OWN_KEYS = "reconciler_keys"
FEATURES = "reconciler_features"
#: On a price, the ids of those whose subscribers move to it.
REPLACES = "reconciler_replaces"
MARK_KEYS = (MANAGED_BY, ADDRESS, DIGEST, OWN_KEYS, FEATURES, REPLACES)
#: What the owner in a mark begins with; the namespace follows.
PREFIX = "reconciler/"
#: What a patch sends where there is nothing to send.
NOTHING: Json = object()
_LEAVES = ({"$ref"}, {"$id"}, {"$id", "$of"})


class Mode(StrEnum):
    """When a field can be written: at creation only, at any time, or on an existing object only.

    ``ONCE`` is said at creation and never read back; ``DERIVED`` is no parameter of the object, but a state that is
    reached by other requests.
    """

    CREATE_ONLY = "create-only"
    ONCE = "once"
    DERIVED = "derived"
    MUTABLE = "mutable"
    UPDATE_ONLY = "update-only"


class Removal(StrEnum):
    """What retiring a kind means at Stripe; ``END`` lets it run out, ``KEEP`` leaves it as it is."""

    ARCHIVE = "archive"
    DELETE = "delete"
    DEACTIVATE = "deactivate"
    END = "end"
    KEEP = "keep"


class Stage(StrEnum):
    """Order of writes. Everything of one stage is independent and runs in parallel."""

    FOUNDATION = "1-foundation"
    PRODUCT = "2-product"
    ATTACH = "3-attach"
    PRICE = "4-price"
    DEFAULT_PRICE = "5-default-price"
    COUPON = "6-coupon"
    PROMOTION_RETIRE = "7-promotion-retire"
    PROMOTION = "8-promotion"
    OFFER = "8b-offer"
    SWITCH = "8b2-switch"
    RETIRE_OFFER = "8c-retire-offer"
    CUSTOMER = "8d-customer"
    RELEASE = "8e-release"
    CONTRACT = "8f-contract"
    SCHEDULE = "8g-schedule"
    PHASES = "8h-phases"
    END = "8i-end"
    RETIRE_COUPON = "9a-retire-coupon"
    RETIRE_PRICE = "9b-retire-price"
    DETACH = "9c-detach"
    UNMARK = "9c2-unmark"
    RETIRE_PRODUCT = "9d-retire-product"
    RETIRE_FOUNDATION = "9e-retire-foundation"


def optional_text(name: str) -> Callable[[Mapping[str, Any]], Json]:
    """Read a text that Stripe may answer as empty once it was cleared."""
    return lambda live: live.get(name) or None


def always(_live: Json, _desired: Json) -> bool:
    """Accept every change in place."""
    return True


@dataclass(frozen=True, slots=True)
class Field:
    """One Stripe parameter of a kind: when it is writable, Stripe's default, how to read, change and clear it.

    ``in_place`` narrows a mutable field: a change it refuses forces a replacement. ``unset`` is what an update sends to
    clear the field; ``None`` means that Stripe cannot clear it, which forces a replacement. Where Stripe lays an update
    over what is there, ``patch`` says from before and after what to send, :data:`NOTHING` for nothing. ``yaml`` is its
    key in the files, empty where the value is derived. Lists in an ``unordered`` field are sets. What is ``personal``
    stands in a plan only where the files say it.
    """

    name: str
    mode: Mode
    default: Json = None
    read: Callable[[Mapping[str, Any]], Json] | None = None
    unset: Json = None
    in_place: Callable[[Json, Json], bool] = always
    patch: Callable[[Json, Json], Json] | None = None
    yaml: str = ""
    unordered: bool = False
    personal: bool = False


@dataclass(frozen=True, slots=True)
class There:
    """What planning sees of a live object: values with addresses where they have one, facts, metadata, namespace."""

    values: Values
    facts: Mapping[str, Json]
    metadata: Mapping[str, str]
    namespace: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is asked of an object given what is there; ``policy`` is how a change of it reaches whoever is charged.

    ``refusal`` says why it cannot be done, ``anew`` why there has to be a new object, where a person has to agree.
    """

    values: Values
    policy: str | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A Stripe resource kind as data; nothing about creating, updating or deleting is written per kind.

    ``path`` is the collection's URL (``{parent}`` stands for the product's id), ``key`` the field that identifies an
    object for people and survives a lost id, ``transfers`` whether a successor can take the key over atomically,
    ``unmanaged`` the parameters left alone, each with its reason. Where a deleted or archived object may still hold a
    key, ``fallback_limit`` is the length of a second key that a creation may use. ``late_stage`` is when update-only
    fields are written, other than ``active``. Of an answer, ``hands_over`` is the secret that only a creation's has,
    ``told`` the field to tell people of; where the one named ``kept`` is true, Stripe lets nobody archive the object.
    A ``contract`` charges somebody, or says who is charged. ``facts`` reads what planning goes by and nobody manages;
    ``fit`` turns what the files ask into what is asked of what is there, None where nothing is; ``within`` is the field
    by which a list can be narrowed; ``spent`` the one that Stripe empties when it is used up.
    """

    name: str
    path: str
    fields: tuple[Field, ...]
    key: str | None
    create_stage: Stage
    retire_stage: Stage
    removal: Removal
    desire: Callable[[Any], Iterator["Resource"]]
    metadata: bool = True
    chosen_id: bool = False
    transfers: bool = False
    retire_first: bool = False
    fallback_limit: int | None = None
    late_stage: Stage = Stage.DEFAULT_PRICE
    hands_over: str | None = None
    told: str | None = None
    kept: str | None = None
    parent: str | None = None
    expand: tuple[str, ...] = ()
    contract: bool = False
    facts: Callable[[Mapping[str, Any]], Mapping[str, Json]] | None = None
    fit: Callable[["Resource", There | None, Callable[[str], There | None]], Fitted] | None = None
    within: str | None = None
    spent: str | None = None
    unmanaged: Mapping[str, str] = field(default_factory=dict)

    def field(self, name: str) -> Field:
        """Return the row of the table for a parameter; KeyError where there is none."""
        for row in self.fields:
            if row.name == name:
                return row
        raise KeyError(name)

    @property
    def fixed_key(self) -> str | None:
        """Return the key field if it never changes on an object, so that the object keeps it when its address moves."""
        return self.key if self.key is not None and self.field(self.key).mode is Mode.CREATE_ONLY else None

    def digest(self, values: Mapping[str, Json], metadata: Mapping[str, str]) -> str:
        """Return 16 hexadecimal digits over values and own metadata; a fixed key is identity, not content."""
        said = {row.name for row in self.fields if row.mode in (Mode.ONCE, Mode.DERIVED)}
        content = {name: value for name, value in values.items() if name != self.fixed_key and name not in said}
        return digest([self.name, content, dict(metadata)], 16)

    def lasting(self, values: Mapping[str, Json]) -> Values:
        """Return the values that an object shows: all but what is only said when it is made."""
        return {name: value for name, value in values.items() if self.field(name).mode is not Mode.ONCE}

    def canonical(self, values: Mapping[str, Json]) -> Values:
        """Drop every field that stands at Stripe's default or is empty."""
        nothing: tuple[Json, ...] = (None, [], {})
        return self.ordered(
            {
                row.name: values[row.name]
                for row in self.fields
                if values.get(row.name) not in nothing and values[row.name] != row.default
            }
        )

    def ordered(self, values: Values) -> Values:
        """Put the lists of unordered fields into one order."""
        sets = {row.name for row in self.fields if row.unordered}
        return {name: _in_order(value) if name in sets else value for name, value in values.items()}

    def read(self, live: Mapping[str, Any]) -> Values:
        """Turn an object as Stripe answers it into canonical values, ids of other objects as they are."""
        return self.canonical({row.name: row.read(live) if row.read else live.get(row.name) for row in self.fields})


@dataclass(frozen=True, slots=True)
class Resource:
    """One object the files ask for, at an address that is stable across accounts and modes.

    ``adopts`` says that the files name an existing object's key, so an unmarked holder of it is taken over;
    ``imported`` is the id of an existing object that they name as it is, whatever key it has. ``policies`` say, for the
    address of a price or for a field, how a change reaches what exists.
    """

    kind: Kind
    address: str
    key: str | None
    values: Values
    metadata: Mapping[str, str] = field(default_factory=dict)
    source: SourceRange | None = None
    adopts: bool = False
    imported: str | None = None
    policies: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over what the files ask for, independent of the account."""
        return self.kind.digest(self.values, self.metadata)


def ref(address: str) -> dict[str, str]:
    """Refer to another resource by address; its id is filled in when it is known."""
    return {"$ref": address}


def live_id(kind: str, value: Any) -> Json:
    """Hold the id of another object, with its kind, until it is known whether that object stands for an address."""
    return None if value is None else {"$id": f"{kind}/{value['id'] if isinstance(value, dict) else value}"}


def live_price(price: Mapping[str, Any] | str) -> Json:
    """Hold a price's id, with the namespace and address it was made from where the answer tells: it may be archived."""
    leaf = live_id("price", price)
    metadata = {} if isinstance(price, str) else price.get("metadata") or {}
    owner, address = metadata.get(MANAGED_BY, ""), metadata.get(ADDRESS, "")
    return {**leaf, "$of": f"{owner.removeprefix(PREFIX)}/{address}"} if owner.startswith(PREFIX) and address else leaf


def held(value: Json) -> tuple[str, str]:
    """Return kind and id of a held id: a product and a coupon may share their id."""
    kind, _, object_id = value["$id"].partition("/")
    return kind, object_id


def is_leaf(value: Json) -> bool:
    """Tell a scalar, a reference or a held id from a container."""
    return not isinstance(value, list) and (not isinstance(value, dict) or set(value) in _LEAVES)


def references(value: Json) -> Iterator[str]:
    """Yield the address of every reference inside a value."""
    if is_leaf(value):
        if isinstance(value, dict) and "$ref" in value:
            yield value["$ref"]
    else:
        for item in value.values() if isinstance(value, dict) else value:
            yield from references(item)


def substitute(value: Json, replace: Callable[[Json], Json]) -> Json:
    """Rebuild a value with every scalar, reference and held id passed through ``replace``."""
    if is_leaf(value):
        return replace(value)
    if isinstance(value, dict):
        return {name: substitute(item, replace) for name, item in value.items()}
    return [substitute(item, replace) for item in value]


def _in_order(value: Json) -> Json:
    if isinstance(value, list):
        return sorted((_in_order(item) for item in value), key=canonical_json)
    if is_leaf(value):
        return value
    return {name: _in_order(item) for name, item in value.items()}


def canonical_json(value: Json) -> str:
    """Write JSON in one way only: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Json, length: int = 64) -> str:
    """Return the first ``length`` hexadecimal digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def fingerprint_of(personal: Json) -> str:
    """Return what stands in a plan for what is personal and not in the files."""
    return f"({digest(personal, 8)})"


def shorten(text: str, limit: int) -> str:
    """Return a text that fits, its end replaced by a hash of the whole where it does not."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
