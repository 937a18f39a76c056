"""Meter events (https://docs.stripe.com/api/billing/meter-event): sent, counted, never shown again."""

from collections.abc import Iterable

from reconciler.sandbox.billing import metering, usage
from reconciler.sandbox.errors import ApiError, no_such
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import Claim, Term
from reconciler.sandbox.wire import Obj


def _create(call: Call) -> Obj:
    """Store an event; what is wrong with it is told at once or, by a setting, only later by a thin event."""
    params = call.params
    metering.check_payload(params["payload"])
    sent = metering.Sent(params["event_name"], params["payload"], params.get("identifier"), params.get("timestamp"))
    try:
        event = metering.accept(call, sent)
    except metering.RejectedError as rejected:
        if call.settings.meter_events_checked_at_once or isinstance(rejected, metering.DuplicateError):
            raise _refusal(rejected) from None
        metering.report(call, [rejected])
        event = _unstored(call, sent, rejected.identifier)
    return {name: value for name, value in event.items() if name != "id"}


def _refusal(rejected: metering.RejectedError) -> ApiError:
    """Return the 400; the header as observed in langfuse/langfuse#16292."""
    if rejected.code == "meter_event_customer_not_found":
        return no_such("customer", rejected.message.split("'")[1], rejected.param)
    return ApiError(400, rejected.message, param=rejected.param, headers={"stripe-should-retry": "false"})


def _unstored(call: Call, sent: metering.Sent, identifier: str) -> Obj:
    """Return what an event looks like that was taken and will not count."""
    return call.fill(
        FAMILY,
        "",
        event_name=sent.event_name,
        identifier=identifier,
        payload=dict(sent.payload),
        timestamp=call.now if sent.at is None else sent.at,
    )


def _terms(obj: Obj) -> Iterable[Term]:
    yield usage.term(obj["_meter"], obj["_customer"])


def _claims(obj: Obj, settings: Settings) -> Iterable[Claim]:
    yield metering.identity(obj["event_name"], obj["identifier"], settings)


FAMILY = Family(
    kind=usage.EVENTS,
    noun="meter event",
    emits_events=False,
    lengths={"event_name": 100, "identifier": 100},
    terms=_terms,
    claims=_claims,
    template={
        "object": usage.EVENTS,
        "created": 0,
        "event_name": "",
        "identifier": "",
        "livemode": False,
        "payload": {},
        "timestamp": 0,
    },
    routes=(Route("POST", "/v1/billing/meter_events", "billing.MeterEventCreateParams", _create, sole=metering.sole),),
)
