"""Guards: pure functions from a plan to reasons not to apply it. Each names what allows it once.

A guard never stops the whole plan from being shown; it stops ``apply`` with exit 4 until the addresses it names are
allowed on the command line.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase

from reconciler.config.models import Guards
from reconciler.planning.change import Action, Change
from reconciler.planning.plan import Plan
from reconciler.resources.model import Values

#: Below this many managed objects a share says nothing: retiring one of three is not a mass change.
FEW = 10


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason not to apply: what it is about, and the word that allows it (an address, or a guard's name)."""

    guard: str
    message: str
    allow: str


def check_guards(plan: Plan, guards: Guards, allowed: Collection[str] = ()) -> list[Refusal]:
    """Return every refusal that is not allowed by address or by guard name."""
    found = [*_mass(plan, guards), *_protected(plan, guards), *_rises(plan, guards), *_currency(plan)]
    return [refusal for refusal in found if refusal.allow not in allowed]


def _mass(plan: Plan, guards: Guards) -> Iterator[Refusal]:
    managed = plan.unchanged + sum(change.before is not None for change in plan.changes)
    if managed < FEW:
        return
    for action, bound, name in (
        (Action.RETIRE, guards.max_retired_percent, "max_retired_percent"),
        (Action.UPDATE, guards.max_updated_percent, "max_updated_percent"),
    ):
        count = sum(_counts_as(change, action) for change in plan.changes)
        share = Decimal(100 * count) / managed
        if share > bound:
            yield Refusal(
                name, f"{count} of {managed} managed objects would be {_past(action)}, more than {bound} %", name
            )


def _counts_as(change: Change, action: Action) -> bool:
    if action is Action.UPDATE:
        return change.action in (Action.UPDATE, Action.REPLACE)
    return change.action is action


def _past(action: Action) -> str:
    return "retired" if action is Action.RETIRE else "changed"


def _protected(plan: Plan, guards: Guards) -> Iterator[Refusal]:
    for change in plan.changes:
        if change.action not in (Action.RETIRE, Action.REPLACE):
            continue
        if any(_covers(pattern, change.address) for pattern in guards.protected):
            yield Refusal("protected", f"{change.address} is protected and would be {change.action}d", change.address)


def _covers(pattern: str, address: str) -> bool:
    """Match part by part; a pattern covers everything below the address it names."""
    wanted, parts = pattern.split("."), address.split(".")
    return len(parts) >= len(wanted) and all(fnmatchcase(part, glob) for glob, part in zip(wanted, parts, strict=False))


def _rises(plan: Plan, guards: Guards) -> Iterator[Refusal]:
    bound = guards.max_price_rise_percent
    if bound is None:
        return
    for change in plan.changes:
        if change.kind.name != "price" or change.before is None or change.after is None:
            continue
        for label, old, new in _amounts(change.before.values, change.after.values):
            if new > old and (old == 0 or (new - old) * 100 > bound * old):
                message = f"{change.address}: {label} rises from {old} to {new} minor units, more than {bound} %"
                yield Refusal("max_price_rise_percent", message, change.address)


def _amounts(before: Values, after: Values) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Pair the amounts of two prices where both have one at the same place."""
    if "unit_amount_decimal" in before and "unit_amount_decimal" in after:
        yield "the amount", Decimal(before["unit_amount_decimal"]), Decimal(after["unit_amount_decimal"])
    old, new = before.get("tiers") or [], after.get("tiers") or []
    for index, (was, is_) in enumerate(zip(old, new, strict=False), 1):
        for name in ("unit_amount_decimal", "flat_amount_decimal"):
            yield f"{name} of bracket {index}", Decimal(was.get(name, "0")), Decimal(is_.get(name, "0"))


def _currency(plan: Plan) -> Iterator[Refusal]:
    for change in plan.changes:
        if change.before is None or change.after is None:
            continue
        was, is_ = change.before.values.get("currency"), change.after.values.get("currency")
        if was and is_ and was != is_:
            yield Refusal("currency", f"{change.address} changes its currency from {was} to {is_}", change.address)
