"""Feedback options (``stripe.billing.FeedbackOption``): reasons to cancel that the customer portal can offer."""

from collections.abc import Iterable

from reconciler.sandbox.errors import invalid
from reconciler.sandbox.lists import Filter, page
from reconciler.sandbox.objects.base import Call, Family, Route, overlay, retrieve
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj


def _create(call: Call) -> Obj:
    option = call.fill(FAMILY, call.new_id("bfo_test_61", 30))
    return call.create(FAMILY, overlay(option, call.params, ("description",)))


def _update(call: Call) -> Obj:
    row = call.row()
    return call.save(FAMILY, row, overlay(row.body, call.params, ("description",)))


def _deactivate(call: Call) -> Obj:
    row = call.row()
    if row.body["status"] == "inactive":
        raise invalid("This feedback option is already inactive.")
    changed = {**row.body, "status": "inactive", "status_transitions": {"deactivated_at": call.now}}
    return call.save(FAMILY, row, changed)


def _list(call: Call) -> Obj:
    filters: list[Filter] = [("status", [call.params["status"]])] if "status" in call.params else []
    return page(call, FAMILY, *filters)


def _terms(obj: Obj) -> Iterable[Term]:
    yield "status", obj["status"]


FAMILY = Family(
    kind="billing.feedback_option",
    noun="feedback option",
    emits_events=False,
    lengths={"description": 100},
    terms=_terms,
    template={
        "object": "billing.feedback_option",
        "description": "",
        "livemode": False,
        "status": "active",
        "status_transitions": {"deactivated_at": None},
    },
    routes=(
        Route("POST", "/v1/billing/feedback_options", "billing.FeedbackOptionCreateParams", _create),
        Route("GET", "/v1/billing/feedback_options", "billing.FeedbackOptionListParams", _list, lists=True),
        Route("GET", "/v1/billing/feedback_options/{id}", "billing.FeedbackOptionRetrieveParams", retrieve),
        Route("POST", "/v1/billing/feedback_options/{id}", "billing.FeedbackOptionUpdateParams", _update),
        Route(
            "POST",
            "/v1/billing/feedback_options/{id}/deactivate",
            "billing.FeedbackOptionDeactivateParams",
            _deactivate,
        ),
    ),
)
