"""Shipping rates (https://docs.stripe.com/api/shipping_rates); they have no events."""

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.money import MAX_MINOR_AMOUNT
from reconciler.sandbox.errors import missing, out_of_range
from reconciler.sandbox.lists import Filter, filters_in, page
from reconciler.sandbox.objects.amounts import currency, option_currency
from reconciler.sandbox.objects.base import Call, Family, Route, flag, overlay, retrieve
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj


def _create(call: Call) -> Obj:
    params = call.params
    if "fixed_amount" not in params:
        raise missing("fixed_amount")
    rate = overlay(
        call.fill(FAMILY, call.new_id("shr_1", 23)), params, ("display_name", "metadata", "tax_behavior", "tax_code")
    )
    rate["delivery_estimate"] = _estimate(params.get("delivery_estimate"))
    rate["fixed_amount"] = _amount(params["fixed_amount"])
    return call.create(FAMILY, rate)


def _estimate(given: Mapping[str, Any] | None) -> Obj | None:
    """Return the range of a delivery time; a bound that is not given is open."""
    if given is None:
        return None
    for name, bound in given.items():
        if bound["value"] < 1:
            raise out_of_range(f"delivery_estimate[{name}][value]", bound["value"], least=1)
    return {name: given.get(name) for name in ("maximum", "minimum")}


def _amount(given: Mapping[str, Any]) -> Obj:
    _check(given["amount"], "fixed_amount[amount]")
    base = currency(given["currency"], "fixed_amount[currency]")
    return {
        "amount": given["amount"],
        "currency": base,
        "currency_options": _options({}, base, given.get("currency_options") or {}),
    }


def _options(held: Obj, base: str, given: Mapping[str, Any]) -> Obj:
    """Lay the given amounts per currency over those held; a new currency needs its amount."""
    options = dict(held)
    for key, option in given.items():
        at = f"fixed_amount[currency_options][{key}]"
        code = option_currency(key, base, "fixed_amount[currency_options]")
        merged = {"tax_behavior": "unspecified", **options.get(code, {}), **option}
        if "amount" not in merged:
            raise missing(f"{at}[amount]")
        _check(merged["amount"], f"{at}[amount]")
        options[code] = merged
    return options


def _check(amount: int, param: str) -> None:
    if amount < 0:
        raise out_of_range(param, amount, least=0)
    if amount > MAX_MINOR_AMOUNT:
        raise out_of_range(param, amount, most=int(MAX_MINOR_AMOUNT))


def _update(call: Call) -> Obj:
    row, params = call.row(), call.params
    changed = overlay(row.body, params, ("active", "metadata", "tax_behavior"))
    if "fixed_amount" in params:
        fixed = row.body["fixed_amount"]
        options = _options(fixed["currency_options"], fixed["currency"], params["fixed_amount"]["currency_options"])
        changed["fixed_amount"] = {**fixed, "currency_options": options}
    return call.save(FAMILY, row, changed)


def _list(call: Call) -> Obj:
    filters: list[Filter] = []
    if "currency" in call.params:
        filters.append(("currency", [currency(call.params["currency"])]))
    return page(call, FAMILY, *filters, *filters_in(call.params, "active"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "active", flag(obj["active"])
    yield "currency", obj["fixed_amount"]["currency"]


FAMILY = Family(
    kind="shipping_rate",
    noun="shipping rate",
    missing_param="shipping_rate",
    emits_events=False,
    hidden=frozenset({"fixed_amount.currency_options"}),
    lengths={"display_name": 100},
    terms=_terms,
    template={
        "object": "shipping_rate",
        "active": True,
        "created": 0,
        "delivery_estimate": None,
        "display_name": None,
        "fixed_amount": None,
        "livemode": False,
        "metadata": {},
        "tax_behavior": "unspecified",
        "tax_code": None,
        "type": "fixed_amount",
    },
    routes=(
        Route("POST", "/v1/shipping_rates", "ShippingRateCreateParams", _create),
        Route("GET", "/v1/shipping_rates", "ShippingRateListParams", _list, lists=True),
        Route("GET", "/v1/shipping_rates/{id}", "ShippingRateRetrieveParams", retrieve),
        Route("POST", "/v1/shipping_rates/{id}", "ShippingRateUpdateParams", _update),
    ),
)
