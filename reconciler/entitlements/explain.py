"""Decisions in one sentence for people: what was decided, by which place in the files, and what would help."""

from decimal import Decimal

from reconciler import money
from reconciler.entitlements.decision import Decision, Reason, Remedy
from reconciler.entitlements.periods import instant
from reconciler.entitlements.policy import MICRO, Policy

_WHY = {
    Reason.INSUFFICIENT_CREDITS: "its credits do not suffice",
    Reason.TOOL_NOT_IN_PLAN: "its plan does not have this tool",
    Reason.FEATURE_REQUIRED: "the tool needs a feature it does not have",
    Reason.UNKNOWN_TENANT: "nobody knows this tenant, and there is no default plan",
    Reason.UNKNOWN_TOOL: "there is no such tool or meter",
    Reason.SUBSCRIPTION_INACTIVE: "its subscription is not active",
    Reason.KEY_CONFLICT: "the key was used for another request",
    Reason.IN_PROGRESS: "a call under this key is in progress",
    Reason.STORE_UNAVAILABLE: "the ledger cannot be reached",
}


def explain(decision: Decision, policy: Policy) -> str:
    """Return a decision as one sentence, with its remedy behind it."""
    where = f" ({decision.source})" if decision.source else ""
    if not decision.allowed:
        text = f"{decision.tenant} may not call {decision.tool}: {_refusal(decision)}{where}."
        return f"{text} {_help(decision.remedy, policy)}" if decision.remedy else text
    again = " The first answer again." if decision.replayed else ""
    low = f" Credits run low: buy pack {decision.recharge}." if decision.recharge else ""
    said = f"{_payment(decision)}{_left(decision)}{where}.{_beyond(decision)}{again}{low}"
    return f"{decision.tenant} may call {decision.tool}: {said}"


def _beyond(decision: Decision) -> str:
    """Return what a call that was made used beyond what was there."""
    if not decision.short:
        return ""
    if decision.bound == "credits":
        return f" {amount(decision.short, 'credit')} of it were not there."
    return f" It used {decision.short:,} {decision.bound} more than there were."


def _payment(decision: Decision) -> str:
    if decision.cost is None:
        return "paid by the unit, at a price finer than a millionth"
    if not decision.cost:
        return "included" if decision.paid_by == "usage" else "free of charge"
    return f"it costs {amount(decision.cost, decision.unit)}"


def _left(decision: Decision) -> str:
    if decision.remaining is None:
        return ""
    if decision.bound == "credits":
        return f", {amount(decision.remaining, 'credit')} left"
    of = f" of {decision.limit:,}" if decision.limit is not None else ""
    return f", {decision.remaining:,}{of} {decision.bound} left{_until(decision.resets_at)}"


def _refusal(decision: Decision) -> str:
    limit, left = decision.limit or 0, decision.remaining or 0
    if decision.reason is Reason.QUOTA_EXCEEDED:
        return f"{left:,} of {limit:,} {decision.bound} left{_until(decision.resets_at)}"
    if decision.reason is Reason.RATE_LIMITED:
        return f"at most {limit:,} {decision.bound} at once, {left:,} left at this moment"
    why = _WHY.get(decision.reason, str(decision.reason))
    if decision.reason is Reason.INSUFFICIENT_CREDITS:
        return f"{why}, {amount(left, 'credit')} left"
    return why


def _until(at: int | None) -> str:
    return "" if at is None else f" until {moment(at)}"


def _help(remedy: Remedy, policy: Policy) -> str:
    at = f" at {remedy.url}" if remedy.url else ""
    if remedy.kind == "plan":
        return f"Plan {remedy.name} ({remedy.id}) allows it{at}."
    if remedy.kind == "pack":
        pack = policy.packs.get(remedy.id)
        what = (
            f", {amount(pack.credits + pack.bonus, 'credit')} for {amount(pack.price, pack.currency)}" if pack else ""
        )
        return f"Buy {remedy.name} ({remedy.id}{what}){at}."
    return f"Wait until {moment(remedy.at)}." if remedy.at is not None else ""


def amount(micro: int, unit: str) -> str:
    """Write millionths of credits or of a currency's major unit for people, exactly."""
    exact = money.EXACT.divide(Decimal(micro), Decimal(MICRO))
    if unit == "credit":
        return f"{money.plain(exact)} credit{'' if micro == MICRO else 's'}"
    return money.display(money.to_minor(exact, unit), unit)


def moment(at: int) -> str:
    """Write an instant in microseconds as UTC, to the second; a part of one counts as the next."""
    return instant(-(-at // MICRO) * MICRO).strftime("%Y-%m-%d %H:%M:%S UTC")
