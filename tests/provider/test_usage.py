"""The outbox sent to the sandbox: every unit arrives exactly once, whatever goes wrong, or there is a reason."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from reconciler.diagnostics import ProviderError
from reconciler.ledger.ledger import open_ledger
from reconciler.provider.meter_events import MOST, Meaning, meaning
from reconciler.provider.retry import Failure
from reconciler.sandbox import Fault, Settings

from .usage_world import ACCIDENTS, DAY, EVENTS, FILES, HOUR, SECOND, UsageWorld, file_ledger


def test_units_arrive_in_the_hour_they_were_used_in() -> None:
    """One event per tenant, meter and hour, at the hour's beginning, with what was used in it."""
    with UsageWorld() as world:
        world.use("a", 3)
        world.use("a", 4)
        world.use("b", 5, "tokens")
        world.clock.pass_by(HOUR)
        world.use("a", 2)
        report = world.flush()
        assert (len(report.sent), report.taken, report.known) == (3, 3, 0)
        assert world.shown() == {("a", "calls"): 9, ("b", "tokens"): 5}
        world.agree()
        start = world.clock.seconds() - world.clock.seconds() % HOUR - HOUR
        hours = world.dashboard.v1.billing.meters.event_summaries.list(
            world.meters["calls"],
            {
                "customer": world.customers["a"],
                "start_time": start,
                "end_time": start + 2 * HOUR,
                "value_grouping_window": "hour",
            },
        )
        assert sorted((hour.start_time - start, hour.aggregated_value) for hour in hours.data) == [(0, 7), (HOUR, 2)]


def test_nothing_is_sent_twice() -> None:
    """What is acknowledged is never sent again; a running hour that is sent early goes on in another event."""
    with UsageWorld() as world:
        world.use("a", 3)
        world.flush()
        assert world.flush().sent == []
        assert len(world.posts()) == 1
        world.use("a", 4)
        world.flush()
        assert (len(world.posts()), world.shown()) == (2, {("a", "calls"): 7})


def test_charges_by_the_call_are_sent_as_money() -> None:
    """A price per call arrives on the spend meter in millionths, and its calls on no meter that sells them."""
    with UsageWorld() as world:
        world.runtime.set_subscription("a", status="active", plan="payg")
        assert world.runtime.consume("a", "anything")
        world.flush()
        assert world.shown() == {("a", "spend.usd"): 250_000}


@pytest.mark.parametrize("accident", ACCIDENTS, ids=lambda each: "-".join(map(str, each.values())))
@pytest.mark.parametrize("tries", [1, 4])
def test_an_accident_costs_nothing(accident: dict[str, Any], tries: int) -> None:
    """Whatever happens to the first request or its answer, the next flush, or this one, makes it right."""
    with UsageWorld() as world:
        world.break_with(accident, nth=1)
        world.use("a", 3)
        world.use("a", 4, "tokens")
        for _ in range(3):
            world.flush(tries=tries)
        assert world.states() == {"sent": 2}
        assert world.shown() == {("a", "calls"): 3, ("a", "tokens"): 4}
        world.agree()


TURNED = Settings(
    meter_identifier_per_event_name=True,
    decimal_usage=False,
    summaries_newest_first=False,
    summaries_skip_empty_windows=False,
)


@pytest.mark.parametrize("settings", [Settings(), TURNED], ids=["default", "turned"])
@pytest.mark.parametrize("seed", range(12))
def test_storms_cost_nothing(seed: int, settings: Settings) -> None:
    """Tenants use, workers send, accidents happen and hours or days go by: in the end both sides agree to the unit."""
    storm(seed, settings, rounds=12)


def storm(seed: int, settings: Settings, rounds: int) -> None:
    """Run one random history and check it."""
    draw = random.Random(seed)
    with UsageWorld(settings=settings, seed=seed) as world:
        for accident in ACCIDENTS:
            world.break_with(accident, probability=0.08)
        for _ in range(rounds):
            for _ in range(draw.randrange(5)):
                world.use(draw.choice("abc"), draw.choice((1, 7, 1000, 123_456_789)), draw.choice(("calls", "tokens")))
            if draw.random() < 0.8:
                world.flush(tries=draw.choice((1, 1, 3)))
            world.clock.pass_by(draw.choice((1, 60, 20 * 60, HOUR, 5 * HOUR, 30 * HOUR)))
        world.sandbox.faults.clear()
        for _ in range(8):
            world.clock.pass_by(2 * HOUR)
            world.flush(tries=3)
        assert [export for export in world.exports() if export.state != "sent"] == []
        world.agree()


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(100, 400))
def test_long_storms_cost_nothing(seed: int) -> None:
    """The same, longer and more often."""
    storm(seed, Settings(), rounds=40)


def lost_answer(world: UsageWorld, units: int = 5) -> None:
    """Send units whose answer is lost."""
    world.break_with({"kind": "drop_after"}, nth=1)
    world.use("a", units)
    world.flush()
    world.sandbox.faults.clear()
    (export,) = [export for export in world.exports() if export.state == "pending"]
    assert export.doubt


def test_a_lost_answer_is_made_good_by_the_identifier_within_a_day() -> None:
    """Within the time Stripe remembers identifiers the event is sent again, refused as known, and acknowledged."""
    with UsageWorld() as world:
        lost_answer(world)
        world.clock.pass_by(22 * HOUR)
        report = world.flush()
        assert (len(report.sent), report.taken, report.known) == (1, 0, 1)
        assert world.posts() == [0, 400]
        assert world.shown() == {("a", "calls"): 5}


def test_an_old_doubt_is_looked_at_and_not_sent_again() -> None:
    """After that time the summary says that the event arrived, and nothing is sent; it would have counted twice."""
    with UsageWorld() as world:
        lost_answer(world)
        world.clock.pass_by(30 * HOUR)
        report = world.flush()
        assert (len(report.sent), report.taken, report.known) == (1, 0, 0)
        assert len(world.posts()) == 1
        assert world.shown() == {("a", "calls"): 5}


def test_an_old_doubt_about_what_never_arrived_is_sent() -> None:
    """Where the summary does not have it, it is sent; another hour, meter or customer counts for nothing."""
    with UsageWorld() as world:
        world.use("b", 5)
        world.use("a", 5, "tokens")
        world.flush()
        world.break_with({"kind": "drop_before"}, nth=1)
        world.use("a", 5)
        world.flush()
        world.clock.pass_by(30 * HOUR)
        world.use("a", 6)
        world.flush()
        assert world.states() == {"sent": 4}
        world.agree()


def test_an_old_doubt_waits_for_the_summary() -> None:
    """While something of the same hour was acknowledged lately, the summary may lack it: the look is put off."""
    with UsageWorld() as world:
        lost_answer(world)
        world.clock.pass_by(30 * HOUR)
        early = world.runtime.ledger.store
        world.clock.now -= 30 * HOUR * SECOND
        world.use("a", 2)
        world.seal()
        world.clock.now += 30 * HOUR * SECOND
        report = world.sender(store=early).flush()
        assert [export.units for export in report.sent] == [2]
        assert [export.error for export in report.waiting] == [
            "Stripe's summary is looked at when it holds what was sent lately"
        ]
        world.clock.pass_by(HOUR + 1)
        assert [export.units for export in world.flush().sent] == [5]
        world.agree()


def test_what_cannot_be_told_is_left_to_a_person() -> None:
    """Where the hour shows neither of the two totals the export is dead with the numbers; put right, it is sent."""
    with UsageWorld() as world:
        world.break_with({"kind": "drop_before"}, nth=1)
        world.use("a", 5)
        world.flush()
        begun = world.exports()[0].window
        stranger = {"event_name": world.policy.meters["calls"].event_name, "timestamp": begun}
        payload = {"stripe_customer_id": world.customers["a"]}
        world.dashboard.v1.billing.meter_events.create({**stranger, "payload": {**payload, "value": "2"}})
        world.clock.pass_by(30 * HOUR)
        (dead,) = world.flush().dead
        assert "Stripe shows 2 of acme.meters.calls" in str(dead.error)
        assert "0 is acknowledged and 5 is in doubt" in str(dead.error)
        assert world.flush().dead == []
        world.dashboard.v1.billing.meter_events.create({**stranger, "payload": {**payload, "value": "-2"}})
        assert world.runtime.ledger.store.revive() == 1
        assert [export.units for export in world.flush().sent] == [5]
        world.agree()


def test_a_look_that_fails_is_repeated() -> None:
    """Where the summary cannot be read, or the meter is gone, nothing is concluded."""
    with UsageWorld() as world:
        lost_answer(world)
        world.clock.pass_by(30 * HOUR)
        world.sandbox.faults.add(Fault(path="*event_summaries*", status=500, nth=1))
        (waiting,) = world.flush().waiting
        assert "could not be read" in str(waiting.error)
        assert len(world.flush().sent) == 1


def test_windows_older_than_35_days_are_dead_letters() -> None:
    """What Stripe takes no more is not sent; it is kept, with the day it is of, for somebody to invoice."""
    with UsageWorld() as world:
        world.use("a", 5)
        world.use("b", 5)
        world.clock.pass_by(34.9 * DAY)
        world.seal()
        assert len(world.runtime.ledger.store.claim(world.clock.now, world.clock.now + 1, 1)) == 1
        world.clock.pass_by(1)
        assert len(world.flush().sent) == 2
        world.use("c", 1)
        world.clock.pass_by(35 * DAY)
        (dead,) = world.flush().dead
        assert dead.error == "its window of 2027-02-04 is older than the 35 days Stripe takes"
        assert (dead.doubt, len(world.posts())) == (0, 2)


def test_a_doubt_that_became_too_old_to_send_is_looked_up_first() -> None:
    """An event of day 35 that may have arrived is no dead letter before the summary has been asked."""
    with UsageWorld() as world:
        world.use("a", 5)
        world.clock.pass_by(34.9 * DAY)
        world.break_with({"kind": "drop_after"}, nth=1)
        world.flush()
        world.clock.pass_by(5 * HOUR)
        (waiting,) = world.flush().waiting
        assert "too old to be sent" in str(waiting.error)
        world.clock.pass_by(20 * HOUR)
        assert [export.units for export in world.flush().sent] == [5]
        assert len(world.posts()) == 1


def test_nothing_is_sent_from_the_future() -> None:
    """A window that begins more than five minutes from now waits; one within them is sent."""
    with UsageWorld() as world:
        world.clock.pass_by(HOUR - 30 * 60)
        world.use("a", 5)
        world.seal()
        world.clock.pass_by(-301)
        (waiting,) = world.sender().flush().waiting
        assert (waiting.error, waiting.doubt, world.posts()) == ("its window begins later than now", 0, [])
        world.clock.pass_by(2)
        assert len(world.sender().flush().sent) == 1


def test_a_clock_that_is_ahead_of_stripes_is_no_dead_letter() -> None:
    """Where Stripe finds the beginning of a window in the future, its clock is behind: it is tried again."""
    with UsageWorld() as world:
        world.clock.pass_by(30 * 60)
        world.use("a", 5)
        world.sandbox.faults.add(Fault(kind="clock_skew", seconds=-400))
        (waiting,) = world.flush().waiting
        assert ("in the future" in str(waiting.error), waiting.doubt) == (True, 0)
        world.sandbox.faults.clear()
        assert len(world.flush().sent) == 1


@pytest.mark.parametrize("units", [MOST, MOST + 1, 3 * MOST + 17])
def test_values_beyond_fifteen_digits_are_split(units: int) -> None:
    """An export too large for one event is several, each its own; a lost answer among them changes nothing."""
    with UsageWorld() as world:
        tokens = world.runtime.ledger.store
        left = units
        while left:
            world.use("a", min(left, MOST), "tokens")
            left -= min(left, MOST)
        world.seal()
        (export,) = tokens.exports()
        parts = -(-export.units // MOST)
        world.break_with({"kind": "drop_after"}, nth=parts)
        assert len(world.flush().waiting) == 1
        report = world.flush()
        assert (len(report.sent), report.known) == (1, parts)
        assert len(world.posts()) == 2 * parts
        world.agree()


@pytest.mark.parametrize("window", [None, "hour", "day"])
def test_units_taken_back_are_sent_as_a_negative_number(window: str | None) -> None:
    """A refund in a later hour lowers the total of the hour it is about (docs: usage-based/meters/configure)."""
    with UsageWorld(window=window) as world:
        if window:
            world.policy.meters = {
                name: meter._replace(window={"hour": HOUR, "day": DAY}[window])
                for name, meter in world.policy.meters.items()
            }
        assert world.runtime.consume("a", meter="calls", units={"calls": 7}, key="k")
        world.use("a", 1)
        world.flush()
        world.clock.pass_by(HOUR)
        world.runtime.refund("a", "k", key="r")
        world.use("a", 2)
        world.flush()
        assert [export.units for export in world.exports()] == [8, -7, 2]
        assert world.shown() == {("a", "calls"): 3}
        world.agree()


def test_what_was_billed_for_good_is_never_sent_as_less_than_nothing() -> None:
    """A refund after the end of its month sends nothing; beside it one of the running month is taken back."""
    with UsageWorld() as world:
        assert world.runtime.consume("a", meter="calls", units={"calls": 70}, key="k")
        world.flush()
        world.clock.pass_by(31 * DAY)
        assert world.runtime.consume("a", meter="calls", units={"calls": 3}, key="k2")
        assert world.runtime.refund("a", "k", key="r").owed == {"calls": 70}
        assert world.runtime.refund("a", "k2", key="r2").owed == {}
        world.use("a", 2)
        world.flush()
        assert [export.units for export in world.exports()] == [70, 2]
        assert world.shown() == {("a", "calls"): 72}
        world.agree()


def test_a_customer_nobody_knows_yet_is_waited_for() -> None:
    """Without a customer nothing is sent and nothing is in doubt; known to the next worker, it is sent."""
    with UsageWorld(tenants=("a",)) as world:
        world.use("b", 5)
        (waiting,) = world.flush().waiting
        assert (waiting.error, waiting.doubt) == ("no Stripe customer of the tenant is known", 0)
        world.customers["b"] = world.dashboard.v1.customers.create({}).id
        assert len(world.flush().sent) == 1
        world.agree()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda world: world.customers.update(a="cus_nobody"), "No such customer"),
        (lambda world: world.dashboard.v1.billing.meters.deactivate(world.meters["calls"]), "not active"),
        (lambda world: world.policy.meters.pop("calls"), "the policy has no meter 'calls'"),
    ],
    ids=["customer", "meter", "policy"],
)
def test_what_stripe_refuses_for_good_is_a_dead_letter(spoil: Any, says: str) -> None:
    """A refusal that no repetition changes is kept with Stripe's own words; other tenants' usage goes on."""
    with UsageWorld() as world:
        world.use("a", 5)
        world.use("b", 5, "tokens")
        world.seal()
        spoil(world)
        report = world.sender().flush()
        assert [(export.tenant, export.doubt, says in str(export.error)) for export in report.dead] == [("a", 0, True)]
        assert [export.tenant for export in report.sent] == ["b"]


def test_a_dead_letter_is_sent_when_its_cause_is_gone() -> None:
    """Revived after the mistake is put right it arrives, once."""
    with UsageWorld() as world:
        right = world.customers["a"]
        world.customers["a"] = "cus_nobody"
        world.use("a", 5)
        world.flush()
        world.customers["a"] = right
        assert world.flush().sent == []
        world.runtime.ledger.store.revive("a")
        assert len(world.flush().sent) == 1
        world.agree()


@pytest.mark.parametrize("kind", ["unauthorized", "forbidden"])
def test_a_key_that_may_not_stops_everything_and_loses_nothing(kind: str) -> None:
    """Where the account refuses the key the flush ends with what to do; nothing is dead, in doubt, or held."""
    with UsageWorld() as world:
        for tenant in "abc":
            world.use(tenant, 5)
            world.use(tenant, 5, "tokens")
        world.break_with({"kind": kind})
        with pytest.raises(ProviderError) as caught:
            world.flush()
        assert caught.value.code == "E0908"
        assert {(export.state, export.doubt) for export in world.exports()} == {("pending", 0)}
        world.sandbox.faults.clear()
        assert len(world.flush().sent) == 6
        world.agree()


def test_a_stop_is_heard_between_two_events() -> None:
    """A worker that is told to stop finishes what is under way and gives back the rest, without a doubt."""
    with UsageWorld() as world:
        for _ in range(4):
            world.use("a", 5)
            world.seal()
            world.clock.pass_by(HOUR)
        stop = threading.Event()
        sender = world.sender(stop=stop)
        send = world.sandbox.dispatch

        def stopping(request: Any) -> Any:
            if request.method == "POST":
                stop.set()
            return send(request)

        world.sandbox.dispatch = stopping  # type: ignore[method-assign]
        sender = world.sender(stop=stop)
        report = sender.flush()
        assert (len(report.sent), len(report.waiting)) == (1, 3)
        assert {export.doubt for export in report.waiting} == {0}
        world.sandbox.dispatch = send  # type: ignore[method-assign]
        assert len(world.flush().sent) == 3
        world.agree()


def test_patient_workers_wait_longer_after_every_failure() -> None:
    """An export that fails is tried after a minute, then two, then four, an hour at most; other tenants do not wait."""
    with UsageWorld() as world:
        world.use("a", 5)
        world.break_with({"kind": "error", "status": 500})
        pauses = []
        for _ in range(9):
            (waiting,) = world.flush(patient=True).waiting
            pauses.append((waiting.due - world.clock.now) // (60 * SECOND))
            assert world.flush(patient=True).waiting == []
            world.clock.now = waiting.due
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_behind_one_that_waits_the_stream_waits() -> None:
    """After a failure nothing more of that customer and meter is tried; everything else is."""
    with UsageWorld() as world:
        for _ in range(3):
            world.use("a", 5)
            world.use("b", 5)
            world.seal()
            world.clock.pass_by(HOUR)
        world.break_with({"kind": "error", "status": 500}, nth=1)
        report = world.sender().flush()
        assert {export.tenant for export in report.sent} ^ {export.tenant for export in report.waiting} == {"a", "b"}
        assert (len(report.sent), len(report.waiting), len(world.posts())) == (3, 3, 4)


@pytest.mark.parametrize("window", ["hour", "day"])
def test_a_meter_that_keeps_the_newest_event_is_told_totals(window: str) -> None:
    """Where a newer event takes the place of those before it in an hour or day, each tells the total until then."""
    files = FILES.replace("calls: {name: Calls}", f"calls: {{name: Calls, event_time_window: {window}}}")
    with UsageWorld(files, window=window) as world:
        for number, accident in enumerate(({}, {"kind": "drop_after"}, {"kind": "drop_before"}, {})):
            if accident:
                world.break_with(accident, nth=1)
            world.use("a", 5 + number)
            world.flush()
            world.sandbox.faults.clear()
            world.clock.pass_by(DAY if number == 2 else 60)
        world.flush()
        world.clock.pass_by(30 * HOUR)
        world.flush()
        assert set(world.states()) == {"sent"}
        world.agree()


def test_a_meter_that_counts_gets_an_event_for_each_unit() -> None:
    """Aggregation count has Stripe count events, so every unit is one; what cannot be counted so is a dead letter."""
    files = FILES.replace("calls: {name: Calls}", "calls: {name: Calls, aggregation: count}")
    with UsageWorld(files) as world:
        world.use("a", 3)
        world.use("b", 10_001)
        world.break_with({"kind": "drop_after"}, nth=2)
        world.flush()
        report = world.flush()
        assert world.shown() == {("a", "calls"): 3}
        assert (report.taken, report.known) == (1, 2)
        assert ["aggregation sum" in str(export.error) for export in world.exports() if export.state == "dead"] == [
            True
        ]


def test_a_meter_that_keeps_the_last_value_gets_no_sum() -> None:
    """A sum that was counted before the meter kept the last value would be billed as one: it is a dead letter."""
    with UsageWorld() as world:
        world.use("a", 3, "tokens")
        world.policy.meters = world.policy.meters | {  # type: ignore[operator]
            "tokens": world.policy.meters["tokens"]._replace(aggregation="last")
        }
        assert "last value" in str(world.flush().dead[0].error)
        assert world.posts() == []


def test_the_export_carries_the_meters_own_names() -> None:
    """Event name and payload keys are those of the meter in the files, also one that was taken over."""
    own = "calls: {name: Calls, event_name: old_calls, customer_key: who, value_key: how_many}"
    with UsageWorld(FILES.replace("calls: {name: Calls}", own)) as world:
        world.use("a", 3)
        assert len(world.flush().sent) == 1
        assert world.shown() == {("a", "calls"): 3}


def test_one_request_at_a_time_for_a_customer_and_meter(tmp_path: Path) -> None:
    """Two workers at once, slow answers and Stripe's own limit: nobody is refused, nothing is sent twice."""
    with UsageWorld(ledger=file_ledger(tmp_path), rate="live") as world:
        for _ in range(6):
            for tenant in "abc":
                world.use(tenant, 5)
                world.use(tenant, 7, "tokens")
            world.seal()
            world.clock.pass_by(HOUR)
        world.sandbox.faults.add(Fault(method="POST", path=EVENTS, kind="latency", seconds=0.005))
        with open_ledger(world.url, "direct", world.clock) as other, ThreadPoolExecutor(2) as pool:
            workers = [world.sender(), world.sender(store=other.store)]
            reports = list(pool.map(lambda worker: worker.flush(), workers))
        assert sum(len(report.sent) for report in reports) == 36
        assert world.posts() == [200] * 36
        world.agree()


def test_two_tenants_of_one_customer_take_turns() -> None:
    """Tenants that are one customer share its limit: their events come one after the other."""
    with UsageWorld(tenants=("a",), rate="live") as world:
        world.customers["b"] = world.customers["a"]
        for tenant in "ab":
            world.use(tenant, 5)
        world.sandbox.faults.add(Fault(method="POST", path=EVENTS, kind="latency", seconds=0.01))
        assert len(world.flush().sent) == 2
        assert world.posts() == [200, 200]


@pytest.mark.parametrize(
    ("failure", "means"),
    [
        (Failure(400, "invalid_request_error", "An event already exists with identifier X1."), Meaning.THERE),
        (Failure(400, "duplicate_meter_event", "A meter event has been submitted."), Meaning.THERE),
        (Failure(400, "invalid_request_error", "An event already exists with identifier Y2."), Meaning.REFUSED),
        (Failure(400, "invalid_request_error", "The identifier X1 is not well formed."), Meaning.REFUSED),
        (Failure(400, "resource_missing", "No such customer: 'cus'"), Meaning.REFUSED),
        (Failure(404, "resource_missing", "No such customer: 'cus'"), Meaning.REFUSED),
        (Failure(404, "invalid_request_error", "Unrecognized request URL"), Meaning.STOP),
        (Failure(401, "invalid_request_error", "Invalid API Key"), Meaning.STOP),
        (Failure(403, "invalid_request_error", "No permission"), Meaning.STOP),
        (Failure(400, "idempotency_error", "Keys can only be used once"), Meaning.LATER),
        (Failure(407, None, "Proxy"), Meaning.LATER),
        (Failure(429, "rate_limit", "Slow down"), Meaning.LATER),
        (Failure(500, None, "Oh"), Meaning.LATER),
        (Failure(400, None, "<html>An event already exists with identifier X1.</html>"), Meaning.LATER),
        (Failure(403, None, "<html>Blocked by the proxy</html>"), Meaning.LATER),
        (Failure(None, None, "no answer came"), Meaning.LATER),
    ],
)
def test_what_an_answer_means(failure: Failure, means: Meaning) -> None:
    """Only its own identifier, known, counts as delivered; only what is about the event makes it a dead letter."""
    assert meaning(failure, "X1") is means
