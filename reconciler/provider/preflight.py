"""What of a plan is already done, what is left, and whether anything it relies on has moved.

An object may be as planned, or in a state that this plan's own writes produce; anything else is named and stops the
apply before its first write.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from reconciler.planning.change import Action, Change, State, Step, after_transfer, as_made, steps
from reconciler.planning.live import Live
from reconciler.planning.plan import Plan
from reconciler.planning.verify import Ids, matches
from reconciler.provider.reads import Reader
from reconciler.resources import Resource


class Preflight:
    """One comparison of a plan with the account; ``ids``, ``done`` and ``pending`` are filled by :meth:`check`."""

    def __init__(self, reader: Reader, plan: Plan) -> None:
        self._reader = reader
        self._plan = plan
        self.ids: dict[str, str] = {}
        self.done: list[Step] = []
        self.pending: list[Step] = []

    def check(self) -> list[str]:
        """Sort every write into done and pending; return what has moved, one sentence each."""
        state = self._reader.state(_resources(self._plan), self._plan.target.namespace, {})
        live = {(item.kind.name, item.id): item for item in state.objects}
        moved = list(self._bindings(live))
        made = self._made(live)
        self.ids |= {change.address: change.id for change in self._plan.changes if _stays(change) and change.id}
        self.ids |= {address: item.id for address, item in made.items()}
        for change in self._plan.changes:
            moved += self._sort(change, live, made.get(change.address))
        return moved

    def _bindings(self, live: Mapping[tuple[str, str], Live]) -> Iterator[str]:
        for address, binding in self._plan.bindings.items():
            item = live.get((binding.kind, binding.id))
            if item is None:
                yield f"{address}: {binding.id} is no longer there"
            elif item.fingerprint != binding.fingerprint:
                yield f"{address}: {binding.id} was changed"
            self.ids[address] = binding.id

    def _made(self, live: Mapping[tuple[str, str], Live]) -> dict[str, Live]:
        """Find objects that an earlier run of this plan has made: at the address, with the values it makes."""
        candidates: dict[tuple[str, str], list[Live]] = defaultdict(list)
        for item in live.values():
            if item.mark is not None and item.mark.namespace == self._plan.target.namespace:
                candidates[item.kind.name, item.mark.address].append(item)
            elif not item.kind.metadata and item.kind.key:
                candidates[item.kind.name, str(item.key)].append(item)
        made: dict[str, Live] = {}
        attachments: list[Change] = []
        for change in self._plan.changes:
            if change.action not in (Action.CREATE, Action.REPLACE) or change.after is None:
                continue
            if change.kind.parent:
                attachments.append(change)
                continue
            key = change.address if change.kind.metadata else str(change.after.values[change.kind.key or ""])
            others = [item for item in candidates[change.kind.name, key] if item.id != change.id]
            if others:
                made[change.address] = max(
                    others, key=lambda item: (item.key == _key(change), item.active, item.created)
                )
        known = self.ids | {address: item.id for address, item in made.items()}
        known |= {change.address: change.id for change in self._plan.changes if _stays(change) and change.id}
        made |= _attached(attachments, live, known)
        return made

    def _sort(self, change: Change, live: Mapping[tuple[str, str], Live], made: Live | None) -> Iterator[str]:
        plan = steps(change)
        ids = Ids(self.ids)
        on_new = [step for step in plan if step.on_new]
        on_old = [step for step in plan if not step.on_new]
        if on_new:
            progress = _progress(made, [None, *(as_made(step.sets, change, made) for step in on_new)], ids)
            if progress is None:
                yield f"{change.address}: {made.id if made else change.kind.name} is there already, but not as planned"
                return
            self.done += on_new[:progress]
            self.pending += on_new[progress:]
        if change.id is not None:
            yield from self._sort_old(change, live, on_old, ids)
        elif made is None and change.kind.transfers and (holder := self._holder(change, live)):
            yield f"{change.address}: its {change.kind.key} is held by {holder} now"

    def _sort_old(
        self, change: Change, live: Mapping[tuple[str, str], Live], on_old: list[Step], ids: Ids
    ) -> Iterator[str]:
        assert change.id is not None  # noqa: S101  checked by the caller
        item = live.get((change.kind.name, change.id)) or self._gone_from_lists(change)
        if item is not None and item.fingerprint == change.fingerprint:
            self.pending += on_old
            return
        reached = _progress(item, [after_transfer(change), *(step.sets for step in on_old)], ids)
        if reached is None:
            yield f"{change.address}: {change.id} was {'deleted' if item is None else 'changed'}"
            return
        self.done += on_old[:reached]
        self.pending += on_old[reached:]

    def _gone_from_lists(self, change: Change) -> Live | None:
        """Read an object that lists of living objects no longer show; an attachment is simply gone."""
        if change.kind.parent or change.id is None:
            return None
        return self._reader.one(change.kind, change.id)

    def _holder(self, change: Change, live: Mapping[tuple[str, str], Live]) -> str | None:
        key = _key(change)
        for item in live.values():
            if item.kind is change.kind and item.key == key:
                return item.id
        return None


def _progress(item: Live | None, states: list[State | None], ids: Ids) -> int | None:
    """Return how many writes an object has seen: the last state it is in, None where it is in none of them."""
    for index in range(len(states) - 1, -1, -1):
        state = states[index]
        if (item is None and state is None) or (item is not None and state is not None and matches(item, state, ids)):
            return index
    return None


def _stays(change: Change) -> bool:
    return change.action in (Action.UPDATE, Action.ADOPT)


def _key(change: Change) -> str | None:
    return change.after.values.get(change.kind.key) if change.after and change.kind.key else None


def _attached(
    changes: list[Change], live: Mapping[tuple[str, str], Live], known: Mapping[str, str]
) -> Iterator[tuple[str, Live]]:
    ids = Ids(known)
    attachments = [item for item in live.values() if item.kind.parent]
    for change in changes:
        assert change.after is not None  # noqa: S101  checked by the caller
        for item in attachments:
            if item.id != change.id and matches(item, change.after, ids):
                yield change.address, item
                break


def _resources(plan: Plan) -> list[Resource]:
    """Name what to look for in the account: the objects the plan makes or changes."""
    return [
        Resource(change.kind, change.address, _key(change), change.after.values, change.after.metadata)
        for change in plan.changes
        if change.after is not None
    ]
