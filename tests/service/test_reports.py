"""Reports of some months: every figure computed from figures beside the ledger, or said to be unknown."""

from typing import Any

from reconciler.service.figures.invoices import read_invoices
from reconciler.service.figures.reports import REPORTS, Report, Span
from reconciler.service.figures.rollup import roll_up
from reconciler.service.figures.rounds import Figures
from reconciler.service.figures.subscriptions import read_subscriptions
from reconciler.service.figures.tables import month_now, prepared
from tests.entitlements.worlds import HandClock, runtime

from .earnings import Shop
from .world import Served

CREDITS = "plans: {c: {name: C, credits: {default: 2, tools: {chat: 10}}}, p: {name: P, per_call: {default: 0.25}}}\n"
TENANTS = "tenants: {acme: {name: A, plan: c}, pay: {name: Pay, plan: p}}"


def used() -> Any:
    """Return a store in which two tenants were active in January, and one in February."""
    clock = HandClock("2027-01-31T23:00:00")
    ent = runtime(CREDITS + TENANTS, clock)
    ent.grant("acme", 100, key="g")
    ent.consume("acme", "chat", key="one")
    for number in range(3):
        ent.consume("pay", "search", key=f"k{number}")
    ent.reserve("acme", "chat", key="h1").commit()
    ent.reserve("acme", "chat", key="h2").release()
    clock.set("2027-02-01T00:00:00")
    ent.consume("acme", "search", key="two")
    store = prepared(ent.ledger.store)
    roll_up(store)
    return store


def month(text: str) -> int:
    """Return a month since 1970."""
    year, number = text.split("-")
    return (int(year) - 1970) * 12 + int(number) - 1


def rows(report: Report, *names: str) -> list[tuple[Any, ...]]:
    """Return some columns of all rows."""
    return [tuple(row[name] for name in names) for row in report.rows]


def test_usage_is_told_by_tenant_and_tool() -> None:
    """Usage has every tenant's tools with calls, credits and charges, and units by meter, of the months asked for."""
    january = REPORTS["usage"](used(), Span(month("2027-01"), month("2027-01")))
    assert rows(january, "tenant", "tool", "meter", "calls", "units", "credits", "charged") == [
        ("acme", "chat", "", 2, None, "20", ""),
        ("acme", "chat", "calls", None, 2, "", ""),
        ("pay", "search", "", 3, None, "0", "0.75"),
        ("pay", "search", "calls", None, 3, "", ""),
    ]
    both = REPORTS["usage"](used(), Span(month("2027-01"), month("2027-02")))
    assert ("acme", "search", "", 1) in rows(both, "tenant", "tool", "meter", "calls")


def test_tools_are_told_most_first() -> None:
    """Tools have their share of calls, what they brought, and how many reservations that ended were committed."""
    found = REPORTS["tools"](used(), Span(month("2027-01"), month("2027-02")))
    assert rows(found, "tool", "calls", "share_percent", "credits", "charged") == [
        ("search", 4, "66.66", "2", "0.75 usd"),
        ("chat", 2, "33.33", "20", ""),
    ]
    assert rows(found, "tool", "reserved", "committed", "released", "success_percent") == [
        ("search", 0, 0, 0, None),
        ("chat", 2, 1, 1, "50.00"),
    ]


def test_customers_are_told_by_month() -> None:
    """Active tenants are known from calls; who pays and who left is unknown until subscriptions were read."""
    found = REPORTS["customers"](used(), Span(month("2027-01"), month("2027-03")))
    assert rows(found, "month", "active", "paying", "left", "churn_percent") == [
        ("2027-01", 2, None, None, None),
        ("2027-02", 1, None, None, None),
        ("2027-03", 0, None, None, None),
    ]
    assert found.unknown == ("who pays and who left is unknown: no subscriptions were read yet",)


def test_revenue_without_invoices_is_unknown() -> None:
    """What the ledger charged is told by tool; what invoices would say is unknown, not zero."""
    found = REPORTS["revenue"](used(), Span(month("2027-01"), month("2027-01")))
    assert rows(found, "by", "name", "currency", "amount", "number") == [("tool", "search", "usd", "0.75", 3)]
    assert len(found.unknown) == 2


def test_revenue_churn_and_what_comes_in() -> None:
    """Revenue by month, plan, tenant and user, what comes in every month, and churn are those of the account."""
    shop = Shop()
    acme, other = shop.customer("acme"), shop.customer("other")
    shop.subscribe(acme, "plans.pro.prices.annual")
    leaving = shop.subscribe(other, "plans.basic.prices.monthly")
    first = month_now(shop.store.now())
    ent = runtime(CREDITS + TENANTS, shop.store.now)
    read_invoices(shop.store, shop.earnings)
    read_subscriptions(shop.store, shop.earnings)
    found = REPORTS["revenue"](shop.store, Span(first, first))
    assert ("total", "all", "usd", "504.90", None) in rows(found, "by", "name", "currency", "amount", "number")
    assert ("plan", "plans.pro", "usd", "499.90", None) in rows(found, "by", "name", "currency", "amount", "number")
    assert ("tenant", "other", "usd", "5.00", None) in rows(found, "by", "name", "currency", "amount", "number")
    # 499.90 a year and 5.00 a month: 41.658333 and 5 are 46.658333, rounded once.
    assert ("mrr", "all", "usd", "46.66", 2) in rows(found, "by", "name", "currency", "amount", "number")
    assert "user" not in {row["by"] for row in found.rows}
    shop.world.clock.now += 40 * 86_400
    shop.gateway.delete(f"/v1/subscriptions/{leaving['id']}")
    read_subscriptions(shop.store, shop.earnings)
    later = month_now(shop.store.now())
    customers = REPORTS["customers"](shop.store, Span(later, later))
    assert rows(customers, "paying", "began", "left", "churn_percent") == [(2, 0, 1, "50.00")]
    ent.close()


def test_reports_over_http() -> None:
    """An operator reads reports and the first page as data; a tenant does not, and strange months are refused."""
    served = Served()
    served.runtime.consume("acme", "big", key="one")
    Figures(served.runtime, lambda: served.service.catalog).round()
    found = served.operator.get("/v1/reports/tools").json
    assert (found["first"], found["last"], found["rows"][0]["tool"]) == ("2027-01", "2027-01", "big")
    assert served.operator.get("/v1/reports/tools?first=2026-01&last=2026-02").json["rows"] == []
    first = served.operator.get("/v1/dashboard").json
    assert (first["calls"], first["credits_spent"], first["revenue_this_month"]) == (1, "10", None)
    for query, status in (
        ("first=2027-13", 422),
        ("first=2027-02&last=2027-01", 422),
        ("first=1999-01&last=2027-01", 422),
        ("x=1", 422),
    ):
        assert served.operator.get(f"/v1/reports/tools?{query}").status == status, query
    assert served.operator.get("/v1/reports/none").status == 404
    for path in ("/v1/dashboard", "/v1/reports/revenue"):
        assert (served.acme.get(path).status, served.stranger.get(path).status) == (403, 401)
    served.close()
