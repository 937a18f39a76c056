"""Coupons and promotion codes turned into discounts, and discounts ended.

Sources: https://docs.stripe.com/billing/subscriptions/coupons, https://docs.stripe.com/api/discounts/object and the
parameters' descriptions of https://docs.stripe.com/api/promotion_codes/create. Texts are written here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sandbox.billing.periods import advance
from reconciler.sandbox.billing.stored import rows
from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.lists import too_many
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.objects.promotion_code import deactivate_codes
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: How many discounts one object can have (https://docs.stripe.com/billing/subscriptions/coupons).
MAX_DISCOUNTS = 20
_FORMS = ("coupon", "promotion_code", "discount")


def attach(
    call: Call,
    given: Sequence[Mapping[str, Any]] | None,
    *,
    customer: Obj | None,
    currency: str | None = None,
    amount: int | None = None,
    param: str = "discounts",
    **owner: str | None,
) -> list[str]:
    """Redeem a ``discounts`` parameter and return the ids of the discounts, in its order; nothing given is ``[]``.

    ``owner`` names what they are attached to: ``subscription``, ``subscription_item``, ``invoice``, ``invoice_item`` or
    ``checkout_session`` (none of them: the customer). ``currency`` and ``amount``, in minor units before discounts, are
    those of the order, where there is one: codes with a minimum need them.
    """
    if given is not None and len(given) > MAX_DISCOUNTS:
        raise too_many(param, MAX_DISCOUNTS)
    ids = []
    for index, entry in enumerate(given or ()):
        at = f"{param}[{index}]"
        named = [form for form in _FORMS if entry.get(form) is not None]
        if len(named) != 1:
            raise invalid(f"Each discount needs exactly one of {', '.join(_FORMS)}.", at)
        where = f"{at}[{named[0]}]"
        if named[0] == "discount":
            ids.append(_existing(call, entry["discount"], customer, where))
        elif named[0] == "coupon":
            coupon = call.refer("coupon", entry["coupon"], where)
            ids.append(_redeem(call, coupon, None, customer=customer, currency=currency, at=where, owner=owner))
        else:
            code = call.refer("promotion_code", entry["promotion_code"], where)
            _check_code(call, code, customer, currency, amount, where)
            coupon = call.refer("coupon", code["promotion"]["coupon"], where)
            ids.append(_redeem(call, coupon, code, customer=customer, currency=currency, at=where, owner=owner))
    return ids


def _existing(call: Call, discount_id: str, customer: Obj | None, param: str) -> str:
    """Return the id of a discount to use again: one of the same customer that has not ended."""
    discount = call.refer("discount", discount_id, param)
    if discount["customer"] != (customer or {}).get("id") or not is_live(discount, call.now):
        raise invalid(f"The discount {discount_id} cannot be used here.", param)
    return discount_id


def _check_code(
    call: Call, code: Obj, customer: Obj | None, currency: str | None, amount: int | None, param: str
) -> None:
    """Refuse a code that is used up, another customer's, or whose restrictions the order does not meet."""
    if not code["active"] or (code["expires_at"] is not None and code["expires_at"] <= call.now):
        raise invalid(f"The promotion code {code['code']} is not active.", param)
    if code["customer"] and code["customer"] != (customer or {}).get("id"):
        raise invalid(f"The promotion code {code['code']} belongs to another customer.", param)
    restrictions = code["restrictions"]
    if restrictions["first_time_transaction"] and customer and _has_paid(call, customer["id"]):
        raise invalid(f"The promotion code {code['code']} is for a customer's first transaction only.", param)
    if restrictions["minimum_amount"] is None:
        return
    least = _minimum(restrictions, currency)
    if least is None or amount is None or amount < least:
        raise invalid(f"The promotion code {code['code']} needs an order of a minimum amount.", param)


def _minimum(restrictions: Obj, currency: str | None) -> int | None:
    if currency == restrictions["minimum_amount_currency"]:
        return int(restrictions["minimum_amount"])
    option = restrictions["currency_options"].get(currency)
    return option["minimum_amount"] if option else None


def _has_paid(call: Call, customer_id: str) -> bool:
    """Tell whether a customer has a successful payment or an invoice that counts (neither draft nor void)."""
    by_customer = ("customer", customer_id)
    return any(row.body["status"] not in {"draft", "void"} for row in rows(call, "invoice", by_customer)) or any(
        row.body["status"] == "succeeded" for row in rows(call, "charge", by_customer)
    )


def _redeem(
    call: Call,
    coupon: Obj,
    code: Obj | None,
    *,
    customer: Obj | None,
    currency: str | None,
    at: str,
    owner: Mapping[str, str | None],
) -> str:
    """Create the discount of a coupon and count the redemption on the coupon and the code."""
    if not coupon["valid"]:
        raise _expired(coupon, at)
    if currency and coupon["amount_off"] is not None and amount_off(coupon, currency) is None:
        raise invalid(f"The coupon {coupon['id']} takes nothing off an order in {currency}.", at)
    _count(call, "promotion_code", code)
    _count(call, "coupon", coupon)
    family = call.families["discount"]
    months = coupon["duration_in_months"] if coupon["duration"] == "repeating" else None
    discount = call.fill(
        family,
        call.new_id("di_1", 23),
        **owner,
        customer=customer["id"] if customer else None,
        end=None if months is None else advance(call.now, "month", months, 1),
        promotion_code=code["id"] if code else None,
        source={"coupon": coupon["id"], "type": "coupon"},
        start=call.now,
        _clock=(customer or {}).get("test_clock"),
        _coupon=coupon,
    )
    call.insert(family, discount)
    if _is_lasting(discount):
        call.emit(family, "created", discount)
    return str(discount["id"])


def _expired(coupon: Obj, param: str) -> ApiError:
    """Return the refusal of a coupon that has ended (https://docs.stripe.com/error-codes#coupon-expired)."""
    return invalid(f"Coupon expired: {coupon['id']}", param, "coupon_expired")


def _count(call: Call, kind: str, redeemed: Obj | None) -> None:
    """Count a redemption; what has reached its ``max_redemptions`` works no more."""
    row = call.tx.find(kind, redeemed["id"]) if redeemed else None
    if row is None:
        return
    body = row.body
    times, most = body["times_redeemed"] + 1, body["max_redemptions"]
    used_up = most is not None and times >= most
    ended = {"valid" if kind == "coupon" else "active": False} if used_up else {}
    if used_up and kind == "coupon":
        deactivate_codes(call, body["id"])
    call.replace(call.families[kind], row, {**body, "times_redeemed": times, **ended})


def _is_lasting(discount: Obj) -> bool:
    """Tell whether a discount is a customer's or a subscription's, whose changes are ``customer.discount`` events."""
    return not (discount["invoice"] or discount["invoice_item"] or discount["checkout_session"])


def amount_off(coupon: Obj, currency: str) -> int | None:
    """Return what a coupon takes off in a currency, ``None`` where it has no amount in it."""
    if currency == coupon["currency"]:
        return int(coupon["amount_off"])
    option = coupon["currency_options"].get(currency)
    return option["amount_off"] if option else None


def is_live(discount: Obj, now: int) -> bool:
    """Tell whether a discount still takes something off new invoices."""
    return not discount.get("deleted") and (discount["end"] is None or discount["end"] > now)


def live(call: Call, ids: Sequence[str]) -> list[str]:
    """Return those discounts that still take something off new invoices, in their order."""
    rows = [call.tx.find("discount", discount_id) for discount_id in ids]
    return [row.body["id"] for row in rows if row and is_live(row.body, call.now)]


def coupons(call: Call, ids: Sequence[str]) -> dict[str, Obj]:
    """Return the coupon of each discount; a deleted coupon as it was when it was redeemed."""
    found = {}
    for discount_id in dict.fromkeys(ids):
        if row := call.tx.find("discount", discount_id):
            coupon = call.tx.find("coupon", row.body["source"]["coupon"])
            found[discount_id] = coupon.body if coupon else row.body["_coupon"]
    return found


def spend(call: Call, ids: Sequence[str]) -> None:
    """End those discounts that last for one invoice and have just been put on it."""
    for discount_id, coupon in coupons(call, ids).items():
        row = call.tx.find("discount", discount_id)
        if row and coupon["duration"] == "once" and _is_lasting(row.body):
            end(call, row)


def detach(call: Call, discount_id: str) -> Obj:
    """End a discount and return it as deleted; invoices that have it keep it."""
    row = call.tx.find("discount", discount_id)
    if row is None:
        raise invalid(f"No active discount: '{discount_id}'", "discount", "resource_missing")
    return end(call, row)


def end(call: Call, row: Row) -> Obj:
    """Mark a discount as deleted and tell whoever has it, once."""
    if row.body.get("deleted"):
        return row.body
    family = call.families["discount"]
    ended = {name: value for name, value in row.body.items() if name != "end"} | {"deleted": True}
    call.replace(family, row, ended)
    if _is_lasting(ended):
        call.emit(family, "deleted", ended)
    return ended
