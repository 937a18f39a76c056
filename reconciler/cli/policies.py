"""A policy, and the changes between two, as text."""

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from reconciler import money
from reconciler.cli.tables import table
from reconciler.diagnostics.visible import visible
from reconciler.entitlements.changes import CallChange, Changes, TermChange
from reconciler.entitlements.explain import amount
from reconciler.entitlements.outcomes import Outcome
from reconciler.entitlements.policy import Limit, Line, Plan, Policy, Step, Tenant
from reconciler.entitlements.rates import exact_rate

EFFECTS = ("refused", "dearer", "changed", "cheaper", "allowed")
_SHOWN = 5
#: Terms that are amounts of credits or money: millionths in a policy.
_AMOUNT = re.compile(r"\.(credits|bonus|price|least|credits\.(default|included|listed\..+))$")
_LONGEST = 60


def policy_text(policy: Policy) -> str:
    """Return what plans and tenants may call, and at what price."""
    lines = [f"namespace {policy.namespace}, {policy.zone}, files {policy.config_digest[:16]}\n"]
    for plan in policy.plans.values():
        lines.append(f"\nplan {plan.id}: {plan.name} ({plan.status})  {plan.source}\n")
        lines.append(table([*_access(plan), *_terms(plan), *_prices(plan)], (), "  "))
    for name, tenant in policy.tenants.items():
        lines.append(f"\ntenant {name}: {tenant.name}, {f'plan {tenant.plan}' if tenant.plan else 'no plan'}\n")
        grants = [("grant", grant.id, amount(grant.credits, "credit"), grant.source) for grant in tenant.grants]
        lines.append(table([*_access(tenant), *_terms(tenant), *grants], (), "  "))
    if policy.packs:
        lines.append("\npacks\n")
        rows = [
            (
                pack.id,
                amount(pack.credits, "credit"),
                f"and {amount(pack.bonus, 'credit')}" if pack.bonus else "",
                f"for {amount(pack.price, pack.currency)}",
                pack.status,
            )
            for pack in policy.packs.values()
        ]
        lines.append(table(rows, (), "  "))
    return "".join(line if line.startswith(" ") else _safe(line) for line in lines)


def _safe(text: str) -> str:
    return "\n".join(visible(line) for line in text.split("\n"))


Cells = tuple[str, str, str, str]


def _access(terms: Plan | Tenant) -> Iterator[Cells]:
    if terms.tools or terms.tools is None:
        yield "tools", "every tool" if terms.tools is None else ", ".join(terms.tools), "", ""
    if terms.features:
        yield "features", ", ".join(sorted(terms.features)), "", ""


def _terms(terms: Plan | Tenant) -> Iterator[Cells]:
    for line in terms.lines.values():
        yield "usage", line.meter, f"{line.included:,} included, {_beyond(line)}", line.source
    for limit in terms.limits:
        yield "limit", limit.of, _limit(limit), limit.source


def _limit(limit: Limit) -> str:
    burst = f", {limit.burst:,} at once" if limit.kind == "rate" and limit.burst != limit.max else ""
    return f"{limit.max:,} per {limit.per} ({limit.kind}){burst}"


def _beyond(line: Line) -> str:
    if line.over == "deny":
        return "then refused"
    if line.over == "credits":
        return f"then {amount(line.credits, 'credit')} each"
    rate = exact_rate(line)
    if rate is None:
        return ""
    prices = [money.display(bracket.unit, line.currency) for bracket in rate.brackets]
    return f"then {' / '.join(prices)} per {f'{rate.package:,}' if rate.package > 1 else 'unit'}"


def _prices(plan: Plan) -> Iterator[Cells]:
    if plan.calls:
        prices = {**plan.calls.listed, **({"any other": plan.calls.default} if plan.calls.default is not None else {})}
        for tool, steps in prices.items():
            yield "call", tool, _steps(steps, plan.calls.currency), plan.calls.source
    if plan.credits:
        costs = {**plan.credits.listed}
        if plan.credits.default is not None:
            costs["any other"] = plan.credits.default
        for tool, each in costs.items():
            yield "call", tool, amount(each, "credit"), plan.credits.source
        if plan.credits.included:
            yield "month", "", f"{amount(plan.credits.included, 'credit')} included", plan.credits.source


def _steps(steps: tuple[Step, ...], currency: str) -> str:
    return " / ".join(amount(step.price, currency) for step in steps) or "free"


def changes_text(found: Changes, *, unicode: bool) -> str:
    """Return what changes, terms first, then calls by whom they are of; without ``unicode`` in ASCII."""
    text = _changes(found)
    return text if unicode else text.replace("→", "->").replace("…", "...")


def _changes(found: Changes) -> str:
    if not found:
        return "No changes: calls are decided as before.\n"
    rows = [
        (_sign(term.before, term.after), term.address, _change(*_readable(term)), term.source) for term in found.terms
    ]
    parts = [table(rows)]
    for group in found.groups:
        reached = f" (reaches {_some(group.tenants)})" if group.tenants and group.of[0].startswith("plans.") else ""
        parts.append(f"\n{visible(_some(group.of) + reached)}\n")
        parts.append(table([_call(call) for call in group.calls], (), "  "))
    counts = Counter(call.effect for group in found.groups for call in group.calls)
    told = ", ".join(f"{counts[effect]} {effect}" for effect in EFFECTS if counts[effect])
    return "".join(parts) + f"\nTerms: {len(found.terms)} changed. Calls: {told or 'none decided otherwise'}.\n"


def _sign(before: Any, after: Any) -> str:
    return "+" if before is None else "-" if after is None else "~"


def _readable(term: TermChange) -> tuple[Any, Any]:
    """Return a term's values, amounts in millionths as the decimals the files have."""
    values = (term.before, term.after)
    if not _AMOUNT.search(term.address) or any(type(value) is bool for value in values):
        return values
    before, after = (money.plain(Decimal(value).scaleb(-6)) if isinstance(value, int) else value for value in values)
    return before, after


def _change(before: Any, after: Any) -> str:
    if before is None or after is None:
        return _cut(after if before is None else before)
    return f"{_cut(before)} → {_cut(after)}"


def _cut(value: Any) -> str:
    text = ", ".join(f"{name}: {item}" for name, item in value.items()) if isinstance(value, dict) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _call(call: CallChange) -> tuple[str, str, str, str]:
    name = (
        "any other tool" if call.name == "*" and not call.meter else f"meter {call.name}" if call.meter else call.name
    )
    quantity = f"of quantity {call.spot.quantity:,}" if call.spot.quantity > 1 else ""
    after = f"after {call.spot.used:,} {_counted(call.spot.counter)}" if call.spot.counter else ""
    return (
        call.effect,
        name,
        " ".join(filter(None, (quantity, after))),
        f"{_outcome(call.before)} → {_outcome(call.after)}",
    )


def _counted(counter: str) -> str:
    """Say what a counter counts, by its id: a meter of a usage line, calls with prices by number, or a limit."""
    kind, _, of = counter.partition("/")
    if kind == "usage":
        return of
    if kind == "limit":
        of, per, _ = of.rsplit("/", 2)
        return f"{of} in the {per}"
    return "calls of the month"


def _outcome(outcome: Outcome) -> str:
    if not outcome.allowed:
        return outcome.reason
    if not outcome.cost:
        return "free"
    if outcome.unit == "credit":
        return f"{money.plain(outcome.cost)} credits"
    return money.display(money.to_minor(outcome.cost, outcome.unit), outcome.unit)
