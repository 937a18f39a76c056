"""Words for what a price or an id at Stripe is."""

import re
from collections.abc import Sequence

from reconciler.resources.model import Values

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


def period(recurring: Values | None) -> str:
    """Name how often a price is due: ``monthly``, ``every-2-years``, ``once``."""
    if recurring is None:
        return "once"
    interval, times = recurring["interval"], recurring.get("interval_count", 1)
    return _PERIODS.get((interval, times), f"every-{times}-{interval}s")


def shared_prefix(keys: Sequence[str]) -> str:
    """Return what several keys begin with, up to a separator: ``acme.features.``; empty for fewer than three keys."""
    if len(keys) < 3:  # noqa: PLR2004  two may begin alike by chance
        return ""
    first, last = min(keys), max(keys)
    same = next((index for index, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return re.sub(r"[^._:/]*$", "", first[:same])


def days(recurring: Values | None) -> int:
    """Return about how many days lie between two payments, to put prices in order; what is paid once comes last."""
    lengths = {"day": 1, "week": 7, "month": 30, "year": 365}
    return 10**6 if recurring is None else lengths[recurring["interval"]] * int(recurring.get("interval_count", 1))


def is_made_up(kind: str, object_id: str) -> bool:
    """Tell whether an id was made by Stripe rather than chosen."""
    pattern = _MADE_UP.get(kind)
    return pattern is not None and bool(pattern.fullmatch(object_id))
