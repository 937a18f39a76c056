"""JSON from strangers: UTF-8, no name twice, no number that is none, no deeper and no wider than anything we take."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from reconciler.service.problems import ProblemError, invalid

DEEPEST, WIDEST = 16, 4096
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def parse(body: bytes) -> Any:
    """Return a JSON value; a 400 problem for what is none, or is none we would take."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise invalid(f"The body is not UTF-8 at byte {error.start}.", status=400) from None
    if text.count("{") + text.count("[") > DEEPEST:
        _measure(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise invalid(f"The body is not JSON: line {error.lineno}, column {error.colno}.", status=400) from None
    except (ValueError, ArithmeticError, RecursionError):
        raise invalid("The body has a number that is too long.", status=400) from None
    if "\\u" in text:
        _storable(value)
    return value


def _measure(text: str) -> None:
    """Refuse what is nested too deep, or has too many values, before a parser works on it."""
    depth = opened = 0
    for match in _BRACKETS.finditer(text):
        bracket = match[0]
        if bracket in "[{":
            depth, opened = depth + 1, opened + 1
            if depth > DEEPEST or opened > WIDEST:
                raise invalid(f"The body is nested deeper than {DEEPEST}, or has too many values.", status=400)
        elif bracket in "]}":
            depth -= 1


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise invalid("The body has a name twice in one object.", status=400)
    return found


def _constant(name: str) -> NoReturn:
    raise invalid(f"{name} is no JSON.", status=400)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=Decimal)


def _storable(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise invalid("The body has half a character: a surrogate without its pair.", status=400) from None


def validated(model: type[BaseModel], value: Any, where: str = "") -> Any:
    """Return a value as a model; a 422 problem with the JSON pointer of everything that is wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = [
            {"pointer": where + _pointer(each["loc"], value), "detail": each["msg"]}
            for each in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise ProblemError(422, "invalid_request", "The request has values that cannot be.", errors=found) from None


def _pointer(path: Sequence[int | str], value: Any) -> str:
    """Return a path as a JSON pointer, without the names of the types that were tried on the way."""
    found = ""
    for part in path:
        if isinstance(value, Mapping):
            found += f"/{str(part).replace('~', '~0').replace('/', '~1')}"
            value = value.get(part)
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(part, int):
            found += f"/{part}"
            value = value[part] if part < len(value) else None
    return found
