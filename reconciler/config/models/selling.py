"""What goes with a sale: coupons, promotion codes, tax rates, links, the portal, webhooks."""

from typing import Annotated, Literal

from pydantic import Field

from reconciler.config.models.base import (
    Currency,
    HttpsUrl,
    Id,
    Instant,
    Metadata,
    Model,
    Percent,
    PositiveMoney,
    StripeId,
    TaxPercent,
    Url,
    form,
)

Redemptions = Annotated[int, Field(ge=1, le=10**9, description="How often it can be redeemed in all.")]
SoldAddress = Annotated[
    str,
    form(
        "plan or credit pack",
        r"^(plans|credit_packs)\.[a-z0-9][a-z0-9_-]{0,62}$",
        "plans.ID or credit_packs.ID.",
        examples=["plans.pro", "credit_packs.starter"],
    ),
]


class Coupon(Model):
    """A discount: exactly one of percent_off and amount_off. Everything but name and metadata is fixed once created."""

    name: Annotated[str, Field(min_length=1, max_length=40, description="Shown on invoices.")] | None = None
    percent_off: Annotated[Percent | None, Field(description="Percentage off the invoice.")] = None
    amount_off: Annotated[PositiveMoney | None, Field(description="Amount off the invoice.")] = None
    currency: Annotated[Currency | None, Field(description="Currency of amount_off; default settings.currency.")] = None
    currency_options: Annotated[dict[Currency, PositiveMoney], Field(description="amount_off in other currencies.")] = (
        Field(default_factory=dict)
    )
    duration: Annotated[
        Literal["once", "repeating", "forever"], Field(description="How many invoices of a subscription it reduces.")
    ] = "once"
    duration_in_months: (
        Annotated[int, Field(ge=1, le=120, description="How long a repeating coupon reduces invoices.")] | None
    ) = None
    max_redemptions: Redemptions | None = None
    redeem_by: Annotated[Instant | None, Field(description="Last instant at which it can be redeemed.")] = None
    applies_to: Annotated[tuple[SoldAddress, ...], Field(description="Plans and packs it is limited to.")] = ()
    metadata: Metadata = Field(default_factory=dict)
    stripe_id: StripeId | None = None


class Restrictions(Model):
    """Conditions of a promotion code."""

    first_time_transaction: Annotated[bool, Field(description="Only for customers without a payment yet.")] = False
    minimum_amount: Annotated[PositiveMoney | None, Field(description="Least amount of the purchase.")] = None
    currency: Annotated[
        Currency | None, Field(description="Currency of minimum_amount; default settings.currency.")
    ] = None
    currency_options: Annotated[
        dict[Currency, PositiveMoney], Field(description="minimum_amount in other currencies.")
    ] = Field(default_factory=dict)


class PromotionCode(Model):
    """A code a customer types at checkout to get a coupon."""

    coupon: Annotated[Id, Field(description="Coupon the customer gets.")]
    code: Annotated[
        str,
        form(
            "promotion code",
            r"^[A-Za-z0-9-]{1,500}$",
            "Letters, digits and '-'; case does not matter to Stripe.",
            examples=["LAUNCH20"],
        ),
    ]
    active: Annotated[bool, Field(description="Whether it can be redeemed.")] = True
    expires_at: Annotated[Instant | None, Field(description="When it stops being redeemable.")] = None
    max_redemptions: Redemptions | None = None
    restrictions: Annotated[Restrictions | None, Field(description="Who can redeem it, and from which amount.")] = None
    metadata: Metadata = Field(default_factory=dict)


class TaxRate(Model):
    """A manual tax rate; percentage and inclusive are fixed once created."""

    display_name: Annotated[str, Field(min_length=1, max_length=50, description="Shown on invoices.")]
    percentage: TaxPercent
    inclusive: Annotated[bool, Field(description="Whether prices include the tax.")]
    country: (
        Annotated[str, form("country code", r"^[A-Z]{2}$", "Two-letter ISO 3166 code in upper case.", examples=["NL"])]
        | None
    ) = None
    state: (
        Annotated[
            str,
            form("state code", r"^[A-Z0-9-]{1,10}$", "Code of a state or province in upper case.", examples=["CA"]),
        ]
        | None
    ) = None
    jurisdiction: (
        Annotated[str, Field(min_length=1, max_length=50, description="Place the tax belongs to, shown on invoices.")]
        | None
    ) = None
    description: (
        Annotated[str, Field(min_length=1, max_length=5000, description="Note for yourselves, not shown to customers.")]
        | None
    ) = None
    tax_type: (
        Annotated[
            str,
            form(
                "tax type",
                r"^[a-z_]{2,40}$",
                "Word for the tax at Stripe: lower-case letters and '_'.",
                examples=["vat", "sales_tax"],
            ),
        ]
        | None
    ) = None
    active: Annotated[bool, Field(description="Whether it can be used on new invoices.")] = True
    metadata: Metadata = Field(default_factory=dict)


class LinkItem(Model):
    """One line of a payment link: a plan's price, a pack, or a tenant's reserved capacity."""

    plan: Annotated[Id | None, Field(description="Plan that is sold.")] = None
    price: Annotated[Id | None, Field(description="Price of the plan; absent: its default price.")] = None
    pack: Annotated[Id | None, Field(description="Credit pack that is sold.")] = None
    tenant: Annotated[Id | None, Field(description="Tenant whose reserved capacity is sold.")] = None
    reserved: Annotated[Id | None, Field(description="Meter of the tenant's reserved capacity.")] = None
    quantity: Annotated[int, Field(ge=1, le=10**6, description="How many units are sold.")] = 1


class PaymentLink(Model):
    """A reusable Stripe payment link."""

    items: Annotated[tuple[LinkItem, ...], Field(min_length=1, max_length=20, description="What is sold, by line.")]
    tenant: Annotated[Id | None, Field(description="Tenant the link is made for.")] = None
    active: Annotated[bool, Field(description="Whether the link can be used.")] = True
    allow_promotion_codes: Annotated[bool, Field(description="Whether a promotion code can be entered.")] = False
    after_completion_url: Annotated[Url | None, Field(description="Page shown after payment.")] = None
    metadata: Metadata = Field(default_factory=dict)


class SubscriptionCancel(Model):
    """Whether and when a customer may cancel in the portal."""

    mode: Annotated[
        Literal["at_period_end", "immediately"], Field(description="When a cancelled subscription ends.")
    ] = "at_period_end"


class SubscriptionUpdate(Model):
    """Plans a customer may change to in the portal."""

    plans: Annotated[tuple[Id, ...], Field(min_length=1, max_length=10, description="Plans to choose from.")]
    proration: Annotated[
        Literal["none", "create_prorations", "always_invoice"],
        Field(description="How the rest of the current period is charged."),
    ] = "none"


class Portal(Model):
    """The customer portal."""

    headline: (
        Annotated[str, Field(min_length=1, max_length=60, description="Line at the top of the portal.")] | None
    ) = None
    privacy_policy_url: Annotated[Url | None, Field(description="Page with the privacy policy.")] = None
    terms_of_service_url: Annotated[Url | None, Field(description="Page with the terms of service.")] = None
    return_url: Annotated[Url | None, Field(description="Page the customer goes back to.")] = None
    customer_update: Annotated[
        tuple[Literal["address", "email", "name", "phone", "shipping", "tax_id"], ...],
        Field(description="What customers may change about themselves."),
    ] = ()
    invoice_history: Annotated[bool, Field(description="Whether past invoices are shown.")] = True
    payment_method_update: Annotated[bool, Field(description="Whether customers may change how they pay.")] = True
    subscription_cancel: Annotated[
        SubscriptionCancel | None, Field(description="Whether and when a customer may cancel.")
    ] = None
    subscription_update: Annotated[SubscriptionUpdate | None, Field(description="Plans a customer may change to.")] = (
        None
    )
    metadata: Metadata = Field(default_factory=dict)


class Webhook(Model):
    """A webhook endpoint; its signing secret is never written to a file of this project."""

    url: Annotated[HttpsUrl, Field(description="Address Stripe sends events to.")]
    events: Annotated[
        tuple[
            Annotated[
                str,
                form(
                    "event type",
                    r"^(\*|[a-z0-9_]+(\.[a-z0-9_]+)+)$",
                    "Name of an event at Stripe, or '*' for all.",
                    examples=["invoice.paid"],
                ),
            ],
            ...,
        ],
        Field(min_length=1, description="Types of the events that are sent."),
    ]
    description: (
        Annotated[str, Field(min_length=1, max_length=5000, description="Note shown in the dashboard.")] | None
    ) = None
    disabled: Annotated[bool, Field(description="Whether sending is suspended.")] = False
    metadata: Metadata = Field(default_factory=dict)
