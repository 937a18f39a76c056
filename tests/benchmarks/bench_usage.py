"""Export of a million units of a thousand tenants: our own CPU, the sandbox's apart, beside bare requests.

``python -m tests.benchmarks.bench_usage`` prints a table; nothing here is asserted by the test suite. The account is
the embedded sandbox in the same process; what its own work takes is measured in each thread and taken off.
"""

import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from reconciler.entitlements import Entitlements
from reconciler.ledger.ledger import open_ledger
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.usage import THREADS, UsageSender
from reconciler.sandbox import Request, Response, Sandbox
from tests.benchmarks.table import Row, show
from tests.entitlements.worlds import at, policy

KEY = "sk_test_sandbox"
TENANTS, HOURS, UNITS = 1000, 5, 200
SECOND, HOUR = 1_000_000, 3600
FILES = """
settings: {namespace: bench, default_meter: calls, default_plan: open}
meters: {calls: {name: Calls}}
plans:
  open: {name: Open, usage: {calls: {included: 10, overage: {unit_amount: 0.01}}}}
"""


class Metered(Sandbox):
    """A sandbox that notes the CPU its answers take, in whatever thread."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.spent, self.answered = 0.0, 0
        self._noting = threading.Lock()

    def dispatch(self, request: Request) -> Response:
        """Answer, and note what it took."""
        start = time.thread_time()
        try:
            return super().dispatch(request)
        finally:
            with self._noting:
                self.spent += time.thread_time() - start
                self.answered += 1


class World:
    """A ledger in a file with everything used, and an account with a customer for each tenant."""

    def __init__(self, folder: Path) -> None:
        self.now = at("2027-01-01T00:00:00")
        self.policy = policy(FILES)
        self.sandbox = Metered(clock=lambda: self.now // SECOND)
        client = self.sandbox.client()
        meter = {"display_name": "Calls", "event_name": "bench.meters.calls", "default_aggregation": {"formula": "sum"}}
        client.v1.billing.meters.create(meter)
        self.customers = {f"t{number:04}": client.v1.customers.create({}).id for number in range(TENANTS)}
        self.runtime = Entitlements(
            self.policy, open_ledger(f"sqlite:///{folder / 'usage.db'}", "group", lambda: self.now)
        )
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in range(HOURS):
                list(pool.map(self.use, self.customers))
                self.now += HOUR * SECOND

    def use(self, tenant: str) -> None:
        """Let a tenant use units of an hour."""
        assert self.runtime.consume(tenant, meter="calls", units={"calls": UNITS})

    def gateway(self) -> Gateway:
        """Connect to the account."""
        return Gateway(Connection(KEY, transport=self.sandbox.http_client(), rates=UNLIMITED))

    def spent(self, work: Callable[[], Any]) -> tuple[float, float, float, int]:
        """Return our CPU, the sandbox's, the seconds that went by, and the requests of some work."""
        theirs, answered = self.sandbox.spent, self.sandbox.answered
        start, began = time.process_time(), time.perf_counter()
        work()
        theirs = self.sandbox.spent - theirs
        ours = time.process_time() - start - theirs
        return ours, theirs, time.perf_counter() - began, self.sandbox.answered - answered

    def seal(self) -> None:
        """Hand everything over, as a worker does."""
        assert self.runtime.seal_over() == TENANTS * HOURS

    def flush(self, *, stream: bool) -> None:
        """Send everything, and confirm it."""
        self.now += SECOND
        store = self.runtime.ledger.store
        UsageSender(self.gateway(), store, self.policy, self.customers.get, patient=False, stream=stream).flush()
        assert {export.state for export in store.exports()} == {"sent"}

    def bare(self, number: int) -> None:
        """Send as many meter events, and nothing else."""
        gateway, customers = self.gateway(), list(self.customers.values())

        def post(index: int) -> None:
            payload = {"stripe_customer_id": customers[index % TENANTS], "value": str(UNITS)}
            form = {"event_name": "bench.meters.calls", "identifier": f"bare-{index}", "payload": payload}
            gateway.post("/v1/billing/meter_events", {**form, "timestamp": self.now // SECOND}, f"bare-{index}")

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(post, range(number)))


def exported(*, stream: bool) -> list[Row]:
    """Time one export, and the floor beside it."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        sealing = world.spent(world.seal)
        sending = world.spent(lambda: world.flush(stream=stream))
        floor = world.spent(lambda: world.bare(TENANTS * HOURS))
        world.runtime.close()
        world.sandbox.close()
    what = "streamed and confirmed" if stream else "one by one"
    return [
        Row(
            f"{TENANTS * HOURS * UNITS:,} units of {TENANTS:,} tenants, {TENANTS * HOURS:,} exports, {what}",
            f"{sealing[0] + sending[0]:.1f} s CPU",
            f"{(sealing[0] + sending[0]) / floor[0]:.2f}x of {TENANTS * HOURS:,} bare requests ({floor[0]:.1f} s)",
            "bar: 60 s",
        ),
        Row("  of it handing over", f"{sealing[0]:.1f} s CPU", f"{sealing[2]:.1f} s went by"),
        Row("  of it sending", f"{sending[0]:.1f} s CPU", f"{sending[3]:,} requests, {sending[2]:.1f} s went by"),
        Row("  the sandbox's own, apart", f"{sending[1]:.1f} s CPU", f"{sending[1] / floor[1]:.2f}x of the same floor"),
    ]


def main() -> None:
    """Print every figure."""
    show("Usage to Stripe", [*exported(stream=False), *exported(stream=True)])


if __name__ == "__main__":
    main()
