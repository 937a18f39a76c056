"""What of a plan is already done, what is left, and whether anything it relies on has moved.

An object may be as planned, or in a state that this plan's own writes produce; anything else is named and stops the
apply before its first write.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from reconciler.config.catalog import Catalog
from reconciler.planning.change import Action, Change, Op, State, Step, after_transfer, as_made, steps
from reconciler.planning.diff import Difference
from reconciler.planning.live import Live
from reconciler.planning.migration import in_files, is_subscriber
from reconciler.planning.plan import Plan
from reconciler.planning.verify import Ids, matches
from reconciler.provider.meanwhile import CHANGED, LEFT, present, relied_on, tells_otherwise, unlike
from reconciler.provider.migrating import differ
from reconciler.provider.reads import Reader, named_currencies
from reconciler.resources import Resource, desire


class Preflight:
    """One comparison of a plan with the account; ``ids``, ``done`` and ``pending`` are filled by :meth:`check`."""

    def __init__(self, reader: Reader, plan: Plan, catalog: Catalog | None) -> None:
        self._reader = reader
        self._plan = plan
        self._catalog = catalog
        self.forged: list[str] = []
        self.ids: dict[str, str] = {}
        self.told: dict[str, str | None] = {}
        self.done: list[Step] = []
        self.pending: list[Step] = []
        self.skipped: list[tuple[Step, str]] = []

    def check(self) -> list[str]:
        """Sort every write into done and pending; return what has moved, one sentence each."""
        plan, catalog = self._plan, self._catalog
        desired = _resources(plan) if catalog is None else desire(catalog)
        renamed = {} if catalog is None else catalog.moved
        state = self._reader.state(desired, plan.target.namespace, plan.currencies, renamed)
        live = {(item.kind.name, item.id): item for item in state.objects}
        live |= present(self._reader, plan)
        moved = list(self._bindings(live))
        self.ids |= {change.address: change.id for change in plan.changes if _stays(change) and change.id}
        made = self._made(live)
        self.ids |= {address: item.id for address, item in made.items()}
        self.told = {address: item.told for address, item in made.items()}
        for change in self._plan.changes:
            moved += self._sort(change, live, made.get(change.address))
        if catalog is not None:
            self._compare(differ(self._reader, desired, state.objects, plan.target.namespace, renamed))
            if plan.currencies != named_currencies(desired):
                self.forged.append("currencies")
        return moved

    def _compare(self, fresh: Difference) -> None:
        """Name every address at which the files and the account, as they are now, ask for something else than the plan.

        Addresses that an earlier run of the plan has begun are left to the check of their objects, as far as nothing is
        asked of an object that the plan does not know, and what the plan has left to do to objects that were there is
        asked of them; what it has done counts as unchanged by now.
        """
        plan, begun = self._plan, {step.change.address for step in self.done}
        now = in_files(fresh.changes)
        planned = {(change.address, change.id): change for change in in_files(plan.changes)}
        asked = {(change.address, change.id): change for change in now}
        differing = {key[0] for key in planned.keys() | asked.keys() if planned.get(key) != asked.get(key)}
        known = {change.id for change in plan.changes} | set(self.ids.values())
        unknown = {change.address for change in now if change.id not in known}
        catalogue = [step for step in self.pending if not is_subscriber(step.change)]
        unasked = {step.change.address for step in catalogue if not _is_asked(step, now)}
        self.forged = sorted((differing - begun) | (differing & unknown) | unasked)
        if not plan.unchanged <= fresh.unchanged <= plan.unchanged + len(begun):
            self.forged.append("unchanged")
        relied = relied_on(plan, fresh)
        bound = {address: fresh.bindings.get(address, binding) for address, binding in relied.items()}
        if relied != (bound if begun else fresh.bindings):
            self.forged.append("bindings")
        left, forged = unlike(self.pending, fresh)
        self.forged += forged
        moving = {str(step.change.id) for step in self.pending if step.change.address not in left}
        self.forged += ["migrations"] if tells_otherwise(plan, fresh, moving) else []
        self._skip(left, LEFT)

    def _skip(self, addresses: Collection[str], why: str) -> None:
        """Leave what is not done at some addresses undone."""
        self.skipped += [(step, why) for step in self.pending if step.change.address in addresses]
        self.pending = [step for step in self.pending if step.change.address not in addresses]

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
        changed = {(change.kind.name, change.id) for change in self._plan.changes}
        for key, item in live.items():
            if key in changed or item.over:
                continue
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
            name = change.address if change.kind.metadata else str(change.after.values[change.kind.key or ""])
            others = candidates[change.kind.name, name]
            if others:
                made[change.address] = max(
                    others, key=lambda item: (item.key == _key(change), item.active, item.created)
                )
        ids = Ids(self.ids | {address: item.id for address, item in made.items()})
        left = {change.address for change in self._plan.changes if _was_there(change, made.get(change.address), ids)}
        made |= _attached(attachments, live, ids)
        return {address: item for address, item in made.items() if address not in left}

    def _sort(self, change: Change, live: Mapping[tuple[str, str], Live], made: Live | None) -> Iterator[str]:
        plan = steps(change)
        ids = Ids(self.ids)
        on_new = [step for step in plan if step.on_new]
        on_old = [step for step in plan if not step.on_new]
        if on_new:
            progress = _progress(made, _made_states(change, made), ids)
            if progress is None:
                yield f"{change.address}: {made.id if made else change.kind.name} is there already, but not as planned"
                return
            self.done += on_new[:progress]
            self.pending += on_new[progress:]
        if change.id is not None:
            yield from self._sort_old(change, live, made, on_old)
        if made is None and (holder := self._holder(change, live)):
            yield f"{change.address}: its {change.kind.key} is held by {holder} now"

    def _sort_old(
        self, change: Change, live: Mapping[tuple[str, str], Live], made: Live | None, on_old: list[Step]
    ) -> Iterator[str]:
        assert change.id is not None  # noqa: S101  checked by the caller
        item = live.get((change.kind.name, change.id)) or self._gone_from_lists(change)
        if is_subscriber(change) and (item is None or item.over):
            self.skipped += [(step, CHANGED) for step in on_old]
            return
        if item is not None and item.fingerprint == change.fingerprint:
            self.pending += on_old
            return
        first = change.before if made is None else after_transfer(change)
        reached = _progress(item, [first, *(step.sets for step in on_old)], Ids(self.ids))
        if reached is None and is_subscriber(change):
            self.skipped += [(step, CHANGED) for step in on_old]
            return
        if reached is None:
            yield f"{change.address}: {change.id} was {'deleted' if item is None else 'changed'}"
            return
        self.done += on_old[:reached]
        self.pending += on_old[reached:]

    def _gone_from_lists(self, change: Change) -> Live | None:
        """Read an object that lists of living objects do not show."""
        assert change.id is not None  # noqa: S101  checked by the caller
        if change.kind.parent is None:
            return self._reader.one(change.kind, change.id)
        assert change.before is not None  # noqa: S101  what is retired was there
        product = str(Ids(self.ids).resolve(change.before.values[change.kind.parent]))
        return next((item for item in self._reader.attached(product) if item.id == change.id), None)

    def _holder(self, change: Change, live: Mapping[tuple[str, str], Live]) -> str | None:
        """Name whoever holds the key a change asks for and may not lose it."""
        key, namespace = _key(change), self._plan.target.namespace
        if key is None or not change.kind.transfers:
            return None
        others = (item for item in live.values() if item.kind is change.kind and item.id != change.id)
        return next((item.id for item in others if item.key == key and not item.is_relic(namespace)), None)


def _is_asked(step: Step, changes: Sequence[Change]) -> bool:
    """Tell whether what a plan has left to do is what the files and the account ask for by now.

    A predecessor whose successor is made is a second object of its address, and what is marked is taken over already.
    What is charged has to become exactly what is asked, since no digest of the files covers it.
    """
    change = step.change
    there = [each for each in changes if each.address == change.address]
    if step.on_new:
        return step.op is not Op.CREATE or any(each.action in (Action.CREATE, Action.REPLACE) for each in there)
    now = next((each for each in there if each.id == change.id), None)
    if now is None:
        return False
    if change.kind.fit is not None and _stays(change):
        return now.after == change.after and ("items" not in step.params or now.policy == change.policy)
    return _stays(now) if _stays(change) else now.action in (change.action, Action.RETIRE)


def _progress(item: Live | None, states: list[State | None], ids: Ids) -> int | None:
    """Return how many writes an object has seen: the last state it is in, None where it is in none of them."""
    for index in range(len(states) - 1, -1, -1):
        state = states[index]
        if (item is None and state is None) or (item is not None and state is not None and matches(item, state, ids)):
            return index
    return None


def _made_states(change: Change, made: Live | None) -> list[State | None]:
    """Return the states of what a change creates: not there yet, then as each write leaves it."""
    return [None, *(as_made(step.sets, change, made) for step in steps(change) if step.on_new)]


def _was_there(change: Change, item: Live | None, ids: Ids) -> bool:
    """Tell an archived object of the past at an address from one that the plan has made."""
    return item is not None and not item.active and _progress(item, _made_states(change, item), ids) is None


def _stays(change: Change) -> bool:
    return change.action in (Action.UPDATE, Action.ADOPT)


def _key(change: Change) -> str | None:
    return change.after.values.get(change.kind.key) if change.after and change.kind.key else None


def _attached(changes: list[Change], live: Mapping[tuple[str, str], Live], ids: Ids) -> Iterator[tuple[str, Live]]:
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
        for change in in_files(plan.changes)
        if change.after is not None
    ]
