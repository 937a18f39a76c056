"""Words for what a file holds and what was expected of it, without any name of a programming language's type.

The three commonest problems of form are worded here, because files are checked for them before and after merging.
"""

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any

from reconciler.config.characters import name
from reconciler.config.scalars import Scalar
from reconciler.config.source import Path_
from reconciler.diagnostics import Diagnostic, SourceRange
from reconciler.diagnostics.visible import quoted, visible

#: Longest list of possible keys or ids that is written out in a message.
MAX_LISTED = 12
_MAX_SHOWN = 40
#: What is expected where quotes would not help.
_NOT_QUOTED = ("mapping", "list", "true or", "number", "amount", "percentage", "size", "bound")


def describe(value: Any) -> str:
    """Name a value as it stands in a file: ``the number 5``, ``a list``, ``the text 'x'``."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text {quoted(value)}"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return f"the number {shown(value)}"


def shown(value: Scalar) -> str:
    """Write a number as a file would, other scalars as text; cut where it is long."""
    text = str(value).lower() if isinstance(value, bool) else visible(str(value))
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def article(noun: str) -> str:
    """Put the right article before a noun."""
    return f"{'an' if noun[:1].lower() in 'aeio' else 'a'} {noun}"


def count(number: int, noun: str) -> str:
    """Write a number of things: ``1 key``, ``2 keys``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def choice(words: Iterable[str], last: str = "or") -> str:
    """Join words for reading: ``a, b or c``."""
    *first, final = words
    return f"{', '.join(first)} {last} {final}" if first else final


def close(word: str, known: Collection[str]) -> str | None:
    """Return the known word that was probably meant, also where only the case or the separators differ."""
    import difflib  # noqa: PLC0415  not needed for what is right

    folded = {_fold(each): each for each in sorted(known, reverse=True)}
    same = folded.get(_fold(word))
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return same or (near[0] if near else None)


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return `` (did you mean 'x'?)``, or nothing where no known word is close."""
    guess = close(word, known)
    return f" (did you mean {quoted(guess)}?)" if guess and guess != word else ""


def listed(known: Collection[str]) -> str | None:
    """Return the words in order, or nothing where there are too many to read."""
    return ", ".join(map(visible, sorted(known))) if 0 < len(known) <= MAX_LISTED else None


def foreign(text: str) -> str:
    """Name the first character that is not ASCII, which may look like one that is; nothing where there is none."""
    return next((f": {quoted(char)} is {name(char)}" for char in text if not char.isascii()), "")


def _literal(value: Scalar) -> str:
    text = shown(value)
    return f'"{text}"' if isinstance(value, str) and not text.isalnum() else text


def _fold(word: str) -> str:
    return word.casefold().replace("-", "_")


def pointer(path: Path_) -> str:
    """Write a path as a JSON pointer: ``/plans/pro/prices``."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def unknown_key(path: Path_, where: SourceRange | None, known: Collection[str]) -> Diagnostic:
    """Report a key that is none of the keys its mapping can have."""
    key = str(path[-1])
    guess = close(key, known)
    remedy = f"write {quoted(guess)}" if guess else f"known keys: {', '.join(sorted(known))}"
    summary = f"unknown key {quoted(key)}{did_you_mean(key, known)}"
    return Diagnostic("E0201", summary, where, path=pointer(path), help=remedy)


def wrong_type(expected: str, value: Any, path: Path_, where: SourceRange | None) -> Diagnostic:
    """Report a value of the wrong kind; ``expected`` says what it should be, with its article."""
    summary = f"{place(path)}: expected {expected}, got {describe(value)}"
    return Diagnostic("E0203", summary, where, path=pointer(path), help=_conversion(expected, value))


def empty_value(path: Path_, where: SourceRange | None) -> Diagnostic:
    """Report a key without a value: nothing is not a value here, it only removes in an overlay."""
    summary = f"{place(path)} has no value"
    return Diagnostic("E0209", summary, where, path=pointer(path), help="write a value, or remove the line")


def place(path: Path_) -> str:
    """Name the node a path leads to by its last key, and by its number where it is an item of a list."""
    keys = [part for part in path if isinstance(part, str)]
    key = visible(keys[-1]) if keys else "the file"
    return f"item {path[-1] + 1} of {key}" if path and isinstance(path[-1], int) else key


def _conversion(expected: str, value: Any) -> str:
    """Say how the value becomes what was expected, where that is plain; else what was expected."""
    if isinstance(value, str):
        unquoted = value.isdecimal() if "number" in expected else value in {"true", "false"} and "true" in expected
        if unquoted:
            return f"remove the quotes: {value}"
    if expected.startswith("a list") and not isinstance(value, dict | tuple):
        return f"write it as a list: [{_literal(value)}]"
    if isinstance(value, int | Decimal) and not any(word in expected for word in _NOT_QUOTED):
        return f'quote it: "{shown(value)}"'
    return f"write {expected}"
