"""What refunds and disputes share: each belongs to a charge, and to its payment intent if it has one."""

from collections.abc import Iterable

from reconciler.sandbox.lists import filters_in, page
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj


def listed(call: Call) -> Obj:
    """Handle the list of what belongs to charges."""
    return page(call, call.family, *filters_in(call.params, "charge", "payment_intent"))


def terms(obj: Obj) -> Iterable[Term]:
    """Yield what the object is listed by."""
    yield "charge", obj["charge"]
    if obj["payment_intent"]:
        yield "payment_intent", obj["payment_intent"]
