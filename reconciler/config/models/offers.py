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
    PositiveCredits,
    PositiveUnits,
    Rounding,
    Size,
    StripeId,
    TaxBehavior,
    TaxCode,
    Text,
    ToolGlob,
    Units,
    UpTo,
    Url,
    form,
)


class Step(Model):
    """One price bracket: each unit up to the bound costs ``unit_amount``; ``flat_amount`` is due once it is entered."""

    up_to: UpTo
    unit_amount: Annotated[Money | None, Field(description="Price of each unit in the bracket.")] = None
    flat_amount: Annotated[Money | None, Field(description="Amount due once when the bracket is entered.")] = None


Steps = Annotated[tuple[Step, ...], Field(min_length=1, max_length=100, description="Brackets in ascending order.")]


class Tier(Model):
    """A table of price brackets, named once and used by usage lines and prices."""

    mode: Annotated[
        Literal["graduated", "volume"],
        Field(description="graduated: each unit by its own bracket; volume: all units by the bracket of the total."),
    ] = "graduated"
    currency: Annotated[
        Currency | None, Field(description="Currency of the amounts; absent: that of the price that uses the table.")
    ] = None
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

    minimum: Annotated[Money | None, Field(description="Least amount the customer can choose.")] = None
    maximum: Annotated[Money | None, Field(description="Largest amount the customer can choose.")] = None
    preset: Annotated[Money | None, Field(description="Amount shown at first.")] = None


class CurrencyOption(Model):
    """The price in another currency."""

    unit_amount: Annotated[Money | None, Field(description="Price of one unit in this currency.")] = None
    custom_unit_amount: Annotated[
        CustomUnitAmount | None, Field(description="Bounds of the amount the customer chooses, in this currency.")
    ] = None
    tax_behavior: TaxBehavior | None = None


OnChange = Annotated[
    Literal["grandfather", "at_renewal", "now", "now_prorated"],
    Field(description="What happens to existing subscribers when the amount changes."),
]


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

    amount: Annotated[Money | None, Field(description="Price of one unit (one seat, one subscription).")] = None
    tiers: Annotated[Id | None, Field(description="Table of price brackets, by the quantity that is bought.")] = None
    custom_unit_amount: Annotated[
        CustomUnitAmount | None, Field(description="The customer chooses the amount; only with interval once.")
    ] = None
    currency: Annotated[Currency | None, Field(description="Currency of the price; default the plan's.")] = None
    interval: Annotated[
        Literal["day", "week", "month", "year", "once"], Field(description="Billing interval; once: not recurring.")
    ]
    interval_count: IntervalCount = 1
    transform_quantity: Annotated[
        TransformQuantity | None, Field(description="Sell packages of units; amount is the price of a package.")
    ] = None
    currency_options: CurrencyOptions = Field(default_factory=dict)
    on_change: OnChange = "grandfather"


class Overage(PriceCommon):
    """What a unit beyond the included ones costs: exactly one of unit_amount, tiers, credits."""

    unit_amount: Annotated[Money | None, Field(description="Price of one unit beyond the included ones.")] = None
    tiers: Annotated[
        Id | None, Field(description="Table of price brackets, counted from the first unit after the included ones.")
    ] = None
    credits: Annotated[Credits | None, Field(description="Credits a unit beyond the included ones costs.")] = None
    transform_quantity: Annotated[
        TransformQuantity | None, Field(description="Sell packages of units; unit_amount is the price of a package.")
    ] = None
    currency_options: Annotated[dict[Currency, Money], Field(description="unit_amount in other currencies.")] = Field(
        default_factory=dict
    )
    on_change: OnChange = "grandfather"


class UsageLine(Model):
    """Units of one meter that a plan or a tenant includes, and what happens beyond them."""

    included: Annotated[Units, Field(description="Units that cost nothing in each period.")] = 0
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

    amount: Annotated[Money, Field(description="Price of the reservation in each interval.")]
    currency: Annotated[Currency | None, Field(description="Currency of the price; default the tenant's.")] = None
    interval: Annotated[Interval, Field(description="Billing interval of the reservation.")] = "month"
    interval_count: IntervalCount = 1
    on_change: OnChange = "grandfather"


class TenantUsage(UsageLine):
    """A usage line of one tenant, with the price of the reservation itself."""

    reserved_price: Annotated[ReservedPrice | None, Field(description="What the included units cost.")] = None


class DiscountStep(Model):
    """Calls up to the bound cost the price less ``percent_off``, or ``unit_amount`` instead of the default price."""

    up_to: UpTo
    percent_off: Annotated[Percent | None, Field(description="Percentage off the undiscounted price.")] = None
    unit_amount: Annotated[Money | None, Field(description="Price of a call instead of the default price.")] = None


class Discounts(Model):
    """Graduated volume discount on calls, counted per month."""

    scope: Annotated[
        Literal["tool", "tenant"], Field(description="Count the calls of each tool apart, or of all tools together.")
    ]
    steps: Annotated[
        tuple[DiscountStep, ...],
        Field(min_length=1, max_length=100, description="Brackets in ascending order; the first may have no discount."),
    ]


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
    discounts: Annotated[Discounts | None, Field(description="Discount on calls by their number in a month.")] = None


class AutoRecharge(Model):
    """Buy a pack when the balance falls below a bound."""

    below: Annotated[Credits, Field(description="Buy when the balance is below this number of credits.")]
    pack: Annotated[Id, Field(description="Credit pack that is bought.")]


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
    auto_recharge: Annotated[AutoRecharge | None, Field(description="Buy a pack when credits run out.")] = None


class Limit(Model):
    """A hard bound on calls or units in a period."""

    of: Annotated[ToolGlob, Field(description="What is bounded: a tool, a glob or a meter.")]
    max: Annotated[PositiveUnits, Field(description="Largest number of calls or units in a period.")]
    per: Annotated[
        Literal["second", "minute", "hour", "day", "week", "month", "year"], Field(description="Length of the period.")
    ]
    kind: Annotated[
        Literal["rate", "quota"], Field(description="rate refills continuously; quota resets with its period.")
    ] = "quota"
    burst: Annotated[PositiveUnits | None, Field(description="Calls allowed at one instant; default max.")] = None
    resets_on: (
        Annotated[int, Field(ge=1, le=31, description="Day of the month on which a monthly quota begins anew.")] | None
    ) = None
    upgrade_to: Annotated[Id | None, Field(description="Plan named in the refusal.")] = None


class Minimum(Model):
    """Least usage charge of a period; the plan's flat price is not counted."""

    per_month: Annotated[Money, Field(description="Least usage charge of a month, also with no usage.")]
    on_change: OnChange = "grandfather"


class PackageDimensions(Model):
    """Size of a shipped product, in inches and ounces."""

    height: Annotated[Size, Field(description="Height in inches.")]
    length: Annotated[Size, Field(description="Length in inches.")]
    weight: Annotated[Size, Field(description="Weight in ounces.")]
    width: Annotated[Size, Field(description="Width in inches.")]


class TaxDetails(Model):
    """Where the product is supplied, for Stripe Tax."""

    performance_location: Annotated[Text | None, Field(description="Id of Stripe's tax location of supply.")] = None
    tax_code: TaxCode | None = None


class ProductCommon(Model):
    """Keys of the Stripe product behind a plan or a pack."""

    name: Name
    description: (
        Annotated[str, Field(min_length=1, max_length=5000, description="Shown to customers at checkout.")] | None
    ) = None
    images: Annotated[tuple[Url, ...], Field(max_length=8, description="Addresses of pictures of the product.")] = ()
    marketing_features: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=80)], ...],
        Field(max_length=15, description="Lines shown in pricing tables."),
    ] = ()
    statement_descriptor: (
        Annotated[
            str,
            form(
                "statement descriptor",
                r"^[ !#$%&()+,./0-9:;=?@A-Z\[\]^_`a-z{|}~-]*[A-Za-z][ !#$%&()+,./0-9:;=?@A-Z\[\]^_`a-z{|}~-]*$",
                "What stands on the card statement: ASCII, at least one letter, none of < > \\ ' \" *.",
                max_length=22,
            ),
        ]
        | None
    ) = None
    tax_code: TaxCode | None = None
    unit_label: (
        Annotated[str, Field(min_length=1, max_length=12, description="Name of one unit on invoices.")] | None
    ) = None
    url: Annotated[Url | None, Field(description="Page of the product.")] = None
    shippable: Annotated[bool | None, Field(description="Whether it is a good that is shipped.")] = None
    package_dimensions: Annotated[
        PackageDimensions | None, Field(description="Size of the package, for shipped goods.")
    ] = None
    tax_details: Annotated[TaxDetails | None, Field(description="Where it is supplied, for Stripe Tax.")] = None
    metadata: Metadata = Field(default_factory=dict)
    stripe_id: StripeId | None = None


class BillingPlan(ProductCommon):
    """A commercial offer: flat prices, usage, features, tools and limits. One Stripe product."""

    status: Annotated[
        Literal["draft", "active", "legacy"],
        Field(description="draft: not at Stripe yet; legacy: honoured for its subscribers, no longer sold."),
    ] = "active"
    currency: Annotated[Currency | None, Field(description="Currency of the plan; default settings.currency.")] = None
    default_price: Annotated[
        Id | None, Field(description="Price shown first: one of prices, or the meter of a usage line that is sold.")
    ] = None
    prices: Annotated[dict[Id, Price], Field(description="Flat prices; a subscriber pays one of them.")] = Field(
        default_factory=dict
    )
    trial_days: (
        Annotated[int, Field(ge=1, le=730, description="Length of the free trial of a new subscription.")] | None
    ) = None
    usage: Annotated[dict[Id, UsageLine], Field(description="Usage lines by meter.")] = Field(default_factory=dict)
    per_call: Annotated[PerCall | None, Field(description="Prices of single calls.")] = None
    credits: Annotated[CreditTerms | None, Field(description="Credits that calls cost and that a month brings.")] = None
    pay: Annotated[
        tuple[Literal["usage", "credits", "per_call"], ...],
        Field(max_length=3, description="Order of the sources a call is paid from."),
    ] = ()
    features: Annotated[tuple[Id, ...], Field(description="Features the plan grants.")] = ()
    tools: Annotated[tuple[ToolGlob, ...] | None, Field(description="Tools the plan allows; absent: every tool.")] = (
        None
    )
    limits: Annotated[tuple[Limit, ...], Field(description="Hard bounds; all of them hold.")] = ()
    minimum: Annotated[Minimum | None, Field(description="Least usage charge of a period.")] = None


class CreditPack(ProductCommon):
    """Prepaid credits: a Stripe product with one one-time price."""

    credits: Annotated[PositiveCredits, Field(description="Credits in the pack.")]
    bonus: Annotated[Credits, Field(description="Credits on top, granted with the pack.")] = Field(
        default=0, validate_default=True
    )
    price: Annotated[Money, Field(description="What the pack costs, once.")]
    currency: Annotated[Currency | None, Field(description="Currency of the price; default settings.currency.")] = None
    currency_options: CurrencyOptions = Field(default_factory=dict)
    nickname: (
        Annotated[str, Field(min_length=1, max_length=5000, description="Note shown in the dashboard.")] | None
    ) = None
    tax_behavior: TaxBehavior | None = None
    lookup_key: LookupKey | None = None
    expires_after: (
        Annotated[
            str,
            form(
                "period",
                r"^[1-9][0-9]{0,3} (day|days|month|months|year|years)$",
                "How long the credits last after the purchase: a number and days, months or years.",
                examples=["365 days"],
            ),
        ]
        | None
    ) = None
    expires: Annotated[Instant | None, Field(description="When all credits of the pack expire.")] = None
    status: Annotated[
        Literal["draft", "active", "legacy"],
        Field(description="draft: not at Stripe yet; legacy: honoured, no longer sold."),
    ] = "active"
