"""Lending calls to a process and settling what it has used of them: acts on a book, for leases."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from reconciler.entitlements.books import OWN, count_in, kept_terms, meter_units, price_of, recount
from reconciler.entitlements.decision import Decision
from reconciler.entitlements.kinds.bounds import Ask
from reconciler.entitlements.terms import Call, Terms
from reconciler.entitlements.weigh import Verdict, decision_of, weigh
from reconciler.ledger.book import Book, Hold
from reconciler.ledger.jobs import Found

#: At most this share of the calls that are left is lent at once, so that the last ones are not stranded.
SHARE = 4
#: Fewer calls are not worth lending.
LEAST = 8


class Lent(NamedTuple):
    """What was lent at an instant: so many calls, and the answer to each; no calls where lending is not worth it."""

    size: int
    decision: Decision
    since: int


def lend(book: Book, terms: Terms, call: Call, now: int, one: Ask, most: int, hold: str, expires: int) -> Lent:
    """Set aside up to ``most`` equal calls that cost the same each; the answer tells what is left after all of them."""
    verdict = weigh(call, book, now, one)
    decision = decision_of(verdict, call, terms, book)
    if verdict.refusal is not None:
        return Lent(0, decision, now)
    size = most if verdict.bound is None else min(most, verdict.bound.calls // SHARE)
    many = weigh(call, book, now, one.many(size))
    while size >= LEAST and (many.refusal is not None or not _alike(verdict, many, size)):
        size //= 2
        many = weigh(call, book, now, one.many(size))
    if size < LEAST:
        return Lent(0, decision, now)
    kept = {**kept_terms(many, one, decision, book, now), "size": size}
    kept["cells"] = [[rate.id, one.of(rate.meter) * rate.period] for rate in call.rates]
    count_in(book, many)
    book.hold(hold, many.payment.credits if many.payment is not None else 0, expires, kept)
    book.enter("lease", now, [decision.stored(), kept], hold)
    left = many.bound
    return Lent(size, decision if left is None else decision._replace(remaining=left.remaining), now)


def _alike(one: Verdict, many: Verdict, size: int) -> bool:
    """Tell whether each of many calls costs what one costs."""
    if one.payment is None or many.payment is None:
        return one.payment is many.payment
    return (
        one.payment.cost is not None
        and many.payment.by == one.payment.by
        and many.payment.cost == one.payment.cost * size
        and many.payment.credits == one.payment.credits * size
    )


def settle_slice(
    book: Book,
    terms: Terms,
    hold: Hold,
    now: int,
    used: int,
    keys: Sequence[tuple[str, str]],
    found: Found,
    *,
    late: bool,
) -> dict[str, int]:
    """Book what was used of a slice and give back the rest; return calls charged and repeated, and credits short.

    Calls with keys get an entry each, so that they can be repeated and refunded; one whose key the ledger knows
    already, for the same request, was made elsewhere before and is not charged again. After the hold has lapsed
    (``late``) the same is charged anew, as far as credits are there.
    """
    kept = hold.terms
    one = Ask(1, kept["ask"][1], tuple((meter, number) for meter, number in kept["ask"][2]))
    credits, money, spends = price_of(kept["price"], one)  # noqa: A001  named for what they are
    apart = None if kept["apart"] is None else frozenset(kept["apart"])
    window, repeated, short = terms.window(now), 0, 0
    unkeyed = used - len(keys)
    counts = [[name, start, one.counted(what)] for name, start, _, what in kept["counts"]]
    seen = {key: entry.digest for key, entry in found.items()}
    for key, digest in keys:
        if key in seen:
            repeated += seen[key] == digest
            unkeyed += seen[key] != digest
            continue
        seen[key] = digest
        parts, missing = _pay(book, hold, credits, late=late)
        short += missing
        meter_units(book, one.units, spends, apart, window)
        book.enter("consume", now, [kept["decision"], counts, parts], key, digest)
    rest, charged = one.many(unkeyed), used - repeated
    recount(book, kept["counts"], one.many(charged), held=not late)
    _give_tokens_back(book, kept, charged)
    parts, missing = _pay(book, hold, credits * unkeyed, late=late)
    meter_units(book, rest.units, [(meter, price * unkeyed) for meter, price in spends if unkeyed], apart, window)
    if not late:
        book.drop(hold, 0)
    answer = {"charged": charged, "repeated": repeated, "calls": unkeyed, "short": short + missing}
    stored = list(kept["decision"])
    stored[2] = (credits or money or 0) * unkeyed
    book.enter("settle", now, [stored, [], parts, answer], f"{OWN}commit:{hold.id}")
    return answer


def _pay(book: Book, hold: Hold, credits: int, *, late: bool) -> tuple[list[list[Any]], int]:  # noqa: A002  named for what they are
    """Spend credits of a hold, or out of the lots as far as they go; return the parts and what is short."""
    if not late:
        return book.draw(hold, credits), 0
    there = min(credits, book.credits)
    return book.spend(there) if there else [], credits - there


def _give_tokens_back(book: Book, kept: dict[str, Any], charged: int) -> None:
    """Take calls that were lent and not made out of the cells of their rates."""
    unused = kept["size"] - charged
    for cell, each in kept["cells"]:
        if cell in book.cells:
            book.cells[cell] -= unused * each
