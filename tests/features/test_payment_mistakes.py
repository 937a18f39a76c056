"""Mistakes with money that are not made again: payments that collide or double, outages that sell, made-up prices."""

from typing import Any

import pytest

from reconciler.provider.payments import Choice, NotForSaleError, PageError, UnavailableError
from tests.provider.payments_world import OK, Market

FLAT = Choice(plan="flat", price="monthly")


def test_mistake_b21_no_write_without_a_key() -> None:
    """Every page is made under an idempotency key: the answer to a request that is sent again is a replay."""
    market = Market()
    market.fault(path="/v1/*", kind="drop_after", nth=1)
    market.desk.checkout("acme", FLAT, success_url=OK)
    market.fault(path="/v1/payment_links", kind="drop_after", nth=1)
    market.desk.link("acme", FLAT)
    links = market.dashboard.v1.payment_links.list().data
    assert (len(market.sessions()), sum("address" not in each.metadata for each in links)) == (1, 1)


def test_mistake_b23_payments_neither_collide_nor_double() -> None:
    """Two purchases of one second are two, one that is repeated a second later is one, and a doubt opens no second."""
    market = Market()
    first, second = (market.desk.checkout("acme", FLAT, success_url=OK) for _ in range(2))
    assert first.id != second.id
    market.clock.now += 1
    assert market.desk.checkout("acme", FLAT, success_url=OK, key=first.key).id == first.id
    market.fault(path="/v1/checkout/*", kind="drop_after", last=4)
    with pytest.raises(PageError) as caught:
        market.desk.checkout("acme", FLAT, success_url=OK, key="k")
    assert caught.value.ambiguous
    third = market.desk.checkout("acme", FLAT, success_url=OK, key="k")
    assert {each.id for each in market.sessions()} == {first.id, second.id, third.id}


def test_mistake_b24_an_outage_sells_nothing() -> None:
    """While Stripe is away there is no page of any kind, simulated or not; once it is back there is."""
    market = Market()
    market.fault(method="*", kind="error", status=503)
    for sell in (market.desk.link, lambda *what: market.desk.checkout(*what, success_url=OK)):
        with pytest.raises(UnavailableError):
            sell("acme", FLAT)
    market.sandbox.faults.clear()
    market.time.now += 30
    assert market.desk.link("acme", FLAT).url
    assert market.sessions() == []


def test_mistake_b26_cents_are_exact() -> None:
    """19.99 is 1999 on a page, 1.15 is 115, and 5000 yen are 5000."""
    packs: Any = {name: {"name": name, "credits": 1, "price": price} for name, price in (("a", "19.99"), ("b", "1.15"))}
    packs["c"] = {"name": "c", "credits": 1, "price": "5000", "currency": "jpy"}
    market = Market({"credit_packs": packs})
    amounts = [market.session(market.desk.checkout("x", Choice(pack=each), success_url=OK).id) for each in "abc"]
    assert [each.line_items.data[0].amount_total for each in amounts] == [1999, 115, 5000]


def test_mistake_b27_a_caller_names_no_price_and_no_customer() -> None:
    """What can be asked for are ids of the files; an id of Stripe's or somebody else's customer is no such thing."""
    assert set(Choice._fields) == {"plan", "price", "interval", "pack", "quantity"}
    market = Market()
    live = market.dashboard.v1.prices.list({"lookup_keys": ["acme.plans.flat.prices.monthly"]}).data[0].id
    for choice in (Choice(plan="flat", price=live), Choice(plan="acme_plan_flat"), Choice(pack=live)):
        with pytest.raises(NotForSaleError):
            market.desk.checkout("acme", choice, success_url=OK)
    assert market.buy(market.applied("acme"), plan="flat").customer is None
