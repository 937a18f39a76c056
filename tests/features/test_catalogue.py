"""Catalogue and reconciliation: what the files can say, and that Stripe becomes equal to it."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from reconciler.config.catalog import load_catalog
from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.pricing.rating import cost
from reconciler.pricing.tariff import of_plan
from reconciler.provider.limiter import TEST, Limiter
from reconciler.provider.retry import Backoff, Failure
from reconciler.sandbox import Fault, Request, Response
from tests.cli.support import ROOT, SIMPLE, Shell, dashboard, write
from tests.entitlements.worlds import HandClock, runtime
from tests.loop.world import catalog_of

from .support import METERS, PRO, applied, decided, keys, price, steps

TIERS = {"own": {"steps": [{"up_to": 5000, "unit_amount": "0.005"}, {"up_to": "inf", "unit_amount": "0.008"}]}}
ACME = {"name": "Acme", "email": "billing@acme.example"}


def test_row_0_4_overage_tiers_per_tenant() -> None:
    """A tenant's own overage tiers become a graduated price behind its included units, without an id in the files."""
    usage = {"vex": {"included": 10000, "overage": {"tiers": "own"}}}
    world = applied(tiers=TIERS, tenants={"freight": {"name": "Freight", "usage": usage}})
    found = price(world, "acme.tenants.freight.usage.vex")
    assert steps(found) == [(10000, "0"), (15000, "0.5"), (None, "0.8")]


def test_row_0_7_automatic_product_and_price_setup(shell: Shell) -> None:
    """One apply makes product and price; a second one makes no write."""
    shell.apply(SIMPLE)
    with dashboard() as account:
        (product,) = account.client().v1.products.list({"active": True}).data
        (found,) = account.client().v1.prices.list({"active": True}).data
        assert (product.name, found.unit_amount, found.product) == ("Pro", 4999, product.id)
    assert shell.stored("plan", "--detailed-exitcode").code == 0
    world = applied(plans={"pro": PRO})
    world.sandbox.requests.clear()
    world.apply({"meters": METERS, "plans": {"pro": PRO}})
    assert world.writes() == []


def test_row_0_10_stripe_items_are_synced_with_the_files(shell: Shell) -> None:
    """An edit at Stripe is found by plan and drift with its own exit code, and healed; the files stay as they are."""
    shell.apply(SIMPLE)
    assert shell.stored("drift", "--detailed-exitcode").code == 0
    with dashboard() as account:
        (product,) = account.client().v1.products.list({"active": True}).data
        account.client().v1.products.update(product.id, {"name": "Edited"})
    assert shell.stored("drift", "--detailed-exitcode").code == 2
    assert '"Edited" → "Pro"' in shell.stored("plan").out
    shell.apply(SIMPLE)
    assert shell.stored("plan", "--detailed-exitcode").code == 0
    assert Path("billing.d/all.yaml").read_text() == SIMPLE


def test_row_0_11_kinds_of_stripe_objects() -> None:
    """Products, prices, coupons, customers, payment links and subscriptions come from the files."""
    world = applied(
        plans={"pro": PRO},
        coupons={"tenth": {"percent_off": 10, "duration": "once"}},
        payment_links={"pro": {"items": [{"plan": "pro"}]}},
        tenants={"acme": {**ACME, "plan": "pro", "subscription": {"collection": "send_invoice", "days_until_due": 30}}},
    )
    v1 = world.dashboard.v1
    names = [v1.products, v1.prices, v1.coupons, v1.customers, v1.payment_links, v1.subscriptions]
    assert [len(kind.list({"limit": 100}).data) for kind in names[2:]] == [1, 1, 1, 1]
    assert [each.name for each in v1.products.list({"active": True})] == ["Pro"]
    assert keys(world) == {"acme.plans.pro.prices.monthly"}


def test_row_0_12_vex_and_fu_by_name() -> None:
    """The meters vex and fu stand in the catalogue and become Stripe's meters."""
    world = applied(plans={"pro": PRO})
    found = {meter.display_name for meter in world.dashboard.v1.billing.meters.list()}
    assert {"Verified exchanges", "Fallback units"} <= found
    assert {"vex", "fu"} <= load_catalog(ROOT / "billing.d").file.meters.keys()


def test_row_0_14_setup_tells_the_ids_it_made(shell: Shell) -> None:
    """An apply tells every object it made with address and id, a line of JSON each."""
    write(SIMPLE)
    done = shell.stored("apply", "--auto-approve", "--format", "jsonl")
    events = [json.loads(line) for line in done.out.splitlines()]
    ids = {event["address"]: event["id"] for event in events if event["type"] == "apply_complete"}
    with dashboard() as account:
        v1 = account.client().v1
        (product,), (found,) = v1.products.list({"active": True}).data, v1.prices.list().data
    assert ids == {"plans.pro": product.id, "plans.pro.prices.monthly": found.id}


@pytest.mark.parametrize("template", ["per-call", "subscription", "credits", "freemium", "usage-based", "reserved"])
def test_row_1_5_running_in_minutes(shell: Shell, template: str) -> None:
    """Every template of init is valid as written, and a service can decide by it."""
    assert shell("init", "--template", template).code == 0
    assert shell("validate").code == 0
    assert compile_catalog(load_catalog(Path("billing.d"))).plans


def test_row_1_6_default_price_and_prices_of_tools() -> None:
    """A tool costs its own price, any other the default, and one metered price bills both."""
    plan = {"name": "Payg", "per_call": {"default": "1.00", "tools": {"cheap": "0.05"}}}
    world = applied(plans={"payg": plan})
    assert keys(world) == {"acme.plans.payg.spend"}
    with decided(plans={"payg": plan}, tenants={"acme": {"name": "Acme", "plan": "payg"}}) as ent:
        assert [ent.consume("acme", tool).price for tool in ("cheap", "other")] == [Decimal("0.05"), 1]


def test_row_1_9_a_payment_link_with_a_quantity() -> None:
    """A payment link sells a price by its address in the files, so many times."""
    packs = {"small": {"name": "Small", "credits": "100", "price": "9.99"}}
    world = applied(credit_packs=packs, payment_links={"three": {"items": [{"pack": "small", "quantity": 3}]}})
    (link,) = world.dashboard.v1.payment_links.list({"expand": ["data.line_items"]}).data
    (line,) = link.line_items.data
    assert (line.quantity, line.amount_total, line.price.lookup_key) == (3, 2997, "acme.credit_packs.small.price")


def test_row_1_14_discounts_by_percentage_on_monthly_usage() -> None:
    """Calls beyond a bound cost a percentage less, each call its own price, counted by tool or for all tools."""
    plans = "plans: {p: {name: P, per_call: {default: 1, discounts: {scope: SCOPE, steps: [{up_to: 2}, "
    plans += "{up_to: 3, percent_off: 10}, {up_to: inf, percent_off: 20}]}}}}\ntenants: {acme: {name: A, plan: p}}\n"
    expected = {"tool": ["1", "1", "0.9", "0.8", "1"], "tenant": ["1", "1", "0.9", "0.8", "0.8"]}
    for scope, costs in expected.items():
        with runtime(plans.replace("SCOPE", scope)) as ent:
            found = [ent.consume("acme", tool).price for tool in ("a", "a", "a", "a", "b")]
            assert found == [Decimal(each) for each in costs]


def test_row_1_15_subscription_plans() -> None:
    """A plan has its price, interval, included calls, overage price, trial and features, at Stripe and in decisions."""
    plan = {**PRO, "trial_days": 14, "usage": {"calls": {"included": 2, "overage": {"unit_amount": "0.25"}}}}
    sections = {"plans": {"pro": {**plan, "features": ["reports"]}}, "features": {"reports": {"name": "Reports"}}}
    world = applied(**sections, tenants={"acme": {**ACME, "plan": "pro", "subscription": {}}})
    assert steps(price(world, "acme.plans.pro.usage.calls")) == [(2, "0"), (None, "25")]
    (bought,) = world.dashboard.v1.subscriptions.list().data
    assert (bought.status, bought.trial_end - bought.trial_start) == ("trialing", 14 * 86400)
    with decided(**sections, tenants={"acme": {"name": "Acme", "plan": "pro"}}) as ent:
        assert [ent.consume("acme", "any").price for _ in range(3)] == [0, 0, Decimal("0.25")]
        assert ent.feature("acme", "reports")


def test_row_1_20_environments(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An overlay changes one environment alone; a live key without a live environment is refused before anything."""
    write(SIMPLE + "environments: {staging: {mode: test}}\n")
    write("plans: {pro: {prices: {monthly: {amount: 1.00}}}}\n", "env/staging/all.yaml")
    assert "49.99 usd" in shell("plan", "--sandbox").out
    assert "1.00 usd" in shell("plan", "--sandbox", "--env", "staging").out
    monkeypatch.setenv("STRIPE_API_KEY", "sk_live_" + "x" * 20)
    assert shell("plan").code == 5


@pytest.mark.parametrize(
    ("currency", "amount", "minor"), [("usd", "19.99", 1999), ("jpy", "1999", 1999), ("kwd", "1.99", 1990)]
)
def test_row_1_22_currencies_and_their_minor_units(currency: str, amount: str, minor: int) -> None:
    """A price in any currency reaches Stripe in that currency's own minor units."""
    plan = {**PRO, "currency": currency, "prices": {"monthly": {"amount": amount, "interval": "month"}}}
    found = price(applied(plans={"pro": plan}), "acme.plans.pro.prices.monthly")
    assert (found.currency, found.unit_amount) == (currency, minor)


def test_row_1_32_use_cases() -> None:
    """By the word, by begun thousands of rows, an API gateway and freemium: the example catalogue decides all four."""
    example = compile_catalog(load_catalog(ROOT / "billing.d"))
    with Entitlements.open(example, "sqlite://", mode="direct", clock=HandClock()) as ent:
        for tenant, plan in {
            "w": "writer-payg",
            "d": "data-credits",
            "g": "gateway-developer",
            "f": "assistant-free",
        }.items():
            ent.set_subscription(tenant, status="active", plan=plan)
        ent.grant("d", 100, key="g")
        assert ent.consume("d", "process-csv", quantity=1001).price == 20
        words = [ent.check("w", "write-text", quantity=number).price for number in (1, 300)]
        assert words[1] == 300 * words[0] > 0
        assert ent.consume("g", "any")
        assert [bool(ent.consume("f", "any")) for _ in range(6)] == [True] * 5 + [False]


def test_row_2_1_five_models_with_tiers_and_a_minimum() -> None:
    """Per call, subscription, credits, freemium and usage with tiers without end are sold; a minimum is charged."""
    found = load_catalog(ROOT / "billing.d").file
    plans = found.plans.values()
    kinds = [any(p.per_call for p in plans), any(p.credits for p in plans), any(p.trial_days for p in plans)]
    assert [*kinds, any(p.minimum for p in plans), any(p.limits for p in plans)] == [True] * 5
    usage = {"calls": {"overage": {"tiers": "own"}}}
    sections = {"tiers": TIERS, "plans": {"p": {"name": "P", "usage": usage, "minimum": {"per_month": "5"}}}}
    tariff = of_plan(catalog_of({"meters": METERS, **sections}).file, "p")
    assert (tariff.spend is not None and tariff.spend.minimum) == 500
    (line,) = tariff.usage.values()
    assert cost(line.rate, 6000) == 5000 * Decimal("0.5") + 1000 * Decimal("0.8")


def test_row_2_2_bulk_prices_and_a_least_charge() -> None:
    """From a bound on a call has another price, and no call costs less than the least charge but a free one."""
    text = "plans: {p: {name: P, per_call: {default: 0.50, tools: {tiny: 0.01, free: 0}, minimum: 0.10, discounts: "
    text += "{scope: tool, steps: [{up_to: 1}, {up_to: inf, unit_amount: 0.20}]}}}}\n"
    with runtime(text + "tenants: {acme: {name: A, plan: p}}\n") as ent:
        found = [str(ent.consume("acme", tool).price.normalize()) for tool in ("a", "a", "tiny", "free")]
        assert found == ["0.5", "0.2", "0.1", "0"]


def test_row_2_3_trials() -> None:
    """A tenant in its trial may call; the trial is on the subscription that the files make."""
    tenant = {**ACME, "plan": "pro", "subscription": {"trial_days": 30}}
    world = applied(plans={"pro": PRO}, tenants={"acme": tenant})
    (bought,) = world.dashboard.v1.subscriptions.list().data
    assert bought.status == "trialing"
    with runtime("plans: {pro: {name: Pro, credits: {default: 0}}}\n") as ent:
        ent.set_subscription("acme", status="trialing", plan="pro")
        assert ent.consume("acme", "any")


def test_row_2_18_a_validator_with_warnings(shell: Shell) -> None:
    """Files that work but look wrong are warned of, and wrong ones end with 3; doctor tells a key of another mode."""
    write(SIMPLE + "coupons: {c: {percent_off: 10, duration: once}}\nfeatures: {reports: {name: Reports}}\n")
    done = shell("validate")
    assert (done.code, "warning[" in done.err + done.out) == (0, True)
    write(SIMPLE.replace("49.99", "forty"))
    done = shell("validate")
    assert (done.code, "error[" in done.err + done.out) == (3, True)


def test_row_3_7_order_and_limits_of_requests() -> None:
    """Requests wait for their turn below Stripe's limits, and a 429 is waited out with what Stripe asks for."""
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    limiter = Limiter(TEST, clock=lambda: now[0], sleep=sleep)
    for _ in range(41):
        limiter.wait("post v1/products")
    assert 1.5 < now[0] < 2.1
    waits: list[float] = []
    assert Backoff(sleep=waits.append, random=lambda: 0).waits().again(Failure(429, "rate_limit", "", retry_after=7.0))
    assert waits == [7.0]


def test_row_4_2_idempotency_keys() -> None:
    """A write whose answer was lost is sent again under its key and happens once; every other write has its own key."""
    world, sent = applied(), list[str]()
    dispatch = world.sandbox.dispatch

    def listened(request: Request) -> Response:
        sent.extend(value for header, value in request.headers.items() if header.lower() == "idempotency-key")
        return dispatch(request)

    world.sandbox.dispatch = listened  # type: ignore[method-assign]
    world.sandbox.requests.clear()
    world.sandbox.faults.add(Fault(method="POST", path="/v1/prices", kind="drop_after", nth=1))
    world.apply({"meters": METERS, "plans": {"pro": PRO}})
    assert len(sent) == len(set(sent)) + 1 == len(world.writes())
    assert len(world.prices()) == 1
