"""Remedies: the plan, pack or wait that would really unlock a refused call, and nothing that would not."""

import pytest

from reconciler.entitlements import Reason, Remedy

from .worlds import HandClock, at, runtime

FEBRUARY = at("2027-02-01T00:00:00")
PLANS = """
features: {pro-tools: {name: Pro tools}}
tools: {special: {requires: [pro-tools]}}
plans:
  free: {name: Free, default_price: m, prices: {m: {amount: 0, interval: month}},
         tools: [search], usage: {calls: {included: 2, overage: deny}}}
  other-free: {name: Other, default_price: m, prices: {m: {amount: 0, interval: month}},
         tools: [search, look], usage: {calls: {included: 2, overage: deny}}}
  basic: {name: Basic, default_price: m, prices: {m: {amount: 5, interval: month}},
         tools: [search], usage: {calls: {included: 10, overage: deny}}}
  old: {name: Old, status: legacy, default_price: m, prices: {m: {amount: 1, interval: month}},
         usage: {calls: {included: 9, overage: deny}}}
  pro: {name: Pro, default_price: annual, prices: {annual: {amount: 100, interval: year}}, features: [pro-tools],
         usage: {calls: {included: 50, overage: deny}},
         limits: [{of: calls, max: 3, per: minute, kind: rate}]}
tenants:
  acme: {name: Acme, plan: free}
  vip: {name: Vip, plan: pro, limits: [{of: calls, max: 1, per: day, upgrade_to: basic}]}
  own: {name: Own, plan: free, tools: [special], features: [pro-tools]}
"""


def bought(kind: str, name: str, tenant: str) -> str:
    """Return where something is bought."""
    return f"https://shop.example/{kind}/{name}?for={tenant}"


def test_a_plan_that_gives_no_more_is_no_remedy() -> None:
    """What is used counts against the plans on offer: another free plan of the same size unlocks nothing."""
    with runtime(PLANS) as ent:
        ent._urls = bought
        assert ent.consume("acme", "search", quantity=1)
        assert ent.consume("acme", "search")
        refused = ent.check("acme", "search")
        assert refused.reason is Reason.QUOTA_EXCEEDED
        assert refused.remedy == Remedy("plan", "basic", "Basic", bought("plan", "basic", "acme"), FEBRUARY)
        ent.set_subscription("acme", status="active", plan="basic")
        assert ent.consume("acme", meter="calls", quantity=8)
        remedy = ent.check("acme", "search").remedy
        assert remedy is not None
        assert remedy.id == "pro"


def test_a_tool_out_of_the_plan_is_unlocked_by_the_cheapest_plan_that_has_it() -> None:
    """Price decides among plans that allow the tool; drafts and plans no longer sold are not offered."""
    with runtime(PLANS) as ent:
        for tool, plan in (("look", "other-free"), ("draw", "pro"), ("special", "pro")):
            refused = ent.check("acme", tool)
            assert refused.reason is Reason.TOOL_NOT_IN_PLAN
            assert refused.remedy is not None
            assert (refused.remedy.kind, refused.remedy.id) == ("plan", plan)
        ent.set_subscription("acme", status="active", plan="old")
        refused = ent.check("acme", "special")
        assert refused.reason is Reason.FEATURE_REQUIRED
        assert refused.remedy is not None
        assert refused.remedy.id == "pro"


def test_a_rate_is_waited_for() -> None:
    """A rate that is exhausted refills: no plan is offered unless the limit names one, least of all a lesser one."""
    clock = HandClock("2027-01-10T00:00:00")
    with runtime(PLANS, clock) as ent:
        ent.set_subscription("acme", status="active", plan="pro")
        for _ in range(3):
            assert ent.consume("acme", "search")
        refused = ent.consume("acme", "search")
        assert refused.reason is Reason.RATE_LIMITED
        assert refused.retry_after == 20_000_000
        assert refused.remedy == Remedy("wait", at=clock.now + 20_000_000)


def test_a_limit_names_its_upgrade() -> None:
    """The plan a limit names is offered as it stands there."""
    with runtime(PLANS) as ent:
        assert ent.consume("vip", "search")
        refused = ent.check("vip", "search")
        assert (refused.reason, refused.source.split(":")[0]) == (Reason.QUOTA_EXCEEDED, "billing.d/test.yaml")
        assert refused.remedy is not None
        assert (refused.remedy.kind, refused.remedy.id) == ("plan", "basic")


def test_what_a_tenant_has_of_its_own_counts_under_any_plan() -> None:
    """A limit of the tenant's own is not lifted by another plan: only waiting helps."""
    text = PLANS.replace(", upgrade_to: basic", "")
    with runtime(text) as ent:
        assert ent.consume("vip", "search")
        assert ent.check("vip", "search").remedy == Remedy("wait", at=at("2027-01-02T00:00:00"))


@pytest.mark.parametrize(("quantity", "pack"), [(1, "small"), (100, "small"), (101, "large"), (10_000, "large")])
def test_the_cheapest_pack_that_fills_the_gap_is_offered(quantity: int, pack: str) -> None:
    """A pack has to bring what is missing, bonus counted; where none does, the largest is offered."""
    text = """
plans: {pro: {name: Pro, credits: {default: 1}}}
tenants: {acme: {name: Acme, plan: pro}}
credit_packs:
  large: {name: Large, credits: 500, price: 20.00}
  small: {name: Small, credits: 90, bonus: 10, price: 9.00}
  draft: {name: Draft, credits: 1000, price: 1.00, status: draft}
  euro: {name: Euro, credits: 500, price: 1.00, currency: eur}
"""
    with runtime(text) as ent:
        refused = ent.consume("acme", "search", quantity=quantity)
        assert refused.reason is Reason.INSUFFICIENT_CREDITS
        assert refused.remedy is not None
        assert (refused.remedy.kind, refused.remedy.id) == ("pack", pack)


def test_nothing_helps_who_is_unknown_or_suspended() -> None:
    """An unknown tenant and a subscription that is not paid have no remedy among plans and packs."""
    with runtime(PLANS) as ent:
        assert ent.check("nobody", "search")[1:3] == (Reason.UNKNOWN_TENANT, "nobody")
        assert ent.check("nobody", "search").remedy is None
        ent.set_subscription("acme", status="unpaid", plan="free")
        refused = ent.check("acme", "search")
        assert (refused.reason, refused.remedy) == (Reason.SUBSCRIPTION_INACTIVE, None)
