"""Discounts: coupons as they apply to one customer, subscription or invoice (https://docs.stripe.com/api/discounts).

They are made and ended through what they apply to; only a customer's own can be read by itself.
"""

from collections.abc import Iterable

from reconciler.sandbox.billing.discounts import end
from reconciler.sandbox.billing.stored import must
from reconciler.sandbox.errors import ApiError
from reconciler.sandbox.objects.base import Call, Family, Route
from reconciler.sandbox.store import Row, Term
from reconciler.sandbox.wire import Obj


def _due_at(obj: Obj) -> int | None:
    due: int | None = obj.get("end")
    return due


def _lapse(call: Call, row: Row) -> None:
    end(call, row)


def _terms(obj: Obj) -> Iterable[Term]:
    if obj["customer"]:
        yield "customer", obj["customer"]


def _of_customer(call: Call) -> Obj:
    """Handle the address that thin events give for a customer's discount, which no service of the SDK has."""
    held = call.row(call.families["customer"]).body["discount"]
    if held is None:
        raise ApiError(404, f"The customer {call.ids['id']} has no discount.", code="resource_missing")
    return must(call, FAMILY.kind, held).body


FAMILY = Family(
    kind="discount",
    noun="discount",
    stem="customer.discount",
    references={"customer": "customer", "promotion_code": "promotion_code", "source.coupon": "coupon"},
    terms=_terms,
    due_at=_due_at,
    when_due=_lapse,
    rank=-5,
    template={
        "object": "discount",
        "checkout_session": None,
        "customer": None,
        "customer_account": None,
        "end": None,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": None,
        "source": {},
        "start": 0,
        "subscription": None,
        "subscription_item": None,
        "_backdated": False,
        "_clock": None,
        "_ends": None,
        "_spent_on": None,
    },
    routes=(Route("GET", "/v1/customers/{id}/discount", "CustomerRetrieveParams", _of_customer),),
)
