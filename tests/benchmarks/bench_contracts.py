"""Speed of contracts: planning many tenants with subscriptions against an account that has them all.

``python -m tests.benchmarks.bench_contracts`` prints a table; nothing here is asserted by the test suite.
"""

import itertools
import json
import re
import time
from datetime import UTC, datetime
from typing import Any

from reconciler.config.catalog import Catalog, catalog_from_texts
from reconciler.provider.executor import Ending, Executor
from reconciler.provider.gateway import Connection, Gateway
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.propose import Proposal, propose
from reconciler.provider.reads import Reader
from reconciler.resources import BY_NAME, desire
from reconciler.sandbox import Sandbox
from tests.benchmarks.table import Row, show

KEY = "sk_test_sandbox"
NOW = datetime(2027, 1, 1, tzinfo=UTC)
TENANTS, MADE = 10_000, 100
_ids = (f"{number:032x}" for number in itertools.count(1))


def catalogue(tenants: int) -> Catalog:
    """Return a catalogue of one plan with usage, and as many tenants subscribed to it."""
    content = {
        "settings": {"namespace": "bench"},
        "meters": {"calls": {"name": "Calls"}},
        "plans": {
            "pro": {
                "name": "Pro",
                "prices": {"monthly": {"amount": "49.99", "interval": "month"}},
                "usage": {"calls": {"included": 100, "overage": {"unit_amount": "0.25"}}},
            }
        },
    }
    files = {"billing.d/base.yaml": json.dumps(content)}
    for start in range(0, tenants, 1000):
        found = {f"t{number}": tenant(number) for number in range(start, min(start + 1000, tenants))}
        files[f"billing.d/tenants-{start}.yaml"] = json.dumps({"tenants": found})
    catalog, problems = catalog_from_texts(files)
    assert catalog is not None, problems
    return catalog


def tenant(number: int) -> dict[str, Any]:
    """Return a tenant that is sent invoices."""
    return {
        "name": f"Tenant {number % MADE}",
        "email": f"t{number % MADE}@example.com",
        "plan": "pro",
        "subscription": {"collection": "send_invoice", "days_until_due": 30},
    }


def multiplied(sandbox: Sandbox, catalog: Catalog) -> None:
    """Copy customers and subscriptions of the first tenants for all others: making each takes the sandbox 15 ms."""
    data = sandbox.state.dump()
    digests = {resource.address: resource.digest for resource in desire(catalog)}
    rows, terms = data["tables"]["object"], data["tables"]["term"]
    kinds = ("customer", "subscription", "subscription_item")
    made = [row for row in rows if row[2] in kinds]
    about = [row for row in terms if row[1] in kinds]
    ids = {row[3] for row in made}
    pattern = re.compile("|".join([*map(re.escape, sorted(ids)), r"tenants\.t(\d+)"]))
    span = max(row[0] for row in rows)
    for copy in range(1, TENANTS // MADE):

        def other(found: re.Match[str], copy: int = copy) -> str:
            number = found.group(1)
            return f"{found.group()}x{copy}" if number is None else f"tenants.t{int(number) + MADE * copy}"

        for seq, account, kind, object_id, created, body in made:
            content = json.loads(pattern.sub(other, body))
            if address := content["metadata"].get("address"):
                content["metadata"]["config_digest"] = digests[address]
            new = json.dumps(content, separators=(",", ":"))
            rows.append([seq + span * copy, account, kind, f"{object_id}x{copy}", created, new])
        terms += [
            [account, kind, field, pattern.sub(other, value), created, seq + span * copy]
            for account, kind, field, value, created, seq in about
        ]
    sandbox.state.undump(data)


def planned(catalog: Catalog, port: Gateway) -> tuple[float, Proposal]:
    """Plan once; return the seconds of CPU and the plan."""
    start = time.process_time()
    proposal = propose(catalog, port, plan_id=next(_ids), now=NOW)
    return time.process_time() - start, proposal


def rows() -> list[Row]:
    """Fill an account, then plan it beside a bare reading of the same pages."""
    sandbox = Sandbox()
    port = Gateway(Connection(KEY, transport=sandbox.http_client(), rates=UNLIMITED))
    catalog = catalogue(TENANTS)
    _, proposal = planned(catalogue(MADE), port)
    start = time.perf_counter()
    assert Executor(port, threads=1).apply(proposal.plan).ending is Ending.COMPLETE
    filled = time.perf_counter() - start
    multiplied(sandbox, catalog)
    sandbox.requests.clear()
    start = time.perf_counter()
    spent, proposal = planned(catalog, port)
    seconds = time.perf_counter() - start
    requests = len(sandbox.requests)
    assert not proposal.plan.changes
    start = time.perf_counter()
    reader = Reader(port)
    pages = [
        sum(1 for _ in reader.pages(kind.path, {"expand": [f"data.{name}" for name in kind.expand]}))
        for kind in (BY_NAME["customer"], BY_NAME["subscription"])
    ]
    bare = time.perf_counter() - start
    assert pages == [TENANTS, TENANTS]
    return [
        Row(
            f"plan of {TENANTS:,} tenants with subscriptions, nothing to do",
            f"{seconds:.1f} s",
            f"{seconds / bare:.2f}x of reading their pages, {spent:.1f} s CPU",
            "bar: 20 s",
        ),
        Row("requests of that plan", f"{requests}", f"{requests / (2 * TENANTS / 100):.2f} a page of 100 objects", ""),
        Row(f"making {MADE} of them", f"{filled:.1f} s", f"{2 * MADE / filled:.0f} writes/s in process, one lane", ""),
    ]


def main() -> None:
    """Print the table."""
    show("Contracts", rows())


if __name__ == "__main__":
    main()
