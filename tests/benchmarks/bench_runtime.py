"""What deciding a call costs in process, beside a dict lookup and the peers that are installed."""

import tempfile
import time
import tracemalloc
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

from reconciler.config.catalog import Catalog, load_catalog
from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from tests.benchmarks.table import Row, show

TERMS = """
settings: {namespace: bench, default_meter: calls}
meters: {calls: {name: Calls}}
features: {reports: {name: Reports}}
credit_packs: {small: {name: Small, credits: 1000, price: 9.99}}
plans:
  pro:
    name: Pro
    features: [reports]
    usage: {calls: {included: 1000000000, overage: deny}}
    limits: [{of: "*", max: 1000000000, per: month}]
  pack:
    name: Pack
    features: [reports]
    credits: {default: 1}
tenants:
  acme: {name: Acme, plan: pro}
  hot: {name: Hot, plan: pack}
"""
TENANTS, TOOLS = 2000, 50


def nanoseconds(work: Callable[[], Any], number: int = 20_000, rounds: int = 7) -> float:
    """Return the best time of one call in nanoseconds, the loop's own taken off."""
    best = 1e9
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(number):
            work()
        best = min(best, (time.perf_counter() - start) / number)
    return best * 1e9


def catalog(directory: Path, text: str) -> Catalog:
    """Read YAML as a whole catalogue."""
    folder = directory / "billing.d"
    folder.mkdir(parents=True)
    (folder / "all.yaml").write_text(text)
    return load_catalog(folder)


def many(tenants: int, tools: int) -> str:
    """Return a catalogue of tenants with own terms, and a plan that prices every tool."""
    costs = ", ".join(f"tool-{number}: {number + 1}" for number in range(tools))
    lines = [
        "settings: {namespace: bench, default_meter: calls}",
        "meters: {calls: {name: Calls}}",
        f"plans: {{pro: {{name: Pro, credits: {{tools: {{{costs}}}}}}}}}",
        "tenants:",
    ]
    lines += [
        f"  t{number}: {{name: T{number}, plan: pro, limits: [{{of: calls, max: {number + 1}, per: day}}]}}"
        for number in range(tenants)
    ]
    return "\n".join(lines)


def in_process(directory: Path) -> list[Row]:
    """Return rows of single decisions."""
    policy = compile_catalog(catalog(directory / "terms", TERMS))
    table = {("acme", "search"): True}
    rows = []
    with Entitlements.open(policy, f"sqlite:///{directory}/a.db", mode="lease", journal=directory / "j") as ent:
        ent.grant("hot", 10**9, key="g")
        ent.consume("acme", "search")
        for _ in range(5000):
            ent.consume("hot", "search")
        floor = nanoseconds(lambda: table.get(("acme", "search")))
        for what, work, bar in (
            ("floor: dict lookup", lambda: table.get(("acme", "search")), ""),
            ("feature", lambda: ent.feature("acme", "reports"), "1000 ns, 15x"),
            ("check, quota and included units", lambda: ent.check("acme", "search"), "2500 ns"),
            ("consume out of a lease", lambda: ent.consume("hot", "search"), "2000 ns"),
            ("check of something new each time", fresh(ent), ""),
        ):
            taken = nanoseconds(work)
            rows.append(Row(what, f"{taken:,.0f} ns", f"{taken / floor:.1f}x", bar and f"bar: {bar}"))
        rows += [Row(what, f"{taken:,.0f} ns", f"{taken / floor:.1f}x") for what, taken in peers()]
    return rows


def fresh(ent: Entitlements) -> Callable[[], Any]:
    """Return a check that finds nothing worked out before."""

    def check() -> None:
        ent.ledger.looks["acme"].known.clear()
        ent.check("acme", "search")

    return check


def peers() -> list[tuple[str, float]]:
    """Return the times of the peers that are installed, each doing the nearest thing it has."""
    found = []
    if find_spec("openfeature"):
        from openfeature import api
        from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

        api.set_provider(InMemoryProvider({"reports": InMemoryFlag("on", {"on": True, "off": False})}))
        client = api.get_client()
        taken = nanoseconds(lambda: client.get_boolean_value("reports", False), 2000)
        found.append(("peer: OpenFeature, in memory", taken))
    if find_spec("casbin"):
        import casbin

        model = casbin.Model()
        model.load_model_from_text(
            "[request_definition]\nr = sub, obj\n[policy_definition]\np = sub, obj\n[policy_effect]\n"
            "e = some(where (p.eft == allow))\n[matchers]\nm = r.sub == p.sub && r.obj == p.obj\n"
        )
        enforcer = casbin.Enforcer(model)
        enforcer.add_policy("acme", "search")
        found.append(("peer: casbin, one rule", nanoseconds(lambda: enforcer.enforce("acme", "search"), 500)))
    if find_spec("limits"):
        import limits

        limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
        rate = limits.parse("1000000000/month")
        found.append(("peer: limits, memory, hit", nanoseconds(lambda: limiter.hit(rate, "acme"), 2000)))
    return found


def compiling(directory: Path) -> list[Row]:
    """Return rows of compiling and reloading a large policy."""
    read = catalog(directory / "many", many(TENANTS, TOOLS))
    start = time.perf_counter()
    policy = compile_catalog(read)
    taken = time.perf_counter() - start
    tracemalloc.start()
    kept = compile_catalog(read)
    size = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    text = policy.dump()
    pause = longest_pause(directory, text)
    assert kept.digest == policy.digest
    return [
        Row(f"compile {TENANTS:,} tenants x {TOOLS} tools", f"{taken * 1000:.0f} ms", "", "bar: 1000 ms"),
        Row("the policy in memory", f"{size:.1f} MiB", f"file {len(text) / 2**20:.1f} MiB", "bar: 40 MiB"),
        Row("longest check while a new policy is put in place", f"{pause * 1e6:.0f} us", "", "bar: 1000 us"),
    ]


def longest_pause(directory: Path, text: str) -> float:
    """Return the longest check, in seconds, while the policy is replaced again and again."""
    from reconciler.entitlements.policy import Policy

    one, two = Policy.load(text), Policy.load(text)
    longest = 0.0
    with Entitlements.open(one, f"sqlite:///{directory}/b.db") as ent:
        ent.check("t1", "tool-1")

        def replace() -> None:
            for number in range(200):
                ent.reload(two if number % 2 else one)
                time.sleep(0.001)

        thread = Thread(target=replace)
        thread.start()
        while thread.is_alive():
            start = time.perf_counter()
            ent.check("t1", "tool-1")
            longest = max(longest, time.perf_counter() - start)
        thread.join()
    return longest


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as directory:
        show("Deciding a call, in process, one thread", in_process(Path(directory)))
        show("Policies", compiling(Path(directory)))


if __name__ == "__main__":
    main()
