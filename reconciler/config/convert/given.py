"""A JSON file that somebody has: read exactly, refused with the place, never silently dropped."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from reconciler.config.characters import hidden
from reconciler.config.emit import Plain
from reconciler.config.models.base import PLAIN_DECIMAL
from reconciler.config.words import describe
from reconciler.diagnostics import ConfigError, Diagnostic, SourceRange
from reconciler.diagnostics.visible import visible
from reconciler.money import plain

#: Characters of a number, and the largest exponent.
LONGEST = 50
_NOT_JSON = "E1045"
_REFUSED = "E1047"
#: Comments and trailing commas, as HuJSON has them; strings are matched first, so that nothing in them counts.
_HUMAN = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/|,(?=(?:\s|//[^\n]*|/\*.*?\*/)*[}\]])', re.DOTALL)


def read_json(text: str, file: str) -> Any:
    """Read JSON, with comments and trailing commas; decimals stay exact. ConfigError with line and column."""
    bare = _HUMAN.sub(lambda match: match[0] if match[0].startswith('"') else re.sub(r"[^\n]", " ", match[0]), text)
    try:
        return json.loads(
            bare, parse_float=_exact, parse_int=_exact_int, parse_constant=_constant, object_pairs_hook=_once
        )
    except json.JSONDecodeError as error:
        where = SourceRange(file, error.lineno, error.colno, error.lineno, error.colno + 1)
        problem = Diagnostic(_NOT_JSON, f"this is not JSON: {error.msg.lower()}", where, help="correct it there")
    except (ValueError, RecursionError) as error:
        summary = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        where = SourceRange(file, 1, 1, 1, 1)
        problem = Diagnostic(_NOT_JSON, f"this is not JSON to rely on: {visible(summary)}", where, help="correct it")
    raise ConfigError([problem])


def _exact(text: str) -> Decimal:
    if len(text) > LONGEST:
        raise ValueError(f"the number {text[:20]}… is too long")
    number = Decimal(text)
    if abs(number.adjusted()) > LONGEST:
        raise ValueError(f"the number {text} is out of all bounds")
    return number


def _exact_int(text: str) -> int:
    if len(text) > LONGEST:
        raise ValueError(f"the number {text[:20]}… is too long")
    return int(text)


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


@dataclass
class Given:
    """What is being converted: problems with their JSON path, and notes on what is not carried over."""

    file: str
    problems: list[Diagnostic] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, path: str, summary: str, remedy: str) -> None:
        """Note a problem at a place such as ``$.acme.vex_reserved``."""
        where = SourceRange(self.file, 1, 1, 1, 1)
        self.problems.append(
            Diagnostic(_REFUSED, f"{visible(path)}: {visible(summary)}", where, path=path, help=remedy)
        )

    def note(self, path: str, text: str) -> str:
        """Note what is not carried over, or is carried over in another way; returns the words."""
        words = visible(f"{path}: {text}")
        self.notes.append(words)
        return words

    def mapping(self, value: Any, path: str, known: Collection[str] | None = None) -> Mapping[str, Any]:
        """Return an object, empty where it is none; keys that are not ``known`` are noted."""
        if not isinstance(value, dict):
            self.refuse(path, f"expected an object, got {describe(value)}", "write { … }")
            return {}
        for name in value:
            if known is not None and name not in known:
                self.note(f"{path}.{name}", "not carried over; no field of the files says it")
        return value

    def items(self, value: Any, path: str) -> list[Any]:
        """Return a list, empty where it is none."""
        if isinstance(value, list):
            return value
        self.refuse(path, f"expected a list, got {describe(value)}", "write [ … ]")
        return []

    def text(self, value: Any, path: str) -> str:
        """Return a text that a file may hold, empty where it is none."""
        if not isinstance(value, str):
            self.refuse(path, f"expected a text, got {describe(value)}", "put it in quotes")
            return ""
        if name := hidden(value):
            self.refuse(path, f"the text holds {name}", "remove it")
            return ""
        return value.strip()

    def units(self, value: Any, path: str) -> int:
        """Return a whole number that is not negative, 0 where it is none."""
        whole = int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value
        if not isinstance(whole, int) or isinstance(whole, bool) or not 0 <= whole < 10**15:
            self.refuse(path, f"expected a whole number of units, got {describe(value)}", "write 0 or more")
            return 0
        return whole

    def amount(self, value: Any, path: str) -> Decimal:
        """Return an exact amount that is not negative, 0 where it is none."""
        if isinstance(value, str) and re.fullmatch(PLAIN_DECIMAL, value):
            value = Decimal(value)
        fits = isinstance(value, int | Decimal) and not isinstance(value, bool)
        if not fits or value < 0 or not re.fullmatch(PLAIN_DECIMAL, plain(Decimal(value))):
            self.refuse(path, f"expected an amount, got {describe(value)}", "write 0 or more, as in 0.005")
            return Decimal(0)
        return Decimal(value)


def money_text(major: Decimal, places: int) -> Plain:
    """Write an amount in major units with at least the currency's digits; nothing is ``0``."""
    if not major:
        return Plain("0")
    text = plain(major)
    digits = len(text.partition(".")[2])
    return Plain(text if digits >= places else f"{major:.{places}f}")
