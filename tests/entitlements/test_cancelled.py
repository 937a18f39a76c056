"""Tasks that are cancelled, and ledgers that raise, in the middle of what is done in steps."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.entitlements import Entitlements
from reconciler.entitlements.acts import Request
from reconciler.entitlements.aio import AsyncEntitlements
from reconciler.entitlements.decision import Decision, Reason
from reconciler.entitlements.leases import HOT
from reconciler.entitlements.reservation import Reservation
from reconciler.entitlements.steps import Steps, ask, carry_out
from reconciler.ledger.jobs import Job

from .test_aio import Mode, modes, opened


@contextmanager
def busy(ent: Entitlements) -> Iterator[threading.Event]:
    """Keep the ledger's writer busy until the event is set, or the block is left."""
    entered, go = threading.Event(), threading.Event()

    def hold_up(*_: object) -> None:
        entered.set()
        go.wait(60)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(ent.ledger.submit, Job("birch", hold_up))
        entered.wait(60)
        try:
            yield go
        finally:
            go.set()


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """Cancel a task that has begun, and see that it tells so."""
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def at_rest(runtime: AsyncEntitlements) -> None:
    """Wait for what goes on behind cancelled tasks."""
    await asyncio.gather(*runtime._running)


def test_a_task_cancelled_while_it_borrows_strands_no_slice(tmp_path: Path) -> None:
    """The slice a cancelled task had asked for is there for the next call, and the call is booked."""

    async def main(ent: Entitlements) -> None:
        runtime = AsyncEntitlements(ent)
        for _ in range(HOT - 1):
            assert await runtime.consume("acme", "x")
        with busy(ent) as go:
            await cancelled(asyncio.create_task(runtime.consume("acme", "x")))
            go.set()
            await at_rest(runtime)
        assert ent.leases is not None
        assert ent.leases.consume("acme", "x", None) is not None

    with opened(tmp_path, "lease") as ent:
        ent.grant("acme", 1000, key="g")
        asyncio.run(main(ent))
    with opened(tmp_path, "direct") as ent:
        assert (ent.balance("acme").credits, ent.balance("acme").held) == ((1000 - HOT - 1) * 10**6, 0)


def test_a_cancelled_repeat_leaves_the_first_reservation(tmp_path: Path) -> None:
    """A task that repeats another's reservation and is cancelled gives back nothing: it is not its own."""

    async def main(ent: Entitlements) -> None:
        runtime = AsyncEntitlements(ent)
        assert await runtime.reserve("acme", "x", quantity=5, key="job")
        with busy(ent) as go:
            repeat = asyncio.create_task(runtime.reserve("acme", "x", quantity=5, key="job"))
            asyncio.get_running_loop().call_later(0.02, go.set)
            await cancelled(repeat)

    with opened(tmp_path, "group") as ent:
        ent.grant("acme", 10, key="g")
        asyncio.run(main(ent))
        assert ent.balance("acme").held == 5 * 10**6


def test_what_fails_while_it_is_given_back_is_reported_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled task is told that it was cancelled, whatever the release raises; the loop reports that."""
    reported: list[BaseException] = []

    def fail(_: Reservation) -> bool:
        raise ZeroDivisionError

    async def main(ent: Entitlements) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, told: reported.append(told["exception"]))
        with busy(ent) as go:
            reserving = asyncio.create_task(AsyncEntitlements(ent).reserve("acme", "x"))
            loop.call_later(0.02, go.set)
            await cancelled(reserving)
        del reserving
        gc.collect()

    monkeypatch.setattr(Reservation, "release", fail)
    with opened(tmp_path, "group") as ent:
        ent.grant("acme", 10, key="g")
        asyncio.run(main(ent))
    assert [type(each) for each in reported] == [ZeroDivisionError]


@modes
def test_a_task_cancelled_while_it_commits_has_committed(mode: Mode, tmp_path: Path) -> None:
    """A commit that waits for a thread when its task is cancelled is done, and the block does not release before it."""

    async def main(ent: Entitlements) -> None:
        runtime, begun, go = AsyncEntitlements(ent), asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        async def work() -> None:
            async with await runtime.reserve("acme", "x", quantity=5) as held:
                loop.run_in_executor(None, go.wait, 60)
                begun.set()
                await held.commit(3)

        loop.set_default_executor(ThreadPoolExecutor(1))
        task = asyncio.create_task(work())
        await begun.wait()
        loop.call_later(0.02, go.set)
        await cancelled(task)

    with opened(tmp_path, mode) as ent:
        ent.grant("acme", 10, key="g")
        asyncio.run(main(ent))
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (7 * 10**6, 0)


def test_a_block_is_left_when_every_end_of_it_is_over(tmp_path: Path) -> None:
    """A commit that waits for its thread is waited for, also where another one, begun later, has failed already."""

    async def main(ent: Entitlements) -> None:
        runtime, go = AsyncEntitlements(ent), threading.Event()
        loop = asyncio.get_running_loop()
        commits: list[asyncio.Task[Decision]] = []

        async def work() -> None:
            async with await runtime.reserve("acme", "x", quantity=5) as held:
                loop.set_default_executor(slow := ThreadPoolExecutor(1))
                slow.submit(go.wait, 60)
                commits.append(asyncio.create_task(held.commit(3)))
                for _ in range(5):
                    await asyncio.sleep(0)
                loop.set_default_executor(ThreadPoolExecutor(1))
                loop.call_later(0.05, go.set)
                await held.commit(-1)

        with pytest.raises(ValueError, match="quantity"):
            await work()
        assert (await commits[0]).cost == 3 * 10**6

    with opened(tmp_path, "group") as ent:
        ent.grant("acme", 10, key="g")
        asyncio.run(main(ent))
        kinds = [entry.kind for entry in ent.ledger.store.entries("acme")]
        assert kinds[-2:] == ["reserve", "commit"]


@modes
def test_the_end_of_the_loop_leaves_nothing_held(mode: Mode, tmp_path: Path) -> None:
    """A task that reserves when its loop ends gives back what it gets, though the loop cancels what does that, too."""

    async def main(ent: Entitlements) -> asyncio.Task[Any]:
        reserving = asyncio.create_task(AsyncEntitlements(ent).reserve("acme", "x", quantity=5))
        await asyncio.sleep(0.05)
        return reserving

    with opened(tmp_path, mode) as ent:
        ent.grant("acme", 10, key="g")
        with busy(ent) as go:
            threading.Timer(0.3, go.set).start()
            assert asyncio.run(main(ent)).cancelled()
        assert len(ent.ledger.store.entries("acme")) == 3
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (10 * 10**6, 0)


@modes
def test_the_end_of_the_loop_ends_what_was_begun(mode: Mode, tmp_path: Path) -> None:
    """A commit that waits for a thread when its loop ends is done."""

    async def main(ent: Entitlements) -> None:
        runtime, begun, go = AsyncEntitlements(ent), asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))

        async def commit() -> None:
            async with await runtime.reserve("acme", "x", quantity=5) as held:
                loop.run_in_executor(None, go.wait, 60)
                begun.set()
                await held.commit(3)

        task = asyncio.create_task(commit())
        await begun.wait()
        await asyncio.sleep(0.05)
        threading.Timer(0.2, go.set).start()
        assert not task.done()

    with opened(tmp_path, mode) as ent:
        ent.grant("acme", 10, key="g")
        asyncio.run(main(ent))
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (7 * 10**6, 0)


def broken(*_: object) -> None:
    """Raise, as an act that is wrong."""
    raise ZeroDivisionError


def steps(seen: list[str], answer: str | None) -> Steps[str]:
    """Ask what fails; go on to an answer, or let go and raise."""
    try:
        yield from ask(Job("acme", broken))
    except ZeroDivisionError:
        if answer is None:
            raise
        return answer
    finally:
        seen.append("let go")
    return "nothing failed"


def test_steps_are_told_what_the_ledger_raises(tmp_path: Path) -> None:
    """Steps let go what they hold where a job fails, on threads and in tasks; the error goes on unless they answer."""
    seen: list[str] = []
    with opened(tmp_path, "group") as ent:
        runtime = AsyncEntitlements(ent)
        assert carry_out(steps(seen, "else"), ent.ledger) == "else"
        assert asyncio.run(runtime._carry_out(steps(seen, "else"))) == "else"
        with pytest.raises(ZeroDivisionError):
            carry_out(steps(seen, None), ent.ledger)
        with pytest.raises(ZeroDivisionError):
            asyncio.run(runtime._carry_out(steps(seen, None)))
    assert seen == ["let go"] * 4


class Keeper:
    """A keeper whose commits fail."""

    def __init__(self) -> None:
        self.released: list[str] = []

    def commit(self, tenant: str, request: Request, *, owed: bool) -> Decision:
        """Raise."""
        raise ZeroDivisionError(tenant, request, owed)

    def release(self, tenant: str, key: str) -> bool:
        """Note it."""
        self.released.append(f"{tenant} {key}")
        return True


def test_a_commit_that_raised_leaves_the_reservation_open() -> None:
    """A block left by the error of its commit gives the hold back: nothing was committed."""
    keeper = Keeper()
    decision = Decision(True, Reason.OK, "acme", "x")
    with pytest.raises(ZeroDivisionError), Reservation(decision, keeper, Request("x", key="k")) as held:
        held.commit(3)
    assert keeper.released == ["acme k"]
