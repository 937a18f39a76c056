"""The whole file: every section, and settings that hold for all of them."""

from typing import Annotated, Literal

from pydantic import Field

from reconciler.config.models.base import Currency, Id, Model, Percent, TaxBehavior, ToolGlob
from reconciler.config.models.offers import BillingPlan, CreditPack, Tier
from reconciler.config.models.selling import Coupon, PaymentLink, Portal, PromotionCode, TaxRate, Webhook
from reconciler.config.models.tenants import Tenant
from reconciler.config.models.usage import Feature, Meter, Tool


class Settings(Model):
    """Values every section falls back to."""

    namespace: Annotated[
        str,
        Field(
            pattern=r"^[a-z][a-z0-9-]{0,29}$",
            description="Owner of the Stripe objects made from these files; two catalogues in one account need two.",
            examples=["acme"],
        ),
    ]
    currency: Currency = "usd"
    default_meter: Annotated[Id | None, Field(description="Meter a call counts on unless its tool says otherwise.")] = (
        None
    )
    tax_behavior: TaxBehavior | None = None


class Environment(Model):
    """A Stripe account and mode that an overlay is bound to."""

    account: Annotated[str, Field(pattern=r"^acct_[A-Za-z0-9]{1,64}$")] | None = None
    mode: Literal["test", "live"] = "test"


class Guards(Model):
    """Bounds a plan may not cross without being allowed by name on the command line."""

    max_retired_percent: Annotated[
        Percent, Field(description="Largest share of managed objects one plan may retire.")
    ] = Field(default=100, validate_default=True)
    max_updated_percent: Annotated[
        Percent, Field(description="Largest share of managed objects one plan may change.")
    ] = Field(default=100, validate_default=True)
    max_price_rise_percent: Annotated[Percent | None, Field(description="Largest rise of one price.")] = None
    protected: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z_]+(\.[A-Za-z0-9*_-]+)+$")], ...],
        Field(
            description="Addresses that are never replaced or retired; '*' matches within one part.",
            examples=[["plans.pro"]],
        ),
    ] = ()


AddressText = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z0-9_-]+)+$", examples=["plans.pro"])]


class Moved(Model):
    """An id that was renamed: the Stripe objects are kept."""

    source: Annotated[AddressText, Field(alias="from")]
    target: Annotated[AddressText, Field(alias="to")]


class File(Model):
    """One file of ``billing.d``, or all of them merged: a mapping with any of these sections."""

    settings: Settings | None = None
    meters: dict[Id, Meter] = Field(default_factory=dict)
    features: dict[Id, Feature] = Field(default_factory=dict)
    tools: dict[ToolGlob, Tool] = Field(default_factory=dict)
    tiers: dict[Id, Tier] = Field(default_factory=dict)
    plans: dict[Id, BillingPlan] = Field(default_factory=dict)
    credit_packs: dict[Id, CreditPack] = Field(default_factory=dict)
    tenants: dict[Id, Tenant] = Field(default_factory=dict)
    coupons: dict[Id, Coupon] = Field(default_factory=dict)
    promotion_codes: dict[Id, PromotionCode] = Field(default_factory=dict)
    tax_rates: dict[Id, TaxRate] = Field(default_factory=dict)
    payment_links: dict[Id, PaymentLink] = Field(default_factory=dict)
    portal: Portal | None = None
    webhooks: dict[Id, Webhook] = Field(default_factory=dict)
    environments: dict[Id, Environment] = Field(default_factory=dict)
    guards: Guards = Field(default_factory=Guards)
    moved: tuple[Moved, ...] = ()
