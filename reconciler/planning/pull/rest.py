"""Meters, features, tax rates, coupons and promotion codes as entries of the files."""

from typing import Any

from reconciler.config.ids import slug
from reconciler.planning.pull.amounts import instant, major, number
from reconciler.planning.pull.draft import Draft
from reconciler.planning.pull.names import is_made_up, shared_prefix

_TAX_TEXTS = ("country", "state", "jurisdiction", "tax_type")


def add_meters(draft: Draft) -> None:
    """Write every active meter under its event name."""
    meters = draft.fit("meter")
    prefix = shared_prefix([str(live.key) for live in meters])
    for live in meters:
        values = live.values
        entry: dict[str, Any] = {"name": values["display_name"]}
        if values["default_aggregation"]["formula"] != "sum":
            entry["aggregation"] = values["default_aggregation"]["formula"]
        entry["event_name"] = values["event_name"]
        if "event_time_window" in values:
            entry["event_time_window"] = values["event_time_window"]
        if "customer_mapping" in values:
            if values["customer_mapping"]["type"] != "by_id":
                draft.leave(live, f"it finds customers by {values['customer_mapping']['type']}")
                continue
            entry["customer_key"] = values["customer_mapping"]["event_payload_key"]
        if "value_settings" in values:
            entry["value_key"] = values["value_settings"]["event_payload_key"]
        draft.add("meters", live, entry, _names(values["event_name"], prefix, values["display_name"]), "meter")


def add_features(draft: Draft) -> None:
    """Write every feature under its lookup key."""
    features = draft.fit("feature")
    prefix = shared_prefix([str(live.key) for live in features])
    for live in features:
        key = str(live.values["lookup_key"])
        entry = {"name": live.values["name"], "lookup_key": key}
        address = draft.add("features", live, entry, _names(key, prefix, live.values["name"]), "feature")
        entry |= draft.metadata(live, tuple(address.split(".")))


def _names(key: str, prefix: str, *others: str) -> list[str]:
    """Return ids for something with a key: without what all keys begin with, the key itself, what else it is called."""
    return [slug(key.removeprefix(prefix)), slug(key), *map(slug, others)]


def add_tax_rates(draft: Draft) -> None:
    """Write every active tax rate; none has a key, so each is named by its id."""
    for live in draft.fit("tax_rate"):
        values = live.values
        entry: dict[str, Any] = {name: values[name] for name in ("display_name", "description") if name in values}
        entry |= {"percentage": number(values["percentage"]), "inclusive": bool(values.get("inclusive"))}
        entry |= {name: values[name] for name in _TAX_TEXTS if name in values}
        where = values.get("state") or values.get("country") or values.get("jurisdiction") or ""
        name = slug(f"{where} {values['display_name']}")
        address = draft.add("tax_rates", live, entry, [name, slug(f"{name} {values['percentage']}")], "tax")
        entry |= draft.metadata(live, tuple(address.split(".")))
        draft.name_by_id(address, live)


def add_coupons(draft: Draft) -> None:
    """Write every coupon whose products are all written."""
    coupons = draft.fit("coupon")
    prefix = shared_prefix([live.id for live in coupons if not is_made_up("coupon", live.id)])
    for live in coupons:
        values = live.values
        products = (values.get("applies_to") or {}).get("products") or []
        addresses = [draft.address_of(product) for product in products]
        if None in addresses:
            draft.leave(live, "it is limited to a product that is not written")
            continue
        entry = _coupon(draft, values)
        entry |= {"applies_to": addresses} if addresses else {}
        names = [slug(values.get("name") or ""), slug(_off(values))]
        if not is_made_up("coupon", live.id):
            entry["stripe_id"] = live.id
            names = [*_names(live.id, prefix), *names]
        address = draft.add("coupons", live, entry, names, "coupon")
        if "stripe_id" not in entry:
            draft.name_by_id(address, live)
        entry |= draft.metadata(live, tuple(address.split(".")))


def _coupon(draft: Draft, values: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": values["name"]} if "name" in values else {}
    if "percent_off" in values:
        entry["percent_off"] = number(values["percent_off"])
    else:
        entry["amount_off"] = major(values["amount_off"], values["currency"])
        entry |= {"currency": values["currency"]} if values["currency"] != draft.currency else {}
        options = values.get("currency_options") or {}
        others = {code: major(each["amount_off"], code) for code, each in sorted(options.items())}
        entry |= {"currency_options": others} if others else {}
    entry["duration"] = values.get("duration", "once")
    entry |= {name: values[name] for name in ("duration_in_months", "max_redemptions") if name in values}
    return entry | ({"redeem_by": instant(values["redeem_by"])} if "redeem_by" in values else {})


def _off(values: dict[str, Any]) -> str:
    if "percent_off" in values:
        return f"{values['percent_off']} percent off"
    return f"{major(values['amount_off'], values['currency'])} {values['currency']} off"


def add_promotion_codes(draft: Draft) -> None:
    """Write every active code whose coupon is written."""
    for live in draft.fit("promotion_code"):
        values = live.values
        coupon = draft.address_of(values["promotion"]["coupon"])
        if coupon is None:
            draft.leave(live, "its coupon is not written")
            continue
        entry: dict[str, Any] = {"coupon": coupon.removeprefix("coupons."), "code": values["code"]}
        entry |= {"expires_at": instant(values["expires_at"])} if "expires_at" in values else {}
        entry |= {"max_redemptions": values["max_redemptions"]} if "max_redemptions" in values else {}
        restrictions = _restrictions(draft, values.get("restrictions") or {})
        entry |= {"restrictions": restrictions} if restrictions else {}
        address = draft.add("promotion_codes", live, entry, [slug(values["code"])], "code")
        entry |= draft.metadata(live, tuple(address.split(".")))
        draft.name_by_id(address, live)


def _restrictions(draft: Draft, values: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {"first_time_transaction": True} if values.get("first_time_transaction") else {}
    if "minimum_amount" in values:
        currency = values["minimum_amount_currency"]
        entry["minimum_amount"] = major(values["minimum_amount"], currency)
        entry |= {"currency": currency} if currency != draft.currency else {}
    options = values.get("currency_options") or {}
    others = {code: major(each["minimum_amount"], code) for code, each in sorted(options.items())}
    return entry | ({"currency_options": others} if others else {})
