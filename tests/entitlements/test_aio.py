"""The runtime for asyncio: the same answers, and a loop that goes on."""

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from reconciler.entitlements import Entitlements
from reconciler.entitlements.aio import AsyncEntitlements

from .worlds import policy

TERMS = """
plans:
  pro: {name: Pro, credits: {default: 1}}
tenants:
  acme: {name: Acme, plan: pro}
"""
Mode = Literal["direct", "group", "lease"]
modes = pytest.mark.parametrize("mode", ["direct", "group", "lease"])


def opened(path: Path, mode: Mode) -> Entitlements:
    """Open a runtime on a file."""
    return Entitlements.open(policy(TERMS), f"sqlite:///{path}/u.db", mode=mode, journal=path / "j")


@modes
def test_tasks_spend_exactly_what_is_there(mode: Mode, tmp_path: Path) -> None:
    """Of more tasks than credits exactly as many succeed, and the loop ticks on meanwhile."""

    async def main(ent: Entitlements) -> tuple[int, int]:
        runtime, ticks, done = AsyncEntitlements(ent), 0, asyncio.Event()

        async def tick() -> None:
            nonlocal ticks
            while not done.is_set():
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        answers = await asyncio.gather(*(runtime.consume("acme", "x", key=f"k{number}") for number in range(120)))
        done.set()
        await ticking
        return sum(map(bool, answers)), ticks

    with opened(tmp_path, mode) as ent:
        ent.grant("acme", 80, key="g")
        allowed, ticks = asyncio.run(main(ent))
        assert allowed == 80
        assert ticks > 10
    with opened(tmp_path, "direct") as ent:
        assert ent.balance("acme").credits == 0


@modes
def test_a_cancelled_block_is_released(mode: Mode, tmp_path: Path) -> None:
    """A task cancelled while its tool works gives everything back; one that ends commits."""

    async def main(ent: Entitlements) -> None:
        runtime = AsyncEntitlements(ent)

        async def work() -> None:
            async with await runtime.reserve("acme", "x", quantity=5):
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        for _ in range(500):
            await asyncio.sleep(0.01)
            if ent.ledger.store.read("acme").held:
                break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with await runtime.reserve("acme", "x", quantity=7, key="job") as held:
            assert held
            await held.commit(3)

    with opened(tmp_path, mode) as ent:
        ent.grant("acme", 10, key="g")
        asyncio.run(main(ent))
        assert (ent.balance("acme").credits, ent.balance("acme").held) == (7 * 10**6, 0)


@modes
def test_a_task_cancelled_while_it_reserves_holds_nothing(mode: Mode, tmp_path: Path) -> None:
    """Whenever a task is cancelled, before its reservation is asked for, meanwhile or after, nothing stays held."""

    async def main(ent: Entitlements) -> None:
        runtime = AsyncEntitlements(ent)

        async def work() -> None:
            async with await runtime.reserve("acme", "x", quantity=5):
                await asyncio.sleep(60)

        for steps in range(8):
            task = asyncio.create_task(work())
            for _ in range(steps):
                await asyncio.sleep(0.001 if steps > 4 else 0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with opened(tmp_path, mode) as ent:
        ent.grant("acme", 10, key="g")
        asyncio.run(main(ent))
        assert (ent.ledger.store.read("acme").credits, ent.ledger.store.read("acme").held) == (10 * 10**6, 0)
