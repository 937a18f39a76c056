"""Make untrusted text safe to show: nothing in it can move the cursor, reorder a line or hide."""

import re
import unicodedata

_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}

#: Controls, formats, surrogates, private use, unassigned, and the two separators that end a line.
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_SAFE = re.compile(r"[ -~]*")
#: How a command of GitHub's runner may begin anywhere in a line of a job's log.
_COMMAND = "##["


def visible_char(char: str) -> str:
    r"""Return the character itself, or an escape such as ``\u{202e}`` if it is invisible or acts on the terminal."""
    if " " <= char <= "~" or unicodedata.category(char) not in _UNSAFE_CATEGORIES:
        return char
    return _NAMED.get(char, f"\\u{{{ord(char):x}}}")


def visible(text: str) -> str:
    """Return the text on one line with every invisible or acting character escaped, also what acts on a job's log."""
    shown = text if _SAFE.fullmatch(text) else "".join(map(visible_char, text))
    return shown.replace(_COMMAND, "##\\u{5b}") if _COMMAND in shown else shown


def quoted(text: str, limit: int = 40) -> str:
    """Return the text escaped, cut to ``limit`` characters, between single quotes, to be named in a message."""
    return f"'{visible(text)}'" if len(text) <= limit else f"'{visible(text[: limit - 1])}…'"
