"""Payment links for tenants: those of the files, and those of their own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import pytest

from reconciler.diagnostics import ReconcilerError
from reconciler.provider.payments import Choice, NotForSaleError
from reconciler.provider.payments.offer import declared, offer_of
from tests.loop.world import catalog_of
from tests.sandbox.person import Person

from .payments_world import FILES, Market, catalog


@pytest.fixture
def market() -> Iterator[Market]:
    """Open an account that sells."""
    world = Market()
    yield world
    world.sandbox.close()


def own(market: Market, tenant: str = "acme", **choice: Any) -> Any:
    """Give a tenant a link and return it as Stripe has it."""
    page = market.desk.link(tenant, Choice(**choice))
    return market.dashboard.v1.payment_links.retrieve(page.id)


def test_a_link_for_everybody_is_given_by_name_only(market: Market) -> None:
    """Its address says who pays, which a browser can change: a tenant gets a link that really names it."""
    page = market.desk.declared_link("acme", "starter")
    assert page.declared == "payment_links.starter"
    assert page.url
    assert page.url.endswith("?client_reference_id=acme&prefilled_email=a%40acme.example")
    assert market.sent() == []
    assert market.desk.link("acme", Choice(pack="starter")).declared is None
    assert own(market, pack="starter").metadata["tenant"] == "acme"


def test_a_name_no_address_can_hold_has_a_link_of_its_own(market: Market) -> None:
    """Stripe drops such a reference without a word, so nobody would know who paid."""
    page = market.desk.link("x@y", Choice(pack="starter"))
    assert (page.declared, "client_reference_id" in (page.url or "")) == (None, False)
    assert own(market, "x@y", pack="starter").metadata["tenant"] == "x@y"
    with pytest.raises(NotForSaleError, match="cannot stand in the address"):
        market.desk.declared_link("x@y", "starter")


def test_a_link_with_a_trial_is_none_for_whoever_has_none() -> None:
    """The files' link for a tenant sells its plan with a trial; where there is no trial left it is not given."""
    files = deepcopy(FILES)
    files["payment_links"]["mine"] = {"items": [{"plan": "pro", "price": "monthly"}], "tenant": "acme"}
    whole = catalog_of(files)
    offer = offer_of(whole, "acme", Choice(plan="pro", price="monthly"))
    assert (offer.trial_days, declared(whole.file, "acme", offer)) == (14, "mine")
    assert declared(whole.file, "acme", offer._replace(trial_days=0)) is None


def test_a_link_made_for_a_tenant_is_nobody_elses() -> None:
    """The files' link for one tenant is given to it, for exactly what it sells, and to nobody else."""
    files = deepcopy(FILES)
    files["payment_links"]["big"] = {"items": [{"pack": "starter"}], "tenant": "big"}
    market = Market(files)
    assert market.desk.link("big", Choice(pack="starter")).declared == "payment_links.big"
    assert market.desk.link("big", Choice(pack="starter", quantity=2)).declared is None
    assert market.desk.link("acme", Choice(pack="starter")).declared is None
    with pytest.raises(NotForSaleError, match="another tenant"):
        market.desk.declared_link("acme", "big")
    with pytest.raises(NotForSaleError, match="no payment link 'nope'"):
        market.desk.declared_link("acme", "nope")


def test_a_link_that_was_not_applied_is_not_given() -> None:
    """A link of the files that the account has not is an error, not another link."""
    market = Market({name: value for name, value in FILES.items() if name != "payment_links"})
    with pytest.raises(ReconcilerError, match=r"payment_links\.starter is not at Stripe"):
        market.open(catalog()).declared_link("acme", "starter")
    assert market.sent() == []


def test_a_tenants_own_link_says_what_it_is_for_and_is_paid_once(market: Market) -> None:
    """It sells the tenant's terms with its trial, tells tenant and plan to all that comes of it, and ends when paid."""
    link = own(market, plan="pro", interval="month")
    told = {"tenant": "acme", "sells": "plans.pro", "price": "monthly", "made_by": "reconciler", "namespace": "acme"}
    assert told.items() <= link.metadata.to_dict().items()
    data = link.subscription_data
    assert (data.metadata["tenant"], data.trial_period_days) == ("acme", 14)
    assert link.restrictions.completed_sessions.limit == 1
    assert "address" not in link.metadata


def test_the_same_link_is_found_until_it_is_paid(market: Market) -> None:
    """The same request gives the same link, another tenant or interval another one; once paid there is a new one."""
    first = own(market, plan="flat", interval="month")
    market.clock.now += 90_000
    assert own(market, plan="flat", interval="month").id == first.id
    assert own(market, plan="flat", interval="year").id != first.id
    assert own(market, "big", plan="flat", interval="month").id != first.id
    pay(market, first.url)
    second = own(market, plan="flat", interval="month")
    assert second.id != first.id
    assert own(market, plan="flat", interval="month").id == second.id


def test_a_link_that_somebody_wrote_on_is_found(market: Market) -> None:
    """Metadata that others add does not make it another link, nor does a day that passes."""
    first = own(market, plan="flat")
    market.dashboard.v1.payment_links.update(first.id, {"metadata": {"campaign": "spring"}})
    market.clock.now += 90_000
    assert own(market, plan="flat").id == first.id


def test_a_link_paid_the_same_day_is_not_found_by_its_key(market: Market) -> None:
    """Stripe remembers a key for a day; an answer of it that is used up by now is followed by the next in line."""
    links = []
    for _ in range(3):
        links.append(own(market, pack="starter", quantity=2))
        pay(market, links[-1].url)
    assert len({link.id for link in links}) == 3


def pay(market: Market, url: str) -> None:
    """Pay a link by card."""
    person = Person(market.sandbox)
    person.visit(url)
    person.pay(email="a@acme.example")
    assert not person.problems


def test_two_at_once_make_one_link(market: Market) -> None:
    """The key follows from what is sold to whom, so that a race has one winner and both get its link."""
    desk = market.open(within=lambda _seconds, work: work())
    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(lambda _: desk.link("acme", Choice(plan="flat")), range(4)))
    assert len({page.id for page in pages}) == 1
    made = market.dashboard.v1.payment_links.list().data
    assert sum("address" not in link.metadata for link in made) == 1


def test_no_plan_takes_a_tenants_link_for_its_own(market: Market) -> None:
    """A link made for a tenant is nobody's object of the files: a plan has nothing to do."""
    link = own(market, plan="flat")
    proposal = market.propose(FILES)
    assert list(proposal.plan.changes) == []
    assert market.dashboard.v1.payment_links.retrieve(link.id).active


def test_what_no_link_can_hold_is_noted(market: Market) -> None:
    """A link has no discounts, no tax rates and no customer; a tenant without any of them reads nothing of it."""
    (made,) = market.dashboard.v1.subscriptions.list().data
    market.dashboard.v1.subscriptions.cancel(made.id)
    notes = market.desk.link("signed", Choice(plan="flat")).notes
    assert [each.split()[4] for each in notes[:2]] == ["coupons.tenth", "tax_rates.vat"]
    assert market.applied("signed") in notes[2]
    assert market.desk.link("self", Choice(plan="flat")).notes == ()
