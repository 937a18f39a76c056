"""An event for every change, written in the transaction of the change (https://docs.stripe.com/api/events/object)."""

from typing import Any

from reconciler.sandbox.expand import show
from reconciler.sandbox.objects import event
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.version import API_VERSION
from reconciler.sandbox.wire import Obj


def record(call: Call, event_type: str, obj: Obj, previous: Obj | None) -> None:
    """Store the event of a change: the object as shown without expansion, and for updates what it was before.

    ``_at`` is the sandbox's own time, which ``created`` is not for objects on a test clock.
    """
    family = call.families[obj["object"]]
    after = show(call.tx, call.families, family, obj)
    data: Obj = {"object": after}
    if previous is not None:
        data["previous_attributes"] = difference(show(call.tx, call.families, family, previous), after)
    call.create(
        event.FAMILY,
        call.fill(
            event.FAMILY,
            call.new_id("evt_1", 23),
            api_version=API_VERSION,
            data=data,
            request={"id": call.origin.request_id, "idempotency_key": call.origin.idempotency_key},
            type=event_type,
            _at=call.own_now,
        ),
    )


def difference(before: Obj, after: Obj) -> Obj:
    """Return the old values of what changed, mappings key by key; a key that is new was ``None`` (observed)."""
    changed: Obj = {}
    for key in before | after:
        old, new = before.get(key), after.get(key)
        if old != new:
            both: Any = difference(old, new) if isinstance(old, dict) and isinstance(new, dict) else old
            changed[key] = both
    return changed
