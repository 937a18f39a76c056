"""Which existing objects are taken under management, by owner marks alone; what is left, and why. Pure.

A mark is written only where the next plan would keep the object: the account is looked at as it would be with the mark,
and what would be replaced then, or stand beside another object of its address, is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.planning.change import Action, Change, Reason, State
from reconciler.planning.diff import Difference, diff, resolve
from reconciler.planning.live import Live
from reconciler.planning.match import Matching, match
from reconciler.planning.words import headline, unlike
from reconciler.resources import Resource
from reconciler.resources.mark import marked, owned_metadata
from reconciler.resources.model import (
    ADDRESS,
    DIGEST,
    MANAGED_BY,
    MARK_KEYS,
    PREFIX,
    Json,
    references,
)

#: https://docs.stripe.com/api/metadata
METADATA_KEYS = 50


@dataclass(frozen=True, slots=True)
class Taken:
    """An object that gets its mark; ``later`` names the fields that the next plan will change on it."""

    address: str
    live: Live
    later: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """An object that is left as it is; ``address`` is the one it was looked at for, None where no address finds it."""

    live: Live
    why: str
    address: str | None = None
    code: str = "E0703"


@dataclass(frozen=True)
class Adoption:
    """What is taken, what is left, addresses that have their object already, and the changes that write the marks."""

    taken: tuple[Taken, ...]
    left: tuple[Left, ...]
    settled: Mapping[str, Live]
    changes: tuple[Change, ...]


def find(desired: Sequence[Resource], objects: Sequence[Live], namespace: str) -> dict[str, Live]:
    """Return, by address, the object that an entry of imports or a natural key names, whoever owns it."""
    by_id = {(live.kind.name, live.id): live for live in objects}
    holders: dict[tuple[str, Json], Live] = {}
    for each in sorted(objects, key=lambda live: live.active):
        if each.key is not None:
            holders[each.kind.name, each.key] = each
    found = {}
    for resource in desired:
        named = by_id.get((resource.kind.name, resource.imported or ""))
        live = named or holders.get((resource.kind.name, resource.key))
        if live is not None and resource.kind.metadata and not _ours(live, resource.address, namespace):
            found[resource.address] = live
    return found


def adopt(
    desired: Sequence[Resource],
    objects: Sequence[Live],
    namespace: str,
    moved: Mapping[str, str],
    picks: Mapping[str, Live],
) -> Adoption:
    """Decide which of the picked objects get the mark of their address, and what everything else is left for."""
    return _Adopting(desired, objects, namespace, moved).decide(picks)


class _Adopting:
    def __init__(
        self, desired: Sequence[Resource], objects: Sequence[Live], namespace: str, moved: Mapping[str, str]
    ) -> None:
        self._desired = desired
        self._objects = objects
        self._namespace = namespace
        self._moved = moved
        self._resources = {resource.address: resource for resource in desired}
        self._featured = {next(references(item.values["product"])) for item in desired if item.kind.parent == "product"}

    def decide(self, picks: Mapping[str, Live]) -> Adoption:
        left = [each for address, live in picks.items() if (each := self._unfit(address, live)) is not None]
        refused = {each.address for each in left}
        chosen = {address: live for address, live in picks.items() if address not in refused}
        while True:
            as_if, difference = self._with_marks(chosen)
            worse = list(self._refused(chosen, difference, as_if))
            if not worse:
                break
            left += worse
            for each in worse:
                chosen.pop(each.address or "")
        matching = match(self._desired, as_if, self._namespace, self._moved)
        later = {change.address: change.fields for change in difference.changes if change.action is Action.UPDATE}
        taken = [Taken(address, live, later.get(address, ())) for address, live in sorted(chosen.items())]
        settled = {
            address: live
            for address, live in matching.by_address.items()
            if address not in chosen and address not in matching.adopted
        }
        left += self._unnamed({each.live.id for each in left}, chosen, matching)
        changes = [*self._marks(chosen, as_if), *self._renewed(chosen, difference)]
        return Adoption(tuple(taken), tuple(left), settled, tuple(changes))

    def _unfit(self, address: str, live: Live) -> Left | None:
        """Refuse what has an owner, and what has no room for a mark."""
        if live.mark is not None:
            owner = f"{live.mark.address or 'an address unknown'} of namespace {live.mark.namespace}"
            return Left(live, f"it carries the owner mark of {owner}", address, "E0707")
        used = [name for name in MARK_KEYS if name in live.metadata]
        if used:
            return Left(live, f"its metadata uses {', '.join(used)} for something else", address, "E0708")
        mark = set(marked(self._resources[address], self._namespace, features=address in self._featured))
        if len(live.metadata.keys() | mark.intersection(MARK_KEYS)) > METADATA_KEYS:
            return Left(live, f"it has {len(live.metadata)} metadata keys, and none is free", address, "E0708")
        return None

    def _with_marks(self, chosen: Mapping[str, Live]) -> tuple[list[Live], Difference]:
        """Return the account as it would be with the marks, and what the next plan would do then."""
        provisional = self._marked(chosen, {key: {MANAGED_BY: PREFIX + self._namespace} for key in chosen})
        addresses = match(self._desired, provisional, self._namespace, self._moved).addresses()
        addresses |= {(live.kind.name, live.id): address for address, live in chosen.items()}
        marks = {address: self._mark(address, live, addresses) for address, live in chosen.items()}
        as_if = self._marked(chosen, marks)
        return as_if, diff(self._desired, as_if, self._namespace, self._moved)

    def _marked(self, chosen: Mapping[str, Live], marks: Mapping[str, Mapping[str, str]]) -> list[Live]:
        new = {
            (live.kind.name, live.id): replace(live, metadata={**live.metadata, ADDRESS: address, **marks[address]})
            for address, live in chosen.items()
        }
        return [new.get((live.kind.name, live.id), live) for live in self._objects]

    def _mark(self, address: str, live: Live, addresses: Mapping[tuple[str, str], str]) -> dict[str, str]:
        """Return the mark of an object as it is: its digest is over what it holds, not over what the files ask."""
        resource = self._resources[address]
        values = resolve(live.kind, live.values, addresses.get)
        own = {name: live.metadata[name] for name in resource.metadata if name in live.metadata}
        mark = marked(resource, self._namespace, features=address in self._featured)
        return {name: mark[name] for name in MARK_KEYS if name in mark} | {DIGEST: live.kind.digest(values, own)}

    def _refused(self, chosen: Mapping[str, Live], difference: Difference, as_if: Sequence[Live]) -> Iterator[Left]:
        settled = match(self._desired, as_if, self._namespace, self._moved).by_address
        changes = {change.address: change for change in difference.changes if change.action is Action.REPLACE}
        for address, live in chosen.items():
            other = settled.get(address)
            problem = next((each for each in difference.problems if each.summary.startswith(f"{address}: ")), None)
            if other is None or other.id != live.id:
                why = f"{other.id} stands for it" if other else "the files ask for no such object"
                yield Left(live, why, address, "E0705")
            elif problem is not None:
                yield Left(live, problem.summary.removeprefix(f"{address}: "), address, problem.code)
            elif address in changes:
                yield Left(live, _differing(changes[address]), address)

    def _marks(self, chosen: Mapping[str, Live], as_if: Sequence[Live]) -> Iterator[Change]:
        marked_as = {(live.kind.name, live.id): live for live in as_if}
        for address, live in chosen.items():
            after = owned_metadata(marked_as[live.kind.name, live.id].metadata)
            mark = {name: value for name, value in after.items() if name in MARK_KEYS}
            named = self._resources[address].imported == live.id
            yield self._change(address, live, {}, mark, Reason.IMPORTED if named else Reason.KEY)

    def _renewed(self, chosen: Mapping[str, Live], difference: Difference) -> Iterator[Change]:
        """Renew the digest of objects of ours that refer to what is taken: it names addresses in place of ids."""
        before = diff(self._desired, self._objects, self._namespace, self._moved)
        known = {change.address for change in before.changes if _is_digest_alone(change)}
        live = {(item.kind.name, item.id): item for item in self._objects}
        for change in difference.changes:
            if _is_digest_alone(change) and change.address not in known and change.address not in chosen:
                assert change.before is not None and change.after is not None  # noqa: S101, PT018  an update has both
                item = live[change.kind.name, change.id or ""]
                old, new = ({DIGEST: state.metadata[DIGEST]} for state in (change.before, change.after))
                yield self._change(change.address, item, old, new, Reason.KEY)

    def _change(
        self, address: str, live: Live, before: dict[str, str], after: dict[str, str], reason: Reason
    ) -> Change:
        owned = owned_metadata(live.metadata, self._resources[address].metadata)
        source = self._resources[address].source
        return Change(
            address=address,
            kind=live.kind,
            action=Action.ADOPT,
            reason=reason,
            fields=(),
            before=State(live.values, {**owned, **before}),
            after=State(live.values, {**owned, **after}),
            id=live.id,
            fingerprint=live.fingerprint,
            source=None if source is None else str(source),
        )

    def _unnamed(self, told: set[str], chosen: Mapping[str, Live], matching: Matching) -> Iterator[Left]:
        """Say of every living object that stands for no address why it is left."""
        done = {(live.kind.name, live.id) for live in [*chosen.values(), *matching.by_address.values()]}
        strays = {(live.kind.name, live.id) for _, live in matching.strays}
        for live in sorted(self._objects, key=lambda live: (live.kind.name, live.id)):
            key = (live.kind.name, live.id)
            if key in done or not live.active or live.id in told:
                continue
            if key in strays:
                yield Left(live, "it is of this namespace, and the files have no place for it", None)
            elif live.mark is not None:
                yield Left(live, f"it belongs to namespace {live.mark.namespace}", None)
            else:
                yield Left(live, "no address of the files names it", None)


def _ours(live: Live, address: str, namespace: str) -> bool:
    return live.mark is not None and (live.mark.namespace, live.mark.address) == (namespace, address)


def _is_digest_alone(change: Change) -> bool:
    before, after = change.before, change.after
    if change.action is not Action.UPDATE or before is None or after is None or before.values != after.values:
        return False
    names = before.metadata.keys() | after.metadata.keys()
    return {name for name in names if before.metadata.get(name) != after.metadata.get(name)} == {DIGEST}


def _differing(change: Change) -> str:
    assert change.before is not None and change.after is not None  # noqa: S101, PT018  a replacement has both
    before, after = change.before.values, change.after.values
    fields = [name for name in change.fields if name != change.kind.key or name in before]
    return f"the next plan would replace it: {unlike(fields, before, after)}"


def describe(live: Live) -> str:
    """Say in a few words what an object is: ``price 49.99 usd per month``."""
    return headline(live.kind, live.values)
