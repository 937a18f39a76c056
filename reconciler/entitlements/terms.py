"""From the tables to one tenant's terms of one call: the bounds and payers the kinds weigh."""

from collections.abc import Container, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from reconciler.entitlements.decision import Reason
from reconciler.entitlements.kinds.bounds import Ask, Payer
from reconciler.entitlements.kinds.credits import Credits
from reconciler.entitlements.kinds.per_call import PerCall
from reconciler.entitlements.kinds.quota import Quota
from reconciler.entitlements.kinds.rate import Rate
from reconciler.entitlements.kinds.usage import Metered, Usage
from reconciler.entitlements.periods import LENGTH, SECOND, Anchored, Calendar, Period, zone_of
from reconciler.entitlements.policy import SPEND, CallPrices, CreditCosts, Limit, Line, Plan, Policy, Tenant, Tool
from reconciler.entitlements.standing import Standing, Subscription, standing
from reconciler.pricing.calls import ByTool

#: Length of a window whose units become one export, in microseconds.
WINDOW = 3600 * SECOND
#: In place of a number: the call is of the meter itself, its quantity are the units.
DIRECT = ""
#: The counter of a tool whose price depends on the number of its calls is named by it behind this.
OF_A_TOOL = "per_call/"
_NO_TOOL = Tool(None, (), None, {}, 0, "")


class Call(NamedTuple):
    """What a call of one tool, or of a meter directly, means for one tenant.

    ``refused`` says that access alone refuses it, and ``source`` where; without payers a call is paid by the plan
    itself. ``plain`` is what one call without numbers of its own asks for; ``None`` where its tool needs some.
    """

    name: str
    refused: Reason | None
    source: str
    tool: Tool
    meters: tuple[tuple[str, int | str], ...]
    rates: tuple[Rate, ...]
    quotas: tuple[Quota, ...]
    payers: tuple[Payer, ...]
    until: int | None
    plain: Ask | None
    periods: tuple[Period, ...] = ()


class Terms:
    """A tenant's plan with its own terms laid over, by a policy and a subscription; calls are worked out once each."""

    #: Names of tools a caller makes up must not fill the memory.
    MOST = 4096

    def __init__(self, policy: Policy, tenant: str, subscription: Subscription | None, kept: object = None) -> None:
        self.policy = policy
        self.kept = kept
        self.tenant = tenant
        self.subscription = subscription
        self.standing: Standing = standing(policy, tenant, subscription)
        plan, own = self.standing.plan, self.standing.tenant
        self.features = (plan.features if plan else frozenset()) | (own.features if own else frozenset())
        self.lines: Mapping[str, Line] = {**(plan.lines if plan else {}), **(own.lines if own else {})}
        self.limits = _limits(plan.limits if plan else (), own.limits if own else ())
        #: What the files grant the tenant once.
        self.grants = own.grants if own else ()
        #: What credits the plan brings and costs.
        self.credit_terms: CreditCosts | None = plan.credits if plan else None
        #: Whether the plan brings credits each month.
        self.monthly = self.credit_terms is not None and self.credit_terms.included > 0
        self._tools = _tools(plan, own.tools if own else ())
        self._calls: dict[tuple[str, bool], Call] = {}
        self._periods: dict[tuple[str, int, int], Period] = {}
        self._window = (0, 0)

    def call(self, name: str, *, meter: bool = False) -> Call:
        """Return the terms of a tool's call, or of units of a meter."""
        call = self._calls.get((name, meter))
        if call is None:
            if len(self._calls) >= self.MOST:
                self._calls.clear()
            call = self._calls[name, meter] = self._meter(name) if meter else self._tool(name)
        return call

    def inactive(self, now: int) -> Reason | None:
        """Return why the tenant may call nothing at an instant."""
        if self.standing.refused is None and self.standing.until is not None and now >= self.standing.until:
            return Reason.SUBSCRIPTION_INACTIVE
        return self.standing.refused

    def entitled(self, now: int) -> bool:
        """Tell whether the tenant may call anything at an instant."""
        return self.inactive(now) is None

    def recurring(self) -> Period:
        """Return the periods in which monthly credits come."""
        return self._months("month", 1)

    def billed(self, meter: str) -> Period | None:
        """Return the billing periods in which units of a meter are invoiced; none without a known subscription."""
        if self.subscription is None or self.subscription.anchor is None:
            return None
        line = self.lines.get(meter)
        sold = line is not None and line.per == "subscription" and not line.spend
        return self._line_period(line) if line is not None and sold else self.recurring()

    def window(self, now: int) -> int:
        """Return the start, in seconds, of the window an instant is counted in; no billing period begins inside one."""
        start, end = self._window
        if not start <= now < end:
            self._window = start, _ = self._find_window(now)
        return start // SECOND

    def _find_window(self, now: int) -> tuple[int, int]:
        start = now - now % WINDOW
        end = start + WINDOW
        if self.subscription is not None and self.subscription.anchor is not None:
            sold = [self._line_period(line) for line in self.lines.values() if line.per == "subscription"]
            for begun, following in (period.at(now) for period in (self.recurring(), *sold)):
                start, end = max(start, -(-begun // SECOND) * SECOND), min(end, -(-following // SECOND) * SECOND)
        return start, end

    def _tool(self, name: str) -> Call:
        tool = self.policy.tools.of(name) or _NO_TOOL
        default = self.policy.default_meter
        counts = tool.counts or ({default: 1} if default else {})
        refused, source = self._access(name, tool)
        return self._call(name, tool, tuple(counts.items()), refused, source, called=True)

    def _meter(self, name: str) -> Call:
        refused, source = self.standing.refused, self.standing.source
        if refused is None and (name not in self.policy.meters or name.startswith(SPEND)):
            refused, source = Reason.UNKNOWN_TOOL, ""
        return self._call(name, _NO_TOOL, ((name, DIRECT),), refused, source, called=False)

    def _call(
        self,
        name: str,
        tool: Tool,
        meters: tuple[tuple[str, int | str], ...],
        refused: Reason | None,
        source: str,
        *,
        called: bool,
    ) -> Call:
        until, plain = self.standing.until, _plain(tool, meters)
        if refused is not None:
            return Call(name, refused, source, tool, meters, (), (), (), until, plain)
        known = {meter for meter, _ in meters}
        bounds = [
            (limit, target) for limit in self.limits for target in self._targets(limit, name, known, called=called)
        ]
        found = [self._bound(limit, meter) for limit, meter in bounds]
        rates = tuple(bound for bound in found if isinstance(bound, Rate))
        quotas = tuple(bound for bound in found if isinstance(bound, Quota))
        payers = tuple(self._payers(name, known, called=called))
        if not payers and self._sells():
            return Call(name, Reason.TOOL_NOT_IN_PLAN, source, tool, meters, (), (), (), until, plain)
        periods = (*(quota.period for quota in quotas), *(period for payer in payers for period in payer.periods))
        return Call(name, None, source, tool, meters, rates, quotas, payers, until, plain, periods)

    def _access(self, name: str, tool: Tool) -> tuple[Reason | None, str]:
        if self.standing.refused is not None:
            return self.standing.refused, self.standing.source
        if self._tools is not None and not any(fnmatchcase(name, pattern) for pattern in self._tools):
            return Reason.TOOL_NOT_IN_PLAN, self.standing.source
        if not self.features.issuperset(tool.requires):
            return Reason.FEATURE_REQUIRED, tool.source
        return None, self.standing.source

    def _targets(self, limit: Limit, name: str, meters: set[str], *, called: bool) -> Iterator[str | None]:
        """Yield the meter a limit counts, or ``None`` where it counts the call itself."""
        if limit.of in self.policy.meters:
            if limit.of in meters:
                yield limit.of
        elif called and fnmatchcase(name, limit.of):
            yield None

    def _bound(self, limit: Limit, meter: str | None) -> Rate | Quota:
        if limit.kind == "rate":
            return Rate(_limit_id(limit), limit, meter, LENGTH[limit.per])
        return Quota(_limit_id(limit), limit, meter, self._calendar(limit.per, limit.resets_on))

    def bounds(self) -> list[Rate | Quota]:
        """Return every limit the tenant has."""
        return [self._bound(limit, limit.of if limit.of in self.policy.meters else None) for limit in self.limits]

    def usage_lines(self, meters: Container[str]) -> tuple[Metered, ...]:
        """Return the usage lines of some meters, each with its counter and the periods it counts in."""
        lines = [line for meter, line in self.lines.items() if meter in meters]
        return tuple(Metered(line, f"usage/{line.meter}", self._line_period(line)) for line in lines)

    def billing(self, meter: str) -> Period | None:
        """Return the periods Stripe bills a meter's units in; ``None`` where nobody is sold any.

        The tenant's line may be another one now than when the units were used: then they are the billing months.
        """
        line = self.lines.get(meter)
        if line is not None and line.over == "priced":
            return self._line_period(line)
        return self._months("month", 1) if meter.startswith(SPEND) or meter in _sold(self.policy) else None

    def _payers(self, name: str, meters: set[str], *, called: bool) -> Iterator[Payer]:
        plan = self.standing.plan
        for source in self._order():
            if source == "usage":
                lines = self.usage_lines(meters)
                if lines:
                    yield Usage(lines)
            elif source == "credits" and plan and plan.credits and called:
                each = ByTool(plan.credits.listed, plan.credits.default).of(name)
                if each is not None:
                    yield Credits(each, plan.credits.source)
            elif source == "per_call" and plan and plan.calls and called:
                yield from self._per_call(name, plan.calls)

    def _order(self) -> tuple[str, ...]:
        """Return the sources in the plan's order; a tenant's own usage goes first where the plan has none to order."""
        pay = self.standing.plan.pay if self.standing.plan else ()
        return pay if "usage" in pay else ("usage", *(pay or ("credits", "per_call")))

    def _per_call(self, name: str, prices: CallPrices) -> Iterator[PerCall]:
        steps = ByTool(prices.listed, prices.default).of(name)
        if steps is not None:
            counter = OF_A_TOOL + name if prices.scope == "tool" else "per_call"
            yield PerCall(
                counter,
                steps,
                prices.least,
                self._months("month", 1),
                prices.currency,
                SPEND + prices.currency,
                prices.source,
            )

    def _sells(self) -> bool:
        """Tell whether the tenant pays for calls at all; a plan with a flat price alone pays for every call."""
        plan = self.standing.plan
        return bool(self.lines or (plan and (plan.calls or plan.credits))) or plan is None

    def _line_period(self, line: Line) -> Period:
        if line.per == "subscription":
            return self._months(line.interval, line.interval_count)
        return self._calendar(line.per, line.resets_on)

    def _calendar(self, per: str, day: int) -> Period:
        return self._period((per, 0, day), Calendar(per, zone_of(self.policy.zone), day))

    def _months(self, interval: str, count: int) -> Period:
        """Return the subscription's billing periods; calendar months where none is known."""
        anchor = self.subscription.anchor if self.subscription else None
        if anchor is None:
            return self._calendar("month", 1)
        return self._period((interval, count, 0), Anchored(anchor, interval, count))

    def _period(self, key: tuple[str, int, int], period: Period) -> Period:
        return self._periods.setdefault(key, period)


@lru_cache(maxsize=16)
def _sold(policy: Policy) -> frozenset[str]:
    """Return the meters whose units are sold to somebody."""
    owners: Iterator[Plan | Tenant] = chain(policy.plans.values(), policy.tenants.values())
    return frozenset(line.meter for owner in owners for line in owner.lines.values() if line.over == "priced")


def blocks_of(rule: Sequence[Any] | None, quantity: int) -> int:
    """Return the blocks a quantity fills, begun ones counted or not as the tool's rule says; nothing is no block."""
    if rule is None:
        return quantity
    per: int = rule[1]
    return -(-quantity // per) if rule[2] else quantity // per


def _plain(tool: Tool, meters: tuple[tuple[str, int | str], ...]) -> Ask | None:
    units = tuple((meter, 1 if number == DIRECT else number) for meter, number in meters)
    known = tuple((meter, number) for meter, number in units if isinstance(number, int))
    return Ask(1, blocks_of(tool.quantity, 1), known) if len(known) == len(units) else None


def _limits(plan: tuple[Limit, ...], own: tuple[Limit, ...]) -> tuple[Limit, ...]:
    """Lay a tenant's limits over the plan's: those of the same target are replaced."""
    replaced = {limit.of for limit in own}
    return (*(limit for limit in plan if limit.of not in replaced), *own)


def _tools(plan: Plan | None, own: tuple[str, ...]) -> tuple[str, ...] | None:
    if plan is None:
        return own
    return None if plan.tools is None else (*plan.tools, *own)


def _limit_id(limit: Limit) -> str:
    """Name a limit's cell or counter: what it is of and its period, for a rate the bound too, which scales its time."""
    name = f"limit/{limit.of}/{limit.per}"
    return f"{name}/{limit.max}" if limit.kind == "rate" else f"{name}/{limit.resets_on}"
