"""What the kinds write below their fields, against the parameter types of the installed Stripe SDK."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.config.catalog import Catalog, catalog_from_text
from reconciler.resources import BY_NAME, KINDS, Kind, desire
from reconciler.resources.model import Field, Mode, is_leaf
from reconciler.sandbox.params import Array, Map, OneOf, Spec, Struct, schema

LANGUAGE = (Path(__file__).parents[1] / "valid" / "language.yaml").read_text()
#: What one catalogue that uses the whole language leaves out of what a choice between mappings can hold.
REST = {
    "settings": {"namespace": "acme"},
    "plans": {
        "gift": {
            "name": "Gift",
            "prices": {
                "once": {
                    "custom_unit_amount": {"minimum": "5", "maximum": "50", "preset": "10"},
                    "interval": "once",
                    "currency_options": {
                        "eur": {"custom_unit_amount": {"minimum": "5", "maximum": "50", "preset": "10"}}
                    },
                }
            },
        }
    },
}
CREATE = {
    "meter": "billing.MeterCreateParams",
    "feature": "entitlements.FeatureCreateParams",
    "tax_rate": "TaxRateCreateParams",
    "product": "ProductCreateParams",
    "product_feature": "ProductCreateFeatureParams",
    "price": "PriceCreateParams",
    "coupon": "CouponCreateParams",
    "promotion_code": "PromotionCodeCreateParams",
    "payment_link": "PaymentLinkCreateParams",
    "portal_configuration": "billing_portal.ConfigurationCreateParams",
    "webhook_endpoint": "WebhookEndpointCreateParams",
    "customer": "CustomerCreateParams",
    "subscription": "SubscriptionCreateParams",
    "credit_grant": "billing.CreditGrantCreateParams",
}
UPDATE = {kind: name.replace("Create", "Update") for kind, name in CREATE.items() if kind != "product_feature"}

_DECIMAL = "written as its decimal twin, which holds every amount exactly"
_REPLACED = "no change in place: the code is replaced"
_GIVEN = "the files name coupons, not what a customer was given of them"
_WHOLE = "said of the subscription as a whole, not of one item"
_PATCHED = "written by the patch of items, which tests of the loop look at"
_DASHBOARD = "what the files do not say is left to the dashboard"
#: Parameters below a managed field that are left alone, each with what is below it, and its reason.
LEFT_ALONE = {
    "price": {
        "tiers[].unit_amount": _DECIMAL,
        "tiers[].flat_amount": _DECIMAL,
        "currency_options.*.unit_amount": _DECIMAL,
        "currency_options.*.tiers[].unit_amount": _DECIMAL,
        "currency_options.*.tiers[].flat_amount": _DECIMAL,
        "recurring.trial_period_days": "trials belong to subscriptions, checkouts and links, never to a price",
    },
    "payment_link": {
        "line_items[].adjustable_quantity": "a link sells as many as the files say",
        "line_items[].price_data": "prices have addresses of their own",
        "after_completion.hosted_confirmation": _DASHBOARD,
        "subscription_data.description": _DASHBOARD,
        "subscription_data.invoice_settings": _DASHBOARD,
        "subscription_data.metadata": "metadata of the link is copied to its sessions",
        "subscription_data.trial_settings": _DASHBOARD,
    },
    "portal_configuration": {
        "features.payment_method_update.payment_method_configuration": _DASHBOARD,
        "features.subscription_cancel.cancellation_reason": _DASHBOARD,
        "features.subscription_pause.duration": "nobody pauses: the files have no such thing",
        "features.subscription_update.billing_cycle_anchor": _DASHBOARD,
        "features.subscription_update.schedule_at_period_end": _DASHBOARD,
        "features.subscription_update.trial_update_behavior": _DASHBOARD,
        "features.subscription_update.products[].adjustable_quantity": "the price changes, not how many",
    },
    "subscription": {
        "discounts[].discount": _GIVEN,
        "discounts[].promotion_code": "codes are entered by customers, at checkout",
        "items[].billing_thresholds": _WHOLE,
        "items[].current_trial": _WHOLE,
        "items[].discounts": _WHOLE,
        "items[].metadata": _WHOLE,
        "items[].plan": "the older name of the price",
        "items[].price_data": "prices have addresses of their own",
        "items[].tax_rates": _WHOLE,
    },
    "credit_grant": {"applicability_config.scope.prices": "a credit pays whatever is metered"},
}
LEFT_ON_UPDATE = LEFT_ALONE | {
    "promotion_code": {"restrictions.currency_options": _REPLACED},
    "subscription": LEFT_ALONE["subscription"]
    | {"items[].id": _PATCHED, "items[].deleted": _PATCHED, "items[].clear_usage": "usage of meters is never cleared"},
    "payment_link": LEFT_ALONE["payment_link"] | {"line_items[].id": _REPLACED, "line_items[].quantity": _REPLACED},
}


def catalogues() -> Iterator[Catalog]:
    """Yield catalogues that together write everything the kinds can write."""
    for text in (LANGUAGE, json.dumps(REST)):
        catalog, problems = catalog_from_text(text)
        assert catalog is not None, problems
        yield catalog


RESOURCES = [resource for catalog in catalogues() for resource in desire(catalog)]


def declared(spec: Spec, path: str) -> Iterator[str]:
    """Yield every path below a parameter, ``*`` for a key of a map and ``[]`` for an item of a list."""
    match spec:
        case Struct():
            for name, member in spec.members.items():
                yield f"{path}.{name}"
                yield from declared(member.spec, f"{path}.{name}")
        case Map():
            yield f"{path}.*"
            yield from declared(spec.value, f"{path}.*")
        case Array():
            yield from declared(spec.item, f"{path}[]")
        case OneOf():
            for option in spec.options:
                yield from declared(option, path)


def written(value: Any, path: str, known: set[str]) -> Iterator[str]:
    """Yield every path below a value; a key that only a map can hold is written as the SDK declares it."""
    if is_leaf(value):
        return
    if isinstance(value, list):
        for item in value:
            yield from written(item, f"{path}[]", known)
        return
    for name, item in value.items():
        here = f"{path}.*" if f"{path}.*" in known else f"{path}.{name}"
        yield here
        yield from written(item, here, known)


def of_sdk(name: str, rows: list[Field]) -> set[str]:
    """Return every path of a request type below the parameters that some rows of a table stand for."""
    members = schema(name).members
    return {path for row in rows if row.name in members for path in declared(members[row.name].spec, row.name)}


def left_alone(reasons: Mapping[str, str], known: set[str], *, some: bool = False) -> set[str]:
    """Return the paths at and below those with a reason; ``some`` of these may be unknown."""
    below = {each: {path for path in known if f"{path}.".startswith((f"{each}.", f"{each}["))} for each in reasons}
    assert some or all(below.values())
    return {path for paths in below.values() for path in paths}


def of_kind(kind: Kind, rows: list[Field], known: set[str]) -> set[str]:
    """Return every path that the catalogues write below some rows of a kind's table."""
    values = [resource.values for resource in RESOURCES if resource.kind is kind]
    return {
        path for each in values for row in rows if row.name in each for path in written(each[row.name], row.name, known)
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_nested_parameters_of_a_creation_are_those_of_the_sdk(kind: Kind) -> None:
    """Below each field a creation can write what the SDK's type has, less what is left alone, and nothing else."""
    rows = [row for row in kind.fields if row.mode is not Mode.UPDATE_ONLY]
    known = of_sdk(CREATE[kind.name], rows)
    left = left_alone(LEFT_ALONE.get(kind.name, {}), known)
    found = of_kind(kind, rows, known)
    assert found | left == known
    assert not found & left


@pytest.mark.parametrize("kind", [BY_NAME[name] for name in UPDATE], ids=lambda kind: kind.name)
def test_nested_parameters_of_an_update_are_those_of_the_sdk(kind: Kind) -> None:
    """Below each field that can change in place an update writes what the SDK's type has, and nothing else."""
    rows = [row for row in kind.fields if row.mode is not Mode.CREATE_ONLY]
    known = of_sdk(UPDATE[kind.name], rows)
    left = left_alone(LEFT_ON_UPDATE.get(kind.name, {}), known, some=True)
    found = of_kind(kind, [row for row in rows if row.in_place(None, {"any": "value"})], known)
    assert found | left == known
    assert not found & left


def test_the_table_has_nested_parameters() -> None:
    """The comparison is not of nothing with nothing: deep paths are found on both sides."""
    known = of_sdk(CREATE["price"], list(BY_NAME["price"].fields))
    deep = {"currency_options.*.tiers[].up_to", "currency_options.*.custom_unit_amount.preset", "recurring.meter"}
    assert deep <= known
    assert deep <= of_kind(BY_NAME["price"], list(BY_NAME["price"].fields), known)
