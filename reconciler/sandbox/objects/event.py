"""Events: what happened, newest first, for 30 days (https://docs.stripe.com/api/events)."""

from collections.abc import Iterable

from reconciler.sandbox.errors import exclusive, no_such
from reconciler.sandbox.lists import at_most, page
from reconciler.sandbox.objects.base import Call, Family, Route, flag
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj

RETENTION_SECONDS = 30 * 86_400
MAX_TYPES = 20
#: What a discount can belong to beside its customer; such a discount has no address.
_NARROWER = ("invoice", "invoice_item", "subscription", "subscription_item")


def _list(call: Call) -> Obj:
    params = call.params
    if "type" in params and "types" in params:
        raise exclusive("type", "types")
    types = [params["type"]] if "type" in params else at_most(params.get("types", ()), MAX_TYPES, "types")
    filters = [("type", types)] if types and "*" not in types else []
    if "delivery_success" in params:
        filters.append(("delivery_success", [flag(params["delivery_success"])]))
    return page(call, FAMILY, *filters, oldest=call.now - RETENTION_SECONDS)


def _retrieve(call: Call) -> Obj:
    """Handle ``GET /v1/events/{id}``, which finds events "created in the last 30 days" (its description)."""
    event = call.row().body
    if event["created"] < call.now - RETENTION_SECONDS:
        raise no_such(FAMILY.noun, event["id"], FAMILY.missing_param, status=404)
    return event


def subject(event: Obj) -> Obj | None:
    """Return the object that an event is about; ``None`` if no request could fetch it."""
    obj: Obj = event["data"]["object"]
    if obj["object"] == "billing.alert_triggered":
        return dict(obj["alert"])
    return None if obj["object"] == "discount" and any(obj[name] for name in _NARROWER) else obj


def _terms(obj: Obj) -> Iterable[Term]:
    """List an event under its type and the groups of types it is in: ``billing.meter.*``, ``billing.*``.

    What no endpoint waits for counts as delivered; what waits or has failed for good does not.
    """
    yield "delivery_success", flag(not obj["pending_webhooks"])
    yield "type", obj["type"]
    parts = obj["type"].split(".")
    for length in range(1, len(parts)):
        yield "type", ".".join([*parts[:length], "*"])
    if "id" in (about := subject(obj) or {}):
        yield "object_id", about["id"]


FAMILY = Family(
    kind="event",
    noun="event",
    emits_events=False,
    terms=_terms,
    template={
        "object": "event",
        "api_version": None,
        "created": 0,
        "data": {},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": "",
    },
    routes=(
        Route("GET", "/v1/events", "EventListParams", _list, lists=True),
        Route("GET", "/v1/events/{id}", "EventRetrieveParams", _retrieve),
    ),
)
