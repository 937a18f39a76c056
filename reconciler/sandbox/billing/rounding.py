"""Whole minor units out of exact amounts: rounding, and sharing a whole amount out without losing a unit."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from reconciler.sandbox.settings import Settings

_HALF = Fraction(1, 2)


def exact(number: float | str | Decimal) -> Fraction:
    """Return a JSON number or a decimal text as the number that is written, not as its nearest binary float."""
    return Fraction(Decimal(str(number)))


def rounded(amount: Fraction, settings: Settings) -> int:
    """Round to whole minor units; halves go away from zero, or to the even neighbour where the setting says so.

    Source: https://support.stripe.com/questions/rounding-rules-for-stripe-fees (0.025 becomes 0.03).
    """
    if not settings.halves_round_up:
        return round(amount)
    size = (abs(amount) + _HALF).__floor__()
    return size if amount >= 0 else -size


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """Share ``total`` out in proportion to the weights, exactly: the largest remainders get the units left over.

    Weights are zero or greater; with no weight at all everything is zero.
    """
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    shares, rests = zip(*(divmod(total * weight, whole) for weight in weights), strict=True)
    order = sorted(range(len(weights)), key=lambda index: (-rests[index], index))
    extra = set(order[: total - sum(shares)])
    return [share + (index in extra) for index, share in enumerate(shares)]


def spread_down(total: int, weights: Sequence[int]) -> list[int]:
    """Share ``total``, at most the sum of the weights, out in proportion, each share rounded down.

    The largest weight takes the rest, the last of equal ones first, and what it cannot hold the next largest: 5.00 of
    10.00 and 20.00 are 1.66 and 3.34 (https://docs.stripe.com/billing/subscriptions/prorations, coupons applied to
    multiple subscription items).
    """
    whole = sum(weights)
    shares = [total * weight // whole if whole else 0 for weight in weights]
    rest = total - sum(shares) if whole else 0
    for index in sorted(range(len(weights)), key=lambda each: (weights[each], each), reverse=True):
        more = min(rest, weights[index] - shares[index])
        shares[index] += more
        rest -= more
    return shares
