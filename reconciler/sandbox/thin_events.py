"""The thin events of v1's objects: a twin of every snapshot event, and what its change means in one word.

Sources: https://docs.stripe.com/webhooks/migrate-snapshot-to-thin-events (twins, ``snapshot_event``) and Stripe's
changelog of 2026-09-30 (``changes``) and 2026-10-28 (the words). Told are the words that follow from the snapshots of
subscriptions, products, prices and invoices; only twins name their snapshot and their changes.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from reconciler.sandbox import v2
from reconciler.sandbox.objects.base import Call
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
#: What a discount can belong to beside its customer; such a discount has no address.
_NARROWER = ("invoice", "invoice_item", "subscription", "subscription_item")


@cache
def types() -> frozenset[str]:
    """Return the types of thin events that the SDK knows."""
    from stripe.events import _event_classes  # noqa: PLC0415  a large table that is loaded when it is first needed

    return frozenset(_event_classes._V2_EVENT_CLASS_LOOKUP)  # noqa: SLF001  the SDK has no public list


def tell(call: Call, event: Obj) -> None:
    """Store the thin events that go with a snapshot event: its twin first."""
    subject = _subject(event["data"]["object"])
    if f"v1.{event['type']}" in types() and subject is not None:
        v2.thin(call, f"v1.{event['type']}", subject, changes=_changes(event["data"]), snapshot_event=event["id"])
    stem = event["type"].rpartition(".")[0]
    for word in _words(call, event):
        v2.thin(call, f"v1.{stem}.{word}", subject)


def _subject(obj: Obj) -> Obj | None:
    """Return the object that the thin event is about; ``None`` if no request could fetch it."""
    if obj["object"] == "billing.alert_triggered":
        return dict(obj["alert"])
    return None if obj["object"] == "discount" and any(obj[name] for name in _NARROWER) else obj


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
