"""The worker: every task in its interval, whatever becomes of the others."""

import threading
from typing import Any

import pytest

from reconciler.service.work.rounds import Round, Task, Worker, pause


def _said(wanted: int) -> tuple[list[Round], threading.Event, Any]:
    told, enough = list[Round](), threading.Event()

    def tell(done: Round) -> None:
        told.append(done)
        if len(told) >= wanted:
            enough.set()

    return told, enough, tell


def test_a_task_that_fails_stops_no_other() -> None:
    """Each round is told with what it did or what went wrong, and every task goes on."""
    told, enough, tell = _said(12)

    def broken() -> None:
        raise LookupError("there is nothing")

    worker = Worker([Task("good", 0.001, lambda: 7), Task("bad", 0.001, broken)], tell=tell)
    worker.start()
    assert enough.wait(10)
    assert worker.close(10)
    assert {done.did for done in told if done.name == "good"} == {7}
    assert {str(done.error) for done in told if done.name == "bad"} == {"there is nothing"}
    standing = worker.standing()
    assert standing["bad"].failures == sum(done.name == "bad" for done in told) > 0
    assert (standing["bad"].succeeded, standing["bad"].error) == (None, "LookupError: there is nothing")
    assert (standing["good"].failures, standing["good"].ended) == (0, standing["good"].succeeded)


def test_a_task_that_waits_delays_no_other() -> None:
    """While one hangs the others are done again and again, and closing tells that one did not end."""
    let_go = threading.Event()
    told, enough, tell = _said(5)
    worker = Worker([Task("quick", 0.001, lambda: None), Task("slow", 60, lambda: let_go.wait(10))], tell=tell)
    worker.start()
    assert enough.wait(10)
    assert not worker.close(0.05)
    assert {done.name for done in told} == {"quick"}
    let_go.set()
    assert worker.close(10)
    assert worker.standing()["slow"].ended is not None


def test_a_wanted_task_is_done_before_its_interval() -> None:
    """Who knows that there is something to do need not wait; asking for a task that is not there does nothing."""
    told, enough, tell = _said(2)
    worker = Worker([Task("rare", 3600, lambda: None)], tell=tell)
    worker.start()
    worker.want("rare")
    worker.want("nothing of that name")
    assert enough.wait(10) or len(told) == 1
    worker.want("rare")
    assert enough.wait(10)
    assert worker.close(10)


def test_a_listener_that_fails_stops_nothing() -> None:
    """What is told to somebody who raises is worked on all the same."""
    done = threading.Semaphore(0)

    def tell(_round: Round) -> None:
        done.release()
        raise RuntimeError("no")

    worker = Worker([Task("good", 0.001, lambda: None)], tell=tell)
    worker.start()
    for _ in range(2):
        assert done.acquire(timeout=10)
    assert worker.close(10)


@pytest.mark.parametrize(
    ("interval", "failures", "seconds"),
    [(30, 0, 30), (30, 1, 1), (30, 2, 2), (30, 5, 16), (30, 30, 300), (3600, 30, 3600), (0.5, 1, 1)],
)
def test_failures_back_off(interval: float, failures: int, seconds: float) -> None:
    """A second, then twice as long after each further failure, up to five minutes or the interval."""
    assert pause(interval, failures) == seconds
