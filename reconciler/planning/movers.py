"""Who moves to a price that takes the place of another, as a plan tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.resources.model import Json


@dataclass(frozen=True, slots=True)
class Mover:
    """One item that moves to a successor: whose it is, how, and what it is charged for an interval, in minor units.

    ``tenant`` is the address in the files, None for a customer who is not in them. Amounts are those of invoice lines,
    before discounts and taxes; they and ``quantity`` are None for what is metered.
    ``lines`` add up to ``before``: what is given back of a running period is rounded line by line.
    """

    subscription: str
    customer: str
    tenant: str | None
    policy: str
    status: str
    currency: str
    quantity: int | None
    before: int | None
    after: int | None
    lines: tuple[int, ...]
    was_due: Mapping[str, Json]
    due: Mapping[str, Json]
    period: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stayer:
    """One subscription that stays with a predecessor, and why."""

    subscription: str
    customer: str
    tenant: str | None
    reason: str


@dataclass(frozen=True)
class Migration:
    """What becomes of the subscribers of a price's predecessors; ``waiting`` move at their renewal already."""

    address: str
    policy: str
    predecessors: tuple[str, ...]
    movers: tuple[Mover, ...]
    stayers: tuple[Stayer, ...]
    waiting: int


def written(migration: Migration) -> dict[str, Any]:
    """Return a migration as JSON."""
    return {
        "address": migration.address,
        "policy": migration.policy,
        "predecessors": list(migration.predecessors),
        "movers": [_mover(each) for each in migration.movers],
        "stayers": [
            {
                "subscription": each.subscription,
                "customer": each.customer,
                "tenant": each.tenant,
                "reason": each.reason,
            }
            for each in migration.stayers
        ],
        "waiting": migration.waiting,
    }


def _mover(mover: Mover) -> Mapping[str, Any]:
    return {
        "subscription": mover.subscription,
        "customer": mover.customer,
        "tenant": mover.tenant,
        "policy": mover.policy,
        "status": mover.status,
        "currency": mover.currency,
        "quantity": mover.quantity,
        "before": mover.before,
        "after": mover.after,
        "lines": list(mover.lines),
        "was_due": dict(mover.was_due),
        "due": dict(mover.due),
        "period": list(mover.period),
    }
