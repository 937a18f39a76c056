"""Promotion codes (https://docs.stripe.com/api/promotion_codes); refusals as observed where the rule says so."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.sandbox.errors import ApiError, invalid, missing, out_of_range
from reconciler.sandbox.ids import UPPER
from reconciler.sandbox.lists import Filter, filters_in, named_in, page
from reconciler.sandbox.objects.amounts import currency, option_currency
from reconciler.sandbox.objects.base import Call, Family, Route, flag, overlay, retrieve
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import Claim, Row, Term, Window
from reconciler.sandbox.wire import Obj

CODE = "promotion_code.code"
FIVE_YEARS_SECONDS = (5 * 365 + 2) * 86_400
_FIRST = Window(1)
_CODE = re.compile(r"[a-zA-Z0-9\-]+")


def in_the_future(call: Call, param: str, time: int) -> None:
    """Refuse an end that has passed or is more than five years away (observed)."""
    if time <= call.now:
        raise invalid(
            f"The parameter `{param}` expects a unix timestamp representing a date and time in the future. "
            f"You specified the value `{time}` which is in the past.",
            param,
        )
    if time > call.now + FIVE_YEARS_SECONDS:
        raise invalid("Invalid timestamp: can be no more than five years in the future.", param)


def _create(call: Call) -> Obj:
    params = call.params
    coupon_id = params["promotion"].get("coupon")
    if coupon_id is None:
        raise invalid("You must pass promotion.coupon when passing promotion", "promotion.coupon")
    coupon = call.refer("coupon", coupon_id, "promotion[coupon]")
    _check_within(call, params, coupon)
    for name in ("customer", "customer_account"):
        if name in params:
            call.refer("customer", params[name], name)
    code = params.get("code") or call.new_id("", 8, UPPER)
    if not _CODE.fullmatch(code):
        raise invalid(
            f"This value must match the regex pattern. ({_CODE.pattern} does not match for the value {code}).", "code"
        )
    promotion_code = overlay(
        call.fill(FAMILY, call.new_id("promo_1", 23)),
        params,
        ("active", "customer", "customer_account", "expires_at", "max_redemptions", "metadata"),
    )
    restrictions = promotion_code["restrictions"] | _restrictions(call, params.get("restrictions", {}))
    promotion_code |= {
        "code": code,
        "promotion": {"coupon": coupon_id, "type": "coupon"},
        "restrictions": restrictions,
    }
    _check_unique(call, promotion_code)
    return call.create(FAMILY, promotion_code)


def _check_within(call: Call, params: Obj, coupon: Obj) -> None:
    """Refuse a code that would outlive or outnumber its coupon (https://docs.stripe.com/api/promotion_codes/create)."""
    if not coupon["valid"]:
        raise invalid(f"The coupon {coupon['id']} is no longer valid.", "promotion[coupon]")
    if "expires_at" in params:
        in_the_future(call, "expires_at", params["expires_at"])
        if coupon["redeem_by"] and params["expires_at"] > coupon["redeem_by"]:
            raise invalid("`expires_at` cannot be after the coupon's `redeem_by`.", "expires_at")
    if "max_redemptions" in params:
        if params["max_redemptions"] < 1:
            raise out_of_range("max_redemptions", params["max_redemptions"], least=1)
        if coupon["max_redemptions"] and params["max_redemptions"] > coupon["max_redemptions"]:
            raise invalid("`max_redemptions` cannot be greater than that of the coupon.", "max_redemptions")


def _restrictions(call: Call, given: Mapping[str, Any]) -> Obj:
    amount, code = given.get("minimum_amount"), given.get("minimum_amount_currency")
    if (amount is None) != (code is None):
        raise missing(f"restrictions[minimum_amount{'' if amount is None else '_currency'}]")
    if amount is None or code is None:
        if "currency_options" in given:
            raise missing("restrictions[minimum_amount]")
        return {"first_time_transaction": given.get("first_time_transaction", False)}
    _check_minimum(amount, "restrictions[minimum_amount]")
    base = currency(code, "restrictions[minimum_amount_currency]")
    restrictions: Obj = {
        "first_time_transaction": given.get("first_time_transaction", False),
        "minimum_amount": amount,
        "minimum_amount_currency": base,
        "currency_options": {base: {"minimum_amount": amount}} if call.settings.base_currency_in_options else {},
    }
    return restrictions | {"currency_options": _options(restrictions, given.get("currency_options", {}))}


def _check_minimum(amount: int, param: str) -> None:
    if amount < 1:
        raise out_of_range(param, amount, least=1)


def _options(restrictions: Obj, given: Mapping[str, Any]) -> Obj:
    options: Obj = dict(restrictions["currency_options"])
    at = "restrictions[currency_options]"
    for key, option in given.items():
        code = option_currency(key, restrictions["minimum_amount_currency"], at)
        if option is None:
            options.pop(code, None)
            continue
        if "minimum_amount" not in option:
            raise missing(f"{at}[{code}][minimum_amount]")
        _check_minimum(option["minimum_amount"], f"{at}[{code}][minimum_amount]")
        options[code] = {"minimum_amount": option["minimum_amount"]}
    return options


def _check_unique(call: Call, promotion_code: Obj) -> None:
    """Refuse a code for everyone while any active code reads the same, and one for a customer while that one exists.

    Two customers may have a code each that reads the same; that one customer has two is refused by the claim.
    """
    code = promotion_code["code"].lower()
    if not promotion_code["active"]:
        return
    if promotion_code["customer"]:
        taken = call.tx.holder((CODE, f"{code} *")) is not None
    else:
        taken = bool(call.tx.page(FAMILY.kind, [("code", code), ("active", "true")], _FIRST))
    if taken:
        raise _taken(promotion_code["code"])


def _taken(code: str) -> ApiError:
    """Return the refusal of a code in use; Stripe sends neither code nor param with it (observed)."""
    return invalid(f"An active promotion code with `code: {code}` already exists.")


def _update(call: Call) -> Obj:
    row, params = call.row(), call.params
    changed = overlay(row.body, params, ("active", "metadata"))
    if changed["active"] and not row.body["active"]:
        _check_can_reactivate(call, row.body)
        _check_unique(call, changed)
    options = params.get("restrictions", {}).get("currency_options")
    if options is not None:
        if changed["restrictions"]["minimum_amount_currency"] is None:
            raise invalid("This promotion code has no minimum amount.", "restrictions[currency_options]")
        merged = _options(changed["restrictions"], options)
        changed["restrictions"] = {**changed["restrictions"], "currency_options": merged}
    return call.save(FAMILY, row, changed)


def _check_can_reactivate(call: Call, promotion_code: Obj) -> None:
    """Allow reactivation only while the coupon is valid and the code redeemable (https://docs.stripe.com/api/promotion_codes/update)."""
    coupon = call.tx.find("coupon", promotion_code["promotion"]["coupon"])
    expired = promotion_code["expires_at"] is not None and promotion_code["expires_at"] <= call.now
    if coupon is None or not coupon.body["valid"] or expired:
        raise invalid("This promotion code cannot be reactivated: it or its coupon is no longer redeemable.", "active")


def deactivate_codes(call: Call, coupon_id: str) -> None:
    """Switch off every active code of a coupon that has ended."""
    while rows := call.tx.page(FAMILY.kind, [("coupon", coupon_id), ("active", "true")], _FIRST):
        _lapse(call, rows[0])


def _due_at(obj: Obj) -> int | None:
    return obj["expires_at"] if obj["active"] else None


def _lapse(call: Call, row: Row) -> None:
    call.replace(FAMILY, row, {**row.body, "active": False})


def _list(call: Call) -> Obj:
    params = call.params
    codes: list[Filter] = [("code", [params["code"].lower()])] if "code" in params else []
    return page(call, FAMILY, *codes, *named_in(call, "customer", "coupon"), *filters_in(params, "active"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "active", flag(obj["active"])
    yield "code", obj["code"].lower()
    yield "coupon", obj["promotion"]["coupon"]
    if obj["customer"]:
        yield "customer", obj["customer"]


def _claims(obj: Obj, _: Settings) -> Iterable[Claim]:
    if obj["active"]:
        yield CODE, f"{obj['code'].lower()} {obj['customer'] or '*'}"


def _collision(claim: Claim, _: str) -> ApiError:
    return _taken(claim[1].partition(" ")[0])


FAMILY = Family(
    kind="promotion_code",
    noun="promotion code",
    missing_param="promotion_code",
    hidden=frozenset({"restrictions.currency_options"}),
    references={"customer": "customer", "promotion.coupon": "coupon"},
    lengths={"code": 500},
    terms=_terms,
    claims=_claims,
    collision=_collision,
    due_at=_due_at,
    when_due=_lapse,
    template={
        "object": "promotion_code",
        "active": True,
        "code": "",
        "created": 0,
        "customer": None,
        "customer_account": None,
        "expires_at": None,
        "livemode": False,
        "max_redemptions": None,
        "metadata": {},
        "promotion": {},
        "restrictions": {
            "currency_options": {},
            "first_time_transaction": False,
            "minimum_amount": None,
            "minimum_amount_currency": None,
        },
        "times_redeemed": 0,
    },
    routes=(
        Route("POST", "/v1/promotion_codes", "PromotionCodeCreateParams", _create),
        Route("GET", "/v1/promotion_codes", "PromotionCodeListParams", _list, lists=True),
        Route("GET", "/v1/promotion_codes/{id}", "PromotionCodeRetrieveParams", retrieve),
        Route("POST", "/v1/promotion_codes/{id}", "PromotionCodeUpdateParams", _update),
    ),
)
