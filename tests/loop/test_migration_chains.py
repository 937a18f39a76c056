"""Prices that change again while their subscribers are on the way, and policies that change in between."""

from typing import Any

from reconciler.planning.render import render_text
from reconciler.provider.executor import Ending
from tests.sandbox.billing_world import DAY

from .population import CALLS, MONTHLY, Account, Person, is_on, sections
from .test_crash import die
from .test_migration import alike, subscribed


def priced(account: Account, amount: int, policy: str = "") -> dict[str, Any]:
    """Return the files with another amount of the monthly price, in major units, and another policy of it."""
    files = account.after
    monthly = files["plans"]["pro"]["prices"]["monthly"]
    files["plans"]["pro"]["prices"]["monthly"] = (
        monthly | {"amount": amount} | ({"on_change": policy} if policy else {})
    )
    return files


def ends(account: Account, files: dict[str, Any]) -> None:
    """Plan and apply; the apply must be complete."""
    report = account.world.run(account.world.plan(files))
    assert report.ending is Ending.COMPLETE, [(each.step.label, each.message) for each in report.failures]


def pays(account: Account, person: Person) -> str:
    """Return what a person's price is now, in minor units."""
    return str(account.item(person)["price"]["unit_amount"])


def test_a_price_that_changes_again_takes_all_its_predecessors_subscribers() -> None:
    """Who waits for the second price moves to the third instead; who has it moves on; nobody is left behind."""
    account = Account(0, alike("at_renewal"))
    early = account.join(MONTHLY)
    ends(account, account.after)
    account.world.clock.now = early.renews + 2 * DAY
    assert pays(account, early) == "2500"
    account.api.post(f"/v1/prices/{account.old[MONTHLY]}", {"active": True})
    late = account.join(MONTHLY)
    ends(account, account.after)
    assert account.api.get(f"/v1/subscriptions/{late.id}")["schedule"]
    plan = account.world.plan(priced(account, 30))
    assert sorted(subscribed(plan)) == sorted([early.id, late.id])
    ends(account, priced(account, 30))
    assert subscribed(account.world.plan(priced(account, 30))) == []
    account.world.clock.now = late.renews + 32 * DAY
    assert [pays(account, person) for person in (early, late)] == ["3000", "3000"]


def test_a_price_that_changes_back_moves_subscribers_too() -> None:
    """The old amount is a new price: everybody moves to it, and nobody stays with the archived one."""
    account = Account(0, alike("now"))
    person = account.join(MONTHLY)
    ends(account, account.after)
    ends(account, priced(account, 20))
    assert pays(account, person) == "2000"
    assert account.item(person)["price"]["id"] == account.new()[MONTHLY] != account.old[MONTHLY]


def test_a_price_that_subscribers_are_on_their_way_to_stays_on_sale() -> None:
    """A change that keeps subscribers where they are, or a removal, would strand them: the plan refuses."""
    account = Account(0, alike("at_renewal"))
    account.join(MONTHLY)
    ends(account, account.after)
    gone = account.after
    del gone["plans"]["pro"]
    legacy = account.after
    legacy["plans"]["pro"]["status"] = "legacy"
    for files in (priced(account, 30, "grandfather"), gone, legacy):
        problems = account.world.propose(files).problems
        assert [problem.code for problem in problems] == ["E0714"], files
        assert "1 subscriber" in problems[0].summary
    assert account.world.propose(priced(account, 30)).problems == ()
    account.world.clock.now += 33 * DAY
    assert account.world.propose(priced(account, 30, "grandfather")).problems == ()


def test_a_policy_that_changes_in_between_holds_from_then_on() -> None:
    """After a crash, who has not moved follows the policy of the files as they are now; who is planned for stays so."""
    account = Account(0, alike("at_renewal"))
    people = [account.join(MONTHLY) for _ in range(4)]
    plan = account.world.plan(account.after)
    writes = 3 + 1 + 4 + 2  # prices, the product's default price, schedules, and the phases of two of them
    assert die(account.world, plan, writes, after=True, threads=1)
    planned = [len(phases(account, person)) for person in people]
    assert sorted(planned) == [1, 1, 2, 2]
    account.policies = alike("now")
    ends(account, account.after)
    assert all(is_on(account, person, changed=True) for person in people)
    assert not any(phases(account, person) for person in people)
    assert subscribed(account.world.plan(account.after)) == []


def phases(account: Account, person: Person) -> list[Any]:
    """Return what a person's schedule plans."""
    shown = account.api.get(f"/v1/subscriptions/{person.id}", {"expand": ["schedule"]})
    found: list[Any] = (shown["schedule"] or {"phases": []})["phases"]
    return found


def test_a_policy_that_comes_to_keep_subscribers_leaves_the_rest_alone() -> None:
    """With the policy taken back after a crash, nobody else moves, and the price that some have is not touched."""
    account = Account(0, alike("now"))
    people = [account.join(MONTHLY) for _ in range(4)]
    assert die(account.world, account.world.plan(account.after), 6, after=True, threads=1)
    moved = [is_on(account, person, changed=True) for person in people]
    assert sorted(moved) == [False, False, True, True]
    account.policies = alike("grandfather")
    ends(account, account.after)
    assert [is_on(account, person, changed=True) for person in people] == moved


def test_a_grandfathered_subscriber_is_not_moved_by_a_later_policy() -> None:
    """Who kept a price when it changed keeps it when it changes again, whatever is declared for that change."""
    account = Account(0, alike("grandfather"))
    kept = account.join(MONTHLY)
    ends(account, account.after)
    account.policies = alike("now")
    ends(account, priced(account, 30))
    assert pays(account, kept) == "2000"


def test_a_new_interval_waits_for_the_renewal() -> None:
    """Another interval would be billed at once: who would move at once stays, told why; at the renewal all is well."""
    account = Account(0, alike("now"))
    person = account.join(MONTHLY)
    files = priced(account, 200)
    files["plans"]["pro"]["prices"]["monthly"]["interval"] = "year"
    plan = account.world.plan(files)
    assert subscribed(plan) == []
    assert "another interval" in plan.migrations[0].stayers[0].reason
    files["plans"]["pro"]["prices"]["monthly"]["on_change"] = "at_renewal"
    ends(account, files)
    account.world.clock.now = person.renews + DAY
    item = account.item(person)
    assert (pays(account, person), item["current_period_end"] - item["current_period_start"]) == ("20000", 365 * DAY)


def test_a_currency_that_is_no_longer_sold_is_told() -> None:
    """A subscriber in a currency that the new price lacks stays, and the plan says why; one in the other moves."""
    account = Account(0, alike("now"))
    files = priced(account, 21)
    files["plans"]["pro"]["prices"]["monthly"]["currency_options"] = {"eur": 19}
    ends(account, files)
    account.old = account.new()
    people = [account.join(MONTHLY, currency=currency) for currency in ("usd", "eur")]
    plan = account.world.plan(priced(account, 30))
    assert subscribed(plan) == [people[0].id]
    assert [each.subscription for each in plan.migrations[0].stayers] == [people[1].id]
    files["plans"]["pro"]["prices"]["monthly"] |= {"amount": 30, "currency_options": {"eur": 27}}
    ends(account, files)
    assert subscribed(account.world.plan(files)) == []


def test_somebody_who_has_the_new_price_already_is_told() -> None:
    """A subscription cannot have a price twice: who took the new one beside the old stays, and is told of."""
    account = Account(0, alike("now"))
    person = account.join(MONTHLY)
    assert die(account.world, account.world.plan(account.after), 4, after=True, threads=1)
    account.update(person, items=[{"price": account.new()[MONTHLY]}])
    plan = account.world.plan(account.after)
    (migration,) = plan.migrations
    assert (subscribed(plan), migration.stayers[0].reason) == ([], "it would have the new price twice")


def test_a_metered_price_moves_at_the_renewal_whatever_is_declared() -> None:
    """What was used of the running period is billed as it was sold, and nothing of it is lost."""
    account = Account(0, alike("grandfather"))
    person = account.join(MONTHLY, 1, "metered")
    event = {"event_name": "acme.meters.calls", "payload": {"stripe_customer_id": person.customer, "value": 100}}
    account.api.post("/v1/billing/meter_events", {**event, "timestamp": account.world.clock.now})
    files = sections(account.policies, changed=False)
    files["plans"]["pro"]["usage"]["calls"]["overage"] = {"unit_amount": 0.05, "on_change": "now"}
    plan = account.world.plan(files)
    (mover,) = plan.migrations[0].movers
    assert (mover.policy, mover.before, mover.after, subscribed(plan)) == ("at_renewal", None, None, [person.id])
    assert "by usage" in render_text(plan)
    ends(account, files)
    account.world.clock.now = person.renews + DAY
    used = [line["amount"] for line in account.lines(person) if line["quantity"] == 100]
    assert used == [100]
    new = account.new()[CALLS]
    assert new in {each["price"]["id"] for each in account.items(person)}
    assert new != account.old[CALLS]
