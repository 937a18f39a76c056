"""Print what validation costs: ``python -m tests.benchmarks.bench_validate``. Figures, not assertions."""

import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from reconciler.config.catalog import catalog_from_text, inspect
from reconciler.config.checks import run_checks
from reconciler.config.merge import merge
from reconciler.config.source import load_directory, load_text
from reconciler.config.structure import check_structure
from reconciler.config.view import View
from tests.benchmarks.bench_cli import installed

REPEATS = 5
BASE = """\
settings: {namespace: acme, currency: usd, default_meter: calls}
meters: {calls: {name: Calls}}
tiers: {falling: {steps: [{up_to: 5000, unit_amount: 0.01}, {up_to: inf, unit_amount: 0.008}]}}
plans:
  pro: {name: Pro, default_price: monthly, prices: {monthly: {amount: 49.99, interval: month}}}
"""
TENANT = """\
  tenant-{number}:
    name: Tenant {number}
    email: billing-{number}@example.com
    plan: pro
    price: monthly
    usage: {{calls: {{included: 1000, overage: {{tiers: falling}}}}}}
    credits: [{{id: welcome, amount: 500, expires: 2027-01-01}}]
    metadata: {{segment: a}}
"""


def best(action: Callable[[], object]) -> float:
    """Return the best of several runs in milliseconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def tenants(numbers: range) -> str:
    """Write tenants as a section."""
    return "tenants:\n" + "".join(TENANT.format(number=number) for number in numbers)


def import_time(module: str) -> float:
    """Return what importing a module adds to a bare interpreter, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        run = functools.partial(subprocess.run, env=installed(folder), check=True)
        bare = best(lambda: run([sys.executable, "-c", "pass"]))
        return best(lambda: run([sys.executable, "-c", f"import {module}"])) - bare


def main() -> None:
    """Measure and print."""
    print(f"import reconciler.config.catalog     {import_time('reconciler.config.catalog'):7.0f} ms")
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "billing.d"
        directory.mkdir()
        (directory / "base.yaml").write_text(BASE)
        for file in range(50):
            (directory / f"tenants-{file:02}.yaml").write_text(tenants(range(file * 40, file * 40 + 40)))
        print(f"2,000 tenants in 50 files: inspect   {best(lambda: inspect(directory)):7.0f} ms")
        sources = load_directory(directory)
        print(f"  reading and positions              {best(lambda: load_directory(directory)):7.0f} ms")
        print(f"  merging                            {best(lambda: merge(sources.base)):7.0f} ms")
        merged, _ = merge(sources.base)
        print(f"  structure                          {best(lambda: check_structure(merged)):7.0f} ms")
        structure = check_structure(merged)
        print(f"  checks                             {best(lambda: run_checks(View(structure.file, merged))):7.0f} ms")
    wrong = BASE + tenants(range(200)).replace("plan: pro", "plan: [pro]")
    document, _ = load_text(wrong, "wrong.yaml")
    assert document is not None
    broken, _ = merge([document])
    print(f"200 tenants, each wrong: structure   {best(lambda: check_structure(broken)):7.0f} ms")
    small = BASE + tenants(range(3))
    print(f"one file with 3 tenants              {best(lambda: catalog_from_text(small)):7.1f} ms")


if __name__ == "__main__":
    main()
