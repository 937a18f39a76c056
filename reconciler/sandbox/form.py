"""Stripe's form encoding: ``a[b][0][c]=1``, ``a[]=1``, ``a[][b]=1`` into a tree of strings.

Arrays stay mappings from index to value here; the parameter's type decides what is an array
(https://docs.stripe.com/api, "form-encoded request bodies").
"""

import re
from urllib.parse import parse_qsl

from reconciler.sandbox.errors import ApiError, invalid, unknown_parameters

#: A decoded form: every leaf is text, every branch a mapping.
Tree = dict[str, "str | Tree"]

MAX_BODY_BYTES = 1 << 20
MAX_FIELDS = 2000
MAX_DEPTH = 8

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_SEGMENT = re.compile(r"\[([^\[\]]*)\]")


def decode(query: str, body: bytes) -> Tree:
    """Decode query string and body together; malformed, oversized or contradictory input is a 400."""
    if len(body) > MAX_BODY_BYTES:
        raise ApiError(413, f"Request body is larger than {MAX_BODY_BYTES} bytes.")
    tree: Tree = {}
    for name, value in _fields(query) + _fields(_text(body)):
        _insert(tree, _segments(name), name, value)
    return tree


def _text(body: bytes) -> str:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        raise _malformed() from None


def _fields(text: str) -> list[tuple[str, str]]:
    if not text:
        return []
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise _malformed() from None


def _malformed() -> ApiError:
    return invalid("Invalid request (check that your POST parameters are properly encoded and not too many).")


def _segments(name: str) -> list[str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise unknown_parameters([name])
    segments = [match[1], *_SEGMENT.findall(match[2])]
    if len(segments) > MAX_DEPTH:
        raise invalid(f"Parameters can be nested at most {MAX_DEPTH} levels deep.", match[1])
    return segments


def _insert(tree: Tree, segments: list[str], name: str, value: str) -> None:
    node = tree
    for position, segment in enumerate(segments[:-1]):
        child = node.setdefault(segment or _slot(node, segments[position + 1]), {})
        if isinstance(child, str):
            raise invalid(f"Parameter {name} is given both as a value and as a container.", segments[0])
        node = child
    last = segments[-1] or str(len(node))
    if isinstance(node.get(last), dict):
        raise invalid(f"Parameter {name} is given both as a value and as a container.", segments[0])
    node[last] = value


def _slot(node: Tree, following: str) -> str:
    """Return the index ``[]`` means: the element under construction, or the next one once ``following`` repeats."""
    current = str(len(node) - 1)
    element = node.get(current)
    return current if isinstance(element, dict) and following and following not in element else str(len(node))
