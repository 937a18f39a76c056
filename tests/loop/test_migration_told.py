"""A migration of subscribers in front of people: what a plan shows of it, and what nobody may make of it."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from reconciler.config.models import Guards
from reconciler.diagnostics import PlanRefusedError, ProviderError
from reconciler.entitlements import Entitlements
from reconciler.entitlements.compile import compile_catalog
from reconciler.planning.guards import check_guards
from reconciler.planning.html_report import render_html
from reconciler.planning.markdown import render_markdown
from reconciler.planning.migration import is_subscriber
from reconciler.planning.plan import Plan, serialise
from reconciler.planning.planfile import parse_plan
from reconciler.planning.render import Page, render_json, render_text
from reconciler.provider.executor import Ending
from reconciler.provider.propose import propose
from tests.sandbox.billing_world import DAY

from .population import MONTHLY, SEATS, YEARLY, Account, is_on, sections
from .test_migration import MIXED, alike, applied, subscribed
from .test_subscribers import Forbidden
from .world import NOW, START, catalog_of

FORMS = [render_text, render_markdown, render_html]


def moving(number: int = 3, policy: str = "now") -> tuple[Account, Plan]:
    """Make an account with subscribers of the monthly price, 20.00 each, and a plan that moves them to 25.00."""
    account = Account(0, alike(policy))
    for _ in range(number):
        account.join(MONTHLY)
    return account, account.world.plan(account.after)


@pytest.mark.parametrize("form", FORMS)
def test_how_many_how_and_what_they_pay_is_shown(form: Any) -> None:
    """Count, policy, money before and after, and ids of customers; nobody's name or address is."""
    account, plan = moving()
    text = form(plan)
    for shown in ("3 subscribers", "at once", "60.00 usd per month", "75.00 usd", "+15.00 usd", account.customers[0]):
        assert shown in text
    assert "somebody@example.com" not in text + serialise(plan)


def test_the_comment_shows_it_outside_the_fold() -> None:
    """Whoever reads the comment on a pull request sees the money without opening anything."""
    before, _, _ = render_markdown(moving()[1]).partition("<details>")
    assert "75.00 usd" in before


def test_some_are_named_and_the_plan_file_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many names the text says how many more there are; the JSON names every one, with the money of each."""
    monkeypatch.setattr("reconciler.planning.migration_words.SHOWN", 2)
    account, plan = moving(5)
    assert "and 3 more" in render_text(plan)
    (told,) = json.loads(render_json(plan))["migrations"]
    assert {each["customer"] for each in told["movers"]} == set(account.customers)
    assert {(each["before"], each["after"], each["policy"]) for each in told["movers"]} == {(2000, 2500, "now")}


def test_intervals_are_added_up_to_a_month() -> None:
    """Yearly and monthly amounts stand side by side, and as one sum a month for each price."""
    account = Account(0, alike("at_renewal"))
    account.join(YEARLY, 3)
    text = render_text(account.world.plan(account.after), page=Page(width=200))
    assert "600.00 usd per year, then 570.00 usd per year" in text
    assert "together 50.00 usd a month, then 47.50 usd (-2.50 usd)" in text


def test_the_rest_of_the_period_is_what_is_prorated() -> None:
    """What a plan tells for the rest of the running periods is what waits for the next invoices after it is applied."""
    account = Account(0, alike("now_prorated"))
    for index in range(4):
        account.world.clock.now = START - (10 - index) * DAY - 12_345
        account.join(SEATS if index % 2 else MONTHLY, 10 + index)
    account.world.clock.now = START
    plan = account.world.plan(account.after)
    account.world.run(plan)
    waiting = account.api.get("/v1/invoiceitems", {"pending": True, "limit": 100})["data"]
    text = render_text(plan, page=Page(width=200))
    for address in (MONTHLY, SEATS):
        prices = {account.old[address], account.new()[address]}
        found = sum(each["amount"] for each in waiting if each["pricing"]["price_details"]["price"] in prices)
        assert f"for the rest of the running periods {found / 100:.2f} usd" in text


def test_a_plan_file_holds_a_migration_whole() -> None:
    """What was written is read back the same, and a migration that was edited is refused."""
    _, plan = moving()
    assert parse_plan(serialise(plan).encode()) == plan
    with pytest.raises(PlanRefusedError):
        parse_plan(serialise(plan).replace('"after":2500', '"after":2400').encode())


def test_a_migration_is_refused_until_it_is_allowed() -> None:
    """Who is charged more has to be allowed by name, and the words that allow it do."""
    _, plan = moving()
    refusals = [each for each in check_guards(plan, Guards()) if each.guard == "contracts"]
    assert [each.allow for each in refusals] == ["contracts"]
    assert not [each for each in check_guards(plan, Guards(), ["contracts"]) if each.guard == "contracts"]


def test_subscribers_are_no_mass_change() -> None:
    """A thousand subscribers of one price are one price that changes: guards against mass changes count objects."""
    _, plan = moving(9)
    strict = Guards(max_updated_percent=Decimal(50))
    assert [each.guard for each in check_guards(plan, strict) if each.guard.startswith("max_updated")] == []
    assert len(subscribed(plan)) * 2 > plan.unchanged + len(plan.changes)


def sold_to(plan: Plan, old: Any) -> Plan:
    """Return a plan whose first subscriber is moved otherwise."""
    changes = list(plan.changes)
    place = next(index for index, change in enumerate(changes) if is_subscriber(change))
    changes[place] = old(changes[place])
    return replace(plan, changes=tuple(changes))


def dearer(change: Any) -> Any:
    """Return a change that sells a hundred in place of one."""
    after = json.loads(json.dumps(change.after.values))
    after["items"][0]["quantity"] = 100
    return replace(change, after=replace(change.after, values=after))


@pytest.mark.parametrize(
    "forge", [dearer, lambda change: replace(change, policy="now_prorated")], ids=["quantity", "policy"]
)
def test_a_forged_migration_is_refused_before_the_first_write(forge: Any) -> None:
    """A plan that asks for more than the files do of a subscriber who has not changed is no plan of these files."""
    account, plan = moving()
    forged = sold_to(plan, forge)
    account.world.remember(forged, catalog_of(account.after))
    account.world.sandbox.requests.clear()
    with pytest.raises(PlanRefusedError) as refused:
        account.world.run(forged)
    assert (refused.value.code, account.world.writes()) == ("E0809", [])


def test_nobody_else_is_moved_by_a_forged_plan() -> None:
    """A subscriber of another price whom a forged plan names is left alone."""
    account, plan = moving()
    other = account.join(SEATS)
    live = account.api.get(f"/v1/subscriptions/{other.id}")
    assert live["id"] not in subscribed(plan)

    def somebody_else(change: Any) -> Any:
        return replace(change, id=other.id, address=change.address.replace(change.id, other.id))

    forged = sold_to(plan, somebody_else)
    forged = replace(
        forged, changes=tuple(sorted(forged.changes, key=lambda change: (change.address, change.id or "")))
    )
    account.world.remember(forged, catalog_of(account.after))
    report = account.world.run(forged)
    assert [each.step.change.id for each in report.skipped] == [other.id]
    assert is_on(account, other, changed=False)


def test_subscribers_who_cannot_be_read_stop_the_plan() -> None:
    """Without permission to read subscriptions nobody can say whom a price moves, so there is no plan."""
    account, _ = moving()
    gateway = account.world.gateway(transport=Forbidden(account.world.sandbox.http_client()))
    with pytest.raises(ProviderError) as refused:
        propose(catalog_of(account.after), gateway, plan_id="0" * 32, now=NOW)
    assert refused.value.code == "E0904"


def test_nothing_is_read_where_nobody_moves() -> None:
    """Files whose subscribers keep what they have read no subscription for a plan that changes nothing."""
    account = Account(0, alike("grandfather"))
    account.join(MONTHLY)
    account.world.sandbox.requests.clear()
    account.world.plan(sections(account.policies, changed=False))
    assert not [path for _, path, _ in account.world.sandbox.requests if "/subscriptions" in path]


def with_tenant(account: Account, *, changed: bool) -> dict[str, Any]:
    """Return the files with a tenant who is sent invoices for the monthly price."""
    tenant = {"name": "Acme", "email": "billing@acme.example", "plan": "pro", "price": "monthly"}
    terms = {"quantity": 2, "collection": "send_invoice", "days_until_due": 30}
    return sections(account.policies, changed=changed) | {"tenants": {"acme": tenant | {"subscription": terms}}}


@pytest.mark.parametrize("policy", ["now", "at_renewal"])
def test_tenants_in_the_files_move_with_everybody_else(policy: str) -> None:
    """One plan moves a tenant and the customers of the same price; the tenant is named by its address, and first."""
    account = Account(0, alike(policy))
    account.world.apply(with_tenant(account, changed=False))
    person = account.join(MONTHLY)
    plan = account.world.plan(with_tenant(account, changed=True))
    (migration,) = plan.migrations
    told = [(each.tenant, each.policy, each.before, each.after) for each in migration.movers]
    assert told == [("tenants.acme", policy, 4000, 5000), (None, policy, 2000, 2500)]
    assert "tenants.acme, cus_" in render_text(plan)
    assert subscribed(plan) == [person.id]
    assert account.world.run(plan).ending is Ending.COMPLETE
    assert account.world.plan(with_tenant(account, changed=True)).changes == ()
    account.world.clock.now = person.renews + 31 * DAY
    there = account.api.get("/v1/subscriptions", {"price": account.new()[MONTHLY]})["data"]
    assert len(there) == 2


def test_earlier_prices_are_honoured_by_the_runtime() -> None:
    """The plan that any price was made for is told by its mark: on it a subscriber may call, whoever pays what."""
    account = Account(0, MIXED | {MONTHLY: "grandfather"})
    people = {address: account.join(address) for address in (MONTHLY, YEARLY, SEATS)}
    applied(account)
    with Entitlements.open(compile_catalog(catalog_of(account.after)), "sqlite://", mode="direct") as runtime:
        for address, person in people.items():
            item = account.item(person)
            changed = item["price"]["id"] != account.old[address]
            assert changed is (address == SEATS)
            _, plan, *_ = item["price"]["metadata"]["address"].split(".")
            runtime.set_subscription(person.customer, plan=plan, status="active")
            assert runtime.consume(person.customer, meter="calls", quantity=3).allowed
        assert not runtime.check("somebody", meter="calls").allowed


def test_who_stays_is_told_with_the_reason() -> None:
    """Cancelled, waiting for a first payment, planned by others, another namespace's: each is named; others move."""
    account = Account(0, alike("at_renewal"))
    reasons = {
        account.join(MONTHLY, shape="cancelling").id: "it is cancelled",
        account.join(MONTHLY, shape="incomplete").id: "its first payment is awaited",
        account.join(MONTHLY, shape="planned").id: "somebody else's schedule plans something for it",
        account.join(MONTHLY, metadata={"managed_by": "reconciler/other"}).id: "it belongs to namespace other",
    }
    free = account.join(MONTHLY)
    plan = account.world.plan(account.after)
    (migration,) = plan.migrations
    assert {each.subscription: each.reason for each in migration.stayers} == reasons
    assert subscribed(plan) == [free.id]
    text = " ".join(render_text(plan).split())
    assert all(f"{reason}: {subscription}" in text for subscription, reason in reasons.items())
