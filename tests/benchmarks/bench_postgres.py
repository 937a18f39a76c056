"""Exact consumes per second over PostgreSQL by many processes, beside bare batches of the same run."""

import asyncio
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable

from tests.benchmarks.bench_ledger import policy
from tests.benchmarks.table import Row, show

PROCESSES, TASKS, SECONDS, TENANTS, ROUNDS = 8, 32, 2.0, 1000, 3
BARE = """
    WITH locked AS (SELECT tenant FROM bare_account WHERE tenant = ANY(%s) ORDER BY tenant FOR UPDATE),
    paid AS (UPDATE bare_account SET balance = balance - spent.units FROM locked, unnest(%s::text[], %s::bigint[])
      AS spent (tenant, units) WHERE bare_account.tenant = locked.tenant AND spent.tenant = locked.tenant)
    INSERT INTO bare_entry SELECT * FROM unnest(%s::text[], %s::text[], %s::text[])
"""


def ours(url: str, tenants: list[str], number: int) -> int:
    """Consume with so many tasks for so long, and return how many calls were allowed."""
    from reconciler.entitlements import Entitlements
    from reconciler.entitlements.aio import AsyncEntitlements

    async def main(runtime: AsyncEntitlements) -> int:
        until, done = time.perf_counter() + SECONDS, 0

        async def caller(task: int) -> None:
            nonlocal done
            place = 0
            while time.perf_counter() < until:
                tenant = tenants[(number * 131 + task * 31 + place * 17) % len(tenants)]
                decision = await runtime.consume(tenant, "x", key=f"{number}/{task}/{place}/{until}")
                # Not in one expression: the count read before the wait would lose what other tasks counted meanwhile.
                done += decision.allowed
                place += 1

        await asyncio.gather(*(caller(task) for task in range(TASKS)))
        return done

    with Entitlements.open(policy(), url) as ent:
        return asyncio.run(main(AsyncEntitlements(ent)))


def bare(url: str, tenants: list[str], number: int) -> int:
    """Spend in batches of as many, each one statement: locked balances, a row and a unique key for each."""
    import psycopg

    done, until = 0, time.perf_counter() + SECONDS
    with psycopg.connect(url, autocommit=True) as db:
        while time.perf_counter() < until:
            names = [tenants[(number * 131 + task * 31 + done * 17) % len(tenants)] for task in range(TASKS)]
            counted = {name: names.count(name) for name in names}
            keys = [f"{number}/{done + task}/{until}" for task in range(TASKS)]
            spent = (list(counted), list(counted), list(counted.values()))
            db.execute(BARE, (*spent, names, keys, ["x" * 120] * TASKS))
            done += TASKS
    return done


def together(work: Callable[[str, list[str], int], int], url: str, tenants: list[str]) -> float:
    """Return what all processes do a second."""
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        return sum(pool.starmap(work, [(url, tenants, number) for number in range(PROCESSES)])) / SECONDS


def measure(url: str, link: str) -> list[Row]:
    """Return the rows of a hot tenant and of many."""
    from reconciler.entitlements import Entitlements

    rows = []
    for what, tenants in (("one hot tenant", ["hot"]), ("1,000 tenants", [f"t{number}" for number in range(TENANTS)])):
        prepare(link, tenants)
        with Entitlements.open(policy(), url) as ent:
            for tenant in tenants:
                ent.set_subscription(tenant, plan="pack", status="active", key="s")
                ent.grant(tenant, 10**8, key="g")
        mine, floor = [], []
        for _ in range(ROUNDS):
            floor.append(together(bare, link, tenants))
            mine.append(together(ours, url, tenants))
        share = statistics.median(one / other for one, other in zip(mine, floor, strict=True))
        bar = "bar: 20,000/s and 40 %"
        rows.append(Row(f"bare batches, {what}", f"{statistics.median(floor):,.0f}/s", ""))
        rows.append(Row(f"consume, {what}", f"{statistics.median(mine):,.0f}/s", f"{share:.0%} of bare", bar))
    return rows


def prepare(link: str, tenants: list[str]) -> None:
    """Make the floor's tables."""
    import psycopg

    with psycopg.connect(link, autocommit=True) as db:
        db.execute("DROP TABLE IF EXISTS bare_account, bare_entry")
        db.execute("CREATE TABLE bare_account (tenant text PRIMARY KEY, balance bigint CHECK (balance >= 0))")
        db.execute("CREATE TABLE bare_entry (tenant text, key text, body text, PRIMARY KEY (tenant, key))")
        db.execute("INSERT INTO bare_account SELECT unnest(%s::text[]), 100000000000", (tenants,))


def main() -> None:
    """Print every figure, or why there is none."""
    title = f"Exact consumes over PostgreSQL, group mode, {PROCESSES} processes x {TASKS} tasks"
    try:
        import psycopg
    except ImportError as error:
        show(title, [Row("not measured", str(error), "")])
        return
    from tests.ledger.databases import plain, schema, server

    try:
        psycopg.connect(server(), connect_timeout=3).close()
    except psycopg.Error as error:
        show(title, [Row("not measured", str(error).splitlines()[0], "")])
        return
    with schema() as url:
        show(title, measure(url, plain(url)))


if __name__ == "__main__":
    sys.exit(main())
