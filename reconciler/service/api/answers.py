"""What the API says: decisions and balances in decimals and instants, refusals as problems."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from reconciler.entitlements import Decision, Reason
from reconciler.entitlements.decision import Remedy
from reconciler.entitlements.periods import SECOND, instant
from reconciler.entitlements.policy import MICRO
from reconciler.service.problems import ProblemError

CREDITS = "credits"


def decimal(millionths: int) -> str:
    """Return millionths as a decimal without zeros at its end."""
    whole, part = divmod(abs(millionths), MICRO)
    sign = "-" if millionths < 0 else ""
    return f"{sign}{whole}.{part:06d}".rstrip("0") if part else f"{sign}{whole}"


def moment(micros: int | None) -> str | None:
    """Return an instant as RFC 3339 has it, in UTC; ``None`` for none and for one beyond the calendar."""
    if micros is None:
        return None
    try:
        return instant(micros).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return None


def seconds(micros: int | None) -> int | None:
    """Return a span in whole seconds, rounded up."""
    return None if micros is None else -(-micros // SECOND)


def decision_json(found: Decision) -> dict[str, Any]:
    """Return a decision as the API gives it: every amount is a decimal in a string, every instant RFC 3339."""
    shown: Callable[[int], str] = decimal if found.bound == CREDITS else str
    return {
        "allowed": found.allowed,
        "reason": found.reason.value,
        "tenant": found.tenant,
        "tool": found.tool,
        "paid_by": found.paid_by,
        "cost": None if found.cost is None else decimal(found.cost),
        "unit": found.unit,
        "bound": found.bound,
        "remaining": None if found.remaining is None else shown(found.remaining),
        "limit": None if found.limit is None else shown(found.limit),
        "short": shown(found.short),
        "resets_at": moment(found.resets_at),
        "retry_after": seconds(found.retry_after),
        "remedy": remedy_json(found.remedy),
        "source": found.source,
        "config_digest": found.config_digest,
        "recharge": found.recharge,
        "replayed": found.replayed,
        "degraded": found.degraded,
    }


def remedy_json(found: Remedy | None) -> dict[str, Any] | None:
    """Return what would help."""
    if found is None:
        return None
    return {"kind": found.kind, "id": found.id, "name": found.name, "url": found.url, "at": moment(found.at)}


_DETAILS = {
    Reason.INSUFFICIENT_CREDITS: "The tenant's credits do not suffice for this call.",
    Reason.SUBSCRIPTION_INACTIVE: "The tenant's subscription is not active.",
    Reason.TOOL_NOT_IN_PLAN: "The tenant's plan does not have this tool.",
    Reason.FEATURE_REQUIRED: "The tool needs a feature the tenant does not have.",
    Reason.UNKNOWN_TENANT: "Nobody knows this tenant, and there is no default plan.",
    Reason.UNKNOWN_TOOL: "There is no such tool or meter.",
    Reason.IN_PROGRESS: "A call under this key is in progress.",
    Reason.KEY_CONFLICT: "The key was used for another request; use a key of its own for each.",
    Reason.QUOTA_EXCEEDED: "What the tenant may use in this period is used up.",
    Reason.RATE_LIMITED: "The tenant calls more often than its limit allows.",
    Reason.STORE_UNAVAILABLE: "The ledger cannot be reached; ask again with the same key.",
}
_SOON = {Reason.STORE_UNAVAILABLE: 5, Reason.IN_PROGRESS: 1}


def refusal(found: Decision, now: int) -> ProblemError:
    """Return a refused call as a problem: its status by the reason, when to come back, and what would help.

    What is to be paid for has the members that clients of x402 look for; nobody pays by them without a person.
    """
    wait = found.retry_after
    if wait is None and found.reason.http_status == HTTPStatus.TOO_MANY_REQUESTS and found.resets_at is not None:
        wait = found.resets_at - now
    after = _SOON.get(found.reason) if wait is None else max(1, seconds(wait) or 0)
    url = found.remedy.url if found.remedy is not None else None
    x402: dict[str, Any] = {}
    if found.reason.http_status == HTTPStatus.PAYMENT_REQUIRED:
        accepts = [{"type": "stripe-checkout", "url": url}] if url else []
        x402 = {"x402Version": 1, "error": found.reason.value, "accepts": accepts}
    return ProblemError(
        found.reason.http_status,
        found.reason.value,
        _DETAILS[found.reason],
        headers={"Retry-After": str(after)} if after is not None else None,
        decision=decision_json(found),
        remedy=remedy_json(found.remedy),
        **x402,
    )
