"""The customer portal (https://docs.stripe.com/api/customer_portal/configurations): one, which is changed in place.

Stripe lays an update over what is there, feature by feature, so every feature is always sent, those that are off too;
details of a feature that is off mean nothing and are not compared.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.config.catalog import Catalog
from reconciler.config.models import Portal
from reconciler.config.models.selling import SubscriptionUpdate
from reconciler.config.terms import recurring
from reconciler.resources.model import (
    Field,
    Json,
    Kind,
    Mode,
    Removal,
    Resource,
    Stage,
    Values,
    live_id,
    optional_text,
    ref,
)

ADDRESS = "portal"
#: What is compared of each feature while it is on, beside that it is.
_DETAILS: Mapping[str, tuple[str, ...]] = {
    "customer_update": ("allowed_updates",),
    "invoice_history": (),
    "payment_method_update": (),
    "subscription_cancel": ("mode", "proration_behavior"),
    "subscription_pause": (),
    "subscription_update": ("default_allowed_updates", "products", "proration_behavior"),
}
_PROFILE = ("headline", "privacy_policy_url", "terms_of_service_url")


def _profile(live: Mapping[str, Any]) -> Json:
    profile = live.get("business_profile") or {}
    return {name: profile[name] for name in _PROFILE if profile.get(name)}


def _features(live: Mapping[str, Any]) -> Json:
    features = live.get("features") or {}
    return {name: _feature(features.get(name) or {}, details) for name, details in _DETAILS.items()}


def _feature(live: Mapping[str, Any], details: tuple[str, ...]) -> Json:
    if not live.get("enabled"):
        return {"enabled": False}
    read = {name: live.get(name) for name in details}
    if "products" in read:
        read["products"] = [_product(each) for each in live.get("products") or []]
    return {"enabled": True, **read}


def _product(live: Mapping[str, Any]) -> Json:
    return {
        "product": live_id("product", live["product"]),
        "prices": [live_id("price", price) for price in live["prices"]],
    }


def _patched(before: Json, after: Json) -> Json:
    """Return the texts to send, blank for those that leave: an update keeps what it does not name."""
    return {**dict.fromkeys(before or {}, ""), **(after or {})}


def desire(catalog: Catalog) -> Iterator[Resource]:
    """Yield the configuration of the portal, if the files have one."""
    portal = catalog.file.portal
    if portal is None:
        return
    values = {
        "business_profile": {name: value for name in _PROFILE if (value := getattr(portal, name))},
        "default_return_url": portal.return_url,
        "features": _wanted(catalog, portal),
    }
    yield Resource(
        kind=KIND,
        address=ADDRESS,
        key=None,
        values=KIND.canonical(values),
        metadata=portal.metadata,
        source=catalog.at("portal"),
    )


def _wanted(catalog: Catalog, portal: Portal) -> Json:
    cancel, update = portal.subscription_cancel, portal.subscription_update
    on: Values = {
        "customer_update": {"allowed_updates": list(portal.customer_update)} if portal.customer_update else None,
        "invoice_history": {} if portal.invoice_history else None,
        "payment_method_update": {} if portal.payment_method_update else None,
        "subscription_cancel": {"mode": cancel.mode, "proration_behavior": "none"} if cancel else None,
        "subscription_update": _changes(catalog, update) if update else None,
    }
    details = {name: on.get(name) for name in _DETAILS}
    return {name: {"enabled": False} if each is None else {"enabled": True, **each} for name, each in details.items()}


def _changes(catalog: Catalog, update: SubscriptionUpdate) -> Json:
    return {
        "default_allowed_updates": ["price"],
        "products": [{"product": ref(f"plans.{name}"), "prices": _prices(catalog, name)} for name in update.plans],
        "proration_behavior": update.proration,
    }


def _prices(catalog: Catalog, plan: str) -> Json:
    """Return the recurring prices of a plan, of each billing interval the first in the files: Stripe takes one."""
    chosen: dict[tuple[str, int], str] = {}
    for name, price in recurring(catalog.file.plans[plan]).items():
        chosen.setdefault((price.interval, price.interval_count), name)
    return [ref(f"plans.{plan}.prices.{name}") for name in chosen.values()]


KIND = Kind(
    name="portal_configuration",
    path="/v1/billing_portal/configurations",
    key=None,
    create_stage=Stage.OFFER,
    retire_stage=Stage.RETIRE_OFFER,
    removal=Removal.ARCHIVE,
    told="id",
    kept="is_default",
    desire=desire,
    expand=("features.subscription_update.products",),
    fields=(
        Field("active", Mode.UPDATE_ONLY, default=True),
        Field("business_profile", Mode.MUTABLE, read=_profile, unset={}, patch=_patched, yaml="headline"),
        Field(
            "default_return_url", Mode.MUTABLE, read=optional_text("default_return_url"), unset="", yaml="return_url"
        ),
        Field("features", Mode.MUTABLE, read=_features, unordered=True, yaml="subscription_update"),
    ),
    unmanaged={
        "login_page": "whether customers log in by e-mail is switched on in the dashboard",
        "name": "the files have one portal, so nothing has to tell it from another",
    },
)
