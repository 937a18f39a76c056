"""Credits that come in by hand or by payment, go back after a call, or are taken away again."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.entitlements.books import OWN
from reconciler.entitlements.terms import Terms
from reconciler.ledger.book import NEVER, Book, Lot
from reconciler.ledger.entry import Entry


class Refunded(NamedTuple):
    """What a refund gave back, in millionths of a credit: to its lots, to a new lot, or lost with expired ones."""

    restored: int
    renewed: int
    lost: int


def grant(book: Book, lot: Lot, now: int, key: str, digest: str) -> None:
    """Bring in a lot whose id is the key."""
    book.grant(lot)
    book.enter("grant", now, lot.dump(), key, digest)


def void(book: Book, lots: Sequence[str], now: int, key: str, digest: str, reason: str) -> int:
    """Take away what is left of lots, as after a refund or dispute of their payment; return how much that was."""
    left = sum(book.write_off(lot, "voided") for name in lots if (lot := book.lots.get(name)) is not None)
    book.enter("void", now, {"lots": lots, "credits": left, "reason": reason}, key, digest)
    return left


def spent_parts(entry: Entry) -> list[tuple[str, int]]:
    """Return the lots a consumed or committed call was paid from, with the amounts."""
    return [(lot, amount) for lot, amount in entry.answer[2]]


def marker(of: str, number: int) -> str:
    """Return the key under which the ``number``-th refund of a call is counted, from 1 on."""
    return f"{OWN}refund:{of}:{number}"


def refund(
    book: Book,
    terms: Terms,
    entry: Entry,
    done: int,
    amount: int | None,
    lots: Mapping[str, list[Any]],
    now: int,
    *,
    renew_until: int | None,
) -> tuple[Refunded, int]:
    """Reverse a call's payment, last spent first, and return what became of it and how much is refunded in all by now.

    ``done`` was refunded before, ``amount`` is wanted (``None``: all that is left); ``lots`` are the lots as they
    were granted. Credits of lots that have expired meanwhile are lost, or renewed as a lot of their own until
    ``renew_until``. A refund of everything takes the counted units back as well.
    """
    parts = spent_parts(entry)
    whole = sum(part for _, part in parts)
    left = whole - done if amount is None else min(amount, whole - done)
    back, skip = left, done
    restored = lost = 0
    for id, part in reversed(parts):  # noqa: A001  the word for it everywhere
        passed = min(skip, part)
        skip -= passed
        given = min(part - passed, back)
        back -= given
        if not given:
            continue
        lot = book.lots.get(id) or Lot(*lots[id])
        if lot.expires is not None and lot.expires <= now:
            lost += given
            continue
        if id not in book.lots:
            lot.remaining = 0
        book.give_back(lot, given)
        restored += given
    renewed = _renew(book, entry, lost, now, renew_until)
    if not done and left == whole:
        _uncount(book, terms, entry, now)
    return Refunded(restored, renewed, lost - renewed), done + left


def _renew(book: Book, entry: Entry, amount: int, now: int, until: int | None) -> int:
    if not amount or until is None or until <= now:
        return 0
    lot = Lot(f"{OWN}renewed:{entry.key}:{book.seq}", amount, 0, 0, until if until < NEVER else None, now, "refund")
    book.give_back(lot, amount)
    return amount


def _uncount(book: Book, terms: Terms, entry: Entry, now: int) -> None:
    """Take the call's units back: out of its counters while their period runs, out of the next export in any case."""
    for id, start, number in entry.answer[1]:  # noqa: A001
        counter = book.counters.get(id)
        if counter is not None and counter[0] == start:
            counter[1] -= number
    window = terms.window(now)
    for transfer in entry.transfers:
        if transfer.source.startswith("metered:"):
            meter = transfer.source.removeprefix("metered:")
            book.use(meter, window, -transfer.amount, billed=transfer.target.startswith("used:"))
