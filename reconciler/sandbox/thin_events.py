"""The thin events of v1's objects: a twin of every snapshot event, and what its change means in one word.

Sources: https://docs.stripe.com/webhooks/migrate-snapshot-to-thin-events (twins, ``snapshot_event``) and Stripe's
changelog of 2026-09-30 (``changes``) and 2026-10-28 (the words). Told are the words that follow from the snapshots of
subscriptions, products, prices and invoices; only twins name their snapshot and their changes.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

from reconciler.sandbox import delivery, v2
from reconciler.sandbox.ids import derive
from reconciler.sandbox.objects.base import Call, Family, Origin
from reconciler.sandbox.objects.event import subject
from reconciler.sandbox.store import Row, Term, Tx, Window
from reconciler.sandbox.wire import Obj

_STATUSES = ("active", "incomplete", "incomplete_expired", "past_due", "trialing", "unpaid")
_SWITCHED: Mapping[Any, str] = {True: "activated", False: "deactivated"}
#: Words for what a field of a kind has become.
_BECAME: Mapping[tuple[str, str], Mapping[Any, str]] = {
    ("subscription", "status"): {status: status for status in _STATUSES},
    ("product", "active"): _SWITCHED,
    ("price", "active"): _SWITCHED,
}
#: Words for a field of a kind that is another now.
_CHANGED: Mapping[tuple[str, str], str] = {
    ("subscription", "cancel_at"): "cancel_at_changed",
    ("subscription", "default_payment_method"): "default_payment_method_changed",
    ("product", "default_price"): "default_price_changed",
    ("product", "tax_code"): "tax_code_changed",
    ("price", "lookup_key"): "lookup_key_changed",
    ("price", "tax_behavior"): "tax_behavior_changed",
}
#: Words for a field of a subscription's item that is another now.
_ITEM_CHANGED = {
    "price": "item_price_changed",
    "quantity": "item_quantity_changed",
    "tax_rates": "item_tax_rates_changed",
}
#: What the ids of snapshots and of thin events begin with; that of a twin goes on like its snapshot's.
_SNAPSHOT, _THIN = "evt_1", "evt_test_61"
#: How many letters more the id of a thin event has.
_MORE = 7


@cache
def types() -> frozenset[str]:
    """Return the types of thin events that the SDK knows."""
    from stripe.events import _event_classes  # noqa: PLC0415  a large table that is loaded when it is first needed

    return frozenset(_event_classes._V2_EVENT_CLASS_LOOKUP)  # noqa: SLF001  the SDK has no public list


def tell(call: Call, event: Obj) -> None:
    """Tell who listens of a snapshot event's twin, then store the other thin events that go with it."""
    if delivery.DESTINATION in call.tx.present(delivery.RECEIVERS) and (twin := twin_of(call.families, event)):
        call.emit(call.families[v2.EVENT], "created", twin)
    about, stem = subject(event), event["type"].rpartition(".")[0]
    for word in _words(call, event):
        v2.thin(call, f"v1.{stem}.{word}", about)


def twin_of(families: Mapping[str, Family], event: Obj) -> Obj | None:
    """Return the twin of a stored snapshot event, ``None`` where Stripe has none."""
    about = subject(event)
    if f"v1.{event['type']}" not in types() or about is None:
        return None
    return {
        **families[v2.EVENT].template,
        "created": event["created"],
        "changes": _changes(event["data"]),
        "reason": v2.reason(Origin(event["request"]["id"], event["request"]["idempotency_key"])),
        "related_object": v2.related(families, about),
        "snapshot_event": event["id"],
        "type": f"v1.{event['type']}",
        "_at": event["_at"],
        "id": _twin_id(event["id"]),
    }


def _twin_id(event_id: str) -> str:
    return _THIN + event_id.removeprefix(_SNAPSHOT) + derive("twin", event_id, length=_MORE)


class Twins:
    """The twins of all snapshot events as a view: each has its snapshot's place, and is not stored."""

    def __init__(self, families: Mapping[str, Family]) -> None:
        self._families = families

    def find(self, tx: Tx, object_id: str) -> Row | None:
        """Return the twin with an id, which names its snapshot; ``None`` if there is none."""
        event_id = _SNAPSHOT + object_id.removeprefix(_THIN)[:-_MORE]
        row = tx.find("event", event_id) if object_id == _twin_id(event_id) else None
        return self._twin(row) if row else None

    def page(self, tx: Tx, terms: Sequence[Term], window: Window) -> list[Row]:
        """Return the twins that carry every term, as thin events are listed: by ``type`` and ``object_id``."""
        wanted = dict(terms)
        if not wanted.get("type", "v1.").startswith("v1."):
            return []
        same = [(name, value.removeprefix("v1.") if name == "type" else value) for name, value in terms]
        twins = (self._twin(row) for row in tx.walk("event", same, window))
        found = (twin for twin in twins if twin and wanted.get("object_id", _id(twin)) == _id(twin))
        return list(islice(found, window.limit))

    def _twin(self, row: Row) -> Row | None:
        twin = twin_of(self._families, row.body)
        return Row(row.seq, row.created, twin) if twin else None


def _id(twin: Row) -> str | None:
    """Return the id of the object a twin is about, if it has one."""
    return (twin.body["related_object"] or {}).get("id")


def _changes(data: Obj) -> Obj | None:
    if "previous_attributes" not in data:
        return None
    return {"before": data["previous_attributes"], "after": _within(data["object"], data["previous_attributes"])}


def _within(after: Obj, shape: Obj) -> Obj:
    """Return of an object what a difference names, mappings key by key."""
    named: Obj = {}
    for key, old in shape.items():
        new = after.get(key)
        named[key] = _within(new, old) if isinstance(old, dict) and isinstance(new, dict) else new
    return named


def _words(call: Call, event: Obj) -> Iterator[str]:
    """Yield what a change means, several times what has happened to several items."""
    obj, before = event["data"]["object"], event["data"].get("previous_attributes", {})
    kind = obj["object"]
    if event["type"] == "customer.subscription.created" and call.settings.new_subscription_tells_status:
        before = {"status": None}
    for field in before:
        if (kind, field) in _BECAME:
            yield from filter(None, [_BECAME[kind, field].get(obj[field])])
        elif (kind, field) in _CHANGED:
            yield _CHANGED[kind, field]
    if kind == "subscription" and "items" in before:
        yield from _item_words(before["items"].get("data", ()), obj["items"]["data"])
    if kind == "invoice" and "discounts" in before:
        yield from _list_words("discount", before["discounts"], obj["discounts"])


def _list_words(noun: str, old: Collection[str], new: Collection[str]) -> Iterator[str]:
    yield from (f"{noun}_added" for each in new if each not in old)
    yield from (f"{noun}_removed" for each in old if each not in new)


def _item_words(before: Sequence[Obj], after: Sequence[Obj]) -> Iterator[str]:
    old, new = ({item["id"]: item for item in items} for items in (before, after))
    yield from _list_words("item", old, new)
    for item_id in filter(old.__contains__, new):
        for field, word in _ITEM_CHANGED.items():
            if _identity(old[item_id].get(field)) != _identity(new[item_id].get(field)):
                yield word


def _identity(value: Any) -> Any:
    """Return the ids of the objects a field shows: a price can change without being another one."""
    if isinstance(value, list):
        return [_identity(each) for each in value]
    return value["id"] if isinstance(value, dict) else value
