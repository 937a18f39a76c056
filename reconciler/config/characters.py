"""Which characters a file may hold: nothing that hides from a reviewer or that parsers read differently."""

import re
import unicodedata

from reconciler.config.report import Report
from reconciler.diagnostics import SourceRange

#: A text, like the other patterns of rare cases: compiled where a file first holds more than plain characters.
_ANY = r"""(?x)
        (?P<E0111> [\x85\u2028\u2029] | \r(?!\n) )
      | (?P<E0112> [\u202a-\u202e\u2066-\u2069] )
      | (?P<E0102> [\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff]
                 | [\U000e0000-\U000e007f] )
    """
#: What nearly every file is made of, and found to be without looking for anything else.
_PLAIN = re.compile(r"[\t\n -~]*")
_EFFECTS = {
    "E0111": ("ends a line for YAML but not for most editors", "end lines with a line feed"),
    "E0112": ("changes the order in which the text is shown", "remove it"),
    "E0102": ("is not allowed", "remove it"),
}
_CONTROL_NAMES = {
    "\0": "NULL",
    "\a": "BELL",
    "\b": "BACKSPACE",
    "\f": "FORM FEED",
    "\r": "CARRIAGE RETURN",
    "\x1b": "ESCAPE",
    "\x7f": "DELETE",
    "\x85": "NEXT LINE",
}
_NAMELESS = {"Cc": "control character", "Cs": "lone surrogate"}
_STAND_IN = "\N{REPLACEMENT CHARACTER}"

#: Characters without ink that are not of category Cf: fillers, joiners and variation selectors.
_BLANK = r"[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"


def refuse_characters(text: str, report: Report) -> str:
    """Report every forbidden character of a file and return the text with U+FFFD in place of each."""
    if _PLAIN.fullmatch(text):
        return text
    line, line_start = 1, 0
    for match in re.finditer(_ANY, text):
        if report.overflow:
            break
        line += text.count("\n", line_start, match.start())
        line_start = text.rfind("\n", line_start, match.start()) + 1 or line_start
        _refuse(match, report.at(line, match.start() - line_start + 1), report)
    return re.sub(_ANY, _STAND_IN, text)


def refuse_escaped(value: str, where: SourceRange, report: Report) -> str:
    """Report forbidden characters that an escape put into a quoted value; return it with U+FFFD in their place."""
    for match in re.finditer(_ANY, value):
        if report.overflow:
            break
        _refuse(match, where, report)
    return re.sub(_ANY, _STAND_IN, value)


def hidden(text: str) -> str | None:
    """Name the first character of a text that no file may hold, or return ``None``."""
    found = None if _PLAIN.fullmatch(text) else re.search(_ANY, text)
    return found and name(found[0])


def invisible(key: str) -> str | None:
    """Name the first character of a key that cannot be seen or looks like a space, or return ``None``."""
    if key.isascii():
        return None
    hidden = (char for char in key if unicodedata.category(char) in {"Cf", "Zs"} and char != " ")
    char = next(hidden, None) or next(iter(re.findall(_BLANK, key)), None)
    return char and name(char)


def name(char: str) -> str:
    """Name a character by code point and Unicode name: ``U+202E RIGHT-TO-LEFT OVERRIDE``."""
    fallback = _NAMELESS.get(unicodedata.category(char), "noncharacter")
    return f"U+{ord(char):04X} {_CONTROL_NAMES.get(char) or unicodedata.name(char, fallback)}"


def _refuse(match: re.Match[str], where: SourceRange, report: Report) -> None:
    code = match.lastgroup or ""
    effect, remedy = _EFFECTS[code]
    report.add(code, where, f"{name(match[0])} {effect}", remedy)
