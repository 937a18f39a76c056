"""What an unquoted YAML scalar means, and the spellings that are refused because readers disagree about them.

YAML 1.1 and 1.2 read ``yes``, ``010`` or ``12:30`` differently. Whoever reviews a price must not have to know that,
so such a spelling is an error that asks for quotes or for the plain form, and never a silent choice.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from reconciler.diagnostics.visible import quoted

Scalar = str | int | bool | Decimal | None

#: Most digits before and after the point. Nine hundred quadrillion is above anything Stripe can hold, and a longer
#: number is never built.
MAX_DIGITS = 18

_QUOTE = "if text is meant, quote it"
_CONSTANTS: dict[str, Scalar] = {"true": True, "false": False, "null": None, "~": None, "": None}
_NUMBER = re.compile(r"(?!-0(?:\.0+)?\Z)-?(?P<whole>0|[1-9][0-9]*)(?:\.(?P<fraction>[0-9]+))?")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?")
_NUMBER_START = frozenset("+-.0123456789")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an unquoted scalar is refused: diagnostic code, summary and remedy."""

    code: str
    summary: str
    help: str


@dataclass(frozen=True, slots=True)
class _Trap:
    """A spelling to refuse; its pattern is compiled when a scalar first gets as far as this trap."""

    code: str
    pattern: str
    says: str
    remedy: str

    def matches(self, text: str) -> bool:
        return bool(re.fullmatch(self.pattern, text, re.VERBOSE))

    def refuse(self, text: str) -> Refusal:
        return Refusal(self.code, f"{quoted(text)} {self.says}", self.remedy)


_BOOLEAN = _Trap(
    "E0130",
    "y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|True|TRUE|False|FALSE",
    "is a boolean to some YAML readers and text to others",
    f"write true or false; {_QUOTE}",
)
_NULL = _Trap("E0138", "Null|NULL", "is another spelling of null", f"write null; {_QUOTE}")
_SYMBOL = _Trap("E0142", "=|<<", "has a meaning of its own in YAML 1.1", "quote it")
#: Nearly every text is looked up here, and so these are not matched one after the other.
_WORDS = {word: trap for trap in (_BOOLEAN, _NULL, _SYMBOL) for word in trap.pattern.split("|")}
_FOREIGN_DIGITS = _Trap(
    "E0141",
    r"[-+\u2212]?\d[\d.,_:]*",
    "is written with characters other than 0-9, '-' and '.'",
    f"write the number with the digits 0-9; {_QUOTE}",
)
#: Tried in this order: the first that matches the whole scalar names the problem.
_NUMERIC = (
    _Trap(
        "E0137",
        r"[-+]?\.(?:inf|Inf|INF) | \.(?:nan|NaN|NAN)",
        "is not a finite number",
        f"an open upper bound is written inf; {_QUOTE}",
    ),
    _Trap(
        "E0132",
        r"[-+]?0(?:[xX][0-9a-fA-F_]+|[oO][0-7_]+|[bB][01_]+)",
        "is a hexadecimal, octal or binary number",
        f"write the number in decimal digits; {_QUOTE}",
    ),
    _Trap(
        "E0134",
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)[eE][-+]?[0-9]+",
        "is a number with an exponent",
        f"write all digits, as in 1000 or 0.001; {_QUOTE}",
    ),
    _Trap(
        "E0135",
        r"[-+]?[0-9][0-9_]*(?::[0-9]{1,2})+(?:\.[0-9_]*)?",
        "is a number in base 60 to some YAML readers: 12:30 is 750",
        "quote it",
    ),
    _Trap(
        "E0133",
        r"""[-+]?[0-9]+_[0-9_]*(?:\.[0-9_]*)? | [-+]?[0-9]+\.[0-9]*_[0-9_]*
          | [-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?""",
        "has separators between its digits",
        f"write the digits alone, as in 1000000; {_QUOTE}",
    ),
    _Trap(
        "E0131",
        r"[-+]?0[0-9]+(?:\.[0-9]*)?",
        "begins with a zero and is octal to some YAML readers: 010 is 8",
        f"write the number without leading zeros; {_QUOTE}",
    ),
    _Trap(
        "E0139",
        r"\+[0-9]+(?:\.[0-9]*)? | [-+]?\.[0-9]+ | -?[0-9]+\. | -0(?:\.0+)?",
        "is not a plain number",
        f"write digits on both sides of the point and no sign but '-' for a negative number; {_QUOTE}",
    ),
)
_DATE = _Trap(
    "E0136",
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt\ \t]+[0-9].*)?",
    "is not a date, or not in the form dates take here",
    f"write a day as 2027-01-31 or an instant as 2027-01-31T12:00:00Z; {_QUOTE}",
)
_TOO_LONG = _Trap(
    "E0140", "", f"has more than {MAX_DIGITS} digits before or after the point", f"write a shorter number; {_QUOTE}"
)


def resolve(text: str) -> Scalar | Refusal:
    """Read one unquoted scalar: exact value, or the reason why its spelling is refused. ISO dates stay text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] in _NUMBER_START:
        return _number_or_text(text)
    if word := _WORDS.get(text):
        return word.refuse(text)
    return text if text.isascii() else _first_refusal((_FOREIGN_DIGITS,), text) or text


def _number_or_text(text: str) -> Scalar | Refusal:
    if not text.isascii():
        return _first_refusal((_FOREIGN_DIGITS,), text) or text
    if number := _NUMBER.fullmatch(text):
        fraction = number["fraction"]
        if max(len(number["whole"]), len(fraction or "")) > MAX_DIGITS:
            return _TOO_LONG.refuse(text)
        return Decimal(text) if fraction else int(text)
    if refusal := _first_refusal(_NUMERIC, text):
        return refusal
    if _DATE.matches(text) and not _is_iso_date(text):
        return _DATE.refuse(text)
    return text


def _first_refusal(traps: tuple[_Trap, ...], text: str) -> Refusal | None:
    return next((trap.refuse(text) for trap in traps if trap.matches(text)), None)


def _is_iso_date(text: str) -> bool:
    if not _ISO_DATE.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
