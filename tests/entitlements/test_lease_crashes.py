"""A holder of leases that dies at every single step of what it does, and whoever recovers that, too."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from reconciler.entitlements import Entitlements, Reason
from reconciler.entitlements import leases as leases_module
from reconciler.entitlements.leases import HOT
from reconciler.entitlements.steps import carry_out
from reconciler.ledger import journal
from reconciler.ledger.journal import JournalFile
from reconciler.ledger.sqlite import SqliteStore
from tests.ledger.processes import in_child

from .audit import audit, entries_of
from .worlds import HandClock, policy

TERMS = """
plans: {pro: {name: Pro, credits: {tools: {search: 1}}}}
tenants: {acme: {name: Acme, plan: pro}}
"""
POLICY = policy(TERMS)
ALL = 10_000
LATE = 60_000_000
Step = Callable[[], None]


def opened(home: Path, clock: HandClock, mode: Any = "lease") -> Entitlements:
    """Open a runtime on the file of a test."""
    return Entitlements.open(POLICY, f"sqlite:///{home}/usage.db", mode=mode, clock=clock, journal=home / "journal")


@contextmanager
def stepped(step: Step) -> Iterator[None]:
    """Call a step before and after everything that a crash can come between, and in the middle of every note."""
    with ExitStack() as patched:
        for owner, name in (
            (SqliteStore, "transact"),
            (JournalFile, "clear"),
            (JournalFile, "remove"),
            (JournalFile, "leave"),
            (journal, "_created"),
            (Path, "unlink"),
            (os, "fsync"),
        ):
            patched.enter_context(patch.object(owner, name, _around(getattr(owner, name), step)))
        write = os.write

        def torn(file: int, data: bytes) -> int:
            step()
            half = len(data) // 2
            write(file, data[:half])
            step()
            written = half + write(file, data[half:])
            step()
            return written

        patched.enter_context(patch.object(journal.os, "write", torn))
        yield


def _around(work: Callable[..., Any], step: Step) -> Callable[..., Any]:
    def stepped_work(*given: Any, **named: Any) -> Any:
        step()
        result = work(*given, **named)
        step()
        return result

    return stepped_work


class Told:
    """What a process was told, in a file that outlives it: calls with keys and without, and what was noted of them."""

    def __init__(self, home: Path) -> None:
        self._path = home / "told"
        self._path.touch()

    def tell(self, line: str) -> None:
        """Write one line."""
        with self._path.open("a") as file:
            file.write(line + "\n")

    def keys(self, *, noted: bool) -> list[str]:
        """Return what calls were told, ``.`` for one without a key; of those that were noted, or all."""
        lines = self._path.read_text().split("\n")[:-1]
        if noted:
            marks = [place for place, line in enumerate(lines) if line == "noted"]
            lines = lines[: marks[-1]] if marks else []
        return [line for line in lines if line != "noted"]


def hold(home: Path, step: Step) -> None:
    """Borrow, use, note, be copied, renew, be called back, load a policy, and end; a step between all of it."""
    told, clock = Told(home), HandClock()

    def call(name: str, times: int) -> None:
        for number in range(times):
            key = f"{name}{number}" if number % 2 else None
            if ent.consume("acme", "search", key=key).allowed:
                told.tell(key or ".")

    with opened(home, clock) as ent, stepped(step):
        leases = ent.leases
        assert leases is not None
        call("a", HOT + 10)
        assert leases._note(leases._all())
        told.tell("noted")
        if os.fork() == 0:
            # A copy that borrows for itself, and dies; it waits for nobody.
            call("copy", HOT + 5)
            if leases._slices and leases._note(leases._all()):
                told.tell("noted")
            os.kill(os.getpid(), signal.SIGKILL)
        os.wait()
        call("b", 7)
        carry_out(leases._borrow_alone("acme", "search"), ent.ledger)
        call("c", 5)
        clock.now += 1
        ent.ledger.submit(ent._acts.recall("acme"))
        for (tenant, name), slice_ in list(leases._slices.items()):
            leases._look(tenant, name, slice_)
        assert not leases._slices
        told.tell("noted")
        leases._cool.clear()
        call("d", HOT + 3)
        ent.reload(POLICY)
        told.tell("noted")
        call("e", HOT + 3)
        leases.settle()
        told.tell("noted")
        call("f", HOT + 3)


def recover(home: Path, step: Step, later: int = 0) -> None:
    """Open and close another runtime, at another instant."""
    clock = HandClock()
    clock.now += later
    with stepped(step), opened(home, clock):
        pass


def dying(work: Callable[[Step], None], at: int) -> bool:
    """Do work in a copy of this process that is killed at a step; tell whether it ended before."""

    def run() -> bool:
        left, me = at, os.getpid()

        def step() -> None:
            nonlocal left
            left -= 1
            if left == 0 and os.getpid() == me:
                os.kill(os.getpid(), signal.SIGKILL)

        with patch.object(leases_module, "NOTE", 3600), patch.object(leases_module, "LOOK", 3600):
            work(step)
        return True

    return in_child(run)()


def killing(home: Path, notings: int) -> Step:
    """Return a step that kills its process once so many notings were told."""

    def step() -> None:
        if (home / "told").read_text().split("\n").count("noted") >= notings:
            os.kill(os.getpid(), signal.SIGKILL)

    return step


def begun(home: Path) -> None:
    """Give the tenant credits."""
    home.mkdir()
    with opened(home, HandClock(), "direct") as ent:
        ent.grant("acme", ALL, key="g")


def proven(home: Path, later: int) -> None:
    """Check a ledger that was recovered: what was noted is booked once, nothing nobody did, and all of it adds up."""
    clock = HandClock()
    clock.now += max(later, LATE)
    with opened(home, clock, "direct") as ent:
        ent.sweep()
        book = audit(ent)
        entries = entries_of(ent, "acme")
        keys = {entry.key for entry in entries if entry.kind == "consume" and entry.key is not None}
        plain = sum(entry.kind == "consume" and entry.key is None for entry in entries)
        plain += sum(entry.answer[3]["calls"] for entry in entries if entry.kind == "settle")
        assert (book.held, book.holds) == (0, {})
        assert book.credits == (ALL - len(keys) - plain) * 10**6
        noted, told = (Told(home).keys(noted=noted) for noted in (True, False))
        assert set(noted) - {"."} <= keys
        assert len(keys - set(told)) <= 1
        assert noted.count(".") <= plain <= told.count(".") + 1
        for key in sorted(keys)[-3:]:
            again = ent.consume("acme", "search", key=key)
            assert (again.allowed, again.replayed, again.reason) == (True, True, Reason.OK)
        assert ent.ledger.store.read("acme").credits == book.credits
    assert list((home / "journal").glob("lease-*.jsonl")) == []


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("later", [0, LATE], ids=["in time", "late"])
def test_a_holder_may_die_at_every_step(tmp_path: Path, later: int) -> None:
    """Whatever it was doing, what it had noted is booked once and nothing stays held, in its term or behind it."""
    at, ended = 0, False
    while not ended:
        at += 1
        home = tmp_path / str(at)
        begun(home)
        ended = dying(lambda step, home=home: hold(home, step), at)  # type: ignore[misc]  # lambdas have no types
        recover(home, lambda: None, later)
        proven(home, later)
    assert at > 100


@pytest.mark.soak
def test_who_recovers_may_die_at_every_step(tmp_path: Path) -> None:
    """What one process left behind and a second one began to settle, a third one settles, once."""
    for notings in (2, 4):
        at, ended = 0, False
        while not ended:
            at += 1
            home = tmp_path / f"{notings} {at}"
            begun(home)
            assert not dying(lambda _, home=home: hold(home, killing(home, notings)), 0)  # type: ignore[misc]  # noqa: B023
            assert [".", *Told(home).keys(noted=True)].count(".") > 1
            ended = dying(lambda step, home=home: recover(home, step), at)  # type: ignore[misc]
            recover(home, lambda: None)
            proven(home, 0)
        assert at > 5
