"""Request validation against the parameter types of the installed Stripe SDK, closed at every depth.

``stripe.params`` holds a ``TypedDict`` per endpoint. Its source is parsed, never imported: evaluating the annotations
fails on names the SDK imports for type checkers only, and one file is enough for one endpoint. Enumerations are open in
the types since the SDK's major version 16, but Stripe refuses undocumented values, so they are closed here.
"""

import ast
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from reconciler.money import MAX_MINOR_DECIMALS, decimals
from reconciler.sandbox.errors import ApiError, empty, invalid, missing, unknown_parameters
from reconciler.sandbox.form import Tree
from reconciler.sandbox.wire import Obj

#: Stripe cuts text it documents no length for here (https://docs.stripe.com/api, OpenAPI ``maxLength``).
DEFAULT_LENGTH = 5000
METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500

#: Times from 1970 up to the year 2500 can be counted with; Stripe's own bounds are not documented.
LATEST = 16_725_225_600
_TIMES = frozenset({"billing_cycle_anchor", "end", "frozen_time", "redeem_by", "start", "trial_end"})
_TIME_ENDINGS = ("_at", "_date", "_time")

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,40})?")
_INDEX = re.compile(r"\[[0-9]+\]")
_MAX_INDEX_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: its parameter path as Stripe writes it, and the lengths its family documents."""

    path: str
    lengths: Mapping[str, int]

    def child(self, key: str) -> "Place":
        """Return the place of a member: ``recurring`` and ``interval`` give ``recurring[interval]``."""
        return Place(f"{self.path}[{key}]" if self.path else key, self.lengths)

    def length(self) -> int:
        """Return the longest text allowed here; array indexes in a documented path are written ``[]``."""
        return self.lengths.get(_INDEX.sub("[]", self.path), DEFAULT_LENGTH)


class Spec(Protocol):
    """The type of a parameter: turns the form's text into a value or refuses it."""

    def read(self, value: str | Tree, at: Place) -> Any:
        """Return the coerced value; raise :class:`ApiError` naming the parameter."""
        ...


def _scalar(value: str | Tree, at: Place, kind: str) -> str:
    if isinstance(value, dict):
        raise invalid(f"Invalid {kind}", at.path)
    if not value:
        raise empty(at.path)
    return value


def _branch(value: str | Tree, at: Place, kind: str) -> Tree:
    if isinstance(value, dict):
        return value
    raise invalid(f"Invalid {kind}", at.path) if value else empty(at.path)


@dataclass(frozen=True, slots=True)
class Text:
    """Text, or one of ``choices`` where Stripe documents them."""

    choices: tuple[str, ...] = ()

    def read(self, value: str | Tree, at: Place) -> str:
        """Return the text as it is."""
        text = _scalar(value, at, "string")
        if self.choices and text not in self.choices:
            raise invalid(f"Invalid {at.path}: must be one of {', '.join(self.choices)}", at.path)
        if len(text) > at.length():
            raise invalid(f"Invalid string: {text[:30]}...; must be at most {at.length()} characters", at.path)
        return text


@dataclass(frozen=True, slots=True)
class Integer:
    """A 64-bit integer."""

    def read(self, value: str | Tree, at: Place) -> int:
        """Return the integer; anything else is ``parameter_invalid_integer`` (observed)."""
        text = _scalar(value, at, "integer")
        if not _INTEGER.fullmatch(text) or not -(1 << 63) <= int(text) < 1 << 63:
            raise invalid(f"Invalid integer: {text[:40]}", at.path, "parameter_invalid_integer")
        return int(text)


@dataclass(frozen=True, slots=True)
class Boolean:
    """``true`` or ``false``; ``True`` and ``False`` are what the SDK writes inside arrays."""

    def read(self, value: str | Tree, at: Place) -> bool:
        """Return the truth value."""
        text = _scalar(value, at, "boolean")
        if text not in {"true", "false", "True", "False"}:
            raise invalid(f"Invalid boolean: {text[:40]}", at.path)
        return text.lower() == "true"


@dataclass(frozen=True, slots=True)
class Number:
    """A number Stripe sends back as a JSON number, such as a percentage."""

    def read(self, value: str | Tree, at: Place) -> Decimal:
        """Return the number exactly; exponents are refused."""
        text = _scalar(value, at, "decimal")
        if not _NUMBER.fullmatch(text):
            raise invalid(f"Invalid decimal: {text[:40]}", at.path)
        return Decimal(text)


@dataclass(frozen=True, slots=True)
class Exact(Number):
    """A decimal string of at most twelve places (https://docs.stripe.com/api/prices/create)."""

    def read(self, value: str | Tree, at: Place) -> Decimal:
        """Return the decimal exactly."""
        number = Number.read(self, value, at)
        if decimals(number) > MAX_MINOR_DECIMALS:
            raise invalid(f"Invalid decimal: {value}; must contain at maximum twelve decimal places.", at.path)
        return number


@dataclass(frozen=True, slots=True)
class Array:
    """An array, written with indexes or ``[]``."""

    item: Spec

    def read(self, value: str | Tree, at: Place) -> list[Any]:
        """Return the items in the order of their indexes."""
        branch = _branch(value, at, "array")
        if not all(key.isascii() and key.isdecimal() and len(key) <= _MAX_INDEX_DIGITS for key in branch):
            raise invalid("Invalid array", at.path)
        return [self.item.read(branch[key], at.child(key)) for key in sorted(branch, key=int)]


@dataclass(frozen=True, slots=True)
class Map:
    """A mapping with free keys; in metadata a blank value unsets its key."""

    value: Spec

    def read(self, value: str | Tree, at: Place) -> dict[str, Any]:
        """Return the mapping, ``None`` for keys to unset; metadata obeys Stripe's caps."""
        branch = _branch(value, at, "object")
        if at.path.rpartition("[")[2].rstrip("]") != "metadata":
            return {key: self.value.read(item, at.child(key)) for key, item in branch.items()}
        _check_metadata(branch, at)
        return {key: None if item == "" else self.value.read(item, at.child(key)) for key, item in branch.items()}


def _check_metadata(value: Tree, at: Place) -> None:
    """Refuse what exceeds https://docs.stripe.com/api/metadata: 50 keys of 40 characters, values of 500."""
    if len(value) > METADATA_KEYS:
        raise invalid(f"Metadata can have at most {METADATA_KEYS} keys.", at.path)
    for key, item in value.items():
        if len(key) > METADATA_KEY_LENGTH:
            raise invalid(f"Metadata keys can have up to {METADATA_KEY_LENGTH} characters.", at.child(key).path)
        if len(item) > METADATA_VALUE_LENGTH:
            raise invalid(f"Metadata values can have up to {METADATA_VALUE_LENGTH} characters.", at.child(key).path)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value or a container, such as ``created=1`` and ``created[gte]=1``, or a number and a word (``inf``).

    Without options there is nothing it can be, and ``''`` can only unset it.
    """

    options: tuple[Spec, ...]

    def read(self, value: str | Tree, at: Place) -> Any:
        """Return the reading of the first option of the value's shape that takes it, or the last one's refusal."""
        if not self.options:
            raise invalid(f"Invalid {at.path}: it can only be unset", at.path)
        shaped = [option for option in self.options if isinstance(option, Struct | Map) == isinstance(value, dict)]
        *first, last = shaped or self.options
        for option in first:
            try:
                return option.read(value, at)
            except ApiError:
                continue
        return last.read(value, at)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct: its type, whether it must be given, and whether ``''`` unsets it."""

    spec: Spec
    required: bool
    clearable: bool


@dataclass(frozen=True, slots=True)
class Struct:
    """An object with known members and no others."""

    members: dict[str, Member] = field(default_factory=dict)

    def read(self, value: str | Tree, at: Place) -> Obj:
        """Return the given members, ``None`` for those to unset."""
        branch = _branch(value, at, "object")
        unknown = [at.child(key).path for key in branch if key not in self.members]
        if unknown:
            raise unknown_parameters(unknown)
        for name, member in self.members.items():
            if member.required and name not in branch:
                raise missing(at.child(name).path)
        return {key: self._member(key, item, at) for key, item in branch.items()}

    def _member(self, key: str, item: str | Tree, at: Place) -> Any:
        member = self.members[key]
        value = None if item == "" and member.clearable else member.spec.read(item, at.child(key))
        if type(value) is int and not 0 <= value < LATEST and (key in _TIMES or key.endswith(_TIME_ENDINGS)):
            raise invalid(f"Invalid timestamp: {value}", at.child(key).path, "parameter_invalid_integer")
        return value


_SCALARS: Mapping[str, Spec] = {
    "str": Text(),
    "int": Integer(),
    "bool": Boolean(),
    "float": Number(),
    "Decimal": Exact(),
}


class _Module:
    """One file of ``stripe.params``: its classes turned into structs on demand."""

    def __init__(self, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        self._classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def struct(self, name: str) -> Struct:
        annotations = [node for node in self._classes[name].body if isinstance(node, ast.AnnAssign)]
        return Struct({ast.unparse(node.target): self._member(node.annotation) for node in annotations})

    def _member(self, annotation: ast.expr) -> Member:
        optional = isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "NotRequired"
        inner = annotation.slice if optional and isinstance(annotation, ast.Subscript) else annotation
        words, specs = self._union(inner)
        return Member(_merge(words, specs), required=not optional, clearable="" in words)

    def _union(self, node: ast.expr) -> tuple[list[str], list[Spec]]:
        """Split a type into the words it names literally and its other members."""
        match node:
            case ast.Constant(value=str() as quoted):
                return self._union(ast.parse(quoted, mode="eval").body)
            case ast.BinOp(left=left, right=right):
                return self._join([left, right])
            case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=members)):
                return self._join(members)
            case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
                words, specs = self._union(inner)
                return ["", *words], specs  # null unsets in v2, as '' does in v1
            case ast.Subscript(value=ast.Name(id="Literal"), slice=words):
                values = words.elts if isinstance(words, ast.Tuple) else [words]
                return [str(ast.literal_eval(value)) for value in values], []
            case ast.Subscript(value=ast.Name(id="UntypedStripeObject")):
                return [], []  # always the twin of a Dict beside it
        return [], [self._spec(node)]

    def _join(self, nodes: list[ast.expr]) -> tuple[list[str], list[Spec]]:
        parts = [self._union(node) for node in nodes]
        return [word for words, _ in parts for word in words], [spec for _, specs in parts for spec in specs]

    def _spec(self, node: ast.expr) -> Spec:
        match node:
            case ast.Subscript(value=ast.Name(id="List"), slice=item):
                return Array(_merge(*self._union(item)))
            case ast.Subscript(value=ast.Name(id="Dict"), slice=ast.Tuple(elts=[_, item])):
                return Map(_merge(*self._union(item)))
            case ast.Name(id=name):
                return _SCALARS.get(name) or self.struct(name)
        raise TypeError(f"stripe.params uses an annotation that is not understood: {ast.unparse(node)}")


def _merge(words: list[str], specs: list[Spec]) -> Spec:
    choices = tuple(word for word in words if word)
    if choices:
        specs = [Text(choices), *(spec for spec in specs if not isinstance(spec, Text))]
    return specs[0] if len(specs) == 1 else OneOf(tuple(specs))


@cache
def schema(name: str) -> Struct:
    """Return the parameters of an endpoint by its type's name: ``PriceCreateParams``, ``billing.MeterListParams``."""
    found = importlib.util.find_spec("stripe")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("stripe")
    *package, class_name = name.split(".")
    file = re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()
    return _Module(Path(found.origin).parent.joinpath("params", *package, f"_{file}.py")).struct(class_name)


def read(name: str, tree: Tree, lengths: Mapping[str, int], clears: frozenset[str]) -> Obj:
    """Validate a decoded form; ``clears`` names members Stripe lets ``''`` unset although the types do not say so.

    A dot leads into a member: ``invoice_settings.default_payment_method``.
    """
    kept, cleared = _without_blanks(tree, clears)
    given = schema(name).read(kept, Place("", lengths))
    for dotted in cleared:
        outer, _, inner = dotted.rpartition(".")
        given |= {outer: given[outer] | {inner: None}} if outer else {inner: None}
    return given


def _without_blanks(tree: Tree, names: frozenset[str]) -> tuple[Tree, list[str]]:
    """Return the form without those of the named members that are ``''``, and their names."""
    kept, blank = dict(tree), []
    for dotted in names:
        outer, _, inner = dotted.rpartition(".")
        node = kept.get(outer) if outer else kept
        if isinstance(node, dict) and node.get(inner) == "":
            blank.append(dotted)
            rest = {key: value for key, value in node.items() if key != inner}
            kept = kept | {outer: rest} if outer else rest
    return kept, blank
