"""Answers: may this call be made, what does it cost, and if not, why and what would help. A refusal is a value."""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

_MICRO = Decimal("0.000001")


class Reason(StrEnum):
    """Why a call is allowed or refused: one closed list for library, HTTP, MCP and metrics."""

    OK = "ok"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    QUOTA_EXCEEDED = "quota_exceeded"
    RATE_LIMITED = "rate_limited"
    TOOL_NOT_IN_PLAN = "tool_not_in_plan"
    FEATURE_REQUIRED = "feature_required"
    UNKNOWN_TENANT = "unknown_tenant"
    UNKNOWN_TOOL = "unknown_tool"
    SUBSCRIPTION_INACTIVE = "subscription_inactive"
    KEY_CONFLICT = "key_conflict"
    IN_PROGRESS = "in_progress"
    STORE_UNAVAILABLE = "store_unavailable"

    @property
    def http_status(self) -> int:
        """The status an HTTP answer has that says so: to be paid for 402, not allowed 403, to be tried later 429."""
        return _STATUS[self]


_STATUS = {
    Reason.OK: 200,
    Reason.INSUFFICIENT_CREDITS: 402,
    Reason.SUBSCRIPTION_INACTIVE: 402,
    Reason.TOOL_NOT_IN_PLAN: 403,
    Reason.FEATURE_REQUIRED: 403,
    Reason.UNKNOWN_TENANT: 403,
    Reason.UNKNOWN_TOOL: 403,
    Reason.IN_PROGRESS: 409,
    Reason.KEY_CONFLICT: 422,
    Reason.QUOTA_EXCEEDED: 429,
    Reason.RATE_LIMITED: 429,
    Reason.STORE_UNAVAILABLE: 503,
}


class Remedy(NamedTuple):
    """What would unlock a refused call: the cheapest ``plan`` or ``pack``, where to buy it, or waiting.

    ``kind`` is ``plan``, ``pack`` or ``wait``; ``at`` the instant in microseconds from which waiting helps.
    """

    kind: str
    id: str = ""
    name: str = ""
    url: str | None = None
    at: int | None = None


class Decision(NamedTuple):
    """The answer to one call. It is true where the call is allowed.

    ``cost`` is in millionths of ``unit``: ``credit``, or a currency; ``None`` where a price is finer than that.
    ``remaining`` of ``limit`` is what is left after the call of the bound that is closest, named by ``bound``:
    ``credits`` (in millionths), a meter, or the target of a limit. Instants and ``retry_after`` are microseconds.
    ``source`` is the place in the files that decided, ``config_digest`` the beginning of their digest; ``recharge``
    the pack to buy because credits run low.

    ``short`` is how much of the bound was lacking, in its unit. A call that was made is allowed whatever it came to:
    where it used more than was there, ``reason`` says of what, and ``cost`` is what it costs with what was short.
    """

    allowed: bool
    reason: Reason
    tenant: str
    tool: str
    paid_by: str = ""
    cost: int | None = 0
    unit: str = ""
    remaining: int | None = None
    limit: int | None = None
    bound: str = ""
    resets_at: int | None = None
    retry_after: int | None = None
    remedy: Remedy | None = None
    source: str = ""
    config_digest: str = ""
    recharge: str | None = None
    replayed: bool = False
    degraded: bool = False
    short: int = 0

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def price(self) -> Decimal | None:
        """The cost as an exact decimal of its unit."""
        return None if self.cost is None else self.cost * _MICRO

    def as_json(self) -> dict[str, Any]:
        """Return the decision as JSON values, in the order of the fields; remedies as mappings."""
        return {**self._asdict(), "remedy": self.remedy and self.remedy._asdict()}

    def stored(self) -> list[Any]:
        """Return what the ledger keeps of an allowed call beside its transfers."""
        return [
            self.tool,
            self.paid_by,
            self.cost,
            self.unit,
            self.remaining,
            self.limit,
            self.bound,
            self.resets_at,
            self.source,
            self.config_digest,
            self.recharge,
        ]


def replay(tenant: str, answer: Sequence[Any]) -> Decision:
    """Return the answer an entry keeps, marked as given before: decision, counters, parts of lots, what was lacking."""
    tool, paid_by, cost, unit, remaining, limit, bound, resets_at, source, digest, recharge = answer[0]
    reason, short = (answer[_LACK:] and answer[_LACK]) or (Reason.OK, 0)
    return Decision(
        True,
        Reason(reason),
        tenant,
        tool,
        paid_by,
        cost,
        unit,
        remaining,
        limit,
        bound,
        resets_at,
        source=source,
        config_digest=digest,
        recharge=recharge,
        replayed=True,
        short=short,
    )


#: Place of reason and amount in the answer of a call that used more than was there.
_LACK = 4
