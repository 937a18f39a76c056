"""Types every section is made of: ids, exact money, dates, and the closed model they live in.

Each type carries its JSON Schema, so that the committed schemas, the editor's hover text and the parser agree.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

PLAIN_DECIMAL = r"^[0-9]+(\.[0-9]+)?$"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$"
MAX_UNITS = 10**15 - 1


class Model(BaseModel):
    """A closed, immutable mapping: a key it does not name is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        raise ValueError("money never passes through a float")  # noqa: TRY004  pydantic reports ValueError only
    if isinstance(value, bool):
        raise ValueError("a boolean is not an amount")  # noqa: TRY004  pydantic reports ValueError only
    if isinstance(value, str) and not re.match(PLAIN_DECIMAL, value):
        raise ValueError("not a plain decimal")
    return Decimal(value) if isinstance(value, str | int) else value


def decimal_type(description: str, *, above_zero: bool = False, maximum: int | None = None, example: str) -> Any:
    """Build a non-negative exact decimal type; its schema accepts a plain number or the same digits in quotes."""
    schema: dict[str, Any] = {"type": ["number", "string"], "description": description, "pattern": PLAIN_DECIMAL}
    schema["exclusiveMinimum" if above_zero else "minimum"] = 0
    if maximum is not None:
        schema["maximum"] = maximum
    schema["examples"] = [example]
    bounds = Field(gt=0, le=maximum) if above_zero else Field(ge=0, le=maximum)
    return Annotated[Decimal, BeforeValidator(_exact), bounds, WithJsonSchema(schema)]


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not re.match(DATE, value):
        raise ValueError("not a date")
    if len(value) == len("2027-01-01"):
        day = date.fromisoformat(value)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return datetime.fromisoformat(value)


Money = decimal_type(
    "Amount in major units of the currency, exact: plain (49.99, 0.005) or quoted. Never a float, never an exponent.",
    example="49.99",
)
Percent = decimal_type("Percentage between 0 and 100, exact.", above_zero=True, maximum=100, example="12.5")
TaxPercent = decimal_type("Percentage between 0 and 100, exact.", maximum=100, example="21")
Credits = decimal_type(
    "Number of credits, exact, at most six decimals. Credits are ours: Stripe holds none.",
    maximum=MAX_UNITS,
    example="10",
)
Size = decimal_type(
    "Inches, or ounces for weight; at most two decimals.", above_zero=True, maximum=10000, example="8.5"
)
Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": DATE,
            "description": "A day (start of that day, UTC) or an instant in UTC.",
            "examples": ["2027-01-01", "2027-01-01T12:00:00Z"],
        }
    ),
]

ID_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
Id = Annotated[
    str,
    Field(pattern=ID_PATTERN, description="Id: lower-case letters, digits, '-' and '_', at most 63 characters."),
]
TOOL_PATTERN = r"^[A-Za-z0-9*?][A-Za-z0-9_.:/*?-]{0,127}$"
ToolGlob = Annotated[str, Field(pattern=TOOL_PATTERN, description="A tool name, or a glob with '*' and '?'.")]
Currency = Annotated[
    str,
    Field(pattern=r"^[a-z]{3}$", description="Three-letter ISO 4217 code in lower case.", examples=["usd", "eur"]),
]
Name = Annotated[str, Field(min_length=1, max_length=250, description="Name people see.")]
Text = Annotated[str, Field(min_length=1, max_length=5000)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2048)]
Metadata = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[^\[\]]{1,40}$")],
        Annotated[str, Field(min_length=1, max_length=500)],
    ],
    Field(max_length=45, description="Own metadata keys, passed to Stripe as they are; keys set by others are kept."),
]
Units = Annotated[int, Field(ge=0, le=MAX_UNITS, description="Whole units.")]
PositiveUnits = Annotated[int, Field(ge=1, le=MAX_UNITS, description="Whole units, at least one.")]
UpTo = Annotated[
    PositiveUnits | Literal["inf"],
    WithJsonSchema(
        {
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": MAX_UNITS,
            "pattern": "^inf$",
            "description": "Inclusive upper bound, counted from the first unit the table applies to; the last is inf.",
            "examples": [5000, "inf"],
        }
    ),
]
LookupKey = Annotated[
    str, Field(min_length=1, max_length=200, description="Lookup key of an existing Stripe price to take over.")
]
StripeId = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_-]{1,255}$", description="Id of an existing Stripe object to take over."),
]
TaxBehavior = Annotated[
    Literal["inclusive", "exclusive"],
    Field(description="Whether the amount includes tax; once set at Stripe it cannot be changed."),
]
Interval = Literal["day", "week", "month", "year"]
IntervalCount = Annotated[int, Field(ge=1, le=156, description="Number of intervals between two invoices.")]
Rounding = Annotated[Literal["up", "down"], Field(description="What happens to a started block of units.")]
