"""Say in plain words what the YAML parser complains about, at the place where a person would look."""

import re
from dataclasses import dataclass
from typing import Any

from reconciler.config.characters import name
from reconciler.config.report import Report
from reconciler.diagnostics import Related
from reconciler.diagnostics.visible import quoted

_SPACES = "indent with spaces"
_CHECK_QUOTES = "close the quote; inside '…' write a quote as '', inside \"…\" as \\\""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """Plain words for one complaint; ``at_context`` where the construct began is the better place to point at."""

    summary: str
    remedy: str
    code: str = "E0103"
    at_context: bool = False
    opened: str = ""


_DIRECTIVE = _Meaning("directives are not used here", "remove the line that begins with '%'", "E0120")
_TAG = _Meaning("tags are not used here", "remove the tag; if '!' belongs to the text, quote it", "E0119")
_ANCHOR = _Meaning(
    "'*' and '&' have a meaning of their own at the start of a value", 'quote it, as in "*"', at_context=True
)
_INDENT = _Meaning(
    "this line does not fit the block it stands in",
    "align it with its siblings, or quote the value above if it holds ':' or '-'",
    opened="the block begins here",
)
_UNCLOSED = _Meaning("a quote is not closed", _CHECK_QUOTES, at_context=True)
_ESCAPE = _Meaning(
    "unknown escape in a double-quoted text", "write a backslash as \\\\, or use single quotes, where it means itself"
)
_BLOCK_SCALAR = _Meaning(
    "the header of a block text is wrong", "after '|' or '>' only '+', '-' or a digit from 1 to 9 may follow"
)
_NOT_A_PAIR = _Meaning("this is not 'key: value'", "write a colon and a space between key and value", at_context=True)
_TAB = _Meaning("a tab cannot indent a line", _SPACES)

#: The complaints of libyaml's scanner and parser, word for word.
_MEANINGS = {
    "could not find expected ':'": _NOT_A_PAIR,
    "mapping values are not allowed in this context": _Meaning(
        "a ': ' is not expected here", "quote the value if the colon belongs to it; else check how the line is indented"
    ),
    "mapping keys are not allowed in this context": _Meaning("a key is not expected here", "check the indentation"),
    "block sequence entries are not allowed in this context": _Meaning(
        "a list item is not expected here",
        "begin the list on a line of its own, or quote the value if it begins with '-'",
    ),
    "did not find expected key": _INDENT,
    "did not find expected '-' indicator": _INDENT,
    "did not find expected ',' or ']'": _Meaning(
        "the list is not closed or a comma is missing",
        "write ',' between items and ']' after the last",
        opened="the list begins here",
    ),
    "did not find expected ',' or '}'": _Meaning(
        "the mapping is not closed or a comma is missing",
        "write ',' between entries and '}' after the last",
        opened="the mapping begins here",
    ),
    "did not find expected node content": _Meaning("a value is missing here", "write the value or remove the comma"),
    "found unexpected end of stream": _UNCLOSED,
    "found unexpected document indicator": _UNCLOSED,
    "found unknown escape character": _ESCAPE,
    "did not find expected hexdecimal number": _ESCAPE,
    "found invalid Unicode character escape code": _Meaning(
        "an escape names half a character (a surrogate) or none at all",
        "write the character itself, or \\U and eight digits",
        "E0114",
    ),
    "found a tab character where an indentation space is expected": _TAB,
    "found a tab character that violates indentation": _TAB,
    "found an indentation indicator equal to 0": _BLOCK_SCALAR,
    "did not find expected comment or line break": _BLOCK_SCALAR,
    "did not find expected alphabetic or numeric character": _ANCHOR,
    "did not find expected <document start>": _Meaning(
        "text after the end of the document", "put everything into one mapping"
    ),
    "found undefined tag handle": _TAG,
    "did not find expected '!'": _TAG,
    "did not find expected tag URI": _TAG,
    "did not find URI escaped octet": _TAG,
    "did not find expected whitespace or line break": _TAG,
    "found incompatible YAML document": _DIRECTIVE,
    "found duplicate %YAML directive": _DIRECTIVE,
    "found duplicate %TAG directive": _DIRECTIVE,
    "found unknown directive name": _DIRECTIVE,
}


#: Complaints whose cause is often that a line is no 'key: value' and so runs on into the next.
_RUNS_ON = {"could not find expected ':'", "mapping values are not allowed in this context"}
_NO_SPACE = r"\s*(?:- +)?[\w.-]+:(?=[^\s/])"
_BARE_WORD = r" *(?P<key>\w[\w.-]*) *$"
_ODD_SPACE = r"[\u00a0\u2007\u202f\u3000]"


def explain_syntax(error: Any, lines: tuple[str, ...], report: Report) -> None:
    """Report a ``yaml.MarkedYAMLError`` of the C parser: one diagnostic with position, plain words and remedy."""
    problem = str(error.problem)
    meaning = _MEANINGS.get(problem) or _Meaning(f"YAML cannot read this: {problem}", "correct the text here")
    context = error.context_mark and _clamp(error.context_mark, lines)
    line, column = context if meaning.at_context and context else _clamp(error.problem_mark, lines)
    if "directive" in str(error.context):
        meaning = _DIRECTIVE
    elif problem == "found character that cannot start any token":
        meaning = _bad_start(lines[line - 1][column - 1 : column])
    elif problem in _RUNS_ON and (closer := _look_closer(lines, line)):
        line, column, remedy = closer
        meaning = _Meaning(_NOT_A_PAIR.summary, remedy)
    related = [Related(report.at(*context), meaning.opened)] if meaning.opened and context else []
    report.add(meaning.code, report.at(line, column), meaning.summary, meaning.remedy, *related)


def _bad_start(char: str) -> _Meaning:
    return _TAB if char == "\t" else _Meaning(f"a value cannot begin with {quoted(char)}", "quote the value")


def _look_closer(lines: tuple[str, ...], line: int) -> tuple[int, int, str] | None:
    """Find the likely cause on this line or on the line above; return place and remedy.

    Without its colon, or without the space after it, a line runs on into the next and only that one is wrong to YAML.
    """
    for number, text in ((line, lines[line - 1]), (line - 1, lines[line - 2] if line > 1 else "")):
        if blank := re.search(_ODD_SPACE, text):
            return number, blank.start() + 1, f"replace {name(blank[0])} by a plain space"
        missing = re.match(_NO_SPACE, text)
        if missing:
            return number, missing.end(), "put a space after the colon"
        bare = re.match(_BARE_WORD, text)
        if bare and number < line:
            return number, bare.end("key") + 1, "put a colon after the key"
    return None


def _clamp(mark: Any, lines: tuple[str, ...]) -> tuple[int, int]:
    """Return a mark as 1-based line and column inside the file; the parser may point behind the last line."""
    line = min(mark.line, len(lines) - 1)
    column = mark.column if line == mark.line else len(lines[line])
    return line + 1, min(column, len(lines[line])) + 1
