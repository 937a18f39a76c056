"""Ids for the files, made from what people called a thing at Stripe."""

import re
import unicodedata
from collections.abc import Collection, Iterable

from reconciler.resources.model import Values

_LONGEST = 63
_PERIODS = {
    ("day", 1): "daily",
    ("week", 1): "weekly",
    ("month", 1): "monthly",
    ("month", 3): "quarterly",
    ("month", 6): "half-yearly",
    ("year", 1): "annual",
}
#: Ids that Stripe makes up: they say nothing to people. https://docs.stripe.com/api/products, /coupons
_MADE_UP = {
    "product": re.compile(r"prod_[A-Za-z0-9]{10,}"),
    "coupon": re.compile(r"(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9]{8}"),
}


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


def period(recurring: Values | None) -> str:
    """Name how often a price is due: ``monthly``, ``every-2-years``, ``once``."""
    if recurring is None:
        return "once"
    interval, times = recurring["interval"], recurring.get("interval_count", 1)
    return _PERIODS.get((interval, times), f"every-{times}-{interval}s")


def days(recurring: Values | None) -> int:
    """Return about how many days lie between two payments, to put prices in order; what is paid once comes last."""
    lengths = {"day": 1, "week": 7, "month": 30, "year": 365}
    return 10**6 if recurring is None else lengths[recurring["interval"]] * int(recurring.get("interval_count", 1))


def is_made_up(kind: str, object_id: str) -> bool:
    """Tell whether an id was made by Stripe rather than chosen."""
    pattern = _MADE_UP.get(kind)
    return pattern is not None and bool(pattern.fullmatch(object_id))
