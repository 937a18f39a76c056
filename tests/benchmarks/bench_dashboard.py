"""Speed of the dashboard: pages with 10,000 tenants and 5,000,000 ledger entries, beside a route that does nothing.

``python -m tests.benchmarks.bench_dashboard`` prints the slowest of the first pages of a fresh process' app and the
median of the later ones. The database is written in bulk by SQL into the temporary directory, once, and kept there.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from reconciler.service.app import create_app
from reconciler.service.figures.rounds import Figures
from reconciler.service.service import Service
from tests.benchmarks.table import Row, show
from tests.entitlements.worlds import at
from tests.service.client import Client, Reply
from tests.service.filled import Filled
from tests.service.world import OPEN, OPERATOR_KEY

TENANTS, EACH = 10_000, 500
NOW = at("2027-03-14T15:00:00")
RUNS = 15
BAR = 150.0
PAGES = (
    ("overview", "/"),
    ("tenants by name", "/tenants"),
    ("tenants by use", "/tenants?sort=share&dir=down"),
    ("tenants by invoice", "/tenants?sort=spend&dir=down"),
    ("a search", "/tenants?q=orchard"),
    ("a page in the middle", "/tenants?sort=tenant&after=tenant-05000"),
    ("a tenant", "/tenant?id=tenant-05003"),
    ("its old entries", "/tenant?id=tenant-05003&before=200"),
    ("catalogue", "/catalogue"),
    ("figures as JSON", "/v1/dashboard"),
)


def times(ask: Callable[[], Reply]) -> tuple[float, float]:
    """Return the milliseconds of the first answer and the median of later ones."""
    found = []
    for _ in range(RUNS):
        began = time.perf_counter()
        assert ask().status == 200
        found.append((time.perf_counter() - began) * 1000)
    return found[0], statistics.median(found[1:])


def main(tenants: int = TENANTS, each: int = EACH) -> list[Row]:
    """Measure and print."""
    path = Path(tempfile.gettempdir()) / f"reconciler-dashboard-{tenants}-{each}-{sys.version_info.minor}.db"
    began = time.perf_counter()
    filled = Filled(path, tenants, each, NOW)
    made = time.perf_counter() - began
    with filled.open() as runtime:
        client = Client(create_app(Service(runtime, settings=OPEN, catalog=filled.catalog)), OPERATOR_KEY)
        _, floor = times(lambda: client.get("/healthz"))
        rows = [Row("a route that does nothing", f"{floor:.2f} ms", "")]
        for name, address in PAGES:
            client.close()
            client = Client(create_app(Service(runtime, settings=OPEN, catalog=filled.catalog)), OPERATOR_KEY)
            first, later = times(partial(client.get, address))
            bar = f"<= {BAR:.0f} ms {'ok' if first <= BAR else 'SLOW'}"
            rows.append(Row(name, f"{first:.1f} ms first, {later:.1f} ms", f"{later / floor:.0f} x", bar))
        client.close()
        figures = Figures(runtime, lambda: filled.catalog)
        began = time.perf_counter()
        figures.round()
        later = (time.perf_counter() - began) * 1000
        rows.append(Row("a round of figures, nothing new", f"{later:.1f} ms", ""))
    show(f"Dashboard, {tenants:,} tenants, {tenants * each:,} entries (made in {made:.0f} s)", rows)
    return rows


if __name__ == "__main__":
    main()
