"""What of an account can stand in files at all: nothing hidden, nothing secret, nothing about a person."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.config.characters import hidden, invisible
from reconciler.planning.live import Live
from reconciler.planning.lock import MARK
from reconciler.resources.model import MARK_KEYS

#: What is left of a secret that somebody wrote into an object, once it was read.
_MASKED = re.compile(r"(?:sk|rk|pk|ek|whsec)_[a-z_]*\*\*\*")
_PERSONAL_KEY = re.compile(
    r"e[-_ ]?mail|phone|contact|owner|author|creat(?:ed|or)|updated_by|user|customer|address|secret|passw|token$|key$",
    re.IGNORECASE,
)
_PERSONAL_VALUE = re.compile(r"\S+@\S+\.\S+|\+[0-9][0-9 ()./-]{6,}|(?:cus|sub|pm|pi|ch|in|acct)_[A-Za-z0-9]{8,}")
#: A number or a switch says nothing about anybody, whatever it is called: max_users.
_HARMLESS = re.compile(r"[0-9]{1,6}|true|false|yes|no")
_LONGEST_KEY, _LONGEST_VALUE, _MOST_KEYS = 40, 500, 45


def oddity(kind: str, raw: Mapping[str, Any]) -> str | None:
    """Say what of an object no field of the files can hold, None where there is nothing of the kind."""
    if kind == "promotion_code" and (raw.get("customer") or raw.get("customer_account")):
        return "it is for one customer alone"
    if kind == "product" and raw.get("type") == "good":
        return "it is of the old type good"
    if kind == "price" and (raw.get("recurring") or {}).get("trial_period_days"):
        return "it has a trial of its own (trial_period_days); trials belong to subscriptions"
    if kind == "coupon" and raw.get("script"):
        return "a script decides what it takes off"
    return None


def unwritable(live: Live) -> str | None:
    """Say which text of an object cannot stand in a file; metadata is looked at for itself."""
    for text in _texts(live.values):
        if name := hidden(text):
            return f"it holds {name}, which files may not"
        if _MASKED.search(text):
            return "it holds a Stripe secret"
    return None


def own_metadata(live: Live) -> tuple[dict[str, str], list[str]]:
    """Return the metadata that can stand in files, and the keys that stay at Stripe alone."""
    kept: dict[str, str] = {}
    others: list[str] = []
    for name, value in sorted(live.metadata.items()):
        fits = 0 < len(name) <= _LONGEST_KEY and 0 < len(value) <= _LONGEST_VALUE and not set(name) & set("[]")
        clean = not (hidden(name + value) or invisible(name) or _MASKED.search(value) or name in (*MARK_KEYS, MARK))
        named = _PERSONAL_KEY.search(name) and not _HARMLESS.fullmatch(value)
        personal = named or _PERSONAL_VALUE.search(value)
        if fits and clean and not personal and len(kept) < _MOST_KEYS:
            kept[name] = value
        else:
            others.append(name)
    return kept, others


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
