"""What is sold: billing plans with their prices and terms, price tiers, credit packs."""

from typing import Annotated, Literal

from pydantic import Field

from reconciler.config.models.base import (
    Credits,
    Currency,
    Id,
    Instant,
    Interval,
    IntervalCount,
    LookupKey,
    Metadata,
    Model,
    Money,
    Name,
    Percent,
    PositiveUnits,
    Rounding,
    Size,
    StripeId,
    TaxBehavior,
    Text,
    ToolGlob,
    Units,
    UpTo,
    Url,
)


class Step(Model):
    """One price bracket: each unit up to the bound costs ``unit_amount``; ``flat_amount`` is due once it is entered."""

    up_to: UpTo
    unit_amount: Money | None = None
    flat_amount: Money | None = None


Steps = Annotated[tuple[Step, ...], Field(min_length=1, max_length=100, description="Brackets in ascending order.")]


class Tier(Model):
    """A table of price brackets, named once and used by usage lines and prices."""

    mode: Annotated[
        Literal["graduated", "volume"],
        Field(description="graduated: each unit by its own bracket; volume: all units by the bracket of the total."),
    ] = "graduated"
    currency: Currency | None = None
    steps: Steps
    currency_options: Annotated[
        dict[Currency, Steps], Field(description="The same brackets in other currencies; bounds must be equal.")
    ] = Field(default_factory=dict)


class TransformQuantity(Model):
    """Packages: the quantity is divided before it is multiplied by the amount."""

    divide_by: Annotated[int, Field(ge=2, le=10**9, description="Units in one package.")]
    round: Rounding


class CustomUnitAmount(Model):
    """The customer chooses the amount at checkout, between bounds."""

    minimum: Money | None = None
    maximum: Money | None = None
    preset: Money | None = None


class CurrencyOption(Model):
    """The price in another currency."""

    unit_amount: Money | None = None
    custom_unit_amount: CustomUnitAmount | None = None
    tax_behavior: TaxBehavior | None = None


class PriceCommon(Model):
    """Keys every Stripe price made from the files may carry."""

    nickname: (
        Annotated[str, Field(min_length=1, max_length=5000, description="Note shown in the dashboard.")] | None
    ) = None
    tax_behavior: TaxBehavior | None = None
    metadata: Metadata = Field(default_factory=dict)
    lookup_key: LookupKey | None = None


CurrencyOptions = Annotated[
    dict[Currency, Money | CurrencyOption],
    Field(description="The price in other currencies: an amount, or a mapping."),
]


class Price(PriceCommon):
    """A licensed (flat or per-seat) price: exactly one of amount, tiers, custom_unit_amount."""

    amount: Money | None = None
    tiers: Id | None = None
    custom_unit_amount: CustomUnitAmount | None = None
    currency: Currency | None = None
    interval: Annotated[
        Literal["day", "week", "month", "year", "once"], Field(description="Billing interval; once: not recurring.")
    ]
    interval_count: IntervalCount = 1
    transform_quantity: TransformQuantity | None = None
    currency_options: CurrencyOptions = Field(default_factory=dict)
    on_change: Annotated[
        Literal["grandfather", "at_renewal", "now", "now_prorated"],
        Field(description="What happens to existing subscribers when the amount changes."),
    ] = "grandfather"


class Overage(PriceCommon):
    """What a unit beyond the included ones costs: exactly one of unit_amount, tiers, credits."""

    unit_amount: Money | None = None
    tiers: Id | None = None
    credits: Credits | None = None
    transform_quantity: TransformQuantity | None = None
    currency_options: Annotated[dict[Currency, Money], Field(description="unit_amount in other currencies.")] = Field(
        default_factory=dict
    )


class UsageLine(Model):
    """Units of one meter that a plan or a tenant includes, and what happens beyond them."""

    included: Units = 0
    per: Annotated[
        Literal["hour", "day", "week", "month", "year"],
        Field(description="Period of the included units where overage is deny or credits."),
    ] = "month"
    resets_on: (
        Annotated[int, Field(ge=1, le=31, description="Day of the month on which included units return.")] | None
    ) = None
    interval: Annotated[Interval, Field(description="Billing interval of the metered price.")] = "month"
    interval_count: IntervalCount = 1
    overage: Annotated[
        Overage | Literal["deny"], Field(description="deny refuses the call; a mapping sells the unit.")
    ] = "deny"


class ReservedPrice(PriceCommon):
    """The licensed price a tenant pays for its reserved units."""

    amount: Money
    currency: Currency | None = None
    interval: Interval = "month"
    interval_count: IntervalCount = 1


class TenantUsage(UsageLine):
    """A usage line of one tenant, with the price of the reservation itself."""

    reserved_price: ReservedPrice | None = None


class DiscountStep(Model):
    """Calls up to the bound cost the price less ``percent_off``, or ``unit_amount`` instead of the default price."""

    up_to: UpTo
    percent_off: Percent | None = None
    unit_amount: Money | None = None


class Discounts(Model):
    """Graduated volume discount on calls, counted per month."""

    scope: Annotated[
        Literal["tool", "tenant"], Field(description="Count the calls of each tool apart, or of all tools together.")
    ]
    steps: Annotated[tuple[DiscountStep, ...], Field(min_length=1, max_length=100)]


class PerCall(Model):
    """Prices per call, by tool."""

    default: Annotated[
        Money | None, Field(description="Price of a tool not listed; without it such a tool is refused.")
    ] = None
    tools: Annotated[dict[ToolGlob, Money], Field(description="Price of a call by tool; 0 is free.")] = Field(
        default_factory=dict
    )
    minimum: Annotated[Money | None, Field(description="Least charge of one call; never applied to a free tool.")] = (
        None
    )
    discounts: Discounts | None = None


class AutoRecharge(Model):
    """Buy a pack when the balance falls below a bound."""

    below: Credits
    pack: Id


class CreditTerms(Model):
    """Credits a call costs, and credits a period brings."""

    default: Annotated[Credits | None, Field(description="Credits of a tool not listed.")] = None
    tools: Annotated[dict[ToolGlob, Credits], Field(description="Credits of a call by tool; 0 is free.")] = Field(
        default_factory=dict
    )
    included: Annotated[Credits, Field(description="Credits granted every month.")] = Field(
        default=0, validate_default=True
    )
    rollover: Annotated[bool, Field(description="Keep unused included credits at the end of the month.")] = False
    auto_recharge: AutoRecharge | None = None


class Limit(Model):
    """A hard bound on calls or units in a period."""

    of: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9*?][A-Za-z0-9_.:/*?-]{0,127}$", description="A tool, a glob or a meter.")
    ]
    max: PositiveUnits
    per: Literal["second", "minute", "hour", "day", "week", "month", "year"]
    kind: Annotated[
        Literal["rate", "quota"], Field(description="rate refills continuously; quota resets with its period.")
    ] = "quota"
    burst: Annotated[PositiveUnits | None, Field(description="Calls allowed at one instant; default max.")] = None
    resets_on: Annotated[int, Field(ge=1, le=31)] | None = None
    upgrade_to: Annotated[Id | None, Field(description="Plan named in the refusal.")] = None


class Minimum(Model):
    """Least usage charge of a period; the plan's flat price is not counted."""

    per_month: Annotated[Money, Field(description="Least usage charge of a month, also with no usage.")]


class ProductCommon(Model):
    """Keys of the Stripe product behind a plan or a pack."""

    name: Name
    description: Annotated[str, Field(min_length=1, max_length=5000)] | None = None
    images: Annotated[tuple[Url, ...], Field(max_length=8)] = ()
    marketing_features: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=80)], ...],
        Field(max_length=15, description="Lines shown in pricing tables."),
    ] = ()
    statement_descriptor: Annotated[
        str | None,
        Field(
            pattern=r"^[^<>\\'\"*]*[A-Za-z][^<>\\'\"*]*$",
            max_length=22,
            description="What stands on the card statement; at least one letter, none of < > \\ ' \" *.",
        ),
    ] = None
    tax_code: Annotated[str, Field(pattern=r"^txcd_[0-9]{8}$")] | None = None
    unit_label: (
        Annotated[str, Field(min_length=1, max_length=12, description="Name of one unit on invoices.")] | None
    ) = None
    url: Url | None = None
    shippable: bool | None = None
    package_dimensions: "PackageDimensions | None" = None
    tax_details: "TaxDetails | None" = None
    metadata: Metadata = Field(default_factory=dict)
    stripe_id: StripeId | None = None


class PackageDimensions(Model):
    """Size of a shipped product, in inches and ounces."""

    height: Size
    length: Size
    weight: Size
    width: Size


class TaxDetails(Model):
    """Where the product is supplied, for Stripe Tax."""

    performance_location: Text | None = None
    tax_code: Annotated[str, Field(pattern=r"^txcd_[0-9]{8}$")] | None = None


class BillingPlan(ProductCommon):
    """A commercial offer: flat prices, usage, features, tools and limits. One Stripe product."""

    status: Annotated[
        Literal["draft", "active", "legacy"],
        Field(description="draft: not at Stripe yet; legacy: honoured for its subscribers, no longer sold."),
    ] = "active"
    currency: Annotated[Currency | None, Field(description="Currency of the plan; default settings.currency.")] = None
    default_price: Id | None = None
    prices: dict[Id, Price] = Field(default_factory=dict)
    trial_days: (
        Annotated[int, Field(ge=1, le=730, description="Length of the free trial of a new subscription.")] | None
    ) = None
    usage: Annotated[dict[Id, UsageLine], Field(description="Usage lines by meter.")] = Field(default_factory=dict)
    per_call: PerCall | None = None
    credits: CreditTerms | None = None
    pay: Annotated[
        tuple[Literal["usage", "credits", "per_call"], ...],
        Field(max_length=3, description="Order of the sources a call is paid from."),
    ] = ()
    features: tuple[Id, ...] = ()
    tools: Annotated[tuple[ToolGlob, ...] | None, Field(description="Tools the plan allows; absent: every tool.")] = (
        None
    )
    limits: tuple[Limit, ...] = ()
    minimum: Minimum | None = None


class CreditPack(ProductCommon):
    """Prepaid credits: a Stripe product with one one-time price."""

    credits: Annotated[Credits, Field(gt=0)]
    bonus: Annotated[Credits, Field(description="Credits on top, granted with the pack.")] = Field(
        default=0, validate_default=True
    )
    price: Money
    currency: Currency | None = None
    currency_options: CurrencyOptions = Field(default_factory=dict)
    nickname: Annotated[str, Field(min_length=1, max_length=5000)] | None = None
    tax_behavior: TaxBehavior | None = None
    lookup_key: LookupKey | None = None
    expires_after: (
        Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3} (day|days|month|months|year|years)$", examples=["365 days"])]
        | None
    ) = None
    expires: Instant | None = None
    status: Literal["draft", "active", "legacy"] = "active"
