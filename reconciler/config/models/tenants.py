"""Who buys: tenants with their plan, own usage terms, credits and keys."""

from typing import Annotated, Literal

from pydantic import Field

from reconciler.config.models.base import Credits, Currency, Id, Instant, Metadata, Model, Name, Text, ToolGlob
from reconciler.config.models.offers import Limit, TenantUsage


class SubscriptionTerms(Model):
    """How a tenant's subscription is collected; without it nothing is ever charged."""

    collection: Annotated[
        Literal["charge_automatically", "send_invoice"], Field(description="Charge the default card, or send invoices.")
    ] = "charge_automatically"
    days_until_due: Annotated[int, Field(ge=0, le=365)] | None = None
    quantity: Annotated[int, Field(ge=1, le=10**6)] = 1
    trial_days: Annotated[int, Field(ge=1, le=730)] | None = None
    coupon: Id | None = None
    metadata: Metadata = Field(default_factory=dict)


class CreditGrant(Model):
    """Credits given to a tenant once; the id makes the grant happen once however often it is read."""

    id: Id
    amount: Annotated[Credits, Field(gt=0)]
    expires: Instant | None = None
    reason: Text | None = None


class ApiKey(Model):
    """The hash of an API key; the key itself never stands in a file."""

    id: Id
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the key, in hexadecimal.")]


class Tenant(Model):
    """A paying organisation: one Stripe customer, the subject of every entitlement decision."""

    name: Name
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=512)] | None = None
    description: Text | None = None
    plan: Id | None = None
    price: Id | None = None
    currency: Annotated[Currency | None, Field(description="Currency of own usage; default settings.currency.")] = None
    usage: Annotated[dict[Id, TenantUsage], Field(description="Own usage terms by meter, in place of the plan's.")] = (
        Field(default_factory=dict)
    )
    features: Annotated[tuple[Id, ...], Field(description="Features on top of the plan's.")] = ()
    tools: Annotated[tuple[ToolGlob, ...], Field(description="Tools on top of the plan's.")] = ()
    limits: Annotated[tuple[Limit, ...], Field(description="Limits in place of the plan's for the same target.")] = ()
    subscription: SubscriptionTerms | None = None
    credits: tuple[CreditGrant, ...] = ()
    api_keys: tuple[ApiKey, ...] = ()
    metadata: Metadata = Field(default_factory=dict)
