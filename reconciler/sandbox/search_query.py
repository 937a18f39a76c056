"""Stripe's search query language (https://docs.stripe.com/search#search-query-language), parsed and matched.

Clauses of field, operator and value are joined by a space or by AND, or all by OR; there are ten at most and no
parentheses. ``:`` matches whatever the case, ``~`` finds a part of at least three characters of a text field, ``>`` and
its kin compare numbers, ``-`` turns a clause round, ``null`` is the absence of a value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from reconciler.sandbox.errors import ApiError, invalid
from reconciler.sandbox.wire import Obj

MAX_CLAUSES = 10
MIN_SUBSTRING = 3

#: Whether a field can be compared as a number, searched for a part, or only matched whole.
FieldType = Literal["numeric", "string", "token"]
#: Stands for any one name in a field: ``payment_method_details.*.last4``.
ANY = "*"

_CLAUSE = re.compile(
    r"""(?P<minus>-?)(?P<field>[A-Za-z_][\w.]*)(?:\[(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\])?"""
    r"""\s*(?P<operator>>=|<=|[:~><=])\s*"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"'()]+)"""
)
_JOIN = re.compile(r"\s+(?:(AND|OR)\s+)?", re.IGNORECASE)
#: What JSON writes otherwise.
_UNLIKE = re.compile(r"[^ !#-\[\]-~]+")
#: What becomes one of our letters in lower case, as JSON writes it: İ, and the sign of Kelvin.
_ODD = {"i": r"\u0130", "k": r"\u212a"}
#: What may be the beginning of a truth value, a number or, parts of texts left out, of anything.
_BARE = re.compile(r"[tf%\d.-]", re.IGNORECASE)
#: How much of a long text a pattern needs.
_LIKE_LENGTH = 500
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,12})?")
_COMPARE = {
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
}


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition: ``path`` leads to the value, ``value`` is text or a number, ``None`` is ``null``."""

    path: tuple[str, ...]
    operator: str
    value: str | Decimal | None
    negated: bool

    def holds(self, obj: Obj) -> bool:
        """Tell whether an object meets the condition."""
        return any(self._meets(value) for value in _values(obj, self.path) or [None]) is not self.negated

    def like(self) -> list[str]:
        """Return patterns of LIKE, one of which the JSON of all that meets the condition is like; none if any may be.

        JSON has text in quotation marks, truth and numbers without.
        """
        if self.negated or not isinstance(self.value, str):
            return []
        key, value = (_UNLIKE.sub("%", text[:_LIKE_LENGTH]) for text in (self.path[-1], self.value))
        end = '"' if len(self.value) <= _LIKE_LENGTH else ""
        if self.operator == "~":
            value, end = f"%{value}", ""
        bare = [f'%"{key}": {value}%'] if _BARE.match(value) else []
        odd = [f"%{code}%" for letter, code in _ODD.items() if letter in (key + value).lower()]
        return [f'%"{key}": "{value}{end}%', *bare, *odd]

    def _meets(self, value: Any) -> bool:
        if self.value is None or value is None:
            return self.value is None and value is None
        if isinstance(self.value, Decimal):
            number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
            if number is None:
                return False
            left = Decimal(str(number))
            return _COMPARE[self.operator](left, self.value) if self.operator in _COMPARE else left == self.value
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return self.value.lower() in text.lower() if self.operator == "~" else self.value.lower() == text.lower()


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query: clauses all of which, or any of which, must hold."""

    clauses: tuple[Clause, ...]
    every: bool

    def holds(self, obj: Obj) -> bool:
        """Tell whether an object is found."""
        return (all if self.every else any)(clause.holds(obj) for clause in self.clauses)

    def like(self) -> list[list[str]]:
        """Return patterns of LIKE: the JSON of whatever is found is like one of each list."""
        patterns = [clause.like() for clause in self.clauses]
        if self.every:
            return [each for each in patterns if each]
        return [[pattern for each in patterns for pattern in each]] if all(patterns) else []


def parse(text: str, resource: str, fields: Mapping[str, FieldType], paths: Mapping[str, str]) -> Query:
    """Parse a query on the fields of a resource; ``paths`` say where those stand that are not at their own name.

    Anything the language does not have is a 400 that says what it is.
    """
    matches, joins = _split(text.strip())
    if len(set(joins)) > 1:
        raise _refused("AND and OR cannot be combined in one query.")
    if len(matches) > MAX_CLAUSES:
        raise _refused(f"A query can have at most {MAX_CLAUSES} clauses.")
    clauses = tuple(_clause(match, resource, fields, paths) for match in matches)
    return Query(clauses, every=joins[:1] != ["OR"])


def _split(text: str) -> tuple[list[re.Match[str]], list[str]]:
    """Return the clauses, and what joins each to the next."""
    matches: list[re.Match[str]] = []
    joins: list[str] = []
    at = 0
    while match := _CLAUSE.match(text, at):
        matches.append(match)
        if match.end() == len(text):
            return matches, joins
        join = _JOIN.match(text, match.end())
        if join is None:
            break
        joins.append((join[1] or "AND").upper())
        at = join.end()
    raise _refused(
        'We were unable to parse your search query. Please try using the format `metadata["key"]:"value"` to query for '
        'metadata or key:"value" to query for other fields.'
    )


def _clause(match: re.Match[str], resource: str, fields: Mapping[str, FieldType], paths: Mapping[str, str]) -> Clause:
    field, operator, negated = match["field"], match["operator"], bool(match["minus"])
    if (field == "metadata") is (match["quoted"] is None):
        raise _refused('Metadata is searched by key, as in metadata["key"]:"value", and nothing else is.')
    known = next((name for name in fields if _covers(name, field)), None)
    if known is None:
        raise _refused(
            f"Field `{field}` is an unsupported search field for resource `{resource}`. "
            f"See https://docs.stripe.com/search#query-fields-for-{resource} for a list of supported fields."
        )
    path = tuple(paths.get(field, field).split(".")) + ((_unquoted(match["quoted"]),) if match["quoted"] else ())
    return Clause(path, operator, _value(match["value"], field, operator, fields[known]), negated)


def _covers(name: str, field: str) -> bool:
    want, have = name.split("."), field.split(".")
    return len(want) == len(have) and all(part in {ANY, given} for part, given in zip(want, have, strict=True))


def _value(text: str, field: str, operator: str, kind: FieldType) -> str | Decimal | None:
    """Return the value of a clause, or refuse an operator or a value the type of the field does not have."""
    quoted = text[0] in "\"'"
    bare = _unquoted(text) if quoted else text
    if operator in _COMPARE or operator == "=":
        if kind != "numeric":
            raise _refused(f"Field `{field}` is not numeric and cannot be compared with {operator}.")
    elif operator == "~" and kind != "string":
        raise _refused(f"Field `{field}` does not support substring matching.")
    if not quoted and bare.lower() == "null":
        if operator != ":":
            raise _refused("null can only be matched with a colon.")
        return None
    if operator == "~" and len(bare) < MIN_SUBSTRING:
        raise _refused(f"Substring matching needs at least {MIN_SUBSTRING} characters.")
    if kind == "numeric":
        if not _NUMBER.fullmatch(bare):
            raise _refused(f"Field `{field}` is numeric, and {bare[:40]!r} is no number.")
        return Decimal(bare)
    if not quoted and not _NUMBER.fullmatch(bare):
        raise _refused(f"The value of `{field}` must be in quotation marks.")
    return bare


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _values(node: Any, path: tuple[str, ...]) -> list[Any]:
    """Return what stands at the end of a path; nothing where there is no such end."""
    if not path:
        return [node]
    if not isinstance(node, dict):
        return []
    keys = node if path[0] == ANY else [path[0]]
    return [value for key in keys if key in node for value in _values(node[key], path[1:])]


def _refused(message: str) -> ApiError:
    return invalid(message, "query")
