"""Credits a month brings: once for a month, whatever clock, billing cycle, plan and policy do meanwhile."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from reconciler.entitlements.periods import micros

from .audit import audit, entries_of, kinds
from .worlds import HandClock, policy, runtime

PLANS = """
plans:
  pro: {name: Pro, credits: {default: 1, included: 100}}
  large: {name: Large, credits: {default: 1, included: 300}}
  keep: {name: Keep, credits: {default: 1, included: 100, rollover: true}}
  none: {name: None, credits: {default: 1}}
tenants:
  acme: {name: Acme, plan: PLAN}
"""


def on(month: int, day: int) -> datetime:
    """Return a midnight of 2027."""
    return datetime(2027, month, day, tzinfo=UTC)


@pytest.mark.parametrize(("plan", "left"), [("pro", 100), ("keep", 180), ("none", 0)])
def test_a_new_month_brings_its_credits(plan: str, left: int) -> None:
    """At its first instant a month brings its credits; what is left of the last has expired, or is kept."""
    clock = HandClock("2027-01-15T00:00:00")
    with runtime(PLANS.replace("PLAN", plan), clock) as ent:
        ent.consume("acme", "search", quantity=20)
        clock.set("2027-01-31T23:59:59")
        assert ent.balance("acme").credits == (80_000_000 if left else 0)
        clock.set("2027-02-01T00:00:00")
        assert ent.balance("acme").credits == left * 1_000_000
        ent.sweep()
        audit(ent)


def test_a_clock_that_goes_back_brings_no_month_again() -> None:
    """Back in the month before, nothing is granted, not even when the subscription changes; time then goes on."""
    clock = HandClock("2027-03-01T00:00:00")
    with runtime(PLANS.replace("PLAN", "pro"), clock) as ent:
        ent.consume("acme", "search")
        clock.set("2027-02-15T00:00:00")
        ent.set_subscription("acme", status="active", plan="pro")
        assert audit(ent).credits == 99_000_000
        clock.set("2027-03-15T00:00:00")
        ent.sweep()
        assert audit(ent).credits == 99_000_000
        clock.set("2027-04-01T00:00:00")
        ent.sweep()
        assert audit(ent).credits == 100_000_000


def test_a_billing_cycle_moved_to_and_fro_brings_no_month_again() -> None:
    """A later anchor begins a new month; going back to an earlier one begins none."""
    clock = HandClock("2027-03-15T00:00:00")
    with runtime(PLANS.replace("PLAN", "pro"), clock) as ent:
        for start in (on(3, 1), on(3, 10), on(3, 1), on(3, 10), on(3, 5)):
            ent.consume("acme", "search", quantity=10)
            ent.set_subscription("acme", status="active", plan="pro", period=(start, on(4, start.day)))
        assert audit(ent).credits == 70_000_000
        assert kinds(ent).count("reset") == 2


@pytest.mark.parametrize(("status", "left"), [("trialing", 90), ("active", 100)])
def test_one_trial_after_another_brings_no_month_again(status: str, left: int) -> None:
    """Trials begun one after the other within a month bring its credits once; what is paid for brings its own."""
    clock = HandClock("2027-03-10T00:00:00")
    with runtime(PLANS.replace("PLAN", "none"), clock) as ent:
        ent.set_subscription("acme", status="trialing", plan="pro", period=(on(3, 10), on(3, 24)), anchor=on(3, 24))
        ent.consume("acme", "search", quantity=10)
        ent.set_subscription("acme", status="canceled", plan="pro")
        clock.set("2027-03-11T00:00:00")
        ent.set_subscription("acme", status=status, plan="pro", period=(on(3, 11), on(3, 25)), anchor=on(3, 11))
        assert audit(ent).credits == left * 1_000_000


def test_a_trial_of_months_brings_each_of_them() -> None:
    """A trial that lasts brings credits every month, whatever the day it ends on, and so does what it becomes."""
    clock = HandClock("2027-01-20T00:00:00")
    with runtime(PLANS.replace("PLAN", "none"), clock) as ent:
        ent.set_subscription("acme", status="trialing", plan="pro", period=(on(1, 20), on(3, 31)), anchor=on(3, 31))
        given = []
        for now in ("2027-01-20", "2027-01-31", "2027-02-28", "2027-03-31"):
            clock.set(f"{now}T00:00:00")
            if now == "2027-03-31":
                ent.set_subscription("acme", status="active", plan="pro", period=(on(3, 31), on(4, 30)))
            given.append(ent.balance("acme").credits // 1_000_000)
            ent.consume("acme", "search", quantity=100)
        assert given == [100, 100, 100, 100]
        audit(ent)


def test_a_renewal_without_an_anchor_keeps_the_day() -> None:
    """From 28 February to 31 March a subscription of the 31st is one still, so its credits of March end on the 31st."""
    clock = HandClock("2027-02-28T00:00:00")
    with runtime(PLANS.replace("PLAN", "pro"), clock) as ent:
        for start, end in ((on(1, 31), on(2, 28)), (on(2, 28), on(3, 31))):
            kept = ent.set_subscription("acme", status="active", plan="pro", period=(start, end))
            assert kept.anchor == micros(on(1, 31))
        ent.consume("acme", "search", quantity=10)
        clock.set("2027-03-30T00:00:00")
        assert audit(ent).credits == 90_000_000
        clock.set("2027-03-31T00:00:00")
        ent.sweep()
        assert audit(ent).credits == 100_000_000


def test_a_plan_with_more_brings_the_difference_once() -> None:
    """Moving up gives what the month lacks, moving down takes nothing, and moving up again gives nothing."""
    clock = HandClock("2027-03-15T00:00:00")
    with runtime(PLANS.replace("PLAN", "pro"), clock) as ent:
        for plan, expected in (("pro", 100), ("large", 300), ("pro", 300), ("none", 300), ("large", 300)):
            ent.set_subscription("acme", status="active", plan=plan)
            assert audit(ent).credits == expected * 1_000_000
        clock.set("2027-04-01T00:00:00")
        assert ent.balance("acme").credits == 300_000_000


def test_a_policy_with_more_brings_the_difference_at_the_next_call() -> None:
    """A reload that includes more is felt in the running month, one that includes less in the next."""
    clock = HandClock("2027-03-15T00:00:00")
    text = PLANS.replace("PLAN", "pro")
    with runtime(text, clock) as ent:
        ent.consume("acme", "search", quantity=100)
        ent.reload(policy(text.replace("included: 100", "included: 150", 1)))
        assert ent.balance("acme").credits == 50_000_000
        ent.consume("acme", "search", quantity=50)
        ent.reload(policy(text.replace("included: 100", "included: 70", 1)))
        assert ent.balance("acme").credits == 0
        clock.set("2027-04-01T00:00:00")
        assert ent.balance("acme").credits == 70_000_000
        ent.sweep()
        audit(ent)


@pytest.mark.parametrize("status", ["canceled", "paused", "unpaid", "incomplete"])
def test_who_may_not_call_gets_no_credits(status: str) -> None:
    """Months that begin while a subscription entitles to nothing bring none; once it is active again they do."""
    clock = HandClock("2027-01-15T00:00:00")
    with runtime(PLANS.replace("PLAN", "keep"), clock) as ent:
        ent.set_subscription("acme", status="active", plan="keep")
        ent.set_subscription("acme", status=status, plan="keep")
        clock.set("2027-05-02T00:00:00")
        ent.sweep()
        assert audit(ent).credits == 100_000_000
        ent.set_subscription("acme", status="active", plan="keep")
        assert audit(ent).credits == 200_000_000


def test_grace_that_is_over_brings_no_credits() -> None:
    """A month that begins within the grace of a failed payment brings credits, the months after it do not."""
    clock = HandClock("2027-01-28T00:00:00")
    with runtime(PLANS.replace("PLAN", "keep"), clock) as ent:
        ent.set_subscription("acme", status="past_due", plan="keep")
        clock.set("2027-02-01T00:00:00")
        ent.sweep()
        assert audit(ent).credits == 200_000_000
        clock.set("2027-05-01T00:00:00")
        ent.sweep()
        assert audit(ent).credits == 200_000_000
        assert ent.balance("acme").refused == "subscription_inactive"


def test_what_somebody_grants_is_not_taken_for_the_month_s() -> None:
    """A grant with any words as its reason lives on when a new month ends the last one's credits."""
    clock = HandClock("2027-01-15T00:00:00")
    with runtime(PLANS.replace("PLAN", "pro"), clock) as ent:
        ent.grant("acme", 5, key="lot", expires=on(12, 1), reason="included")
        clock.set("2027-02-01T00:00:00")
        assert ent.balance("acme").credits == 105_000_000


def test_a_refund_into_a_month_that_was_cut_short_is_lost() -> None:
    """A new billing cycle ends the month's credits early; what a call took of them is lost, not revived."""
    clock = HandClock("2027-03-02T00:00:00")
    with runtime(PLANS.replace("PLAN", "pro"), clock) as ent:
        ent.consume("acme", "search", quantity=10, key="call")
        clock.set("2027-03-10T00:00:00")
        ent.set_subscription("acme", status="active", plan="pro", period=(on(3, 10), on(4, 10)))
        assert ent.refund("acme", "call", key="r").lost == 10_000_000
        clock.set("2027-04-02T00:00:00")
        ent.sweep()
        assert audit(ent).credits == 100_000_000


def test_lazy_and_swept_are_the_same_entries() -> None:
    """Swept at every change, or a year made up for at once: the same is entered at the same instants."""
    books = []
    for swept in (True, False):
        clock = HandClock("2027-01-31T10:30:00")
        with runtime(PLANS.replace("PLAN", "pro"), clock) as ent:
            ent.set_subscription("acme", status="active", plan="pro", period=(on(1, 31), on(2, 28)))
            ent.grant("acme", 7, key="lot", expires=on(6, 6))
            ent.reserve("acme", "search", key="job", seconds=86_400 * 200)
            for month in range(2, 13) if swept else ():
                clock.set(f"2027-{month:02d}-01T00:00:00")
                ent.sweep()
            clock.set("2028-01-31T00:00:00")
            ent.sweep()
            audit(ent)
            books.append([entry[1:] for entry in entries_of(ent, "acme")])
    assert books[0] == books[1]
    assert len(books[0]) > 25


def test_tools_that_are_no_longer_called_are_forgotten() -> None:
    """A book does not grow with every tool that was ever called: last month's counters go, this month's stay exact."""
    text = """
plans:
  calls:
    name: Calls
    per_call: {default: 1.00, discounts: {scope: tool, steps: [{up_to: 1}, {up_to: inf, percent_off: 50}]}}
tenants: {acme: {name: Acme, plan: calls}}
"""
    clock = HandClock("2027-01-15T00:00:00")
    with runtime(text, clock) as ent:
        for number in range(100):
            ent.consume("acme", f"tool-{number}")
        assert ent.consume("acme", "tool-7").price == Decimal("0.5")
        assert len(audit(ent).counters) == 100
        clock.set("2027-02-01T00:00:00")
        assert ent.consume("acme", "tool-7").price == 1
        assert ent.consume("acme", "tool-8").price == 1
        assert ent.consume("acme", "tool-7").price == Decimal("0.5")
        assert len(audit(ent).counters) == 2
