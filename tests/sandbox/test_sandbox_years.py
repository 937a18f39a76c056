"""Random subscriptions lived through years of simulated time: every invoice equals an oracle, to the minor unit.

The oracle is `reconciler.pricing` for what a quantity costs, what discounts and taxes come to, and the standard
library's calendar for periods; it shares nothing with the sandbox's own billing.
"""

import random
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from reconciler.pricing.invoice import Discount, Invoice, Line, Tax, invoice
from reconciler.pricing.rating import Bracket, Rate, parts

HOUR, DAY = 3600, 86_400
INTERVALS = (("day", 10), ("week", 2), ("month", 1), ("month", 3), ("year", 1))
CURRENCIES = ("usd", "jpy", "eur")
#: Which of the numbers used is that of the trial.
IN_TRIAL = 19


@dataclass
class Item:
    """One thing a subscription sells: its price form, the rate the oracle knows, and what is bought or used."""

    form: dict
    rate: Rate
    metered: bool
    quantity: int = 1
    meter: str = ""
    used: list = field(default_factory=list)


@dataclass
class Life:
    """One subscription: when it starts, how often it is billed, what it sells, what is taken off and put on."""

    start: int
    interval: str
    count: int
    currency: str
    items: list
    trial_days: int
    coupons: list
    taxes: list
    periods: int

    def bounds(self) -> list[int]:
        """Return the ends of its periods, beginning with the end of the trial, or the start."""
        anchor = self.start + self.trial_days * DAY
        return [boundary(anchor, self.interval, self.count * step) for step in range(self.periods + 1)]

    def invoiced(self) -> list[int]:
        """Return the steps that have an invoice: -1 the trial, else the period that begins, the first if it is sold."""
        sold_ahead = any(not item.metered for item in self.items)
        return [*([-1] if self.trial_days else []), *range(0 if sold_ahead else 1, self.periods + 1)]


def moment(seed_days: int) -> int:
    """Return a time of day on one of the days where calendars go wrong."""
    days = ((2027, 1, 31), (2028, 2, 29), (2027, 3, 30), (2027, 12, 29), (2027, 6, 15))
    day = datetime(*days[seed_days % len(days)], tzinfo=UTC)
    return int((day + timedelta(hours=seed_days % 24, minutes=seed_days % 60)).timestamp())


def boundary(start: int, interval: str, steps: int) -> int:
    """Return the time so many days, weeks, months or years after the start; short months end a month early."""
    begun = datetime.fromtimestamp(start, UTC)
    if interval in {"day", "week"}:
        return int((begun + timedelta(days=steps * (1 if interval == "day" else 7))).timestamp())
    months = begun.month - 1 + steps * (12 if interval == "year" else 1)
    year, month = begun.year + months // 12, months % 12 + 1
    return int(begun.replace(year=year, month=month, day=min(begun.day, monthrange(year, month)[1])).timestamp())


def draw(chance: random.Random) -> Life:
    """Draw a subscription."""
    interval, count = chance.choice(INTERVALS)
    currency = chance.choice(CURRENCIES)
    trial_days = chance.choice([0, 0, 0, 7])
    items = [draw_item(chance, metered=chance.random() < 0.6) for _ in range(chance.randint(1, 3))]
    return Life(
        moment(chance.randrange(1000)),
        interval,
        count,
        currency,
        items,
        trial_days,
        [draw_coupon(chance, currency) for _ in range(chance.choice([0, 0, 1, 1, 2]))],
        [draw_tax(chance) for _ in range(chance.choice([0, 1, 1, 2]))],
        chance.randint(2, {"day": 8, "week": 8, "month": 14, "year": 3}[interval] // (3 if count == 3 else 1)),
    )


def draw_coupon(chance: random.Random, currency: str) -> dict:
    """Draw a coupon: a percentage or an amount off, for one invoice, some months or all."""
    off = chance.choice([{"percent_off": "10"}, {"percent_off": "33.33"}, {"percent_off": "100"}, None])
    duration = chance.choice(["once", "forever", "repeating"])
    months = {"duration_in_months": chance.randint(1, 3)} if duration == "repeating" else {}
    return {
        "duration": duration,
        **months,
        **(off or {"amount_off": chance.choice([1, 500, 20_000]), "currency": currency}),
    }


def draw_tax(chance: random.Random) -> dict:
    """Draw a tax rate, inside the amounts or on top of them."""
    return {"inclusive": chance.random() < 0.5, "percentage": chance.choice(["19", "7.25", "8.875"])}


def draw_item(chance: random.Random, *, metered: bool) -> Item:
    """Draw a price of any kind a subscription can have."""
    kind = chance.choice(["unit", "package", "graduated", "volume"])
    amount = Decimal(chance.choice(["1", "0.5", "0.125", "7", "333.3", "1000"]))
    used = [chance.choice([0, 1, 3, 99, 100, 101, 999, 12_345]) for _ in range(20)]
    quantity = chance.randint(1, 12)
    if kind in {"unit", "package"}:
        form = {"unit_amount_decimal": str(amount)}
        if kind == "unit":
            return Item(form, Rate((Bracket(None, amount),)), metered, quantity, used=used)
        size, rounding = chance.choice([3, 100]), chance.choice(["up", "down"])
        form["transform_quantity"] = {"divide_by": size, "round": rounding}
        return Item(form, Rate((Bracket(None, amount),), package=size, round=rounding), metered, quantity, used=used)
    bounds = [*sorted(chance.sample([1, 5, 100, 1000], chance.randint(0, 2))), None]
    brackets = tuple(
        Bracket(bound, amount / 2**place, Decimal(chance.choice([0, 0, 250]))) for place, bound in enumerate(bounds)
    )
    form = {"billing_scheme": "tiered", "tiers_mode": kind, "tiers": [tier(bracket) for bracket in brackets]}
    return Item(form, Rate(brackets, mode=kind), metered, quantity, used=used)


def tier(bracket: Bracket) -> dict:
    """Write a bracket as Stripe's tier."""
    flat = {"flat_amount": int(bracket.flat)} if bracket.flat else {}
    bound = "inf" if bracket.up_to is None else bracket.up_to
    return {"up_to": bound, "unit_amount_decimal": f"{bracket.unit:f}", **flat}


def lines_of(item: Item, quantity: int) -> list[Line]:
    """Return the lines a quantity makes: one for the units and one for the flat fee of each bracket."""
    amounts = [amount for part in parts(item.rate, quantity) for amount in (part.units * part.unit, part.flat)]
    return [Line("", "", Decimal(1), amount, amount) for amount in amounts if amount]


def live(api, life: Life) -> list[dict]:
    """Live through a subscription, an interval at a time, and return its invoices, oldest first."""
    clock = api.post("/v1/test_helpers/test_clocks", {"frozen_time": life.start})["id"]
    customer = api.post(
        "/v1/customers",
        {
            "test_clock": clock,
            "payment_method": "pm_card_visa",
            "invoice_settings": {"default_payment_method": "pm_card_visa"},
        },
    )["id"]
    product = api.product()["id"]
    form = {"customer": customer, "items": [sell(api, life, item, product) for item in life.items]}
    if life.trial_days:
        form["trial_period_days"] = life.trial_days
    form["discounts"] = [{"coupon": api.post("/v1/coupons", coupon)["id"]} for coupon in life.coupons]
    rates = [{"display_name": "VAT", **tax} for tax in life.taxes]
    form["default_tax_rates"] = [api.post("/v1/tax_rates", rate)["id"] for rate in rates]
    subscription = api.post("/v1/subscriptions", form)["id"]
    now, bounds = life.start, life.bounds()
    spans = [*([(life.start, bounds[0], IN_TRIAL)] if life.trial_days else [])]
    spans += [(begin, end, step) for step, (begin, end) in enumerate(pairwise(bounds))]
    for begin, end, step in spans:
        for item in life.items:
            if item.metered and item.used[step]:
                payload = {"stripe_customer_id": customer, "value": item.used[step]}
                at = max(begin, now - HOUR)
                api.post("/v1/billing/meter_events", {"event_name": item.meter, "timestamp": at, "payload": payload})
        now = end + 2 * HOUR
        api.post(f"/v1/test_helpers/test_clocks/{clock}/advance", {"frozen_time": now})
        assert api.get(f"/v1/test_helpers/test_clocks/{clock}")["status"] == "ready"
    found = api.get("/v1/invoices", {"subscription": subscription, "limit": 100})["data"][::-1]
    for each in found:
        if each["lines"]["has_more"]:
            each["lines"] = api.get(f"/v1/invoices/{each['id']}/lines", {"limit": 100})
    return found


def sell(api, life: Life, item: Item, product: str) -> dict:
    """Create an item's price, with its meter, and return the subscription's item."""
    recurring = {"interval": life.interval, "interval_count": life.count}
    if item.metered:
        item.meter = f"{product}-{life.items.index(item)}"
        recurring |= {"usage_type": "metered", "meter": api.meter(item.meter)["id"]}
    form = {"product": product, "currency": life.currency, "recurring": recurring, **item.form}
    price = api.post("/v1/prices", form)["id"]
    return {"price": price} if item.metered else {"price": price, "quantity": item.quantity}


def due(life: Life, step: int, *, first: bool) -> tuple[Invoice, set[tuple[int, int]]]:
    """Return what a step's invoice should be without lines of nothing, and the periods its lines may be for."""
    bounds = life.bounds()
    if step < 0:
        return invoice(life.currency, []), {(life.start, bounds[0])}
    lines = [line for item in life.items if not item.metered for line in lines_of(item, item.quantity)]
    periods = {(bounds[step], boundary(bounds[0], life.interval, life.count * (step + 1)))}
    if step:
        lines += [line for item in life.items if item.metered for line in lines_of(item, item.used[step - 1])]
        periods.add((bounds[step - 1], bounds[step]))
    discounts = [discount(coupon) for coupon in life.coupons if is_live(coupon, life, bounds[step], first=first)]
    taxes = [Tax(Decimal(tax["percentage"]), tax["inclusive"]) for tax in life.taxes]
    return invoice(life.currency, [line for line in lines if line.amount], discounts=discounts, taxes=taxes), periods


def discount(coupon: dict) -> Discount:
    """Return what a coupon takes off."""
    percent = coupon.get("percent_off")
    return Discount(percent and Decimal(percent), coupon.get("amount_off", 0))


def is_live(coupon: dict, life: Life, at: int, *, first: bool) -> bool:
    """Tell whether a coupon takes something off the invoice of a time."""
    if coupon["duration"] == "repeating":
        return at < boundary(life.start, "month", coupon["duration_in_months"])
    return first or coupon["duration"] == "forever"


def check(life: Life, invoices: list[dict]) -> None:
    """Compare what was billed with what was due, invoice by invoice."""
    for number, (step, found) in enumerate(zip(life.invoiced(), invoices, strict=True)):
        wanted, periods = due(life, step, first=number == 0)
        billed = [line for line in found["lines"]["data"] if line["amount"]]
        assert sorted(line["amount"] for line in billed) == sorted(line.amount for line in wanted.lines)
        assert {(line["period"]["start"], line["period"]["end"]) for line in billed} <= periods
        assert {line["currency"] for line in billed} <= {life.currency}
        assert sum(total["amount"] for total in found["total_discount_amounts"]) == wanted.discount
        assert sum(total["amount"] for total in found["total_taxes"]) == wanted.tax
        assert (found["subtotal"], found["total"]) == (wanted.subtotal, wanted.total)
        assert found["status"] == "paid"


def lives(open_sandbox, account, seeds) -> None:
    """Live through the subscriptions of some seeds, in one account."""
    api = account(open_sandbox())
    for seed in seeds:
        life = draw(random.Random(seed))
        try:
            check(life, live(api, life))
        except AssertionError as error:
            error.add_note(f"seed {seed}: {life}")
            raise


@pytest.mark.parametrize("seed", range(12))
def test_invoices_equal_the_oracle(open_sandbox, account, seed):
    """Lines, discounts, taxes, totals and periods of every invoice are those the oracle says were due."""
    lives(open_sandbox, account, [seed])


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("first", range(1000, 2000, 125))
def test_many_subscriptions_equal_the_oracle(open_sandbox, account, first):
    """The same holds for a thousand random subscriptions over their simulated years, an account for 125 of them."""
    lives(open_sandbox, account, range(first, first + 125))


def test_the_oracle_tells_a_wrong_invoice(open_sandbox, account):
    """The comparison fails for a period billed with one unit more than was used."""
    life = draw(random.Random(0))
    life.trial_days, life.items = 0, [draw_item(random.Random(4), metered=True)]
    invoices = live(account(open_sandbox()), life)
    check(life, invoices)
    life.items[0].used[0] += 100_000
    with pytest.raises(AssertionError):
        check(life, invoices)
