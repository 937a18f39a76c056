"""Figures of a day: what entries add up to, the same in any portions, and never other than the books say."""

from collections import Counter
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.entitlements.daily import Figures, Folded, Key, Window, folded, whole
from reconciler.entitlements.periods import instant
from reconciler.entitlements.usage_billed import BilledUse
from reconciler.entitlements.usage_report import usage_of

from .audit import audit, entries_of, kinds
from .diary import live, lives
from .worlds import HandClock, at, runtime

DAY = at("2027-01-01T00:00:00") // 86_400_000_000
FILES = """
settings: {namespace: acme, default_meter: calls, currency: usd}
meters: {calls: {name: Calls}, rows: {name: Rows}}
plans:
  credits: {name: Credits, credits: {default: 2, tools: {chat: 10}}}
  payg: {name: Pay as you go, per_call: {default: 1.00}}
tenants: {acme: {name: Acme, plan: credits}, other: {name: Other, plan: payg}}
"""


def added(one: Folded, other: Folded) -> Folded:
    """Add what two portions add up to."""
    figures = dict(one.figures)
    for key, found in other.figures.items():
        figures[key] = figures.get(key, Figures()).plus(found)
    windows = Counter(one.windows)
    windows.update(other.windows)
    kept = {window: number for window, number in windows.items() if number}
    return Folded({key: found for key, found in figures.items() if any(found)}, kept)


def everything(ent: Any, tenant: str = "acme") -> Folded:
    """Add up all of a tenant's entries at once."""
    return folded(entries_of(ent, tenant), partial(ent.ledger.store.entry, tenant))


def total(found: Folded) -> Figures:
    """Add up figures of all days, tools and meters."""
    sums = Figures()
    for each in found.figures.values():
        sums = sums.plus(each)
    return sums


@settings(max_examples=30)
@given(life=lives, cuts=st.lists(st.integers(2, 9), min_size=1, max_size=4))
def test_portions_add_up_to_the_whole(life: list[Any], cuts: list[int]) -> None:
    """Entries added up in any portions come to the same as added up at once."""
    ent = live(life)
    find, after, found, turn = partial(ent.ledger.store.entry, "acme"), 0, Folded({}, {}), 0
    while page := whole(ent.ledger.store.entries("acme", after, cuts[turn % len(cuts)])):
        found, after, turn = added(found, folded(page, find)), page[-1].seq, turn + 1
    assert after == ent.ledger.store.read("acme").seq
    assert found == everything(ent)


@settings(max_examples=30)
@given(life=lives)
def test_credits_close_with_the_book(life: list[Any]) -> None:
    """What was granted less what was spent, ran out or was taken away is what the book has, held or not."""
    ent = live(life)
    book, sums = audit(ent), total(everything(ent))
    assert sums.granted - sums.credits - sums.expired - sums.voided == book.credits + book.held
    assert sums.calls == sum(kind in {"consume", "commit"} for kind in kinds(ent))
    assert sums.refunds == kinds(ent).count("refund")


@settings(max_examples=30)
@given(life=lives)
def test_units_are_those_of_the_usage_report(life: list[Any]) -> None:
    """Calls, units and charges of all days are those of the usage report of all time, tool by tool."""
    ent = live(life)
    store = ent.ledger.store
    usage = usage_of(ent.policy, "acme", entries_of(ent, "acme"), partial(store.entry, "acme"), (0, 1 << 60))
    report: Counter[tuple[str, str]] = Counter()
    for row in usage.rows:
        report[row.tool, row.meter] += row.units + row.calls
    ours: Counter[tuple[str, str]] = Counter()
    for key, found in everything(ent).figures.items():
        ours[key.tool, key.meter] += found.units + found.calls
    assert {key: number for key, number in ours.items() if number} == {
        key: number for key, number in report.items() if number
    }
    assert sum(row.credits for row in usage.rows) == total(everything(ent)).credits


@settings(max_examples=30)
@given(life=lives)
def test_windows_bill_what_entries_bill(life: list[Any]) -> None:
    """What is billed of a month by windows that were added up is what is billed of it by the entries."""
    ent = live(life)
    by_entries = BilledUse(entries_of(ent, "acme"), partial(ent.ledger.store.entry, "acme"))
    by_windows = BilledUse.of_windows(everything(ent).windows)
    for month in range(1, 12):
        period = (instant(at(f"2027-{month:02}-01T00:00:00")), instant(at(f"2027-{month + 1:02}-01T00:00:00")))
        for meter in ("calls", "rows", "spend.usd"):
            assert by_windows.units(meter, period) == by_entries.units(meter, period)
        ours, theirs = by_windows.within(period, "usd"), by_entries.within(period, "usd")
        assert sum((ours.charged or {}).values()) == sum((theirs.charged or {}).values())
        assert {meter: number for meter, number in ours.units.items() if number} == {
            meter: number for meter, number in theirs.units.items() if number
        }


def test_a_day_tells_what_happened_on_it() -> None:
    """A call counts on its day, its refund on the day of the refund, and what was charged by currency."""
    clock = HandClock("2027-01-01T23:59:59")
    ent = runtime(FILES, clock)
    ent.grant("acme", 100, key="g")
    ent.consume("acme", "chat", key="one")
    clock.set("2027-01-02T00:00:00")
    ent.consume("acme", "chat", key="two")
    ent.refund("acme", "one", key="back")
    assert everything(ent).figures == {
        Key(DAY, ""): Figures(granted=100_000_000),
        Key(DAY, "chat"): Figures(calls=1, credits=10_000_000),
        Key(DAY, "chat", "calls"): Figures(units=1),
        Key(DAY + 1, "chat"): Figures(calls=1, refunds=1),
    }
    ent.consume("other", "search")
    found = everything(ent, "other")
    assert found.figures[Key(DAY + 1, "search", "", "usd")] == Figures(money=1_000_000)
    assert found.windows == {Window("spend.usd", (DAY + 1) * 86_400): 1_000_000}


def test_reservations_are_told_by_their_tool() -> None:
    """Holds count with their tool when they begin, and as committed, released or lapsed when they end."""
    clock = HandClock()
    ent = runtime(FILES, clock)
    ent.grant("acme", 100, key="g")
    for number in range(4):
        assert ent.reserve("acme", "chat", key=f"h{number}", seconds=60)
    ent.release("acme", "h1")
    ent.commit("acme", ent.request("acme", "chat", None, 1, None, "h0"), owed=False)
    clock.now += 120_000_000
    ent.sweep()
    figures = everything(ent).figures[Key(DAY, "chat")]
    assert (figures.reserved, figures.committed, figures.released, figures.lapsed) == (4, 1, 1, 2)


def test_a_refund_is_not_cut_from_what_it_is_of() -> None:
    """A portion ends before a refund whose other half it does not have, and nowhere else."""
    ent = runtime(FILES)
    ent.grant("acme", 100, key="g")
    ent.consume("acme", "chat", key="one")
    ent.refund("acme", "one", key="back")
    entries = entries_of(ent, "acme")
    assert [entry.kind for entry in whole(entries[:3])] == ["grant", "consume"]
    assert [entry.kind for entry in whole(entries)] == ["grant", "consume", "refund", "refunded"]
    assert not whole([])
