"""Measure the sandbox and print a table: ``python tests/benchmarks/bench_sandbox.py``, with the package installed."""

import http.client
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import stripe

from reconciler.sandbox import Request, Sandbox
from reconciler.sandbox.server import Server

HEADERS = {"Authorization": "Bearer sk_test_sandbox", "Content-Type": "application/x-www-form-urlencoded"}
BODY = b"name=Pro&metadata[managed_by]=reconciler&metadata[address]=plans.pro"
SMALL, LARGE = 1_000, 100_000


def timed(count: int, call: Callable[[int], object]) -> tuple[float, float]:
    """Return calls per second and the median of one call in milliseconds."""
    durations = []
    start = time.perf_counter()
    for number in range(count):
        before = time.perf_counter()
        call(number)
        durations.append(time.perf_counter() - before)
    return count / (time.perf_counter() - start), statistics.median(durations) * 1000


def create(sandbox: Sandbox) -> Callable[[int], object]:
    """Return a call that creates a product under its own idempotency key."""
    return lambda n: sandbox.dispatch(Request("POST", "/v1/products", {**HEADERS, "Idempotency-Key": f"k{n}"}, BODY))


@contextmanager
def connected(sandbox: Sandbox) -> Iterator[Callable[[int], object]]:
    """Yield a call that creates a product over one kept-alive connection."""
    with Server(sandbox) as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))

        def call(_: int) -> object:
            connection.request("POST", "/v1/products", BODY, HEADERS)
            return connection.getresponse().read()

        yield call
        connection.close()


def filled(count: int) -> Sandbox:
    """Return a sandbox with one product of ``count`` prices, half of them archived, all created in one second."""
    sandbox = Sandbox(clock=1_800_000_000)
    sandbox.dispatch(Request("POST", "/v1/products", HEADERS, b"name=x&id=p"))
    for number in range(count):
        active = b"true" if number % 2 else b"false"
        body = b"product=p&currency=usd&unit_amount=1&lookup_key=k%d&active=%s" % (number, active)
        sandbox.dispatch(Request("POST", "/v1/prices", HEADERS, body))
    return sandbox


def page(sandbox: Sandbox, query: str) -> float:
    """Return the median milliseconds of one list request."""
    return timed(200, lambda _: sandbox.dispatch(Request("GET", f"/v1/prices?{query}", HEADERS)))[1]


def main() -> None:
    """Print throughput, latency and how the cost of a page grows with the account."""
    stripe.enable_telemetry = False
    rows = []
    with Sandbox() as sandbox:
        rows.append(("in process, memory: creates", *timed(3000, create(sandbox))))
        client = sandbox.client()
        rows.append(
            ("in process, memory: creates by the SDK", *timed(2000, lambda _: client.v1.products.create({"name": "x"})))
        )
    with tempfile.TemporaryDirectory() as directory, Sandbox(str(Path(directory) / "db")) as sandbox:
        rows.append(("in process, file: creates", *timed(3000, create(sandbox))))
    with Sandbox() as sandbox, connected(sandbox) as call:
        rows.append(("HTTP, kept alive: creates", *timed(2000, call)))
    for name, rate, median in rows:
        sys.stdout.write(f"{name:<42}{rate:>10.0f}/s {median:>9.3f} ms median\n")
    with filled(SMALL) as small, filled(LARGE) as large:
        middle = large.client().v1.prices.list({"limit": 100}).data[-1].id
        for query in ("limit=100", "limit=100&active=false", "limit=100&product=p&active=true", "lookup_keys[]=k7"):
            few, many = page(small, query), page(large, query)
            sys.stdout.write(
                f"page {query:<37}{few:>9.3f} ms at {SMALL}, {many:>9.3f} ms at {LARGE}: factor {many / few:.2f}\n"
            )
        deep = page(large, f"limit=100&starting_after={middle}")
        sys.stdout.write(f"page after a cursor, one second's objects {deep:>10.3f} ms at {LARGE}\n")


if __name__ == "__main__":
    main()
