"""Speed of the loop: requests and seconds of a plan, how full the token bucket stays, CPU of a large diff.

``python -m tests.benchmarks.bench_loop`` prints a table; nothing here is asserted by the test suite.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import stripe

from reconciler.config.catalog import Catalog, catalog_from_text
from reconciler.planning.diff import diff
from reconciler.planning.live import Live
from reconciler.planning.plan import Target, make_plan, serialise
from reconciler.provider.executor import Ending, Executor
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import TEST, UNLIMITED, Rates
from reconciler.provider.propose import Proposal, entitle, propose
from reconciler.resources import desire
from reconciler.resources.mark import marked
from reconciler.sandbox import Sandbox
from tests.benchmarks.table import Row, show

KEY = "sk_test_sandbox"
NOW = datetime(2027, 1, 1, tzinfo=UTC)
LATENCY = 0.1
_ids = (f"{number:032x}" for number in itertools.count(1))


class Slow(stripe.HTTPClient):
    """Adds the latency of a distant server to every request, and notes when writes were sent."""

    name = "slow"

    def __init__(self, inner: stripe.HTTPClient, seconds: float) -> None:
        super().__init__()
        self.inner, self.seconds = inner, seconds
        self.writes: list[float] = []
        self.paths: list[str] = []
        self.lock = threading.Lock()

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, *, _usage: Any = None) -> Any:
        """Note, wait, pass on."""
        with self.lock:
            self.paths.append(url)
            if method.lower() != "get":
                self.writes.append(time.perf_counter())
        time.sleep(self.seconds)
        return self.inner.request(method, url, headers, post_data)


def catalogue(plans: int, *, features: int = 0) -> Catalog:
    """Return a catalogue of plans with one price each."""
    names = [f"f{number}" for number in range(features)]
    content = {
        "settings": {"namespace": "bench"},
        "meters": {f"m{number}": {"name": f"M{number}"} for number in range(20)},
        "features": {name: {"name": name} for name in names},
        "plans": {
            f"p{number}": {
                "name": f"Plan {number}",
                "prices": {"m": {"amount": "5", "interval": "month"}},
                "features": names if number < 10 else [],
            }
            for number in range(plans)
        },
    }
    catalog, diagnostics = catalog_from_text(json.dumps(content))
    assert catalog is not None, diagnostics
    return catalog


def gateway(sandbox: Sandbox, latency: float, rates: Rates) -> tuple[Gateway, Slow]:
    """Connect through a slow line."""
    slow = Slow(sandbox.http_client(), latency)
    return Gateway(Connection(KEY, transport=slow, rates=rates)), slow


def planned(catalog: Catalog, port: Gateway) -> Proposal:
    """Plan once."""
    return propose(catalog, port, plan_id=next(_ids), now=NOW)


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Run once and return seconds and result."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def no_op_plan() -> list[Row]:
    """Time a plan without changes over 250 products and 250 prices, features and meters."""
    rows = []
    for plans, features in ((250, 0), (250, 5), (1000, 0)):
        sandbox = Sandbox()
        catalog = catalogue(plans, features=features)
        port, _ = gateway(sandbox, 0, UNLIMITED)
        Executor(port).apply(planned(catalog, port).plan)
        port, slow = gateway(sandbox, LATENCY, UNLIMITED)
        seconds, proposal = timed(lambda catalog=catalog, port=port: planned(catalog, port))
        assert not proposal.plan.changes
        attached = proposal.cost.attachments
        rows.append(
            Row(
                f"no-op plan, {plans} products + {plans} prices, {features} features on 10 of them, +100 ms",
                f"{seconds:.2f} s",
                f"{len(slow.paths) - attached} requests + {attached} for attachments",
                "bar: 15 requests, 1.5 s at 250" if plans == 250 and not features else "",
            )
        )
    return rows


def creates() -> list[Row]:
    """Apply 250 products and 250 prices: without a limiter, and against the bucket's own rate."""
    catalog = catalogue(250)
    rows = []
    sandbox = Sandbox()
    port, slow = gateway(sandbox, LATENCY, UNLIMITED)
    plan = planned(catalog, port).plan
    seconds, report = timed(lambda: Executor(port).apply(plan))
    assert report.ending is Ending.COMPLETE
    floor = len(slow.writes) * LATENCY / 12
    rows.append(
        Row(
            "500 creates, no limiter, +100 ms",
            f"{seconds:.2f} s",
            f"{seconds / floor:.2f}x of 12 perfect lanes",
            "bar: 8 s",
        )
    )
    sandbox = Sandbox()
    rates = Rates(endpoint=TEST.endpoint, total=float("inf"))
    port, slow = gateway(sandbox, LATENCY, rates)
    plan = planned(catalog, port).plan
    Executor(port).apply(plan)
    prices = [
        moment
        for moment, path in zip(slow.writes, slow.paths[-len(slow.writes) :], strict=True)
        if path.endswith("/prices")
    ]
    prices = prices or slow.writes[-250:]
    after = [moment for moment in prices if moment - prices[0] > 1]
    rate = (len(after) - 1) / (after[-1] - after[0])
    rows.append(
        Row(
            "250 price creates through the bucket, +100 ms",
            f"{rate:.2f}/s",
            f"{rate / rates.endpoint:.1%} of {rates.endpoint:g}/s",
            "bar: 95 %",
        )
    )
    return rows


def large_diff() -> list[Row]:
    """Diff and plan 10,000 resources, all but one as asked."""
    catalog = catalogue(5000)
    desired = desire(catalog)
    live = [
        Live(
            item.kind,
            item.key or item.address,
            {**item.values},
            marked(item, "bench", features=False) if item.kind.metadata else {},
        )
        for item in desired
    ]
    ids = {item.address: item.key for item in desired}
    for item in live:
        if "product" in item.values:
            item.values["product"] = {"$id": f"product/{ids[item.values['product']['$ref']]}"}
    live[-1].values["unit_amount_decimal"] = "1"

    def run() -> str:
        difference = diff(desire(catalog), live, "bench", {})
        target = Target("acct_1", "test", "v", "bench", None, "0")
        digests = {"config_digest": "", "live_digest": "", "entitlements": entitle(catalog, None, None)}
        return serialise(make_plan(difference, target, **digests, plan_id=next(_ids), now=NOW))

    start = time.process_time()
    text = run()
    seconds = time.process_time() - start
    floor = timed(lambda: [item.values == item.values.copy() for item in live])[0]
    assert '"changes":1,' in text
    return [
        Row(
            f"diff and plan {len(desired)} resources, one changed",
            f"{seconds:.2f} s CPU",
            f"{seconds / floor:.0f}x comparing dicts",
            "bar: 2 s",
        )
    ]


def main() -> None:
    """Print every figure."""
    show("The loop", [*no_op_plan(), *creates(), *large_diff()])


if __name__ == "__main__":
    main()
