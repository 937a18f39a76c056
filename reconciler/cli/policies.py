"""A policy as text."""

from collections.abc import Iterator

from reconciler import money
from reconciler.diagnostics.table import table
from reconciler.diagnostics.visible import visible
from reconciler.entitlements.explain import amount
from reconciler.entitlements.policy import Limit, Line, Plan, Policy, Step, Tenant
from reconciler.entitlements.rates import exact_rate


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
