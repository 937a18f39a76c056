"""What an object family is made of, and what a handler may do.

A family is one file: the template of its complete object, its routes, what it is listed by, which keys it holds alone,
and its rules. Everything else (decoding, types, events, uniqueness, lists, expansion, storage) is the same for all.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from reconciler.sandbox.errors import ApiError, invalid, missing, no_such, not_modelled
from reconciler.sandbox.form import Tree
from reconciler.sandbox.ids import BASE62, derive
from reconciler.sandbox.params import METADATA_KEYS
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import Claim, Due, Row, Term, Tx
from reconciler.sandbox.wire import Obj

Handler = Callable[["Call"], Obj]
#: What a family does when something has happened to an object of another one.
Reaction = Callable[["Call", Obj], None]

#: The clock an object lives by when it belongs to no test clock.
OWN_CLOCK = ""
#: What is due and is refused is tried again after so many seconds, then each time after twice as many up to the most.
RETRY_FIRST, RETRY_MOST = 3_600, 86_400
#: Where an object notes until when its work is put off, and why.
_PUT_OFF = "_put_off"


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: method, path pattern, parameter type in ``stripe.params``, handler.

    ``lists`` says that the reply is a list envelope; ``clears`` names parameters that ``''`` unsets although the SDK's
    types do not say so, ``blanks`` those where that is a setting. ``refused`` names parameters that the sandbox does
    not model and refuses, ``accepted`` those it takes, and shows where the object has them, without any other effect.
    ``counts`` says that ``total_count`` can be expanded. ``sole`` names, from parameters not validated yet, what only
    one request at a time may be about while request limits hold.
    """

    method: str
    pattern: str
    params: str
    handler: Handler
    lists: bool = False
    clears: frozenset[str] = frozenset()
    blanks: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    accepted: frozenset[str] = frozenset()
    counts: bool = False
    sole: Callable[[Tx, Tree], str | None] | None = None


def _no_terms(_: Obj) -> Iterable[Term]:
    return ()


def _no_claims(_obj: Obj, _settings: Settings) -> Iterable[Claim]:
    return ()


def _no_addresses(_obj: Obj, _base_url: str) -> Obj:
    return {}


def _never(_: Obj) -> int | None:
    return None


def _nothing(_call: "Call", _row: Row) -> None:
    return


def _no_lag(_: str) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Nested:
    """A list inside an object: the ``kind`` whose term ``by`` names the object, oldest first, ``first`` of them.

    ``url`` is where the rest is listed, ``{id}`` standing for the object's; ``hidden`` lists are absent until expanded.
    """

    kind: str
    by: str
    url: str
    first: int = 10
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Everything one kind of object does not share with the others."""

    #: The value of ``object``, and the stem of event types unless ``stem`` is another.
    kind: str
    #: The kind's name in messages.
    noun: str
    #: The ``param`` of the 404 for an unknown id in the URL.
    missing_param: str = "id"
    #: The complete object with its defaults; ``created`` and ``updated`` are stamped where it has them.
    template: Mapping[str, Any] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    #: Dotted fields that are absent until expanded; ``*`` is any key.
    hidden: frozenset[str] = frozenset()
    #: Dotted fields that hold an id, and the kind it names.
    references: Mapping[str, str] = field(default_factory=dict)
    #: Dotted fields that hold an id and always show the object it names.
    embeds: Mapping[str, str] = field(default_factory=dict)
    #: Fields that show a list of other objects.
    nested: Mapping[str, Nested] = field(default_factory=dict)
    #: The fields that are addresses of the sandbox's own pages, given the object and the base address. They are shown,
    #: never stored, so that an object made on one port is reached on another.
    addresses: Callable[[Obj, str], Obj] = _no_addresses
    #: Longest text per parameter path, where it is not Stripe's default.
    lengths: Mapping[str, int] = field(default_factory=dict)
    emits_events: bool = True
    #: The first part of event types where it is not the kind: ``customer.subscription``.
    stem: str = ""
    #: What objects of this family do when something happens to others: event type, and a handler of its object.
    reacts: Mapping[str, Reaction] = field(default_factory=dict)
    #: The (filter, value) pairs an object is listed by.
    terms: Callable[[Obj], Iterable[Term]] = _no_terms
    #: The keys an object alone may hold in its present state.
    claims: Callable[[Obj, Settings], Iterable[Claim]] = _no_claims
    #: The refusal of a claim, given the claim and its holder's id.
    collision: Callable[[Claim, str], ApiError] = lambda claim, _: invalid(f"{claim[1]} is already in use.")
    #: When time alone changes an object, and how; it must move that time on. Its clock is its ``test_clock``, or
    #: ``_clock`` where Stripe does not show it.
    due_at: Callable[[Obj], int | None] = _never
    when_due: Callable[["Call", Row], None] = _nothing
    #: Who goes first among those due at one instant: the lower rank, then the older object.
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Origin:
    """The request a change comes from, as events name it."""

    request_id: str | None
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """One request inside its transaction: validated parameters, the account's objects, the clock.

    ``now`` is the time of the object at work: the sandbox's, or that of a test clock (:meth:`on_clock_of`).
    """

    family: Family
    families: Mapping[str, Family]
    tx: Tx
    settings: Settings
    now: int
    seed: int
    origin: Origin
    record: Callable[["Call", str, Obj, Obj | None], None]
    #: Who reacts to which type of event, in order.
    reactions: Mapping[str, Sequence["Reaction"]]
    params: Obj = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    #: The sandbox's own time, also while a test clock's is at work.
    own_now: int = 0
    #: How many seconds a view is behind, by the name of the fault that says so: ``search_lag``, ``summary_lag``.
    lag: Callable[[str], int] = _no_lag

    def row(self, family: Family | None = None, name: str = "id") -> Row:
        """Return the object named in the URL; 404 if it does not exist."""
        family = family or self.family
        row = self.tx.find(family.kind, self.ids[name])
        if row is None:
            raise no_such(family.noun, self.ids[name], family.missing_param, status=404)
        return row

    def owned(self, owner: str) -> Row:
        """Return the object named in the URL if it is its owner's, who is named there too; 404 otherwise."""
        holder, row = self.row(self.families[owner], owner), self.row()
        if row.body[owner] != holder.body["id"]:
            raise no_such(self.family.noun, self.ids["id"], self.family.missing_param, status=404)
        return row

    def needed(self, kind: str) -> Obj:
        """Return the object that the parameter called like its kind names; 400 without it."""
        if kind not in self.params:
            raise missing(kind)
        return self.refer(kind, self.params[kind], kind)

    def refer(self, kind: str, object_id: str, param: str) -> Obj:
        """Return the object a parameter names; 400 if it does not exist."""
        row = self.tx.find(kind, object_id)
        if row is None:
            noun = self.families[kind].noun if kind in self.families else kind
            raise no_such(noun, object_id, param)
        return row.body

    @property
    def base_url(self) -> str:
        """Where the sandbox serves its pages: ``http://127.0.0.1:4243``, without a slash at the end."""
        return self.tx.base_url

    def at(self, now: int) -> "Call":
        """Return the same call at another time."""
        return replace(self, now=now)

    def on_clock_of(self, obj: Obj) -> "Call":
        """Return the same call at the time of the object's test clock, shown or not; without one, the same call."""
        named = obj.get("test_clock") or obj.get("_clock")
        clock = self.tx.find("test_helpers.test_clock", named) if named else None
        return self.at(clock.body["frozen_time"]) if clock else self

    def run_due(self, clock: str, up_to: int, *, since: int = 0) -> None:
        """Let happen what waits on a clock for a time up to ``up_to``: earliest first, each at its own time.

        What a request has made due before ``since``, the time it was made at, happens then: no clock runs backwards.
        """
        before = None
        while due := self.tx.next_due(clock, up_to):
            kind, at, row = due
            if (at, row) == before:
                raise RuntimeError(f"{kind} {row.body['id']} does not move on from {at}")
            before = (at, row)
            self._happen(kind, max(at, since), row)

    def _happen(self, kind: str, at: int, row: Row) -> None:
        """Let happen what is due for one object; where that is refused, it is undone and put off, and only there.

        Nothing but a refusal is put off: any other exception is a fault of the sandbox, and is raised.
        """
        family = self.families[kind]
        work = replace(self, family=family, now=at, params={}, ids={}, url="")
        try:
            with self.tx.attempt():
                family.when_due(work, row)
                again = self.tx.find(kind, row.body["id"]) if _PUT_OFF in row.body else None
                if again:
                    rest = {name: value for name, value in again.body.items() if name != _PUT_OFF}
                    work.replace(family, again, rest)
        except ApiError as error:
            waited = row.body.get(_PUT_OFF, {}).get("wait", 0)
            wait = min(2 * waited, RETRY_MOST) if waited else RETRY_FIRST
            put_off = {"error": error.message, "until": at + wait, "wait": wait}
            work.replace(family, row, {**row.body, _PUT_OFF: put_off})

    def new_id(self, prefix: str, length: int, alphabet: str = BASE62) -> str:
        """Return a fresh id: the prefix and ``length`` characters."""
        return prefix + derive(self.seed, self.tx.next("id"), length=length, alphabet=alphabet)

    def fill(self, family: Family, object_id: str, **fields: Any) -> Obj:
        """Return the family's complete object with the given fields laid over its template.

        Nested values are the template's own: handlers replace them, they never change them in place.
        """
        stamps = {name: self.now for name in ("created", "updated") if name in family.template}
        return {**family.template, **stamps, **fields, "id": object_id}

    def create(self, family: Family, obj: Obj) -> Obj:
        """Store a new object, take its keys, record its event."""
        self.insert(family, obj)
        self.emit(family, "created", obj)
        return obj

    def insert(self, family: Family, obj: Obj) -> Row:
        """Store a new object and take its keys without an event."""
        self._claim(family, set(), obj)
        row = self.tx.insert(family.kind, obj, self.now, family.terms(obj))
        if due := _due(family, obj):
            self.tx.wait(family.kind, row.seq, due)
        return row

    def save(self, family: Family, row: Row, changed: Obj, verb: str = "updated") -> Obj:
        """Replace an object; a change of nothing is no event and leaves ``updated`` alone."""
        if changed == row.body:
            return changed
        if "updated" in changed:
            changed = {**changed, "updated": self.now}
        self.replace(family, row, changed)
        self.emit(family, verb, changed, row.body)
        return changed

    def replace(self, family: Family, row: Row, changed: Obj) -> None:
        """Store an object's new body, lists and keys without an event."""
        held = set(family.claims(row.body, self.settings))
        self._claim(family, held, changed)
        for claim in held - set(family.claims(changed, self.settings)):
            self.tx.release(claim, row.body["id"])
        self.tx.update(family.kind, row, changed, old_terms=family.terms(row.body), new_terms=family.terms(changed))
        due, then = _due(family, row.body), _due(family, changed)
        if due and due != then:
            self.tx.stop_waiting(row.seq, due)
        if then and due != then:
            self.tx.wait(family.kind, row.seq, then)

    def delete(self, family: Family, row: Row, final: Obj | None = None) -> Obj:
        """Remove an object, free its keys, record its event with the ``final`` state; return the deletion's reply."""
        for claim in family.claims(row.body, self.settings):
            self.tx.release(claim, row.body["id"])
        self.tx.delete(family.kind, row, family.terms(row.body))
        if due := _due(family, row.body):
            self.tx.stop_waiting(row.seq, due)
        self.emit(family, "deleted", final or row.body)
        return {"id": row.body["id"], "object": family.kind, "deleted": True}

    def _claim(self, family: Family, held: set[Claim], obj: Obj) -> None:
        for claim in family.claims(obj, self.settings):
            if claim not in held and (holder := self.tx.claim(claim, obj["id"])) != obj["id"]:
                raise family.collision(claim, holder)

    def emit(self, family: Family, verb: str, obj: Obj, previous: Obj | None = None) -> None:
        """Record what happened to an object, then let the families that react to it act, in their order."""
        event_type = f"{family.stem or family.kind}.{verb}"
        if family.emits_events:
            self.record(self, event_type, obj, previous)
        for react in self.reactions.get(event_type, ()):
            react(self, obj)


def _due(family: Family, obj: Obj) -> Due | None:
    at = family.due_at(obj)
    if at is None:
        return None
    if _PUT_OFF in obj:
        at = max(at, obj[_PUT_OFF]["until"])
    return Due(obj.get("test_clock") or obj.get("_clock") or OWN_CLOCK, at, family.rank)


def retrieve(call: Call) -> Obj:
    """Handle ``GET /v1/<kind>s/{id}``."""
    return call.row().body


def unmodelled(call: Call) -> Obj:
    """Handle a route that Stripe has and the sandbox does not model: refuse it."""
    raise not_modelled(f"this request ({call.url})")


def merge_metadata(old: Mapping[str, str], patch: Mapping[str, str | None] | None) -> dict[str, str]:
    """Apply a metadata patch: absent keys stay, ``None`` unsets one, no patch at all clears everything.

    Source: https://docs.stripe.com/api/metadata.
    """
    if patch is None:
        return {}
    merged = {key: value for key, value in {**old, **patch}.items() if value is not None}
    if len(merged) > METADATA_KEYS:
        raise invalid(f"Metadata can have at most {METADATA_KEYS} keys.", "metadata")
    return merged


def overlay(obj: Obj, params: Obj, fields: Iterable[str]) -> Obj:
    """Return the object with those of the named fields that were given; metadata is merged, a cleared list is empty."""
    changed = dict(obj)
    for name in fields:
        if name == "metadata" and name in params:
            changed[name] = merge_metadata(obj[name], params[name])
        elif name in params:
            changed[name] = [] if params[name] is None and isinstance(obj[name], list) else params[name]
    return changed


def flag(value: Any) -> str:
    """Write a truth value as a filter term."""
    return "true" if value else "false"


def json_number(value: Decimal) -> int | float:
    """Return the JSON number of a percentage: an integer where it is one."""
    return int(value) if value == value.to_integral_value() else float(value)
