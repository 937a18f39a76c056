"""A planned change of one address, and the writes it stands for.

The writes are a pure function of the change: a plan file holds only what is before and after, and neither an editor of
the file nor the executor has a choice to make.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from reconciler.planning.live import Live
from reconciler.resources import Kind
from reconciler.resources.model import DIGEST, FEATURES, NOTHING, Field, Json, Mode, Removal, Stage, Values, digest
from reconciler.resources.subscription import ENDING, LEFT, PRORATION

#: The parameter that takes a key over from whoever holds it (https://docs.stripe.com/api/prices/create).
TRANSFER = "transfer_lookup_key"
#: Fields of a subscription that a schedule alone can set.
_SCHEDULED = ("scheduled", "next")
#: Hexadecimal digits that tell a second key from the first.
_SUFFIX = 8


class Action(StrEnum):
    """What happens to an address."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    RETIRE = "retire"
    ADOPT = "adopt"


class Reason(StrEnum):
    """Why it happens."""

    NEW = "new in the files, or missing at Stripe"
    CONFIG = "the files changed"
    DRIFT = "changed at Stripe"
    BOTH = "the files changed, and it was changed at Stripe"
    EITHER = "the files changed, or it was changed at Stripe"
    MOVED = "moved"
    REMOVED = "no longer in the files"
    STRAY = "a second object of the same address"
    RENAMED = "the files name another event"
    RELEASED = "no longer in the files, and Stripe keeps an account's default"
    BESIDE = "new in the files, and the customer has another that is not in them"
    ENDED = "cancelled at Stripe, and still in the files"
    MIGRATED = "subscribed to a price that has a successor"
    KEY = "taken over by its key"
    IMPORTED = "taken over by its id"


class Op(StrEnum):
    """One kind of write."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    DEACTIVATE = "deactivate"
    REACTIVATE = "reactivate"
    SCHEDULE = "schedule"
    PHASES = "set phases"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class State:
    """Values and owned metadata of an object, before or after."""

    values: Values
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One address: what it is now, what it will be, and why.

    ``id`` and ``fingerprint`` are those of the live object the change starts from; ``fields`` names what differs.
    ``named`` says that the files name the object's key, so that it is used as it stands or not at all. ``policy`` is
    how a change of what somebody pays reaches them (``now``, ``now_prorated``, ``at_renewal``), None where there is no
    such.
    """

    address: str
    kind: Kind
    action: Action
    reason: Reason
    fields: tuple[str, ...]
    before: State | None
    after: State | None
    id: str | None = None
    fingerprint: str | None = None
    source: str | None = None
    named: bool = False
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One write: ``params`` still hold references; ``sets`` is what the object's values become, None where it is gone.

    ``on_new`` tells a write on the object this change creates from one on the object that was there before.
    """

    change: Change
    stage: Stage
    op: Op
    params: Values
    sets: State | None
    on_new: bool = False

    @property
    def label(self) -> str:
        """Name the write within its change, for keys and reports."""
        return f"{self.change.address}:{self.stage}:{self.op}:{'new' if self.on_new else self.change.id}"


def steps(change: Change) -> tuple[Step, ...]:
    """Return the writes of a change in order of their stages."""
    return tuple(sorted(_steps(change), key=lambda step: step.stage))


def _steps(change: Change) -> Iterator[Step]:
    if change.action is Action.CREATE:
        yield from _create(change)
    elif change.action is Action.REPLACE:
        yield from _create(change)
        if is_active(change.before):
            yield from _retire(change, change.kind.retire_stage)
    elif change.action is Action.RETIRE:
        yield from _retire(change, change.kind.retire_stage)
    else:
        yield from _update(change)


def is_active(state: State | None) -> bool:
    """Tell whether there is an object in this state that can be used for something new."""
    return state is not None and state.values.get("active", True) is not False


def _late(kind: Kind, name: str) -> bool:
    return kind.field(name).mode is Mode.UPDATE_ONLY and name != "active"


def _create(change: Change) -> Iterator[Step]:
    kind, after = change.kind, change.after
    assert after is not None  # noqa: S101  a creation has an after
    params: Values = {name: value for name, value in after.values.items() if not _late(kind, name)}
    first = kind.lasting(params)
    if kind.metadata:
        params["metadata"] = after.metadata
    if kind.transfers and change.action is Action.REPLACE:
        params[TRANSFER] = True
    if kind.parent:
        params.pop(kind.parent)
    yield Step(change, kind.create_stage, Op.CREATE, params, State(first, after.metadata), on_new=True)
    late = {name: value for name, value in after.values.items() if _late(kind, name)}
    if late:
        yield Step(change, kind.late_stage, Op.UPDATE, late, after, on_new=True)


def _retire(change: Change, stage: Stage) -> Iterator[Step]:
    kind, before = change.kind, after_transfer(change)
    assert before is not None  # noqa: S101  what is retired was there
    if change.reason is Reason.RELEASED:
        yield Step(
            change, stage, Op.UPDATE, {"metadata": metadata_patch(before.metadata, {})}, State(before.values, {})
        )
        return
    values = dict(before.values)
    held = [name for name in values if _late(kind, name)]
    if held and kind.removal is not Removal.DELETE:
        for name in held:
            del values[name]
        params: Values = {name: kind.field(name).unset for name in held}
        yield Step(change, kind.late_stage, Op.UPDATE, params, State(dict(values), before.metadata))
    if kind.removal is Removal.END:
        yield from _end(change, stage, before)
        return
    gone = State({**values, "active": False}, before.metadata)
    if kind.removal is Removal.DELETE:
        yield Step(change, stage, Op.DELETE, {}, None)
    elif kind.removal is Removal.DEACTIVATE:
        yield Step(change, stage, Op.DEACTIVATE, {}, gone)
    else:
        yield Step(change, stage, Op.UPDATE, {"active": False}, gone)


def _end(change: Change, stage: Stage, before: State) -> Iterator[Step]:
    """Let a subscription run out with its period, after what is scheduled is called off, and mark why it does."""
    state = before
    if before.values.get("scheduled"):
        state = _without_schedule(before)
        yield Step(change, Stage.RELEASE, Op.RELEASE, {}, state)
    gone = State({**state.values, ENDING: True}, {**state.metadata, DIGEST: LEFT})
    yield Step(change, stage, Op.UPDATE, {ENDING: True, "metadata": {DIGEST: LEFT}}, gone)


def _without_schedule(state: State) -> State:
    return State({name: value for name, value in state.values.items() if name not in _SCHEDULED}, state.metadata)


def _rescheduled(change: Change, state: State, after: State) -> Iterator[Step]:
    """Plan the items of the next period: a schedule is made from the subscription, then it is told its phases."""
    coming = after.values.get("next")
    if coming is None or coming == state.values.get("next"):
        return
    if not state.values.get("scheduled"):
        state = State({**state.values, "scheduled": True}, state.metadata)
        yield Step(change, Stage.SCHEDULE, Op.SCHEDULE, {}, state)
    yield Step(change, Stage.PHASES, Op.PHASES, {"next": coming}, State(after.values, state.metadata))


def _update(change: Change) -> Iterator[Step]:
    kind, before, after = change.kind, change.before, change.after
    assert before is not None and after is not None  # noqa: S101, PT018  an update has both
    state = State(dict(before.values), before.metadata)
    if state.values.get("scheduled") and not after.values.get("scheduled"):
        state = _without_schedule(state)
        yield Step(change, Stage.RELEASE, Op.RELEASE, {}, state)
    target = _until_detached(kind, before.metadata, after.metadata)
    for stage, names in sorted(_by_stage(kind, before.values, after.values)):
        values = _overlaid(state.values, after.values, names)
        if names == ("active",) and kind.removal is Removal.DEACTIVATE:
            state = State(values, state.metadata)
            yield Step(change, stage, Op.REACTIVATE, {}, state)
            continue
        sent = {name: _sent(kind.field(name), before.values, after.values) for name in names}
        params: Values = {name: value for name, value in sent.items() if value is not NOTHING}
        if change.policy in PRORATION and "items" in names:
            params["proration_behavior"] = PRORATION[change.policy]
        if kind.transfers and kind.key in names:
            params[TRANSFER] = True
        metadata = state.metadata
        if stage == kind.create_stage and before.metadata != target:
            metadata = target
            params["metadata"] = metadata_patch(before.metadata, metadata)
        state = State(values, metadata)
        if params:
            yield Step(change, stage, Op.UPDATE, params, state)
    yield from _rescheduled(change, state, after)
    if target != after.metadata:
        patch: Values = {"metadata": metadata_patch(target, after.metadata)}
        yield Step(change, Stage.UNMARK, Op.UPDATE, patch, State(state.values, after.metadata))


def _until_detached(kind: Kind, before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    """Keep the mark of attachments until they are gone: without it nobody would look for them after a crash."""
    if kind.metadata and FEATURES in before and FEATURES not in after:
        return {**after, FEATURES: before[FEATURES]}
    return after


def _by_stage(kind: Kind, before: Values, after: Values) -> Iterator[tuple[Stage, tuple[str, ...]]]:
    """Group differing fields by the stage they are written in; archiving comes last, after what depends on it."""
    differing = [row.name for row in kind.fields if before.get(row.name) != after.get(row.name)]
    differing = [name for name in differing if name != kind.fixed_key and kind.field(name).mode is not Mode.DERIVED]
    if kind.removal is Removal.DEACTIVATE and "active" in differing:
        yield kind.create_stage, ("active",)
        differing.remove("active")
    leaving = "active" in differing and after.get("active", True) is False
    late = tuple(name for name in differing if _late(kind, name))
    early = tuple(name for name in differing if name not in late and not (leaving and name == "active"))
    yield kind.create_stage, early
    if late:
        yield kind.late_stage, late
    if leaving:
        yield kind.retire_stage, ("active",)


def _overlaid(values: Values, after: Values, names: tuple[str, ...]) -> Values:
    kept = {name: value for name, value in values.items() if name not in names}
    return kept | {name: after[name] for name in names if name in after}


def _sent(row: Field, before: Values, after: Values) -> Json:
    """Return what an update sends for a field, which may have to be cleared, or is laid over what is there."""
    if row.patch is not None:
        return row.patch(before.get(row.name), after.get(row.name))
    return after.get(row.name, row.default if row.unset is None else row.unset)


def after_transfer(change: Change) -> State | None:
    """Return the state of an old price between its successor's creation and its own archiving.

    It is without the key that the successor took over, and keeps another that it had, as after a rename.
    """
    before, after, key = change.before, change.after, change.kind.key
    if before is None or after is None or change.action is not Action.REPLACE or not change.kind.transfers:
        return before
    if before.values.get(key or "") != after.values.get(key or ""):
        return before
    return State({name: value for name, value in before.values.items() if name != key}, before.metadata)


def states_before(step: Step) -> list[State]:
    """Return every state the object of a write may be in just before it: as planned, or after earlier writes."""
    earlier = (other.sets for other in steps(step.change) if other.on_new == step.on_new and other.stage < step.stage)
    planned = () if step.on_new else (step.change.before, after_transfer(step.change))
    return [state for state in (*planned, *earlier) if state is not None]


def metadata_patch(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    """Return what to send so that owned metadata becomes ``after``; an empty value unsets a key at Stripe."""
    removed = dict.fromkeys(set(before) - set(after), "")
    return removed | {name: value for name, value in after.items() if before.get(name) != value}


def second_key(change: Change, salt: str) -> str | None:
    """Return another key for a creation whose key a deleted or archived object keeps taken; another for each salt.

    None where there is no other: the kind has no such keys, or the files name the key.
    """
    kind, after = change.kind, change.after
    if kind.fallback_limit is None or kind.key is None or after is None or change.named:
        return None
    return f"{_room(str(after.values[kind.key]), kind.fallback_limit)}_{digest([change.address, salt], _SUFFIX)}"


def as_made(state: State | None, change: Change, live: Live | None) -> State | None:
    """Return a state with a second key in it where the object was made under one."""
    kind = change.kind
    if state is None or live is None or kind.key is None or kind.fallback_limit is None:
        return state
    first = _room(str(state.values.get(kind.key)), kind.fallback_limit)
    if not re.fullmatch(f"{re.escape(first)}_[0-9a-f]{{{_SUFFIX}}}", str(live.key)):
        return state
    return State({**state.values, kind.key: live.key}, state.metadata)


def _room(key: str, limit: int) -> str:
    """Cut a key so that an underscore and the suffix still fit."""
    return key[: limit - _SUFFIX - 1]
