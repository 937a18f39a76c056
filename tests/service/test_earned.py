"""Invoices and subscriptions beside the books: revenue by what was sold, what comes in every month, who left."""

import threading
from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.provider.earned import Subscribed, part_of
from reconciler.service.dashboard.reading import account_states
from reconciler.service.figures.drifted import read_drift
from reconciler.service.figures.invoices import read_invoices
from reconciler.service.figures.notes import read_note
from reconciler.service.figures.subscriptions import (
    Recurring,
    churn,
    kept,
    read_subscriptions,
    recurring,
    recurring_of,
)
from reconciler.service.figures.tables import first_day, month_of_day
from tests.loop.world import catalog_of

from .earnings import SECTIONS, Shop

DAY = 86_400


@pytest.fixture
def shop(url: str) -> Iterator[Shop]:
    """Lend an account that sells, with a ledger beside it."""
    shop = Shop(url)
    yield shop
    shop.store.close()


def month_now(shop: Shop) -> int:
    """Return the month it is in the account."""
    return month_of_day(shop.world.clock() // DAY)


def test_revenue_is_told_by_what_was_sold(shop: Shop) -> None:
    """Paid invoices count in their month by plan, pack and tenant; open ones and other namespaces' marks do not."""
    acme, other, foreign = shop.customer("acme"), shop.customer("other"), shop.customer("acme", "elsewhere")
    shop.subscribe(acme, "plans.pro.prices.monthly")
    shop.bill(other, price="credit_packs.starter.price")
    shop.bill(foreign, amount=700, description="by hand")
    shop.bill(other, paid=False, amount=9_000)
    assert read_invoices(shop.store, shop.earnings) == 4
    month = month_now(shop)
    assert shop.revenue() == {
        (month, "usd", "plans.pro"): 4999,
        (month, "usd", "credit_packs.starter"): 999,
        (month, "usd", "other"): 700,
    }
    assert shop.income() == {"acme": 4999, "other": 999, "": 700}


def test_an_invoice_that_is_paid_later_counts_then(shop: Shop) -> None:
    """What was open when it was read first counts once it is paid, in that month; reading again changes nothing."""
    customer = shop.customer("acme")
    invoice = shop.bill(customer, paid=False, amount=1200)
    assert read_invoices(shop.store, shop.earnings) == 1
    assert shop.revenue() == {}
    shop.world.clock.now += 40 * DAY
    shop.post(f"/v1/invoices/{invoice['id']}/pay")
    assert read_invoices(shop.store, shop.earnings) == 1
    assert shop.revenue() == {(month_now(shop), "usd", "other"): 1200}
    assert read_invoices(shop.store, shop.earnings) == 0
    assert shop.income() == {"acme": 1200}


def test_credit_notes_take_revenue_back(shop: Shop) -> None:
    """A credit note on an invoice that was read long ago is found, and taken off in the month the invoice was paid."""
    invoice = shop.bill(shop.customer("acme"), amount=2000)
    read_invoices(shop.store, shop.earnings)
    paid = month_now(shop)
    shop.world.clock.now += 40 * DAY
    shop.post("/v1/credit_notes", invoice=invoice["id"], amount=500, refund_amount=500)
    assert read_invoices(shop.store, shop.earnings) == 1
    assert shop.revenue() == {(paid, "usd", "other"): 2000, (paid, "usd", "credit notes"): -500}
    assert shop.income() == {"acme": 1500}


def test_taxes_are_no_revenue(shop: Shop) -> None:
    """Neither a tax on top nor one inside the amount counts."""
    customer = shop.customer("acme")
    for inclusive in (False, True):
        rate = shop.post("/v1/tax_rates", display_name="VAT", percentage=20, inclusive=inclusive)["id"]
        shop.bill(customer, amount=1200, tax_rates=[rate])
    read_invoices(shop.store, shop.earnings)
    assert sum(shop.revenue().values()) == 1200 + 1000
    assert shop.income() == {"acme": 2200}


def test_a_draft_that_is_gone_is_forgotten(shop: Shop) -> None:
    """A draft somebody deletes is asked for once more, and never again."""
    draft = shop.post("/v1/invoices", customer=shop.customer("acme"))
    read_invoices(shop.store, shop.earnings)
    shop.gateway.delete(f"/v1/invoices/{draft['id']}")
    shop.world.clock.now += 2 * DAY
    assert read_invoices(shop.store, shop.earnings) == 1
    assert read_invoices(shop.store, shop.earnings) == 0
    assert shop.store.ask("SELECT status FROM figure_invoice") == [("gone",)]


@pytest.mark.parametrize("kind", ["postgres"])
def test_two_readers_count_an_invoice_once(shop: Shop) -> None:
    """Invoices that several workers read at the same time are in the sums once."""
    customer = shop.customer("acme")
    for amount in (100, 200, 300, 400):
        shop.bill(customer, amount=amount)
    found = list(shop.earnings.invoices(0))

    class Same:
        """Gives every worker the same answers at once."""

        def invoices(self, _since: int) -> list[object]:
            return list(found)

        def credited(self, _since: int) -> list[object]:
            return []

    threads = [threading.Thread(target=read_invoices, args=(shop.store, Same())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shop.income() == {"acme": 1000}


def test_what_comes_in_every_month(shop: Shop) -> None:
    """A year's price counts as its twelfth, a trial not at all, an ended one no more; other currencies stand apart."""
    acme, other, third = (shop.customer(name) for name in ("acme", "other", "third"))
    shop.subscribe(acme, "plans.pro.prices.monthly", quantity=2)
    shop.subscribe(other, "plans.pro.prices.annual")
    shop.subscribe(third, "plans.basic.prices.monthly", trial_period_days=14)
    ended = shop.subscribe(third, "plans.basic.prices.monthly")
    shop.gateway.delete(f"/v1/subscriptions/{ended['id']}")
    assert read_subscriptions(shop.store, shop.earnings) == 4
    assert read_subscriptions(shop.store, shop.earnings) == 0
    exact = 2 * 4999 + Fraction(49990, 12)
    note = read_note(shop.store, "subscriptions")
    assert note is not None
    assert recurring_of(note.said) == [Recurring("pro", "usd", exact, 2, 0)]
    assert recurring(kept(shop.store), shop.world.clock() + 15 * DAY) == [Recurring("pro", "usd", exact, 2, 0)]
    assert {each.tenant for each in kept(shop.store)} == {"acme", "other", "third"}


def test_drift_is_noted(shop: Shop) -> None:
    """What was changed at Stripe is noted by its address, what the files want and nobody applied is counted apart."""
    catalog = catalog_of(SECTIONS)
    assert read_drift(shop.store, catalog, shop.world.gateway(read_only=True)) == 0
    assert [state.kind for state in account_states(shop.store)] == ["good"]
    shop.post(f"/v1/prices/{shop.price('plans.pro.prices.annual')}", nickname="by hand")
    more = catalog_of({**SECTIONS, "coupons": {"new": {"percent_off": 10, "duration": "once"}}})
    assert read_drift(shop.store, more, shop.world.gateway(read_only=True)) == 1
    drift, waiting = account_states(shop.store)
    assert "plans.pro.prices.annual" in drift.words
    assert waiting.words.startswith("1 change of the files")


def subscribed(tenant: str, begun: int, ended: int | None, **more: object) -> Subscribed:
    """Return a subscription of a tenant between two instants."""
    fields = {"id": "sub", "customer": "cus", "plan": "pro", "status": "active", "currency": "usd"}
    return Subscribed(**{**fields, "tenant": tenant, "begun": begun, "ended": ended, "yearly": Fraction(12), **more})  # type: ignore[arg-type]


def test_who_left_and_who_began() -> None:
    """Left is who was paying when the month began and is not when it ends; a change of subscription is no loss."""
    month = month_of_day(20_000)
    start, end = first_day(month) * DAY, first_day(month + 1) * DAY
    found = [
        subscribed("stays", 0, None),
        subscribed("leaves", 0, start + 5 * DAY),
        subscribed("changes", 0, start + 5 * DAY),
        subscribed("changes", start + 5 * DAY, None),
        subscribed("begins", start + DAY, None),
        subscribed("passes by", start + DAY, start + 2 * DAY),
        subscribed("left before", 0, start - 1),
        subscribed("at the end", 0, end),
        subscribed("", 0, start + 1, customer="cus_1"),
        subscribed("", 0, None, customer="cus_2"),
    ]
    told = churn(found, month)
    assert (told.before, told.began, told.left) == (6, 1, 2)


@settings(max_examples=50)
@given(spans=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 400), st.integers(0, 400)), max_size=12))
def test_customers_close_from_month_to_month(spans: list[tuple[int, int, int]]) -> None:
    """Who was there, plus who began, less who left, is who is there when the next month begins."""
    found = [subscribed(f"t{name}", begun * DAY, (begun + lasts) * DAY) for name, begun, lasts in spans]
    for month in range(13):
        told = churn(found, month)
        assert told.before + told.began - told.left == churn(found, month + 1).before


def test_price_addresses_are_parts() -> None:
    """A price counts for its plan or pack; a tenant's own terms together; what has no address for others."""
    assert part_of("plans.pro.prices.monthly") == "plans.pro"
    assert part_of("plans.pro.usage.calls") == "plans.pro"
    assert part_of("credit_packs.starter.price") == "credit_packs.starter"
    assert part_of("tenants.acme.usage.vex") == "tenants"
    assert part_of("") == "other"
