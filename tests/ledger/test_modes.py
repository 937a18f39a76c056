"""Callers of one ledger at once: threads, tasks of event loops, copies of the process; and its end."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler.ledger.base import LedgerError, StoreUnavailableError
from reconciler.ledger.jobs import Job
from reconciler.ledger.ledger import Ledger, Mode, open_ledger

from .conftest import SHARED
from .deeds import Hand, fail, grant, spend
from .processes import in_child

shared = pytest.mark.parametrize("kind", SHARED, indirect=True)


def test_threads_spend_what_there_is(ledger: Ledger) -> None:
    """However many threads want more than there is, every unit is spent once and the rest is refused."""
    ledger.submit(grant("acme", "g", 60))
    spent: list[int] = []

    def work(number: int) -> None:
        try:
            spent.append(ledger.submit(spend("acme", 1, f"k{number}")).value)
        except ValueError:
            spent.append(-1)

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(work, range(80)))
    assert sorted(spent) == [-1] * 20 + list(range(60))
    assert ledger.store.read("acme").credits == 0


def test_threads_with_one_key(ledger: Ledger) -> None:
    """Many threads with the same request under the same key make it happen once, and all but one get it again."""
    ledger.submit(grant("acme", "g", 60))
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda _: ledger.submit(spend("acme", 7, "k")), range(24)))
    assert sorted(outcome.entry is None for outcome in outcomes) == [False] * 23 + [True]
    assert ledger.store.read("acme").credits == 53


@pytest.mark.parametrize("mode", ["group"], indirect=True)
def test_tasks_of_several_loops(ledger: Ledger) -> None:
    """Tasks are answered in their own loop, each with its outcome; one that raises tells its task alone."""
    ledger.submit(grant("acme", "g", 100))
    group = ledger.group
    assert group is not None

    async def call(job: Job) -> object:
        future = asyncio.get_running_loop().create_future()
        group.put(job, future)
        outcome = await future
        return outcome.value if outcome.error is None else type(outcome.error)

    async def all_of(number: int) -> list[object]:
        jobs = [spend("acme", 1, f"{number}/{each}") for each in range(15)]
        return await asyncio.gather(call(fail("acme")), *map(call, jobs))

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda number: asyncio.run(all_of(number)), range(3)))
    assert [each[0] for each in found] == [ZeroDivisionError] * 3
    assert sorted(value for each in found for value in each[1:]) == list(range(55, 100))


@pytest.mark.parametrize("mode", ["group"], indirect=True)
def test_a_loop_that_has_ended_stops_nobody(ledger: Ledger) -> None:
    """A task whose loop was closed before the answer takes nothing from the callers beside it, nor from later ones."""
    ledger.submit(grant("acme", "g", 100))
    group = ledger.group
    assert group is not None
    loop = asyncio.new_event_loop()
    lost, cancelled = loop.create_future(), loop.create_future()
    cancelled.cancel()
    entered, go = threading.Event(), threading.Event()

    def hold_up(*_: object) -> None:
        entered.set()
        go.wait(60)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(ledger.submit, Job("birch", hold_up))
        entered.wait(60)
        group.put(spend("acme", 1), lost)
        group.put(spend("acme", 1), cancelled)
        loop.close()
        second = threads.submit(ledger.submit, spend("acme", 1))
        go.set()
        first.result(60)
        assert second.result(60).value == 97
    assert ledger.submit(spend("acme", 1)).value == 96


def test_closing_finishes_what_waits(url: str, clock: Hand) -> None:
    """What was asked before the end is done and answered; what comes later is refused."""
    ledger = open_ledger(url, "group", clock)
    ledger.submit(grant("acme", "g", 100))
    group, entered, go = ledger.group, threading.Event(), threading.Event()
    assert group is not None

    def hold_up(*_: object) -> None:
        entered.set()
        go.wait(60)

    with ThreadPoolExecutor(24) as threads:
        held = threads.submit(ledger.submit, Job("birch", hold_up))
        entered.wait(60)
        waiting = [threads.submit(ledger.submit, spend("acme", 1)) for _ in range(20)]
        while group._queue.qsize() < 19:  # The writer has the twentieth in its hand.
            pass
        closing = threads.submit(ledger.close)
        while not group._closed:
            pass
        with pytest.raises(LedgerError) as caught:
            ledger.submit(spend("acme", 1))
        go.set()
        closing.result(60)
        held.result(60)
        assert sorted(each.result(60).value for each in waiting) == list(range(80, 100))
    assert caught.value.code == "E1104"


def test_closing_under_fire_leaves_nobody_waiting(url: str) -> None:
    """Every call made while the ledger is closed is answered: done, or refused as closed."""
    ledger = open_ledger(url, "group")
    ledger.submit(grant("acme", "g", 10**9))

    def call(_: int) -> str:
        try:
            for _ in range(10**6):
                ledger.submit(spend("acme", 1))
        except LedgerError as error:
            return error.code
        return "endless"

    with ThreadPoolExecutor(8) as threads:
        waiting = threads.map(call, range(8))
        while ledger.store.read("acme").credits > 10**9 - 50:
            pass
        ledger.close()
        assert list(waiting) == ["E1104"] * 8


@shared
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_fork_in_the_middle(url: str, mode: Mode) -> None:
    """A process that forks while its threads write, and its copies, all go on with the one ledger and lose nothing.

    What a copy has written stays, although the parent closes the ledger before it.
    """
    ledger = open_ledger(url, mode)
    ledger.submit(grant("acme", "g", 10**6))
    stop = threading.Event()

    def busy(_: int) -> int:
        done = 0
        while not stop.is_set():
            ledger.submit(spend("acme", 1))
            done += 1
        return done

    def child() -> bool:
        values = {ledger.submit(spend("acme", 1)).value for _ in range(20)}
        ledger.close()
        return len(values) == 20

    with ThreadPoolExecutor(4) as threads:
        working = threads.map(busy, range(4))
        while ledger.store.read("acme").credits == 10**6:
            pass
        ends = [in_child(child) for _ in range(3)]
        assert all(end() for end in ends)
        stop.set()
        spent = sum(working) + 60
    ready, go = os.pipe()
    closed, shut = os.pipe()

    def late() -> bool:
        ledger.submit(spend("acme", 1))
        os.write(go, b"x")
        os.read(closed, 1)
        return bool([ledger.submit(spend("acme", 1)) for _ in range(5)])

    end = in_child(late)
    os.read(ready, 1)
    ledger.close()
    os.write(shut, b"x")
    assert end()
    with open_ledger(url, mode) as after:
        assert after.store.read("acme").credits == 10**6 - spent - 6
    for number in (ready, go, closed, shut):
        os.close(number)


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
def test_a_ledger_in_memory_stays_at_home(ledger: Ledger) -> None:
    """A copy of the process cannot spend from a ledger in memory a second time: there it is unavailable."""
    ledger.submit(grant("acme", "g", 1))

    def child() -> bool:
        for call in (lambda: ledger.submit(spend("acme", 1)), lambda: ledger.store.read("acme")):
            with pytest.raises(StoreUnavailableError):
                call()
        return True

    assert in_child(child)()
    assert ledger.submit(spend("acme", 1)).value == 0
