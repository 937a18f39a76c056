"""Ids for the files, made from what people called a thing elsewhere."""

import re
import unicodedata
from collections.abc import Collection, Iterable

_LONGEST = 63


def slug(text: str) -> str:
    """Return the text as an id: lower case, ASCII, words joined by ``-``; empty where nothing of it is left.

    >>> slug("Pro Plan (2024)")
    'pro-plan-2024'
    """
    joined = re.sub(r"(?<=[0-9]),(?=[0-9]{3})|'", "", text).replace("&", " and ")
    plain = unicodedata.normalize("NFKD", joined)
    kept = "".join(char for char in plain if not unicodedata.combining(char)).lower()
    return re.sub(r"[^a-z0-9_]+", "-", kept).strip("-_")[:_LONGEST].strip("-_")


def short(text: str, noun: str) -> str:
    """Return the text as an id without the word that says what it is, as ids of plans do not say plan."""
    whole = slug(text)
    return whole.removesuffix(f"-{noun}") or whole


def unique(candidates: Iterable[str], taken: Collection[str], fallback: str) -> str:
    """Return the first id that is not taken yet; where all are, the first of them with a number."""
    found = [each for each in candidates if each] or [fallback]
    for each in found:
        if each not in taken:
            return each
    number = 2
    while True:
        tail = f"-{number}"
        numbered = found[0][: _LONGEST - len(tail)] + tail
        if numbered not in taken:
            return numbered
        number += 1
