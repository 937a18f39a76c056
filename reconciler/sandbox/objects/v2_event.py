"""Thin events (https://docs.stripe.com/api/v2/core/events): what happened, without the object, for 30 days."""

from collections.abc import Iterable

from reconciler.sandbox import thin_events, v2
from reconciler.sandbox.lists import Filter, at_most
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.objects.event import MAX_TYPES, RETENTION_SECONDS
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj


def _list(call: Call) -> Obj:
    params = call.params
    filters: list[Filter] = []
    if "object_id" in params:
        filters.append(("object_id", [params["object_id"]]))
    if params.get("types"):
        filters.append(("type", at_most(params["types"], MAX_TYPES, "types")))
    return v2.page(call, FAMILY, *filters, oldest=call.now - RETENTION_SECONDS)


def _retrieve(call: Call) -> Obj:
    """Return an event of the last 30 days."""
    row = call.tx.find(FAMILY.kind, call.ids["id"])
    if row is None or row.created < call.now - RETENTION_SECONDS:
        raise v2.not_found(FAMILY.noun, call.ids["id"])
    return row.body


def _terms(obj: Obj) -> Iterable[Term]:
    yield "type", obj["type"]
    if "id" in (obj["related_object"] or {}):
        yield "object_id", obj["related_object"]["id"]


FAMILY = Family(
    kind="v2.core.event",
    noun="event",
    emits_events=False,
    reacts={"event.created": thin_events.tell},
    terms=_terms,
    template={
        "object": "v2.core.event",
        "changes": None,
        "context": None,
        "created": 0,
        "data": None,
        "livemode": False,
        "reason": None,
        "related_object": None,
        "snapshot_event": None,
        "type": "",
    },
    routes=(
        Route("GET", "/v2/core/events", "v2.core.EventListParams", _list, lists=True),
        Route("GET", "/v2/core/events/{id}", "v2.core.EventRetrieveParams", _retrieve),
    ),
)
