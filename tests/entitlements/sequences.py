"""Known billing models in use: calls, grants and balances in order, with what each must come to.

The names of cases, plans, packs and tools are those of ``tests/example/cases.py``, which says where in ``billing.d``
each stands. Instants are UTC; a step without one happens when the step before it did, the first at the start of 2027.
"""

from dataclasses import dataclass

START = "2027-01-01T00:00:00"


@dataclass(frozen=True)
class Call:
    """So many calls of a tool; ``refused`` is the reason where they must be refused.

    ``upgrade_to`` is the plan of the case a refusal must name, ``recharge`` the pack a call must ask to buy.
    """

    tool: str
    times: int = 1
    refused: str | None = None
    at: str | None = None
    upgrade_to: str | None = None
    recharge: str | None = None


@dataclass(frozen=True)
class Use:
    """Units of a meter, all or nothing."""

    meter: str
    units: int
    refused: str | None = None
    at: str | None = None


@dataclass(frozen=True)
class Grant:
    """Credits under a name, until an instant."""

    credits: int
    lot: str
    expires: str | None = None
    at: str | None = None


@dataclass(frozen=True)
class Left:
    """The usable credits."""

    credits: int
    at: str | None = None


Step = Call | Use | Grant | Left


@dataclass(frozen=True)
class Sequence:
    """Steps of one tenant on a plan of the case, with credits to begin with."""

    case: str
    steps: tuple[Step, ...]
    plan: str | None = None
    credits: int = 0
    status: str = "active"


QUOTA, CREDITS, RATE, TOOL = "quota_exceeded", "insufficient_credits", "rate_limited", "tool_not_in_plan"

SEQUENCES = (
    Sequence(
        "hard-monthly-limit-fu",
        (
            Use("fu", 49999),
            Use("fu", 2, QUOTA),
            Use("fu", 1),
            Use("fu", 1, QUOTA),
            Use("fu", 1, at="2027-02-01T00:00:00"),
        ),
        "small",
    ),
    Sequence("hard-monthly-limit-fu", (Use("fu", 500000), Use("fu", 1, QUOTA)), "medium"),
    Sequence("hard-monthly-limit-fu", (Use("fu", 5000001, QUOTA), Use("fu", 5000000)), "large"),
    Sequence("free-quota-default", (Use("vex", 5000), Use("vex", 1, QUOTA))),
    Sequence("subscription-basic-pro", (Call("any-tool"),), "basic", status="trialing"),
    Sequence(
        "subscription-api-gateway",
        (
            Call("any-tool", 100, at="2027-01-01T12:00:00"),
            Call("any-tool", 1, RATE, at="2027-01-01T12:00:00"),
            Call("any-tool", 100, at="2027-01-01T12:01:01"),
        ),
        "developer",
    ),
    Sequence(
        "subscription-api-gateway",
        (Call("any-tool", 1000, at="2027-01-01T12:00:00"), Call("any-tool", 1, RATE, at="2027-01-01T12:00:00")),
        "business",
    ),
    Sequence("subscription-starter-professional-enterprise", (Call("any-tool", 1001),), "starter"),
    Sequence(
        "subscription-starter-professional-enterprise",
        (Call("any-tool", 20000), Call("any-tool", 1, QUOTA), Call("any-tool", at="2027-02-01T00:00:00")),
        "enterprise",
    ),
    Sequence(
        "credits-three-packs",
        (Call("expensive-ai-tool", 10), Call("expensive-ai-tool", 1, CREDITS), Left(0)),
        credits=100,
    ),
    Sequence(
        "credits-three-packs",
        (
            Call("expensive-ai-tool", 1, CREDITS),
            Left(9),
            Call("standard-tool"),
            Call("basic-tool", 4),
            Call("basic-tool", 1, CREDITS),
        ),
        credits=9,
    ),
    Sequence("credits-three-packs", (Call("unlisted-tool", 1, TOOL), Left(50)), credits=50),
    Sequence(
        "credits-auto-recharge",
        (Call("expensive-ai-tool"), Left(10), Call("basic-tool", recharge="power-pack"), Left(9)),
        credits=15,
    ),
    Sequence(
        "credits-bonus-packs",
        (Call("ai-image-generator", 22), Call("unlisted-tool", 1, CREDITS)),
        credits=110,
    ),
    Sequence(
        "credits-expiry-order",
        (
            Grant(10, "a", "2027-01-31T00:00:00", at="2027-01-01T00:00:00"),
            Grant(10, "b", "2027-01-06T00:00:00", at="2027-01-01T00:00:00"),
            Grant(3, "c", None, at="2027-01-01T00:00:00"),
            Call("any-tool", 5, at="2027-01-02T00:00:00"),
            Left(18, at="2027-01-05T23:59:59"),
            Left(13, at="2027-01-06T00:00:00"),
            Call("any-tool", 11, at="2027-01-07T00:00:00"),
            Left(2, at="2027-01-31T00:00:00"),
            Call("any-tool", 2, at="2027-02-01T00:00:00"),
            Call("any-tool", 1, CREDITS, at="2027-02-01T00:00:00"),
        ),
    ),
    Sequence(
        "freemium-free-tools",
        (
            Call("expensive-ai", 1, TOOL, at="2027-01-31T23:00:00"),
            Call("basic-search", 60, at="2027-01-31T23:00:00"),
            Call("simple-lookup", 40, at="2027-01-31T23:00:00"),
            Call("basic-search", 1, QUOTA, at="2027-01-31T23:59:59"),
            Call("basic-search", 100, at="2027-02-01T00:00:00"),
            Call("basic-search", 1, QUOTA, at="2027-02-01T00:00:00"),
        ),
        "free",
    ),
    Sequence("freemium-free-tools", (Call("expensive-ai", 101),), "premium"),
    Sequence(
        "freemium-saas-tool",
        (Call("simple-analysis", 50), Call("simple-analysis", 1, QUOTA), Call("ml-prediction", 1, TOOL)),
        "free",
    ),
    Sequence(
        "freemium-hour-day-month",
        (
            Call("any-tool", 5, at="2027-03-10T10:00:00"),
            Call("any-tool", 1, QUOTA, at="2027-03-10T10:59:59", upgrade_to="professional"),
            Call("any-tool", 5, at="2027-03-10T11:00:01"),
            Call("any-tool", 1, QUOTA, at="2027-03-10T13:00:00", upgrade_to="professional"),
            Call("any-tool", 5, at="2027-03-11T11:00:02"),
            Call("any-tool", 1, QUOTA, at="2027-03-11T11:00:03"),
        ),
        "free",
    ),
    Sequence("freemium-paid-overage", (Call("simple-calculator", 100), Call("simple-calculator", 1, QUOTA)), "free"),
    Sequence("freemium-paid-overage", (Call("any-tool", 1001),), "premium"),
    Sequence("control-zero-price-and-no-default", (Call("free-tool"), Call("unlisted-tool", 1, TOOL))),
)

#: Case, plan, feature, whether the plan grants it.
FEATURES = (
    ("subscription-basic-pro", "basic", "priority-support", False),
    ("subscription-basic-pro", "pro", "priority-support", True),
    ("subscription-starter-professional-enterprise", "starter", "analytics", False),
    ("subscription-starter-professional-enterprise", "professional", "analytics", True),
    ("freemium-free-tools", "free", "priority-support", False),
    ("freemium-free-tools", "premium", "priority-support", True),
    ("freemium-saas-tool", "free", "api-access", False),
    ("freemium-saas-tool", "pro", "api-access", True),
)

#: Case, plan, start of the trial, its end; the first invoice is zero.
TRIALS = (
    ("subscription-basic-pro", "basic", "2027-01-01T00:00:00", "2027-01-15T00:00:00"),
    ("subscription-ai-service", "basic", "2027-02-26T09:30:00", "2027-03-05T09:30:00"),
)

#: Case, pack, credits it brings with its bonus, price in minor units.
PACKS = (
    ("credits-three-packs", "starter-pack", 100, 999),
    ("credits-three-packs", "power-pack", 500, 3999),
    ("credits-three-packs", "enterprise", 1000, 6999),
    ("credits-per-thousand-rows", "enterprise", 20000, 12999),
    ("credits-bonus-packs", "small_pack", 110, 1000),
    ("credits-bonus-packs", "medium_pack", 575, 4500),
    ("credits-bonus-packs", "large_pack", 1200, 8000),
)

#: Case, calls as (tool, number of calls, quantity of each), credits of all of them.
QUANTITIES = (
    ("credits-per-thousand-rows", (("process-csv", 1, 0),), 0),
    ("credits-per-thousand-rows", (("process-csv", 1, 1),), 10),
    ("credits-per-thousand-rows", (("process-csv", 1, 1000),), 10),
    ("credits-per-thousand-rows", (("process-csv", 1, 1001),), 20),
    ("credits-per-thousand-rows", (("process-csv", 1, 2500),), 30),
    ("credits-per-thousand-rows", (("generate-charts", 2, 1), ("ml-prediction", 1, 1), ("export-report", 1, 1)), 115),
    ("credits-bonus-packs", (("unlisted-tool", 4, 1),), 4),
)
