"""A recorded read-out of an account: what planning needs of it, and nothing else, for plans without key or network.

Of objects that are ours, or that the files name, the managed values are kept, and of metadata the owner mark and the
keys the files own. Of everybody else's objects only the key and whether it is in use are kept: enough to tell that a
key is taken. A promotion code of theirs is worth money to whoever reads it, so it is kept only where the files name it.
Customers, and whatever others wrote into metadata, are never in it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reconciler.config.models import Environment
from reconciler.diagnostics import PlanRefusedError
from reconciler.planning.live import Live, LiveState
from reconciler.planning.match import match
from reconciler.planning.plan import Target
from reconciler.resources import BY_NAME, Resource
from reconciler.resources.mark import Mark, owned_metadata
from reconciler.resources.model import Json, canonical_json, digest

FORMAT = "reconciler.snapshot/1"
MAX_BYTES = 64 * 1024 * 1024
_REMEDY = "Take a new one with `reconciler snapshot --out FILE`."


@dataclass(frozen=True)
class Snapshot:
    """What an account held at an instant; ``live_digest`` is that of everything there, also of what was left out.

    ``partial`` are kind and id of the objects that are not held whole.
    """

    taken: datetime
    target: Target
    live: LiveState
    live_digest: str
    currencies: tuple[str, ...]
    partial: frozenset[tuple[str, str]]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Attached(_Closed):
    namespace: str
    address: str


class _Object(_Closed):
    kind: str
    id: str
    whole: bool
    created: int
    values: dict[str, Any]
    metadata: dict[str, str]
    attached: _Attached | None


class _Document(_Closed):
    format: Literal["reconciler.snapshot/1"]
    tool: str
    taken: str
    account: str
    mode: Literal["test", "live"]
    api_version: str
    namespace: str
    environment: str | None
    live_digest: str
    currencies: list[Annotated[str, Field(pattern=r"^[a-z]{3}$")]]
    objects: list[_Object]
    digest: str


def record(
    live: LiveState,
    desired: Sequence[Resource],
    target: Target,
    moved: Mapping[str, str],
    currencies: Sequence[str],
    now: datetime,
) -> str:
    """Write a snapshot: canonical JSON in one line, with a digest. Equal but for the instant for an equal account."""
    matching = match(desired, live.objects, target.namespace, moved)
    wanted = {item.address: set(item.metadata) for item in desired}
    named = {(each.kind.name, each.id): wanted[address] for address, each in matching.by_address.items()}
    strays = {(each.kind.name, each.id) for _, each in matching.strays}
    codes = {item.key for item in desired if item.kind.name == "promotion_code"}
    objects = [_recorded(each, named, strays, target.namespace, codes) for each in live.objects]
    content = {
        "format": FORMAT,
        "tool": target.tool,
        "taken": now.astimezone(UTC).replace(microsecond=0).isoformat(),
        "account": live.account,
        "mode": live.mode,
        "api_version": live.api_version,
        "namespace": target.namespace,
        "environment": target.environment,
        "live_digest": live.digest,
        "currencies": list(currencies),
        "objects": sorted(objects, key=lambda each: (each["kind"], each["id"])),
    }
    return canonical_json({**content, "digest": digest(content)}) + "\n"


def _recorded(
    live: Live,
    named: Mapping[tuple[str, str], set[str]],
    strays: set[tuple[str, str]],
    namespace: str,
    codes: set[Json],
) -> dict[str, Any]:
    here = (live.kind.name, live.id)
    ours = live.mark is not None and live.mark.namespace == namespace
    whole = ours or here in named or here in strays or live.kind.parent is not None
    told = {"active"} if live.kind.name == "promotion_code" and live.key not in codes else {live.kind.key, "active"}
    kept = live.values if whole else {name: live.values[name] for name in live.values if name in told}
    return {
        "kind": live.kind.name,
        "id": live.id,
        "whole": whole,
        "created": live.created,
        "values": kept,
        "metadata": _metadata(live, named.get(here, set())),
        "attached": live.attached and {"namespace": live.attached.namespace, "address": live.attached.address},
    }


def _metadata(live: Live, wanted: set[str]) -> dict[str, str]:
    """Return the metadata to keep; without a mark, a key that is called like a part of one is somebody else's."""
    if live.mark is not None:
        return owned_metadata(live.metadata, wanted)
    return {name: value for name, value in live.metadata.items() if name in wanted}


def parse_snapshot(data: bytes) -> Snapshot:
    """Read a snapshot; PlanRefusedError where anything about it is not as it was written."""
    unreadable = PlanRefusedError("E0831", "the file is not a snapshot of this version", remedy=_REMEDY)
    if len(data) > MAX_BYTES:
        raise unreadable
    try:
        content = json.loads(data.decode("ascii"), parse_float=_no_float, parse_constant=_no_float)
        parsed = _Document.model_validate(content)
        objects = tuple(map(_live, parsed.objects))
        taken = datetime.fromisoformat(parsed.taken).astimezone(UTC)
    except (ValidationError, ValueError, KeyError, RecursionError):
        raise unreadable from None
    bare = {name: value for name, value in content.items() if name != "digest"}
    if data != f"{canonical_json(content)}\n".encode() or parsed.digest != digest(bare):
        raise PlanRefusedError("E0832", "the snapshot was changed after it was taken", remedy=_REMEDY)
    return Snapshot(
        taken=taken,
        target=Target(
            account=parsed.account,
            mode=parsed.mode,
            api_version=parsed.api_version,
            namespace=parsed.namespace,
            environment=parsed.environment,
            tool=parsed.tool,
        ),
        live=LiveState(parsed.account, parsed.mode, parsed.api_version, objects),
        live_digest=parsed.live_digest,
        currencies=tuple(parsed.currencies),
        partial=frozenset((each.kind, each.id) for each in parsed.objects if not each.whole),
    )


def _no_float(text: str) -> Any:
    raise ValueError(text)


def _live(item: _Object) -> Live:
    kind = BY_NAME[item.kind]
    if not {row.name for row in kind.fields}.issuperset(item.values):
        raise ValueError(f"{item.id} has fields its kind does not have")
    feature = item.attached
    attached = Mark(feature.namespace, feature.address, "", frozenset(), features=False) if feature else None
    return Live(kind, item.id, item.values, item.metadata, item.created, attached)


def check_snapshot(snapshot: Snapshot, namespace: str, environment: tuple[str, Environment] | None, tool: str) -> None:
    """Refuse a snapshot of something else than these files are for: what the environment binds counts as with a key."""
    name, declared = environment or (None, Environment())
    made = snapshot.target
    for label, was, is_ in (
        ("namespace", made.namespace, namespace),
        ("environment", made.environment, name),
        ("mode", made.mode, declared.mode),
        ("account", made.account, declared.account or made.account),
        ("version of reconciler", made.tool, tool),
    ):
        if was != is_:
            raise PlanRefusedError("E0833", f"the snapshot is of {label} {was}, this is {is_}", remedy=_REMEDY)


def check_whole(snapshot: Snapshot, desired: Sequence[Resource], namespace: str) -> None:
    """Refuse to plan the taking over of an object that the snapshot does not hold whole, or not at all."""
    marks = [each.mark for each in snapshot.live.objects]
    ours = {mark.address for mark in marks if mark is not None and mark.namespace == namespace}
    held = {(each.kind.name, each.id) for each in snapshot.live.objects} - snapshot.partial
    keys = {
        (each.kind.name, each.key) for each in snapshot.live.objects if (each.kind.name, each.id) in snapshot.partial
    }
    lacking = [
        f"{item.address}: {item.imported or item.key}"
        for item in desired
        if item.address not in ours
        and (
            (item.imported and (item.kind.name, item.imported) not in held)
            or (item.adopts and (item.kind.name, item.key) in keys)
        )
    ]
    if lacking:
        raise PlanRefusedError(
            "E0834",
            "the files name objects of others that the snapshot does not hold whole",
            remedy="Plan with a key, or take a snapshot with these files.",
            details=lacking,
        )
