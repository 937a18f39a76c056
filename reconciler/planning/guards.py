"""Guards: pure functions from a plan to reasons not to apply it. Each names what allows it once.

A guard never stops the whole plan from being shown; it stops ``apply`` with exit 4 until what it refuses is allowed on
the command line: ``GUARD:ADDRESS``, or ``GUARD`` where it is about the plan as a whole. An address alone will do where
one guard speaks for it; where several do, nobody could tell which of them was meant.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase

from reconciler.config.models import Guards
from reconciler.planning.change import Action, Change, Reason, is_active
from reconciler.planning.migration import is_subscriber
from reconciler.planning.plan import Plan
from reconciler.planning.words import subscribed
from reconciler.resources.model import ADDRESS, Json, Values

#: Below this many managed objects a share says nothing: retiring one of three is not a mass change.
FEW = 5
#: How many addresses a refusal about many names.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason not to apply: the guard, what it says, and the address it is about, None for the whole plan."""

    guard: str
    message: str
    address: str | None = None

    @property
    def allow(self) -> str:
        """Return the word that allows this and nothing else."""
        return self.guard if self.address is None else f"{self.guard}:{self.address}"


def check_guards(plan: Plan, guards: Guards, allowed: Collection[str] = ()) -> list[Refusal]:
    """Return every refusal that is not allowed."""
    found = [*_mass(plan, guards), *_protected(plan, guards), *_rises(plan, guards), *_currency(plan), *_meters(plan)]
    found += [*_subscribed(plan), *_loosened(plan), *_contracts(plan)]
    speak: dict[str | None, set[str]] = defaultdict(set)
    for each in found:
        speak[each.address].add(each.guard)
    return [
        each
        for each in found
        if each.allow not in allowed and not (each.address in allowed and len(speak[each.address]) == 1)
    ]


def loosened(before: Guards, after: Guards) -> list[str]:
    """Say which bounds the files draw wider than they did: whoever changes prices must not lift their guards unseen."""
    found = [
        f"{name} was {was} and is {is_}"
        for name in ("max_retired_percent", "max_updated_percent", "max_price_rise_percent")
        if _wider(was := getattr(before, name), is_ := getattr(after, name))
    ]
    return [*found, *(f"{pattern} was protected" for pattern in before.protected if pattern not in after.protected)]


def _wider(before: Decimal | None, after: Decimal | None) -> bool:
    return before is not None and (after is None or after > before)


def _loosened(plan: Plan) -> Iterator[Refusal]:
    for what in plan.loosened if plan.changes else ():
        yield Refusal("guards", f"the guards themselves are loosened: {what}")


def _mass(plan: Plan, guards: Guards) -> Iterator[Refusal]:
    changes = [change for change in plan.changes if not is_subscriber(change)]
    managed = plan.unchanged + sum(change.before is not None for change in changes)
    if managed < FEW:
        return
    for action, bound, name in (
        (Action.RETIRE, guards.max_retired_percent, "max_retired_percent"),
        (Action.UPDATE, guards.max_updated_percent, "max_updated_percent"),
    ):
        count = sum(_counts_as(change, action) for change in changes)
        share = Decimal(100 * count) / managed
        if share > bound:
            yield Refusal(name, f"{count} of {managed} managed objects would be {_past(action)}, more than {bound} %")


def _counts_as(change: Change, action: Action) -> bool:
    if action is Action.UPDATE:
        return change.action in (Action.UPDATE, Action.REPLACE)
    return change.action is action


def _past(action: Action) -> str:
    return "retired" if action is Action.RETIRE else "changed"


def _protected(plan: Plan, guards: Guards) -> Iterator[Refusal]:
    for change in plan.changes:
        fate, names = _fate(change), (change.address, _made_from(change))
        if fate is not None and any(_covers(pattern, name) for pattern in guards.protected for name in names):
            yield Refusal("protected", f"{change.address} is protected and would be {fate}", change.address)


def _subscribed(plan: Plan) -> Iterator[Refusal]:
    """Refuse to retire a price that somebody is subscribed to; a replacement or a legacy plan keeps its subscribers."""
    for change in plan.changes:
        if change.action is not Action.RETIRE or change.id is None or plan.subscribers.get(change.id, 0) == 0:
            continue
        message = f"{change.address} would be retired with {subscribed(plan.subscribers[change.id])}"
        yield Refusal("subscribers", f"{message}; `status: legacy` keeps a plan for them", change.address)


def _contracts(plan: Plan) -> Iterator[Refusal]:
    """Refuse what charges people unless it is allowed for the run; a customer alone charges nobody.

    One that was cancelled at Stripe is begun anew only where its address is named: somebody wanted it to end. Many that
    end at once are more likely a mistake than a wish, however large a catalogue stays as it is.
    """
    charged = [change for change in plan.changes if is_charging(change)]
    for change in charged:
        if change.reason is Reason.BESIDE:
            message = f"{change.address} would be a second one: its customer has another that is not in the files"
            yield Refusal("beside", message, change.address)
        if change.reason is Reason.ENDED:
            yield Refusal("cancelled", f"{change.address} was cancelled at Stripe and would begin anew", change.address)
    ending = sum(change.action is Action.RETIRE for change in charged)
    if ending >= FEW:
        yield Refusal(
            "ending", f"{ending:,} subscriptions would end with their periods: a file of tenants may be missing"
        )
    if charged:
        names = ", ".join(change.address for change in charged[:_NAMED])
        more = f" and {len(charged) - _NAMED:,} more" if len(charged) > _NAMED else ""
        yield Refusal("contracts", f"the plan changes what people are charged: {names}{more}")


def is_charging(change: Change) -> bool:
    """Tell whether a change may charge somebody: not who a customer is, nor metadata alone."""
    harmless = change.kind.name == "customer" or (change.action is Action.UPDATE and not change.fields)
    return change.kind.contract and not harmless


def _fate(change: Change) -> str | None:
    """Say how an object ceases to be sold as it is; a plan that becomes legacy keeps its objects, archived."""
    if change.action in (Action.RETIRE, Action.REPLACE):
        return f"{change.action}d"
    return "archived" if is_active(change.before) and not is_active(change.after) else None


def _made_from(change: Change) -> str:
    """Return the address an object was made from: a rename in the same files does not take it out of protection."""
    return change.before.metadata.get(ADDRESS, change.address) if change.before else change.address


def _covers(pattern: str, address: str) -> bool:
    """Match part by part; a pattern covers everything below the address it names."""
    wanted, parts = pattern.split("."), address.split(".")
    return len(parts) >= len(wanted) and all(fnmatchcase(part, glob) for glob, part in zip(wanted, parts, strict=False))


#: What decides how much a price charges, other currencies apart.
_TERMS = ("unit_amount_decimal", "custom_unit_amount", "tiers_mode", "tiers", "transform_quantity", "recurring")
_AMOUNTS = ("unit_amount_decimal", "flat_amount_decimal", "minimum", "maximum", "preset")


def _rises(plan: Plan, guards: Guards) -> Iterator[Refusal]:
    bound = guards.max_price_rise_percent
    if bound is None:
        return
    for change in plan.changes:
        if change.kind.name != "price" or change.before is None or change.after is None:
            continue
        for label, before, after in _terms(change.before.values, change.after.values):
            message = _rise(before, after, bound)
            if message is not None:
                yield Refusal("max_price_rise_percent", f"{change.address}{label} {message}", change.address)


def _terms(before: Values, after: Values) -> Iterator[tuple[str, Values, Values]]:
    """Pair what decides the charge, in the price's own currency and in each other one that both have."""
    yield "", {name: before.get(name) for name in _TERMS}, {name: after.get(name) for name in _TERMS}
    options, wanted = before.get("currency_options") or {}, after.get("currency_options") or {}
    for currency in sorted(options.keys() & wanted.keys()):
        pair = [{name: each[currency].get(name) for name in _TERMS} for each in (options, wanted)]
        yield f" in {currency}", pair[0], pair[1]


def _rise(before: Values, after: Values, bound: Decimal) -> str | None:
    """Say how a charge rises by more than the bound, or that nobody can tell; None where it certainly does not."""
    old, new = dict(_amounts(before)), dict(_amounts(after))
    if _shape(before) != _shape(after):
        return "changes in a way in which a rise cannot be ruled out"
    for place, amount in new.items():
        was = old[place]
        if amount > was and (was == 0 or (amount - was) * 100 > bound * was):
            return f"rises from {was} to {amount} minor units, more than {bound} %"
    return None


def _amounts(terms: Json, place: str = "") -> Iterator[tuple[str, Decimal]]:
    if isinstance(terms, dict):
        for name, value in terms.items():
            if name in _AMOUNTS and value is not None:
                yield f"{place}.{name}", Decimal(str(value))
            else:
                yield from _amounts(value, f"{place}.{name}")
    elif isinstance(terms, list):
        for index, value in enumerate(terms):
            yield from _amounts({"flat_amount_decimal": "0", **value}, f"{place}.{index}")


def _shape(terms: Json) -> Json:
    """Return everything of the terms but the amounts themselves."""
    if isinstance(terms, dict):
        return {
            name: "amount" if name in _AMOUNTS and value is not None else _shape(value) for name, value in terms.items()
        }
    if isinstance(terms, list):
        return [_shape({"flat_amount_decimal": "0", **value}) for value in terms]
    return terms


def _currency(plan: Plan) -> Iterator[Refusal]:
    for change in plan.changes:
        if change.before is None or change.after is None:
            continue
        was, is_ = change.before.values.get("currency"), change.after.values.get("currency")
        if was and is_ and was != is_:
            yield Refusal("currency", f"{change.address} changes its currency from {was} to {is_}", change.address)


def _meters(plan: Plan) -> Iterator[Refusal]:
    """Refuse to deactivate a meter because its name in the files has changed: events under the old one are lost.

    A meter that was taken over by its event name carries no mark, so nobody can tell whether the whole meter left the
    files or the name alone. https://docs.stripe.com/api/billing/meter/deactivate
    """
    for change in plan.changes:
        if change.action is not Action.RETIRE or change.before is None or change.kind.name != "meter":
            continue
        name = str(change.before.values["event_name"])
        if change.reason is Reason.RENAMED or not name.startswith(f"{plan.target.namespace}."):
            message = f"meter {change.id} would be deactivated, and what is sent as {name} lost; "
            message += f"a meter in the files with `event_name: {name}` keeps it"
            yield Refusal("event_name", message, change.address)
