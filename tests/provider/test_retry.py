"""Which failures are tried again, and for how long."""

import threading

import pytest

from reconciler.provider.retry import LONGEST_WAIT, Backoff, Failure


def failure(status: int | None, code: str | None = None, **more: object) -> Failure:
    """Return a failure with this status."""
    return Failure(status, code, "message", **more)  # type: ignore[arg-type]


RETRIED = [
    failure(None),
    failure(429, "rate_limit"),
    failure(429, "lock_timeout"),
    failure(409, "idempotency_key_in_use"),
    failure(500),
    failure(503),
    failure(400, "invalid_request_error", should_retry=True),
    failure(400),
    failure(403),
]
FINAL = [
    failure(400, "parameter_unknown"),
    failure(400, "idempotency_error"),
    failure(401, "invalid_request_error"),
    failure(402, "card_declined"),
    failure(403, "invalid_request_error"),
    failure(404, "resource_missing"),
    failure(409, should_retry=False),
    failure(500, should_retry=False),
]


@pytest.mark.parametrize("case", RETRIED, ids=str)
def test_a_failure_that_may_pass_is_tried_again(case: Failure) -> None:
    """Lost answers, limits, conflicts, server errors, what Stripe did not say, and whatever it says to retry."""
    assert Backoff(sleep=lambda _s: None).waits().again(case)


@pytest.mark.parametrize("case", FINAL, ids=str)
def test_a_definitive_failure_is_not(case: Failure) -> None:
    """Refusals are final, and whatever Stripe says not to retry."""
    slept: list[float] = []
    assert not Backoff(sleep=slept.append).waits().again(case)
    assert slept == []


def test_waits_grow_and_are_drawn_below_a_ceiling() -> None:
    """With the largest draw the waits double from half a second up to the ceiling."""
    slept: list[float] = []
    waits = Backoff(tries=9, budget=1000, sleep=slept.append, random=lambda: 1.0).waits()
    while waits.again(failure(500)):
        pass
    assert slept == [0.5, 1, 2, 4, 8, 16, LONGEST_WAIT, LONGEST_WAIT]


def test_retry_after_is_honoured() -> None:
    """A wait is never shorter than Stripe asks for."""
    slept: list[float] = []
    Backoff(sleep=slept.append, random=lambda: 0.0).waits().again(failure(429, retry_after=7.0))
    assert slept == [7.0]


def test_the_budget_ends_it() -> None:
    """A wait that would exceed the budget is not begun."""
    slept: list[float] = []
    assert not Backoff(budget=5, sleep=slept.append).waits().again(failure(429, retry_after=6.0))
    assert slept == []


def test_a_wait_that_is_told_to_stop_ends_it() -> None:
    """Whoever waits on an event that is set does not try again; one that is not set changes nothing."""
    stop = threading.Event()
    waits = Backoff(sleep=stop.wait, random=lambda: 0.0).waits()
    assert waits.again(failure(500))
    stop.set()
    assert not waits.again(failure(500))


def test_an_unanswered_read_is_given_up_early() -> None:
    """Nobody waits long for a server that is not there; writes, and reads that are limited, are tried to the end."""

    def tries(case: Failure, *, reading: bool) -> int:
        waits = Backoff(budget=1000, sleep=lambda _s: None).waits(reading=reading)
        return 1 + sum(iter(lambda: waits.again(case), False))

    assert tries(failure(None), reading=True) == 4
    assert tries(failure(None), reading=False) == 8
    assert tries(failure(429), reading=True) == 8
