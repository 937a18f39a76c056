"""The difference between what the files ask and what an account holds, as changes. Pure: no clock, no randomness."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.diagnostics import Diagnostic, SourceRange
from reconciler.planning.change import Action, Change, Reason, State, is_active
from reconciler.planning.heirs import inherited
from reconciler.planning.live import Live
from reconciler.planning.match import Matching, keeps_key, match
from reconciler.planning.movers import Migration
from reconciler.planning.unsettled import (
    bound,
    forces_replacement,
    not_alike,
    planned_otherwise,
    refers_to_nothing,
    unchangeable,
    unfit,
)
from reconciler.resources import KINDS, Kind, Resource
from reconciler.resources.items import renamed
from reconciler.resources.mark import marked, owned_metadata
from reconciler.resources.model import (
    DIGEST,
    MARK_KEYS,
    REPLACES,
    Fitted,
    Json,
    Mode,
    There,
    Values,
    digest,
    fingerprint_of,
    held,
    references,
    substitute,
)


@dataclass(frozen=True)
class Binding:
    """An object a plan relies on without changing it."""

    kind: str
    id: str
    fingerprint: str


@dataclass
class Difference:
    """Changes by address, objects they rely on, objects of others (and how many by kind), what has to be settled.

    ``migrations`` tell of subscribers who are not in the files; ``heirs`` are the prices they move to and that stay.
    """

    changes: list[Change] = field(default_factory=list)
    bindings: dict[str, Binding] = field(default_factory=dict)
    foreign: dict[str, int] = field(default_factory=dict)
    strangers: tuple[Live, ...] = ()
    unchanged: int = 0
    problems: list[Diagnostic] = field(default_factory=list)
    migrations: tuple[Migration, ...] = ()
    heirs: dict[str, Binding] = field(default_factory=dict)


def diff(
    desired: Sequence[Resource], objects: Sequence[Live], namespace: str, moved: Mapping[str, str] | None = None
) -> Difference:
    """Compare what is asked with what is there.

    ``moved`` maps renamed addresses, old to new. Problems are meters that cannot change and keys held by others.
    """
    matching = match(desired, objects, namespace, moved or {})
    comparison = _Comparison(desired, matching, namespace, moved or {})
    changes: dict[str, Change] = {}
    for kind in sorted(KINDS, key=_has_late_fields):
        for resource in desired:
            if resource.kind is kind:
                change = comparison.change(resource)
                if change is not None:
                    changes[resource.address] = change
    retired = [comparison.retirement(address, live) for address, live in matching.strays]
    ordered = sorted([*changes.values(), *retired], key=lambda change: (change.address, change.id or ""))
    return Difference(
        changes=ordered,
        bindings=_bindings(ordered, matching),
        foreign=dict(sorted(Counter(live.kind.name for live in matching.foreign).items())),
        strangers=tuple(live for live in matching.foreign if not live.kind.contract),
        unchanged=comparison.unchanged,
        problems=[*matching.problems, *comparison.problems],
    )


def _has_late_fields(kind: Kind) -> bool:
    """Put kinds last that refer to kinds after them, so that every replacement they may refer to is decided."""
    return any(row.mode is Mode.UPDATE_ONLY and row.name != "active" for row in kind.fields)


class _Comparison:
    """One run over all addresses; remembers which are replaced, because what refers to them must follow."""

    def __init__(
        self, desired: Sequence[Resource], matching: Matching, namespace: str, moved: Mapping[str, str]
    ) -> None:
        self._matching = matching
        self._moved = moved
        self._namespace = namespace
        self._addresses = matching.addresses()
        self._once = {(live.kind.name, live.id): address for address, live in matching.strays} | self._addresses
        self._unnamed = [(live.kind.name, live.id) for _, live in matching.strays if live.kind.name == "meter"]
        self._wanted = {resource.address for resource in desired}
        self._replaced: set[str] = set()
        self._with_features = {
            next(references(resource.values["product"])) for resource in desired if resource.kind.parent == "product"
        }
        self._absent = {
            resource.address
            for resource in desired
            if resource.values.get("active", True) is False and resource.address not in matching.by_address
        }
        self.unchanged = 0
        self.problems: list[Diagnostic] = []

    def change(self, resource: Resource) -> Change | None:
        """Return what has to happen to an address, None where nothing has to."""
        live = self._matching.by_address.get(resource.address)
        if live is None or live.over:
            if resource.address in self._absent or self._hangs(resource):
                return None
            return Change(
                resource.address,
                resource.kind,
                Action.CREATE,
                Reason.ENDED if live else self._why_new(resource),
                (),
                None,
                self._asked(resource, self._fitted(resource, live).values),
                source=_text(resource.source),
                named=resource.adopts,
            )
        before = self._before(live, resource)
        fitted = self._fitted(resource, live)
        if fitted.refusal is not None:
            self.problems.append(unfit(resource, live, fitted.refusal))
            return None
        wanted = _impersonal(resource.kind, fitted.values, resource.values)
        after = self._asked(resource, _with_kept_key(resource, live, before.values, wanted))
        after = _remembering(after, live.metadata.get(REPLACES))
        fields = self._differing(resource.kind, before.values, after.values)
        if not fields and before.metadata == after.metadata:
            self.unchanged += 1
            return None
        if any(forces_replacement(resource.kind, name, before.values, after.values) for name in fields):
            if resource.kind.contract:
                self.problems.append(bound(resource, live, fields))
                return None
            if _is_switched_off(resource):
                return replace(self.retirement(resource.address, live), reason=Reason.CONFIG)
            return self._replacement(resource, live, before, after, fields)
        action = Action.ADOPT if resource.address in self._matching.adopted else Action.UPDATE
        return replace(self._existing(resource, live, action, before, after, fields), policy=fitted.policy)

    def _fitted(self, resource: Resource, live: Live | None) -> Fitted:
        """Return what is asked of an address given what is there, if anything is."""
        if resource.kind.fit is None:
            return Fitted(resource.values)
        return resource.kind.fit(resource, None if live is None else self._there(live), self._at)

    def _there(self, live: Live) -> There:
        values = self._resolved(live)
        return There(values, live.facts, live.metadata, self._namespace)

    def _resolved(self, live: Live) -> Values:
        return resolve(
            live.kind, live.values, self._address_of, lambda leaf: renamed(leaf, self._namespace, self._moved)
        )

    def _why_new(self, resource: Resource) -> Reason:
        """Tell whether a customer has another already that is no longer marked, so that it may be had twice."""
        within = resource.kind.within
        owner = self._matching.by_address.get(resource.values[within]["$ref"]) if within else None
        beside = (
            live.kind is resource.kind
            and not live.over
            and live.values.get("amount") == resource.values.get("amount")
            and held(live.values[within or ""])[1] == owner.id
            for live in self._matching.foreign
            if owner
        )
        return Reason.BESIDE if any(beside) else Reason.NEW

    def _at(self, address: str) -> There | None:
        live = self._matching.by_address.get(address)
        return None if live is None else self._there(live)

    def retirement(self, address: str, live: Live) -> Change:
        """Return the retirement of an object of ours that no address needs."""
        if live.facts.get("strange"):
            self.problems.append(planned_otherwise(address, live))
        before = State(live.values, owned_metadata(live.metadata))
        return Change(
            address=address,
            kind=live.kind,
            action=Action.RETIRE,
            reason=Reason.RELEASED if live.kept else self._why_retired(address, live.kind),
            fields=(),
            before=before,
            after=None,
            id=live.id,
            fingerprint=live.fingerprint,
        )

    def _why_retired(self, address: str, kind: Kind) -> Reason:
        if address not in self._wanted:
            return Reason.REMOVED
        return Reason.STRAY if kind.metadata or kind.parent else Reason.RENAMED

    def _hangs(self, resource: Resource) -> bool:
        """Tell whether a resource refers to one that is no longer sold and never was at Stripe."""
        missing = sorted(self._absent.intersection(references(resource.values)))
        if missing and not resource.kind.parent:
            self.problems.append(refers_to_nothing(resource, missing[0]))
        return bool(missing)

    def _asked(self, resource: Resource, values: Values) -> State:
        """Return the state a resource is to have with these values, the mark bound to them."""
        if not resource.kind.metadata:
            return State(dict(values), {})
        features = resource.address in self._with_features
        bound = None if resource.kind.fit else values
        return State(dict(values), marked(resource, self._namespace, features=features, values=bound))

    def _before(self, live: Live, resource: Resource) -> State:
        values = _impersonal(resource.kind, self._resolved(live), resource.values)
        return State(values, owned_metadata(live.metadata, resource.metadata))

    def _address_of(self, object_id: tuple[str, str]) -> str | None:
        address = self._addresses.get(object_id)
        return None if address in self._replaced else address

    def _differing(self, kind: Kind, before: Values, after: Values) -> tuple[str, ...]:
        return tuple(row.name for row in kind.fields if before.get(row.name) != after.get(row.name))

    def _replacement(
        self, resource: Resource, live: Live, before: State, after: State, fields: tuple[str, ...]
    ) -> Change | None:
        if not resource.kind.metadata and not resource.kind.parent:
            self.problems.append(unchangeable(resource, live, fields))
            return None
        ours = resource.address not in self._matching.adopted
        if not ours or (resource.adopts and resource.kind.fixed_key is not None):
            self.problems.append(not_alike(resource, live, before, after, fields, ours=ours))
            return None
        self._replaced.add(resource.address)
        if resource.kind.fixed_key is None:
            after = self._asked(resource, resource.values)
            fields = self._differing(resource.kind, before.values, after.values)
        after = _remembering(after, inherited(live, resource.policies.get("", "")))
        if resource.kind.chosen_id and resource.kind.key is not None:
            after.values[resource.kind.key] = _successor_id(resource)
        return self._existing(resource, live, Action.REPLACE, before, after, fields)

    def _existing(
        self, resource: Resource, live: Live, action: Action, before: State, after: State, fields: tuple[str, ...]
    ) -> Change:
        return Change(
            address=resource.address,
            kind=resource.kind,
            action=action,
            reason=self._reason(resource, live, action, before, after),
            fields=fields,
            before=before,
            after=after,
            id=live.id,
            fingerprint=live.fingerprint,
            source=_text(resource.source),
            named=resource.adopts,
        )

    def _reason(self, resource: Resource, live: Live, action: Action, before: State, after: State) -> Reason:
        if action is Action.ADOPT:
            return Reason.IMPORTED if resource.imported == live.id else Reason.KEY
        if live.mark is None:
            return Reason.DRIFT if resource.kind.metadata else Reason.EITHER
        if live.mark.address != resource.address or (self._moved and _same_but_for_the_mark(before, after)):
            return Reason.MOVED
        changed = after.metadata.get(DIGEST) != live.mark.digest
        if resource.kind.fit is not None and not changed:
            return Reason.MIGRATED if _on_predecessor(before.values) else Reason.DRIFT
        if resource.kind.fit is not None:
            return Reason.CONFIG
        if self._edited(resource, live, live.mark.digest):
            return Reason.BOTH if changed else Reason.DRIFT
        return Reason.CONFIG

    def _edited(self, resource: Resource, live: Live, applied: str) -> bool:
        """Tell whether an object is otherwise than it was applied.

        A meter whose name left the files does not tell which address it stood for, so it may be any that is asked for.
        """
        own = {name: value for name, value in owned_metadata(live.metadata).items() if name not in MARK_KEYS}

        def digest_with(meter: str | None) -> str:
            addresses = self._once | dict.fromkeys(self._unnamed, meter) if meter else self._once
            return resource.kind.digest(resolve(resource.kind, live.values, addresses.get), own)

        return applied not in map(digest_with, (None, *(references(resource.values) if self._unnamed else ())))


def _same_but_for_the_mark(before: State, after: State) -> bool:
    """Tell whether nothing but the owner mark differs, as where something that is referred to was renamed."""
    changed = {
        name
        for name in before.metadata.keys() | after.metadata.keys()
        if before.metadata.get(name) != after.metadata.get(name)
    }
    return before.values == after.values and changed <= {DIGEST}


def resolve(
    kind: Kind,
    values: Values,
    address_of: Callable[[tuple[str, str]], str | None],
    without: Callable[[Values], Values] = lambda leaf: leaf,
) -> Values:
    """Replace ids of other objects by their addresses, by ``without`` where they have none; put sets in one order."""

    def replace(value: Json) -> Json:
        if not isinstance(value, dict) or "$id" not in value:
            return value
        address = address_of(held(value))
        return without(value) if address is None else {"$ref": address}

    return kind.ordered({name: substitute(value, replace) for name, value in values.items()})


def _on_predecessor(values: Values) -> bool:
    """Tell whether an item is on an archived price of ours, or on one that is being replaced."""
    return any("$of" in each["price"] for each in values.get("items") or ())


def _impersonal(kind: Kind, values: Values, asked: Values) -> Values:
    """Put a fingerprint in the place of what is personal and not in the files."""
    hidden = {row.name for row in kind.fields if row.personal and values.get(row.name) != asked.get(row.name)}
    return {name: fingerprint_of(value) if name in hidden else value for name, value in values.items()}


def _remembering(state: State, predecessors: str | None) -> State:
    """Let a price remember whose subscribers move to it, or nobody's."""
    others = {name: value for name, value in state.metadata.items() if name != REPLACES}
    return State(state.values, others | ({REPLACES: predecessors} if predecessors else {}))


def _with_kept_key(resource: Resource, live: Live, before: Values, asked: Values) -> Values:
    """Return what is asked for, with the key an object keeps in place of the one it would be made with.

    A key that never changes on an object stays, as after a rename, unless the files ask for another by name; so does
    any key, or none, of an object that the files name by its id.
    """
    name = resource.kind.key
    if name is None or not (keeps_key(resource, live) or _has_fixed_key(resource, before)):
        return asked
    others = {field: value for field, value in asked.items() if field != name}
    return {**others, name: before[name]} if name in before else others


def _has_fixed_key(resource: Resource, before: Values) -> bool:
    fixed = resource.kind.fixed_key
    return fixed is not None and fixed in before and not (resource.adopts or resource.kind.retire_first)


def _is_switched_off(resource: Resource) -> bool:
    """Tell whether the files switch off what can be made switched on only: no successor of it is wanted."""
    return not is_active(State(resource.values, {})) and resource.kind.field("active").mode is Mode.UPDATE_ONLY


def _successor_id(resource: Resource) -> str:
    assert resource.key is not None  # noqa: S101  only kinds with a chosen id come here
    return f"{resource.key}_{digest(resource.values, 8)}"


def _bindings(changes: Sequence[Change], matching: Matching) -> dict[str, Binding]:
    changed = {change.address for change in changes if change.after is not None}
    states = [state for change in changes for state in (change.before, change.after) if state is not None]
    needed = {address for state in states for address in references(state.values)}
    return {
        address: Binding(live.kind.name, live.id, live.fingerprint)
        for address in sorted(needed - changed)
        if (live := matching.by_address.get(address)) is not None
    }


def _text(source: SourceRange | None) -> str | None:
    return None if source is None else str(source)
