"""Subscribers of a price that changes: each ends under exactly the declared policy, and pays what the plan has told."""

import random
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.planning.migration import is_subscriber
from reconciler.planning.plan import Plan
from reconciler.provider.executor import Ending
from reconciler.provider.writes import Status
from reconciler.sandbox import Settings
from reconciler.sandbox.faults import Fault
from tests.sandbox.billing_world import DAY

from .population import COMING, DECOY, MONTHLY, OVER, SEATS, YEARLY, Account, Person, check, is_on
from .test_crash import die
from .world import START, World, catalog_of

MIXED = {MONTHLY: "now", YEARLY: "at_renewal", SEATS: "now_prorated"}


def alike(policy: str) -> dict[str, str]:
    """Return one policy for all prices."""
    return dict.fromkeys((MONTHLY, YEARLY, SEATS), policy)


def applied(account: Account, plan: Plan | None = None) -> Plan:
    """Apply a plan, made now unless one is given; it must be complete."""
    plan = plan or account.world.plan(account.after)
    report = account.world.run(plan)
    assert report.ending is Ending.COMPLETE, [(each.step.label, each.message) for each in report.failures]
    return plan


def subscribed(plan: Plan) -> list[str]:
    """Return the ids of the subscriptions a plan moves that are in no file."""
    return [str(change.id) for change in plan.changes if is_subscriber(change)]


def test_each_price_moves_its_subscribers_by_its_own_policy() -> None:
    """At once, at once with the rest of the period paid, or at the renewal; and the money is what the plan has told."""
    account = Account(14, MIXED)
    check(account, applied(account))


def test_nobody_moves_where_subscribers_keep_what_they_have() -> None:
    """The default policy moves nobody, and reads no subscription but to count those of what goes off sale."""
    account = Account(4, alike("grandfather"))
    plan = applied(account)
    assert (plan.migrations, subscribed(plan)) == ((), [])
    assert all(is_on(account, person, changed=False) for person in account.people if person.shape != "incomplete")


def test_a_second_apply_moves_nobody_again() -> None:
    """The same plan finds all of it done, a new one has nothing to do, and nobody pays twice."""
    account = Account(5, alike("now_prorated"))
    plan = applied(account)
    waiting = len(account.api.get("/v1/invoiceitems", {"pending": True, "limit": 100})["data"])
    account.world.sandbox.requests.clear()
    report = account.world.run(plan)
    assert (report.ending, report.count(Status.ALREADY)) == (Ending.COMPLETE, report.total)
    assert subscribed(account.world.plan(account.after)) == []
    assert account.world.writes() == []
    assert len(account.api.get("/v1/invoiceitems", {"pending": True, "limit": 100})["data"]) == waiting
    check(account, plan)


class Prepared:
    """An account with subscribers kept in a file, and the plan that moves them."""

    def __init__(self, folder: Path, number: int, policies: Mapping[str, str]) -> None:
        self._before, self._copy = folder / "before.db", folder / "copy.db"
        self.account = Account(number, policies, path=str(self._before))
        self.plan = self.account.world.plan(self.account.after)
        self.account.world.sandbox.close()
        with self.opened() as account:
            applied(account, self.plan)
            self.writes = len(account.world.writes())

    @contextmanager
    def opened(self) -> Iterator[Account]:
        """Open a copy of the account, as it was before the plan."""
        shutil.copyfile(self._before, self._copy)
        world = World(plans=2, path=str(self._copy))
        world.remember(self.plan, catalog_of(self.account.after))
        try:
            yield self.account.at(world)
        finally:
            world.sandbox.close()

    def heal(self, at: int, *, after: bool, same: bool) -> None:
        """Die at a write, then apply the same plan or a new one; everybody moves once, whichever it is."""
        with self.opened() as account:
            assert die(account.world, self.plan, at, after=after)
            applied(account, self.plan if same else None)
            settled(account)


def settled(account: Account) -> None:
    """Check that everybody who has to move has, or will at their renewal, and that nothing was done twice."""
    assert subscribed(account.world.plan(account.after)) == []
    moving = account.moving()
    for person in account.people:
        policy = account.policies.get(person.address, "grandfather") if person in moving else "grandfather"
        if person.shape != "incomplete":
            assert is_on(account, person, changed=policy in ("now", "now_prorated")), person
        shown = account.api.get(f"/v1/subscriptions/{person.id}", {"expand": ["schedule"]})
        if policy == "at_renewal":
            assert [len(phase["items"]) for phase in shown["schedule"]["phases"]] == [len(shown["items"]["data"])] * 2
        elif person.shape != "planned":
            assert shown["schedule"] is None
        form = {"customer": person.customer, "pending": True}
        waiting = Counter(each["amount"] > 0 for each in account.api.get("/v1/invoiceitems", form)["data"])
        prorated = policy == "now_prorated" and person.shape != "trial"
        assert (waiting[True], min(waiting[False], 1)) == ((1, 1) if prorated else (0, 0)), person


def test_a_death_at_some_writes_moves_everybody_once(tmp_path: Path) -> None:
    """Wherever it dies, the same plan or a new one finishes: also between a schedule and its phases."""
    prepared = Prepared(tmp_path, 13, MIXED)
    draw = random.Random(0)
    for at in draw.sample(range(1, prepared.writes + 1), 2):
        prepared.heal(at, after=draw.random() < 0.5, same=draw.random() < 0.5)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("policies", [MIXED, alike("at_renewal")], ids=["mixed", "at_renewal"])
def test_a_death_at_every_write_moves_everybody_once(tmp_path: Path, policies: Mapping[str, str]) -> None:
    """The same for every write; which side of it, and which plan heals, is drawn."""
    prepared, draw = Prepared(tmp_path, 13, policies), random.Random(1)
    for at in range(1, prepared.writes + 1):
        prepared.heal(at, after=draw.random() < 0.5, same=draw.random() < 0.5)


def test_whoever_changed_meanwhile_is_skipped_and_told_of() -> None:
    """Another quantity, a cancellation, an end, another price, an own plan: left as they are, and the rest moves."""
    account = Account(0, alike("now"))
    people = [account.join(MONTHLY) for _ in range(6)]
    plan = account.world.plan(account.after)
    changed, item = people[:5], account.item(people[0])["id"]
    account.update(people[0], items=[{"id": item, "quantity": 7}])
    account.update(people[1], cancel_at_period_end=True)
    account.api.ok("DELETE", f"/v1/subscriptions/{people[2].id}")
    account.update(people[3], items=[{"id": account.item(people[3])["id"], "price": account.old[SEATS]}])
    account.plan(people[4])
    late = account.join(MONTHLY)
    report = account.world.run(plan)
    assert (report.ending, report.failures) == (Ending.COMPLETE, [])
    assert {each.step.change.id for each in report.skipped} == {person.id for person in changed}
    assert is_on(account, people[5], changed=True)
    on_old = [account.item(person)["price"]["id"] for person in (*people[:3], people[4], late)]
    assert set(on_old) == {account.old[MONTHLY]}
    again = account.world.plan(account.after)
    assert sorted(subscribed(again)) == sorted([people[0].id, late.id, people[3].id])
    applied(account, again)
    assert account.item(people[0])["quantity"] == 7
    assert subscribed(account.world.plan(account.after)) == []


def test_whoever_changes_between_check_and_write_is_skipped() -> None:
    """The look just before a write sees it: the write is left out, and the others go on."""
    account = Account(0, alike("at_renewal"))
    people = [account.join(MONTHLY) for _ in range(3)]
    plan = account.world.plan(account.after)
    item = account.item(people[1])["id"]
    waiting = [lambda: account.update(people[1], items=[{"id": item, "quantity": 4}])]

    def first(_result: Any) -> None:
        while waiting:
            waiting.pop()()

    report = account.world.run(plan, progress=first, threads=1)
    assert (report.ending, len(report.skipped)) == (Ending.COMPLETE, 2)
    assert {each.step.change.id for each in report.skipped} == {people[1].id}
    assert account.api.get(f"/v1/subscriptions/{people[1].id}")["schedule"] is None


def test_a_refused_subscriber_keeps_nobody_else_from_moving() -> None:
    """Stripe refuses to move one of them: the apply goes on, says so, and ends as partly applied."""
    account = Account(0, alike("now"))
    people = [account.join(MONTHLY) for _ in range(3)]
    plan = account.world.plan(account.after)
    path = f"/v1/subscriptions/{people[1].id}"
    account.world.sandbox.faults.add(Fault("POST", path, every=1, status=400, error_type="invalid_request_error"))
    report = account.world.run(plan)
    assert report.ending is Ending.PARTLY
    assert [(each.step.change.id, each.status) for each in report.failures] == [(people[1].id, Status.FAILED)]
    assert [is_on(account, person, changed=True) for person in people] == [True, False, True]
    assert len(account.world.prices(active=True)) == len(account.old)
    account.world.sandbox.faults.clear()
    applied(account, plan)


def two_on(account: Account, first: str, second: str) -> Person:
    """Let somebody subscribe to two prices at once."""
    person = account.join(first)
    account.update(person, items=[{"price": account.old[second]}])
    return person


@pytest.mark.parametrize("policies", [alike("now"), MIXED | {SEATS: "at_renewal"}], ids=["alike", "mixed"])
def test_a_subscriber_of_two_changing_prices_changes_once(policies: Mapping[str, str]) -> None:
    """Two prices of one subscription change by one change of it, each item by its own policy."""
    account = Account(0, policies)
    person = two_on(account, MONTHLY, SEATS)
    plan = account.world.plan(account.after)
    assert subscribed(plan) == [person.id]
    assert sorted(migration.address for migration in plan.migrations) == [MONTHLY, SEATS]
    applied(account, plan)
    prices = {each["price"]["metadata"]["address"]: each["price"]["id"] for each in account.items(person)}
    assert prices[MONTHLY] != account.old[MONTHLY]
    assert (prices[SEATS] != account.old[SEATS]) is (policies[SEATS] == "now")
    account.world.clock.now = person.renews + DAY
    prices = {each["price"]["metadata"]["address"]: each["price"]["id"] for each in account.items(person)}
    assert prices == {address: account.new()[address] for address in (MONTHLY, SEATS)}


def test_two_ways_at_once_are_told_and_not_guessed() -> None:
    """With one price to be prorated and the other not, the subscription stays, and the plan says why."""
    account = Account(0, MIXED)
    two_on(account, MONTHLY, SEATS)
    plan = account.world.plan(account.after)
    assert subscribed(plan) == []
    assert {each.reason for migration in plan.migrations for each in migration.stayers} == {
        "its prices change in two ways at once, now and now_prorated"
    }


def interfere(account: Account, chance: random.Random) -> None:
    """Let some who have not moved yet change their subscription: order more, cancel, or end it at once."""
    for index in chance.sample(range(len(account.people)), min(6, len(account.people))):
        person = account.people[index]
        shown = account.api.get(f"/v1/subscriptions/{person.id}")
        if person.shape in (*OVER, "ended") or shown["schedule"] or not is_on(account, person, changed=False):
            continue
        deed = chance.choice(("more", "cancel", "end"))
        if deed == "more":
            item = account.item(person)["id"]
            more = {"items": [{"id": item, "quantity": person.quantity + 1}], "proration_behavior": "none"}
            account.update(person, **more)
            account.people[index] = replace(person, quantity=person.quantity + 1, shape="more")
        elif deed == "cancel":
            account.update(person, cancel_at_period_end=True)
            account.people[index] = replace(person, shape="cancelling")
        else:
            account.api.ok("DELETE", f"/v1/subscriptions/{person.id}")
            account.people[index] = replace(person, shape="ended")


def migrate_through_deaths(number: int, every: int) -> tuple[Account, list[Plan]]:
    """Apply with a death after every so many writes, subscribers changing, by the same plan or a new one in turn."""
    account, chance = Account(0, MIXED), random.Random(number)
    for index in range(number):
        account.world.clock.now = COMING + 20 * DAY * index // number
        shape = chance.choice(("sent", "sent", "sent", "trial", "classic", "metered", "decoy", "cancelling"))
        address = DECOY if shape == "decoy" else chance.choice((MONTHLY, MONTHLY, SEATS, SEATS, YEARLY))
        account.people.append(account.join(address, chance.randint(1, 12), shape))
    account.world.clock.now = START
    plans = [account.world.plan(account.after)]
    while die(account.world, plans[-1], every, after=chance.random() < 0.5, threads=1):
        interfere(account, chance)
        if chance.random() < 0.5:
            plans.append(account.world.plan(account.after))
    plans.append(account.world.plan(account.after))
    applied(account, plans[-1])
    assert subscribed(account.world.plan(account.after)) == []
    account.people = [each for each in account.people if each.shape != "ended"]
    return account, plans


def test_deaths_and_changes_leave_everybody_under_the_declared_policy() -> None:
    """A few subscribers, a death every few writes, somebody changing in between: all is as it was declared and told."""
    account, plans = migrate_through_deaths(12, 5)
    check(account, *plans)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_thousand_subscribers_end_under_the_declared_policy() -> None:
    """The same for a thousand: everybody moves once, and pays what was told, on the sandbox's invoices."""
    account, plans = migrate_through_deaths(1000, 97)
    assert len(plans) > 3
    check(account, *plans)


#: Settings of schedules and subscriptions that nobody has verified; the others concern prices, usage and payments.
OPEN = (
    "archived_phase_prices_are_used",
    "finished_schedule_is_released",
    "lost_phase_discounts_are_skipped",
    "unique_item_prices",
    "twenty_subscription_items",
)


@pytest.mark.soak
@pytest.mark.parametrize("name", [*OPEN, "all"])
def test_however_open_points_of_subscriptions_turn_out(name: str) -> None:
    """With each of them the other way, and all at once, everybody ends under the declared policy."""
    default = Settings()
    names = OPEN if name == "all" else (name,)
    turned = replace(default, **{each: not getattr(default, each) for each in names})
    account = Account(14, MIXED, settings=turned)
    check(account, applied(account))


def test_a_renewal_keeps_all_that_a_subscriber_has_besides_the_price() -> None:
    """Discounts of the subscription, and taxes and metadata of the item, go on with the new price."""
    account = Account(0, alike("at_renewal"))
    rate = account.api.post("/v1/tax_rates", {"display_name": "VAT", "percentage": 19, "inclusive": False})["id"]
    own = {"tax_rates": [rate], "metadata": {"seat": "4"}}
    items = [{"price": account.old[MONTHLY], "quantity": 2, **own}]
    coupon = [{"coupon": account.coupons[1]}]
    person = account.join(MONTHLY, 2, items=items, discounts=coupon)
    before = account.api.get(f"/v1/subscriptions/{person.id}")
    applied(account)
    account.world.clock.now = person.renews + DAY
    after, item = account.api.get(f"/v1/subscriptions/{person.id}"), account.item(person)
    assert item["price"]["id"] == account.new()[MONTHLY] != account.old[MONTHLY]
    assert (after["discounts"], after["metadata"]) == (before["discounts"], before["metadata"])
    assert ([each["id"] for each in item["tax_rates"]], item["metadata"], item["quantity"]) == (
        [rate],
        {"seat": "4"},
        2,
    )
