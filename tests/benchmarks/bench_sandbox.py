"""Speed of the sandbox: creates in process and over HTTP, each beside a floor measured in the same minute.

``python -m tests.benchmarks.bench_sandbox`` prints a table. The floors are SQLite storing the same rows, and the same
HTTP server with a route that does nothing. Every figure is the best of several batches, taken in turn with its floor.
"""

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import stripe

from reconciler.sandbox import Request, Sandbox
from reconciler.sandbox.database import MEMORY, TABLES
from tests.benchmarks.table import Row, show

HEADERS = {"Authorization": "Bearer sk_test_sandbox", "Content-Type": "application/x-www-form-urlencoded"}
BODY = b"name=Pro&metadata[managed_by]=reconciler&metadata[address]=plans.pro"
BATCHES, CALLS = 8, 250

Call = Callable[[], object]

#: A server of its own process that says where it listens: the sandbox's HTTP, and a route that answers as many bytes.
BARE = """
import sys
from reconciler.sandbox import server

async def app(scope, receive, send):
    await receive()
    length = [(b"content-type", b"application/json"), (b"content-length", sys.argv[1].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": b"x" * int(sys.argv[1])})

listener = server._listen("127.0.0.1", 0)
print("http://127.0.0.1:%d" % listener.getsockname()[1], flush=True)
server._uvicorn(app).run(sockets=[listener])
"""
OURS = """
import sys
from reconciler.sandbox import Sandbox
from reconciler.sandbox.server import serve

with Sandbox(sys.argv[1]) as sandbox:
    serve(sandbox, ready=lambda url: print(url, flush=True))
"""


class Speed(NamedTuple):
    """The best batch: calls per second, the median of one call in milliseconds, calls per second of the processor."""

    rate: float
    median: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.rate:.0f}/s, {self.median:.3f} ms median"

    def __truediv__(self, floor: "Speed") -> str:
        return f"{self.median / floor.median:.1f}x the median"


def batch(call: Call) -> Speed:
    """Make some calls one after the other."""
    durations = []
    start, spent = time.perf_counter(), time.process_time()
    for _ in range(CALLS):
        before = time.perf_counter()
        call()
        durations.append(time.perf_counter() - before)
    seconds, spent = time.perf_counter() - start, time.process_time() - spent
    return Speed(CALLS / seconds, statistics.median(durations) * 1000, CALLS / spent)


def best(*calls: Call) -> list[Speed]:
    """Return the best batch of each call, all of them taken in turn."""
    rounds = [[batch(call) for call in calls] for _ in range(BATCHES)]
    return [
        Speed(
            max(each.rate for each in batches), min(each.median for each in batches), max(each.cpu for each in batches)
        )
        for batches in zip(*rounds, strict=True)
    ]


def create(sandbox: Sandbox) -> Call:
    """Return a call that creates a product under its own idempotency key."""
    numbers = count()
    return lambda: sandbox.dispatch(
        Request("POST", "/v1/products", {**HEADERS, "Idempotency-Key": f"k{next(numbers)}"}, BODY)
    )


def store(sandbox: Sandbox) -> Call:
    """Return a call that stores once more, under other numbers, the rows of one create in an empty sandbox."""
    create(sandbox)()
    database = sandbox._store._writer
    rows = {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES if table != "counter"}
    numbers = count(1_000_000, 10)
    object_table = {"object": 0, "term": 5}

    def call() -> None:
        number = next(numbers)
        database.execute("BEGIN IMMEDIATE")
        for table, stored in rows.items():
            for row in stored:
                values = list(row)
                if table in object_table:
                    values[object_table[table]] += number
                if table in {"object", "idempotency"}:
                    values[3 if table == "object" else 1] += str(number)
                database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
        database.execute("COMMIT")

    return call


@contextmanager
def served(source: str, argument: str) -> Iterator[Call]:
    """Yield a call that creates a product over a connection to a server in another process, kept alive."""
    command = [sys.executable, "-c", source, argument]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().strip()).netloc
        with closing(http.client.HTTPConnection(address)) as connection:

            def call() -> None:
                connection.request("POST", "/v1/products", BODY, HEADERS)
                assert connection.getresponse().read()

            yield call
        process.terminate()


def in_process(path: str, name: str) -> list[Row]:
    """Measure creates in this process."""
    with Sandbox(path) as sandbox, Sandbox(f"{path}.floor" if path != MEMORY else path) as floor:
        ours, bare = best(create(sandbox), store(floor))
    return [
        Row(f"SQLite stores the same rows, {name}", str(bare), ""),
        Row(f"creates in process, {name}", str(ours), ours / bare, "bar: 1,500/s on one core"),
        Row("", f"{ours.cpu:.0f} per second of the processor", f"floor: {bare.cpu:.0f}"),
    ]


def through_the_sdk() -> list[Row]:
    """Measure creates by the SDK, which has its own cost."""
    with Sandbox() as sandbox:
        client = sandbox.client()
        sdk, plain = best(lambda: client.v1.products.create({"name": "x"}), create(sandbox))
    return [Row("creates by the SDK in process, memory", str(sdk), f"{sdk / plain} without it")]


def over_http(path: str, name: str) -> list[Row]:
    """Measure creates over HTTP."""
    with Sandbox() as sandbox:
        size = len(sandbox.dispatch(Request("POST", "/v1/products", HEADERS, BODY)).body)
    with ExitStack() as stack:
        ours, bare = best(*(stack.enter_context(served(*each)) for each in ((OURS, path), (BARE, str(size)))))
    return [
        Row("a route that does nothing, one connection", str(bare), ""),
        Row(f"creates over HTTP, {name}", str(ours), ours / bare, "bar: 500/s, 3 ms"),
    ]


def main() -> None:
    """Print every figure."""
    stripe.enable_telemetry = False
    with tempfile.TemporaryDirectory() as directory:
        files = (str(Path(directory) / name) for name in ("a", "b"))
        rows = [*in_process(MEMORY, "memory"), *in_process(next(files), "file"), *through_the_sdk()]
        rows += [*over_http(MEMORY, "memory"), *over_http(next(files), "file")]
    show(f"The sandbox: creates (the machine's load is {os.getloadavg()[0]:.1f})", rows)


if __name__ == "__main__":
    main()
