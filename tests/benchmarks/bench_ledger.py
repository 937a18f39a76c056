"""Durable consumes per second, beside a bare group-commit loop and the plain guarded update of the same run."""

import asyncio
import sqlite3
import statistics
import tempfile
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from reconciler.config.catalog import catalog_from_text
from reconciler.entitlements import Entitlements, Policy
from reconciler.entitlements.aio import AsyncEntitlements
from reconciler.entitlements.compile import compile_catalog
from tests.benchmarks.table import Row, show

TERMS = """
settings: {namespace: bench, default_meter: calls}
meters: {calls: {name: Calls}}
plans: {pack: {name: Pack, credits: {default: 1}}}
tenants: {hot: {name: Hot, plan: pack}}
"""
ROUNDS, CALLS = 5, {1: 400, 32: 8_000}


def policy() -> Policy:
    """Compile the terms."""
    catalog, problems = catalog_from_text(TERMS)
    assert catalog is not None, problems
    return compile_catalog(catalog)


class Figures:
    """Rates of several rounds, and the latencies of all."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.latencies: list[float] = []

    def p99(self) -> float:
        """Return the 99th percentile in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[int(len(ordered) * 0.99)] * 1000 if ordered else 0.0


async def tasks(callers: int, calls: int, call: Callable[[str], Awaitable[Any]], figures: Figures) -> None:
    """Let so many tasks make calls one after the other, each under a key of its own."""

    async def caller(number: int) -> None:
        for place in range(calls // callers):
            start = time.perf_counter()
            await call(f"{callers}/{len(figures.rates)}/{number}/{place}")
            figures.latencies.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    figures.rates.append(calls // callers * callers / (time.perf_counter() - start))


class BareLoop:
    """The floor: one writer thread, one balance, a row and a unique key for each call, answered after the commit."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE account (tenant TEXT PRIMARY KEY, balance INTEGER CHECK (balance >= 0));"
            "CREATE TABLE entry (tenant TEXT, seq INTEGER, key TEXT, body TEXT,"
            " PRIMARY KEY (tenant, seq)) WITHOUT ROWID;"
            "CREATE UNIQUE INDEX entry_key ON entry (tenant, key);"
            "INSERT INTO account VALUES ('hot', 1000000000);"
        )
        self._queue: deque[tuple[str, asyncio.Future[bool]] | None] = deque()
        self._waiting = threading.Event()
        self._seq = 0
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def call(self, key: str) -> "asyncio.Future[bool]":
        """Queue one call."""
        future = asyncio.get_running_loop().create_future()
        self._queue.append((key, future))
        self._waiting.set()
        return future

    def _write(self) -> None:
        while True:
            self._waiting.wait()
            self._waiting.clear()
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), 256))]
                if batch[0] is None:
                    return
                self._commit([each for each in batch if each is not None])

    def _commit(self, batch: list[tuple[str, "asyncio.Future[bool]"]]) -> None:
        rows = [("hot", self._seq + place, key, "x" * 120) for place, (key, _) in enumerate(batch)]
        self._seq += len(batch)
        self._db.execute("BEGIN IMMEDIATE")
        spend = "UPDATE account SET balance = balance - ? WHERE tenant = 'hot' AND balance >= ?"
        self._db.execute(spend, [len(batch)] * 2)
        self._db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?)", rows)
        self._db.execute("COMMIT")
        batch[0][1].get_loop().call_soon_threadsafe(lambda: [future.set_result(True) for _, future in batch])

    def close(self) -> None:
        """End the thread."""
        self._queue.append(None)
        self._waiting.set()
        self._thread.join()
        self._db.close()


def guarded_update(path: Path) -> float:
    """Return plain guarded updates per second, each a transaction of its own, with no entry and no key."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE account (tenant TEXT PRIMARY KEY, balance INTEGER);"
        "INSERT INTO account VALUES ('hot', 1000000000);"
    )
    start = time.perf_counter()
    for _ in range(1500):
        db.execute(
            "UPDATE account SET balance = balance - 1 WHERE tenant = 'hot' AND balance >= 1 RETURNING balance"
        ).fetchone()
    taken = time.perf_counter() - start
    db.close()
    return 1500 / taken


def threads(ent: Entitlements, callers: int, calls: int) -> float:
    """Return calls per second of so many threads."""

    def work(number: int) -> None:
        for place in range(calls // callers):
            ent.consume("hot", "x", key=f"thread/{callers}/{number}/{place}")

    running = [threading.Thread(target=work, args=(number,)) for number in range(callers)]
    start = time.perf_counter()
    for each in running:
        each.start()
    for each in running:
        each.join()
    return calls / (time.perf_counter() - start)


def sqlite(directory: Path) -> list[Row]:
    """Return the rows of the SQLite ledger; ours and the floor take turns."""
    bare, rows = BareLoop(directory / "bare.db"), []
    with Entitlements.open(policy(), f"sqlite:///{directory}/ours.db") as ent:
        ent.grant("hot", 10**9, key="g")
        runtime = AsyncEntitlements(ent)
        for callers, bar in ((1, "4,500/s"), (32, "40,000/s, 60 %, p99 3 ms")):
            ours, floor = Figures(), Figures()
            for _ in range(ROUNDS):
                asyncio.run(tasks(callers, CALLS[callers], bare.call, floor))
                asyncio.run(tasks(callers, CALLS[callers], lambda key: runtime.consume("hot", "x", key=key), ours))
            share = statistics.median(mine / theirs for mine, theirs in zip(ours.rates, floor.rates, strict=True))
            rows.append(_row(f"bare group commit, {callers} tasks", floor, "", ""))
            rows.append(_row(f"consume, {callers} tasks", ours, f"{share:.0%} of bare", bar))
        rows.append(Row("consume, 1 thread", f"{threads(ent, 1, 1000):,.0f}/s", "", "bar: 4,500/s"))
        rows.append(Row("consume, 32 threads", f"{threads(ent, 32, 8000):,.0f}/s", "", "beside"))
    bare.close()
    rows.append(Row("guarded UPDATE … RETURNING, 1 caller", f"{guarded_update(directory / 'plain.db'):,.0f}/s", ""))
    return rows


def _row(what: str, figures: Figures, ratio: str, bar: str) -> Row:
    best, median = max(figures.rates), statistics.median(figures.rates)
    figure = f"{median:,.0f}/s (best {best:,.0f}), p99 {figures.p99():.2f} ms"
    return Row(what, figure, ratio, bar and f"bar: {bar}")


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as directory:
        show("Durable consumes of one hot tenant, SQLite, synchronous FULL", sqlite(Path(directory)))


if __name__ == "__main__":
    main()
