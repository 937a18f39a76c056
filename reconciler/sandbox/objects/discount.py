"""Discounts: coupons as they apply to one customer, subscription or invoice (https://docs.stripe.com/api/discounts).

They have no endpoints of their own: they are made and ended through what they apply to.
"""

from reconciler.sandbox.billing.discounts import end
from reconciler.sandbox.objects.base import Call, Family
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj


def _due_at(obj: Obj) -> int | None:
    due: int | None = obj.get("end")
    return due


def _lapse(call: Call, row: Row) -> None:
    end(call, row)


FAMILY = Family(
    kind="discount",
    noun="discount",
    stem="customer.discount",
    references={"customer": "customer", "promotion_code": "promotion_code", "source.coupon": "coupon"},
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
    },
)
