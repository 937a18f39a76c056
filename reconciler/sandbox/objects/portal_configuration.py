"""What a customer may do in the billing portal (https://docs.stripe.com/api/customer_portal/configurations)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.sandbox.errors import exclusive, invalid, missing, not_modelled, out_of_range
from reconciler.sandbox.lists import filters_in, page, too_many
from reconciler.sandbox.objects.base import Call, Family, Route, flag, overlay, retrieve
from reconciler.sandbox.objects.price import MAX_INTERVALS
from reconciler.sandbox.store import Term
from reconciler.sandbox.wire import Obj

MAX_PRODUCTS = 10
#: Held by the account's default configuration, which is its first (observed: the first one cannot be deactivated).
DEFAULT = ("billing_portal.configuration.default", "")
#: Published below this path is the page on which customers of the configuration log in.
LOGIN = "/p/login/"

_REASONS = ("too_expensive", "missing_features", "switched_service", "unused", "other")
_FEATURES: Mapping[str, Obj] = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "feedback_options": None, "options": list(_REASONS)},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {
        "duration": {"interval_options": [{"interval": "month", "interval_count": 1}], "type": "interval_options"},
        "enabled": False,
    },
    "subscription_update": {
        "billing_cycle_anchor": None,
        "default_allowed_updates": [],
        "enabled": False,
        "products": [],
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}


def _create(call: Call) -> Obj:
    configuration_id = call.new_id("bpc_1", 23)
    configuration = _described(call, call.fill(FAMILY, configuration_id))
    configuration["is_default"] = call.tx.claim(DEFAULT, configuration_id) == configuration_id
    return call.create(FAMILY, configuration)


def _update(call: Call) -> Obj:
    row = call.row()
    if row.body["is_default"] and call.params.get("active") is False:
        # Observed: lukasaron/terraform-provider-stripe#95.
        raise invalid("You cannot set `active: false` on your default PortalConfiguration.")
    return call.save(FAMILY, row, _described(call, row.body))


def _described(call: Call, configuration: Obj) -> Obj:
    """Return the configuration with what a request sets, or refuse it."""
    params = call.params
    changed = overlay(configuration, params, ("active", "default_return_url", "metadata", "name"))
    changed["business_profile"] = {**changed["business_profile"], **params.get("business_profile", {})}
    changed["features"] = _features(call, changed["features"], params.get("features", {}))
    if "login_page" in params:
        changed |= _login_page(call, changed, enabled=params["login_page"]["enabled"])
    return changed


def _login_page(call: Call, configuration: Obj, *, enabled: bool) -> Obj:
    """Open or close the login page; a page that was closed is not opened again, a new one is."""
    if enabled == configuration["login_page"]["enabled"]:
        return {}
    slug = call.new_id("test_", 18) if enabled else None
    if slug:
        call.tx.publish(LOGIN + slug)
    return {"login_page": {"enabled": enabled}, "_login": slug}


def _features(call: Call, held: Mapping[str, Obj], given: Mapping[str, Obj]) -> Obj:
    """Lay what is given of each feature over what the configuration has of it."""
    features = {name: {**held[name], **given.get(name, {})} for name in held}
    for feature, name in (("customer_update", "allowed_updates"), ("subscription_update", "default_allowed_updates")):
        features[feature][name] = features[feature][name] or []
    if features["payment_method_update"]["payment_method_configuration"]:
        param = "features[payment_method_update][payment_method_configuration]"
        raise not_modelled("payment method configurations", param)
    _cancel(call, features["subscription_cancel"], held["subscription_cancel"], given.get("subscription_cancel", {}))
    _pause(features["subscription_pause"], given.get("subscription_pause", {}))
    _change(call, features["subscription_update"], given.get("subscription_update", {}))
    return features


def _cancel(call: Call, feature: Obj, held: Obj, given: Obj) -> None:
    """Check how customers cancel; prorations need ``mode=immediately``, and ``always_invoice`` is an error.

    Source: https://docs.stripe.com/api/customer_portal/configurations/create.
    """
    at = "features[subscription_cancel]"
    behavior = feature["proration_behavior"]
    if behavior == "always_invoice":
        raise invalid("`always_invoice` is not supported when canceling.", f"{at}[proration_behavior]")
    if behavior == "create_prorations" and feature["mode"] != "immediately":
        raise invalid("`create_prorations` can be set only with `mode=immediately`.", f"{at}[proration_behavior]")
    reason = given.get("cancellation_reason", {})
    for index, option in enumerate(reason.get("feedback_options") or ()):
        call.refer("billing.feedback_option", option, f"{at}[cancellation_reason][feedback_options][{index}]")
    feature["cancellation_reason"] = {**held["cancellation_reason"], **reason}
    feature["cancellation_reason"]["options"] = feature["cancellation_reason"]["options"] or []


def _pause(feature: Obj, given: Obj) -> None:
    """Check how long customers pause: presets of at most three years, or no presets at all."""
    duration = given.get("duration")
    if duration is None:
        return
    at = "features[subscription_pause][duration][interval_options]"
    options: Sequence[Obj] = duration.get("interval_options") or []
    if duration["type"] == "indefinite" and options:
        raise invalid("`interval_options` can be set only with `type=interval_options`.", at)
    if duration["type"] == "interval_options" and not options:
        raise missing(at)
    for index, option in enumerate(options):
        count = option.get("interval_count", 1)
        if count < 1:
            raise out_of_range(f"{at}[{index}][interval_count]", count, least=1)
        if count > MAX_INTERVALS[option["interval"]]:
            raise out_of_range(f"{at}[{index}][interval_count]", count, most=MAX_INTERVALS[option["interval"]])
    presets = [{"interval_count": 1, **option} for option in options]
    feature["duration"] = {"interval_options": presets, "type": duration["type"]}


def _change(call: Call, feature: Obj, given: Obj) -> None:
    """Check what customers may change to."""
    schedule: Obj = given.get("schedule_at_period_end") or feature["schedule_at_period_end"]
    feature["schedule_at_period_end"] = {"conditions": schedule.get("conditions") or []}
    if "products" not in given:
        return
    at = "features[subscription_update][products]"
    products: Sequence[Obj] = given["products"] or []
    if len(products) > MAX_PRODUCTS:
        raise too_many(at, MAX_PRODUCTS)
    seen: dict[str, int] = {}
    for index, product in enumerate(products):
        first = seen.setdefault(product["product"], index)
        if first != index:
            raise exclusive(f"{at}[{first}][product]", f"{at}[{index}][product]")
    feature["products"] = [_product(call, product, f"{at}[{index}]") for index, product in enumerate(products)]


def _product(call: Call, given: Obj, at: str) -> Obj:
    """Check one product: prices of its own, active, recurring, one per billing interval (the last: observed)."""
    product = call.refer("product", given["product"], f"{at}[product]")
    intervals = set()
    for index, price_id in enumerate(given["prices"]):
        param = f"{at}[prices][{index}]"
        price = call.refer("price", price_id, param)
        if price["product"] != product["id"]:
            raise invalid(f"The price {price_id} does not belong to the product {product['id']}.", param)
        if not price["active"]:
            raise invalid("The price specified is inactive. This field only accepts active prices.", param)
        if price["recurring"] is None:
            # The text is that of every field that takes recurring prices (observed: stripe/stripe-dotnet#2228).
            raise invalid(
                "The price specified is set to `type=one_time` but this field only accepts prices with "
                "`type=recurring`.",
                param,
            )
        interval = (price["recurring"]["interval"], price["recurring"]["interval_count"])
        if interval in intervals:
            raise invalid("For each product, its price must have unique billing intervals.", param)
        intervals.add(interval)
    return {
        "adjustable_quantity": _adjustable(given.get("adjustable_quantity", {"enabled": False}), at),
        "prices": given["prices"],
        "product": product["id"],
    }


def _adjustable(given: Mapping[str, Any], at: str) -> Obj:
    least, most = given.get("minimum", 1), given.get("maximum")
    if least < 0:
        raise out_of_range(f"{at}[adjustable_quantity][minimum]", least, least=0)
    if most is not None and most < least:
        raise out_of_range(f"{at}[adjustable_quantity][maximum]", most, least=least)
    return {"enabled": given["enabled"], "maximum": most, "minimum": least}


def _list(call: Call) -> Obj:
    return page(call, FAMILY, *filters_in(call.params, "is_default", "active"))


def _terms(obj: Obj) -> Iterable[Term]:
    yield from ((name, flag(obj[name])) for name in ("active", "is_default"))
    if obj["_login"]:
        yield "login", obj["_login"]


def _addresses(obj: Obj, base_url: str) -> Obj:
    url = base_url + LOGIN + obj["_login"] if obj["_login"] else None
    return {"login_page": {**obj["login_page"], "url": url}}


FAMILY = Family(
    kind="billing_portal.configuration",
    noun="configuration",
    missing_param="configuration",
    hidden=frozenset({"features.subscription_update.products"}),
    references={"features.subscription_cancel.cancellation_reason.feedback_options": "billing.feedback_option"},
    lengths={"business_profile[headline]": 60, "name": 256},
    terms=_terms,
    addresses=_addresses,
    template={
        "object": "billing_portal.configuration",
        "_login": None,
        "active": True,
        "application": None,
        "business_profile": {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None},
        "created": 0,
        "default_return_url": None,
        "features": _FEATURES,
        "is_default": False,
        "livemode": False,
        "login_page": {"enabled": False},
        "metadata": {},
        "name": None,
        "updated": 0,
    },
    routes=(
        Route("POST", "/v1/billing_portal/configurations", "billing_portal.ConfigurationCreateParams", _create),
        Route("GET", "/v1/billing_portal/configurations", "billing_portal.ConfigurationListParams", _list, lists=True),
        Route("GET", "/v1/billing_portal/configurations/{id}", "billing_portal.ConfigurationRetrieveParams", retrieve),
        Route("POST", "/v1/billing_portal/configurations/{id}", "billing_portal.ConfigurationUpdateParams", _update),
    ),
)
