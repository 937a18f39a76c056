"""Who buys: tenants with their plan, own usage terms, credits and keys."""

from typing import Annotated, Literal

from pydantic import Field

from reconciler.config.models.base import (
    Currency,
    Id,
    Instant,
    Metadata,
    Model,
    Name,
    PositiveCredits,
    PositiveMoney,
    Text,
    ToolGlob,
    form,
)
from reconciler.config.models.offers import Limit, TenantUsage


class SubscriptionTerms(Model):
    """How a tenant's subscription is collected; without it nothing is ever charged."""

    collection: Annotated[
        Literal["charge_automatically", "send_invoice"], Field(description="Charge the default card, or send invoices.")
    ] = "charge_automatically"
    days_until_due: Annotated[int, Field(ge=0, le=365, description="Days to pay an invoice that is sent.")] | None = (
        None
    )
    quantity: Annotated[int, Field(ge=1, le=10**6, description="Units of the plan's price, such as seats.")] = 1
    trial_days: (
        Annotated[int, Field(ge=1, le=730, description="Length of the trial in place of the plan's.")] | None
    ) = None
    coupon: Annotated[Id | None, Field(description="Coupon on the subscription.")] = None
    #: At most five (https://docs.stripe.com/tax/tax-rates).
    tax_rates: Annotated[
        tuple[Id, ...], Field(max_length=5, description="Tax rates on every line of the subscription's invoices.")
    ] = ()
    on_change: Annotated[
        Literal["now_prorated", "now", "at_renewal"],
        Field(
            description="When a change of the tenant's plan, price or quantity holds: at once with the difference "
            "settled by days, at once without, or from the next renewal."
        ),
    ] = "now_prorated"
    metadata: Metadata = Field(default_factory=dict)


class CreditGrant(Model):
    """Credits given to a tenant once; the id makes the grant happen once however often it is read."""

    id: Annotated[Id, Field(description="Id of the grant, unique for the tenant.")]
    amount: Annotated[PositiveCredits, Field(description="Credits given.")]
    expires: Annotated[Instant | None, Field(description="When what is left of them expires.")] = None
    reason: Annotated[Text | None, Field(description="Why they are given; kept in the ledger.")] = None


class MoneyCredit(Model):
    """Money given to a tenant once, which pays its usage charges: one billing credit grant at Stripe."""

    id: Annotated[Id, Field(description="Id of the money credit, unique for the tenant.")]
    amount: PositiveMoney
    currency: Annotated[
        Currency | None, Field(description="Currency of the amount; default the one the tenant is billed in.")
    ] = None
    expires: Annotated[Instant | None, Field(description="When what is left of it expires.")] = None
    category: Annotated[
        Literal["paid", "promotional"],
        Field(description="Whether it was paid for or given; never shown to the tenant."),
    ] = "promotional"
    priority: Annotated[
        int, Field(ge=0, le=100, description="Which is used up first: 0 before 100; equal ones by when they expire.")
    ] = 50
    name: Annotated[str, Field(min_length=1, max_length=100, description="Name shown in the dashboard.")] | None = None
    metadata: Metadata = Field(default_factory=dict)


class ApiKey(Model):
    """The hash of an API key; the key itself never stands in a file."""

    id: Annotated[Id, Field(description="Id of the key, unique for the tenant.")]
    sha256: Annotated[
        str, form("SHA-256", r"^[0-9a-f]{64}$", "SHA-256 of the key: 64 hexadecimal digits in lower case.")
    ]


class Tenant(Model):
    """A paying organisation: one Stripe customer, the subject of every entitlement decision."""

    name: Name
    email: (
        Annotated[
            str,
            form(
                "e-mail address",
                r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
                "Where invoices are sent: name@domain.",
                max_length=512,
                examples=["billing@acme.example"],
            ),
        ]
        | None
    ) = None
    description: Annotated[Text | None, Field(description="Note shown in the dashboard.")] = None
    plan: Annotated[Id | None, Field(description="Plan of the tenant; absent where it only has its own usage.")] = None
    price: Annotated[Id | None, Field(description="Price of the plan the tenant pays.")] = None
    currency: Annotated[Currency | None, Field(description="Currency of own usage; default settings.currency.")] = None
    usage: Annotated[dict[Id, TenantUsage], Field(description="Own usage terms by meter, in place of the plan's.")] = (
        Field(default_factory=dict)
    )
    features: Annotated[tuple[Id, ...], Field(description="Features on top of the plan's.")] = ()
    tools: Annotated[tuple[ToolGlob, ...], Field(description="Tools on top of the plan's.")] = ()
    limits: Annotated[tuple[Limit, ...], Field(description="Limits in place of the plan's for the same target.")] = ()
    subscription: Annotated[
        SubscriptionTerms | None, Field(description="How the tenant is charged; absent: it is not charged.")
    ] = None
    credits: Annotated[tuple[CreditGrant, ...], Field(description="Credits given once each.")] = ()
    money_credits: Annotated[
        tuple[MoneyCredit, ...], Field(description="Money given once each, which pays usage charges at Stripe.")
    ] = ()
    api_keys: Annotated[tuple[ApiKey, ...], Field(description="Hashes of the keys that name the tenant.")] = ()
    metadata: Metadata = Field(default_factory=dict)
