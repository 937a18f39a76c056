"""Coupons and promotion codes turned into discounts, and discounts ended.

Sources: https://docs.stripe.com/billing/subscriptions/coupons, https://docs.stripe.com/api/discounts/object and the
parameters' descriptions of https://docs.stripe.com/api/promotion_codes/create. Texts are written here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.sandbox.billing.periods import advance
from reconciler.sandbox.billing.stored import must, rows
from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.lists import too_many
from reconciler.sandbox.objects.base import Call
from reconciler.sandbox.objects.promotion_code import deactivate_codes
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: How many discounts one object can have (https://docs.stripe.com/billing/subscriptions/coupons).
MAX_DISCOUNTS = 20
_FORMS = ("coupon", "promotion_code", "discount")
#: What a discount may be of, beside its customer, and is only used again within.
_OWNERS = ("subscription", "invoice", "invoice_item", "checkout_session")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What discounts are redeemed for; ``within`` are the ids of all that it belongs to."""

    customer: Obj | None
    currency: str | None
    amount: int | None
    since: int | None
    owner: Mapping[str, str | None]
    within: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One entry of a ``discounts`` parameter: what it names, and where it stands."""

    param: str
    coupon: str
    code: Obj | None = None
    discount: Obj | None = None


def attach(
    call: Call,
    given: Sequence[Mapping[str, Any]] | None,
    *,
    customer: Obj | None,
    currency: str | None = None,
    amount: int | None = None,
    param: str = "discounts",
    since: int | None = None,
    ancestors: Iterable[str | None] = (),
    is_checked: bool = False,
    **owner: str | None,
) -> list[str]:
    """Redeem a ``discounts`` parameter and return the ids of the discounts, in its order; nothing given is ``[]``.

    ``owner`` names what they are attached to: ``subscription``, ``subscription_item``, ``invoice``, ``invoice_item`` or
    ``checkout_session`` (none of them: the customer); ``ancestors`` are the ids of what that belongs to, whose
    discounts it can use again. ``currency`` and ``amount``, in minor units before discounts, are those of the order,
    where there is one: codes with a minimum need them. ``since`` is when the discounts begin if it is not now.
    ``is_checked`` codes were looked at when the order was placed.
    """
    if given is not None and len(given) > MAX_DISCOUNTS:
        raise too_many(param, MAX_DISCOUNTS)
    wanted = [_wanted(call, entry, f"{param}[{index}]") for index, entry in enumerate(given or ())]
    _check_distinct(wanted)
    within = frozenset(each for each in (*owner.values(), *ancestors) if each)
    order = _Order(customer=customer, currency=currency, amount=amount, since=since, owner=owner, within=within)
    if not is_checked:
        for each in wanted:
            _check_code(call, each, order)
    return [_applied(call, each, order) for each in wanted]


def _wanted(call: Call, entry: Mapping[str, Any], at: str) -> _Wanted:
    named = [form for form in _FORMS if entry.get(form) is not None]
    if len(named) != 1:
        raise invalid(f"Each discount needs exactly one of {', '.join(_FORMS)}.", at)
    form = named[0]
    where = f"{at}[{form}]"
    found = call.refer(form, entry[form], where)
    if form == "discount":
        return _Wanted(where, found["source"]["coupon"], discount=found)
    if form == "promotion_code":
        return _Wanted(where, found["promotion"]["coupon"], code=found)
    return _Wanted(where, found["id"])


def _check_distinct(wanted: Sequence[_Wanted]) -> None:
    """Refuse two discounts of one coupon (https://docs.stripe.com/billing/subscriptions/coupons, stackable)."""
    seen: set[str] = set()
    for each in wanted:
        if each.coupon in seen:
            raise invalid(f"The coupon {each.coupon} can be applied only once.", each.param)
        seen.add(each.coupon)


def _applied(call: Call, wanted: _Wanted, order: _Order) -> str:
    if wanted.discount:
        return _existing(call, wanted.discount, order, wanted.param)
    coupon = call.refer("coupon", wanted.coupon, wanted.param)
    return _redeem(call, coupon, wanted.code, order, wanted.param)


def _existing(call: Call, discount: Obj, order: _Order, param: str) -> str:
    """Return the id of a discount to use again: one of the object, or of what it belongs to, that has not ended.

    Source: the parameter's description, "ID of an existing discount on the object (or one of its ancestors) to reuse".
    """
    of_customer = discount["customer"] == (order.customer or {}).get("id")
    elsewhere = any(discount[name] and discount[name] not in order.within for name in _OWNERS)
    if not of_customer or elsewhere or not is_live(discount, call.now):
        raise invalid(f"The discount {discount['id']} cannot be used here.", param)
    return str(discount["id"])


def _check_code(call: Call, wanted: _Wanted, order: _Order) -> None:
    """Refuse a code that is used up, another customer's, or whose restrictions the order does not meet."""
    code, param = wanted.code, wanted.param
    if code is None:
        return
    customer = (order.customer or {}).get("id")
    if not code["active"] or (code["expires_at"] is not None and code["expires_at"] <= call.now):
        raise invalid(f"The promotion code {code['code']} is not active.", param)
    if code["customer"] and code["customer"] != customer:
        raise invalid(f"The promotion code {code['code']} belongs to another customer.", param)
    restrictions = code["restrictions"]
    if restrictions["first_time_transaction"] and customer and _has_bought(call, customer):
        raise invalid(f"The promotion code {code['code']} is for a customer's first transaction only.", param)
    if restrictions["minimum_amount"] is None:
        return
    least = _minimum(restrictions, order.currency)
    if least is None or order.amount is None or order.amount < least:
        raise invalid(f"The promotion code {code['code']} needs an order of a minimum amount.", param)


def _minimum(restrictions: Obj, currency: str | None) -> int | None:
    if currency == restrictions["minimum_amount_currency"]:
        return int(restrictions["minimum_amount"])
    option = restrictions["currency_options"].get(currency)
    return option["minimum_amount"] if option else None


def _has_bought(call: Call, customer_id: str) -> bool:
    """Tell whether a customer has a successful payment or an invoice that counts (neither draft nor void).

    By the setting any payment that was begun, but for a voided invoice, and any trial count as well.
    """
    of_customer = ("customer", customer_id)
    if any(row.body["status"] not in {"draft", "void"} for row in rows(call, "invoice", of_customer)):
        return True
    if any(row.body["status"] == "succeeded" for row in rows(call, "charge", of_customer)):
        return True
    return call.settings.attempts_are_transactions and (
        any(row.body["cancellation_reason"] != "void_invoice" for row in rows(call, "payment_intent", of_customer))
        or any(row.body["trial_start"] for row in rows(call, "subscription", of_customer))
    )


def _redeem(call: Call, coupon: Obj, code: Obj | None, order: _Order, param: str) -> str:
    """Create the discount of a coupon and count the redemption on the coupon and the code."""
    if not coupon["valid"]:
        raise _expired(coupon, param)
    if order.currency and coupon["amount_off"] is not None and amount_off(coupon, order.currency) is None:
        raise invalid(f"The coupon {coupon['id']} takes nothing off an order in {order.currency}.", param)
    _count(call, "promotion_code", code)
    _count(call, "coupon", coupon)
    family = call.families["discount"]
    months = coupon["duration_in_months"] if coupon["duration"] == "repeating" else None
    start = call.now if order.since is None else order.since
    ends = None if months is None else advance(start, "month", months, 1)
    discount = call.fill(
        family,
        call.new_id("di_1", 23),
        **order.owner,
        customer=order.customer["id"] if order.customer else None,
        end=ends,
        promotion_code=code["id"] if code else None,
        source={"coupon": coupon["id"], "type": "coupon"},
        start=start,
        _backdated=start < call.now,
        _clock=(order.customer or {}).get("test_clock"),
        _coupon=coupon,
        _ends=ends,
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
    """Tell whether a discount still takes something off new invoices.

    A backdated one does so until the first invoice of its subscription is made (:func:`lapse`).
    """
    return not discount.get("deleted") and (discount["end"] is None or discount["end"] > now or discount["_backdated"])


def live(call: Call, ids: Sequence[str]) -> list[str]:
    """Return those discounts that still take something off new invoices, in their order."""
    rows = [call.tx.find("discount", discount_id) for discount_id in ids]
    return [row.body["id"] for row in rows if row and is_live(row.body, call.now)]


def outlived(call: Call, ids: Sequence[str]) -> list[str]:
    """Return those discounts that have been used up or have run out, and were not taken off by anyone."""
    rows = [call.tx.find("discount", discount_id) for discount_id in ids]
    found = [row.body for row in rows if row]
    return [
        each["id"] for each in found if each["_spent_on"] or (each["_ends"] is not None and each["_ends"] <= call.now)
    ]


def coupons(call: Call, ids: Sequence[str]) -> dict[str, Obj]:
    """Return the coupon of each discount; a deleted coupon as it was when it was redeemed.

    That of a backdated discount has a ``_span``: the times between which periods begin that it takes something off.
    """
    found = {}
    for discount_id in dict.fromkeys(ids):
        if row := call.tx.find("discount", discount_id):
            coupon = call.tx.find("coupon", row.body["source"]["coupon"])
            span = {"_span": (row.body["start"], row.body["_ends"])} if row.body["_backdated"] else {}
            found[discount_id] = (coupon.body if coupon else row.body["_coupon"]) | span
    return found


def lapse(call: Call, ids: Iterable[str]) -> None:
    """End those backdated discounts whose time was over before now, once they are on the invoice of the time before."""
    for discount_id in ids:
        row = call.tx.find("discount", discount_id)
        if row and row.body["_backdated"] and row.body["_ends"] is not None and row.body["_ends"] <= call.now:
            end(call, row)


def unspent(call: Call, ids: Sequence[str], invoice_id: str) -> list[str]:
    """Return the discounts without those that last for one invoice and have been used up by another than this."""
    found = [call.tx.find("discount", discount_id) for discount_id in ids]
    return [row.body["id"] for row in found if row and row.body["_spent_on"] in {None, invoice_id}]


def spend(call: Call, ids: Sequence[str], invoice_id: str) -> None:
    """End those discounts that last for one invoice, which has just been finalized.

    Source: https://docs.stripe.com/billing/subscriptions/coupons (coupon duration).
    """
    for discount_id, coupon in coupons(call, ids).items():
        row = call.tx.find("discount", discount_id)
        if row and coupon["duration"] == "once" and _is_lasting(row.body) and row.body["_spent_on"] is None:
            call.replace(call.families["discount"], row, {**row.body, "_spent_on": invoice_id})
            end(call, must(call, "discount", discount_id))


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
