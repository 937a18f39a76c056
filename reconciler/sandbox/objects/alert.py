"""Usage alerts (https://docs.stripe.com/api/billing/alert): told once for each customer who passes a threshold.

Rules: https://docs.stripe.com/billing/subscriptions/usage-based/alerts.
"""

from collections.abc import Iterable

from reconciler.sandbox.billing import usage
from reconciler.sandbox.billing.stored import rows
from reconciler.sandbox.errors import invalid, missing, out_of_range
from reconciler.sandbox.expand import visible
from reconciler.sandbox.lists import filters_in, page, too_many
from reconciler.sandbox.objects.base import Call, Family, Route, json_number, retrieve
from reconciler.sandbox.store import Claim, Row, Term
from reconciler.sandbox.wire import Obj

#: How many alerts a meter can have for one customer, and as many for all ("Limitations").
MAX_ALERTS = 25
TRIGGERED = "billing.alert_triggered"


def _create(call: Call) -> Obj:
    params = call.params
    if "usage_threshold" not in params:
        raise missing("usage_threshold")
    threshold = _threshold(call, params["usage_threshold"])
    alert = call.fill(
        FAMILY,
        call.new_id("alrt_test_61", 30),
        alert_type=params["alert_type"],
        title=params["title"],
        usage_threshold=threshold,
        _round=1,
    )
    alike = [row for row in rows(call, FAMILY.kind, ("meter", threshold["meter"])) if _scope(row.body) == _scope(alert)]
    if len(alike) >= MAX_ALERTS:
        message = f"A meter can have at most {MAX_ALERTS} alerts for a customer."
        raise invalid(message, "usage_threshold[meter]")
    return call.create(FAMILY, alert)


def _threshold(call: Call, given: Obj) -> Obj:
    at = "usage_threshold"
    if given["gte"] < 1:
        raise out_of_range(f"{at}[gte]", given["gte"], least=1)
    call.refer("billing.meter", given["meter"], f"{at}[meter]")
    filters = given.get("filters", [])
    if len(filters) > 1:
        raise too_many(f"{at}[filters]", 1)
    for each in filters:
        if "customer" not in each:
            raise missing(f"{at}[filters][0][customer]")
        call.refer("customer", each["customer"], f"{at}[filters][0][customer]")
    shown = [{"customer": each["customer"], "type": each["type"]} for each in filters]
    return {"filters": shown, "gte": given["gte"], "meter": given["meter"], "recurrence": given["recurrence"]}


def _scope(alert: Obj) -> str | None:
    """Return the one customer an alert is for, ``None`` for all of them."""
    filters = alert["usage_threshold"]["filters"]
    return filters[0]["customer"] if filters else None


def _evaluate(call: Call, event: Obj) -> None:
    """Trigger the alerts whose threshold a customer has reached with a new event; not for customers on test clocks.

    All usage of the customer counts, also that from before the alert.
    """
    customer_id, meter_id = event["_customer"], event["_meter"]
    waiting = [row for row in rows(call, FAMILY.kind, ("meter", meter_id)) if _waits(call, row.body, customer_id)]
    customer = call.refer("customer", customer_id, "customer") if waiting else {}
    if not waiting or customer.get("test_clock"):
        return
    value = usage.used(call, meter_id, customer_id, *usage.EVER)
    call = call.at(call.own_now)
    for row in waiting:
        if value >= row.body["usage_threshold"]["gte"]:
            call.tx.claim(_told(row.body, customer_id), row.body["id"])
            triggered = {
                "object": TRIGGERED,
                "alert": visible(row.body),
                "created": call.now,
                "customer": customer_id,
                "livemode": False,
                "value": json_number(value),
            }
            call.emit(call.families[TRIGGERED], "triggered", triggered)


def _waits(call: Call, alert: Obj, customer_id: str) -> bool:
    if alert["status"] != "active" or _scope(alert) not in {None, customer_id}:
        return False
    return call.tx.holder(_told(alert, customer_id)) is None


def _told(alert: Obj, customer_id: str) -> Claim:
    """Return the mark that an alert has triggered for a customer, in its present round."""
    return "billing.alert.told", f"{alert['id']} {alert['_round']} {customer_id}"


def _activate(call: Call) -> Obj:
    """Let an alert trigger again: for those it was not told of yet or, by a setting, for everyone."""
    row = _switchable(call, "active")
    again = 1 if call.settings.alert_activation_rearms else 0
    return call.save(FAMILY, row, {**row.body, "status": "active", "_round": row.body["_round"] + again})


def _deactivate(call: Call) -> Obj:
    row = _switchable(call, "inactive")
    return call.save(FAMILY, row, {**row.body, "status": "inactive"})


def _switchable(call: Call, status: str) -> Row:
    row = call.row()
    if row.body["status"] == status:
        raise invalid(f"This alert is already {status}.")
    return row


def _archive(call: Call) -> Obj:
    """Take an alert out of lists and the API for good; the reply is the last that is seen of it."""
    row = call.row()
    call.tx.delete(FAMILY.kind, row, FAMILY.terms(row.body))
    return {**row.body, "status": "archived"}


def _list(call: Call) -> Obj:
    return page(call, FAMILY, *filters_in(call.params, "meter", "alert_type"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "alert_type", obj["alert_type"]
    yield "meter", obj["usage_threshold"]["meter"]


FAMILY = Family(
    kind="billing.alert",
    noun="alert",
    emits_events=False,
    references={"usage_threshold.filters.customer": "customer", "usage_threshold.meter": "billing.meter"},
    lengths={"title": 256},
    terms=_terms,
    reacts={f"{usage.EVENTS}.created": _evaluate},
    template={
        "object": "billing.alert",
        "alert_type": "usage_threshold",
        "livemode": False,
        "status": "active",
        "title": "",
        "usage_threshold": None,
    },
    routes=(
        Route("POST", "/v1/billing/alerts", "billing.AlertCreateParams", _create),
        Route("GET", "/v1/billing/alerts", "billing.AlertListParams", _list, lists=True),
        Route("GET", "/v1/billing/alerts/{id}", "billing.AlertRetrieveParams", retrieve),
        Route("POST", "/v1/billing/alerts/{id}/activate", "billing.AlertActivateParams", _activate),
        Route("POST", "/v1/billing/alerts/{id}/archive", "billing.AlertArchiveParams", _archive),
        Route("POST", "/v1/billing/alerts/{id}/deactivate", "billing.AlertDeactivateParams", _deactivate),
    ),
)
