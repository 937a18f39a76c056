"""Subscriptions by webhook: plan, status and period of who pays, self-service tenants too, and nobody dropped."""

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.entitlements import Reason
from reconciler.provider.customers import customers_of
from reconciler.provider.payments import Choice
from reconciler.provider.propose import propose
from tests.loop.world import NOW, catalog_of

from .hooks_world import MICRO, SHOP, Hooked

SELF = {"name": "Self", "plan": "flat", "price": "monthly"}
OK = "https://shop.example/ok"


@pytest.fixture
def world() -> Iterator[Hooked]:
    """Lend an account with an inbox."""
    found = Hooked()
    yield found
    found.close()


def subscription(world: Hooked, customer: str) -> Any:
    """Return the only subscription of a customer."""
    (found,) = world.stripe.v1.subscriptions.list({"customer": customer, "status": "all"}).data
    return found


def price(world: Hooked, address: str) -> str:
    """Return the price that was applied for an address."""
    return str(world.stripe.v1.prices.list({"lookup_keys": [f"acme.{address}"]}).data[0].id)


def decline(world: Hooked, customer: str) -> None:
    """Let a customer's next payments fail."""
    method = world.stripe.v1.payment_methods.create({"type": "card", "card": {"token": "tok_chargeCustomerFail"}})
    world.stripe.v1.payment_methods.attach(method.id, {"customer": customer})
    found = subscription(world, customer)
    world.stripe.v1.subscriptions.update(found.id, {"default_payment_method": method.id})


def test_a_stranger_becomes_a_tenant_by_buying(world: Hooked) -> None:
    """Nobody in git knows it: it has the plan it paid for, its customer is marked, and the portal finds it."""
    assert world.ent.check("self", "any").limit == 10
    session = world.buy(plan="flat")
    world.settle()
    found = world.ent.subscription("self")
    assert found is not None
    assert (found.plan, found.status) == ("flat", "active")
    assert (found.start, found.end) == (found.anchor, (world.market.clock.now + 31 * 86_400) * MICRO)
    assert customers_of(world.gateway(), "acme", "self") == (session.customer,)
    assert world.market.desk.portal("self").customer == session.customer
    (hook,) = [each for each in world.inbox.listed("done") if each.type == "customer.subscription.created"]
    assert (hook.tenant, hook.note) == ("self", None)


def test_who_only_buys_credits_has_a_customer_too(world: Hooked) -> None:
    """A pack makes a customer that is marked, so that the next page and the portal are that customer's."""
    for session in (world.buy(pack="starter"), world.market.session(_by_link(world))):
        assert session.customer is not None
    world.settle()
    (marked,) = customers_of(world.gateway(), "acme", "self")
    assert world.market.desk.portal("self").customer == marked
    assert world.market.buy("self", pack="starter").customer == marked
    assert world.credits() == 220


def _by_link(world: Hooked) -> str:
    page = world.market.desk.link("self", Choice(pack="starter"))
    world.person.visit(page.url)
    world.person.pay()
    return str(world.stripe.v1.checkout.sessions.list({"payment_link": page.id}).data[0].id)


def test_a_plan_leaves_a_self_service_tenant_alone(world: Hooked) -> None:
    """The next plan neither ends its subscription nor touches its customer; named in the files, it is that customer."""
    session = world.buy(plan="flat")
    world.settle()
    empty = propose(world.catalog, world.market.gateway(read_only=True), plan_id="0" * 32, now=NOW)
    assert (list(empty.problems), list(empty.plan.changes)) == ([], [])
    named = catalog_of({**SHOP, "tenants": {**SHOP["tenants"], "self": SELF}})
    proposal = propose(named, world.market.gateway(read_only=True), plan_id="1" * 32, now=NOW)
    (change,) = proposal.plan.changes
    assert (change.address, change.id, change.action.value) == ("tenants.self", session.customer, "update")
    assert subscription(world, session.customer).status == "active"


def test_a_second_customer_of_a_tenant_counts_and_is_not_marked(world: Hooked) -> None:
    """Two purchases before the first is heard of make two customers: one is marked, both subscriptions count."""
    pages = [
        world.market.desk.checkout("self", Choice(plan=plan), success_url=OK, key=plan) for plan in ("flat", "pay")
    ]
    for page in pages:
        world.person.visit(page.url)
        world.person.pay()
        world.pass_days(0.01)
    one, two = (world.market.session(page.id).customer for page in pages)
    assert one != two
    world.settle()
    (marked,) = customers_of(world.gateway(), "acme", "self")
    assert marked in (one, two)
    assert world.ent.subscription("self").plan == "pay"  # type: ignore[union-attr]
    world.stripe.v1.subscriptions.cancel(subscription(world, two).id)
    world.settle()
    assert world.ent.subscription("self").plan == "flat"  # type: ignore[union-attr]
    assert world.inbox.listed("dead") == []


def test_late_payments_are_forgiven_from_the_invoice_on(world: Hooked) -> None:
    """Grace counts from the invoice that was not paid, however late one hears of it; then the tenant is refused."""
    session = world.buy(plan="flat")
    decline(world, session.customer)
    world.pass_days(31.1)
    found = subscription(world, session.customer)
    assert found.status == "past_due"
    invoice = world.stripe.v1.invoices.list({"subscription": found.id, "status": "open"}).data[0]
    world.pass_days(1)
    world.settle()
    kept = world.ent.subscription("self")
    assert kept is not None
    assert (kept.status, kept.since) == ("past_due", invoice.status_transitions.finalized_at * MICRO)
    assert world.ent.check("self", "any").limit is None
    world.pass_days(2.2)
    assert world.ent.check("self", "any").reason is Reason.SUBSCRIPTION_INACTIVE


def test_a_thin_event_is_worked_off_alike(world: Hooked) -> None:
    """A notification that names a subscription and nothing else brings what the subscription says now."""
    session = world.buy(plan="flat")
    found = subscription(world, session.customer)
    world.receive(
        {
            "id": "evt_thin",
            "object": "v2.core.event",
            "created": "2027-01-01T00:00:00.000Z",
            "livemode": False,
            "context": None,
            "related_object": {"id": found.id, "type": "subscription", "url": f"/v1/subscriptions/{found.id}"},
            "type": "v1.customer.subscription.active",
        }
    )
    assert world.processor.round().done == 1
    assert world.ent.subscription("self").plan == "flat"  # type: ignore[union-attr]
    assert world.inbox.show("evt_thin").tenant == "self"


def test_a_trial_entitles(world: Hooked) -> None:
    """Who tries a plan has it, to the end of the trial."""
    world.buy(plan="pro")
    world.settle()
    found = world.ent.subscription("self")
    assert found is not None
    assert (found.plan, found.status, found.end) == ("pro", "trialing", (world.market.clock.now + 14 * 86_400) * MICRO)
    assert world.ent.check("self", "any")


def test_cancelled_at_the_end_is_entitled_to_the_end(world: Hooked) -> None:
    """A subscription that will end keeps its plan; ended, its tenant has the default plan."""
    session = world.buy(plan="flat")
    found = subscription(world, session.customer)
    world.stripe.v1.subscriptions.update(found.id, {"cancel_at_period_end": True})
    world.settle()
    assert world.ent.subscription("self").status == "active"  # type: ignore[union-attr]
    world.pass_days(31.1)
    subscription(world, session.customer)
    world.settle()
    kept = world.ent.subscription("self")
    assert kept is not None
    assert (kept.status, kept.since) == ("canceled", found["items"].data[0].current_period_end * MICRO)
    assert world.ent.check("self", "any").limit == 10


def test_pausing(world: Hooked) -> None:
    """Paused collection leaves the tenant its plan; a subscription that is paused itself does not."""
    session = world.buy(plan="flat")
    found = subscription(world, session.customer)
    world.stripe.v1.subscriptions.update(found.id, {"pause_collection": {"behavior": "void"}})
    world.settle()
    assert world.ent.subscription("self").status == "active"  # type: ignore[union-attr]
    world.stripe.v1.subscriptions.update(found.id, {"pause_collection": ""})
    world.stripe.v1.subscriptions.pause(found.id, {"type": "subscription"})
    world.settle()
    assert world.ent.subscription("self").status == "paused"  # type: ignore[union-attr]
    assert world.ent.check("self", "any").reason is Reason.SUBSCRIPTION_INACTIVE


def test_an_unknown_price_never_drops_a_paying_tenant(world: Hooked) -> None:
    """Moved by hand to a price that no file knows, the tenant keeps its plan, and the inbox says what happened."""
    session = world.buy(plan="flat")
    world.settle()
    strange = world.stripe.v1.prices.create(
        {"currency": "usd", "unit_amount": 1, "recurring": {"interval": "month"}, "product_data": {"name": "Deal"}}
    )
    found = subscription(world, session.customer)
    item = found["items"].data[0]
    world.stripe.v1.subscriptions.update(
        found.id, {"items": [{"id": item.id, "price": strange.id}], "metadata": {"made_by": "", "tenant": ""}}
    )
    world.settle()
    kept = world.ent.subscription("self")
    assert kept is not None
    assert (kept.plan, kept.status) == ("flat", "active")
    notes = [hook.note for hook in world.inbox.listed("done") if hook.note]
    assert notes[0] == f"subscription {found.id}: its price is not of these files; the tenant keeps plan flat"


def test_a_price_of_our_product_tells_its_plan(world: Hooked) -> None:
    """A price made by hand on a plan's product is that plan's, mark or not."""
    product = world.stripe.v1.products.list({"limit": 100}).data
    flat = next(each.id for each in product if each.metadata.to_dict().get("address") == "plans.flat")
    special = world.stripe.v1.prices.create(
        {"currency": "usd", "unit_amount": 1, "recurring": {"interval": "month"}, "product": flat}
    )
    customer = world.market.applied("acme")
    world.stripe.v1.subscriptions.create(
        {
            "customer": customer,
            "items": [{"price": special.id}],
            "collection_method": "send_invoice",
            "days_until_due": 9,
        }
    )
    world.settle()
    assert world.ent.subscription("acme").plan == "flat"  # type: ignore[union-attr]


def test_a_renamed_plan_is_followed(world: Hooked) -> None:
    """A subscription to the plan's old name is one to its new name, before and after an apply."""
    world.buy(plan="flat")
    plans = {**SHOP["plans"], "even": SHOP["plans"]["flat"]}
    del plans["flat"]
    tenants = {**SHOP["tenants"], "signed": {**SHOP["tenants"]["signed"], "plan": "even"}}
    renamed = {**SHOP, "plans": plans, "tenants": tenants, "moved": [{"from": "plans.flat", "to": "plans.even"}]}
    world.catalog = catalog_of(renamed)
    world.processor = world.another()
    world.ent.reload(world.compiled(renamed))
    world.settle()
    assert world.ent.subscription("self").plan == "even"  # type: ignore[union-attr]


def test_a_deleted_customer_is_a_cancelled_one(world: Hooked) -> None:
    """Deleting a customer ends its subscription and its plan; the next customer of the tenant is marked instead."""
    session = world.buy(plan="flat")
    world.settle()
    world.stripe.v1.customers.delete(session.customer)
    world.settle()
    assert world.ent.subscription("self").status == "canceled"  # type: ignore[union-attr]
    second = world.buy(plan="flat")
    world.settle()
    assert world.ent.subscription("self").status == "active"  # type: ignore[union-attr]
    assert customers_of(world.gateway(), "acme", "self") == (second.customer,)


def test_others_subscriptions_change_nothing(world: Hooked) -> None:
    """Neither another namespace's, nor one to other things of a customer of ours, nor ours of an unmarked customer."""
    strange = world.stripe.v1.prices.create(
        {"currency": "usd", "unit_amount": 1, "recurring": {"interval": "month"}, "product_data": {"name": "Mug club"}}
    )
    other = {"made_by": "reconciler", "namespace": "other", "tenant": "acme", "sells": "plans.flat"}
    terms = {"collection_method": "send_invoice", "days_until_due": 9}
    ours, acme = price(world, "plans.flat.prices.monthly"), world.market.applied("acme")
    nobody = world.stripe.v1.customers.create({"email": "a@acme.example"}).id
    for customer, bought, metadata in ((acme, strange.id, {}), (acme, ours, other), (nobody, ours, {"tenant": "acme"})):
        world.stripe.v1.subscriptions.create(
            {"customer": customer, "items": [{"price": bought}], "metadata": metadata, **terms}
        )
    world.settle()
    assert world.ent.subscription("acme") is None
    assert world.inbox.listed("dead") == []
    world.stripe.v1.subscriptions.create({"customer": acme, "items": [{"price": ours}], **terms})
    world.settle()
    assert world.ent.subscription("acme").plan == "flat"  # type: ignore[union-attr]


def test_an_incomplete_one_never_displaces_an_active_one(world: Hooked) -> None:
    """A newer subscription whose first payment is missing changes nothing for a tenant that pays."""
    session = world.buy(plan="flat")
    world.settle()
    world.pass_days(1)
    made = world.stripe.v1.subscriptions.create(
        {
            "customer": session.customer,
            "items": [{"price": price(world, "plans.pay.prices.monthly")}],
            "payment_behavior": "default_incomplete",
        }
    )
    assert made.status == "incomplete"
    world.settle()
    assert world.ent.subscription("self").plan == "flat"  # type: ignore[union-attr]


def test_a_tenant_whose_subscription_the_files_declare(world: Hooked) -> None:
    """What an apply made is followed like what was bought: the mark on subscription and customer names the tenant."""
    found = subscription(world, world.market.applied("signed"))
    world.stripe.v1.subscriptions.update(found.id, {"metadata": {"note": "x"}})
    world.settle()
    kept = world.ent.subscription("signed")
    assert kept is not None
    assert (kept.plan, kept.status) == ("flat", "trialing")
