"""What a price charges, told from its canonical values, is what an invoice of it charges."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.planning.charged import charge, per_month, rest_of
from reconciler.planning.live import read_object
from reconciler.resources import BY_NAME
from reconciler.sandbox import Sandbox
from tests.loop.accounts import prices
from tests.sandbox.billing_world import World
from tests.sandbox.conftest import Api

START = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())
DAY = int(timedelta(days=1).total_seconds())


def billed(world: World, drawn: dict[str, Any], quantity: int, currency: str) -> tuple[dict[str, Any], int | None]:
    """Subscribe to a drawn price; return its canonical values, and the first invoice's subtotal, None if refused."""
    params = {name: value for name, value in drawn.items() if name not in ("keyed", "archived")}
    expand = {"expand": ["tiers", f"currency_options.{currency}.tiers", "currency_options"]}
    price = world.api.post("/v1/prices", {"product": world.product, **params, **expand})
    form = {"customer": world.api.customer()["id"], "currency": currency, "collection_method": "send_invoice"}
    form |= {"days_until_due": 30, "items": [{"price": price["id"], "quantity": quantity}]}
    reply = world.api.send("POST", "/v1/subscriptions", form)
    values = read_object(BY_NAME["price"], price).values
    if reply.status != 200:
        return values, None
    return values, world.api.get("/v1/invoices", {"limit": 1})["data"][0]["subtotal"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(prices(0), st.integers(0, 1200), st.sampled_from(["usd", "eur", "jpy", "kwd"]))
def test_a_charge_is_what_is_invoiced(drawn: dict[str, Any], quantity: int, currency: str) -> None:
    """Per unit, in packages, by tiers of both modes, in any currency: the charge is the invoice's, or both refuse."""
    if "recurring" not in drawn:
        return
    world = World(Api(Sandbox(clock=START)), START)
    values, subtotal = billed(world, drawn, quantity, currency)
    assert charge(values, quantity, currency) == subtotal


def test_a_charge_is_in_a_currency_that_is_sold() -> None:
    """Another currency has its own amount, and one that is not there has none."""
    values = {
        "currency": "usd",
        "unit_amount_decimal": "1000",
        "currency_options": {"eur": {"unit_amount_decimal": "9"}},
    }
    assert [charge(values, 3, each) for each in ("usd", "eur", "jpy")] == [3000, 27, None]


@pytest.mark.parametrize(
    ("interval", "count", "amount"), [("month", 1, 1200), ("month", 3, 400), ("year", 1, 100), ("day", 1, 36500)]
)
def test_a_month_is_a_twelfth_of_a_year(interval: str, count: int, amount: int) -> None:
    """What is due in other intervals than a month is shared out."""
    assert per_month(1200, {"interval": interval, "interval_count": count}) == amount


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 31 * DAY))
@settings(max_examples=4, deadline=None)
def test_the_rest_of_a_period_is_what_is_prorated(before: int, after: int, late: int) -> None:
    """A change at any second of a period has prorations that add up to the rest."""
    world = World(Api(Sandbox(clock=START)), START)
    subscription = world.subscribe(world.price(before, active=True))
    successor = world.price(after)
    world.advance(START + late)
    item = subscription["items"]["data"][0]
    world.update(subscription, items=[{"id": item["id"], "price": successor}])
    waiting = sum(each["amount"] for each in world.pending() if each["proration"])
    period = (item["current_period_start"], item["current_period_end"])
    if late < 31 * DAY and before:
        assert rest_of([before], after, period, START + late) == waiting
