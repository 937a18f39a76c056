"""Taking existing objects under management: read the account, decide, and a plan that writes owner marks alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.config.catalog import Catalog
from reconciler.config.words import did_you_mean
from reconciler.diagnostics import ReconcilerError
from reconciler.planning.adopt import Adoption, adopt, find
from reconciler.planning.diff import Difference
from reconciler.planning.live import Live, LiveState
from reconciler.planning.plan import Plan
from reconciler.provider.gateway import Gateway
from reconciler.provider.propose import bind
from reconciler.provider.reads import Reader
from reconciler.resources import Resource, desire
from reconciler.resources.mark import read_mark


@dataclass(frozen=True)
class Offer:
    """What is taken and left, and the plan that marks what is taken."""

    adoption: Adoption
    plan: Plan


def offer_matches(catalog: Catalog, gateway: Gateway, *, plan_id: str, now: datetime) -> Offer:
    """Offer every object that the files find by a natural key or an entry of imports."""
    desired, reader = desire(catalog), Reader(gateway)
    state = reader.state(desired, catalog.namespace)
    picks = find(desired, state.objects, catalog.namespace)
    return _offer(catalog, desired, state, picks, reader.currencies, plan_id, now)


def offer_one(
    catalog: Catalog, gateway: Gateway, address: str, object_id: str, *, plan_id: str, now: datetime
) -> Offer:
    """Offer one object for one address; ReconcilerError where it is not there, or not to be had."""
    desired = desire(catalog)
    resource = next((each for each in desired if each.address == address), None)
    if resource is None:
        known = [each.address for each in desired]
        summary = f"the files have no address {address}{did_you_mean(address, known)}"
        raise ReconcilerError("E0706", summary, remedy="Give an address as `reconciler plan` shows it.")
    reader = Reader(gateway)
    looked_for = [replace(each, imported=object_id) if each is resource else each for each in desired]
    state = reader.state(looked_for, catalog.namespace)
    live = _there(resource, object_id, state)
    if not resource.kind.metadata:
        _settled_without_mark(resource, live)
        return _offer(catalog, desired, state, {}, reader.currencies, plan_id, now)
    mark = read_mark(live.metadata)
    ours = mark is not None and (mark.namespace, mark.address) == (catalog.namespace, address)
    offer = _offer(catalog, desired, state, {} if ours else {address: live}, reader.currencies, plan_id, now)
    for left in offer.adoption.left:
        if left.address == address:
            raise ReconcilerError(
                left.code,
                f"{object_id} cannot be taken over for {address}: {left.why}",
                remedy=_REMEDIES.get(left.code, _AS_IT_IS),
            )
    return offer


_AS_IT_IS = "Make the file say what the object is, take it over, then change it; what it refers to is taken over first."
_REMEDIES = {
    "E0705": "Retire the one that stands for it first, or name another address.",
    "E0707": "Take it out of that namespace first: its owner manages it.",
    "E0708": "Rename or remove metadata of the object at Stripe.",
}


def _there(resource: Resource, object_id: str, state: LiveState) -> Live:
    same = [live for live in state.objects if live.id == object_id]
    live = next((each for each in same if each.kind is resource.kind), None)
    if live is not None:
        return live
    wanted = resource.kind.name.replace("_", " ")
    if same:
        other = same[0].kind.name.replace("_", " ")
        raise ReconcilerError(
            "E0709", f"{object_id} is a {other}, and {resource.address} is a {wanted}", remedy="Name a " + wanted + "."
        )
    raise ReconcilerError(
        "E0709",
        f"account {state.account} ({state.mode}) has no {wanted} {object_id}",
        remedy="Check the id, and that the key is of the right account and mode.",
    )


def _settled_without_mark(resource: Resource, live: Live) -> None:
    """Refuse an object of a kind without metadata unless it is what the files name by its key already."""
    if resource.kind.key is not None and live.key != resource.key:
        key = resource.kind.key
        raise ReconcilerError(
            "E0703",
            f"{live.id} cannot be taken over for {resource.address}: {key} is {live.key} there, {resource.key} here",
            remedy=f"Write {key}: {live.key} into the file; a {resource.kind.name} is recognised by it alone.",
        )


def _offer(
    catalog: Catalog,
    desired: list[Resource],
    state: LiveState,
    picks: Mapping[str, Live],
    currencies: tuple[str, ...],
    plan_id: str,
    now: datetime,
) -> Offer:
    adoption = adopt(desired, state.objects, catalog.namespace, catalog.moved, picks)
    marked = Difference(changes=sorted(adoption.changes, key=lambda change: change.address))
    plan = bind(catalog, state, marked, None, live_digest=state.digest, plan_id=plan_id, now=now, currencies=currencies)
    return Offer(adoption, plan)
