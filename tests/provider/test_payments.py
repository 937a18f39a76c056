"""Selling: what is on a page, who buys it, and what the files do not sell."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from reconciler.diagnostics import ReconcilerError
from reconciler.provider.payments import Choice, NotForSaleError, PageError
from reconciler.provider.payments.offer import offer_of
from tests.loop.world import catalog_of
from tests.sandbox.person import Person

from .payments_world import FILES, OK, Market, catalog


@pytest.fixture
def market() -> Iterator[Market]:
    """Open an account that sells."""
    world = Market()
    yield world
    world.sandbox.close()


def test_a_plan_is_sold_with_what_its_usage_is_charged_by(market: Market) -> None:
    """A flat price has a quantity, a metered one none; the trial is the plan's; every mark names tenant and plan."""
    session = market.buy("acme", plan="pro")
    assert market.sold(session) == [("plans.pro.prices.monthly", 1), ("plans.pro.usage.calls", None)]
    assert (session.mode, session.currency, session.amount_total) == ("subscription", "usd", 0)
    told = {"tenant": "acme", "sells": "plans.pro", "price": "monthly", "quantity": "1", "namespace": "acme"}
    assert dict(session.metadata.to_dict()) == told | {"made_by": "reconciler"}
    assert (session.client_reference_id, session.customer) == ("acme", market.applied("acme"))


def test_a_pack_is_sold_once(market: Market) -> None:
    """A pack is a payment of its price times the quantity."""
    session = market.buy(pack="starter", quantity=3)
    assert (session.mode, session.amount_total) == ("payment", 2997)
    assert market.sold(session) == [("credit_packs.starter.price", 3)]


def test_a_tenants_own_usage_is_sold_to_it(market: Market) -> None:
    """Own usage stands in place of the plan's, with its reservation; others get the plan's."""
    own = [
        ("plans.pro.prices.monthly", 1),
        ("tenants.big.usage.calls.reserved_price", 1),
        ("tenants.big.usage.calls", None),
    ]
    assert market.sold(market.buy("big", plan="pro")) == own
    assert market.sold(market.buy("stranger", plan="pro")) == [own[0], ("plans.pro.usage.calls", None)]


def test_the_terms_of_a_subscription_are_sold(market: Market) -> None:
    """Quantity, trial, coupon and taxes are what the files say of the tenant's subscription; others have the plan's."""
    offer = offer_of(market.catalog, "signed", Choice(plan="flat"))
    assert (offer.lines[0].quantity, offer.trial_days) == (3, 30)
    assert (offer.coupon, offer.tax_rates) == ("coupons.tenth", ("tax_rates.vat",))
    other = offer_of(market.catalog, "stranger", Choice(plan="flat"))
    assert (other.lines[0].quantity, other.trial_days, other.coupon, other.tax_rates) == (1, 0, None, ())


def test_whose_subscription_was_cancelled_can_buy_another(market: Market) -> None:
    """What the files declare is made by an apply, and sold only to who has cancelled it, with the same terms."""
    with pytest.raises(NotForSaleError, match="has a subscription already"):
        market.buy("signed", plan="flat")
    (made,) = market.dashboard.v1.subscriptions.list().data
    market.dashboard.v1.subscriptions.cancel(made.id)
    session = market.buy("signed", plan="flat")
    assert session.discounts[0].coupon == "acme_coupon_tenth"
    person = Person(market.sandbox)
    person.visit(session.url)
    person.pay(email="s@signed.example")
    (bought,) = market.dashboard.v1.subscriptions.list().data
    assert [rate.display_name for rate in bought.default_tax_rates or []] == ["VAT"]
    assert (bought.metadata["tenant"], bought.customer) == ("signed", market.applied("signed"))


def test_what_an_apply_makes_is_not_sold(market: Market) -> None:
    """A subscription that the files declare and nobody applied yet would be there twice; without terms it is sold."""
    tenants = {"late": FILES["tenants"]["signed"], "new": {"name": "New", "email": "n@new.example", "plan": "free"}}
    desk = market.open(catalog_of({**FILES, "tenants": {**FILES["tenants"], **tenants}}))
    with pytest.raises(NotForSaleError, match="apply makes"):
        desk.checkout("late", Choice(plan="flat"), success_url=OK)
    page = desk.checkout("new", Choice(plan="flat"), success_url=OK)
    assert market.session(page.id).customer_email == "n@new.example"


def test_what_is_only_paid_by_use_is_sold_without_a_number(market: Market) -> None:
    """A plan of metered prices alone is a subscription; a number of it means nothing."""
    session = market.buy("acme", plan="used")
    assert market.sold(session) == [("plans.used.spend", None)]
    assert session.mode == "subscription"
    with pytest.raises(NotForSaleError, match="paid by use"):
        market.buy(plan="used", quantity=2)


def test_a_price_that_is_paid_once_is_a_payment(market: Market) -> None:
    """A plan's price with interval once is sold alone, without a trial."""
    session = market.buy(plan="flat", price="life")
    assert (session.mode, session.amount_total) == ("payment", 50000)


def test_currencies_are_the_prices_own(market: Market) -> None:
    """A currency without decimals is sold in whole units: 5000 yen are 5000."""
    session = market.buy("anybody", plan="yen")
    assert (session.currency, session.amount_total) == ("jpy", 5000)


def test_a_tenant_pays_in_the_currency_the_files_say(market: Market) -> None:
    """A tenant with a currency is shown no other, where the price has it; whoever has none may be shown any."""
    session = market.buy("paris", pack="starter")
    assert (session.currency, session.amount_total) == ("eur", 900)
    assert market.buy(pack="starter").currency == "usd"
    assert market.buy("paris", plan="flat", price="life").currency == "usd"
    page = market.desk.link("paris", Choice(pack="starter"))
    assert (page.declared, market.dashboard.v1.payment_links.retrieve(page.id).currency) == (None, "eur")


@pytest.mark.parametrize("quantity", [0, -1, 10**6 + 1])
def test_a_number_nobody_sells_is_refused(quantity: int) -> None:
    """Nothing, less than nothing, and more than a million."""
    with pytest.raises(NotForSaleError, match="no number of seats"):
        offer_of(catalog(), "acme", Choice(pack="starter", quantity=quantity))
    assert offer_of(catalog(), "acme", Choice(pack="starter", quantity=10**6)).lines[0].quantity == 10**6


@pytest.mark.parametrize(
    ("choice", "price"),
    [
        ({"interval": "month"}, "monthly"),
        ({"interval": "year"}, "annual"),
        ({"price": "annual"}, "annual"),
        ({"price": "annual", "interval": "year"}, "annual"),
        ({}, "monthly"),
    ],
    ids=str,
)
def test_a_price_is_named_or_follows_from_the_interval(choice: dict[str, Any], price: str) -> None:
    """By name, by interval, by both where they agree; without either it is the first that recurs."""
    assert offer_of(catalog(), "acme", Choice(plan="flat", **choice)).price == price


NOT_SOLD: list[tuple[dict[str, Any], str]] = [
    ({"plan": "old"}, "no longer sold"),
    ({"plan": "new"}, "draft"),
    ({"pack": "gone"}, "no longer sold"),
    ({"plan": "free"}, "costs nothing"),
    ({"plan": "pro", "price": "annual"}, "no page of Stripe sells both"),
    ({"plan": "nope"}, "no plan 'nope'"),
    ({"pack": "nope"}, "no pack 'nope'"),
    ({"plan": "pro", "price": "price_123"}, "no price 'price_123'"),
    ({"plan": "flat", "interval": "week"}, "no price for one week"),
    ({"plan": "flat", "price": "monthly", "interval": "year"}, "not paid every year"),
    ({"plan": "pro", "pack": "starter"}, "either"),
    ({}, "either"),
    ({"pack": "starter", "price": "monthly"}, "one price"),
]


@pytest.mark.parametrize(("choice", "words"), NOT_SOLD, ids=str)
def test_what_the_files_do_not_sell_is_refused_with_a_remedy(choice: dict[str, Any], words: str) -> None:
    """Drafts, what is no longer sold, what is free, two intervals at once, and what is not there; nothing is asked."""
    with pytest.raises(NotForSaleError, match=words) as caught:
        offer_of(catalog(), "acme", Choice(**choice))
    assert caught.value.remedy
    assert caught.value.exit_code == 64


@pytest.mark.parametrize("tenant", ["", "a\nb", "x" * 256])
def test_a_name_no_tenant_can_have_is_refused(tenant: str) -> None:
    """Names are what the ledger takes: printable, at most 255 characters, and not nothing."""
    with pytest.raises(NotForSaleError, match="tenant's name"):
        offer_of(catalog(), tenant, Choice(plan="pro"))


@pytest.mark.parametrize("tenant", ["x@y", "o'brien", 'say "x"', "back\\slash", "ünï çødé", "a AND b", "y" * 255])
def test_any_other_name_can_buy(market: Market, tenant: str) -> None:
    """Whatever stands in a name, the page says it, the right customer is found, and a like one is not."""
    session = market.buy(tenant, plan="flat")
    assert session.metadata["tenant"] == tenant
    assert session.client_reference_id == (tenant if len(tenant) <= 200 else None)
    assert session.customer is None
    market.customer(f"{tenant}2")
    mine = market.customer(tenant)
    assert market.buy(tenant, plan="flat").customer == mine


def test_the_customer_is_the_marked_one(market: Market) -> None:
    """The owner mark decides; one e-mail, another namespace, another tenant decide nothing."""
    market.customer("other", email="self@self.example")
    market.customer(namespace="elsewhere")
    market.dashboard.v1.customers.create({"email": "self@self.example"})
    assert market.buy(plan="flat").customer is None
    mine = market.customer()
    session = market.buy(plan="flat")
    assert (session.customer, session.customer_email) == (mine, None)


def test_a_customer_is_found_though_search_lags(market: Market) -> None:
    """Search does not know what was written a minute ago; the customers of the last hour are listed."""
    market.fault(method="*", kind="search_lag", seconds=60)
    mine = market.customer()
    assert market.buy(plan="flat").customer == mine


def test_a_customer_is_found_where_stripe_does_not_search(market: Market) -> None:
    """Where search is refused, as in India, the whole list is read."""
    mine = market.customer()
    market.clock.now += 2 * 3600
    market.fault(
        method="GET", path="/v1/customers/search", kind="error", status=400, error_type="invalid_request_error"
    )
    assert market.buy(plan="flat").customer == mine


def test_a_doubled_customer_is_said_to_be(market: Market) -> None:
    """Two customers of one tenant are named, and nothing is sold to either."""
    ids = [market.customer(), market.customer()]
    with pytest.raises(ReconcilerError, match="several customers") as caught:
        market.buy(plan="flat")
    assert caught.value.code == "E1407"
    assert all(each in caught.value.message for each in ids)
    assert market.sessions() == []


def test_nobody_is_sold_a_second_subscription(market: Market) -> None:
    """Whoever has a subscription of these files is shown it; a pack is sold, and once it is over so is a plan."""
    mine = market.customer()
    method = market.dashboard.v1.payment_methods.attach("pm_card_visa", {"customer": mine}).id
    price = market.dashboard.v1.prices.list({"lookup_keys": ["acme.plans.flat.prices.monthly"]}).data[0].id
    terms: Any = {"customer": mine, "items": [{"price": price}], "default_payment_method": method}
    subscription = market.dashboard.v1.subscriptions.create(terms).id
    for sell in (lambda: market.buy(plan="flat"), lambda: market.desk.link("self", Choice(plan="flat"))):
        with pytest.raises(NotForSaleError, match=subscription) as caught:
            sell()
        assert caught.value.code == "E1408"
    assert market.buy(pack="starter").customer == mine
    market.dashboard.v1.subscriptions.cancel(subscription)
    assert market.buy(plan="flat").customer == mine


def test_a_trial_is_had_once(market: Market) -> None:
    """Whoever cancels in the trial and buys anew pays from the first day, on a page or by a link."""
    mine, person = market.customer(), Person(market.sandbox)

    def bought() -> Any:
        page = market.buy(plan="pro")
        assert page.customer == mine
        person.visit(page.url)
        person.pay()
        return market.dashboard.v1.subscriptions.retrieve(market.session(page.id).subscription)

    def linked() -> int | None:
        data = market.dashboard.v1.payment_links.retrieve(market.desk.link("self", Choice(plan="pro")).id)
        return data.subscription_data.trial_period_days if data.subscription_data else None

    assert linked() == 14
    first = bought()
    assert first.status == "trialing"
    market.dashboard.v1.subscriptions.cancel(first.id)
    assert linked() is None
    assert bought().status == "active"


def test_a_subscription_to_something_else_does_not_count(market: Market) -> None:
    """What others sell to the same customer is none of our business."""
    mine = market.customer()
    method = market.dashboard.v1.payment_methods.attach("pm_card_visa", {"customer": mine}).id
    made: Any = {
        "currency": "usd",
        "unit_amount": 100,
        "recurring": {"interval": "month"},
        "product_data": {"name": "x"},
    }
    price = market.dashboard.v1.prices.create(made).id
    terms: Any = {"customer": mine, "items": [{"price": price}], "default_payment_method": method}
    market.dashboard.v1.subscriptions.create(terms)
    assert market.buy(plan="flat").customer == mine


def test_only_what_was_applied_is_sold() -> None:
    """A price that is not there, or of which somebody else holds the key, is not sold; once applied it is."""
    with_new = deepcopy(FILES)
    with_new["plans"]["late"] = {"name": "Late", "prices": {"monthly": {"amount": 3, "interval": "month"}}}
    market = Market()
    desk = market.open(catalog_of(with_new))

    def refusal() -> str:
        with pytest.raises(ReconcilerError) as caught:
            desk.checkout("acme", Choice(plan="late"), success_url=OK)
        assert caught.value.code == "E1406"
        return caught.value.message

    assert "not on sale" in refusal()
    price: Any = {"currency": "usd", "unit_amount": 1, "lookup_key": "acme.plans.late.prices.monthly"}
    made: Any = price | {"recurring": {"interval": "month"}, "product_data": {"name": "x"}}
    held = market.dashboard.v1.prices.create(made).id
    assert "of others" in refusal()
    market.dashboard.v1.prices.update(held, {"lookup_key": "theirs"})
    market.run(market.plan(with_new))
    assert desk.checkout("acme", Choice(plan="late"), success_url=OK).url


def test_terms_that_go_with_one_plan_are_not_sold_with_another() -> None:
    """A tenant's own units that its plan's minimum draws together have no price of their own for a plan without one."""
    plans = {
        "least": {"name": "Least", "minimum": {"per_month": 5}, "usage": {"calls": {"overage": {"unit_amount": 1}}}}
    }
    tenant = {"name": "Odd", "plan": "least", "usage": {"calls": {"overage": {"unit_amount": 0.5}}}}
    files = {**FILES, "plans": {**FILES["plans"], **plans}, "tenants": {**FILES["tenants"], "odd": tenant}}
    market = Market(files)
    assert market.sold(market.buy("odd", plan="least")) == [("plans.least.spend", None)]
    with pytest.raises(NotForSaleError, match="go with the plan the files give it"):
        market.buy("odd", plan="pro")


def test_files_that_were_not_applied_yet_are_noted() -> None:
    """A page sells at the applied price, and says so where the files have another, and only there."""
    market = Market()
    dearer = deepcopy(FILES)
    dearer["plans"]["flat"]["prices"]["monthly"]["amount"] = 19.99
    page = market.open(catalog_of(dearer)).checkout("acme", Choice(plan="flat"), success_url=OK)
    assert [note.split()[0] for note in page.notes] == ["plans.flat.prices.monthly"]
    assert market.session(page.id).amount_total == 999
    assert market.desk.checkout("acme", Choice(plan="flat"), success_url=OK).notes == ()


def test_a_key_finds_the_same_page(market: Market) -> None:
    """The same key a second later is the same page; two purchases in one second without a key are two."""
    first = market.buy(plan="flat", key="k").id
    market.clock.now += 1
    assert market.buy(plan="flat", key="k").id == first
    assert market.buy(plan="flat").id != market.buy(plan="flat").id


def test_a_key_means_nothing_for_another_tenant(market: Market) -> None:
    """What one tenant's key opened, another's same key does not show."""
    assert market.buy("a", plan="flat", key="1").id != market.buy("b", plan="flat", key="1").id


def test_a_key_for_something_else_is_refused(market: Market) -> None:
    """One key is one purchase."""
    market.buy(plan="flat", key="k")
    with pytest.raises(PageError, match="used for something else"):
        market.buy(pack="starter", key="k")


def test_a_key_tells_what_became_of_its_page(market: Market) -> None:
    """The answer a key finds may be old: what has expired is said to be, and has no address."""
    session = market.buy(plan="flat", key="k")
    market.dashboard.v1.checkout.sessions.expire(session.id)
    with pytest.raises(PageError, match="expired") as caught:
        market.buy(plan="flat", key="k")
    assert caught.value.code == "E1404"


def test_only_the_chosen_sandbox_is_simulated(market: Market) -> None:
    """A page says that it is simulated where the sandbox was chosen, and nowhere else, whatever the mode."""
    told = [
        market.open(simulated=chosen).checkout("acme", Choice(plan="flat"), success_url=OK) for chosen in (True, False)
    ]
    assert [(page.simulated, page.livemode) for page in told] == [(True, False), (False, False)]


def test_the_portal_is_the_files(market: Market) -> None:
    """The session has the customer, the configuration of the files, and its return address unless another is named."""
    with pytest.raises(ReconcilerError, match="no customer") as caught:
        market.desk.portal("self")
    assert caught.value.code == "E1409"
    mine = market.customer()
    page = market.desk.portal("self")
    assert (page.customer, page.kind, bool(page.url)) == (mine, "billing_portal.session", True)
    assert market.desk.portal("self", return_url="https://shop.example/x").id != page.id


def test_a_portal_that_was_not_applied_is_not_opened() -> None:
    """Files with a portal that the account has not are not shown the account's default one."""
    market = Market({name: value for name, value in FILES.items() if name != "portal"})
    market.customer()
    with pytest.raises(ReconcilerError, match="portal is not at Stripe"):
        market.open(catalog()).portal("self")
