"""Deliveries: events on their way to endpoints, written in the transaction of the event, so that none is lost.

A delivery is a stored object that no request of Stripe's shows. While it waits it stands in the queue of its endpoint,
a clock of its own in the table of what is due; :mod:`reconciler.sandbox.webhooks` takes it from there.
"""

from collections.abc import Iterable
from typing import Any

from reconciler.sandbox.objects import event as events
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import EVERYTHING, Due, Row, Term, Tx, Window
from reconciler.sandbox.wire import Obj

KIND = "webhook_delivery"
#: What the clocks that are queues of deliveries begin with; the rest is the endpoint's id.
QUEUE = "~"
#: Due at once, whatever the clock says.
NOW = 0
#: The type of the event that tests a destination; only that one is told of it.
PING = "v2.core.event_destination.ping"
DESTINATION = "v2.core.event_destination"
#: The kinds of objects that are told of events; the first takes snapshots only.
RECEIVERS = ("webhook_endpoint", DESTINATION)
_ALL = 1 << 30
_OLDEST = Window(_ALL, from_oldest=True)


def tell(call: Call, event: Obj) -> None:
    """Let an event wait for everyone who wants it, in its own transaction."""
    if not call.tx.present(RECEIVERS):
        return
    for endpoint in receivers(call.tx, event):
        enqueue(call.tx, call.own_now, event, endpoint)


def forget(tx: Tx, endpoint: Obj) -> None:
    """Cancel what waits for an endpoint that is deleted; no event counts it any more.

    ``pending_webhooks`` counts the URLs that an account has (https://docs.stripe.com/api/events/object).
    """
    told: set[str] = set()
    for row in tx.page(KIND, [("endpoint", endpoint["id"])], _OLDEST):
        sent = row.body
        if sent["event"] not in told and _still_counted(tx, sent):
            _count(tx, sent["event_kind"], sent["event"], -1)
        told.add(sent["event"])
        if sent["status"] == "pending":
            close(tx, row, "canceled")


def receivers(tx: Tx, event: Obj) -> list[Obj]:
    """Return the enabled endpoints and destinations that want an event, oldest first."""
    kinds = RECEIVERS if event["object"] == "event" else RECEIVERS[1:]
    rows = [row for kind in kinds for row in tx.page(kind, [EVERYTHING], _OLDEST)[::-1]]
    return [row.body for row in rows if row.body["status"] == "enabled" and _wants(row.body, event)]


def _wants(endpoint: Obj, event: Obj) -> bool:
    """Tell whether an endpoint takes events of this form, snapshot or thin, and of this type."""
    form = "snapshot" if event["object"] == "event" else "thin"
    wanted = endpoint["enabled_events"]
    of_this_form = endpoint.get("event_payload", "snapshot") == form and event["type"] != PING
    return of_this_form and ("*" in wanted or event["type"] in wanted)


def enqueue(tx: Tx, now: int, event: Obj, endpoint: Obj, *, manual: bool = False) -> Obj:
    """Let an event wait for its delivery; unless a person asks for it, the event counts it in ``pending_webhooks``."""
    delivery = {
        "id": f"whd_{tx.next(KIND)}",
        "object": KIND,
        "created": now,
        "endpoint": endpoint["id"],
        "endpoint_kind": endpoint["object"],
        "event": event["id"],
        "event_kind": event["object"],
        "event_type": event["type"],
        "manual": manual,
        "status": "pending",
        "due": NOW,
        "attempts": [],
    }
    row = tx.insert(KIND, delivery, now, _terms(delivery))
    tx.wait(KIND, row.seq, Due(QUEUE + endpoint["id"], NOW, 0))
    if not manual:
        _count(tx, event["object"], event["id"], 1)
    return delivery


def find(tx: Tx, limit: int, **filters: str) -> list[Obj]:
    """Return deliveries, newest first; filters are ``event``, ``endpoint`` and ``status``."""
    rows = tx.page(KIND, [*filters.items()] or [EVERYTHING], Window(limit))
    return [row.body for row in rows]


def postpone(tx: Tx, row: Row, at: int, attempt: Obj | None = None) -> None:
    """Let a delivery wait until a time, after an attempt that failed if there was one."""
    _settle(tx, row, attempt, {"due": at})
    tx.wait(KIND, row.seq, Due(QUEUE + row.body["endpoint"], at, 0))


def close(tx: Tx, row: Row, status: str, attempt: Obj | None = None) -> None:
    """End a delivery: ``succeeded``, ``failed`` for good, or ``canceled`` because its endpoint is gone or disabled.

    The first success of an endpoint takes it out of the event's ``pending_webhooks``.
    """
    if status == "succeeded" and _still_counted(tx, row.body):
        _count(tx, row.body["event_kind"], row.body["event"], -1)
    _settle(tx, row, attempt, {"due": None, "status": status})


def _still_counted(tx: Tx, delivery: Obj) -> bool:
    """Tell whether the event still counts this endpoint: it was told by itself, and never successfully."""
    same = [each for each in find(tx, _ALL, event=delivery["event"]) if each["endpoint"] == delivery["endpoint"]]
    return any(not each["manual"] for each in same) and not any(each["status"] == "succeeded" for each in same)


def _settle(tx: Tx, row: Row, attempt: Obj | None, fields: dict[str, Any]) -> None:
    changed = {**row.body, **fields, "attempts": [*row.body["attempts"], *([attempt] if attempt else [])]}
    tx.update(KIND, row, changed, old_terms=_terms(row.body), new_terms=_terms(changed))
    tx.stop_waiting(row.seq, Due(QUEUE + row.body["endpoint"], row.body["due"], 0))


def _count(tx: Tx, kind: str, event_id: str, change: int) -> None:
    row = tx.find(kind, event_id)
    if row is None or "pending_webhooks" not in row.body:
        return  # the events of version 2 do not count
    changed = {**row.body, "pending_webhooks": row.body["pending_webhooks"] + change}
    terms = events.FAMILY.terms
    tx.update(kind, row, changed, old_terms=terms(row.body), new_terms=terms(changed))


def _terms(delivery: Obj) -> Iterable[Term]:
    return [(name, delivery[name]) for name in ("event", "endpoint", "status")]
