"""Subscribers who are in no file: an account full of them, and what has to become of each when prices change.

What has to become of a subscriber is told here from how it was made and from what the files declare, by nothing that
planning knows.
"""

import copy
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from reconciler.planning.movers import Mover
from reconciler.planning.plan import Plan
from reconciler.pricing.invoice import half_up
from tests.sandbox.billing_world import DAY, plus
from tests.sandbox.conftest import Api

from .world import START, World

#: Prices whose amounts change: address, amount before and after in minor units, seats are sold by brackets.
MONTHLY, YEARLY, SEATS = (f"plans.pro.prices.{name}" for name in ("monthly", "yearly", "seats"))
DECOY = "plans.decoy.prices.monthly"
CALLS = "plans.pro.usage.calls"
AMOUNTS = {MONTHLY: (2000, 2500), YEARLY: (20_000, 19_000), DECOY: (700, 700)}
#: Seats cost 5 each up to 10, then 4 and a flat fee of 3; later 6 up to 10, then 5 and 3.
BRACKETS = {SEATS: ((500, 400, 300), (600, 500, 300))}
#: When the first of them subscribe.
COMING = START - 21 * DAY
OVER = ("cancelling", "planned", "incomplete")
SHAPES = ("plain", "plain", "discount", "repeating", "trial", "sent", "classic", "metered", "both", *OVER, "decoy")


def sections(policies: Mapping[str, str], *, changed: bool) -> dict[str, Any]:
    """Return the files, before or after their amounts change, with a policy for each price that changes."""
    cheap, dear, flat = BRACKETS[SEATS][changed]
    steps = [
        {"up_to": 10, "unit_amount": cheap / 100},
        {"up_to": "inf", "unit_amount": dear / 100, "flat_amount": flat / 100},
    ]
    prices: dict[str, Any] = {
        "monthly": {"amount": AMOUNTS[MONTHLY][changed] / 100, "interval": "month", "on_change": policies[MONTHLY]},
        "yearly": {"amount": AMOUNTS[YEARLY][changed] / 100, "interval": "year", "on_change": policies[YEARLY]},
        "seats": {"tiers": "seats", "interval": "month", "on_change": policies[SEATS]},
    }
    usage = {"calls": {"included": 0, "overage": {"unit_amount": 0.01}}}
    return {
        "meters": {"calls": {"name": "Calls"}},
        "tiers": {"seats": {"mode": "volume", "steps": steps}},
        "plans": {
            "pro": {"name": "Pro", "default_price": "monthly", "prices": prices, "usage": usage},
            "decoy": {"name": "Decoy", "prices": {"monthly": {"amount": 7, "interval": "month"}}},
        },
        "guards": {"max_updated_percent": 100},
    }


def due(address: str, quantity: int, *, changed: bool) -> int:
    """Return what a price charges for a period, in minor units."""
    if address in AMOUNTS:
        return AMOUNTS[address][changed] * quantity
    cheap, dear, flat = BRACKETS[address][changed]
    return quantity * cheap if quantity <= 10 else quantity * dear + flat


@dataclass(frozen=True)
class Person:
    """One subscriber: of which price, how many, made in which shape, and when."""

    id: str
    customer: str
    address: str
    quantity: int
    shape: str
    since: int

    @property
    def renews(self) -> int:
        """The end of the first period, or of the trial."""
        if self.shape == "trial":
            return self.since + 40 * DAY
        return plus(self.since, "year" if self.address == YEARLY else "month", 1)


class Account:
    """An account with the files as they were, and people who subscribed by themselves, over twenty days."""

    def __init__(self, number: int, policies: Mapping[str, str], seed: int = 0, **options: Any) -> None:
        """Apply the files and let people come."""
        self.world = World(**options)
        self.world.clock.now = COMING
        self.policies = policies
        self.world.apply(sections(policies, changed=False))
        self.api = Api(self.world.sandbox)
        self.old = {price.metadata["address"]: price.id for price in self.world.prices()}
        self.chance = random.Random(seed)
        self.coupons = [
            self.api.coupon(percent_off=25, duration="forever")["id"],
            self.api.coupon(percent_off=10, duration="repeating", duration_in_months=24)["id"],
        ]
        self.customers: list[str] = []
        self.people = list(self._come(number))
        self.world.clock.now = START

    def at(self, world: World) -> "Account":
        """Return the same people in a copy of the account."""
        other = copy.copy(self)
        other.world, other.api = world, Api(world.sandbox)
        return other

    def _come(self, number: int) -> Iterator[Person]:
        for index in range(number):
            self.world.clock.now = COMING + 20 * DAY * index // number
            shape = SHAPES[index % len(SHAPES)]
            address = DECOY if shape == "decoy" else self.chance.choice([MONTHLY, MONTHLY, YEARLY, SEATS])
            quantity = self.chance.randint(1, 15) if address == SEATS else self.chance.randint(1, 3)
            yield self.join(address, quantity, shape)

    def join(self, address: str, quantity: int = 1, shape: str = "plain", **more: Any) -> Person:
        """Let somebody subscribe now."""
        card = "pm_card_chargeCustomerFail" if shape == "incomplete" else "pm_card_visa"
        paying = {"payment_method": card, "invoice_settings": {"default_payment_method": card}}
        customer = self.api.customer(email="somebody@example.com", **paying)["id"]
        self.customers.append(customer)
        form: dict[str, Any] = {"customer": customer, "items": [{"price": self.old[address], "quantity": quantity}]}
        form |= more
        form |= {
            "discount": {"discounts": [{"coupon": self.coupons[0]}]},
            "repeating": {"discounts": [{"coupon": self.coupons[1]}]},
            "trial": {"trial_period_days": 40},
            "sent": {"collection_method": "send_invoice", "days_until_due": 30},
            "classic": {"billing_mode": {"type": "classic"}},
            "cancelling": {"cancel_at_period_end": True},
        }.get(shape, {})
        if shape in ("metered", "both") and address != YEARLY:
            form["items"].append({"price": self.old[CALLS] if shape == "metered" else self.old[DECOY]})
        made = self.api.post("/v1/subscriptions", form)
        person = Person(made["id"], customer, address, quantity, shape, self.world.clock.now)
        if shape == "planned":
            self.plan(person)
        return person

    def plan(self, person: Person) -> None:
        """Let somebody plan twice as many for the next period by a schedule of their own."""
        address, quantity = person.address, person.quantity
        made = self.api.post("/v1/subscription_schedules", {"from_subscription": person.id})
        now = made["phases"][0]
        first = {"start_date": now["start_date"], "end_date": now["end_date"]}
        phases = [
            {"items": [{"price": self.old[address], "quantity": quantity}], **first},
            {"items": [{"price": self.old[address], "quantity": quantity * 2}]},
        ]
        self.api.post(f"/v1/subscription_schedules/{made['id']}", {"phases": phases})

    @property
    def after(self) -> dict[str, Any]:
        """The files with their new amounts."""
        return sections(self.policies, changed=True)

    def moving(self) -> list[Person]:
        """Return who has to move."""
        return [
            each
            for each in self.people
            if each.address != DECOY and self.policies[each.address] != "grandfather" and each.shape not in OVER
        ]

    def update(self, person: Person, **form: Any) -> None:
        """Let somebody change their subscription."""
        self.api.post(f"/v1/subscriptions/{person.id}", form)

    def items(self, person: Person) -> Sequence[Mapping[str, Any]]:
        """Return a person's items as they are now."""
        items: Sequence[Mapping[str, Any]] = self.api.get(f"/v1/subscriptions/{person.id}")["items"]["data"]
        return items

    def item(self, person: Person) -> Mapping[str, Any]:
        """Return the item a person subscribed with."""
        return next(each for each in self.items(person) if each["price"]["metadata"]["address"] == person.address)

    def new(self) -> dict[str, str]:
        """Return the ids of the prices that addresses stand for now."""
        newest_last = self.world.prices(active=True)[::-1]
        return {price.metadata["address"]: price.id for price in newest_last}

    def lines(self, person: Person, *, since: int = 0) -> list[Mapping[str, Any]]:
        """Return the lines of a person's invoices made since, oldest first."""
        found = self.api.get("/v1/invoices", {"subscription": person.id, "limit": 100})["data"][::-1]
        return [line for each in found if each["created"] >= since for line in each["lines"]["data"]]


def check(account: Account, *plans: Plan) -> None:
    """Check that everybody is where the declared policy puts them, and that invoices come to what the plans have told.

    First as it is now, then after the next renewal of everybody, once and for a whole period.
    """
    told = {each.subscription: each for plan in plans for moved in plan.migrations for each in moved.movers}
    moving = account.moving()
    assert {each.id for each in moving} == set(told) & {each.id for each in moving}
    assert len(plans) > 1 or len(told) == len(moving)
    now = account.world.clock.now
    for person in account.people:
        moves = person in moving
        policy = account.policies.get(person.address, "grandfather") if moves else "grandfather"
        if person.shape != "incomplete":
            assert is_on(account, person, changed=policy in ("now", "now_prorated")), (person, policy)
        if moves:
            _check_told(told[person.id], person, policy)
            _check_prorations(account, person, policy)
    new = account.new()
    for addresses in ((MONTHLY, SEATS, DECOY), (YEARLY,)):
        people = [each for each in account.people if each.address in addresses]
        account.world.clock.now = max((each.renews for each in people), default=now) + 2 * DAY
        for person in people:
            if person.shape not in ("cancelling", "incomplete"):
                _check_renewal(account, person, now, new[person.address] if person in moving else None)
            if person.shape not in ("planned", "cancelling", "incomplete"):
                assert account.api.get(f"/v1/subscriptions/{person.id}")["schedule"] is None, person
            account.api.send("DELETE", f"/v1/subscriptions/{person.id}")


def is_on(account: Account, person: Person, *, changed: bool) -> bool:
    """Tell whether a person's item is on the predecessor, or on the successor where it has changed."""
    item = account.item(person)
    quantity = person.quantity * (2 if person.shape == "planned" and account.world.clock.now > person.renews else 1)
    assert item["quantity"] == quantity, person
    return (item["price"]["id"] != account.old[person.address]) is changed


def _check_told(mover: Mover, person: Person, policy: str) -> None:
    assert (mover.customer, mover.tenant, mover.quantity, mover.policy) == (
        person.customer,
        None,
        person.quantity,
        policy,
    )
    assert (mover.before, mover.after) == tuple(
        due(person.address, person.quantity, changed=changed) for changed in (False, True)
    )


def _check_prorations(account: Account, person: Person, policy: str) -> None:
    """Check what waits for the next invoice: the exact difference for the rest of the period, or nothing.

    Discounts count in prorations, and what is given back of a quantity is what was billed of it.
    """
    form = {"customer": person.customer, "pending": True, "limit": 100}
    waiting = [each["amount"] for each in account.api.get("/v1/invoiceitems", form)["data"]]
    if policy != "now_prorated" or person.shape == "trial":
        assert waiting == [], person
    elif person.shape not in ("discount", "repeating", "more"):
        end, at = person.renews, account.world.clock.now
        share = Fraction(end - at, end - person.since)
        old, new = (due(person.address, person.quantity, changed=changed) for changed in (False, True))
        flat = BRACKETS[SEATS][0][2] if person.address == SEATS and person.quantity > 10 else 0
        apart = (old,) if person.shape == "classic" else (old - flat, flat)
        credit = sum(half_up(line * share) for line in apart)
        assert sum(waiting) == half_up(new * share) - credit, person


def _check_renewal(account: Account, person: Person, since: int, new: str | None) -> None:
    """Check that the first renewal since then charges the item once, at the price it is to be on, new or old."""
    old = account.old[person.address]
    lines = [
        line
        for line in account.lines(person, since=since)
        if line["pricing"]["price_details"]["price"] in (old, new)
        and line["period"]["start"] >= since
        and not line["parent"]["subscription_item_details"]["proration"]
    ]
    first = min(line["period"]["start"] for line in lines)
    charged = [line for line in lines if line["period"]["start"] == first]
    assert {line["pricing"]["price_details"]["price"] for line in charged} == {new or old}, person
    quantity = person.quantity * (2 if person.shape == "planned" else 1)
    assert sum(line["amount"] for line in charged) == due(person.address, quantity, changed=new is not None), person
