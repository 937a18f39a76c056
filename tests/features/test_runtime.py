"""The entitlement runtime: may this call be made, what does it cost, and what is written down."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from reconciler.diagnostics import ReconcilerError
from reconciler.entitlements import Entitlements, MeasureError, Reason
from reconciler.ledger.base import LedgerError, StoreUnavailableError
from tests.entitlements.audit import audit, entries_of
from tests.entitlements.worlds import HandClock, policy, runtime
from tests.provider.usage_world import UsageWorld

from .support import PRO, decided

ACME = {"acme": {"name": "Acme", "plan": "pro"}}
MICRO = 1_000_000


def limited(*limits: dict[str, object], clock: HandClock | None = None, **more: object) -> Entitlements:
    """Return a runtime with a plan that has these limits."""
    return decided(clock=clock, plans={"pro": {**PRO, "limits": limits}, **more}, tenants=ACME)


def test_row_0_6_usage_is_queued_and_flushed() -> None:
    """What is used waits in the outbox and reaches Stripe's meter with one flush, once."""
    with UsageWorld(tenants=("a",)) as world:
        world.use("a", 7)
        assert world.shown() == {}
        world.flush()
        world.flush()
        assert world.shown() == {("a", "calls"): 7}
        assert world.posts() == [200]


def test_row_0_13_from_an_exchange_to_meter_events() -> None:
    """One exchange counts on two meters, both or neither, and both reach Stripe."""
    text = "meters: {vex: {name: Vex}, fu: {name: Fu}}\nsettings: {namespace: acme, default_plan: open}\n"
    text += "tools: {exchange: {counts: {vex: 1, fu: {from: result.units}}}}\n"
    line = "{overage: {unit_amount: 1}}"
    text += f"plans: {{open: {{name: Open, usage: {{vex: {line}, fu: {line}}}}}}}\n"
    with UsageWorld(text, tenants=("a",)) as world:
        assert world.runtime.consume("a", "exchange", units={"fu": 250})
        world.flush()
        assert world.shown() == {("a", "vex"): 1, ("a", "fu"): 250}


def test_row_0_23_a_reload_without_a_restart() -> None:
    """New files decide from the next call on; files that cannot be read change nothing."""
    plans = "plans: {p: {name: P, per_call: {default: PRICE}}}\ntenants: {acme: {name: A, plan: p}}\n"
    with runtime(plans.replace("PRICE", "1")) as ent:
        assert ent.check("acme", "any").price == 1
        ent.reload(policy(plans.replace("PRICE", "2")))
        assert ent.check("acme", "any").price == 2
        with pytest.raises(ReconcilerError):
            ent.reload(Path("nowhere.json"))
        assert ent.check("acme", "any").price == 2


def test_row_1_2_a_check_before_the_tool() -> None:
    """A refusal comes before the tool runs, with its reason, what is lacking, and what to buy where."""
    packs = "credit_packs: {small: {name: Small, credits: 10, price: 9.99}}\n"
    text = packs + "plans: {p: {name: P, credits: {default: 3}}}\ntenants: {acme: {name: A, plan: p}}\n"
    with runtime(text) as ent:
        refused = ent.check("acme", "any")
        assert (refused.allowed, refused.reason, refused.short) == (False, Reason.INSUFFICIENT_CREDITS, 3 * MICRO)
        assert refused.remedy is not None
        assert (refused.remedy.kind, refused.remedy.id) == ("pack", "small")
        ent.grant("acme", pack="small", key="bought")
        allowed = ent.consume("acme", "any")
        assert (allowed.allowed, allowed.price, allowed.remaining) == (True, 3, 7 * MICRO)


@pytest.mark.parametrize("most", [60, 100, 1000])
def test_row_1_16_requests_per_minute(most: int) -> None:
    """So many calls of a minute are allowed, one more is refused and says when to come back, and then is allowed."""
    clock = HandClock()
    with limited({"of": "*", "max": most, "per": "minute", "kind": "rate"}, clock=clock) as ent:
        assert all(ent.consume("acme", "any") for _ in range(most))
        refused = ent.consume("acme", "any")
        assert (refused.reason, refused.retry_after) == (Reason.RATE_LIMITED, 60 * MICRO // most)
        clock.now += 60 * MICRO // most
        assert ent.consume("acme", "any")


def test_row_1_18_freemium() -> None:
    """Free calls of a month with a day it begins, free tools, a plan above; beyond them: refused, charged or slowed."""
    free = {"name": "Free", "credits": {"default": "1", "tools": {"status": "0"}, "included": "2"}}
    clock = HandClock("2027-01-14T00:00:00")
    month = {"of": "*", "max": 1, "per": "month", "resets_on": 15, "upgrade_to": "premium"}
    with limited(month, clock=clock, premium={**PRO, "name": "Premium"}) as ent:
        assert ent.consume("acme", "any")
        refused = ent.consume("acme", "any")
        assert (refused.reason, refused.remedy and refused.remedy.id) == (Reason.QUOTA_EXCEEDED, "premium")
        clock.set("2027-01-15T00:00:00")
        assert ent.consume("acme", "any")
    with decided(plans={"pro": free}, tenants=ACME) as ent:
        assert [bool(ent.consume("acme", tool)) for tool in ("a", "a", "a", "status")] == [True, True, False, True]
    charged = {**PRO, "usage": {"calls": {"included": 1, "overage": {"unit_amount": "0.5"}}}, "features": ["all"]}
    with decided(plans={"pro": charged}, features={"all": {"name": "All"}}, tenants=ACME) as ent:
        assert [ent.consume("acme", "any").price for _ in range(2)] == [0, Decimal("0.5")]
        assert ent.feature("acme", "all")


def test_row_1_26_rates_in_any_window() -> None:
    """A rate holds by the second, minute, hour or day, whichever its window is."""
    for per, seconds in (("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400)):
        clock = HandClock()
        with limited({"of": "*", "max": 1, "per": per, "kind": "rate"}, clock=clock) as ent:
            assert ent.consume("acme", "any")
            clock.now += seconds * MICRO - 1
            assert not ent.consume("acme", "any")
            clock.now += 1
            assert ent.consume("acme", "any")


def test_row_2_17_tools_that_are_not_listed() -> None:
    """A tool that is not listed is refused, unless there is a default; a free one costs nothing and is counted."""
    prices = {"tools": {"paid": "0.50", "free": "0"}}
    plans = {"pro": {"name": "Pro", "per_call": prices}, "open": {"name": "Open", "per_call": {**prices, "default": 1}}}
    tenants = {**ACME, "bee": {"name": "Bee", "plan": "open"}}
    with decided(plans=plans, tenants=tenants) as ent:
        found = {tool: ent.check("acme", tool) for tool in ("paid", "free", "unknown")}
        assert [found[tool].price for tool in ("paid", "free")] == [Decimal("0.5"), 0]
        assert found["unknown"].reason is Reason.TOOL_NOT_IN_PLAN
        assert ent.check("bee", "unknown").price == 1


def test_row_2_4_limits_of_month_day_and_hour() -> None:
    """All limits hold at once, the tightest answers, and a refusal names the plan that lifts it."""
    limits = [
        {"of": "*", "max": most, "per": per, "upgrade_to": "more"}
        for most, per in ((4, "month"), (3, "day"), (2, "hour"))
    ]
    clock = HandClock()
    more = {"name": "More", "default_price": "m", "prices": {"m": {"amount": "9", "interval": "month"}}}
    with limited(*limits, clock=clock, more=more) as ent:
        assert [ent.consume("acme", "any").remaining for _ in range(2)] == [1, 0]
        refused = ent.consume("acme", "any")
        assert (refused.limit, refused.remedy and refused.remedy.id) == (2, "more")
        clock.now += 3600 * MICRO
        assert [bool(ent.consume("acme", "any")) for _ in range(2)] == [True, False]
        clock.now += 86400 * MICRO
        assert [bool(ent.consume("acme", "any")) for _ in range(2)] == [True, False]


def test_row_2_7_bursts() -> None:
    """A burst says how many calls may come at one instant, apart from the rate at which they are refilled."""
    clock = HandClock()
    with limited({"of": "*", "max": 60, "per": "minute", "kind": "rate", "burst": 90}, clock=clock) as ent:
        assert sum(bool(ent.consume("acme", "any")) for _ in range(100)) == 90
        clock.now += 2 * MICRO
        assert sum(bool(ent.consume("acme", "any")) for _ in range(10)) == 2


def test_row_2_9_usage_is_tracked_without_arguments() -> None:
    """An entry holds tool, cost, units and instant of a call, a failed one leaves no charge; arguments are in none."""
    with runtime("plans: {p: {name: P, credits: {default: 2}}}\ntenants: {acme: {name: A, plan: p}}\n") as ent:
        ent.grant("acme", 10, key="g")
        ent.consume("acme", "search", key="k")
        with pytest.raises(RuntimeError), ent.reserve("acme", "parse", key="failed"):
            raise RuntimeError
        entry = ent.ledger.store.entry("acme", "k")
        assert entry is not None
        assert (entry.answer[0][:4], entry.at) == (["search", "credits", 2 * MICRO, "credit"], HandClock().now)
        assert ent.balance("acme").credits == 8 * MICRO
        assert {each.kind for each in entries_of(ent, "acme")} == {"grant", "consume", "reserve", "release"}


def test_row_2_15_types_of_errors() -> None:
    """Refusals are one closed list of reasons; what is no answer is an exception of its own kind with a code."""
    kinds = {"insufficient_credits", "quota_exceeded", "rate_limited", "subscription_inactive", "feature_required"}
    assert kinds | {"unknown_tenant", "unknown_tool", "key_conflict", "store_unavailable"} <= {*map(str, Reason)}
    assert issubclass(StoreUnavailableError, LedgerError)
    assert issubclass(LedgerError, ReconcilerError)
    with runtime("tools: {t: {quantity: {from: argument.n}}}\nplans: {p: {name: P, credits: {default: 1}}}\n") as ent:
        assert ent.check("nobody", "any").reason is Reason.UNKNOWN_TENANT
        with pytest.raises(MeasureError):
            ent.consume("nobody", "t", quantity=-1)
        with pytest.raises(ValueError, match="cannot name a tenant"):
            ent.consume("", "t")


def test_row_2_16_tables(tmp_path: Path) -> None:
    """Accounts, lots, entries, counters and the outbox outlive the process, in one file, and add up when read again."""
    text = "plans: {p: {name: P, credits: {default: 2}, limits: [{of: '*', max: 3, per: day}]}}\n"
    text += "tenants: {acme: {name: A, plan: p}}\n"
    url = f"sqlite:///{tmp_path / 'usage.db'}"
    with runtime(text, url=url) as ent:
        ent.grant("acme", 10, key="g")
        ent.consume("acme", "any", key="k")
    with runtime(text, url=url) as ent:
        assert audit(ent).credits == 8 * MICRO
        assert json.loads(json.dumps(ent.balance("acme").as_json()))["allowances"][0]["used"] == 1
        assert ent.consume("acme", "any", key="k").replayed
