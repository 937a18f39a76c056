"""Billing meters: no metadata, no delete, only the display name changes (https://docs.stripe.com/api/billing/meter)."""

from collections.abc import Iterable

from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.lists import filters_in, page
from reconciler.sandbox.objects.base import Call, Family, Route, overlay, retrieve
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import Claim, Term
from reconciler.sandbox.wire import Obj

_GIVEN = (
    "customer_mapping",
    "default_aggregation",
    "display_name",
    "event_name",
    "event_time_window",
    "value_settings",
)


def _create(call: Call) -> Obj:
    meter = call.fill(FAMILY, call.new_id("mtr_test_61", 30))
    return call.create(FAMILY, overlay(meter, call.params, _GIVEN))


def _update(call: Call) -> Obj:
    row = call.row()
    return call.save(FAMILY, row, overlay(row.body, call.params, ("display_name",)))


def _deactivate(call: Call) -> Obj:
    return _switch(call, "inactive", "deactivated", call.now)


def _reactivate(call: Call) -> Obj:
    return _switch(call, "active", "reactivated", None)


def _switch(call: Call, status: str, verb: str, deactivated_at: int | None) -> Obj:
    row = call.row()
    if row.body["status"] == status:
        raise invalid(f"This meter is already {status}.")
    changed = {**row.body, "status": status, "status_transitions": {"deactivated_at": deactivated_at}}
    return call.save(FAMILY, row, changed, verb)


def _list(call: Call) -> Obj:
    return page(call, FAMILY, *filters_in(call.params, "status"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "status", obj["status"]


def _claims(obj: Obj, settings: Settings) -> Iterable[Claim]:
    """One meter per event name; a deactivated one keeps it (observed: alchemy.run, BillingMeter)."""
    if obj["status"] == "active" or settings.inactive_meter_keeps_name:
        yield "billing.meter.event_name", obj["event_name"]


def _collision(claim: Claim, _: str) -> ApiError:
    return invalid(f"A meter with event_name `{claim[1]}` already exists.", "event_name")


FAMILY = Family(
    kind="billing.meter",
    noun="billing meter",
    lengths={
        "customer_mapping[event_payload_key]": 100,
        "display_name": 250,
        "event_name": 100,
        "value_settings[event_payload_key]": 100,
    },
    terms=_terms,
    claims=_claims,
    collision=_collision,
    template={
        "object": "billing.meter",
        "created": 0,
        "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"},
        "default_aggregation": {},
        "display_name": "",
        "event_name": "",
        "event_time_window": None,
        "livemode": False,
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        "updated": 0,
        "value_settings": {"event_payload_key": "value"},
    },
    routes=(
        Route("POST", "/v1/billing/meters", "billing.MeterCreateParams", _create),
        Route("GET", "/v1/billing/meters", "billing.MeterListParams", _list, lists=True),
        Route("GET", "/v1/billing/meters/{id}", "billing.MeterRetrieveParams", retrieve),
        Route("POST", "/v1/billing/meters/{id}", "billing.MeterUpdateParams", _update),
        Route("POST", "/v1/billing/meters/{id}/deactivate", "billing.MeterDeactivateParams", _deactivate),
        Route("POST", "/v1/billing/meters/{id}/reactivate", "billing.MeterReactivateParams", _reactivate),
    ),
)
