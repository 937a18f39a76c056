"""What changes between two policies, as data: terms that differ, calls that become dearer, cheaper, refused or allowed.

Pure and deterministic: equal policies give nothing, and the same two always the same. What is said about a call is
what deciding it under both policies gives.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from reconciler.entitlements.outcomes import Outcome, Spot, facts, outcome, spots
from reconciler.entitlements.policy import Plan, Policy, Tenant
from reconciler.entitlements.standing import Subscription
from reconciler.entitlements.terms import Call, Terms

#: Stands for every tool that no file names; no pattern but ``*`` matches it.
ANY_TOOL = "*"
#: Stands for tenants that are not in the files.
STRANGERS = "strangers"
_STRANGER = "~"
_UNSAID = ("source", "config_digest")
#: Tables no call of a plan's subscriber depends on, but for the plan's own row.
_APART = ("config_digest", "plans", "packs", "tenants")


class TermChange(NamedTuple):
    """A term that differs, by its address in the policy; absent is ``None``. ``source`` is its place in the files."""

    address: str
    before: Any
    after: Any
    source: str


class CallChange(NamedTuple):
    """A call that is decided otherwise: of a tool, or of a meter directly.

    ``effect`` is ``refused``, ``allowed``, ``dearer``, ``cheaper``, or ``changed`` where neither says it: another
    reason, another payer, another currency.
    """

    name: str
    meter: bool
    spot: Spot
    effect: str
    before: Outcome
    after: Outcome

    def as_json(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        return {
            "meter" if self.meter else "tool": self.name,
            **self.spot._asdict(),
            "effect": self.effect,
            "before": self.before.as_json(),
            "after": self.after.as_json(),
        }


class Group(NamedTuple):
    """Calls that change alike for everyone ``of``: a plan, or tenants whose own terms or plan make a difference.

    ``tenants`` are those in the files whom it reaches.
    """

    of: tuple[str, ...]
    tenants: tuple[str, ...]
    calls: tuple[CallChange, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the group as JSON values."""
        return {"of": self.of, "tenants": self.tenants, "calls": [call.as_json() for call in self.calls]}


class Changes(NamedTuple):
    """Everything that differs between two policies, sorted; true where anything does."""

    before: str
    after: str
    terms: tuple[TermChange, ...]
    groups: tuple[Group, ...]

    def __bool__(self) -> bool:
        return bool(self.terms or self.groups)

    def as_json(self) -> dict[str, Any]:
        """Return the changes as JSON values."""
        return {
            "before": self.before,
            "after": self.after,
            "terms": [term._asdict() for term in self.terms],
            "calls": [group.as_json() for group in self.groups],
        }


def changes(before: Policy, after: Policy) -> Changes:
    """Return what changes from one policy to another."""
    old, new = before.content(), after.content()
    terms = tuple(sorted(_terms(old, new), key=lambda term: term.address))
    groups = tuple(_Calls(before, after, _touched(old, new)).groups()) if terms else ()
    return Changes(before.config_digest, after.config_digest, terms, groups)


def _terms(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[TermChange]:
    """Compare the content of two policies, leaf by leaf; what is only on one side is one change."""
    for name in before.keys() | after.keys():
        if name not in _UNSAID:
            yield from _differing(name, before.get(name), after.get(name), "")


def _touched(before: Mapping[str, Any], after: Mapping[str, Any]) -> frozenset[str | None]:
    """Return the plans under which calls can change: those that differ, or all, and none, if a shared table does."""
    plans = before["plans"].keys() | after["plans"].keys()
    if any(_said(before[name]) != _said(after[name]) for name in before if name not in _APART):
        return frozenset((*plans, None))
    return frozenset(name for name in plans if _said(before["plans"].get(name)) != _said(after["plans"].get(name)))


def _differing(address: str, before: Any, after: Any, source: str) -> Iterator[TermChange]:
    before, after = _keyed(before), _keyed(after)
    if isinstance(before, dict) and isinstance(after, dict):
        here = after.get("source") or before.get("source") or source
        for name in before.keys() | after.keys():
            if name not in _UNSAID:
                yield from _differing(f"{address}.{name}", before.get(name), after.get(name), here)
        return
    old, new = _said(before), _said(after)
    if old != new:
        one = after if after is not None else before
        yield TermChange(address, old, new, one.get("source", source) if isinstance(one, dict) else source)


def _keyed(value: Any) -> Any:
    """Give the items of a list of mappings names, so that one more or less is not a change of all behind it."""
    if not isinstance(value, list | tuple) or not value or not all(isinstance(item, dict) for item in value):
        return list(value) if isinstance(value, tuple) else value
    found: dict[str, Any] = {}
    for item in value:
        name = item["id"] if "id" in item else f"{item['of']} per {item['per']} {item['kind']}"
        while name in found:
            name += "'"
        found[name] = item
    return found


def _said(value: Any) -> Any:
    """Return a value as JSON gives it back, without places in files."""
    if isinstance(value, dict):
        return {name: _said(_keyed(item)) for name, item in value.items() if name not in _UNSAID}
    return [_said(item) for item in value] if isinstance(value, list | tuple) else value


class _Calls:
    """Decides the calls worth looking at under both policies."""

    def __init__(self, before: Policy, after: Policy, touched: frozenset[str | None]) -> None:
        self._before, self._after, self._touched = before, after, touched
        both = (before, after)
        self._tools = sorted({name for policy in both for name in _tools(policy)} | {ANY_TOOL})
        self._meters = sorted({meter for policy in both for meter in policy.meters})

    def groups(self) -> Iterator[Group]:
        """Yield what changes for subscribers of each plan, for tenants with terms of their own, and for strangers."""
        apart: dict[str, list[str]] = {}
        through: dict[str, list[str]] = {}
        for name in sorted(self._before.tenants.keys() | self._after.tenants.keys()):
            old, new = self._before.tenants.get(name), self._after.tenants.get(name)
            if old and new and old.plan == new.plan and old.plan and not (_own(old) or _own(new)):
                through.setdefault(old.plan, []).append(name)
                continue
            terms = [_signature(old), _signature(new)]
            if terms[0] != terms[1] or (old and old.plan in self._touched):
                apart.setdefault(json.dumps(terms), []).append(name)
        for plan in sorted(name for name in self._before.plans if name in self._touched):
            calls = self._compare(*(_subscriber(policy, plan) for policy in (self._before, self._after)))
            if calls:
                yield Group((f"plans.{plan}",), tuple(through.get(plan, ())), calls)
        for names in apart.values():
            calls = self._compare(*(Terms(policy, names[0], None) for policy in (self._before, self._after)))
            if calls:
                yield Group(tuple(f"tenants.{name}" for name in names), tuple(names), calls)
        if self._before.default_plan != self._after.default_plan:
            calls = self._compare(*(Terms(policy, _STRANGER, None) for policy in (self._before, self._after)))
            if calls:
                yield Group((STRANGERS,), (), calls)

    def _compare(self, before: Terms, after: Terms) -> tuple[CallChange, ...]:
        """Decide every call under both terms; calls decided by the same facts are decided once."""
        names = [(name, False) for name in self._tools] + [(name, True) for name in self._meters]
        found: list[CallChange] = []
        known: dict[tuple[Any, ...], list[CallChange]] = {}
        for name, meter in names:
            old, new = before.call(name, meter=meter), after.call(name, meter=meter)
            was, will = facts(before, old), facts(after, new)
            if was == will:
                continue
            alike = known.get((was, will))
            if alike is None:
                alike = known[was, will] = list(_of_call((before, old), (after, new)))
            found += [change._replace(name=name, meter=meter) for change in alike]
        return tuple(found)


def _of_call(before: tuple[Terms, Call], after: tuple[Terms, Call]) -> Iterator[CallChange]:
    """Yield where a call is decided otherwise; what is as at the place before, or as for a first call, is said once."""
    first: dict[int, tuple[Outcome, Outcome]] = {}
    last: tuple[Any, ...] = ()
    for spot in spots(before, after):
        both = outcome(*before, spot), outcome(*after, spot)
        if not spot.counter:
            first[spot.quantity] = both
        known = last[1] if last and last[0] == spot[:2] else first[spot.quantity] if spot.counter else None
        if both[0] != both[1] and both != known:
            yield CallChange("", False, spot, _effect(*both), *both)
        last = (spot[:2], both)


def _effect(before: Outcome, after: Outcome) -> str:
    if before.allowed != after.allowed:
        return "allowed" if after.allowed else "refused"
    comparable = before.unit == after.unit or not before.cost or not after.cost
    if not comparable or before.cost == after.cost:
        return "changed"
    return "dearer" if after.cost > before.cost else "cheaper"


def _tools(policy: Policy) -> Iterator[str]:
    """Yield the tools a policy names; a pattern stands, as it is written, for the tools that only it speaks for."""
    yield from policy.tools.listed
    owners: list[Plan | Tenant] = [*policy.plans.values(), *policy.tenants.values()]
    for terms in owners:
        yield from terms.tools or ()
        yield from (limit.of for limit in terms.limits if limit.of not in policy.meters)
    for plan in policy.plans.values():
        yield from plan.calls.listed if plan.calls else ()
        yield from plan.credits.listed if plan.credits else ()


def _subscriber(policy: Policy, plan: str) -> Terms:
    return Terms(policy, _STRANGER, Subscription(plan, "active", None, None, None, 0))


def _own(tenant: Tenant) -> bool:
    return bool(tenant.features or tenant.tools or tenant.limits or tenant.lines)


def _signature(tenant: Tenant | None) -> Any:
    """Return what a tenant's calls depend on, as JSON values."""
    if tenant is None:
        return None
    lines = {meter: _plain(line._asdict()) for meter, line in sorted(tenant.lines.items())}
    limits = [_plain(limit._asdict()) for limit in tenant.limits]
    return [tenant.plan, sorted(tenant.features), tenant.tools, limits, lines]


def _plain(terms: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in terms.items() if name not in _UNSAID}
