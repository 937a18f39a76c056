"""What a tenant has used, added up from the ledger's entries: the same as pricing says, to the decimal."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config.catalog import catalog_from_text
from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.usage_report import Row, TenantUsage, current_period, usage_of
from reconciler.money import to_major
from reconciler.pricing.rating import cost
from reconciler.pricing.tariff import call_prices, of_plan

from .worlds import HandClock, at

FILES = """
settings: {namespace: acme, default_meter: calls}
meters: {calls: {name: Calls}, tokens: {name: Tokens}, rows: {name: Rows}}
tiers:
  steps: {steps: [{up_to: 50, unit_amount: 0.05, flat_amount: 1.00}, {up_to: inf, unit_amount: 0.04}]}
tools:
  chat: {counts: {calls: 1, tokens: {from: result.tokens}}}
  load: {counts: {rows: {from: argument.rows}}}
plans:
  pro:
    name: Pro
    usage:
      calls: {included: 3, overage: {unit_amount: 0.25}}
      tokens: {included: 0, overage: {unit_amount: 0.00000015}}
      rows: {included: 10, overage: {tiers: steps}}
  payg:
    name: Pay
    per_call:
      default: 1.00
      tools: {chat: 5.00}
      discounts: {scope: tool, steps: [{up_to: 2}, {up_to: inf, percent_off: 10}]}
  credits:
    name: Credits
    credits: {default: 2, tools: {chat: 10}}
tenants:
  acme: {name: Acme, plan: pro}
"""
CATALOG, PROBLEMS = catalog_from_text(FILES)
assert CATALOG is not None, PROBLEMS
POLICY = compile_catalog(CATALOG)


def opened(clock: HandClock | None = None) -> Entitlements:
    """Open a runtime over the sample with a ledger in memory."""
    return Entitlements.open(POLICY, "sqlite://", mode="direct", clock=clock or HandClock())


def report(ent: Entitlements, tenant: str = "acme", period: tuple[int, int] | None = None) -> TenantUsage:
    """Report a tenant's running month, or a period."""
    store = ent.ledger.store
    month = period or current_period(POLICY, tenant, ent.subscription(tenant), store.now())
    entries = store.entries(tenant, limit=100_000)
    return usage_of(POLICY, tenant, entries, lambda key: store.entry(tenant, key), month)


def rows(usage: TenantUsage) -> dict[tuple[str, str], Row]:
    """Return the rows by tool and meter."""
    return {(row.tool, row.meter): row for row in usage.rows}


def meters(usage: TenantUsage) -> dict[str, Row]:
    """Return the sums by meter."""
    return {row.meter: row for row in usage.by_meter()}


def priced(plan: str, meter: str, units: int) -> Decimal:
    """Return what the files' own tariff says of units, in major units."""
    tariff = of_plan(CATALOG.file, plan)
    return to_major(cost(tariff.usage[meter].rate, units), tariff.currency) if units > 0 else Decimal(0)


CALLS = st.lists(
    st.tuples(st.sampled_from(["chat", "load", "echo", "reserve", "refund", "direct"]), st.integers(0, 40)), max_size=25
)


@given(CALLS)
@settings(max_examples=60)
def test_a_month_comes_to_what_pricing_says(calls: list[tuple[str, int]]) -> None:
    """Whatever is called, committed and refunded, every meter's units and money are those of its month's total."""
    used = {"calls": 0, "tokens": 0, "rows": 0}
    made: list[tuple[str, dict[str, int]]] = []
    with opened() as ent:
        for number, (what, amount) in enumerate(calls):
            key = f"k{number}"
            counted = {
                "chat": {"calls": 1, "tokens": amount},
                "load": {"rows": amount},
                "echo": {"calls": 1},
                "reserve": {"calls": 1, "tokens": amount},
                "direct": {"tokens": amount},
            }.get(what, {})
            measured = {meter: units for meter, units in counted.items() if meter != "calls"} or None
            if what == "reserve":
                ent.reserve("acme", "chat", units={"tokens": 40}, key=key).commit(units=measured)
            elif what == "direct":
                assert ent.consume("acme", meter="tokens", units=measured, key=key)
            elif what == "refund":
                if made:
                    of, counted = made.pop(amount % len(made))
                    ent.refund("acme", of, key=key)
                    counted = {meter: -units for meter, units in counted.items()}
            else:
                assert ent.consume("acme", what, units=measured, key=key)
            if what != "refund":
                made.append((key, counted))
            for meter, units in counted.items():
                used[meter] += units
        found = meters(report(ent))
    for meter, units in used.items():
        row = found.get(meter, Row("", meter))
        included = POLICY.plans["pro"].lines[meter].included
        assert row.units == units
        assert (row.within or 0, row.beyond or 0) == (min(units, included), max(units - included, 0))
        assert row.money == priced("pro", meter, units), meter
    assert found.get("", Row("", "")).calls == sum(1 for what, _ in calls if what != "refund")


def test_units_are_told_by_the_tool_that_used_them() -> None:
    """Each tool's units stand with it, first come first included, and the parts make the whole."""
    with opened() as ent:
        for tool in ("chat", "chat", "echo", "echo", "chat"):
            ent.consume("acme", tool, units={"tokens": 100} if tool == "chat" else None)
        found = rows(report(ent))
        assert found["chat", "calls"][3:6] == (3, 2, 1)
        assert found["echo", "calls"][3:6] == (2, 1, 1)
        assert (found["chat", "calls"].money, found["chat", "calls"].currency) == (Decimal("0.25"), "usd")
        assert found["chat", "tokens"].money == Decimal("0.000045")
        assert (found["chat", ""].calls, found["echo", ""].calls) == (3, 2)


def test_calls_paid_otherwise_are_told_in_what_they_were_paid_with() -> None:
    """Prices per call add up as pricing has them, credits as they were taken; neither counts on a usage line."""
    with opened() as ent:
        ent.set_subscription("acme", status="active", plan="payg")
        ent.set_subscription("zoo", status="active", plan="credits")
        ent.grant("zoo", 100, key="g")
        for tool in ("chat", "echo", "chat", "chat", "echo"):
            for tenant in ("acme", "zoo"):
                assert ent.consume(tenant, tool, units={"tokens": 9} if tool == "chat" else None, key=None)
        prices = call_prices(CATALOG.file, CATALOG.file.plans["payg"].per_call, "usd")
        charges = prices.month([("chat", 1), ("echo", 1), ("chat", 2), ("echo", 1)])
        found = rows(report(ent))
        for tool, amount in charges.items():
            assert found[tool, ""].money == to_major(amount, "usd")
        assert found["chat", "tokens"] == Row("chat", "tokens", 0, 27)
        taken = {tool: row.credits for (tool, meter), row in rows(report(ent, "zoo")).items() if not meter}
        assert taken == {"chat": 30_000_000, "echo": 4_000_000}


def test_a_refund_is_taken_from_the_tool_it_is_of() -> None:
    """Credits and units that go back stand with their tool, also where only a part goes back."""
    with opened() as ent:
        ent.set_subscription("acme", status="active", plan="credits")
        ent.grant("acme", 100, key="g")
        ent.consume("acme", "chat", units={"tokens": 5}, key="a")
        ent.consume("acme", "echo", key="b")
        ent.refund("acme", "a", key="r1", credits=4)
        assert rows(report(ent))["chat", ""].credits == 6_000_000
        ent.refund("acme", "a", key="r2")
        found = rows(report(ent))
        assert (found["chat", ""].credits, found["chat", "tokens"].units) == (0, 0)
        assert (found["echo", ""].credits, found["echo", ""].calls, found["chat", ""].calls) == (2_000_000, 1, 1)


def test_a_period_begins_where_the_subscription_says() -> None:
    """Included units begin anew with the billing month, and a report of a month holds that month alone."""
    clock = HandClock("2027-01-10T12:00:00")
    with opened(clock) as ent:
        start, end = (datetime(2027, month, 10, 12, tzinfo=UTC) for month in (1, 2))
        ent.set_subscription("acme", status="active", plan="pro", period=(start, end))
        for _ in range(5):
            ent.consume("acme", "echo")
        clock.set("2027-02-10T11:59:59")
        ent.consume("acme", "echo")
        january = (at("2027-01-10T12:00:00"), at("2027-02-10T12:00:00"))
        assert report(ent).rows == report(ent, period=january).rows
        assert rows(report(ent))["echo", "calls"][3:6] == (6, 3, 3)
        clock.set("2027-02-10T12:00:00")
        ent.consume("acme", "echo")
        assert rows(report(ent))["echo", "calls"][3:6] == (1, 1, 0)
        late = rows(report(ent, period=(at("2027-02-01T00:00:00"), at("2027-02-11T00:00:00"))))
        assert late["echo", "calls"][3:6] == (2, 1, 1)
        assert late["echo", "calls"].money == Decimal("0.25")


def test_what_was_short_is_told() -> None:
    """Credits a committed call did not find stand beside those it took."""
    with opened() as ent:
        ent.set_subscription("acme", status="active", plan="credits")
        ent.grant("acme", 15, key="g")
        held = ent.reserve("acme", "chat", units={"tokens": 1}, key="h")
        held.commit(quantity=2)
        found = rows(report(ent))["chat", ""]
        assert (found.credits, found.short) == (15_000_000, 5_000_000)


def test_calls_out_of_a_lease_are_counted(tmp_path: Any) -> None:
    """Calls a process decides for itself, with keys and without, are as many as were made."""
    url = f"sqlite:///{tmp_path / 'usage.db'}"
    with Entitlements.open(POLICY, url, mode="lease", journal=tmp_path / "journal") as ent:
        ent.set_subscription("acme", status="active", plan="credits")
        ent.grant("acme", 10_000, key="g")
        for number in range(100):
            assert ent.consume("acme", "echo", key=f"k{number}" if number % 3 == 0 else None)
    with Entitlements.open(POLICY, url, mode="direct") as ent:
        found = rows(report(ent))
        assert (found["echo", ""].calls, found["echo", ""].credits) == (100, 200_000_000)
        assert found["echo", "calls"].units == 100
