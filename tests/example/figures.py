"""The vocabulary of known figures: what a plan, a usage line, a limit, a pack must be.

Amounts are decimal text in minor units, counts are integers. Bounds of brackets count from the first unit that is
neither included nor reserved.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

INF = "inf"
Bracket = tuple[int | str, str]
Break = tuple[str, int, str]


@dataclass(frozen=True)
class Plan:
    """The flat side of a plan; ``price`` is empty where the plan has none."""

    price: str = ""
    trial_days: int | None = None
    features: tuple[str, ...] = ()
    tools: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Units:
    """Included or reserved units of a meter and the brackets beyond them; without brackets none are sold."""

    included: int
    brackets: tuple[Bracket, ...] = ()
    mode: str = "graduated"
    resets_on: int | None = None


@dataclass(frozen=True)
class Limit:
    """A bound on calls or units of a period."""

    of: str
    per: str
    max: int
    kind: str = "quota"
    burst: int | None = None
    resets_on: int | None = None
    upgrade_to: str | None = None


@dataclass(frozen=True)
class Calls:
    """Prices of calls; a break is ``("after" | "from", calls, "10%" | amount)``, counted by tool or for all of them."""

    tools: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    minimum: str | None = None
    breaks: tuple[Break, ...] = ()
    currency: str = "usd"
    scope: str = "tool"


@dataclass(frozen=True)
class Least:
    """The least usage charge of a month."""

    amount: str


@dataclass(frozen=True)
class Pack:
    """A credit pack."""

    credits: int
    price: str
    bonus: int = 0
    expires_after: str | None = None


@dataclass(frozen=True)
class Costs:
    """Credits per call; ``recharge`` is the balance below which a pack is bought, and the pack."""

    tools: Mapping[str, int] = field(default_factory=dict)
    default: int | None = None
    recharge: tuple[int, str] | None = None


@dataclass(frozen=True)
class Block:
    """How many units one call is: a number of the call, in started blocks."""

    source: str
    per: int
    round: str = "up"


@dataclass(frozen=True)
class Subscriber:
    """A tenant's plan."""

    plan: str | None


@dataclass(frozen=True)
class Line:
    """One line of a payment link: the monthly price it charges, and how often."""

    price: str
    quantity: int = 1


Figures = Plan | Units | Limit | Calls | Least | Pack | Costs | Block | Subscriber | Line
