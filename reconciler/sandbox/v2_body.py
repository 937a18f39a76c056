"""The JSON body of a ``/v2`` request: read exactly, its types checked, turned into the tree a form would be.

Source: https://docs.stripe.com/api-v2-overview. Depth, size and closedness are those of forms.
"""

import json
from collections.abc import Sequence
from typing import Any

from reconciler.sandbox import form, params
from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.objects.base import Route


def decode(route: Route, query: str, body: bytes, content_type: str) -> form.Tree:
    """Return the parameters of a request as a tree: the query's and those of a JSON object of the right types."""
    if not body:
        return form.decode(query, b"")
    if content_type not in {"", "application/json"}:
        raise invalid(f"The v2 API takes application/json, not {content_type[:64]}.")
    if len(body) > form.MAX_BODY_BYTES:
        raise ApiError(413, f"Request body is larger than {form.MAX_BODY_BYTES} bytes.")
    try:
        value = json.loads(body, parse_float=_Number, parse_int=_Number, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise invalid("Invalid request: the body is not JSON.") from None
    if not isinstance(value, dict):
        raise invalid("Invalid request: the body is not a JSON object.")
    _check_types(params.schema(route.params), value, "")
    return form.decode(query, b"") | _tree(value, 1)


class _Number(str):
    """A JSON number as it was written, so that no digit is lost."""

    __slots__ = ()


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _check_types(spec: params.Spec, value: Any, at: str) -> None:
    """Refuse a JSON value of another type than the parameter's; what is unknown is left to the parameter's reader."""
    if value is None:
        return
    if isinstance(spec, params.OneOf):
        _check_one_of(spec, value, at)
        return
    expected = next((shape for kinds, shape in _SHAPES if isinstance(spec, kinds)), None)
    if expected and not _is(value, expected):
        raise invalid(f"Invalid {at or 'request'}: must be {expected}", at or None)
    for name, member in _members(spec, value):
        _check_types(member, value[name], f"{at}[{name}]" if at else str(name))


def _check_one_of(spec: params.OneOf, value: Any, at: str) -> None:
    *first, last = spec.options
    for option in first:
        try:
            _check_types(option, value, at)
        except ApiError:
            continue
        return
    _check_types(last, value, at)


_SHAPES: Sequence[tuple[tuple[type, ...], str]] = (
    ((params.Integer, params.Number), "a number"),
    ((params.Boolean,), "true or false"),
    ((params.Text,), "a string"),
    ((params.Array,), "an array"),
    ((params.Struct, params.Map), "an object"),
)


def _is(value: Any, shape: str) -> bool:
    return {
        "a number": isinstance(value, _Number),
        "true or false": isinstance(value, bool),
        "a string": isinstance(value, str) and not isinstance(value, _Number),
        "an array": isinstance(value, list),
        "an object": isinstance(value, dict),
    }[shape]


def _members(spec: params.Spec, value: Any) -> list[tuple[Any, params.Spec]]:
    if isinstance(spec, params.Struct):
        return [(name, spec.members[name].spec) for name in value if name in spec.members]
    if isinstance(spec, params.Map):
        return [(name, spec.value) for name in value]
    if isinstance(spec, params.Array):
        return [(index, spec.item) for index in range(len(value))]
    return []


def _tree(value: dict[str, Any], depth: int) -> form.Tree:
    if depth > form.MAX_DEPTH:
        raise invalid(f"Parameters can be nested at most {form.MAX_DEPTH} levels deep.")
    return {name: _branch(item, depth) for name, item in value.items()}


def _branch(value: Any, depth: int) -> str | form.Tree:
    """Return a JSON value as a form has it: ``null`` unsets, as ``''`` does there."""
    if isinstance(value, dict):
        return _tree(value, depth + 1)
    if isinstance(value, list):
        return _tree({str(index): item for index, item in enumerate(value)}, depth + 1)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
