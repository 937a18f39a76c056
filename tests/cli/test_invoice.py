"""``reconciler invoice``: files and ledger beside Stripe's preview, with the reason of every difference."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.cli.invoices import statement_in, statement_json, statement_text
from reconciler.diagnostics import UsageError
from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.entitlements.periods import instant
from reconciler.ledger.ledger import open_ledger
from reconciler.provider.gateway import Connection
from reconciler.provider.limiter import UNLIMITED
from reconciler.provider.statement import Statement, StatementRow
from reconciler.provider.usage import UsageSender
from reconciler.sandbox import Fault
from tests.loop.world import KEY, START, World, catalog_of

from .support import SIMPLE, Shell, write

DAY = 86_400
FILES: dict[str, Any] = {
    "meters": {"calls": {"name": "Calls"}},
    "tools": {"deep": {"counts": {"calls": 1}}},
    "plans": {
        "pro": {
            "name": "Pro",
            "prices": {
                "monthly": {"amount": 49.99, "interval": "month"},
                "annual": {"amount": 499.9, "interval": "year"},
            },
            "usage": {"calls": {"included": 100, "overage": {"unit_amount": 0.25}}},
        },
        "payg": {"name": "Pay", "per_call": {"default": 0.125, "tools": {"deep": 5}}},
        "yen": {"name": "Yen", "currency": "jpy", "prices": {"monthly": {"amount": 5000, "interval": "month"}}},
    },
    "coupons": {"tenth": {"percent_off": 10, "duration": "forever"}},
    "tax_rates": {"vat": {"display_name": "VAT", "percentage": 19, "inclusive": False}},
    "tenants": {
        "acme": {"name": "Acme", "plan": "pro", "price": "monthly"},
        "yearly": {"name": "Yearly", "plan": "pro", "price": "annual"},
        "taxed": {
            "name": "Taxed",
            "plan": "pro",
            "price": "monthly",
            "email": "t@taxed.example",
            "subscription": {
                "coupon": "tenth",
                "tax_rates": ["vat"],
                "collection": "send_invoice",
                "days_until_due": 30,
            },
        },
        "payer": {"name": "Payer", "plan": "payg"},
        "tokyo": {"name": "Tokyo", "plan": "yen"},
    },
}
_APPLIED: list[bytes] = []


class Books(World):
    """An account with subscriptions, and the ledger of what they used, on one clock."""

    def __init__(self) -> None:
        super().__init__()
        self.catalog = catalog_of(FILES)
        if _APPLIED:
            self.sandbox.state.load(_APPLIED[0])
        else:
            self.run(self.plan(FILES))
            _APPLIED.append(self.sandbox.state.save())
        self.policy = compile_catalog(self.catalog)
        self.runtime = Entitlements(self.policy, open_ledger("sqlite://", "direct", lambda: self.clock.now * 10**6))
        self.customers: dict[str, str] = {}

    def connection(self, **more: Any) -> Connection:
        """Reach the account."""
        return Connection(KEY, transport=self.sandbox.http_client(), rates=UNLIMITED, **more)

    def price(self, address: str) -> str:
        """Return the id of a price."""
        return str(self.dashboard.v1.prices.list({"lookup_keys": [f"acme.{address}"]}).data[0].id)

    def customer(self, tenant: str) -> str:
        """Return a tenant's customer, with a card; one that an apply made, else a new one with its mark."""
        query = f"metadata['address']:'tenants.{tenant}'"
        found = self.dashboard.v1.customers.search({"query": query}).data
        made = found[0].id if found else self.marked(tenant)
        card = self.dashboard.v1.payment_methods.attach("pm_card_visa", {"customer": made}).id
        self.dashboard.v1.customers.update(made, {"invoice_settings": {"default_payment_method": card}})
        self.customers[tenant] = made
        return made

    def marked(self, tenant: str) -> str:
        """Make a customer that is marked as a tenant."""
        mark = {"managed_by": "reconciler/acme", "address": f"tenants.{tenant}"}
        return str(self.dashboard.v1.customers.create({"metadata": mark}).id)

    def subscribe(self, tenant: str, *addresses: str, **terms: Any) -> str:
        """Subscribe a tenant, and tell the runtime as a webhook would."""
        items = [{"price": self.price(address)} for address in addresses]
        params: Any = {"customer": self.customer(tenant), "items": items, **terms}
        return self.known(tenant, self.dashboard.v1.subscriptions.create(params), addresses[0].split(".")[1])

    def known(self, tenant: str, made: Any, plan: str) -> str:
        """Tell the runtime of a subscription, as a webhook would."""
        start, end = (instant(each * 10**6) for each in (made.start_date, made["items"].data[0].current_period_end))
        anchor = instant(made.billing_cycle_anchor * 10**6)
        self.runtime.set_subscription(tenant, plan=plan, status=made.status, period=(start, end), anchor=anchor)
        return str(made.id)

    def flush(self) -> None:
        """Send all usage."""
        self.clock.now += 1
        while self.runtime.seal(self.clock.now + 1):
            pass
        sender = UsageSender(self.gateway(), self.runtime.ledger.store, self.policy, self.customers.get, patient=False)
        sender.flush()

    def statement(self, tenant: str = "acme", month: str | None = None, **more: Any) -> Statement:
        """Return a statement beside the account's."""
        return statement_in(self.catalog, self.runtime.ledger.store, tenant, month, self.connection(**more))


@pytest.fixture
def books() -> Iterator[Books]:
    """Open an account and a ledger."""
    world = Books()
    yield world
    world.runtime.close()
    world.sandbox.close()


PRO = ("plans.pro.prices.monthly", "plans.pro.usage.calls")


def rows(statement: Statement) -> dict[str, tuple[int | None, int | None, str]]:
    """Return what each price comes to on both sides, and why they differ."""
    return {row.address: (row.files, row.stripe, row.reason) for row in statement.rows}


def totals(statement: Statement) -> tuple[Any, Any]:
    """Return the totals of both sides."""
    return json.loads(statement_json(statement))["totals"]["total"].values()


def test_both_sides_are_equal_once_all_was_sent(books: Books) -> None:
    """The next flat price and this month's units: equal, without reason or note."""
    books.subscribe("acme", *PRO)
    books.clock.now += 5 * DAY
    books.runtime.consume("acme", meter="calls", units={"calls": 110})
    books.flush()
    found = books.statement()
    assert rows(found) == {PRO[0]: (4999, 4999, ""), PRO[1]: (250, 250, "")}
    assert list(totals(found)) == ["52.49", "52.49"]
    assert found.notes == ()


def test_units_that_were_not_sent_are_the_reason(books: Books) -> None:
    """What is still in the books or in the outbox is missing at Stripe, and said to be, to the unit."""
    books.subscribe("acme", *PRO)
    books.clock.now += DAY
    books.runtime.consume("acme", meter="calls", units={"calls": 110})
    books.flush()
    books.clock.now += DAY
    books.runtime.consume("acme", meter="calls", units={"calls": 7})
    found = books.statement()
    assert rows(found)[PRO[1]] == (425, 250, "7 units not sent to Stripe yet")
    assert list(totals(found)) == ["54.24", "52.49"]
    assert "!= -1.75 usd: 7 units not sent to Stripe yet" in statement_text(found, 80)
    books.sandbox.faults.add(Fault("POST", "/v1/billing/meter_event*", kind="error", status=503))
    books.flush()
    assert rows(books.statement())[PRO[1]] == (425, 250, "7 units not sent to Stripe yet")


def test_units_that_were_refused_are_told_apart(books: Books) -> None:
    """A dead letter will not arrive by itself."""
    books.subscribe("acme", *PRO)
    books.clock.now += DAY
    books.runtime.consume("acme", meter="calls", units={"calls": 105})
    refusal = Fault("POST", "/v1/billing/meter_event*", kind="error", status=400, error_type="invalid_request_error")
    books.sandbox.faults.add(refusal)
    books.flush()
    assert rows(books.statement())[PRO[1]][2] == "105 units not sent to Stripe yet, 105 units of it refused"


def test_what_is_charged_by_the_call_stands_as_it_was_booked(books: Books) -> None:
    """Charges go through the spend meter: equal once sent, and before that the money is named."""
    books.subscribe("payer", "plans.payg.spend")
    books.clock.now += DAY
    for tool in ("deep", "quick", "quick"):
        books.runtime.consume("payer", tool)
    found = books.statement("payer")
    assert rows(found) == {"plans.payg.spend": (525, 0, "5.25 usd not sent to Stripe yet")}
    (line,) = found.rows[0].lines
    assert line.details == ("deep: 1 calls, 5.00 usd", "quick: 2 calls, 0.25 usd")
    books.flush()
    assert rows(books.statement("payer")) == {"plans.payg.spend": (525, 525, "")}


def test_discounts_and_taxes_are_on_both_sides(books: Books) -> None:
    """A tenth off and 19 percent on top come to the same total."""
    (made,) = books.dashboard.v1.subscriptions.list().data
    books.known("taxed", made, "pro")
    found = books.statement("taxed")
    sums = json.loads(statement_json(found))["totals"]
    assert sums["discounts"] == {"files": "-5", "stripe": "-5"}
    assert sums["taxes"] == sums["taxes"] | {"files": sums["taxes"]["stripe"]}
    assert sums["total"]["files"] == sums["total"]["stripe"]


def test_a_price_for_a_year_is_due_once_a_year(books: Books) -> None:
    """Of a subscription whose beginning is known the flat price is on the invoice that begins its interval only."""
    flat: Any = {"type": "flexible"}
    books.subscribe("yearly", "plans.pro.prices.annual", PRO[1], billing_mode=flat)
    books.clock.now += DAY
    books.runtime.consume("yearly", meter="calls", units={"calls": 101})
    books.flush()
    assert rows(books.statement("yearly")) == {PRO[1]: (25, 25, "")}


def test_a_trial_ends_with_the_first_flat_price(books: Books) -> None:
    """While the trial runs, what is due at its end is the flat price, and no usage of it."""
    books.subscribe("acme", *PRO, trial_period_days=14)
    found = books.statement()
    assert found.invoice.total == 4999
    assert found.period == (instant(START * 10**6), instant((START + 14 * DAY) * 10**6))
    assert rows(found) == {PRO[0]: (4999, 4999, "")}
    assert found.notes == ()


def test_the_free_invoice_of_a_trial_used_a_coupon_up(books: Books) -> None:
    """A coupon that lasts for one invoice is gone when the trial ends, on both sides."""
    coupons = {**FILES["coupons"], "first": {"percent_off": 50, "duration": "once"}}
    acme = FILES["tenants"]["acme"] | {"subscription": {"coupon": "first", "trial_days": 7}}
    books.catalog = catalog_of({**FILES, "coupons": coupons, "tenants": {**FILES["tenants"], "acme": acme}})
    coupon = books.dashboard.v1.coupons.create({"percent_off": 50, "duration": "once"}).id
    books.subscribe("acme", *PRO, trial_period_days=7, discounts=[{"coupon": coupon}])
    found = books.statement()
    assert (found.invoice.discount, *totals(found)) == (0, "49.99", "49.99")


def test_currencies_without_decimals(books: Books) -> None:
    """5000 yen are 5,000, without a point."""
    books.subscribe("tokyo", "plans.yen.prices.monthly")
    found = books.statement("tokyo")
    assert rows(found) == {"plans.yen.prices.monthly": (5000, 5000, "")}
    assert "5,000   5,000\n" in statement_text(found, 80)


def test_what_only_one_side_has_is_told(books: Books) -> None:
    """A price that is not on the subscription, another price of ours that is, and an item of nobody's."""
    books.subscribe("acme", "plans.pro.prices.annual")
    books.clock.now += DAY
    extra: Any = {"customer": books.customers["acme"], "amount": 777, "currency": "usd", "description": "Workshop"}
    books.dashboard.v1.invoice_items.create(extra)
    found = rows(books.statement())
    assert found[PRO[0]] == (4999, None, "not on the subscription at Stripe")
    assert found["plans.pro.prices.annual"] == (None, 49990, "not in what the files say it pays")
    assert found["Workshop"] == (None, 777, "nothing of the files")


def test_a_difference_of_an_unknown_reason_is_not_explained_away(books: Books) -> None:
    """Three seats there and one here: the two amounts, and that nobody here knows why."""
    name = books.subscribe("acme", *PRO)
    item = next(
        each for each in books.dashboard.v1.subscription_items.list({"subscription": name}).data if each.quantity
    )
    books.dashboard.v1.subscription_items.update(item.id, {"quantity": 3, "proration_behavior": "none"})
    assert rows(books.statement())[PRO[0]] == (4999, 14997, "why is not known here")


def test_totals_that_differ_alone_are_noted(books: Books) -> None:
    """A coupon that somebody gave at Stripe changes no line; that the sums differ is said, and not why."""
    name = books.subscribe("acme", *PRO)
    assert books.statement().notes == ()
    books.dashboard.v1.subscriptions.update(name, {"discounts": [{"coupon": "acme_coupon_tenth"}]})
    found = books.statement()
    assert rows(found) == {PRO[0]: (4999, 4999, ""), PRO[1]: (0, 0, "")}
    assert [note.partition(",")[0] for note in found.notes] == ["the totals differ though no price does"]


@pytest.mark.parametrize("case", ["nobody", "none", "doubled", "several", "refused", "silent", "period"])
def test_an_unknown_side_is_never_called_equal(books: Books, case: str) -> None:
    """No customer, no subscription, two of either, a refusal, silence, another period: said, and nothing compared."""
    month, words = None, ""
    if case == "none":
        books.customer("acme")
        words = "has no subscription of these files"
    elif case == "doubled":
        books.marked("acme")
        words = "several customers"
    elif case == "nobody":
        books.dashboard.v1.customers.delete(books.customer("acme"))
        words = "no customer there is marked"
    else:
        books.subscribe("acme", *PRO)
        words = {"several": "several subscriptions", "period": "running period only"}.get(case, "")
    if case == "several":
        terms: Any = {"customer": books.customers["acme"], "items": [{"price": books.price(PRO[0])}]}
        books.dashboard.v1.subscriptions.create(terms)
    if case == "refused":
        books.sandbox.faults.add(Fault("POST", "/v1/invoices/*", kind="forbidden"))
        words = "it refused"
    if case == "silent":
        unheard = Fault("*", "/v1/customers*", kind="error", status=500, should_retry=False)
        books.sandbox.faults.add(unheard)
        words = "it refused"
    month = "2027-05" if case == "period" else None
    found = books.statement(month=month)
    assert all(row.stripe is None and not row.reason for row in found.rows)
    assert any(words in note for note in found.notes), found.notes
    told = json.loads(statement_json(found))
    assert (told["stripe"], {each["stripe"] for each in told["totals"].values()}) == (None, {None})
    assert "Stripe  " not in statement_text(found, 80)


def test_another_month_is_its_own_usage(books: Books) -> None:
    """The billing month that begins in a month of the calendar, and nothing of another one."""
    books.subscribe("acme", *PRO)
    books.clock.now += DAY
    books.runtime.consume("acme", meter="calls", units={"calls": 120})
    books.clock.now += 31 * DAY
    books.runtime.consume("acme", meter="calls", units={"calls": 101})
    amounts = [books.statement(month=month).invoice.total for month in ("2027-01", "2027-02", "2027-03")]
    assert amounts == [4999 + 500, 4999 + 25, 4999]
    assert books.statement().invoice.total == 4999 + 25


def test_a_tenant_without_a_plan_has_no_invoice(books: Books) -> None:
    """Whoever is not in the files, and has no default plan, is told so; one that subscribed has its plan's."""
    with pytest.raises(UsageError) as caught:
        books.statement("stranger")
    assert caught.value.code == "E1412"
    books.subscribe("stranger", "plans.pro.prices.annual")
    found = books.statement("stranger")
    assert found.plan == "pro"
    assert rows(found) == {
        "plans.pro.usage.calls": (0, None, "not on the subscription at Stripe"),
        "plans.pro.prices.annual": (None, 49990, "by the files not due with this period"),
    }
    assert any("another one" in note for note in found.notes)


def test_a_subscription_that_is_over_is_not_billed(books: Books) -> None:
    """Once it was canceled there is no invoice of its plan, only of a default plan where there is one."""
    books.subscribe("acme", *PRO)
    books.runtime.set_subscription("acme", plan="pro", status="canceled")
    with pytest.raises(UsageError, match="has ended"):
        books.statement()
    with_default = catalog_of({**FILES, "settings": {"namespace": "acme", "currency": "usd", "default_plan": "payg"}})
    found = statement_in(with_default, books.runtime.ledger.store, "acme")
    assert (found.plan, [row.address for row in found.rows]) == ("payg", ["plans.payg.spend"])


def test_a_plan_that_was_renamed_is_found(books: Books) -> None:
    """The ledger keeps the id a plan had; the files say what became of it."""
    books.subscribe("stranger", *PRO)
    files = json.loads(json.dumps(FILES).replace('"pro"', '"gold"').replace("plans.pro", "plans.gold"))
    renamed = catalog_of({**files, "moved": [{"from": "plans.pro", "to": "plans.gold"}]})
    found = statement_in(renamed, books.runtime.ledger.store, "stranger")
    assert found.rows[0].address == "plans.gold.prices.monthly"


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Pacific/Apia", "UTC"])
def test_a_month_of_any_zone_is_billed_whole(zone: str) -> None:
    """Where the clocks change a month is no month of UTC; price and usage are billed all the same."""
    settings = {"namespace": "acme", "currency": "usd", "timezone": zone}
    catalog = catalog_of({**FILES, "settings": settings})
    policy = compile_catalog(catalog)
    for month in range(1, 13):
        now = int(datetime(2027, month, 15, tzinfo=UTC).timestamp()) * 10**6
        with Entitlements(policy, open_ledger("sqlite://", "direct", lambda now=now: now)) as runtime:
            runtime.consume("acme", meter="calls", units={"calls": 104})
            found = statement_in(catalog, runtime.ledger.store, "acme")
            assert found.invoice.total == 4999 + 100, month
            assert all(line.period == found.period for line in found.invoice.lines)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_amounts_stand_below_each_other(books: Books, width: int) -> None:
    """At any width amounts are flush right in two columns, and no line is longer than the terminal."""
    books.subscribe("acme", *PRO)
    books.clock.now += DAY
    books.runtime.consume("acme", meter="calls", units={"calls": 140})
    books.flush()
    books.clock.now += DAY
    books.runtime.consume("acme", meter="calls", units={"calls": 4_000_000})
    found = books.statement(simulated=True)
    long = StatementRow("plans.pro.prices." + "x" * 30, (), 1, 123_456_789, "for a reason that takes some words")
    lines = statement_text(found._replace(rows=(*found.rows, long)), width).splitlines()
    assert all(len(line) <= width for line in lines)
    columns = [line for line in lines if re.search(r" {2}(Stripe|49\.99|10\.00|1,234,567\.89|59\.99)$", line)]
    assert len(columns) == 6
    assert len({len(line) for line in columns}) == 1
    assert "beside the sandbox" in " ".join(lines).replace("  ", " ")


def test_an_invoice_on_the_command_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key it says that Stripe was not asked, with 0; a live key without its environment is refused."""
    write(SIMPLE + "tenants: {acme: {name: Acme, plan: pro}}\n")
    done = shell("invoice", "acme")
    assert done.code == 0
    assert "Pro, monthly: 1 at 49.99 usd  49.99" in done.out
    assert "there is no Stripe key" in done.out
    assert json.loads(shell("invoice", "acme", "--format=json").out)["totals"]["total"]["files"] == "49.99"
    assert shell("invoice", "acme", "--period", "soon").code == 64
    assert shell.stored("invoice", "acme").code == 0
    monkeypatch.setenv("STRIPE_API_KEY", "sk_live_" + "x" * 20)
    assert shell("invoice", "acme").code == 5
