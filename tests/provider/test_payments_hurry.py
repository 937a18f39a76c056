"""How long selling tries: 1, 2, 4 seconds apart, four requests, 15 seconds in all; the probe; the watch."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.diagnostics import UsageError
from reconciler.provider.gateway import Gateway
from reconciler.provider.payments import Choice, PageError, StatusTimeoutError, UnavailableError, waiting
from reconciler.provider.payments.availability import Availability
from reconciler.provider.payments.hurry import BUDGET, STEPS, Hurry, OutOfTimeError, Writing, within
from reconciler.provider.retry import Failure
from reconciler.sandbox import Fault
from reconciler.sandbox.client import InProcessClient
from tests.sandbox.person import Person

from .payments_world import OK, Market, Time

FLAT = Choice(plan="flat")
LOST = Failure(None, None, "lost")


@pytest.fixture
def market() -> Iterator[Market]:
    """Open an account that sells."""
    world = Market()
    yield world
    world.sandbox.close()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the idempotency keys of all writes."""
    seen: list[str] = []
    inner = InProcessClient.request

    def request(self: Any, method: str, url: str, headers: Any, post_data: Any = None) -> Any:
        if method.lower() == "post":
            seen.append(headers["Idempotency-Key"])
        return inner(self, method, url, headers, post_data)

    monkeypatch.setattr(InProcessClient, "request", request)
    return seen


PASSING: list[dict[str, Any]] = [
    {"kind": "rate_limit"},
    {"kind": "lock_timeout"},
    {"kind": "conflict"},
    {"kind": "error", "status": 500},
    {"kind": "drop_before"},
    {"kind": "drop_after"},
    {"kind": "html"},
    {"kind": "cut"},
    {"kind": "error", "status": 400, "should_retry": True},
]


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_what_may_pass_is_tried_four_times_with_one_key(market: Market, keys: list[str], fault: dict[str, Any]) -> None:
    """Sleeps are 1, 2 and 4 seconds, all attempts have one key, and the fourth that succeeds leaves one page."""
    market.fault(path="/v1/checkout/*", last=3, **fault)
    page = market.desk.checkout("acme", FLAT, success_url=OK)
    assert market.time.slept == [1.0, 2.0, 4.0]
    assert (len(keys), len(set(keys))) == (4, 1)
    assert [session.id for session in market.sessions()] == [page.id]


def test_a_fifth_request_is_not_made(market: Market, keys: list[str]) -> None:
    """Four requests are all there are."""
    market.fault(path="/v1/checkout/*", kind="rate_limit")
    with pytest.raises(PageError, match="refuses") as caught:
        market.desk.checkout("acme", FLAT, success_url=OK)
    assert (caught.value.code, caught.value.ambiguous) == ("E1402", False)
    assert (len(keys), market.time.slept) == (4, [1.0, 2.0, 4.0])
    assert market.sessions() == []


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422])
def test_a_refusal_is_not_tried_again(market: Market, keys: list[str], status: int) -> None:
    """Of the 4xx only 409 and 429 are."""
    market.fault(path="/v1/checkout/*", kind="error", status=status, error_type="invalid_request_error")
    with pytest.raises(PageError):
        market.desk.checkout("acme", FLAT, success_url=OK)
    assert (len(keys), market.time.slept) == (1, [])


@pytest.mark.parametrize("status", [409, 429, 500])
def test_stripes_no_is_honoured(market: Market, keys: list[str], status: int) -> None:
    """Whatever the status, an answer that says not to retry is the last."""
    market.fault(path="/v1/checkout/*", kind="error", status=status, should_retry=False)
    with pytest.raises(PageError):
        market.desk.checkout("acme", FLAT, success_url=OK)
    assert (len(keys), market.time.slept) == (1, [])


def test_a_wait_is_as_long_as_stripe_asks_and_none_ends_too_late() -> None:
    """Retry-After lengthens a wait; one that would not end within 15 seconds is not begun."""
    time = Time()
    waits = Hurry(sleep=time.sleep, clock=time.clock, jitter=False).begun().waits()
    limited = Failure(429, "rate_limit", "slow", retry_after=6.0)
    assert waits.again(limited)
    assert waits.again(limited)
    assert not waits.again(limited)
    assert time.slept == [6.0, 6.0]


def test_jitter_shortens_a_wait_by_half_at_most() -> None:
    """With jitter a wait is between half of its step and all of it."""
    for drawn, slept in ((0.0, [0.5, 1.0, 2.0]), (1.0, [1.0, 2.0, 4.0])):
        time = Time()
        waits = Hurry(sleep=time.sleep, clock=time.clock, random=lambda drawn=drawn: drawn).begun().waits()
        while waits.again(LOST):
            pass
        assert time.slept == slept


def test_a_wait_that_is_told_to_stop_ends_it() -> None:
    """Whoever sleeps on an event that is set does not try again."""
    assert not Hurry(sleep=lambda _seconds: True).begun().waits().again(LOST)


def test_the_numbers_are_those_promised() -> None:
    """Four requests, 1, 2, 4 seconds, 15 in all."""
    assert (STEPS, BUDGET, Hurry().tries, Hurry().budget, Hurry().jitter) == ((1, 2, 4), 15, 4, 15, True)


def test_a_hung_call_is_cut_after_15_seconds(market: Market) -> None:
    """The time in all is what is left after the probe, hung or not; nothing was written, so nothing is doubted."""
    market.desk.health()
    market.time.hangs = lambda: True
    began = market.time.now
    with pytest.raises(UnavailableError, match="15 s"):
        market.desk.checkout("acme", FLAT, success_url=OK)
    assert market.time.now - began == 15.0


def test_a_call_that_hangs_after_its_write_is_found_by_its_key() -> None:
    """Cut while the answer was on its way, nobody knows; the same key finds the one page there is."""
    market = Market()
    market.fault(path="/v1/checkout/*", kind="latency", seconds=0.8, last=1)
    desk = market.open(within=lambda _seconds, work: within(0.3, work))
    with pytest.raises(PageError, match="not known") as caught:
        desk.checkout("acme", FLAT, success_url=OK, key="k")
    assert (caught.value.code, caught.value.ambiguous) == ("E1403", True)
    assert "--key k" in (caught.value.remedy or "")
    with pytest.raises(PageError, match="in-progress") as early:
        market.desk.checkout("acme", FLAT, success_url=OK, key="k")
    assert (early.value.code, early.value.ambiguous) == ("E1403", True)
    leave()
    page = market.desk.checkout("acme", FLAT, success_url=OK, key="k")
    assert [session.id for session in market.sessions()] == [page.id]


def test_nothing_is_written_after_giving_up() -> None:
    """Work that was left behind while it read finds that it may not write any more."""
    market = Market()
    market.fault(method="GET", path="/v1/customers*", kind="latency", seconds=0.6)
    desk = market.open(within=lambda _seconds, work: within(0.3, work))
    with pytest.raises(UnavailableError):
        desk.checkout("acme", FLAT, success_url=OK)
    leave()
    assert market.sent() == []


def leave() -> None:
    """Wait until all work that was left behind has ended."""
    for thread in threading.enumerate():
        if thread.name == "payments":
            thread.join(5)


def test_a_write_is_begun_or_given_up_never_both() -> None:
    """After giving up no write may be sent, and what was begun before is said to be."""
    begun, idle = Writing(), Writing()
    assert begun.may()
    assert (begun.give_up(), idle.give_up()) == (True, False)
    assert (begun.may(), idle.may(), idle.give_up()) == (False, False, False)


def test_work_ends_in_time_or_is_left_behind() -> None:
    """What work returns or raises comes through; what takes longer does not hold anybody up."""
    assert within(5, lambda: 7) == 7
    with pytest.raises(KeyError):
        within(5, lambda: {}["x"])
    free = threading.Event()
    with pytest.raises(OutOfTimeError):
        within(0.05, free.wait)
    free.set()


LOSSES: list[dict[str, Any]] = [
    {"kind": "drop_after"},
    {"kind": "html"},
    {"kind": "error", "status": 500, "when": "after"},
]


@pytest.mark.parametrize("fault", LOSSES, ids=str)
def test_a_doubt_never_opens_a_second_way_to_pay(market: Market, keys: list[str], fault: dict[str, Any]) -> None:
    """Where all four answers are lost the error says so, and the key it names finds what was made, if it was."""
    market.fault(path="/v1/checkout/*", last=4, **fault)
    with pytest.raises(PageError) as caught:
        market.desk.checkout("acme", FLAT, success_url=OK, key="k")
    assert (caught.value.code, caught.value.ambiguous) == ("E1403", True)
    assert len(market.sessions()) == 1
    if fault["kind"] != "error":
        market.desk.checkout("acme", FLAT, success_url=OK, key="k")
    assert len(set(keys)) == len(market.sessions()) == 1


def probes(market: Market) -> int:
    """Return how often Stripe was asked whether it is there."""
    return market.sent("GET").count("/v1/prices")


def availability(market: Market) -> Availability:
    """Ask on the world's time."""
    return Availability(Gateway(market.connection()), clock=market.time.clock, within=market.time.within)


def test_a_probe_is_believed_for_30_seconds(market: Market) -> None:
    """At +29.9 s nobody asks, at +30 s somebody does, and after forgetting at once."""
    asked = availability(market)
    assert asked.look().available
    market.time.now += 29.9
    assert (asked.look().available, probes(market)) == (True, 1)
    market.time.now += 0.1
    assert (asked.look().available, probes(market)) == (True, 2)
    asked.forget()
    assert (asked.look().available, probes(market)) == (True, 3)
    assert set(market.time.given) == {5.0}


def test_a_hanging_probe_is_unavailable_within_5_seconds(market: Market) -> None:
    """Nothing is begun, and for 30 seconds everybody is told so at once."""
    market.time.hangs = lambda: True
    began = market.time.now
    for _ in range(3):
        with pytest.raises(UnavailableError, match="within 5 s"):
            market.desk.checkout("acme", FLAT, success_url=OK)
    assert market.time.now - began == 5.0
    assert (market.sent(), market.sent("GET")) == ([], [])


@pytest.mark.parametrize(
    "fault", [{"kind": "drop_before"}, {"kind": "error", "status": 503}, {"kind": "html"}], ids=str
)
def test_silence_is_unavailable(market: Market, fault: dict[str, Any]) -> None:
    """No answer, an outage, somebody on the way: one try, no simulation in its place, and no write."""
    market.fault(method="GET", **fault)
    with pytest.raises(UnavailableError):
        market.desk.checkout("acme", FLAT, success_url=OK)
    assert (probes(market), market.sent()) == (1, [])


@pytest.mark.parametrize("kind", ["rate_limit", "forbidden", "unauthorized"])
def test_a_refusal_is_an_answer(market: Market, kind: str) -> None:
    """Who is told to slow down, or may not read prices, has reached Stripe."""
    market.fault(method="GET", path="/v1/prices*", kind=kind)
    assert availability(market).look().available


def opened(market: Market) -> str:
    """Open a checkout page."""
    return market.desk.checkout("acme", FLAT, success_url=OK).id


def objects(market: Market) -> Any:
    """Return everything an account holds."""
    return market.sandbox.state.dump()["tables"]["object"]


def test_a_watch_looks_15_times_in_30_seconds(market: Market) -> None:
    """Every 2 seconds, 5 for each look at most, a timeout by 30, and nothing changed."""
    session = opened(market)
    held, began = objects(market), market.time.now
    market.time.given.clear()
    outcome = market.watcher().watch(session)
    assert (outcome.state, outcome.seen, outcome.looks, outcome.paid) == ("timeout", "open", 15, False)
    assert market.time.now - began == 30.0
    assert set(market.time.slept) == {2.0}
    assert market.time.given == [5.0] * 13 + [4.0, 2.0]
    assert objects(market) == held


def test_a_watch_of_looks_that_hang_ends_in_time(market: Market) -> None:
    """Looks that take all of their 5 seconds are fewer, and the last ends at 30."""
    session, began = opened(market), market.time.now
    market.time.hangs = lambda: True
    outcome = market.watcher().watch(session)
    assert (outcome.state, outcome.seen, outcome.looks) == ("timeout", "", 6)
    assert market.time.now - began == 30.0


def test_a_watch_outlives_a_lost_answer(market: Market) -> None:
    """A look that nobody answers, or that is told to slow down, is followed by the next."""
    session = opened(market)
    person = Person(market.sandbox)
    person.visit(market.session(session).url)
    person.pay(email="a@acme.example")
    market.sandbox.faults.add(Fault("GET", "/v1/checkout/*", kind="drop_before", last=1))
    market.sandbox.faults.add(Fault("GET", "/v1/checkout/*", kind="rate_limit", last=2))
    outcome = market.watcher(simulated=True).watch(session)
    assert (outcome.state, outcome.paid, outcome.payment_status) == ("paid", True, "paid")
    assert (outcome.session, outcome.looks, outcome.simulated) == (session, 3, True)


def test_a_watch_says_that_it_is_too_late(market: Market) -> None:
    """An expired page will not be paid."""
    session = opened(market)
    market.dashboard.v1.checkout.sessions.expire(session)
    assert market.watcher().watch(session).state == "expired"


def test_a_link_that_can_be_paid_once_is_watched(market: Market) -> None:
    """It is open, then paid, by the session that says so; one that was switched off has expired."""
    page = market.desk.link("acme", FLAT)
    assert market.watcher().watch(page.id).seen == "open"
    person = Person(market.sandbox)
    person.visit(market.dashboard.v1.payment_links.retrieve(page.id).url)
    person.pay(email="a@acme.example")
    outcome = market.watcher().watch(page.id)
    assert (outcome.state, (outcome.session or "")[:3]) == ("paid", "cs_")
    other = market.desk.link("big", FLAT)
    market.dashboard.v1.payment_links.update(other.id, {"active": False})
    assert market.watcher().watch(other.id).state == "expired"


@pytest.mark.parametrize("object_id", ["", "sub_1", "cs_../x", "plink_1?x=y", "cs_\u00e9"])
def test_what_cannot_be_paid_is_not_watched(market: Market, object_id: str) -> None:
    """Only ids of sessions and links are asked for."""
    with pytest.raises(UsageError):
        market.watcher().watch(object_id)
    assert market.sent("GET") == []


def test_a_link_for_everybody_is_not_watched(market: Market) -> None:
    """It is paid any number of times, so never once and for all."""
    page = market.desk.declared_link("acme", "starter")
    with pytest.raises(UsageError, match="any number of times"):
        market.watcher().watch(page.id)


def test_waiting_for_a_payment_raises_where_there_is_none(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exception is of its own type and ends a command with 7: it may still be paid."""
    monkeypatch.setattr(waiting, "DEADLINE", 0.05)
    with pytest.raises(StatusTimeoutError) as caught:
        waiting.wait_for_payment(market.connection(), opened(market))
    assert caught.value.exit_code == 7
