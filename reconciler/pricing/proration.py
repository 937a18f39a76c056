"""What changes within a period: time given back at the old price, and charged at the new one, by the second.

Amounts include discounts and take no further ones (https://docs.stripe.com/billing/subscriptions/prorations).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from reconciler.pricing.invoice import Line, half_up
from reconciler.pricing.periods import Period, share


def prorated(amount: int, period: Period, since: datetime) -> int:
    """Return what an amount for a period comes to from ``since`` on, rounded once, halves away from zero."""
    return half_up(Fraction(amount) * share((since, period[1]), period))


def prorations(before: Iterable[Line], after: Iterable[Line], period: Period, at: datetime) -> list[Line]:
    """Return the lines of a change ``at`` a time within a period that ``before`` billed, and ``after`` would bill.

    Both are lines with their discounts; metered ones are left alone, and prices whose quantities stay. Each line that
    goes is given back on its own, each price that comes is charged in one line.
    """
    rest = (at, period[1])
    old, new = _by_source(before), _by_source(after)
    lines = []
    for source, gone in old.items():
        if _sold(gone) != _sold(new.get(source, ())):
            lines += [_line(line, "Unused", -prorated(line.net, period, at), rest) for line in gone]
    for source, come in new.items():
        if _sold(come) != _sold(old.get(source, ())):
            lines.append(_line(come[0], "Remaining", prorated(sum(line.net for line in come), period, at), rest))
    return lines


def _by_source(lines: Iterable[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        if not line.metered and not line.settled:
            found.setdefault(line.source, []).append(line)
    return found


def _sold(lines: Sequence[Line]) -> list[tuple[Decimal, Decimal]]:
    return [(line.quantity, line.unit) for line in lines]


def _line(line: Line, kind: str, amount: int, rest: Period) -> Line:
    label = f"{kind} time of {line.label}, from {rest[0]:%Y-%m-%d}"
    exact = Decimal(amount)
    return replace(line, label=label, exact=exact, period=rest, settled=True, discount=0, credit=0, tax=0)
