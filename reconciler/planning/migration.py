"""Subscribers of a price that has a successor: who moves to it, what they are charged then, who stays, and why. Pure.

A price never changes, so whoever is subscribed stays with the predecessor until the item is moved. A successor whose
``on_change`` moves subscribers names its predecessors in its metadata, so that a plan made anew after a crash still
finds who remains. Tenants in the files are moved by the comparison of their own subscriptions; everybody else here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.planning.change import Action, Change, Reason, State
from reconciler.planning.charged import charge, lines
from reconciler.planning.diff import resolve
from reconciler.planning.live import Live
from reconciler.planning.movers import Migration, Mover, Stayer
from reconciler.resources.mark import owned_metadata
from reconciler.resources.model import Json, Values, held, ref

#: The kind of what is moved.
KIND = "subscription"
#: What stands in an address between that of a price and the subscription that moves to it.
SUBSCRIBERS = "subscribers"
#: Statuses in which nothing will ever be billed again.
_OVER = frozenset(("canceled", "incomplete_expired"))
#: Policies, the gentlest first.
_GENTLE = ("at_renewal", "now", "now_prorated")


@dataclass(frozen=True, slots=True)
class Succession:
    """A price that takes the place of others, which ``before`` holds by id, and how their subscribers move to it.

    ``new`` is its id, None where this plan makes it.
    """

    address: str
    policy: str
    before: Mapping[str, Values]
    after: Values
    new: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A live subscription, and the running period of each of its items by the price's id, in seconds since 1970.

    ``classic`` is the billing mode in which what is not used is given back in one line for each item.
    """

    live: Live
    periods: Mapping[str, tuple[int, int]]
    classic: bool

    @property
    def customer(self) -> str:
        """The id of the customer."""
        return held(self.live.values["customer"])[1]


@dataclass(frozen=True)
class Moves:
    """The changes of subscriptions that are not in the files, and what is told of all of them, price by price."""

    changes: tuple[Change, ...]
    migrations: tuple[Migration, ...]


def move(
    subscribers: Iterable[Subscriber], successions: Sequence[Succession], in_files: Sequence[Change], namespace: str
) -> Moves:
    """Decide what becomes of subscribers, each once whatever number of its prices changes.

    ``in_files`` are the changes that the files' own tenants undergo anyway.
    """
    heirs = {old: succession for succession in successions for old in succession.before}
    tenants = {change.id: change for change in in_files if change.kind.name == KIND and change.policy is not None}
    told = {succession.address: _Told() for succession in successions}
    changes = []
    for subscriber in {each.live.id: each for each in subscribers}.values():
        moving = [(old, heirs[old]) for old in _prices(subscriber.live.values) if old in heirs]
        if not moving or subscriber.live.facts["status"] in _OVER:
            continue
        change, outcome = _decide(subscriber, moving, tenants.get(subscriber.live.id), namespace)
        changes += [change] if change else []
        for old, succession in moving:
            told[succession.address].add(subscriber, old, succession, outcome)
    migrations = [told[each.address].migration(each) for each in successions]
    return Moves(
        tuple(sorted(changes, key=lambda change: change.address)),
        tuple(each for each in migrations if each.movers or each.stayers or each.waiting),
    )


def is_subscriber(change: Change) -> bool:
    """Tell whether a change moves a subscription that is in no file."""
    return change.kind.name == KIND and f".{SUBSCRIBERS}." in change.address


def in_files(changes: Iterable[Change]) -> list[Change]:
    """Return the changes of what the files name."""
    return [change for change in changes if not is_subscriber(change)]


def is_on_its_way(live: Live) -> bool:
    """Tell whether a subscription to a predecessor is still to move: nobody has cancelled it or planned otherwise."""
    over = live.facts["status"] in _OVER
    return not over and not live.values.get("cancel_at_period_end") and not live.facts["strange"]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What becomes of a subscription: it moves, it stays for a reason, or, with neither, it waits for its renewal."""

    moves: bool = False
    reason: str = ""
    tenant: str | None = None


@dataclass
class _Told:
    """What is told of one price, subscription by subscription."""

    movers: list[Mover] = field(default_factory=list)
    stayers: list[Stayer] = field(default_factory=list)
    waiting: int = 0

    def add(self, subscriber: Subscriber, old: str, succession: Succession, outcome: _Outcome) -> None:
        """Add what becomes of an item on a predecessor."""
        whose = (subscriber.live.id, subscriber.customer, outcome.tenant)
        if outcome.moves:
            self.movers.append(_mover(whose, subscriber, old, succession))
        elif outcome.reason:
            self.stayers.append(Stayer(*whose, outcome.reason))
        else:
            self.waiting += 1

    def migration(self, succession: Succession) -> Migration:
        """Return the whole, in order."""
        return Migration(
            succession.address,
            succession.policy,
            tuple(sorted(succession.before)),
            tuple(sorted(self.movers, key=lambda each: (each.tenant or "~", each.subscription))),
            tuple(sorted(self.stayers, key=lambda each: (each.tenant or "~", each.subscription))),
            self.waiting,
        )


def _decide(
    subscriber: Subscriber,
    moving: Sequence[tuple[str, Succession]],
    planned: Change | None,
    namespace: str,
) -> tuple[Change | None, _Outcome]:
    live = subscriber.live
    mark = live.mark
    if mark is not None and mark.namespace == namespace:
        tenant = mark.address.removesuffix(".subscription")
        kept = "" if live.values.get("next") else f"the files keep {tenant} where it is"
        return None, _Outcome(planned is not None, "" if planned else kept, tenant)
    before, after, policy = _states(live, moving)
    if before == after:
        return None, _Outcome()
    reason = _why_it_stays(live, moving, after)
    if reason:
        return None, _Outcome(reason=reason)
    metadata = owned_metadata(live.metadata)
    address, source = min((succession.address, succession.source) for _, succession in moving)
    change = Change(
        address=f"{address}.{SUBSCRIBERS}.{live.id}",
        kind=live.kind,
        action=Action.UPDATE,
        reason=Reason.MIGRATED,
        fields=tuple(row.name for row in live.kind.fields if before.get(row.name) != after.get(row.name)),
        before=State(before, metadata),
        after=State(after, metadata),
        id=live.id,
        fingerprint=live.fingerprint,
        source=source,
        policy=policy,
    )
    return change, _Outcome(moves=True)


def _states(live: Live, moving: Sequence[tuple[str, Succession]]) -> tuple[Values, Values, str]:
    """Return the values of a subscription now, those it is to have, and the policy by which it changes."""
    heirs = {succession.new: succession.address for _, succession in moving if succession.new}
    before = resolve(live.kind, live.values, lambda held_id: heirs.get(held_id[1]) if held_id[0] == "price" else None)
    now, later, policies = list[Values](), list[Values](), set[str]()
    by_id = dict(moving)
    for item in before["items"]:
        succession = by_id.get(held(item["price"])[1]) if "$id" in item["price"] else None
        if succession is None:
            now.append(item)
            later.append(item)
            continue
        moved, policy = {**item, "price": ref(succession.address)}, policy_of(item, succession)
        policies.add(policy)
        now.append(item if policy == "at_renewal" else moved)
        later.append(moved)
    after = {name: value for name, value in before.items() if name not in ("items", "next", "scheduled")}
    after["items"] = now
    if "at_renewal" in policies:
        after |= {"next": later, "scheduled": True}
    return before, live.kind.ordered(after), max(policies, key=_GENTLE.index)


def policy_of(item: Values, succession: Succession) -> str:
    """Return how an item moves: what is metered never within a period, whose usage so far would not be billed.

    https://docs.stripe.com/billing/subscriptions/usage-based/manage-billing-setup#update-prices-mid-cycle
    """
    return succession.policy if "quantity" in item else "at_renewal"


def _why_it_stays(live: Live, moving: Sequence[tuple[str, Succession]], after: Values) -> str:
    """Return why a subscription cannot move, empty where it can."""
    facts, currency = live.facts, live.values["currency"]
    policies = {policy_of(_item(live, old), succession) for old, succession in moving}
    addresses = [each["price"].get("$ref") for each in after.get("next") or after["items"]]
    other = live.mark.namespace if live.mark else None
    known = (
        (other is not None, f"it belongs to namespace {other}"),
        (live.values.get("cancel_at_period_end"), "it is cancelled"),
        (facts["status"] == "incomplete", "its first payment is awaited"),
        (facts["status"] == "paused" and "at_renewal" in policies, "it is paused, and has no renewal"),
        (facts["strange"], "somebody else's schedule plans something for it"),
        (len(policies - {"at_renewal"}) > 1, "its prices change in two ways at once, now and now_prorated"),
        (any(addresses.count(each.address) > 1 for _, each in moving), "it would have the new price twice"),
        (
            any(_is_sold(each.after, currency) is False for _, each in moving),
            f"the new price is not sold in {currency}",
        ),
        (
            any(_starts_anew(old, each) for old, each in moving if policy_of(_item(live, old), each) != "at_renewal"),
            "the new price is due in another interval, which would bill it at once: on_change: at_renewal moves it",
        ),
    )
    return next((reason for applies, reason in known if applies), "")


def _item(live: Live, price: str) -> Values:
    return next(item for item in live.values["items"] if held(item["price"])[1] == price)


def _prices(values: Values) -> Iterator[str]:
    for item in values["items"]:
        yield held(item["price"])[1]


def _is_sold(values: Values, currency: str) -> bool:
    return currency == values["currency"] or currency in (values.get("currency_options") or {})


def _starts_anew(old: str, succession: Succession) -> bool:
    """Tell whether Stripe would begin new periods for the successor (https://docs.stripe.com/api/subscriptions/update)."""
    was, will = succession.before[old]["recurring"], succession.after["recurring"]
    return (was["interval"], was["interval_count"]) != (will["interval"], will["interval_count"])


def _mover(whose: tuple[str, str, str | None], subscriber: Subscriber, old: str, succession: Succession) -> Mover:
    item, currency = _item(subscriber.live, old), str(subscriber.live.values["currency"])
    quantity, was = item.get("quantity"), succession.before[old]
    billed = None if quantity is None else lines(was, quantity, currency)
    return Mover(
        *whose,
        policy_of(item, succession),
        str(subscriber.live.facts["status"]),
        currency,
        quantity,
        None if billed is None else sum(billed),
        None if quantity is None else charge(succession.after, quantity, currency),
        (sum(billed),) if billed and subscriber.classic else billed or (),
        _due(was),
        _due(succession.after),
        subscriber.periods[old],
    )


def _due(values: Values) -> Mapping[str, Json]:
    return {name: values["recurring"][name] for name in ("interval", "interval_count")}
