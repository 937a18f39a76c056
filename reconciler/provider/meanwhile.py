"""Subscribers who move to a price's successor, when a plan is applied: which still can, and which changed meanwhile.

A subscriber is nobody's to hold still. Whoever changed since the plan was made is left as they are and told of, and so
is whoever came since; the next plan sees them as they are then.
"""

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from reconciler.planning.change import Step
from reconciler.planning.diff import Difference
from reconciler.planning.live import Live
from reconciler.planning.migration import is_subscriber
from reconciler.planning.movers import Migration, Mover
from reconciler.planning.plan import Plan
from reconciler.provider.migrating import subscribed_to
from reconciler.provider.reads import THREADS, Reader

CHANGED = "it changed since the plan was made"
LEFT = "it is no longer to move"


def present(reader: Reader, plan: Plan) -> Mapping[tuple[str, str], Live]:
    """Read the subscriptions a plan moves: most by the prices they are on, and those that are on none of them by id."""
    changes = [change for change in plan.changes if is_subscriber(change) and change.id is not None]
    if not changes:
        return {}
    prices = {old for migration in plan.migrations for old in migration.predecessors}
    found = {each.live.id: each.live for listed in subscribed_to(reader, prices).values() for each in listed}
    missing = [change for change in changes if change.id not in found]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="read") as pool:
        read = pool.map(lambda change: reader.one(change.kind, str(change.id)), missing)
        found |= {live.id: live for live in read if live is not None}
    return {(change.kind.name, str(change.id)): found[str(change.id)] for change in changes if change.id in found}


def unlike(pending: Iterable[Step], fresh: Difference) -> tuple[set[str], list[str]]:
    """Compare what is left to do to subscribers with what the files and the account ask for now, by address.

    Returns who is no longer to move, and where the plan asks for something else than the files do.
    """
    asked = {change.address: change for change in fresh.changes if is_subscriber(change)}
    left, forged = set[str](), set[str]()
    for change in {step.change.address: step.change for step in pending if is_subscriber(step.change)}.values():
        now = asked.get(change.address)
        if now is None:
            left.add(change.address)
        elif (now.id, now.after, now.policy) != (change.id, change.after, change.policy):
            forged.add(change.address)
    return left, sorted(forged)


def tells_otherwise(plan: Plan, fresh: Difference, moving: Collection[str]) -> bool:
    """Tell whether a plan says something else of whoever is still to move than the files and the account do now.

    What it says of others nobody can check any more: they have moved, or changed.
    """
    now = _told(fresh.migrations)
    return any(now.get(key) != mover for key, mover in _told(plan.migrations).items() if key[1] in moving)


def _told(migrations: Iterable[Migration]) -> dict[tuple[str, str, str], Mover]:
    """Return who moves by price, subscription and how often the old price was due, but for the running period."""
    return {
        (each.address, mover.subscription, str(mover.was_due)): replace(mover, period=(0, 0), status="")
        for each in migrations
        for mover in each.movers
    }


def relied_on(plan: Plan, fresh: Difference) -> Mapping[str, object]:
    """Return what a plan relies on, without prices that it needs only for subscribers who are no longer to move."""
    moving = {migration.address for migration in plan.migrations}
    return {
        address: binding
        for address, binding in plan.bindings.items()
        if address in fresh.bindings or address not in moving or fresh.heirs.get(address, binding) != binding
    }
