"""From files and an account to a plan: read, compare, bind."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from reconciler import __version__
from reconciler.config.catalog import Catalog
from reconciler.config.models import Guards
from reconciler.diagnostics import Diagnostic
from reconciler.entitlements.changes import changes
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.policy import Policy
from reconciler.planning.applied import Applied
from reconciler.planning.diff import Difference, diff
from reconciler.planning.entitled import Entitlements
from reconciler.planning.guards import loosened
from reconciler.planning.live import Live, LiveState
from reconciler.planning.plan import Plan, Target, make_plan
from reconciler.planning.snapshot import Snapshot, check_snapshot, check_whole, record
from reconciler.provider.gateway import Gateway
from reconciler.provider.migrating import differ
from reconciler.provider.reads import ReadCost, Reader
from reconciler.provider.subscribers import count_subscribers, unknown_subscribers
from reconciler.resources import desire


class Base(NamedTuple):
    """A policy to compare the files' with, how it was named, and the guards of its files where they are at hand."""

    name: str
    policy: Policy
    guards: Guards | None = None

    def loosened(self, catalog: Catalog) -> tuple[str, ...]:
        """Return which guards the files draw wider than the base."""
        return () if self.guards is None else tuple(loosened(self.guards, catalog.file.guards))


@dataclass(frozen=True)
class Proposal:
    """A plan, or the problems that stand in its way, with the state it was made from and what reading it cost.

    ``strangers`` are the objects of others.
    """

    plan: Plan
    problems: tuple[Diagnostic, ...]
    live: LiveState
    cost: ReadCost
    strangers: tuple[Live, ...] = ()


def propose(catalog: Catalog, gateway: Gateway, *, plan_id: str, now: datetime, base: Base | None = None) -> Proposal:
    """Read the account once and plan; ``plan_id`` is 32 hexadecimal digits never used before.

    What changes for calls is told from ``base`` on, and is unknown without one.
    """
    desired = desire(catalog)
    reader = Reader(gateway)
    live = reader.state(desired, catalog.namespace, moved=catalog.moved)
    difference = differ(reader, desired, live.objects, catalog.namespace, catalog.moved)
    plan = bind(
        catalog,
        live,
        difference,
        base,
        live_digest=live.digest,
        plan_id=plan_id,
        now=now,
        currencies=reader.currencies,
        subscribers=count_subscribers(reader, difference.changes),
    )
    return Proposal(plan, tuple(difference.problems), live, reader.cost, difference.strangers)


def propose_offline(
    catalog: Catalog, snapshot: Snapshot, *, plan_id: str, now: datetime, base: Base | None = None
) -> Proposal:
    """Plan from a snapshot, without any request.

    Raises PlanRefusedError where it was taken for something else than these files, or where the files name an object
    of somebody else's that the snapshot does not hold whole.
    """
    live = snapshot.live
    check_snapshot(snapshot, catalog.namespace, catalog.environment, __version__)
    desired = [each for each in desire(catalog) if not each.kind.contract]
    check_whole(snapshot, desired, catalog.namespace)
    difference = diff(desired, live.objects, catalog.namespace, catalog.moved)
    plan = bind(
        catalog,
        live,
        difference,
        base,
        live_digest=snapshot.live_digest,
        plan_id=plan_id,
        now=now,
        currencies=snapshot.currencies,
        subscribers=unknown_subscribers(difference.changes),
        snapshot=snapshot.taken,
    )
    return Proposal(plan, tuple(difference.problems), live, ReadCost())


def bind(catalog: Catalog, live: LiveState, difference: Difference, base: Base | None, **facts: Any) -> Plan:
    """Bind a difference to the files, the account and the base it was made from; ``facts`` go to :func:`make_plan`."""
    return make_plan(
        difference,
        target(catalog, live),
        config_digest=catalog.digest,
        entitlements=entitle(catalog, base, live.applied),
        loosened=base.loosened(catalog) if base else (),
        contracts=_looked_after(catalog, live),
        **facts,
    )


def _looked_after(catalog: Catalog, live: LiveState) -> bool:
    """Tell whether the next plan has customers or subscriptions to read, though the files may have none."""
    ours = (each.mark for each in live.objects if each.kind.contract and each.active)
    return bool(catalog.file.tenants) or any(mark and mark.namespace == catalog.namespace for mark in ours)


def take_snapshot(catalog: Catalog, gateway: Gateway, now: datetime) -> str:
    """Read the account once and return a snapshot of what planning these files needs."""
    desired = [each for each in desire(catalog) if not each.kind.contract]
    reader = Reader(gateway)
    live = reader.state(desired, catalog.namespace)
    live = replace(live, objects=tuple(each for each in live.objects if not each.kind.contract))
    return record(live, desired, target(catalog, live), catalog.moved, reader.currencies, now)


def entitle(catalog: Catalog, base: Base | None, applied: Applied | None) -> Entitlements:
    """Compile the files and say what they decide otherwise than the base; ``applied`` is what the account remembers."""
    policy = compile_catalog(catalog)
    here = (catalog.digest, policy.digest)
    in_force = applied is not None and (applied.config_digest, applied.policy_digest) == here
    if base is None:
        return Entitlements(policy.digest, in_force)
    found = json.loads(json.dumps(changes(base.policy, policy).as_json()))
    return Entitlements(
        policy.digest,
        in_force,
        off_base=applied is not None and applied.config_digest != base.policy.config_digest,
        base=base.name,
        base_digest=base.policy.digest,
        terms=found["terms"],
        calls=found["calls"],
    )


def target(catalog: Catalog, live: LiveState) -> Target:
    """Name the account a plan from these files is for."""
    return Target(
        account=live.account,
        mode=live.mode,
        api_version=live.api_version,
        namespace=catalog.namespace,
        environment=catalog.environment[0] if catalog.environment else None,
        tool=__version__,
    )
