"""Types every section is made of: ids, exact money, dates, and the closed model they live in.

Each type carries its JSON Schema, so that the committed schemas, the editor's hover text and the parser agree. The
title of a scalar is the word for it in messages: "expected an amount".
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

PLAIN_DECIMAL = r"^[0-9]{1,18}(\.[0-9]{1,18})?$"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$"
MAX_UNITS = 10**15 - 1
#: In millionths, as balances are kept, a trillion credits still fit into 64 bits.
MAX_CREDITS = 10**12

#: Editors show the text behind this key where a pattern does not match, and so do our messages.
_FORM = "patternErrorMessage"


class Model(BaseModel):
    """A closed, immutable mapping: a key it does not name is an error, never ignored."""

    #: Built on first use: only the whole file is ever validated, and building every part as well doubles start-up.
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        raise ValueError("money never passes through a float")  # noqa: TRY004  pydantic reports ValueError only
    if isinstance(value, bool):
        raise ValueError("a boolean is not an amount")  # noqa: TRY004  pydantic reports ValueError only
    if isinstance(value, str) and not re.fullmatch(PLAIN_DECIMAL, value):
        raise ValueError("not a plain decimal")
    return Decimal(value) if isinstance(value, str | int) else value


_DIGITS = "At most 18 digits on either side of a point, such as 49.99: no exponent, sign, separator or space."


def decimal_type(
    title: str, description: str, *, above_zero: bool = False, maximum: int | None = None, example: str
) -> Any:
    """Build a non-negative exact decimal type; its schema accepts a plain number or the same digits in quotes."""
    schema: dict[str, Any] = {"title": title, "description": description}
    schema |= {"type": ["number", "string"], "pattern": PLAIN_DECIMAL, _FORM: _DIGITS}
    schema["exclusiveMinimum" if above_zero else "minimum"] = 0
    if maximum is not None:
        schema["maximum"] = maximum
    schema["examples"] = [example]
    bounds = Field(gt=0, le=maximum) if above_zero else Field(ge=0, le=maximum)
    return Annotated[Decimal, BeforeValidator(_exact), bounds, WithJsonSchema(schema)]


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not re.fullmatch(DATE, value):
        raise ValueError("not a date")
    if len(value) == len("2027-01-01"):
        day = date.fromisoformat(value)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return datetime.fromisoformat(value)


_AMOUNT = (
    "Amount in major units of the currency, exact: plain (49.99, 0.005) or quoted. No exponent, sign or separator."
)
_CREDITS = "Number of credits, exact, at most six decimals. Credits are ours: Stripe holds none."
Money = decimal_type("amount", _AMOUNT, example="49.99")
PositiveMoney = decimal_type("amount", _AMOUNT, above_zero=True, example="5.00")
Percent = decimal_type(
    "percentage", "Percentage above 0, at most 100, exact.", above_zero=True, maximum=100, example="12.5"
)
TaxPercent = decimal_type("percentage", "Percentage between 0 and 100, exact.", maximum=100, example="21")
Credits = decimal_type("number of credits", _CREDITS, maximum=MAX_CREDITS, example="10")
PositiveCredits = decimal_type("number of credits", _CREDITS, above_zero=True, maximum=MAX_CREDITS, example="100")
Size = decimal_type(
    "size", "Inches, or ounces for weight; at most two decimals.", above_zero=True, maximum=10000, example="8.5"
)
Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema(
        {
            "title": "date",
            "type": "string",
            "pattern": DATE,
            _FORM: "A day such as 2027-01-31, or an instant in UTC such as 2027-01-31T12:00:00Z.",
            "format": "instant",
            "description": "A day (start of that day, UTC) or an instant in UTC.",
            "examples": ["2027-01-01", "2027-01-01T12:00:00Z"],
        }
    ),
]


def form(title: str, pattern: str, says: str, **more: Any) -> Any:
    """Describe a text of a fixed form: the word for it, its pattern, and what it looks like, for people and editors."""
    return Field(title=title, pattern=pattern, description=says, json_schema_extra={_FORM: says}, **more)


ID_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
Id = Annotated[
    str,
    form("id", ID_PATTERN, "Lower-case letters, digits, '-' and '_', at most 63 characters, a letter or digit first."),
]
TOOL_PATTERN = r"^[A-Za-z0-9*?][A-Za-z0-9_.:/*?-]{0,127}$"
_TOOL = "A tool name, or a glob with '*' and '?': letters, digits and _ . : / -, at most 128 characters."
ToolGlob = Annotated[str, form("tool name or glob", TOOL_PATTERN, _TOOL)]
Currency = Annotated[
    str,
    form(
        "currency code",
        r"^[a-z]{3}$",
        "Three-letter ISO 4217 code in lower case, such as usd.",
        examples=["usd", "eur"],
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=250, description="Name people see.")]
Text = Annotated[str, Field(min_length=1, max_length=5000)]
Url = Annotated[
    str, form("URL", r"^https?://[^\s]+$", "An address that begins with https:// or http://.", max_length=2048)
]
HttpsUrl = Annotated[
    str, form("URL with https", r"^https://[^\s]+$", "An address that begins with https://.", max_length=2048)
]
MetadataKey = Annotated[str, form("metadata key", r"^[^\[\]]{1,40}$", "At most 40 characters, no '[' and no ']'.")]
Metadata = Annotated[
    dict[MetadataKey, Annotated[str, Field(min_length=1, max_length=500)]],
    Field(max_length=45, description="Own metadata keys, passed to Stripe as they are; keys set by others are kept."),
]
Units = Annotated[int, Field(ge=0, le=MAX_UNITS, description="Whole units.")]
PositiveUnits = Annotated[int, Field(ge=1, le=MAX_UNITS, description="Whole units, at least one.")]
UpTo = Annotated[
    PositiveUnits | Literal["inf"],
    WithJsonSchema(
        {
            "title": "upper bound",
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": MAX_UNITS,
            "pattern": "^inf$",
            _FORM: "A whole number, or inf for the last bracket.",
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
    form("Stripe id", r"^[A-Za-z0-9_-]{1,255}$", "Id of an existing Stripe object to take over."),
]
TaxBehavior = Annotated[
    Literal["inclusive", "exclusive"],
    Field(description="Whether the amount includes tax; once set at Stripe it cannot be changed."),
]
TaxCode = Annotated[
    str,
    form(
        "tax code",
        r"^txcd_[0-9]{8}$",
        "Code of the product category at Stripe: txcd_ and eight digits.",
        examples=["txcd_10103000"],
    ),
]
Interval = Literal["day", "week", "month", "year"]
IntervalCount = Annotated[int, Field(ge=1, le=1095, description="Number of intervals between two invoices.")]
Rounding = Annotated[Literal["up", "down"], Field(description="What happens to a started block of units.")]
