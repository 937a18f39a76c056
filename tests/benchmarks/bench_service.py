"""What a decision costs over HTTP, beside a bare Starlette route on the same server, and what many requests leave."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from reconciler.service.identity.keys import TENANT, new_key, sha256_of
from tests.benchmarks.table import Row, show

#: Requests of one measurement, and of the one that looks at memory; ``BENCH_REQUESTS=1000000`` for the long one.
MEASURED, MANY = 10_000, int(os.environ.get("BENCH_REQUESTS", "100000"))
KEY = new_key(TENANT)
TERMS = """
settings: {namespace: bench, default_meter: calls}
meters: {calls: {name: Calls}}
plans:
  pro: {name: Pro, credits: {default: 1}, limits: [{of: "*", max: 1000000000, per: month}]}
tenants:
  acme:
    name: Acme
    plan: pro
    credits: [{id: much, amount: 1000000000, reason: benchmark}]
    api_keys: [{id: bench, sha256: "%s"}]
"""
BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
async def answer(request):
    return JSONResponse({"allowed": True, "tool": (await request.json())["tool"]})
app = Starlette(routes=[Route("/v1/check", answer, methods=["POST"])])
uvicorn.run(app, port=int(sys.argv[1]), log_level="critical", access_log=False)
"""


class Load(NamedTuple):
    """How many answers a second there were, and how long half and 99 of 100 of them took at most, in milliseconds."""

    rate: float
    p50: float
    p99: float


@contextmanager
def server(arguments: list[str], folder: Path, port: int) -> Iterator[int]:
    """Run a server until it answers, and end it; yields its process id."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *arguments], cwd=folder, stdout=log, stderr=log)
    try:
        asyncio.run(answering(port))
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


async def answering(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise TimeoutError


def request(path: str, body: str) -> bytes:
    """Return a request as bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def load(port: int, what: bytes, connections: int, number: int, rate: int | None = None) -> Load:
    """Send requests over connections that are kept, each as soon as the one before is answered, or at a rate.

    At a rate a request that has to wait for a connection has begun when it was due.
    """
    taken: list[float] = []
    left = number
    start = time.perf_counter()

    async def one() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            due = start if rate is None else start + (number - left) / rate
            if rate is not None:
                await asyncio.sleep(max(due - time.perf_counter(), 0))
            began = time.perf_counter() if rate is None else due
            writer.write(what)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            taken.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    seconds = time.perf_counter() - start
    taken.sort()
    return Load(len(taken) / seconds, 1000 * taken[len(taken) // 2], 1000 * taken[int(len(taken) * 0.99)])


def memory(pid: int) -> int:
    """Return the resident memory of a process in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def row(what: str, found: Load, floor: Load, bar: str = "") -> Row:
    """Return a measurement as a row."""
    figures = f"{found.rate:,.0f}/s, p50 {found.p50:.1f} ms, p99 {found.p99:.1f} ms"
    return Row(what, figures, f"{floor.rate / found.rate:.1f}x the time", bar)


def speed(folder: Path) -> tuple[list[Row], list[Row]]:
    """Measure the floor, checks and consumes, by one connection and by 64, then the memory that many requests leave."""
    (folder / "billing.d").mkdir()
    (folder / "billing.d" / "all.yaml").write_text(TERMS % sha256_of(KEY))
    check, consume = request("/v1/check", '{"tool":"search"}'), request("/v1/consume", '{"tool":"search"}')
    with server(["-c", BARE, "8571"], folder, 8571):
        floors = {each: asyncio.run(load(8571, check, each, MEASURED // 4)) for each in (1, 64)}
    rows = [row(f"floor: a bare route, {each} connections", floors[each], floors[each]) for each in floors]
    pace = ["--pace", "1000000", "--log-level", "warning"]
    with server(["-m", "reconciler", "serve", "--port", "8572", *pace], folder, 8572) as pid:
        asyncio.run(load(8572, check, 8, 2000))
        for name, what, bar in (("check", check, "2,000/s"), ("consume, durable", consume, "1,000/s")):
            for each in (1, 64):
                found = asyncio.run(load(8572, what, each, MEASURED // (1 if each > 1 else 4)))
                rows.append(row(f"{name}, {each} connections, as many as it can", found, floors[each], f"bar: {bar}"))
            offered = asyncio.run(load(8572, what, 64, MEASURED // 2, rate=int(bar.partition("/")[0].replace(",", ""))))
            offered_row = row(f"{name}, 64 connections, {bar} offered", offered, floors[64], "bar: p99 25 ms")
            rows.append(offered_row._replace(ratio=""))
        before = memory(pid)
        asyncio.run(load(8572, check, 32, MANY // 2))
        asyncio.run(load(8572, consume, 32, MANY // 2))
        after = memory(pid)
    grown = f"+{(after - before) / 1024:.1f} MiB"
    more = Row(f"after {MANY:,} more requests", f"{after / 1024:.1f} MiB", grown, "bar: flat")
    return rows, [Row("memory after the first", f"{before / 1024:.1f} MiB", ""), more]


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as directory:
        speeds, left = speed(Path(directory))
    show("Decisions over HTTP, SQLite, one process", speeds)
    show("Memory of the server", left)


if __name__ == "__main__":
    main()
