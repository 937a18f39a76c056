"""Whether a plan may still be applied: made for this target, from these files, and the world as it was.

Every function is pure; reasons for a refusal come back as sentences, all of them at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.diagnostics import PlanRefusedError
from reconciler.planning.change import Action, Change, Reason, State, is_active
from reconciler.planning.entitled import Entitlements
from reconciler.planning.live import Live
from reconciler.planning.migration import is_subscriber
from reconciler.planning.plan import REMEDY, Plan, Target
from reconciler.resources import Resource
from reconciler.resources.mark import marked, owned_metadata
from reconciler.resources.model import REPLACES, Json, digest, fingerprint_of, held, references, substitute


def check_target(plan: Plan, target: Target, now: datetime) -> None:
    """Refuse a plan made for another account, mode, namespace, environment or version, or one that is too old."""
    made, here = plan.target, target
    for name, label in (
        ("account", "account"),
        ("mode", "mode"),
        ("api_version", "Stripe API version"),
        ("namespace", "namespace"),
        ("environment", "environment"),
        ("tool", "version of reconciler"),
    ):
        was, is_ = getattr(made, name), getattr(here, name)
        if was != is_:
            raise PlanRefusedError("E0806", f"the plan was made for {label} {was}, this is {is_}", remedy=REMEDY)
    if now >= plan.expires:
        raise PlanRefusedError("E0807", f"the plan expired at {plan.expires.isoformat()}", remedy=REMEDY)


def check_config(plan: Plan, desired: Sequence[Resource], config_digest: str, policy_digest: str) -> None:
    """Refuse a plan that does not say what the files at hand say, and what the policy is that they compile to."""
    if (plan.config_digest, plan.policy_digest) != (config_digest, policy_digest):
        raise PlanRefusedError("E0808", "the plan was made from other files than these", remedy=REMEDY)
    resources = {resource.address: resource for resource in desired}
    with_features = {next(references(item.values["product"])) for item in desired if item.kind.parent}
    wrong = [
        change.address
        for change in plan.changes
        if not _as_configured(change, resources.get(change.address), plan.target.namespace, with_features)
    ]
    if wrong:
        raise PlanRefusedError(
            "E0809", "the plan asks for something else than the files do", remedy=REMEDY, details=sorted(set(wrong))
        )


def check_entitlements(plan: Plan, compared: Entitlements) -> None:
    """Refuse a plan that tells of other changes of calls than a comparison with its base made now."""
    told, now = (
        replace(each, base="", in_force=False, off_base=False).document() for each in (plan.entitlements, compared)
    )
    if told != now:
        raise PlanRefusedError(
            "E0811", "the plan tells of other changes of calls than the files and the base do", remedy=REMEDY
        )


def _as_configured(change: Change, resource: Resource | None, namespace: str, with_features: set[str]) -> bool:
    if change.action is Action.RETIRE:
        asked = resource is not None and is_active(State(resource.values, {}))
        return not asked or change.reason in (Reason.STRAY, Reason.RENAMED, Reason.RELEASED)
    if is_subscriber(change):  # what a plan does to them is compared with the account at hand
        return change.action is Action.UPDATE and change.before is not None and change.after is not None
    if resource is None or change.after is None or (change.kind, change.named) != (resource.kind, resource.adopts):
        return False
    if resource.kind.fit is not None:  # what the account has to do with it is compared with the account at hand
        return change.after.metadata == marked(resource, namespace, features=False)
    values, wanted = dict(change.after.values), dict(resource.values)
    imported = change.id is not None and change.id == resource.imported and change.action is not Action.REPLACE
    key = resource.kind.key if imported else resource.kind.fixed_key
    if key is not None and values.pop(key, None) not in _allowed_keys(change, resource, key, wanted.pop(key, None)):
        return False
    features = resource.address in with_features
    metadata = (
        marked(resource, namespace, features=features, values=change.after.values) if resource.kind.metadata else {}
    )
    said = {name: value for name, value in change.after.metadata.items() if name != REPLACES}
    return values == wanted and said == metadata


def _allowed_keys(change: Change, resource: Resource, key: str, wanted: Json) -> tuple[Json, ...]:
    """Return what a kept key may be: as asked for, as the object has had it all along, or a successor's."""
    before = change.before.values.get(key) if change.before else wanted
    if change.action is Action.REPLACE and resource.kind.chosen_id:
        return (f"{wanted}_{digest(resource.values, 8)}",)
    return (wanted, before)


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids of addresses as far as they are known."""

    known: Mapping[str, str]

    def resolve(self, value: Json) -> Json:
        """Put ids in the place of references and held ids; KeyError where an address has no id yet."""
        return substitute(value, self._leaf)

    def _leaf(self, value: Json) -> Json:
        if not isinstance(value, dict):
            return value
        return held(value)[1] if "$id" in value else self.known[value["$ref"]]


def matches(live: Live, state: State, ids: Ids) -> bool:
    """Tell whether a live object is in a state, owned metadata included.

    Whether archiving frees a lookup key is not documented, so an archived price may have lost its key; and a coupon
    for one invoice is gone with the first.
    """
    try:
        wanted = {name: ids.resolve(value) for name, value in state.values.items()}
    except KeyError:
        return False
    there = {name: Ids({}).resolve(value) for name, value in live.values.items()}
    if live.kind.transfers and not live.active and live.key is None and live.kind.key is not None:
        wanted.pop(live.kind.key, None)
    if live.kind.spent is not None and live.kind.spent not in there:
        wanted.pop(live.kind.spent, None)
    for row in live.kind.fields:
        if row.personal and row.name in there and wanted.get(row.name) == fingerprint_of(there[row.name]):
            wanted[row.name] = there[row.name]
    if live.kind.ordered(there) != live.kind.ordered(wanted):
        return False
    return not live.kind.metadata or owned_metadata(live.metadata, state.metadata) == state.metadata
