"""The language of ``billing.d`` as closed, immutable models; the JSON Schemas are generated from them."""

from reconciler.config.models.base import Model
from reconciler.config.models.offers import (
    BillingPlan,
    CreditPack,
    CurrencyOption,
    CustomUnitAmount,
    Overage,
    Price,
    ReservedPrice,
    Step,
    TenantUsage,
    Tier,
    TransformQuantity,
    UsageLine,
)
from reconciler.config.models.root import Environment, File, Guards, Import, Moved, Settings, section
from reconciler.config.models.selling import Coupon, PaymentLink, Portal, PromotionCode, Restrictions, TaxRate, Webhook
from reconciler.config.models.tenants import Tenant
from reconciler.config.models.usage import Feature, Meter, Tool

__all__ = [
    "BillingPlan",
    "Coupon",
    "CreditPack",
    "CurrencyOption",
    "CustomUnitAmount",
    "Environment",
    "Feature",
    "File",
    "Guards",
    "Import",
    "Meter",
    "Model",
    "Moved",
    "Overage",
    "PaymentLink",
    "Portal",
    "Price",
    "PromotionCode",
    "ReservedPrice",
    "Restrictions",
    "Settings",
    "Step",
    "TaxRate",
    "Tenant",
    "TenantUsage",
    "Tier",
    "Tool",
    "TransformQuantity",
    "UsageLine",
    "Webhook",
    "section",
]
