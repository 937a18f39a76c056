"""Prices: money that never changes once created (https://docs.stripe.com/api/prices)."""

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.sandbox.errors import ApiError, empty, exclusive, invalid, missing, out_of_range
from reconciler.sandbox.lists import Filter, at_most, filters_in, named_in, page
from reconciler.sandbox.objects.amounts import currency, option_currency, price_amounts
from reconciler.sandbox.objects.base import Call, Family, Route, flag, overlay, retrieve
from reconciler.sandbox.objects.product_fields import describe
from reconciler.sandbox.settings import Settings
from reconciler.sandbox.store import Claim, Term
from reconciler.sandbox.wire import Obj

LOOKUP_KEY = "price.lookup_key"
MAX_LOOKUP_KEYS = 10

#: Three years in each unit (https://docs.stripe.com/api/prices/create, ``recurring.interval_count``).
MAX_INTERVALS = {"day": 1095, "week": 156, "month": 36, "year": 3}

_PLAIN_FIELDS = ("active", "lookup_key", "metadata", "nickname", "tax_behavior", "transform_quantity")


def _create(call: Call) -> Obj:
    params = call.params
    if "product" in params and "product_data" in params:
        raise exclusive("product", "product_data")
    if "product" not in params and "product_data" not in params:
        raise invalid("You must specify either `product` or `product_data` when creating a price.")
    price_id = new_id(call)
    if "product" in params:
        product_id = call.refer("product", params["product"], "product")["id"]
    else:
        product = call.families["product"]
        product_id = call.create(product, describe(call, product, params["product_data"]))["id"]
    price = build(call, params, product_id, price_id)
    _transfer(call, params, price_id)
    return call.create(FAMILY, price)


def new_id(call: Call) -> str:
    """Return a fresh price id."""
    return call.new_id("price_1", 23)


def build(call: Call, params: Obj, product_id: str, price_id: str) -> Obj:
    """Return the complete price a request describes, or refuse it."""
    code = currency(params["currency"])
    tiered = params.get("billing_scheme") == "tiered"
    _check_shape(params, tiered=tiered)
    recurring = _recurring(call, params["recurring"]) if params.get("recurring") else None
    amounts = price_amounts(params, tiered=tiered)
    price = call.fill(
        FAMILY,
        price_id,
        **amounts,
        billing_scheme="tiered" if tiered else "per_unit",
        currency=code,
        product=product_id,
        recurring=recurring,
        tiers_mode=params.get("tiers_mode"),
        type="recurring" if recurring else "one_time",
    )
    price = overlay(price, params, _PLAIN_FIELDS)
    price["currency_options"] = _options(call, price, params.get("currency_options") or {})
    return price


def _check_shape(params: Obj, *, tiered: bool) -> None:
    """Refuse combinations of parameters that exclude or need each other (one-time tiers and their param: observed)."""
    if tiered and not params.get("recurring"):
        raise invalid("Prices with `type=one_time` are not supported with tiered billing.", "interval")
    if "tiers" in params and "transform_quantity" in params:
        raise exclusive("tiers", "transform_quantity")
    if tiered and "tiers_mode" not in params:
        raise missing("tiers_mode")
    if not tiered and "tiers_mode" in params:
        raise invalid("`tiers_mode` can be set only with `billing_scheme=tiered`.", "tiers_mode")
    if "custom_unit_amount" in params and params.get("recurring"):
        raise invalid("`custom_unit_amount` can be set only on one-time prices.", "custom_unit_amount")
    divide_by = params.get("transform_quantity", {}).get("divide_by", 1)
    if divide_by < 1:
        raise out_of_range("transform_quantity[divide_by]", divide_by, least=1)


def _recurring(call: Call, given: Mapping[str, Any]) -> Obj:
    interval, count = given["interval"], given.get("interval_count", 1)
    if count < 1:
        raise out_of_range("recurring[interval_count]", count, least=1)
    if count > MAX_INTERVALS[interval]:
        raise out_of_range("recurring[interval_count]", count, most=MAX_INTERVALS[interval])
    if given.get("trial_period_days", 1) < 1:
        raise out_of_range("recurring[trial_period_days]", given["trial_period_days"], least=1)
    usage_type, meter = given.get("usage_type", "licensed"), given.get("meter")
    if usage_type == "metered" and meter is None:
        # Observed.
        raise invalid("Starting with Stripe version `2025-03-31.basil`, metered prices must be backed by meters.")
    if usage_type == "licensed" and meter is not None:
        raise invalid("`meter` can be set only with `usage_type=metered`.", "recurring[meter]")
    if meter is not None and call.refer("billing.meter", meter, "recurring[meter]")["status"] != "active":
        raise invalid(
            f"The meter {meter} is inactive; prices can be created for active meters only.", "recurring[meter]"
        )
    return {
        "interval": interval,
        "interval_count": count,
        "meter": meter,
        "trial_period_days": given.get("trial_period_days"),
        "usage_type": usage_type,
    }


def _options(call: Call, price: Obj, given: Mapping[str, Mapping[str, Any]]) -> Obj:
    """Return the options as stored: those given over those the price has, the base currency where it belongs."""
    kept = price["currency_options"] if call.settings.currency_options_merge or not given else {}
    options: Obj = {code: dict(option) for code, option in kept.items()}
    if call.settings.base_currency_in_options:
        shared = ("custom_unit_amount", "tax_behavior", "tiers", "unit_amount", "unit_amount_decimal")
        options[price["currency"]] = {name: price[name] for name in shared}
    for key, option in given.items():
        code = option_currency(key, price["currency"], "currency_options")
        if option is None:
            options.pop(code, None)
            continue
        at = f"currency_options[{code}]"
        amounts = price_amounts(option, tiered=price["billing_scheme"] == "tiered", at=at)
        options[code] = {**amounts, "tax_behavior": _option_tax_behavior(call, price, options.get(code), option, at)}
    return options


def _option_tax_behavior(call: Call, price: Obj, held: Obj | None, given: Mapping[str, Any], at: str) -> str:
    """Return an option's tax behavior, which like the price's own never changes once it is set."""
    before = held["tax_behavior"] if held else "unspecified"
    inherited = price["tax_behavior"] if call.settings.option_inherits_tax_behavior else "unspecified"
    behavior: str = given.get("tax_behavior", inherited if before == "unspecified" else before)
    if behavior != before != "unspecified":
        path = f"{at}[tax_behavior]"
        raise invalid("`tax_behavior` cannot be changed once it is `inclusive` or `exclusive`.", path)
    return behavior


def _update(call: Call) -> Obj:
    row, params = call.row(), call.params
    price = row.body
    if params.get("active") is False:
        _check_not_default(call, price)
    if params.get("tax_behavior", price["tax_behavior"]) != price["tax_behavior"] != "unspecified":
        raise invalid("`tax_behavior` cannot be changed once it is `inclusive` or `exclusive`.", "tax_behavior")
    if params.get("lookup_key", "") is None and not call.settings.blank_lookup_key_unsets:
        raise empty("lookup_key")
    _transfer(call, params, price["id"])
    changed = overlay(price, params, _PLAIN_FIELDS)
    if not (changed["active"] or call.settings.archived_price_keeps_key):
        changed["lookup_key"] = None
    if "currency_options" in params or "tax_behavior" in params:
        kept = price if params.get("currency_options", {}) is not None else {**price, "currency_options": {}}
        changed["currency_options"] = _options(
            call,
            {**changed, "currency_options": kept["currency_options"]},
            params.get("currency_options") or {},
        )
    return call.save(FAMILY, row, changed)


def _check_not_default(call: Call, price: Obj) -> None:
    """Refuse to archive a default price (stripe/stripe-python#658)."""
    product = call.tx.find("product", price["product"])
    if product and product.body["default_price"] == price["id"]:
        raise invalid("This price cannot be archived because it is the default price of its product.")


def _transfer(call: Call, params: Obj, taker: str) -> None:
    """Take the lookup key from its holder, whose ``price.updated`` is the only one of a create (observed)."""
    if not params.get("transfer_lookup_key") or not params.get("lookup_key"):
        return
    holder = call.tx.holder((LOOKUP_KEY, params["lookup_key"]))
    row = call.tx.find(FAMILY.kind, holder) if holder and holder != taker else None
    if row:
        call.save(FAMILY, row, {**row.body, "lookup_key": None})


def _list(call: Call) -> Obj:
    params, recurring = call.params, call.params.get("recurring", {})
    filters: list[Filter] = []
    if "lookup_keys" in params:
        filters.append(("lookup_key", at_most(params["lookup_keys"], MAX_LOOKUP_KEYS, "lookup_keys")))
    filters += named_in(call, "product")
    filters += filters_in(recurring, "meter", "usage_type", "interval")
    filters += filters_in(params, "currency", "type", "active")
    if "active" not in params and call.settings.unfiltered_prices_active_only:
        filters.append(("active", ["true"]))
    # "excluding inline prices" (SDK docstring of ``GET /v1/prices``).
    return page(call, FAMILY, *filters, ("inline", ["false"]))


def _terms(obj: Obj) -> Iterable[Term]:
    yield "active", flag(obj["active"])
    yield "inline", flag(obj["_inline"])
    yield from ((name, obj[name]) for name in ("product", "currency", "type"))
    if obj["lookup_key"]:
        yield "lookup_key", obj["lookup_key"]
    if obj["recurring"]:
        yield from ((name, obj["recurring"][name]) for name in ("interval", "usage_type"))
        if obj["recurring"]["meter"]:
            yield "meter", obj["recurring"]["meter"]


def _claims(obj: Obj, _: Settings) -> Iterable[Claim]:
    if obj["lookup_key"]:
        yield LOOKUP_KEY, obj["lookup_key"]


def _collision(_: Claim, holder: str) -> ApiError:
    """Return the refusal of a taken lookup key (stripe/stripe-ruby#933)."""
    return invalid(f"A price (`{holder}`) already uses that lookup key.", "lookup_key")


FAMILY = Family(
    kind="price",
    noun="price",
    missing_param="price",
    hidden=frozenset({"tiers", "currency_options", "currency_options.*.tiers"}),
    references={"product": "product"},
    lengths={"lookup_key": 200, "product_data[statement_descriptor]": 22, "product_data[unit_label]": 12},
    terms=_terms,
    claims=_claims,
    collision=_collision,
    template={
        "object": "price",
        "_inline": False,
        "active": True,
        "billing_scheme": "per_unit",
        "created": 0,
        "currency": "",
        "currency_options": {},
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": "",
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers": None,
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": None,
        "unit_amount_decimal": None,
    },
    routes=(
        Route("POST", "/v1/prices", "PriceCreateParams", _create),
        Route("GET", "/v1/prices", "PriceListParams", _list, lists=True),
        Route("GET", "/v1/prices/{id}", "PriceRetrieveParams", retrieve),
        Route(
            "POST",
            "/v1/prices/{id}",
            "PriceUpdateParams",
            _update,
            clears=frozenset({"lookup_key"}),
            blanks=frozenset({"nickname"}),
        ),
    ),
)
