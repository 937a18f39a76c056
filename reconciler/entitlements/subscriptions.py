"""Which of a customer's subscriptions rules, and what it means here: a plan, a status, a period, since when.

Nothing but what the payment provider says of them at one moment counts, so that every order of news ends alike.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from reconciler.entitlements.policy import Policy
from reconciler.entitlements.standing import ENTITLED, Subscription

_PLANS = "plans."
#: Statuses from the one that rules to the one that does so only alone. A first payment that is missing displaces
#: nothing; a live subscription that refuses comes before one that is over and leaves the default plan.
_RANKS = {"past_due": 1, "unpaid": 2, "paused": 2, "canceled": 3, "incomplete_expired": 4, "incomplete": 5}


class Item(NamedTuple):
    """One price of a subscription: its address in the files, if it has our mark, and the period it is billed in."""

    address: str | None
    start: int | None
    end: int | None


class Held(NamedTuple):
    """A subscription of a tenant; instants in microseconds. ``sells`` is the plan it was sold as, by its metadata.

    ``since`` is when it came to its status, as far as its own data tell.
    """

    id: str
    status: str
    created: int
    since: int
    anchor: int | None
    items: tuple[Item, ...]
    sells: str | None = None


class Followed(NamedTuple):
    """What a ruling subscription means, and what somebody should know of it."""

    subscription: Subscription
    note: str = ""


def ruling(held: Iterable[Held]) -> Held | None:
    """Return the subscription that decides: one that entitles, then past due, then the others; the newest of equals."""
    return min(held, key=lambda each: (_rank(each), -each.created, each.id), default=None)


def _rank(held: Held) -> int:
    return 0 if held.status in ENTITLED else _RANKS.get(held.status, max(_RANKS.values()))


def follow(held: Held, policy: Policy, tenant: str, known: str | None) -> Followed | None:
    """Return what a subscription means for a tenant whose plan was ``known``; None where it changes nothing yet.

    Whoever only begins to buy keeps what it has by the default plan; a tenant of the files has to pay first.
    """
    if held.status == "incomplete" and tenant not in policy.tenants:
        return None
    item, plan = _bought(held, policy.plans)
    note = ""
    if plan not in policy.plans:
        own = policy.tenants.get(tenant)
        candidates = (known, held.sells, own.plan if own else None)
        kept = next((each for each in candidates if each in policy.plans), None)
        of_its_own = item.address is not None and item.address.startswith("tenants.")
        if not of_its_own:
            what = f"plan {plan} is not in these files" if plan else "its price is not of these files"
            note = f"subscription {held.id}: {what}; the tenant {f'keeps plan {kept}' if kept else 'has no plan'}"
        plan = kept or plan
    return Followed(Subscription(plan, held.status, item.start, item.end, held.anchor, held.since), note)


def _bought(held: Held, plans: Collection[str]) -> tuple[Item, str | None]:
    """Return the item that tells the plan, and the plan: a flat price before usage, a plan of the files before others.

    Where no item tells one, the first counts for its period.
    """
    items = sorted(held.items, key=lambda each: (each.address is None, each.address or ""))
    told = [(item, plan) for item in items if (plan := plan_of(item.address)) is not None]
    told.sort(key=lambda each: (each[1] not in plans, ".prices." not in str(each[0].address)))
    return told[0] if told else (items[0] if items else Item(None, None, None), None)


def plan_of(address: str | None) -> str | None:
    """Return the plan whose product, price, usage or spend has an address."""
    if address is None or not address.startswith(_PLANS):
        return None
    return address.removeprefix(_PLANS).partition(".")[0]
