"""Meter events of the v2 API: one checked at once, or up to 100 streamed and checked later.

Source: https://docs.stripe.com/api/v2/billing/meter-event and meter-event-stream. Both are counted with v1's.
"""

from typing import Any

from reconciler.sandbox import v2
from reconciler.sandbox.billing import metering
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.lists import too_many
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.wire import Obj

MAX_STREAMED = 100
#: What is answered at once, by its code there (OpenAPI: ``POST /v2/billing/meter_events``); the rest is a setting.
AT_ONCE = {
    "archived_meter": "archived_meter",
    "duplicate_meter_event": "duplicate_meter_event",
    "meter_event_invalid_value": "payload_invalid_value",
    "meter_event_no_customer_defined": "payload_no_customer_defined",
    "meter_event_value_not_found": "payload_no_value_defined",
    "no_meter": "no_meter",
}


def _create(call: Call) -> Obj:
    sent = _sent(call.params, "")
    try:
        event = metering.accept(call, sent)
    except metering.RejectedError as rejected:
        if call.settings.meter_events_checked_at_once or rejected.code in AT_ONCE:
            raise ApiError(400, rejected.message, code=AT_ONCE.get(rejected.code, rejected.code)) from None
        metering.report(call, [rejected])
        now = call.now if sent.at is None else sent.at
        event = {"created": call.now, "identifier": rejected.identifier, "timestamp": now}
    return {
        **FAMILY.template,
        "created": event["created"],
        "event_name": sent.event_name,
        "identifier": event["identifier"],
        "payload": dict(sent.payload),
        "timestamp": v2.iso(event["timestamp"], sent.micros),
    }


def _stream(call: Call) -> Obj:
    """Take events; what is wrong with some of them is told by thin events, and a known identifier is ignored."""
    events = call.params["events"]
    if len(events) > MAX_STREAMED:
        raise too_many("events", MAX_STREAMED)
    sent = [_sent(event, f"events[{index}]") for index, event in enumerate(events)]
    rejected = []
    for each in sent:
        try:
            metering.accept(call, each)
        except metering.DuplicateError:
            continue
        except metering.RejectedError as error:
            rejected.append(error)
    metering.report(call, rejected)
    return {}


def _sent(given: dict[str, Any], at: str) -> metering.Sent:
    metering.check_payload(given["payload"])
    param = f"{at}[timestamp]" if at else "timestamp"
    seconds, micros = v2.instant(given["timestamp"], param) if "timestamp" in given else (None, 0)
    return metering.Sent(given["event_name"], given["payload"], given.get("identifier"), seconds, micros)


FAMILY = Family(
    kind="v2.billing.meter_event",
    noun="meter event",
    emits_events=False,
    lengths={
        "event_name": 100,
        "events[][event_name]": 100,
        "events[][identifier]": 100,
        "identifier": 100,
    },
    template={
        "object": "v2.billing.meter_event",
        "created": 0,
        "event_name": "",
        "identifier": "",
        "livemode": False,
        "payload": {},
        "timestamp": "",
    },
    routes=(
        Route("POST", "/v2/billing/meter_events", "v2.billing.MeterEventCreateParams", _create, sole=metering.sole),
        Route("POST", v2.STREAM, "v2.billing.MeterEventStreamCreateParams", _stream),
    ),
)
