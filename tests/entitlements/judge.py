"""How a call must be decided, written from the language alone: slow, in fractions and lists of what happened.

It reads the files as plain text and knows nothing of the code it judges. A tenant's history is a list of counted calls;
what is used of a bound is summed up anew for every question.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor
from typing import Any
from zoneinfo import ZoneInfo

from .calendars import anchored_period, calendar_period, even_period

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000
ENTITLED, FALLEN = {"active", "trialing"}, {"canceled", "incomplete_expired"}
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


def when(instant: int) -> datetime:
    """Return microseconds as an instant."""
    return EPOCH + timedelta(microseconds=instant)


def stamp(instant: datetime) -> int:
    """Return an instant in microseconds."""
    return (instant - EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=200_000)
def calendar(now: int, per: str, zone: str, day: int) -> tuple[int, int]:
    """Return the calendar period an instant lies in."""
    if per in {"second", "minute", "hour"}:
        found = even_period(when(now), ZoneInfo(zone), SECONDS[per])
    else:
        found = calendar_period(when(now), per, ZoneInfo(zone), day)
    return stamp(found[0]), stamp(found[1])


@lru_cache(maxsize=200_000)
def anchored(now: int, anchor: int, interval: str, count: int) -> tuple[int, int]:
    """Return the billing period an instant lies in."""
    found = anchored_period(when(now), when(anchor), interval, count)
    return stamp(found[0]), stamp(found[1])


@dataclass
class Answer:
    """What a call must come to; amounts are fractions of credits or of the major unit, whole units elsewhere."""

    reason: str = "ok"
    cost: Fraction = Fraction(0)
    unit: str = ""
    paid_by: str = ""
    remaining: Fraction | None = None
    limit: int | None = None
    resets_at: int | None = None
    retry_after: int | None = None
    recharge: str | None = None


@dataclass
class Count:
    """A counted call or its units: what counts it, the period it belongs to, how many."""

    counter: str
    start: int
    number: int
    what: str


@dataclass
class Lot:
    """Credits that came together."""

    id: str
    left: Fraction
    priority: int
    expires: int | None
    created: int

    def order(self) -> tuple[int, float, int, str]:
        """Return the place in the order of spending."""
        return self.priority, float("inf") if self.expires is None else self.expires, self.created, self.id


@dataclass
class Paid:
    """A way a call can be paid: credits, charges by spend meter, what it counts, which meters are not exported."""

    by: str
    credits: Fraction
    money: Fraction
    unit: str
    counts: list[Count]
    spends: list[tuple[str, Fraction]]
    apart: set[str] | None
    bounds: list[tuple[int, Fraction, int | None, int | None]]
    price: Callable[["Ask"], tuple[Fraction, Fraction, list[tuple[str, Fraction]]]]


@dataclass(frozen=True)
class Ask:
    """A call: blocks it is multiplied by, units by meter."""

    blocks: int
    units: tuple[tuple[str, int], ...]

    def of(self, what: str) -> int:
        """Return the units on a meter, or one call."""
        return 1 if what == "#" else dict(self.units).get(what, 0)


@dataclass
class Made:
    """A call that was made or reserved, as a commit or a refund needs it."""

    ask: Ask
    counts: list[Count]
    parts: list[tuple[str, Fraction]]
    price: Callable[[Ask], tuple[Fraction, Fraction, list[tuple[str, Fraction]]]]
    apart: set[str] | None
    measures: Any
    metered: list[tuple[str, Fraction, bool]] = field(default_factory=list)
    refunded: Fraction = Fraction(0)
    uncounted: bool = False
    expires: int = 0
    state: str = "made"


@dataclass
class Account:
    """One tenant: everything that ever happened to it."""

    lots: dict[str, Lot] = field(default_factory=dict)
    granted: dict[str, Lot] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    counts: list[Count] = field(default_factory=list)
    buckets: dict[str, tuple[Fraction, int]] = field(default_factory=dict)
    calls: dict[str, Made] = field(default_factory=dict)
    exported: dict[str, Fraction] = field(default_factory=dict)
    subscription: tuple[str | None, str, int | None, int] | None = None
    month: tuple[int, Fraction] | None = None
    reminder: int | None = None
    files: set[str] = field(default_factory=set)
    refunds: dict[str, int] = field(default_factory=dict)

    @property
    def credits(self) -> Fraction:
        """What can be spent."""
        return sum((lot.left for lot in self.lots.values()), Fraction(0))

    @property
    def held(self) -> dict[str, Made]:
        """Reservations that are open."""
        return {key: call for key, call in self.calls.items() if call.state == "held"}

    def forget(self) -> None:
        """Forget lots that are used up, unless reservations may give back to them."""
        if not self.held:
            self.lots = {name: lot for name, lot in self.lots.items() if lot.left}

    def spend(self, amount: Fraction) -> list[tuple[str, Fraction]]:
        """Take credits out of the lots in their order."""
        parts = []
        for lot in sorted(self.lots.values(), key=Lot.order):
            part = min(lot.left, amount)
            if part:
                lot.left -= part
                amount -= part
                parts.append((lot.id, part))
        assert not amount
        return parts

    def give_back(self, lot: str, amount: Fraction) -> None:
        """Return credits to a lot, unless it is gone."""
        if lot in self.gone:
            return
        if lot not in self.lots:
            known = self.granted[lot]
            self.lots[lot] = Lot(lot, Fraction(0), known.priority, known.expires, known.created)
        self.lots[lot].left += amount

    def meter(self, call: Made, meter: str, number: Fraction, *, billed: bool) -> None:
        """Count units for the export, or settle them."""
        call.metered.append((meter, number, billed))
        if billed:
            self.exported[meter] = self.exported.get(meter, Fraction(0)) + number


class Judge:
    """Decides calls by a catalogue and the histories of tenants."""

    def __init__(self, text: str) -> None:
        self.accounts: dict[str, Account] = {}
        self.reload(text)

    def reload(self, text: str) -> None:
        """Take another catalogue."""
        self.file: dict[str, Any] = json.loads(text, parse_int=str, parse_float=str)
        self.settings = self.file["settings"]
        self.zone = self.settings.get("timezone", "UTC")

    def account(self, tenant: str) -> Account:
        """Return a tenant's history."""
        return self.accounts.setdefault(tenant, Account())

    def section(self, name: str) -> dict[str, Any]:
        """Return a section of the catalogue."""
        found: dict[str, Any] = self.file.get(name, {})
        return found

    def standing(self, tenant: str) -> tuple[dict[str, Any] | None, dict[str, Any], str | None, int | None]:
        """Return plan and own terms, why nothing may be called, and from when on nothing may."""
        plans = {name: plan for name, plan in self.section("plans").items() if plan.get("status") != "draft"}
        own = self.section("tenants").get(tenant)
        default = plans.get(self.settings.get("default_plan", ""))
        subscription = self.account(tenant).subscription
        if subscription is None:
            if own is not None:
                return plans.get(own.get("plan", "")), own, None, None
            return default, {}, None if default is not None else "unknown_tenant", None
        name, status, _, since = subscription
        plan = plans.get(name or "") or plans.get((own or {}).get("plan", ""))
        if status in ENTITLED | {"past_due"} and (plan is not None or own is not None):
            grace = int(self.settings.get("past_due_grace_days", 7)) * DAY
            return plan, own or {}, None, since + grace if status == "past_due" else None
        if default is not None and status in FALLEN:
            return default, own or {}, None, None
        return plan, own or {}, "subscription_inactive", None

    def inactive(self, tenant: str, now: int) -> str | None:
        """Return why a tenant may call nothing."""
        _, _, refused, until = self.standing(tenant)
        return "subscription_inactive" if refused is None and until is not None and now >= until else refused

    def features(self, tenant: str) -> set[str]:
        """Return the features of a tenant."""
        plan, own, _, _ = self.standing(tenant)
        return {*(plan or {}).get("features", ()), *own.get("features", ())}

    def months(self, tenant: str, now: int, interval: str = "month", count: int = 1) -> tuple[int, int]:
        """Return the billing period of a tenant."""
        subscription = self.account(tenant).subscription
        if subscription is None or subscription[2] is None:
            return calendar(now, "month", self.zone, 1)
        return anchored(now, subscription[2], interval, count)

    def included(self, tenant: str) -> tuple[Fraction, bool]:
        """Return the credits a month brings, and whether they are kept."""
        plan, _, _, _ = self.standing(tenant)
        terms = (plan or {}).get("credits", {})
        return Fraction(terms.get("included", "0")), terms.get("rollover", False)

    def measures(self, name: str, *, meter: bool) -> Any:
        """Return how a call is counted: block size, rounding, units by meter (``None``: the quantity, or as given)."""
        if meter:
            return None, None, ((name, None),)
        tool = self._listed(self.section("tools"), name) or {}
        counts = tool.get("counts") or {self.settings["default_meter"]: "1"}
        taken = tool.get("quantity")
        units = tuple((each, None if isinstance(number, dict) else int(number)) for each, number in counts.items())
        return (int(taken.get("per", 1)) if taken else None), (taken or {}).get("round", "up"), units

    @staticmethod
    def ask(measures: Any, quantity: int, units: Mapping[str, int] | None) -> Ask:
        """Return what a call asks for."""
        per, rounding, meters = measures
        blocks = quantity if per is None else (ceil if rounding == "up" else floor)(Fraction(quantity, per))
        given = units or {}
        found = []
        for meter, number in meters:
            found.append((meter, given.get(meter, quantity if number is None else number)))
        return Ask(blocks, tuple(found))

    @staticmethod
    def _listed(table: Mapping[str, Any], name: str) -> Any:
        """Return what a table says of a tool: by name, else by the glob with the most letters, the first of those."""
        if name in table:
            return table[name]
        fitting = [glob for glob in table if fnmatchcase(name, glob)]
        return table[max(fitting, key=lambda glob: len(glob.replace("*", "").replace("?", "")))] if fitting else None

    def decide(
        self, tenant: str, name: str, now: int, ask: Ask, *, meter: bool = False
    ) -> tuple[Answer, Paid | None, list[Count], list[tuple[str, Fraction]]]:
        """Weigh a call: access, rates, quotas, payment; the first that does not hold refuses."""
        account, known = self.account(tenant), {each for each, _ in ask.units}
        refused = self._access(tenant, name, now, known, meter=meter)
        if refused is not None:
            return Answer(refused), None, [], []
        bounds: list[tuple[int, Fraction, int | None, int | None]] = []
        filled, counts = [], []
        for bucket, limit, number in self._limits(tenant, name, ask, "rate", meter=meter):
            most, burst = int(limit["max"]), int(limit.get("burst", limit["max"]))
            speed = Fraction(most, SECONDS[limit["per"]] * 1_000_000)
            level, at = account.buckets.get(bucket, (Fraction(0), now))
            level = min(max(level - (now - at) * speed, Fraction(0)), Fraction(burst))
            over = level + number - burst
            if over > 0:
                wait = ceil(over / speed) if number <= burst else None
                left = Fraction(floor(burst - level))
                until = None if wait is None else now + wait
                return (
                    Answer("rate_limited", remaining=left, limit=burst, resets_at=until, retry_after=wait),
                    None,
                    [],
                    [],
                )
            filled.append((bucket, level + number))
            left = Fraction(floor(-over))
            bounds.append((int(left // (number or 1)), left, burst, None))
        for counter, limit, number in self._limits(tenant, name, ask, "quota", meter=meter):
            start, end, used = self._used(
                account, counter, now, lambda at, limit=limit: calendar(at, limit["per"], self.zone, _day(limit))
            )
            most = int(limit["max"])
            if used + number > most:
                wait = end - now if number <= most else None
                left = Fraction(max(most - used, 0))
                return (
                    Answer("quota_exceeded", remaining=left, limit=most, resets_at=end, retry_after=wait),
                    None,
                    [],
                    [],
                )
            counts.append(Count(counter, start, number, limit["of"] if limit["of"] in self.section("meters") else "#"))
            left = Fraction(most - used - number)
            bounds.append((int(left // (number or 1)), left, most, end))
        answer, paid = Answer(), None
        for payer in self._payers(tenant, name, known, meter=meter):
            found = payer(account, now, ask)
            if isinstance(found, Paid):
                answer, paid = Answer(), found
                break
            answer = found
        if answer.reason != "ok":
            return answer, None, [], []
        if paid is not None:
            bounds += paid.bounds
            answer = Answer("ok", paid.credits or paid.money, paid.unit, paid.by)
            if paid.credits:
                answer.recharge = self._recharge(tenant, account.credits - paid.credits)
        if bounds:
            _, answer.remaining, answer.limit, answer.resets_at = min(bounds, key=lambda bound: bound[0])
        return answer, paid, counts, filled

    def _access(self, tenant: str, name: str, now: int, known: set[str], *, meter: bool) -> str | None:
        plan, own, _, _ = self.standing(tenant)
        refused = self.inactive(tenant, now)
        if refused is not None:
            return refused
        if meter:
            if name not in self.section("meters"):
                return "unknown_tool"
        else:
            allowed = [*(plan or {}).get("tools", () if plan is None else ("*",)), *own.get("tools", ())]
            if not any(fnmatchcase(name, pattern) for pattern in allowed):
                return "tool_not_in_plan"
            if set((self._listed(self.section("tools"), name) or {}).get("requires", ())) - self.features(tenant):
                return "feature_required"
        sells = plan is None or any(plan.get(source) for source in ("usage", "credits", "per_call"))
        if (sells or own.get("usage")) and not list(self._payers(tenant, name, known, meter=meter)):
            return "tool_not_in_plan"
        return None

    def _limits(
        self, tenant: str, name: str, ask: Ask, kind: str, *, meter: bool
    ) -> Iterator[tuple[str, dict[str, Any], int]]:
        plan, own, _, _ = self.standing(tenant)
        mine = own.get("limits", [])
        targets = {limit["of"] for limit in mine}
        for limit in [*(each for each in (plan or {}).get("limits", []) if each["of"] not in targets), *mine]:
            of, per = limit["of"], limit["per"]
            if limit.get("kind", "quota") != kind:
                continue
            title = f"{kind} {of} {per} {limit['max'] if kind == 'rate' else _day(limit)}"
            if of in self.section("meters"):
                if of in dict(ask.units):
                    yield title, limit, ask.of(of)
            elif not meter and fnmatchcase(name, of):
                yield title, limit, 1

    @staticmethod
    def _used(
        account: Account, counter: str, now: int, period: Callable[[int], tuple[int, int]]
    ) -> tuple[int, int, int]:
        """Return the period that counts now, which is never before one that counted already, and what is used in it."""
        start, end = period(now)
        mine = [count for count in account.counts if count.counter == counter]
        latest = max((count.start for count in mine), default=start)
        if latest > start:
            start, end = latest, period(latest)[1]
        return start, end, sum(count.number for count in mine if count.start == start)

    def lines(self, tenant: str) -> dict[str, dict[str, Any]]:
        """Return the usage lines of a tenant, its own in place of the plan's."""
        plan, own, _, _ = self.standing(tenant)
        return {**(plan or {}).get("usage", {}), **own.get("usage", {})}

    def _payers(self, tenant: str, name: str, known: set[str], *, meter: bool) -> Iterator[Callable[..., Any]]:
        plan, own, _, _ = self.standing(tenant)
        order = list((plan or {}).get("pay", ())) or ["usage", "credits", "per_call"]
        order = order if "usage" in order else ["usage", *order]
        lines = {each: line for each, line in self.lines(tenant).items() if each in known}
        for source in order:
            if source == "usage" and lines:
                yield lambda account, now, ask: self._by_usage(tenant, account, now, ask, lines, plan, own)
            elif plan is None or meter:
                continue
            elif source == "credits" and "credits" in plan:
                each = self._listed(plan["credits"].get("tools", {}), name) or plan["credits"].get("default")
                if each is not None:
                    yield lambda account, _, ask, each=each: self._by_credits(account, ask, Fraction(each))
            elif source == "per_call" and "per_call" in plan:
                price = self._listed(plan["per_call"].get("tools", {}), name)
                if price is not None or "default" in plan["per_call"]:
                    yield lambda account, now, ask, price=price, plan=plan: self._by_call(
                        tenant, account, now, ask, name, price, plan
                    )

    def _by_credits(self, account: Account, ask: Ask, each: Fraction) -> Paid | Answer:
        cost = each * ask.blocks
        left = account.credits - cost
        if left < 0:
            return Answer("insufficient_credits", remaining=account.credits)
        bounds = [(int(left // cost), left, None, None)] if cost else []
        return Paid(
            "credits",
            cost,
            Fraction(0),
            "credit",
            [],
            [],
            None,
            bounds,
            lambda ask: (each * ask.blocks, Fraction(0), []),
        )

    def _by_call(
        self, tenant: str, account: Account, now: int, ask: Ask, name: str, price: str | None, plan: dict[str, Any]
    ) -> Paid:
        terms = plan["per_call"]
        discounts = terms.get("discounts", {"scope": "tool", "steps": [{"up_to": "inf"}]})
        counter = f"calls {name}" if discounts["scope"] == "tool" else "calls"
        start, _, before = self._used(account, counter, now, lambda at: self.months(tenant, at))
        currency = plan.get("currency", "usd")

        def charge(ask: Ask) -> tuple[Fraction, Fraction, list[tuple[str, Fraction]]]:
            step = next(step for step in discounts["steps"] if step["up_to"] == "inf" or before < int(step["up_to"]))
            each = Fraction(price if price is not None else terms["default"])
            if not each:
                return Fraction(0), Fraction(0), []
            if "percent_off" in step:
                each *= 1 - Fraction(step["percent_off"]) / 100
            elif "unit_amount" in step and price is None:
                each = Fraction(step["unit_amount"])
            money = max(each * ask.blocks, Fraction(terms.get("minimum", "0")))
            return Fraction(0), money, [(f"spend.{currency}", money)] if money else []

        _, money, spends = charge(ask)
        counts = [Count(counter, start, 1, "#")]
        return Paid("per_call", Fraction(0), money, currency, counts, spends, None, [], charge)

    def _by_usage(
        self,
        tenant: str,
        account: Account,
        now: int,
        ask: Ask,
        lines: dict[str, dict[str, Any]],
        plan: dict[str, Any] | None,
        own: dict[str, Any],
    ) -> Paid | Answer:
        counts, bounds, befores, apart = [], [], {}, set()
        for meter, line in lines.items():
            overage = line.get("overage", "deny")
            mine = meter in own.get("usage", {})
            drawn = self.section("plans").get(own.get("plan", "")) if mine else plan
            money = isinstance(overage, dict) and "credits" not in overage
            through = money and ("minimum" in (drawn or {}) or self._beyond_one_price(line))
            if through:
                apart.add(meter)

            def period(
                at: int, line: dict[str, Any] = line, *, money: bool = money, through: bool = through
            ) -> tuple[int, int]:
                if not money:
                    return calendar(at, line.get("per", "month"), self.zone, _day(line))
                if through:
                    return self.months(tenant, at)
                return self.months(tenant, at, line.get("interval", "month"), int(line.get("interval_count", 1)))

            included, number = int(line.get("included", 0)), ask.of(meter)
            start, end, before = self._used(account, f"units {meter}", now, period)
            left = included - before - number
            if left < 0 and overage == "deny":
                wait = end - now if number <= included else None
                rest = Fraction(max(included - before, 0))
                return Answer("quota_exceeded", remaining=rest, limit=included, resets_at=end, retry_after=wait)
            befores[meter] = before
            counts.append(Count(f"units {meter}", start, number, meter))
            if left >= 0:
                bounds.append((left // (number or 1), Fraction(left), included, end))

        def charge(ask: Ask) -> tuple[Fraction, Fraction, list[tuple[str, Fraction]]]:
            credits, money, spends = Fraction(0), Fraction(0), []  # noqa: A001  named for what they are
            for meter, line in lines.items():
                overage, included = line.get("overage", "deny"), int(line.get("included", 0))
                before, number = befores[meter], ask.of(meter)
                beyond, earlier = max(before + number - included, 0), max(before - included, 0)
                if overage == "deny" or beyond == earlier:
                    continue
                if "credits" in overage:
                    credits += Fraction(overage["credits"]) * (beyond - earlier)  # noqa: A001
                    continue
                price = self._cost(overage, beyond) - (self._cost(overage, earlier) if earlier else 0)
                money += price
                if meter in apart and price:
                    spends.append(("spend.usd", price))
            return credits, money, spends

        credits, money, spends = charge(ask)  # noqa: A001
        if credits > account.credits:
            return Answer("insufficient_credits", remaining=account.credits)
        unit = "credit" if credits else "usd"
        return Paid("usage", credits, money, unit, counts, spends, apart, bounds, charge)

    def _beyond_one_price(self, line: dict[str, Any]) -> bool:
        overage = line["overage"]
        volume = self.section("tiers").get(overage.get("tiers", ""), {}).get("mode") == "volume"
        return int(line.get("included", 0)) > 0 and (volume or "transform_quantity" in overage)

    def _cost(self, overage: dict[str, Any], units: int) -> Fraction:
        """Return what so many units beyond the included ones cost, unit by unit."""
        if "unit_amount" in overage:
            packs = overage.get("transform_quantity")
            if packs is not None:
                units = (ceil if packs["round"] == "up" else floor)(Fraction(units, int(packs["divide_by"])))
            return Fraction(overage["unit_amount"]) * units
        table = self.section("tiers")[overage["tiers"]]
        steps = table["steps"]
        if table.get("mode") == "volume":
            step = next(step for step in steps if step["up_to"] == "inf" or units <= int(step["up_to"]))
            return Fraction(step["unit_amount"]) * units + Fraction(step.get("flat_amount", "0"))
        total, below = Fraction(0), 0
        for step in steps:
            until = units if step["up_to"] == "inf" else min(units, int(step["up_to"]))
            if until > below:
                total += (until - below) * Fraction(step["unit_amount"]) + Fraction(step.get("flat_amount", "0"))
                below = until
        return total

    def _recharge(self, tenant: str, left: Fraction) -> str | None:
        plan, _, _, _ = self.standing(tenant)
        terms = (plan or {}).get("credits", {}).get("auto_recharge")
        return terms["pack"] if terms is not None and left < Fraction(terms["below"]) else None


def _day(terms: Mapping[str, Any]) -> int:
    return int(terms.get("resets_on", 1))
