"""An account that sells what some files say, on a clock that only tests move."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import stripe

from reconciler.config.catalog import Catalog
from reconciler.provider.gateway import Connection
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.payments import Choice, Hurry, Payments, Watcher
from reconciler.provider.payments.hurry import OutOfTimeError
from reconciler.sandbox import Fault
from tests.loop.world import KEY, World, catalog_of

OK = "https://shop.example/ok"
FILES: dict[str, Any] = {
    "meters": {"calls": {"name": "Calls"}},
    "plans": {
        "pro": {
            "name": "Pro",
            "default_price": "monthly",
            "trial_days": 14,
            "prices": {
                "monthly": {"amount": 49.99, "interval": "month", "currency_options": {"eur": 45, "jpy": 7000}},
                "annual": {"amount": 499.9, "interval": "year"},
            },
            "usage": {"calls": {"included": 100, "overage": {"unit_amount": 0.25}}},
        },
        "flat": {
            "name": "Flat",
            "prices": {
                "monthly": {"amount": 9.99, "interval": "month"},
                "annual": {"amount": 99.9, "interval": "year"},
                "life": {"amount": 500, "interval": "once"},
            },
        },
        "yen": {"name": "Yen", "currency": "jpy", "prices": {"monthly": {"amount": 5000, "interval": "month"}}},
        "used": {"name": "Used", "per_call": {"default": 0.01}},
        "old": {"name": "Old", "status": "legacy", "prices": {"monthly": {"amount": 1, "interval": "month"}}},
        "new": {"name": "New", "status": "draft", "prices": {"monthly": {"amount": 1, "interval": "month"}}},
        "free": {"name": "Free", "usage": {"calls": {"included": 10, "overage": "deny"}}},
    },
    "credit_packs": {
        "starter": {"name": "Starter", "credits": 100, "price": 9.99, "currency_options": {"eur": 9}},
        "gone": {"name": "Gone", "credits": 1, "price": 5, "status": "legacy"},
    },
    "coupons": {"tenth": {"percent_off": 10, "duration": "forever"}},
    "tax_rates": {"vat": {"display_name": "VAT", "percentage": 19, "inclusive": False}},
    "tenants": {
        "acme": {"name": "Acme", "email": "a@acme.example", "plan": "pro", "price": "monthly"},
        "paris": {"name": "Paris", "plan": "free", "currency": "eur"},
        "big": {
            "name": "Big",
            "plan": "pro",
            "price": "monthly",
            "usage": {
                "calls": {
                    "included": 10000,
                    "overage": {"unit_amount": 0.1},
                    "reserved_price": {"amount": 50, "interval": "month"},
                }
            },
        },
        "signed": {
            "name": "Signed",
            "email": "s@signed.example",
            "plan": "flat",
            "price": "monthly",
            "subscription": {
                "quantity": 3,
                "trial_days": 30,
                "coupon": "tenth",
                "tax_rates": ["vat"],
                "collection": "send_invoice",
                "days_until_due": 30,
            },
        },
    },
    "payment_links": {"starter": {"items": [{"pack": "starter"}]}},
    "portal": {"headline": "Acme", "return_url": "https://shop.example/account"},
}


#: The account as it is once the files were applied, so that one apply is enough for many tests.
_APPLIED: list[bytes] = []


@cache
def catalog() -> Catalog:
    """Load the files, once."""
    return catalog_of(FILES)


class Time:
    """Seconds that pass where somebody sleeps or waits for work that hangs; what was slept is remembered."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.given: list[float] = []
        self.hangs: Callable[[], bool] = lambda: False

    def clock(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let seconds pass."""
        self.slept.append(seconds)
        self.now += seconds

    def within(self, seconds: float, work: Callable[[], Any]) -> Any:
        """Do work at once, or let it hang as long as it may."""
        self.given.append(seconds)
        if self.hangs():
            self.now += seconds
            raise OutOfTimeError
        return work()


class Market(World):
    """An account to which the files were applied, and the desk that sells from it."""

    def __init__(self, sections: Mapping[str, Any] = FILES, **options: Any) -> None:
        super().__init__(**options)
        self.time = Time()
        self.catalog: Catalog = catalog() if sections is FILES else catalog_of(sections)
        if sections is not FILES:
            self.run(self.plan(sections))
        elif _APPLIED:
            self.sandbox.state.load(_APPLIED[0])
        else:
            self.run(self.plan(sections))
            _APPLIED.append(self.sandbox.state.save())
        self.before = len(self.sandbox.requests)
        self.desk = self.open()

    def connection(self, **more: Any) -> Connection:
        """Reach the account."""
        return Connection(KEY, transport=self.sandbox.http_client(), rates=UNLIMITED, **more)

    def open(self, catalog: Catalog | None = None, *, simulated: bool = False, **options: Any) -> Payments:
        """Open a desk on the world's time, jitter off."""
        time = self.time
        hurry = Hurry(sleep=time.sleep, clock=time.clock, jitter=False)
        options.setdefault("within", time.within)
        return Payments(catalog or self.catalog, self.connection(simulated=simulated), hurry=hurry, **options)

    def watcher(self, *, simulated: bool = False) -> Watcher:
        """Watch on the world's time."""
        return Watcher(self.connection(simulated=simulated), self.time.clock, self.time.sleep, self.time.within)

    def buy(self, tenant: str = "self", *, key: str | None = None, **choice: Any) -> Any:
        """Open a checkout page and return the session as Stripe has it, lines included."""
        page = self.desk.checkout(tenant, Choice(**choice), success_url=OK, key=key)
        return self.session(page.id)

    def session(self, session_id: str) -> Any:
        """Return a session as Stripe has it, lines included."""
        return self.dashboard.v1.checkout.sessions.retrieve(session_id, {"expand": ["line_items"]})

    def sold(self, session: Any) -> list[tuple[str, int | None]]:
        """Return the addresses and quantities of a session's lines."""
        return [(line.price.metadata["address"], line.quantity) for line in session.line_items.data]

    def applied(self, tenant: str) -> str:
        """Return the customer that was made of a tenant of the files."""
        query = f"metadata['address']:'tenants.{tenant}'"
        return str(self.dashboard.v1.customers.search({"query": query}).data[0].id)

    def customer(self, tenant: str = "self", namespace: str = "acme", **more: Any) -> str:
        """Make a customer that is marked as a tenant."""
        mark = {"managed_by": f"reconciler/{namespace}", "address": f"tenants.{tenant}"}
        made: stripe.Customer = self.dashboard.v1.customers.create({"metadata": mark, **more})
        return made.id

    def fault(self, **fault: Any) -> None:
        """Put a fault in force, for what writes unless it is said otherwise."""
        self.sandbox.faults.add(Fault(**{"method": "POST", **fault}))

    def sent(self, method: str = "POST") -> list[str]:
        """Return the paths of the requests since the apply."""
        return [path for name, path, _ in list(self.sandbox.requests)[self.before :] if name == method]

    def sessions(self) -> list[Any]:
        """Return all checkout sessions."""
        return list(self.dashboard.v1.checkout.sessions.list().data)
