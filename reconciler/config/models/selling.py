"""What goes with a sale: coupons, promotion codes, tax rates, links, the portal, webhooks."""

from typing import Annotated, Literal

from pydantic import Field

from reconciler.config.models.base import (
    Currency,
    Id,
    Instant,
    Metadata,
    Model,
    Money,
    Percent,
    StripeId,
    TaxPercent,
    Url,
)

Redemptions = Annotated[int, Field(ge=1, le=10**9, description="How often it can be redeemed in all.")]
SoldAddress = Annotated[
    str,
    Field(pattern=r"^(plans|credit_packs)\.[a-z0-9][a-z0-9_-]{0,62}$", examples=["plans.pro", "credit_packs.starter"]),
]


class Coupon(Model):
    """A discount: exactly one of percent_off and amount_off. Everything but name and metadata is fixed once created."""

    name: Annotated[str, Field(min_length=1, max_length=40, description="Shown on invoices.")] | None = None
    percent_off: Percent | None = None
    amount_off: Annotated[Money, Field(gt=0)] | None = None
    currency: Currency | None = None
    currency_options: Annotated[
        dict[Currency, Annotated[Money, Field(gt=0)]], Field(description="amount_off in other currencies.")
    ] = Field(default_factory=dict)
    duration: Literal["once", "repeating", "forever"] = "once"
    duration_in_months: Annotated[int, Field(ge=1, le=120)] | None = None
    max_redemptions: Redemptions | None = None
    redeem_by: Instant | None = None
    applies_to: Annotated[tuple[SoldAddress, ...], Field(description="Plans and packs it is limited to.")] = ()
    metadata: Metadata = Field(default_factory=dict)
    stripe_id: StripeId | None = None


class Restrictions(Model):
    """Conditions of a promotion code."""

    first_time_transaction: Annotated[bool, Field(description="Only for customers without a payment yet.")] = False
    minimum_amount: Annotated[Money, Field(gt=0)] | None = None
    currency: Currency | None = None
    currency_options: Annotated[
        dict[Currency, Annotated[Money, Field(gt=0)]], Field(description="minimum_amount in other currencies.")
    ] = Field(default_factory=dict)


class PromotionCode(Model):
    """A code a customer types at checkout to get a coupon."""

    coupon: Id
    code: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,500}$", description="Case does not matter to Stripe.")]
    active: bool = True
    expires_at: Instant | None = None
    max_redemptions: Redemptions | None = None
    restrictions: Restrictions | None = None
    metadata: Metadata = Field(default_factory=dict)


class TaxRate(Model):
    """A manual tax rate; percentage and inclusive are fixed once created."""

    display_name: Annotated[str, Field(min_length=1, max_length=50, description="Shown on invoices.")]
    percentage: TaxPercent
    inclusive: bool
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    state: Annotated[str, Field(pattern=r"^[A-Z0-9-]{1,10}$")] | None = None
    jurisdiction: Annotated[str, Field(min_length=1, max_length=50)] | None = None
    description: Annotated[str, Field(min_length=1, max_length=5000)] | None = None
    tax_type: Annotated[str, Field(pattern=r"^[a-z_]{2,40}$", examples=["vat", "sales_tax"])] | None = None
    active: bool = True
    metadata: Metadata = Field(default_factory=dict)


class LinkItem(Model):
    """One line of a payment link: a plan's price, a pack, or a tenant's reserved capacity."""

    plan: Id | None = None
    price: Id | None = None
    pack: Id | None = None
    tenant: Id | None = None
    reserved: Annotated[Id | None, Field(description="Meter of the tenant's reserved capacity.")] = None
    quantity: Annotated[int, Field(ge=1, le=10**6)] = 1


class PaymentLink(Model):
    """A reusable Stripe payment link."""

    items: Annotated[tuple[LinkItem, ...], Field(min_length=1, max_length=20)]
    tenant: Id | None = None
    active: bool = True
    allow_promotion_codes: bool = False
    after_completion_url: Url | None = None
    metadata: Metadata = Field(default_factory=dict)


class SubscriptionCancel(Model):
    """Whether and when a customer may cancel in the portal."""

    mode: Literal["at_period_end", "immediately"] = "at_period_end"


class SubscriptionUpdate(Model):
    """Plans a customer may change to in the portal."""

    plans: Annotated[tuple[Id, ...], Field(min_length=1, max_length=10)]
    proration: Literal["none", "create_prorations", "always_invoice"] = "none"


class Portal(Model):
    """The customer portal."""

    headline: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    privacy_policy_url: Url | None = None
    terms_of_service_url: Url | None = None
    return_url: Url | None = None
    customer_update: tuple[Literal["address", "email", "name", "phone", "shipping", "tax_id"], ...] = ()
    invoice_history: bool = True
    payment_method_update: bool = True
    subscription_cancel: SubscriptionCancel | None = None
    subscription_update: SubscriptionUpdate | None = None
    metadata: Metadata = Field(default_factory=dict)


class Webhook(Model):
    """A webhook endpoint; its signing secret is never written to a file of this project."""

    url: Annotated[Url, Field(pattern=r"^https://[^\s]+$")]
    events: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(\*|[a-z0-9_]+(\.[a-z0-9_]+)+)$")], ...], Field(min_length=1)
    ]
    description: Annotated[str, Field(min_length=1, max_length=5000)] | None = None
    disabled: bool = False
    metadata: Metadata = Field(default_factory=dict)
