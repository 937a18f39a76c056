"""Terms of a sum of calls whose instants nobody knows: without what only those instants could tell."""

from typing import NamedTuple

from reconciler.entitlements.kinds.bounds import Payer
from reconciler.entitlements.kinds.usage import Metered, Usage
from reconciler.entitlements.terms import Call

#: More than any month holds.
PLENTY = 2**60


class Summed(NamedTuple):
    """A call's terms, and the kinds of bounds they leave out: ``rate``, or the period of a quota or of units."""

    call: Call
    left_out: frozenset[str]


def summed(call: Call) -> Summed:
    """Leave out rates and every bound of another period than a month; units included for such a one are unbounded."""
    left_out = {"rate"} if call.rates else set[str]()
    left_out |= {quota.limit.per for quota in call.quotas if quota.limit.per != "month"}
    quotas = tuple(quota for quota in call.quotas if quota.limit.per == "month")
    payers = tuple(_unbounded(payer, left_out) for payer in call.payers)
    return Summed(call._replace(rates=(), quotas=quotas, payers=payers), frozenset(left_out))


def _unbounded(payer: Payer, left_out: set[str]) -> Payer:
    if not isinstance(payer, Usage):
        return payer
    lines = []
    for each in payer.lines:
        known = each.line.per in {"month", "subscription"}
        if not known:
            left_out.add(each.line.per)
        lines.append(each if known else Metered(each.line._replace(included=PLENTY), each.id, each.period))
    return Usage(tuple(lines))
