"""A ledger as it is after years: tenants, entries, figures and invoices, written in bulk for pages and measurements.

Entries are written as SQL rows with bodies as the runtime writes them; books are those of the last entry. Figures are
written as adding the entries up would give, tenant by tenant.
"""

import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.config.catalog import Catalog, catalog_from_text
from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.periods import LENGTH
from reconciler.ledger.book import Book, Lot
from reconciler.service.figures.notes import note
from reconciler.service.figures.subscriptions import NAME as SUBSCRIPTIONS
from reconciler.service.figures.tables import month_of_day, prepared

FILES = """
settings: {namespace: acme, default_meter: calls, currency: usd, default_plan: free}
meters: {calls: {name: Calls}, tokens: {name: Tokens}}
features: {support: {name: Priority support}}
tools:
  expensive-ai: {requires: [support]}
  exchange: {counts: {calls: 1, tokens: {from: result.tokens}}}
plans:
  free: {name: Free, usage: {calls: {included: 100, per: month, overage: deny}}}
  pro:
    name: Pro
    prices: {monthly: {amount: 49.99, interval: month}}
    usage: {calls: {included: 5000, overage: {unit_amount: 0.02}}}
    features: [support]
    limits: [{of: "*", max: 1000, per: minute, kind: rate, burst: 100}]
  payg: {name: Pay as you go, per_call: {default: 0.05, tools: {expensive-ai: 0.25, basic-search: 0}}}
  credits: {name: Credits, credits: {default: 1, tools: {expensive-ai: 10}, included: 200}}
  enterprise:
    name: Enterprise
    default_price: annual
    prices: {annual: {amount: 4990, interval: year}}
    usage: {calls: {included: 100000, overage: {unit_amount: 0.01}}}
    features: [support]
credit_packs:
  starter: {name: Starter pack, credits: 100, bonus: 10, price: 9.99, expires_after: 365 days}
  power: {name: Power pack, credits: 500, price: 39.99}
"""
TOOLS = ("basic-search", "summarise", "expensive-ai", "exchange", "translate", "ocr", "embed", "classify", "route-plan")
PLANS = ("free", "free", "free", "pro", "pro", "payg", "credits", "credits", "enterprise")
_WORDS = ("Acme", "Northwind", "Blue Harbor", "Ferrous", "Juniper", "Kestrel", "Lumen", "Meridian", "Orchard", "Quarry")
_MORE = ("Analytics", "Robotics", "Logistics", "Labs", "Health", "Energy", "Retail", "Media", "Foods", "Systems")
_DAY = LENGTH["day"]


class Filled:
    """A filled ledger in a file: so many tenants with so many entries each, over so many days until an instant."""

    def __init__(self, path: Path, tenants: int, entries: int, now: int, days: int = 90, seed: int = 7) -> None:
        self.path, self.now, self._days = path, now, days
        self._random = random.Random(seed)
        self.names = [f"tenant-{number:05}" for number in range(tenants)]
        self.plans = [PLANS[number * 7919 % len(PLANS)] for number in range(tenants)]
        lines = ["tenants:"]
        for number, (name, plan) in enumerate(zip(self.names, self.plans, strict=True)):
            words = f"{_WORDS[number % 10]} {_MORE[number // 10 % 10]}"
            lines.append(f"  {name}: {{name: {words} {number}, plan: {plan}}}" if number % 3 else "")
        text = FILES + ("\n".join(line for line in lines if line) if tenants > 1 else "")
        catalog, problems = catalog_from_text(text)
        assert catalog is not None, problems
        self.catalog: Catalog = catalog
        self.policy = compile_catalog(catalog)
        if not path.exists():
            self.path = path.with_suffix(".part")
            self.path.unlink(missing_ok=True)
            self._make(entries)
            self.path = self.path.rename(path)

    def open(self) -> Entitlements:
        """Open a runtime over it, at its instant."""
        return Entitlements.open(self.policy, f"sqlite:///{self.path}", mode="direct", clock=lambda: self.now)

    def _make(self, entries: int) -> None:
        with self.open() as ent:
            prepared(ent.ledger.store)
        db = sqlite3.connect(self.path)
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        for number, name in enumerate(self.names):
            self._tenant(db, name, self.plans[number], number, entries)
        self._totals(db)
        self._invoices(db)
        db.commit()
        db.close()

    def _tenant(self, db: sqlite3.Connection, name: str, plan: str, number: int, entries: int) -> None:
        step = self._days * _DAY // max(entries, 1)
        tool = TOOLS[number % len(TOOLS)]
        stored = [tool, "credits", 1_000_000, "credit", 9_000_000, None, "credits", None, "", "d" * 16, None]
        body = json.dumps([["lot:gift", "spent", 1_000_000, "metered:calls", "settled:calls", 1], [stored, [], []]])
        first = self.now - self._days * _DAY
        rows = ((name, seq, first + seq * step, "consume", None, "", body, bytes(32)) for seq in range(1, entries + 1))
        db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        given, used = self._random.randrange(0, 900) * 500_000, self._random.randrange(0, 6_000)
        book = _book(self.now, plan, number, given, used)
        values = (name, entries, bytes(32), book, given, 0, None, None)
        db.execute("INSERT INTO tenant VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        db.execute("INSERT INTO figure_mark VALUES (?, ?)", (name, entries))
        db.executemany(_DAY_ROW, self._figures(name, plan, number))
        row = self._summary(name, plan, number, given, used, entries)
        places = ", ".join("?" * len(row))
        db.execute(f"INSERT INTO figure_tenant ({', '.join(row)}) VALUES ({places})", tuple(row.values()))

    def _figures(self, name: str, plan: str, number: int) -> Iterator[tuple[Any, ...]]:
        today = self.now // _DAY
        for back in range(self._days):
            if (number + back) % 4:
                continue
            weekend = (today - back) % 7 in (2, 3)
            for place in range(2):
                tool = TOOLS[(number * (place + 1) + back // 9) % (len(TOOLS) - 3 * place)]
                calls = self._random.randrange(1, 14 if weekend else 40) * (2 if tool == "basic-search" else 1)
                spent = calls * 1_000_000 if plan == "credits" else 0
                held = calls // 5
                ended = {"reserved": held, "committed": held - (held > 5)}
                yield _figure(name, today - back, tool, calls=calls, credits=spent, **ended)
                if plan == "payg":
                    yield _figure(name, today - back, tool, currency="usd", money=calls * 50_000)

    def _summary(self, name: str, plan: str, number: int, given: int, used: int, seq: int) -> dict[str, Any]:
        most = {"free": 100, "pro": 5000, "enterprise": 100_000}.get(plan, 0)
        used = used % 130 if plan == "free" else used
        spend = {"pro": 4999, "enterprise": 499_000, "payg": used * 5}.get(plan)
        return {
            "tenant": name,
            "name": "" if number % 3 == 0 else f"{_WORDS[number % 10]} {_MORE[number // 10 % 10]} {number}",
            "plan": plan,
            "status": ("active", "active", "active", "trialing", "past_due", "")[number % 6],
            "refused": "",
            "seq": seq,
            "active": self.now // _DAY - number % 40,
            "credits": given,
            "held": 0,
            "bound": "calls" if most else "",
            "used": used if most else 0,
            "most": most,
            "share": used * 10_000 // most if most else -1,
            "currency": "usd" if spend is not None else "",
            "spend": spend,
            "forecast": spend * 2 if spend is not None and plan == "payg" else spend,
            "since": self.now - 12 * _DAY,
            "until": self.now + 18 * _DAY,
            "made": self.now,
            "stale": self.now + 3_600_000_000,
            "revision": self.policy.config_digest,
        }

    def _totals(self, db: sqlite3.Connection) -> None:
        db.execute(
            f"INSERT INTO figure_day SELECT '', day, tool, meter, currency, {_SUMMED} FROM figure_day"
            " GROUP BY day, tool, meter, currency"
        )
        months = {day: month_of_day(day) for (day,) in db.execute("SELECT DISTINCT day FROM figure_day")}
        db.create_function("month_of", 1, months.get)
        db.execute(
            "INSERT INTO figure_month SELECT month_of(day), tenant, SUM(calls), SUM(credits) FROM figure_day"
            " WHERE tenant > '' GROUP BY month_of(day), tenant"
        )

    def _invoices(self, db: sqlite3.Connection) -> None:
        """Write a year of revenue, and what comes in every month."""
        month = month_of_day(self.now // _DAY)
        parts = {"plans.pro": 1_100, "plans.enterprise": 640, "plans.payg": 420, "credit_packs.starter": 260}
        parts |= {"credit_packs.power": 190, "credit notes": -40}
        for back in range(12):
            growth = 30 - 2 * back
            for part, size in parts.items():
                amount = size * growth * (60 if back else 31) + size * (back * 37 % 11)
                db.execute("INSERT INTO figure_revenue VALUES (?, 'usd', ?, ?)", (month - back, part, amount))
        paying = 4999 * len(self.names) // 5
        for name, share in ((SUBSCRIPTIONS, 100), (f"mrr:{month - 1}", 96), ("invoices", 0)):
            sums = [["enterprise", "usd", str(41_583 * share // 100), 1, 0]]
            sums.append(["pro", "usd", str(paying * share // 100), len(self.names) // 5, 0])
            _, values, _ = note(name, self.now - 240_000_000, {"mrr": sums})
            db.execute("INSERT INTO figure_note VALUES (?, ?, ?)", values)
        db.execute("INSERT INTO figure_note VALUES ('round', ?, '{}')", (self.now - 20_000_000,))


_FIGURES = "calls refunds units credits short money granted expired voided reserved committed released lapsed".split()
_SUMMED = ", ".join(f"SUM({name})" for name in _FIGURES)
_DAY_ROW = f"INSERT OR IGNORE INTO figure_day VALUES ({', '.join('?' * (5 + len(_FIGURES)))})"


def _figure(tenant: str, day: int, tool: str, currency: str = "", **sums: int) -> tuple[Any, ...]:
    return (tenant, day, tool, "", currency, *(sums.get(name, 0) for name in _FIGURES))


def _book(now: int, plan: str, number: int, given: int, used: int) -> str:
    """Return a book with a lot, a subscription and a counter."""
    book = Book("x")
    if given:
        book.grant(Lot("gift", given, given, 50, None, now - 30 * _DAY, "welcome"))
    status = ("active", "active", "active", "trialing", "past_due", "")[number % 6]
    if status:
        book.facts["subscription"] = [plan, status, now - 12 * _DAY, now + 18 * _DAY, now - 12 * _DAY, now - 60 * _DAY]
    book.counters["usage/calls"] = [now - 12 * _DAY, used]
    return book.dump()
