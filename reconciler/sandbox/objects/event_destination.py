"""Event destinations of the v2 API (https://docs.stripe.com/api/v2/core/event-destinations): webhooks, of either form.

A snapshot destination is told of v1's events as a webhook endpoint is, a thin one of the events of v2. The address and
the secret are shown only where ``include`` asks for them.
"""

from functools import cache

from reconciler.sandbox import params, thin_events, v2
from reconciler.sandbox.delivery import PING, enqueue, forget
from reconciler.sandbox.errors import exclusive, invalid, missing, not_modelled
from reconciler.sandbox.objects.base import Call, Family, Route, overlay
from reconciler.sandbox.objects.webhook_endpoint import check_url
from reconciler.sandbox.store import Row
from reconciler.sandbox.version import API_VERSION
from reconciler.sandbox.wire import Obj

_URL, _SECRET = "webhook_endpoint.url", "webhook_endpoint.signing_secret"
_OWN_EVENTS = ["@self"]
_MUTABLE = ("description", "enabled_events", "metadata", "name")


@cache
def snapshot_types() -> frozenset[str]:
    """Return the types of events that v1 has, as the SDK's type of ``enabled_events`` lists them."""
    listed = params.schema("WebhookEndpointCreateParams").members["enabled_events"].spec
    assert isinstance(listed, params.Array)  # noqa: S101  the SDK's type
    assert isinstance(listed.item, params.Text)  # noqa: S101  as above
    return frozenset(listed.item.choices)


def _create(call: Call) -> Obj:
    given = call.params
    if given["type"] != "webhook_endpoint":
        raise not_modelled(f"event destinations of type {given['type']}", "type")
    if given.get("events_from", _OWN_EVENTS) != _OWN_EVENTS:
        raise not_modelled("events of other accounts", "events_from")
    if "webhook_endpoint" not in given:
        raise missing("webhook_endpoint")
    thin = given["event_payload"] == "thin"
    if thin and "snapshot_api_version" in given:
        raise exclusive("event_payload", "snapshot_api_version")
    if given.get("snapshot_api_version", API_VERSION) != API_VERSION:
        raise not_modelled(f"API versions other than {API_VERSION}", "snapshot_api_version")
    _check(call, given["event_payload"])
    empty = call.fill(
        FAMILY,
        call.new_id("ed_test_61", 28),
        _secret=call.new_id("whsec_", 32),
        _url=given["webhook_endpoint"]["url"],
        event_payload=given["event_payload"],
        snapshot_api_version=None if thin else API_VERSION,
    )
    return _included(call, call.create(FAMILY, overlay(empty, given, _MUTABLE)))


def _check(call: Call, form: str) -> None:
    """Refuse an address that is none, no events, and types that are not of this form."""
    given = call.params
    if "webhook_endpoint" in given:
        check_url(given["webhook_endpoint"]["url"], "webhook_endpoint.url")
    if "enabled_events" not in given:
        return
    if not given["enabled_events"]:
        raise missing("enabled_events")
    known = thin_events.types() if form == "thin" else snapshot_types()
    if form == "thin" and call.settings.thin_destinations_take_all:
        known |= {"*"}
    for index, each in enumerate(given["enabled_events"]):
        if each not in known:
            raise invalid(f"{each[:80]} is not a type of {form} events.", f"enabled_events[{index}]")


def _included(call: Call, destination: Obj) -> Obj:
    """Return the destination with those of its hidden fields that the request asks for."""
    wanted = call.params.get("include", ())
    secret = destination["_secret"] if _SECRET in wanted else None
    return {
        **destination,
        "webhook_endpoint": {"signing_secret": secret, "url": destination["_url"] if _URL in wanted else None},
    }


def _row(call: Call) -> Row:
    row = call.tx.find(FAMILY.kind, call.ids["id"])
    if row is None:
        raise v2.not_found(FAMILY.noun, call.ids["id"])
    return row


def _retrieve(call: Call) -> Obj:
    return _included(call, _row(call).body)


def _update(call: Call) -> Obj:
    row, given = _row(call), call.params
    _check(call, row.body["event_payload"])
    changed = overlay(row.body, given, _MUTABLE)
    if "webhook_endpoint" in given:
        changed["_url"] = given["webhook_endpoint"]["url"]
    return _included(call, call.save(FAMILY, row, changed))


def _enable(call: Call) -> Obj:
    row = _row(call)
    return _included(call, call.save(FAMILY, row, {**row.body, "status": "enabled", "status_details": None}))


def _disable(call: Call) -> Obj:
    row = _row(call)
    why = {"disabled": {"reason": "user"}}
    return _included(call, call.save(FAMILY, row, {**row.body, "status": "disabled", "status_details": why}))


def _delete(call: Call) -> Obj:
    row = _row(call)
    forget(call.tx, row.body)
    deleted = call.delete(FAMILY, row)
    return {"id": deleted["id"], "object": FAMILY.kind}


def _ping(call: Call) -> Obj:
    """Send a thin event to this destination alone, whatever it is told of otherwise."""
    destination = _row(call).body
    event = v2.thin(call, PING, destination)
    enqueue(call.tx, call.own_now, event, destination)
    return event


def _list(call: Call) -> Obj:
    found = v2.page(call, FAMILY)
    return {**found, "data": [_included(call, destination) for destination in found["data"]]}


_PATH = "/v2/core/event_destinations"
FAMILY = Family(
    kind="v2.core.event_destination",
    noun="event destination",
    emits_events=False,
    template={
        "object": "v2.core.event_destination",
        "created": 0,
        "description": "",
        "enabled_events": [],
        "event_payload": "",
        "events_from": _OWN_EVENTS,
        "livemode": False,
        "metadata": {},
        "name": "",
        "snapshot_api_version": None,
        "status": "enabled",
        "status_details": None,
        "type": "webhook_endpoint",
        "updated": 0,
    },
    routes=(
        Route("POST", _PATH, "v2.core.EventDestinationCreateParams", _create),
        Route("GET", _PATH, "v2.core.EventDestinationListParams", _list, lists=True),
        Route("GET", f"{_PATH}/{{id}}", "v2.core.EventDestinationRetrieveParams", _retrieve),
        Route("POST", f"{_PATH}/{{id}}", "v2.core.EventDestinationUpdateParams", _update),
        Route("DELETE", f"{_PATH}/{{id}}", "v2.core.EventDestinationDeleteParams", _delete),
        Route("POST", f"{_PATH}/{{id}}/disable", "v2.core.EventDestinationDisableParams", _disable),
        Route("POST", f"{_PATH}/{{id}}/enable", "v2.core.EventDestinationEnableParams", _enable),
        Route("POST", f"{_PATH}/{{id}}/ping", "v2.core.EventDestinationPingParams", _ping),
    ),
)
