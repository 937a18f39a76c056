"""Deciding a call: access, then rates, then quotas, then what pays. Pure: a book is read, nothing is changed."""

from typing import NamedTuple

from reconciler.entitlements.decision import Decision, Reason, decided
from reconciler.entitlements.kinds.bounds import Ask, Bound, Count, Payment, Refusal
from reconciler.entitlements.terms import Call, Terms
from reconciler.ledger.book import Book


class Verdict(NamedTuple):
    """A decision with what it would change: cells of rates, counters, and the payment; ``None`` for a refusal."""

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
    cells: list[tuple[str, int]] = []
    counts: list[Count] = []
    for rate in call.rates:
        found = rate.weigh(book, now, ask)
        if isinstance(found, Refusal):
            return Verdict(found, None)
        arrival, bound = found
        cells.append((rate.id, arrival))
        if tightest is None or bound.calls < tightest.calls:
            tightest = bound
    for quota in call.quotas:
        room = quota.weigh(book, now, ask)
        if isinstance(room, Refusal):
            return Verdict(room, None)
        count, bound = room
        counts.append(count)
        if tightest is None or bound.calls < tightest.calls:
            tightest = bound
    payment, refusal = _pay(call, book, now, ask)
    if refusal is not None:
        return Verdict(refusal, None)
    if payment is not None and payment.bound is not None and (tightest is None or payment.bound.calls < tightest.calls):
        tightest = payment.bound
    return Verdict(None, tightest, tuple(cells), tuple(counts), payment)


def forced(call: Call, book: Book, now: int, ask: Ask) -> Verdict:
    """Return what a call changes that was made without being weighed: counted by every quota, paid by the first payer.

    Rates are left alone: they are about the moment of the call, which is over.
    """
    counts = [quota.weigh(book, now, ask, forced=True) for quota in call.quotas]
    payment = call.payers[0].weigh(book, now, ask, forced=True) if call.payers else None
    return Verdict(
        None,
        None,
        (),
        tuple(found[0] for found in counts if not isinstance(found, Refusal)),
        payment if isinstance(payment, Payment) else None,
    )


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


def _pay(call: Call, book: Book, now: int, ask: Ask) -> tuple[Payment | None, Refusal | None]:
    refusal = None
    for payer in call.payers:
        found = payer.weigh(book, now, ask)
        if isinstance(found, Payment):
            return found, None
        refusal = found
    return None, refusal


def decision_of(verdict: Verdict, call: Call, terms: Terms, book: Book) -> Decision:
    """Write a verdict as the answer; the remedy of a refusal is added by whoever knows what is sold."""
    digest, tenant = terms.policy.revision, terms.tenant
    refusal, bound = verdict.refusal, verdict.bound
    if refusal is not None:
        reason, source, name, remaining, limit, resets_at, retry_after, short, _ = refusal
        waiting = (remaining, limit, name, resets_at, retry_after, None, source, digest, None)
        return decided(False, reason, tenant, call.name, "", 0, "", *waiting, False, False, short)
    by, unit, source, recharge = "", "", call.source, None
    cost: int | None = 0
    payment = verdict.payment
    if payment is not None:
        by, cost, unit, source = payment.by, payment.cost, payment.unit, payment.source
        if payment.credits:
            recharge = recharge_of(terms, book.credits - payment.credits)
    remaining = limit = resets_at = None
    name = ""
    if bound is not None:
        _, remaining, limit, name, resets_at, _ = bound
    return decided(
        True,
        Reason.OK,
        tenant,
        call.name,
        by,
        cost,
        unit,
        remaining,
        limit,
        name,
        resets_at,
        None,
        None,
        source,
        digest,
        recharge,
        False,
        False,
        0,
    )


def recharge_of(terms: Terms, left: int) -> str | None:
    """Return the pack to buy where a payment leaves fewer credits than the plan's bound."""
    credits = terms.credit_terms  # noqa: A001  named for what they are
    if credits is None or credits.recharge is None:
        return None
    below, pack = credits.recharge
    return pack if left < below else None
