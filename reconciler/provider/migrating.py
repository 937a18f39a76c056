"""Comparing files with an account, subscribers included: who is subscribed to a predecessor is read price by price."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from reconciler.planning.diff import Binding, Difference, diff
from reconciler.planning.heirs import Heir, abandoned, heirs, unfinished
from reconciler.planning.live import Live
from reconciler.planning.migration import KIND, Subscriber, Succession, is_on_its_way, move
from reconciler.provider.reads import THREADS, Reader
from reconciler.resources import BY_NAME, Resource
from reconciler.resources.model import Values

_PRICE = "price"


def differ(
    reader: Reader, desired: Sequence[Resource], objects: Sequence[Live], namespace: str, moved: Mapping[str, str]
) -> Difference:
    """Compare what is asked with what is there, and add the subscribers who move to a price's successor."""
    difference = diff(desired, objects, namespace, moved)
    wanted = heirs(desired, difference.changes, objects, namespace)
    left = dict(abandoned(difference.changes, objects, namespace))
    olds = {old for each in wanted for old in each.predecessors}
    listed = subscribed_to(reader, olds | {old for each in left.values() for old in each})
    for change in difference.changes:
        found = (each for old in left.get(change.id or "", ()) for each in listed[old])
        remaining = {each.live.id for each in found if is_on_its_way(each.live)}
        if remaining:
            difference.problems.append(unfinished(change, len(remaining)))
    subscribers = [each for heir in wanted for old in heir.predecessors for each in listed[old]]
    if subscribers:
        _add(difference, reader, wanted, subscribers, namespace)
    return difference


def _add(
    difference: Difference, reader: Reader, wanted: Sequence[Heir], subscribers: Sequence[Subscriber], namespace: str
) -> None:
    successions = [_succession(reader, heir) for heir in wanted]
    moves = move(subscribers, successions, difference.changes, namespace)
    order = [*difference.changes, *moves.changes]
    difference.changes = sorted(order, key=lambda change: (change.address, change.id or ""))
    difference.migrations = moves.migrations
    moving = {each.address for each in moves.migrations if each.movers}
    for heir in wanted:
        if heir.live is not None and heir.address in moving:
            difference.heirs[heir.address] = Binding(_PRICE, heir.live.id, heir.live.fingerprint)


def subscribed_to(reader: Reader, prices: Iterable[str]) -> Mapping[str, list[Subscriber]]:
    """List the live subscriptions to prices, by the price's id."""
    wanted = sorted(prices)
    if not wanted:
        return {}
    with ThreadPoolExecutor(min(THREADS, len(wanted)), thread_name_prefix="read") as pool:
        return dict(zip(wanted, pool.map(lambda price: _subscribers(reader, price), wanted), strict=True))


def _subscribers(reader: Reader, price: str) -> list[Subscriber]:
    kind = BY_NAME[KIND]
    params = {"price": price, "expand": [f"data.{name}" for name in kind.expand]}
    return [_subscriber(reader.whole(kind, raw), raw) for raw in reader.pages(kind.path, params)]


def _subscriber(live: Live, raw: Mapping[str, Any]) -> Subscriber:
    items = raw["items"]["data"]
    periods = {each["price"]["id"]: (each["current_period_start"], each["current_period_end"]) for each in items}
    return Subscriber(live, periods, raw["billing_mode"]["type"] == "classic")


def _succession(reader: Reader, heir: Heir) -> Succession:
    before = {old: heir.known.get(old) or _values(reader, old) for old in heir.predecessors}
    known = {old: values for old, values in before.items() if values is not None}
    new = heir.live.id if heir.live else None
    return Succession(heir.address, heir.policy, known, heir.values, new, heir.source)


def _values(reader: Reader, price: str) -> Values | None:
    found = reader.one(BY_NAME[_PRICE], price)
    return None if found is None else found.values
