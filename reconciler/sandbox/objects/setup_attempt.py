"""Setup attempts: what became of each confirmation of a setup intent (https://docs.stripe.com/api/setup_attempts)."""

from collections.abc import Iterable

from reconciler.sandbox.lists import page
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj


def _list(call: Call) -> Obj:
    intent = call.refer("setup_intent", call.params["setup_intent"], "setup_intent")
    return page(call, FAMILY, ("setup_intent", [intent["id"]]))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "setup_intent", obj["setup_intent"]


FAMILY = Family(
    kind="setup_attempt",
    noun="setup attempt",
    emits_events=False,
    references={"customer": "customer", "payment_method": "payment_method", "setup_intent": "setup_intent"},
    terms=_terms,
    template={
        "object": "setup_attempt",
        "application": None,
        "created": 0,
        "customer": None,
        "customer_account": None,
        "flow_directions": None,
        "livemode": False,
        "on_behalf_of": None,
        "payment_method": "",
        "payment_method_details": {},
        "setup_error": None,
        "setup_intent": "",
        "status": "requires_action",
        "usage": "off_session",
    },
    routes=(Route("GET", "/v1/setup_attempts", "SetupAttemptListParams", _list, lists=True),),
)
