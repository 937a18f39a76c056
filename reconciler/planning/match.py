"""Which live object stands for which address.

An owner mark wins over a natural key. A key held by an object of another owner or another address is a problem that a
person has to settle; nothing is taken silently.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.config.renames import new_address
from reconciler.diagnostics import Diagnostic
from reconciler.planning.live import Live
from reconciler.resources import KINDS, Resource
from reconciler.resources.model import Removal, held


@dataclass
class Matching:
    """The outcome: the canonical object of each address, objects of ours without an address, and everything else."""

    by_address: dict[str, Live] = field(default_factory=dict)
    adopted: set[str] = field(default_factory=set)
    taken: dict[tuple[str, str], str] = field(default_factory=dict)
    strays: list[tuple[str, Live]] = field(default_factory=list)
    foreign: list[Live] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)

    def addresses(self) -> dict[tuple[str, str], str]:
        """Return the address of each canonical object by kind and id."""
        return {(live.kind.name, live.id): address for address, live in self.by_address.items()}


def match(desired: Sequence[Resource], objects: Sequence[Live], namespace: str, moved: Mapping[str, str]) -> Matching:
    """Assign live objects to addresses, kind by kind, so that what is referred to is known first."""
    matching = Matching()
    for kind in KINDS:
        wanted = {resource.address: resource for resource in desired if resource.kind is kind}
        live = [item for item in objects if item.kind is kind]
        if kind.parent:
            _match_attachments(matching, wanted, live, namespace)
        elif kind.metadata:
            _match_marked(matching, wanted, live, namespace, moved)
        else:
            _match_by_key(matching, wanted, live, objects, namespace)
    return matching


def _match_marked(
    matching: Matching,
    wanted: Mapping[str, Resource],
    objects: Iterable[Live],
    namespace: str,
    moved: Mapping[str, str],
) -> None:
    ours: dict[str, list[Live]] = {}
    holders: dict[str, Live] = {}
    by_id: dict[str, Live] = {}
    for live in objects:
        by_id[live.id] = live
        if live.key is not None and (live.active or live.key not in holders):
            holders[live.key] = live
        if live.mark is not None and live.mark.namespace == namespace:
            ours.setdefault(new_address(live.mark.address, moved), []).append(live)
        else:
            matching.foreign.append(live)
    for address, resource in wanted.items():
        mine = ours.pop(address, [])
        holder = holders.get(resource.key) if resource.key is not None else None
        named = by_id.get(resource.imported or "")
        if mine:
            _choose(matching, address, resource, mine)
            if not keeps_key(resource, matching.by_address[address]):
                _check_holder(matching, resource, holder, mine)
            if named is not None and named.active and named not in mine:
                matching.problems.append(_settled(resource, named, matching.by_address[address]))
        elif named is not None:
            _take(matching, resource, named, holder)
        elif holder is not None and resource.adopts and holder.mark is None:
            _adopt(matching, resource, holder)
        elif holder is not None:
            matching.problems.append(_held(resource, holder))
    matching.strays += [
        (address, live)
        for address, lives in ours.items()
        for live in lives
        if live.active and live.kind.removal is not Removal.KEEP
    ]


def _take(matching: Matching, resource: Resource, named: Live, holder: Live | None) -> None:
    """Take the object over that the files name by id, unless it has an owner."""
    if named.mark is not None:
        matching.problems.append(_held(resource, named))
        return
    if resource.adopts and holder is not None and holder is not named:
        matching.problems.append(_held(resource, holder))
    _adopt(matching, resource, named)


def _adopt(matching: Matching, resource: Resource, live: Live) -> None:
    other = matching.taken.setdefault((live.kind.name, live.id), resource.address)
    if other != resource.address:
        matching.problems.append(_wanted_twice(resource, live, other))
        return
    matching.by_address[resource.address] = live
    matching.adopted.add(resource.address)
    matching.foreign.remove(live)


def keeps_key(resource: Resource, live: Live) -> bool:
    """Tell whether an object keeps the key it has, even none: the files name it by id and say no key."""
    return resource.imported == live.id and not resource.adopts and not resource.kind.retire_first


def _choose(matching: Matching, address: str, resource: Resource, mine: list[Live]) -> None:
    """Pick the canonical object of an address and leave the rest as strays.

    An archived object that was at the address before does not count beside a living one that moved there. A key that
    moves tells the successor, so its holder counts first; a key that stays with its object tells nothing, so there what
    is already as asked counts first. Then the newest active one.
    """
    sold = resource.values.get("active", True) is not False

    def rank(live: Live) -> tuple[bool | int | str, ...]:
        holds = live.key is not None and live.key == resource.key
        as_asked = live.mark is not None and live.mark.digest == resource.digest
        first = (as_asked, holds) if resource.kind.fixed_key is not None else (holds, as_asked)
        return (live.active or not sold, *first, live.active, live.created, live.id)

    *rest, chosen = sorted(mine, key=rank)
    matching.by_address[address] = chosen
    if rest and chosen.kind.removal is Removal.KEEP:
        matching.problems.append(_doubled(resource, mine))
        return
    matching.strays += [(address, live) for live in rest if live.active]


def _check_holder(matching: Matching, resource: Resource, holder: Live | None, mine: list[Live]) -> None:
    """Report a key that the address is about to take but somebody else holds; a fixed key is never taken."""
    if holder is None or holder in mine or resource.kind.fixed_key is not None:
        return
    matching.problems.append(_held(resource, holder))


_HOW_TO_ADOPT = {
    "product": "To take it over, name it in the file as stripe_id; otherwise choose another id.",
    "coupon": "To take it over, name it in the file as stripe_id; otherwise choose another id.",
    "price": "To take it over, name its key in the file as lookup_key; otherwise choose another key.",
    "feature": "To take it over, name its key in the file as lookup_key; otherwise choose another key.",
    "promotion_code": "To take it over, name its id in imports; otherwise deactivate it, or choose another code.",
}


def _doubled(resource: Resource, mine: list[Live]) -> Diagnostic:
    return Diagnostic(
        "E0713",
        f"{resource.address}: {', '.join(sorted(live.id for live in mine))} are all marked as it",
        resource.source,
        help="Remove the metadata key `managed_by` from all but the one that it is.",
    )


def _settled(resource: Resource, named: Live, live: Live) -> Diagnostic:
    return Diagnostic(
        "E0705",
        f"{resource.address}: {live.id} stands for it, so {named.id} cannot be taken over for it",
        resource.source,
        help="Remove the entry from imports; or retire the one that stands for it first.",
    )


def _wanted_twice(resource: Resource, live: Live, other: str) -> Diagnostic:
    return Diagnostic(
        "E0705",
        f"{resource.address}: {live.id} is taken over for {other}, and stands for one address only",
        resource.source,
        help="Name another object, in imports or by its key.",
    )


def _held(resource: Resource, holder: Live) -> Diagnostic:
    owner = f"{resource.kind.key} {resource.key!r} is held by {holder.id}"
    if resource.imported == holder.id:
        owner = f"{holder.id} cannot be taken over"
    if holder.mark is None:
        summary = f"{owner}, which carries no owner mark"
        remedy = _HOW_TO_ADOPT.get(resource.kind.name, "Choose another key, or free this one at Stripe.")
    elif holder.mark.address:
        summary = f"{owner}, which was made from {holder.mark.address!r} of namespace {holder.mark.namespace!r}"
        remedy = (
            f"If it was renamed, add `moved: [{{from: {holder.mark.address}, to: {resource.address}}}]`; "
            "otherwise choose another key."
        )
    else:
        summary = f"{owner} of namespace {holder.mark.namespace!r}"
        remedy = "Choose another namespace or another key."
    return Diagnostic("E0701", f"{resource.address}: {summary}", resource.source, help=remedy)


def _match_by_key(
    matching: Matching,
    wanted: Mapping[str, Resource],
    objects: Iterable[Live],
    everything: Sequence[Live],
    namespace: str,
) -> None:
    """Match kinds without metadata: an object is ours if its key is in our namespace or an object of ours uses it."""
    used = {item for live in everything if _is_ours(live, namespace) for item in _held_ids(live)}
    keys = {resource.key: address for address, resource in wanted.items()}
    for live in sorted(objects, key=lambda live: (live.active, live.id)):
        address = keys.get(live.key)
        if address is not None:
            matching.by_address[address] = live
        elif str(live.key).startswith(f"{namespace}.") or live.id in used:
            if live.active:
                matching.strays.append((str(live.key).removeprefix(f"{namespace}."), live))
        else:
            matching.foreign.append(live)


def _is_ours(live: Live, namespace: str) -> bool:
    return live.mark is not None and live.mark.namespace == namespace


def _held_ids(live: Live) -> set[str]:
    recurring = live.values.get("recurring") or {}
    meter = recurring.get("meter") or {}
    return {held(meter)[1]} if "$id" in meter else set()


def _match_attachments(
    matching: Matching, wanted: Mapping[str, Resource], objects: Iterable[Live], namespace: str
) -> None:
    """Match attachments by their two ends; one is ours to remove if both ends are ours and its product stays.

    A product that leaves keeps its attachments: they are what its remaining subscribers are entitled to. Whether a
    feature that somebody archived still entitles them is not documented, so its attachment is removed as well.
    """
    addresses = matching.addresses()
    leaving = {live.id: address for address, live in matching.strays if live.kind.name == "feature"}
    for live in objects:
        product = addresses.get(held(live.values["product"]))
        if product is None:
            continue
        _, feature_id = held(live.values["entitlement_feature"])
        feature = addresses.get(("feature", feature_id))
        archived = live.attached.address if live.attached and live.attached.namespace == namespace else None
        address = f"{product}.{feature or leaving.get(feature_id) or archived}"
        if feature is not None and address in wanted and address not in matching.by_address:
            matching.by_address[address] = live
        elif feature is not None or feature_id in leaving or archived is not None:
            matching.strays.append((address, live))
        else:
            matching.foreign.append(live)
