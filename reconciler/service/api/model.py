"""What every model of the API has in common: closed, exact, and no more than a ledger can hold."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from reconciler.entitlements.measure import MOST
from reconciler.ledger.entry import MAX_NAME

#: Credits that one request may bring in or back; a ledger holds a few thousand times as many.
MOST_CREDITS = 10**9
_AMOUNT = r"(0|[1-9][0-9]{0,9})(\.[0-9]{1,6})?"
_DECIMAL = re.compile(_AMOUNT)


class Closed(BaseModel):
    """Takes the fields it has and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("printable characters only")
    return text


def _line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("one line of printable characters")
    return text


def _decimal(value: Any) -> Any:
    """Read an amount of credits from its text or from a whole number, never through a float."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            raise ValueError("a decimal such as 12.5, with at most six places")
        return Decimal(value)
    raise ValueError("a decimal in a string, or a whole number")


def _instant(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("an instant such as 2027-01-31T00:00:00Z") from None
    return value


Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME), AfterValidator(_printable)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_line)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048), AfterValidator(_line)]
#: Credits, exact: a string, or a whole number.
Credits = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    Field(gt=0, le=MOST_CREDITS),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^(?!0(\\.0*)?$){_AMOUNT}$"},
                {"type": "integer", "minimum": 1, "maximum": MOST_CREDITS},
            ]
        }
    ),
]
Instant = Annotated[AwareDatetime, BeforeValidator(_instant, json_schema_input_type=AwareDatetime)]
#: An amount in an answer: a decimal as a string, so that no client rounds it.
Amount = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]{1,6})?$")]
