"""Credits that come in by hand or by payment, go back after a call, or are taken away again."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from reconciler.entitlements.books import OWN
from reconciler.entitlements.periods import LENGTH, SECOND
from reconciler.entitlements.terms import Terms
from reconciler.ledger.book import Book, Lot
from reconciler.ledger.entry import Entry

_METERED = "metered:"
_USED = "used:"
#: How old a window may be that something is still taken out of; Stripe takes events of the past 35 days.
_SENDABLE = 30 * LENGTH["day"]


class Refunded(NamedTuple):
    """What a refund gave back, in millionths of a credit: to its lots, to a new lot, or lost with expired ones.

    ``owed`` are units by meter that it could not take back, since the period they were billed in is over: what they
    cost is to be given back as money (``usage report`` tells how much).
    """

    restored: int
    renewed: int
    lost: int
    owed: Mapping[str, int] = MappingProxyType({})


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


class Refund(NamedTuple):
    """A refund of the call of an ``entry``: of ``amount`` millionths of a credit, or all there is (``None``).

    ``lots`` are those that paid, as they were granted; ``markers`` the keys of the refunds before and of this one.
    """

    entry: Entry
    lots: Mapping[str, list[Any]]
    markers: Sequence[str]
    amount: int | None
    renew_until: int | None


def refund(
    book: Book,
    terms: Terms,
    asked: Refund,
    before: Mapping[str, Any],
    gone: Mapping[str, str],
    now: int,
    key: str,
    digest: str,
) -> Refunded:
    """Reverse a call's payment, last spent first, and return what became of it.

    ``before`` is what the refund before this one left; ``gone`` says of lots that they are ``expired`` or ``voided``.
    What comes from expired ones is lost, or renewed as a lot of its own; from voided ones it is lost, as is what a lot
    still owes. The refund that leaves nothing to refund takes the counted units back as well.
    """
    parts = spent_parts(asked.entry)
    done, whole = before["refunded"], sum(part for _, part in parts)
    left = whole - done if asked.amount is None else min(asked.amount, whole - done)
    back, skip = left, done
    found = {"": 0, "expired": 0, "voided": 0}
    for id, part in reversed(parts):  # noqa: A001  the word for it everywhere
        passed = min(skip, part)
        skip -= passed
        given = min(part - passed, back)
        back -= given
        if not given:
            continue
        fate = gone.get(id) or _fate(asked.lots[id], now)
        stays = given if fate else book.give_back(_lot(book, asked.lots[id]), given)
        found[fate] += stays
        found["voided"] += given - stays
    renewal = _renewal(asked, found["expired"], now)
    renewed = 0 if renewal is None else renewal.granted
    if renewal is not None:
        book.give_back(renewal, renewed)
    uncounted, owed = before["uncounted"], dict[str, int]()
    if not uncounted and done + left == whole and (whole or asked.amount is None):
        uncounted, owed = True, _uncount(book, terms, asked.entry, now)
    came = Refunded(found[""], renewed, found["expired"] + found["voided"] - renewed, owed)
    book.enter("refund", now, came._asdict(), key, digest)
    answer = {"of": asked.entry.key, "refunded": done + left, "uncounted": uncounted}
    book.enter("refunded", now, answer, asked.markers[-1])
    if renewal is not None:
        book.enter("renew", now, renewal.dump(), renewal.id)
    return came


def _fate(granted: list[Any], now: int) -> str:
    """Return ``expired`` for a lot whose time is over; one that was used up before is not entered as expired."""
    expires = Lot(*granted).expires
    return "expired" if expires is not None and expires <= now else ""


def _lot(book: Book, granted: list[Any]) -> Lot:
    """Return a lot that stands in the book, or one that is used up and has to stand there again."""
    lot = book.lots.get(granted[0])
    if lot is None:
        lot = Lot(*granted)
        lot.remaining = 0
    return lot


def _renewal(asked: Refund, amount: int, now: int) -> Lot | None:
    """Return the lot that keeps what is lost with expired ones; its id is the key of its own entry, as with any lot."""
    until = asked.renew_until
    if not amount or until is None or until <= now:
        return None
    return Lot(f"{OWN}renewed:{asked.markers[-1]}", amount, 0, 0, until, now, "refund")


def _uncount(book: Book, terms: Terms, entry: Entry, now: int) -> dict[str, int]:
    """Take the call's units back: out of its counters while their period runs, and out of what is billed.

    Return the units by meter that were billed for good before.
    """
    for id, start, number in entry.answer[1]:  # noqa: A001
        counter = book.counters.get(id)
        if counter is not None and counter[0] == start:
            counter[1] -= number
    owed: dict[str, int] = {}
    for source, target, amount in entry.transfers:
        if source.startswith(_METERED):
            meter, account, units = source.removeprefix(_METERED), target, amount
        elif target.startswith(_METERED):
            meter, account, units = target.removeprefix(_METERED), source, -amount
        else:
            continue
        if not account.startswith(_USED):
            book.use(meter, 0, -units, billed=False)
        elif not _take_back(book, terms, meter, int(account.rpartition("@")[2]), units, now):
            owed[meter] = owed.get(meter, 0) + units
    return owed


def _take_back(book: Book, terms: Terms, meter: str, window: int, units: int, now: int) -> bool:
    """Take units out of the window they were used in while that changes what is billed; false where they are owed back.

    So no period's total can fall below zero, which Stripe would bill as nothing: what a refund takes was in it. A
    window that is nearly too old to be sent is spared where the running one is of the same period.
    """
    period, start = terms.billing(meter), window * SECOND
    if period is None or period.at(start) == period.at(now):
        book.use(meter, window if start > now - _SENDABLE else terms.window(now), -units)
    elif book.used.get(meter, {}).get(window, 0) >= units > 0:
        book.use(meter, window, -units)
    else:
        book.owe(meter, window, units)
        return False
    return True
