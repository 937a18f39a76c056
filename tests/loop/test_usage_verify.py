"""Ledger, meters and invoices are compared: whatever was planted in one of them is found and named."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from reconciler.provider.customers import Marked
from reconciler.provider.invoiced import units_of
from reconciler.provider.usage_verify import Row, Verdict, When, Why, during, previous
from reconciler.sandbox import Fault, Settings

from .billed import HOUR, Billed
from .test_usage_invoiced import sections

TENANT = "t000"
ALL = sections(1)
ONE = {**ALL, "tiers": {"rising": ALL["tiers"]["rising"]}, "plans": {"rising": ALL["plans"]["rising"]}}


@pytest.fixture
def world() -> Iterator[Billed]:
    """One tenant that has used 137 vex in its first month and nothing since, all of it at Stripe and invoiced."""
    with Billed(ONE) as world:
        world.go(world.now + 10 * HOUR)
        assert world.runtime.consume(TENANT, meter="vex", units={"vex": 137})
        world.go(world.now + HOUR)
        world.worker().round()
        world.go(world.period(0)[1] + timedelta(hours=2))
        yield world


def rows(world: Billed, when: When | None = None, marked: Marked | None = None) -> list[Row]:
    """Compare one tenant, its last period by default."""
    return list(world.verifier(marked).rows([TENANT], when or previous(world.now)))


def only(world: Billed, **options: Any) -> tuple[Verdict, list[tuple[Why, float]], tuple[Any, ...]]:
    """Return what comparing comes to where there is one row: verdict, reasons, the three numbers."""
    (row,) = rows(world, **options)
    reasons = [(reason.why, reason.units) for reason in row.reasons]
    assert all(reason.told and reason.remedy for reason in row.reasons)
    return row.verdict, reasons, (row.ledger, row.stripe, row.invoiced)


def sent(world: Billed, value: int, at: int | None = None) -> None:
    """Let somebody else send an event of the meter."""
    payload = {"stripe_customer_id": world.subscribers[TENANT].customer, "value": value}
    form = {"event_name": "acme.meters.vex", "payload": payload, "timestamp": at or world.now}
    world.api.post("/v1/billing/meter_events", form)


def test_equal_is_equal(world: Billed) -> None:
    """The control: units that all three have are equal, in units that flat fees beside them do not change."""
    assert only(world) == (Verdict.EQUAL, [], (137, 137, 137))
    (row,) = rows(world)
    assert [row.start, row.end] == [int(each.timestamp()) for each in world.period(0)]
    assert (row.sold, len(row.invoices)) == (True, 1)
    assert rows(world, during(world.now)) == []


def test_a_running_period_has_no_invoice_yet_and_may_be_equal(world: Billed) -> None:
    """Of the running period ledger and meter are compared; the third number is not there."""
    assert world.runtime.consume(TENANT, meter="vex", units={"vex": 5})
    assert only(world, when=during(world.now)) == (Verdict.LATER, [(Why.NOT_SENT, 5)], (5, 0, None))
    world.go(world.now + HOUR)
    world.worker().round()
    assert only(world, when=during(world.now)) == (Verdict.EQUAL, [], (5, 5, None))
    assert only(world) == (Verdict.EQUAL, [], (137, 137, 137))


def test_what_somebody_else_sent_is_found(world: Billed) -> None:
    """Units at Stripe that the ledger does not know differ there, and from the invoice, which was final before."""
    sent(world, 9, int(world.period(0)[0].timestamp()) + HOUR)
    expected = [(Why.STRIPE, 9), (Why.INVOICE, -9)]
    assert only(world) == (Verdict.DIFFERS, expected, (137, 146, 137))


def test_units_that_stripe_lost_are_found(world: Billed) -> None:
    """An acknowledged event that was cancelled at Stripe is missing there and on the invoice; late it is for both."""
    assert world.runtime.consume(TENANT, meter="vex", units={"vex": 5})
    world.go(world.now + HOUR)
    identifiers = []
    send = world.sandbox.dispatch

    def listening(request: Any) -> Any:
        if request.path == "/v1/billing/meter_events":
            identifiers.append(request.body.decode().partition("identifier=")[2].partition("&")[0])
        return send(request)

    world.sandbox.dispatch = listening  # type: ignore[method-assign]
    world.worker().round()
    cancel = {"event_name": "acme.meters.vex", "type": "cancel", "cancel": {"identifier": identifiers[0]}}
    world.api.post("/v1/billing/meter_event_adjustments", cancel)
    assert only(world, when=during(world.now)) == (Verdict.LATER, [(Why.LAG, 5)], (5, 0, None))
    world.go(world.now + 2 * HOUR)
    assert only(world, when=during(world.now)) == (Verdict.DIFFERS, [(Why.STRIPE, -5)], (5, 0, None))


def test_what_is_late_differs_on_the_invoice(world: Billed) -> None:
    """Units of a period whose invoice is final are at Stripe and on no invoice: how many, and of which invoice."""
    store = world.runtime.ledger.store
    world.now -= 3 * HOUR
    assert world.runtime.consume(TENANT, meter="vex", units={"vex": 11})
    world.now += 3 * HOUR
    assert only(world)[:2] == (Verdict.LATER, [(Why.NOT_SENT, 11)])
    world.worker().round()
    assert {export.state for export in store.exports()} == {"sent"}
    verdict, reasons, numbers = only(world)
    assert (verdict, reasons, numbers) == (Verdict.DIFFERS, [(Why.INVOICE, -11)], (148, 148, 137))
    (row,) = rows(world)
    assert row.reasons[-1].told == f"{row.invoices[0]} bills 11 units less than Stripe's meter shows"
    assert row.reasons[-1].remedy == "Bill the rest by an invoice item."


def test_a_draft_is_not_yet_final() -> None:
    """Where the invoice is a draft what it lacks is not yet a difference; it takes it in when it is finalized."""
    with Billed(ONE) as world:
        world.go(world.period(0)[1] - timedelta(minutes=30))
        assert world.runtime.consume(TENANT, meter="vex", units={"vex": 60})
        world.go(world.period(0)[1] + timedelta(minutes=5))
        assert only(world)[0] is Verdict.LATER
        world.worker().round()
        assert only(world)[0] in (Verdict.LATER, Verdict.EQUAL)
        world.go(world.period(0)[1] + timedelta(hours=2))
        assert only(world) == (Verdict.EQUAL, [], (60, 60, 60))


def test_what_has_not_arrived_is_told_by_where_it_is(world: Billed) -> None:
    """Dead letters and refusals differ, what is under way is not yet; each with its units and Stripe's words."""
    store = world.runtime.ledger.store

    for number in (1, 2, 4, 8, 16):
        assert world.runtime.consume(TENANT, meter="vex", units={"vex": number})
        world.go(world.now + HOUR)
    world.runtime.seal_over()
    waits, doubtful, streamed, dead, refused = store.claim(store.now(), store.now() + 1)
    store.settle([waits._replace(error="an outage", doubt=0), doubtful._replace(error="an outage")])
    store.settle([streamed._replace(state="streamed"), dead._replace(state="dead", error="No such customer")])
    store.recall([refused._replace(state="dead", error="archived_meter")])
    verdict, reasons, numbers = only(world, when=during(world.now))
    assert (verdict, numbers) == (Verdict.DIFFERS, (31, 0, None))
    found = [(Why.NOT_SENT, 1), (Why.IN_FLIGHT, 2), (Why.IN_FLIGHT, 4), (Why.REFUSED, 16), (Why.DEAD, 8)]
    assert reasons == found
    (row,) = rows(world, during(world.now))
    assert [reason.verdict for reason in row.reasons] == [Verdict.LATER] * 3 + [Verdict.DIFFERS] * 2
    assert "No such customer" in row.reasons[-1].told


def test_a_tenant_without_one_customer_differs(world: Billed) -> None:
    """Nobody is billed where no customer is marked, or two are, and both are named."""
    for doubled in (False, True):
        (row,) = rows(world, marked=Marked({}, {TENANT: ("cus_1", "cus_2")} if doubled else {}))
        assert (row.verdict, row.ledger, row.stripe, row.invoiced) == (Verdict.DIFFERS, 137, None, None)
        (reason,) = row.reasons
        assert (reason.why, "cus_1 and cus_2" in reason.told) == (Why.CUSTOMER, doubled)


def test_a_customer_without_a_subscription_differs(world: Billed) -> None:
    """Units at Stripe that no subscription bills are named once their month is over; a sold meter alone has to be."""
    other = world.api.post("/v1/customers", {})["id"]
    store = world.runtime.ledger.store
    (before,) = store.exports()
    payload = {"stripe_customer_id": other, "value": 137}
    form = {"event_name": "acme.meters.vex", "payload": payload, "timestamp": before.window}
    world.api.post("/v1/billing/meter_events", form)
    assert only(world, marked=Marked({TENANT: other}, {})) == (
        Verdict.DIFFERS,
        [(Why.NO_INVOICE, 137)],
        (137, 137, None),
    )


def test_what_cannot_be_read_is_unknown(world: Billed) -> None:
    """A read that fails makes the row unknown, whatever the other numbers say, with the reason."""
    for path in ("/v1/subscriptions", "/v1/invoices", "*event_summaries", "/v1/billing/meters"):
        world.sandbox.faults.clear()
        world.sandbox.faults.add(Fault(method="GET", path=path, kind="forbidden"))
        _unknown(rows(world))


def _unknown(found: list[Row]) -> None:
    assert {row.verdict for row in found} == {Verdict.UNKNOWN}
    assert {row.reasons[-1].why for row in found} == {Why.UNREAD}
    assert [row.ledger for row in found if row.meter == "vex"] == [137]


def test_a_summary_that_lags_is_not_yet(world: Billed) -> None:
    """What was acknowledged within the hour and is not shown is not yet; after that it differs."""
    assert world.runtime.consume(TENANT, meter="vex", units={"vex": 5})
    world.go(world.now + HOUR)
    world.worker().round()
    world.sandbox.faults.add(Fault(kind="summary_lag", seconds=3 * HOUR))
    assert only(world, when=during(world.now)) == (Verdict.LATER, [(Why.LAG, 5)], (5, 0, None))
    world.go(world.now + HOUR + 1)
    assert only(world, when=during(world.now))[0] is Verdict.DIFFERS
    world.go(world.now + 2 * HOUR)
    assert only(world, when=during(world.now)) == (Verdict.EQUAL, [], (5, 5, None))


def test_a_period_that_begins_within_a_minute_is_cut_there() -> None:
    """Summaries have whole minutes: units of the seconds before a period's end are told from those after it."""
    with Billed(ONE) as world:
        customer = world.subscribers[TENANT]
        world.go(world.now + 30)
        old = world.api.get(f"/v1/subscriptions/{customer.subscription}")
        items = [{"price": each["price"]["id"]} for each in old["items"]["data"]]
        world.api.post("/v1/subscriptions", {"customer": customer.customer, "items": items})
        begun, ended = (each + timedelta(seconds=30) for each in world.period(0))
        world.runtime.set_subscription(TENANT, status="active", period=(begun, ended), anchor=begun)
        world.go(ended - timedelta(seconds=20))
        assert world.runtime.consume(TENANT, meter="vex", units={"vex": 7})
        world.go(ended + timedelta(seconds=5))
        assert world.runtime.consume(TENANT, meter="vex", units={"vex": 100})
        world.go(ended + timedelta(hours=2))
        world.worker().round()
        found = [row for row in rows(world) if row.start == int(begun.timestamp())]
        assert [(row.ledger, row.stripe) for row in found] == [(7, 7)]


def brackets(mode: str, *tiers: tuple[int | None, int]) -> dict[str, Any]:
    """Return a price with brackets that have flat fees."""
    return {"tiers_mode": mode, "tiers": [{"up_to": bound, "flat_amount": fee or None} for bound, fee in tiers]}


@pytest.mark.parametrize(
    ("mode", "tiers", "lines", "units"),
    [
        ("graduated", [(10, 300), (None, 0)], [(1, 300)], 0),
        ("graduated", [(10, 300), (None, 0)], [(1, 300), (1, 300)], 1),
        ("graduated", [(10, 0), (None, 300)], [(1, 300)], 1),
        ("graduated", [(10, 0), (None, 300)], [(10, 50), (1, 5), (1, 300)], 11),
        ("graduated", [(10, 300), (None, 300)], [(10, 50), (1, 300), (2, 5), (1, 300)], 12),
        ("graduated", [(10, 300), (None, 0)], [(7, 35), (0, 300)], 7),
        ("volume", [(10, 300), (None, 500)], [(12, 60), (1, 500)], 12),
        ("volume", [(10, 300), (None, 0)], [(12, 60)], 12),
    ],
)
def test_units_of_lines_with_flat_fees(mode: str, tiers: Any, lines: Any, units: int) -> None:
    """A fee that has a line of its own, of one or of no unit, is no unit; one unit that costs as much is."""
    given = [{"quantity": quantity, "amount": amount} for quantity, amount in lines]
    assert units_of(given, brackets(mode, *tiers)) == units


def test_an_oldest_first_account_is_read_the_same() -> None:
    """Where the account lists summaries oldest first, with empty windows, the numbers are the same."""
    settings = Settings(summaries_newest_first=False, summaries_skip_empty_windows=False)
    with Billed(ONE, settings=settings) as world:
        world.go(world.now + HOUR)
        assert world.runtime.consume(TENANT, meter="vex", units={"vex": 9})
        world.go(world.now + HOUR)
        world.worker().round()
        assert only(world, when=during(world.now)) == (Verdict.EQUAL, [], (9, 9, None))
