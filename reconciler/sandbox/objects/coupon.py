"""Coupons (https://docs.stripe.com/api/coupons); refusals as observed where the rule says so."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from reconciler.money import MAX_MINOR_AMOUNT
from reconciler.sandbox.errors import exclusive, invalid, missing, out_of_range
from reconciler.sandbox.lists import page
from reconciler.sandbox.objects.amounts import currency, option_currency
from reconciler.sandbox.objects.base import Call, Family, Route, json_number, overlay, retrieve
from reconciler.sandbox.objects.product_fields import already_exists
from reconciler.sandbox.objects.promotion_code import deactivate_codes, in_the_future
from reconciler.sandbox.store import Row
from reconciler.sandbox.wire import Obj

#: Ids of deleted coupons, remembered where they may not be used again.
DELETED = "coupon.deleted"
_LEAST_PERCENT = Decimal("0.01")
_GIVEN = ("amount_off", "duration", "duration_in_months", "max_redemptions", "metadata", "name", "redeem_by")


def _create(call: Call) -> Obj:
    params = call.params
    _check_discount(params)
    _check_duration(params)
    if "max_redemptions" in params and params["max_redemptions"] < 1:
        raise out_of_range("max_redemptions", params["max_redemptions"], least=1)
    if "redeem_by" in params:
        in_the_future(call, "redeem_by", params["redeem_by"])
    chosen = params.get("id")
    if chosen and (call.tx.find("coupon", chosen) or call.tx.holder((DELETED, chosen))):
        raise already_exists("Coupon")
    coupon = overlay(call.fill(FAMILY, chosen or call.new_id("", 8)), params, _GIVEN)
    if "percent_off" in params:
        coupon["percent_off"] = json_number(params["percent_off"])
    if "amount_off" in params:
        coupon["currency"] = currency(params["currency"])
    if "applies_to" in params:
        coupon["applies_to"] = _applies_to(call, params["applies_to"])
    coupon["currency_options"] = _options(call, coupon, params.get("currency_options") or {})
    return call.create(FAMILY, coupon)


def _check_discount(params: Obj) -> None:
    """Refuse anything but a percentage or an amount with its currency (observed)."""
    if "percent_off" in params and "amount_off" in params:
        raise invalid("Received both percent_off and amount_off parameters. Please pass in only one.")
    if "percent_off" not in params and "amount_off" not in params:
        raise invalid("Must provide percent_off or amount_off.", code="parameter_missing")
    if "amount_off" in params:
        if "currency" not in params:
            raise invalid("You must pass currency when passing amount_off", "currency")
        _check_amount(params["amount_off"], "amount_off")
        return
    percent = params["percent_off"]
    if percent < _LEAST_PERCENT:
        raise out_of_range("percent_off", str(float(percent)), least=_LEAST_PERCENT)
    if percent > 100:  # noqa: PLR2004  a percentage
        raise out_of_range("percent_off", str(float(percent)), most=100)
    for name in ("currency_options", "currency"):
        if name in params:
            raise exclusive(name, "percent_off")


def _check_amount(amount: int, param: str) -> None:
    if amount < 1:
        raise out_of_range(param, amount, least=1)
    if amount > MAX_MINOR_AMOUNT:
        raise out_of_range(param, amount, most=int(MAX_MINOR_AMOUNT))


def _check_duration(params: Obj) -> None:
    repeating, months = params.get("duration") == "repeating", params.get("duration_in_months")
    if repeating and months is None:
        # Observed, including the param.
        message = "The duration_in_months param must be set when creating a coupon with a repeating duration"
        raise invalid(message, "duration")
    if not repeating and months is not None:
        raise invalid("`duration_in_months` can be set only with `duration=repeating`.", "duration_in_months")
    if months is not None and months < 1:
        raise out_of_range("duration_in_months", months, least=1)


def _applies_to(call: Call, given: Mapping[str, Any]) -> Obj:
    if not given.get("products"):
        raise missing("applies_to[products]")
    for index, product_id in enumerate(given["products"]):
        call.refer("product", product_id, f"applies_to[products][{index}]")
    return {"products": given["products"]}


def _options(call: Call, coupon: Obj, given: Mapping[str, Any]) -> Obj:
    """Return the amounts per currency: those given over those the coupon has (observed)."""
    options: Obj = dict(coupon["currency_options"])
    if coupon["currency"] and call.settings.base_currency_in_options:
        options[coupon["currency"]] = {"amount_off": coupon["amount_off"]}
    for key, option in given.items():
        code = option_currency(key, coupon["currency"], "currency_options")
        if option is None:
            options.pop(code, None)
            continue
        _check_amount(option["amount_off"], f"currency_options[{code}][amount_off]")
        options[code] = {"amount_off": option["amount_off"]}
    return options


def _update(call: Call) -> Obj:
    row, params = call.row(), call.params
    changed = overlay(row.body, params, ("metadata", "name"))
    if "currency_options" in params:
        if row.body["amount_off"] is None:
            raise exclusive("currency_options", "percent_off")
        changed["currency_options"] = _options(call, row.body, params["currency_options"])
    return call.save(FAMILY, row, changed)


def _delete(call: Call) -> Obj:
    """Delete a coupon: its codes stop working, its last state is invalid (observed), discounts given stay."""
    row = call.row()
    deactivate_codes(call, row.body["id"])
    if not call.settings.deleted_id_reusable:
        call.tx.claim((DELETED, row.body["id"]), row.body["id"])
    return call.delete(FAMILY, row, {**row.body, "valid": False})


def _due_at(obj: Obj) -> int | None:
    return obj["redeem_by"] if obj["valid"] else None


def _lapse(call: Call, row: Row) -> None:
    """End a coupon at its ``redeem_by``, and its codes with it."""
    deactivate_codes(call, row.body["id"])
    call.replace(FAMILY, row, {**row.body, "valid": False})


def _list(call: Call) -> Obj:
    return page(call, FAMILY)


FAMILY = Family(
    kind="coupon",
    noun="coupon",
    missing_param="coupon",
    hidden=frozenset({"applies_to", "currency_options"}),
    lengths={"id": 255, "name": 40},
    due_at=_due_at,
    when_due=_lapse,
    template={
        "object": "coupon",
        "amount_off": None,
        "applies_to": None,
        "created": 0,
        "currency": None,
        "currency_options": {},
        "duration": "once",
        "duration_in_months": None,
        "livemode": False,
        "max_redemptions": None,
        "metadata": {},
        "name": None,
        "percent_off": None,
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
    },
    routes=(
        Route("POST", "/v1/coupons", "CouponCreateParams", _create),
        Route("GET", "/v1/coupons", "CouponListParams", _list, lists=True),
        Route("GET", "/v1/coupons/{id}", "CouponRetrieveParams", retrieve),
        Route("POST", "/v1/coupons/{id}", "CouponUpdateParams", _update, blanks=frozenset({"name"})),
        Route("DELETE", "/v1/coupons/{id}", "CouponDeleteParams", _delete),
    ),
)
