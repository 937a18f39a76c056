"""What is counted: meters, features and tools."""

from typing import Annotated, Literal

from pydantic import Field

from reconciler.config.models.base import Id, Metadata, Model, PositiveUnits, Rounding, form

PayloadKey = Annotated[
    str, form("payload key", r"^[A-Za-z0-9_.-]{1,100}$", "Letters, digits and _ . -, at most 100 characters.")
]


class Meter(Model):
    """A named count of usage. One Stripe billing meter; everything but the name is fixed once created."""

    name: Annotated[
        str,
        Field(
            min_length=1, max_length=250, description="Name shown in the dashboard; customers see the product's name."
        ),
    ]
    aggregation: Annotated[
        Literal["sum", "count", "last"], Field(description="How events of a period become one number.")
    ] = "sum"
    unit: Annotated[str, Field(min_length=1, max_length=12, description="Name of one unit on invoices.")] | None = None
    event_name: Annotated[
        str | None, Field(min_length=1, max_length=100, description="Event name of an existing meter to take over.")
    ] = None
    event_time_window: Annotated[
        Literal["day", "hour"] | None, Field(description="Keep only the newest event of each window.")
    ] = None
    customer_key: Annotated[PayloadKey, Field(description="Payload key that names the customer.")] = (
        "stripe_customer_id"
    )
    value_key: Annotated[PayloadKey, Field(description="Payload key that holds the value.")] = "value"


class Feature(Model):
    """A named capability that plans grant and tools require. One Stripe entitlement feature."""

    name: Annotated[str, Field(min_length=1, max_length=80, description="Name people see.")]
    lookup_key: Annotated[
        str | None, Field(min_length=1, max_length=80, description="Lookup key of an existing feature to take over.")
    ] = None
    metadata: Metadata = Field(default_factory=dict)


Origin = Annotated[
    str,
    form(
        "place of a number",
        r"^(argument|result)\.[A-Za-z_][A-Za-z0-9_.]{0,127}$",
        "Where the number stands: argument.NAME or result.NAME.",
        examples=["argument.rows", "result.tokens"],
    ),
]


class Quantity(Model):
    """How many units one call is: a number taken from the call, in blocks of ``per``."""

    source: Annotated[Origin, Field(alias="from")]
    per: Annotated[PositiveUnits, Field(description="Size of a block.")] = 1
    round: Rounding = "up"


class Measured(Model):
    """Units of a meter measured on the call."""

    source: Annotated[Origin, Field(alias="from")]


class AllowUpTo(Model):
    """Calls let through per process while the ledger cannot be reached."""

    allow_up_to: Annotated[PositiveUnits, Field(description="Calls let through by each process.")]


class Tool(Model):
    """What is true of a tool in every plan."""

    title: Annotated[str, Field(min_length=1, max_length=250, description="Name people see.")] | None = None
    description: (
        Annotated[str, Field(min_length=1, max_length=5000, description="What the tool does, for people.")] | None
    ) = None
    requires: Annotated[tuple[Id, ...], Field(description="Features a tenant must have.")] = ()
    quantity: Annotated[Quantity | None, Field(description="How many units one call is; absent: one.")] = None
    counts: Annotated[
        dict[Id, PositiveUnits | Measured], Field(description="Units per meter; default one of settings.default_meter.")
    ] = Field(default_factory=dict)
    on_error: Annotated[
        Literal["deny", "allow"] | AllowUpTo, Field(description="What happens while the ledger cannot be reached.")
    ] = "deny"
