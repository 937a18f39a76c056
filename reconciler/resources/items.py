"""A subscription's items: what changes them now, and the schedule that changes them at the next renewal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.config.renames import new_address
from reconciler.resources.model import Json, Values, canonical_json, live_price

SCHEDULES = "/v1/subscription_schedules"
#: Metadata of a schedule that moves a subscriber at the renewal.
MADE_FOR = "reconciler_schedule"


def item_of(price: Json, quantity: int | None) -> Values:
    """Return an item in canonical form; what is metered has no quantity."""
    return {"price": price} if quantity is None else {"price": price, "quantity": quantity}


def schedule_of(live: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schedule a subscription is under, empty where it is under none."""
    schedule = live.get("schedule")
    return schedule if isinstance(schedule, Mapping) else {}


def coming(live: Mapping[str, Any]) -> Json:
    """Read the items from the next renewal on, where a schedule says other ones than now.

    What a price was made from is told by the items now: a schedule tells ids alone.
    """
    schedule = schedule_of(live)
    current = schedule.get("current_phase") or {}
    later = [phase for phase in schedule.get("phases") or [] if phase["start_date"] >= current.get("end_date", 0)]
    if not current or not later:
        return None
    known = {each["price"]["id"]: live_price(each["price"]) for each in live["items"]["data"]}
    planned = later[0]["items"]
    return [item_of(known.get(each["price"]) or live_price(each["price"]), each.get("quantity")) for each in planned]


def facts_of(live: Mapping[str, Any]) -> Mapping[str, Json]:
    """Read what planning and writing go by: ids of items, the running phase, whose schedule it is."""
    schedule = schedule_of(live)
    current = schedule.get("current_phase") or {}
    phases = schedule.get("phases") or []
    return {
        "status": live.get("status"),
        "items": {each["price"]["id"]: each["id"] for each in live["items"]["data"]},
        "schedule": schedule.get("id"),
        "phase": next((phase for phase in phases if phase["start_date"] == current.get("start_date")), None),
        "strange": bool(schedule) and not _is_ours(schedule, len(phases)),
        "discounts": [each["id"] for each in live.get("discounts") or [] if isinstance(each, Mapping)],
    }


def is_made_here(schedule: Mapping[str, Any]) -> bool:
    """Tell whether a schedule is one that moves a subscriber at the renewal."""
    return MADE_FOR in (schedule.get("metadata") or {})


def _is_ours(schedule: Mapping[str, Any], phases: int) -> bool:
    """Tell our schedules, and bare ones that change nothing, from those that somebody else planned something with."""
    return is_made_here(schedule) or (phases == 1 and schedule.get("end_behavior") == "release")


def renamed(leaf: Values, namespace: str, moved: Mapping[str, str]) -> Values:
    """Return a held price with the address that the one it was made from has by now: its own mark is never renewed."""
    owner, _, address = str(leaf.get("$of", "")).partition("/")
    return {**leaf, "$of": f"{owner}/{new_address(address, moved)}"} if address and owner == namespace else leaf


def named(item: Values, ids: Mapping[str, str]) -> Values:
    """Return an item of an update with its id in the place of its price; KeyError where that is not an item."""
    return {**item, "id": ids[item["id"]["$item"]]} if "id" in item else item


def phases(
    facts: Mapping[str, Json], now: Sequence[Values], later: Sequence[Values], heirs: Mapping[str, str]
) -> Values:
    """Return the update of a schedule that keeps the subscription as it is ``now`` and goes on with other items.

    A running phase does not tell what was changed on the subscription itself meanwhile, and would take it back.
    ``heirs`` are ids of prices with those of their predecessors: an item keeps discounts and taxes of its own.

    An update replaces all phases, and what a phase does not name is lost (https://docs.stripe.com/api/
    subscription_schedules/update), so both say everything. The second lasts a day: it changes the items at the renewal
    and then leaves the subscription free again. Metadata alone is left out: that of a phase is laid over the
    subscription's own when the phase begins, and would bring an old owner mark back.
    """
    running = facts["phase"]
    terms: Values = {
        "discounts": [{"discount": each} for each in facts["discounts"]] or "",
        "default_tax_rates": _ids(running.get("default_tax_rates")) or "",
        "proration_behavior": "none",
    }
    known = {item["price"]: item for item in map(_phase_item, running["items"])}
    kept, then = (
        [{**known.get(each["price"], known.get(heirs.get(each["price"], ""), {})), **each} for each in items]
        for items in (now, later)
    )
    first: Values = {
        **terms,
        "items": kept,
        "start_date": running["start_date"],
        "end_date": running["end_date"],
    }
    if running.get("trial_end"):
        first["trial_end"] = running["trial_end"]
    second = {**terms, "items": then, "duration": {"interval": "day", "interval_count": 1}}
    return {
        "end_behavior": "release",
        "proration_behavior": "none",
        "phases": [first, second],
        "metadata": {MADE_FOR: "at_renewal"},
    }


def _ids(found: Sequence[Any] | None) -> list[str]:
    return [each["id"] if isinstance(each, Mapping) else each for each in found or []]


def _phase_item(item: Mapping[str, Any]) -> Values:
    """Say an item of a phase as a request does."""
    price = item["price"]
    found: Values = {"price": price["id"] if isinstance(price, Mapping) else price}
    if item.get("quantity") is not None:
        found["quantity"] = item["quantity"]
    if item.get("metadata"):
        found["metadata"] = item["metadata"]
    if item.get("tax_rates"):
        found["tax_rates"] = _ids(item["tax_rates"])
    if item.get("discounts"):
        found["discounts"] = [{"discount": each["discount"]} for each in item["discounts"] if each.get("discount")]
    return found


def patch_items(before: Json, after: Json) -> Json:
    """Return what turns some items into others: a price in place of its predecessor, more, fewer, other quantities.

    What the update does not name stays. A quantity is always said: with another price it would be one again.
    """
    old = {canonical_json(each["price"]): each for each in before or []}
    new = {canonical_json(each["price"]): each for each in after or []}
    gone = [each for key, each in old.items() if key not in new]
    sent: list[Values] = []
    for key, each in new.items():
        if key in old:
            if old[key] != each:
                sent.append({"id": {"$item": each["price"]}, "quantity": each["quantity"]})
            continue
        fitting = [one for one in gone if _takes_place(one, each)]
        place = next((one for one in fitting if _is_successor(each, one)), next(iter(fitting), None))
        if place is None:
            sent.append(each)
        else:
            gone.remove(place)
            sent.append({"id": {"$item": place["price"]}, **each})
    return sent + [{"id": {"$item": each["price"]}, "deleted": True} for each in gone]


def _takes_place(item: Values, successor: Values) -> bool:
    """Tell whether one licensed price stands in the place of another; what is metered is taken off and put on."""
    return "quantity" in item and "quantity" in successor


def successors(before: Sequence[Values], after: Sequence[Values]) -> Iterator[tuple[Json, Json]]:
    """Yield the prices that take the place of others among items, each with its predecessor."""
    for item in after:
        yield from ((item["price"], each["price"]) for each in before if _is_successor(item, each))


def _is_successor(item: Values, predecessor: Values) -> bool:
    """Tell whether the price of an item was made from the same address as another's."""
    address = str(predecessor["price"].get("$of", "")).partition("/")[2]
    return bool(address) and address == item["price"].get("$ref")


def address_of(leaf: Json, namespace: str) -> str | None:
    """Return the address of ours a price is of or was made from."""
    if "$ref" in leaf:
        return str(leaf["$ref"])
    owner, _, address = str(leaf.get("$of", "")).partition("/")
    return address if owner == namespace and address else None
