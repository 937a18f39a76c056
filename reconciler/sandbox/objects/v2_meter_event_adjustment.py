"""Adjustments of meter events in the v2 API (https://docs.stripe.com/api/v2/billing/meter-event-adjustments)."""

from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.objects.meter_event_adjustment import cancel
from reconciler.sandbox.wire import Obj


def _create(call: Call) -> Obj:
    params = call.params
    try:
        cancel(call, params["event_name"], params["cancel"]["identifier"])
    except ApiError as error:
        refusal = invalid(error.message, code="invalid_cancel_configuration")
        raise refusal from None
    return call.fill(
        FAMILY,
        call.new_id("mtr_event_adj_test_61", 30),
        cancel={"identifier": params["cancel"]["identifier"]},
        event_name=params["event_name"],
    )


FAMILY = Family(
    kind="v2.billing.meter_event_adjustment",
    noun="meter event adjustment",
    emits_events=False,
    lengths={"event_name": 100, "cancel[identifier]": 100},
    template={
        "object": "v2.billing.meter_event_adjustment",
        "cancel": {},
        "created": 0,
        "event_name": "",
        "livemode": False,
        "status": "pending",
        "type": "cancel",
    },
    routes=(
        Route("POST", "/v2/billing/meter_event_adjustments", "v2.billing.MeterEventAdjustmentCreateParams", _create),
    ),
)
