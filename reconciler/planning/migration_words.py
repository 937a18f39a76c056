"""Migrations of subscribers in words: how many move from which price to which, when, and what they are charged. Pure.

Nobody is named but by the address of a tenant in the files or by an id of Stripe's.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from reconciler import money
from reconciler.diagnostics.visible import visible
from reconciler.planning.charged import per_month, rest_of
from reconciler.planning.movers import Migration, Mover, Stayer
from reconciler.planning.words import period, subscribed

#: Names that are shown; the plan file and its JSON hold all of them.
SHOWN = 20
_HOW = {
    "at_renewal": "at their next renewal",
    "now": "at once, and pay the new price from their next renewal on",
    "now_prorated": "at once, and pay the difference for the rest of the running period",
}


class Sum(NamedTuple):
    """What some movers are charged together for an interval, in minor units; None where some of it is metered."""

    policy: str
    subscriptions: int
    before: str
    after: str


def heading(migration: Migration) -> str:
    """Say how many move to a price."""
    address, movers = visible(migration.address), migration.movers
    if not movers:
        return f"{address}: nobody moves"
    return f"{address}: {subscribed(len(movers))} move{'s' if len(movers) == 1 else ''}"


def facts(migration: Migration, created: datetime) -> Iterator[str]:
    """Yield what is to be known of a migration before it is applied, a sentence each.

    Money is without discounts and taxes.
    """
    for each in sums(migration.movers):
        yield f"{subscribed(each.subscriptions)} {_HOW[each.policy]}: {each.before}, then {each.after}"
    yield from _together(migration.movers)
    yield from _prorations(migration.movers, created)
    if migration.waiting:
        yield f"{subscribed(migration.waiting)} move at their next renewal already"


def sums(movers: Iterable[Mover]) -> list[Sum]:
    """Add what is charged for an interval, by policy, currency and interval."""
    groups: dict[tuple[str, str, str, str], list[Mover]] = defaultdict(list)
    for each in movers:
        groups[each.policy, each.currency, period(each.was_due), period(each.due)].append(each)
    return [
        Sum(
            policy,
            len({each.subscription for each in group}),
            f"{_added((each.before for each in group), currency)} {was}",
            f"{_added((each.after for each in group), currency)} {will}",
        )
        for (policy, currency, was, will), group in sorted(groups.items())
    ]


def _added(amounts: Iterable[int | None], currency: str) -> str:
    found = list(amounts)
    known = [each for each in found if each is not None]
    if not known:
        return f"by usage, in {currency},"
    return money.display(Decimal(sum(known)), currency)


def _together(movers: Sequence[Mover]) -> Iterator[str]:
    """Yield what it comes to in a month, which adds up what is due in different intervals."""
    found: dict[str, list[Fraction]] = {}
    for each in movers:
        if each.before is not None and each.after is not None:
            added = found.setdefault(each.currency, [Fraction(0), Fraction(0)])
            added[0] += per_month(each.before, each.was_due)
            added[1] += per_month(each.after, each.due)
    for currency, (before, after) in sorted(found.items()):
        difference = round(after) - round(before)
        sign = "+" if difference >= 0 else "-"
        amounts = [money.display(Decimal(each), currency) for each in (round(before), round(after), abs(difference))]
        yield f"together {amounts[0]} a month, then {amounts[1]} ({sign}{amounts[2]})"


def _prorations(movers: Iterable[Mover], created: datetime) -> Iterator[str]:
    """Yield what the rest of the running periods comes to, were the plan applied when it was made."""
    found: dict[str, int] = {}
    for each in movers:
        if each.policy == "now_prorated" and each.before is not None and each.after is not None:
            rest = rest_of(each.lines, each.after, each.period, int(created.timestamp()))
            found[each.currency] = found.get(each.currency, 0) + (0 if each.status == "trialing" else rest)
    at = created.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    for currency, amount in sorted(found.items()):
        yield f"for the rest of the running periods {money.display(Decimal(amount), currency)}, if applied at {at}"


def names(migration: Migration) -> str:
    """Name who moves, tenants of the files first; the first ones where there are many."""
    named = list(dict.fromkeys(visible(each.tenant or each.customer) for each in migration.movers))
    return _cut(named)


def stayers(migration: Migration) -> list[str]:
    """Say who stays, and why; the first ones of each reason where there are many."""
    reasons: dict[str, list[Stayer]] = defaultdict(list)
    for each in migration.stayers:
        reasons[each.reason].append(each)
    return [
        f"{subscribed(len(group))} stay{'s' if len(group) == 1 else ''}, {visible(reason)}: "
        + _cut([visible(each.tenant or f"{each.subscription} of {each.customer}") for each in group])
        for reason, group in sorted(reasons.items())
    ]


def _cut(named: Sequence[str]) -> str:
    more = len(named) - SHOWN
    return ", ".join(named) if more <= 0 else f"{', '.join(named[:SHOWN])} and {more:,} more"
