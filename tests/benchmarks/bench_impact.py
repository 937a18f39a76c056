"""Print what an impact costs in CPU time: ``python -m tests.benchmarks.bench_impact``. Figures, not assertions."""

import csv
import io
import random
import time
from datetime import UTC, datetime

from reconciler.cli.impacts import impact_csv
from reconciler.config.catalog import Catalog, catalog_from_text
from reconciler.entitlements.periods import micros
from reconciler.impact.compare import Question, compare
from reconciler.impact.page import impact_page
from reconciler.impact.reading import read_usage
from reconciler.impact.rows import gathered
from reconciler.impact.side import Side
from reconciler.impact.used import Recorded
from tests.benchmarks.table import Row, show

TENANTS, LINES = 10_000, 20
PLANS = ("pro", "free", "payg", "credits")
TOOLS = ("search", "chat", "load", "other")
FILES = """
settings: {namespace: bench, currency: usd, default_meter: calls}
meters: {calls: {name: Calls}, tokens: {name: Tokens}}
tools:
  load: {quantity: {from: argument.rows, per: 1000, round: up}}
plans:
  pro:
    name: Pro
    prices: {monthly: {amount: 49, interval: month}}
    usage:
      calls: {included: 1000, overage: {unit_amount: 0.01}}
      tokens: {included: 100000, overage: {unit_amount: 0.00002}}
    limits: [{of: "*", max: 600, per: minute, kind: rate}]
  free:
    name: Free
    usage: {calls: {included: 200, per: month, overage: deny}}
  payg:
    name: Pay as you go
    per_call:
      default: 0.05
      tools: {chat: 0.20, load: 0.50}
      discounts: {scope: tenant, steps: [{up_to: 500}, {up_to: inf, percent_off: 10}]}
  credits:
    name: Credits
    credits: {default: 1, tools: {chat: 10}, included: 500}
"""
CHANGES = {
    "amount: 49": "amount: 59",
    "included: 200": "included: 100",
    "chat: 0.20": "chat: 0.15",
    "chat: 10}": "chat: 12}",
}


def catalogue(text: str) -> Catalog:
    """Return a catalogue with every tenant; they are put in after it was read, for reading is measured elsewhere."""
    found, problems = catalog_from_text(text + "tenants:\n  first: {name: First, plan: pro}\n")
    assert found is not None, problems
    one = found.file.tenants["first"]
    for number in range(TENANTS):
        plan = {"name": f"Tenant {number}", "plan": PLANS[number % len(PLANS)]}
        found.file.tenants[f"t{number}"] = one.model_copy(update=plan)
    return found


def usage() -> str:
    """Return a usage file: half of a tenant's lines are sums, half single calls with their instants."""
    chance = random.Random(1)
    rows = ["tenant,tool,quantity,calls,time"]
    for number in range(TENANTS):
        for place in range(LINES):
            tool = TOOLS[place % len(TOOLS)]
            quantity = 2500 if tool == "load" else 1
            if place % 2:
                rows.append(f"t{number},{tool},{quantity},1,2027-01-{place + 1:02}T12:00:{chance.randint(10, 59)}Z")
            else:
                rows.append(f"t{number},{tool},{quantity},{chance.randint(1, 400)},")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Measure and print."""
    head = FILES
    for old, new in CHANGES.items():
        head = head.replace(old, new)
    catalogs, text = (catalogue(FILES), catalogue(head)), usage()
    marks = [time.process_time()]

    def passed() -> str:
        marks.append(time.process_time())
        return f"{marks[-1] - marks[-2]:.2f} s"

    numbers = sum(int(row[3]) for row in list(csv.reader(io.StringIO(text)))[1:])
    floor = passed()
    before, after = map(Side, catalogs)
    compiled = passed()
    read = read_usage(text, "usage.csv", {"calls", "tokens"}, UTC)
    reading = passed()
    month = Recorded(micros(datetime(2027, 1, 1, tzinfo=UTC)), micros(datetime(2027, 2, 1, tzinfo=UTC)))
    tenants = gathered(read.rows, month, (before, after)).tenants
    sorting = passed()
    impact = compare(before, after, tenants, month, Question("base", "head", "2027-01", "usage.csv"))
    comparing = passed()
    impact_page(impact)
    page = passed()
    impact_csv(impact)
    sheet = passed()
    whole = f"{marks[5] - marks[1]:.2f} s"
    show(
        f"Impact: {TENANTS:,} tenants x {LINES} lines of usage, {numbers:,} calls, CPU time",
        [
            Row("floor: the lines read by the csv module, one column added up", floor, ""),
            Row("compile both catalogues", compiled, ""),
            Row("read and check the lines", reading, ""),
            Row("sort them out by tenant", sorting, ""),
            Row("replay, price and compare", comparing, ""),
            Row("all of it", whole, "", "bar: 5 s"),
            Row("the page", page, ""),
            Row("CSV of all tenants", sheet, ""),
        ],
    )


if __name__ == "__main__":
    main()
