"""What a ledger's entries say of a month: credits and counters it begins with, what came, went and was taken back."""

from collections.abc import Iterator

import pytest

from reconciler.entitlements import Entitlements
from reconciler.entitlements.periods import instant
from reconciler.entitlements.purchases import Purchase
from reconciler.impact.compare import Question, compare
from reconciler.impact.history import recorded
from reconciler.impact.result import CallRow, Impact
from reconciler.impact.side import Side
from reconciler.impact.used import Recorded
from reconciler.money import to_minor
from tests.entitlements.worlds import HandClock, at

from .test_impact_refusals import compiled

START, END = at("2027-03-01T00:00:00"), at("2027-04-01T00:00:00")
FILES = """
settings: {namespace: acme, default_meter: calls}
meters: {calls: {name: Calls}, rows: {name: Rows}}
tools:
  load: {quantity: {from: argument.rows, per: 100, round: up}}
  count: {counts: {rows: {from: argument.rows}}}
plans:
  credits: {name: Credits, credits: {default: 10, tools: {load: 1}}}
  metered:
    name: Metered
    usage: {calls: {included: 2, overage: {unit_amount: 1}}, rows: {overage: {unit_amount: 0.01}}}
  yearly: {name: Yearly, limits: [{of: "*", max: 3, per: year}]}
  rated: {name: Rated, limits: [{of: "*", max: 1, per: minute, kind: rate}]}
tenants:
  acme: {name: Acme, plan: credits}
  bakery: {name: Bakery, plan: metered}
  clinic: {name: Clinic, plan: yearly}
  dentist: {name: Dentist, plan: rated}
"""
DEARER = FILES.replace("default: 10", "default: 20").replace("load: 1}", "load: 2}")


@pytest.fixture
def ent() -> Iterator[Entitlements]:
    """Open a runtime in February 2027."""
    clock = HandClock("2027-02-10T00:00:00")
    with Entitlements.open(Side(compiled(FILES)).policy, "sqlite://", mode="direct", clock=clock) as found:
        found.clock = clock  # type: ignore[attr-defined]  # at hand for the tests
        yield found


def weighed(ent: Entitlements, head: str = DEARER, base: str = FILES) -> Impact:
    """Return the impact of a change on March."""
    sides = Side(compiled(base)), Side(compiled(head))
    store = ent.ledger.store
    usage = {name: recorded(sides[0], store.entries(name, limit=1000), (START, END)) for name in store.names()}
    return compare(*sides, usage, Recorded(START, END), Question("base", "head", "2027-03", "the ledger"))


def refused(impact: Impact) -> dict[str, int]:
    """Return the numbers of calls newly refused, by tenant."""
    assert all(row.effect == "refused" for row in impact.calls)
    found = dict.fromkeys((row.tenant for row in impact.calls), 0)
    for row in impact.calls:
        found[row.tenant] += row.number
    return found


def test_credits_left_over_are_there(ent: Entitlements) -> None:
    """What was granted in February and not spent pays in March, once; what was spent in February is gone."""
    ent.grant("acme", 65, key="g")
    ent.consume("acme", "search")
    ent.clock.set("2027-03-05T00:00:00")
    assert all(ent.consume("acme", "search") for _ in range(4))
    assert refused(weighed(ent)) == {"acme": 2}  # 55 are left: two calls at 20


def test_credits_that_come_within_the_month_are_there_from_then_on(ent: Entitlements) -> None:
    """A grant of March pays what follows it, until it expires or is taken away."""
    ent.clock.set("2027-03-05T00:00:00")
    ent.grant("acme", 20, key="a", expires=instant(at("2027-03-06T00:00:00")))
    assert ent.consume("acme", "search")
    ent.clock.set("2027-03-07T00:00:00")
    ent.grant("acme", 30, key="b")
    assert ent.consume("acme", "search")
    ent.void("acme", "b", key="v")
    ent.grant("acme", 10, key="c")
    assert ent.consume("acme", "search")
    assert refused(weighed(ent)) == {"acme": 1}


def test_credits_whose_payment_went_back_are_there_no_more(ent: Entitlements) -> None:
    """The share of a grant that was refunded pays nothing from then on, and pays again once its dispute is won."""
    ent.clock.set("2027-03-05T00:00:00")
    ent.grant("acme", 40, key="cs")
    bought = Purchase("cs", "acme", ent.clock.now, (("any", 1),), 100, 50)
    ent.ledger.submit(ent.fulfilling(bought))
    assert all(ent.consume("acme", "search") for _ in range(2))
    assert refused(weighed(ent)) == {"acme": 1}
    ent.ledger.submit(ent.fulfilling(bought._replace(returned=0)))
    assert all(ent.consume("acme", "search") for _ in range(2))
    assert refused(weighed(ent)) == {"acme": 2}


def test_a_call_that_was_refunded_was_not_made(ent: Entitlements) -> None:
    """A whole refund takes the call out of invoice and replay; one that never happened is the positive control."""
    ent.clock.set("2027-03-05T00:00:00")
    for key in ("a", "b", "c", "d"):
        assert ent.consume("bakery", "search", key=key)
    (before,) = [row.before for row in weighed(ent).rows if row.tenant == "bakery"]
    ent.refund("bakery", "b", key="r")
    (after,) = [row.before for row in weighed(ent).rows if row.tenant == "bakery"]
    assert before is not None
    assert after is not None
    assert (before.month, after.month) == (200, 100)


def test_a_part_that_was_refunded_is_credits_that_came(ent: Entitlements) -> None:
    """Of a call of ten credits five come back: enough for the next one with what there is."""
    ent.clock.set("2027-03-05T00:00:00")
    ent.grant("acme", 15, key="g")
    assert ent.consume("acme", "search", key="a")
    ent.refund("acme", "a", key="r", credits=5)
    assert ent.consume("acme", "search", key="b")
    assert not weighed(ent, FILES).calls
    (row,) = weighed(ent).calls
    assert row == CallRow("acme", "search", False, "refused", "insufficient_credits", 1)


def test_a_reserved_call_counts_when_it_was_reserved_with_what_it_came_to(ent: Entitlements) -> None:
    """A commit within the same minute as another call is not taken for a call of its own in that minute."""
    ent.clock.set("2027-03-05T00:00:00")
    held = ent.reserve("dentist", "search", key="h", seconds=3600)
    ent.clock.set("2027-03-05T00:05:00")
    assert ent.consume("dentist", "search")
    held.commit()
    ent.reserve("dentist", "search", key="never").release()
    impact = weighed(ent)
    assert not impact.calls
    assert [(row.calls, row.refused) for row in impact.rows if row.tenant == "dentist"] == [(2, (0, 0))]
    ent.reserve("bakery", "count", key="x", units={"rows": 500}).commit(units={"rows": 300})
    (row,) = [row for row in weighed(ent).rows if row.tenant == "bakery"]
    assert row.before is not None
    assert row.before.month == to_minor(3, "usd")


def test_counters_of_longer_periods_go_on(ent: Entitlements) -> None:
    """A quota of the year has counted February when March begins, under the new files too."""
    assert all(ent.consume("clinic", "search") for _ in range(2))
    ent.clock.set("2027-03-05T00:00:00")
    assert ent.consume("clinic", "search")
    assert not weighed(ent).calls
    assert refused(weighed(ent, FILES.replace("max: 3", "max: 2"))) == {"clinic": 1}


def test_quantities_are_those_that_were_asked_for(ent: Entitlements) -> None:
    """The quantity is known with a key and without one."""
    ent.clock.set("2027-03-05T00:00:00")
    ent.grant("acme", 12, key="g")
    assert ent.consume("acme", "load", quantity=350, key="a")
    assert ent.consume("acme", "load", quantity=350)
    impact = weighed(ent, FILES.replace("per: 100", "per: 50"))
    assert refused(impact) == {"acme": 1}  # seven credits, then eight of the five that are left
    assert not [note for note in impact.notes if "not recorded" in note.text]


@pytest.mark.parametrize("tool", ["load", "load-with-a-name-too-long-for-what-was-asked-to-be-kept-as-it-is"])
@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize(("quantity", "more"), [(1, {}), (99, {}), (100, {"acme": 1}), (101, {"acme": 1})])
def test_a_quantity_is_not_guessed_from_the_price(
    ent: Entitlements, quantity: int, more: dict[str, int], key: str | None, tool: str
) -> None:
    """A block that was only begun costs a credit by the old files and nothing by new ones that count whole blocks."""
    base = FILES.replace("load:", f"{tool}:")
    ent.reload(Side(compiled(base)).policy)
    ent.clock.set("2027-03-05T00:00:00")
    ent.grant("acme", 20, key="g")
    assert ent.consume("acme", "search")  # 20 by the new files, which leaves nothing
    assert ent.consume("acme", tool, quantity=quantity, key=key)
    head = base.replace("default: 10", "default: 20").replace("round: up", "round: down")
    assert refused(weighed(ent, head, base)) == more


def test_a_plan_is_the_one_of_the_subscription(ent: Entitlements) -> None:
    """What Stripe says of a tenant goes before the files, also where the plan was renamed on the way."""
    ent.set_subscription("acme", status="active", plan="metered")
    ent.clock.set("2027-03-05T00:00:00")
    assert all(ent.consume("acme", "search") for _ in range(3))
    head = FILES.replace("  metered:", "  units:").replace("plan: metered", "plan: units")
    head += "moved: [{from: plans.metered, to: plans.units}]\n"
    (row,) = [row for row in weighed(ent, head).rows if row.tenant == "acme"]
    assert (row.plans, row.month) == (("metered", "units"), 0)
    assert row.before is not None
    assert row.before.month == 100
    ent.set_subscription("acme", status="canceled")
    assert "its subscription has ended" in next(row.why for row in weighed(ent).rows if row.tenant == "acme")


def test_lots_that_are_used_up_may_run_out_together(ent: Entitlements) -> None:
    """Two grants that are spent and expire at one instant are gone by then, and the month goes on."""
    ent.clock.set("2027-03-05T00:00:00")
    for key in ("a", "b"):
        ent.grant("acme", 10, key=key, expires=instant(at("2027-03-06T00:00:00")))
    assert all(ent.consume("acme", "search") for _ in range(2))
    ent.clock.set("2027-03-07T00:00:00")
    ent.grant("acme", 10, key="c")
    assert ent.consume("acme", "search")
    assert not weighed(ent, FILES).calls
    assert refused(weighed(ent)) == {"acme": 2}
