"""Turns of processes at a file: who waits for one that was stopped is told in time, and woken when a turn ends."""

import os
import select
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from reconciler.entitlements import Entitlements, Reason
from reconciler.ledger import turns
from reconciler.ledger.base import StoreUnavailableError
from reconciler.ledger.ledger import Mode, open_ledger
from reconciler.ledger.turns import Turns
from tests.entitlements.worlds import policy

from .deeds import grant, spend
from .processes import in_child

HOLDER = """
import sys, time
from reconciler.ledger.jobs import Job
from reconciler.ledger.ledger import open_ledger

def stop(*_):
    print("in", flush=True)
    time.sleep(60)

open_ledger(sys.argv[1], "direct").submit(Job("birch", stop))
"""
TERMS = """
plans: {pro: {name: Pro, credits: {tools: {search: 1, draw: 1}}}}
tools: {draw: {on_error: allow}}
tenants: {acme: {name: Acme, plan: pro}}
"""


@contextmanager
def stopped(url: str) -> Iterator[None]:
    """Let another process be stopped in the middle of a transaction."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"in\n"
        holder.send_signal(signal.SIGSTOP)
        yield
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_nobody_waits_without_end_for_a_stopped_process(
    tmp_path: Path, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call fails as one the store did not answer, on every thread; once the process is gone all goes on."""
    url = f"sqlite:///{tmp_path}/usage.db"
    with open_ledger(url, mode) as ledger:
        ledger.submit(grant("acme", "g", 10))
        monkeypatch.setattr("reconciler.ledger.sqlite.PATIENCE", 0.2)
        with stopped(url):
            failed: list[str] = []

            def call() -> None:
                try:
                    ledger.submit(spend("acme", 1))
                except StoreUnavailableError as error:
                    failed.append(error.code)

            threads = [threading.Thread(target=call) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert failed == ["E1103"] * 4
            assert ledger.store.read("acme").credits == 10
        assert ledger.submit(spend("acme", 1)).value == 9


def test_behind_a_stopped_process_a_call_falls_to_its_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``on_error`` lets through is let through and booked once the ledger answers; the rest is refused."""
    url = f"sqlite:///{tmp_path}/usage.db"
    with Entitlements.open(policy(TERMS), url, journal=tmp_path / "journal") as ent:
        ent.grant("acme", 10, key="g")
        ent.check("acme", "draw")
        monkeypatch.setattr("reconciler.ledger.sqlite.PATIENCE", 0.2)
        with stopped(url):
            assert ent.consume("acme", "search").reason is Reason.STORE_UNAVAILABLE
            assert ent.consume("acme", "draw").degraded
        assert ent.degraded.settle() == 1
        assert ent.balance("acme").credits == 9 * 10**6


@contextmanager
def pair(path: Path) -> Iterator[tuple[Turns, Turns]]:
    """Lend two processes' turns at one file."""
    one, two = Turns(str(path / "usage.db")), Turns(str(path / "usage.db"))
    try:
        yield one, two
    finally:
        one.close()
        two.close()


def test_who_waits_is_woken_by_the_end_of_a_turn(tmp_path: Path) -> None:
    """The bell wakes, not the next look: with looks that last an hour a turn begins when the one before has ended."""
    with patch.object(turns, "LOOK", 3600), pair(tmp_path) as (one, two):
        assert one.take(0)
        waiting = threading.Thread(target=two.take, args=(60,), daemon=True)
        waiting.start()
        time.sleep(0.05)
        one.end()
        waiting.join(30)
        assert not waiting.is_alive()
        assert not one.take(0)


def queued(one: Turns) -> None:
    """Wait until somebody waits for a turn."""
    assert one._queue is not None
    while "tfd" not in Path(f"/proc/self/fdinfo/{one._queue.fileno()}").read_text():
        time.sleep(0.001)


@pytest.mark.skipif(not hasattr(select, "EPOLLEXCLUSIVE"), reason="no queues on this system")
def test_turns_begin_in_the_order_they_were_waited_for(tmp_path: Path) -> None:
    """Each end of a turn wakes who has waited longest, and nobody else."""
    order: list[int] = []

    def work(number: int, mine: Turns) -> None:
        assert mine.take(60)
        order.append(number)
        mine.end()

    with patch.object(turns, "LOOK", 3600), ExitStack() as opened:
        first, *others = [Turns(str(tmp_path / "usage.db")) for _ in range(6)]
        for each in (first, *others):
            opened.callback(each.close)
        assert first.take(0)
        waiting = []
        for number, each in enumerate(others):
            waiting.append(threading.Thread(target=work, args=(number, each), daemon=True))
            waiting[-1].start()
            queued(each)
        first.end()
        for thread in waiting:
            thread.join(30)
    assert order == [0, 1, 2, 3, 4]


def test_rings_nobody_heard_are_not_in_the_way(tmp_path: Path) -> None:
    """A full pipe stops nobody from ending a turn, and nobody takes an old ring for a turn."""
    with pair(tmp_path) as (one, two):
        for _ in range(70_000):
            one.end()
        assert one.take(0)
        assert not two.take(0.05)
        one.end()
        assert two.take(0)


@pytest.mark.parametrize("there", ["pipe", "file", "nothing"])
def test_turns_need_no_pipe(tmp_path: Path, there: str) -> None:
    """Where something else has the pipe's name, or pipes cannot be made, turns are taken all the same."""
    bell = tmp_path / ".usage.db.bell"
    if there == "file":
        bell.write_bytes(b"mine")
    made = patch.object(os, "mkfifo", side_effect=None if there == "pipe" else OSError, wraps=os.mkfifo)
    with made, pair(tmp_path) as (one, two):
        assert one.take(0)
        assert not two.take(0.01)
        one.end()
        assert two.take(0)
        two.end()
    if there == "pipe":
        assert stat.S_ISFIFO(bell.stat().st_mode)
    else:
        assert not bell.exists() or bell.read_bytes() == b"mine"


def test_a_process_that_is_killed_ends_its_turn(tmp_path: Path) -> None:
    """A lock without a ring: who waits looks again by itself."""
    with pair(tmp_path) as (one, _):
        wait = in_child(lambda: Turns(str(tmp_path / "usage.db")).take(0) and os.kill(os.getpid(), signal.SIGKILL))
        assert not wait()
        assert one.take(5)


def test_ledgers_in_memory_do_not_wait_for_each_other() -> None:
    """A ledger in memory is its process's alone: in the middle of a transaction of another one it is written to."""
    with stopped("sqlite://"), open_ledger("sqlite://", "direct") as ledger:
        assert ledger.submit(grant("acme", "g", 10)).value == 10
