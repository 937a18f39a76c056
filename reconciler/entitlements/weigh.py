"""Deciding a call: access, then rates, then quotas, then what pays. Pure: a book is read, nothing is changed."""

from typing import NamedTuple

from reconciler.entitlements.decision import Decision, Reason
from reconciler.entitlements.kinds.bounds import Ask, Bound, Count, Payment, Refusal
from reconciler.entitlements.terms import Call, Terms
from reconciler.ledger.book import Book

#: Looked up once and not for every call: an enumeration's member costs as much as the answer it stands in.
_OK = Reason.OK


class Verdict(NamedTuple):
    """A decision with what it would change: cells of rates, counters, and the payment; ``None`` for a refusal.

    ``counts`` are all counters that would grow, those of the payment among them.
    """

    refusal: Refusal | None
    bound: Bound | None
    cells: tuple[tuple[str, int], ...] = ()
    counts: tuple[Count, ...] = ()
    payment: Payment | None = None


def weigh(call: Call, book: Book, now: int, ask: Ask) -> Verdict:
    """Weigh a call. The first bound that does not hold refuses; the first payer that can pay the whole call pays it."""
    if call.until is not None and now >= call.until:
        return Verdict(Refusal(Reason.SUBSCRIPTION_INACTIVE, call.source), None)
    if call.refused is not None:
        return Verdict(Refusal(call.refused, call.source), None)
    tightest: Bound | None = None
    cells: tuple[tuple[str, int], ...] = ()
    counts: tuple[Count, ...] = ()
    for rate in call.rates:
        found = rate.weigh(book, now, ask)
        if isinstance(found, Refusal):
            return Verdict(found, None)
        arrival, bound = found
        cells += ((rate.id, arrival),)
        if tightest is None or bound.calls < tightest.calls:
            tightest = bound
    for quota in call.quotas:
        room = quota.weigh(book, now, ask)
        if isinstance(room, Refusal):
            return Verdict(room, None)
        count, bound = room
        counts += (count,)
        if tightest is None or bound.calls < tightest.calls:
            tightest = bound
    payment = _pay(call, book, now, ask)
    if payment is None:
        return Verdict(None, tightest, cells, counts)
    if isinstance(payment, Refusal):
        return Verdict(payment, None)
    if payment.bound is not None and (tightest is None or payment.bound.calls < tightest.calls):
        tightest = payment.bound
    return tuple.__new__(Verdict, (None, tightest, cells, counts + payment.counts, payment))


def forced(call: Call, book: Book, now: int, ask: Ask) -> Verdict:
    """Return what a call changes that was made without being weighed: counted by every quota, paid by the first payer.

    Rates are left alone: they are about the moment of the call, which is over.
    """
    rooms = [quota.weigh(book, now, ask, forced=True) for quota in call.quotas]
    counts = tuple(room[0] for room in rooms if not isinstance(room, Refusal))
    payment = call.payers[0].weigh(book, now, ask, forced=True) if call.payers else None
    if not isinstance(payment, Payment):
        return Verdict(None, None, (), counts)
    return Verdict(None, None, (), counts + payment.counts, payment)


#: Later than any instant.
FOREVER = 2**63


def holds_until(call: Call, book: Book, now: int) -> int | None:
    """Return until when a decision on one plain call stays the same while the book does; ``None``: it already fades.

    Quotas and included units begin anew with their period; a rate that is being refilled changes with every moment.
    """
    if any(book.cells.get(rate.id, 0) > now * rate.limit.max for rate in call.rates):
        return None
    ends = [period.at(now)[1] for period in call.periods]
    if call.until is not None and call.until > now:
        ends.append(call.until)
    if book.due is not None:
        ends.append(book.due)
    return min(ends, default=FOREVER)


def _pay(call: Call, book: Book, now: int, ask: Ask) -> Payment | Refusal | None:
    """Return the payment of the first payer that can pay, or the refusal of the last."""
    found = None
    for payer in call.payers:
        found = payer.weigh(book, now, ask)
        if isinstance(found, Payment):
            break
    return found


def decision_of(verdict: Verdict, call: Call, terms: Terms, book: Book) -> Decision:
    """Write a verdict as the answer; the remedy of a refusal is added by whoever knows what is sold."""
    digest, tenant = terms.policy.revision, terms.tenant
    refusal, bound, _, _, payment = verdict
    if refusal is not None:
        reason, source, name, remaining, limit, resets_at, retry_after, short, _ = refusal
        waiting = (remaining, limit, name, resets_at, retry_after, None, source, digest, None)
        return Decision(False, reason, tenant, call.name, "", 0, "", *waiting, short=short)
    by, unit, source, recharge = "", "", call.source, None
    cost: int | None = 0
    if payment is not None:
        by, cost, unit, credits, _, _, _, _, source, _ = payment  # noqa: A001  named for what they are
        recharge = recharge_of(terms, book.credits - credits) if credits else None
    left: tuple[int | None, int | None, str, int | None] = (None, None, "", None) if bound is None else bound[1:5]
    return tuple.__new__(
        Decision,
        (True, _OK, tenant, call.name, by, cost, unit, *left, None, None, source, digest, recharge, False, False, 0),
    )


def recharge_of(terms: Terms, left: int) -> str | None:
    """Return the pack to buy where a payment leaves fewer credits than the plan's bound."""
    credits = terms.credit_terms  # noqa: A001  named for what they are
    if credits is None or credits.recharge is None:
        return None
    below, pack = credits.recharge
    return pack if left < below else None
