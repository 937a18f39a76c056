"""The lock of an apply, as one generation of it stands in the account: an inactive product. Pure.

A chosen product id can be created once only, whoever is first, so the next number is the lock. What was last applied
as a whole stands in the metadata of the latest generation; so there is no state file.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.planning.applied import Applied
from reconciler.planning.plan import Plan

#: The metadata key that makes a product a lock; its value is the namespace.
MARK = "reconciler_lock"
#: Seconds that a lock is held without being renewed.
TERM = 600
_LONGEST_TERM = 86_400
_LONGEST_TEXT = 120
_HELD, _RELEASED = "held", "released"
_CONTRACTS = "contracts"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who applies: a user or a run of a pipeline, on which machine, as which process."""

    name: str
    host: str
    process: int

    def __str__(self) -> str:
        """Write the holder in one line."""
        return f"{self.name} on {self.host}, process {self.process}"


@dataclass(frozen=True, slots=True)
class Lock:
    """One generation of the lock; ``updated`` and ``term`` are seconds on the account's own clock.

    ``token`` tells runs apart, ``holder`` names one to people. ``by`` is who released it by hand. ``contracts``
    remembers that applies look after customers and subscriptions there.
    """

    namespace: str
    generation: int
    id: str
    token: str
    released: bool
    holder: str
    started: int
    updated: int
    term: int
    plan: str
    by: str
    applied: Applied | None
    contracts: bool = False

    @property
    def ends(self) -> int:
        """The second at which it is free unless it is renewed."""
        return self.updated + self.term

    def is_held(self, now: float) -> bool:
        """Tell whether somebody holds it; ``now`` is the account's clock."""
        return not self.released and now < self.ends


def lock_id(namespace: str, generation: int) -> str:
    """Return the product id of a generation."""
    return f"{namespace}_lock_{generation}"


def is_lock(raw: Mapping[str, Any]) -> bool:
    """Tell whether an object is a lock, of whatever namespace: by its mark and its id, never by the mark alone."""
    namespace = (raw.get("metadata") or {}).get(MARK) or ""
    return bool(namespace) and str(raw.get("id", "")).startswith(lock_id(namespace, 0)[:-1])


def read_lock(raw: Mapping[str, Any]) -> Lock | None:
    """Read a lock from a product, None where it is none; what somebody has spoiled in it counts as held."""
    metadata: Mapping[str, str] = raw.get("metadata") or {}
    namespace = metadata.get(MARK, "")
    number = str(raw.get("id", "")).removeprefix(lock_id(namespace, 0)[:-1])
    if not namespace or raw.get("deleted") or not number.isdecimal() or len(number) > len(str(2**63)):
        return None
    created = int(raw.get("created") or 0)
    return Lock(
        namespace=namespace,
        generation=int(number),
        id=str(raw["id"]),
        token=metadata.get("token", ""),
        released=metadata.get("state") == _RELEASED,
        holder=metadata.get("holder") or "somebody unknown",
        started=created,
        updated=_renewed(int(raw.get("updated") or created), metadata.get("renewed", "")),
        term=_term(metadata.get("term", "")),
        plan=metadata.get("plan", ""),
        by=metadata.get("released_by", ""),
        applied=_applied(metadata),
        contracts=bool(metadata.get(_CONTRACTS)),
    )


def highest(locks: Iterable[Lock]) -> Lock | None:
    """Return the latest generation."""
    return max(locks, key=lambda lock: lock.generation, default=None)


def held_metadata(
    namespace: str, holder: Holder, token: str, plan: str, applied: Applied | None, *, contracts: bool = False
) -> dict[str, str]:
    """Return the metadata of a new generation, which carries on what was last applied."""
    return {
        MARK: namespace,
        "state": _HELD,
        "token": token,
        "holder": str(holder)[:_LONGEST_TEXT],
        "term": str(TERM),
        "plan": plan,
        **(contracts_metadata(looked_after=True) if contracts else {}),
        **(applied_metadata(applied) if applied else {}),
    }


def released_metadata(by: str = "") -> dict[str, str]:
    """Return what is written to release a generation, by hand where ``by`` says who did."""
    return {"state": _RELEASED, **({"released_by": by[:_LONGEST_TEXT]} if by else {})}


def contracts_metadata(*, looked_after: bool) -> dict[str, str]:
    """Return what is written of whether there are customers and subscriptions to look after."""
    return {_CONTRACTS: "looked after" if looked_after else ""}


def applied_metadata(applied: Applied) -> dict[str, str]:
    """Return what is written of a whole apply."""
    return {
        "config_digest": applied.config_digest,
        "policy_digest": applied.policy_digest,
        "applied_plan": applied.plan,
        "applied": applied.instant.isoformat(timespec="seconds"),
    }


def is_recorded(plan: Plan, applied: Applied | None) -> bool:
    """Tell whether a plan was made from the files that were last applied as a whole."""
    if applied is None:
        return False
    return (applied.config_digest, applied.policy_digest) == (plan.config_digest, plan.policy_digest)


def _term(text: str) -> int:
    return min(int(text), _LONGEST_TERM) if text.isdecimal() and len(text) < len(str(2**63)) else TERM


def _renewed(updated: int, text: str) -> int:
    """Return the later of Stripe's time and the holder's, in case metadata alone does not move Stripe's.

    The holder's is of the account's clock too; one that is more than a day ahead is spoiled.
    """
    told = int(text) if text.isdecimal() and len(text) < len(str(2**63)) else 0
    return told if updated < told <= updated + _LONGEST_TERM else updated


def _applied(metadata: Mapping[str, str]) -> Applied | None:
    config, policy, plan = (metadata.get(name, "") for name in ("config_digest", "policy_digest", "applied_plan"))
    if not all(_DIGEST.fullmatch(text) for text in (config, policy, plan)):
        return None
    try:
        instant = datetime.fromisoformat(metadata.get("applied", "")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return Applied(config, policy, plan, instant)
