"""Credits and payments: what is bought and what it brings, and how selling behaves when Stripe is slow."""

import itertools
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.entitlements import Reason
from reconciler.provider.payments import Choice, Hurry, PageError, StatusTimeoutError, UnavailableError, waiting
from reconciler.provider.payments.errors import PaymentError
from tests.cli.support import SIMPLE, Shell, write
from tests.entitlements.audit import audit
from tests.entitlements.worlds import HandClock
from tests.provider.payments_world import OK, Market
from tests.sandbox.person import Person

from .support import decided

MICRO = 1_000_000
CREDITS = {"name": "Credits", "credits": {"default": "2", "tools": {"cheap": "0.5"}}}
ACME = {"acme": {"name": "Acme", "plan": "pro"}}
FLAT = Choice(plan="flat")


def test_row_0_8_payment_links_of_tenants(market: Market) -> None:
    """A tenant gets a link to a plan by its interval, with the tenant in the metadata, and the same one again."""
    links = [market.desk.link("acme", Choice(plan="flat", interval=each)) for each in ("month", "year", "month")]
    assert links[0].url == links[2].url != links[1].url
    for each in links:
        made = market.dashboard.v1.payment_links.retrieve(each.id)
        assert (made.metadata["tenant"], made.metadata["sells"]) == ("acme", "plans.flat")


def test_row_1_4_balances_and_transactions(shell: Shell) -> None:
    """A balance is what was granted less what was used, at once, and the ledger's entries prove it."""
    write(SIMPLE + "  p: {name: P, credits: {default: 2}}\ntenants: {acme: {name: A, plan: p}}\n")
    shell("grant", "acme", "10", "--key", "g")
    shell("consume", "acme", "any")
    assert json.loads(shell("balance", "acme", "--format", "json").out)["credits"] == 8 * MICRO
    assert shell("ledger", "verify").code == 0


def test_row_1_7_checkout_sells_by_the_files_key(market: Market) -> None:
    """A session is opened for a tenant and a plan of the files; the price is the one that was applied."""
    session = market.buy("self", plan="flat", price="monthly")
    assert (market.sold(session), session.amount_total) == ([("plans.flat.prices.monthly", 1)], 999)
    assert (session.success_url, session.client_reference_id) == (OK, "self")


def test_row_1_8_the_customer_portal(market: Market) -> None:
    """A tenant's customer gets a page of the portal that the files configure; without a customer there is none."""
    with pytest.raises(PaymentError, match="no customer"):
        market.desk.portal("nobody")
    page = market.desk.portal("acme")
    (made,) = market.dashboard.v1.billing_portal.configurations.list({"active": True}).data
    assert made.business_profile.headline == "Acme"
    assert page.url.startswith("http")


def test_row_1_33_pages_are_stripes_own(market: Market) -> None:
    """Plans and packs are bought, and cards and subscriptions looked after, on pages that Stripe hosts."""
    bought = [market.desk.checkout("self", choice, success_url=OK) for choice in (FLAT, Choice(pack="starter"))]
    pages = [*bought, market.desk.link("self", FLAT), market.desk.portal("acme")]
    assert [page.kind for page in pages] == ["checkout.session"] * 2 + ["payment_link", "billing_portal.session"]
    assert all(str(page.url).startswith(market.sandbox.base_url) for page in pages)


def test_row_2_21_a_tenant_pays_in_its_currency(market: Market) -> None:
    """Whoever pays in euro is sold the euro price of the files, anybody else the one in the files' own currency."""
    session, other = (market.buy(tenant, pack="starter") for tenant in ("paris", "self"))
    assert (session.currency, session.amount_total) == ("eur", 900)
    assert (other.currency, other.amount_total) == ("usd", 999)


def test_row_1_17_credit_packs() -> None:
    """A pack brings its credits and its bonus until it expires; the lot that ends first is spent first, by tool."""
    pack = {"name": "Small", "credits": "10", "bonus": "1", "price": "9.99", "expires_after": "10 days"}
    recharge = {**CREDITS["credits"], "auto_recharge": {"below": "12", "pack": "small"}}
    clock = HandClock()
    plans = {"pro": {**CREDITS, "credits": recharge}}
    with decided(clock=clock, plans=plans, credit_packs={"small": pack}, tenants=ACME) as ent:
        ent.grant("acme", 5, key="forever")
        ent.grant("acme", pack="small", key="bought")
        assert [ent.consume("acme", tool).price for tool in ("any", "cheap")] == [2, Decimal("0.5")]
        assert {lot.id: lot.remaining for lot in ent.balance("acme").lots}["forever"] == 5 * MICRO
        assert ent.consume("acme", "any").recharge == "small"
        clock.set("2027-01-11T00:00:00")
        assert ent.balance("acme").credits == 5 * MICRO


@pytest.mark.parametrize(
    ("card", "problem"),
    [
        ("4242424242424242", None),
        ("4000000000000002", "declined"),
        ("4000000000000069", "expired"),
        ("4000000000003220", "auth"),
    ],
)
def test_row_1_19_test_cards(market: Market, card: str, problem: str | None) -> None:
    """The cards of Stripe's tests pay, are declined, have expired or ask for authentication, on the page itself."""
    person = Person(market.sandbox)
    session = market.buy(plan="flat", price="monthly")
    person.visit(session.url)
    person.pay(number=card)
    assert (market.session(session.id).payment_status == "paid") == (problem is None)
    if problem is not None:
        assert problem in f"{person.text} {person.problems}".lower()


def test_row_1_19_blocked_bought_and_deducted() -> None:
    """A call is refused, credits are bought, and then it is allowed and deducted exactly."""
    with decided(plans={"pro": CREDITS}, tenants=ACME) as ent:
        assert ent.consume("acme", "any", key="call").reason is Reason.INSUFFICIENT_CREDITS
        ent.grant("acme", 10, key="paid")
        assert ent.consume("acme", "any", key="call").remaining == 8 * MICRO


def test_row_4_4_a_link_in_four_requests_and_15_seconds(market: Market) -> None:
    """Tries come 1, 2 and 4 seconds apart and no fifth follows; a call that hangs is cut after 15 seconds."""
    market.desk.health()
    market.fault(method="POST", kind="error", status=500)
    with pytest.raises(PageError):
        market.desk.checkout("acme", FLAT, success_url=OK)
    assert market.time.slept == [1, 2, 4]
    assert (Hurry().tries, Hurry().budget) == (4, 15)
    market.desk.health()
    market.time.hangs = lambda: True
    began = market.time.now
    with pytest.raises(UnavailableError):
        market.desk.checkout("acme", FLAT, success_url=OK)
    assert market.time.now - began == 15


def test_row_4_5_no_fallback_to_simulation(market: Market, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage is an error; the sandbox is used where it is asked for alone, and its pages say so."""
    market.fault(method="GET", kind="error", status=503)
    with pytest.raises(UnavailableError):
        market.desk.checkout("acme", FLAT, success_url=OK)
    shell.apply(SIMPLE)
    told = json.loads(shell.stored("link", "acme", "--plan", "pro", "--format", "json").out)
    assert (told["simulated"], told["livemode"]) == (True, False)
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_" + "x" * 20)
    assert shell("link", "acme", "--plan", "pro", "--api-base", "http://127.0.0.1:9").code == 1


def test_row_4_6_waiting_for_a_payment(market: Market) -> None:
    """A watch looks every 2 seconds, 15 times and 30 seconds at most, changes nothing, and sees what was paid."""
    session = market.desk.checkout("acme", FLAT, success_url=OK)
    began, held = market.time.now, market.sandbox.state.dump()["tables"]["object"]
    outcome = market.watcher().watch(session.id)
    assert (outcome.state, outcome.looks, market.time.now - began) == ("timeout", 15, 30)
    assert market.sandbox.state.dump()["tables"]["object"] == held
    person = Person(market.sandbox)
    person.visit(session.url)
    person.pay()
    assert market.watcher().watch(session.id).paid


def test_row_4_7_errors_are_told_apart(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not begun, what was refused and what was not paid in time are exceptions of their own."""
    monkeypatch.setattr(waiting, "DEADLINE", 0.05)
    session = market.desk.checkout("acme", FLAT, success_url=OK)
    with pytest.raises(StatusTimeoutError):
        waiting.wait_for_payment(market.connection(), session.id)
    market.fault(method="POST", kind="error", status=400, code="parameter_invalid", error_type="invalid_request_error")
    with pytest.raises(PageError) as caught:
        market.desk.checkout("acme", FLAT, success_url=OK)
    assert not isinstance(caught.value, UnavailableError | StatusTimeoutError)


def test_row_4_10_credits_are_exact() -> None:
    """Grants add up, each allowed call takes its price to the last millionth, a refused one takes nothing."""
    tenants = (f"t{number}" for number in itertools.count())
    settings_of = {"namespace": "acme", "currency": "usd", "default_meter": "calls", "default_plan": "pro"}
    with decided(plans={"pro": CREDITS}, settings=settings_of) as ent:

        @given(st.lists(st.integers(1, 3), max_size=3), st.lists(st.sampled_from(["any", "cheap"]), max_size=8))
        @settings(max_examples=100)
        def exact(grants: list[int], calls: list[str]) -> None:
            tenant, left = next(tenants), sum(grants) * MICRO
            for number, amount in enumerate(grants):
                ent.grant(tenant, amount, key=f"g{number}")
            for tool in calls:
                cost = 2 * MICRO if tool == "any" else MICRO // 2
                assert ent.consume(tenant, tool).allowed == (left >= cost)
                left -= cost if left >= cost else 0
            assert ent.balance(tenant).credits == left

        exact()
        assert audit(ent, "t9").credits == ent.balance("t9").credits
