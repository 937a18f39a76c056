"""Adjustments of meter events (https://docs.stripe.com/api/billing/meter-event-adjustment): an event is cancelled."""

from reconciler.sandbox.billing import metering, usage
from reconciler.sandbox.errors import invalid, missing
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.wire import Obj


def _create(call: Call) -> Obj:
    params = call.params
    identifier = params.get("cancel", {}).get("identifier")
    if identifier is None:
        raise missing("cancel[identifier]" if "cancel" in params else "cancel")
    cancel(call, params["event_name"], identifier)
    return {**FAMILY.template, "cancel": {"identifier": identifier}, "event_name": params["event_name"]}


def cancel(call: Call, event_name: str, identifier: str) -> None:
    """Let an event count no longer; 400 if Stripe received none of that name and identifier within a day.

    An event that is cancelled already stays so.
    """
    row = metering.find(call, event_name, identifier)
    if row is None:
        if call.settings.adjustments_checked_at_once:
            message = f"No event with identifier {identifier} was received for {event_name} in the last 24 hours."
            raise invalid(message, "cancel[identifier]")
        return
    if row.body["_cancelled"] is None:
        call.replace(call.families[usage.EVENTS], row, {**row.body, "_cancelled": call.own_now})


FAMILY = Family(
    kind="billing.meter_event_adjustment",
    noun="meter event adjustment",
    emits_events=False,
    lengths={"event_name": 100, "cancel[identifier]": 100},
    template={
        "object": "billing.meter_event_adjustment",
        "cancel": None,
        "event_name": "",
        "livemode": False,
        "status": "pending",
        "type": "cancel",
    },
    routes=(Route("POST", "/v1/billing/meter_event_adjustments", "billing.MeterEventAdjustmentCreateParams", _create),),
)
