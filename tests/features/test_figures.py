"""The dashboard and its figures: what was used and earned, computed from the ledger and from invoices."""

from reconciler.service.figures.invoices import read_invoices
from reconciler.service.figures.reports import REPORTS, Report, Span
from reconciler.service.figures.subscriptions import read_subscriptions
from reconciler.service.figures.tables import month_now
from tests.service.earnings import Shop
from tests.service.test_dashboard import Person, up_to_date
from tests.service.world import Served


def told(report: Report, by: str) -> dict[str, tuple[str, int | None]]:
    """Return amount and number by name of the rows of a kind."""
    return {row["name"]: (row["amount"], row["number"]) for row in report.rows if row["by"] == by}


def test_row_0_9_a_dashboard() -> None:
    """Balance and status, customers and metrics, products and prices and use are pages, and the same as JSON."""
    served = Served()
    served.runtime.consume("acme", "big", key="one")
    up_to_date(served)
    person = Person(served)
    person.sign_in()
    assert ["big", "1", "100%", "10 credits"] in person.page("/").rows()
    assert "Acme" in person.page("/tenants").text
    assert "Called big for 10 credits" in person.page("/tenant?id=acme").text
    assert "Small small 10 1 9.99 USD" in person.page("/catalogue").text
    found = served.operator.get("/v1/dashboard").json
    assert (found["tenants"], found["calls"], found["tools"]) == (3, 1, {"big": 1})
    person.close()
    served.close()


def test_row_1_29_total_and_monthly_revenue_and_churn() -> None:
    """Revenue of some months and of each, active customers, popular tools and churn come from ledger and invoices."""
    shop = Shop()
    leaving = shop.subscribe(shop.customer("acme"), "plans.pro.prices.monthly")
    shop.subscribe(shop.customer("other"), "plans.basic.prices.monthly")
    month = month_now(shop.store.now())
    shop.world.clock.now += 40 * 86_400
    shop.gateway.delete(f"/v1/subscriptions/{leaving['id']}")
    read_invoices(shop.store, shop.earnings)
    read_subscriptions(shop.store, shop.earnings)
    later = month_now(shop.store.now())
    found = REPORTS["revenue"](shop.store, Span(month, later))
    (total,) = told(found, "total").values()
    months = [amount for amount, _ in told(found, "month").values()]
    assert total[0] == f"{sum(map(float, months)):.2f}"
    (row,) = REPORTS["customers"](shop.store, Span(later, later)).rows
    assert (row["paying"], row["left"], row["churn_percent"]) == (2, 1, "50.00")
    shop.store.close()


def test_row_2_11_figures_are_computed_or_absent() -> None:
    """Revenue by plan and user, recurring revenue and success rate are computed; without invoices they are unknown."""
    shop = Shop()
    month = month_now(shop.store.now())
    blank = REPORTS["revenue"](shop.store, Span(month, month))
    assert (blank.rows, len(blank.unknown)) == ([], 2)
    shop.subscribe(shop.customer("acme"), "plans.pro.prices.annual")
    read_invoices(shop.store, shop.earnings)
    read_subscriptions(shop.store, shop.earnings)
    found = REPORTS["revenue"](shop.store, Span(month, month))
    assert told(found, "plan") == {"plans.pro": ("499.90", None)}
    assert told(found, "mrr")["all"] == ("41.66", 1)
    served = Served()
    served.runtime.reserve("acme", "big", key="h1").commit()
    served.runtime.reserve("acme", "big", key="h2").release()
    up_to_date(served)
    (tool,) = served.operator.get("/v1/reports/tools").json["rows"]
    assert (tool["committed"], tool["released"], tool["success_percent"]) == (1, 1, "50.00")
    served.close()
    shop.store.close()
