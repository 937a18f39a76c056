"""The field tables against the parameter types of the installed Stripe SDK."""

import pytest
from stripe import params
from stripe.params import billing, billing_portal, entitlements

from reconciler.config.checks.limits import RESERVED
from reconciler.config.models import (
    BillingPlan,
    Coupon,
    CreditPack,
    Feature,
    Meter,
    Overage,
    PaymentLink,
    Portal,
    Price,
    PromotionCode,
    TaxRate,
    Tenant,
    UsageLine,
    Webhook,
)
from reconciler.config.models.tenants import MoneyCredit, SubscriptionTerms
from reconciler.planning.lock import MARK as LOCK
from reconciler.resources import BY_NAME, KINDS, Kind
from reconciler.resources.model import MARK_KEYS, Mode

TYPES = {
    "meter": (billing.MeterCreateParams, billing.MeterUpdateParams),
    "feature": (entitlements.FeatureCreateParams, entitlements.FeatureUpdateParams),
    "tax_rate": (params.TaxRateCreateParams, params.TaxRateUpdateParams),
    "product": (params.ProductCreateParams, params.ProductUpdateParams),
    "product_feature": (params.ProductCreateFeatureParams, None),
    "price": (params.PriceCreateParams, params.PriceUpdateParams),
    "coupon": (params.CouponCreateParams, params.CouponUpdateParams),
    "promotion_code": (params.PromotionCodeCreateParams, params.PromotionCodeUpdateParams),
    "payment_link": (params.PaymentLinkCreateParams, params.PaymentLinkUpdateParams),
    "portal_configuration": (billing_portal.ConfigurationCreateParams, billing_portal.ConfigurationUpdateParams),
    "webhook_endpoint": (params.WebhookEndpointCreateParams, params.WebhookEndpointUpdateParams),
    "customer": (params.CustomerCreateParams, params.CustomerUpdateParams),
    "subscription": (params.SubscriptionCreateParams, params.SubscriptionUpdateParams),
    "credit_grant": (billing.CreditGrantCreateParams, billing.CreditGrantUpdateParams),
}
MODELS = {
    "meter": (Meter,),
    "feature": (Feature,),
    "tax_rate": (TaxRate,),
    "product": (BillingPlan, CreditPack),
    "product_feature": (BillingPlan,),
    "price": (Price, Overage, UsageLine, BillingPlan, CreditPack),
    "coupon": (Coupon,),
    "promotion_code": (PromotionCode,),
    "payment_link": (PaymentLink, BillingPlan),
    "portal_configuration": (Portal,),
    "webhook_endpoint": (Webhook,),
    "customer": (Tenant,),
    "subscription": (SubscriptionTerms, Tenant, Price, BillingPlan),
    "credit_grant": (MoneyCredit,),
}
#: Parameters of every request, and the owner mark's home.
COMMON = {"expand", "metadata"}
#: A meter's status is a parameter of neither call: it has endpoints of its own.
BY_ENDPOINT = {"meter": {"active"}}
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def names(typed: type | None) -> set[str]:
    """Return the parameters of a request type without the SDK's request options."""
    if typed is None:
        return set()
    options = set(params.ProductCreateParams.__mro__[0].__annotations__) & set(stripe_options())
    return set(typed.__annotations__) - options - COMMON


def stripe_options() -> set[str]:
    """Return the SDK's own options, which are no parameters of Stripe's API."""
    from stripe import RequestOptions

    return set(RequestOptions.__annotations__)


def table(kind: Kind, *modes: Mode) -> set[str]:
    """Return the fields of a kind with one of the modes."""
    own = {kind.parent} | BY_ENDPOINT.get(kind.name, set())
    return {row.name for row in kind.fields if row.mode in modes} - own


@kinds
def test_creation_fields_are_those_of_the_sdk(kind: Kind) -> None:
    """Every creation parameter of the SDK is in the table or is left alone for a stated reason, and nothing else is."""
    create, _ = TYPES[kind.name]
    only_later = names(TYPES[kind.name][1]) - names(create)
    written = table(kind, Mode.CREATE_ONLY, Mode.ONCE, Mode.MUTABLE)
    assert written | (set(kind.unmanaged) - only_later) == names(create)


@kinds
def test_update_fields_are_those_of_the_sdk(kind: Kind) -> None:
    """Every update parameter of the SDK is mutable or update-only in the table, and nothing else is."""
    _, update = TYPES[kind.name]
    left_alone = set(kind.unmanaged) & names(update)
    said_again = table(kind, Mode.ONCE) & names(update)
    assert table(kind, Mode.MUTABLE, Mode.UPDATE_ONLY) | left_alone | said_again == names(update)


@kinds
def test_every_field_has_a_key_in_the_files(kind: Kind) -> None:
    """Every field names a key of the language, or is derived: what cannot be written in YAML cannot be managed."""
    derived = {"price": {"product", "billing_scheme"}, "product_feature": {"product"}, "meter": {"active"}}
    derived |= {"feature": {"active"}, "portal_configuration": {"active"}, "webhook_endpoint": {"api_version"}}
    derived |= {
        "subscription": {"customer", "cancel_at_period_end", "payment_behavior", "scheduled"},
        "credit_grant": {"customer", "applicability_config"},
    }
    known = {name for model in MODELS[kind.name] for name in model.model_fields}
    for row in kind.fields:
        if row.name in derived.get(kind.name, set()):
            assert row.yaml == ""
        else:
            assert row.yaml in known, row


@kinds
def test_unmanaged_fields_state_their_reason(kind: Kind) -> None:
    """A parameter left alone carries a reason of several words."""
    assert all(len(reason.split()) > 4 for reason in kind.unmanaged.values())


def test_kinds_are_ordered_by_reference() -> None:
    """A kind that a create-only field refers to stands before the kind that refers to it."""
    order = [kind.name for kind in KINDS]
    assert order.index("meter") < order.index("price")
    assert order.index("product") < order.index("product_feature") < order.index("price")
    assert order.index("coupon") < order.index("promotion_code")
    assert order.index("price") < min(order.index("payment_link"), order.index("portal_configuration"))


def test_names_are_unique() -> None:
    """No two kinds share a name, and none shares its collection."""
    assert len(BY_NAME) == len(KINDS) == len({kind.path for kind in KINDS})


def test_the_marks_keys_are_reserved() -> None:
    """No key of the owner mark, nor that of the lock, can be written in the files as metadata."""
    assert {*MARK_KEYS, LOCK} == RESERVED
