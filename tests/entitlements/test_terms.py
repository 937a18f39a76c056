"""Terms of a tenant: its own over the plan's, ties as the files have them, windows that no billing period cuts."""

from datetime import UTC, datetime

from reconciler.entitlements import Policy, Reason

from .audit import audit
from .worlds import HandClock, at, policy, runtime


def test_a_late_commit_is_counted_like_any_other() -> None:
    """A hold that lapsed counts nothing; its late commit counts what was used, and the quota knows."""
    text = """
plans: {pro: {name: Pro, usage: {calls: {included: 5, overage: deny}}}}
tenants: {acme: {name: Acme, plan: pro}}
"""
    clock = HandClock()
    with runtime(text, clock) as ent:
        held = ent.reserve("acme", meter="calls", quantity=3, key="job", seconds=60)
        clock.now += 60_000_000
        assert ent.balance("acme").allowances[0].used == 0
        assert held.commit(4)
        assert ent.balance("acme").allowances[0].used == 4
        assert ent.consume("acme", "search")
        assert ent.consume("acme", "search").reason is Reason.QUOTA_EXCEEDED
        audit(ent)


def test_a_tenant_s_limit_stands_in_place_of_the_plan_s() -> None:
    """Limits of the same target are replaced, tighter or wider; those of other targets stay."""
    text = """
plans:
  pro:
    name: Pro
    prices: {m: {amount: 1, interval: month}}
    limits: [{of: calls, max: 2, per: day}, {of: draw, max: 1, per: day}]
tenants:
  wide: {name: Wide, plan: pro, limits: [{of: calls, max: 4, per: day}]}
  plain: {name: Plain, plan: pro}
"""
    with runtime(text) as ent:
        for tenant, most in (("wide", 4), ("plain", 2)):
            assert ent.consume(tenant, "draw")
            assert ent.consume(tenant, "draw").reason is Reason.QUOTA_EXCEEDED
            assert sum(bool(ent.consume(tenant, "search")) for _ in range(5)) == most - 1


def test_a_tenant_s_own_units_are_used_beside_a_plan_that_orders_others() -> None:
    """A plan's order that knows no usage lets the units a tenant has of its own pay first."""
    text = """
plans: {pro: {name: Pro, pay: [credits, per_call], credits: {default: 1}, per_call: {default: 1.00}}}
tenants: {acme: {name: Acme, plan: pro, usage: {calls: {included: 1, overage: deny}}}, other: {name: Other, plan: pro}}
"""
    with runtime(text) as ent:
        ent.grant("acme", 1, key="lot")
        assert [ent.consume("acme", "search").paid_by for _ in range(3)] == ["usage", "credits", "per_call"]
        assert ent.consume("other", "search").paid_by == "per_call"


def test_a_policy_file_keeps_the_order_that_decides_ties() -> None:
    """Of two globs that say as much the earlier one speaks, from the files and from a compiled policy alike."""
    text = """
plans: {pro: {name: Pro, credits: {tools: {"b*": 1, "*b": 2, "a*": 3, "*a": 4}}}}
tenants: {acme: {name: Acme, plan: pro}}
"""
    made = policy(text)
    prices = []
    for each in (made, Policy.load(made.dump())):
        with runtime(text) as ent:
            ent.reload(each)
            ent.grant("acme", 10, key="lot")
            prices.append([ent.check("acme", tool).price for tool in ("bb", "ba", "ab", "aa")])
    assert prices == [[1, 1, 2, 3]] * 2


def test_no_billing_period_begins_inside_a_window() -> None:
    """A weekly cycle that turns at half past the hour parts the units before it from those after it."""
    text = """
plans: {pro: {name: Pro, usage: {calls: {overage: {unit_amount: 0.01}, interval: week}}}}
tenants: {acme: {name: Acme, plan: pro}}
"""
    clock = HandClock("2027-01-08T10:29:59")
    with runtime(text, clock) as ent:
        anchor = datetime(2027, 1, 1, 10, 30, tzinfo=UTC)
        ent.set_subscription("acme", status="active", plan="pro", anchor=anchor)
        ent.consume("acme", "search")
        clock.set("2027-01-08T10:30:00")
        ent.consume("acme", meter="calls", quantity=2)
        assert audit(ent).used["calls"] == {
            at("2027-01-08T10:00:00") // 1_000_000: 1,
            at("2027-01-08T10:30:00") // 1_000_000: 2,
        }


def test_spend_meters_are_nobody_s_to_count_on() -> None:
    """What money is booked on is no meter a caller can name; a meter of the files is."""
    text = """
plans:
  flat: {name: Flat, prices: {m: {amount: 1, interval: month}}}
  calls: {name: Calls, per_call: {default: 1.00}}
tenants: {acme: {name: Acme, plan: flat}}
"""
    with runtime(text) as ent:
        assert ent.consume("acme", meter="spend.usd", quantity=10**6).reason is Reason.UNKNOWN_TOOL
        assert ent.consume("acme", meter="calls", quantity=2)
        assert set(audit(ent).used) == {"calls"}


def test_what_keeps_the_last_value_is_stripe_s_alone() -> None:
    """A line sold on a meter that keeps the last value is none of the runtime's: its plan is paid by the flat price.

    Beside it a line on a meter that adds up is paid and counted as ever.
    """
    seats = "seats: {included: 5, overage: {unit_amount: 2}}"
    files = f"""
meters: {{calls: {{name: Calls}}, seats: {{name: Seats, aggregation: last}}}}
plans:
  flat: {{name: Flat, usage: {{{seats}}}}}
  both: {{name: Both, usage: {{{seats}, calls: {{included: 1, overage: deny}}}}}}
tenants: {{a: {{name: A, plan: flat, usage: {{{seats}}}}}, b: {{name: B, plan: both}}}}
"""
    with runtime(files) as ent:
        assert list(ent.policy.meters) == ["calls"]
        assert [bool(ent.consume("a", "search")) for _ in range(3)] == [True] * 3
        assert ent.consume("a", meter="seats", quantity=3).reason is Reason.UNKNOWN_TOOL
        assert [bool(ent.consume("b", "search")) for _ in range(3)] == [True, False, False]
