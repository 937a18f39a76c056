"""The plan: every change, bound to the files, the account, the mode and the API version it was made for.

``digest`` covers what the plan would do and is equal for equal files and equal live state; ``seal`` covers every byte
of the file, with a secret key where ``RECONCILER_PLAN_KEY`` is set.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.planning.change import Change, State
from reconciler.planning.diff import Binding, Difference
from reconciler.planning.entitled import Entitlements
from reconciler.planning.movers import Migration, written
from reconciler.resources.model import canonical_json, digest

FORMAT = "reconciler.plan/1"
#: What to do about a plan that may not be applied.
REMEDY = "Make a new plan with `reconciler plan --out FILE`, have it reviewed, and apply that one."
DEFAULT_LIFETIME = timedelta(days=7)
_VOLATILE = ("id", "created", "expires", "snapshot", "digest", "seal")


@dataclass(frozen=True)
class Target:
    """The account a plan is for, and the versions it was made with."""

    account: str
    mode: str
    api_version: str
    namespace: str
    environment: str | None
    tool: str


@dataclass(frozen=True)
class Plan:
    """An immutable list of changes that leaves no choice to whoever applies it.

    ``subscribers`` counts live subscriptions by id of each price that goes off sale; None where nobody could read them.
    ``snapshot`` is when the read-out was taken that the plan was made from, None where it was made from the account
    itself: only then can it be a plan file, and be applied. ``loosened`` says which guards the files draw wider than
    the base they were compared with. ``contracts`` says that there are customers or subscriptions to look after, so
    that the next plan reads them even where the files no longer have any. ``migrations`` tell whose subscriptions move
    to a price's successor.
    """

    id: str
    created: datetime
    expires: datetime
    target: Target
    config_digest: str
    live_digest: str
    entitlements: Entitlements
    changes: tuple[Change, ...]
    bindings: Mapping[str, Binding]
    foreign: Mapping[str, int]
    unchanged: int
    currencies: tuple[str, ...] = ()
    subscribers: Mapping[str, int | None] = field(default_factory=dict)
    snapshot: datetime | None = None
    loosened: tuple[str, ...] = ()
    contracts: bool = False
    migrations: tuple[Migration, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of changes by action."""
        return dict(sorted(Counter(str(change.action) for change in self.changes).items()))

    @property
    def policy_digest(self) -> str:
        """SHA-256 of the policy the files compile to: what a service decides by once they are in force."""
        return self.entitlements.policy_digest

    @property
    def digest(self) -> str:
        """SHA-256 over everything but id, dates and seal."""
        return content_digest(document(self))


def make_plan(
    difference: Difference,
    target: Target,
    *,
    config_digest: str,
    live_digest: str,
    entitlements: Entitlements,
    plan_id: str,
    now: datetime,
    currencies: tuple[str, ...] = (),
    subscribers: Mapping[str, int | None] | None = None,
    snapshot: datetime | None = None,
    loosened: tuple[str, ...] = (),
    contracts: bool = False,
    lifetime: timedelta = DEFAULT_LIFETIME,
) -> Plan:
    """Bind a difference to its target; clock and id come from the caller."""
    created = now.astimezone(UTC).replace(microsecond=0)
    return Plan(
        id=plan_id,
        created=created,
        expires=created + lifetime,
        target=target,
        config_digest=config_digest,
        live_digest=live_digest,
        entitlements=entitlements,
        changes=tuple(difference.changes),
        bindings=difference.bindings | difference.heirs,
        foreign=difference.foreign,
        unchanged=difference.unchanged,
        currencies=currencies,
        subscribers=dict(subscribers or {}),
        snapshot=snapshot,
        loosened=loosened,
        contracts=contracts,
        migrations=difference.migrations,
    )


def document(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON, without digest and seal."""
    target = plan.target
    offline = {"snapshot": plan.snapshot.isoformat()} if plan.snapshot else {}
    return {
        "format": FORMAT,
        "tool": target.tool,
        "id": plan.id,
        "created": plan.created.isoformat(),
        "expires": plan.expires.isoformat(),
        **offline,
        "account": target.account,
        "mode": target.mode,
        "api_version": target.api_version,
        "namespace": target.namespace,
        "environment": target.environment,
        "config_digest": plan.config_digest,
        "live_digest": plan.live_digest,
        "changes": len(plan.changes),
        "counts": plan.counts,
        "unchanged": plan.unchanged,
        "currencies": list(plan.currencies),
        "foreign": dict(plan.foreign),
        "subscribers": dict(plan.subscribers),
        "entitlements": plan.entitlements.document(),
        "loosened": list(plan.loosened),
        "contracts": plan.contracts,
        "migrations": [written(migration) for migration in plan.migrations],
        "bindings": {
            address: {"kind": item.kind, "id": item.id, "fingerprint": item.fingerprint}
            for address, item in plan.bindings.items()
        },
        "actions": [_change(change) for change in plan.changes],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "address": change.address,
        "kind": change.kind.name,
        "action": str(change.action),
        "reason": str(change.reason),
        "fields": list(change.fields),
        "id": change.id,
        "fingerprint": change.fingerprint,
        "source": change.source,
        "named": change.named,
        "policy": change.policy,
        "before": _state(change.before),
        "after": _state(change.after),
    }


def _state(state: State | None) -> dict[str, Any] | None:
    return None if state is None else {"values": state.values, "metadata": state.metadata}


def content_digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a plan would do, without id, dates, digest and seal."""
    return digest({name: value for name, value in content.items() if name not in _VOLATILE})


def seal(content: Mapping[str, Any], key: bytes | None) -> str:
    """Return the seal over a plan's bytes: SHA-256, or HMAC-SHA-256 where a key is given."""
    text = canonical_json({name: value for name, value in content.items() if name != "seal"}).encode()
    if key is None:
        return "sha256:" + hashlib.sha256(text).hexdigest()
    return "hmac-sha256:" + hmac.new(key, text, hashlib.sha256).hexdigest()


def serialise(plan: Plan, key: bytes | None = None) -> str:
    """Write the plan file: canonical JSON in one line, with digest and seal."""
    content = document(plan)
    content["digest"] = content_digest(content)
    content["seal"] = seal(content, key)
    return canonical_json(content) + "\n"
