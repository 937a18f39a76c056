"""Refunds of what was billed: taken back while the billing period runs, owed back as money once it is over."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.entitlements import Entitlements
from reconciler.entitlements.policy import SPEND
from reconciler.entitlements.usage_report import OwedBack
from reconciler.ledger.verify import verify

from .audit import audit
from .test_usage_report import POLICY, meters, opened, priced, report
from .worlds import HandClock, at, runtime

MONTHS = [at(f"2027-0{month}-01T00:00:00") for month in (1, 2, 3, 4)]
HOUR = 3_600_000_000
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["chat", "load", "refund", "refund", "seal", "pass"]), st.integers(0, 60), st.integers(0, 500)
    ),
    max_size=25,
)


def billed(ent: Entitlements) -> Counter[tuple[str, int]]:
    """Return units by meter and month, waiting and handed over, as Stripe adds them up."""
    found: Counter[tuple[str, int]] = Counter()
    for meter, windows in audit(ent).used.items():
        for window, units in windows.items():
            found[meter, datetime.fromtimestamp(window, UTC).month] += units
    for export in ent.ledger.store.exports():
        found[export.meter, datetime.fromtimestamp(export.window, UTC).month] += export.units
    return found


@pytest.mark.parametrize("plan", ["pro", "payg"])
@given(steps=STEPS)
@settings(max_examples=40)
def test_nothing_refunded_is_lost(plan: str, steps: list[tuple[str, int, int]]) -> None:
    """Whenever calls are refunded no month's total is below zero, and bills less what is owed are what was kept."""
    clock, kept, made = HandClock(), Counter[tuple[str, int]](), list[tuple[str, int, dict[str, int], Decimal]]()
    with opened(clock) as ent:
        ent.set_subscription("acme", status="active", plan=plan)
        for number, (what, amount, hours) in enumerate(steps):
            clock.now = min(clock.now + hours * HOUR, MONTHS[3] - 1)
            month = datetime.fromtimestamp(clock.now // 1_000_000, UTC).month
            if what in {"chat", "load"}:
                measured = {"chat": {"tokens": amount}, "load": {"rows": amount}}[what]
                decision = ent.consume("acme", what, units=measured, key=f"k{number}")
                counted = {"calls": 1, **measured} if what == "chat" else measured
                made.append((f"k{number}", month, counted, decision.price or Decimal(0)))
                kept.update({(meter, month): units for meter, units in counted.items()})
                kept[SPEND, month] += int((decision.price or 0) * 10**6)
            elif what == "refund" and made:
                of, month, counted, price = made.pop(amount % len(made))
                ent.refund("acme", of, key=f"r{number}")
                kept.subtract({(meter, month): units for meter, units in counted.items()})
                kept[SPEND, month] -= int(price * 10**6)
            elif what == "seal":
                ent.seal(clock.now // 1_000_000 + 1)
        assert all(units >= 0 for units in billed(ent).values())
        assert verify(ent.ledger.store) == []
        months = [report(ent, period=bounds) for bounds in pairwise(MONTHS)]
    owed: Counter[tuple[str, int]] = Counter()
    for each in (each for usage in months for each in usage.owed):
        owed[each.meter or SPEND, datetime.fromtimestamp(each.start // 1_000_000, UTC).month] += each.money  # type: ignore[assignment]
    for month, usage in enumerate(months, 1):
        for meter in ("calls", "tokens", "rows") if plan == "pro" else ("",):
            row = meters(usage).get(meter)
            money = (row.money if row else Decimal(0)) - owed[meter or SPEND, month]
            right = Decimal(kept[SPEND, month]).scaleb(-6) if not meter else priced("pro", meter, kept[meter, month])
            assert money == right, (meter, month)


def test_what_is_owed_back_is_told_with_its_money() -> None:
    """The last units of a month that is over are worth what they cost in it, included ones nothing."""
    clock = HandClock("2027-01-20T10:00:00")
    with opened(clock) as ent:
        for number in range(5):
            ent.consume("acme", "chat", units={"tokens": 0}, key=f"k{number}")
        ent.seal(clock.now // 1_000_000 + 1)
        clock.set("2027-02-03T00:00:00")
        found = [ent.refund("acme", f"k{number}", key=f"r{number}") for number in range(3)]
        assert [each.owed for each in found] == [{"calls": 1}] * 3
        assert ent.refund("acme", "k0", key="r0") == found[0]
        assert ent.refund("acme", "k0", key="again").owed == {}
        usage = report(ent)
        one = OwedBack(clock.now, "chat", "calls", 1, MONTHS[0], MONTHS[1], Decimal("0.25"), "usd")
        assert usage.owed == (one, one, one._replace(money=Decimal(0)))
        assert usage.by_meter()[0].units == 0
        january = report(ent, period=(MONTHS[0], MONTHS[1]))
        assert (january.owed, meters(january)["calls"].money) == ((), Decimal("0.50"))


def test_a_plan_that_is_left_owes_what_it_sold() -> None:
    """Units that one plan sold are owed at its price after another one came, which sells none of them."""
    clock = HandClock("2027-01-20T10:00:00")
    with opened(clock) as ent:
        ent.consume("acme", meter="calls", quantity=5, key="k")
        ent.seal(clock.now // 1_000_000 + 1)
        ent.set_subscription("acme", status="active", plan="payg")
        clock.set("2027-02-03T00:00:00")
        assert ent.refund("acme", "k", key="r").owed == {"calls": 5}
        (owed,) = report(ent).owed
        assert (owed.units, owed.money, owed.currency) == (5, Decimal("0.50"), "usd")


def test_an_hour_that_was_not_handed_over_is_taken_back_all_the_same() -> None:
    """Just after midnight of a new month the last hour of the old one waits still: what it holds is not billed."""
    clock = HandClock("2027-01-31T23:59:00")
    with opened(clock) as ent:
        ent.consume("acme", meter="tokens", units={"tokens": 9}, key="k")
        clock.set("2027-02-01T00:01:00")
        assert ent.refund("acme", "k", key="r").owed == {}
        assert set(audit(ent).used["tokens"].values()) == {0}
        assert report(ent, period=(MONTHS[0], MONTHS[1])).by_meter()[1].units == 0


def test_a_window_too_old_for_stripe_is_left_alone() -> None:
    """In a year's period units of months ago are taken out of the running hour, which is of the same period."""
    clock = HandClock("2027-01-10T00:00:00")
    files = """
plans: {pro: {name: Pro, usage: {calls: {overage: {unit_amount: 1}, interval: year}}}}
tenants: {acme: {name: Acme, plan: pro}}
"""
    with runtime(files, clock) as ent:
        year = (datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
        ent.set_subscription("acme", status="active", plan="pro", period=year)
        ent.consume("acme", meter="calls", quantity=5, key="k")
        ent.seal(clock.now // 1_000_000 + 1)
        clock.set("2027-06-01T00:00:00")
        assert ent.refund("acme", "k", key="r").owed == {}
        assert audit(ent).used == {"calls": {clock.now // 1_000_000: -5}}
        clock.set("2028-01-01T00:00:00")
        ent.consume("acme", meter="calls", quantity=5, key="k2")
        assert ent.refund("acme", "k2", key="r2").owed == {}


def test_what_is_not_sold_is_never_owed() -> None:
    """Units of a plan that is paid by its flat price are taken back whenever it is; there is no money to give back."""
    clock = HandClock("2027-01-10T00:00:00")
    files = "plans: {flat: {name: Flat}}\ntenants: {acme: {name: Acme, plan: flat}}\n"
    with runtime(files, clock) as ent:
        ent.consume("acme", "search", key="k")
        clock.set("2027-03-01T00:00:00")
        assert ent.refund("acme", "k", key="r").owed == {}


assert POLICY.zone == "UTC"
