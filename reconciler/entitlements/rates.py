"""The prices of usage lines as the exact rates of :mod:`reconciler.pricing`, whatever their decimals."""

from decimal import Decimal

from reconciler import money
from reconciler.entitlements.policy import Fine, Line
from reconciler.pricing.rating import Bracket, Rate

_MICRO_PLACES = 6


def exact_rate(line: Line) -> Rate | None:
    """Return what units of a line cost, in minor units of its currency; ``None`` where none are sold."""
    if line.fine is None and line.rate is None:
        return None
    places, rate = line.fine or Fine(_MICRO_PLACES, line.rate)  # type: ignore[arg-type]  # one of the two is there

    def minor(amount: int) -> Decimal:
        return money.to_minor(money.EXACT.scaleb(Decimal(amount), -places), line.currency)

    brackets = tuple(Bracket(up_to, minor(unit), minor(flat)) for up_to, unit, flat in rate.brackets)
    return Rate(
        brackets,
        "volume" if rate.mode == "volume" else "graduated",
        line.included,
        rate.package,
        "up" if rate.up else "down",
    )
