"""The whole file: every section, and settings that hold for all of them."""

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from reconciler.config.models.base import Currency, Id, Model, Percent, StripeId, TaxBehavior, ToolGlob, form
from reconciler.config.models.offers import BillingPlan, CreditPack, Tier
from reconciler.config.models.selling import Coupon, PaymentLink, Portal, PromotionCode, TaxRate, Webhook
from reconciler.config.models.tenants import Tenant
from reconciler.config.models.usage import Feature, Meter, Tool


class Settings(Model):
    """Values every section falls back to."""

    namespace: Annotated[
        str,
        form(
            "namespace",
            r"^[a-z][a-z0-9-]{0,29}$",
            "Lower-case letters, digits and '-', a letter first, at most 30 characters.",
            examples=["acme"],
        ),
        Field(description="Owner of the Stripe objects made from these files; two catalogues in one account need two."),
    ]
    currency: Annotated[Currency, Field(description="Currency wherever none is written.")] = "usd"
    default_meter: Annotated[Id | None, Field(description="Meter a call counts on unless its tool says otherwise.")] = (
        None
    )
    tax_behavior: TaxBehavior | None = None
    timezone: Annotated[
        str,
        form(
            "time zone",
            r"^[A-Za-z][A-Za-z0-9_+/-]{0,63}$",
            "A name of the IANA time zone database, such as Europe/Berlin.",
            examples=["Europe/Berlin", "UTC"],
        ),
        Field(
            description="IANA time zone whose calendar says when quotas, included units that are denied beyond, and "
            "monthly credits begin anew."
        ),
    ] = "UTC"
    default_plan: Annotated[
        Id | None,
        Field(description="Plan of a tenant without a subscription that is not in the files; absent: it is refused."),
    ] = None
    past_due_grace_days: Annotated[
        int, Field(ge=0, le=90, description="Days a tenant keeps its plan after a payment failed.")
    ] = 7


class Environment(Model):
    """A Stripe account and mode that an overlay is bound to."""

    account: (
        Annotated[
            str,
            form(
                "account id",
                r"^acct_[A-Za-z0-9]{1,64}$",
                "Id of the Stripe account plans are made for: acct_ and letters or digits.",
                examples=["acct_1EXAMPLE"],
            ),
        ]
        | None
    ) = None
    mode: Annotated[Literal["test", "live"], Field(description="Mode of the keys that may be used.")] = "test"


class Guards(Model):
    """Bounds a plan may not cross without being allowed by name on the command line."""

    max_retired_percent: Annotated[
        Percent, Field(description="Largest share of managed objects one plan may retire, from five objects on.")
    ] = Field(default=100, validate_default=True)
    max_updated_percent: Annotated[
        Percent, Field(description="Largest share of managed objects one plan may change, from five objects on.")
    ] = Field(default=100, validate_default=True)
    max_price_rise_percent: Annotated[Percent | None, Field(description="Largest rise of one price.")] = None
    protected: Annotated[
        tuple[
            Annotated[
                str,
                form(
                    "address",
                    r"^(portal|[a-z_]+(\.[A-Za-z0-9*_-]+)+)$",
                    "An address such as plans.pro; '*' stands for any part.",
                ),
            ],
            ...,
        ],
        Field(
            description="Addresses that are never replaced or retired; '*' matches within one part.",
            examples=[["plans.pro"]],
        ),
    ] = ()


AddressText = Annotated[
    str,
    form("address", r"^[a-z_]+(\.[a-z0-9_-]+)+$", "An address such as plans.pro.", examples=["plans.pro"]),
]


TargetText = Annotated[
    str,
    form("address", r"^(portal|[a-z_]+(\.[a-z0-9_-]+)+)$", "An address such as plans.pro.", examples=["plans.pro"]),
]


class Moved(Model):
    """An id that was renamed: the Stripe objects are kept."""

    source: Annotated[AddressText, Field(alias="from", description="Address it had.")]
    target: Annotated[AddressText, Field(alias="to", description="Address it has.")]


class Import(Model):
    """An existing Stripe object that is taken over for an address, whatever key it has or lacks."""

    target: Annotated[TargetText, Field(alias="to", description="Address it is taken over for.")]
    id: StripeId


class File(Model):
    """One file of ``billing.d``, or all of them merged: a mapping with any of these sections."""

    settings: Annotated[Settings | None, Field(description="Values every section falls back to.")] = None
    meters: Annotated[dict[Id, Meter], Field(description="What is counted.")] = Field(default_factory=dict)
    features: Annotated[dict[Id, Feature], Field(description="What plans grant and tools require.")] = Field(
        default_factory=dict
    )
    tools: Annotated[
        dict[ToolGlob, Tool], Field(description="Tools that differ from: counts one on settings.default_meter.")
    ] = Field(default_factory=dict)
    tiers: Annotated[dict[Id, Tier], Field(description="Tables of price brackets.")] = Field(default_factory=dict)
    plans: Annotated[dict[Id, BillingPlan], Field(description="What is sold by subscription.")] = Field(
        default_factory=dict
    )
    credit_packs: Annotated[dict[Id, CreditPack], Field(description="Credits that are bought ahead.")] = Field(
        default_factory=dict
    )
    tenants: Annotated[dict[Id, Tenant], Field(description="Who buys.")] = Field(default_factory=dict)
    coupons: Annotated[dict[Id, Coupon], Field(description="Discounts.")] = Field(default_factory=dict)
    promotion_codes: Annotated[
        dict[Id, PromotionCode], Field(description="Codes that customers redeem for coupons.")
    ] = Field(default_factory=dict)
    tax_rates: Annotated[dict[Id, TaxRate], Field(description="Manual tax rates.")] = Field(default_factory=dict)
    payment_links: Annotated[dict[Id, PaymentLink], Field(description="Reusable payment links.")] = Field(
        default_factory=dict
    )
    portal: Annotated[Portal | None, Field(description="What customers may do for themselves.")] = None
    webhooks: Annotated[dict[Id, Webhook], Field(description="Where Stripe sends events.")] = Field(
        default_factory=dict
    )
    environments: Annotated[
        dict[Id, Environment], Field(description="Accounts and modes, by the name that --env takes.")
    ] = Field(default_factory=dict)
    guards: Annotated[Guards, Field(description="Bounds a plan may not cross.")] = Field(default_factory=Guards)
    moved: Annotated[tuple[Moved, ...], Field(description="Renamed addresses, so that nothing is made anew.")] = ()
    imports: Annotated[
        tuple[Import, ...], Field(description="Existing Stripe objects to take over by id, as those that have no key.")
    ] = ()


@cache
def section(name: str) -> TypeAdapter[Any]:
    """Return what types and writes a section of a file; KeyError for an unknown one.

    Built on first use and each on its own: files pay for the sections they have.
    """
    field = File.model_fields[name]
    kind: Any = Annotated[field.annotation, field]
    return TypeAdapter(kind)
