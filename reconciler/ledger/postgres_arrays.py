"""Columns of rows as PostgreSQL reads arrays from text: a batch is a handful of strings, not a value for every field.

What a driver does for each value costs more than to insert the row; here each column is joined and quoted at once.
"""

from collections.abc import Sequence

from psycopg import DataError

#: No text in PostgreSQL can hold it, so it can stand between texts while they are quoted together.
_BETWEEN = "\0"
_BORDER = '","'


def texts(values: Sequence[str | None]) -> str:
    """Return a ``text[]``; DataError for a text that holds what none can."""
    if not values:
        return "{}"
    if None in values:
        return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"
    joined = _BETWEEN.join(values)  # type: ignore[arg-type]  # none of them is None
    if joined.count(_BETWEEN) != len(values) - 1:
        raise DataError("a text cannot hold a zero byte")
    return "{" + _quoted(joined).replace(_BETWEEN, _BORDER) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def numbers(values: Sequence[int | None]) -> str:
    """Return a ``bigint[]``."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def blobs(values: Sequence[bytes]) -> str:
    """Return a ``bytea[]``."""
    return "{" + ",".join([rf'"\\x{value.hex()}"' for value in values]) + "}"
