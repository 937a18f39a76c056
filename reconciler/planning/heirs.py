"""Prices that take over the subscribers of their predecessors, and what stands in the way of that. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.diagnostics import Diagnostic
from reconciler.planning.change import Action, Change, is_active
from reconciler.planning.live import Live
from reconciler.planning.words import subscribed
from reconciler.resources import Resource
from reconciler.resources.model import REPLACES, Values

#: Policies that move subscribers.
MOVING = ("at_renewal", "now", "now_prorated")
#: A metadata value has 500 characters at most (https://docs.stripe.com/api/metadata), and ids are up to 40 long here.
_REMEMBERED = 12


@dataclass(frozen=True, slots=True)
class Heir:
    """A price whose predecessors' subscribers move to it; ``live`` is None where a plan makes it.

    ``known`` are the values of predecessors as far as they were read.
    """

    address: str
    policy: str
    predecessors: tuple[str, ...]
    values: Values
    known: Mapping[str, Values]
    live: Live | None
    source: str | None


def inherited(live: Live, policy: str) -> str | None:
    """Return what a successor remembers of whom it replaces: none where subscribers stay with what they have.

    Predecessors of the predecessor are among them: some of their subscribers may be there still.
    """
    if policy not in MOVING or not live.values.get("recurring"):
        return None
    return ",".join([*_replaced(live.metadata), live.id][-_REMEMBERED:])


def _replaced(metadata: Mapping[str, str]) -> list[str]:
    return [each for each in metadata.get(REPLACES, "").split(",") if each]


def heirs(
    desired: Iterable[Resource], changes: Iterable[Change], objects: Iterable[Live], namespace: str
) -> list[Heir]:
    """Return the prices of the files that move subscribers to themselves, made by these changes or there already."""
    made = {change.address: change for change in changes if change.kind.name == "price"}
    there = {live.mark.address: live for live in _successors(objects, namespace) if live.mark}
    found = []
    for resource in desired:
        policy = resource.policies.get("", "")
        if resource.kind.name != "price" or policy not in MOVING or not resource.values.get("recurring"):
            continue
        change, live = made.get(resource.address), there.get(resource.address)
        if change is not None and change.action is Action.REPLACE:
            found.append(_made(change, policy))
        elif live is not None:
            source = str(resource.source) if resource.source else None
            old = tuple(_replaced(live.metadata))
            found.append(Heir(resource.address, policy, old, live.values, {}, live, source))
    return found


def _made(change: Change, policy: str) -> Heir:
    assert change.before is not None and change.after is not None and change.id is not None  # noqa: S101, PT018
    predecessors = tuple(_replaced(change.after.metadata))
    known = {change.id: change.before.values}
    return Heir(change.address, policy, predecessors, change.after.values, known, None, change.source)


def _successors(objects: Iterable[Live], namespace: str) -> Iterator[Live]:
    for live in objects:
        ours = live.mark is not None and live.mark.namespace == namespace
        if live.kind.name == "price" and live.active and ours and REPLACES in live.metadata:
            yield live


def abandoned(
    changes: Iterable[Change], objects: Iterable[Live], namespace: str
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the ids of prices that go off sale while subscribers of their predecessors may be on the way to them."""
    there = {live.id: live for live in _successors(objects, namespace)}
    for change in changes:
        live = there.get(change.id or "")
        goes = change.action in (Action.RETIRE, Action.REPLACE) or not is_active(change.after)
        passed_on = change.after is not None and REPLACES in change.after.metadata and change.action is Action.REPLACE
        if live is not None and goes and not passed_on:
            yield live.id, tuple(_replaced(live.metadata))


def unfinished(change: Change, remaining: int) -> Diagnostic:
    """Return the refusal to take a price off sale that subscribers are still to move to."""
    verb = "is" if remaining == 1 else "are"
    return Diagnostic(
        "E0714",
        f"{change.address}: {subscribed(remaining)} of earlier prices {verb} still to move to {change.id}",
        None,
        help="Let their renewals pass first; or let its successor move them too, with on_change: at_renewal or now.",
    )
