"""Usage through ledger, outbox and Stripe to the invoice: units and money there are those of ledger and pricing."""

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from reconciler.pricing.calls import Made
from reconciler.pricing.invoice import Invoice
from reconciler.pricing.lines import Usage
from reconciler.pricing.periods import Period
from reconciler.pricing.subscription import invoices_of
from reconciler.provider.usage_verify import Verdict, previous
from reconciler.sandbox import Fault
from tests.provider.usage_world import ACCIDENTS, EVENTS

from .billed import HOUR, Billed, Subscriber

STREAM = "/v2/billing/meter_event_stream"
SECTIONS: dict[str, Any] = {
    "settings": {"namespace": "acme", "currency": "usd", "default_meter": "calls"},
    "meters": {"vex": {"name": "Vex"}, "calls": {"name": "Calls"}},
    "tiers": {
        "rising": {
            "mode": "graduated",
            "steps": [
                {"up_to": 100, "unit_amount": "0.01", "flat_amount": "3"},
                {"up_to": 1000, "unit_amount": "0.005"},
                {"up_to": "inf", "unit_amount": "0.0025", "flat_amount": "1"},
            ],
        },
        "falling": {
            "mode": "volume",
            "steps": [{"up_to": 500, "unit_amount": "0.02"}, {"up_to": "inf", "unit_amount": "0.015"}],
        },
    },
    "plans": {
        "rising": {
            "name": "Rising",
            "prices": {"monthly": {"amount": "49", "interval": "month"}},
            "usage": {
                "vex": {"included": 50, "overage": {"tiers": "rising"}},
                "calls": {"included": 0, "overage": {"unit_amount": "0.008"}},
            },
        },
        "falling": {"name": "Falling", "usage": {"vex": {"included": 10, "overage": {"tiers": "falling"}}}},
        "volume": {"name": "Volume", "usage": {"vex": {"included": 0, "overage": {"tiers": "falling"}}}},
        "payg": {"name": "Pay", "per_call": {"default": "0.1", "tools": {"ai": "2.5"}}},
    },
}
#: Usage lines that Stripe cannot express go through the spend meter as money, and count on no meter of units.
PLANS = ("rising", "falling", "volume", "payg")


def sections(tenants: int) -> dict[str, Any]:
    """Return a catalogue with so many tenants, of each plan in turn."""
    files = {f"t{number:03}": {"name": f"T{number}", "plan": PLANS[number % 4]} for number in range(tenants)}
    return {**SECTIONS, "tenants": files}


class Life:
    """Months of many tenants: they use, workers come and go and fail, and invoices are made."""

    def __init__(self, tenants: int, seed: int, *, stream: bool | None = None) -> None:
        self.chance = random.Random(seed)
        self.world = Billed(sections(tenants), clocks=True, seed=seed)
        self.stream = stream
        self.used: dict[tuple[str, Period], Usage] = {}

    def month(self, number: int) -> None:
        """Live through a month: use, send, let time jump, and bring everything to Stripe in the hour of the draft."""
        world, chance, period = self.world, self.chance, self.world.period(number)
        moments = sorted(chance.sample(range(HOUR, int((period[1] - period[0]).total_seconds()) - HOUR, 977), 3))
        break_(world)
        for moment in moments:
            world.go(int(period[0].timestamp()) + moment)
            world.skew = chance.choice((0, 0, 360))
            for tenant in world.subscribers:
                self.use(tenant, period)
            self.send()
        world.skew = 0
        world.go(period[1] + timedelta(minutes=chance.choice((1, 7))))
        self.send()
        world.sandbox.faults.clear()
        for minutes in (16, 24, 40):
            world.go(period[1] + timedelta(minutes=minutes))
            assert not world.worker(stream=self.stream).round().late
        states = Counter(export.state for export in world.runtime.ledger.store.exports())
        assert set(states) == {"sent"}, states
        world.go(period[1] + timedelta(hours=2))

    def send(self) -> None:
        """Let a worker come, another one after it, or one that dies as soon as it has claimed."""
        store = self.world.runtime.ledger.store
        if self.chance.random() < 0.3:
            self.world.runtime.seal_over()
            store.claim(store.now(), store.now() + 900_000_000, 20)
        for _ in range(self.chance.choice((1, 2))):
            self.world.worker(stream=self.stream, tries=self.chance.choice((1, 3))).round()

    def use(self, tenant: str, period: Period) -> None:
        """Let a tenant use something, and note it."""
        runtime, chance = self.world.runtime, self.chance
        before = self.used.get((tenant, period), Usage({"vex": 0, "calls": 0}, []))
        units, calls = dict(before.units), list(before.calls)
        if self.world.file.tenants[tenant].plan == "payg":
            for tool in ("ai", "other"):
                for _ in range(chance.choice((0, 1, 2))):
                    assert runtime.consume(tenant, tool)
                    calls.append(Made(tool, 1))
        else:
            for meter in ("vex", "calls") if self.world.file.tenants[tenant].plan == "rising" else ("vex",):
                number = chance.choice((0, 1, 17, 40, 777))
                if number:
                    assert runtime.consume(tenant, meter=meter, units={meter: number})
                units[meter] += number
        self.used[tenant, period] = Usage(units, calls)

    def check(self, months: int) -> None:
        """Compare every invoice with pricing, line by line, and units with the ledger."""
        until = self.world.period(months - 1)[1] + timedelta(hours=2)
        for tenant, subscriber in self.world.subscribers.items():

            def used(period: Period, tenant: str = tenant) -> Usage:
                return self.used.get((tenant, period), Usage())

            billed = [_billed(subscriber, invoice) for invoice in subscriber.invoices()]
            priced = [_priced(invoice) for invoice in invoices_of(subscriber.contract, until, used)]
            assert (tenant, billed) == (tenant, priced)
        rows = list(self.world.verifier().rows(self.world.subscribers, previous(self.world.now)))
        assert {row.verdict for row in rows} == {Verdict.EQUAL}, [row for row in rows if row.reasons]
        assert len(rows) >= len(self.world.subscribers) // 2
        assert all(row.ledger == row.stripe == row.invoiced for row in rows if row.sold)


def _billed(subscriber: Subscriber, invoice: Any) -> tuple[Any, ...]:
    """Return what an invoice bills: when, all that is not nothing, its sum."""
    lines = [
        (subscriber.addresses[each["pricing"]["price_details"]["price"]], each["amount"], *each["period"].values())
        for each in invoice["lines"]["data"]
        if each["amount"]
    ]
    return (
        invoice["period_end"],
        sorted((name, amount, *sorted(times)) for name, amount, *times in lines),
        invoice["total"],
    )


def _priced(invoice: Invoice) -> tuple[Any, ...]:
    """Return the same of an invoice that was priced from the files."""
    assert invoice.at
    lines = [
        (line.source, line.amount, *(int(time.timestamp()) for time in line.period or ()))
        for line in invoice.lines
        if line.amount
    ]
    return int(invoice.at.timestamp()), sorted(lines), invoice.total


def break_(world: Billed) -> None:
    """Let meter events and the stream go wrong now and then."""
    for accident in ACCIDENTS:
        for path in (EVENTS, STREAM):
            world.sandbox.faults.add(Fault(method="POST", path=path, probability=0.02, **accident))


def live(tenants: int, months: int, seed: int, *, stream: bool | None = None) -> None:
    """Live through months and check the invoices."""
    life = Life(tenants, seed, stream=stream)
    with life.world:
        for number in range(months):
            life.month(number)
        life.check(months)


def test_what_some_tenants_used_is_what_they_pay() -> None:
    """A month of tenants of every plan, with accidents, dead workers and jumps: units and money are equal."""
    live(4, 1, 1, stream=True)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("tenants", "months", "stream"), [(100, 3, None), (8, 2, False), (8, 2, True)])
def test_what_a_hundred_tenants_used_is_what_they_pay(tenants: int, months: int, stream: bool | None) -> None:
    """Three months of a hundred tenants, or fewer of some: every invoice's units and money equal ledger and pricing."""
    live(tenants, months, 2, stream=stream)
