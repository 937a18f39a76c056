"""What a call that was made, and may have used more than was foreseen, left of what bounds it, and what it lacked.

Such a call is not refused any more; it is charged as far as credits are there and counted beyond its bounds.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from reconciler.entitlements.decision import Reason
from reconciler.entitlements.kinds.bounds import Ask
from reconciler.entitlements.kinds.usage import Usage
from reconciler.entitlements.terms import Call
from reconciler.entitlements.weigh import Verdict
from reconciler.ledger.book import Book


class Left(NamedTuple):
    """What is left of ``limit`` of a bound; ``lack`` is the reason that would have refused, and by how much.

    As in a decision: credits in millionths, everything else as it is counted, instants in microseconds.
    """

    remaining: int | None
    limit: int | None
    bound: str
    resets_at: int | None
    lack: tuple[Reason, int] | None = None


def bounds_of(call: Call, verdict: Verdict, now: int) -> list[list[Any]]:
    """Return what would refuse more of a call that is allowed, as JSON values: counter, most of it, of what, until."""
    found = [[quota.id, quota.limit.max, quota.limit.of, quota.period.at(now)[1]] for quota in call.quotas]
    payer = None if verdict.payment is None else verdict.payment.payer
    if isinstance(payer, Usage):
        found += payer.denied(now)
    return found


def left_of(
    book: Book,
    told: Sequence[Any],
    bounds: Sequence[Sequence[Any]],
    counts: Sequence[Sequence[Any]],
    ask: Ask,
    short: int,
) -> Left:
    """Return what is left after a call has used what it asks for, and what it was short of: credits, then bounds.

    ``told`` is the decision the caller had, as it is stored; ``counts`` what was set aside for it, which it was told to
    be there. Of a period that is over nothing is left to say.
    """
    remaining, limit, bound, resets_at = told[4:8]
    if short:
        return Left(book.credits, None, "credits", None, (Reason.INSUFFICIENT_CREDITS, short))
    same: tuple[int, int, str, int] | None = None
    aside = {(name, start): ask.counted(what) - number for name, start, number, what in counts}
    for name, most, of, until in bounds:
        start, used = book.counters.get(name, (None, 0))
        more = aside.get((name, start))
        if more is None:
            continue
        if used > most and more > 0:
            return Left(0, most, of, until, (Reason.QUOTA_EXCEEDED, min(used - most, more)))
        if of == bound and (same is None or most - used < same[0]):
            same = (most - used, most, of, until)
    if same is not None:
        return Left(max(same[0], 0), *same[1:])
    return Left(book.credits if bound == "credits" else remaining, limit, bound, resets_at)
